//! What a neighbour should be told of a channel, and what should be given to it unasked.

use alloc::vec::Vec;
use core::ops::Range;

use crate::channel::{Channel, ORIGIN};
use crate::peer::{History, Matched, Told};

/// New items that go out unasked at one time.
const PUSH_ITEMS: u64 = 16;

/// What a neighbour should be told of a channel.
pub(crate) enum Due {
    /// Nothing now.
    Nothing,
    /// Items go to it first.
    Items,
    /// How it stands with these logs, and with blobs.
    Logs(Vec<u32>),
}

/// What a neighbour should be told of a log.
pub(crate) enum Standing {
    /// Nothing now.
    Nothing,
    /// How many items are here, or what is wrong with them.
    Tell,
    /// These items.
    Push(Range<u64>),
    /// The newest ones, as it has said nothing yet.
    Offer,
}

/// What there is to say of a log.
// spec: SYNC-34, SYNC-35, SYNC-38
pub(crate) fn news(channel: &Channel, log: u32, matched: &Matched) -> Told {
    let talk = matched.logs.get(&log);
    match (channel.is_forked(log), talk.map(|talk| (talk.history, talk.theirs))) {
        (true, _) => Told::Fork,
        (false, Some((History::Other, Some(theirs)))) => Told::Branch(theirs.size),
        (false, _) => Told::Here(channel.valid(log)),
    }
}

/// What a neighbour should be told of a channel now.
pub(crate) fn due(channel: &Channel, matched: &Matched) -> Due {
    let (mut logs, mut are_items_due) = (Vec::new(), false);
    for log in 0..channel.logs.len() as u32 {
        match standing(channel, log, matched) {
            Standing::Nothing => {}
            Standing::Push(_) | Standing::Offer => are_items_due = true,
            Standing::Tell => logs.push(log),
        }
    }
    let are_blobs_new = matched.blobs_told.is_some_and(|told| told != channel.counts.blobs_here);
    let is_claim_new = matched.blobs_told.is_some() && matched.claim_told != channel.claim;
    let are_blobs_new = are_blobs_new || is_claim_new;
    let is_free = !matched.said.is_waiting() && !matched.is_catching_up();
    if !logs.is_empty() || (are_blobs_new && is_free && !are_items_due) {
        Due::Logs(logs)
    } else if are_items_due {
        Due::Items
    } else {
        Due::Nothing
    }
}

/// What a neighbour should be told of a log now.
pub(crate) fn standing(channel: &Channel, log: u32, matched: &Matched) -> Standing {
    let news = news(channel, log, matched);
    let (talk, told) = (matched.logs.get(&log), matched.told(log));
    let is_pushed = talk.is_some_and(|talk| talk.pushed.is_waiting());
    if told == Some(news) || matched.said.is_waiting() || is_pushed {
        return Standing::Nothing;
    }
    let theirs = matched.theirs(log);
    let offers = matched.offer && theirs.is_none() && channel.own() == Some(log);
    // Who does not know the writer could do nothing with it, and would have to remember it.
    if !offers && !matched.knows(&channel.charter, log) {
        return Standing::Nothing;
    }
    let Told::Here(size) = news else { return Standing::Tell };
    // An owner waits for who has nothing of a log to say so before it ends the right to write it.
    let ends = channel.charter.writer(log).is_some_and(|writer| writer.ends());
    if told.is_none() && size == 0 && log != ORIGIN && !ends {
        return Standing::Nothing;
    }
    // Who asks for items is told when they are here. But who gives them has to know whose history
    // they are to continue.
    let is_asked = talk.is_some_and(|talk| talk.incoming.is_some());
    if is_asked && (told.is_some() || size == 0) {
        return Standing::Nothing;
    }
    let is_ours = channel.key(log).is_some();
    let Some(theirs) = theirs else {
        return if offers { Standing::Offer } else { Standing::Tell };
    };
    // Who has been told of the items before has asked for them; nobody but their writer gives
    // them unasked to somebody new, as others may do the same.
    if told.is_none() && !is_ours {
        return Standing::Tell;
    }
    let lacking = theirs.size..size;
    let outgoing = talk.and_then(|talk| talk.outgoing);
    let is_streaming =
        outgoing.is_some_and(|stream| stream.sent < stream.granted && stream.next < size);
    let is_small = (1..=PUSH_ITEMS).contains(&(lacking.end.saturating_sub(lacking.start)));
    if is_small && !is_streaming && talk.is_none_or(|talk| talk.sent <= lacking.start) {
        return Standing::Push(lacking);
    }
    Standing::Tell
}
