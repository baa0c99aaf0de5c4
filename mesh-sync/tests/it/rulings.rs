//! What a cold review of several writers found, each in the order of events that showed it.

use crate::authority::*;
use crate::pump::{Carried, Pump};
use crate::world::*;
use mesh_sync::{
    ChannelName, ChannelStatus, ItemState, ItemStatus, Refused, Role, Sync, WriterState,
};
use mesh_wire::message::SyncMessage;
use mesh_wire::message::sync::{ItemKind, Right};
use mesh_wire::{ChannelId, Input, LinkId, Rng, UnixTime, limits};

/// Every text that a node has, who wrote it, and whether it counts.
fn read(pump: &Pump, node: usize, channel: &ChannelId) -> Vec<String> {
    let items = pump.nodes[node].items(channel, 0..u64::MAX).unwrap();
    let texts = items.iter().filter_map(|item| {
        let (_, body) = pump.nodes[node].item(channel, item.number).unwrap()?;
        let is_text = item.header.kind == ItemKind::Text;
        is_text.then(|| {
            let body = String::from_utf8(body.unwrap().to_vec()).unwrap();
            format!("{}: {body} {}", item.writer_name.as_str(), item.is_valid)
        })
    });
    texts.collect()
}
/// A right ends while a blob that was published under it is on its way.
#[test]
fn a_ruling_amid_a_blob_blames_nobody() {
    let (mut pump, channel) = line(3);
    let log = let_in(&mut pump, 2, &channel);
    pump.settle();
    pump.disconnect();
    let now = pump.now;
    pump.nodes[0].revoke(now, &channel, log).unwrap();
    let mut rng = Rng::from_seed([3; 32]);
    let bytes = content(&mut rng, 40 * 65536);
    let blob = adopt(&mut pump.nodes[2], now, &bytes).unwrap();
    pump.nodes[2].publish(now, &channel, vec![file("film", blob)]).unwrap();
    pump.connect(1, 2);
    let mut groups = 0;
    pump.exchange(|_, message| {
        groups += usize::from(matches!(message, SyncMessage::GroupData(_)));
        if groups > 3 { Carried::Stop } else { Carried::As(message) }
    });
    pump.connect(0, 1);
    pump.settle();
    assert_eq!(pump.faults(1), Vec::<String>::new());
}

/// The same, and the owner publishes that blob itself.
#[test]
fn a_blob_of_a_void_item_published_again_comes_whole() {
    let (mut pump, channel) = line(3);
    let log = let_in(&mut pump, 2, &channel);
    pump.settle();
    pump.disconnect();
    let now = pump.now;
    pump.nodes[0].revoke(now, &channel, log).unwrap();
    let mut rng = Rng::from_seed([3; 32]);
    let bytes = content(&mut rng, 60_000); // one group
    let blob = adopt(&mut pump.nodes[2], now, &bytes).unwrap();
    pump.nodes[2].publish(now, &channel, vec![file("film", blob)]).unwrap();
    pump.connect(1, 2);
    let mut held = None;
    pump.exchange(|_, message| {
        if let SyncMessage::GroupData(_) = message {
            held = Some(message);
            return Carried::Stop;
        }
        Carried::As(message)
    });
    // link of node 1 to 2: find by sending the held message on all links
    pump.connect(0, 1);
    pump.run(std::time::Duration::from_millis(100), |_, m| match m {
        SyncMessage::GroupData(_) => Carried::Lost,
        m => Carried::As(m),
    });
    assert!(matches!(state(&pump, 1, &channel, log), WriterState::Ended(0)));
    let mut any = false;
    for link in 0..40 {
        if let Some(m) = held.clone() {
            pump.handle(1, Input::Receive(LinkId(link), m));
            any = true;
        }
    }
    assert!(any);
    pump.settle();
    let on_disk = pump.nodes[1].store().blob_bytes(&blob.hash).map(<[u8]>::len);
    assert_eq!(on_disk, None, "orphan");
}

