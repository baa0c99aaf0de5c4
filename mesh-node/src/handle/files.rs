//! Files in and out of channels, on worker threads: the loop never waits for a user's disk.

use std::ops::Range;
use std::path::PathBuf;

use async_channel::Receiver;
use futures_lite::future::block_on;
use mesh_sync::{BlobId, Content, ItemState, ItemStatus, NewItem, Outboard, Readers};
use mesh_wire::message::sync::ItemKind;
use mesh_wire::{ChannelId, Hash, UnixTime, limits};

use super::Mesh;
use crate::api;
use crate::driver::Media;
use crate::error::Error;
use crate::export::{self, Existing, ExportFolder};
use crate::import::{self, ImportError, Walk};
use crate::store::{Blobs, Staged};

/// Where [`Mesh::export`] writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportTo {
    /// To this file.
    File(PathBuf),
    /// Into this directory, under the items' own names.
    Folder(PathBuf),
}

/// Items published under one signature.
const BATCH_ITEMS: usize = limits::RUN_ITEMS;

/// Large files published under one signature: each is held open until then. Items exported
/// together.
const BATCH_FILES: usize = 128;

/// Bytes of small files published under one signature, or exported together.
const BATCH_BYTES: usize = 4 << 20;

impl Mesh {
    /// Publishes files; a directory becomes one item per file in it. `progress` is told how many
    /// bytes were read. What cannot be read is left out, and said so. Their content goes
    /// everywhere at a time in milliseconds since 1970, if there is one.
    pub async fn publish_paths(
        &self,
        channel: ChannelId,
        (paths, expires_ms): (Vec<PathBuf>, Option<u64>),
        progress: impl FnMut(u64) + Send + 'static,
    ) -> Result<api::Published, Error> {
        let blobs = self.blobs().await?;
        let readers = match self.channel(channel).await?.private {
            true => Readers::Members,
            false => Readers::Everybody,
        };
        let publishing = Publishing {
            mesh: self.clone(),
            channel,
            expires: expires_ms.map(UnixTime),
            readers,
            blobs,
            batch: Batch::default(),
            signing: None,
            numbered: 0,
            published: api::Published { channel: channel.to_string(), ..Default::default() },
        };
        blocking::unblock(move || publishing.run(paths, progress)).await
    }

    /// Items of a channel on their way out to one place.
    pub async fn export(
        &self,
        channel: ChannelId,
        to: ExportTo,
        existing: Existing,
    ) -> Result<Export, Error> {
        let blobs = self.blobs().await?;
        let place = match to {
            ExportTo::File(path) => Place::File(path, existing),
            ExportTo::Folder(path) => {
                let open = move || ExportFolder::open(path, existing);
                Place::Folder(blocking::unblock(open).await?)
            }
        };
        Ok(Export { mesh: self.clone(), channel, blobs, place: Some(place) })
    }

    /// How far an item is on its way here, and from whom it comes. Asking makes it come first.
    pub async fn progress(&self, channel: ChannelId, seq: u64) -> Result<api::Progress, Error> {
        self.ask(move |node, media, now| {
            let sync = node.sync();
            let items = sync.items(&channel, seq..seq.saturating_add(1))?;
            let Some(item) = items.into_iter().next() else {
                return Ok(api::Progress { have: 0, size: 0, sources: Vec::new() });
            };
            let (size, have) = (item.header.size, super::report::have(&item));
            let blob = item.blob;
            let sources = blob.map(|blob| super::report::sources(sync, &blob, media));
            if let Some(blob) = blob.filter(|_| item.state != ItemState::Here) {
                node.sync_mut(now, |sync| sync.prefer(now, blob));
            }
            Ok(api::Progress { have, size, sources: sources.unwrap_or_default() })
        })
        .await?
    }

    async fn blobs(&self) -> Result<Blobs, Error> {
        self.ask(|node, _, _| node.sync().store().blobs()).await
    }
}

