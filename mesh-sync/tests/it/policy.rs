//! What is fetched first, what is kept, what is given up, and what is told of it.

use std::cell::Cell;
use std::time::Duration;

use bytes::Bytes;
use mesh_sync::{
    BlobId, Event, Files, ItemState, MemoryStore, Policy, Store, StoreError, Sync, Table, Unfetched,
};
use mesh_wire::message::SyncMessage;
use mesh_wire::{ChannelId, Hash, Label, Rng};

use crate::pump::{Carried, Pump};
use crate::world::*;

/// Nodes of which the first has a channel that all follow.
fn nodes(count: u8) -> (Pump, ChannelId) {
    let node = |seed| Sync::open(MemoryStore::default(), Rng::from_seed([seed; 32])).unwrap();
    let mut pump = Pump::new((0..count).map(node).collect());
    let channel = pump.nodes[0].create_channel(pump.now, &Label::new("files").unwrap()).unwrap();
    for node in &mut pump.nodes[1..] {
        node.follow(pump.now, channel).unwrap();
    }
    (pump, channel)
}

/// Node 0 publishes files of these sizes.
fn publish(pump: &mut Pump, channel: &ChannelId, sizes: &[usize]) -> Vec<BlobId> {
    let now = pump.now;
    let items = pump.nodes[0].channel(channel).unwrap().items;
    let mut rng = Rng::from_seed([items as u8; 32]);
    let mut put = |size: &usize| adopt(&mut pump.nodes[0], now, &content(&mut rng, *size)).unwrap();
    let blobs: Vec<BlobId> = sizes.iter().map(&mut put).collect();
    let items = blobs.iter().map(|blob| file("file", *blob)).collect();
    pump.nodes[0].publish(now, channel, items).unwrap();
    blobs
}

fn set(pump: &mut Pump, channel: &ChannelId, policy: Policy) {
    let now = pump.now;
    pump.nodes[1].set_policy(now, channel, policy).unwrap();
}

fn keep(bytes: u64) -> Policy {
    Policy { keep: Some(bytes), ..Policy::default() }
}

fn is_here(pump: &Pump, node: usize, blob: &BlobId) -> bool {
    pump.nodes[node].blob(blob).unwrap().is_complete()
}

fn all_here(pump: &Pump, blobs: &[BlobId]) -> Vec<bool> {
    blobs.iter().map(|blob| is_here(pump, 1, blob)).collect()
}

fn used(pump: &Pump, channel: &ChannelId) -> u64 {
    pump.nodes[1].channel(channel).unwrap().used
}

/// Runs until nothing happens any more, and counts the bytes of blobs that went over links.
fn run(pump: &mut Pump) -> u64 {
    let mut bytes = 0;
    pump.run(Duration::from_secs(300), |_, message| {
        if let SyncMessage::GroupData(data) = &message {
            bytes += data.bytes.bytes().len() as u64;
        }
        Carried::As(message)
    });
    bytes
}

/// The order in which blobs became whole at node 1.
fn order(pump: &Pump) -> Vec<BlobId> {
    let whole = |(node, event): &(usize, Event)| match event {
        Event::BlobHere { blob } if *node == 1 => Some(*blob),
        _ => None,
    };
    pump.events.iter().filter_map(whole).collect()
}

fn why(pump: &Pump, channel: &ChannelId, number: u64) -> Option<Unfetched> {
    pump.nodes[1].items(channel, number..number + 1).unwrap()[0].unfetched
}

