//! A set as a tree by time: sixteen ways at every nibble of the key, down to places with few keys.
//! Its shape follows from the keys alone, and nobody can make it deeper than a key has nibbles.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::mem::size_of;

use mesh_wire::{Hash, UnixTime, limits};

use super::digest;
use super::key::{KEY_NIBBLES, Key, Span};
use super::snapshot::Snapshot;

/// The keys of the items that a peer holds. A million of them take 45 to 70 MiB, depending on how
/// they spread, and no more than 400 bytes each whoever chose them. Inserting and removing touch
/// one place per nibble and hash nothing.
#[derive(Clone, Debug, Default)]
pub struct Set {
    root: Arc<Node>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub(super) count: u64,
    /// `None` if something below has changed since it was computed.
    hash: Option<Hash>,
    pub(super) body: Body,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    /// At most [`limits::SET_LEAF`] keys, ascending.
    Leaf(Vec<Key>),
    /// More, by their next nibble, ascending.
    Branch(Vec<Edge>),
}

/// A nibble, and where it leads.
pub(crate) type Edge = (u8, Arc<Node>);

impl Default for Body {
    fn default() -> Self {
        Self::Leaf(Vec::new())
    }
}

impl Set {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.root.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.root.count == 0
    }

    /// Whether `key` is in the set.
    #[must_use]
    pub fn contains(&self, key: &Key) -> bool {
        self.root.contains(key, 0)
    }

    /// The smallest key.
    #[must_use]
    pub fn first(&self) -> Option<Key> {
        let mut node = &self.root;
        loop {
            match &node.body {
                Body::Leaf(keys) => return keys.first().copied(),
                Body::Branch(children) => node = children.first().map(|(_, child)| child)?,
            }
        }
    }

    /// Puts `key` into the set. Whether it is new there.
    pub fn insert(&mut self, key: Key) -> bool {
        let is_new = !self.contains(&key);
        if is_new {
            Arc::make_mut(&mut self.root).insert(key, 0);
        }
        is_new
    }

    /// Takes `key` out of the set. Whether it was there.
    pub fn remove(&mut self, key: &Key) -> bool {
        let was_here = self.contains(key);
        if was_here {
            Arc::make_mut(&mut self.root).remove(key, 0);
        }
        was_here
    }

    /// Its keys of later times. What is not near that moment is shared by both.
    #[must_use]
    pub fn later(&self, than: UnixTime) -> Self {
        let last = Span::of_times(0, than.0).last;
        match self.first().is_some_and(|first| first <= last) {
            true => Self { root: Arc::new(self.root.behind(&last, 0)) },
            false => self.clone(),
        }
    }

    /// The set as it is now: costs the hashing of what has changed since the last one.
    pub fn snapshot(&mut self) -> Snapshot {
        seal(&mut self.root);
        Snapshot::of(&self.root)
    }

    /// Bytes that it holds.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.root.weight()
    }
}

impl Extend<Key> for Set {
    fn extend<I: IntoIterator<Item = Key>>(&mut self, keys: I) {
        keys.into_iter().for_each(|key| {
            self.insert(key);
        });
    }
}

impl FromIterator<Key> for Set {
    fn from_iter<I: IntoIterator<Item = Key>>(keys: I) -> Self {
        let mut set = Self::new();
        set.extend(keys);
        set
    }
}

impl Node {
    /// The place with these keys, ascending and different, that agree in their first `depth`
    /// nibbles.
    fn of(keys: &[Key], depth: usize) -> Self {
        let body = if keys.len() <= limits::SET_LEAF || depth >= KEY_NIBBLES {
            Body::Leaf(keys.to_vec())
        } else {
            let alike = keys.chunk_by(|a, b| a.nibble(depth) == b.nibble(depth));
            let child = |keys: &[Key]| {
                let nibble = keys.first()?.nibble(depth);
                Some((nibble, Arc::new(Self::of(keys, depth + 1))))
            };
            Body::Branch(alike.filter_map(child).collect())
        };
        Self { count: keys.len() as u64, hash: None, body }
    }

    /// The hash, of a node that is sealed.
    pub(super) fn hash(&self) -> Hash {
        debug_assert!(self.hash.is_some(), "a snapshot is sealed");
        self.hash.unwrap_or(Hash([0; 32]))
    }

    fn contains(&self, key: &Key, depth: usize) -> bool {
        match &self.body {
            Body::Leaf(keys) => keys.binary_search(key).is_ok(),
            Body::Branch(children) => find(children, key.nibble(depth))
                .is_some_and(|(_, child)| child.contains(key, depth + 1)),
        }
    }

