//! What chance decides, drawn from the one seeded generator.

use mesh_wire::Rng;

/// Draws that towns need besides [`Rng::below`].
pub(crate) trait Chance {
    /// From 0 to 1, 1 excluded.
    fn share(&mut self) -> f64;

    /// From `low` to `high`.
    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.share() * (high - low)
    }

    /// Whether something of this probability happens.
    fn happens(&mut self, probability: f64) -> bool {
        self.share() < probability
    }

    /// How long until something happens that happens every `mean` on average.
    fn wait(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.share()).ln()
    }

    /// A place in a list that has `count`.
    fn place(&mut self, count: usize) -> usize;

    /// Puts a list into random order.
    fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.place(last + 1));
        }
    }

    /// `count` different ones of `0..all`, in random order; all if there are fewer.
    fn some(&mut self, count: usize, all: usize) -> Vec<usize> {
        let mut list: Vec<usize> = (0..all).collect();
        self.shuffle(&mut list);
        list.truncate(count);
        list
    }
}

impl Chance for Rng {
    fn share(&mut self) -> f64 {
        self.below(1 << 53) as f64 / (1_u64 << 53) as f64
    }

    fn place(&mut self, count: usize) -> usize {
        self.below(count as u64) as usize
    }
}
