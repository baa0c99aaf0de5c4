//! Content that is retracted or expires goes everywhere and comes back nowhere; all else stays.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_sync::{BlobId, Event, ItemState, MemoryStore, NewItem, Refused, Store, Sync, Table};
use mesh_wire::message::SyncMessage;
use mesh_wire::message::sync::{ItemKind, PageHave};
use mesh_wire::{ChannelId, Input, Label, Machine, Rng, UnixTime, limits};

use crate::authority::{let_in, line, node, write};
use crate::pump::{Carried, Pump};
use crate::world::*;

/// What becomes of every text and file of a channel at a node, by who wrote it and what.
pub(crate) fn states<S: Store>(
    pump: &Pump<S>,
    node: usize,
    channel: &ChannelId,
) -> BTreeMap<(String, String), ItemState> {
    let sync = &pump.nodes[node];
    let items = sync.items(channel, 0..u64::MAX).unwrap().into_iter().filter(|item| item.is_valid);
    let content = |kind| matches!(kind, ItemKind::Text | ItemKind::File);
    let states = items.filter(|item| content(item.header.kind)).map(|item| {
        let (again, body) = sync.item(channel, item.number).unwrap().unwrap();
        assert_eq!(again, item);
        let shows = item.state == ItemState::Here && BlobId::of(&item.header).is_none();
        assert_eq!(body.is_some(), shows, "{item:?}");
        ((item.writer.to_string(), item.header.hash.to_string()), item.state)
    });
    states.collect()
}

/// The states of all items, in the order in which they came.
pub(crate) fn column<S: Store>(pump: &Pump<S>, node: usize, channel: &ChannelId) -> Vec<ItemState> {
    let items = pump.nodes[node].items(channel, 0..u64::MAX).unwrap().into_iter();
    let content = |kind| matches!(kind, ItemKind::Text | ItemKind::File);
    items.filter(|item| content(item.header.kind)).map(|item| item.state).collect()
}

/// Whether these bytes stand anywhere in what a node keeps.
pub(crate) fn keeps(store: &MemoryStore, words: &str) -> bool {
    let mut found = false;
    for table in Table::ALL {
        let mut look = |_: &[u8], value: &[u8]| {
            found |= value.windows(words.len()).any(|window| window == words.as_bytes());
            true
        };
        store.scan(table, &[], &mut look).unwrap();
    }
    found
}

pub(crate) fn reopen(pump: &mut Pump, node: usize) {
    let store = pump.nodes[node].store().clone();
    pump.nodes[node] = Sync::open(store, Rng::from_seed([node as u8 + 50; 32])).unwrap();
}

pub(crate) fn expiring(item: NewItem, at: UnixTime) -> NewItem {
    NewItem { expires: Some(at), ..item }
}

pub(crate) fn publish(pump: &mut Pump, node: usize, channel: &ChannelId, items: Vec<NewItem>) {
    let now = pump.now;
    pump.nodes[node].publish(now, channel, items).unwrap();
}

pub(crate) fn retract(
    pump: &mut Pump,
    node: usize,
    channel: &ChannelId,
    what: &[u64],
) -> Result<(), Refused> {
    let now = pump.now;
    pump.nodes[node].retract(now, channel, what).map(drop)
}

/// The number at a node of the text with these words.
pub(crate) fn number(pump: &Pump, node: usize, channel: &ChannelId, words: &str) -> u64 {
    let hash = blake3::hash(words.as_bytes());
    let items = pump.nodes[node].items(channel, 0..u64::MAX).unwrap();
    items.iter().find(|item| item.header.hash.0 == *hash.as_bytes()).unwrap().number
}

pub(crate) fn in_a(pump: &Pump, seconds: u64) -> UnixTime {
    UnixTime(pump.now.unix.0 + 1000 * seconds)
}

use ItemState::{Expired, Here, Known, Retracted};

