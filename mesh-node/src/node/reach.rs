//! Whom to look for beyond the neighbours: somebody to share a channel with, when there is a
//! reason. Without one, nothing is sent.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use mesh_routing::{Scope, is_routed};
use mesh_sync::{Role, Store};
use mesh_wire::{ChannelId, FindKey, LinkId, Now, Rng, Time, Wake};

use super::Node;
use super::searches::{History, SearchState};

/// What a key that finds a channel's company is derived for.
const CHANNEL_CONTEXT: &str = "mesh/1 find who shares a channel";
/// What a key that finds the other end of a session again is derived for.
const SESSION_CONTEXT: &str = "mesh/1 find the other end of a session";

/// Time for a new neighbour to say what it shares.
const MEET: Duration = Duration::from_secs(1);
/// Time before somebody who was not found is looked for again; each time four times as long.
const AGAIN: Duration = Duration::from_secs(2);
/// How often.
const TRIES: u32 = 4;
/// Time from one search to the next if there is something new meanwhile: each would find the same.
const HASTE: Duration = Duration::from_secs(8);
/// Company far away is told of news in a channel with company no more often than this.
const NEWS_EVERY: Duration = Duration::from_secs(120);
/// A node that was asked looks itself, unless it did this short a while ago.
const ASKED_EVERY: Duration = Duration::from_secs(30);
/// Time before a search that was not urgent and found nobody near goes further.
const LATER: Duration = Duration::from_secs(10);
/// Such a search waits while so many questions of others are about, up to so many times.
const BUSY: usize = 8;
const PATIENCE: u32 = 5;

/// The channels of a node and when their company is looked for next.
#[derive(Debug, Default)]
pub(super) struct Reach {
    channels: BTreeMap<ChannelId, Seek>,
    by_key: BTreeMap<FindKey, ChannelId>,
    /// Routed links that were found and have no session yet.
    found: BTreeMap<LinkId, FindKey>,
}

#[derive(Debug)]
struct Seek {
    key: FindKey,
    role: Role,
    /// Items that are here.
    size: u64,
    /// The owner has published: just now; and nobody was found since.
    has_news: bool,
    is_unheard: bool,
    /// It was shared with several at a time.
    is_crowd: bool,
    due: Option<Due>,
    /// What the search under way is.
    under_way: Option<Why>,
    last: Option<Time>,
    history: History,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    at: Time,
    why: Why,
}

/// Why company is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The owner waits for it. How often nobody was found.
    Wanted(u32),
    /// There are news for those of its company that are far away.
    News,
    /// This node came among others.
    Arrived,
    /// Somebody has looked who may have more than these items.
    Asked(u64),
    /// Nobody was near. How often it was put off.
    Later(u32),
}

impl Why {
    /// How far a search goes for it.
    // spec: ROUTE-18
    #[must_use]
    pub fn scope(self) -> Scope {
        match self {
            Self::Wanted(0) => Scope::Full,
            // Its repetition is the next try.
            Self::Wanted(_) => Scope::Once,
            Self::News | Self::Later(_) => Scope::Wide,
            Self::Arrived | Self::Asked(_) => Scope::Near,
        }
    }
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
    /// The channel that has this key.
    pub(super) fn channel(&self, key: &FindKey) -> Option<ChannelId> {
        self.by_key.get(key).copied()
    }

    pub(super) fn wake_at(&self) -> Option<Wake> {
        let due = self.channels.values().filter_map(|seek| seek.due).map(|due| due.at).min();
        due.map(|at| Wake { at, reason: "look for who shares a channel" })
    }

    /// A link that was found has a session.
    pub(super) fn met(&mut self, now: Time, link: LinkId) {
        if let Some(seek) = self.found.remove(&link).and_then(|key| self.seek_of(&key)) {
            (seek.is_unheard, seek.under_way) = (false, None);
            seek.history.shaken(now, link, SearchState::Met);
        }
    }

    pub(super) fn history(&self, channel: &ChannelId) -> Option<&History> {
        self.channels.get(channel).map(|seek| &seek.history)
    }

    pub(super) fn history_of(&mut self, key: &FindKey) -> Option<&mut History> {
        self.seek_of(key).map(|seek| &mut seek.history)
    }

    pub(super) fn next(&self, channel: &ChannelId) -> Option<(Time, Why)> {
        self.channels.get(channel)?.due.map(|due| (due.at, due.why))
    }

