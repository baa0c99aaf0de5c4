//! Whatever the two sets are, they come level, and with as much as that needs.

use std::collections::BTreeSet;

use mesh_sim::seed;
use mesh_sync::set::{Ending, Key, Set};
use mesh_wire::message::set::Step;
use mesh_wire::{Hash, Rng, UnixTime, limits};
use proptest::prelude::*;

use super::{Pair, START_MS, Told, year};

/// Keys that like to agree in their times and in the beginnings of their ids.
fn key() -> impl Strategy<Value = Key> {
    let time = prop_oneof![
        Just(0),
        Just(START_MS),
        START_MS..START_MS + 40,
        (0..u64::from(u16::MAX)).prop_map(|step| START_MS + step * 65_536),
        Just(UnixTime::MAX.0),
    ];
    (time, 0..32_usize, any::<u16>()).prop_map(|(time, agree, rest)| {
        let mut id = [0xab; 32];
        let [high, low] = rest.to_be_bytes();
        (id[agree], id[(agree + 7) % 32]) = (high, low);
        Key::new(UnixTime(time), Hash(id))
    })
}

/// What one of the two lacks, said by who has it.
fn assert_found(told: &[Told; 2], a: &BTreeSet<Key>, b: &BTreeSet<Key>) {
    for (told, (ours, theirs)) in told.iter().zip([(a, b), (b, a)]) {
        let pushes: BTreeSet<Key> = told.pushes.iter().copied().collect();
        assert_eq!(pushes.len(), told.pushes.len(), "something is sent twice");
        assert!(pushes.iter().eq(ours.difference(theirs)), "{told:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    // spec: SYNC-29, SYNC-31
    #[test]
    fn any_two_sets_are_level_after_what_one_round_finds(
        shared in prop::collection::btree_set(key(), 0..1500),
        only_a in prop::collection::btree_set(key(), 0..400),
        only_b in prop::collection::btree_set(key(), 0..400),
        room in prop::sample::select(vec![3000, 5000, 65_792]),
    ) {
        let a: BTreeSet<Key> = shared.union(&only_a).copied().collect();
        let b: BTreeSet<Key> = shared.union(&only_b).copied().collect();
        let mut pair = Pair { room, ..Pair::new(a.clone(), b.clone()) };
        let (_, told) = pair.round(|_, step| Some(step));
        assert_found(&told, &a, &b);
        let [first, second] = &told;
        prop_assert_eq!(first.ending, second.ending);
        prop_assert_eq!(first.ending == Some(Ending::Level), a == b);
        prop_assert!(first.want <= second.pushes.len() as u64);
        prop_assert!(second.want <= first.pushes.len() as u64);
        pair.apply(told);
        prop_assert_eq!(pair.come_level(1), 1);
    }

    // spec: SYNC-32, SYNC-33
    #[test]
    fn a_walk_alone_finds_whatever_differs(
        shared in prop::collection::btree_set(key(), 0..1500),
        only_a in prop::collection::btree_set(key(), 0..400),
        only_b in prop::collection::btree_set(key(), 0..400),
    ) {
        let a: BTreeSet<Key> = shared.union(&only_a).copied().collect();
        let b: BTreeSet<Key> = shared.union(&only_b).copied().collect();
        let mut pair = Pair::new(a.clone(), b.clone());
        for _ in 0..limits::SET_ROUNDS {
            // What these rounds find is not sent.
            pair.round(|_, step| Some(step));
        }
        let mut walks = false;
        let (_, told) = pair.round(|_, step| {
            walks |= matches!(step, Step::Walk(_));
            Some(step)
        });
        prop_assert_eq!(walks, a != b);
        assert_found(&told, &a, &b);
    }
}

fn assert_level_after_one_round(a: Vec<Key>, b: Vec<Key>) {
    for (a, b) in [(a.clone(), b.clone()), (b, a)] {
        let rounds = Pair::new(a, b).come_level(2);
        assert!(rounds <= 2);
    }
}

#[test]
fn one_item_and_a_hundred_thousand_come_level_at_once() {
    let all = year(&mut seed::rng(1), 100_000);
    for one in [0, 50_000, 99_999] {
        assert_level_after_one_round(vec![all[one]], all.clone());
    }
    let stranger = year(&mut seed::rng(2), 1);
    assert_level_after_one_round(stranger, all.clone());
    assert_level_after_one_round(Vec::new(), all);
    let oldest = Key::new(UnixTime(0), Hash([0; 32]));
    assert_level_after_one_round(Vec::new(), vec![oldest]);
    assert_level_after_one_round(Vec::new(), Vec::new());
}

#[test]
fn items_of_one_millisecond_come_level_like_any_other() {
    let mut rng = seed::rng(3);
    let mut now = |count: usize| -> Vec<Key> {
        (0..count).map(|_| Key::new(UnixTime(START_MS), Hash(rng.bytes()))).collect()
    };
    let shared = now(5000);
    let (a, b) = (now(300), now(200));
    assert_level_after_one_round([&shared[..], &a].concat(), [&shared[..], &b].concat());
}

#[test]
fn ids_that_agree_in_all_but_the_last_bytes_come_level_like_any_other() {
    let alike = |numbers: std::ops::Range<u32>| -> Vec<Key> {
        let id = |number: u32| {
            let mut id = [0x55; 32];
            id[28..].copy_from_slice(&number.to_be_bytes());
            Key::new(UnixTime(START_MS), Hash(id))
        };
        numbers.map(id).collect()
    };
    assert_level_after_one_round(alike(0..3000), alike(1000..4000));
}

/// Items with an exclusive or of zero: among 257 ids of 256 bits there are some, and Gauss finds
/// them.
fn cancelling(rng: &mut Rng) -> Vec<Key> {
    let ids: Vec<[u8; 32]> = (0..257).map(|_| rng.bytes()).collect();
    // Sums that are not zero, each with a leading bit of its own, and of which ids they are.
    let mut rows: Vec<([u8; 32], [bool; 257])> = Vec::new();
    for at in 0..ids.len() {
        let (mut sum, mut of) = (ids[at], [false; 257]);
        of[at] = true;
        for (row, row_of) in &rows {
            let lead = row.iter().position(|byte| *byte != 0).expect("a row is not zero");
            if sum[lead] >> row[lead].ilog2() & 1 == 1 {
                sum.iter_mut().zip(row).for_each(|(byte, other)| *byte ^= other);
                of.iter_mut().zip(row_of).for_each(|(is, other)| *is ^= other);
            }
        }
        if sum == [0; 32] {
            let chosen = ids.iter().zip(of).filter(|(_, is)| *is);
            return chosen.map(|(id, _)| Key::new(UnixTime(START_MS), Hash(*id))).collect();
        }
        rows.push((sum, of));
    }
    unreachable!("257 vectors of 256 bits depend on each other")
}

#[test]
fn s_01_items_whose_ids_cancel_out_are_found_like_any_other() {
    let mut rng = seed::rng(8);
    let crafted = cancelling(&mut rng);
    let sum = crafted.iter().fold([0; 32], |mut sum, key| {
        sum.iter_mut().zip(key.id().0).for_each(|(byte, other)| *byte ^= other);
        sum
    });
    assert!(sum == [0; 32] && crafted.len() > 2);
    let shared = year(&mut rng, 3000);
    assert_level_after_one_round([&shared[..], &crafted].concat(), shared);
}

#[test]
fn s_05_ids_made_to_unbalance_the_tree_go_no_deeper_than_a_key() {
    // Every key agrees with the first in one nibble more than the one before it.
    let chain = (0..64).flat_map(|agree| {
        (1..16).map(move |nibble| {
            let mut id = [0; 32];
            id[agree / 2] = if agree % 2 == 0 { nibble << 4 } else { nibble };
            Key::new(UnixTime(START_MS), Hash(id))
        })
    });
    let chain: Vec<Key> = chain.collect();
    let (a, b) = chain.split_at(chain.len() / 3);
    assert_level_after_one_round(a.to_vec(), b.to_vec());
    assert_level_after_one_round(chain.clone(), b.to_vec());
    let mut set: Set = chain.iter().copied().collect();
    assert!(set.weight() < 400 * chain.len(), "{} bytes", set.weight());
    assert!(set.snapshot().all().is_sorted());
}

#[test]
fn s_07_times_long_past_and_far_ahead_hide_nothing() {
    let mut rng = seed::rng(9);
    let shared = year(&mut rng, 5000);
    let mut at = |time| Key::new(UnixTime(time), Hash(rng.bytes()));
    let odd = [at(0), at(1), at(START_MS - 315_360_000_000), at(START_MS + 315_360_000_000)];
    let ends = [at(UnixTime::MAX.0), at(UnixTime::MAX.0), at(UnixTime::MAX.0 - 1), at(0)];
    for odd in [&odd[..], &ends] {
        let [mut a, mut b] = [shared.clone(), shared[..4000].to_vec()];
        assert_level_after_one_round([&a[..], odd].concat(), b.clone());
        a.extend(&odd[..2]);
        b.extend(&odd[2..]);
        assert_level_after_one_round(a, b);
    }
}

#[test]
fn sets_that_share_nothing_come_level() {
    let (a, b) = (year(&mut seed::rng(4), 3000), year(&mut seed::rng(5), 4000));
    assert_level_after_one_round(a, b);
}

/// More differences than one round has symbols for: the walk finds some in each round.
// spec: SYNC-33
#[test]
fn more_differences_than_symbols_come_level_by_walking() {
    let all = year(&mut seed::rng(6), 140_000);
    let half = |odd: usize| all.iter().copied().skip(odd).step_by(2).collect::<Vec<_>>();
    let mut pair = Pair::new(half(0), half(1));
    let rounds = pair.come_level(8);
    assert!(rounds > 2, "a set of {} cannot be walked in {rounds} rounds", all.len());
}
