//! What is gone comes back from nobody, and what is left out of what neighbours give comes from
//! others: a crowd of nodes, some of which lie, crash or were away, agrees in the end.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_sync::{ItemState, StoreError, Sync};
use mesh_wire::codec::{List, Opaque};
use mesh_wire::message::SyncMessage;
use mesh_wire::message::sync::{Item, Items};
use mesh_wire::{ChannelId, Input, Label, LinkId, Rng, UnixTime, limits};

use crate::authority::{let_in, line, node, write};
use crate::disk::Disk;
use crate::gone::{column, expiring, in_a, keeps, number, publish, reopen, retract, states};
use crate::pump::{Carried, Pump};
use crate::world::*;

use ItemState::{Expired, Here, Known, Retracted};

/// The runs that node 0 sends while nothing else of it arrives, and the link they go to at node 1.
fn overheard(pump: &mut Pump) -> (LinkId, Vec<Items>) {
    let [_, link] = pump.connect(0, 1);
    let mut runs = Vec::new();
    pump.run(SOON, |from, message| {
        if let (0, SyncMessage::Items(run)) = (from, &message) {
            runs.push(run.clone());
        }
        Carried::As(message)
    });
    (link, runs)
}

/// A neighbour that has heard of nothing, or pretends to, gives what was retracted: it is taken
/// nowhere, be the retraction in the log itself or in that of the owner.
// spec: SYNC-44, SYNC-46
#[test]
fn what_is_gone_is_not_taken_from_whoever_has_it() {
    let (mut pump, channel) = line(3);
    let_in(&mut pump, 2, &channel);
    pump.settle();
    write(&mut pump, 2, &channel, "a secret").unwrap();
    write(&mut pump, 0, &channel, "a slip").unwrap();
    pump.settle();
    // Node 2 hears nothing from now on, and keeps all.
    pump.disconnect();
    let gone = ["a secret", "a slip"].map(|words| number(&pump, 0, &channel, words));
    retract(&mut pump, 0, &channel, &gone).unwrap();
    // A fresh follower has the owner's log first, and then meets node 2.
    let now = pump.now;
    pump.nodes.swap(0, 1);
    pump.nodes.push(node(9));
    pump.nodes.swap(1, 3);
    pump.nodes[1].follow(now, channel).unwrap();
    pump.connect(3, 1);
    pump.run(SOON, |_, message| match &message {
        SyncMessage::Items(run) if run.log > 0 => Carried::Lost,
        _ => Carried::As(message),
    });
    pump.disconnect();
    pump.nodes.swap(0, 2);
    let (link, runs) = overheard(&mut pump);
    let secret = runs.iter().flat_map(|run| run.items.iter());
    let secret = secret.filter(|item| item.body.bytes().as_ref() == b"a secret");
    assert_eq!(secret.count(), 1, "it was given");
    let check = |pump: &Pump| {
        assert!(!keeps(pump.nodes[1].store(), "a secret"));
        assert!(!keeps(pump.nodes[1].store(), "a slip"));
        assert_eq!(column(pump, 1, &channel).iter().filter(|s| **s == Retracted).count(), 2);
        assert_eq!(pump.faults(1), Vec::<String>::new());
    };
    check(&pump);
    // Node 2 has heard meanwhile, and lost it as well.
    assert_eq!(states(&pump, 0, &channel), states(&pump, 1, &channel));
    // Said again, and after a restart: nothing comes of it.
    let before = pump.nodes[1].store().clone();
    for run in &runs {
        pump.handle(1, Input::Receive(link, run.clone().into()));
    }
    assert!(*pump.nodes[1].store() == before);
    reopen(&mut pump, 1);
    check(&pump);
}

/// A run without the content of some of its texts.
fn without_content(mut run: Items, is_left_out: impl Fn(&[u8]) -> bool) -> Items {
    let strip = |item: Item| match item.header.bytes().first() {
        Some(1) if is_left_out(item.body.bytes()) => Item { body: Opaque::default(), ..item },
        _ => item,
    };
    run.items = List::new(&run.items.iter().map(strip).collect::<Vec<_>>());
    run
}

