//! Sync is a machine and keeps the laws of machines.

use std::time::Duration;

use mesh_sim::{Quality, Subject};
use mesh_sync::{Files, MemoryStore, Policy, Sync};
use mesh_wire::{Label, Now, Rng, UnixTime};

use crate::world::{Node, adopt, content, file, texts};

/// What all links together may make a node hold, in these lives.
const WEIGHT: usize = 4 * (256 << 10);

/// One thing that an owner may do.
fn command(sync: &mut Node, now: Now, rng: &mut Rng) {
    let channels = sync.channels();
    let drawn = channels.get(rng.below(channels.len() as u64) as usize).map(|channel| channel.id);
    match (rng.below(10), drawn) {
        (0, _) if channels.len() < 5 => {
            let _ = sync.create_channel(now, &Label::new("one").unwrap());
        }
        (1, Some(channel)) => {
            let _ = sync.publish(now, &channel, texts(rng.below(30) as usize));
        }
        (2, Some(channel)) => {
            let size = 17_000 + rng.below(400_000) as usize;
            let bytes = content(&mut Rng::from_seed([rng.below(4) as u8; 32]), size);
            let blob = adopt(sync, now, &bytes).unwrap();
            let _ = sync.publish(now, &channel, vec![file("file", blob)]);
        }
        (3, _) => {
            // What node 0 creates first, whoever this is.
            let shared = shared();
            let _ = sync.follow(now, shared[rng.below(2) as usize]);
        }
        (4, Some(channel)) if rng.below(4) == 0 => {
            let _ = sync.unfollow(now, &channel);
        }
        (5, Some(channel)) => {
            let keep = Some(100_000 * rng.below(10)).filter(|keep| *keep > 0);
            let files = if rng.below(4) == 0 { Files::Wanted } else { Files::All };
            sync.set_policy(now, &channel, Policy { files, largest: None, keep }).unwrap();
        }
        (6, Some(channel)) if rng.below(2) == 0 => {
            let _ = sync.pin(now, &channel, rng.below(20));
        }
        (6, _) => {
            let total = Some(100_000 * rng.below(20)).filter(|total| *total > 0);
            sync.set_budget(now, total).unwrap();
        }
        (7, Some(channel)) => {
            let mut items = texts(rng.below(5) as usize);
            let expires = Some(UnixTime(now.unix.0 + rng.below(60_000)));
            items.iter_mut().for_each(|item| item.expires = expires);
            let _ = sync.publish(now, &channel, items);
        }
        (8, Some(channel)) => {
            let numbers = [(); 3].map(|()| rng.below(40));
            let _ = sync.retract(now, &channel, &numbers);
        }
        (9, Some(channel)) => {
            let within = Some(Duration::from_hours(1)).filter(|_| rng.below(3) > 0);
            let _ = sync.promise(now, &channel, within);
        }
        (_, _) => {}
    }
}

/// A channel and a board.
fn shared() -> [mesh_wire::ChannelId; 2] {
    let mut origin = Sync::open(MemoryStore::default(), Rng::from_seed([9; 32])).unwrap();
    found(&mut origin)
}

fn found(origin: &mut Node) -> [mesh_wire::ChannelId; 2] {
    let [news, green] = ["shared", "green"].map(|name| Label::new(name).unwrap());
    let news = origin.create_channel(Now::default(), &news).unwrap();
    [news, origin.create_board(Now::default(), &green).unwrap()]
}

/// A node; the first one owns the channel that all may follow, and the board on which all write.
fn node(index: usize, rng: Rng) -> Node {
    let rng = if index == 0 { Rng::from_seed([9; 32]) } else { rng };
    let mut sync = Sync::open(MemoryStore::default(), rng).unwrap();
    if index == 0 {
        found(&mut sync);
    }
    sync
}

#[test]
fn sync_keeps_the_ten_laws_on_streams() {
    mesh_sim::laws::check("sync", &Subject::new(node, WEIGHT).commands(command));
}

#[test]
fn sync_keeps_the_ten_laws_on_datagrams() {
    let subject = Subject::new(node, WEIGHT).commands(command).over(Quality::DATAGRAM);
    mesh_sim::laws::check("sync", &subject);
}