/// The other end sees one list only, in which the channel stands elsewhere.
// spec: SYNC-9
#[test]
fn unfollowed_and_followed_again_at_once_comes_level() {
    for pause in [false, true] {
        let (mut pump, channel) = line(2);
        let now = pump.now;
        pump.nodes[1].unfollow(now, &channel).unwrap();
        if pause {
            pump.settle();
        }
        pump.nodes[1].follow(now, channel).unwrap();
        pump.run(10 * SOON, |_, m| Carried::As(m));
        assert_eq!(read(&pump, 1, &channel).len(), 2, "pause {pause}");
    }
}
/// The same with a writer's log.
#[test]
fn unfollowed_and_followed_again_at_once_comes_level_with_writers() {
    for pause in [false, true] {
        let (mut pump, channel) = line(3);
        let_in(&mut pump, 2, &channel);
        pump.settle();
        write(&mut pump, 2, &channel, "w").unwrap();
        pump.settle();
        pump.disconnect();
        pump.connect(0, 1);
        pump.settle();
        let now = pump.now;
        pump.nodes[1].unfollow(now, &channel).unwrap();
        if pause {
            pump.settle();
        }
        pump.nodes[1].follow(now, channel).unwrap();
        pump.run(10 * SOON, |_, m| Carried::As(m));
        assert_eq!(read(&pump, 1, &channel).len(), 3, "pause {pause}");
    }
}

/// Who has a key whose right has ended shows another past to newcomers.
// spec: SYNC-38
#[test]
fn a_thief_of_an_ended_key_cannot_rewrite_what_counts() {
    let (mut pump, channel) = line(3);
    let log = let_in(&mut pump, 2, &channel);
    pump.settle();
    let copy = pump.nodes[2].store().clone();
    write(&mut pump, 2, &channel, "good").unwrap();
    pump.settle();
    let now = pump.now;
    pump.nodes[0].revoke(now, &channel, log).unwrap();
    pump.settle();
    pump.disconnect();
    pump.nodes.push(Sync::open(copy, Rng::from_seed([7; 32])).unwrap());
    write(&mut pump, 3, &channel, "forged").unwrap();
    pump.connect(0, 3);
    pump.settle();
    pump.disconnect();
    pump.nodes.push(node(9));
    pump.nodes[4].follow(now, channel).unwrap();
    pump.connect(3, 4);
    pump.settle();
    pump.disconnect();
    pump.connect(4, 0);
    pump.settle();
    assert!(!read(&pump, 4, &channel).iter().any(|t| t.contains("forged true")));
}

/// The owner comes back when a right is over, and has not heard all that was written in time.
// spec: SYNC-38
#[test]
fn what_was_written_in_time_stays() {
    let (mut pump, channel) = line(3);
    let link = request(&mut pump, 2, &channel, Right::Write);
    let mut now = pump.now;
    let until = UnixTime(now.unix.0 + 1_000_000);
    pump.nodes[0].grant(now, &link, Some(until)).unwrap();
    pump.settle();
    pump.disconnect();
    pump.connect(1, 2);
    write(&mut pump, 2, &channel, "in time").unwrap();
    pump.settle();
    assert_eq!(read(&pump, 1, &channel).len(), 3);
    now = pump.now;
    now.unix = UnixTime(until.0 + 3_600_000);
    pump.now = now;
    pump.connect(0, 1);
    pump.settle();
    assert_eq!(read(&pump, 1, &channel).len(), 3);
}

/// A neighbour knows of a fork of a log that has ended here.
#[test]
fn a_fork_of_an_ended_log_is_said_once() {
    let (mut pump, channel) = line(3);
    let now = pump.now;
    let thief = Sync::open(pump.nodes[0].store().clone(), Rng::from_seed([7; 32])).unwrap();
    pump.disconnect();
    pump.nodes.push(thief);
    // 0 rotates; 1 knows. 2 learns two histories of log 0 and freezes.
    pump.nodes[0].rotate(now, &channel).unwrap();
    pump.connect(0, 1);
    pump.settle();
    write(&mut pump, 3, &channel, "as the owner").unwrap();
    pump.connect(3, 2);
    pump.settle();
    // 2 has the thief's; 0's branch freezes it.
    pump.disconnect();
    let [a, b] = pump.connect(1, 2);
    // messages go in packets: all that one end has to say, then all of the other
    let mut forks = 0;
    for _ in 0..200 {
        for (from, out, to, into) in [(1, a, 2, b), (2, b, 1, a)] {
            let mut packet = Vec::new();
            while let Some(message) = pump.poll(from, out) {
                packet.push(message);
            }
            for message in packet {
                forks += usize::from(matches!(message, SyncMessage::Fork(_)));
                pump.handle(to, Input::Receive(into, message));
            }
        }
    }
    assert!(forks < 10);
}

