//! Who is around and how to reach them.
//!
//! [`Router`] announces this node to its surroundings, hears others, and says whom to dial; and it
//! finds ways to those who are no neighbours, over relays that know neither end. It owns no
//! socket: beacons leave and dials happen when its owner takes its events.
//!
//! | to know | read |
//! |---|---|
//! | the state machine | [`router`] |
//! | who was heard, and when to dial | [`surroundings`] |
//! | when to announce | [`announce`] |
//! | peers given by hand | [`fixed`] |
//! | those who are no neighbours | [`trail`] |
#![no_std]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod announce;
pub mod fixed;
pub mod router;
pub mod surroundings;
pub mod trail;

pub use router::{RouteEvent, Router};
#[cfg(feature = "hostile")]
pub use trail::Habit;
pub use trail::{
    PACKET_ROOM, Relaying, Scope, TrailEvent, Uplink, flow_name, is_routed, network_of,
};
