//! Disks fail, fill up and forget; the machine says so, carries on, and lies to nobody.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use mesh_sync::{BlobId, Event, MemoryStore, Policy, Refused, Store, StoreError, Sync, Table};
use mesh_wire::message::SyncMessage;
use mesh_wire::{ChannelId, Hash, Label, Machine, Rng};

use crate::pump::{Carried, Pump};
use crate::world::*;

/// A disk that forgets everything since the last commit when it fails.
#[derive(Clone, Default)]
pub(crate) struct Disk(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    live: MemoryStore,
    committed: MemoryStore,
    /// What writing does from now on.
    error: Option<StoreError>,
    /// Operations until the error begins.
    after: u64,
    commits: u64,
}

impl Disk {
    fn write<T>(
        &self,
        operation: impl FnOnce(&mut MemoryStore) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let state = &mut *self.0.borrow_mut();
        match &state.error {
            Some(error) if state.after == 0 => {
                state.live = state.committed.clone();
                Err(error.clone())
            }
            _ => {
                state.after = state.after.saturating_sub(1);
                operation(&mut state.live)
            }
        }
    }

    pub(crate) fn fail(&self, error: Option<StoreError>, after: u64) {
        let mut state = self.0.borrow_mut();
        (state.error, state.after) = (error, after);
    }

    pub(crate) fn committed(&self) -> MemoryStore {
        self.0.borrow().committed.clone()
    }
}

impl Store for Disk {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.0.borrow().live.get(table, key)
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.write(|live| live.put(table, key, value))
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.write(|live| live.remove(table, key))
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        self.0.borrow().live.scan(table, from, visit)
    }

    fn read_blob(&self, blob: &Hash, offset: u64, into: &mut [u8]) -> Result<(), StoreError> {
        self.0.borrow().live.read_blob(blob, offset, into)
    }

    fn write_blob(&mut self, blob: &Hash, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.write(|live| live.write_blob(blob, offset, bytes))
    }

    fn remove_blob(&mut self, blob: &Hash) -> Result<(), StoreError> {
        self.write(|live| live.remove_blob(blob))
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.write(|_| Ok(()))?;
        let state = &mut *self.0.borrow_mut();
        state.committed = state.live.clone();
        state.commits += 1;
        Ok(())
    }
}

/// An origin and a follower whose disk is at hand.
fn pair() -> (Pump<Disk>, [Disk; 2], ChannelId) {
    let disks = [Disk::default(), Disk::default()];
    let node = |disk: &Disk| Sync::open(disk.clone(), Rng::from_seed([5; 32])).unwrap();
    let mut pump = Pump::new(disks.iter().map(node).collect());
    let now = pump.now;
    let channel = pump.nodes[0].create_channel(now, &Label::new("news").unwrap()).unwrap();
    pump.nodes[1].follow(now, channel).unwrap();
    (pump, disks, channel)
}

fn is_level(pump: &Pump<Disk>, channel: &ChannelId) -> bool {
    let [a, b] = [0, 1].map(|node| pump.nodes[node].channel(channel));
    let sums = |status: Option<mesh_sync::ChannelStatus>| status.map(|s| (s.items, s.bytes_here));
    sums(a) == sums(b)
}

fn full() -> Option<StoreError> {
    Some(StoreError::Full("no space left on device".into()))
}

// spec: SYNC-25
#[test]
fn k_03_a_full_disk_stops_fetching_and_nothing_else() {
    let (mut pump, [_, disk], channel) = pair();
    let now = pump.now;
    pump.nodes[0].publish(now, &channel, texts(50)).unwrap();
    pump.connect(0, 1);
    pump.settle();
    assert!(is_level(&pump, &channel));
    disk.fail(full(), 0);
    let bytes = content(&mut Rng::from_seed([1; 32]), 500_000);
    let blob = adopt(&mut pump.nodes[0], now, &bytes).unwrap();
    pump.nodes[0].publish(now, &channel, vec![file("file", blob)]).unwrap();
    pump.run(Duration::from_secs(300), |_, message| Carried::As(message));
    let failed = Event::StoreFailed { error: full().unwrap() };
    let failures = pump.events.iter().filter(|(node, event)| *node == 1 && *event == failed);
    let failures = failures.count();
    assert!((2..15).contains(&failures), "{failures} failures in five minutes");
    assert!(pump.events.contains(&(1, Event::StoreBack)));
    assert_eq!(pump.nodes[1].channel(&channel).unwrap().items, 51);
    let here = pump.nodes[1].content(&channel, 7).unwrap();
    assert_eq!(here.unwrap(), "item 6");
    let now = pump.now;
    let refused = pump.nodes[1].follow(now, ChannelId([1; 32])).unwrap_err();
    assert_eq!(refused.to_string(), "the disk is full: no space left on device");

    disk.fail(None, 0);
    pump.run(Duration::from_secs(300), |_, message| Carried::As(message));
    assert!(is_level(&pump, &channel));
    assert!(pump.nodes[1].blob(&blob).unwrap().is_complete());
    assert!(pump.faults(0).is_empty() && pump.faults(1).is_empty());
}

