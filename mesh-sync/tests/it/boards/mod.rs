//! Boards: everybody writes, and all have the same in the end.

mod figures;
mod hostile;
mod life;

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_sim::{Quality, World, seeds};
use mesh_sync::{Event, MemoryStore, Refused, Role, Sync};
use mesh_wire::message::SyncMessage;
use mesh_wire::message::sync::{ItemKind, Right};
use mesh_wire::{ChannelId, Label, Rng, limits};

use crate::pump::{Carried, Pump};
use crate::world::*;

/// A mediocre radio, over which long messages go in pieces.
const RADIO: Quality = Quality { room_bytes: limits::RECORD_BYTES, ..Quality::DATAGRAM };

/// A world of `count` nodes that know a board of node 0, not linked any more.
fn village(seed: u64, count: usize) -> (World<Node>, ChannelId) {
    let mut world = world(seed, count);
    let name = Label::new("green").unwrap();
    let board = world.with(0, |sync, now| sync.create_board(now, &name)).unwrap();
    for node in 1..count {
        follow(&mut world, node, board);
        world.connect(node - 1, node, Quality::STREAM);
    }
    let nodes = world.nodes();
    let knows = |world: &World<Node>| nodes.clone().all(|node| size(world, node, &board) == 1);
    assert!(world.run_until(SOON, knows));
    part(&mut world);
    (world, board)
}

/// Cuts every link.
fn part(world: &mut World<Node>) {
    for node in world.nodes() {
        for link in world.links(node).to_vec() {
            world.disconnect(link);
        }
    }
}

/// Two machines that know a board of the first, linked by the first, and everything said.
fn neighbours() -> (Pump, ChannelId) {
    let node = |seed| Sync::open(MemoryStore::default(), Rng::from_seed([seed; 32])).unwrap();
    let mut pump = Pump::new(vec![node(1), node(2)]);
    let now = pump.now;
    let board = pump.nodes[0].create_board(now, &Label::new("green").unwrap()).unwrap();
    pump.nodes[1].follow(now, board).unwrap();
    pump.connect(0, 1);
    pump.settle();
    (pump, board)
}

/// Somebody writes on a board.
fn note(world: &mut World<Node>, node: usize, board: &ChannelId, words: &str) {
    let items = vec![text(words)];
    world.with(node, |sync, now| sync.publish(now, board, items)).unwrap();
}

/// The same at a machine of a pump.
fn write(pump: &mut Pump, node: usize, board: &ChannelId, words: &str) {
    let now = pump.now;
    pump.nodes[node].publish(now, board, vec![text(words)]).unwrap();
}

/// What a node shows of a board: who, and what.
fn signed(sync: &Node, board: &ChannelId) -> BTreeSet<(String, String)> {
    let items = sync.items(board, 0..u64::MAX).unwrap().into_iter();
    let items = items.filter(|item| item.is_note && item.header.kind == ItemKind::Text);
    let read = |item: mesh_sync::ItemStatus| {
        let words = sync.content(board, item.number).unwrap()?;
        let name = item.writer_name.as_str().to_owned();
        Some((name, String::from_utf8(words.to_vec()).unwrap()))
    };
    items.filter_map(read).collect()
}

/// What it shows, whoever wrote it.
fn shown(sync: &Node, board: &ChannelId) -> BTreeSet<String> {
    signed(sync, board).into_iter().map(|(_, words)| words).collect()
}

/// Runs until all nodes show the same `count` notes.
#[track_caller]
fn agree(world: &mut World<Node>, board: &ChannelId, count: usize) {
    let nodes = world.nodes();
    let all = |world: &World<Node>| {
        let has =
            |node| world.node(node).channel(board).map(|it| it.contents) == Some(count as u64);
        let all = |first: &BTreeSet<_>| {
            nodes.clone().all(|node| shown(world.node(node), board) == *first)
        };
        nodes.clone().all(has) && all(&shown(world.node(0), board))
    };
    let met = world.run_until(2 * SOON, all);
    let counts: Vec<_> = nodes.map(|node| shown(world.node(node), board).len()).collect();
    assert!(met, "{counts:?}, not {count}: {:?}", faults(world));
    assert_eq!(faults(world), []);
}

/// What goes over the links of a pump until nothing does: who said what.
fn overhear(pump: &mut Pump) -> Vec<(usize, SyncMessage)> {
    let mut said = Vec::new();
    pump.run(Duration::from_secs(200), |from, message| {
        said.push((from, message.clone()));
        Carried::As(message)
    });
    said
}

/// How many of these messages are steps of rounds.
fn steps(said: &[(usize, SyncMessage)]) -> usize {
    said.iter().filter(|(_, message)| matches!(message, SyncMessage::Reconcile(_))).count()
}