/// Files on their way into a channel.
struct Publishing {
    mesh: Mesh,
    channel: ChannelId,
    /// When their content goes.
    expires: Option<UnixTime>,
    readers: Readers,
    blobs: Blobs,
    batch: Batch,
    /// The batch that the loop signs now: how many items, and what becomes of them.
    signing: Option<(usize, Receiver<Numbers>)>,
    /// Items that have their number.
    numbered: usize,
    published: api::Published,
}

impl Publishing {
    fn run(
        mut self,
        paths: Vec<PathBuf>,
        mut progress: impl FnMut(u64),
    ) -> Result<api::Published, Error> {
        let home = self.mesh.shared.home.upgrade().ok_or_else(Error::stopped)?;
        let mut read = 0;
        for path in paths {
            for found in Walk::new(path, &home).map_err(Error::failed)? {
                let imported = found.map_err(ImportError::Skipped).and_then(|found| {
                    import::import(&found, &self.blobs, self.readers, &mut |bytes| {
                        read += bytes;
                        progress(read);
                    })
                });
                match imported {
                    Ok(imported) => self.take(imported)?,
                    Err(ImportError::Skipped(skipped)) => {
                        self.published.skipped.push(api::Skipped {
                            path: skipped.path.display().to_string(),
                            reason: skipped.why.to_string(),
                        })
                    }
                    Err(ImportError::Store(error)) => return Err(Error::failed(error)),
                }
            }
        }
        self.publish()?;
        self.settle()?;
        Ok(self.published)
    }

    fn take(&mut self, imported: import::Imported) -> Result<(), Error> {
        let import::Imported { name, hash, size, content } = imported;
        let content = match content {
            import::Content::Inline(bytes) => {
                self.batch.bytes += bytes.len();
                Content::Inline(bytes)
            }
            import::Content::Blob { staged, outboard, unsealing } => {
                let blob = outboard.id();
                self.batch.staged.push((staged, outboard));
                match unsealing {
                    Some(unsealing) => Content::Sealed(blob, unsealing),
                    None => Content::Blob(blob),
                }
            }
        };
        let (kind, expires) = (ItemKind::File, self.expires);
        self.batch.items.push(NewItem { kind, name: name.clone(), content, expires });
        let (name, blob) = (name.to_string(), hash.to_string());
        self.published.items.push(api::PublishedItem { seq: 0, name, blob, size });
        if self.batch.is_full() { self.publish() } else { Ok(()) }
    }

    /// Has the loop sign what was gathered, once it is done with the batch before: files are read
    /// while it commits.
    fn publish(&mut self) -> Result<(), Error> {
        self.settle()?;
        let batch = std::mem::take(&mut self.batch);
        if batch.items.is_empty() {
            return Ok(());
        }
        let (channel, count) = (self.channel, batch.items.len());
        let run = block_on(self.mesh.post(move |node, _, now| batch.publish(node, channel, now)))?;
        self.signing = Some((count, run));
        Ok(())
    }

    /// Waits for the batch that is being signed. It is durable when this returns.
    fn settle(&mut self) -> Result<(), Error> {
        let Some((count, run)) = self.signing.take() else { return Ok(()) };
        let run = block_on(run.recv()).map_err(|_| Error::stopped())??;
        let numbered = self.numbered;
        self.numbered += count;
        let items = &mut self.published.items[numbered..self.numbered];
        items.iter_mut().zip(run).for_each(|(item, seq)| item.seq = seq);
        Ok(())
    }
}

/// The numbers that items got.
type Numbers = Result<Range<u64>, Error>;

