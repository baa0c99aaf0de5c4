//! Seeds: which ones a test runs, and how a failure says which one it was.

use std::env;
use std::thread;

use mesh_wire::Rng;

/// The environment variable that replays one seed.
const VARIABLE: &str = "MESH_SEED";

/// The seeds a test runs: `0..count`, or the one that `MESH_SEED` names.
///
/// # Panics
/// If `MESH_SEED` is set and is not a number.
#[must_use]
pub fn seeds(count: u64) -> std::ops::Range<u64> {
    match env::var(VARIABLE) {
        Ok(text) => {
            let seed: u64 = text.parse().expect("MESH_SEED is a number");
            seed..seed + 1
        }
        Err(_) => 0..count,
    }
}

/// The generator that `seed` stands for.
#[must_use]
pub fn rng(seed: u64) -> Rng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    Rng::from_seed(bytes)
}

/// The command that runs the current test again with `seed`.
#[must_use]
pub fn replay_command(seed: u64) -> String {
    let package = env::var("CARGO_PKG_NAME").unwrap_or_default();
    let thread = thread::current();
    let test = thread.name().unwrap_or_default();
    format!("{VARIABLE}={seed} cargo test -p {package} -- --exact {test}")
}

/// Prints how to replay `seed` if it is dropped by a panic.
pub(crate) struct Replay(pub(crate) u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the seed was {}; replay: {}", self.0, replay_command(self.0));
        }
    }
}
