//! Moves content from file to file, inspected on the way.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use mesh_wire::limits::GROUP_BYTES;

/// Bytes moved at a time: they are still in the processor's cache when they are written.
const SLAB_BYTES: usize = 4 * GROUP_BYTES;
static ZEROS: [u8; GROUP_BYTES] = [0; GROUP_BYTES];

/// Why content was not moved.
#[derive(Debug)]
pub(crate) enum PumpError {
    /// The source failed, or ended early.
    Read(io::Error),
    /// The destination failed.
    Write(io::Error),
    /// A group was not what it should be.
    Refused,
}

/// Copies the first `size` bytes, shows every group to `inspect` before it is written, and ends
/// when `inspect` says `false`. Groups of zeros become holes.
pub(crate) fn pump(
    (from, to): (&File, &File),
    size: u64,
    inspect: &mut dyn FnMut(&[u8]) -> bool,
) -> Result<(), PumpError> {
    to.set_len(size).map_err(PumpError::Write)?;
    let mut slab = vec![0; size.min(SLAB_BYTES as u64) as usize];
    let mut offset = 0;
    while offset < size {
        let length = (size - offset).min(SLAB_BYTES as u64) as usize;
        let slab = &mut slab[..length];
        from.read_exact_at(slab, offset).map_err(PumpError::Read)?;
        if !slab.chunks(GROUP_BYTES).all(&mut *inspect) {
            return Err(PumpError::Refused);
        }
        write(to, slab, offset).map_err(PumpError::Write)?;
        offset += length as u64;
    }
    Ok(())
}

/// Writes the slab, but not its groups of zeros.
fn write(to: &File, slab: &[u8], offset: u64) -> io::Result<()> {
    let is_hole = |group: &[u8]| *group == ZEROS[..group.len()];
    if !slab.chunks(GROUP_BYTES).any(is_hole) {
        return to.write_all_at(slab, offset);
    }
    for (group, at) in slab.chunks(GROUP_BYTES).zip((offset..).step_by(GROUP_BYTES)) {
        if !is_hole(group) {
            to.write_all_at(group, at)?;
        }
    }
    Ok(())
}
