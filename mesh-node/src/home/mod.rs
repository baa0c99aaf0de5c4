//! The directory a node lives in: who may open it, one process at a time, and what its files are
//! called.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use thiserror::Error;
use zeroize::Zeroizing;

/// The layout of the directory and of the index in it. A change that an older program would
/// misread counts it up.
const FORMAT: u32 = 4;
/// Bytes of BLAKE3 behind the identity's secret: a flipped bit is found, not a second identity.
const TAG_BYTES: usize = 8;
const TAG_CONTEXT: &str = "mesh 2026-11 identity file";

const LOCK: &str = "lock";
const VERSION: &str = "version";
const IDENTITY: &str = "identity";
/// Ending of a file that is not whole yet.
const NEW: &str = "new";

/// A state directory, held by this process until dropped.
///
/// ```text
/// lock          the process id of the holder, who keeps it locked
/// version       the format number of all the rest
/// identity      this node's secret, mode 0600
/// control.sock  where `mesh` talks to the running node
/// index.redb    channels, items, what is here of each blob
/// blobs/aa/…    blob bytes, by hash
/// incoming/     files on their way into blobs/, cleared at every start
/// ```
#[derive(Debug)]
pub struct Home {
    dir: PathBuf,
    /// The lock lives as long as this handle.
    _lock: File,
}

/// Why a directory cannot be this node's home. Every text names the path and what to do.
#[derive(Debug, Error)]
pub enum HomeError {
    /// The platform names no data directory.
    #[error("no data directory is known for this user: name one with --home DIR")]
    Nowhere,
    /// Another process has it open.
    #[error(
        "{} is in use by {}: stop that node, or choose another directory with --home DIR",
        .path.display(), holder(.pid)
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Who holds it, if it could be read.
        pid: Option<u32>,
    },
    /// Somebody else could change or read what is in it.
    #[error("{}: {what}: {remedy}", .path.display())]
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// The command that sets it right.
        remedy: String,
    },
    /// A later program made it.
    #[error(
        "{} was made by a newer mesh (its format is {found}, this program knows {FORMAT}): \
         install the newer mesh, or choose another directory with --home DIR", .path.display()
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its format number.
        found: u32,
    },
    /// An earlier program made it, and this one cannot read it.
    #[error(
        "{} was made by an older mesh (its format is {found}, this program knows {FORMAT}): \
         move it away or choose another directory with --home DIR; what you follow comes again by \
         itself, and channels of your own are kept by the older mesh only", .path.display()
    )]
    Older {
        /// The directory.
        path: PathBuf,
        /// Its format number.
        found: u32,
    },
    /// It holds something no mesh wrote.
    #[error("{} {what}: restore it from a backup, or choose another directory with --home DIR",
        .path.display())]
    Damaged {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The disk said no.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The kinds of [`HomeError`] that a program answers differently, with an exit code for example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HomeFault {
    /// Somebody holds it, or permissions stand in the way.
    Access,
    /// Another version of the program is needed.
    Version,
    /// Its content is not what a mesh wrote.
    Damaged,
    /// Anything else the disk does.
    Disk,
}

impl HomeError {
    /// Which kind of trouble this is.
    #[must_use]
    pub fn fault(&self) -> HomeFault {
        match self {
            Self::Locked { .. } | Self::Exposed { .. } => HomeFault::Access,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                HomeFault::Access
            }
            Self::Newer { .. } | Self::Older { .. } => HomeFault::Version,
            Self::Damaged { .. } => HomeFault::Damaged,
            Self::Nowhere | Self::Io { .. } => HomeFault::Disk,
        }
    }
}

fn holder(pid: &Option<u32>) -> String {
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}

impl Home {
    /// Where a node lives when nobody says otherwise: `mesh` in the platform's data directory.
    pub fn default_dir() -> Result<PathBuf, HomeError> {
        let base = etcetera::choose_base_strategy().map_err(|_| HomeError::Nowhere)?;
        Ok(base.data_dir().join("mesh"))
    }

    /// Opens the home in `dir`, making it first if there is none, and keeps every other process
    /// out of it.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, HomeError> {
        let dir = dir.into();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(|e| failed("create", &dir, e))?;
        refuse_exposed(&dir)?;
        let home = Self { _lock: lock(&dir)?, dir };
        home.check_version()?;
        for part in [home.blobs(), home.incoming()] {
            make_dir(&part)?;
        }
        home.clear_incoming()?;
        Ok(home)
    }

    /// The directory itself.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the node's control socket is.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        control(&self.dir)
    }

    /// The index file.
    #[must_use]
    pub fn index(&self) -> PathBuf {
        self.dir.join("index.redb")
    }

    /// The folder of blob bytes.
    #[must_use]
    pub fn blobs(&self) -> PathBuf {
        self.dir.join("blobs")
    }

    /// The folder of files on their way into [`Self::blobs`].
    #[must_use]
    pub fn incoming(&self) -> PathBuf {
        self.dir.join("incoming")
    }

    /// The node's identity secret. A home that has none yet gets `fresh`, 32 bytes from the
    /// system's entropy source.
    pub fn identity(&self, fresh: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, HomeError> {
        let path = self.dir.join(IDENTITY);
        match OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(&path) {
            Ok(file) => read_identity(file, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut bytes = Zeroizing::new(fresh.to_vec());
                bytes.extend_from_slice(&tag(fresh));
                write_whole(&path, &bytes)?;
                Ok(Zeroizing::new(*fresh))
            }
            Err(error) => Err(failed("open", &path, error)),
        }
    }

    fn check_version(&self) -> Result<(), HomeError> {
        let path = self.dir.join(VERSION);
        match fs::read(&path) {
            Ok(bytes) => match std::str::from_utf8(&bytes).ok().and_then(parse_version) {
                Some(FORMAT) => Ok(()),
                Some(found) if found > FORMAT => {
                    Err(HomeError::Newer { path: self.dir.clone(), found })
                }
                Some(found) => Err(HomeError::Older { path: self.dir.clone(), found }),
                None => Err(damaged(&path, "holds no version number")),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                refuse_foreign(&self.dir)?;
                write_whole(&path, format!("{FORMAT}\n").as_bytes())
            }
            Err(error) => Err(failed("read", &path, error)),
        }
    }

    fn clear_incoming(&self) -> Result<(), HomeError> {
        let dir = self.incoming();
        let clear = || {
            for entry in fs::read_dir(&dir)? {
                fs::remove_file(entry?.path())?;
            }
            Ok(())
        };
        clear().map_err(|error| failed("clear", &dir, error))
    }
}

