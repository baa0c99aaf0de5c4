//! What it costs two strangers to find out what both follow: the time of each end, and bytes.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use mesh_sync::{MemoryStore, Sync};
use mesh_wire::codec::Wire;
use mesh_wire::{
    Carrier, ChannelId, Input, Link, LinkId, Machine, Now, PeerId, Rng, Role, Secured, Time, limits,
};

const LINK: LinkId = LinkId(1);

fn node(seed: u8, channels: impl Iterator<Item = u32>) -> Sync<MemoryStore> {
    let mut sync = Sync::open(MemoryStore::default(), Rng::from_seed([seed; 32])).expect("a store");
    for number in channels {
        let id = ChannelId(*blake3::hash(&number.to_be_bytes()).as_bytes());
        sync.follow(Now::default(), id).expect("followed");
    }
    sync
}

/// Links them and lets them say what they have to say: what each end took, and said.
fn meet(nodes: &mut [Sync<MemoryStore>; 2], now: Now) -> ([Duration; 2], [usize; 2]) {
    let (mut took, mut said) = ([Duration::ZERO; 2], [0; 2]);
    let secured = Secured { peer: PeerId([0; 32]), binding: [7; 32] };
    for (index, role) in [Role::Initiator, Role::Responder].into_iter().enumerate() {
        let carrier = Carrier::Stream;
        let link = Link { role, carrier, largest_frame: 1 << 16, secured: Some(secured) };
        let start = Instant::now();
        nodes[index].handle(now, Input::LinkUp(LINK, link));
        took[index] += start.elapsed();
    }
    let mut quiet = 0;
    for from in [0, 1].into_iter().cycle() {
        let start = Instant::now();
        let message = nodes[from].poll_send(now, LINK, limits::RECORD_BYTES);
        took[from] += start.elapsed();
        let Some(message) = message else {
            quiet += 1;
            if quiet == 2 {
                break;
            }
            continue;
        };
        (quiet, said[from]) = (0, said[from] + message.size());
        let start = Instant::now();
        nodes[1 - from].handle(now, Input::Receive(LINK, message));
        took[1 - from] += start.elapsed();
    }
    for node in nodes {
        node.handle(now, Input::LinkDown(LINK));
    }
    (took, said)
}

fn strangers(c: &mut Criterion) {
    for count in [4, 16, 64] {
        let mut nodes = [node(1, 0..count), node(2, count / 2..count + count / 2)];
        let (mut least, mut said) = ([Duration::MAX; 2], [0; 2]);
        // An hour later, all guesses are back.
        let mut hours = 0;
        c.bench_function(&format!("matching/both ends, {count} channels each"), |bench| {
            bench.iter(|| {
                hours += 1;
                let now = Now { time: Time(hours * 3_600_000_000), ..Now::default() };
                let (took, bytes) = meet(black_box(&mut nodes), now);
                least = [least[0].min(took[0]), least[1].min(took[1])];
                said = bytes;
            });
        });
        println!(
            "  {count} channels: initiator {:?}, {} B; responder {:?}, {} B",
            least[0], said[0], least[1], said[1]
        );
    }
}

criterion_group!(benches, strangers);
criterion_main!(benches);
