//! How a node of the tree chooses its parent.

use super::ancestry::Record;
use super::{Message, NodeId, Tree};
use crate::models::Hands;

/// Why a node might need a new record.
#[derive(Default)]
pub(super) struct Doubt {
    /// Its record grows old, or somebody has a newer one that is wrong.
    pub(super) refresh: bool,
    /// The best parent has not signed, since the last maintenance.
    is_waiting: bool,
    /// The same since the one before: it is a root until somebody signs.
    is_alone: bool,
}

struct Choice {
    root: NodeId,
    parent: NodeId,
    depth: usize,
}

impl Tree {
    /// Forgets records that grew old. That of this node is renewed instead.
    pub(super) fn expire(&mut self, hands: &Hands<Message>) {
        let own = self.ancestries.record(hands.me);
        for id in self.ancestries.expire(hands.now) {
            match own.filter(|_| id == hands.me) {
                Some(own) => {
                    self.ancestries.renew(hands.now, id, own);
                    self.doubt.refresh = true;
                }
                None => self.untell(id),
            }
        }
    }

    /// Stays with the parent, or takes a better one, or is a root.
    pub(super) fn choose_parent(&mut self, hands: &mut Hands<Message>) {
        let me = hands.me;
        let known = self.ancestries.record(me);
        self.doubt.is_alone |= self.doubt.is_waiting || known.is_none();
        let parent = known.map_or(me, |record| record.parent);
        let best = self.best(me, parent);
        let Doubt { refresh, is_waiting, is_alone } = self.doubt;
        if !refresh && !is_waiting && !is_alone && best.parent == parent {
            return;
        }
        let best_peer = self.peers.values().find(|peer| peer.id == best.parent);
        match best_peer.and_then(|peer| peer.offer) {
            Some(port) => self.take_parent(hands, best.parent, port),
            None if is_alone => self.take_parent(hands, me, 0),
            None => self.doubt.is_waiting = true,
        }
    }

    /// The lowest root, then the parent so far, unless it is twice as far as another when the
    /// record is renewed, then the nearest.
    fn best(&self, me: NodeId, parent: NodeId) -> Choice {
        let mut best = Choice { root: me, parent: me, depth: usize::MAX };
        if self.peers.values().any(|peer| peer.id == parent)
            && let Some(place) = self.ancestries.place(me)
            && place.root < me
        {
            best = Choice { root: place.root, parent, depth: place.ports.len() };
        }
        for peer in self.peers.values().filter(|peer| peer.offer.is_some()) {
            let place = self.ancestries.place(peer.id).filter(|place| !place.line.contains(&me));
            let Some(place) = place else { continue };
            let choice = Choice { root: place.root, parent: peer.id, depth: place.ports.len() };
            let is_far_better = self.doubt.refresh && choice.depth * 2 < best.depth;
            let is_better = best.parent != parent && choice.depth < best.depth;
            if choice.root < best.root || (choice.root == best.root && (is_far_better || is_better))
            {
                best = choice;
            }
        }
        best
    }

    fn take_parent(&mut self, hands: &mut Hands<Message>, parent: NodeId, port: u16) {
        let me = hands.me;
        let sequence = self.sequence(me) + 1;
        self.ancestries.renew(hands.now, me, Record { parent, port, sequence });
        self.untell(me);
        self.doubt = Doubt::default();
        self.ask_for_signatures(hands);
    }
}
