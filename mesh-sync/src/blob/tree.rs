//! The arithmetic of BLAKE3's own tree: groups to chaining values, chaining values to the hash.

use blake3::Hasher;
use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};
use mesh_wire::Hash;

use super::GROUP;
use crate::merkle::tree::split;

/// What proves group number `group` of a blob of `size` bytes: its chaining value, or, if the blob
/// is a single group, its hash. `bytes` is the whole group; what is beyond 64 KiB does not count.
// spec: SYNC-15
#[must_use]
pub fn group_hash(size: u64, group: u64, bytes: &[u8]) -> Hash {
    let bytes = bytes.get(..GROUP as usize).unwrap_or(bytes);
    if size <= GROUP || bytes.is_empty() {
        return Hash(*blake3::hash(bytes).as_bytes());
    }
    let mut hasher = Hasher::new();
    hasher.set_input_offset(group.wrapping_mul(GROUP));
    hasher.update(bytes);
    Hash(hasher.finalize_non_root())
}

/// The value above a page of values that is not the topmost.
// spec: SYNC-15
pub(crate) fn fold(values: &[Hash]) -> Option<Hash> {
    match values {
        [] => None,
        [one] => Some(*one),
        more => {
            let (left, right) = halves(more)?;
            Some(Hash(merge_subtrees_non_root(&left.0, &right.0, Mode::Hash)))
        }
    }
}

/// The hash above the topmost page of values, which has two values or more.
// spec: SYNC-15
pub(crate) fn fold_root(values: &[Hash]) -> Option<Hash> {
    let (left, right) = halves(values)?;
    Some(Hash(*merge_subtrees_root(&left.0, &right.0, Mode::Hash).as_bytes()))
}

/// The two nodes below the node above `values`.
fn halves(values: &[Hash]) -> Option<(Hash, Hash)> {
    if values.len() < 2 {
        return None;
    }
    // At most ten halvings deep: a page has 1024 values.
    let (left, right) = values.split_at_checked(split(values.len() as u64) as usize)?;
    Some((fold(left)?, fold(right)?))
}
