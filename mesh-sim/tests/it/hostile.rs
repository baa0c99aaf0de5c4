//! Junk is what it says it is.

use mesh_sim::{hostile, seed, seeds};
use mesh_wire::Wire;

use crate::toy::{Gossip, Hello};

#[test]
fn a_truncation_is_a_strict_prefix() {
    let valid: Vec<u8> = (0..50).collect();
    for seed in seeds(200) {
        let cut = hostile::truncated(&mut seed::rng(seed), &valid);
        assert!(cut.len() < valid.len() && valid.starts_with(&cut), "seed {seed}");
    }
}

#[test]
fn every_generator_takes_nothing_and_a_single_byte() {
    for seed in seeds(200) {
        let mut rng = seed::rng(seed);
        for valid in [&[][..], &[7]] {
            let _ = hostile::junk(&mut rng, valid);
            let _ = hostile::mutated(&mut rng, valid);
            let _ = hostile::length_lie(&mut rng, valid);
            assert_eq!(hostile::flipped(&mut rng, valid).len(), valid.len(), "seed {seed}");
        }
    }
}

#[test]
fn junk_reaches_machines_as_other_valid_messages_and_decoders_as_nonsense() {
    let honest = Gossip::from(Hello { nonce: 1_000_000 });
    let mut rng = seed::rng(0);
    let junk: Vec<_> = (0..1000).map(|_| hostile::junk(&mut rng, &honest.to_bytes())).collect();
    let read = junk.iter().filter_map(|bytes| Gossip::from_bytes(bytes.clone()).ok());
    let (same, other): (Vec<_>, Vec<_>) = read.partition(|message| *message == honest);
    assert!(same.len() > 100, "{} replays", same.len());
    assert!(other.len() > 100, "{} others", other.len());
    assert!(same.len() + other.len() < 600, "{} refused", 1000 - same.len() - other.len());
}
