//! Several people talk: everybody reads it in the same order, and nothing before what its writer
//! had read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_sim::{Quality, World};
use mesh_sync::{ChannelName, MemoryStore, Sync};
use mesh_wire::codec::{Extensions, List, Wire};
use mesh_wire::message::sync::{Enclosure, ItemKind, Parents, Place, Right};
use mesh_wire::{ChannelId, Hash, Label, Rng, UnixTime, limits};

use crate::pump::Pump;
use crate::world::*;

/// What a node shows, in order.
fn words(sync: &Node, channel: &ChannelId, shown: u64) -> Vec<String> {
    let placed = sync.chat(channel, shown).unwrap().into_iter();
    let word = |placed: mesh_sync::Placed| {
        let item = placed.item;
        let body = sync.content(channel, item.number).unwrap().unwrap();
        let mut word = String::from_utf8(body.to_vec()).unwrap();
        word.push_str(if placed.is_late { " (late)" } else { "" });
        word.push_str(if item.has_gap { " (gap)" } else { "" });
        word
    };
    placed.map(word).collect()
}

/// A channel of node 0 in which everybody writes.
fn chat(world: &mut World<Node>) -> ChannelId {
    let channel = create(world, 0);
    let links: Vec<_> = (1..world.nodes().end)
        .map(|node| {
            follow(world, node, channel);
            world.connect(0, node, Quality::STREAM).0
        })
        .collect();
    assert!(world.run_until(SOON, |world| (1..4).all(|node| size(world, node, &channel) == 1)));
    for node in 1..world.nodes().end {
        let name: ChannelName = Label::new(&format!("writer {node}")).unwrap();
        let link = world.with(node, |sync, now| {
            sync.request_right(now, &channel, (name, Right::Write)).unwrap()
        });
        world.with(0, |sync, now| sync.grant(now, &link, None)).unwrap();
    }
    level(world, &channel);
    links.into_iter().for_each(|link| world.disconnect(link));
    channel
}

/// Links come and go at random, clocks are up to a minute apart, everybody writes now and then. At
/// the end all meet: they show the same, and every text after all that its writer had read.
// spec: SYNC-49, SYNC-50
#[test]
fn all_who_have_the_same_items_read_them_in_one_order_and_none_before_what_it_answers() {
    for seed in 0..12 {
        let mut rng = Rng::from_seed([seed as u8; 32]);
        let mut world = world(seed, 4);
        let channel = chat(&mut world);
        let mut read: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut links = Vec::new();
        for node in world.nodes() {
            world.set_skew(node, rng.below(120_000) as i64 - 60_000);
        }
        for turn in 0..60 {
            let node = rng.below(4) as usize;
            match rng.below(3) {
                0 => mingle(&mut world, (&mut links, &[Quality::STREAM]), &mut rng),
                _ => {
                    for part in 0..=rng.below(2) {
                        let word = format!("{node} says {turn}.{part}");
                        let before = words(world.node(node), &channel, 0).into_iter().collect();
                        let said = vec![text(&word)];
                        world.with(node, |sync, now| sync.publish(now, &channel, said)).unwrap();
                        read.insert(word, before);
                    }
                }
            }
            world.run_for(Duration::from_millis(rng.below(30_000)));
        }
        for link in links {
            world.disconnect(link);
        }
        for (one, other) in [(0, 1), (0, 2), (0, 3), (1, 2)] {
            world.connect(one, other, Quality::STREAM);
        }
        let all = |world: &World<Node>, node| {
            world.node(node).channel(&channel).unwrap().contents == read.len() as u64
        };
        let met = world.run_until(SOON, |world| world.nodes().all(|node| all(world, node)));
        assert!(met, "seed {seed}");
        let shown = words(world.node(0), &channel, 0);
        for node in world.nodes() {
            assert_eq!(words(world.node(node), &channel, 0), shown, "seed {seed}, node {node}");
        }
        for (at, word) in shown.iter().enumerate() {
            let before: BTreeSet<String> = shown[..at].iter().cloned().collect();
            let missing: Vec<_> = read[word].difference(&before).collect();
            assert!(missing.is_empty(), "seed {seed}: {word:?} stands before {missing:?}");
        }
        assert!(faults(&world).is_empty());
    }
}

