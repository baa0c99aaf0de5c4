//! Blob bytes: one sparse file per blob, `blobs/aa/<64 hex digits>`.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mesh_sync::StoreError;
use mesh_wire::Hash;

use super::disk_error;
use crate::home::Home;

/// Files flushed one by one at a commit.
#[cfg(target_os = "linux")]
const FEW: usize = 8;

/// Files kept open: what a few dozen links have under way, far below the usual 1024 descriptors.
const OPEN_FILES: usize = 64;
/// Files written between two commits before the first are flushed early.
const UNSYNCED: usize = 1024;

/// The blob bytes of a home, shared by the store and by the workers that import and export.
#[derive(Clone, Debug)]
pub struct Blobs(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    blobs: PathBuf,
    /// Open for as long as the store is: an error of a flush is told to who was there before it.
    #[cfg(target_os = "linux")]
    folder: File,
    incoming: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The last used is the last.
    open: Vec<(Hash, File)>,
    /// Written since the last commit.
    unsynced: BTreeSet<Hash>,
    /// Folders that got a new entry since the last commit.
    new_entries: BTreeSet<PathBuf>,
    /// Removed since the last commit: the bytes stay until no durable row speaks of them.
    removed: BTreeSet<Hash>,
    /// Files staged so far: the next one's name.
    staged: u64,
}

impl Blobs {
    pub(super) fn new(home: &Home) -> Result<Self, StoreError> {
        Ok(Self(Arc::new(Shared {
            #[cfg(target_os = "linux")]
            folder: File::open(home.blobs()).map_err(|error| disk_error("open blobs", &error))?,
            blobs: home.blobs(),
            incoming: home.incoming(),
            state: Mutex::default(),
        })))
    }

    /// Opens a blob's bytes for reading. The handle stays good when the blob is removed.
    pub fn open(&self, blob: &Hash) -> io::Result<File> {
        File::open(self.0.path(blob))
    }