/// A log was frozen before it was known to have ended.
// spec: SYNC-35, SYNC-38
#[test]
fn a_log_frozen_before_its_end_is_not_said_for_ever() {
    for batched in [false, true] {
        let (mut pump, channel) = line(4);
        let log = let_in(&mut pump, 2, &channel);
        pump.settle();
        let copy = pump.nodes[2].store().clone();
        write(&mut pump, 2, &channel, "one story").unwrap();
        write(&mut pump, 2, &channel, "one story more").unwrap();
        pump.settle();
        pump.disconnect();
        let now = pump.now;
        pump.nodes[0].revoke(now, &channel, log).unwrap();
        pump.nodes.push(Sync::open(copy, Rng::from_seed([7; 32])).unwrap());
        write(&mut pump, 4, &channel, "another story").unwrap();
        // node 3 learns of the fork before it hears of the end
        pump.connect(3, 4);
        pump.settle();
        assert_eq!(state(&pump, 3, &channel, log), WriterState::Forked);
        pump.disconnect();
        let [a, b] = pump.connect(0, 3);
        let mut forks = 0;
        if batched {
            for _ in 0..200 {
                for (from, out, to, into) in [(0, a, 3, b), (3, b, 0, a)] {
                    let mut packet = Vec::new();
                    while let Some(message) = pump.poll(from, out) {
                        packet.push(message);
                    }
                    for message in packet {
                        forks += usize::from(matches!(message, SyncMessage::Fork(_)));
                        pump.handle(to, Input::Receive(into, message));
                    }
                }
            }
        } else {
            pump.run(SOON, |_, m| {
                forks += usize::from(matches!(m, SyncMessage::Fork(_)));
                Carried::As(m)
            });
        }
        if batched {
            assert!(forks < 10);
        }
    }
}

/// An owner tells two neighbours different things about who writes.
// spec: SYNC-39
#[test]
fn two_control_histories_make_nobody_forge() {
    for writers in [1, 2] {
        let (mut pump, channel) = line(3);
        pump.disconnect();
        let now = pump.now;
        let copy = pump.nodes[0].store().clone();
        pump.nodes.push(Sync::open(copy, Rng::from_seed([7; 32])).unwrap());
        let one = request(&mut pump, 1, &channel, Right::Write);
        let two = request(&mut pump, 2, &channel, Right::Write);
        pump.nodes[0].grant(now, &one, None).unwrap();
        pump.nodes[3].grant(now, &two, None).unwrap();
        write(&mut pump, 3, &channel, "x").unwrap();
        pump.connect(0, 1);
        pump.connect(3, 2);
        pump.settle();
        write(&mut pump, 1, &channel, "by one").unwrap();
        if writers == 2 {
            write(&mut pump, 2, &channel, "by two").unwrap();
        }
        pump.settle();
        pump.disconnect();
        pump.connect(1, 2);
        pump.settle();
        assert!([1, 2].iter().all(|node| pump.nodes[*node].channel(&channel).unwrap().forked));
        assert!(pump.faults(1).is_empty() && pump.faults(2).is_empty());
    }
}

/// A restored owner lets the same writer in again, elsewhere in its log.
// spec: SYNC-36
#[test]
fn the_same_grant_in_two_histories_is_nobodys_forgery() {
    let (mut pump, channel) = line(3);
    pump.disconnect();
    let now = pump.now;
    let copy = pump.nodes[0].store().clone();
    pump.nodes.push(Sync::open(copy, Rng::from_seed([7; 32])).unwrap()); // 3 restored
    let link = request(&mut pump, 1, &channel, Right::Write);
    write(&mut pump, 3, &channel, "x").unwrap();
    pump.nodes[3].grant(now, &link, None).unwrap();
    pump.connect(2, 3);
    pump.settle();
    pump.connect(0, 1);
    pump.settle();
    let [to_two, _] = pump.connect(1, 2);
    let mut held = None;
    pump.exchange(|from, m| {
        if let (2, SyncMessage::Items(run)) = (from, &m) {
            held = Some(run.clone());
            return Carried::Lost;
        }
        Carried::As(m)
    });
    pump.nodes[0].grant(now, &link, None).unwrap();
    pump.exchange(|_, m| Carried::As(m));
    pump.handle(1, Input::Receive(to_two, held.unwrap().into()));
    assert!(pump.faults(1).is_empty());
}

