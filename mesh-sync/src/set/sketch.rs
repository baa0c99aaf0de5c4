//! A difference decoded from sums: the rateless invertible Bloom lookup table of Yang, Gilad and
//! Alizadeh ("Practical Rateless Set Reconciliation", SIGCOMM 2024). Every item goes into symbol 0
//! and into ever fewer of the later ones. The difference of two peers' symbols holds only what one
//! of them lacks, and a symbol that holds one item alone gives it away.
//!
//! The counts of the symbols are a random walk over the difference, so that a few of them tell how
//! large it is before it can be decoded.

use alloc::vec::Vec;

use mesh_wire::limits;
use mesh_wire::message::set;

/// Where an item goes: a run of random numbers that follows from its short id.
struct Places {
    state: u64,
    at: u64,
}

impl Places {
    /// The places of the item called `id`, and its check.
    // spec: SYNC-30
    fn of(id: u64) -> (Self, u32) {
        let mut places = Self { state: id, at: 0 };
        let check = (places.random() >> 32) as u32;
        (places, check)
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Goes to the next place. The larger of two random halves is distributed like the root of a
    /// random number, which spares the root.
    // spec: SYNC-30
    fn step(&mut self) {
        let random = self.random();
        let larger = (random >> 32).max(random & 0xffff_ffff) + 1;
        self.at = (((2 * self.at + 3) << 32) / larger - 1) / 2;
    }
}

/// The sum of some items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    sum: u64,
    check: u32,
    count: u8,
}

impl Cell {
    /// Puts an item in if `count` is 1, takes it out if it is −1.
    fn add(&mut self, sum: u64, check: u32, count: u8) {
        self.sum ^= sum;
        self.check ^= check;
        self.count = self.count.wrapping_add(count);
    }

    // spec: SYNC-30
    pub(crate) fn to_wire(self) -> set::Symbol {
        let (sum, check) = (self.sum.to_le_bytes(), self.check.to_le_bytes());
        set::Symbol { sum, check, count: self.count }
    }

    pub(crate) fn from_wire(symbol: &set::Symbol) -> Self {
        let (sum, check) = (u64::from_le_bytes(symbol.sum), u32::from_le_bytes(symbol.check));
        Self { sum, check, count: symbol.count }
    }
}

/// Takes an item in or out of the cells that begin with symbol `first`.
fn toggle(cells: &mut [Cell], first: u64, id: u64, count: u8) {
    let (mut places, check) = Places::of(id);
    let end = first + cells.len() as u64;
    while places.at < end {
        let at = places.at.checked_sub(first);
        if let Some(cell) = at.and_then(|at| cells.get_mut(at as usize)) {
            cell.add(id, check, count);
        }
        places.step();
    }
}

/// The symbols `first..first + count` over some items.
// spec: SYNC-30
pub(crate) fn encode(ids: impl Iterator<Item = u64>, first: usize, count: usize) -> Vec<Cell> {
    let mut cells = alloc::vec![Cell::default(); count];
    ids.for_each(|id| toggle(&mut cells, first as u64, id, 1));
    cells
}

/// The difference of two sets, as far as it is decoded. Holds 24 bytes for each symbol.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// Theirs without ours, without what is decoded.
    cells: Vec<Cell>,
    /// What is decoded: an item, and 1 if it is theirs or −1 if it is ours.
    found: Vec<(u64, u8)>,
    /// The sum of what each symbol says of the number of differences, and of how many.
    said: (u64, u64),
}

/// −1.
const OURS: u8 = u8::MAX;

impl Decoder {
    /// How many symbols are in.
    pub(crate) fn len(&self) -> usize {
        self.cells.len()
    }

    /// Takes the next symbols of both sides; `surplus` is by how many items theirs are more.
    pub(crate) fn extend(&mut self, theirs: &[Cell], ours: &[Cell], surplus: i64) {
        let old = self.cells.len();
        for (index, (theirs, ours)) in theirs.iter().zip(ours).enumerate() {
            let mut cell = *theirs;
            cell.add(ours.sum, ours.check, ours.count.wrapping_neg());
            self.cells.push(cell);
            self.estimate(old + index, cell.count, surplus);
        }
        let new = self.cells.get_mut(old..).unwrap_or_default();
        for (id, count) in &self.found {
            toggle(new, old as u64, *id, count.wrapping_neg());
        }
        self.peel(old);
    }

    /// Symbol `n > 0` holds each item with probability `p = 1 − ((2n + 1) / (2n + 3))²`. So its
    /// count deviates from `p × surplus`, and the square of that is `p (1 − p)` times the number
    /// of differences on average.
    fn estimate(&mut self, index: usize, count: u8, surplus: i64) {
        let n = index as i128;
        let (above, below) = ((2 * n + 1).pow(2), (2 * n + 3).pow(2));
        if index > 0 {
            let expected = i128::from(surplus) * (below - above) / below;
            let deviation = i128::from(i128::from(count).wrapping_sub(expected) as i8);
            let differences = deviation.pow(2) * below / (below - above) * below / above;
            self.said.0 += differences as u64;
            self.said.1 += 1;
        }
    }

    /// Takes out what stands alone in a symbol, from symbol `from` on, until nothing does.
    fn peel(&mut self, from: usize) {
        let mut alone: Vec<usize> = (from..self.cells.len()).collect();
        // Each item that comes out empties a symbol; lies may put it back, but not for ever.
        while let Some(at) = alone.pop()
            && self.found.len() <= self.cells.len()
        {
            let Some(Cell { sum, check, count }) = self.cells.get(at).copied() else { continue };
            let (mut places, its_check) = Places::of(sum);
            if !matches!(count, 1 | OURS) || check != its_check {
                continue;
            }
            self.found.push((sum, count));
            while let Ok(at) = usize::try_from(places.at)
                && let Some(cell) = self.cells.get_mut(at)
            {
                cell.add(sum, check, count.wrapping_neg());
                if matches!(cell.count, 1 | OURS) {
                    alone.push(at);
                }
                places.step();
            }
        }
    }

    /// Whether everything is decoded: the first symbol holds all items.
    pub(crate) fn is_done(&self) -> bool {
        self.cells.first() == Some(&Cell::default()) && self.found.len() <= self.cells.len()
    }

    /// What only they have, and what only we have.
    pub(crate) fn found(&self) -> (Vec<u64>, Vec<u64>) {
        let of = |side: u8| {
            let ids = self.found.iter().filter(|(_, count)| *count == side);
            ids.map(|(id, _)| *id).collect()
        };
        (of(1), of(OURS))
    }

    /// How many symbols to have next, if these do not suffice: what the estimate asks for, and no
    /// more than 32 times what it is based on. `None` if no round has so many.
    pub(crate) fn next_len(&self) -> Option<usize> {
        let have = self.cells.len();
        let differences = self.said.0.checked_div(self.said.1).unwrap_or(0) as usize;
        // Each needs 1.36 symbols if there are many and some more if there are few; and so far may
        // the estimate be off.
        let margin = differences / (have / 2).isqrt().max(1);
        let enough = differences + differences * 3 / 8 + margin + 16;
        let next = enough.clamp(have + have / 12 + 16, have.saturating_mul(32));
        // From some hundreds of symbols on, an estimate beyond all bounds can be trusted.
        let hopeless = have >= 256 && enough > limits::SET_SYMBOLS;
        (next <= limits::SET_SYMBOLS && !hopeless).then_some(next)
    }

    /// Bytes that it holds.
    pub(crate) fn weight(&self) -> usize {
        self.cells.capacity() * size_of::<Cell>() + self.found.capacity() * size_of::<(u64, u8)>()
    }
}