// spec: SYNC-62, SYNC-63
#[test]
fn what_two_wrote_apart_both_have_once_they_meet() {
    for quality in [Quality::STREAM, RADIO] {
        let (mut world, board) = village(1, 2);
        note(&mut world, 0, &board, "bread at 9");
        note(&mut world, 1, &board, "a cat was found");
        world.connect(0, 1, quality);
        agree(&mut world, &board, 2);
        note(&mut world, 0, &board, "no more bread");
        note(&mut world, 1, &board, "the cat is at home");
        agree(&mut world, &board, 4);
    }
}

// spec: SYNC-27, SYNC-33, SYNC-63
#[test]
fn five_come_level_whatever_each_lacks_and_though_one_begins_anew() {
    for seed in seeds(3) {
        let (mut world, board) = village(seed, 5);
        let mut rng = Rng::from_seed([seed as u8; 32]);
        let (mut links, mut written) = (Vec::new(), 0);
        for node in world.nodes() {
            world.set_skew(node, rng.below(60_000) as i64 - 30_000);
        }
        for turn in 0..80 {
            let node = rng.below(5) as usize;
            match rng.below(4) {
                0 => mingle(&mut world, (&mut links, &[Quality::STREAM, RADIO]), &mut rng),
                _ => {
                    let long = "x".repeat(rng.below(3) as usize * 700);
                    for part in 0..=rng.below(30) {
                        note(&mut world, node, &board, &format!("{turn}.{part} {long}"));
                        written += 1;
                    }
                }
            }
            world.run_for(Duration::from_millis(rng.below(10_000)));
        }
        links.into_iter().for_each(|link| world.disconnect(link));
        world.run_for(Duration::from_secs(1));
        let store = world.node(3).store().clone();
        let fresh = Sync::open(store, Rng::from_seed([7; 32])).unwrap();
        world.replace(3, fresh);
        for (one, other) in [(1, 0), (1, 2), (2, 3), (3, 4)] {
            world.connect(one, other, RADIO);
        }
        agree(&mut world, &board, written);
        world.run_until_quiet(Duration::from_secs(70), Duration::from_secs(600));
        let before: Vec<_> = world.nodes().map(|node| bytes(&world, node)).collect();
        world.run_for(Duration::from_secs(600));
        let after: Vec<_> = world.nodes().map(|node| bytes(&world, node)).collect();
        assert_eq!(before, after, "seed {seed}: who has the same has nothing to say");
    }
}

/// Bytes that a node has sent.
fn bytes(world: &World<Node>, node: usize) -> u64 {
    world.links(node).iter().map(|link| world.traffic(*link).bytes).sum()
}

// spec: SYNC-63
#[test]
fn a_new_note_goes_out_unasked_once_and_no_round_is_needed() {
    let (mut pump, board) = neighbours();
    for node in [0, 1] {
        write(&mut pump, node, &board, "bread at 9");
        let said = overhear(&mut pump);
        let notes = |(from, message): &(usize, SyncMessage)| match message {
            SyncMessage::Notes(notes) => Some((*from, notes.notes.len())),
            _ => None,
        };
        assert_eq!(said.iter().filter_map(notes).collect::<Vec<_>>(), [(node, 1)], "{said:?}");
        assert_eq!(steps(&said), 0);
    }
    // Of more, a round finds out.
    for number in 0..17 {
        write(&mut pump, 1, &board, &format!("{number}"));
    }
    write(&mut pump, 0, &board, &"x".repeat(limits::PUSH_BYTES));
    assert!(steps(&overhear(&mut pump)) > 0);
    assert_eq!(shown(&pump.nodes[0], &board).len(), 19);
    assert_eq!(shown(&pump.nodes[0], &board), shown(&pump.nodes[1], &board));
}

// spec: SYNC-10, SYNC-63
#[test]
fn a_note_that_is_lost_is_found_by_a_round() {
    for node in [0, 1] {
        let (mut pump, board) = neighbours();
        write(&mut pump, node, &board, "bread at 9");
        let mut lost = 0;
        pump.run(Duration::from_secs(100), |_, message| match message {
            SyncMessage::Notes(notes) if lost == 0 && !notes.notes.is_empty() => {
                lost += 1;
                Carried::Lost
            }
            other => Carried::As(other),
        });
        assert_eq!(lost, 1);
        assert_eq!(shown(&pump.nodes[1 - node], &board).len(), 1, "node {node}");
    }
}

