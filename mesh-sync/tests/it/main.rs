//! Tests of sync as its owner sees it.

mod blobs;
mod channels;
mod laws;
mod world;