// spec: SYNC-25
#[test]
fn k_03_a_disk_that_fails_at_any_operation_loses_no_more_than_the_last_moment() {
    for after in (0..400).step_by(7) {
        let (mut pump, [origin, disk], channel) = pair();
        let now = pump.now;
        pump.nodes[0].publish(now, &channel, texts(40)).unwrap();
        let bytes = content(&mut Rng::from_seed([1; 32]), 900_000);
        let blob = adopt(&mut pump.nodes[0], now, &bytes).unwrap();
        pump.nodes[0].publish(now, &channel, vec![file("file", blob)]).unwrap();
        disk.fail(Some(StoreError::Failed("EIO".into())), after);
        pump.connect(0, 1);
        pump.settle();
        disk.fail(None, 0);
        pump.run(Duration::from_secs(200), |_, message| Carried::As(message));
        assert!(is_level(&pump, &channel), "after {after}");
        assert!(pump.nodes[1].blob(&blob).unwrap().is_complete(), "after {after}");
        assert!(pump.faults(0).is_empty() && pump.faults(1).is_empty());

        // The same at the origin: what was acknowledged stays, what was refused is not there.
        let before = pump.nodes[0].channel(&channel).unwrap().items;
        origin.fail(Some(StoreError::Failed("EIO".into())), after % 50);
        let published = pump.nodes[0].publish(now, &channel, texts(10));
        origin.fail(None, 0);
        let kept = if published.is_ok() { 10 } else { 0 };
        if kept == 0 {
            let again = pump.nodes[0].publish(now, &channel, texts(1));
            assert!(matches!(again, Err(Refused::Store(_))), "it is closed for a moment");
        }
        pump.run(Duration::from_secs(200), |_, message| Carried::As(message));
        assert_eq!(pump.nodes[0].channel(&channel).unwrap().items, before + kept);
        assert!(is_level(&pump, &channel), "after {after}");
    }
}

// spec: SYNC-19
#[test]
fn k_02_a_crash_at_any_commit_leaves_only_what_is_true() {
    let (mut pump, [_, disk], channel) = pair();
    let now = pump.now;
    pump.nodes[0].publish(now, &channel, texts(300)).unwrap();
    let bytes = content(&mut Rng::from_seed([1; 32]), 2_000_000);
    let blob = adopt(&mut pump.nodes[0], now, &bytes).unwrap();
    pump.nodes[0].publish(now, &channel, vec![file("file", blob)]).unwrap();
    pump.connect(0, 1);
    let mut images = vec![];
    let mut count = 0;
    pump.run(Duration::from_secs(5), |_, message| {
        count += 1;
        if count % 3 == 0 {
            images.push(disk.committed());
        }
        Carried::As(message)
    });
    images.push(disk.committed());
    assert!(disk.0.borrow().commits >= 2);
    let mut last = (0, 0);
    for image in images {
        let sync = Sync::open(image.clone(), Rng::from_seed([5; 32])).unwrap();
        let status = sync.channel(&channel).unwrap();
        assert!(!status.damaged);
        let items = sync.items(&channel, 0..status.items).unwrap();
        assert_eq!(items.len() as u64, status.items);
        let groups = sync.blob(&blob).unwrap().groups_here;
        assert!(last <= (status.items, groups));
        last = (status.items, groups);
        // Whatever it says it has, it can prove to others.
        let fresh = Sync::open(MemoryStore::default(), Rng::from_seed([6; 32])).unwrap();
        let mut others = Pump::new(vec![sync, fresh]);
        others.nodes[1].follow(now, channel).unwrap();
        others.connect(0, 1);
        others.settle();
        assert_eq!(others.nodes[1].channel(&channel).unwrap().items, status.items);
        assert_eq!(others.nodes[1].blob(&blob).unwrap().groups_here, groups);
        assert!(others.faults(1).is_empty());
    }
    assert_eq!(last, (302, 31));
}

