//! The rows and sums that follow from what is known of blobs do so after whatever happens.

use alloc::collections::BTreeSet;
use std::vec;
use std::vec::Vec;

use mesh_wire::message::sync::ItemKind;
use mesh_wire::{Label, Rng, UnixTime};

use super::*;
use crate::blob::{GROUP, Outboard, PageId};
use crate::channel::ORIGIN;
use crate::channel::account::{NO_LIMIT, Policy};
use crate::channel::log;
use crate::command::{Content, NewItem, Readers};
use crate::library::Group;
use crate::store::MemoryStore;

/// Every row of a table.
fn rows(library: &Library<MemoryStore>, table: Table) -> BTreeSet<(Vec<u8>, BlobId)> {
    let mut rows = BTreeSet::new();
    let visit =
        &mut |key: &[u8], value: &[u8]| rows.insert((key.to_vec(), key::read_blob(value).unwrap()));
    library.store.scan(table, &[], visit).unwrap();
    rows
}

/// Checks every row and sum against the records, and the records against the groups.
fn audit(library: &Library<MemoryStore>) {
    let mut blobs = Vec::new();
    library
        .store
        .scan(Table::Blobs, &[], &mut |key, _| {
            blobs.push(key::read_blob(key).unwrap());
            true
        })
        .unwrap();
    let (mut missing, mut kept) = (BTreeSet::new(), BTreeSet::new());
    let mut used: BTreeMap<ChannelId, u64> = BTreeMap::new();
    for blob in blobs {
        let shelved = library.shelved(&blob).unwrap().unwrap();
        let mut bytes = 0;
        for index in 0..blob.pages() {
            let page = PageId { blob, index };
            let here = library.page(&page).unwrap();
            bytes += here.iter().map(|g| blob.group_bytes(page.group(g)) as u64).sum::<u64>();
        }
        assert_eq!(shelved.bytes, bytes, "every byte is counted");
        let references = library.references(&blob).unwrap();
        assert_eq!(shelved.channel == NOWHERE, references.is_empty());
        assert!(references.is_empty() || references.iter().any(|r| r.channel == shelved.channel));
        for reference in references {
            if let Some(queue) = shelved.queue(&blob) {
                let row = key::missing(&reference.channel, queue, reference.number);
                assert!(missing.insert((row, blob)));
            }
        }
        kept.extend(shelved.kept().map(|row| (row, blob)));
        *used.entry(shelved.channel).or_default() += shelved.counted();
    }
    assert_eq!(rows(library, Table::Missing), missing);
    assert_eq!(rows(library, Table::Kept), kept);
    for (id, channel) in &library.channels {
        assert_eq!(channel.account.used, used.get(id).copied().unwrap_or(0));
    }
}

fn file(blob: BlobId) -> NewItem {
    NewItem {
        kind: ItemKind::File,
        name: Label::default(),
        content: Content::Blob(blob),
        expires: None,
    }
}

fn channel(library: &mut Library<MemoryStore>, seed: u8) -> ChannelId {
    let name = (&Label::new("files").unwrap(), Readers::Everybody);
    library.create(UnixTime(1), name, &mut Rng::from_seed([seed; 32])).unwrap()
}

/// A library that follows two channels of another one, and has one of its own.
struct Life {
    origin: Library<MemoryStore>,
    here: Library<MemoryStore>,
    channels: [ChannelId; 2],
    own: ChannelId,
    blobs: Vec<BlobId>,
}

impl Life {
    fn new() -> Self {
        let mut origin = Library::closed(MemoryStore::default());
        let mut here = Library::closed(MemoryStore::default());
        let channels = [1, 2].map(|seed| channel(&mut origin, seed));
        let own = channel(&mut here, 3);
        let mut blobs = Vec::new();
        for (seed, size) in (0_u8..).zip([17_000, GROUP, 90_000, 200_000, 1_100_000, 20_000]) {
            let bytes = vec![seed; size as usize];
            let mut builder = Outboard::builder(size);
            bytes.chunks(GROUP as usize).for_each(|group| builder.push(group));
            let outboard = builder.finish().unwrap();
            origin.store.write_blob(&outboard.id().hash, 0, &bytes).unwrap();
            origin.adopt(&outboard).unwrap();
            blobs.push(outboard.id());
        }
        Self { origin, here, channels, own, blobs }
    }

