//! What each request makes the node do.

use std::collections::VecDeque;
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
use crate::handle::{ExportTo, Exported, Mesh, WeakMesh};

/// Items read at one time.
const PAGE: u64 = 256;
/// Items waited for at one time: those that are here do not wait for those before them.
const SOME: usize = 256;

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
    let (mut wanted, mut next) = match wanted {
        Wanted::These(names) => (find_all((node, channel), names, client).await?, None),
        Wanted::All => (VecDeque::new(), Some(FIRST)),
    };
    if wanted.len() > 1 && matches!(to, ExportTo::File(_)) {
        let why = "several items need a directory to go to";
        return Err(Error::new(ErrorKind::Usage, why));
    }
    let mut export = node.export(channel, to, existing).await?;
    loop {
        let changed = node.changed();
        if let Some(next) = &mut next
            && wanted.is_empty()
        {
            let is_coming = is_coming(node, channel).await?;
            wanted = files((node, channel), next).await?;
            if wanted.is_empty() && is_coming {
                let nothing = Progress { have: 0, size: 0, sources: Vec::new() };
                client.say(&Answer::Progress(nothing)).await?;
                changed.await;
                continue;
            }
        }
        let Some(&first) = wanted.front() else { return Ok(()) };
        let some: Vec<u64> = wanted.iter().copied().take(SOME).collect();
        let (tell, progress) = async_channel::bounded(1);
        let on_write = move |progress| latest(&tell, Answer::Progress(progress));
        let exported = client.tell(progress, export.ready(some, on_write)).await?;
        if exported.is_empty() {
            match refuse_what_never_comes(node, channel, first).await {
                Ok(()) => {
                    let progress = node.progress(channel, first).await?;
                    client.say(&Answer::Progress(progress)).await?;
                    changed.await;
                    Timer::after(PAUSE).await;
                }
                Err(error) => {
                    wanted.pop_front();
                    let item = first.to_string();
                    client.say(&Answer::Missed(Missed { item, error })).await?;
                }
            }
        }
        take(&mut wanted, &exported);
        for item in exported {
            let Exported { seq, size, sources, path } = item;
            client
                .say(&match path {
                    Ok(path) => Answer::Got(Got { seq, path, size, sources }),
                    Err(error) => Answer::Missed(Missed { item: seq.to_string(), error }),
                })
                .await?;
        }
    }
}

/// Whether items are on their way here, or not one has come yet.
async fn is_coming(node: &Mesh, channel: ChannelId) -> Result<bool, Error> {
    let channel = node.channel(channel).await?;
    Ok(channel.catching_up || channel.name.is_empty())
}

/// Takes what was exported, one for one, from the first of the wanted.
fn take(wanted: &mut VecDeque<u64>, exported: &[Exported]) {
    let mut left = exported.iter().peekable();
    let some = wanted.len().min(SOME);
    let kept: Vec<u64> = wanted
        .drain(..some)
        .filter(|&seq| left.next_if(|item| item.seq == seq).is_none())
        .collect();
    kept.into_iter().rev().for_each(|seq| wanted.push_front(seq));
}

/// The numbers of the files from `next` on, those that are here first: nothing waits for what may
/// never come.
async fn files(
    (node, channel): (&Mesh, ChannelId),
    next: &mut u64,
) -> Result<VecDeque<u64>, Error> {
    let (mut here, mut away) = (VecDeque::new(), VecDeque::new());
    loop {
        let page = node.items(channel, *next..*next + PAGE).await?;
        let Some(last) = page.last() else { break };
        *next = last.seq + 1;
        for item in page.into_iter().filter(|item| item.kind == "file") {
            let list = if item.state == "here" { &mut here } else { &mut away };
            list.push_back(item.seq);
        }
    }
    here.append(&mut away);
    Ok(here)
}

/// The numbers of the items that are meant; the others are told to be missing.
async fn find_all(
    (node, channel): (&Mesh, ChannelId),
    names: Vec<String>,
    client: &mut Client<'_>,
) -> Result<VecDeque<u64>, Error> {
    let mut found = VecDeque::new();
    for item in names {
        match find(node, channel, &item).await {
            Ok(seq) => found.push_back(seq),
            Err(error) => client.say(&Answer::Missed(Missed { item, error })).await?,
        }
    }
    Ok(found)
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

/// What its author has not published cannot be waited for on the author's own node.
async fn refuse_what_never_comes(node: &Mesh, channel: ChannelId, seq: u64) -> Result<(), Error> {
    let channel = node.channel(channel).await?;
    if channel.role != "owner" {
        return Ok(());
    }
    let why = format!("{:?} has no item {seq}: see `mesh feed` for what it has", channel.name);
    Err(Error::new(ErrorKind::NotFound, why))
}
