//! The four laws of every message: what is written is read as it was; what is read is written as
//! it was; no strict beginning is accepted; nothing may follow.

use std::fmt::Debug;

use bytes::Bytes;
use mesh_wire::Wire;
use mesh_wire::codec::Problem;
use mesh_wire::handshake::{Answer, Introduction, Retry};
use mesh_wire::message::link::{Close, Fragment, Padding, Ping, Pong};
use mesh_wire::message::routing::{
    Anchor, Arrived, Broken, Find, Found, Guided, Packet, Presence, Register,
};
use mesh_wire::message::set::Reconcile;
use mesh_wire::message::sync::{
    Author, Blinded, Checkpoint, Cvs, CvsWant, Enclosure, EpochKeys, Evaluated, Fork, Genesis,
    Grant, GroupData, GroupsWant, Heard, ItemHeader, Items, Letter, Notes, Origins, PageAsk,
    PageDrop, PageHave, Parents, Retract, SealedBody, Share, Summary, Unsealing, Want, Withdrawal,
};
use mesh_wire::message::{Beacon, LinkMessage, RouteMessage, SyncMessage};
use mesh_wire::origin::{BundleProof, OriginHead};
use proptest::test_runner::{Config, TestRunner};

use crate::samples::Sample;

/// The lengths at which a message is cut: all of a short one, both ends and some of a long one.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    (0..length).filter(move |at| *at < 200 || *at + 200 > length || at % 997 == 0)
}

/// Checks the laws for random values of one type.
fn hold<T: Wire + Sample + PartialEq + Debug>() {
    let mut runner = TestRunner::new(Config { cases: 64, ..Config::default() });
    let outcome = runner.run(&T::sample(), |value| {
        let bytes = value.to_bytes();
        assert_eq!(bytes.len(), value.size());
        assert!(bytes.len() >= T::MIN_SIZE);
        let read = T::from_bytes(bytes.clone()).expect("what was written is read");
        assert_eq!(read, value);
        assert_eq!(read.to_bytes(), bytes);
        for at in cuts(bytes.len()) {
            let error = T::from_bytes(bytes.slice(..at)).expect_err("a beginning was accepted");
            assert!(!error.field.is_empty() || T::MIN_SIZE == 1, "no field is named");
        }
        let more: Bytes = bytes.iter().copied().chain([0]).collect();
        let error = T::from_bytes(more).expect_err("a byte more was accepted");
        assert_eq!(error.problem, Problem::Trailing);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{}: {failure}", std::any::type_name::<T>()));
}

macro_rules! laws {
    ($($test:ident: $type:ty),* $(,)?) => {$(
        // spec: WIRE-1, WIRE-4
        #[test]
        fn $test() {
            hold::<$type>();
        }
    )*};
}
laws! {
    padding: Padding,
    close: Close,
    ping: Ping,
    pong: Pong,
    fragment: Fragment,
    presence: Presence,
    find: Find,
    found: Found,
    packet: Packet,
    broken: Broken,
    arrived: Arrived,
    anchor: Anchor,
    guided: Guided,
    register: Register,
    share: Share,
    blinded: Blinded,
    evaluated: Evaluated,
    heard: Heard,
    summary: Summary,
    want: Want,
    items: Items,
    page_ask: PageAsk,
    page_have: PageHave,
    groups_want: GroupsWant,
    cvs_want: CvsWant,
    cvs: Cvs,
    group_data: GroupData,
    page_drop: PageDrop,
    reconcile: Reconcile,
    fork: Fork,
    notes: Notes,
    beacon: Beacon,
    item_header: ItemHeader,
    genesis: Genesis,
    grant: Grant,
    checkpoint: Checkpoint,
    epoch_keys: EpochKeys,
    origins: Origins,
    origin_head: OriginHead,
    bundle_proof: BundleProof,
    retract: Retract,
    sealed_body: SealedBody,
    letter: Letter,
    enclosure: Enclosure,
    unsealing: Unsealing,
    parents: Parents,
    author: Author,
    withdrawal: Withdrawal,
    introduction: Introduction,
    answer: Answer,
    retry: Retry,
}

// spec: WIRE-4, WIRE-5
#[test]
fn w_01_every_frame_cut_off_anywhere_is_refused() {
    hold::<LinkMessage>();
    hold::<RouteMessage>();
    hold::<SyncMessage>();
}
