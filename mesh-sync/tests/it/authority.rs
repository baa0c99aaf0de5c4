//! Several writers of one channel: who lets them in, what they write, and how that ends.

use mesh_sync::{BlobId, ChannelName, Event, MemoryStore, Refused, Role, Sync, WriterState};
use mesh_wire::codec::List;
use mesh_wire::invite::WriterLink;
use mesh_wire::message::SyncMessage;
use mesh_wire::message::sync::{Items, Right};
use mesh_wire::{ChannelId, Input, Label, LinkId, Rng, UnixTime, limits};

use crate::pump::{Carried, Pump};
use crate::world::*;

pub(crate) fn node(seed: u8) -> Sync<MemoryStore> {
    Sync::open(MemoryStore::default(), Rng::from_seed([seed; 32])).unwrap()
}

/// Node 0 has a channel with two texts, the others follow it, linked in a line, and all are level.
pub(crate) fn line(count: usize) -> (Pump, ChannelId) {
    let mut pump = Pump::new((0..count).map(|seed| node(seed as u8)).collect());
    let now = pump.now;
    let channel = pump.nodes[0].create_channel(now, &Label::new("news").unwrap()).unwrap();
    pump.nodes[0].publish(now, &channel, texts(2)).unwrap();
    for follower in 1..count {
        pump.nodes[follower].follow(now, channel).unwrap();
        pump.connect(follower - 1, follower);
    }
    pump.settle();
    (pump, channel)
}

/// What a node asks for.
pub(crate) fn request(
    pump: &mut Pump,
    node: usize,
    channel: &ChannelId,
    right: Right,
) -> WriterLink {
    let name: ChannelName = Label::new(&format!("writer {node}")).unwrap();
    let now = pump.now;
    let link = pump.nodes[node].request_right(now, channel, (name, right)).unwrap();
    link.to_string().parse().unwrap()
}

/// Lets a node write; the number of its log.
pub(crate) fn let_in(pump: &mut Pump, node: usize, channel: &ChannelId) -> u32 {
    let link = request(pump, node, channel, Right::Write);
    let now = pump.now;
    pump.nodes[0].grant(now, &link, None).unwrap();
    let writers = pump.nodes[0].writers(channel).unwrap();
    writers.iter().find(|writer| writer.key == link.writer).unwrap().log
}

pub(crate) fn write(
    pump: &mut Pump,
    node: usize,
    channel: &ChannelId,
    what: &str,
) -> Result<(), Refused> {
    let now = pump.now;
    pump.nodes[node].publish(now, channel, vec![text(what)]).map(drop)
}