/// What is published under one signature.
#[derive(Default)]
struct Batch {
    items: Vec<NewItem>,
    bytes: usize,
    staged: Vec<(Staged, Outboard)>,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.items.len() >= BATCH_ITEMS
            || self.bytes >= BATCH_BYTES
            || self.staged.len() >= BATCH_FILES
    }

    /// Places the files and signs the items, in the loop: no commit comes between.
    fn publish(
        self,
        node: &mut super::DiskNode,
        channel: ChannelId,
        now: mesh_wire::Now,
    ) -> Numbers {
        node.sync_mut(now, |sync| {
            for (staged, outboard) in self.staged {
                staged.place(&outboard.id().hash).map_err(Error::failed)?;
                sync.adopt_blob(now, &outboard)?;
            }
            Ok(sync.publish(now, &channel, self.items)?)
        })
    }
}

/// Items on their way out of a channel to one file or folder.
pub struct Export {
    mesh: Mesh,
    channel: ChannelId,
    blobs: Blobs,
    /// Gone for good if items were given up while they were written.
    place: Option<Place>,
}

enum Place {
    File(PathBuf, Existing),
    Folder(ExportFolder),
}

/// An item that was asked for and is here: it was written, or why not.
#[derive(Debug)]
pub struct Exported {
    /// Its number in the channel.
    pub seq: u64,
    /// Bytes of content.
    pub size: u64,
    /// Whom it came from, as far as this node remembers.
    pub sources: Vec<api::Source>,
    /// Where it is now.
    pub path: Result<PathBuf, Error>,
}

impl Export {
    /// Waits until the item is here, then writes it; every byte is verified before it is written.
    /// `progress` is told how many bytes were written.
    pub async fn item(
        &mut self,
        seq: u64,
        progress: impl FnMut(api::Progress) + Clone + Send + 'static,
    ) -> Result<Exported, Error> {
        loop {
            let changed = self.mesh.changed();
            let (mut exported, _) = self.ready(vec![seq], None, progress.clone()).await?;
            if let Some(exported) = exported.pop() {
                return Ok(exported);
            }
            changed.await;
        }
    }

    /// Writes the first of `items` that are here, a few or one large one at a time; every byte is
    /// verified before it is written. Returns them, and those that are still to come: these come
    /// before other content from now on. What is not of the kind `only` is left out.
    pub async fn ready(
        &mut self,
        items: Vec<u64>,
        only: Option<ItemKind>,
        mut progress: impl FnMut(api::Progress) + Send + 'static,
    ) -> Result<(Vec<Exported>, Vec<u64>), Error> {
        let wanted = (self.channel, items, only);
        let ready = self.mesh.ask(move |node, media, now| ready(node, media, (wanted, now)));
        let (ready, mut away) = ready.await??;
        if ready.is_empty() {
            return Ok((Vec::new(), away));
        }
        let mut place = self.place.take().ok_or_else(Error::stopped)?;
        let (mesh, blobs) = (self.mesh.clone(), self.blobs.clone());
        let write = move || {
            let (mut exported, mut given_up) = (Vec::new(), Vec::new());
            for item in ready {
                let seq = item.item.number;
                match item.write((&mesh, &blobs), &mut place, &mut progress) {
                    Some(item) => exported.push(item),
                    None => given_up.push(seq),
                }
            }
            (place, exported, given_up)
        };
        let (place, exported, given_up) = blocking::unblock(write).await;
        away.extend(given_up);
        self.place = Some(place);
        Ok((exported, away))
    }
}

/// An item that is here.
struct Ready {
    item: ItemStatus,
    body: bytes::Bytes,
    sources: Vec<api::Source>,
}