// spec: SYNC-27, SYNC-63
#[test]
fn any_message_may_be_lost_and_both_come_level() {
    let (mut world, board) = village(4, 2);
    for node in [0, 1] {
        for number in 0..300 {
            note(&mut world, node, &board, &format!("{number} by {node}"));
        }
    }
    for lost in 0..20 {
        let mut stores = [0, 1].map(|node| world.node(node).store().clone()).into_iter();
        let mut open = |seed| Sync::open(stores.next().unwrap(), Rng::from_seed([seed; 32]));
        let mut pump = Pump::new(vec![open(1).unwrap(), open(2).unwrap()]);
        pump.now.unix = world.now(0).unix;
        pump.connect(0, 1);
        let mut said = 0;
        pump.run(Duration::from_secs(600), |_, message| {
            said +=
                usize::from(matches!(message, SyncMessage::Reconcile(_) | SyncMessage::Notes(_)));
            if said == lost + 1 { Carried::Lost } else { Carried::As(message) }
        });
        let counts = [0, 1].map(|node| shown(&pump.nodes[node], &board).len());
        assert_eq!(counts, [600, 600], "message {lost}");
    }
}

// spec: SYNC-62, SYNC-63
#[test]
fn who_learns_late_that_a_channel_is_a_board_gets_its_notes_at_once() {
    for opens in [0, 1] {
        let node = |seed| Sync::open(MemoryStore::default(), Rng::from_seed([seed; 32])).unwrap();
        let mut pump = Pump::new(vec![node(1), node(2)]);
        let now = pump.now;
        let board = pump.nodes[0].create_board(now, &Label::new("green").unwrap()).unwrap();
        write(&mut pump, 0, &board, "bread at 9");
        pump.nodes[1].follow(now, board).unwrap();
        assert_eq!(pump.nodes[1].publish(now, &board, texts(1)), Err(Refused::Incomplete));
        pump.connect(opens, 1 - opens);
        pump.run(Duration::from_secs(1), |_, message| Carried::As(message));
        assert_eq!(shown(&pump.nodes[1], &board).len(), 1, "{opens} opens the link");
        let status = pump.nodes[1].channel(&board).unwrap();
        assert!(status.open && status.role == Role::Follower && status.contents == 1);
    }
}

// spec: SYNC-62
#[test]
fn people_go_by_the_names_they_choose_and_are_told_apart_by_their_keys() {
    let (mut world, board) = village(5, 3);
    for (node, name) in [(1, "Ada"), (2, "Ada")] {
        let name = Label::new(name).unwrap();
        world.with(node, |sync, now| sync.sign_as(now, &board, name)).unwrap();
    }
    (0..3).for_each(|node| note(&mut world, node, &board, "here"));
    // Who comes back is the same.
    let store = world.node(1).store().clone();
    world.replace(1, Sync::open(store, Rng::from_seed([7; 32])).unwrap());
    note(&mut world, 1, &board, "again");
    world.connect(0, 1, Quality::STREAM);
    world.connect(0, 2, Quality::STREAM);
    let full = |world: &World<Node>| size(world, 0, &board) == 5;
    assert!(world.run_until(SOON, full), "{}", size(&world, 0, &board));
    let items = world.node(0).items(&board, 1..9).unwrap();
    let by = |name: &str| items.iter().filter(|item| item.writer_name.as_str() == name).count();
    assert_eq!((by("Ada"), by("")), (3, 1));
    let keys: BTreeSet<_> = items.iter().map(|item| item.writer).collect();
    assert_eq!(keys.len(), 3);
    let owner = world.node(0).writers(&board).unwrap()[0].key;
    assert!(keys.contains(&owner), "the owner's notes can be known as such");
    // On another board the same people are others.
    let other = Label::new("bus").unwrap();
    let other = world.with(1, |sync, now| sync.create_board(now, &other)).unwrap();
    note(&mut world, 1, &other, "here");
    let elsewhere = world.node(1).items(&other, 0..9).unwrap();
    assert!(elsewhere.iter().all(|item| !keys.contains(&item.writer)));
    let plain = create(&mut world, 0);
    let named = world.with(0, |sync, now| sync.sign_as(now, &plain, Label::new("Ada").unwrap()));
    assert_eq!(named, Err(Refused::NotOpen));
}

