//! Which channels both ends of a link know, found out without naming any: lists of tokens.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::mem::size_of;

use mesh_wire::{ChannelId, Hash, Link, Rng, Role, Secured, limits};

/// Derives the key of channel tokens from a session's binding.
const TOKEN_CONTEXT: &str = "mesh/1 channel token";
/// Derives the key that salts roots in summaries.
const SALT_CONTEXT: &str = "mesh/1 root salt";

/// A channel as only those can recognise it who know it.
type ChannelToken = [u8; 8];

/// The lists of both ends of one link.
pub(crate) struct Slots {
    keys: Keys,
    rng: Rng,
    /// Our list, and what stands behind each token.
    ours: Vec<(ChannelToken, Slot)>,
    indices: BTreeMap<ChannelId, u32>,
    /// The tokens by which the other end would name our channels.
    expected: BTreeMap<ChannelToken, ChannelId>,
    /// Its list.
    theirs: Vec<ChannelToken>,
    named: BTreeMap<u32, ChannelId>,
    /// What it has shown to share before it sent a list.
    pub(crate) shown: Option<ChannelId>,
}

/// What a token of ours stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    /// Nothing yet.
    Padding,
    /// A channel.
    Channel(ChannelId),
    /// Nothing any more: an index never changes its meaning.
    Retired,
}

/// What a session adds to the hashes, so that no two sessions can be compared.
struct Keys {
    token: [u8; 32],
    salt: [u8; 32],
    role: Role,
}

impl Slots {
    /// Empty lists for a link.
    pub(crate) fn new(link: &Link, secured: &Secured, rng: Rng) -> Self {
        let keys = Keys {
            token: blake3::derive_key(TOKEN_CONTEXT, &secured.binding),
            salt: blake3::derive_key(SALT_CONTEXT, &secured.binding),
            role: link.role,
        };
        let mut slots = Self {
            keys,
            rng,
            ours: Vec::new(),
            indices: BTreeMap::new(),
            expected: BTreeMap::new(),
            theirs: Vec::new(),
            named: BTreeMap::new(),
            shown: None,
        };
        slots.pad();
        slots
    }

    /// Our list.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &ChannelToken> {
        self.ours.iter().map(|(token, _)| token)
    }

    /// Makes our list name exactly `channels`, as far as there is room. Whether it changed.
    // spec: SYNC-9
    pub(crate) fn share(&mut self, channels: &BTreeSet<ChannelId>) -> bool {
        let gone = |(channel, _): &(&ChannelId, &u32)| !channels.contains(channel);
        let gone: Vec<_> = self.indices.iter().filter(gone).map(|(c, i)| (*c, *i)).collect();
        let mut changed = !gone.is_empty();
        for (channel, index) in gone {
            self.indices.remove(&channel);
            self.expected.retain(|_, known| *known != channel);
            let token = self.rng.bytes();
            if let Some(slot) = self.ours.get_mut(index as usize) {
                *slot = (token, Slot::Retired);
            }
        }
        for channel in channels {
            if !self.indices.contains_key(channel) {
                changed |= self.add(*channel);
            }
        }
        self.name();
        changed
    }

    /// Gives a channel a place at random among the padding.
    fn add(&mut self, channel: ChannelId) -> bool {
        if !self.ours.iter().any(|(_, slot)| *slot == Slot::Padding) {
            self.pad();
        }
        let padding =
            |(index, (_, slot)): (usize, &(_, Slot))| (*slot == Slot::Padding).then_some(index);
        let free: Vec<usize> = self.ours.iter().enumerate().filter_map(padding).collect();
        let drawn = self.rng.below(free.len() as u64) as usize;
        let Some(index) = free.get(drawn) else { return false };
        if let Some(slot) = self.ours.get_mut(*index) {
            *slot = (self.keys.token(self.keys.role, &channel), Slot::Channel(channel));
        }
        let other = match self.keys.role {
            Role::Initiator => Role::Responder,
            Role::Responder => Role::Initiator,
        };
        self.expected.insert(self.keys.token(other, &channel), channel);
        self.indices.insert(channel, *index as u32);
        true
    }

    /// Lengthens our list by random tokens.
    fn pad(&mut self) {
        for _ in 0..limits::TOKENS_STEP {
            if self.ours.len() < limits::SHARED_CHANNELS {
                self.ours.push((self.rng.bytes(), Slot::Padding));
            }
        }
    }

    /// Takes the other end's list; the channels that stand in another place than before.
    // spec: SYNC-8, SYNC-9
    pub(crate) fn take(&mut self, theirs: Vec<ChannelToken>) -> Vec<ChannelId> {
        let before = core::mem::take(&mut self.named);
        self.theirs = theirs;
        self.shown = None;
        self.name();
        let has_moved = |(index, channel): &(&u32, &ChannelId)| {
            before.iter().any(|(old, known)| known == *channel && old != *index)
        };
        self.named.iter().filter(has_moved).map(|(_, channel)| *channel).collect()
    }

    /// Finds our channels in the other end's list.
    fn name(&mut self) {
        let mut seen = BTreeSet::new();
        let named = |(token, index): (&ChannelToken, u32)| {
            let channel = *self.expected.get(token)?;
            seen.insert(channel).then_some((index, channel))
        };
        self.named = self.theirs.iter().zip(0..).filter_map(named).collect();
    }

    /// The channels on both lists.
    pub(crate) fn both(&self) -> BTreeSet<ChannelId> {
        let shown = self.shown.filter(|channel| self.indices.contains_key(channel));
        self.named.values().copied().chain(shown).collect()
    }

    /// The channel that the other end means by `index`.
    pub(crate) fn named(&self, index: u32) -> Option<ChannelId> {
        self.named.get(&index).copied()
    }

    /// Our index of a channel.
    pub(crate) fn index(&self, channel: &ChannelId) -> Option<u32> {
        self.indices.get(channel).copied()
    }

    /// A root as this session's summaries show it.
    // spec: SYNC-11
    pub(crate) fn salted(&self, root: &Hash) -> [u8; 8] {
        first_eight(&blake3::keyed_hash(&self.keys.salt, root.as_bytes()))
    }

    /// Bytes held for the other end.
    pub(crate) fn weight(&self) -> usize {
        (self.ours.len() + self.theirs.len()) * size_of::<(ChannelToken, Slot)>()
            + (self.expected.len() + self.named.len() + self.indices.len())
                * size_of::<(ChannelToken, ChannelId)>()
    }
}

