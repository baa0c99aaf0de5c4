//! A disk that forgets what was not synced, tears what it was writing, fills up, fails and rots.

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mesh_wire::Rng;

/// What a disk writes in one piece, in bytes: a write is torn only between sectors.
const SECTOR: u64 = 512;

/// Files by name, on a disk that keeps its promises and no others: what was written and not
/// synced may be gone after [`Disk::crash`], in any part. Names are durable at once.
///
/// Clones are the same disk. mesh-node's tests put redb's `StorageBackend` over a [`File`].
///
/// ```
/// use mesh_sim::{Disk, Failure};
/// let disk = Disk::new(mesh_sim::seed::rng(7));
/// let file = disk.open("index");
/// file.write_at(0, b"kept")?;
/// file.sync()?;
/// file.write_at(0, b"lost")?;
/// disk.fail_at(0, Failure::PowerCut);
/// assert!(file.sync().is_err());
/// disk.crash();
/// let mut bytes = [0; 4];
/// disk.open("index").read_at(0, &mut bytes)?;
/// assert!(&bytes == b"kept" || &bytes == b"lost");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Disk(Arc<Mutex<State>>);

/// An open file. Once the disk has crashed it is dead, and every operation fails.
#[derive(Clone, Debug)]
pub struct File {
    disk: Disk,
    name: String,
    boot: u64,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// This operation fails with EIO. If it was a sync, what it should have written may be lost
    /// in any part, and no later sync brings it back, although reads still show it.
    Io,
    /// From this operation on, files do not grow: ENOSPC, until [`Disk::heal`].
    Full,
    /// From this operation on, all fail, until [`Disk::crash`].
    PowerCut,
}

#[derive(Debug)]
struct State {
    rng: Rng,
    files: BTreeMap<String, Content>,
    boot: u64,
    operations: u64,
    planned: Option<(u64, Failure)>,
    full: bool,
    off: bool,
}

#[derive(Debug, Default)]
struct Content {
    /// What reads show.
    seen: Vec<u8>,
    /// What is safe.
    durable: Vec<u8>,
    /// What turns the second into the first.
    unsynced: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

impl Disk {
    /// An empty disk. `rng` decides what is lost.
    #[must_use]
    pub fn new(rng: Rng) -> Self {
        Self(Arc::new(Mutex::new(State {
            rng,
            files: BTreeMap::new(),
            boot: 0,
            operations: 0,
            planned: None,
            full: false,
            off: false,
        })))
    }

    /// Opens a file; an empty one if there was none.
    #[must_use]
    pub fn open(&self, name: &str) -> File {
        let mut state = self.state();
        state.files.entry(name.to_owned()).or_default();
        File { disk: self.clone(), name: name.to_owned(), boot: state.boot }
    }

    /// Removes a file; operations on it fail from now on.
    pub fn remove(&self, name: &str) {
        self.state().files.remove(name);
    }

    /// The names of all files.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.state().files.keys().cloned().collect()
    }

    /// The power goes and comes back: of everything that was not synced, any part survives, down
    /// to single sectors. Open files are dead; planned and lasting failures are over.
    pub fn crash(&self) {
        let state = &mut *self.state();
        for content in state.files.values_mut() {
            content.lose(&mut state.rng);
            content.seen = content.durable.clone();
        }
        state.boot += 1;
        (state.planned, state.full, state.off) = (None, false, false);
    }

    /// Reads, writes, changes of length and syncs so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Plans a failure of the operation after `count` more. The last plan holds.
    pub fn fail_at(&self, count: u64, failure: Failure) {
        let mut state = self.state();
        state.planned = Some((state.operations + count, failure));
    }

    /// There is space again, and nothing is planned.
    pub fn heal(&self) {
        let mut state = self.state();
        (state.planned, state.full) = (None, false);
    }