/// A frozen channel whose owner takes a new key.
#[test]
fn a_fork_of_the_old_control_log_is_not_said_for_ever() {
    let (mut pump, channel) = line(3);
    let now = pump.now;
    pump.disconnect();
    pump.nodes.push(Sync::open(pump.nodes[0].store().clone(), Rng::from_seed([7; 32])).unwrap());
    write(&mut pump, 0, &channel, "the owner").unwrap();
    write(&mut pump, 3, &channel, "as the owner").unwrap();
    pump.connect(0, 1);
    pump.connect(3, 2);
    pump.settle();
    pump.disconnect();
    // 1 and 2 find out that log 0 is forked; 0 replaces its key before it hears of it.
    pump.connect(1, 2);
    pump.settle();
    pump.disconnect();
    pump.nodes[0].rotate(now, &channel).unwrap();
    let [a, b] = pump.connect(0, 2);
    let mut forks = 0;
    for _ in 0..200 {
        for (from, out, to, into) in [(0, a, 2, b), (2, b, 0, a)] {
            let mut packet = Vec::new();
            while let Some(message) = pump.poll(from, out) {
                packet.push(message);
            }
            for message in packet {
                forks += usize::from(matches!(message, SyncMessage::Fork(_)));
                pump.handle(to, Input::Receive(into, message));
            }
        }
    }
    assert!(forks < 10);
}

/// A writer's home is restored, and its right has ended meanwhile.
#[test]
fn who_has_no_right_any_more_signs_nothing() {
    let (mut pump, channel) = line(3);
    let log = let_in(&mut pump, 2, &channel);
    pump.settle();
    let backup = pump.nodes[2].store().clone();
    write(&mut pump, 2, &channel, "one").unwrap();
    pump.settle();
    let now = pump.now;
    pump.nodes[0].revoke(now, &channel, log).unwrap();
    pump.disconnect();
    pump.nodes[2] = Sync::open(backup, Rng::from_seed([2; 32])).unwrap();
    // It hears the ruling, but not its own item yet.
    pump.connect(0, 2);
    pump.exchange(|_, m| {
        if let SyncMessage::Items(run) = &m {
            if run.log == log {
                return Carried::Lost;
            }
            Carried::As(m)
        } else {
            Carried::As(m)
        }
    });
    assert_eq!(write(&mut pump, 2, &channel, "another one"), Err(Refused::Ended));
}

/// As many writers as there may be.
#[test]
fn a_key_can_be_replaced_whatever_number_of_writers() {
    let (mut pump, channel) = line(1);
    let now = pump.now;
    for seed in 1..limits::LOGS as u8 {
        let mut writer = node(seed);
        writer.follow(now, channel).unwrap();
        let link =
            writer.request_right(now, &channel, (ChannelName::default(), Right::Write)).unwrap();
        if pump.nodes[0].grant(now, &link, None).is_err() {
            break;
        }
    }
    pump.nodes[0].rotate(now, &channel).unwrap();
}

/// At random, one node after the other is opened anew from what its store holds.
#[test]
fn reopened_is_the_same() {
    for seed in 0..100 {
        let mut rng = Rng::from_seed([seed; 32]);
        let (mut pump, channel) = line(5);
        let mut blobs = Vec::new();
        for step in 0..60 {
            let (node, other) = (rng.below(5) as usize, rng.below(5) as usize);
            let owner =
                (0..5).find(|n| pump.nodes[*n].channel(&channel).unwrap().role == Role::Owner);
            let now = pump.now;
            match rng.below(12) {
                0 | 1 if node != other => drop(pump.connect(node, other)),
                2 => pump.disconnect(),
                3 if owner != Some(node) => {
                    let right = if rng.below(3) == 0 { Right::Succeed } else { Right::Write };
                    let link = request(&mut pump, node, &channel, right);
                    owner.map(|owner| pump.nodes[owner].grant(now, &link, None));
                }
                4 => drop(owner.map(|owner| pump.nodes[owner].rotate(now, &channel))),
                5 => {
                    let log = rng.below(6) as u32;
                    owner.map(|o| pump.nodes[o].revoke(now, &channel, log));
                }
                6 => pump.run(SOON, |_, m| match rng.below(3) {
                    0 => Carried::Lost,
                    _ => Carried::As(m),
                }),
                7 => {
                    let bytes = content(&mut rng, 30_000);
                    let blob = adopt(&mut pump.nodes[node], now, &bytes).unwrap();
                    blobs.push(blob);
                    drop(pump.nodes[node].publish(now, &channel, vec![file("f", blob)]));
                }
                8 if !blobs.is_empty() => {
                    let blob = blobs[rng.below(blobs.len() as u64) as usize];
                    drop(pump.nodes[node].publish(now, &channel, vec![file("g", blob)]));
                }
                _ => drop(write(&mut pump, node, &channel, &format!("{step}"))),
            }
            let node = &mut pump.nodes[rng.below(5) as usize];
            node.flush(now).unwrap();
            check_reopened(node, &channel, &format!("seed {seed} step {step}"));
        }
    }
}

