//! Whether two files are the same, found out without trusting anything of mesh.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

/// Bytes of two files that are the same, or `None` at the first that is not.
pub(super) fn same(one: &Path, other: &Path) -> io::Result<Option<u64>> {
    let mut one = BufReader::with_capacity(BUFFER, File::open(one)?);
    let mut other = BufReader::with_capacity(BUFFER, File::open(other)?);
    let mut same = 0;
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let count = left.len().min(right.len());
        if count == 0 {
            return Ok((left.len() == right.len()).then_some(same));
        }
        if left[..count] != right[..count] {
            return Ok(None);
        }
        one.consume(count);
        other.consume(count);
        same += count as u64;
    }
}

const BUFFER: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_differ_by_a_byte_and_by_their_length() {
        let dir = tempfile::tempdir().unwrap();
        let long: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        let mut other = long.clone();
        other[150_000] ^= 1;
        let check = |one: &[u8], other: &[u8]| {
            let paths = [dir.path().join("one"), dir.path().join("other")];
            std::fs::write(&paths[0], one).unwrap();
            std::fs::write(&paths[1], other).unwrap();
            same(&paths[0], &paths[1]).unwrap()
        };
        assert_eq!(check(&long, &long), Some(200_000));
        assert_eq!(check(b"", b""), Some(0));
        assert_eq!(check(&long, &other), None);
        assert_eq!(check(&long, &long[..199_999]), None);
        assert_eq!(check(b"", b"a"), None);
    }
}