// spec: SYNC-43, SYNC-46
#[test]
fn what_has_expired_goes_at_its_time_and_nothing_else_does() {
    let (mut pump, channel) = line(3);
    let at = in_a(&pump, 60);
    let now = pump.now;
    let bytes = content(&mut Rng::from_seed([1; 32]), 200_000);
    let blob = adopt(&mut pump.nodes[0], now, &bytes).unwrap();
    let items = vec![
        expiring(text("for a minute"), at),
        text("for good"),
        expiring(file("large", blob), at),
        expiring(text("for longer"), in_a(&pump, 6000)),
    ];
    publish(&mut pump, 0, &channel, items);
    pump.settle();
    for node in 0..3 {
        assert_eq!(column(&pump, node, &channel), [Here; 6], "node {node}");
        assert!(keeps(pump.nodes[node].store(), "for a minute"));
    }
    // The rest happens by itself, to the millisecond.
    pump.run(Duration::from_secs(70), |_, message| Carried::As(message));
    let gone = [Here, Here, Expired, Here, Expired, Here];
    for node in 0..3 {
        assert_eq!(column(&pump, node, &channel), gone, "node {node}");
        assert!(!keeps(pump.nodes[node].store(), "for a minute"));
        assert_eq!(pump.nodes[node].store().blob_bytes(&blob.hash), None);
        let status = pump.nodes[node].channel(&channel).unwrap();
        assert_eq!((status.contents, status.blobs_known, status.blobs_here), (6, 0, 0));
        assert_eq!(status.bytes, status.bytes_here);
        assert!(pump.events.contains(&(node, Event::ContentChanged { channel })));
    }
    // It stays so after a restart, whatever the clock shows, and whoever has it still.
    pump.now.unix = UnixTime(at.0 - 50_000);
    for node in 0..3 {
        reopen(&mut pump, node);
        assert_eq!(column(&pump, node, &channel), gone, "node {node}");
    }
    assert!(pump.faults(0).is_empty() && pump.faults(1).is_empty() && pump.faults(2).is_empty());
}

/// Machines that are only ticked at their alarms lose what expires to the millisecond, also when
/// it expired while they were off.
// spec: SYNC-43
#[test]
fn an_alarm_rings_for_what_expires() {
    let mut pump = Pump::new(vec![node(1)]);
    let now = pump.now;
    let channel = pump.nodes[0].create_channel(now, &Label::new("news").unwrap()).unwrap();
    assert_eq!(pump.nodes[0].wake_at(), None);
    let items = [5, 3, 2000].map(|at| expiring(text(&format!("{at}")), in_a(&pump, at)));
    publish(&mut pump, 0, &channel, items.to_vec());
    for (after, left) in [(3, 2), (5, 1)] {
        let wake = pump.nodes[0].wake_at().unwrap();
        assert_eq!(wake.reason, "content expires");
        assert_eq!(wake.at.since(now.time), Duration::from_secs(after));
        pump.now.time = wake.at;
        pump.now.unix = UnixTime(now.unix.0 + after * 1000);
        pump.handle(0, Input::Tick);
        let here = column(&pump, 0, &channel).into_iter().filter(|state| *state == Here);
        assert_eq!(here.count(), left);
        pump.now.time = pump.nodes[0].wake_at().unwrap().at;
        pump.handle(0, Input::Tick);
    }
    // Nobody sleeps so long that a clock which was set meanwhile stays unseen.
    let wake = pump.nodes[0].wake_at().unwrap();
    assert!(wake.at.since(pump.now.time) <= Duration::from_secs(600), "{wake:?}");
    pump.now.time = wake.at;
    pump.handle(0, Input::Tick);
    assert_eq!(column(&pump, 0, &channel), [Expired, Expired, Here]);
    reopen(&mut pump, 0);
    pump.now.unix = UnixTime(now.unix.0 + 3_000_000);
    assert!(pump.nodes[0].wake_at().unwrap().at <= pump.now.time, "it rings at the start");
    pump.handle(0, Input::Tick);
    assert_eq!(column(&pump, 0, &channel), [Expired; 3]);
    pump.run(SOON, |_, message| Carried::As(message));
    assert_eq!(pump.nodes[0].wake_at(), None);
}

