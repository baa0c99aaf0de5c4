//! Tests of cutting up and putting together.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::message::LinkMessage;
use crate::{Rng, Wire};

fn frame(length: usize) -> Bytes {
    (0..length).map(|i| (i % 251) as u8).collect()
}

fn part(message: u32, index: u16, total: u16, bytes: &'static [u8]) -> Fragment {
    let bytes = Opaque::new(Bytes::from_static(bytes)).unwrap();
    Fragment { message, index, total, bytes }
}

fn refused(reassembly: &mut Reassembly, fragment: Fragment) {
    let weight = reassembly.weight();
    assert!(reassembly.receive(fragment.clone()).is_err(), "{fragment:?}");
    assert_eq!(reassembly.weight(), weight);
}

// spec: SESSION-13
#[test]
fn every_fragment_fits_and_all_of_them_make_the_frame() {
    for length in [1, 2, 180, 181, 1200, 5000, FRAME_BYTES] {
        for room in [100, 200, 1212, limits::RECORD_BYTES] {
            let Some(fragments) = Fragments::new(70_000, frame(length), room) else {
                assert!(length / room > 300, "{length} over {room}");
                continue;
            };
            let mut fragments: Vec<Fragment> = fragments.collect();
            for fragment in &fragments {
                assert!(LinkMessage::from(fragment.clone()).size() <= room);
            }
            fragments.reverse();
            let mut reassembly = Reassembly::default();
            let last = fragments.pop().unwrap();
            for fragment in fragments {
                assert_eq!(reassembly.receive(fragment), Ok(None));
            }
            assert_eq!(reassembly.receive(last), Ok(Some(frame(length))));
            assert_eq!(reassembly.weight(), 0);
        }
    }
    assert!(Fragments::new(1, frame(0), 100).is_none());
    assert!(Fragments::new(1, frame(10), 10).is_none());
    let few = frame(limits::FRAGMENTS);
    assert_eq!(Fragments::new(1, few, 11).map(Iterator::count), Some(limits::FRAGMENTS));
    assert!(Fragments::new(1, frame(limits::FRAGMENTS + 1), 11).is_none());
}

// spec: SESSION-13
#[test]
fn l_05_fragments_that_fit_nothing_are_refused_and_disturb_nobody() {
    let mut reassembly = Reassembly::default();
    assert_eq!(reassembly.receive(part(1, 2, 3, b"c")), Ok(None), "last first");
    refused(&mut reassembly, part(1, 0, 4, b"a"));
    refused(&mut reassembly, part(1, 2, 3, b"c"));
    refused(&mut reassembly, part(1, 2, 3, b"x"));
    refused(&mut reassembly, part(1, 3, 3, b"d"));
    refused(&mut reassembly, part(1, 1, 3, b""));
    refused(&mut reassembly, part(2, 0, 0, b"a"));
    refused(&mut reassembly, part(2, 0, limits::FRAGMENTS as u16 + 1, b"a"));
    assert_eq!(reassembly.receive(part(1, 0, 3, b"a")), Ok(None));
    assert_eq!(reassembly.receive(part(1, 1, 3, b"b")), Ok(Some(Bytes::from_static(b"abc"))));
    assert_eq!(reassembly.receive(part(3, 0, 1, b"z")), Ok(Some(Bytes::from_static(b"z"))));
    assert_eq!(reassembly.weight(), 0);
}

#[test]
fn l_05_fragments_in_fragments_are_refused() {
    let inner: LinkMessage = part(9, 0, 1, b"x").into();
    let mut reassembly = Reassembly::default();
    let mut fragments = Fragments::new(1, inner.to_bytes(), 100).unwrap();
    assert!(reassembly.receive(fragments.next().unwrap()).is_err());
    assert_eq!(reassembly.weight(), 0);
}

#[test]
fn l_05_a_frame_never_outgrows_a_record() {
    let mut reassembly = Reassembly::default();
    let part = |index| Fragment {
        message: 1,
        index,
        total: limits::FRAGMENTS as u16,
        bytes: Opaque::new(frame(limits::DATAGRAM_BYTES)).unwrap(),
    };
    let fit = FRAME_BYTES / limits::DATAGRAM_BYTES;
    for index in 0..fit {
        assert_eq!(reassembly.receive(part(index as u16)), Ok(None));
    }
    refused(&mut reassembly, part(fit as u16));
}

#[test]
fn l_05_a_million_unfinished_frames_weigh_no_more_than_a_few() {
    let mut reassembly = Reassembly::default();
    for message in 0..1_000_000 {
        let single = part(message, (message % 5) as u16, 512, b"one byte would do");
        assert_eq!(reassembly.receive(single), Ok(None));
        assert!(reassembly.unfinished.len() <= limits::REASSEMBLIES);
    }
    assert!(reassembly.weight() < 1000, "{}", reassembly.weight());
    // The newest is still there.
    for index in (0..512).filter(|index| *index != 4) {
        let done = reassembly.receive(part(999_999, index, 512, b"y")).unwrap();
        assert_eq!(done.is_some(), index == 511);
    }
}

proptest! {
    #[test]
    fn l_05_weight_is_bounded_and_counts_what_is_held(seed: [u8; 32]) {
        let mut rng = Rng::from_seed(seed);
        let mut reassembly = Reassembly::default();
        for _ in 0..600 {
            let fragment = Fragment {
                message: rng.below(12) as u32,
                index: rng.below(70) as u16,
                total: 60,
                bytes: Opaque::new(vec![1; rng.below(1233) as usize].into()).unwrap(),
            };
            let _ = reassembly.receive(fragment);
            let held: usize = reassembly.unfinished.iter().map(Unfinished::weight).sum();
            prop_assert_eq!(reassembly.weight(), held);
            prop_assert!(held <= limits::REASSEMBLY_BYTES);
            prop_assert!(reassembly.unfinished.len() <= limits::REASSEMBLIES);
        }
    }
}