    fn act(&mut self, rng: &mut Rng) {
        let blob = self.blobs[rng.below(6) as usize];
        let id = self.channels[rng.below(2) as usize];
        let at = crate::channel::LogId { channel: id, log: ORIGIN };
        match rng.below(12) {
            0 => {
                let items = vec![file(blob), file(blob)];
                self.origin.publish(UnixTime(1), &id, items, rng).unwrap();
            }
            1 => {
                let _ = self.origin.publish(UnixTime(1), &id, vec![file(blob)], rng).unwrap();
            }
            2 if !self.here.channels.contains_key(&id) => self.here.follow(id).unwrap(),
            2 | 3 => {
                let Some(channel) = self.here.channels.get(&id) else { return };
                let run = self.origin.run(&at, channel.size(ORIGIN)..u64::MAX, 1 << 20).unwrap();
                let Some(run) = run else { return };
                let verified = log::verify(channel, &run).unwrap();
                self.here.keep(&id, verified, UnixTime(0)).unwrap();
            }
            4 if rng.below(4) == 0 => self.here.unfollow(&id).unwrap(),
            5 if rng.below(4) == 0 => {
                self.here.publish(UnixTime(1), &self.own, vec![file(blob)], rng).unwrap();
            }
            6 if rng.below(2) == 0 => self.here.pin(&blob).unwrap(),
            6 => self.here.unpin(&blob).unwrap(),
            7 => self.here.give_up(&blob).unwrap(),
            8 => {
                let limit =
                    |rng: &mut Rng| [None, Some(50_000), Some(500_000)][rng.below(3) as usize];
                let files = [Files::All, Files::Wanted][rng.below(2) as usize];
                let policy = Policy { files, largest: limit(rng), keep: limit(rng) };
                let Some(channel) = self.here.channels.get_mut(&id) else { return };
                channel.account.set(&policy);
                self.here.sort(&id).unwrap();
            }
            _ => self.fetch(&blob, rng),
        }
    }

    /// Some of a blob comes, if an item names it.
    fn fetch(&mut self, blob: &BlobId, rng: &mut Rng) {
        let page = PageId { blob: *blob, index: 0 };
        if self.here.shelved(blob).unwrap().is_none() {
            return;
        }
        if let Some(level) = self.here.cvs_lacking(&page).unwrap() {
            let values = self.origin.cvs(blob, level, 0).unwrap().unwrap().to_vec();
            self.here.keep_cvs(blob, (level, 0), values).unwrap();
        }
        for group in 0..page.groups() as u16 {
            let mut have = self.here.page(&page).unwrap();
            if rng.below(3) > 0 && !have.contains(group) {
                let Group::Sound(bytes) = self.origin.group(&page, group).unwrap() else {
                    panic!()
                };
                self.here.keep_group(&page, &mut have, group, &bytes).unwrap();
            }
        }
    }
}

#[test]
fn rows_and_sums_follow_from_what_is_known_whatever_happens() {
    for seed in 0..40 {
        let mut rng = Rng::from_seed([seed; 32]);
        let mut life = Life::new();
        for _ in 0..150 {
            life.act(&mut rng);
            audit(&life.here);
        }
        life.here.commit().unwrap();
        let mut again = Library::closed(life.here.store.clone());
        again.open().unwrap();
        audit(&again);
    }
}

// spec: SYNC-56
#[test]
fn what_goes_first_is_what_nobody_wanted_then_the_oldest_of_whoever_takes_most() {
    let mut rng = Rng::from_seed([7; 32]);
    let mut life = Life::new();
    let [a, b] = life.channels;
    for (id, blob) in [(a, 0), (a, 2), (b, 1), (a, 3)] {
        life.origin.publish(UnixTime(1), &id, vec![file(life.blobs[blob])], &mut rng).unwrap();
    }
    for id in [a, b] {
        life.here.follow(id).unwrap();
        let at = crate::channel::LogId { channel: id, log: ORIGIN };
        let run = life.origin.run(&at, 0..u64::MAX, 1 << 20).unwrap().unwrap();
        let verified = log::verify(&life.here.channels[&id], &run).unwrap();
        life.here.keep(&id, verified, UnixTime(0)).unwrap();
    }
    let [first, other, second, third] = [0, 1, 2, 3].map(|n| life.blobs[n]);
    for blob in [first, second, third, other] {
        while life.here.shelved(&blob).unwrap().unwrap().bytes < blob.size {
            life.fetch(&blob, &mut rng);
        }
    }
    let mut order = Vec::new();
    assert_eq!(life.here.excess(&[]).unwrap(), None);
    life.here.assumed = 0;
    assert_eq!(
        life.here.excess(&[first, second, third, other]).unwrap(),
        None,
        "all are waited for"
    );
    life.here.pin(&second).unwrap();
    while let Some(blob) = life.here.excess(&[]).unwrap() {
        order.push(blob);
        life.here.give_up(&blob).unwrap();
        audit(&life.here);
    }
    assert_eq!(order, [first, third, other], "and what is pinned stays");
    assert_eq!(life.here.used(), second.size);
    life.here.assumed = NO_LIMIT;
    life.fetch(&third, &mut rng);
    life.fetch(&other, &mut rng);
    life.here.unpin(&second).unwrap();
    life.here.assumed = 0;
    assert_eq!(life.here.excess(&[]).unwrap(), Some(third), "it came though nobody wanted it");
}
