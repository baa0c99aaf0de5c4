//! Which packets came over a link: one that was sent again is taken once.

/// The numbers that came, as far back as [`NUMBERS`].
// spec: ROUTE-11
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// Behind the highest.
    next: u32,
    /// One bit for each of the last [`NUMBERS`].
    came: [u64; (NUMBERS / u64::BITS) as usize],
}

/// Behind the highest number: who sends again what is further behind gives it a new one.
pub(super) const NUMBERS: u32 = 1024;

impl Numbers {
    /// Adds a number, and says whether it is new. Those too far back are not; behind the last comes
    /// number 0.
    pub(crate) fn add(&mut self, number: u32) -> bool {
        let behind = self.next.wrapping_sub(number);
        match behind {
            1..=NUMBERS => {}
            _ if behind == 0 || behind > u32::MAX / 2 => {
                let skipped = number.wrapping_sub(self.next).min(NUMBERS - 1);
                for back in 0..=skipped {
                    self.mark(number.wrapping_sub(back), false);
                }
                self.next = number.wrapping_add(1);
            }
            _ => return false,
        }
        self.mark(number, true) == Some(false)
    }

    /// Sets the bit of a number; returns what it was.
    fn mark(&mut self, number: u32, came: bool) -> Option<bool> {
        let (word, bit) = (number % NUMBERS / u64::BITS, 1 << (number % u64::BITS));
        let word = self.came.get_mut(word as usize)?;
        let before = *word & bit != 0;
        *word = if came { *word | bit } else { *word & !bit };
        Some(before)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mesh_wire::Rng;

    use super::*;

    #[test]
    fn numbers_agree_with_a_set_wherever_they_begin() {
        for (seed, start) in [(0, 0), (1, 1 << 40), (2, u64::from(u32::MAX) - 3000)] {
            let mut rng = Rng::from_seed([seed; 32]);
            let mut numbers = Numbers { next: start as u32, ..Numbers::default() };
            let (mut naive, mut next) = (BTreeSet::new(), start);
            for _ in 0..20_000 {
                let ahead = if rng.below(500) == 0 { rng.below(3000) } else { rng.below(3) };
                let back = if rng.below(9) == 0 { rng.below(1200) } else { rng.below(4) };
                let number = (next + ahead).saturating_sub(back);
                let is_near = number + u64::from(NUMBERS) >= next;
                assert_eq!(numbers.add(number as u32), is_near && naive.insert(number), "{number}");
                next = next.max(number + 1);
            }
        }
    }
}
