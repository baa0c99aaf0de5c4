//! Searches for company, in words.

use mesh_routing::Scope;
use mesh_sync::{ChannelStatus, Role};
use mesh_wire::Time;

use super::{DiskNode, ago, ill, well};
use crate::api::Finding;
use crate::handle::report::through;
use crate::node::{Search, SearchState, Why};
use crate::words;

/// A search and its end.
pub(super) fn search(search: &Search, now: Time) -> Finding {
    let what = format!("search {}", ago(search.began, now));
    let tried = format!("{}, {}", reach(search.why), why(search.why));
    let took = words::time(search.since.since(search.began));
    match search.state {
        SearchState::Alone => ill(what, format!("{tried}: nobody was near to ask"), ""),
        SearchState::PutOff => {
            let when = ago(search.since, now);
            let found = format!("{tried}: put off, last {when}, as too much was being looked for");
            ill(what, found, "")
        }
        SearchState::UnderWay => well(what, format!("{tried}: still under way")),
        SearchState::Unanswered => ill(what, format!("{tried}: nobody answered within {took}"), ""),
        SearchState::Found { relays, .. } => {
            let who = whom(relays);
            well(what, format!("{tried}: {who}; a session is being made"))
        }
        SearchState::NotMet(relays) => {
            let who = whom(relays);
            let found = format!("{tried}: {who}, but no session came about in {took}");
            ill(what, found, "the way there is bad or the crowd too busy: come nearer, or wait")
        }
        SearchState::Met(relays) => {
            let who = whom(relays);
            well(what, format!("{tried}: {who}; session after {took}"))
        }
    }
}

fn whom(relays: Option<usize>) -> String {
    match relays {
        None => "somebody was found".into(),
        Some(0) => "a neighbour was found".into(),
        Some(some) => format!("somebody was found {}", through(some)),
    }
}

/// When company is looked for next, or why it is not.
pub(super) fn next(status: &ChannelStatus, node: &DiskNode, now: Time) -> Option<Finding> {
    let is_shared = node.sync().sharers(&status.id) > 0;
    let is_open = |search: &Search| match search.state {
        SearchState::UnderWay | SearchState::Found { .. } => true,
        SearchState::Alone
        | SearchState::PutOff
        | SearchState::Unanswered
        | SearchState::NotMet(_)
        | SearchState::Met(_) => false,
    };
    if let Some((at, reason)) = node.next_search(&status.id) {
        let (when, reach) = (words::time(at.since(now)), reach(reason));
        return Some(well("next search", format!("in {when}: {reach}, {}", why(reason))));
    }
    if is_shared || node.searches(&status.id).any(is_open) {
        return None;
    }
    let has_neighbours = node.links().any(|link| link.relays == 0);
    Some(match (status.role, has_neighbours) {
        (Role::Follower | Role::Writer, false) => {
            well("next search", "as soon as somebody is near")
        }
        (Role::Follower | Role::Writer, true) => ill(
            "next search",
            "none is planned: not before this node comes among others anew, or somebody else in \
             reach looks for the channel",
            "to look at once, stop the node and start it again",
        ),
        (Role::Owner, _) => well(
            "next search",
            "none is needed: whoever follows the channel looks for it; this node looks when there \
             are news, or when it comes among others",
        ),
    })
}

/// Why there is a search.
fn why(why: Why) -> &'static str {
    match why {
        Why::Wanted(0) => "as nobody shared it",
        Why::Wanted(_) => "as nobody was found before",
        Why::News => "to tell of news",
        Why::Arrived => "as this node came among others",
        Why::Asked(_) => "as somebody else was looking",
        Why::Later(_) => "as nobody near had it",
    }
}

/// How far a search goes.
fn reach(why: Why) -> &'static str {
    match why.scope() {
        Scope::Near => "within a few hops",
        Scope::Full => "everywhere, twice",
        Scope::Once => "everywhere",
        Scope::Wide => "everywhere, for several",
    }
}
