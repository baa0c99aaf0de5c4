//! Channels as an app reads and writes them.

use bytes::Bytes;
use mesh_sync::{Content, NewItem, Refused, Store, Sync};
use mesh_wire::message::sync::ItemKind;
use mesh_wire::{ChannelId, Label, Now, UnixTime};

use super::Mesh;
use crate::error::{Error, ErrorKind};
use crate::{ChannelLink, OriginUrl, api};

/// One app on a node.
#[derive(Clone)]
pub struct App {
    mesh: Mesh,
}

impl Mesh {
    /// The node as the app called `name` uses it. Names are those of packages, such as
    /// `org.example.news`, and tell apps apart.
    pub fn app(&self, name: &str) -> Result<App, Error> {
        let part = |part: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        };
        if name.len() > 255 || !name.contains('.') || !name.split('.').all(part) {
            let why = format!("{name:?} is not an app's name: write it like org.example.news");
            return Err(Error::new(ErrorKind::Usage, why));
        }
        Ok(App { mesh: self.clone() })
    }

    /// The items of a channel, oldest first, as they come.
    #[must_use]
    pub fn feed(&self, channel: ChannelId) -> Feed {
        Feed { mesh: self.clone(), channel, next: 0, ahead: Vec::new().into_iter() }
    }

    /// Publishes a text as one item. Its content goes everywhere at a time in milliseconds since
    /// 1970, if there is one.
    pub async fn publish_text(
        &self,
        channel: ChannelId,
        text: &str,
        expires_ms: Option<u64>,
    ) -> Result<api::Published, Error> {
        self.publish_bytes(channel, Bytes::copy_from_slice(text.as_bytes()), expires_ms).await
    }

    /// Retracts the content of items, by their numbers here: everybody drops it who hears of it.
    /// What has become of them.
    pub async fn retract(
        &self,
        channel: ChannelId,
        items: Vec<u64>,
    ) -> Result<Vec<api::Item>, Error> {
        let mut retracted = Vec::new();
        for number in &items {
            retracted.extend(self.items(channel, *number..number + 1).await?.items);
        }
        self.command(move |sync, now| sync.retract(now, &channel, &items)).await??;
        for item in &mut retracted {
            let now = self.items(channel, item.seq..item.seq + 1).await?.items.pop();
            // Of a note nothing stays.
            *item = now.unwrap_or_else(|| api::Item {
                state: "retracted".into(),
                have: 0,
                text: String::new(),
                ..item.clone()
            });
        }
        Ok(retracted)
    }

    async fn publish_bytes(
        &self,
        channel: ChannelId,
        bytes: Bytes,
        expires_ms: Option<u64>,
    ) -> Result<api::Published, Error> {
        let limit = mesh_wire::limits::INLINE_BYTES;
        if bytes.len() > limit {
            let why = format!("a text may have {limit} bytes: publish it as a file");
            return Err(Error::new(ErrorKind::Usage, why));
        }
        let size = bytes.len() as u64;
        let blob = blake3::hash(&bytes).to_string();
        let content = Content::Inline(bytes);
        let expires = expires_ms.map(UnixTime);
        let item = NewItem { kind: ItemKind::Text, name: Label::default(), content, expires };
        let run = self.command(move |sync, now| sync.publish(now, &channel, vec![item])).await??;
        let item = api::PublishedItem { seq: run.start, name: String::new(), blob, size };
        let channel = channel.to_string();
        Ok(api::Published { channel, items: vec![item], ..Default::default() })
    }
}

/// Follows a channel, perhaps with somewhere on the web to have it from.
pub(super) fn follow<S: Store>(
    sync: &mut Sync<S>,
    now: Now,
    channel: ChannelId,
    origin: Option<OriginUrl>,
) -> Result<(), Refused> {
    sync.follow(now, channel)?;
    origin.map_or(Ok(()), |origin| sync.follow_at(now, &channel, origin))
}

impl App {
    /// Follows a channel and reads it from its first item on.
    pub fn follow(&self, link: ChannelLink) -> Result<Feed, Error> {
        let ChannelLink { channel, origin } = link;
        self.mesh.send(move |sync, now| follow(sync, now, channel, origin))?;
        Ok(self.mesh.feed(channel))
    }

    /// The link of a new channel that this app writes.
    pub async fn create_channel(&self, name: &str) -> Result<ChannelLink, Error> {
        let channel = self.mesh.create_channel(name).await?;
        channel.link.parse().map_err(Error::failed)
    }

    /// Publishes one item of at most 16 KiB.
    pub async fn publish(
        &self,
        channel: &ChannelLink,
        bytes: impl Into<Bytes>,
    ) -> Result<api::Published, Error> {
        self.mesh.publish_bytes(channel.channel, bytes.into(), None).await
    }
}

/// The items of a channel by cursor. A slow reader costs the node nothing.
pub struct Feed {
    mesh: Mesh,
    channel: ChannelId,
    next: u64,
    ahead: std::vec::IntoIter<api::Item>,
}

/// Items read at one time.
const PAGE: u64 = 64;

impl Feed {
    /// The next item; waits until there is one. `None` when the node has stopped or follows the
    /// channel no longer.
    pub async fn next(&mut self) -> Option<api::Item> {
        loop {
            let changed = self.mesh.changed();
            if let Some(item) = self.ready().await.ok()? {
                return Some(item);
            }
            changed.await;
        }
    }

    /// The next item, if it is there already.
    pub async fn ready(&mut self) -> Result<Option<api::Item>, Error> {
        loop {
            if let Some(item) = self.ahead.next() {
                return Ok(Some(item));
            }
            let page = self.mesh.items(self.channel, self.next..self.next + PAGE).await?;
            if page.next == self.next {
                return Ok(None);
            }
            self.ahead = page.items.into_iter();
            self.next = page.next;
        }
    }
}
