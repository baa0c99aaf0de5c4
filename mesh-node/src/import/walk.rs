//! Finds the files under a path, in the order of their names, without following or opening
//! anything that is not a plain file or a directory.

use std::collections::BinaryHeap;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_wire::Label;
use mesh_wire::label::BadLabel;
use mesh_wire::limits::NAME_BYTES;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat};

use super::{Reason, Skipped};
use crate::export::safe_name;
use crate::home::Home;

/// Names of one directory held at a time. A larger directory is read once per so many names:
/// sorted order in bounded memory.
pub(super) const PAGE_NAMES: usize = 1 << 14;

/// What [`Walk`] found: a plain file, not open yet.
#[derive(Debug)]
pub struct Found {
    place: Place,
    name: Label<NAME_BYTES>,
}

/// An entry of a directory that is held open: no rename above it can lead elsewhere.
#[derive(Debug)]
struct Place {
    folder: Arc<OwnedFd>,
    entry: CString,
    /// For messages.
    path: PathBuf,
}

/// The files under a path: itself, if it is one, else all below it, depth first, each directory
/// in the byte order of its names. What cannot be published is [`Skipped`], once each.
#[derive(Debug)]
pub struct Walk {
    /// The path itself, until it is looked at.
    start: Option<PathBuf>,
    /// Directories under way, the innermost last. As many as a name has parts, at most.
    levels: Vec<Level>,
    /// Device and inode of this node's home.
    home: (u64, u64),
}

#[derive(Debug)]
struct Level {
    folder: Arc<OwnedFd>,
    path: PathBuf,
    /// What stands before the names in it: empty, or ends in `/`.
    prefix: String,
    /// Names still to visit, the next one last.
    page: Vec<CString>,
    /// The greatest name read so far.
    last: Option<CString>,
    is_whole: bool,
}

impl Found {
    /// What readers will see.
    #[must_use]
    pub fn name(&self) -> &Label<NAME_BYTES> {
        &self.name
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.place.path
    }

    /// Opens it, if it still is a plain file. Never waits, not even for a FIFO put in its place.
    pub(super) fn open(&self) -> Result<File, Skipped> {
        let unreadable = |error: rustix::io::Errno| self.skipped(Reason::Unreadable(error.into()));
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = openat(&self.place.folder, &self.place.entry, flags | OFlags::CLOEXEC, MODE)
            .map_err(unreadable)?;
        let kind = FileType::from_raw_mode(fstat(&file).map_err(unreadable)?.st_mode);
        if kind == FileType::RegularFile {
            Ok(File::from(file))
        } else {
            Err(self.skipped(Reason::Special))
        }
    }

    pub(super) fn skipped(&self, why: Reason) -> Skipped {
        Skipped { path: self.place.path.clone(), why }
    }

    /// Reading it failed: it is shorter than it was, or cannot be read.
    pub(super) fn unread(&self, error: io::Error) -> Skipped {
        let is_shorter = error.kind() == io::ErrorKind::UnexpectedEof;
        self.skipped(if is_shorter { Reason::Changed } else { Reason::Unreadable(error) })
    }
}

/// Nothing is created: the mode is moot.
const MODE: Mode = Mode::empty();

impl Walk {
    /// Walks `path`, but not into `home`.
    pub fn new(path: impl Into<PathBuf>, home: &Home) -> io::Result<Self> {
        let meta = std::fs::metadata(home.dir())?;
        let home = (meta.dev(), meta.ino());
        Ok(Self { start: Some(path.into()), levels: Vec::new(), home })
    }

    /// Looks at the path that the user named.
    fn begin(&mut self, path: PathBuf) -> Option<Result<Found, Skipped>> {
        let stat = match statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(error) => return Some(skipped(path, Reason::Unreadable(error.into()))),
        };
        let (folder, entry) = match (path.parent(), path.file_name()) {
            (Some(parent), Some(entry)) if parent != Path::new("") => (parent, entry),
            (_, Some(entry)) => (Path::new("."), entry),
            (_, None) => (path.as_path(), OsStr::new(".")),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = match openat(CWD, folder, flags, MODE) {
            Ok(folder) => Arc::new(folder),
            Err(error) => return Some(skipped(path, Reason::Unreadable(error.into()))),
        };
        let place = match CString::new(entry.as_bytes()) {
            Ok(entry) => Place { folder, entry, path },
            Err(error) => return Some(skipped(path, Reason::Unreadable(error.into()))),
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            self.enter(place, String::new()).err().map(Err)
        } else {
            self.visit(place, "")
        }
    }

