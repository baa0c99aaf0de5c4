//! Beacons over UDP: how nodes on one local network learn of each other. `spec/3-finding.md`.
//!
//! | to know | read |
//! |---|---|
//! | where beacons go, and who may hear them | [`group`] |
//! | how they are sent and heard on one interface | `ear` |
//! | how all interfaces work together | [`Udp`] |

mod ear;
pub mod group;
mod udp;

pub use udp::Udp;
