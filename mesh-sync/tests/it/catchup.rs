//! Channels spread.
