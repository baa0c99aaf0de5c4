//! Reads a file for the members of a private channel: what is staged is sealed, and what was read
//! is written nowhere.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use mesh_sync::Outboard;
use mesh_wire::Hash;
use mesh_wire::enclosure::{BlobKey, Sealer, sealed_size};
use mesh_wire::limits::{BLOB_BYTES, GROUP_BYTES};
use mesh_wire::message::sync::Unsealing;

use super::{Content, Found, ImportError, Reason};
use crate::store::{Blobs, disk_error};
use crate::{cipher, entropy};

/// A file, sealed group by group under a key of its own while it is copied.
// spec: SYNC-47, SYNC-48
pub(super) fn seal(
    found: &Found,
    (file, size): (&File, u64),
    blobs: &Blobs,
    progress: &mut dyn FnMut(u64),
) -> Result<(Hash, Content), ImportError> {
    let failed = |error: io::Error| {
        ImportError::Store(disk_error(format_args!("seal {}", found.path().display()), &error))
    };
    if sealed_size(size) > BLOB_BYTES {
        return Err(found.skipped(Reason::TooLarge).into());
    }
    let key = BlobKey::from_array(entropy::bytes().map_err(failed)?);
    let sealer = Sealer::new(cipher::make, &key, size);
    let staged = blobs.stage().map_err(failed)?;
    let mut outboard = Outboard::builder(sealed_size(size));
    let (mut hasher, mut bytes) = (blake3::Hasher::new(), Vec::with_capacity(GROUP_BYTES));
    let mut read = 0;
    for group in 0..sealer.groups() {
        let room = sealer.group_bytes(group);
        bytes.resize((size - read).min(room as u64) as usize, 0);
        file.read_exact_at(&mut bytes, read).map_err(|error| found.unread(error))?;
        hasher.update(&bytes);
        read += bytes.len() as u64;
        progress(bytes.len() as u64);
        bytes.resize(room, 0);
        sealer.seal(group, &mut bytes);
        outboard.push(&bytes);
        staged.file().write_all_at(&bytes, group * GROUP_BYTES as u64).map_err(failed)?;
    }
    let outboard = outboard.finish().ok_or_else(|| found.skipped(Reason::Changed))?;
    let hash = Hash(*hasher.finalize().as_bytes());
    let unsealing = Some(Unsealing { key, size, hash });
    Ok((hash, Content::Blob { staged, outboard, unsealing }))
}