/// A neighbour leaves out content that is not gone. It is asked for a bounded number of times, all
/// that stands behind comes at once, and anybody else who has it gives it, to all who lack it.
// spec: SYNC-20, SYNC-45
#[test]
fn s_04_content_that_is_left_out_delays_nothing_and_comes_from_others() {
    for is_restarted in [false, true] {
        let (mut pump, channel) = line(2);
        publish(&mut pump, 0, &channel, texts(300));
        pump.settle();
        pump.disconnect();
        let now = pump.now;
        for _ in 2..4 {
            let seed = pump.nodes.len() as u8;
            pump.nodes.push(node(seed));
            pump.nodes[seed as usize].follow(now, channel).unwrap();
        }
        pump.connect(1, 2);
        pump.connect(2, 3);
        let mut wants = 0;
        let mut lie = |from: usize, message: SyncMessage| {
            wants += usize::from(from == 2 && matches!(message, SyncMessage::Want(_)));
            match message {
                SyncMessage::Items(run) if from == 1 => {
                    Carried::As(without_content(run, |_| true).into())
                }
                message => Carried::As(message),
            }
        };
        pump.exchange(&mut lie);
        for node in 2..4 {
            let status = pump.nodes[node].channel(&channel).unwrap();
            assert_eq!(status.contents, 302, "nothing waits for what is left out");
            assert_eq!(column(&pump, node, &channel), [Known; 302]);
            assert!(status.bytes_here < status.bytes && !status.catching_up);
        }
        pump.run(60 * SOON, &mut lie);
        assert!(wants <= 2 * limits::UNANSWERED as usize, "{wants} requests");
        if is_restarted {
            pump.disconnect();
            reopen(&mut pump, 2);
            pump.connect(2, 3);
            pump.settle();
            assert_eq!(column(&pump, 2, &channel), [Known; 302]);
        }
        // Whoever has it is asked at once, and the others hear that it is to be had.
        pump.connect(0, 2);
        pump.run(Duration::from_secs(1), |_, message| Carried::As(message));
        for node in 2..4 {
            assert_eq!(column(&pump, node, &channel), [Here; 302], "node {node}");
            let [here, there] = [0, node].map(|node| pump.nodes[node].channel(&channel).unwrap());
            assert_eq!((here.bytes_here, here.bytes), (there.bytes_here, there.bytes));
            assert_eq!(pump.faults(node), Vec::<String>::new());
        }
    }
}

/// A writer signs items whose content is nothing that hashes to what it says: nobody can ever have
/// it, and with each word of a neighbour no more than a few requests go out for it.
// spec: SYNC-45
#[test]
fn s_04_content_that_nobody_has_is_asked_for_a_bounded_number_of_times() {
    let (mut pump, channel) = line(2);
    publish(&mut pump, 0, &channel, texts(2000));
    let mut wants = 0;
    // Of every two neighbours one, so that each takes a request of its own.
    let is_odd = |body: &[u8]| body.last().is_some_and(|digit| digit % 2 == 1);
    let mut lie = |from: usize, message: SyncMessage| {
        wants += usize::from(from == 1 && matches!(message, SyncMessage::Want(_)));
        match message {
            SyncMessage::Items(run) => Carried::As(without_content(run, is_odd).into()),
            message => Carried::As(message),
        }
    };
    pump.run(60 * SOON, &mut lie);
    for number in 0..20 {
        publish(&mut pump, 0, &channel, vec![text(&format!("more {number}"))]);
        pump.run(60 * SOON, &mut lie);
    }
    assert!(wants <= 12 * limits::UNANSWERED as usize, "{wants} requests");
    assert_eq!(pump.nodes[1].channel(&channel).unwrap().contents, 2022);
    // Whoever tells the truth when they meet again is believed, however much it is.
    pump.disconnect();
    pump.connect(0, 1);
    pump.settle();
    assert!(column(&pump, 1, &channel).iter().all(|state| *state == Here));
}

