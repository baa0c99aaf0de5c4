//! Towns of people with devices, from a seed: where they are and walk, who is in range of whom,
//! what they say, and how much of it arrives at what price. For development only.
//!
//! | to | read |
//! |---|---|
//! | run a protocol in a town | [`subject`] |
//! | compare with other protocols | [`models`] |

pub mod models;
pub mod subject;

pub use subject::{Class, Kind, Ledger, Message, Sent, Subject, Told};
