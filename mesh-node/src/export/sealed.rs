//! Opens a sealed blob on its way out: each group is verified, then opened, then written.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use mesh_sync::Outboard;
use mesh_sync::blob::group_hash;
use mesh_wire::enclosure::Sealer;
use mesh_wire::limits::GROUP_BYTES;
use mesh_wire::message::sync::Unsealing;
use mesh_wire::seal::TAG_BYTES;

use super::{Blob, ExportError};
use crate::cipher;

// spec: SYNC-47
pub(super) fn copy(
    path: &Path,
    (from, unsealing): (Blob<'_>, &Unsealing),
    to: &File,
    progress: &mut dyn FnMut(u64),
) -> Result<(), ExportError> {
    let damaged = |group| ExportError::Damaged { path: path.to_owned(), group };
    let unopened = || ExportError::Unopened(path.to_owned());
    let sealer = Sealer::new(cipher::make, &unsealing.key, unsealing.size);
    let mut outboard = Outboard::builder(from.size);
    let (mut hasher, mut bytes) = (blake3::Hasher::new(), Vec::with_capacity(GROUP_BYTES));
    let mut written = 0;
    for group in 0..sealer.groups() {
        bytes.resize(sealer.group_bytes(group) + TAG_BYTES, 0);
        match from.file.read_exact_at(&mut bytes, group * GROUP_BYTES as u64) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(damaged(group));
            }
            Err(source) => return Err(ExportError::Read { path: path.to_owned(), source }),
            Ok(()) => {}
        }
        let hash = group_hash(from.size, group, &bytes);
        if (from.value)(group) != Some(hash) {
            return Err(damaged(group));
        }
        outboard.push_hash(hash);
        sealer.open(group, &mut bytes).map_err(|_| unopened())?;
        // What is behind the content only pads it.
        let rest = unsealing.size - written;
        bytes.truncate(rest.min(bytes.len() as u64) as usize);
        to.write_all_at(&bytes, written)
            .map_err(|source| ExportError::Write { path: path.to_owned(), source })?;
        hasher.update(&bytes);
        written += bytes.len() as u64;
        progress(bytes.len() as u64);
    }
    if outboard.finish().is_none_or(|whole| whole.id().hash != from.hash) {
        return Err(damaged(sealer.groups()));
    }
    if *hasher.finalize().as_bytes() == unsealing.hash.0 { Ok(()) } else { Err(unopened()) }
}
