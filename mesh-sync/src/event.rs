//! What sync tells its owner. Events are hints: what they are about is asked for by command.

use alloc::collections::VecDeque;

use mesh_wire::{ChannelId, Fault, LinkId, limits};

use crate::blob::BlobId;
use crate::store::StoreError;

/// Something the owner may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Items have come in or were published.
    NewItems {
        /// Where.
        channel: ChannelId,
        /// The first of them.
        first: u64,
        /// How many.
        count: u64,
    },
    /// The first item of a followed channel is here: its name is known.
    ChannelKnown {
        /// The channel.
        channel: ChannelId,
    },
    /// The channel's owner has said something new about who may write in it.
    WritersChanged {
        /// The channel.
        channel: ChannelId,
    },
    /// Content of items that were here is gone or, where it was lacking, has come.
    ContentChanged {
        /// The channel.
        channel: ChannelId,
    },
    /// More of a blob is here.
    BlobProgress {
        /// The blob.
        blob: BlobId,
    },
    /// All of a blob is here.
    BlobHere {
        /// The blob.
        blob: BlobId,
    },
    /// A blob was given up, to make room for others.
    BlobGivenUp {
        /// The blob.
        blob: BlobId,
    },
    /// A neighbour broke the rules. What it sent has changed nothing.
    PeerFault {
        /// The link to it.
        link: LinkId,
        /// What it did.
        fault: Fault,
    },
    /// The store no longer has what was signed: the channel is set aside. Following it anew
    /// fetches it anew.
    Damaged {
        /// The channel.
        channel: ChannelId,
    },
    /// Somebody with the channel's key has signed two histories of it: it is frozen.
    Forked {
        /// The channel.
        channel: ChannelId,
    },
    /// The store failed: what was not committed may be lost. Sync tries again by itself.
    StoreFailed {
        /// How.
        error: StoreError,
    },
    /// The store is back.
    StoreBack,
}

/// Events that wait: one per channel and blob, and never more than [`limits::EVENTS`].
#[derive(Default)]
pub(crate) struct Events(VecDeque<Event>);

impl Events {
    /// Tells an event, unless one that waits says the same.
    pub(crate) fn tell(&mut self, event: Event) {
        if self.0.iter_mut().rev().any(|waiting| waiting.covers(&event)) {
            return;
        }
        if self.0.len() >= limits::EVENTS {
            self.0.pop_front();
        }
        self.0.push_back(event);
    }

    /// The next event.
    pub(crate) fn next(&mut self) -> Option<Event> {
        self.0.pop_front()
    }
}

impl Event {
    /// Takes `later` in if it continues or repeats this one.
    fn covers(&mut self, later: &Self) -> bool {
        if let (
            Self::NewItems { channel, first, count },
            Self::NewItems { channel: other, first: next, count: more },
        ) = (&mut *self, later)
            && channel == other
            && first.saturating_add(*count) == *next
        {
            *count = count.saturating_add(*more);
            return true;
        }
        self == later
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_that_follow_each_other_are_one_event() {
        let channel = ChannelId([1; 32]);
        let mut events = Events::default();
        let items = |first, count| Event::NewItems { channel, first, count };
        events.tell(items(0, 3));
        events.tell(Event::ChannelKnown { channel });
        events.tell(items(3, 2));
        events.tell(Event::ChannelKnown { channel });
        assert_eq!(events.next(), Some(items(0, 5)));
        assert_eq!(events.next(), Some(Event::ChannelKnown { channel }));
        assert_eq!(events.next(), None);
    }

    #[test]
    fn an_owner_that_does_not_listen_costs_a_bounded_number_of_events() {
        let mut events = Events::default();
        for first in 0..5000 {
            events.tell(Event::NewItems {
                channel: ChannelId([1; 32]),
                first: first * 2,
                count: 1,
            });
        }
        assert_eq!(events.0.len(), limits::EVENTS);
    }
}