/// A log whose content is nearly all gone comes level like any other, in one go.
// spec: SYNC-45
#[test]
fn a_fresh_follower_gets_a_log_of_which_most_is_gone() {
    let (mut pump, channel) = line(1);
    let soon = in_a(&pump, 10);
    publish(&mut pump, 0, &channel, texts(1000));
    let brief = (0..1000).map(|number| expiring(text(&format!("brief {number}")), soon));
    publish(&mut pump, 0, &channel, brief.collect());
    let all: Vec<u64> = (1..1003).collect();
    retract(&mut pump, 0, &channel, &all).unwrap();
    publish(&mut pump, 0, &channel, vec![text("the last word")]);
    pump.run(SOON, |_, message| Carried::As(message));
    let now = pump.now;
    pump.nodes.push(node(7));
    pump.nodes[1].follow(now, channel).unwrap();
    pump.connect(0, 1);
    let mut wants = 0;
    pump.exchange(|from, message| {
        wants += usize::from(from == 1 && matches!(message, SyncMessage::Want(_)));
        Carried::As(message)
    });
    assert!(wants < 8, "{wants} requests");
    assert_eq!(column(&pump, 1, &channel), column(&pump, 0, &channel));
    let count = |state| column(&pump, 1, &channel).iter().filter(|it| **it == state).count();
    assert_eq!((count(Retracted), count(Expired), count(Here)), (1002, 1000, 1));
    let [here, there] = [0, 1].map(|node| pump.nodes[node].channel(&channel).unwrap());
    assert_eq!((here.bytes, here.bytes_here), (there.bytes, there.bytes_here));
}

/// Who retracts after its right has ended has said nothing: what some have dropped comes back from
/// those who have it.
// spec: SYNC-44
#[test]
fn what_a_void_retraction_took_comes_back() {
    let (mut pump, channel) = line(3);
    let log = let_in(&mut pump, 1, &channel);
    pump.settle();
    let now = pump.now;
    let bytes = content(&mut Rng::from_seed([1; 32]), 100_000);
    let blob = adopt(&mut pump.nodes[1], now, &bytes).unwrap();
    publish(&mut pump, 1, &channel, vec![text("stands"), file("large", blob)]);
    pump.settle();
    // The writer and node 2 are among themselves.
    pump.disconnect();
    pump.connect(1, 2);
    let mine = number(&pump, 1, &channel, "stands");
    retract(&mut pump, 1, &channel, &[mine, mine + 1]).unwrap();
    write(&mut pump, 1, &channel, "too late").unwrap();
    pump.settle();
    for node in [1, 2] {
        assert_eq!(column(&pump, node, &channel)[2..4], [Retracted; 2], "node {node}");
    }
    pump.nodes[0].revoke(now, &channel, log).unwrap();
    pump.connect(0, 1);
    pump.run(SOON, |_, message| Carried::As(message));
    for node in 0..3 {
        let states = states(&pump, node, &channel);
        assert_eq!(states.values().copied().collect::<Vec<_>>(), [Here; 4], "node {node}");
        assert_eq!(pump.faults(node), Vec::<String>::new());
        assert!(pump.nodes[node].blob(&blob).unwrap().is_complete());
    }
}

/// People come and go, write, retract and let things expire; in the end all agree on what is gone,
/// everything else is whole, and no byte of what is gone is anywhere.
// spec: SYNC-43, SYNC-44, SYNC-45, SYNC-46
#[test]
fn s_04_all_agree_what_is_gone_whoever_was_away() {
    for seed in 0..200 {
        let mut rng = Rng::from_seed([seed; 32]);
        let (mut pump, channel) = line(5);
        for writer in 1..3 {
            let_in(&mut pump, writer, &channel);
        }
        pump.settle();
        pump.disconnect();
        let mut written = Vec::new();
        for step in 0..60 {
            let (node, other) = (rng.below(5) as usize, rng.below(5) as usize);
            let writer = node % 3;
            match rng.below(10) {
                0 | 1 if node != other => drop(pump.connect(node, other).map(|link| link.0)),
                2 => pump.disconnect(),
                3 => reopen_alone(&mut pump, node),
                4 => pump.run(SOON, |_, message| match rng.below(3) {
                    0 => Carried::Lost,
                    _ => Carried::As(message),
                }),
                5 | 6 => {
                    let items = pump.nodes[writer].items(&channel, 0..u64::MAX).unwrap();
                    let item = &items[rng.below(items.len() as u64) as usize];
                    // Not all of them are its own.
                    let _ = retract(&mut pump, writer, &channel, &[item.number]);
                }
                7 => {
                    let bytes = content(&mut Rng::from_seed([rng.below(4) as u8; 32]), 70_000);
                    let now = pump.now;
                    let blob = adopt(&mut pump.nodes[writer], now, &bytes).unwrap();
                    let at = in_a(&pump, rng.below(600));
                    let items = vec![file("f", blob), expiring(file("e", blob), at)];
                    publish(&mut pump, writer, &channel, items);
                }
                _ => {
                    let words = format!("words {step} of {writer}");
                    let at = in_a(&pump, rng.below(600));
                    let brief = expiring(text(&format!("{words}, briefly")), at);
                    publish(&mut pump, writer, &channel, vec![text(&words), brief]);
                    written.extend([format!("{words}, briefly"), words]);
                }
            }
        }
        pump.disconnect();
        for node in 0..4 {
            pump.connect(node, node + 1);
        }
        pump.run(20 * SOON, |_, message| Carried::As(message));
        let all = states(&pump, 0, &channel);
        assert!(all.values().all(|state| [Here, Retracted, Expired].contains(state)), "{all:?}");
        for node in 0..5 {
            assert_eq!(pump.faults(node), Vec::<String>::new(), "seed {seed}, node {node}");
            assert_eq!(lost(&pump, node, &channel), lost(&pump, 0, &channel), "seed {seed}");
            let sums = [0, node].map(|node| pump.nodes[node].channel(&channel).unwrap());
            let sums = sums.map(|it| (it.contents, it.blobs_known, it.blobs_here, it.bytes));
            assert_eq!(sums[0], sums[1], "seed {seed}, node {node}");
            let status = pump.nodes[node].channel(&channel).unwrap();
            assert_eq!(status.bytes, status.bytes_here, "seed {seed}, node {node}");
            for words in &written {
                let hash = mesh_wire::Hash(*blake3::hash(words.as_bytes()).as_bytes());
                let here = all.iter().any(|((_, it), at)| *it == hash.to_string() && *at == Here);
                assert_eq!(keeps(pump.nodes[node].store(), words), here, "seed {seed}: {words}");
            }
        }
    }
}

