//! The tree against its definition in RFC 9162, written down once more in the plainest way.

use core::ops::Range;
use std::vec::Vec;

use mesh_wire::{ChannelId, Hash};
use proptest::prelude::*;

use super::proof::{edge, root};
use super::tiles::{self, Tiles};
use super::tree::{Frontier, Made, leaf, node};
use crate::channel::LogId;
use crate::store::MemoryStore;

/// The leaves of a log of `size` items.
fn leaves(size: u64) -> Vec<Hash> {
    (0..size).map(|seq| leaf(&seq.to_be_bytes())).collect()
}

/// The root over some leaves: split at the largest power of two below their number.
fn model(leaves: &[Hash]) -> Hash {
    if let [one] = leaves {
        return *one;
    }
    let mut left = 1;
    while left * 2 < leaves.len() {
        left *= 2;
    }
    node(&model(&leaves[..left]), &model(&leaves[left..]))
}

fn grown(leaves: &[Hash]) -> (Frontier, Vec<Made>) {
    let (mut frontier, mut made) = (Frontier::default(), Vec::new());
    leaves.iter().for_each(|leaf| frontier.push(*leaf, &mut made));
    (frontier, made)
}

fn roots(leaves: &[Hash], spans: &[Range<u64>]) -> Vec<Hash> {
    spans.iter().map(|span| model(&leaves[span.start as usize..span.end as usize])).collect()
}

// spec: SYNC-4
#[test]
fn a_tree_grown_leaf_by_leaf_has_the_root_of_the_definition() {
    let all = leaves(300);
    assert_eq!(Frontier::default().root(), None);
    for size in 1..=all.len() {
        assert_eq!(grown(&all[..size]).0.root(), Some(model(&all[..size])), "{size}");
    }
}

// spec: SYNC-6
#[test]
fn every_run_of_every_small_log_reaches_its_root_and_no_other_does() {
    for size in 1..=40_u64 {
        let all = leaves(size);
        let expected = Some(model(&all));
        for end in 1..=size {
            let edge = roots(&all, &edge(end, size));
            assert!(edge.len() <= mesh_wire::limits::EDGE_HASHES);
            assert_eq!(root(&grown(&all[..end as usize]).0, &edge, size), expected);
            for first in 0..end {
                let (before, _) = grown(&all[..first as usize]);
                for at in first..end {
                    let (mut after, mut forged) = (before.clone(), all.clone());
                    forged[at as usize].0[at as usize % 32] ^= 1;
                    for leaf in &forged[first as usize..end as usize] {
                        after.push(*leaf, &mut Vec::new());
                    }
                    assert_ne!(root(&after, &edge, size), expected);
                }
            }
            let (here, _) = grown(&all[..end as usize]);
            for at in 0..edge.len() * 32 {
                let mut forged = edge.clone();
                forged[at / 32].0[at % 32] ^= 0x80;
                assert_ne!(root(&here, &forged, size), expected);
            }
            let longer = [&edge[..], &[all[0]]].concat();
            assert_eq!(root(&here, &longer, size), None);
            if let Some((_, shorter)) = edge.split_last() {
                assert_eq!(root(&here, shorter, size), None);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However a log is cut into runs, its tiles give every root back.
    #[test]
    fn tiles_keep_every_node(
        cuts in proptest::collection::vec(1_u64..700, 1..6),
        span in any::<(u16, u16)>(),
    ) {
        let all = leaves(cuts.iter().sum());
        let mut store = MemoryStore::default();
        let log = LogId { channel: ChannelId([7; 32]), log: 0 };
        let mut frontier = Frontier::default();
        for cut in cuts {
            let mut made = Vec::new();
            let size = frontier.size();
            for leaf in &all[size as usize..(size + cut) as usize] {
                frontier.push(*leaf, &mut made);
            }
            tiles::keep(&mut store, &log, &made).unwrap();
            let tiles = Tiles { store: &store, log };
            prop_assert_eq!(tiles.peaks(frontier.size()).unwrap(), frontier.peaks());
            prop_assert_eq!(tiles.root(0..frontier.size()).ok(), frontier.root());
        }
        let end = u64::from(span.0) % all.len() as u64 + 1;
        let size = end + u64::from(span.1) % (all.len() as u64 - end + 1);
        let tiles = Tiles { store: &store, log };
        let hashes: Vec<Hash> =
            edge(end, size).into_iter().map(|span| tiles.root(span).unwrap()).collect();
        let (left, _) = grown(&all[..end as usize]);
        prop_assert_eq!(root(&left, &hashes, size), Some(model(&all[..size as usize])));
    }

    /// Boundaries of logs as large as they may get.
    #[test]
    fn an_edge_is_short_and_covers_the_rest(size in 1..=mesh_wire::limits::LOG_ITEMS, cut: u64) {
        let end = cut % size + 1;
        let spans = edge(end, size);
        prop_assert!(spans.len() <= mesh_wire::limits::EDGE_HASHES);
        let mut at = end;
        for span in &spans {
            prop_assert_eq!(span.start, at);
            at = span.end;
        }
        prop_assert_eq!(at, size);
    }
}