    /// Flips one random bit of a file for good; which byte it was in, or `None` if there is none.
    pub fn rot(&self, name: &str) -> Option<u64> {
        let state = &mut *self.state();
        let content = state.files.get_mut(name)?;
        let length = content.seen.len() as u64;
        let (at, bit) = (state.rng.below(length), 1 << state.rng.below(8));
        *content.seen.get_mut(at as usize)? ^= bit;
        if let Some(byte) = content.durable.get_mut(at as usize) {
            *byte ^= bit;
        }
        Some(at)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked while it held the disk has failed already.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl File {
    /// Fills `into` from `offset` on.
    ///
    /// # Errors
    /// `UnexpectedEof` beyond the end, and whatever was planned.
    pub fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.operate(|state, name| {
            state.trouble()?;
            let seen = &state.content(name)?.seen;
            let range = offset as usize..(offset as usize).saturating_add(into.len());
            let bytes = seen.get(range).ok_or(io::ErrorKind::UnexpectedEof)?;
            into.copy_from_slice(bytes);
            Ok(())
        })
    }

    /// Writes at `offset`; a gap before it is zeros. If it fails, some first part is written.
    ///
    /// # Errors
    /// `StorageFull` on a full disk if the file had to grow, and whatever was planned.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.operate(|state, name| {
            let mut outcome = state.trouble();
            let mut fits = bytes.len() as u64;
            if outcome.is_err() {
                fits = state.rng.below(fits + 1);
            }
            let room = (state.content(name)?.seen.len() as u64).saturating_sub(offset);
            if state.full && fits > room {
                (fits, outcome) = (room, Err(io::ErrorKind::StorageFull.into()));
            }
            let written = bytes[..fits as usize].to_vec();
            state.content(name)?.change(Change::Write(offset, written));
            outcome
        })
    }

    /// How many bytes there are. Not an operation that can be planned to fail.
    ///
    /// # Errors
    /// If the file is gone or dead.
    #[expect(clippy::len_without_is_empty, reason = "a file is no collection")]
    pub fn len(&self) -> io::Result<u64> {
        let mut state = self.alive()?;
        Ok(state.content(&self.name)?.seen.len() as u64)
    }

    /// Cuts the file off, or fills it up with zeros.
    ///
    /// # Errors
    /// `StorageFull` on a full disk if the file had to grow, and whatever was planned.
    pub fn set_len(&self, length: u64) -> io::Result<()> {
        self.operate(|state, name| {
            state.trouble()?;
            if state.full && length > state.content(name)?.seen.len() as u64 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.content(name)?.change(Change::SetLen(length));
            Ok(())
        })
    }

    /// Makes what was written durable.
    ///
    /// # Errors
    /// Whatever was planned.
    pub fn sync(&self) -> io::Result<()> {
        self.operate(|state, name| match state.trouble() {
            Ok(()) => {
                state.content(name)?.keep();
                Ok(())
            }
            Err(error) => {
                // After a power cut, the crash decides what is lost.
                if let (Some(content), false) = (state.files.get_mut(name), state.off) {
                    content.lose(&mut state.rng);
                }
                Err(error)
            }
        })
    }

    fn operate(
        &self,
        operation: impl FnOnce(&mut State, &str) -> io::Result<()>,
    ) -> io::Result<()> {
        operation(&mut *self.alive()?, &self.name)
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.boot == self.boot && !state.off { Ok(state) } else { Err(no_power()) }
    }
}

impl State {
    /// Counts an operation and says what is wrong with it.
    fn trouble(&mut self) -> io::Result<()> {
        let number = self.operations;
        self.operations += 1;
        if let Some((_, failure)) = self.planned.take_if(|(at, _)| *at <= number) {
            match failure {
                Failure::Io => return Err(io::Error::other("the disk failed")),
                Failure::Full => self.full = true,
                Failure::PowerCut => {
                    self.off = true;
                    return Err(no_power());
                }
            }
        }
        Ok(())
    }

    fn content(&mut self, name: &str) -> io::Result<&mut Content> {
        self.files.get_mut(name).ok_or(io::ErrorKind::NotFound.into())
    }
}

impl Content {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.unsynced.push(change);
    }

    /// Everything becomes durable.
    fn keep(&mut self) {
        for change in mem::take(&mut self.unsynced) {
            change.apply(&mut self.durable);
        }
    }

    /// Any part becomes durable, the rest never will.
    fn lose(&mut self, rng: &mut Rng) {
        for change in mem::take(&mut self.unsynced) {
            // All or nothing of it, or sector by sector: each is a third of the crashes.
            match (rng.below(3), change) {
                (0, _) => {}
                (1, change) => change.apply(&mut self.durable),
                (_, Change::Write(offset, bytes)) => {
                    for (offset, sector) in sectors(offset, &bytes) {
                        if rng.below(2) == 0 {
                            write(&mut self.durable, offset, sector);
                        }
                    }
                }
                (_, change @ Change::SetLen(_)) => change.apply(&mut self.durable),
            }
        }
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, written) => write(bytes, *offset, written),
            Self::SetLen(length) => bytes.resize(*length as usize, 0),
        }
    }
}

fn write(bytes: &mut Vec<u8>, offset: u64, written: &[u8]) {
    let start = offset as usize;
    let end = start + written.len();
    if !written.is_empty() && bytes.len() < end {
        bytes.resize(end, 0);
    }
    if let Some(place) = bytes.get_mut(start..end) {
        place.copy_from_slice(written);
    }
}

/// The pieces of a write that lie in one sector each, with their offsets.
fn sectors(offset: u64, mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let mut pieces = Vec::new();
    let mut at = offset;
    while !bytes.is_empty() {
        let length = (SECTOR - at % SECTOR).min(bytes.len() as u64);
        let (piece, rest) = bytes.split_at(length as usize);
        pieces.push((at, piece));
        (at, bytes) = (at + length, rest);
    }
    pieces
}

fn no_power() -> io::Error {
    io::Error::other("the power is off")
}
