//! The slow way that cannot miss anything: the tree of the other is asked for, place by place, as
//! whole hashes, wherever it differs from ours.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use mesh_wire::message::set::{Node, Nodes};
use mesh_wire::{Fault, Hash, limits};

use super::digest::Salt;
use super::key::{KEY_NIBBLES, Key, Prefix, Span};
use super::snapshot::Snapshot;

/// A walk through the tree of a peer.
#[derive(Debug)]
pub(crate) struct Walk {
    /// Places that differ and are still to be asked for, the next one last.
    places: Vec<Prefix>,
    /// Places asked for, in this order.
    asked: VecDeque<Prefix>,
    asks: u32,
    /// Whether nothing had to be left out.
    complete: bool,
    /// How many items the peer lacks.
    pub(crate) pushes: u64,
    /// The short ids of what we lack.
    pub(crate) wanted: Vec<u64>,
}

/// What a peer has below one place, checked.
enum Theirs {
    Keys(Vec<Key>),
    Places(Vec<(u8, Hash)>),
}

impl Walk {
    pub(crate) fn new() -> Self {
        let places = Vec::from([Prefix::ROOT]);
        let (asked, wanted) = (VecDeque::new(), Vec::new());
        Self { places, asked, asks: 0, complete: true, pushes: 0, wanted }
    }

    /// The places to ask for now; none if the walk is over.
    pub(crate) fn ask(&mut self) -> Vec<Prefix> {
        // Nobody answers more than so many, so what is asked again counts as well.
        if self.asks == limits::SET_WALKS {
            self.complete &= self.places.is_empty() && self.asked.is_empty();
            return Vec::new();
        }
        if self.asked.is_empty() {
            let next = self.places.len().saturating_sub(limits::SET_WALK);
            self.asked = self.places.drain(next..).rev().collect();
        }
        self.asks += u32::from(!self.asked.is_empty());
        self.asked.iter().copied().collect()
    }

    /// Whether the walk has seen all that differs.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Compares what the peer has with ours: what it lacks goes to `pushes`. Nodes that were not
    /// asked for change nothing. Whether all that was asked for has come.
    // spec: SYNC-32
    pub(crate) fn take(
        &mut self,
        nodes: &Nodes,
        (set, salt): (&Snapshot, &Salt),
        pushes: &mut Vec<Span>,
    ) -> Result<bool, Fault> {
        let mut checked = Vec::with_capacity(nodes.nodes.len());
        for node in nodes.nodes.iter() {
            let prefix = Prefix::from_wire(&node.prefix).ok_or(Fault::Protocol("no such place"))?;
            checked.push((prefix, check(&prefix, &node)?));
        }
        if !checked.iter().map(|(prefix, _)| prefix).eq(self.asked.iter().take(checked.len())) {
            return Ok(false);
        }
        self.asked.drain(..checked.len());
        for (prefix, theirs) in checked {
            match theirs {
                Theirs::Keys(theirs) => self.compare(&prefix, &theirs, (set, salt), pushes),
                Theirs::Places(theirs) => self.descend(&prefix, &theirs, set, pushes),
            }
        }
        Ok(self.asked.is_empty())
    }

    /// Below `prefix` the peer has these keys and no other.
    fn compare(
        &mut self,
        prefix: &Prefix,
        theirs: &[Key],
        (set, salt): (&Snapshot, &Salt),
        pushes: &mut Vec<Span>,
    ) {
        let mut unseen: Vec<bool> = theirs.iter().map(|_| true).collect();
        let lacked = set.runs(&[prefix.span()], |key| match theirs.binary_search(key) {
            Ok(at) => {
                unseen.get_mut(at).into_iter().for_each(|unseen| *unseen = false);
                false
            }
            Err(_) => true,
        });
        self.pushes += lacked.items;
        pushes.extend(lacked.spans);
        let new = theirs.iter().zip(unseen).filter(|(_, unseen)| *unseen);
        let room = limits::SET_WANTS - self.wanted.len();
        let new: Vec<u64> = new.map(|(key, _)| salt.short_id(key)).collect();
        self.complete &= new.len() <= room;
        self.wanted.extend(new.into_iter().take(room));
    }

    /// Below `prefix` the peer has these places.
    fn descend(
        &mut self,
        prefix: &Prefix,
        theirs: &[(u8, Hash)],
        set: &Snapshot,
        pushes: &mut Vec<Span>,
    ) {
        let ours = set.children(prefix);
        for child in &ours {
            if theirs.iter().all(|(nibble, _)| *nibble != child.nibble) {
                self.pushes += child.count;
                pushes.push(prefix.child(child.nibble).span());
            }
        }
        let differs = |(nibble, hash): &&(u8, Hash)| {
            ours.iter().all(|child| child.nibble != *nibble || child.hash != *hash)
        };
        let new = theirs.iter().filter(differs).map(|(nibble, _)| prefix.child(*nibble));
        let room = limits::SET_PLACES.saturating_sub(self.places.len());
        self.complete &= new.clone().count() <= room;
        self.places.extend(new.take(room));
    }

    /// Bytes that it holds.
    pub(crate) fn weight(&self) -> usize {
        (self.places.capacity() + self.asked.capacity()) * size_of::<Prefix>()
            + self.wanted.capacity() * size_of::<u64>()
    }
}

/// Checks that a node can be what is below its place.
// spec: SYNC-32
fn check(prefix: &Prefix, node: &Node) -> Result<Theirs, Fault> {
    if node.children == 0 && node.hashes.is_empty() {
        let (span, keys) = (prefix.span(), node.keys.iter().map(Key::from));
        let keys: Vec<Key> = keys.collect();
        let ascend = keys.is_sorted_by(|a, b| a < b);
        let belong = keys.iter().all(|key| (span.first..=span.last).contains(key));
        return if ascend && belong {
            Ok(Theirs::Keys(keys))
        } else {
            Err(Fault::Protocol("keys out of order or place"))
        };
    }
    let nibbles = (0..16).filter(|nibble| node.children >> nibble & 1 == 1);
    let fits = node.children.count_ones() as usize == node.hashes.len();
    if !fits || !node.keys.is_empty() || prefix.length() == KEY_NIBBLES {
        return Err(Fault::Protocol("a node that is neither a branch nor a leaf"));
    }
    Ok(Theirs::Places(nibbles.zip(node.hashes.iter()).collect()))
}
