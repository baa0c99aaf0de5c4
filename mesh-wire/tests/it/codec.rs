//! The rules of `spec/1-wire.md`, one by one, and what breaks them.

use std::thread;

use bytes::Bytes;
use mesh_wire::codec::{Extensions, List, Opaque, Problem, Reader, varint};
use mesh_wire::label::{BadLabel, deceptive};
use mesh_wire::message::link::{CloseReason, Padding};
use mesh_wire::message::{LinkMessage, Message, RouteMessage, SyncMessage, read_frame};
use mesh_wire::{Hash, Label, Rng, UnixTime, Wire, limits};
use proptest::prelude::*;

use crate::objects::DECODERS;

/// Reads `bytes` as a T: the value written again, or the problem.
fn check<T: Wire>(bytes: &[u8], expected: Result<(), Problem>) {
    let read = T::from_bytes(Bytes::copy_from_slice(bytes));
    if let Ok(value) = &read {
        assert_eq!(value.to_bytes(), bytes, "read, but written otherwise");
    }
    assert_eq!(read.map(|_| ()).map_err(|error| error.problem), expected, "{bytes:02x?}");
}

// spec: WIRE-1
#[test]
fn sizes_and_orders_are_those_of_the_spec() {
    check::<u8>(&[7], Ok(()));
    assert_eq!(UnixTime(0x0102_0304_0506).to_bytes()[..], [1, 2, 3, 4, 5, 6]);
    assert_eq!(UnixTime(u64::MAX).to_bytes()[..], [0xff; 6]);
    assert_eq!(Hash([9; 32]).to_bytes()[..], [9; 32]);
    check::<[u8; 64]>(&[1; 63], Err(Problem::Truncated));
    check::<[u8; 64]>(&[1; 64], Ok(()));
}

// spec: WIRE-2
#[test]
fn w_04_numbers_have_one_form() {
    for (number, bytes) in [
        (0, &[0][..]),
        (63, &[63]),
        (64, &[0x40, 64]),
        (16383, &[0x7f, 0xff]),
        (16384, &[0x80, 0, 0x40, 0]),
        ((1 << 30) - 1, &[0xbf, 0xff, 0xff, 0xff]),
        (1 << 30, &[0xc0, 0, 0, 0, 0x40, 0, 0, 0]),
        (varint::MAX, &[0xff; 8]),
    ] {
        assert_eq!(number.to_bytes(), bytes);
        check::<u64>(bytes, Ok(()));
    }
    for long in [&[0x40, 63][..], &[0x80, 0, 0x3f, 0xff], &[0xc0, 0, 0, 0, 0x3f, 0xff, 0xff, 0xff]]
    {
        check::<u64>(long, Err(Problem::NotShortest));
    }
    for short in [&[][..], &[0x40], &[0x80, 1, 1], &[0xc0, 1, 1, 1, 1, 1, 1]] {
        check::<u64>(short, Err(Problem::Truncated));
    }
    check::<u16>(&[0x80, 0, 0xff, 0xff], Ok(()));
    check::<u16>(&[0x80, 1, 0, 0], Err(Problem::TooLarge));
    check::<u32>(&[0xc0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], Ok(()));
    check::<u32>(&[0xc0, 0, 0, 1, 0, 0, 0, 0], Err(Problem::TooLarge));
    assert_eq!((varint::MAX + 1).to_bytes(), varint::MAX.to_bytes());
}

// spec: WIRE-3
#[test]
fn w_02_lengths_above_their_limit_or_beyond_the_bytes_are_refused() {
    for length in [5, 1 << 32, varint::MAX] {
        let mut bytes = length.to_bytes().to_vec();
        bytes.extend([1, 2, 3]);
        check::<Opaque<4>>(&bytes, Err(Problem::TooLarge));
        check::<Label<4>>(&bytes, Err(Problem::TooLarge));
    }
    check::<Opaque<4>>(&[4, 1, 2, 3], Err(Problem::Truncated));
    check::<Opaque<4>>(&[4, 1, 2, 3, 4], Ok(()));
    check::<Opaque<4>>(&[0], Ok(()));
    assert!(Opaque::<4>::new(Bytes::from_static(&[0; 5])).is_none());
    let frame = [0x02, 0x80, 1, 1, 1];
    let error = read_frame(&mut Reader::new(Bytes::copy_from_slice(&frame))).unwrap_err();
    assert_eq!((error.field, error.problem), ("frame.body", Problem::TooLarge));
}

