//! Who of those that are near each other gets which part of a blob at its origin.

use mesh_wire::message::sync::Claim;
use mesh_wire::{ChannelId, LinkId, Time, limits};

use super::{OpenPage, Peers};
use crate::blob::{Bitmap, PageId};
use crate::peer::Peer;

/// Derives the key under which claims are weighed.
const STRIPE_CONTEXT: &str = "mesh/1 stripe";
/// How long neighbours may take to say what they have of a page.
const ANSWER_TIME: core::time::Duration = core::time::Duration::from_secs(1);

/// Those of the groups `free`, which nobody was asked for, that are this node's to get at the
/// origin behind `link` now.
// spec: SYNC-61
pub(super) fn of_origin(
    now: Time,
    link: LinkId,
    (page, free): (&OpenPage, Bitmap),
    (peers, is_metered): (&Peers, bool),
) -> Bitmap {
    let mut free = free;
    let quiet = now.since(page.since);
    for peer in peers.values().filter(|peer| is_neighbour(peer, page)) {
        let asked = peer.handles.get(&page.id).and_then(|handle| peer.asked.get(handle));
        match asked.filter(|asked| asked.have_heard.is_some()) {
            Some(asked) => free = free.minus(&asked.have),
            None if quiet < ANSWER_TIME => return Bitmap::default(),
            None => {}
        }
    }
    if quiet >= limits::CLAIM_PATIENCE {
        return free;
    }
    let shared = |peer: &Peer| {
        page.channels.iter().copied().find(|channel| peer.matched.contains_key(channel))
    };
    let Some(channel) = peers.get(&link).and_then(shared) else { return Bitmap::default() };
    let claim = |peer: &Peer| peer.matched.get(&channel)?.claim.clone();
    let others = || peers.iter().filter(|(other, _)| **other != link);
    let Some(own) = peers.get(&link).and_then(claim) else {
        // Who claims nothing leaves it to those who do, and whose way is metered never claims.
        let is_anybodys = is_metered && others().all(|(_, peer)| claim(peer).is_none());
        return if is_anybodys { free } else { Bitmap::default() };
    };
    let key = blake3::derive_key(STRIPE_CONTEXT, &[]);
    let is_ours = |stripe: u64| {
        let weigh = |claim: &Claim| weight(&key, claim, (&page.id, stripe));
        let mine = weigh(&own);
        others().filter_map(|(_, peer)| claim(peer)).all(|other| weigh(&other) <= mine)
    };
    let (mut ours, mut last) = (Bitmap::default(), None);
    for group in free.iter() {
        let stripe = page.id.group(group) / limits::STRIPE_GROUPS;
        let (_, mine) = last.filter(|(of, _)| *of == stripe).unwrap_or((stripe, is_ours(stripe)));
        last = Some((stripe, mine));
        if mine {
            ours.insert(group);
        }
    }
    ours
}

/// Whether a neighbour may have something of a page.
fn is_neighbour(peer: &Peer, page: &OpenPage) -> bool {
    let shares = |channel: &ChannelId| peer.matched.contains_key(channel);
    !peer.is_origin() && peer.trusted && peer.pace.is_alive() && page.channels.iter().any(shares)
}

/// What a claim weighs for a stripe of a blob: the heaviest has it.
// spec: SYNC-61
fn weight(key: &[u8; 32], claim: &Claim, (page, stripe): (&PageId, u64)) -> u64 {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&claim.draw.to_be_bytes());
    hasher.update(page.blob.hash.as_bytes());
    hasher.update(&stripe.to_be_bytes());
    let first = hasher.finalize().as_bytes().first_chunk().copied();
    u64::from_be_bytes(first.unwrap_or_default())
}
