//! The figures of the design, as counts: bytes and flights.

use mesh_sim::seed;
use mesh_sync::set::{Ending, Key};
use mesh_wire::Rng;

use super::{Pair, Traffic, year};

/// Takes `count` of the keys from `from` on away from each of two copies in turn.
fn scattered(rng: &mut Rng, all: &[Key], from: usize, count: usize) -> [Vec<Key>; 2] {
    let mut lacks = vec![2_u8; all.len()];
    let mut left = count;
    while left > 0 {
        let at = from + rng.below((all.len() - from) as u64) as usize;
        if lacks[at] == 2 {
            lacks[at] = (left % 2) as u8;
            left -= 1;
        }
    }
    [0, 1].map(|who| {
        let kept = all.iter().zip(&lacks).filter(|(_, lacks)| **lacks != who);
        kept.map(|(key, _)| *key).collect()
    })
}

fn cost(a: &[Key], b: &[Key], differ: usize) -> Traffic {
    let mut pair = Pair::new(a.iter().copied(), b.iter().copied());
    let (traffic, told) = pair.round(|_, step| Some(step));
    assert!(told.iter().all(|told| told.ending == Some(Ending::Different)));
    assert_eq!(told.iter().map(|told| told.pushes.len()).sum::<usize>(), differ);
    traffic
}

#[test]
fn a_tail_costs_200_bytes_in_three_flights_however_long_it_is() {
    let all = year(&mut seed::rng(1), 100_000);
    for behind in [1, 100, 10_000] {
        let old = &all[..all.len() - behind];
        let (has, lacks) = (cost(&all, old, behind), cost(old, &all, behind));
        assert!(has.bytes <= 200 && has.flights <= 3, "{behind}: {has:?}");
        assert!(lacks.bytes <= 120 && lacks.flights <= 2, "{behind}: {lacks:?}");
    }
}

#[test]
fn scattered_differences_cost_40_bytes_each_and_fewer_if_there_are_many() {
    let mut rng = seed::rng(2);
    let all = year(&mut rng, 50_000);
    for (differ, bytes, flights) in [(1, 600, 3), (100, 40, 9), (1000, 30, 9), (5000, 26, 9)] {
        for from in [0, all.len() - 5 * differ] {
            let [a, b] = scattered(&mut rng, &all, from, differ);
            for traffic in [cost(&a, &b, differ), cost(&b, &a, differ)] {
                assert!(traffic.bytes <= bytes * differ, "{differ}: {traffic:?}");
                assert!(traffic.flights <= flights, "{differ}: {traffic:?}");
            }
        }
    }
}

#[test]
fn to_see_that_nothing_differs_costs_one_spine() {
    let all = year(&mut seed::rng(3), 100_000);
    let mut pair = Pair::new(all.clone(), all);
    let (traffic, told) = pair.round(|_, step| Some(step));
    assert!(told.iter().all(|told| told.ending == Some(Ending::Level) && told.want == 0));
    assert!(traffic.bytes <= 110 && traffic.flights == 2, "{traffic:?}");
}
