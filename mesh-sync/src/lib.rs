//! What spreads: channels that one node signs and any number of others follow, fetch from each
//! other and serve on, trusting nobody but the writer.
//!
//! [`Sync`] is a [`mesh_wire::Machine`]: it does nothing by itself and touches nothing but its
//! [`Store`]. `spec/5-sync.md` has the rules, and comments of the form `spec: SYNC-6` name them.
//!
//! | to know | read |
//! |---|---|
//! | what the machine is and how it fails | `sync`, `health` |
//! | what the owner can do and see | `command`, `authority`, `policy`, `status`, `event` |
//! | in which order people read what several write | `chat` |
//! | how a stranger's copy gets trusted | `merkle/proof` |
//! | what an item, a head and a log are | `channel` |
//! | how large content is cut and verified | `blob` |
//! | what is here, and how it gets in and out | `library`, [`store`] |
//! | what is known of a neighbour | `peer` |
//! | what a neighbour says, and who is blamed | `receive` |
//! | how items flow in | `follow` |
//! | how content goes again, and comes late | `clear` |
//! | how items and groups flow out | `standing`, `serve` |
//! | which groups are asked of whom | `fetch` |
//! | how a plain web server takes a neighbour's place | `origin` |
//! | how two peers find out in what two sets differ | [`set`] |
//! | what is written on boards, and how that spreads | `board`, `library/notes` |
#![no_std]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod authority;
pub mod blob;
mod board;
mod channel;
mod chat;
mod clear;
mod command;
mod event;
mod fetch;
mod follow;
mod health;
mod library;
mod matching;
mod merkle;
mod origin;
mod peer;
mod policy;
mod receive;
mod serve;
pub mod set;
mod standing;
mod status;
pub mod store;
mod sync;

pub use blob::{BlobId, Outboard, OutboardBuilder};
pub use channel::account::{Exchange, Files, Policy};
pub use channel::charter::Promise;
pub use channel::{ChannelName, Visibility};
pub use chat::Placed;
pub use command::{Content, NewItem, Readers, Refused};
pub use event::Event;
pub use origin::{
    Bundle, Download, DownloadError, Internet, OriginState, OriginStatus, Servers, is_origin,
};
pub use policy::{Budget, Unfetched};
pub use status::{
    BlobStatus, ChannelStatus, ItemState, ItemStatus, Role, Sharer, WriterState, WriterStatus,
};
pub use store::{MemoryStore, Store, StoreError, Table};
pub use sync::Sync;
