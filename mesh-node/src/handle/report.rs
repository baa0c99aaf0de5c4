//! What the node knows, as other programs read it.

use mesh_sync::{
    BlobId, Files, ItemState, ItemStatus, OriginState, OriginStatus, Policy, Role, Sync, Unfetched,
    Visibility, WriterState,
};
use mesh_transport::State;
use mesh_wire::message::sync::{ItemKind, Right};
use mesh_wire::{ChannelId, LinkId, Now, UnixTime, limits};

use super::DiskNode;
use crate::driver::Media;
use crate::error::Error;
use crate::node::Relaying;
use crate::store::DiskStore;
use crate::{ChannelLink, api};

pub(super) fn channels(sync: &Sync<DiskStore>) -> Vec<api::ChannelStatus> {
    sync.channels().into_iter().map(|status| channel(sync, status)).collect()
}

fn channel(sync: &Sync<DiskStore>, channel: mesh_sync::ChannelStatus) -> api::ChannelStatus {
    let status = sync.origin(&channel.id);
    let origin = status.as_ref().map(|status| status.url.clone());
    api::ChannelStatus {
        channel: channel.id.to_string(),
        name: channel.name.map(|name| name.to_string()).unwrap_or_default(),
        role: match channel.role {
            Role::Owner => "owner",
            Role::Writer => "writer",
            Role::Follower => "follower",
        }
        .into(),
        link: ChannelLink { channel: channel.id, origin }.to_string(),
        items: channel.contents,
        next: channel.items,
        writers: channel.writers as u64,
        blobs_have: channel.blobs_here,
        blobs_known: channel.blobs_known,
        bytes: channel.bytes_here,
        origin: status.map(origin_state).unwrap_or_default(),
        policy: policy(&channel.policy),
        used: channel.used,
        saved: channel.exchange.neighbours,
        given: channel.exchange.given,
        catching_up: channel.catching_up,
        private: channel.private,
        open: channel.open,
        hidden: channel.visibility == Visibility::Hidden,
        as_of_ms: channel.promise.as_ref().map(|promise| promise.made.0),
        promised_ms: channel.promise.as_ref().map(|promise| promise.next.0),
        forked: channel.forked,
    }
}

/// Where on the web a channel is, and how it stands with that.
fn origin_state(OriginStatus { url, state }: OriginStatus) -> String {
    match state {
        OriginState::Asked => format!("{url}: asked by this node"),
        OriginState::ByNeighbour => format!("{url}: asked by a neighbour, for this node as well"),
        OriginState::Unused => url.to_string(),
        OriginState::Failed(error) => format!("{url}: {error}"),
    }
}

fn policy(policy: &Policy) -> api::Policy {
    let files = match policy.files {
        Files::All => "all",
        Files::Wanted => "wanted",
    };
    api::Policy { files: files.into(), largest: policy.largest, keep: policy.keep }
}

/// How much large files take, and may.
pub(super) fn quota(sync: &Sync<DiskStore>) -> api::Quota {
    let budget = sync.budget();
    let channel = |channel: mesh_sync::ChannelStatus| api::ChannelQuota {
        channel: channel.id.to_string(),
        name: channel.name.map(|name| name.to_string()).unwrap_or_default(),
        keep: channel.policy.keep,
        used: channel.used,
    };
    let channels = sync.channels().into_iter().map(channel).collect();
    api::Quota { total: budget.total, set: budget.is_set, used: budget.used, channels }
}

pub(super) fn items(
    sync: &Sync<DiskStore>,
    channel: &ChannelId,
    range: std::ops::Range<u64>,
) -> Result<api::Page, Error> {
    let here = sync.channel(channel).map_or(0, |status| status.items);
    let end = range.end.min(range.start.saturating_add(PAGE)).min(here);
    let items = sync.items(channel, range.start..end)?.into_iter();
    let items = items.filter_map(|status| item(sync, channel, status).transpose());
    Ok(api::Page { items: items.collect::<Result<_, _>>()?, next: end.max(range.start) })
}

/// The same for people: the newest in the order of a chat.
pub(super) fn chat(
    sync: &Sync<DiskStore>,
    channel: &ChannelId,
    shown: u64,
) -> Result<api::Page, Error> {
    let here = sync.channel(channel).map_or(0, |status| status.items);
    let first = here.saturating_sub(limits::CHAT_ITEMS as u64);
    if shown < first || shown >= here {
        return items(sync, channel, shown..first);
    }
    let mut page = api::Page { items: Vec::new(), next: here };
    for placed in sync.chat(channel, shown)? {
        let item = item(sync, channel, placed.item)?;
        page.items.extend(item.map(|item| api::Item { late: placed.is_late, ..item }));
    }
    Ok(page)
}

/// Everybody who may write in a channel, or could.
pub(super) fn writers(
    sync: &Sync<DiskStore>,
    channel: &ChannelId,
) -> Result<Vec<api::Writer>, Error> {
    let writers = sync.writers(channel)?.into_iter();
    let writers = writers.map(|writer| api::Writer {
        name: writer.name.to_string(),
        key: writer.key.to_string(),
        role: match writer.right {
            Right::Succeed => "owner",
            Right::Write => "writer",
        }
        .into(),
        state: match writer.state {
            WriterState::Open => "open",
            WriterState::Ended(_) => "ended",
            WriterState::Forked => "forked",
        }
        .into(),
        until_ms: writer.until.map(|UnixTime(ms)| ms),
        own: writer.is_ours,
        items: writer.items,
        newest_ms: writer.newest.map(|UnixTime(ms)| ms),
    });
    Ok(writers.collect())
}

/// Numbers that one answer goes through.
const PAGE: u64 = 256;

