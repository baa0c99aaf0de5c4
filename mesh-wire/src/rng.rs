//! The one source of randomness: seeded from outside, split by name.

use core::convert::Infallible;
use core::fmt;

use chacha20::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng, TryCryptoRng, TryRng};
use zeroize::Zeroizing;

/// A seeded ChaCha20 generator. Two generators with the same seed and name draw the same numbers,
/// so a whole simulated world follows from one seed; on a real device the seed is the operating
/// system's entropy, read once by mesh-node.
pub struct Rng {
    seed: Zeroizing<[u8; 32]>,
    stream: ChaCha20Rng,
}

impl Rng {
    /// A generator that draws what `seed` says.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self { seed: Zeroizing::new(seed), stream: ChaCha20Rng::from_seed(seed) }
    }

    /// An independent generator for the part of the program called `name`. What it draws depends
    /// on the seed and the name alone, not on what was drawn before.
    #[must_use]
    pub fn fork(&self, name: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("mesh/1 fork of a random generator");
        hasher.update(&*self.seed).update(name.as_bytes());
        Self::from_seed(*hasher.finalize().as_bytes())
    }

    /// `N` random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.fill_bytes(&mut bytes);
        bytes
    }

    /// A number in `0..bound`; 0 if `bound` is 0. The bias is below 2⁻³² for bounds below 2³².
    #[must_use]
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.stream.next_u64()) * u128::from(bound);
        (wide >> 64) as u64
    }
}

impl TryRng for Rng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.stream.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.stream.next_u64())
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Infallible> {
        self.stream.fill_bytes(into);
        Ok(())
    }
}

impl TryCryptoRng for Rng {}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rng(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_depend_on_seed_and_name_only() {
        let mut parent = Rng::from_seed([1; 32]);
        let before = parent.fork("a").bytes::<16>();
        let _ = parent.bytes::<100>();
        assert_eq!(parent.fork("a").bytes::<16>(), before);
        assert_ne!(parent.fork("b").bytes::<16>(), before);
        assert_ne!(Rng::from_seed([2; 32]).fork("a").bytes::<16>(), before);
    }

    #[test]
    fn below_stays_below() {
        let mut rng = Rng::from_seed([3; 32]);
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.below(1), 0);
        assert!((0..1000).all(|_| rng.below(7) < 7));
    }
}
