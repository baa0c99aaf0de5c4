//! What each request makes the node do.

use std::path::{Path, PathBuf};

use async_channel::Sender;
use async_io::Timer;
use mesh_wire::ChannelId;
use mesh_wire::invite::BadLink;

use super::{Client, PAUSE, get, policy};
use crate::api::{ChannelStatus, Finding};
use crate::control::{Answer, Destination, Request, WriterChange};
use crate::error::{Error, ErrorKind};
use crate::export::Existing;
use crate::handle::{ExportTo, Mesh, WeakMesh};
use crate::{ChannelLink, OriginUrl, Visibility, WriterLink};

/// Items read at one time.
pub(super) const PAGE: u64 = 256;

impl Request {
    /// Whether it ends when the client goes away, instead of a moment later.
    pub(super) fn takes_time(&self) -> bool {
        match self {
            Self::Watch
            | Self::Publish { .. }
            | Self::WriteOrigin { .. }
            | Self::Feed { .. }
            | Self::Get { .. } => true,
            Self::Identity
            | Self::Status
            | Self::Doctor
            | Self::Examine { .. }
            | Self::NewChannel { .. }
            | Self::Channels
            | Self::Follow { .. }
            | Self::Unfollow { .. }
            | Self::SetChannel { .. }
            | Self::Quota { .. }
            | Self::Pin { .. }
            | Self::Hide { .. }
            | Self::RequestRight { .. }
            | Self::Writers { .. }
            | Self::PublishText { .. }
            | Self::SignAs { .. }
            | Self::Retract { .. } => false,
        }
    }
}

/// Does what is asked and says every line of the answer but the last.
pub(super) async fn answer(
    request: Request,
    mesh: &WeakMesh,
    client: &mut Client<'_>,
) -> Result<(), Error> {
    let node = mesh.upgrade().ok_or_else(Error::stopped)?;
    match request {
        Request::Identity => client.say(&Answer::Identity(node.identity())).await,
        Request::Status => client.say(&Answer::Status(Box::new(node.status().await?))).await,
        Request::Watch => watch(node, mesh, client).await,
        Request::Doctor => findings(node.doctor().await?, client).await,
        Request::Examine { who } => findings(node.examine(&who).await?, client).await,
        Request::NewChannel { name, private, open, hidden } => {
            let made = new_channel(&node, (&name, hidden), (private, open)).await?;
            client.say(&Answer::Channel(made)).await
        }
        Request::SignAs { channel, name } => sign_as(&node, (&channel, &name), client).await,
        Request::Channels => channels(&node, client).await,
        Request::Follow { link, hidden } => {
            let followed = follow(&node, channel_link(&link)?, hidden).await?;
            client.say(&Answer::Channel(followed)).await
        }
        Request::Hide { channel, hidden } => {
            let to = if hidden { Visibility::Hidden } else { Visibility::Open };
            let channel = node.resolve(&channel).await?;
            client.say(&Answer::Channel(node.show(channel, to).await?)).await
        }
        Request::Unfollow { channel } => node.unfollow(node.resolve(&channel).await?).await,
        Request::SetChannel { channel, files, largest, keep } => {
            policy::set((&node, &channel), (files, largest, keep), client).await
        }
        Request::Quota { total } => policy::quota(&node, total, client).await,
        Request::Pin { channel, items, pinned } => {
            let pinned = pinned.then_some(policy::Pinned);
            policy::pin((&node, &channel), items, pinned, client).await
        }
        Request::WriteOrigin { channel, folder, url } => {
            write_origin((&node, node.resolve(&channel).await?), (folder, url), client).await
        }
        Request::Publish { channel, paths, expires_ms } => {
            publish((&node, node.resolve(&channel).await?), (paths, expires_ms), client).await
        }
        Request::PublishText { channel, text, expires_ms } => {
            let channel = node.resolve(&channel).await?;
            let published = node.publish_text(channel, &text, expires_ms).await?;
            client.say(&Answer::Published(published)).await
        }
        Request::Retract { channel, items } => {
            retract((&node, node.resolve(&channel).await?), items, client).await
        }
        Request::Feed { channel, follow, chat } => {
            let channel = node.resolve(&channel).await?;
            drop(node);
            let order = if chat { Order::Chat } else { Order::Numbers };
            feed((mesh, channel), order, follow.then_some(Follow), client).await
        }
        Request::Get { channel, items, to, replace } => {
            let channel = node.resolve(&channel).await?;
            let existing = if replace { Existing::Replace } else { Existing::Keep };
            get::get((&node, channel), items, (destination(to)?, existing), client).await
        }
        Request::RequestRight { channel, name, right } => {
            let channel = node.resolve(&channel).await?;
            let link = node.request_right(channel, &name, right.into()).await?;
            client.say(&Answer::Link(link.to_string())).await
        }
        Request::Writers { channel, change } => writers((&node, &channel), change, client).await,
    }
}

