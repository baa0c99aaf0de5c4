//! What is on its way to the peer, cut into messages when there is room for one; and the lists
//! that come from it in parts.

use alloc::vec::Vec;

use mesh_wire::codec::List;
use mesh_wire::message::set::{
    AskIds, AskSymbols, Findings, Node, Nodes, ShortIds, Spine, Step, Symbol, Symbols, Walk,
};
use mesh_wire::{Fault, Wire, limits};

use super::digest;
use super::key::Prefix;
use super::sketch::Cell;
use super::snapshot::{Place, Snapshot};

/// Bytes of a message around its list, at most: both frames, channel, serial, and five numbers.
const AROUND_BYTES: usize = 56;

/// What one step says, however many messages that takes.
#[derive(Clone, Debug)]
pub(crate) enum Outgoing {
    Spine(Spine),
    AskIds(u16),
    ShortIds(u16, Parts<u64>),
    AskSymbols(AskSymbols),
    Symbols(u16, u64, Parts<Cell>),
    Findings(u64, Parts<u64>),
    Walk(Vec<Prefix>),
    Nodes(Parts<Prefix>),
}

/// A list that goes over several messages.
#[derive(Clone, Debug)]
pub(crate) struct Parts<T> {
    /// Where in the whole list these values stand.
    first: usize,
    values: Vec<T>,
    sent: usize,
}

impl<T: Copy> Parts<T> {
    /// A list that begins at `first` of a longer one.
    pub(crate) fn new(first: usize, values: Vec<T>) -> Self {
        Self { first, values, sent: 0 }
    }

    /// The next values of `bytes` bytes each that fit into `room`, where the first of them stands,
    /// and how many follow; `None` if not even one fits.
    fn take(&mut self, room: usize, bytes: usize) -> Option<(Vec<T>, u32, u32)> {
        let fit = (room.checked_sub(AROUND_BYTES)? / bytes).min(limits::SET_IDS);
        let left = self.values.get(self.sent..).unwrap_or_default();
        let taken: Vec<T> = left.iter().take(fit).copied().collect();
        if taken.is_empty() && !left.is_empty() {
            return None;
        }
        let first = self.first + self.sent;
        self.sent += taken.len();
        Some((taken, first as u32, self.left() as u32))
    }

    fn left(&self) -> usize {
        self.values.len() - self.sent
    }
}

impl Outgoing {
    /// The next message's step, in at most `room` bytes of a whole frame.
    // spec: SYNC-27
    pub(crate) fn next(&mut self, set: &Snapshot, room: usize) -> Option<Step> {
        let around = |bytes: usize| bytes + AROUND_BYTES <= room;
        Some(match self {
            Self::Spine(spine) => around(spine.size()).then_some(spine.clone())?.into(),
            Self::AskIds(levels) => around(0).then_some(AskIds { levels: *levels })?.into(),
            Self::AskSymbols(ask) => around(0).then_some(ask.clone())?.into(),
            Self::ShortIds(levels, ids) => {
                let (ids, first, more) = ids.take(room, size_of::<u64>())?;
                let ids = List::new(&digest::to_wire(ids));
                ShortIds { levels: *levels, first, more, ids }.into()
            }
            Self::Symbols(levels, items, cells) => {
                let (cells, first, more) = cells.take(room, Symbol::MIN_SIZE)?;
                let symbols: Vec<Symbol> = cells.into_iter().map(Cell::to_wire).collect();
                let symbols = List::new(&symbols);
                Symbols { levels: *levels, items: *items, first, more, symbols }.into()
            }
            Self::Findings(pushes, wanted) => {
                let (wanted, first, more) = wanted.take(room, size_of::<u64>())?;
                let wanted = List::new(&digest::to_wire(wanted));
                Findings { pushes: *pushes, first, more, wanted }.into()
            }
            Self::Walk(places) => {
                let prefixes: Vec<_> = places.iter().map(|place| place.to_wire()).collect();
                let walk = Walk { prefixes: List::new(&prefixes) };
                around(walk.size()).then_some(walk)?.into()
            }
            Self::Nodes(places) => Self::nodes(places, set, room)?.into(),
        })
    }

    fn nodes(places: &mut Parts<Prefix>, set: &Snapshot, room: usize) -> Option<Nodes> {
        let mut left = room.checked_sub(AROUND_BYTES)?;
        let mut nodes = Vec::new();
        while let Some(prefix) = places.values.get(places.sent) {
            let node = node(set, prefix);
            match left.checked_sub(node.size()) {
                Some(rest) => left = rest,
                None if nodes.is_empty() => return None,
                None => break,
            }
            nodes.push(node);
            places.sent += 1;
        }
        Some(Nodes { nodes: List::new(&nodes) })
    }

    /// Whether all of it has left.
    pub(crate) fn is_sent(&self) -> bool {
        match self {
            Self::Spine(_) | Self::AskIds(_) | Self::AskSymbols(_) | Self::Walk(_) => true,
            Self::ShortIds(_, ids) | Self::Findings(_, ids) => ids.left() == 0,
            Self::Symbols(_, _, cells) => cells.left() == 0,
            Self::Nodes(places) => places.left() == 0,
        }
    }

    /// Bytes that it holds.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Spine(_) | Self::AskIds(_) | Self::AskSymbols(_) => 0,
            Self::ShortIds(_, ids) | Self::Findings(_, ids) => {
                ids.values.capacity() * size_of::<u64>()
            }
            Self::Symbols(_, _, cells) => cells.values.capacity() * size_of::<Cell>(),
            Self::Walk(places) => places.capacity() * size_of::<Prefix>(),
            Self::Nodes(places) => places.values.capacity() * size_of::<Prefix>(),
        }
    }
}

/// What a set has below one place, as it travels.
// spec: SYNC-32
fn node(set: &Snapshot, prefix: &Prefix) -> Node {
    let (children, hashes, keys) = match set.place(prefix) {
        Place::Few(keys) => {
            let keys: Vec<_> = keys.iter().map(|key| (*key).into()).collect();
            (0, List::default(), List::new(&keys))
        }
        Place::Many(_) => {
            let children = set.children(prefix);
            let bits = children.iter().fold(0, |bits, child| bits | 1 << child.nibble);
            let hashes: Vec<_> = children.iter().map(|child| child.hash).collect();
            (bits, List::new(&hashes), List::default())
        }
    };
    Node { prefix: prefix.to_wire(), children, hashes, keys }
}

/// Short ids as they come in, in parts.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    ids: Vec<u64>,
}

impl Incoming {
    /// Takes one part, in which `ids` stand from `first` on and `more` follow. All of them once
    /// the last is in; a part that does not go on where the last one ended is none, unless it is
    /// the first.
    // spec: SYNC-27
    pub(crate) fn take<const MAX: usize>(
        &mut self,
        (first, more): (u32, u32),
        ids: &List<[u8; 8], MAX>,
        limit: usize,
    ) -> Result<Option<Vec<u64>>, Fault> {
        let (first, more) = (first as usize, more as usize);
        if first.saturating_add(ids.len()).saturating_add(more) > limit {
            return Err(Fault::Limit("short ids"));
        }
        if first == 0 {
            self.ids.clear();
        }
        if first != self.ids.len() {
            return Ok(None);
        }
        self.ids.extend(ids.iter().map(u64::from_le_bytes));
        Ok((more == 0).then(|| core::mem::take(&mut self.ids)))
    }

    /// Bytes that it holds.
    pub(crate) fn weight(&self) -> usize {
        self.ids.capacity() * size_of::<u64>()
    }
}