    /// Looks at an entry: a file is found, a directory entered, all else skipped.
    fn visit(&mut self, place: Place, prefix: &str) -> Option<Result<Found, Skipped>> {
        let name = match name_of(prefix, &place.entry) {
            Ok(name) => name,
            Err(bad) => return Some(skipped(place.path, Reason::Name(bad))),
        };
        if let Err(bad) = safe_name(name.as_str()) {
            return Some(skipped(place.path, Reason::Unsafe(bad)));
        }
        let why = match statat(&place.folder, &place.entry, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => return Some(Ok(Found { place, name })),
                FileType::Directory => {
                    return self.enter(place, format!("{name}/")).err().map(Err);
                }
                FileType::Symlink => Reason::Symlink,
                FileType::Fifo
                | FileType::Socket
                | FileType::CharacterDevice
                | FileType::BlockDevice
                | FileType::Unknown => Reason::Special,
            },
            Err(error) => Reason::Unreadable(error.into()),
        };
        Some(skipped(place.path, why))
    }

    fn enter(&mut self, place: Place, prefix: String) -> Result<(), Skipped> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(&place.folder, &place.entry, flags, MODE)
            .and_then(|folder| fstat(&folder).map(|stat| (folder, stat)));
        match opened {
            Ok((_, stat)) if inode(&stat) == self.home => {
                Err(Skipped { path: place.path, why: Reason::Home })
            }
            Ok((folder, _)) => {
                self.levels.push(Level {
                    folder: Arc::new(folder),
                    path: place.path,
                    prefix,
                    page: Vec::new(),
                    last: None,
                    is_whole: false,
                });
                Ok(())
            }
            Err(error) => Err(Skipped { path: place.path, why: Reason::Unreadable(error.into()) }),
        }
    }
}

impl Iterator for Walk {
    type Item = Result<Found, Skipped>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(path) = self.start.take()
            && let Some(item) = self.begin(path)
        {
            return Some(item);
        }
        loop {
            let level = self.levels.last_mut()?;
            match level.next_entry() {
                Ok(Some(place)) => {
                    let prefix = level.prefix.clone();
                    if let Some(item) = self.visit(place, &prefix) {
                        return Some(item);
                    }
                }
                Ok(None) => drop(self.levels.pop()),
                Err(error) => {
                    let path = self.levels.pop()?.path;
                    return Some(skipped(path, Reason::Unreadable(error.into())));
                }
            }
        }
    }
}

impl Level {
    fn next_entry(&mut self) -> rustix::io::Result<Option<Place>> {
        if self.page.is_empty() && !self.is_whole {
            self.read_page()?;
        }
        Ok(self.page.pop().map(|entry| Place {
            folder: self.folder.clone(),
            path: self.path.join(OsStr::from_bytes(entry.as_bytes())),
            entry,
        }))
    }

    /// Reads the next names in order: the least ones that are greater than the last.
    fn read_page(&mut self) -> rustix::io::Result<()> {
        let mut least = BinaryHeap::new();
        for entry in Dir::read_from(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let is_next = self.last.as_deref().is_none_or(|last| name > last);
            if !is_next || [c".", c".."].contains(&name) {
                continue;
            }
            if least.len() < PAGE_NAMES {
                least.push(name.to_owned());
            } else if let Some(mut greatest) = least.peek_mut()
                && name < greatest.as_c_str()
            {
                *greatest = name.to_owned();
            }
        }
        self.is_whole = least.len() < PAGE_NAMES;
        self.last = least.peek().cloned().or(self.last.take());
        self.page = least.into_sorted_vec();
        self.page.reverse();
        Ok(())
    }
}

fn name_of(prefix: &str, entry: &CStr) -> Result<Label<NAME_BYTES>, BadLabel> {
    let entry = entry.to_str().map_err(|_| BadLabel::NotUtf8)?;
    Label::new(&format!("{prefix}{entry}"))
}

fn inode(stat: &Stat) -> (u64, u64) {
    // Their widths differ between platforms.
    #[allow(clippy::unnecessary_cast)]
    (stat.st_dev as u64, stat.st_ino as u64)
}

fn skipped<T>(path: PathBuf, why: Reason) -> Result<T, Skipped> {
    Err(Skipped { path, why })
}