async fn channels(node: &Mesh, client: &mut Client<'_>) -> Result<(), Error> {
    for channel in node.channels().await? {
        client.say(&Answer::Channel(channel)).await?;
    }
    Ok(())
}

async fn follow(node: &Mesh, link: ChannelLink, hidden: bool) -> Result<ChannelStatus, Error> {
    if hidden { node.follow_hidden(link).await } else { node.follow(link).await }
}

async fn write_origin(
    (node, channel): (&Mesh, ChannelId),
    (folder, url): (PathBuf, Option<String>),
    client: &mut Client<'_>,
) -> Result<(), Error> {
    if !folder.is_absolute() {
        return Err(relative(&folder));
    }
    let url = url.map(|url| url.parse::<OriginUrl>()).transpose();
    let url = url.map_err(|bad| Error::new(ErrorKind::Usage, bad.to_string()))?;
    client.say(&Answer::Origin(node.write_origin(channel, folder, url).await?)).await
}

async fn publish(
    (node, channel): (&Mesh, ChannelId),
    (paths, expires_ms): (Vec<PathBuf>, Option<u64>),
    client: &mut Client<'_>,
) -> Result<(), Error> {
    if let Some(path) = paths.iter().find(|path| !path.is_absolute()) {
        return Err(relative(path));
    }
    let (tell, progress) = async_channel::bounded(1);
    let on_read = move |bytes| latest(&tell, Answer::Read(bytes));
    let work = node.publish_paths(channel, (paths, expires_ms), on_read);
    let published = client.tell(progress, work).await?;
    client.say(&Answer::Published(published)).await
}

async fn sign_as(
    node: &Mesh,
    (channel, name): (&str, &str),
    client: &mut Client<'_>,
) -> Result<(), Error> {
    let channel = node.resolve(channel).await?;
    client.say(&Answer::Channel(node.sign_as(channel, name).await?)).await
}

/// All of them, or none if one is not there.
async fn retract(
    (node, channel): (&Mesh, ChannelId),
    items: Vec<String>,
    client: &mut Client<'_>,
) -> Result<(), Error> {
    let mut numbers = Vec::with_capacity(items.len());
    for item in items {
        numbers.push(get::find(node, channel, &item).await?);
    }
    for item in node.retract(channel, numbers).await? {
        client.say(&Answer::Item(item)).await?;
    }
    Ok(())
}

async fn new_channel(
    node: &Mesh,
    (name, hidden): (&str, bool),
    (private, open): (bool, bool),
) -> Result<ChannelStatus, Error> {
    let made = match (private, open) {
        (false, false) => node.create_channel(name).await?,
        (true, false) => node.create_private_channel(name).await?,
        (false, true) => node.create_board(name).await?,
        (true, true) => {
            let why = "a channel is private or open, not both";
            return Err(Error::new(ErrorKind::Usage, why));
        }
    };
    // Nobody can have heard of it yet.
    if hidden { node.follow_hidden(channel_link(&made.link)?).await } else { Ok(made) }
}

