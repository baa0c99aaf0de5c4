//! Vocabulary and bytes of the mesh protocol.
//!
//! Everything two nodes say to each other is defined here, and nothing here does anything by
//! itself: no clock, no socket, no thread, no random source. The specification is `spec/`, and
//! comments of the form `spec: WIRE-3` name its rules.
//!
//! | to know | read |
//! |---|---|
//! | the one shape of every state machine | [`machine`] |
//! | what a message looks like | [`message`] |
//! | how bytes become values and back | [`codec`] |
//! | how two strangers get a sealed link | [`handshake`], [`session`] |
//! | how content is sealed for those who are not there | [`sealed`], [`enclosure`] |
//! | why a number was chosen | [`limits`] |
#![no_std]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod address;
pub mod admission;
pub mod codec;
pub mod enclosure;
pub mod fault;
pub mod fragment;
pub mod handshake;
pub mod id;
pub mod invite;
pub mod label;
pub mod limits;
pub mod machine;
pub mod message;
pub mod oblivious;
pub mod origin;
pub mod rng;
pub mod seal;
pub mod sealed;
pub mod session;
pub mod sign;
pub mod time;

/// Versions of the protocol that this code speaks, ascending.
pub const VERSIONS: [u8; 1] = [1];

pub use address::Address;
pub use codec::{DecodeError, Wire};
pub use fault::Fault;
pub use id::{ChannelId, FindKey, Hash, HopTag, LinkId, PeerId, Token};
pub use label::Label;
pub use machine::{Carrier, Input, Link, Machine, Role, Secured, Wake};
pub use rng::Rng;
pub use time::{Now, Time, UnixTime};
