//! What a run of items needs beside itself to reach the root: the edge right of it.
//!
//! Whoever takes a run at the end of its own copy knows everything left of the run already, as the
//! peaks of its tree. Right of the run stand the largest subtrees that begin after it; their roots
//! travel with the run.

use alloc::vec::Vec;
use core::ops::Range;

use mesh_wire::Hash;

use super::tree::{Frontier, node, split};

/// A subtree beside the path from the root down to the boundary in front of some leaf.
enum Sibling {
    /// Left of the boundary.
    Left,
    /// Right of it, with these leaves.
    Right(Range<u64>),
}

/// The subtrees beside the path to the boundary at `end` in a tree of `size` leaves, from the root
/// down; none if the boundary is not inside.
fn siblings(end: u64, size: u64) -> Vec<Sibling> {
    let mut found = Vec::new();
    let (mut low, mut high) = (0, size);
    while low < end && end < high {
        let middle = low + split(high - low);
        if end <= middle {
            found.push(Sibling::Right(middle..high));
            high = middle;
        }
        if end >= middle {
            found.push(Sibling::Left);
            low = middle;
        }
        if end == middle {
            break;
        }
    }
    found
}

/// The leaves under each edge hash of a run that ends before leaf `end`, in a tree of `size`
/// leaves, from left to right. Nothing if the run ends the tree.
// spec: SYNC-6
pub(crate) fn edge(end: u64, size: u64) -> Vec<Range<u64>> {
    let right = |sibling| match sibling {
        Sibling::Left => None,
        Sibling::Right(leaves) => Some(leaves),
    };
    siblings(end, size).into_iter().rev().filter_map(right).collect()
}

/// The root of a tree of `size` leaves that begins with the leaves of `left` and goes on with the
/// subtrees of `edge`; `None` if there are more or fewer hashes than the tree has room for.
// spec: SYNC-6
pub(crate) fn root(left: &Frontier, edge: &[Hash], size: u64) -> Option<Hash> {
    if left.size() == size {
        return left.root().filter(|_| edge.is_empty());
    }
    let mut peaks = left.peaks().iter().rev();
    let mut edge = edge.iter();
    let mut below: Option<Hash> = None;
    for sibling in siblings(left.size(), size).into_iter().rev() {
        below = Some(match (sibling, below) {
            (Sibling::Left, None) => *peaks.next()?,
            (Sibling::Left, Some(below)) => node(peaks.next()?, &below),
            (Sibling::Right(_), Some(below)) => node(&below, edge.next()?),
            (Sibling::Right(_), None) => return None,
        });
    }
    below.filter(|_| peaks.next().is_none() && edge.next().is_none())
}
