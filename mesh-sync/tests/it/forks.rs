//! Two histories of one channel, both signed by its key.

use mesh_sync::{Event, MemoryStore, Refused, Sync};
use mesh_wire::codec::List;
use mesh_wire::message::SyncMessage;
use mesh_wire::message::sync::{Branch, Fork, Item, Items};
use mesh_wire::{ChannelId, Input, Label, LinkId, Rng, Wire, limits};

use crate::pump::{Carried, Pump};
use crate::world::*;

fn node(seed: u8) -> Sync<MemoryStore> {
    Sync::open(MemoryStore::default(), Rng::from_seed([seed; 32])).unwrap()
}

/// An origin with `common` texts, the same from a copy of its disk, and `followers` who have
/// nothing yet. The two then write `one` and `other` texts, which are not the same.
fn origins(common: usize, [one, other]: [usize; 2], followers: usize) -> (Pump, ChannelId) {
    let mut pump = Pump::new(vec![node(1)]);
    let now = pump.now;
    let channel = pump.nodes[0].create_channel(now, &Label::new("news").unwrap()).unwrap();
    pump.nodes[0].publish(now, &channel, texts(common)).unwrap();
    let copy = pump.nodes[0].store().clone();
    pump.nodes.push(Sync::open(copy, Rng::from_seed([2; 32])).unwrap());
    pump.nodes.extend((0..followers).map(|seed| node(3 + seed as u8)));
    pump.nodes[2..].iter_mut().for_each(|node| node.follow(now, channel).unwrap());
    let different = (0..other).map(|number| text(&format!("otherwise {number}"))).collect();
    pump.nodes[0].publish(now, &channel, texts(one)).unwrap();
    pump.nodes[1].publish(now, &channel, different).unwrap();
    (pump, channel)
}

/// The follower, node 2, has what the first wrote after two texts in common, and meets the other;
/// its link to that.
fn parted(lengths: [usize; 2]) -> (Pump, ChannelId, LinkId) {
    let (mut pump, channel) = origins(2, lengths, 1);
    pump.connect(0, 2);
    pump.settle();
    let [_, link] = pump.connect(1, 2);
    (pump, channel, link)
}

fn forked(pump: &Pump, channel: &ChannelId) -> Vec<bool> {
    pump.nodes.iter().map(|node| node.channel(channel).unwrap().forked).collect()
}

fn items(pump: &Pump, channel: &ChannelId) -> Vec<u64> {
    pump.nodes.iter().map(|node| node.channel(channel).unwrap().items).collect()
}

// spec: SYNC-34, SYNC-35
#[test]
fn c_04_two_histories_become_a_proof_that_spreads_and_freezes_the_channel() {
    for (common, lengths) in [(0, [1, 1]), (0, [5, 1]), (3, [1, 4]), (100, [70, 300]), (7, [9, 9])]
    {
        let (mut pump, channel) = origins(common, lengths, 3);
        pump.connect(0, 2);
        pump.connect(2, 3);
        pump.settle();
        assert_eq!(forked(&pump, &channel), [false; 5]);
        let before = items(&pump, &channel);
        // Two who have heard different things meet, and all who know one of them learn of it.
        pump.connect(1, 3);
        pump.settle();
        let here = [true, true, true, true, false];
        assert_eq!(forked(&pump, &channel), here, "{common} and {lengths:?}");
        assert_eq!(items(&pump, &channel), before, "what is here stays");
        let told = |node| pump.events.contains(&(node, Event::Forked { channel }));
        assert!((0..4).all(told));
        // Nobody signs, gives or takes more.
        let now = pump.now;
        let again = pump.nodes[0].publish(now, &channel, texts(1));
        assert_eq!(again, Err(Refused::Forked));
        assert!(Refused::Forked.to_string().contains("restored from a backup"));
        // Somebody who has nothing yet gets the proof alone.
        pump.connect(3, 4);
        pump.settle();
        assert_eq!((forked(&pump, &channel)[4], items(&pump, &channel)[4]), (true, 0));
        assert!((0..5).all(|node| pump.faults(node).is_empty()));
    }
}