/// Clocks differ: everybody goes by its own, and in the end all agree.
// spec: SYNC-43, SYNC-45
#[test]
fn k_05_each_goes_by_its_own_clock_and_none_is_set_back_far_enough() {
    let mut world = world(7, 4);
    let channel = create(&mut world, 0);
    let at = UnixTime(world.now(0).unix.0 + 600_000);
    for (node, skew) in [(1, 550_000), (2, -3_600_000), (3, 0)] {
        world.set_skew(node, skew);
        follow(&mut world, node, channel);
    }
    crate::world::publish(&mut world, &channel, vec![expiring(text("soon over"), at), text("b")]);
    for (one, other) in [(0, 1), (1, 2), (2, 3)] {
        world.connect(one, other, mesh_sim::Quality::DATAGRAM);
    }
    let state = |world: &mesh_sim::World<Node>, node: usize| {
        let items = world.node(node).items(&channel, 1..3).unwrap();
        items.iter().map(|item| item.state).collect::<Vec<_>>()
    };
    world.run_for(Duration::from_secs(40));
    for node in 0..4 {
        assert_eq!(state(&world, node), [Here, Here], "node {node}");
    }
    world.run_for(Duration::from_secs(20));
    assert_eq!(state(&world, 1), [Expired, Here], "its clock is nine minutes ahead");
    assert_eq!(state(&world, 2), [Here, Here]);
    // Its clock is put right: what is gone stays gone, though its neighbours have it.
    world.set_skew(1, 0);
    world.run_for(Duration::from_secs(60));
    assert_eq!(state(&world, 1), [Expired, Here]);
    // Somebody who comes now gets it only past the one who has not got it.
    let late = world.add(|_, rng| Sync::open(MemoryStore::default(), rng).unwrap());
    follow(&mut world, late, channel);
    world.connect(1, late, mesh_sim::Quality::DATAGRAM);
    world.run_for(Duration::from_secs(60));
    assert_eq!(state(&world, late), [Known, Here]);
    world.connect(3, late, mesh_sim::Quality::DATAGRAM);
    world.run_for(Duration::from_secs(60));
    assert_eq!(state(&world, late), [Here, Here]);
    world.run_for(Duration::from_secs(1000));
    for node in [0, 1, 3, late] {
        assert_eq!(state(&world, node), [Expired, Here], "node {node}");
    }
    assert_eq!(state(&world, 2), [Here, Here], "its clock is an hour behind");
    world.run_for(Duration::from_secs(3600));
    assert_eq!(state(&world, 2), [Expired, Here]);
    assert_eq!(faults(&world), []);
}

/// Between the question and the answer a time is over: nobody has ticked the node, and all the same
/// the answer comes without the content.
// spec: SYNC-46
#[test]
fn whoever_gives_looks_at_the_clock_first() {
    let (mut pump, channel) = line(1);
    let at = in_a(&pump, 60);
    publish(&mut pump, 0, &channel, vec![expiring(text("a minute"), at)]);
    publish(&mut pump, 0, &channel, texts(30));
    let now = pump.now;
    pump.nodes.push(node(7));
    pump.nodes[1].follow(now, channel).unwrap();
    let [here, there] = pump.connect(0, 1);
    let (mut is_asked, mut given) = (false, Vec::new());
    for _ in 0..100 {
        if let Some(message) = pump.poll(1, there) {
            is_asked |= matches!(message, SyncMessage::Want(_));
            pump.handle(0, Input::Receive(here, message));
        }
        if is_asked {
            pump.now.unix = at;
        }
        if let Some(message) = pump.poll(0, here) {
            if let SyncMessage::Items(run) = &message {
                given.extend(run.items.iter().map(|item| item.body.bytes().clone()));
            }
            pump.handle(1, Input::Receive(there, message));
        }
    }
    assert!(given.iter().any(|body| body.as_ref() == b"item 29"));
    assert!(given.iter().all(|body| body.as_ref() != b"a minute"));
    for node in 0..2 {
        assert_eq!(column(&pump, node, &channel)[2], Expired, "node {node}");
    }
}

/// A clock shows nonsense at a start: what that makes expire stays for ten minutes, and for good if
/// the clock is put right meanwhile.
// spec: SYNC-46
#[test]
fn k_05_a_clock_far_ahead_at_a_start_has_ten_minutes() {
    for is_put_right in [true, false] {
        let (mut pump, channel) = line(1);
        let (right, at) = (pump.now.unix, in_a(&pump, 7 * 24 * 3600));
        publish(&mut pump, 0, &channel, vec![expiring(text("a week"), at)]);
        reopen(&mut pump, 0);
        pump.now.unix = UnixTime(right.0 + (50 * 365 * 24 * 3600 * 1000));
        pump.run(Duration::from_secs(590), |_, message| Carried::As(message));
        assert_eq!(column(&pump, 0, &channel), [Here; 3]);
        if is_put_right {
            pump.now.unix = right;
        }
        pump.run(Duration::from_secs(700), |_, message| Carried::As(message));
        let last = if is_put_right { Here } else { Expired };
        assert_eq!(column(&pump, 0, &channel), [Here, Here, last]);
    }
    // Whoever was off for a month loses at once what has expired since.
    let (mut pump, channel) = line(1);
    let at = in_a(&pump, 60);
    publish(&mut pump, 0, &channel, vec![expiring(text("a minute"), at)]);
    reopen(&mut pump, 0);
    pump.now.unix = in_a(&pump, 30 * 24 * 3600);
    pump.handle(0, Input::Tick);
    assert_eq!(column(&pump, 0, &channel), [Here, Here, Expired]);
}

