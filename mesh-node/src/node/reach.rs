//! Whom to look for beyond the neighbours: somebody to share a channel with, when there is a
//! reason. Without one, nothing is sent.

use alloc::collections::BTreeMap;
use core::time::Duration;

use mesh_sync::{Role, Store};
use mesh_wire::{ChannelId, FindKey, LinkId, Now, Time, Wake};

use super::Node;

/// What a key that finds a channel's company is derived for.
const CHANNEL_CONTEXT: &str = "mesh/1 find who shares a channel";
/// What a key that finds the other end of a session again is derived for.
const SESSION_CONTEXT: &str = "mesh/1 find the other end of a session";

/// Time for a new neighbour to say what it shares.
const MEET: Duration = Duration::from_secs(1);
/// Searches in a row that find nobody, each twice as long after the one before as that.
const TRIES: u32 = 6;
/// News of a channel that somebody already shares are told further away no more often than this.
const NEWS_EVERY: Duration = Duration::from_secs(120);
/// A search of somebody else shows that there is company: this node looks, too, if nobody came.
const ASKED_EVERY: Duration = Duration::from_secs(30);

/// The channels of a node and when their company is looked for next.
#[derive(Debug, Default)]
pub(super) struct Reach {
    channels: BTreeMap<ChannelId, Seek>,
    by_key: BTreeMap<FindKey, ChannelId>,
}

#[derive(Debug)]
struct Seek {
    key: FindKey,
    /// Items when they were last looked at.
    size: u64,
    due: Option<Time>,
    tries: u32,
    last: Option<Time>,
}

/// The key by which those who know a channel find each other.
// spec: ROUTE-4
pub(super) fn channel_key(channel: &ChannelId) -> FindKey {
    FindKey(blake3::derive_key(CHANNEL_CONTEXT, channel.as_bytes()))
}

/// The key by which the two ends of a session find each other again.
// spec: ROUTE-15
pub(super) fn session_key(binding: &[u8; 32]) -> FindKey {
    FindKey(blake3::derive_key(SESSION_CONTEXT, binding))
}

impl Reach {
    pub(super) fn wake_at(&self) -> Option<Wake> {
        let due = self.channels.values().filter_map(|seek| seek.due).min();
        due.map(|at| Wake { at, reason: "look for who shares a channel" })
    }
}

impl Seek {
    fn hasten(&mut self, at: Time) {
        self.tries = 0;
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}

impl<S: Store> Node<S> {
    /// The owner did something: a new channel is looked for, and an owner's news are.
    // spec: ROUTE-18
    pub(super) fn look_at_channels(&mut self, now: Now) {
        let mut listed = 0;
        let mut is_new = false;
        for (id, role, size) in self.sync.sizes() {
            listed += 1;
            let Some(seek) = self.reach.channels.get_mut(&id) else {
                is_new = true;
                continue;
            };
            if role == Role::Owner && size > seek.size {
                let is_shared = self.sync.is_shared(&id);
                let earliest = seek.last.filter(|_| is_shared).map(|last| last + NEWS_EVERY);
                seek.size = size;
                seek.hasten(earliest.map_or(now.time, |at| at.max(now.time)));
            }
        }
        if is_new || listed != self.reach.channels.len() {
            self.list_channels(now.time);
        }
    }

    pub(super) fn list_channels(&mut self, now: Time) {
        let sizes: BTreeMap<_, _> = self.sync.sizes().map(|(id, _, size)| (id, size)).collect();
        self.reach.channels.retain(|id, _| sizes.contains_key(id));
        for (id, size) in sizes {
            let new = || Seek { key: channel_key(&id), size, due: Some(now), tries: 0, last: None };
            self.reach.channels.entry(id).or_insert_with(new);
        }
        let keys = self.reach.channels.iter().map(|(id, seek)| (seek.key, *id));
        self.reach.by_key = keys.collect();
        self.router.answer_to(self.reach.by_key.keys().copied());
    }

    /// The first neighbour is here: perhaps those who share this node's channels are behind it.
    pub(super) fn arrived_somewhere(&mut self, now: Time) {
        for seek in self.reach.channels.values_mut() {
            seek.tries = 0;
            seek.due = Some(now + MEET);
        }
    }

    /// Somebody looks for the company that this node has been looking for.
    // spec: ROUTE-18
    pub(super) fn asked(&mut self, now: Time, key: FindKey) {
        let Some(channel) = self.reach.by_key.get(&key).copied() else { return };
        let wait = MEET + Duration::from_millis(self.rng.below(2000));
        if let Some(seek) = self.reach.channels.get_mut(&channel)
            && seek.last.is_none_or(|last| last + ASKED_EVERY <= now)
        {
            seek.hasten(now + wait);
        }
    }

    /// A search is over.
    // spec: ROUTE-18
    pub(super) fn searched(&mut self, now: Time, key: FindKey, found: Option<LinkId>) {
        let Some(channel) = self.reach.by_key.get(&key) else { return };
        let Some(seek) = self.reach.channels.get_mut(channel) else { return };
        if found.is_none() && seek.tries < TRIES {
            seek.due = Some(now + Duration::from_secs(1 << seek.tries));
            seek.tries += 1;
        }
    }

    /// Looks for those whose time has come.
    pub(super) fn tick_reach(&mut self, now: Time) {
        let due = |(id, seek): (&ChannelId, &Seek)| seek.due.filter(|at| *at <= now).map(|_| *id);
        let due: alloc::vec::Vec<ChannelId> = self.reach.channels.iter().filter_map(due).collect();
        for id in due {
            let is_shared = self.sync.is_shared(&id);
            let Some(seek) = self.reach.channels.get_mut(&id) else { continue };
            seek.due = None;
            let is_news = seek.last.is_none_or(|last| last + NEWS_EVERY <= now);
            if !is_shared || (is_news && seek.size > 1) {
                if self.router.seek(now, seek.key) {
                    seek.last = Some(now);
                } else if self.router.has_neighbours() {
                    seek.due = Some(now + MEET);
                }
            }
        }
    }
}
