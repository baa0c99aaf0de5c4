//! What sealing and opening cost beside the bare cipher: `cargo bench -p mesh-wire`.
//!
//! Absolute figures drift from machine to machine, so the ratios to the bare cipher of the same
//! run are printed at the end.

use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, Nonce};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mesh_wire::codec::Extensions;
use mesh_wire::handshake::{Config, Handshake, Introduction, Pseudonym, Versions};
use mesh_wire::session::Session;
use mesh_wire::{Carrier, Rng, Time, limits, seal};

const SIZES: [usize; 3] = [64, 1200, limits::GROUP_BYTES];
const NOW: Time = Time(0);

/// The two ends of a fresh session.
fn sessions(carrier: Carrier) -> (Session, Session) {
    let mut rng = Rng::from_seed([1; 32]);
    let mut config = || Config {
        carrier,
        network: [0; 32],
        versions: Versions::new(&[1]),
        pseudonym: Pseudonym::generate(&mut rng),
        introduction: Introduction { extensions: Extensions::default() },
        cipher: seal::chacha20poly1305,
        resend: mesh_wire::limits::HANDSHAKE_RESEND,
        patience: mesh_wire::limits::HANDSHAKE_TIME,
    };
    let (one, two) = (config(), config());
    let mut a = Handshake::initiate(NOW, one, &mut rng);
    let mut b = Handshake::respond(NOW, two, &mut rng);
    b.receive(NOW, &a.poll_send(NOW).expect("a hello")).expect("taken");
    let at_a = a.receive(NOW, &b.poll_send(NOW).expect("an answer")).expect("taken");
    let at_b = b.receive(NOW, &a.poll_send(NOW).expect("a finish")).expect("taken");
    (at_a.expect("a session").session, at_b.expect("a session").session)
}

/// The cipher alone, in place.
fn bare(size: usize, times: u64) -> Duration {
    let cipher = ChaCha20Poly1305::new(&[1; 32].into());
    let mut bytes = vec![0; size];
    let start = Instant::now();
    for number in 0..times {
        let mut nonce = Nonce::default();
        nonce[4..].copy_from_slice(&number.to_le_bytes());
        let tag = cipher.encrypt_inout_detached(&nonce, &[], bytes.as_mut_slice().into());
        std::hint::black_box(tag.expect("it seals"));
    }
    start.elapsed()
}

/// A record sealed in a buffer that is used again and again.
fn sealing(size: usize, times: u64) -> Duration {
    let (mut session, _) = sessions(Carrier::Stream);
    let mut record = Vec::with_capacity(size + 64);
    record.resize(session.header_bytes() + size, 0);
    let start = Instant::now();
    for _ in 0..times {
        record.truncate(session.header_bytes() + size);
        session.seal(NOW, &mut record).expect("it seals");
    }
    start.elapsed()
}

/// Records opened in place, made in batches beside the clock.
fn opening(size: usize, times: u64) -> Duration {
    let (mut from, mut to) = sessions(Carrier::Stream);
    let (mut left, mut spent) = (times, Duration::ZERO);
    let mut record = Vec::with_capacity(size + 64);
    while left > 0 {
        let batch = left.min(64);
        let mut buffer = BytesMut::with_capacity(64 * (size + 64));
        let records: Vec<BytesMut> = (0..batch)
            .map(|_| {
                record.clear();
                record.resize(from.header_bytes() + size, 0);
                from.seal(NOW, &mut record).expect("it seals");
                buffer.put_slice(&record);
                buffer.split()
            })
            .collect();
        let start = Instant::now();
        for record in records {
            std::hint::black_box(to.open(record).expect("it opens"));
        }
        spent += start.elapsed();
        left -= batch;
    }
    spent
}

type Subject = (&'static str, fn(usize, u64) -> Duration);
const SUBJECTS: [Subject; 3] = [("bare", bare), ("seal", sealing), ("open", opening)];

fn figures(criterion: &mut Criterion) {
    for size in SIZES {
        let mut group = criterion.benchmark_group(format!("{size} B"));
        group.throughput(Throughput::Bytes(size as u64));
        group.sample_size(20).measurement_time(Duration::from_millis(500));
        group.warm_up_time(Duration::from_millis(100));
        for (name, subject) in SUBJECTS {
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|times| subject(size, times));
            });
        }
        group.finish();
    }
}

/// Rounds in turn, so that a change of the machine's speed meets all three alike; medians.
fn ratios(_: &mut Criterion) {
    println!("\ntime of the bare cipher = 1      seal      open");
    for size in SIZES {
        let times = (8 << 20) / size as u64;
        let mut rounds: [Vec<Duration>; 3] = Default::default();
        for _ in 0..9 {
            for (round, (_, subject)) in rounds.iter_mut().zip(SUBJECTS) {
                round.push(subject(size, times));
            }
        }
        let [bare, seal, open] = rounds.map(|mut round| {
            round.sort_unstable();
            round[round.len() / 2].as_secs_f64()
        });
        println!("{size:>8} B                   {:>9.3} {:>9.3}", seal / bare, open / bare);
    }
}

criterion_group!(benches, figures, ratios);
criterion_main!(benches);