/// A text or a file; nothing of what only nodes read.
fn item(
    sync: &Sync<DiskStore>,
    channel: &ChannelId,
    status: ItemStatus,
) -> Result<Option<api::Item>, Error> {
    let have = have(&status);
    let (kind, text) = match status.header.kind {
        ItemKind::Text => ("text", sync.content(channel, status.number)?.unwrap_or_default()),
        ItemKind::File => ("file", bytes::Bytes::new()),
        ItemKind::Genesis
        | ItemKind::Grant
        | ItemKind::Checkpoint
        | ItemKind::Keys
        | ItemKind::Origins
        | ItemKind::Retract => return Ok(None),
    };
    let UnixTime(time_ms) = status.header.time;
    let (hash, size) = match (status.state, status.blob) {
        // Who cannot read it sees what it keeps for others.
        (ItemState::Sealed, Some(blob)) => (blob.hash, blob.size),
        _ => (status.header.hash, status.header.size),
    };
    Ok(Some(api::Item {
        seq: status.number,
        author: status.writer.to_string(),
        writer: status.writer_name.to_string(),
        note: status.is_note,
        valid: status.is_valid,
        late: false,
        gap: status.has_gap,
        time_ms,
        kind: kind.into(),
        name: status.header.name.to_string(),
        text: String::from_utf8_lossy(&text).into_owned(),
        blob: hash.to_string(),
        size,
        state: match status.state {
            ItemState::Here => "here",
            ItemState::Partial(_) => "partial",
            ItemState::Known => "known",
            ItemState::Sealed => "sealed",
            ItemState::Retracted => "retracted",
            ItemState::Expired => "expired",
        }
        .into(),
        have,
        pinned: status.is_pinned,
        unfetched: match status.unfetched {
            None => "",
            Some(Unfetched::NotWanted) => "not-wanted",
            Some(Unfetched::TooLarge(_)) => "too-large",
            Some(Unfetched::OverBudget(_)) => "over-budget",
            Some(Unfetched::NoRoom) => "no-room",
        }
        .into(),
        expires_ms: status.expires.map(|UnixTime(ms)| ms),
    }))
}

/// Bytes of an item's content that are here.
pub(super) fn have(item: &ItemStatus) -> u64 {
    match item.state {
        ItemState::Here => item.header.size,
        // A sealed blob is a little larger than its content.
        ItemState::Partial(bytes) => bytes.min(item.header.size),
        ItemState::Known | ItemState::Sealed | ItemState::Retracted | ItemState::Expired => 0,
    }
}

/// Who gave how much of a blob.
pub(super) fn sources(
    sync: &Sync<DiskStore>,
    blob: &BlobId,
    media: &Media<'_>,
) -> Vec<api::Source> {
    let sources = sync.sources(blob).into_iter();
    let address = |id: &LinkId| match media.links.get(id) {
        Some(link) => link.remote().to_string(),
        None if mesh_sync::is_origin(*id) => "the web".into(),
        None => "others in between".into(),
    };
    sources.map(|(link, bytes)| api::Source { address: address(&link), bytes }).collect()
}

/// Where somebody is who is no neighbour.
pub(super) fn through(relays: usize) -> String {
    match relays {
        1 => "through 1 other".into(),
        more => format!("through {more} others"),
    }
}

pub(super) fn status(name: String, node: &DiskNode, media: &Media<'_>, now: Now) -> api::Status {
    let traffic = node.traffic();
    let all = traffic.received + traffic.sent;
    let content = traffic.content_received + traffic.content_sent;
    let exchanged = node.sync().exchanged();
    api::Status {
        node: node.peer().to_string(),
        name,
        uptime_ms: now.time.0 / 1000,
        transports: media.transports.iter().map(|medium| transport(&**medium)).collect(),
        links: links(node, media),
        channels: channels(node.sync()),
        role: role(node.relaying()),
        bytes: api::Bytes {
            received: traffic.received,
            sent: traffic.sent,
            control: all.saturating_sub(content + 2 * traffic.carried),
            carried: traffic.carried,
            local_in: traffic.received,
            internet_in: exchanged.origins,
            saved: exchanged.neighbours,
            given: exchanged.given,
        },
    }
}

fn role(relaying: Relaying) -> api::RoleStatus {
    let (relay, why) = match relaying {
        Relaying::All => (true, "every node carries for others what they seal from end to end"),
        Relaying::Nothing => (false, "it was told to carry nothing for others"),
    };
    api::RoleStatus { relay, supernode: false, why: why.into() }
}

pub(super) fn transport(medium: &dyn mesh_transport::Transport) -> api::TransportStatus {
    let (state, detail, remedy) = match medium.state() {
        State::Up { detail } => ("up", detail, String::new()),
        State::Down { detail, remedy } => ("down", detail, remedy),
    };
    let addresses = medium.listening().iter().map(ToString::to_string).collect();
    api::TransportStatus {
        kind: medium.name().into(),
        state: state.into(),
        detail,
        remedy,
        addresses,
    }
}

fn links(node: &DiskNode, media: &Media<'_>) -> Vec<api::LinkStatus> {
    let links = node.links().map(|link| {
        let remote = media.links.get(&link.link).map(|link| link.remote());
        api::LinkStatus {
            peer: link.peer.to_string(),
            contact: None,
            relayed: link.relays > 0,
            relays: link.relays,
            transport: remote.as_ref().map_or("relay", |at| at.transport()).into(),
            address: remote.map_or_else(|| through(link.relays), |at| at.to_string()),
            rtt_ms: link.round_trip.map(|trip| trip.as_secs_f64() * 1e3),
            since_ms: link.since.0 / 1000,
            channels: node.sync().shared_with(link.link).len(),
            received: link.traffic.received,
            sent: link.traffic.sent,
        }
    });
    links.collect()
}