    /// A new empty file on its way to become a blob.
    pub fn stage(&self) -> io::Result<Staged> {
        let number = {
            let mut state = self.state();
            state.staged += 1;
            state.staged
        };
        let path = self.0.incoming.join(number.to_string());
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Staged { blobs: self.clone(), path, file })
    }

    pub(super) fn read(&self, blob: &Hash, offset: u64, into: &mut [u8]) -> Result<(), StoreError> {
        let mut state = self.state();
        let read = match self.0.file(&mut state, blob, Access::Read) {
            Ok(file) => read_or_zero(file, into, offset),
            // Never written, or taken away by hand: sync checks what it reads.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                into.fill(0);
                Ok(())
            }
            Err(error) => Err(error),
        };
        read.map_err(|error| disk_error(format_args!("blob {blob}"), &error))
    }

    pub(super) fn write(&self, blob: &Hash, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.unsynced.len() >= UNSYNCED {
            self.0.sync(&mut state)?;
        }
        state.removed.remove(blob);
        state.unsynced.insert(*blob);
        self.0
            .file(&mut state, blob, Access::Write)
            .and_then(|file| file.write_all_at(bytes, offset))
            .map_err(|error| disk_error(format_args!("blob {blob}"), &error))
    }

    pub(super) fn remove(&self, blob: &Hash) {
        let mut state = self.state();
        state.unsynced.remove(blob);
        state.removed.insert(*blob);
    }

    /// Makes all bytes written so far durable.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.0.sync(&mut self.state())
    }

    /// Lets go of what has happened since the last commit. A file that could not be flushed may
    /// claim later that it was: nothing may count on bytes that no committed row speaks of.
    pub(super) fn forget(&self) {
        let mut state = self.state();
        let staged = state.staged;
        *state = State { staged, ..State::default() };
    }

    /// Frees the space of removed blobs, once their rows are durably gone.
    pub(super) fn unlink_removed(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        while let Some(blob) = state.removed.pop_first() {
            state.open.retain(|(open, _)| *open != blob);
            match fs::remove_file(self.0.path(&blob)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(disk_error(format_args!("remove blob {blob}"), &error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Removes the files that `is_known` does not know.
    pub(super) fn sweep(
        &self,
        is_known: impl Fn(&Hash) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let failed = |error: io::Error| disk_error("sweep blobs", &error);
        for folder in fs::read_dir(&self.0.blobs).map_err(failed)? {
            for entry in fs::read_dir(folder.map_err(failed)?.path()).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                let name = path.file_name().and_then(|name| name.to_str());
                // What has another name is not ours to remove.
                let Some(blob) = name.and_then(Hash::from_hex) else { continue };
                if !is_known(&blob)? {
                    fs::remove_file(&path).map_err(failed)?;
                }
            }
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code under this lock leaves it half changed.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a file is opened for; only a write makes one.
#[derive(Clone, Copy)]
enum Access {
    Read,
    Write,
}

impl Shared {
    fn folder(&self, blob: &Hash) -> PathBuf {
        self.blobs.join(format!("{:02x}", blob.as_bytes()[0]))
    }

    fn path(&self, blob: &Hash) -> PathBuf {
        self.folder(blob).join(blob.to_string())
    }

    /// The blob's file, open for reading and writing.
    fn file<'a>(
        &self,
        state: &'a mut State,
        blob: &Hash,
        access: Access,
    ) -> io::Result<&'a mut File> {
        let file = match state.open.iter().rposition(|(open, _)| open == blob) {
            Some(at) => state.open.remove(at).1,
            None => match OpenOptions::new().read(true).write(true).open(self.path(blob)) {
                Ok(file) => file,
                Err(error) => match access {
                    Access::Write if error.kind() == ErrorKind::NotFound => {
                        self.create(state, blob)?
                    }
                    Access::Read | Access::Write => return Err(error),
                },
            },
        };
        if state.open.len() >= OPEN_FILES {
            state.open.remove(0);
        }
        Ok(&mut state.open.push_mut((*blob, file)).1)
    }

    fn create(&self, state: &mut State, blob: &Hash) -> io::Result<File> {
        self.make_folder(state, blob)?;
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(self.path(blob))
    }

    /// Makes sure there is a folder for `blob`, and that the new entry in it will be flushed.
    fn make_folder(&self, state: &mut State, blob: &Hash) -> io::Result<()> {
        let folder = self.folder(blob);
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => drop(state.new_entries.insert(self.blobs.clone())),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        state.new_entries.insert(folder);
        Ok(())
    }

    fn sync(&self, state: &mut State) -> Result<(), StoreError> {
        // One by one, files wait for the disk one by one; many are faster flushed together, with
        // whatever else is dirty on this file system.
        #[cfg(target_os = "linux")]
        if state.unsynced.len() > FEW {
            rustix::fs::syncfs(&self.folder)
                .map_err(|error| disk_error("flush blobs", &error.into()))?;
            state.unsynced.clear();
            state.new_entries.clear();
            return Ok(());
        }
        for blob in std::mem::take(&mut state.unsynced) {
            self.file(state, &blob, Access::Read)
                .and_then(|file| file.sync_data())
                .map_err(|error| disk_error(format_args!("flush blob {blob}"), &error))?;
        }
        for folder in std::mem::take(&mut state.new_entries) {
            sync_folder(&folder)
                .map_err(|error| disk_error(format_args!("flush {}", folder.display()), &error))?;
        }
        Ok(())
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn read_or_zero(file: &File, mut into: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !into.is_empty() {
        match file.read_at(into, offset) {
            Ok(0) => {
                into.fill(0);
                break;
            }
            Ok(count) => {
                offset += count as u64;
                into = &mut into[count..];
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A file that is written outside of the store and then placed in it. Dropped, it is gone.
#[derive(Debug)]
pub struct Staged {
    blobs: Blobs,
    path: PathBuf,
    file: File,
}

impl Staged {
    /// Where to write.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Makes the bytes durable under their name in `incoming/`. Slow for a large file: this is
    /// for the worker that wrote it.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Makes this the bytes of `blob`, durably so from the next commit on. Call it on the thread
    /// that owns the store, with the rows that speak of the blob, so that no commit comes between.
    pub fn place(self, blob: &Hash) -> io::Result<()> {
        let mut state = self.blobs.state();
        self.blobs.0.make_folder(&mut state, blob)?;
        fs::rename(&self.path, self.blobs.0.path(blob))?;
        // A handle to the bytes that were there before would go on writing to nowhere.
        state.open.retain(|(open, _)| open != blob);
        state.unsynced.insert(*blob);
        state.removed.remove(blob);
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Placed, there is nothing here any more; else the next start clears what stays behind.
        let _ = fs::remove_file(&self.path);
    }
}