    fn seek_of(&mut self, key: &FindKey) -> Option<&mut Seek> {
        self.channels.get_mut(self.by_key.get(key)?)
    }
}

impl Seek {
    /// The sooner of two reasons counts.
    fn plan(&mut self, at: Time, why: Why) {
        if self.due.is_none_or(|due| at <= due.at) {
            self.due = Some(Due { at, why });
        }
    }

    /// There is something new for whom nobody has found yet. Who was looked for just now and is to
    /// be again is not looked for as if for the first time.
    // spec: ROUTE-18
    fn hasten(&mut self, now: Time) {
        match self.due.map(|due| due.why) {
            Some(why @ Why::Wanted(1..)) => {
                let soonest = self.last.map_or(now, |last| now.max(last + HASTE));
                self.plan(soonest, why);
            }
            Some(Why::Wanted(0) | Why::News | Why::Arrived | Why::Asked(_) | Why::Later(_))
            | None => self.plan(now, Why::Wanted(0)),
        }
    }

    /// A search found nobody.
    // spec: ROUTE-18
    fn failed(&mut self, now: Time, why: Why, rng: &mut Rng) {
        match why {
            Why::Wanted(tries) if tries < TRIES => {
                self.plan(now + AGAIN * (1 << (2 * tries)), Why::Wanted(tries + 1));
            }
            Why::Arrived | Why::Asked(_) => self.plan(later(now, rng), Why::Later(0)),
            Why::Wanted(_) | Why::News | Why::Later(_) => {}
        }
    }
}

/// At random, so that not everybody asks at once.
fn later(now: Time, rng: &mut Rng) -> Time {
    now + LATER + Duration::from_millis(rng.below(5 * LATER.as_millis() as u64))
}

impl<S: Store> Node<S> {
    /// The owner did something: a new channel is looked for, and an owner's news are.
    // spec: ROUTE-18
    pub(super) fn look_at_channels(&mut self, now: Now) {
        self.list_channels(now.time);
        for (id, seek) in &mut self.reach.channels {
            if !core::mem::take(&mut seek.has_news) {
                continue;
            }
            let news = seek.last.map_or(now.time, |at| now.time.max(at + NEWS_EVERY));
            let sharers = self.sync.sharers(id);
            seek.is_crowd |= sharers > 1;
            match sharers {
                0 if seek.under_way.is_some() => seek.is_unheard = true,
                0 => {
                    seek.is_unheard = true;
                    seek.hasten(now.time);
                }
                // Perhaps there is nobody else.
                1 if !seek.is_crowd => {}
                _ => seek.plan(news, Why::News),
            }
        }
    }

    /// Notes which channels there are and what is here of them.
    pub(super) fn list_channels(&mut self, now: Time) {
        let mut before = core::mem::take(&mut self.reach.channels);
        for (id, role, size) in self.sync.sizes() {
            let mut seek = before.remove(&id).unwrap_or_else(|| Seek {
                key: channel_key(&id),
                role,
                size,
                has_news: false,
                is_unheard: false,
                is_crowd: false,
                // Nobody knows a channel yet that was just made.
                due: (role == Role::Follower).then_some(Due { at: now, why: Why::Wanted(0) }),
                under_way: None,
                last: None,
                history: History::default(),
            });
            seek.has_news |= role != Role::Follower && size > seek.size;
            (seek.role, seek.size) = (role, size);
            self.reach.channels.insert(id, seek);
        }
        self.router.hide(self.sync.hidden().map(|id| channel_key(&id)));
        let seeks = self.reach.channels.iter();
        self.reach.by_key = seeks.clone().map(|(id, seek)| (seek.key, *id)).collect();
        self.router.answer_to(seeks.map(|(_, seek)| (seek.key, seek.size)));
    }

    /// New items of a channel are here: `size` in all.
    pub(super) fn has_more(&mut self, channel: &ChannelId, size: u64) {
        let Some(seek) = self.reach.channels.get_mut(channel) else { return };
        seek.size = size;
        self.router.now_has(seek.key, size);
    }