/// A node that was off for a moment.
fn reopen_alone(pump: &mut Pump, node: usize) {
    pump.disconnect();
    reopen(pump, node);
}

/// What is gone at a node: whether it expired first or was retracted depends on the order in which
/// a node has heard.
fn lost(pump: &Pump, node: usize, channel: &ChannelId) -> BTreeMap<(String, String), bool> {
    let states = states(pump, node, channel).into_iter();
    states.map(|(item, state)| (item, state != Here)).collect()
}

/// The disk fails at any moment while things are retracted and expire: what it says is gone is
/// gone, and what is said to be here is whole.
// spec: SYNC-46
#[test]
fn k_02_a_crash_brings_back_nothing_that_was_known_to_be_gone() {
    for after in (0..160).step_by(5) {
        let disks = [Disk::default(), Disk::default()];
        let open = |disk: &Disk| Sync::open(disk.clone(), Rng::from_seed([5; 32])).unwrap();
        let mut pump = Pump::new(disks.iter().map(open).collect());
        let now = pump.now;
        let channel = pump.nodes[0].create_channel(now, &Label::new("news").unwrap()).unwrap();
        pump.nodes[1].follow(now, channel).unwrap();
        let soon = UnixTime(now.unix.0 + 20_000);
        let brief = (0..10).map(|number| expiring(text(&format!("brief {number}")), soon));
        let items = texts(10).into_iter().chain(brief).collect();
        pump.nodes[0].publish(now, &channel, items).unwrap();
        pump.connect(0, 1);
        pump.settle();
        let failing = &disks[1];
        failing.fail(Some(StoreError::Failed("EIO".into())), after);
        let mut now = pump.now;
        pump.nodes[0].retract(now, &channel, &[2, 4, 6]).unwrap();
        pump.settle();
        // Whatever has survived, it is no lie.
        let image = failing.committed();
        now = pump.now;
        let mut again =
            Pump::new(vec![Sync::open(image.clone(), Rng::from_seed([6; 32])).unwrap()]);
        again.now = now;
        again.handle(0, Input::Tick);
        let gone = column(&again, 0, &channel).iter().filter(|it| **it == Retracted).count();
        assert!([0, 3].contains(&gone), "after {after}: {gone}");
        assert_eq!(keeps(&image, "item 3"), gone == 0, "after {after}");
        pump.now.unix = soon;
        pump.run(SOON, |_, message| Carried::As(message));
        failing.fail(None, 0);
        pump.run(4 * SOON, |_, message| Carried::As(message));
        assert_eq!(column(&pump, 1, &channel), column(&pump, 0, &channel), "after {after}");
        assert!(!keeps(&failing.committed(), "item 3") && !keeps(&failing.committed(), "brief"));
        assert!(keeps(&failing.committed(), "item 4"));
        assert_eq!(pump.faults(0).len() + pump.faults(1).len(), 0);
    }
}
