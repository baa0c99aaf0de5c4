//! Reads what a user publishes: each file once, hashed while it is copied into the home.

mod seal;
mod walk;

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use bytes::Bytes;
use mesh_sync::{Outboard, Readers, StoreError};
use mesh_wire::label::BadLabel;
use mesh_wire::limits::{BLOB_BYTES, INLINE_BYTES, NAME_BYTES, SEALED_CONTENT_BYTES};
use mesh_wire::message::sync::Unsealing;
use mesh_wire::{Hash, Label};
use thiserror::Error;

use crate::export::UnsafeName;
use crate::store::{Blobs, PumpError, Staged, disk_error, pump};
pub use walk::{Found, Walk};

/// A file, read and ready to be published.
#[derive(Debug)]
pub struct Imported {
    /// What readers will see: a path relative to what the user named, with `/`.
    pub name: Label<NAME_BYTES>,
    /// BLAKE3 of all bytes, as they were read.
    pub hash: Hash,
    /// Number of bytes.
    pub size: u64,
    /// The bytes.
    pub content: Content,
}

/// Where the bytes of an imported file are.
#[derive(Debug)]
pub enum Content {
    /// At most [`INLINE_BYTES`] of them, for members [`SEALED_CONTENT_BYTES`]: they travel inside
    /// their item.
    Inline(Bytes),
    /// Copied, and waiting to be placed in the store.
    Blob {
        /// The copy in the home.
        staged: Staged,
        /// What it takes to serve it.
        outboard: Outboard,
        /// What it takes to read it, if it is sealed: the copy is.
        unsealing: Option<Unsealing>,
    },
}

/// A file that is not published, and why. The rest goes on.
#[derive(Debug, Error)]
#[error("{} is left out: {why}", .path.display())]
pub struct Skipped {
    /// The file or directory.
    pub path: PathBuf,
    /// The reason.
    pub why: Reason,
}

/// Why a file is not published.
#[derive(Debug, Error)]
pub enum Reason {
    /// It is a symbolic link.
    #[error("it is a symbolic link; name what it points to")]
    Symlink,
    /// It is a socket, a FIFO or a device.
    #[error("it is neither a file nor a directory")]
    Special,
    /// This node's own secrets and copies.
    #[error("it is the home of this node")]
    Home,
    /// Readers could not be shown its name.
    #[error("its name cannot be published: {0}")]
    Name(BadLabel),
    /// Readers would not write a file under its name.
    #[error("readers could not use its name: {}; rename it", .0.why())]
    Unsafe(UnsafeName),
    /// It is longer than any blob.
    #[error("it is larger than {BLOB_BYTES} bytes")]
    TooLarge,
    /// Somebody wrote to it meanwhile.
    #[error("it changed while it was read; publish it again when it is whole")]
    Changed,
    /// The system did not let us read it.
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
}

/// Files of this size are flushed by the worker that copied them; the commit that publishes
/// smaller ones flushes many at a time.
const LARGE_BYTES: u64 = 4 << 20;

/// Why a file was not imported.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The matter is with this file only.
    #[error(transparent)]
    Skipped(#[from] Skipped),
    /// The matter is with our own disk: the next file will not fare better.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads a file that [`Walk`] found: into memory if it is small, else into a staged copy, sealed if
/// only members are to read it, that is durable once it is placed and the store has committed.
/// `progress` is told the bytes of each step.
///
/// Blocks on the disk: for a worker thread.
pub fn import(
    found: &Found,
    blobs: &Blobs,
    readers: Readers,
    progress: &mut dyn FnMut(u64),
) -> Result<Imported, ImportError> {
    let unreadable = |error| found.skipped(Reason::Unreadable(error));
    let file = found.open()?;
    let before = file.metadata().map_err(unreadable)?;
    let size = before.len();
    if size > BLOB_BYTES {
        return Err(found.skipped(Reason::TooLarge).into());
    }
    let inline = match readers {
        Readers::Everybody => INLINE_BYTES,
        Readers::Members => SEALED_CONTENT_BYTES,
    };
    let (hash, content) = if size <= inline as u64 {
        // One byte more than there should be tells of growth.
        let mut bytes = Vec::with_capacity(size as usize + 1);
        (&file).take(size + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 != size {
            return Err(found.skipped(Reason::Changed).into());
        }
        progress(size);
        (Hash(*blake3::hash(&bytes).as_bytes()), Content::Inline(bytes.into()))
    } else {
        match readers {
            Readers::Everybody => stage(found, (&file, size), blobs, progress)?,
            Readers::Members => seal::seal(found, (&file, size), blobs, progress)?,
        }
    };
    if has_changed(&before, &file.metadata().map_err(unreadable)?) {
        return Err(found.skipped(Reason::Changed).into());
    }
    if let Content::Blob { staged, .. } = &content
        && size >= LARGE_BYTES
    {
        staged.sync().map_err(|error| disk_error("flush the copy", &error))?;
    }
    Ok(Imported { name: found.name().clone(), hash, size, content })
}

fn stage(
    found: &Found,
    (file, size): (&File, u64),
    blobs: &Blobs,
    progress: &mut dyn FnMut(u64),
) -> Result<(Hash, Content), ImportError> {
    let failed = |error: io::Error| {
        ImportError::Store(disk_error(format_args!("copy {}", found.path().display()), &error))
    };
    let staged = blobs.stage().map_err(failed)?;
    let mut outboard = Outboard::builder(size);
    let mut inspect = |group: &[u8]| {
        outboard.push(group);
        progress(group.len() as u64);
        true
    };
    match pump((file, staged.file()), size, &mut inspect) {
        Ok(()) => {}
        Err(PumpError::Write(error)) => return Err(failed(error)),
        Err(PumpError::Read(error)) => return Err(found.unread(error).into()),
        Err(PumpError::Refused) => return Err(found.skipped(Reason::Changed).into()),
    }
    let outboard = outboard.finish().ok_or_else(|| found.skipped(Reason::Changed))?;
    Ok((outboard.id().hash, Content::Blob { staged, outboard, unsealing: None }))
}

fn has_changed(before: &Metadata, after: &Metadata) -> bool {
    let mark = |meta: &Metadata| (meta.len(), meta.mtime(), meta.mtime_nsec());
    mark(before) != mark(after)
}

#[cfg(test)]
mod tests;