    /// The first neighbour is here: perhaps those who share this node's channels are behind it.
    // spec: ROUTE-18
    pub(super) fn arrived_somewhere(&mut self, now: Time) {
        for seek in self.reach.channels.values_mut() {
            if seek.role != Role::Owner || seek.is_unheard {
                let wait = MEET + Duration::from_millis(self.rng.below(2000));
                seek.plan(now + wait, Why::Arrived);
            }
        }
    }

    /// Somebody looks for company who may have more than this node, and does not find this one
    /// first, perhaps.
    // spec: ROUTE-18
    pub(super) fn asked(&mut self, now: Time, key: FindKey) {
        let wait = MEET + Duration::from_millis(self.rng.below(2000));
        if let Some(seek) = self.reach.seek_of(&key)
            && seek.last.is_none_or(|last| last + ASKED_EVERY <= now)
        {
            seek.plan(now + wait, Why::Asked(seek.size));
        }
    }

    /// A search is over. Whom it found and who is gone already counts as not found.
    // spec: ROUTE-18
    pub(super) fn searched(&mut self, now: Time, key: FindKey, found: Option<LinkId>) {
        let found = found.filter(|link| self.links.contains_key(link));
        let rng = &mut self.rng;
        let Some(seek) = self.reach.seek_of(&key) else { return };
        match (found, seek.under_way) {
            (Some(link), _) => {
                if self.links.get(&link).is_some_and(|state| state.peer().is_some()) {
                    (seek.is_unheard, seek.under_way) = (false, None);
                } else {
                    self.reach.found.insert(link, key);
                }
            }
            (None, Some(why)) => {
                seek.under_way = None;
                seek.failed(now, why, rng);
            }
            (None, None) => {}
        }
    }

    /// A link that was found came to nothing, as if nobody had been found.
    // spec: ROUTE-18
    pub(super) fn not_met(&mut self, now: Time, link: LinkId) {
        if let Some(key) = self.reach.found.remove(&link) {
            if let Some(history) = self.reach.history_of(&key) {
                history.shaken(now, link, SearchState::NotMet);
            }
            self.searched(now, key, None);
        }
    }

    /// A session is gone before it has brought everything. For the other end of one over relays
    /// this node has looked already.
    // spec: ROUTE-18
    pub(super) fn look_again(&mut self, now: Time, link: LinkId, unfinished: &[ChannelId]) {
        let (at, why) = match is_routed(link) {
            true => (now + AGAIN, Why::Wanted(1)),
            false => (now, Why::Wanted(0)),
        };
        for id in unfinished.iter().filter(|id| self.sync.sharers(id) == 0) {
            if let Some(seek) = self.reach.channels.get_mut(id) {
                seek.plan(at, why);
            }
        }
    }

    /// Looks for those whose time has come.
    pub(super) fn tick_reach(&mut self, now: Time) {
        let due = |(id, seek): (&ChannelId, &Seek)| {
            seek.due.filter(|due| due.at <= now).map(|due| (*id, due.why))
        };
        let due: Vec<_> = self.reach.channels.iter().filter_map(due).collect();
        for (id, why) in due {
            let is_busy = || self.router.heard_lately(now) >= BUSY;
            let Some(seek) = self.reach.channels.get_mut(&id) else { continue };
            // Who has nothing is company for those only who have something.
            let mut company = self.sync.company(&id).map(|sharer| sharer.has);
            let is_shared =
                company.any(|has| seek.size > 0 || has.is_some_and(|(size, _)| size > 0));
            seek.due = None;
            match why {
                Why::Wanted(_) | Why::Arrived | Why::Later(_) if is_shared => continue,
                Why::Asked(size) if seek.size != size => continue,
                Why::Later(times) if is_busy() => {
                    seek.history.begin(now, why, SearchState::PutOff);
                    if times < PATIENCE {
                        seek.plan(later(now, &mut self.rng), Why::Later(times + 1));
                    }
                    continue;
                }
                Why::Wanted(_) | Why::Arrived | Why::Later(_) | Why::News | Why::Asked(_) => {}
            }
            if self.router.seek(now, seek.key, why.scope()) {
                (seek.last, seek.under_way) = (Some(now), Some(why));
                seek.history.begin(now, why, SearchState::UnderWay);
            } else if self.router.has_neighbours() {
                seek.history.begin(now, why, SearchState::PutOff);
                seek.plan(now + MEET, why);
            } else {
                seek.history.begin(now, why, SearchState::Alone);
            }
        }
    }
}
