//! Tests of mesh-wire from outside: what an application or another crate can see.

mod allocations;
mod codec;
mod examples;
mod handshake;
mod laws;
mod objects;
mod python;
mod samples;
mod vectors;
