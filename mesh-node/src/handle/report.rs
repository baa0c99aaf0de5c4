//! What the node knows, as other programs read it.

use mesh_sync::{BlobId, ItemState, ItemStatus, Role, Sync, Visibility, WriterState};
use mesh_transport::State;
use mesh_wire::message::sync::{ItemKind, Right};
use mesh_wire::{ChannelId, LinkId, Now, UnixTime};

use super::DiskNode;
use crate::driver::Media;
use crate::error::Error;
use crate::node::Relaying;
use crate::store::DiskStore;
use crate::{ChannelLink, api};

pub(super) fn channels(sync: &Sync<DiskStore>) -> Vec<api::ChannelStatus> {
    sync.channels().into_iter().map(channel).collect()
}

fn channel(channel: mesh_sync::ChannelStatus) -> api::ChannelStatus {
    api::ChannelStatus {
        channel: channel.id.to_string(),
        name: channel.name.map(|name| name.to_string()).unwrap_or_default(),
        role: match channel.role {
            Role::Owner => "owner",
            Role::Writer => "writer",
            Role::Follower => "follower",
        }
        .into(),
        link: ChannelLink(channel.id).to_string(),
        items: channel.contents,
        next: channel.items,
        writers: channel.writers as u64,
        blobs_have: channel.blobs_here,
        blobs_known: channel.blobs_known,
        bytes: channel.bytes_here,
        catching_up: channel.catching_up,
        private: channel.private,
        hidden: channel.visibility == Visibility::Hidden,
        forked: channel.forked,
    }
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
        ItemKind::Genesis | ItemKind::Grant | ItemKind::Checkpoint | ItemKind::Keys => {
            return Ok(None);
        }
    };
    let UnixTime(time_ms) = status.header.time;
    Ok(Some(api::Item {
        seq: status.number,
        author: status.writer.to_string(),
        writer: status.writer_name.to_string(),
        valid: status.is_valid,
        time_ms,
        kind: kind.into(),
        name: status.header.name.to_string(),
        text: String::from_utf8_lossy(&text).into_owned(),
        blob: status.header.hash.to_string(),
        size: status.header.size,
        state: match status.state {
            ItemState::Here => "here",
            ItemState::Partial(_) => "partial",
            ItemState::Known => "known",
            ItemState::Sealed => "sealed",
        }
        .into(),
        have,
    }))
}

/// Bytes of an item's content that are here.
pub(super) fn have(item: &ItemStatus) -> u64 {
    match item.state {
        ItemState::Here => item.header.size,
        ItemState::Partial(bytes) => bytes,
        ItemState::Known | ItemState::Sealed => 0,
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
            internet_in: 0,
            saved: traffic.content_received,
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
