//! Leaves, nodes and roots: the shape of RFC 9162 (section 2.1) with keyed BLAKE3.

use alloc::vec::Vec;

use mesh_wire::Hash;

/// The text whose derived key marks a leaf.
#[cfg(test)]
const LEAF_CONTEXT: &str = "mesh/1 leaf of a log";
/// The text whose derived key marks an inner node.
#[cfg(test)]
const NODE_CONTEXT: &str = "mesh/1 node of a log";

/// `blake3::derive_key(LEAF_CONTEXT, [])`.
const LEAF_KEY: [u8; 32] = [
    0xcd, 0x22, 0x73, 0x6b, 0x35, 0x2f, 0x11, 0xd2, 0x4d, 0xe8, 0x3c, 0x76, 0x9b, 0xc8, 0x54, 0x26,
    0xb2, 0x4b, 0x8b, 0x86, 0xa1, 0x63, 0x7a, 0x52, 0x1b, 0xae, 0xd7, 0x56, 0xa0, 0xa1, 0x62, 0xa7,
];
/// `blake3::derive_key(NODE_CONTEXT, [])`.
const NODE_KEY: [u8; 32] = [
    0xd0, 0x4f, 0x88, 0x2e, 0x06, 0x69, 0x6e, 0x5a, 0xa7, 0xbe, 0xc7, 0xf5, 0x08, 0x08, 0xd2, 0xb4,
    0x4a, 0x82, 0x29, 0xa5, 0x41, 0x24, 0x27, 0x0e, 0x7e, 0x0f, 0x49, 0xeb, 0x94, 0xc0, 0x6a, 0xba,
];

/// The leaf of an item, from the bytes of its header.
// spec: SYNC-1
pub(crate) fn leaf(header: &[u8]) -> Hash {
    Hash(*blake3::keyed_hash(&LEAF_KEY, header).as_bytes())
}

/// The node above two others.
// spec: SYNC-1
pub(crate) fn node(left: &Hash, right: &Hash) -> Hash {
    let mut both = [0; 64];
    let (front, back) = both.split_at_mut(32);
    front.copy_from_slice(left.as_bytes());
    back.copy_from_slice(right.as_bytes());
    Hash(*blake3::keyed_hash(&NODE_KEY, &both).as_bytes())
}

/// How many of `leaves` leaves (two at least) hang on the left side of their root: the largest
/// power of two below.
// spec: SYNC-4
pub(crate) const fn split(leaves: u64) -> u64 {
    1 << (u64::BITS - 1 - leaves.saturating_sub(1).leading_zeros())
}

/// A tree that grows at its right end, as the roots of its complete subtrees: all that is needed
/// to append to it and to know its root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frontier {
    size: u64,
    /// From the left, the largest subtree first: one for every bit of `size`.
    peaks: Vec<Hash>,
}

/// The root of a complete subtree that has just come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    /// It has 2^level leaves.
    pub(crate) level: u32,
    /// How many such subtrees stand left of it.
    pub(crate) index: u64,
    pub(crate) hash: Hash,
}

impl Frontier {
    /// A tree of `size` leaves with these peaks.
    pub(crate) fn from_peaks(size: u64, peaks: Vec<Hash>) -> Self {
        debug_assert_eq!(size.count_ones() as usize, peaks.len());
        Self { size, peaks }
    }

    /// How many leaves it has.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The roots of its complete subtrees, from the left.
    pub(crate) fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Appends a leaf and tells `made` every complete subtree that ends with it, the leaf first.
    pub(crate) fn push(&mut self, leaf: Hash, made: &mut Vec<Made>) {
        let mut top = Made { level: 0, index: self.size, hash: leaf };
        made.push(top);
        while top.index % 2 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            let hash = node(&left, &top.hash);
            top = Made { level: top.level + 1, index: top.index / 2, hash };
            made.push(top);
        }
        self.peaks.push(top.hash);
        self.size += 1;
    }

    /// The root; `None` without a leaf.
    // spec: SYNC-4
    pub(crate) fn root(&self) -> Option<Hash> {
        self.peaks.iter().rev().copied().reduce(|right, left| node(&left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: SYNC-1
    #[test]
    fn the_keys_are_derived_from_their_contexts() {
        assert_eq!(LEAF_KEY, blake3::derive_key(LEAF_CONTEXT, &[]));
        assert_eq!(NODE_KEY, blake3::derive_key(NODE_CONTEXT, &[]));
    }

    #[test]
    fn the_split_is_the_largest_power_of_two_below() {
        let known = [(2, 1), (3, 2), (4, 2), (5, 4), (8, 4), (9, 8), ((1 << 40) + 1, 1 << 40)];
        assert!(known.iter().all(|(leaves, left)| split(*leaves) == *left));
    }
}
