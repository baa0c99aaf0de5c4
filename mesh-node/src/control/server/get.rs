//! `mesh get`: items of a channel into files, those that are here first.

use std::collections::VecDeque;

use async_io::Timer;
use mesh_wire::ChannelId;
use mesh_wire::limits::LOG_ITEMS;
use mesh_wire::message::sync::ItemKind;

use super::requests::{FIRST, PAGE, latest};
use super::{Client, PAUSE};
use crate::api::Progress;
use crate::control::{Answer, Got, Missed, Wanted};
use crate::error::{Error, ErrorKind};
use crate::export::Existing;
use crate::handle::{Export, ExportTo, Exported, Mesh};
use crate::words::date;

/// Items asked for at one time.
const SOME: usize = 256;

/// Says [`Answer::Got`] or [`Answer::Missed`] for every item, however long it takes to come.
pub(super) async fn get(
    (node, channel): (&Mesh, ChannelId),
    wanted: Wanted,
    (to, existing): (ExportTo, Existing),
    client: &mut Client<'_>,
) -> Result<(), Error> {
    let (wanted, next) = match wanted {
        Wanted::These(names) => (find_all((node, channel), names, client).await?, None),
        Wanted::All => (VecDeque::new(), Some(FIRST)),
    };
    if wanted.len() > 1 && matches!(to, ExportTo::File(_)) {
        let why = "several items need a directory to go to";
        return Err(Error::new(ErrorKind::Usage, why));
    }
    let export = node.export(channel, to, existing).await?;
    Get { node, channel, wanted, next, export }.run(client).await
}

struct Get<'a> {
    node: &'a Mesh,
    channel: ChannelId,
    /// Still to be written; the next to be looked at comes first.
    wanted: VecDeque<u64>,
    /// Where the list of all items goes on, if all are wanted.
    next: Option<u64>,
    export: Export,
}

impl Get<'_> {
    async fn run(&mut self, client: &mut Client<'_>) -> Result<(), Error> {
        loop {
            let changed = self.node.changed();
            let is_coming = self.list().await?;
            if self.write_what_is_here(client).await? {
                continue;
            }
            match self.wanted.front() {
                None if !is_coming => return Ok(()),
                None => {
                    let progress = Progress { have: 0, size: 0, sources: Vec::new() };
                    client.say(&Answer::Progress(progress)).await?;
                    changed.await;
                }
                Some(&first) => {
                    if self.is_to_come(first, client).await? {
                        changed.await;
                        Timer::after(PAUSE).await;
                    }
                }
            }
        }
    }

    /// Adds what has come since. Says whether more is on its way, or not one has come yet.
    async fn list(&mut self) -> Result<bool, Error> {
        let Some(next) = &mut self.next else { return Ok(false) };
        let channel = self.node.channel(self.channel).await?;
        self.wanted.extend(*next..channel.next);
        *next = channel.next.max(*next);
        Ok(channel.catching_up || channel.name.is_empty())
    }

    /// Looks at every wanted item: none waits for another that may never come. Says whether there
    /// was one.
    async fn write_what_is_here(&mut self, client: &mut Client<'_>) -> Result<bool, Error> {
        let wanted = self.wanted.len();
        let only = self.next.map(|_| ItemKind::File);
        let mut unseen = wanted;
        while unseen > 0 {
            let some: Vec<u64> = self.wanted.drain(..unseen.min(SOME)).collect();
            unseen -= some.len();
            let (tell, progress) = async_channel::bounded(1);
            let on_write = move |progress| latest(&tell, Answer::Progress(progress));
            let work = self.export.ready(some, only, on_write);
            let (exported, rest) = client.tell(progress, work).await?;
            for item in exported {
                client.say(&answer(item)).await?;
            }
            self.wanted.extend(rest);
        }
        Ok(self.wanted.len() < wanted)
    }

    /// Says how far the first of the wanted is, or that it never comes.
    async fn is_to_come(&mut self, first: u64, client: &mut Client<'_>) -> Result<bool, Error> {
        if let Err(error) = refuse_what_never_comes(self.node, self.channel, first).await {
            self.wanted.pop_front();
            let item = first.to_string();
            client.say(&Answer::Missed(Missed { item, error })).await?;
            return Ok(false);
        }
        let progress = self.node.progress(self.channel, first).await?;
        client.say(&Answer::Progress(progress)).await?;
        Ok(true)
    }
}

fn answer(item: Exported) -> Answer {
    let Exported { seq, size, sources, path } = item;
    match path {
        Ok(path) => Answer::Got(Got { seq, path, size, sources }),
        Err(error) => Answer::Missed(Missed { item: seq.to_string(), error }),
    }
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
pub(super) async fn find(node: &Mesh, channel: ChannelId, item: &str) -> Result<u64, Error> {
    let hash = item.to_ascii_lowercase();
    if let Some(seq) = item.parse().ok().filter(|seq| (FIRST..LOG_ITEMS).contains(seq)) {
        return Ok(seq);
    }
    let mut next = FIRST;
    loop {
        let page = node.items(channel, next..next + PAGE).await?;
        if page.next == next {
            break;
        }
        next = page.next;
        if let Some(item) = page.items.iter().find(|item| item.blob == hash) {
            return Ok(item.seq);
        }
    }
    let why = format!("the channel has no item {item:?}: see `mesh feed` for their numbers");
    Err(Error::new(ErrorKind::NotFound, why))
}

/// What its only author has not published cannot be waited for on the author's own node, and what
/// counts no longer nowhere.
async fn refuse_what_never_comes(node: &Mesh, id: ChannelId, seq: u64) -> Result<(), Error> {
    let channel = node.channel(id).await?;
    let is_alone = channel.role == "owner" && channel.writers < 2;
    let here = node.items(id, seq..seq + 1).await?.items.pop();
    if here.as_ref().is_some_and(|item| item.state == "sealed") {
        let why = format!(
            "item {seq} of {:?} was written for others only: this node keeps it for them and \
             cannot read it; `mesh channel request` asks to be let in to what is written from \
             then on",
            channel.name
        );
        return Err(Error::new(ErrorKind::Permission, why));
    }
    let gone = here.as_ref().and_then(|item| match (item.state.as_str(), item.expires_ms) {
        ("retracted", _) => Some("was retracted: nobody who knows that has it any more".to_owned()),
        ("expired", Some(ms)) => Some(format!("has expired: it was there until {}", date(ms))),
        (_, _) => None,
    });
    if let Some(gone) = gone {
        let why = format!("item {seq} of {:?} {gone}", channel.name);
        return Err(Error::new(ErrorKind::NotFound, why));
    }
    let is_gone = seq < channel.next && here.is_none();
    if !is_alone && !is_gone {
        return Ok(());
    }
    let why = format!("{:?} has no item {seq}: see `mesh feed` for what it has", channel.name);
    Err(Error::new(ErrorKind::NotFound, why))
}
