//! Short ids and symbols.

use std::collections::BTreeSet;
use std::format;
use std::string::String;
use std::vec::Vec;

use mesh_sim::{seed, seeds};
use mesh_wire::{Hash, UnixTime, limits};

use super::super::digest::Salt;
use super::super::key::Key;
use super::super::sketch::{Cell, Decoder, encode};

/// What another implementation must get, too.
// spec: SYNC-27, SYNC-30
#[test]
fn short_ids_and_symbols_are_those_of_the_specification() {
    let key = |byte| Key::new(UnixTime(1_764_000_000_000), Hash([byte; 32]));
    let salt = Salt::new(&[7; 32], 1);
    let ids = [1, 2, 3].map(|byte| salt.short_id(&key(byte)));
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let written: Vec<_> = ids.iter().map(|id| hex(&id.to_le_bytes())).collect();
    let cells = encode(ids.into_iter(), 0, 6);
    let symbols: Vec<_> =
        cells.iter().map(|cell| hex(&mesh_wire::Wire::to_bytes(&cell.to_wire()))).collect();
    assert_eq!(written, ["cc866bb3d307eb0d", "153a65f81d07cd46", "19292121c59839ed"]);
    assert_eq!(
        symbols,
        [
            "c0952f6a0b981fa639343b8403",
            "d5af4a92169fd2e04b77c53902",
            "19292121c59839ed473a329501",
            "00000000000000000000000000",
            "153a65f81d07cd467243febd01",
            "00000000000000000000000000",
        ]
    );
}

/// Two sets of short ids, of which `differ` are only in one of them, in turn.
fn pair(seed: u64, shared: usize, differ: usize) -> [Vec<u64>; 2] {
    let mut rng = seed::rng(seed);
    let mut sides = [Vec::new(), Vec::new()];
    for _ in 0..shared {
        let id = u64::from_be_bytes(rng.bytes());
        sides.iter_mut().for_each(|side| side.push(id));
    }
    for at in 0..differ {
        sides[at % 2].push(u64::from_be_bytes(rng.bytes()));
    }
    sides
}

fn symbols(ids: &[u64], first: usize, count: usize) -> Vec<Cell> {
    encode(ids.iter().copied(), first, count)
}

// spec: SYNC-30
#[test]
fn symbols_do_not_depend_on_how_they_are_asked_for() {
    let [ids, _] = pair(1, 500, 0);
    let all = symbols(&ids, 0, 1000);
    for (first, count) in [(0, 1), (1, 1), (0, 32), (32, 480), (999, 1), (500, 500)] {
        assert_eq!(symbols(&ids, first, count), all[first..first + count]);
    }
}

#[test]
fn a_difference_is_decoded_from_some_one_and_a_half_symbols_each() {
    for (differ, most) in [(0, 1), (1, 2), (10, 40), (100, 190), (1000, 1500), (5000, 7000)] {
        for seed in seeds(5) {
            let [theirs, ours] = pair(seed, 2000, differ);
            let mut decoder = Decoder::default();
            while !decoder.is_done() {
                let (first, step) = (decoder.len(), 1 + decoder.len() / 50);
                let [theirs, ours] = [&theirs, &ours].map(|ids| symbols(ids, first, step));
                decoder.extend(&theirs, &ours, (differ % 2) as i64);
                assert!(decoder.len() <= most * 51 / 50 + 1, "{differ} of seed {seed}");
            }
            let (only_theirs, only_ours) = decoder.found();
            for (found, (here, there)) in
                [(only_theirs, (&theirs, &ours)), (only_ours, (&ours, &theirs))]
            {
                let there: BTreeSet<_> = there.iter().collect();
                let expected = here.iter().filter(|id| !there.contains(id)).copied();
                let found: BTreeSet<u64> = found.into_iter().collect();
                assert_eq!(found, expected.collect(), "{differ} of seed {seed}");
            }
        }
    }
}

#[test]
fn a_few_symbols_tell_how_many_there_must_be() {
    // All differences on one side tell as well as half of them on each.
    for (shared, differ, few) in
        [(20_000, 200, 64), (0, 200, 64), (20_000, 3000, 512), (0, 3000, 512)]
    {
        let mut within = 0;
        for seed in 0..40 {
            let [theirs, ours] = pair(seed, shared, differ);
            let surplus = theirs.len() as i64 - ours.len() as i64;
            let mut decoder = Decoder::default();
            decoder.extend(&symbols(&theirs, 0, few), &symbols(&ours, 0, few), surplus);
            let next = decoder.next_len().expect("there are few");
            within += usize::from((differ * 12 / 10..differ * 19 / 10 + 32).contains(&next));
        }
        assert!(within >= 30, "{differ} of {shared}: {within} of 40");
    }
    let [theirs, ours] = pair(1, 0, 200_000);
    let mut decoder = Decoder::default();
    decoder.extend(&symbols(&theirs, 0, 512), &symbols(&ours, 0, 512), 0);
    assert_eq!(decoder.next_len(), None);
}

/// Symbols that contradict each other can put an item back that was taken out.
#[test]
fn symbols_that_contradict_each_other_end_the_decoding() {
    let item = symbols(&[77], 0, 1)[0];
    for count in [1, 2, 64, 1000] {
        let theirs: Vec<Cell> = core::iter::repeat_n(item, count).collect();
        let mut decoder = Decoder::default();
        decoder.extend(&theirs, &symbols(&[], 0, count), 1);
        assert!(decoder.found().0.len() + decoder.found().1.len() <= count + 1);
        assert!(decoder.weight() < 100 * count + 4096);
    }
    assert_eq!(limits::SET_SYMBOLS, 65_536);
}