/// Node 0 and a channel in which nodes 1 and 2 write, too, side by side in a line 1 – 0 – 2.
fn three() -> (Pump, ChannelId) {
    let node = |seed| Sync::open(MemoryStore::default(), Rng::from_seed([seed; 32])).unwrap();
    let mut pump = Pump::new((0..3).map(node).collect());
    let now = pump.now;
    let channel = pump.nodes[0].create_channel(now, &Label::new("chat").unwrap()).unwrap();
    for node in [1, 2] {
        pump.nodes[node].follow(now, channel).unwrap();
        pump.connect(0, node);
        pump.settle();
        let name: ChannelName = Label::new(&format!("writer {node}")).unwrap();
        let link = pump.nodes[node].request_right(now, &channel, (name, Right::Write)).unwrap();
        pump.nodes[0].grant(now, &link, None).unwrap();
        pump.settle();
    }
    (pump, channel)
}

fn say(pump: &mut Pump, node: usize, channel: &ChannelId, word: &str) {
    let now = pump.now;
    pump.nodes[node].publish(now, channel, vec![text(word)]).unwrap();
    pump.now.unix.0 += 1000;
}

fn named(pump: &Pump, channel: &ChannelId, word: &str) -> Vec<Place> {
    let items = pump.nodes[0].items(channel, 0..u64::MAX).unwrap();
    let is_it = |number: u64| pump.nodes[0].content(channel, number).unwrap().unwrap() == word;
    let item = items.into_iter().find(|item| is_it(item.number)).unwrap();
    let parents = item.header.extensions.get(3).map(|bytes| Parents::from_bytes(bytes).unwrap());
    parents.iter().flat_map(|parents| parents.items.iter()).collect()
}

// spec: SYNC-49
#[test]
fn an_item_names_what_is_new_to_its_log_and_nothing_that_follows_from_it() {
    let (mut pump, channel) = three();
    say(&mut pump, 1, &channel, "one");
    pump.settle();
    say(&mut pump, 2, &channel, "two");
    pump.settle();
    say(&mut pump, 0, &channel, "three");
    say(&mut pump, 0, &channel, "four");
    let place = |log, seq| Place { log, seq };
    // The grants stand in log 0, of which it is the third and the last.
    assert_eq!(named(&pump, &channel, "one"), [place(0, 2)]);
    assert_eq!(named(&pump, &channel, "two"), [place(1, 0)]);
    assert_eq!(named(&pump, &channel, "three"), [place(2, 0)]);
    assert_eq!(named(&pump, &channel, "four"), []);
    // Two at a time that know nothing of each other, and who has read both.
    pump.settle();
    say(&mut pump, 2, &channel, "five");
    say(&mut pump, 1, &channel, "six");
    pump.settle();
    say(&mut pump, 0, &channel, "seven");
    assert_eq!(named(&pump, &channel, "five"), [place(0, 4)]);
    assert_eq!(named(&pump, &channel, "six"), [place(0, 4)]);
    assert_eq!(named(&pump, &channel, "seven"), [place(1, 1), place(2, 1)]);
}

