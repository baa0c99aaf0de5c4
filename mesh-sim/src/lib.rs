//! A world from a seed: nodes, links and time for any [`mesh_wire::Machine`]; the ten laws of a
//! machine; a disk that forgets and lies. For tests only.
//!
//! | to | read |
//! |---|---|
//! | put machines on links that lose, delay and break | [`net`], [`quality`] |
//! | check the ten laws of `spec/README.md` for a machine | [`laws`] |
//! | cut the power of a disk, fill it, let it rot | [`disk`] |
//! | make bytes that no honest neighbour sends | [`hostile`] |
//! | run a test for many seeds, or for the one that failed | [`seed`] |
//!
//! Nothing here reads a clock or a random source: a failing simulation prints its seed, and the
//! seed brings the failure back.

pub mod disk;
pub mod hostile;
pub mod laws;
pub mod net;
pub mod quality;
mod queue;
pub mod seed;
mod trace;

pub use disk::{Disk, Failure, File};
pub use laws::{Law, Subject};
pub use net::{Securing, World};
pub use quality::{Quality, Traffic, Transmitter};
pub use seed::seeds;
