//! Links that are gone, and why: for people to read.

use alloc::collections::VecDeque;

use mesh_sync::Store;
use mesh_wire::message::link::CloseReason;
use mesh_wire::{Fault, LinkId, PeerId, Time};

use super::Node;
use super::links::Traffic;

/// A link that had a session and is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    /// Which.
    pub link: LinkId,
    /// The pseudonym of the other end.
    pub peer: PeerId,
    /// When it came up.
    pub since: Time,
    /// When it ended.
    pub at: Time,
    /// What went over it.
    pub traffic: Traffic,
    /// Why it ended.
    pub end: LinkEnd,
}

/// Why a link ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEnd {
    /// This node closed it.
    Closed(CloseReason),
    /// This node closed it, as the other end did what it must not do.
    Faulted(Fault),
    /// The other end closed it.
    ClosedByPeer(CloseReason),
    /// It broke: nobody said goodbye.
    Lost,
}

/// Departures remembered.
const DEPARTURES: usize = 32;

/// The links that ended last, oldest first.
#[derive(Debug, Default)]
pub(super) struct Departures(VecDeque<Departure>);

impl Departures {
    pub(super) fn push(&mut self, departure: Departure) {
        if self.0.len() == DEPARTURES {
            self.0.pop_front();
        }
        self.0.push_back(departure);
    }
}

impl<S: Store> Node<S> {
    /// The links that ended last, oldest first.
    pub fn departures(&self) -> impl Iterator<Item = &Departure> {
        self.departures.0.iter()
    }
}
