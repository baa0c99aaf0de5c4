//! A directory that is written into and never out of: every step is relative to an open directory
//! and follows no link.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RenameFlags, linkat, mkdirat, openat, renameat, renameat_with,
    unlinkat,
};
use rustix::io::Errno;

/// What happens to a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and the new one is an error.
    Keep,
    /// It is replaced, whole, when the new one is whole.
    Replace,
}

/// Only for the user: as a received file is nobody else's business, and never a program.
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
const FOLDER_MODE: Mode = Mode::RWXU;
/// Names tried for a temporary file. Names never repeat in a process, and its number is in them.
const ATTEMPTS: usize = 16;
static TEMPORARIES: AtomicU64 = AtomicU64::new(0);

/// An open directory.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

/// A file under a temporary name. Dropped before [`Temporary::keep`], it is gone.
#[derive(Debug)]
pub(super) struct Temporary<'a> {
    folder: &'a Folder,
    name: Option<String>,
    file: File,
}

const OPEN_FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Folder {
    /// Opens the directory that the user named, through whatever links they have.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(openat(CWD, path, OPEN_FOLDER, Mode::empty())?))
    }

    /// Goes down by one part of a path, making the directory if there is none.
    pub(super) fn enter(&self, part: &OsStr) -> io::Result<Self> {
        match mkdirat(&self.0, part, FOLDER_MODE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Self(openat(&self.0, part, OPEN_FOLDER | OFlags::NOFOLLOW, Mode::empty())?))
    }

    /// A new file that nothing else has open or can lead elsewhere.
    pub(super) fn create(&self) -> io::Result<Temporary<'_>> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        for _ in 0..ATTEMPTS {
            let number = TEMPORARIES.fetch_add(1, Ordering::Relaxed);
            let name = format!(".mesh-{}-{number}.part", std::process::id());
            match openat(&self.0, &name, flags | OFlags::CLOEXEC, FILE_MODE) {
                Ok(file) => {
                    return Ok(Temporary { folder: self, name: Some(name), file: file.into() });
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Errno::EXIST.into())
    }

    /// Gives `from` the name `to` if nothing has it.
    fn rename_if_free(&self, from: &str, to: &OsStr) -> io::Result<()> {
        match renameat_with(&self.0, from, &self.0, to, RenameFlags::NOREPLACE) {
            // Some file systems know no such rename; a hard link never replaces either.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                linkat(&self.0, from, &self.0, to, AtFlags::empty())?;
                Ok(unlinkat(&self.0, from, AtFlags::empty())?)
            }
            other => Ok(other?),
        }
    }
}

impl Temporary<'_> {
    /// Where to write.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its name.
    pub(super) fn keep(mut self, name: &OsString, existing: Existing) -> io::Result<()> {
        let Some(temporary) = &self.name else { return Ok(()) };
        match existing {
            Existing::Keep => self.folder.rename_if_free(temporary, name)?,
            Existing::Replace => renameat(&self.folder.0, temporary, &self.folder.0, name)?,
        }
        self.name = None;
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // There is nobody to tell; the name says whose it is.
            let _ = unlinkat(&self.folder.0, name, AtFlags::empty());
        }
    }
}
