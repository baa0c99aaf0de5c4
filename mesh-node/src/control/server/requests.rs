//! What each request makes the node do.

use std::path::Path;

use async_channel::Sender;
use async_io::Timer;
use mesh_wire::ChannelId;
use mesh_wire::limits::LOG_ITEMS;

use super::{Client, PAUSE};
use crate::ChannelLink;
use crate::api::Progress;
use crate::control::{Answer, Destination, Got, Missed, Request, Wanted};
use crate::error::{Error, ErrorKind};
use crate::export::Existing;
use crate::handle::{Export, ExportTo, Mesh, WeakMesh};

/// Items read at one time.
const PAGE: u64 = 256;

impl Request {
    /// Whether it ends when the client goes away, instead of a moment later.
    pub(super) fn takes_time(&self) -> bool {
        match self {
            Self::Watch | Self::Publish { .. } | Self::Feed { .. } | Self::Get { .. } => true,
            Self::Identity
            | Self::Status
            | Self::Doctor
            | Self::NewChannel { .. }
            | Self::Channels
            | Self::Follow { .. }
            | Self::Unfollow { .. }
            | Self::PublishText { .. } => false,
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
        Request::Watch => {
            drop(node);
            watch(mesh, client).await
        }
        Request::Doctor => {
            for finding in node.doctor().await? {
                client.say(&Answer::Finding(finding)).await?;
            }
            Ok(())
        }
        Request::NewChannel { name } => {
            client.say(&Answer::Channel(node.create_channel(&name).await?)).await
        }
        Request::Channels => {
            for channel in node.channels().await? {
                client.say(&Answer::Channel(channel)).await?;
            }
            Ok(())
        }
        Request::Follow { link } => {
            let link: ChannelLink = link
                .parse()
                .map_err(|bad| Error::new(ErrorKind::Usage, format!("{link:?}: {bad}")))?;
            client.say(&Answer::Channel(node.follow(link).await?)).await
        }
        Request::Unfollow { channel } => node.unfollow(node.resolve(&channel).await?).await,
        Request::Publish { channel, paths } => {
            if let Some(path) = paths.iter().find(|path| !path.is_absolute()) {
                return Err(relative(path));
            }
            let channel = node.resolve(&channel).await?;
            let (tell, progress) = async_channel::bounded(1);
            let on_read = move |bytes| latest(&tell, Answer::Read(bytes));
            let work = node.publish_paths(channel, paths, on_read);
            let published = client.tell(progress, work).await?;
            client.say(&Answer::Published(published)).await
        }
        Request::PublishText { channel, text } => {
            let channel = node.resolve(&channel).await?;
            client.say(&Answer::Published(node.publish_text(channel, &text).await?)).await
        }
        Request::Feed { channel, follow } => {
            let channel = node.resolve(&channel).await?;
            drop(node);
            feed((mesh, channel), follow.then_some(Follow), client).await
        }
        Request::Get { channel, items, to, replace } => {
            let channel = node.resolve(&channel).await?;
            let existing = if replace { Existing::Replace } else { Existing::Keep };
            get((&node, channel), items, (destination(to)?, existing), client).await
        }
    }
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
fn latest(tell: &Sender<Answer>, answer: Answer) {
    // Nobody listens any more: the work is about to end.
    let _ = tell.force_send(answer);
}

async fn watch(mesh: &WeakMesh, client: &mut Client<'_>) -> Result<(), Error> {
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

async fn feed(
    (mesh, channel): (&WeakMesh, ChannelId),
    follow: Option<Follow>,
    client: &mut Client<'_>,
) -> Result<(), Error> {
    let mut next = FIRST;
    loop {
        let (changed, page) = {
            let node = mesh.upgrade().ok_or_else(Error::stopped)?;
            (node.changed(), node.items(channel, next..next + PAGE).await?)
        };
        if let Some(last) = page.last() {
            next = last.seq + 1;
            for item in page {
                client.say(&Answer::Item(item)).await?;
            }
        } else if follow.is_some() {
            changed.await;
        } else {
            return Ok(());
        }
    }
}

/// Item 0 says who may sign; people's items begin here.
const FIRST: u64 = 1;

async fn get(
    (node, channel): (&Mesh, ChannelId),
    wanted: Wanted,
    (to, existing): (ExportTo, Existing),
    client: &mut Client<'_>,
) -> Result<(), Error> {
    let names = match wanted {
        Wanted::These(names) => names,
        Wanted::All => files(node, channel).await?,
    };
    if names.len() > 1 && matches!(to, ExportTo::File(_)) {
        let why = "several items need a directory to go to";
        return Err(Error::new(ErrorKind::Usage, why));
    }
    let mut export = node.export(channel, to, existing).await?;
    for name in names {
        let got = match find(node, channel, &name).await {
            Ok(seq) => get_one((node, channel, seq), &mut export, client).await,
            Err(error) => Err(error),
        };
        client
            .say(&match got {
                Ok(got) => Answer::Got(got),
                Err(error) => Answer::Missed(Missed { item: name, error }),
            })
            .await?;
    }
    Ok(())
}

/// The numbers of all files, those that are here first: nothing waits for what may never come.
async fn files(node: &Mesh, channel: ChannelId) -> Result<Vec<String>, Error> {
    let (mut here, mut away) = (Vec::new(), Vec::new());
    let mut next = FIRST;
    loop {
        let page = node.items(channel, next..next + PAGE).await?;
        let Some(last) = page.last() else { break };
        next = last.seq + 1;
        for item in page.into_iter().filter(|item| item.kind == "file") {
            let list = if item.state == "here" { &mut here } else { &mut away };
            list.push(item.seq.to_string());
        }
    }
    here.append(&mut away);
    Ok(here)
}

/// The number of the item that is meant: by its number, or by the hash of its content.
async fn find(node: &Mesh, channel: ChannelId, item: &str) -> Result<u64, Error> {
    let hash = item.to_ascii_lowercase();
    if let Some(seq) = item.parse().ok().filter(|seq| (FIRST..LOG_ITEMS).contains(seq)) {
        return Ok(seq);
    }
    let mut next = FIRST;
    loop {
        let page = node.items(channel, next..next + PAGE).await?;
        let Some(last) = page.last() else { break };
        next = last.seq + 1;
        if let Some(item) = page.iter().find(|item| item.blob == hash) {
            return Ok(item.seq);
        }
    }
    let why = format!("the channel has no item {item:?}: see `mesh feed` for their numbers");
    Err(Error::new(ErrorKind::NotFound, why))
}

/// Waits for an item, however long, then writes it.
async fn get_one(
    (node, channel, seq): (&Mesh, ChannelId, u64),
    export: &mut Export,
    client: &mut Client<'_>,
) -> Result<Got, Error> {
    let size = loop {
        let changed = node.changed();
        let page = node.items(channel, seq..seq.saturating_add(1)).await?;
        match page.first() {
            Some(item) if item.state == "here" => break item.size,
            Some(_) => {}
            None => refuse_what_never_comes(node, channel, seq).await?,
        }
        client.say(&Answer::Progress(node.progress(channel, seq).await?)).await?;
        changed.await;
        Timer::after(PAUSE).await;
    };
    let (tell, progress) = async_channel::bounded(1);
    let on_write = move |have| {
        latest(&tell, Answer::Progress(Progress { have, size, sources: Vec::new() }));
    };
    let path = client.tell(progress, export.item(seq, on_write)).await?;
    client.say(&Answer::Progress(node.progress(channel, seq).await?)).await?;
    Ok(Got { seq, path, size })
}

/// What its author has not published cannot be waited for on the author's own node.
async fn refuse_what_never_comes(node: &Mesh, channel: ChannelId, seq: u64) -> Result<(), Error> {
    let channel = node.channel(channel).await?;
    if channel.role != "owner" {
        return Ok(());
    }
    let why = format!("{:?} has no item {seq}: see `mesh feed` for what it has", channel.name);
    Err(Error::new(ErrorKind::NotFound, why))
}
