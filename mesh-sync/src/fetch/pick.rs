//! Which groups of a page to ask for first.

use alloc::vec::Vec;

use super::OpenPage;
use crate::blob::Bitmap;

/// Groups at the start of a blob that are asked for in order, 2 MiB: whoever plays or shows a
/// file begins there.
const IN_ORDER: u16 = 32;

/// At most `most` of `candidates`: the start of the blob in order, then the groups that the fewest
/// neighbours have. Among equals each node has its own order, so that nodes that fetch the same
/// blob have something to give each other; alone with one neighbour, the disk's order is best.
// spec: SYNC-21
pub(super) fn pick(
    page: &OpenPage,
    candidates: Bitmap,
    neighbours: &[Bitmap],
    seed: u64,
    most: usize,
) -> Vec<u16> {
    let is_start = |group: &u16| page.id.index == 0 && *group < IN_ORDER;
    let mut groups: Vec<u16> = candidates.iter().collect();
    if neighbours.len() > 1 {
        groups.sort_by_cached_key(|group| match is_start(group) {
            true => (0, u64::from(*group)),
            false => {
                let owners = neighbours.iter().filter(|have| have.contains(*group)).count();
                (1 + owners, mixed(seed ^ page.id.group(*group)))
            }
        });
    }
    groups.truncate(most);
    groups
}

/// Scatters numbers (the finaliser of SplitMix64).
fn mixed(mut number: u64) -> u64 {
    number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}
