//! What it costs two peers to find out in what their sets differ: bytes and flights, which are
//! counts, and time, beside negentropy and a classic walk through Merkle trees.
//!
//! `cargo bench -p mesh-sync --bench reconcile` prints the table.

mod classic;
mod ours;
mod range_based;
mod sets;

use std::time::{Duration, Instant};

use sets::{Spread, pair};

/// What one way of reconciling took.
pub(crate) struct Cost {
    /// On the wire, both ways, until each side knows what to send.
    pub(crate) bytes: usize,
    /// Turns, one way each.
    pub(crate) flights: usize,
    /// Differences found.
    pub(crate) found: usize,
    /// Both ends together, without building trees.
    pub(crate) time: Duration,
}

/// Runs `body` and says how long it took.
pub(crate) fn timed<T>(body: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = body();
    (value, start.elapsed())
}

/// A way to reconcile.
type Method = fn(&[sets::Item], &[sets::Item]) -> Cost;
const METHODS: [(&str, Method); 3] =
    [("ours", ours::run), ("negentropy", range_based::run), ("classic walk", classic::run)];

fn main() {
    println!("Bytes and flights where the initiator has what is missing / lacks it.\n");
    println!("| items | differ | spread | method | bytes | flights | B/diff | ms |");
    println!("|---|---|---|---|---|---|---|---|");
    for items in [10_000, 100_000, 1_000_000] {
        for differ in [1, 100, 10_000].into_iter().filter(|differ| 2 * differ <= items) {
            for spread in Spread::ALL {
                let (a, b) = pair(items, differ, spread);
                for (name, run) in METHODS {
                    row((items, differ, spread), name, &[run(&a, &b), run(&b, &a)]);
                }
            }
        }
    }
    println!();
    ours::trees();
}

fn row((items, differ, spread): (usize, usize, Spread), name: &str, both: &[Cost; 2]) {
    let [has, lacks] = both;
    assert!(both.iter().all(|cost| cost.found == differ), "{name} missed something");
    let worst = has.bytes.max(lacks.bytes) as f64 / differ as f64;
    let ms = (has.time + lacks.time).as_secs_f64() * 500.0;
    println!(
        "| {items} | {differ} | {spread:?} | {name} | {} / {} | {} / {} | {worst:.1} | {ms:.2} |",
        has.bytes, lacks.bytes, has.flights, lacks.flights,
    );
}
