//! Tests of sync as its owner and its neighbours see it.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one message or event")]

mod authority;
mod blobs;
mod boards;
mod channels;
mod chats;
mod cut;
mod disk;
mod forks;
mod gone;
mod hostile;
mod lacking;
mod laws;
mod origins;
mod policy;
mod private;
mod promises;
mod pump;
mod rulings;
mod sets;
mod strangers;
mod world;