/// A node is the same when it is opened again, and its sums are those of its items.
fn check_reopened(node: &Node, channel: &ChannelId, when: &str) {
    let again = Sync::open(node.store().clone(), Rng::from_seed([1; 32])).unwrap();
    let was = ChannelStatus { catching_up: false, ..node.channel(channel).unwrap() };
    assert_eq!(Some(&was), again.channel(channel).as_ref(), "{when}");
    assert_eq!(node.writers(channel), again.writers(channel));
    let items = again.items(channel, 0..u64::MAX).unwrap();
    assert_eq!(node.items(channel, 0..u64::MAX).unwrap(), items);
    let is_content =
        |item: &&ItemStatus| matches!(item.header.kind, ItemKind::Text | ItemKind::File);
    let is_large = |item: &&ItemStatus| item.header.size > limits::INLINE_BYTES as u64;
    let is_here = |item: &&ItemStatus| item.state == ItemState::Here;
    let bytes = |items: &mut dyn Iterator<Item = &ItemStatus>| -> u64 {
        items.map(|item| item.header.size).sum()
    };
    let sums = (
        items.iter().filter(is_content).count() as u64,
        items.iter().filter(is_large).count() as u64,
        items.iter().filter(is_large).filter(is_here).count() as u64,
        bytes(&mut items.iter()),
        bytes(&mut items.iter().filter(is_here)),
    );
    let said = (was.contents, was.blobs_known, was.blobs_here, was.bytes, was.bytes_here);
    assert_eq!(sums, said, "{when}");
}

/// A neighbour asks for groups of a blob that is void by then.
#[test]
fn nobody_waits_for_groups_of_what_is_void() {
    // a neighbour that was told of pages of a void blob is told that they are gone
    let (mut pump, channel) = line(3);
    let log = let_in(&mut pump, 2, &channel);
    pump.settle();
    pump.disconnect();
    let now = pump.now;
    pump.nodes[0].revoke(now, &channel, log).unwrap();
    let mut rng = Rng::from_seed([3; 32]);
    let bytes = content(&mut rng, 60_000);
    let blob = adopt(&mut pump.nodes[2], now, &bytes).unwrap();
    pump.nodes[2].publish(now, &channel, vec![file("film", blob)]).unwrap();
    pump.connect(1, 2);
    pump.settle();
    assert_eq!(pump.nodes[1].channel(&channel).unwrap().blobs_here, 1);
    // a fourth follows 1 and asks for it; 1 is cut first
    pump.nodes.push(node(9));
    pump.nodes[3].follow(now, channel).unwrap();
    pump.connect(1, 3);
    let mut n = 0;
    pump.exchange(|_, m| {
        if matches!(m, SyncMessage::GroupsWant(_)) {
            n += 1;
            return Carried::Stop;
        }
        Carried::As(m)
    });
    assert_eq!(n, 1);
    pump.connect(0, 1);
    let mut wants = 0;
    pump.run(10 * SOON, |_, m| {
        wants += usize::from(matches!(m, SyncMessage::GroupsWant(_)));
        Carried::As(m)
    });
}

/// Somebody has copied the owner's home, with a key in it that was asked for and never used.
// spec: SYNC-37
#[test]
fn a_new_key_is_new() {
    let (mut pump, channel) = line(2);
    request(&mut pump, 0, &channel, Right::Write);
    let thief = Sync::open(pump.nodes[0].store().clone(), Rng::from_seed([7; 32])).unwrap();
    let now = pump.now;
    pump.nodes[0].rotate(now, &channel).unwrap();
    pump.settle();
    pump.nodes.push(thief);
    pump.connect(1, 2);
    pump.settle();
    assert_eq!(pump.nodes[2].channel(&channel).unwrap().role, Role::Follower);
}

/// After the key was replaced, the newest items stand in another log.
// spec: SYNC-14
#[test]
fn after_a_rotation_the_newest_items_are_offered() {
    let (mut pump, channel) = line(2);
    let now = pump.now;
    pump.nodes[0].rotate(now, &channel).unwrap();
    pump.settle();
    pump.disconnect();
    write(&mut pump, 0, &channel, "news").unwrap();
    let [a, b] = pump.connect(0, 1);
    pump.nodes[0].met(a, channel);
    pump.nodes[1].met(b, channel);
    let mut logs = Vec::new();
    pump.exchange(|from, m| {
        if let (0, SyncMessage::Items(run)) = (from, &m) {
            logs.push((run.log, run.first));
        }
        Carried::As(m)
    });
    assert_eq!(logs[0].0, 1);
}