// spec: SYNC-50
#[test]
fn what_comes_late_stands_where_it_belongs_and_says_so() {
    let (mut pump, channel) = three();
    pump.disconnect();
    say(&mut pump, 1, &channel, "early");
    say(&mut pump, 0, &channel, "late to nobody");
    let shown = pump.nodes[0].channel(&channel).unwrap().items;
    assert_eq!(words(&pump.nodes[0], &channel, 0), ["late to nobody"]);
    pump.connect(0, 1);
    pump.settle();
    say(&mut pump, 1, &channel, "an answer");
    pump.settle();
    assert_eq!(words(&pump.nodes[0], &channel, shown), ["early (late)", "an answer"]);
    let all = ["early", "late to nobody", "an answer"];
    assert_eq!(words(&pump.nodes[0], &channel, 0), all);
    assert_eq!(words(&pump.nodes[1], &channel, 0), all);
    // The numbers by which apps read on stay as they were.
    let items = pump.nodes[0].items(&channel, shown - 1..u64::MAX).unwrap();
    let numbers: Vec<u64> = items.iter().map(|item| item.number).collect();
    assert_eq!(numbers, [shown - 1, shown, shown + 1]);
    assert_eq!(pump.nodes[0].content(&channel, shown - 1).unwrap().unwrap(), "late to nobody");
}

/// Who has read what is lost here answers something that nobody here can see.
// spec: SYNC-49, SYNC-50
#[test]
fn g_03_an_answer_to_what_is_not_here_is_shown_and_says_so() {
    let (mut pump, channel) = three();
    pump.disconnect();
    // Node 2 hears from node 1, and node 0 from node 2 only what that wrote itself.
    pump.connect(1, 2);
    say(&mut pump, 1, &channel, "lost");
    pump.settle();
    say(&mut pump, 2, &channel, "I agree");
    let now = pump.now;
    let lost = pump.nodes[0].writers(&channel).unwrap()[1].log;
    pump.disconnect();
    pump.nodes[0].revoke(now, &channel, lost).unwrap();
    pump.connect(0, 2);
    pump.settle();
    for node in [0, 2] {
        assert_eq!(words(&pump.nodes[node], &channel, 0), ["I agree (gap)"], "node {node}");
    }
}

/// A clock that is years ahead puts an item two minutes behind its arrival, not last for ever.
// spec: SYNC-50
#[test]
fn g_03_a_clock_that_is_ahead_does_not_hold_the_last_word() {
    let (mut pump, channel) = three();
    let UnixTime(before) = pump.now.unix;
    pump.now.unix = UnixTime(before + (1 << 40));
    let now = pump.now;
    pump.nodes[1].publish(now, &channel, vec![text("the last word")]).unwrap();
    pump.now.unix = UnixTime(before);
    pump.settle();
    let ahead = limits::AHEAD_TIME.as_millis() as u64;
    pump.now.unix = UnixTime(before + ahead + 1);
    pump.nodes[2].publish(pump.now, &channel, vec![text("not quite")]).unwrap();
    pump.settle();
    assert_eq!(words(&pump.nodes[0], &channel, 0), ["the last word", "not quite"]);
}

// spec: SYNC-50
#[test]
fn only_the_newest_items_are_put_in_order() {
    let (mut pump, channel) = three();
    let now = pump.now;
    let count = limits::CHAT_ITEMS + 10;
    for _ in 0..count.div_ceil(limits::RUN_ITEMS) {
        pump.nodes[0].publish(now, &channel, texts(limits::RUN_ITEMS)).unwrap();
    }
    let placed = pump.nodes[0].chat(&channel, 0).unwrap();
    assert_eq!(placed.len(), limits::CHAT_ITEMS);
    assert!(placed.iter().all(|placed| placed.item.header.kind == ItemKind::Text));
}

// spec: SYNC-47, SYNC-49
#[test]
fn as_many_as_an_item_may_name_fit_into_a_header_beside_an_enclosure() {
    let last = Place { log: limits::LOGS as u32 - 1, seq: limits::LOG_ITEMS - 1 };
    let all: Vec<Place> = std::iter::repeat_n(last, limits::PARENTS).collect();
    let parents = Parents { items: List::new(&all) }.to_bytes();
    let enclosure = Enclosure { hash: Hash([1; 32]), size: limits::BLOB_BYTES }.to_bytes();
    let both = Extensions::one(5, &enclosure).unwrap().with(3, &parents).unwrap();
    assert_eq!(both.get(3), Some(parents));
}
