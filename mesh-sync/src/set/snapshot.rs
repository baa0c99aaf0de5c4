//! A set as it was at one moment: what a round reads, whatever happens to the set meanwhile.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::slice;

use mesh_wire::{Hash, UnixTime};

use super::digest;
use super::key::{Key, Prefix, Span};
use super::tree::{Body, Edge, Node, find};

/// A set as it was at one moment. It shares its nodes with the set, and costs what has changed
/// there since.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    root: Arc<Node>,
}

impl Snapshot {
    /// A tree whose hashes are all computed.
    pub(super) fn of(root: &Arc<Node>) -> Self {
        Self { root: root.clone() }
    }

    /// Its keys within `span`, ascending.
    #[must_use]
    pub fn keys(&self, span: Span) -> Keys<'_> {
        let mut keys = Keys { above: Vec::new(), leaf: [].iter(), last: span.last };
        if span.first <= span.last {
            keys.descend(&self.root, &span.first);
        }
        keys
    }

    /// All its keys, ascending.
    #[must_use]
    pub fn all(&self) -> Keys<'_> {
        self.keys(Span::ALL)
    }

    /// The keys in `spans` that are wanted, as spans of neighbours.
    pub(crate) fn runs(&self, spans: &[Span], mut wanted: impl FnMut(&Key) -> bool) -> Runs {
        let mut runs = Runs::default();
        for span in spans {
            let mut open: Option<Span> = None;
            for key in self.keys(*span) {
                let run = wanted(key).then(|| open.map_or(*key, |run| run.first));
                if run.is_none() {
                    runs.spans.extend(open);
                }
                runs.items += u64::from(run.is_some());
                open = run.map(|first| Span { first, last: *key });
            }
            runs.spans.extend(open);
        }
        runs
    }

    /// The time of the newest item; 0 if there is none.
    pub(crate) fn newest(&self) -> UnixTime {
        let mut node = &self.root;
        loop {
            match &node.body {
                Body::Leaf(keys) => return keys.last().map_or(UnixTime(0), Key::time),
                Body::Branch(children) => match children.last() {
                    Some((_, child)) => node = child,
                    None => return UnixTime(0),
                },
            }
        }
    }

    /// What is below `prefix`.
    pub(crate) fn place(&self, prefix: &Prefix) -> Place<'_> {
        let mut node = &self.root;
        for (depth, nibble) in prefix.nibbles().enumerate() {
            match &node.body {
                Body::Branch(children) => match find(children, nibble) {
                    Some((_, child)) => node = child,
                    None => return Place::Few(&[]),
                },
                Body::Leaf(keys) => {
                    let rest = prefix.nibbles().enumerate().skip(depth);
                    return Place::Few(rest.fold(keys, |keys, (depth, nibble)| {
                        keys.chunk_by(|a, b| a.nibble(depth) == b.nibble(depth))
                            .find(|keys| keys.first().is_some_and(|k| k.nibble(depth) == nibble))
                            .unwrap_or_default()
                    }));
                }
            }
        }
        match &node.body {
            Body::Leaf(keys) => Place::Few(keys),
            Body::Branch(children) => Place::Many(children),
        }
    }

    /// The places right below `prefix` that have keys, ascending.
    pub(crate) fn children(&self, prefix: &Prefix) -> Vec<Child> {
        match self.place(prefix) {
            Place::Many(children) => children.iter().map(Child::from).collect(),
            Place::Few(keys) => keys
                .chunk_by(|a, b| a.nibble(prefix.length()) == b.nibble(prefix.length()))
                .filter_map(|keys| {
                    let nibble = keys.first()?.nibble(prefix.length());
                    Some(Child { nibble, count: keys.len() as u64, hash: digest::leaf(keys) })
                })
                .collect(),
        }
    }
}

/// Some of the keys of a set.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    /// Each from one of them to another, with none between that is not one of them.
    pub(crate) spans: Vec<Span>,
    /// How many they are.
    pub(crate) items: u64,
}

/// What a set has below one place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    /// At most [`limits::SET_LEAF`] keys: these.
    Few(&'a [Key]),
    /// More, by their next nibble.
    Many(&'a [Edge]),
}

/// What stands at a place right below another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Child {
    pub(crate) nibble: u8,
    pub(crate) count: u64,
    pub(crate) hash: Hash,
}

impl From<&Edge> for Child {
    fn from((nibble, node): &Edge) -> Self {
        Self { nibble: *nibble, count: node.count, hash: node.hash() }
    }
}

/// The keys of a snapshot within a span, ascending.
#[derive(Clone, Debug)]
pub struct Keys<'a> {
    /// What comes after the leaf under way, the last one first.
    above: Vec<&'a Node>,
    leaf: slice::Iter<'a, Key>,
    last: Key,
}

impl<'a> Keys<'a> {
    /// Goes to the first key at `from` or behind it.
    fn descend(&mut self, mut node: &'a Node, from: &Key) {
        for depth in 0.. {
            match &node.body {
                Body::Leaf(keys) => {
                    let before = keys.partition_point(|key| key < from);
                    self.leaf = keys.get(before..).unwrap_or_default().iter();
                    return;
                }
                Body::Branch(children) => {
                    let behind =
                        children.partition_point(|(nibble, _)| *nibble < from.nibble(depth));
                    let mut behind = children.get(behind..).unwrap_or_default().iter();
                    let on_path = behind.clone().next().filter(|(n, _)| *n == from.nibble(depth));
                    if on_path.is_some() {
                        behind.next();
                    }
                    self.above.extend(behind.rev().map(|(_, node)| &**node));
                    match on_path {
                        Some((_, child)) => node = child,
                        None => return,
                    }
                }
            }
        }
    }
}

impl<'a> Iterator for Keys<'a> {
    type Item = &'a Key;

    fn next(&mut self) -> Option<&'a Key> {
        loop {
            if let Some(key) = self.leaf.next() {
                return Some(key).filter(|key| **key <= self.last);
            }
            match &self.above.pop()?.body {
                Body::Leaf(keys) => self.leaf = keys.iter(),
                Body::Branch(children) => {
                    self.above.extend(children.iter().rev().map(|(_, node)| &**node));
                }
            }
        }
    }
}