// spec: SYNC-21
#[test]
fn the_newest_comes_first_and_what_is_small_before_what_is_large() {
    let (mut pump, channel) = nodes(2);
    let large = publish(&mut pump, &channel, &[1_500_000; 5]);
    let small = publish(&mut pump, &channel, &[50_000; 300]);
    let others = publish(&mut pump, &channel, &[1_100_000; 3]);
    pump.connect(0, 1);
    run(&mut pump);
    let newest = |blobs: &[BlobId]| blobs.iter().rev().copied().collect::<Vec<_>>();
    let expected = [newest(&small), newest(&others), newest(&large)].concat();
    let order = order(&pump);
    assert_eq!(order.len(), expected.len());
    for (place, blob) in order.iter().enumerate() {
        let wanted = expected.iter().position(|other| other == blob).unwrap();
        assert!(place.abs_diff(wanted) < 8, "{place} instead of {wanted}");
    }
}

// spec: SYNC-21
#[test]
fn what_comes_in_later_jumps_the_queue() {
    let (mut pump, channel) = nodes(2);
    publish(&mut pump, &channel, &[20_000; 400]);
    pump.connect(0, 1);
    let mut groups = 0;
    pump.exchange(|_, message| {
        groups += usize::from(matches!(message, SyncMessage::GroupData(_)));
        if groups == 100 { Carried::Stop } else { Carried::As(message) }
    });
    let before = order(&pump).len();
    let late = publish(&mut pump, &channel, &[30_000; 3]);
    run(&mut pump);
    let order = order(&pump);
    assert_eq!(order.len(), 403);
    for blob in late {
        let place = order.iter().position(|other| *other == blob).unwrap() - before;
        assert!(place < 80, "after {place} others, of which 64 were under way");
    }
}

// spec: SYNC-21
#[test]
fn what_nobody_has_keeps_what_is_new_waiting_for_one_turn_only() {
    let (mut pump, channel) = nodes(2);
    let now = pump.now;
    let ghost = |n: u16| {
        let mut hash = [7; 32];
        hash[..2].copy_from_slice(&n.to_be_bytes());
        file("ghost", BlobId { hash: Hash(hash), size: 30_000 })
    };
    pump.nodes[0].publish(now, &channel, (0..1000).map(ghost).collect()).unwrap();
    pump.connect(0, 1);
    pump.run(Duration::from_secs(15), |_, message| Carried::As(message));
    let blobs = publish(&mut pump, &channel, &[20_000]);
    pump.run(Duration::from_secs(12), |_, message| Carried::As(message));
    assert!(is_here(&pump, 1, &blobs[0]));
}

