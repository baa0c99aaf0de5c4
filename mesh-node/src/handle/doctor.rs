//! What was tried, how it ended and what to do, for somebody who waits in vain.

use std::cmp::Ordering;

use mesh_routing::is_routed;
use mesh_sync::{ChannelStatus, Role, Sharer};
use mesh_transport::Transport;
use mesh_wire::message::link::CloseReason;
use mesh_wire::{ChannelId, LinkId, Now, PeerId, Time};

use super::report::{through, transport};
use super::{DiskNode, not_followed};
use crate::api::{self, Finding};
use crate::driver::Media;
use crate::error::{Error, ErrorKind};
use crate::node::{Attempt, Departure, LinkEnd, LinkReport, Relaying};
use crate::words;

mod searches;

/// Every means of finding somebody, and every dial of late.
pub(super) fn all(node: &DiskNode, media: &Media<'_>, now: Now) -> Vec<Finding> {
    let mut findings = means(node, media);
    let far = node.links().filter(|link| link.relays > 0).count();
    if far > 0 {
        let found = format!("sessions with {far} who are no neighbours, over relays");
        findings.push(well("further away", found));
    }
    findings.extend(node.attempts().map(|attempt| dial(attempt, now.time)));
    findings
}

/// What is here of a channel, who shares it, and what was done to find somebody who does.
pub(super) fn channel(
    id: &ChannelId,
    node: &DiskNode,
    media: &Media<'_>,
    now: Now,
) -> Result<Vec<Finding>, Error> {
    let status = node.sync().channel(id).ok_or_else(not_followed)?;
    let company: Vec<Sharer> = node.sync().company(id).collect();
    let mut findings = vec![here(&status)];
    let files = status.blobs_known.saturating_sub(status.blobs_here);
    // What the owner has ruled out is not missed.
    let files = if node.sync().awaits_blobs(id)? { files } else { 0 };
    findings.extend(missing(&status, &company, files));
    findings.push(shared(node, &company));
    findings.extend(company.iter().filter_map(|other| {
        // None: it is about to leave.
        let link = node.links().find(|link| link.link == other.link)?;
        let what = format!("shared with {}", words::short(&link.peer.to_string()));
        Some(sharer(what, &place(&link, media, now.time), (other, status.items)))
    }));
    findings.extend(node.searches(id).map(|one| searches::search(one, now.time)));
    findings.extend(searches::next(&status, node, now.time));
    if company.is_empty() {
        findings.extend(means(node, media));
        findings.extend(failed_dials(node).into_iter().map(|attempt| dial(attempt, now.time)));
    }
    Ok(findings)
}

/// The link to whose pseudonym begins with `digits`, and links that were. `None` if nobody does.
pub(super) fn somebody(
    digits: &str,
    node: &DiskNode,
    media: &Media<'_>,
    now: Now,
) -> Result<Option<Vec<Finding>>, Error> {
    let is_meant = |peer: &PeerId| !digits.is_empty() && peer.to_string().starts_with(digits);
    let links = node.links().map(|link| link.peer);
    let peers = links.chain(node.departures().map(|gone| gone.peer));
    let mut meant: Vec<PeerId> = peers.filter(|peer| is_meant(peer)).collect();
    meant.sort_unstable();
    meant.dedup();
    let peer = match *meant {
        [] => return Ok(None),
        [one] => one,
        [_, _, ..] => {
            let why = format!("several have been near whose digits begin with {digits}: give more");
            return Err(Error::new(ErrorKind::Usage, why));
        }
    };
    let name = peer.to_string();
    let links: Vec<LinkReport> = node.links().filter(|link| link.peer == peer).collect();
    let mut findings = Vec::new();
    for link in &links {
        findings.push(near(words::short(&name), link, media, now.time));
        findings.push(well("traffic", traffic(link)));
        findings.push(well("channels", in_common(node, link.link)));
    }
    if links.is_empty() {
        let remedy = "it is found again by itself once it is in reach; by then it may go by other \
                      digits, as they change every quarter of an hour";
        findings.push(ill(words::short(&name), "gone: there is no link to it now", remedy));
    }
    let gone = node.departures().filter(|gone| gone.peer == peer);
    findings.extend(gone.map(|gone| departure(gone, now.time)));
    Ok(Some(findings))
}

fn well(what: impl Into<String>, found: impl Into<String>) -> Finding {
    Finding { what: what.into(), ok: true, found: found.into(), remedy: String::new() }
}

fn ill(what: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { what: what.into(), ok: false, found: found.into(), remedy: remedy.into() }
}

