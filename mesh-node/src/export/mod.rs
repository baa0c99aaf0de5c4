//! Writes received content where a user wants it: every byte verified before it is written, no
//! file replaced unasked, nothing outside the directory named.

mod folder;
mod name;
mod sealed;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

use mesh_sync::Outboard;
use mesh_sync::blob::group_hash;
use mesh_wire::Hash;
use mesh_wire::message::sync::Unsealing;
use thiserror::Error;

use crate::store::{PumpError, pump};
pub use folder::Existing;
use folder::Folder;
pub use name::{UnsafeName, safe_name};

/// What is written.
pub struct Content<'a> {
    /// BLAKE3 of all bytes, as they are here.
    pub hash: Hash,
    /// Number of bytes, as they are here.
    pub size: u64,
    /// Where they are.
    pub bytes: Bytes<'a>,
}

/// Where content is.
pub enum Bytes<'a> {
    /// In the item.
    Inline(&'a [u8]),
    /// In a file of the store.
    Blob {
        /// As [`crate::store::Blobs::open`] gives it.
        file: &'a File,
        /// What group number `n` is verified against: its chaining value, or the hash of the blob
        /// if it is the only group.
        value: &'a mut dyn FnMut(u64) -> Option<Hash>,
        /// What it takes to read it, if it is sealed.
        unsealing: Option<&'a Unsealing>,
    },
}

