//! Numbers of 1, 2, 4 or 8 bytes: the variable-length integers of RFC 9000, section 16, in their
//! shortest form only.

use alloc::vec::Vec;

use super::{DecodeError, Problem, Reader};

/// The largest number that can be written.
pub const MAX: u64 = (1 << 62) - 1;

/// How many bytes `value` takes.
#[must_use]
pub const fn size(value: u64) -> usize {
    match value {
        0..0x40 => 1,
        0x40..0x4000 => 2,
        0x4000..0x4000_0000 => 4,
        _ => 8,
    }
}

/// Appends `value`; values above [`MAX`] are written as [`MAX`].
// spec: WIRE-2
pub fn write(value: u64, out: &mut Vec<u8>) {
    let value = value.min(MAX);
    match size(value) {
        1 => out.push(value as u8),
        2 => out.extend_from_slice(&(0x4000 | value as u16).to_be_bytes()),
        4 => out.extend_from_slice(&(0x8000_0000 | value as u32).to_be_bytes()),
        _ => out.extend_from_slice(&(0xc000_0000_0000_0000 | value).to_be_bytes()),
    }
}

/// Reads a number and refuses any form but the shortest.
// spec: WIRE-2
pub fn read(reader: &mut Reader) -> Result<u64, DecodeError> {
    let first = reader.byte()?;
    let more = (1_usize << (first >> 6)) - 1;
    let mut value = u64::from(first & 0x3f);
    for _ in 0..more {
        value = value << 8 | u64::from(reader.byte()?);
    }
    if size(value) != more + 1 {
        return Err(reader.error(Problem::NotShortest));
    }
    Ok(value)
}