/// The media, and whether they have brought anybody.
fn means(node: &DiskNode, media: &Media<'_>) -> Vec<Finding> {
    let mut findings: Vec<_> = media.transports.iter().map(|medium| health(&**medium)).collect();
    let count = node.links().filter(|link| link.relays == 0).count();
    if count == 0 && !media.transports.iter().any(|medium| medium.name() == "udp") {
        findings.push(ill(
            "beacons",
            "off: this node neither announces itself nor listens to others who do",
            "start it without --no-beacons, or name a neighbour with --peer tcp://HOST:PORT",
        ));
    }
    match node.relaying() {
        Relaying::All => {}
        Relaying::Nothing => findings.push(well("relaying", "off: nothing is carried for others")),
    }
    findings.push(match count {
        0 => ill(
            "neighbours",
            "nobody is near, or nobody could be reached",
            "start `mesh up` on another device in the same network; where the network keeps \
             devices apart, give it an address with --peer tcp://HOST:PORT",
        ),
        some => well("neighbours", words::count(some as u64, "neighbour")),
    });
    findings
}

fn health(medium: &dyn Transport) -> Finding {
    let api::TransportStatus { kind, state, detail, remedy, .. } = transport(medium);
    Finding { what: kind, ok: state == "up", found: detail, remedy }
}

fn dial(attempt: &Attempt, now: Time) -> Finding {
    let (what, ago) = (format!("dial {}", attempt.to), ago(attempt.at, now));
    match &attempt.failure {
        None => well(what, format!("connected, {ago}")),
        Some(why) => ill(
            what,
            format!("{why}, {ago}"),
            "it is tried again by itself; a firewall on the other device may keep connections out",
        ),
    }
}

/// The last dial to each address, if it failed.
fn failed_dials(node: &DiskNode) -> Vec<&Attempt> {
    let mut last: Vec<&Attempt> = Vec::new();
    for attempt in node.attempts() {
        last.retain(|earlier| earlier.to != attempt.to);
        last.push(attempt);
    }
    last.retain(|attempt| attempt.failure.is_some());
    last
}

/// What is here of the channel.
fn here(status: &ChannelStatus) -> Finding {
    let what = match &status.name {
        Some(name) => format!("channel {name}"),
        None => format!("channel {}", words::short(&status.id.to_string())),
    };
    if status.damaged {
        let remedy = "the disk may be failing; `mesh unfollow` and `mesh follow` fetch it anew";
        return ill(what, "what was signed is no longer here: it is set aside", remedy);
    }
    if status.forked {
        let remedy = match status.role {
            Role::Owner => "was this home copied, or restored from a backup? Make a new channel",
            Role::Writer | Role::Follower => "ask whoever publishes it for a new one",
        };
        return ill(what, "its key has signed two different histories: it is frozen", remedy);
    }
    let role = match status.role {
        Role::Owner => "signed here",
        Role::Writer => "written here, too",
        Role::Follower => "followed",
    };
    if status.items == 0 {
        return ill(what, format!("{role}, but nothing of it has arrived yet"), "");
    }
    let (items, bytes) = (words::count(status.contents, "item"), words::bytes(status.bytes_here));
    let files = match (status.blobs_here, status.blobs_known) {
        (_, 0) => String::new(),
        (here, known) => format!(", {here} of {known} large files"),
    };
    well(what, format!("{role}; here: {items}, {bytes}{files}"))
}

/// What others have, or items name, and this node does not have: items, and so many large files.
fn missing(status: &ChannelStatus, company: &[Sharer], files: u64) -> Option<Finding> {
    let most = company.iter().filter_map(|other| other.has).map(|(items, _)| items).max();
    let items = most.unwrap_or(0).saturating_sub(status.items);
    let parts = [(items, "item"), (files, "large file")];
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| words::count(number, what))
        .collect();
    if parts.is_empty() {
        return None;
    }
    let how = match (status.catching_up, company) {
        (_, []) => "nobody who shares it is in reach",
        (true, _) => "asked for",
        (false, _) => "fetched as soon as somebody in reach has it",
    };
    Some(ill("missing here", format!("{}; {how}", parts.join(" and ")), ""))
}

fn shared(node: &DiskNode, company: &[Sharer]) -> Finding {
    let far = company.iter().filter(|other| is_routed(other.link)).count();
    let near = company.len() - far;
    let has_neighbours = node.links().any(|link| link.relays == 0);
    match (near, far) {
        (0, 0) if has_neighbours => ill(
            "shared with",
            "nobody now: no neighbour has it, and no session reaches further",
            "start `mesh up` where somebody has it, or name that node with --peer tcp://HOST:PORT",
        ),
        (0, 0) => ill("shared with", "nobody now: nobody is near", ""),
        (near, 0) => well("shared with", words::count(near as u64, "neighbour")),
        (0, far) => well("shared with", format!("{far} further away")),
        (near, far) => {
            let near = words::count(near as u64, "neighbour");
            well("shared with", format!("{near} and {far} further away"))
        }
    }
}

