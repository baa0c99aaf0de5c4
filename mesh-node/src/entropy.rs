//! The one file that reads the operating system's entropy.

use mesh_wire::Rng;

/// 32 bytes nobody else knows.
pub fn bytes() -> Result<[u8; 32], std::io::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}

/// A generator seeded with them.
pub fn rng() -> Result<Rng, std::io::Error> {
    bytes().map(Rng::from_seed)
}
