//! Reaching who is no neighbour.
//!
//! | to know | read |
//! |---|---|
//! | one router, told everything by hand | `alone` |
//! | routers on links, with owners that use what they find | `traveller` |
//! | how somebody is asked for and answers | `asking` |
//! | how packets are carried, hop by hop | `carrying` |
//! | how sessions keep their paths | `sessions` |
//! | which relay keeps packets back, or refuses | `doubts` |
//! | what takes longer where links are slow | `slow` |
//! | what nodes with an uplink are for | `anchors` |
//! | what holds whatever happens | `bounds` |
//! | what holds whatever neighbours do | `hostile` |

mod alone;
mod anchors;
mod asking;
mod bounds;
mod carrying;
mod doubts;
mod hostile;
mod sessions;
mod slow;
mod traveller;

use mesh_wire::FindKey;

/// What those who may find each other here know.
const KEY: FindKey = FindKey([7; 32]);

/// The first bytes of a hash under a find key.
fn keyed<const N: usize>(key: &FindKey, parts: &[&[u8]]) -> [u8; N] {
    let mut hasher = blake3::Hasher::new_keyed(&key.0);
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes().first_chunk().unwrap()
}