impl Keys {
    /// The token by which the end in `role` names a channel. It differs by role, so that nobody
    /// can pass off the other's list as its own.
    // spec: SYNC-8
    fn token(&self, role: Role, channel: &ChannelId) -> ChannelToken {
        let mut input = [0; 33];
        let (first, rest) = input.split_at_mut(1);
        first.fill(match role {
            Role::Initiator => 0,
            Role::Responder => 1,
        });
        rest.copy_from_slice(channel.as_bytes());
        first_eight(&blake3::keyed_hash(&self.token, &input))
    }
}

fn first_eight(hash: &blake3::Hash) -> [u8; 8] {
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_wire::{Carrier, PeerId};

    fn slots(role: Role, seed: u8) -> Slots {
        let secured = Secured { peer: PeerId([0; 32]), binding: [7; 32] };
        let carrier = Carrier::Stream;
        let link = Link { role, carrier, largest_frame: 1 << 16, secured: Some(secured) };
        Slots::new(&link, &secured, Rng::from_seed([seed; 32]))
    }

    fn channels(range: core::ops::Range<u8>) -> BTreeSet<ChannelId> {
        range.map(|byte| ChannelId([byte; 32])).collect()
    }

    // spec: SYNC-8
    #[test]
    fn both_ends_find_what_both_share_and_nothing_else() {
        let (mut alice, mut bob) = (slots(Role::Initiator, 1), slots(Role::Responder, 2));
        assert!(alice.share(&channels(0..20)) && bob.share(&channels(15..40)));
        alice.take(bob.tokens().copied().collect());
        bob.take(alice.tokens().copied().collect());
        assert_eq!(alice.both(), channels(15..20));
        assert_eq!(bob.both(), channels(15..20));
        for channel in channels(15..20) {
            let index = alice.index(&channel).unwrap();
            assert_eq!(bob.named(index), Some(channel));
        }
    }

    // spec: SYNC-8
    #[test]
    fn a_list_sent_back_shares_nothing() {
        let mut alice = slots(Role::Initiator, 1);
        alice.share(&channels(0..20));
        alice.take(alice.tokens().copied().collect());
        assert!(alice.both().is_empty());
    }

    // spec: SYNC-9
    #[test]
    fn the_length_of_a_list_and_the_places_in_it_say_little() {
        let mut alice = slots(Role::Initiator, 1);
        assert_eq!(alice.ours.len(), 16);
        alice.share(&channels(0..16));
        assert_eq!(alice.ours.len(), 16);
        alice.share(&channels(0..17));
        assert_eq!(alice.ours.len(), 32);
        let in_order = channels(0..16).iter().zip(0..).all(|(c, i)| alice.index(c) == Some(i));
        assert!(!in_order);
    }

    // spec: SYNC-9
    #[test]
    fn an_index_never_changes_its_meaning() {
        let mut alice = slots(Role::Initiator, 1);
        let mut meanings: BTreeMap<u32, ChannelId> = BTreeMap::new();
        for round in 0..100 {
            alice.share(&channels(round..round + 10));
            for channel in channels(round..round + 10) {
                let index = alice.index(&channel).unwrap();
                assert_eq!(*meanings.entry(index).or_insert(channel), channel);
            }
        }
        assert!(alice.ours.len() <= limits::SHARED_CHANNELS);
        assert!(!alice.share(&channels(99..109)));
    }
}
