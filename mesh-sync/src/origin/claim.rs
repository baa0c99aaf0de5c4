//! Who of those who are near each other gets a channel at its origin for all.

use alloc::vec::Vec;

use mesh_wire::message::sync::{Claim, Gateway};
use mesh_wire::{ChannelId, LinkId, Time, limits};

use super::Internet;
use crate::store::Store;
use crate::sync::Sync;

impl<S: Store> Sync<S> {
    /// Whether a neighbour gets a channel over the same way to the Internet, or a cheaper one.
    // spec: SYNC-60
    pub(super) fn is_left_to_others(&self, channel: &ChannelId) -> bool {
        let own = self.library.channels.get(channel).and_then(|channel| channel.claim.as_ref());
        let own = own.map_or(u64::MAX, |claim| u64::from(claim.draw));
        let others = self.peers.values().filter(|peer| !peer.is_origin());
        let mut claims = others.filter_map(|peer| peer.matched.get(channel)?.claim.as_ref());
        match self.origins.internet {
            Internet::Shared => {
                claims.any(|it| it.gateway == Gateway::Shared && u64::from(it.draw) < own)
            }
            Internet::Metered => claims.next().is_some(),
            Internet::Own | Internet::None => false,
        }
    }

    /// A neighbour that shares a channel has come, gone or said something else about its claim.
    // spec: SYNC-60
    pub(crate) fn claims_changed(&mut self, now: Time, channel: &ChannelId) {
        let is_left = self.is_left_to_others(channel);
        let soon = self.origins.soon(now);
        let Some(plan) = self.origins.plans.get_mut(channel) else { return };
        if is_left && self.library.channels.get(channel).is_some_and(|it| it.claim.is_some()) {
            (plan.trusts, plan.at) = (true, plan.looked + limits::CLAIM_TRUST);
            self.claim(channel, None);
        } else if !is_left && plan.trusts {
            (plan.trusts, plan.at) = (false, soon);
        }
    }

    /// The same for every channel.
    pub(crate) fn all_claims_changed(&mut self, now: Time) {
        let trusting = self.origins.plans.iter().filter(|(_, plan)| plan.trusts);
        let trusting: Vec<ChannelId> = trusting.map(|(channel, _)| *channel).collect();
        trusting.iter().for_each(|channel| self.claims_changed(now, channel));
    }

    pub(super) fn make_claim(&mut self, channel: &ChannelId) {
        let gateway = match self.origins.internet {
            Internet::None | Internet::Metered => return,
            Internet::Shared => Gateway::Shared,
            Internet::Own => Gateway::Own,
        };
        if self.library.channels.get(channel).is_some_and(|channel| channel.claim.is_none()) {
            let draw = u32::from_be_bytes(self.origins.rng.bytes());
            self.claim(channel, Some(Claim { gateway, draw }));
        }
    }

    /// Makes or withdraws a claim, and tells everybody.
    pub(super) fn claim(&mut self, id: &ChannelId, claim: Option<Claim>) {
        let Some(channel) = self.library.channels.get_mut(id) else { return };
        if channel.claim == claim {
            return;
        }
        channel.claim = claim;
        self.peers.values_mut().for_each(|peer| peer.changed(id));
        let links: Vec<LinkId> = self.origins.mirrors.keys().copied().collect();
        links.iter().for_each(|link| self.show_claim(*link, id));
    }

    /// To those who choose what to ask an origin for, its claim is ours.
    pub(super) fn show_claim(&mut self, link: LinkId, channel: &ChannelId) {
        let own = self.library.channels.get(channel).and_then(|channel| channel.claim.clone());
        if let Some(peer) = self.peers.get_mut(&link)
            && let Some(matched) = peer.matched.get_mut(channel)
            && matched.claim != own
        {
            matched.claim = own;
            peer.hungry = true;
        }
    }
}