#[test]
fn files_that_are_not_wanted_come_when_somebody_waits_for_them_or_pins_them() {
    let (mut pump, channel) = nodes(2);
    set(&mut pump, &channel, Policy { files: Files::Wanted, ..Policy::default() });
    let blobs = publish(&mut pump, &channel, &[20_000, 200_000, 30_000]);
    pump.connect(0, 1);
    assert_eq!(run(&mut pump), 0);
    assert_eq!(why(&pump, &channel, 2), Some(Unfetched::NotWanted));
    let now = pump.now;
    pump.nodes[1].prefer(now, blobs[1]);
    assert_eq!(run(&mut pump), 200_000);
    pump.nodes[1].pin(now, &channel, 1).unwrap();
    assert_eq!(run(&mut pump), 20_000);
    assert_eq!(all_here(&pump, &blobs), [true, true, false]);
    let items = pump.nodes[1].items(&channel, 1..4).unwrap();
    assert_eq!(items.iter().map(|item| item.is_pinned).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(why(&pump, &channel, 2), None);
    // It says so to others, and goes on where it stopped when it changes its mind.
    set(&mut pump, &channel, Policy::default());
    assert_eq!(run(&mut pump), 30_000);
    assert_eq!(all_here(&pump, &blobs), [true; 3]);
}

#[test]
fn what_is_too_large_is_known_and_says_why() {
    let (mut pump, channel) = nodes(2);
    let largest = Some(100_000);
    set(&mut pump, &channel, Policy { largest, ..keep(1_000_000) });
    let blobs = publish(&mut pump, &channel, &[100_001, 100_000, 2_000_000]);
    pump.connect(0, 1);
    assert_eq!(run(&mut pump), 100_000);
    assert_eq!(all_here(&pump, &blobs), [false, true, false]);
    assert_eq!(why(&pump, &channel, 1), Some(Unfetched::TooLarge(100_000)));
    assert_eq!(why(&pump, &channel, 2), None);
    let item = pump.nodes[1].items(&channel, 1..2).unwrap().pop().unwrap();
    assert_eq!(item.state, ItemState::Known);
    // With larger files allowed it is still larger than all there is room for.
    set(&mut pump, &channel, keep(1_000_000));
    assert_eq!(run(&mut pump), 100_001);
    assert_eq!(why(&pump, &channel, 3), Some(Unfetched::OverBudget(1_000_000)));
    let now = pump.now;
    pump.nodes[1].set_budget(now, Some(150_000)).unwrap();
    run(&mut pump);
    assert_eq!(why(&pump, &channel, 3), Some(Unfetched::OverBudget(150_000)));
    assert_eq!(all_here(&pump, &blobs), [false, true, false], "the older one was given up");
    assert_eq!(why(&pump, &channel, 1), Some(Unfetched::NoRoom));
}

// spec: SYNC-56
#[test]
fn a_budget_holds_the_newest_and_nothing_is_fetched_to_be_given_up() {
    let (mut pump, channel) = nodes(2);
    set(&mut pump, &channel, keep(1_000_000));
    let old = publish(&mut pump, &channel, &[150_000; 40]);
    pump.connect(0, 1);
    assert_eq!(run(&mut pump), 900_000, "six of 40, each once");
    let expected: Vec<bool> = (0..40).map(|number| number >= 34).collect();
    assert_eq!(all_here(&pump, &old), expected);
    assert_eq!(used(&pump, &channel), 900_000);
    assert_eq!(why(&pump, &channel, 34), Some(Unfetched::NoRoom), "there are 100,000 bytes left");
    assert_eq!(why(&pump, &channel, 35), None);
    // A new one takes the place of the oldest, exactly as far as that is needed.
    let new = publish(&mut pump, &channel, &[120_000]);
    assert_eq!(run(&mut pump), 120_000);
    assert!(is_here(&pump, 1, &new[0]));
    assert!(!is_here(&pump, 1, &old[34]) && is_here(&pump, 1, &old[35]));
    assert_eq!(used(&pump, &channel), 870_000);
    assert_eq!(pump.nodes[1].store().blob_bytes(&old[34].hash), None, "its bytes are gone");
    assert_eq!(
        pump.events.iter().filter(|(_, e)| matches!(e, Event::BlobGivenUp { .. })).count(),
        1
    );
    // Nobody goes on fetching and giving up.
    pump.run(Duration::from_secs(3600), |_, message| panic!("{message:?}"));
    pump.disconnect();
    pump.connect(0, 1);
    assert_eq!(run(&mut pump), 0);
    // With more room, older ones come again.
    set(&mut pump, &channel, keep(1_200_000));
    assert_eq!(run(&mut pump), 300_000);
    assert_eq!(all_here(&pump, &old[33..35]), [true; 2]);
}

// spec: SYNC-56
#[test]
fn what_nobody_has_takes_no_room_from_what_somebody_has() {
    let (mut pump, channel) = nodes(2);
    let now = pump.now;
    set(&mut pump, &channel, keep(100_000));
    let blobs = publish(&mut pump, &channel, &[30_000, 40_000]);
    let ghost = BlobId { hash: Hash([7; 32]), size: 90_000 };
    pump.nodes[0].publish(now, &channel, vec![file("ghost", ghost)]).unwrap();
    pump.connect(0, 1);
    assert_eq!(run(&mut pump), 70_000);
    assert_eq!(all_here(&pump, &blobs), [true; 2]);
    pump.run(Duration::from_secs(3600), |_, message| panic!("{message:?}"));
}

// spec: SYNC-56
#[test]
fn large_new_ones_take_the_place_of_old_ones_without_being_fetched_in_vain() {
    let (mut pump, channel) = nodes(2);
    set(&mut pump, &channel, keep(3_000_000));
    let old = publish(&mut pump, &channel, &[20_000; 140]);
    pump.connect(0, 1);
    assert_eq!(run(&mut pump), 2_800_000);
    pump.disconnect();
    let new = publish(&mut pump, &channel, &[400_000; 20]);
    pump.connect(0, 1);
    let bytes = run(&mut pump);
    let here = |blobs: &[BlobId]| all_here(&pump, blobs).iter().filter(|here| **here).count();
    assert_eq!((here(&new), here(&old)), (7, 10), "and small ones fill the rest");
    assert_eq!(bytes, 2_800_000);
    assert_eq!(used(&pump, &channel), 3_000_000);
}

// spec: SYNC-56
#[test]
fn what_is_pinned_published_here_or_waited_for_stays() {
    let (mut pump, channel) = nodes(2);
    let now = pump.now;
    let own = pump.nodes[1].create_channel(now, &Label::new("own").unwrap()).unwrap();
    let mine = adopt(&mut pump.nodes[1], now, &[7; 3_000_000]).unwrap();
    pump.nodes[1].publish(now, &own, vec![file("mine", mine)]).unwrap();
    let blobs = publish(&mut pump, &channel, &[200_000; 5]);
    pump.connect(0, 1);
    run(&mut pump);
    pump.nodes[1].pin(now, &channel, 1).unwrap();
    pump.nodes[1].prefer(now, blobs[1]);
    assert_eq!(used(&pump, &channel), 1_000_000);
    pump.nodes[1].set_budget(now, Some(450_000)).unwrap();
    assert_eq!(run(&mut pump), 0);
    assert_eq!(all_here(&pump, &blobs), [true, false, false, false, true]);
    assert!(is_here(&pump, 1, &mine));
    assert_eq!(pump.nodes[1].budget().used, 400_000);
    // What somebody waits for comes though it is larger than everything, and takes no place.
    let large = publish(&mut pump, &channel, &[2_000_000]);
    assert_eq!(run(&mut pump), 0);
    pump.nodes[1].prefer(now, large[0]);
    assert_eq!(run(&mut pump), 2_000_000);
    assert_eq!(all_here(&pump, &blobs), [true, false, false, false, true]);
    assert!(is_here(&pump, 1, &large[0]));
    // After a restart nobody waits for it, and it goes first.
    pump.disconnect();
    pump.nodes[1].flush(now).unwrap();
    let store = pump.nodes[1].store().clone();
    pump.nodes[1] = Sync::open(store, Rng::from_seed([8; 32])).unwrap();
    pump.connect(0, 1);
    assert_eq!(run(&mut pump), 0);
    assert!(!is_here(&pump, 1, &large[0]));
    assert_eq!(all_here(&pump, &blobs), [true, false, false, false, true]);
    pump.nodes[1].unpin(now, &channel, 1).unwrap();
    pump.nodes[1].set_budget(now, Some(200_000)).unwrap();
    assert_eq!(run(&mut pump), 0);
    assert_eq!(all_here(&pump, &blobs), [false, false, false, false, true]);
    assert!(is_here(&pump, 1, &mine));
}

#[test]
fn what_is_pinned_comes_again_when_a_budget_has_let_it_go() {
    let (mut pump, channel) = nodes(2);
    let blobs = publish(&mut pump, &channel, &[200_000; 3]);
    set(&mut pump, &channel, keep(250_000));
    pump.connect(0, 1);
    run(&mut pump);
    assert_eq!(all_here(&pump, &blobs), [false, false, true]);
    let now = pump.now;
    pump.nodes[1].pin(now, &channel, 1).unwrap();
    assert_eq!(run(&mut pump), 200_000);
    assert_eq!(all_here(&pump, &blobs), [true, false, false], "it takes the place of the other");
    assert_eq!(run(&mut pump), 0);
}

// spec: SYNC-55
#[test]
fn neighbours_hear_of_what_was_given_up_and_ask_others() {
    let (mut pump, channel) = nodes(3);
    let blobs = publish(&mut pump, &channel, &[3_000_000]);
    pump.connect(0, 1);
    run(&mut pump);
    pump.disconnect();
    let [_, at_two] = pump.connect(1, 2);
    // Node 2 has begun to fetch it when node 1 lets it go.
    let mut groups = 0;
    pump.exchange(|_, message| {
        groups += usize::from(matches!(message, SyncMessage::GroupData(_)));
        if groups == 10 { Carried::Stop } else { Carried::As(message) }
    });
    let now = pump.now;
    pump.nodes[1].set_budget(now, Some(0)).unwrap();
    let mut late = 0;
    pump.run(Duration::from_secs(30), |from, message| {
        late += usize::from(from == 1 && matches!(message, SyncMessage::GroupData(_)));
        Carried::As(message)
    });
    assert!(late <= 1, "{late} groups of what is not here");
    assert_eq!(pump.nodes[2].blob(&blobs[0]).unwrap().providers, 0);
    let sharers: Vec<_> = pump.nodes[2].company(&channel).collect();
    assert_eq!(sharers[0].link, at_two);
    assert_eq!(sharers[0].has, Some((2, 0)), "its summary counts it no longer");
    pump.connect(0, 2);
    run(&mut pump);
    assert!(is_here(&pump, 2, &blobs[0]) && !is_here(&pump, 1, &blobs[0]));
    assert!(pump.faults(2).is_empty() && pump.faults(1).is_empty());
}

#[test]
fn what_neighbours_saved_is_counted_to_the_byte_and_outlives_a_restart() {
    let (mut pump, channel) = nodes(3);
    publish(&mut pump, &channel, &[100_000, 20_000]);
    let now = pump.now;
    pump.nodes[0].publish(now, &channel, vec![text("hello")]).unwrap();
    pump.connect(0, 1);
    run(&mut pump);
    pump.connect(1, 2);
    run(&mut pump);
    // A header says who signs: 32 + 16 + 1 bytes of content.
    let bytes = 120_005 + 49;
    let sums = |node: &Sync<MemoryStore>| {
        let sums = node.channel(&channel).unwrap().exchange;
        assert_eq!(node.exchanged(), sums);
        (sums.neighbours, sums.origins, sums.given)
    };
    assert_eq!(sums(&pump.nodes[0]), (0, 0, bytes));
    assert_eq!(sums(&pump.nodes[1]), (bytes, 0, bytes));
    assert_eq!(sums(&pump.nodes[2]), (bytes, 0, 0));
    pump.disconnect();
    pump.nodes[1].flush(now).unwrap();
    let mut again = Sync::open(pump.nodes[1].store().clone(), Rng::from_seed([1; 32])).unwrap();
    assert_eq!(sums(&again), (bytes, 0, bytes));
    again.unfollow(now, &channel).unwrap();
    let again = Sync::open(again.into_store(), Rng::from_seed([1; 32])).unwrap();
    assert_eq!(again.exchanged().given, bytes, "also when the channel is forgotten");
}

#[test]
fn policies_and_budgets_are_there_after_a_restart() {
    let (mut pump, channel) = nodes(2);
    let policy = Policy { files: Files::Wanted, largest: Some(5), keep: Some(u64::MAX >> 3) };
    set(&mut pump, &channel, policy);
    let now = pump.now;
    pump.nodes[1].set_budget(now, Some(77)).unwrap();
    let again = Sync::open(pump.nodes[1].store().clone(), Rng::from_seed([1; 32])).unwrap();
    assert_eq!(again.channel(&channel).unwrap().policy, policy);
    assert_eq!((again.budget().total, again.budget().is_set), (Some(77), true));
    pump.nodes[1].set_budget(now, None).unwrap();
    assert_eq!((pump.nodes[1].budget().total, pump.nodes[1].budget().is_set), (None, false));
    pump.nodes[1].assume_budget(1000);
    assert_eq!((pump.nodes[1].budget().total, pump.nodes[1].budget().is_set), (Some(1000), false));
}

/// Counts what is read.
#[derive(Default)]
struct Counting {
    store: MemoryStore,
    reads: Cell<u64>,
}

impl Counting {
    fn read(&self) {
        self.reads.set(self.reads.get() + 1);
    }
}

impl Store for Counting {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.read();
        self.store.get(table, key)
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.store.put(table, key, value)
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.store.remove(table, key)
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        self.store.scan(table, from, &mut |key, value| {
            self.read();
            visit(key, value)
        })
    }

    fn read_blob(&self, blob: &Hash, offset: u64, into: &mut [u8]) -> Result<(), StoreError> {
        self.store.read_blob(blob, offset, into)
    }

    fn write_blob(&mut self, blob: &Hash, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.store.write_blob(blob, offset, bytes)
    }

    fn remove_blob(&mut self, blob: &Hash) -> Result<(), StoreError> {
        self.store.remove_blob(blob)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// The reads that it costs to hear of one more item, fetch its blob, and give up another one, in
/// a channel of which so many blobs are not to be fetched.
fn reads(count: u32, policy: Policy) -> u64 {
    let node = |seed| Sync::open(Counting::default(), Rng::from_seed([seed; 32])).unwrap();
    let mut pump = Pump::new(vec![node(1), node(2)]);
    let now = pump.now;
    let channel = pump.nodes[0].create_channel(now, &Label::new("files").unwrap()).unwrap();
    pump.nodes[1].follow(now, channel).unwrap();
    pump.nodes[1].set_policy(now, &channel, policy).unwrap();
    let ghost = |n: u32| {
        let mut hash = [7; 32];
        hash[..4].copy_from_slice(&n.to_be_bytes());
        file("ghost", BlobId { hash: Hash(hash), size: 60_000 })
    };
    pump.nodes[0].publish(now, &channel, (0..count).map(ghost).collect()).unwrap();
    let put = |pump: &mut Pump<Counting>, seed: u8| {
        let blob = adopt(&mut pump.nodes[0], now, &vec![seed; 40_000]).unwrap();
        pump.nodes[0].publish(now, &channel, vec![file("file", blob)]).unwrap();
        blob
    };
    let first = put(&mut pump, 1);
    pump.connect(0, 1);
    // Where ghosts take all places, it comes as somebody waits for it.
    if policy.keep.is_none() {
        pump.nodes[1].prefer(now, first);
    }
    pump.run(Duration::from_secs(15), |_, message| Carried::As(message));
    let before = pump.nodes[1].store().reads.get();
    let second = put(&mut pump, 2);
    if policy.keep.is_none() {
        pump.nodes[1].prefer(now, second);
    }
    pump.settle();
    let cost = pump.nodes[1].store().reads.get() - before;
    assert!(pump.nodes[1].blob(&second).unwrap().is_complete());
    let is_given_up = !pump.nodes[1].blob(&first).unwrap().is_complete();
    assert!(is_given_up || policy.keep.is_none());
    cost
}

// spec: SYNC-21
#[test]
fn a_change_in_a_channel_of_a_hundred_thousand_files_costs_as_much_as_in_a_small_one() {
    let resting = Policy { files: Files::Wanted, ..Policy::default() };
    for policy in [Policy::default(), resting, keep(70_000)] {
        let [few, many] = [1000, 100_000].map(|count| reads(count, policy));
        assert!(many <= few + few / 10 + 10 && many < 3000, "{policy:?}: {few} and {many}");
    }
}