    /// Puts in a key that is not here.
    fn insert(&mut self, key: Key, depth: usize) {
        self.hash = None;
        self.count += 1;
        match &mut self.body {
            Body::Leaf(keys) => {
                let at = keys.partition_point(|other| *other < key);
                keys.insert(at, key);
                if keys.len() > limits::SET_LEAF {
                    *self = Self::of(keys, depth);
                }
            }
            Body::Branch(children) => {
                let nibble = key.nibble(depth);
                let at = children.partition_point(|(other, _)| *other < nibble);
                match children.get_mut(at).filter(|(other, _)| *other == nibble) {
                    Some((_, child)) => Arc::make_mut(child).insert(key, depth + 1),
                    None => children.insert(at, (nibble, Arc::new(Self::of(&[key], depth + 1)))),
                }
            }
        }
    }

    /// Takes out a key that is here.
    fn remove(&mut self, key: &Key, depth: usize) {
        self.hash = None;
        self.count -= 1;
        match &mut self.body {
            Body::Leaf(keys) => keys.retain(|other| other != key),
            Body::Branch(children) => {
                let nibble = key.nibble(depth);
                if let Some((_, child)) = children.iter_mut().find(|(other, _)| *other == nibble) {
                    Arc::make_mut(child).remove(key, depth + 1);
                }
                children.retain(|(_, child)| child.count > 0);
            }
        }
        self.gather();
    }

    /// Few keys make a leaf.
    fn gather(&mut self) {
        if self.count <= limits::SET_LEAF as u64
            && let Body::Branch(children) = &mut self.body
        {
            let mut keys = Vec::with_capacity(self.count as usize);
            children.iter().for_each(|(_, child)| child.collect(&mut keys));
            self.body = Body::Leaf(keys);
        }
    }

    /// Those of its keys that are larger than `last`.
    fn behind(&self, last: &Key, depth: usize) -> Self {
        let (count, body) = match &self.body {
            Body::Leaf(keys) => {
                let keys: Vec<Key> = keys.iter().filter(|key| *key > last).copied().collect();
                (keys.len() as u64, Body::Leaf(keys))
            }
            Body::Branch(children) => {
                let cut = |(nibble, child): &Edge| match nibble.cmp(&last.nibble(depth)) {
                    Ordering::Less => None,
                    Ordering::Equal => Some((*nibble, Arc::new(child.behind(last, depth + 1)))),
                    Ordering::Greater => Some((*nibble, child.clone())),
                };
                let children = children.iter().filter_map(cut);
                let children: Vec<Edge> = children.filter(|(_, child)| child.count > 0).collect();
                (children.iter().map(|(_, child)| child.count).sum(), Body::Branch(children))
            }
        };
        let mut cut = Self { count, hash: None, body };
        cut.gather();
        cut
    }

    fn collect(&self, into: &mut Vec<Key>) {
        match &self.body {
            Body::Leaf(keys) => into.extend_from_slice(keys),
            Body::Branch(children) => children.iter().for_each(|(_, child)| child.collect(into)),
        }
    }

    fn weight(&self) -> usize {
        let below = match &self.body {
            Body::Leaf(keys) => keys.capacity() * size_of::<Key>(),
            Body::Branch(children) => {
                let weights = children.iter().map(|(_, child)| child.weight());
                children.capacity() * size_of::<Edge>() + weights.sum::<usize>()
            }
        };
        // The two counters of its `Arc` stand beside it.
        size_of::<Self>() + 2 * size_of::<usize>() + below
    }
}

/// Computes the hashes that are missing at a place and below.
// spec: SYNC-26
fn seal(node: &mut Arc<Node>) {
    if node.hash.is_some() {
        return;
    }
    let node = Arc::make_mut(node);
    let hash = match &mut node.body {
        Body::Leaf(keys) => {
            keys.shrink_to_fit();
            digest::leaf(keys)
        }
        Body::Branch(children) => {
            children.iter_mut().for_each(|(_, child)| seal(child));
            digest::branch(children.iter().map(|(nibble, child)| (*nibble, child.hash())))
        }
    };
    node.hash = Some(hash);
}

/// The edge of `nibble`.
pub(super) fn find(children: &[Edge], nibble: u8) -> Option<&Edge> {
    let at = children.binary_search_by_key(&nibble, |(other, _)| *other).ok()?;
    children.get(at)
}
