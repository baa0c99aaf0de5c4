//! Two sets that differ: items of one year, by their milliseconds.

use mesh_wire::Rng;

/// An item: its time in milliseconds, and its id.
pub(crate) type Item = (u64, [u8; 32]);

/// Where two sets differ.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spread {
    /// The second lacks the newest items.
    Tail,
    /// Each lacks half of them, among the newest five times as many.
    Scatter,
    /// Each lacks half of them, anywhere.
    Uniform,
}

impl Spread {
    pub(crate) const ALL: [Self; 3] = [Self::Tail, Self::Scatter, Self::Uniform];
}

const YEAR_MS: u64 = 365 * 24 * 3600 * 1000;

/// Two sets of `items` items together, of which one lacks `differ`; each ascending.
pub(crate) fn pair(items: usize, differ: usize, spread: Spread) -> (Vec<Item>, Vec<Item>) {
    let mut rng = Rng::from_seed([7; 32]).fork(&format!("{items} {differ} {spread:?}"));
    let mut all: Vec<Item> =
        (0..items).map(|_| (1_760_000_000_000 + rng.below(YEAR_MS), rng.bytes())).collect();
    all.sort_unstable();
    // Who lacks an item: nobody (0), the first (1), the second (2).
    let mut lacks = vec![0_u8; items];
    let oldest = match spread {
        Spread::Tail => items - differ,
        Spread::Scatter => items.saturating_sub(5 * differ),
        Spread::Uniform => 0,
    };
    let mut left = differ;
    while left > 0 {
        let at = match spread {
            Spread::Tail => items - left,
            Spread::Scatter | Spread::Uniform => {
                oldest + rng.below((items - oldest) as u64) as usize
            }
        };
        if lacks[at] == 0 {
            lacks[at] = match spread {
                Spread::Tail => 2,
                Spread::Scatter | Spread::Uniform => 2 - (left % 2) as u8,
            };
            left -= 1;
        }
    }
    let without = |who: u8| {
        let kept = all.iter().zip(&lacks).filter(|(_, lacks)| **lacks != who);
        kept.map(|(item, _)| *item).collect()
    };
    (without(1), without(2))
}