// spec: WIRE-3
#[test]
fn w_03_counts_above_their_limit_or_beyond_the_bytes_are_refused() {
    type Bytes3 = List<u8, 3>;
    check::<Bytes3>(&[3, 1, 2, 3], Ok(()));
    check::<Bytes3>(&[4, 1, 2, 3, 4], Err(Problem::TooLarge));
    check::<Bytes3>(&[3, 1, 2], Err(Problem::TooLarge));
    check::<Bytes3>(&[0x40, 3, 1, 2, 3], Err(Problem::NotShortest));
    check::<List<u8, { usize::MAX }>>(&[0xc0, 0, 0, 0, 0x40, 0, 0, 0, 1], Err(Problem::TooLarge));
    check::<List<u8, 3>>(&[0xc0, 0, 0, 1, 0, 0, 0, 0], Err(Problem::TooLarge));
    check::<List<Hash, 2>>(&[[2].as_slice(), &[7; 63]].concat(), Err(Problem::TooLarge));
    check::<List<Hash, 2>>(&[[2].as_slice(), &[7; 64]].concat(), Ok(()));
    // Values may be longer than their shortest form.
    check::<List<u32, 2>>(&[2, 0x40, 0x40], Err(Problem::Truncated));
    let list = List::<u8, 3>::new(&[1, 2, 3, 4]);
    assert_eq!((list.len(), list.iter().collect::<Vec<_>>()), (3, vec![1, 2, 3]));
    assert!(List::<u8, 3>::default().is_empty());
}

// spec: WIRE-4
#[test]
fn nothing_may_follow() {
    check::<u8>(&[1, 1], Err(Problem::Trailing));
    check::<LinkMessage>(&[0x02, 1, 5, 0], Err(Problem::Trailing));
    check::<LinkMessage>(&[0x02, 2, 5, 0], Err(Problem::Trailing));
}

// spec: WIRE-5, WIRE-6
#[test]
fn w_06_unknown_even_kinds_are_skipped_and_odd_ones_are_not() {
    let layers = [LinkMessage::KINDS, RouteMessage::KINDS, SyncMessage::KINDS];
    let known = |kind| layers.iter().any(|kinds| kinds.iter().any(|(known, _)| *known == kind));
    for kind in 0..=255_u8 {
        let read = Message::read_body(kind, Bytes::from_static(&[0xff; 3]));
        match (known(kind), kind % 2) {
            (true, _) => assert!(read.is_err(), "{kind:#x}"),
            (false, 0) => assert_eq!(read, Ok(None), "{kind:#x}"),
            (false, _) => {
                assert_eq!(read.unwrap_err().problem, Problem::UnknownCritical, "{kind:#x}");
            }
        }
    }
}

fn extensions(inner: &[u8]) -> Vec<u8> {
    let mut bytes = (inner.len() as u64).to_bytes().to_vec();
    bytes.extend(inner);
    bytes
}

// spec: WIRE-7
#[test]
fn w_04_extensions_ascend_and_come_once() {
    check::<Extensions>(&extensions(&[]), Ok(()));
    check::<Extensions>(&extensions(&[1, 0, 2, 1, 9, 0x40, 64, 0]), Ok(()));
    check::<Extensions>(&extensions(&[2, 0, 1, 0]), Err(Problem::Unsorted));
    check::<Extensions>(&extensions(&[2, 0, 2, 0]), Err(Problem::Unsorted));
    check::<Extensions>(&extensions(&[2, 1]), Err(Problem::Truncated));
    check::<Extensions>(&extensions(&[2]), Err(Problem::Truncated));
    check::<Extensions>(&extensions(&[0x40, 2, 0]), Err(Problem::NotShortest));
    let full = [&[2, 0x40, 253][..], &[7; 253]].concat();
    check::<Extensions>(&extensions(&full), Ok(()));
    check::<Extensions>(&extensions(&[full, vec![4]].concat()), Err(Problem::TooLarge));
    let of = |inner: &[u8]| Extensions::from_bytes(extensions(inner).into()).unwrap();
    // One more goes to its place.
    let more = of(&[2, 0, 5, 1, 9]);
    assert_eq!(more.with(3, &[7]), Some(of(&[2, 0, 3, 1, 7, 5, 1, 9])));
    assert_eq!(more.with(6, &[]), Some(of(&[2, 0, 5, 1, 9, 6, 0])));
    assert_eq!(more.with(1, &[]), Some(of(&[1, 0, 2, 0, 5, 1, 9])));
    assert_eq!(more.with(5, &[]), None);
    assert_eq!(more.with(6, &[0; limits::EXTENSION_BYTES]), None);
    assert_eq!(of(&[2, 0, 4, 0]).unknown_critical(&[]), None);
    assert_eq!(of(&[2, 0, 5, 0]).unknown_critical(&[]), Some(5));
    assert_eq!(of(&[3, 0, 5, 0]).unknown_critical(&[3]), Some(5));
    assert_eq!(of(&[3, 0, 5, 0]).unknown_critical(&[5, 3]), None);
}

// spec: WIRE-8
#[test]
fn codes_without_a_name_are_refused() {
    for value in 0..=255 {
        let known = usize::from(value) < CloseReason::ALL.len();
        check::<CloseReason>(&[value], if known { Ok(()) } else { Err(Problem::Undefined) });
    }
}