// spec: SYNC-44, SYNC-46
#[test]
fn writers_retract_what_they_wrote_and_the_owner_what_anybody_did() {
    let (mut pump, channel) = line(4);
    let_in(&mut pump, 1, &channel);
    let_in(&mut pump, 2, &channel);
    pump.settle();
    for (node, words) in [(1, "by one"), (2, "by two"), (2, "by two again"), (0, "the owner's")] {
        write(&mut pump, node, &channel, words).unwrap();
        pump.settle();
    }
    let at = |pump: &Pump, node, words: &str| number(pump, node, &channel, words);
    let (own, other, owners) =
        (at(&pump, 1, "by one"), at(&pump, 1, "by two"), at(&pump, 1, "the owner's"));
    assert_eq!(retract(&mut pump, 1, &channel, &[other]), Err(Refused::NotYourItem));
    assert_eq!(retract(&mut pump, 1, &channel, &[own, owners]), Err(Refused::NotYourItem));
    assert_eq!(retract(&mut pump, 3, &channel, &[own]), Err(Refused::NotYourItem));
    for nothing in [0, 3, 1000] {
        assert_eq!(retract(&mut pump, 0, &channel, &[nothing]), Err(Refused::NoSuchItem));
    }
    retract(&mut pump, 1, &channel, &[own]).unwrap();
    let items = pump.nodes[1].channel(&channel).unwrap().items;
    retract(&mut pump, 1, &channel, &[own, own]).unwrap();
    assert_eq!(pump.nodes[1].channel(&channel).unwrap().items, items, "said once");
    let theirs = at(&pump, 0, "by two again");
    let first = at(&pump, 0, "item 0");
    retract(&mut pump, 0, &channel, &[theirs, first]).unwrap();
    pump.settle();
    for node in 0..4 {
        let texts = ["item 0", "item 1", "by one", "by two", "by two again", "the owner's"];
        let state = |words: &str| {
            let number = at(&pump, node, words);
            pump.nodes[node].items(&channel, number..number + 1).unwrap()[0].state
        };
        let states = texts.map(state);
        assert_eq!(states, [Retracted, Here, Retracted, Here, Retracted, Here], "node {node}");
        assert_eq!(pump.nodes[node].content(&channel, at(&pump, node, "by one")), Ok(None));
        assert!(!keeps(pump.nodes[node].store(), "by two again"), "node {node}");
        assert_eq!(pump.faults(node), Vec::<String>::new());
    }
}

/// A command that names many makes as many items as it takes.
// spec: SYNC-44
#[test]
fn any_number_is_retracted_at_once() {
    let (mut pump, channel) = line(2);
    publish(&mut pump, 0, &channel, texts(limits::RETRACTED_ITEMS + 1));
    pump.settle();
    let before = pump.nodes[0].channel(&channel).unwrap();
    let all: Vec<u64> = (1..before.items).collect();
    retract(&mut pump, 0, &channel, &all[..limits::RETRACTED_ITEMS]).unwrap();
    assert_eq!(pump.nodes[0].channel(&channel).unwrap().items, before.items + 1);
    retract(&mut pump, 0, &channel, &all).unwrap();
    assert_eq!(pump.nodes[0].channel(&channel).unwrap().items, before.items + 2);
    pump.settle();
    assert!(column(&pump, 1, &channel).iter().all(|state| *state == Retracted));
    let status = pump.nodes[1].channel(&channel).unwrap();
    assert_eq!(status.contents, before.contents, "they keep their places");
    assert_eq!((pump.faults(0).len(), pump.faults(1).len()), (0, 0));
}

