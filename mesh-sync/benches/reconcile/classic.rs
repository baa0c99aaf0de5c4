//! A classic walk: both keep a Merkle tree by time, 16 ways, and take turns in saying the whole
//! hashes below each place that differs, or the whole ids where there are few.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::time::Duration;

use crate::sets::Item;
use crate::{Cost, timed};

/// Items of a leaf.
const LEAF: usize = 32;
const HASH_BYTES: usize = 32;

/// The nibbles that an item's key begins with, and then its id's.
fn nibble((time, id): &Item, depth: usize) -> u8 {
    match depth {
        0..12 => (time >> (44 - 4 * depth) & 15) as u8,
        _ => id[(depth - 12) / 2] >> (4 * ((depth + 1) % 2)) & 15,
    }
}

/// One side: its items, and the hashes of its branches.
struct Side<'a> {
    items: &'a [Item],
    branches: HashMap<(usize, usize, usize), [u8; 32]>,
}

impl<'a> Side<'a> {
    fn new(items: &'a [Item]) -> Self {
        let mut side = Self { items, branches: HashMap::new() };
        side.build(0..items.len(), 0);
        side
    }

    /// The items below each nibble.
    fn children(&self, below: &Range<usize>, depth: usize) -> [Range<usize>; 16] {
        let mut at = below.start;
        std::array::from_fn(|child| {
            let start = at;
            let rest = &self.items[start..below.end];
            at += rest.partition_point(|item| nibble(item, depth) <= child as u8);
            start..at
        })
    }

    fn build(&mut self, below: Range<usize>, depth: usize) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        if below.len() <= LEAF {
            self.items[below].iter().for_each(|(_, id)| {
                hasher.update(id);
            });
            return *hasher.finalize().as_bytes();
        }
        for child in self.children(&below, depth) {
            hasher.update(&self.build(child, depth + 1));
        }
        let hash = *hasher.finalize().as_bytes();
        self.branches.insert((below.start, below.end, depth), hash);
        hash
    }

    fn hash(&self, below: &Range<usize>, depth: usize) -> [u8; 32] {
        if let Some(hash) = self.branches.get(&(below.start, below.end, depth)) {
            return *hash;
        }
        let mut hasher = blake3::Hasher::new();
        self.items[below.clone()].iter().for_each(|(_, id)| {
            hasher.update(id);
        });
        *hasher.finalize().as_bytes()
    }
}

/// A place that differs: its depth, and what is below it at the sender and at the receiver.
type Place = (usize, Range<usize>, Range<usize>);

/// Until each side has seen the ids of the other wherever they differ.
pub(crate) fn run(a: &[Item], b: &[Item]) -> Cost {
    let (mut sender, mut receiver) = (Side::new(a), Side::new(b));
    let mut cost = Cost { bytes: HASH_BYTES, flights: 1, found: 0, time: Duration::ZERO };
    // The first message is the root alone; whoever got it answers.
    std::mem::swap(&mut sender, &mut receiver);
    let mut places: Vec<Place> = vec![(0, 0..sender.items.len(), 0..receiver.items.len())];
    let ((), time) = timed(|| {
        let mut wanted = 0;
        while !places.is_empty() || wanted > 0 {
            cost.flights += 1;
            cost.bytes += std::mem::take(&mut wanted);
            let mut next = Vec::new();
            for (depth, ours, theirs) in places.drain(..) {
                cost.bytes += 1;
                if ours.len() <= LEAF {
                    cost.bytes += 1 + HASH_BYTES * ours.len();
                    let ids = |side: &Side<'_>, below: Range<usize>| -> BTreeSet<[u8; 32]> {
                        side.items[below].iter().map(|(_, id)| *id).collect()
                    };
                    let (listed, here) = (ids(&sender, ours), ids(&receiver, theirs));
                    cost.found += listed.symmetric_difference(&here).count();
                    // A bit for each listed id says whether it is wanted.
                    wanted += listed.len().div_ceil(8);
                    continue;
                }
                cost.bytes += 2;
                let children = sender.children(&ours, depth);
                for (ours, theirs) in children.into_iter().zip(receiver.children(&theirs, depth)) {
                    cost.bytes += if ours.is_empty() { 0 } else { HASH_BYTES };
                    if sender.hash(&ours, depth + 1) != receiver.hash(&theirs, depth + 1) {
                        next.push((depth + 1, theirs, ours));
                    }
                }
            }
            places = next;
            std::mem::swap(&mut sender, &mut receiver);
        }
    });
    cost.time = time;
    cost
}