// spec: WIRE-9
#[test]
fn w_07_labels_that_deceive_or_break_a_line_are_refused_wherever_they_come_from() {
    let bad = [
        "a\0b",
        "a\nb",
        "a\rb",
        "\u{1b}[31m",
        "\u{7f}",
        "\u{85}",
        "\u{200b}",
        "\u{200f}",
        "\u{2028}",
        "\u{2029}",
        "\u{202a}",
        "\u{202e}txt.exe",
        "\u{2066}",
        "\u{2069}",
        "\u{feff}",
        "\u{fff9}",
        "\u{e0041}",
    ];
    for text in bad {
        assert!(matches!(Label::<64>::new(text), Err(BadLabel::Deceptive(_))), "{text:?}");
        let bytes = [&[text.len() as u8][..], text.as_bytes()].concat();
        check::<Label<64>>(&bytes, Err(Problem::BadText));
    }
    for bytes in [&[1, 0x80][..], &[2, 0xc0, 0x80], &[3, 0xed, 0xa0, 0x80], &[1, 0xff]] {
        check::<Label<64>>(bytes, Err(Problem::BadText));
    }
    for text in ["", "plain", "zwölf Boxkämpfer", "読む", "שלום", "e\u{301}\u{301}", "👩\u{200d}🚀"]
    {
        let bytes = [&[text.len() as u8][..], text.as_bytes()].concat();
        check::<Label<64>>(&bytes, Ok(()));
    }
    assert_eq!(Label::<3>::new("abcd"), Err(BadLabel::TooLong(3)));
    check::<Label<{ limits::NAME_BYTES }>>(&vec![b'a'; 4096], Err(Problem::TooLarge));
}

proptest! {
    #[test]
    fn w_07_no_label_splits_a_line_however_it_is_shown(text in "\\PC{0,20}|(?s).{0,20}") {
        if let Ok(label) = Label::<256>::new(&text) {
            for shown in [label.to_string(), format!("{label:?}"), format!("{label:>30}")] {
                prop_assert!(shown.lines().count() <= 1);
                prop_assert!(!shown.chars().any(deceptive));
            }
        }
    }

    // spec: WIRE-1
    #[test]
    fn w_04_whatever_is_accepted_is_written_back_byte_for_byte(
        which in 0..DECODERS.len(),
        kind in any::<prop::sample::Index>(),
        mut bytes in prop::collection::vec(prop_oneof![0..3_u8, any::<u8>()], 0..80),
    ) {
        let kinds = [LinkMessage::KINDS, RouteMessage::KINDS, SyncMessage::KINDS].concat();
        if let (0, [first, length, rest @ ..]) = (which, bytes.as_mut_slice()) {
            *first = kinds[kind.index(kinds.len())].0;
            *length = rest.len() as u8 & 0x3f;
        }
        // The decoders of these tests assert it.
        let _ = DECODERS[which].1(bytes.into());
    }
}

// spec: SESSION-12
#[test]
fn padding_fills_records_up_to_their_bucket_and_no_further() {
    for length in 0..=2000 {
        for room in [length, length + 3, length + 40, 65_792] {
            let bucket = Padding::BUCKETS.into_iter().find(|bucket| *bucket >= length);
            match (Padding::fill(length, room, 0), bucket) {
                (Some(padding), Some(bucket)) => {
                    let padded = length + LinkMessage::from(padding).size();
                    assert_eq!(padded, bucket.min(room), "{length} of {room}");
                }
                (Some(_), None) => panic!("{length} needs no padding"),
                // No frame of padding has the size of what stays open.
                (None, Some(bucket)) => {
                    let gap = bucket.min(room) - length;
                    assert!(gap < 3 || [66, 68].contains(&gap), "{length} of {room}: {gap}");
                }
                (None, None) => {}
            }
        }
    }
}

#[test]
fn w_05_nested_and_random_bytes_decode_on_a_small_stack() {
    let nested = || {
        let mut rng = Rng::from_seed([5; 32]);
        for first in 0..=255_u8 {
            // Containers in containers, as deep as the bytes go: each length promises the rest.
            for fill in [first, 0x7f, 0x81, 0x01, 0x20, 0xff] {
                let mut bytes = vec![fill; 100_000];
                bytes[0] = first;
                for (_, decoder) in DECODERS {
                    let _ = decoder(bytes.clone().into());
                }
            }
            let bytes: Vec<u8> = (0..1000).map(|_| rng.below(256) as u8).collect();
            for (_, decoder) in DECODERS {
                let _ = decoder(bytes.clone().into());
            }
        }
    };
    thread::Builder::new().stack_size(64 << 10).spawn(nested).unwrap().join().unwrap();
}
