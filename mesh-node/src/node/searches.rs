//! What was done to find company for a channel, and how that ended: for people to read.

use alloc::collections::VecDeque;

use mesh_sync::Store;
use mesh_wire::{ChannelId, FindKey, LinkId, Time};

use super::Node;
use super::reach::Why;

/// A search for somebody to share a channel with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// When it began.
    pub began: Time,
    /// Its reason, which also says how far it goes.
    pub why: Why,
    /// What has become of it.
    pub state: SearchState,
    /// When that was so first; of what was put off again and again, when it was last.
    pub since: Time,
}

/// What has become of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchState {
    /// It did not begin: there was nobody to ask.
    Alone,
    /// It did not begin: too much was being looked for, by others or by this node.
    PutOff,
    /// Answers are waited for.
    UnderWay,
    /// Nobody answered.
    Unanswered,
    /// Somebody was found; the handshake is under way.
    Found {
        /// The routed link.
        link: LinkId,
        /// Relays between the two ends, if the path did not break at once.
        relays: Option<usize>,
    },
    /// Somebody was found behind so many relays, but no session came about.
    NotMet(Option<usize>),
    /// A session with somebody behind so many relays came about.
    Met(Option<usize>),
}

/// Searches remembered for each channel.
const SEARCHES: usize = 8;

/// The last searches for one channel, oldest first.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<Search>);

impl History {
    /// A search begins, or does not. What only goes on as it was is no new entry.
    pub(super) fn begin(&mut self, now: Time, why: Why, state: SearchState) {
        if let Some(last) = self.0.back_mut().filter(|last| last.state == state) {
            (last.why, last.since) = (why, now);
            return;
        }
        if self.0.len() == SEARCHES {
            self.0.pop_front();
        }
        self.0.push_back(Search { began: now, why, state, since: now });
    }

    /// The search under way is over.
    fn over(&mut self, now: Time, state: SearchState) {
        self.become_if(now, |old| (old == SearchState::UnderWay).then_some(state));
    }

    /// The handshake with who was found is over.
    pub(super) fn shaken(
        &mut self,
        now: Time,
        with: LinkId,
        state: fn(Option<usize>) -> SearchState,
    ) {
        self.become_if(now, |old| match old {
            SearchState::Found { link, relays } if link == with => Some(state(relays)),
            SearchState::Found { .. }
            | SearchState::Alone
            | SearchState::PutOff
            | SearchState::UnderWay
            | SearchState::Unanswered
            | SearchState::NotMet(_)
            | SearchState::Met(_) => None,
        });
    }

    fn become_if(&mut self, now: Time, new: impl Fn(SearchState) -> Option<SearchState>) {
        for search in &mut self.0 {
            if let Some(state) = new(search.state) {
                (search.state, search.since) = (state, now);
            }
        }
    }
}

impl<S: Store> Node<S> {
    /// The last searches for company in a channel, oldest first; none of a channel that is not
    /// here.
    pub fn searches(&self, channel: &ChannelId) -> impl Iterator<Item = &Search> {
        self.reach.history(channel).into_iter().flat_map(|history| &history.0)
    }

    /// When company in a channel is looked for next, and why. `None`: not before something
    /// happens.
    #[must_use]
    pub fn next_search(&self, channel: &ChannelId) -> Option<(Time, Why)> {
        self.reach.next(channel)
    }

    /// Notes how a search ended.
    pub(super) fn note_search(&mut self, now: Time, key: &FindKey, found: Option<LinkId>) {
        let state = match found {
            None => SearchState::Unanswered,
            Some(link) => {
                let relays = self.router.relays(link);
                match self.links.get(&link) {
                    // Of two links to one node, one is closed at once.
                    None if self.departures().any(|gone| gone.link == link) => {
                        SearchState::Met(relays)
                    }
                    None => SearchState::NotMet(relays),
                    Some(state) if state.peer().is_some() => SearchState::Met(relays),
                    Some(_) => SearchState::Found { link, relays },
                }
            }
        };
        if let Some(history) = self.reach.history_of(key) {
            history.over(now, state);
        }
    }
}
