//! What is lost is said again, what is wrong is found out, and what changes meanwhile waits.

use mesh_sim::seed;
use mesh_sync::set::{Ending, Key};
use mesh_wire::codec::List;
use mesh_wire::message::set::{Step, Symbol};
use mesh_wire::{Hash, UnixTime, limits};

use super::{Pair, Told, year};

/// Two sets of `count` items with `differ` of their own each, all over the year.
fn differing(seed: u64, count: usize, differ: usize) -> [Vec<Key>; 2] {
    let mut rng = seed::rng(seed);
    let shared = year(&mut rng, count);
    [(); 2].map(|()| [year(&mut rng, differ), shared.clone()].concat())
}

/// Sets whose rounds take every course there is.
fn courses() -> Vec<[Vec<Key>; 2]> {
    let all = year(&mut seed::rng(1), 2000);
    let tail = [all.clone(), all[..1900].to_vec()];
    let few = [all[1800..].to_vec(), all.clone()];
    let many = differing(2, 3000, 200);
    let swapped = |[a, b]: [Vec<Key>; 2]| [b, a];
    vec![tail.clone(), swapped(tail), few.clone(), swapped(few), many.clone(), swapped(many)]
}

// spec: SYNC-27
#[test]
fn any_message_may_be_lost_and_the_round_goes_on_when_it_is_said_again() {
    for (course, [a, b]) in courses().into_iter().enumerate() {
        for lost in 0..40 {
            let mut pair = Pair { room: 3000, ..Pair::new(a.clone(), b.clone()) };
            let (mut said, mut told) = (0, [Told::default(), Told::default()]);
            let mut lossy = |_, step| {
                said += 1;
                (said != lost + 1).then_some(step)
            };
            pair.ends[0].start(&mut pair.sets[0]);
            for _ in 0..4 {
                pair.exchange(&mut lossy, &mut told);
                pair.ends.iter_mut().for_each(|end| end.repeat());
            }
            // Who ends a round does not learn whether the other heard what it found.
            let ended = told.iter().filter(|told| told.ending.is_some()).count();
            assert!(ended >= 1, "course {course}, message {lost}");
            pair.apply(told);
            assert!(pair.come_level(2) <= 2, "course {course}, message {lost}");
        }
    }
}

#[test]
fn a_message_said_twice_changes_nothing() {
    for [a, b] in courses() {
        let mut pair = Pair::new(a, b);
        let mut told = [Told::default(), Told::default()];
        pair.ends[0].start(&mut pair.sets[0]);
        let mut from = 0;
        for _ in 0..40 {
            while let Some(message) = pair.ends[from].poll_send(pair.room) {
                for _ in 0..2 {
                    let (end, set) = (&mut pair.ends[1 - from], &mut pair.sets[1 - from]);
                    end.handle(set, message.clone()).expect("an honest message");
                }
            }
            pair.drain(&mut told);
            from = 1 - from;
        }
        assert!(told.iter().all(|told| told.ending == Some(Ending::Different)));
        pair.apply(told);
        assert_eq!(pair.come_level(1), 1);
    }
}

// spec: SYNC-30, SYNC-32
#[test]
fn symbols_that_do_not_decode_lead_to_a_walk_that_misses_nothing() {
    let [mut a, b] = differing(3, 3000, 100);
    // A place of its own, with more than a leaf holds.
    a.extend((0..300).map(|time| Key::new(UnixTime(time), Hash([1; 32]))));
    let mut pair = Pair::new(a, b);
    let mut walked = false;
    let (_, told) = pair.round(|_, step| match step {
        Step::Symbols(mut symbols) => {
            let wrong: Vec<Symbol> =
                symbols.symbols.iter().map(|symbol| Symbol { sum: [1; 8], ..symbol }).collect();
            symbols.symbols = List::new(&wrong);
            Some(symbols.into())
        }
        step => {
            walked |= matches!(step, Step::Walk(_));
            Some(step)
        }
    });
    assert!(walked);
    assert_eq!([0, 1].map(|at| told[at].pushes.len()), [400, 100]);
    pair.apply(told);
    assert_eq!(pair.come_level(1), 1);
}

// spec: SYNC-33
#[test]
fn after_two_rounds_that_end_with_a_difference_whole_hashes_are_compared() {
    let [a, b] = differing(4, 1000, 3);
    let mut pair = Pair::new(a, b);
    let mut openings = Vec::new();
    for round in 0..4 {
        let mut first = None;
        let (_, told) = pair.round(|_, step| {
            first.get_or_insert(matches!(step, Step::Walk(_)));
            Some(step)
        });
        openings.push(first == Some(true));
        assert!(told.iter().all(|told| told.ending == Some(Ending::Different)), "{round}");
    }
    assert_eq!(openings, [false, false, true, false]);
    assert_eq!(limits::SET_ROUNDS, 2);
}

#[test]
fn what_changes_during_a_round_waits_for_the_next() {
    let [a, b] = differing(5, 3000, 100);
    let mut pair = Pair::new(a, b);
    let mut rng = seed::rng(6);
    let (mut told, mut from) = ([Told::default(), Told::default()], 0);
    pair.ends[0].start(&mut pair.sets[0]);
    let mut pushes = [Vec::new(), Vec::new()];
    for _ in 0..40 {
        while let Some(message) = pair.ends[from].poll_send(pair.room) {
            pair.sets[1 - from].extend(year(&mut rng, 1));
            let gone = *pair.sets[from].snapshot().all().next().expect("it is not empty");
            pair.sets[from].remove(&gone);
            pair.ends[1 - from].handle(&mut pair.sets[1 - from], message).expect("honest");
        }
        pair.drain(&mut told);
        for (pushes, told) in pushes.iter_mut().zip(&mut told) {
            pushes.append(&mut told.pushes);
        }
        from = 1 - from;
    }
    assert!(told.iter().all(|told| told.ending == Some(Ending::Different)));
    let [first, second] = pushes;
    pair.sets[1].extend(first);
    pair.sets[0].extend(second);
    assert!(pair.come_level(3) <= 3);
}

#[test]
fn a_round_that_is_given_up_leaves_nothing_behind() {
    let [a, b] = differing(7, 3000, 200);
    let mut pair = Pair::new(a, b);
    for dropped in 0..8 {
        let mut said = 0;
        let (_, told) = pair.round(|_, step| {
            said += 1;
            (said <= dropped).then_some(step)
        });
        assert!(told.iter().all(|told| told.ending != Some(Ending::Level)));
    }
    assert!(pair.come_level(3) <= 3);
    assert!(pair.ends.iter().all(|end| end.weight() < 2048), "{:?}", pair.ends);
}
