//! A channel as plain files, for a web server that knows nothing of it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use futures_lite::future::block_on;
use mesh_sync::blob::group_hash;
use mesh_sync::{BlobId, Bundle, ItemState, Refused, Sync};
use mesh_wire::origin::{OriginHead, OriginUrl, blob_path, cvs_path, head_path};
use mesh_wire::{ChannelId, Hash, Now, Wire, limits};
use tempfile::NamedTempFile;

use super::Mesh;
use crate::api;
use crate::error::Error;
use crate::store::{Blobs, DiskStore};

impl Mesh {
    /// Writes what a plain web server needs to give a channel to its followers into a folder, or
    /// brings what is there up to date. If it is known where the server gives that folder, the
    /// channel's own owner says so in the channel.
    // spec: SYNC-57, SYNC-58
    pub async fn write_origin(
        &self,
        channel: ChannelId,
        folder: PathBuf,
        url: Option<OriginUrl>,
    ) -> Result<api::Origin, Error> {
        if let Some(url) = url {
            self.command(move |sync, now| name(sync, now, &channel, url)).await??;
        }
        let blobs = self.ask(|node, _, _| node.sync().store().blobs()).await?;
        let (mesh, written) = (self.clone(), api::Origin::default());
        let writing = Writing { mesh, channel, folder, blobs, written };
        blocking::unblock(move || writing.run()).await
    }
}

/// Says where a channel is on the web, unless that is known.
fn name(
    sync: &mut Sync<DiskStore>,
    now: Now,
    channel: &ChannelId,
    url: OriginUrl,
) -> Result<(), Refused> {
    let before = sync.origins(channel);
    if before.first() == Some(&url) {
        return Ok(());
    }
    let others = before.into_iter().filter(|other| *other != url);
    let urls: Vec<OriginUrl> =
        std::iter::once(url.clone()).chain(others).take(limits::ORIGINS).collect();
    sync.name_origins(now, channel, &urls).map(drop)
}

/// The files of a channel on their way into a folder.
struct Writing {
    mesh: Mesh,
    channel: ChannelId,
    folder: PathBuf,
    blobs: Blobs,
    written: api::Origin,
}

/// More than `head` ever has.
const HEAD_BYTES: usize = 1 << 20;
/// Numbers of items that are looked at together.
const PAGE: u64 = 256;

