//! A set of names that can only be asked "perhaps?": what a node of the tree tells its
//! neighbours in the tree about who is behind it.

use mesh_wire::codec::{Output, Reader};
use mesh_wire::{DecodeError, Wire};

use crate::models::NodeId;

/// 8192 bits, 8 for each name.
const WORDS: usize = 128;
const HASHES: u64 = 8;

/// A Bloom filter. Words that are all zeros or all ones are written as one bit of two masks of
/// 16 B, others as they are: 32 B and 8 B for each word that says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bloom(Box<[u64; WORDS]>);

impl Default for Bloom {
    fn default() -> Self {
        Self(Box::new([0; WORDS]))
    }
}

impl Bloom {
    /// Adds a name.
    pub fn insert(&mut self, id: NodeId) {
        for bit in bits(id) {
            self.0[bit / 64] |= 1 << (bit % 64);
        }
    }

    /// Whether a name may be in it.
    #[must_use]
    pub fn may_hold(&self, id: NodeId) -> bool {
        bits(id).all(|bit| self.0[bit / 64] >> (bit % 64) & 1 == 1)
    }

    /// Adds all that is in another; whether that was more.
    pub fn merge(&mut self, other: &Self) -> bool {
        let before = self.clone();
        self.0.iter_mut().zip(other.0.iter()).for_each(|(word, more)| *word |= more);
        *self != before
    }

    fn mask(&self, trivial: u64) -> u128 {
        self.0.iter().rev().fold(0, |mask, word| mask << 1 | u128::from(*word == trivial))
    }
}

/// The bits of a name: double hashing of the two halves of a name that is random by itself.
fn bits(id: NodeId) -> impl Iterator<Item = usize> {
    let (first, step) = (id.0 >> 32, id.0 & 0xffff_ffff | 1);
    (0..HASHES).map(move |i| ((first + i * step) % (WORDS as u64 * 64)) as usize)
}

impl Wire for Bloom {
    const MIN_SIZE: usize = 32;

    fn size(&self) -> usize {
        32 + 8 * self.0.iter().filter(|word| !matches!(**word, 0 | u64::MAX)).count()
    }

    fn write(&self, out: &mut Output) {
        out.extend_from_slice(&self.mask(0).to_be_bytes());
        out.extend_from_slice(&self.mask(u64::MAX).to_be_bytes());
        for word in self.0.iter().filter(|word| !matches!(**word, 0 | u64::MAX)) {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        let [zeros, ones] = [reader.array()?, reader.array()?].map(u128::from_be_bytes);
        let mut bloom = Self::default();
        for (index, word) in bloom.0.iter_mut().enumerate() {
            *word = match (zeros >> index & 1, ones >> index & 1) {
                (0, 0) => u64::from_be_bytes(reader.array()?),
                (0, _) => u64::MAX,
                (_, _) => 0,
            };
        }
        Ok(bloom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_holds_what_was_put_in_and_reads_what_it_writes() {
        let mut rng = mesh_sim::seed::rng(1);
        let names: Vec<NodeId> = (0..200).map(|_| NodeId(rng.below(u64::MAX))).collect();
        let (mut bloom, mut sizes) = (Bloom::default(), Vec::new());
        for name in &names {
            sizes.push(bloom.size());
            bloom.insert(*name);
            assert_eq!(Bloom::from_bytes(bloom.to_bytes()), Ok(bloom.clone()));
            assert_eq!(bloom.to_bytes().len(), bloom.size());
        }
        assert!(names.iter().all(|name| bloom.may_hold(*name)));
        assert_eq!(sizes[..2], [32, 32 + 8 * 8]);
        let strangers = (0..1000).filter(|_| bloom.may_hold(NodeId(rng.below(u64::MAX)))).count();
        assert!(strangers < 10, "200 names fill a fifth: {strangers} of 1000 strangers");
    }
}
