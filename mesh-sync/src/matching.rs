//! What both ends of a link follow, and how they find out: lists of tokens, and questions that
//! give away nothing to whoever does not guess right.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use mesh_wire::codec::List;
use mesh_wire::message::SyncMessage;
use mesh_wire::message::sync::{Blinded, Evaluated, Share};
use mesh_wire::{ChannelId, Fault, LinkId, Time};

use crate::channel::{Channel, Visibility};
use crate::peer::allowance::Allowance;
use crate::serve::LIST_OVERHEAD;
use crate::store::Store;
use crate::sync::Sync;

impl<S: Store> Sync<S> {
    /// The channels have changed: brings every link's list in line with them.
    // spec: SYNC-9
    pub(crate) fn share(&mut self) {
        self.origins.is_stale = true;
        let sound = self.library.channels.values().filter(|channel| !channel.damaged);
        let channels: BTreeMap<ChannelId, Visibility> =
            sound.map(|channel| (channel.id, channel.visibility)).collect();
        for peer in self.peers.values_mut() {
            if peer.slots.share(&channels) {
                peer.share.owe();
            }
            peer.rematch();
            peer.hungry = true;
        }
        self.fetch.news();
    }

    /// The channels that are offered to nobody.
    pub fn hidden(&self) -> impl Iterator<Item = ChannelId> {
        let is_hidden = |channel: &&Channel| channel.visibility == Visibility::Hidden;
        self.library.channels.values().filter(is_hidden).map(|channel| channel.id)
    }

    /// A link that has just come up goes over relays, and each end was found as it knows `channel`.
    // spec: SYNC-14, SYNC-54
    pub fn met(&mut self, link: LinkId, channel: ChannelId) {
        let Some(peer) = self.peers.get_mut(&link) else { return };
        peer.slots.meet(self.library.sound(&channel).map(|channel| channel.id));
        if peer.slots.tokens().next().is_some() {
            peer.share.owe();
        }
        peer.rematch();
        if let Some(matched) = peer.matched.get_mut(&channel) {
            matched.offer = true;
        }
    }

    /// Two links lead to the same node: from what it has proven to know on either, nothing is
    /// hidden on the other.
    // spec: SYNC-14
    pub fn lead_to_the_same(&mut self, one: LinkId, other: LinkId) {
        let mut is_new = false;
        for (from, to) in [(one, other), (other, one)] {
            let proven: Vec<_> =
                self.peers.get(&from).into_iter().flat_map(|peer| peer.slots.proven()).collect();
            let Some(peer) = self.peers.get_mut(&to) else { continue };
            for channel in proven {
                is_new |= peer.slots.prove(channel);
            }
        }
        if is_new && self.health.closed().is_none() {
            self.share();
        }
    }

    /// Our list of channels, by the places in which everything else names them.
    // spec: SYNC-9
    pub(crate) fn next_share(&mut self, now: Time, link: LinkId, room: usize) -> Option<Share> {
        let peer = self.peers.get_mut(&link)?;
        if peer.slots.tokens().count() * 8 + LIST_OVERHEAD > room {
            return None;
        }
        let serial = peer.next_serial();
        peer.share.said(now, peer.pace.repeat(), serial);
        Some(Share { serial, tokens: List::new(peer.slots.tokens()) })
    }

    /// The list of the other end.
    // spec: SYNC-9, SYNC-53
    pub(crate) fn take_share(&mut self, now: Time, link: LinkId, share: &Share) {
        let Some(peer) = self.peers.get_mut(&link) else { return };
        if peer.share_heard.is_some_and(|heard| share.serial <= heard) {
            return peer.acknowledge(share.serial);
        }
        let tokens: Vec<_> = share.tokens.iter().collect();
        let guesses = peer.slots.guesses(&tokens);
        if !Allowance::spend(now, [&mut peer.guesses, &mut self.guesses], guesses) {
            return;
        }
        peer.acknowledge(share.serial);
        peer.share_heard = Some(share.serial);
        let (moved, changed) = peer.slots.take(tokens);
        if changed {
            peer.share.owe();
        }
        // Who forgot a channel and came back has nothing of it, and knows nothing.
        moved.iter().for_each(|channel| peer.forget(channel));
        let gone = peer.rematch();
        peer.hungry = true;
        self.fetch.news();
        gone.iter().for_each(|channel| self.seek(now, channel));
    }

    /// An answer, or a question, if there is one to send.
    // spec: SYNC-52
    pub(crate) fn next_of_matching(
        &mut self,
        now: Time,
        link: LinkId,
        room: usize,
    ) -> Option<SyncMessage> {
        let peer = self.peers.get_mut(&link)?;
        let most = room.saturating_sub(LIST_OVERHEAD) / 32;
        if peer.answer.as_ref().is_some_and(|answer| answer.points.len() <= most) {
            return peer.answer.take().map(SyncMessage::from);
        }
        if peer.slots.is_curious() {
            let serial = peer.next_serial();
            peer.slots.ask(serial);
            peer.question.owe();
        }
        let (serial, points) = peer.slots.question().filter(|_| peer.question.is_due())?;
        if points.len() > most {
            return None;
        }
        peer.question.said(now, peer.pace.repeat(), serial);
        Some(Blinded { serial, points: List::new(points) }.into())
    }

    /// The other end asks about channels.
    // spec: SYNC-52, SYNC-53
    pub(crate) fn take_question(
        &mut self,
        now: Time,
        link: LinkId,
        question: &Blinded,
    ) -> Result<(), Fault> {
        let Some(peer) = self.peers.get_mut(&link) else { return Ok(()) };
        let both = [&mut peer.guesses, &mut self.guesses];
        if Allowance::spend(now, both, question.points.len()) {
            let points = peer.slots.answer(question.points.iter())?;
            peer.answer = Some(Evaluated { serial: question.serial, points: List::new(&points) });
        }
        Ok(())
    }

    /// The other end has answered.
    // spec: SYNC-52
    pub(crate) fn take_answer(&mut self, link: LinkId, answer: &Evaluated) -> Result<(), Fault> {
        let Some(peer) = self.peers.get_mut(&link) else { return Ok(()) };
        let points: Vec<_> = answer.points.iter().collect();
        let Some(changed) = peer.slots.learn(answer.serial, &points)? else { return Ok(()) };
        peer.question.answered();
        if changed {
            peer.share.owe();
        }
        peer.rematch();
        peer.hungry = true;
        self.fetch.news();
        Ok(())
    }
}