/// Why content was not written. The file is then not there, not even in part.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The name is not one to use.
    #[error(transparent)]
    Name(#[from] UnsafeName),
    /// Something has that name.
    #[error("{} is there already: --force replaces it", .0.display())]
    Exists(PathBuf),
    /// The copy here is not what the channel's writer signed. The group is to be fetched again.
    #[error("{} is not written: group {group} of its copy here is not what was signed",
        .path.display())]
    Damaged {
        /// What was to be written.
        path: PathBuf,
        /// The first group that is wrong.
        group: u64,
    },
    /// Its writer has sealed something else than it said.
    #[error("{} is not written: its writer's key does not open it, or opens something else",
        .0.display())]
    Unopened(PathBuf),
    /// The copy here could not be read.
    #[error("cannot read the copy of {} in this node's home: {source}", .path.display())]
    Read {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The destination could not be written.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Writes `content` to a path that the user chose. `progress` is told the bytes of each step.
///
/// Blocks on the disk: for a worker thread. Not flushed, like any copy: the node has its own.
pub fn export_file(
    path: &Path,
    existing: Existing,
    content: Content<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<(), ExportError> {
    let failed = |source| ExportError::Write { path: path.to_owned(), source };
    let name = path.file_name().ok_or_else(|| failed(io::ErrorKind::IsADirectory.into()))?;
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    let folder = Folder::open(parent.unwrap_or(Path::new("."))).map_err(failed)?;
    write(&folder, &Target { path, name: name.to_owned(), existing }, content, progress)
}

/// A directory that many received files are written into, under their received names.
#[derive(Debug)]
pub struct ExportFolder {
    path: PathBuf,
    folder: Folder,
    existing: Existing,
    /// How many files of this export look like that: a fold of the name, hashed to 16 bytes, so
    /// that a million names cost 20 MB and not their text.
    alike: BTreeMap<[u8; 16], u32>,
}

impl ExportFolder {
    /// Opens a directory, making it first if there is none.
    pub fn open(path: impl Into<PathBuf>, existing: Existing) -> Result<Self, ExportError> {
        let path = path.into();
        let opened = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .and_then(|()| Folder::open(&path));
        match opened {
            Ok(folder) => Ok(Self { path, folder, existing, alike: BTreeMap::new() }),
            Err(source) => Err(ExportError::Write { path, source }),
        }
    }

    /// Writes `content` under the path that `name` stands for, as [`safe_name`] has it. Names of
    /// this export that differ only in case or in the coding of accents get a number:
    /// `name (2).ending`. Returns the path written.
    ///
    /// Blocks on the disk: for a worker thread. Not flushed, like any copy: the node has its own.
    pub fn export(
        &mut self,
        name: &str,
        content: Content<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<PathBuf, ExportError> {
        let relative = self.distinct(safe_name(name)?);
        let path = self.path.join(&relative);
        let failed = |source| ExportError::Write { path: path.clone(), source };
        let parts = name::parts(&relative).unwrap_or_default();
        let Some((last, above)) = parts.split_last() else {
            return Err(failed(io::ErrorKind::InvalidFilename.into()));
        };
        let mut inner: Option<Folder> = None;
        for part in above {
            let outer = inner.as_ref().unwrap_or(&self.folder);
            inner = Some(outer.enter(part).map_err(failed)?);
        }
        let folder = inner.as_ref().unwrap_or(&self.folder);
        let target = Target { path: &path, name: last.into(), existing: self.existing };
        write(folder, &target, content, progress)?;
        Ok(path)
    }

    /// `path`, or with a number if one of this export looks like it.
    fn distinct(&mut self, path: PathBuf) -> PathBuf {
        let mut copy = self.count(&path);
        loop {
            let numbered = name::numbered(&path, copy);
            // A name may have been chosen to look like a numbered one.
            if copy < 2 || self.count(&numbered) == 1 {
                return numbered;
            }
            copy = self.count(&path);
        }
    }

    fn count(&mut self, path: &Path) -> u32 {
        let hash = blake3::hash(name::look(path).as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&hash.as_bytes()[..16]);
        let count = self.alike.entry(key).or_default();
        *count = count.saturating_add(1);
        *count
    }
}

/// Where one file goes.
struct Target<'a> {
    /// For messages.
    path: &'a Path,
    /// In its folder.
    name: OsString,
    existing: Existing,
}

fn write(
    folder: &Folder,
    target: &Target<'_>,
    content: Content<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<(), ExportError> {
    let path = target.path;
    let failed = |source| ExportError::Write { path: path.to_owned(), source };
    let temporary = folder.create().map_err(failed)?;
    match content.bytes {
        Bytes::Inline(bytes) => {
            if *blake3::hash(bytes).as_bytes() != content.hash.0 {
                return Err(ExportError::Damaged { path: path.to_owned(), group: 0 });
            }
            temporary.file().write_all_at(bytes, 0).map_err(failed)?;
            progress(bytes.len() as u64);
        }
        Bytes::Blob { file, value, unsealing } => {
            let from = Blob { file, value, hash: content.hash, size: content.size };
            match unsealing {
                Some(unsealing) => {
                    sealed::copy(path, (from, unsealing), temporary.file(), progress)?;
                }
                None => copy_blob(path, from, temporary.file(), progress)?,
            }
        }
    }
    temporary.keep(&target.name, target.existing).map_err(|source| {
        if source.kind() == io::ErrorKind::AlreadyExists {
            ExportError::Exists(path.to_owned())
        } else {
            failed(source)
        }
    })
}

/// A blob on its way out.
struct Blob<'a> {
    file: &'a File,
    value: &'a mut dyn FnMut(u64) -> Option<Hash>,
    hash: Hash,
    size: u64,
}

fn copy_blob(
    path: &Path,
    from: Blob<'_>,
    to: &File,
    progress: &mut dyn FnMut(u64),
) -> Result<(), ExportError> {
    let mut outboard = Outboard::builder(from.size);
    let mut group = 0;
    let mut inspect = |bytes: &[u8]| {
        let hash = group_hash(from.size, group, bytes);
        let is_right = (from.value)(group) == Some(hash);
        if is_right {
            outboard.push_hash(hash);
            group += 1;
            progress(bytes.len() as u64);
        }
        is_right
    };
    let moved = pump((from.file, to), from.size, &mut inspect);
    match moved {
        // The values came from our index: what they fold to is what was signed, or else.
        Ok(()) if outboard.finish().is_some_and(|whole| whole.id().hash == from.hash) => Ok(()),
        Err(PumpError::Write(source)) => Err(ExportError::Write { path: path.to_owned(), source }),
        Err(PumpError::Read(source)) if source.kind() != io::ErrorKind::UnexpectedEof => {
            Err(ExportError::Read { path: path.to_owned(), source })
        }
        Ok(()) | Err(PumpError::Read(_) | PumpError::Refused) => {
            Err(ExportError::Damaged { path: path.to_owned(), group })
        }
    }
}

#[cfg(test)]
mod tests;