/// Where the node that lives in `dir` has its control socket; the home need not be open.
#[must_use]
pub fn control(dir: &Path) -> PathBuf {
    dir.join("control.sock")
}

const NO_FOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;

fn failed(doing: &'static str, path: &Path, source: io::Error) -> HomeError {
    HomeError::Io { doing, path: path.to_owned(), source }
}

fn damaged(path: &Path, what: &str) -> HomeError {
    HomeError::Damaged { path: path.to_owned(), what: what.into() }
}

fn exposed(path: &Path, what: String, remedy: String) -> HomeError {
    HomeError::Exposed { path: path.to_owned(), what, remedy }
}

/// A directory that others can write is refused; one they can only read is closed to them.
fn refuse_exposed(dir: &Path) -> Result<(), HomeError> {
    let meta = fs::metadata(dir).map_err(|e| failed("look at", dir, e))?;
    let me = rustix::process::geteuid().as_raw();
    if meta.uid() != me {
        let what = format!("belongs to user {}, and you are user {me}", meta.uid());
        return Err(exposed(dir, what, "choose a directory of your own with --home DIR".into()));
    }
    if meta.mode() & 0o022 != 0 {
        let what = format!("others can write in it (mode {:o})", meta.mode() & 0o777);
        return Err(exposed(dir, what, format!("run: chmod 700 {}", dir.display())));
    }
    if meta.mode() & 0o077 != 0 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
            .map_err(|e| failed("close to others", dir, e))?;
    }
    Ok(())
}

/// A directory that is not a home yet must be empty, but for what an interrupted start leaves.
fn refuse_foreign(dir: &Path) -> Result<(), HomeError> {
    let ours = [LOCK.to_owned(), format!("{VERSION}.{NEW}")];
    let foreign = || -> io::Result<bool> {
        for entry in fs::read_dir(dir)? {
            let name = entry?.file_name();
            if !ours.iter().any(|own| OsStr::new(own) == name) {
                return Ok(true);
            }
        }
        Ok(false)
    };
    match foreign() {
        Ok(false) => Ok(()),
        Ok(true) => Err(damaged(dir, "is neither empty nor a mesh home")),
        Err(error) => Err(failed("list", dir, error)),
    }
}

fn lock(dir: &Path) -> Result<File, HomeError> {
    let path = dir.join(LOCK);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(NO_FOLLOW)
        .open(&path)
        .map_err(|e| failed("open", &path, e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let pid = (&file).take(16).read_to_string(&mut text).ok();
            let pid = pid.and_then(|_| text.trim().parse().ok());
            return Err(HomeError::Locked { path: dir.to_owned(), pid });
        }
        Err(TryLockError::Error(error)) => return Err(failed("lock", &path, error)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(|e| failed("write", &path, e))?;
    Ok(file)
}

/// One spelling per number, as in everything else we read.
fn parse_version(text: &str) -> Option<u32> {
    let number: u32 = text.strip_suffix('\n')?.parse().ok()?;
    (format!("{number}\n") == text && number > 0).then_some(number)
}

fn make_dir(dir: &Path) -> Result<(), HomeError> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(failed("create", dir, error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a file so that it is there whole or not at all, and only for its owner.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), HomeError> {
    let new = path.with_extension(NEW);
    let write = || {
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        File::open(path.parent().unwrap_or(path))?.sync_all()
    };
    write().map_err(|error| failed("write", path, error))
}

fn read_identity(mut file: File, path: &Path) -> Result<Zeroizing<[u8; 32]>, HomeError> {
    let meta = file.metadata().map_err(|e| failed("look at", path, e))?;
    if meta.mode() & 0o077 != 0 {
        let what = format!("others can read this secret (mode {:o})", meta.mode() & 0o777);
        return Err(exposed(path, what, format!("run: chmod 600 {}", path.display())));
    }
    let mut bytes = Zeroizing::new([0; 32 + TAG_BYTES + 1]);
    let mut held = 0;
    while held < bytes.len() {
        match file.read(&mut bytes[held..]).map_err(|e| failed("read", path, e))? {
            0 => break,
            more => held += more,
        }
    }
    let mut secret = Zeroizing::new([0; 32]);
    secret.copy_from_slice(&bytes[..32]);
    if held != 32 + TAG_BYTES || bytes[32..held] != tag(&secret) {
        return Err(damaged(path, "is not the secret that was written there"));
    }
    Ok(secret)
}

fn tag(secret: &[u8; 32]) -> [u8; TAG_BYTES] {
    let mut tag = [0; TAG_BYTES];
    tag.copy_from_slice(&blake3::derive_key(TAG_CONTEXT, secret)[..TAG_BYTES]);
    tag
}

#[cfg(test)]
mod tests;