/// A blob goes with the last item that names it; until then it stays, and nobody is given it who
/// asks for one that has gone.
// spec: SYNC-16, SYNC-46
#[test]
fn a_blob_goes_with_the_last_item_that_names_it() {
    let (mut pump, channel) = line(2);
    let now = pump.now;
    let bytes = content(&mut Rng::from_seed([1; 32]), 300_000);
    let blob = adopt(&mut pump.nodes[0], now, &bytes).unwrap();
    let other = pump.nodes[0].create_channel(now, &Label::new("other").unwrap()).unwrap();
    let files = |name| vec![file(name, blob)];
    for (channel, name) in [(channel, "one"), (channel, "two"), (other, "three")] {
        pump.nodes[0].publish(now, &channel, files(name)).unwrap();
    }
    pump.settle();
    assert!(pump.nodes[1].blob(&blob).unwrap().is_complete());
    let bytes_here =
        |pump: &Pump, node: usize| pump.nodes[node].store().blob_bytes(&blob.hash).map(<[u8]>::len);
    retract(&mut pump, 0, &channel, &[3]).unwrap();
    pump.settle();
    assert_eq!(column(&pump, 1, &channel), [Here, Here, Retracted, Here]);
    assert_eq!([0, 1].map(|node| bytes_here(&pump, node)), [Some(300_000); 2]);
    // The neighbour does not hear of the end of the second, and asks for the blob.
    pump.disconnect();
    pump.nodes[1] = node(9);
    pump.nodes[1].follow(now, channel).unwrap();
    pump.connect(0, 1);
    let mut asked = 0;
    let mut given = 0;
    pump.exchange(|from, message| match &message {
        SyncMessage::PageAsk(_) => {
            asked += 1;
            Carried::As(message)
        }
        SyncMessage::PageHave(PageHave { groups, .. }) if from == 0 && given == 0 => {
            assert!(!groups.bytes().is_empty());
            given += 1;
            Carried::Stop
        }
        _ => Carried::As(message),
    });
    assert!(asked > 0 && given == 1);
    retract(&mut pump, 0, &channel, &[4]).unwrap();
    assert_eq!(bytes_here(&pump, 0), Some(300_000), "the other channel names it");
    pump.run(SOON, |from, message| match &message {
        SyncMessage::Items(_) => Carried::Lost,
        SyncMessage::GroupData(_) | SyncMessage::Cvs(_) => panic!("{from} gives what is gone"),
        _ => Carried::As(message),
    });
    assert_eq!(pump.nodes[1].blob(&blob).unwrap().groups_here, 0);
    let three = pump.nodes[0].channel(&other).unwrap().items - 1;
    retract(&mut pump, 0, &other, &[three]).unwrap();
    assert_eq!(bytes_here(&pump, 0), None);
}

// spec: SYNC-43, SYNC-44, SYNC-45
#[test]
fn what_is_sealed_goes_as_well_also_where_nobody_reads_it() {
    let mut pump = Pump::new((0..3).map(node).collect());
    let now = pump.now;
    let name = Label::new("family").unwrap();
    let channel = pump.nodes[0].create_private_channel(now, &name).unwrap();
    for follower in 1..3 {
        pump.nodes[follower].follow(now, channel).unwrap();
        pump.connect(follower - 1, follower);
    }
    pump.settle();
    let_in(&mut pump, 2, &channel);
    pump.settle();
    let soon = in_a(&pump, 10);
    let items = vec![text("one"), text("two"), expiring(text("three"), soon)];
    publish(&mut pump, 0, &channel, items);
    pump.settle();
    let sealed = ItemState::Sealed;
    assert_eq!(column(&pump, 1, &channel), [sealed; 3]);
    assert_eq!(column(&pump, 2, &channel), [Here; 3]);
    let items = pump.nodes[0].items(&channel, 0..100).unwrap();
    let first = items.iter().find(|item| item.header.kind == ItemKind::Text).unwrap().number;
    retract(&mut pump, 0, &channel, &[first]).unwrap();
    pump.run(SOON, |_, message| Carried::As(message));
    assert_eq!(column(&pump, 1, &channel), [Retracted, sealed, Expired]);
    assert_eq!(column(&pump, 2, &channel), [Retracted, Here, Expired]);
    assert!((0..3).all(|node| pump.faults(node).is_empty()));
}
