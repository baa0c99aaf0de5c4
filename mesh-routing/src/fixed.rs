//! Peers given by hand: dialled at start, and again whenever the link is gone.

use alloc::collections::BTreeMap;
use core::time::Duration;

use mesh_wire::{Address, LinkId, Time};

/// Addresses that the user wants a link to.
#[derive(Debug, Default)]
pub(crate) struct Fixed {
    peers: BTreeMap<Address, Peer>,
}

#[derive(Debug)]
struct Peer {
    state: State,
    failures: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Due(Time),
    Dialling,
    Linked(LinkId),
}

impl Fixed {
    /// Adds an address; it is dialled at once.
    pub(crate) fn add(&mut self, now: Time, at: Address) {
        self.peers.entry(at).or_insert(Peer { state: State::Due(now), failures: 0 });
    }

    /// The dial to `at` led to `link`.
    pub(crate) fn linked(&mut self, at: &Address, link: LinkId) {
        if let Some(peer) = self.peers.get_mut(at) {
            *peer = Peer { state: State::Linked(link), failures: 0 };
        }
    }

    /// The dial to `at` failed: again after 1, 2, 4 … 64 s.
    // spec: FIND-13
    pub(crate) fn failed(&mut self, now: Time, at: &Address) {
        if let Some(peer) = self.peers.get_mut(at) {
            let pause = Duration::from_secs(1 << peer.failures.min(6));
            peer.failures = peer.failures.saturating_add(1);
            peer.state = State::Due(now + pause);
        }
    }

    /// `link` is gone.
    pub(crate) fn unlinked(&mut self, now: Time, link: LinkId) {
        let mut peers = self.peers.values_mut();
        if let Some(peer) = peers.find(|peer| peer.state == State::Linked(link)) {
            *peer = Peer { state: State::Due(now + Duration::from_secs(1)), failures: 1 };
        }
    }

    /// An address to dial now.
    pub(crate) fn due(&mut self, now: Time) -> Option<Address> {
        let mut peers = self.peers.iter_mut();
        let (at, peer) =
            peers.find(|(_, peer)| matches!(peer.state, State::Due(at) if at <= now))?;
        peer.state = State::Dialling;
        Some(at.clone())
    }

    pub(crate) fn next(&self) -> Option<Time> {
        let due = self.peers.values().filter_map(|peer| match peer.state {
            State::Due(at) => Some(at),
            State::Dialling | State::Linked(_) => None,
        });
        due.min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: FIND-13
    #[test]
    fn a_peer_given_by_hand_is_dialled_until_linked_and_again_when_lost() {
        let mut fixed = Fixed::default();
        let at: Address = "tcp://192.0.2.9:4000".parse().unwrap();
        fixed.add(Time(0), at.clone());
        for pause in [1, 2, 4, 8, 16, 32, 64, 64] {
            let due = fixed.next().unwrap();
            assert_eq!(fixed.due(due), Some(at.clone()));
            assert_eq!(fixed.due(due), None);
            fixed.failed(due, &at);
            assert_eq!(fixed.next(), Some(due + Duration::from_secs(pause)));
        }
        let due = fixed.next().unwrap();
        assert!(fixed.due(due).is_some());
        fixed.linked(&at, LinkId(7));
        assert_eq!(fixed.next(), None);
        fixed.unlinked(due, LinkId(7));
        assert_eq!(fixed.next(), Some(due + Duration::from_secs(1)));
    }
}
