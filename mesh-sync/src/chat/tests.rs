//! The order itself, and what lies do to it.

use std::collections::BTreeSet;
use std::vec::Vec;

use mesh_wire::{Rng, UnixTime};

use super::*;

/// An item of a log, its time, and what it names.
type Told<'a> = (u32, u64, u64, &'a [(u32, u64)]);

fn entry((log, seq, time, named): Told<'_>) -> Entry<(u32, u64)> {
    let parents = named.iter().map(|(log, seq)| Place { log: *log, seq: *seq }).collect();
    let (place, time) = (Place { log, seq }, UnixTime(time));
    Entry { place, time, parents, content: (log, seq) }
}

#[track_caller]
fn check(told: &[Told<'_>], expected: &[(u32, u64)]) {
    for seed in 0..8 {
        // However they came in.
        let mut rng = Rng::from_seed([seed; 32]);
        let mut told = told.to_vec();
        for at in (1..told.len()).rev() {
            told.swap(at, rng.below(at as u64 + 1) as usize);
        }
        assert_eq!(order(told.into_iter().map(entry).collect()), expected);
    }
}

// spec: SYNC-50
#[test]
fn items_stand_by_time_then_by_log_but_never_before_what_was_read() {
    check(&[(1, 0, 5, &[]), (0, 0, 9, &[]), (2, 0, 7, &[])], &[(1, 0), (2, 0), (0, 0)]);
    check(&[(1, 0, 5, &[]), (0, 0, 5, &[]), (2, 0, 5, &[])], &[(0, 0), (1, 0), (2, 0)]);
    // A clock that is behind: the answer still follows, and what follows it in its log, too.
    check(
        &[(0, 0, 50, &[]), (1, 0, 3, &[(0, 0)]), (1, 1, 4, &[]), (2, 0, 49, &[]), (2, 1, 51, &[])],
        &[(2, 0), (0, 0), (1, 0), (1, 1), (2, 1)],
    );
    // An answer to an answer, in a log with a lower number, all at one time.
    check(&[(2, 0, 5, &[]), (1, 0, 5, &[(2, 0)]), (0, 0, 5, &[(1, 0)])], &[(2, 0), (1, 0), (0, 0)]);
    check(&[], &[]);
}

// spec: SYNC-50
#[test]
fn what_names_something_that_is_not_here_stands_all_the_same() {
    check(&[(1, 0, 5, &[(0, 3)]), (2, 0, 6, &[(9, 9)])], &[(1, 0), (2, 0)]);
    // One that came in again has two numbers and one place.
    check(&[(1, 0, 5, &[]), (1, 0, 5, &[]), (2, 0, 1, &[])], &[(2, 0), (1, 0)]);
    // What a log had before these items counts as read.
    check(&[(1, 7, 5, &[]), (2, 0, 2, &[(1, 3)])], &[(2, 0), (1, 7)]);
}

// spec: SYNC-50
#[test]
fn g_03_those_who_name_each_others_future_are_all_shown_and_hold_up_nobody_else() {
    let [one, other] = [[(2, 1)], [(1, 0)]];
    check(
        &[(1, 0, 5, &one), (2, 0, 1, &[]), (2, 1, 2, &other), (0, 0, 90, &[(1, 0)])],
        &[(2, 0), (2, 1), (1, 0), (0, 0)],
    );
    // Three in a circle, and one that only waits for them and would be older than all.
    check(
        &[(1, 0, 5, &[(2, 0)]), (2, 0, 4, &[(3, 0)]), (3, 0, 6, &[(1, 0)]), (0, 0, 1, &[(1, 0)])],
        &[(2, 0), (1, 0), (0, 0), (3, 0)],
    );
}

// spec: SYNC-50
#[test]
fn nobodys_clock_puts_an_item_further_ahead_than_it_came() {
    let arrived = UnixTime(1_800_000_000_000);
    let ahead = UnixTime(arrived.0 + 120_000);
    assert_eq!(plausible(UnixTime(5), arrived), UnixTime(5));
    assert_eq!(plausible(ahead, arrived), ahead);
    assert_eq!(plausible(UnixTime::MAX, arrived), ahead);
    assert_eq!(plausible(UnixTime::MAX, UnixTime(0)), UnixTime::MAX);
}

/// Whatever is named: every item has one place, those of a log are in order, and the order is the
/// same however they came in.
// spec: SYNC-50
#[test]
fn g_03_any_lies_end_in_one_order_of_all() {
    for seed in 0..200 {
        let mut rng = Rng::from_seed([seed; 32]);
        let logs = 1 + rng.below(6) as u32;
        let mut make = || {
            let mut all = Vec::new();
            for log in 0..logs {
                for seq in 0..rng.below(12) {
                    let named: BTreeSet<u32> =
                        (0..rng.below(4)).map(|_| rng.below(7) as u32).collect();
                    let named = named.into_iter().filter(|other| *other != log);
                    let parents = named.map(|log| Place { log, seq: rng.below(14) }).collect();
                    let (place, time) = (Place { log, seq }, UnixTime(rng.below(20)));
                    all.push((place, time, parents));
                }
            }
            all
        };
        let all: Vec<(Place, UnixTime, Vec<Place>)> = make();
        let entry = |(place, time, parents): &(Place, UnixTime, Vec<Place>)| Entry {
            place: place.clone(),
            time: *time,
            parents: parents.clone(),
            content: (place.log, place.seq),
        };
        let one = order(all.iter().map(entry).collect());
        assert_eq!(one, order(all.iter().rev().map(entry).collect()), "seed {seed}");
        assert_eq!(one.len(), all.len(), "seed {seed}");
        for log in 0..logs {
            let places = one.iter().filter(|(of, _)| *of == log);
            assert!(places.is_sorted_by_key(|(_, seq)| *seq), "seed {seed}");
        }
    }
}