/// Both are linked to one who is level with them when they begin to differ.
// spec: SYNC-13, SYNC-34
#[test]
fn c_04_histories_that_part_before_ones_eyes_are_a_fork_and_no_forgery() {
    for (one, other) in [(1, 1), (2, 1), (1, 2), (40, 1), (1, 40)] {
        let (mut pump, channel) = origins(3, [0, 0], 2);
        pump.connect(0, 2);
        pump.connect(1, 2);
        pump.connect(2, 3);
        pump.settle();
        assert_eq!(items(&pump, &channel), [4; 4]);
        let now = pump.now;
        pump.nodes[0].publish(now, &channel, texts(one)).unwrap();
        let different = (0..other).map(|number| text(&format!("otherwise {number}"))).collect();
        pump.nodes[1].publish(now, &channel, different).unwrap();
        pump.settle();
        assert_eq!(forked(&pump, &channel), [true; 4], "{one} and {other}");
        assert!((0..4).all(|node| pump.faults(node).is_empty()), "{one} and {other}");
    }
}

// spec: SYNC-35
#[test]
fn a_frozen_channel_stays_so_until_it_is_followed_anew() {
    let (mut pump, channel, _) = parted([3, 1]);
    pump.settle();
    // Somebody who has nothing but the proof keeps it as well.
    pump.nodes.push(node(9));
    let now = pump.now;
    pump.nodes[3].follow(now, channel).unwrap();
    pump.connect(2, 3);
    pump.settle();
    let store = pump.nodes.pop().unwrap().into_store();
    let empty = Sync::open(store, Rng::from_seed([9; 32])).unwrap();
    let here = empty.channel(&channel).unwrap();
    assert_eq!((here.forked, here.items), (true, 0));
    let store = pump.nodes.pop().unwrap().into_store();
    let again = Sync::open(store, Rng::from_seed([9; 32])).unwrap();
    let here = again.channel(&channel).unwrap();
    assert_eq!((here.forked, here.items), (true, 6));
    // The others are gone: who follows it anew from the first history alone knows of no other.
    let mut pump = Pump::new(vec![again, node(7)]);
    pump.nodes[0].unfollow(now, &channel).unwrap();
    pump.nodes[0].follow(now, channel).unwrap();
    assert!(!pump.nodes[0].channel(&channel).unwrap().forked);
}

// spec: SYNC-11, SYNC-14
#[test]
fn an_offer_from_another_history_is_nobodys_fault() {
    let (mut pump, channel) = origins(0, [1, 3], 1);
    pump.connect(0, 2);
    pump.settle();
    let [here, there] = pump.connect(1, 2);
    pump.nodes[1].met(here, channel);
    pump.nodes[2].met(there, channel);
    pump.settle();
    assert_eq!(items(&pump, &channel)[2], 2);
    assert_eq!((pump.faults(1), pump.faults(2)), (vec![], vec![]));
}

/// What does not continue what is here may be another history, but not time and again.
// spec: SYNC-13
#[test]
fn forgeries_are_taken_for_another_history_so_often_and_no_more() {
    let (mut pump, channel, (link, run)) = level();
    let mut texts: Vec<Item> = run.items.iter().skip(1).collect();
    texts.reverse();
    let here = 1 + texts.len() as u64;
    for count in 0..=limits::UNANSWERED {
        assert_eq!(pump.faults(2), Vec::<String>::new(), "after {count}");
        // They end where what is here ends, or beyond it.
        let first = 1 + u64::from(count % 2);
        let (size, items) = (here + 1, List::new(&texts));
        let forged = Items { first, items, size, edge: List::default(), ..run.clone() };
        pump.handle(2, Input::Receive(link, forged.into()));
    }
    let forged = Items { first: 2, items: List::new(&texts), size: here + 1, ..run };
    pump.handle(2, Input::Receive(link, forged.into()));
    assert_eq!(pump.faults(2).len(), 1);
    assert_eq!((forked(&pump, &channel)[2], items(&pump, &channel)[2]), (false, here));
}