// spec: SYNC-50, SYNC-62
#[test]
fn notes_are_read_in_the_order_of_their_times_whatever_came_first() {
    let (mut world, board) = village(6, 3);
    for turn in 0..12 {
        note(&mut world, 1 + turn % 2, &board, &format!("{turn:02}"));
        world.run_for(Duration::from_secs(1));
    }
    world.connect(0, 2, Quality::STREAM);
    world.run_for(Duration::from_secs(5));
    world.connect(0, 1, Quality::STREAM);
    agree(&mut world, &board, 12);
    for node in world.nodes() {
        let sync = world.node(node);
        let chat = sync.chat(&board, 0).unwrap();
        let words = chat.iter().map(|it| sync.content(&board, it.item.number).unwrap().unwrap());
        let words: Vec<_> = words.map(|it| String::from_utf8(it.to_vec()).unwrap()).collect();
        let expected: Vec<_> = (0..12).map(|turn| format!("{turn:02}")).collect();
        assert_eq!(words, expected, "node {node}");
    }
}

// spec: SYNC-50, SYNC-65
#[test]
fn what_is_left_is_read_however_much_has_gone() {
    let (mut world, board) = village(11, 1);
    let words = texts(1500);
    let numbers = world.with(0, |sync, now| sync.publish(now, &board, words)).unwrap();
    let gone: Vec<u64> = numbers.skip(100).collect();
    world.with(0, |sync, now| sync.retract(now, &board, &gone)).unwrap();
    assert_eq!(world.node(0).chat(&board, 0).unwrap().len(), 100);
}

// spec: SYNC-37, SYNC-62
#[test]
fn who_asks_to_write_elsewhere_in_the_channel_does_not_say_which_notes_are_its_own() {
    let (mut world, board) = village(9, 2);
    let author = |world: &World<Node>| {
        let items = world.node(1).items(&board, 0..99).unwrap();
        items.iter().filter(|item| item.is_note).map(|item| item.writer).collect::<Vec<_>>()
    };
    note(&mut world, 1, &board, "nobody knows me");
    let name = Label::new("Bob").unwrap();
    let asked = world.with(1, |sync, now| sync.request_right(now, &board, (name, Right::Write)));
    note(&mut world, 1, &board, "nor now");
    let [first, second] = author(&world)[..] else { panic!("two notes") };
    assert_eq!(first, second);
    assert_ne!(first, asked.unwrap().writer);
}

// spec: SYNC-16, SYNC-62
#[test]
fn who_names_a_file_on_a_board_does_not_learn_who_has_it_from_elsewhere() {
    let (mut world, board) = village(10, 3);
    let secret = create(&mut world, 0);
    let bytes = content(&mut Rng::from_seed([1; 32]), 200_000);
    let blob = publish_blobs(&mut world, &secret, core::slice::from_ref(&bytes))[0];
    // Node 1 has the file, too, and node 2 asks everybody for it.
    world.with(1, |sync, now| adopt(sync, now, &bytes)).unwrap();
    let items = vec![file("cat.jpg", blob)];
    world.with(1, |sync, now| sync.publish(now, &board, items)).unwrap();
    let (link, _) = world.connect(0, 1, Quality::STREAM);
    assert!(world.run_until(SOON, |world| size(world, 0, &board) == 2));
    world.disconnect(link);
    world.connect(0, 2, Quality::STREAM);
    assert!(world.run_until(SOON, |world| size(world, 2, &board) == 2));
    world.run_for(SOON);
    let here = |world: &World<Node>| world.node(2).blob(&blob).unwrap().groups_here;
    assert_eq!(here(&world), 0);
    world.connect(1, 2, Quality::STREAM);
    assert!(world.run_until(SOON, |world| here(world) > 0));
}

// spec: SYNC-21, SYNC-56, SYNC-62
#[test]
fn a_large_file_on_a_board_is_fetched_counted_and_goes_with_its_note() {
    let (mut world, board) = village(7, 2);
    world.connect(0, 1, Quality::STREAM);
    let bytes = content(&mut Rng::from_seed([1; 32]), 200_000);
    let blob = world.with(1, |sync, now| adopt(sync, now, &bytes)).unwrap();
    let items = vec![file("cat.jpg", blob)];
    let number = world.with(1, |sync, now| sync.publish(now, &board, items)).unwrap().start;
    let whole = |world: &World<Node>| world.node(0).blob(&blob).unwrap().is_complete();
    assert!(world.run_until(SOON, whole));
    assert_eq!(world.node(0).channel(&board).unwrap().used, 200_000);
    assert_eq!(world.node(1).channel(&board).unwrap().used, 0, "who publishes keeps it anyway");
    world.with(1, |sync, now| sync.retract(now, &board, &[number])).unwrap();
    let is_gone = |world: &World<Node>| !world.node(0).is_named(&blob).unwrap();
    assert!(world.run_until(SOON, is_gone));
    assert_eq!(world.node(0).channel(&board).unwrap().used, 0);
    assert_eq!(world.node(0).store().blob_bytes(&blob.hash), None);
    assert!(world.events(0).contains(&Event::ContentChanged { channel: board }));
}