/// Every text that a node has of the channel, and who wrote it, in the order in which they came.
fn read(pump: &Pump, node: usize, channel: &ChannelId) -> Vec<String> {
    let items = pump.nodes[node].items(channel, 0..u64::MAX).unwrap();
    let texts = items.iter().filter_map(|item| {
        let (_, body) = pump.nodes[node].item(channel, item.number).unwrap()?;
        let is_text = item.header.kind == mesh_wire::message::sync::ItemKind::Text;
        is_text.then(|| {
            let body = String::from_utf8(body.unwrap().to_vec()).unwrap();
            format!("{}: {body}", item.writer_name.as_str())
        })
    });
    texts.collect()
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

/// Nobody broke a rule, and all have the same texts.
fn level(pump: &Pump, channel: &ChannelId, texts: &[&str]) {
    for node in 0..pump.nodes.len() {
        assert_eq!(pump.faults(node), Vec::<String>::new(), "node {node}");
        assert_eq!(sorted(read(pump, node, channel)), texts, "node {node}");
        let contents = pump.nodes[node].channel(channel).unwrap().contents;
        assert_eq!(contents, texts.len() as u64, "node {node}");
    }
}

pub(crate) fn state(pump: &Pump, node: usize, channel: &ChannelId, log: u32) -> WriterState {
    pump.nodes[node].writers(channel).unwrap()[log as usize].state
}

// spec: SYNC-4, SYNC-36, SYNC-37, SYNC-39
#[test]
fn whoever_is_let_in_writes_and_everybody_reads_it() {
    let (mut pump, channel) = line(4);
    assert_eq!(write(&mut pump, 2, &channel, "too early"), Err(Refused::NotYours));
    assert_eq!(let_in(&mut pump, 2, &channel), 1);
    assert_eq!(write(&mut pump, 2, &channel, "still too early"), Err(Refused::NotYours));
    pump.settle();
    assert_eq!(pump.nodes[2].channel(&channel).unwrap().role, Role::Writer);
    assert_eq!(pump.nodes[3].channel(&channel).unwrap().role, Role::Follower);
    for word in ["one", "two"] {
        write(&mut pump, 2, &channel, word).unwrap();
        write(&mut pump, 0, &channel, word).unwrap();
        pump.settle();
    }
    let all = [": item 0", ": item 1", ": one", ": two", "writer 2: one", "writer 2: two"];
    level(&pump, &channel, &all);
    // Somebody who comes later gets it all from one who never wrote.
    pump.nodes.push(node(9));
    let now = pump.now;
    pump.nodes[4].follow(now, channel).unwrap();
    pump.connect(3, 4);
    pump.settle();
    level(&pump, &channel, &all);
    assert!(pump.events.contains(&(4, Event::WritersChanged { channel })));
    // And all of it is still so after a restart, and can be written on.
    let store = pump.nodes[2].store().clone();
    pump.disconnect();
    pump.nodes[2] = Sync::open(store, Rng::from_seed([8; 32])).unwrap();
    write(&mut pump, 2, &channel, "three").unwrap();
    for node in 0..4 {
        pump.connect(node, node + 1);
    }
    pump.settle();
    level(&pump, &channel, &[&all[..5], &["writer 2: three"], &all[5..]].concat());
}

/// Small new items of any writer go out unasked, one message a hop and one back.
// spec: SYNC-14, SYNC-39
#[test]
fn what_a_writer_says_goes_straight_to_everybody() {
    let (mut pump, channel) = line(3);
    let_in(&mut pump, 2, &channel);
    pump.settle();
    write(&mut pump, 2, &channel, "hello").unwrap();
    let (mut wants, mut items, mut bytes) = (0, 0, 0);
    pump.run(SOON, |_, message| {
        wants += usize::from(matches!(message, SyncMessage::Want(_)));
        items += usize::from(matches!(message, SyncMessage::Items(_)));
        bytes += mesh_wire::Wire::size(&message);
        Carried::As(message)
    });
    assert_eq!((wants, items), (0, 2));
    assert!(bytes < 500, "{bytes} bytes for five letters over two hops");
    level(&pump, &channel, &[": item 0", ": item 1", "writer 2: hello"]);
}

/// A channel in which everybody writes at once, on links that lose every fifth message.
// spec: SYNC-10, SYNC-39
#[test]
fn many_writers_come_level_whatever_is_lost() {
    for seed in 0..4 {
        let (mut pump, channel) = line(6);
        for node in 1..6 {
            let_in(&mut pump, node, &channel);
        }
        pump.settle();
        let mut rng = Rng::from_seed([seed; 32]);
        let mut all: Vec<String> = (0..2).map(|number| format!(": item {number}")).collect();
        for round in 0..5 {
            for node in 0..6 {
                let word = format!("{round}");
                write(&mut pump, node, &channel, &word).unwrap();
                let name = if node == 0 { String::new() } else { format!("writer {node}") };
                all.push(format!("{name}: {word}"));
            }
            pump.run(SOON, |_, message| match rng.below(5) {
                0 => Carried::Lost,
                _ => Carried::As(message),
            });
        }
        pump.run(4 * SOON, |_, message| Carried::As(message));
        let all = sorted(all);
        level(&pump, &channel, &all.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

// spec: SYNC-38
#[test]
fn c_05_what_a_writer_writes_after_its_right_has_ended_is_nobodys() {
    let (mut pump, channel) = line(4);
    let log = let_in(&mut pump, 3, &channel);
    pump.settle();
    write(&mut pump, 3, &channel, "good").unwrap();
    pump.settle();
    let now = pump.now;
    // The owner ends it while the writer goes on, and somebody in the middle has both.
    pump.disconnect();
    pump.nodes[0].revoke(now, &channel, log).unwrap();
    write(&mut pump, 3, &channel, "late").unwrap();
    pump.connect(3, 2);
    pump.settle();
    assert_eq!(read(&pump, 2, &channel).len(), 4);
    pump.connect(0, 1);
    pump.connect(1, 2);
    pump.settle();
    let all = [": item 0", ": item 1", "writer 3: good"];
    for node in 0..3 {
        assert_eq!(sorted(read(&pump, node, &channel)), all, "node {node}");
        assert_eq!(state(&pump, node, &channel, log), WriterState::Ended(2 - 1));
        assert_eq!(pump.nodes[node].channel(&channel).unwrap().contents, 3);
    }
    // Whoever wrote it keeps it, and sees that it does not count.
    assert_eq!(read(&pump, 3, &channel).len(), 4);
    let items = pump.nodes[3].items(&channel, 0..100).unwrap();
    assert_eq!(items.iter().filter(|item| !item.is_valid).count(), 1);
    assert_eq!(write(&mut pump, 3, &channel, "later"), Err(Refused::Ended));
    assert_eq!(pump.nodes[3].channel(&channel).unwrap().role, Role::Follower);
    // It is offered to nobody: those who come later do not hear of it.
    pump.nodes.push(node(9));
    pump.nodes[4].follow(now, channel).unwrap();
    pump.connect(3, 4);
    pump.settle();
    assert_eq!(sorted(read(&pump, 4, &channel)), all);
    (0..5).for_each(|node| assert!(pump.faults(node).is_empty()));
    // A new key is a new writer.
    let_in(&mut pump, 3, &channel);
    pump.settle();
    write(&mut pump, 3, &channel, "again").unwrap();
    pump.settle();
    assert_eq!(read(&pump, 4, &channel).len(), 4);
}

/// A blob that only void items name goes with them.
// spec: SYNC-38
#[test]
fn c_05_what_is_void_takes_no_room() {
    let (mut pump, channel) = line(3);
    let log = let_in(&mut pump, 2, &channel);
    pump.settle();
    pump.disconnect();
    let now = pump.now;
    pump.nodes[0].revoke(now, &channel, log).unwrap();
    let mut rng = Rng::from_seed([3; 32]);
    let [spam, both] = [0, 1].map(|_| {
        let bytes = content(&mut rng, 100_000);
        adopt(&mut pump.nodes[2], now, &bytes).unwrap()
    });
    let files = vec![file("spam", spam), file("both", both), file("spam", spam)];
    pump.nodes[2].publish(now, &channel, files).unwrap();
    let other = pump.nodes[1].create_channel(now, &Label::new("b").unwrap()).unwrap();
    pump.nodes[1].publish(now, &other, vec![file("both", both)]).unwrap();
    pump.connect(1, 2);
    pump.settle();
    let here =
        |pump: &Pump, blob: BlobId| pump.nodes[1].store().blob_bytes(&blob.hash).map(<[u8]>::len);
    assert_eq!([here(&pump, spam), here(&pump, both)], [Some(100_000); 2]);
    assert_eq!(pump.nodes[1].channel(&channel).unwrap().blobs_here, 3);
    pump.connect(0, 1);
    pump.settle();
    assert_eq!([here(&pump, spam), here(&pump, both)], [None, Some(100_000)]);
    let status = pump.nodes[1].channel(&channel).unwrap();
    assert_eq!((status.blobs_known, status.blobs_here, status.contents), (0, 0, 2));
    assert_eq!((status.bytes, status.bytes_here), (status.bytes_here, status.bytes));
    // Nothing of it is left but gaps in the numbers.
    assert_eq!(pump.nodes[1].items(&channel, 0..100).unwrap().len(), 5);
    assert_eq!(pump.nodes[1].items(&channel, 0..100).unwrap().last().unwrap().number, 7);
}

// spec: SYNC-38
#[test]
fn a_right_with_an_end_ends_at_the_first_checkpoint_after_it() {
    let (mut pump, channel) = line(2);
    let link = request(&mut pump, 1, &channel, Right::Write);
    let mut now = pump.now;
    let until = UnixTime(now.unix.0 + 1000);
    pump.nodes[0].grant(now, &link, Some(until)).unwrap();
    pump.settle();
    assert_eq!(pump.nodes[1].writers(&channel).unwrap()[1].until, Some(until));
    write(&mut pump, 1, &channel, "in time").unwrap();
    pump.settle();
    pump.nodes[0].checkpoint(now, &channel).unwrap();
    assert_eq!(state(&pump, 0, &channel, 1), WriterState::Open);
    now.unix = until;
    // The owner's node does so by itself as soon as there is somebody to tell.
    pump.now = now;
    pump.connect(0, 1);
    pump.settle();
    assert_eq!(state(&pump, 0, &channel, 1), WriterState::Ended(1));
    assert_eq!(write(&mut pump, 1, &channel, "too late"), Err(Refused::Ended));
    pump.settle();
    assert_eq!(state(&pump, 1, &channel, 1), WriterState::Ended(1));
    assert_eq!(read(&pump, 0, &channel), [": item 0", ": item 1", "writer 1: in time"]);
}

// spec: SYNC-36, SYNC-37
#[test]
fn c_05_the_owners_key_can_be_replaced_and_the_old_one_says_nothing_more() {
    let (mut pump, channel) = line(3);
    let now = pump.now;
    let thief = Sync::open(pump.nodes[0].store().clone(), Rng::from_seed([7; 32])).unwrap();
    pump.nodes[0].rotate(now, &channel).unwrap();
    write(&mut pump, 0, &channel, "under the new key").unwrap();
    pump.settle();
    level(&pump, &channel, &[": item 0", ": item 1", ": under the new key"]);
    assert_eq!(state(&pump, 2, &channel, 0), WriterState::Ended(4));
    assert_eq!(pump.nodes[0].channel(&channel).unwrap().role, Role::Owner);
    // Who has the old key writes something else with it. Those who know the new one do not care.
    pump.nodes.push(thief);
    write(&mut pump, 3, &channel, "as the owner").unwrap();
    write(&mut pump, 3, &channel, "once more").unwrap();
    pump.connect(3, 1);
    pump.settle();
    for node in 0..3 {
        assert_eq!(read(&pump, node, &channel).len(), 3);
        assert!(!pump.nodes[node].channel(&channel).unwrap().forked, "node {node}");
    }
    // The new key lets in, is handed to somebody else, and the chain holds.
    let_in(&mut pump, 1, &channel);
    pump.settle();
    write(&mut pump, 1, &channel, "let in").unwrap();
    let heir = request(&mut pump, 2, &channel, Right::Succeed);
    pump.nodes[0].grant(now, &heir, None).unwrap();
    pump.settle();
    assert_eq!(pump.nodes[0].channel(&channel).unwrap().role, Role::Follower);
    assert_eq!(pump.nodes[2].channel(&channel).unwrap().role, Role::Owner);
    assert_eq!(pump.nodes[0].checkpoint(now, &channel), Err(Refused::NotOwner));
    assert_eq!(write(&mut pump, 0, &channel, "I was the owner"), Err(Refused::Ended));
    write(&mut pump, 2, &channel, "I am").unwrap();
    pump.settle();
    for node in 0..3 {
        let texts = sorted(read(&pump, node, &channel));
        assert_eq!(texts[3..], ["writer 1: let in", "writer 2: I am"], "node {node}");
    }
}

// spec: SYNC-34, SYNC-35
#[test]
fn a_writer_who_signs_two_histories_freezes_its_log_and_no_other() {
    let (mut pump, channel) = line(3);
    let log = let_in(&mut pump, 2, &channel);
    pump.settle();
    let copy = pump.nodes[2].store().clone();
    pump.nodes.push(Sync::open(copy, Rng::from_seed([7; 32])).unwrap());
    write(&mut pump, 2, &channel, "one story").unwrap();
    write(&mut pump, 3, &channel, "another story").unwrap();
    pump.settle();
    pump.connect(3, 0);
    pump.settle();
    for node in 0..4 {
        assert_eq!(state(&pump, node, &channel, log), WriterState::Forked, "node {node}");
        assert!(!pump.nodes[node].channel(&channel).unwrap().forked);
        assert!(pump.faults(node).is_empty());
    }
    assert_eq!(write(&mut pump, 2, &channel, "more"), Err(Refused::Forked));
    write(&mut pump, 0, &channel, "meanwhile").unwrap();
    pump.settle();
    for node in 0..4 {
        assert!(read(&pump, node, &channel).contains(&": meanwhile".into()), "node {node}");
    }
    // Whoever comes later learns of it, too; the owner lets the writer in anew.
    pump.nodes.push(node(9));
    let now = pump.now;
    pump.nodes[4].follow(now, channel).unwrap();
    pump.connect(1, 4);
    pump.settle();
    assert_eq!(state(&pump, 4, &channel, log), WriterState::Forked);
    assert_eq!(let_in(&mut pump, 2, &channel), log + 1);
    pump.settle();
    write(&mut pump, 2, &channel, "with a new key").unwrap();
    pump.settle();
    assert!(read(&pump, 4, &channel).contains(&"writer 2: with a new key".into()));
}

// spec: SYNC-37
#[test]
fn rights_are_given_only_by_who_may_to_who_wants_them() {
    let (mut pump, channel) = line(2);
    let now = pump.now;
    let link = request(&mut pump, 1, &channel, Right::Write);
    assert_eq!(request(&mut pump, 1, &channel, Right::Write), link, "a key that is free is reused");
    assert_eq!(pump.nodes[1].grant(now, &link, None), Err(Refused::NotOwner));
    let other = WriterLink { right: Right::Succeed, ..link.clone() };
    assert_eq!(pump.nodes[0].grant(now, &other, None), Err(Refused::NotAccepted));
    let forged = WriterLink { acceptance: [1; 64], ..link.clone() };
    assert_eq!(pump.nodes[0].grant(now, &forged, None), Err(Refused::NotAccepted));
    let elsewhere = pump.nodes[0].create_channel(now, &Label::new("b").unwrap()).unwrap();
    let moved = WriterLink { channel: elsewhere, ..link.clone() };
    assert_eq!(pump.nodes[0].grant(now, &moved, None), Err(Refused::NotAccepted));
    pump.nodes[0].grant(now, &link, None).unwrap();
    assert_eq!(pump.nodes[0].grant(now, &link, None), Err(Refused::AlreadyWrites));
    assert_eq!(pump.nodes[0].revoke(now, &channel, 0), Err(Refused::NoSuchWriter));
    assert_eq!(pump.nodes[0].revoke(now, &channel, 2), Err(Refused::NoSuchWriter));
    pump.nodes[0].revoke(now, &channel, 1).unwrap();
    assert_eq!(pump.nodes[0].revoke(now, &channel, 1), Err(Refused::NoSuchWriter));
    assert_eq!(pump.nodes[0].grant(now, &link, None), Err(Refused::AlreadyWrites));
    pump.settle();
    let heir = request(&mut pump, 1, &channel, Right::Succeed);
    assert_eq!(pump.nodes[0].grant(now, &heir, Some(UnixTime(1))), Err(Refused::NoEnd));
    for seed in 2..(limits::LOGS - limits::SUCCESSIONS) as u8 {
        let mut writer = node(seed);
        writer.follow(now, channel).unwrap();
        let name = ChannelName::default();
        let link = writer.request_right(now, &channel, (name, Right::Write)).unwrap();
        pump.nodes[0].grant(now, &link, None).unwrap();
    }
    let mut writer = node(200);
    writer.follow(now, channel).unwrap();
    let link = writer.request_right(now, &channel, (ChannelName::default(), Right::Write)).unwrap();
    assert_eq!(pump.nodes[0].grant(now, &link, None), Err(Refused::TooManyWriters));
    pump.settle();
    let writers = pump.nodes[1].writers(&channel).unwrap().len();
    assert_eq!(writers, limits::LOGS - limits::SUCCESSIONS);
    assert!(pump.faults(1).is_empty());
}

/// Every run that node 1 gets, as it came.
fn runs(pump: &mut Pump) -> Vec<(LinkId, Items)> {
    let [_, link] = pump.connect(0, 1);
    let mut seen = Vec::new();
    pump.run(SOON, |from, message| {
        if let (0, SyncMessage::Items(items)) = (from, &message) {
            seen.push((link, items.clone()));
        }
        Carried::As(message)
    });
    seen
}

/// Control items that break the rules, and items of one log under the number of another.
// spec: SYNC-3, SYNC-36
#[test]
fn c_05_items_in_the_wrong_log_are_forged() {
    let (mut pump, channel) = line(2);
    let_in(&mut pump, 1, &channel);
    pump.settle();
    write(&mut pump, 1, &channel, "mine").unwrap();
    pump.settle();
    pump.nodes.push(node(9));
    let now = pump.now;
    pump.nodes.swap(1, 2);
    pump.disconnect();
    pump.nodes[1].follow(now, channel).unwrap();
    let seen = runs(&mut pump);
    let (link, control) = seen.iter().find(|(_, run)| run.log == 0).unwrap();
    let (_, mine) = seen.iter().find(|(_, run)| run.log == 1).unwrap();
    let store = pump.nodes[1].store().clone();
    let first = mine.items.iter().next().unwrap();
    for forged in [
        // A grant in a writer's log, with the signature of that; and the other way round.
        Items { log: 1, first: 1, size: 2, ..control.clone() },
        Items { log: 0, first: 4, size: 5, ..mine.clone() },
        // More items in the name of one who has signed fewer.
        Items { first: 1, size: 2, items: List::new(&[first]), ..mine.clone() },
    ] {
        pump.handle(1, Input::Receive(*link, forged.into()));
        assert!(*pump.nodes[1].store() == store);
    }
    assert_eq!(read(&pump, 1, &channel).len(), 3);
    // A log that nobody has opened is nobody's fault: its writer may just have been let in.
    let before = pump.faults(1).len();
    pump.handle(1, Input::Receive(*link, Items { log: 2, ..mine.clone() }.into()));
    assert_eq!(pump.faults(1).len(), before);
}

/// Rights come and go while people do, and in the end all agree who may write and what counts.
// spec: SYNC-36, SYNC-38, SYNC-39
#[test]
fn c_05_all_agree_in_whatever_order_they_learn_it() {
    for seed in 0..=255 {
        let mut rng = Rng::from_seed([seed; 32]);
        let (mut pump, channel) = line(5);
        pump.disconnect();
        for step in 0..60 {
            let (node, other) = (rng.below(5) as usize, rng.below(5) as usize);
            let owner = (0..5)
                .find(|node| pump.nodes[*node].channel(&channel).unwrap().role == Role::Owner);
            let now = pump.now;
            match rng.below(10) {
                0 | 1 if node != other => drop(pump.connect(node, other).map(|link| link.0)),
                2 => pump.disconnect(),
                3 if owner != Some(node) => {
                    let right = if rng.below(3) == 0 { Right::Succeed } else { Right::Write };
                    let link = request(&mut pump, node, &channel, right);
                    owner.map(|owner| pump.nodes[owner].grant(now, &link, None));
                }
                4 => drop(owner.map(|owner| pump.nodes[owner].rotate(now, &channel))),
                5 => {
                    let log = rng.below(6) as u32;
                    owner.map(|owner| pump.nodes[owner].revoke(now, &channel, log));
                }
                6 => pump.run(SOON, |_, message| match rng.below(3) {
                    0 => Carried::Lost,
                    _ => Carried::As(message),
                }),
                _ => drop(write(&mut pump, node, &channel, &format!("{step}"))),
            }
        }
        pump.disconnect();
        for node in 0..4 {
            pump.connect(node, node + 1);
        }
        pump.run(8 * SOON, |_, message| Carried::As(message));
        let valid = |node: usize| {
            let items = pump.nodes[node].items(&channel, 0..u64::MAX).unwrap().into_iter();
            let valid = items.filter(|item| item.is_valid);
            let mut valid: Vec<_> = valid.map(|item| (item.writer, item.header.hash)).collect();
            valid.sort();
            valid
        };
        let writers = |node: usize| -> Vec<_> {
            let writers = pump.nodes[node].writers(&channel).unwrap().into_iter();
            writers.map(|writer| (writer.key, writer.state, writer.items)).collect()
        };
        for node in 0..5 {
            assert_eq!(pump.faults(node), Vec::<String>::new(), "seed {seed}, node {node}");
            assert_eq!(writers(node), writers(0), "seed {seed}, node {node}");
            assert_eq!(valid(node), valid(0), "seed {seed}, node {node}");
        }
    }
}

/// One neighbour says nothing of what is new; another one does, and the time of the owner's last
/// word shows which is which.
#[test]
fn c_03_a_neighbour_that_holds_back_is_found_out_by_any_other() {
    let (mut pump, channel) = line(3);
    let mut now = pump.now;
    pump.disconnect();
    now.unix = UnixTime(now.unix.0 + 3_600_000);
    pump.nodes[0].checkpoint(now, &channel).unwrap();
    pump.connect(2, 1);
    pump.settle();
    let newest = |pump: &Pump| pump.nodes[1].writers(&channel).unwrap()[0].newest;
    assert_eq!(newest(&pump), Some(UnixTime(1_800_000_000_000)));
    pump.connect(0, 1);
    pump.settle();
    assert_eq!(newest(&pump), Some(now.unix));
}

/// A home that was restored from a backup takes up its own log where its neighbours have it.
// spec: SYNC-35
#[test]
fn k_06_an_honest_restore_goes_on_without_an_alarm() {
    let (mut pump, channel) = line(2);
    let_in(&mut pump, 1, &channel);
    pump.settle();
    let backups = [0, 1].map(|node: usize| pump.nodes[node].store().clone());
    for word in ["one", "two"] {
        write(&mut pump, 0, &channel, word).unwrap();
        write(&mut pump, 1, &channel, word).unwrap();
        pump.settle();
    }
    pump.nodes.push(node(9));
    let now = pump.now;
    pump.nodes[2].follow(now, channel).unwrap();
    pump.connect(1, 2);
    pump.settle();
    pump.disconnect();
    for (node, backup) in backups.into_iter().enumerate() {
        pump.nodes[node] = Sync::open(backup, Rng::from_seed([node as u8; 32])).unwrap();
        pump.connect(node, 2);
        pump.settle();
    }
    write(&mut pump, 0, &channel, "three").unwrap();
    write(&mut pump, 1, &channel, "three").unwrap();
    pump.settle();
    let all = [
        ": item 0",
        ": item 1",
        ": one",
        ": three",
        ": two",
        "writer 1: one",
        "writer 1: three",
        "writer 1: two",
    ];
    level(&pump, &channel, &all);
    let states = pump.nodes[2].writers(&channel).unwrap();
    assert!(states.iter().all(|writer| writer.state == WriterState::Open));
}
