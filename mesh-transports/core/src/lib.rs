//! What a medium must do to carry a mesh: announce, dial, and links that carry frames.
//!
//! A transport knows nothing of what is in a frame. It never blocks: everything is polled by the
//! one loop in mesh-node, so no particular executor is needed.
//!
//! | to know | read |
//! |---|---|
//! | what a transport is | [`Transport`] |
//! | what a link is | [`FrameLink`] |
//! | how frames lie on a byte stream | [`framing`] |
//! | what holds for every transport | `contract` (feature `contract`) |
//! | how to link two nodes of one process | [`memory`] |
//! | how to test against a bad medium | [`flaky`] |
//! | which network interfaces are up | [`interfaces`] |

#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod flaky;
pub mod framing;
pub mod interfaces;
pub mod link;
pub mod memory;
pub mod transport;

pub use link::FrameLink;
pub use transport::{DialId, State, Transport, TransportEvent};