/// A fork that is lost on the way is said again, and one that was heard is not.
// spec: SYNC-10, SYNC-34
#[test]
fn a_fork_is_said_until_it_is_heard_and_no_longer() {
    let (mut pump, channel, _) = parted([1, 1]);
    let (mut said, mut size) = (0, 0);
    pump.run(4 * SOON, |_, message| match message {
        SyncMessage::Fork(fork) => {
            said += 1;
            size = size.max(fork.size());
            if said <= 2 { Carried::Lost } else { Carried::As(fork.into()) }
        }
        message => Carried::As(message),
    });
    assert_eq!(forked(&pump, &channel), [true; 3]);
    assert!((3..=8).contains(&said), "{said}");
    assert!(size < 600, "a fork of a short channel takes {size} bytes");
    let again = said;
    pump.run(SOON, |_, message| {
        said += usize::from(matches!(message, SyncMessage::Fork(_)));
        Carried::As(message)
    });
    assert_eq!(said, again);
}

/// The fork that the two origins make, as it travels.
fn genuine(lengths: [usize; 2]) -> Fork {
    let (mut pump, ..) = parted(lengths);
    let mut seen = None;
    pump.run(SOON, |_, message| {
        if let SyncMessage::Fork(fork) = &message
            && fork.branches.len() == 2
        {
            seen = Some(fork.clone());
        }
        Carried::As(message)
    });
    seen.expect("a fork is told")
}

/// An origin and a follower that are level; the follower's link, and the run of all items that came
/// over it.
fn level() -> (Pump, ChannelId, (LinkId, Items)) {
    let (mut pump, channel) = origins(2, [3, 1], 1);
    let [_, link] = pump.connect(0, 2);
    let mut run = None;
    pump.run(SOON, |from, message| {
        if let (0, SyncMessage::Items(items)) = (from, &message) {
            run = Some(items.clone());
        }
        Carried::As(message)
    });
    (pump, channel, (link, run.expect("items come")))
}

// spec: SYNC-34
#[test]
fn c_04_a_fork_that_is_none_freezes_nothing() {
    let fork = genuine([3, 1]);
    let other = genuine([1, 3]);
    let branches: Vec<Branch> = fork.branches.iter().collect();
    let with = |branches: &[Branch]| Fork { branches: List::new(branches), ..fork.clone() };
    let changed = |change: &dyn Fn(&mut Branch)| {
        let mut one = branches[0].clone();
        change(&mut one);
        with(&[one, branches[1].clone()])
    };
    let forged = [
        with(&[branches[0].clone(), branches[0].clone()]),
        changed(&|branch| branch.signature[3] ^= 1),
        changed(&|branch| branch.size += 1),
        changed(&|branch| branch.edge = List::new(&[mesh_wire::Hash([1; 32])])),
        changed(&|branch| branch.peaks = List::default()),
        // The same root, said with other peaks.
        changed(&|branch| {
            let mut peaks: Vec<_> = branch.peaks.iter().collect();
            peaks.pop();
            branch.peaks = List::new(&peaks);
        }),
        Fork { end: fork.end - 1, ..fork.clone() },
        Fork { end: 0, ..fork.clone() },
        Fork { end: limits::LOG_ITEMS + 1, ..fork.clone() },
        with(&[]),
    ];
    for (number, forged) in forged.into_iter().enumerate() {
        let (mut pump, channel, (link, run)) = level();
        pump.handle(2, Input::Receive(link, Fork { channel: run.channel, ..forged }.into()));
        assert_eq!(forked(&pump, &channel), [false; 3], "number {number}");
        assert_eq!(pump.faults(2).len(), 1, "number {number}");
    }
    // One of another channel, or a history that is one's own.
    let (mut pump, channel, (link, run)) = level();
    let own = branches.iter().find(|branch| branch.size == 6).unwrap();
    let own = Fork { channel: run.channel, ..with(std::slice::from_ref(own)) };
    pump.handle(2, Input::Receive(link, own.into()));
    pump.handle(2, Input::Receive(link, Fork { channel: u32::MAX, ..other }.into()));
    let other_log = Fork { channel: run.channel, log: 1, ..fork.clone() };
    pump.handle(2, Input::Receive(link, other_log.into()));
    assert_eq!((forked(&pump, &channel), pump.faults(2)), (vec![false; 3], vec![]));
    pump.handle(2, Input::Receive(link, Fork { channel: run.channel, ..fork }.into()));
    assert!(forked(&pump, &channel)[2]);
}