// spec: SYNC-56
#[test]
fn k_02_a_crash_while_blobs_are_given_up_leaves_only_what_is_true() {
    let (mut pump, [_, disk], channel) = pair();
    let now = pump.now;
    let policy = Policy { keep: Some(300_000), ..Policy::default() };
    pump.nodes[1].set_policy(now, &channel, policy).unwrap();
    pump.connect(0, 1);
    let (mut images, mut blobs) = (vec![], vec![]);
    for seed in 0..12 {
        let bytes = content(&mut Rng::from_seed([seed; 32]), 90_000);
        let blob = adopt(&mut pump.nodes[0], now, &bytes).unwrap();
        pump.nodes[0].publish(now, &channel, vec![file("file", blob)]).unwrap();
        blobs.push(blob);
        pump.run(Duration::from_secs(1), |_, message| {
            images.push(disk.committed());
            Carried::As(message)
        });
    }
    images.push(disk.committed());
    for (number, image) in images.into_iter().enumerate() {
        let mut sync = Sync::open(image, Rng::from_seed([5; 32])).unwrap();
        if number == 0 {
            continue;
        }
        let status = sync.channel(&channel).unwrap();
        let here = |blob: &BlobId| sync.blob(blob).map_or(0, |blob| blob.bytes_here);
        assert_eq!(blobs.iter().map(here).sum::<u64>(), status.used, "every byte is counted");
        assert!(status.used <= 360_000, "one too many at most: {}", status.used);
        let gone = |blob: &&BlobId| here(blob) == 0;
        assert!(blobs.iter().filter(gone).all(|b| sync.store().blob_bytes(&b.hash).is_none()));
        // What it says it has it can prove, and it says no more than it has.
        for blob in blobs.iter().filter(|blob| here(blob) == blob.size).copied().collect::<Vec<_>>()
        {
            sync.recheck(now, blob, 0).unwrap();
            sync.recheck(now, blob, 1).unwrap();
            assert!(sync.blob(&blob).unwrap().is_complete());
        }
    }
    let left: Vec<_> = blobs.iter().map(|b| pump.nodes[1].blob(b).unwrap().is_complete()).collect();
    assert_eq!(left, [[false; 9].as_slice(), &[true; 3]].concat());
}

// spec: SYNC-56
#[test]
fn k_03_a_disk_that_fails_while_blobs_are_given_up_goes_on_where_it_stopped() {
    for after in 0..60 {
        let (mut pump, [_, disk], channel) = pair();
        let now = pump.now;
        let mut blobs = vec![];
        for seed in 0..4 {
            let bytes = content(&mut Rng::from_seed([seed; 32]), 90_000);
            blobs.push(adopt(&mut pump.nodes[0], now, &bytes).unwrap());
        }
        let items = blobs.iter().map(|blob| file("file", *blob)).collect();
        pump.nodes[0].publish(now, &channel, items).unwrap();
        pump.connect(0, 1);
        pump.settle();
        disk.fail(Some(StoreError::Failed("gone".into())), after);
        let refused = pump.nodes[1].set_budget(now, Some(200_000));
        disk.fail(None, 0);
        pump.run(Duration::from_secs(200), |_, message| Carried::As(message));
        let kept = if refused.is_ok() { [false, false, true, true] } else { [true; 4] };
        let here = blobs.iter().map(|b| pump.nodes[1].blob(b).unwrap().is_complete());
        assert_eq!(here.collect::<Vec<_>>(), kept, "after {after}: {refused:?}");
        let used = 90_000 * kept.iter().filter(|kept| **kept).count() as u64;
        assert_eq!(pump.nodes[1].budget().used, used);
    }
}

#[test]
fn a_bounded_amount_waits_for_its_commit() {
    let (mut pump, [_, disk], channel) = pair();
    let now = pump.now;
    let bytes = content(&mut Rng::from_seed([1; 32]), 200 << 20);
    let blob = adopt(&mut pump.nodes[0], now, &bytes).unwrap();
    pump.nodes[0].publish(now, &channel, vec![file("file", blob)]).unwrap();
    pump.connect(0, 1);
    let before = disk.0.borrow().commits;
    let mut groups = 0;
    pump.exchange(|_, message| {
        groups += usize::from(matches!(message, SyncMessage::GroupData(_)));
        Carried::As(message)
    });
    assert_eq!(groups, 3200);
    // No time has passed, so every commit was for want of room: one for every 64 MiB.
    assert_eq!(disk.0.borrow().commits - before, 3);
    assert_eq!(pump.nodes[1].wake_at().unwrap().reason, "commit");
}