/// The first of the items that are here, and the others, which come first from now on.
fn ready(
    node: &mut super::DiskNode,
    media: &Media<'_>,
    ((channel, items, only), now): ((ChannelId, Vec<u64>, Option<ItemKind>), mesh_wire::Now),
) -> Result<(Vec<Ready>, Vec<u64>), Error> {
    let (mut ready, mut away, mut size) = (Vec::new(), Vec::new(), 0);
    for seq in items {
        let is_full = ready.len() >= BATCH_FILES || size >= BATCH_BYTES as u64;
        let sync = node.sync();
        let found = if is_full { None } else { sync.item(&channel, seq)? };
        let Some((item, body)) = found else {
            // What is void does not come, whoever waits for all.
            let is_void = sync.channel(&channel).is_some_and(|status| seq < status.items);
            if is_full || only.is_none() || !is_void {
                away.push(seq);
            }
            continue;
        };
        let never_comes = match item.state {
            ItemState::Sealed | ItemState::Retracted | ItemState::Expired => true,
            ItemState::Here | ItemState::Partial(_) | ItemState::Known => false,
        };
        if only.is_some_and(|only| never_comes || only != item.header.kind) {
            continue;
        }
        let blob = item.blob;
        if item.state == ItemState::Here {
            let sources = blob.map(|blob| super::report::sources(sync, &blob, media));
            size += item.header.size;
            let (body, sources) = (body.unwrap_or_default(), sources.unwrap_or_default());
            ready.push(Ready { item, body, sources });
            continue;
        }
        away.push(seq);
        if let Some(blob) = blob {
            node.sync_mut(now, |sync| sync.prefer(now, blob));
        }
    }
    Ok((ready, away))
}

impl Ready {
    /// Blocks on the disk: for a worker thread. `None` if the content was given up meanwhile, to
    /// make room: then it has to come again.
    fn write(
        self,
        (mesh, blobs): (&Mesh, &Blobs),
        place: &mut Place,
        progress: &mut impl FnMut(api::Progress),
    ) -> Option<Exported> {
        let (seq, size, mut have) = (self.item.number, self.item.header.size, 0);
        let mut progress = |bytes| {
            have += bytes;
            progress(api::Progress { have, size, sources: Vec::new() });
        };
        let name = self.item.header.name.as_str();
        let path = self.with_content((mesh, blobs), |content| match place {
            Place::File(path, existing) => {
                export::export_file(path, *existing, content, &mut progress)?;
                Ok(path.clone())
            }
            Place::Folder(folder) => folder.export(name, content, &mut progress),
        });
        let path = path.transpose()?;
        Some(Exported { seq, size, sources: self.sources, path })
    }

    fn with_content<R>(
        &self,
        (mesh, blobs): (&Mesh, &Blobs),
        write: impl FnOnce(export::Content<'_>) -> Result<R, export::ExportError>,
    ) -> Result<Option<R>, Error> {
        let Some(blob) = self.item.blob else {
            let (hash, size) = (self.item.header.hash, self.item.header.size);
            let bytes = export::Bytes::Inline(&self.body);
            return Ok(Some(write(export::Content { hash, size, bytes })?));
        };
        let BlobId { hash, size } = blob;
        let is_here = || {
            let status = block_on(mesh.command(move |sync, _| sync.blob(&blob)))??;
            Ok::<bool, Error>(status.is_complete())
        };
        let file = match blobs.open(&hash) {
            Err(_) if !is_here()? => return Ok(None),
            file => file.map_err(Error::failed)?,
        };
        let mut page: (u64, Vec<Hash>) = (u64::MAX, Vec::new());
        let mut value = |group: u64| {
            let number = group / limits::PAGE_CVS as u64;
            if page.0 != number {
                let values = mesh.command(move |sync, _| sync.chaining_values(&blob, number));
                page = (number, block_on(values).ok()?.ok()??);
            }
            page.1.get((group % limits::PAGE_CVS as u64) as usize).copied()
        };
        let unsealing = self.item.unsealing.as_ref();
        let bytes = export::Bytes::Blob { file: &file, value: &mut value, unsealing };
        let written = write(export::Content { hash, size, bytes });
        if let Err(export::ExportError::Damaged { group, .. }) = &written {
            if !is_here()? {
                return Ok(None);
            }
            let group = *group;
            block_on(mesh.command(move |sync, now| sync.recheck(now, blob, group)))??;
        }
        Ok(Some(written?))
    }
}
