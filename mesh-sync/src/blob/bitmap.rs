//! Which groups of a page: one bit each.

use alloc::vec::Vec;

use super::PAGE;

const WORDS: usize = PAGE as usize / 64;

/// A set of groups of one page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bitmap([u64; WORDS]);

impl Bitmap {
    /// The set with the first `count` groups.
    pub(crate) fn first(count: usize) -> Self {
        let word = |index: usize| match count.saturating_sub(index * 64) {
            0 => 0,
            bits @ 1..64 => (1 << bits) - 1,
            _ => u64::MAX,
        };
        Self(core::array::from_fn(word))
    }

    /// Reads what [`Bitmap::to_bytes`] wrote; `None` for anything else.
    // spec: SYNC-17
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > WORDS * 8 || bytes.last() == Some(&0) {
            return None;
        }
        let mut set = Self::default();
        for (word, bytes) in set.0.iter_mut().zip(bytes.chunks(8)) {
            let mut all = [0; 8];
            all.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            *word = u64::from_le_bytes(all);
        }
        Some(set)
    }

    /// One bit per group, lowest bit first, without the zero bytes at the end.
    // spec: SYNC-17
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.0.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
        bytes
    }

    pub(crate) fn insert(&mut self, group: u16) {
        if let Some(word) = self.0.get_mut(usize::from(group / 64)) {
            *word |= 1 << (group % 64);
        }
    }

    pub(crate) fn remove(&mut self, group: u16) {
        if let Some(word) = self.0.get_mut(usize::from(group / 64)) {
            *word &= !(1 << (group % 64));
        }
    }

    pub(crate) fn contains(&self, group: u16) -> bool {
        self.0.get(usize::from(group / 64)).is_some_and(|word| word >> (group % 64) & 1 == 1)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }

    /// The groups that are here and not in `other`.
    pub(crate) fn minus(&self, other: &Self) -> Self {
        let mut rest = *self;
        rest.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= !other);
        rest
    }

    /// The groups, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u16> {
        self.0.into_iter().zip(0_u16..).flat_map(|(mut word, index)| {
            core::iter::from_fn(move || {
                let bit = word.trailing_zeros() as u16;
                word &= word.wrapping_sub(1);
                (bit < 64).then_some(index * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_what_was_put_into_it() {
        let mut set = Bitmap::default();
        let groups = [0, 1, 63, 64, 500, 1023];
        groups.iter().for_each(|group| set.insert(*group));
        assert!(set.iter().eq(groups));
        assert_eq!(set.count(), groups.len());
        assert!(set.contains(500) && !set.contains(501) && !set.contains(2000));
        set.remove(500);
        assert!(!set.contains(500));
        assert!(set.minus(&Bitmap::first(64)).iter().eq([64, 1023]));
    }

    // spec: SYNC-17
    #[test]
    fn a_set_has_one_form_in_bytes() {
        for count in [0, 1, 7, 8, 9, 63, 64, 65, 1023, 1024] {
            let set = Bitmap::first(count);
            assert_eq!(set.count(), count);
            let bytes = set.to_bytes();
            assert_eq!(bytes.len(), count.div_ceil(8));
            assert_eq!(Bitmap::from_bytes(&bytes), Some(set));
        }
        assert_eq!(Bitmap::from_bytes(&[1, 0]), None);
        assert_eq!(Bitmap::from_bytes(&[1; 129]), None);
    }
}
