//! The tree, its hashes and its levels.

use std::collections::BTreeSet;
use std::vec::Vec;

use mesh_wire::{Hash, UnixTime, limits};
use proptest::prelude::*;

use super::super::digest::Salt;
use super::super::key::{KEY_NIBBLES, Key, Prefix, Span};
use super::super::snapshot::Place;
use super::super::spine::{Levels, Spine};
use super::super::tree::Set;

/// Keys that agree in long beginnings.
fn key() -> impl Strategy<Value = Key> {
    let time = prop_oneof![Just(7), 0..200_u64, Just(UnixTime::MAX.0), 0..UnixTime::MAX.0];
    (time, 0..32_usize, any::<u8>()).prop_map(|(time, agree, byte)| {
        let mut id = [0; 32];
        id[agree] = byte;
        Key::new(UnixTime(time), Hash(id))
    })
}

/// The hash of the keys below a place, as SYNC-26 says.
fn model(keys: &BTreeSet<Key>, depth: usize) -> Hash {
    let hash = |context: &str, bytes: &[u8]| {
        Hash(*blake3::keyed_hash(&blake3::derive_key(context, b""), bytes).as_bytes())
    };
    let mut bytes = Vec::new();
    if keys.len() <= 64 {
        for key in keys {
            bytes.extend_from_slice(&key.time().0.to_be_bytes()[2..]);
            bytes.extend_from_slice(&key.id().0);
        }
        return hash("mesh/1 leaf of a set", &bytes);
    }
    for nibble in 0..16 {
        let below = keys.iter().copied().filter(|key| key.nibble(depth) == nibble);
        let below: BTreeSet<Key> = below.collect();
        if !below.is_empty() {
            bytes.push(nibble);
            bytes.extend_from_slice(&model(&below, depth + 1).0);
        }
    }
    hash("mesh/1 branch of a set", &bytes)
}

/// The root of a tree: what a peer would compute from the nodes that are sent.
fn root(set: &mut Set) -> Hash {
    let set = set.snapshot();
    match set.place(&Prefix::ROOT) {
        Place::Few(keys) => super::super::digest::leaf(keys),
        Place::Many(_) => {
            let children = set.children(&Prefix::ROOT);
            let children = children.into_iter().map(|child| (child.nibble, child.hash));
            super::super::digest::branch(children)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // spec: SYNC-26
    #[test]
    fn a_tree_depends_on_its_keys_alone(
        keys in prop::collection::vec(key(), 0..600),
        gone in prop::collection::vec(any::<prop::sample::Index>(), 0..600),
        paused in any::<bool>(),
    ) {
        let (mut set, mut expected) = (Set::new(), BTreeSet::new());
        for key in &keys {
            prop_assert_eq!(set.insert(*key), expected.insert(*key));
        }
        let before = paused.then(|| (set.snapshot(), expected.clone()));
        for gone in gone.iter().filter(|_| !keys.is_empty()) {
            let key = gone.get(&keys);
            prop_assert_eq!(set.remove(key), expected.remove(key));
            prop_assert!(!set.contains(key));
        }
        prop_assert_eq!(set.len(), expected.len() as u64);
        prop_assert_eq!(set.is_empty(), expected.is_empty());
        prop_assert_eq!(root(&mut set), model(&expected, 0));
        prop_assert!(set.snapshot().all().eq(&expected));
        let mut again: Set = expected.iter().copied().collect();
        prop_assert_eq!(root(&mut again), root(&mut set));
        if let Some((snapshot, expected)) = before {
            prop_assert!(snapshot.all().eq(&expected), "a snapshot has changed");
        }
    }

    #[test]
    fn a_span_holds_the_keys_between_its_ends(
        keys in prop::collection::btree_set(key(), 0..400),
        first in key(),
        last in key(),
    ) {
        let set = keys.iter().copied().collect::<Set>().snapshot();
        let found: Vec<_> = set.keys(Span { first, last }).collect();
        let expected = keys.iter().filter(|key| first <= **key && **key <= last);
        prop_assert!(found.into_iter().eq(expected));
    }

    // spec: SYNC-63
    #[test]
    fn what_is_later_is_a_set_like_any_other(
        keys in prop::collection::btree_set(key(), 0..400),
        than in key(),
    ) {
        let set = keys.iter().copied().collect::<Set>();
        let later: BTreeSet<Key> =
            keys.iter().filter(|key| key.time() > than.time()).copied().collect();
        let mut cut = set.later(than.time());
        prop_assert_eq!((cut.len(), cut.first()), (later.len() as u64, later.first().copied()));
        prop_assert_eq!(root(&mut cut), model(&later, 0));
        prop_assert_eq!((set.len(), set.first()), (keys.len() as u64, keys.first().copied()));
    }

    // spec: SYNC-28
    #[test]
    fn levels_cover_everything_up_to_the_anchor_once(
        keys in prop::collection::btree_set(key(), 0..400),
        anchor in key(),
    ) {
        let set = keys.iter().copied().collect::<Set>().snapshot();
        let anchor = anchor.time();
        let all = Levels { anchor, bits: (1 << limits::SET_LEVELS) - 1 };
        let covered: Vec<&Key> = all.spans().into_iter().flat_map(|span| set.keys(span)).collect();
        prop_assert!(covered.into_iter().eq(keys.iter().filter(|key| key.time() <= anchor)));
        let spine = Spine::of(&set, anchor, &Salt::new(&[1; 32], 1));
        for level in 0..limits::SET_LEVELS {
            let level = Levels { anchor, bits: 1 << level };
            let count = level.spans().into_iter().flat_map(|span| set.keys(span)).count();
            prop_assert_eq!(spine.items(&level), count as u64);
        }
        let read = Spine::from_wire(&spine.to_wire()).expect("it was just written");
        prop_assert_eq!(read.to_wire(), spine.to_wire());
        prop_assert_eq!(read.judge(&set, &Salt::new(&[1; 32], 1)).levels.bits, 0);
    }

    // spec: SYNC-32
    #[test]
    fn a_place_has_one_form_and_holds_what_begins_like_it(key in key(), length in 0..=KEY_NIBBLES) {
        let nibbles = (0..length).map(|at| key.nibble(at));
        let place = nibbles.fold(Prefix::ROOT, |place, nibble| place.child(nibble));
        prop_assert_eq!(Prefix::from_wire(&place.to_wire()), Some(place));
        let Span { first, last } = place.span();
        prop_assert!(first <= key && key <= last);
        prop_assert_eq!(first == last, length == KEY_NIBBLES);
    }
}

#[test]
fn a_copy_of_a_set_goes_its_own_way() {
    let key = |time| Key::new(UnixTime(time), Hash([1; 32]));
    let mut set: Set = (0..1000).map(key).collect();
    let mut copy = set.clone();
    copy.remove(&key(5));
    copy.insert(key(5000));
    assert!(set.contains(&key(5)) && !set.contains(&key(5000)));
    assert_ne!(root(&mut set), root(&mut copy));
}

#[test]
fn an_item_of_many_takes_no_more_than_sixty_bytes() {
    let mut rng = mesh_sim::seed::rng(1);
    let year = 365 * 24 * 3600 * 1000;
    let keys = (0..100_000).map(|_| Key::new(UnixTime(rng.below(year)), Hash(rng.bytes())));
    let mut set: Set = keys.collect();
    let _ = set.snapshot();
    assert!(set.weight() < 60 * 100_000, "{} bytes", set.weight());
}