impl Writing {
    /// What the others name comes first: whoever looks meanwhile finds all that is promised.
    fn run(mut self) -> Result<api::Origin, Error> {
        let channel = self.channel;
        let head = self.folder.join(head_path(&channel));
        let _lock = lock(&head)?;
        let before = match read(&head, HEAD_BYTES) {
            Ok(bytes) => OriginHead::from_bytes(bytes.into()).ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(&head, &error)),
        };
        // What comes in meanwhile is for the next time.
        let (now, bundles) = self.command(move |sync, _| {
            let head = sync.origin_head(&channel)?;
            Ok((head, sync.origin_bundles(&channel, before.as_ref())?))
        })?;
        self.write_blobs()?;
        for bundle in bundles {
            self.write_bundle(bundle)?;
        }
        self.write(&head, &now.to_bytes())?;
        Ok(self.written)
    }

    fn command<R: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Sync<DiskStore>, Now) -> Result<R, Refused> + Send + 'static,
    ) -> Result<R, Error> {
        Ok(block_on(self.mesh.command(command))??)
    }

    fn write_blobs(&mut self) -> Result<(), Error> {
        let channel = self.channel;
        let all =
            self.command(move |sync, _| Ok(sync.channel(&channel).map_or(0, |it| it.items)))?;
        for first in (0..all).step_by(PAGE as usize) {
            let items = self.command(move |sync, _| sync.items(&channel, first..first + PAGE))?;
            for item in items {
                // Whoever gives out what strangers name is responsible for it.
                let Some(blob) = item.blob.filter(|_| !item.is_note) else { continue };
                match item.state {
                    ItemState::Here | ItemState::Sealed => self.write_blob(&blob)?,
                    ItemState::Partial(_) | ItemState::Known => self.written.missing += 1,
                    ItemState::Retracted | ItemState::Expired => self.withdraw(blob)?,
                }
            }
        }
        Ok(())
    }

    /// Writes a blob, every byte verified, unless it is there.
    fn write_blob(&mut self, blob: &BlobId) -> Result<(), Error> {
        let path = self.folder.join(blob_path(&blob.hash));
        if std::fs::metadata(&path).is_ok_and(|found| found.len() == blob.size) {
            return Ok(());
        }
        let id = *blob;
        let values = self.command(move |sync, _| sync.origin_cvs(&id))?;
        if !values.is_empty() {
            self.write(&self.folder.join(cvs_path(&blob.hash)), &values)?;
        }
        let file = self.blobs.open(&blob.hash).map_err(Error::failed)?;
        let value = |group: u64| match blob.groups() {
            1 => Some(blob.hash),
            _ => values.chunks_exact(32).nth(group as usize)?.try_into().ok().map(Hash),
        };
        self.place(&path, |into| {
            let mut bytes = vec![0; limits::GROUP_BYTES];
            for group in 0..blob.groups() {
                let offset = group * limits::GROUP_BYTES as u64;
                let size = (blob.size - offset).min(limits::GROUP_BYTES as u64) as usize;
                let Some(bytes) = bytes.get_mut(..size) else { continue };
                file.read_exact_at(bytes, offset)?;
                if value(group) != Some(group_hash(blob.size, group, bytes)) {
                    return Err(io::Error::other("its content has rotted here"));
                }
                into.write_all(bytes)?;
            }
            Ok(())
        })?;
        self.written.bytes += blob.size;
        Ok(())
    }

    /// Takes a blob away that no item names any more.
    // spec: SYNC-58
    fn withdraw(&mut self, blob: BlobId) -> Result<(), Error> {
        if self.command(move |sync, _| sync.is_named(&blob))? {
            return Ok(());
        }
        for path in [blob_path(&blob.hash), cvs_path(&blob.hash)] {
            let path = self.folder.join(path);
            match std::fs::remove_file(&path) {
                Ok(()) => self.written.files += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(&path, &error)),
            }
        }
        Ok(())
    }

    fn write_bundle(&mut self, bundle: Bundle) -> Result<(), Error> {
        let path = self.folder.join(&bundle.path);
        let channel = self.channel;
        let items = self.command(move |sync, _| sync.origin_items(&channel, &bundle))?;
        if read(&path, items.len()).is_ok_and(|there| there == items) {
            return Ok(());
        }
        self.write(&path, &items)
    }

    fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        self.place(path, |into| into.write_all(bytes))?;
        self.written.bytes += bytes.len() as u64;
        Ok(())
    }

    /// A file is there whole or as it was; everybody may read it.
    fn place(
        &mut self,
        path: &Path,
        fill: impl FnOnce(&mut NamedTempFile) -> io::Result<()>,
    ) -> Result<(), Error> {
        let placed = || -> io::Result<()> {
            let folder = path.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder)?;
            let mut file = NamedTempFile::with_prefix_in(".mesh-", folder)?;
            fill(&mut file)?;
            file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
            file.as_file().sync_data()?;
            file.persist(path)?;
            Ok(())
        };
        placed().map_err(|error| failed(path, &error))?;
        self.written.files += 1;
        Ok(())
    }
}

/// The bytes of a file, and no more than one beyond so many, whatever somebody has put there.
fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The folder of a file, made if need be, held against others who write there.
fn lock(path: &Path) -> Result<File, Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let locked = || -> io::Result<File> {
        std::fs::create_dir_all(folder)?;
        let folder = File::open(folder)?;
        folder.lock()?;
        Ok(folder)
    };
    locked().map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::failed(format_args!("cannot write {}: {error}", path.display()))
}