/// What somebody has, beside the `here` items of this node.
fn sharer(what: String, place: &str, (other, here): (&Sharer, u64)) -> Finding {
    let has = match other.has {
        None => "has not said yet what it has".into(),
        Some((items, files)) => {
            let compared = match (items.cmp(&here), items.abs_diff(here)) {
                (Ordering::Equal, _) => "as many as here".into(),
                (Ordering::Greater, more) => format!("{more} more than here"),
                (Ordering::Less, fewer) => format!("{fewer} fewer than here"),
            };
            let items = words::count(items.saturating_sub(1), "item");
            let files = match files {
                0 => String::new(),
                some => format!(", and {}", words::count(some, "large file")),
            };
            format!("has {items}, {compared}{files}")
        }
    };
    match other.unanswered {
        0 => well(what, format!("{place}: {has}")),
        times => {
            let silent = words::count(u64::from(times), "request");
            let found = format!("{place}: {has}; it left {silent} in a row unanswered");
            ill(what, found, "it is asked again by itself, and others before it")
        }
    }
}

fn place(link: &LinkReport, media: &Media<'_>, now: Time) -> String {
    let heard = ago(link.heard, now);
    match media.links.get(&link.link) {
        Some(at) => format!("a neighbour at {}, heard {heard}", at.remote()),
        None => format!("no neighbour, but reached {}, heard {heard}", through(link.relays)),
    }
}

fn near(name: &str, link: &LinkReport, media: &Media<'_>, now: Time) -> Finding {
    let lasts = words::time(now.since(link.since));
    let trip = match link.round_trip {
        Some(trip) => format!("{:.1} ms away", trip.as_secs_f64() * 1e3),
        None => "round trip not measured yet".into(),
    };
    well(name, format!("{}, for {lasts}, {trip}", place(link, media, now)))
}

fn traffic(link: &LinkReport) -> String {
    let traffic = link.traffic;
    let (received, sent) = (words::bytes(traffic.received), words::bytes(traffic.sent));
    let content = words::bytes(traffic.content_received + traffic.content_sent);
    let carried = match traffic.carried {
        0 => String::new(),
        some => format!("; {} were carried for others", words::bytes(some)),
    };
    format!("received {received}, sent {sent}; {content} of it was content{carried}")
}

fn in_common(node: &DiskNode, link: LinkId) -> String {
    let shared = node.sync().shared_with(link);
    if shared.is_empty() {
        return "none in common; it still carries for others".into();
    }
    let name = |id: &ChannelId| {
        let name = node.sync().channel(id).and_then(|channel| channel.name);
        name.map_or_else(|| words::short(&id.to_string()).into(), |name| name.to_string())
    };
    let names: Vec<_> = shared.iter().map(name).collect();
    format!("{} in common: {}", shared.len(), names.join(", "))
}

fn departure(gone: &Departure, now: Time) -> Finding {
    let what = format!("link until {}", ago(gone.at, now));
    let over = if is_routed(gone.link) { "over relays" } else { "as a neighbour" };
    let lasted = words::time(gone.at.since(gone.since));
    let (received, sent) = (words::bytes(gone.traffic.received), words::bytes(gone.traffic.sent));
    let (ok, end) = end(gone.end);
    let found = format!("{over} for {lasted}, received {received}, sent {sent}; {end}");
    Finding { what, ok, found, remedy: String::new() }
}

/// Whether a link ended as it should, and why.
fn end(end: LinkEnd) -> (bool, String) {
    let (ok, why) = match end {
        LinkEnd::Closed(CloseReason::Leaving) => (true, "this node said goodbye"),
        LinkEnd::Closed(CloseReason::Duplicate) => (true, "there was a better link to it"),
        LinkEnd::Closed(CloseReason::Full) => (false, "this node had too many links"),
        LinkEnd::Closed(CloseReason::Fault) => (false, "it had sent something forged before"),
        LinkEnd::Closed(CloseReason::Silent) => (false, "nothing was heard from it for too long"),
        LinkEnd::ClosedByPeer(CloseReason::Leaving) => (true, "it said goodbye"),
        LinkEnd::ClosedByPeer(CloseReason::Duplicate) => (true, "it had a better link to us"),
        LinkEnd::ClosedByPeer(CloseReason::Full) => (false, "it had too many links"),
        LinkEnd::ClosedByPeer(CloseReason::Fault) => {
            (false, "it says that this node broke the protocol: update both to one version")
        }
        LinkEnd::ClosedByPeer(CloseReason::Silent) => {
            (false, "it heard nothing from this node for too long")
        }
        LinkEnd::Faulted(fault) => return (false, format!("it {fault}")),
        LinkEnd::Lost => (false, "it broke without a goodbye"),
    };
    (ok, why.into())
}

fn ago(then: Time, now: Time) -> String {
    format!("{} ago", words::time(now.since(then)))
}