async fn writers(
    (node, channel): (&Mesh, &str),
    change: Option<WriterChange>,
    client: &mut Client<'_>,
) -> Result<(), Error> {
    let channel = node.resolve(channel).await?;
    match change {
        None => {}
        Some(WriterChange::Delegate { writer, until_ms }) => {
            node.grant(writer_link(&writer, channel)?, until_ms).await?;
        }
        Some(WriterChange::Revoke { who }) => drop(node.revoke(channel, &who).await?),
        Some(WriterChange::Rotate) => node.rotate(channel).await?,
        Some(WriterChange::Checkpoint { hours: None }) => node.checkpoint(channel).await?,
        Some(WriterChange::Checkpoint { hours: Some(hours) }) => {
            node.promise(channel, hours).await?;
        }
    }
    client.say(&Answer::Channel(node.channel(channel).await?)).await?;
    for writer in node.writers(channel).await? {
        client.say(&Answer::Writer(writer)).await?;
    }
    Ok(())
}

fn channel_link(text: &str) -> Result<ChannelLink, Error> {
    text.parse().map_err(|bad| Error::new(ErrorKind::Usage, format!("{text:?}: {bad}")))
}

/// What a writer asks of the owner of `channel`.
fn writer_link(text: &str, channel: ChannelId) -> Result<WriterLink, Error> {
    let usage = |why: String| Error::new(ErrorKind::Usage, why);
    let link: WriterLink = text.parse().map_err(|bad: BadLink| usage(bad.to_string()))?;
    if link.channel != channel {
        return Err(usage("this writer asks for another channel".into()));
    }
    Ok(link)
}

async fn findings(findings: Vec<Finding>, client: &mut Client<'_>) -> Result<(), Error> {
    for finding in findings {
        client.say(&Answer::Finding(finding)).await?;
    }
    Ok(())
}

fn destination(to: Destination) -> Result<ExportTo, Error> {
    let (Destination::File(path) | Destination::Directory(path)) = &to;
    if !path.is_absolute() {
        return Err(relative(path));
    }
    Ok(match to {
        Destination::File(path) => ExportTo::File(path),
        Destination::Directory(path) => ExportTo::Folder(path),
    })
}

/// The node's working directory is not the client's.
fn relative(path: &Path) -> Error {
    Error::new(ErrorKind::Usage, format!("{} is not an absolute path", path.display()))
}

/// Replaces what has not been said yet.
pub(super) fn latest(tell: &Sender<Answer>, answer: Answer) {
    // Nobody listens any more: the work is about to end.
    let _ = tell.force_send(answer);
}

async fn watch(node: Mesh, mesh: &WeakMesh, client: &mut Client<'_>) -> Result<(), Error> {
    // Whoever watches does not keep it running.
    drop(node);
    loop {
        let changed = {
            let node = mesh.upgrade().ok_or_else(Error::stopped)?;
            let changed = node.changed();
            client.say(&Answer::Status(Box::new(node.status().await?))).await?;
            changed
        };
        changed.await;
        Timer::after(PAUSE).await;
    }
}

/// The wish for items to come.
struct Follow;

/// How items are told.
#[derive(Clone, Copy)]
enum Order {
    Numbers,
    Chat,
}

async fn feed(
    (mesh, channel): (&WeakMesh, ChannelId),
    order: Order,
    follow: Option<Follow>,
    client: &mut Client<'_>,
) -> Result<(), Error> {
    let mut next = FIRST;
    loop {
        let (changed, page) = {
            let node = mesh.upgrade().ok_or_else(Error::stopped)?;
            let changed = node.changed();
            let page = match order {
                Order::Numbers => node.items(channel, next..next + PAGE).await?,
                Order::Chat => node.chat(channel, next).await?,
            };
            (changed, page)
        };
        if page.next > next {
            next = page.next;
            for item in page.items {
                client.say(&Answer::Item(item)).await?;
            }
        } else if follow.is_some() {
            changed.await;
        } else {
            let node = mesh.upgrade().ok_or_else(Error::stopped)?;
            return client.say(&Answer::Channel(node.channel(channel).await?)).await;
        }
    }
}

/// Item 0 says who signs; people's items begin here.
pub(super) const FIRST: u64 = 1;
