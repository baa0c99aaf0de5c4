//! Tests of the sealed phase.

use core::cell::RefCell;
use std::boxed::Box;
use std::collections::BTreeSet;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::Rng;
use crate::seal::{Forged, chacha20poly1305};

const START: Time = Time(1_000_000);

fn pair_with(carrier: Carrier, make: MakeCipher) -> (Session, Session) {
    let keys = |sending: u8, receiving: u8| SessionKeys {
        sending: Zeroizing::new([sending; 32]),
        receiving: Zeroizing::new([receiving; 32]),
        make,
    };
    (Session::new(START, carrier, &keys(1, 2)), Session::new(START, carrier, &keys(2, 1)))
}

fn pair(carrier: Carrier) -> (Session, Session) {
    pair_with(carrier, chacha20poly1305)
}

fn seal_at(session: &mut Session, now: Time, plaintext: &[u8]) -> Vec<u8> {
    let mut record = vec![0xaa; session.header_bytes()];
    record.extend_from_slice(plaintext);
    session.seal(now, &mut record).unwrap();
    record
}

fn seal(session: &mut Session, plaintext: &[u8]) -> Vec<u8> {
    seal_at(session, START, plaintext)
}

fn open(session: &mut Session, record: &[u8]) -> Result<Bytes, OpenError> {
    session.open(BytesMut::from(record))
}

/// Everything in the receiving half of a datagram session that a record may move.
fn state(session: &Session) -> (u64, Option<u64>, Window, u64) {
    let Receiving::Datagrams(half) = &session.receiving else { panic!("not datagrams") };
    let previous = half.previous.as_ref().map(|key| key.epoch);
    (half.current.epoch, previous, half.window.clone(), half.forgeries)
}

/// Seals `count` records and drops them.
fn skip(session: &mut Session, count: u64) {
    for _ in 0..count {
        seal(session, b"");
    }
}

use window::Window;

// spec: SESSION-8
#[test]
fn records_of_every_size_come_through_on_both_carriers() {
    for carrier in [Carrier::Stream, Carrier::Datagram] {
        let (mut a, mut b) = pair(carrier);
        for length in [0, 1, 15, 16, 17, 1200, limits::RECORD_BYTES] {
            let plaintext: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let record = seal(&mut a, &plaintext);
            assert_eq!(record.len(), a.header_bytes() + length + TAG_BYTES);
            assert_eq!(open(&mut b, &record).unwrap(), plaintext);
            let record = seal(&mut b, &plaintext);
            assert_eq!(open(&mut a, &record).unwrap(), plaintext);
        }
        let mut record = vec![0; a.header_bytes() + limits::RECORD_BYTES + 1];
        assert_eq!(a.seal(START, &mut record), Err(SealError::Size));
        assert_eq!(a.seal(START, &mut Vec::new()), Err(SealError::Size));
        assert_eq!(a.room(100), 100 - a.header_bytes() - TAG_BYTES);
        assert_eq!(a.room(3), 0);
        assert_eq!(a.room(usize::MAX), limits::RECORD_BYTES);
    }
}

// spec: SESSION-8
#[test]
fn headers_are_what_the_spec_says() {
    let (mut stream, _) = pair(Carrier::Stream);
    let (mut datagram, _) = pair(Carrier::Datagram);
    for _ in 0..0x1234 {
        seal(&mut stream, b"");
        seal(&mut datagram, b"");
    }
    assert_eq!(seal(&mut stream, b"x")[..1], [1]);
    assert_eq!(seal(&mut datagram, b"x")[..4], [0, 0, 0x12, 0x34]);
    assert_eq!(short(0x0012_3456_789a), [0, 0x56, 0x78, 0x9a]);
}

// spec: SESSION-8
#[test]
fn an_error_on_a_stream_is_the_end_of_the_session() {
    for broken in [&[][..], &[0], &[2; 40], &[0; 17], &[0; 40]] {
        let (mut a, mut b) = pair(Carrier::Stream);
        let good = seal(&mut a, b"good");
        assert!(open(&mut b, broken).is_err());
        assert_eq!(open(&mut b, &good), Err(OpenError::Ended), "after {broken:?}");
    }
    let (mut a, mut b) = pair(Carrier::Stream);
    let (_, second) = (seal(&mut a, b"1"), seal(&mut a, b"2"));
    assert_eq!(open(&mut b, &second), Err(OpenError::Forged), "a record is missing");
}

// spec: SESSION-7
#[test]
fn w_09_no_flipped_bit_of_a_record_is_accepted_and_none_moves_the_session() {
    let (mut a, mut b) = pair(Carrier::Datagram);
    open(&mut b, &seal(&mut a, b"first")).unwrap();
    let record = seal(&mut a, b"a record of some length");
    let before = state(&b);
    for bit in 0..record.len() * 8 {
        let mut flipped = record.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&mut b, &flipped).is_err(), "bit {bit}");
        let after = state(&b);
        assert_eq!((after.0, after.1, &after.2), (before.0, before.1, &before.2), "bit {bit}");
    }
    for length in 0..record.len() {
        assert!(open(&mut b, &record[..length]).is_err());
    }
    assert_eq!(open(&mut b, &record).unwrap(), &b"a record of some length"[..]);
    assert_eq!(open(&mut b, &record), Err(OpenError::OutOfWindow), "twice");
}

// spec: SESSION-7
#[test]
fn h_14_a_million_garbage_datagrams_from_the_future_change_nothing() {
    let (mut a, mut b) = pair(Carrier::Datagram);
    skip(&mut a, limits::EPOCH_RECORDS);
    open(&mut b, &seal(&mut a, b"in the second epoch")).unwrap();
    let before = state(&b);
    let mut rng = Rng::from_seed([14; 32]);
    let mut tried = 0;
    // In memory once: opening in place spoils it, and garbage stays garbage.
    let garbage = rng.bytes::<64>();
    for _ in 0..1_000_000 {
        let counter = before.0 * limits::EPOCH_RECORDS + rng.below(1 << 22);
        let mut record = BytesMut::from(&garbage[..if rng.below(50) == 0 { 64 } else { 20 }]);
        record[..4].copy_from_slice(&short(counter));
        tried += u64::from(b.open(record) == Err(OpenError::Forged));
    }
    assert!(tried > 1000, "only {tried} were worth trying");
    let after = state(&b);
    assert_eq!((after.0, after.1, after.2), (before.0, before.1, before.2));
    assert_eq!(after.3, before.3 + tried);
    assert_eq!(open(&mut b, &seal(&mut a, b"alive")).unwrap(), &b"alive"[..]);
}

#[test]
fn too_many_forgeries_end_a_datagram_session() {
    let (mut a, mut b) = pair(Carrier::Datagram);
    if let Receiving::Datagrams(half) = &mut b.receiving {
        half.forgeries = limits::FORGERIES - 1;
    }
    assert_eq!(open(&mut b, &[0; 20]), Err(OpenError::Forged));
    assert_eq!(open(&mut b, &seal(&mut a, b"good")), Err(OpenError::Ended));
}

// spec: SESSION-11
#[test]
fn a_stream_moves_to_the_next_key_by_count_and_by_time() {
    let (mut a, mut b) = pair(Carrier::Stream);
    let mut now = START;
    for (count, phase) in [(limits::EPOCH_RECORDS, 0), (5, 1), (7, 0), (1, 1), (4096, 0), (1, 1)] {
        for _ in 0..count {
            let record = seal_at(&mut a, now, b"text");
            assert_eq!(record[0], phase);
            assert_eq!(open(&mut b, &record).unwrap(), &b"text"[..]);
        }
        now = now + limits::EPOCH_TIME;
        if count == limits::EPOCH_RECORDS {
            // The count moved it already; time alone must not move it twice.
            assert_eq!(a.sending.next % limits::EPOCH_RECORDS, 0);
        }
    }
    assert_eq!(a.sending.key.epoch, 5);
}

// spec: SESSION-11
#[test]
fn a_key_is_as_old_as_its_first_record_or_the_session() {
    let (mut a, mut b) = pair(Carrier::Datagram);
    let almost = Time((START + limits::EPOCH_TIME).0 - 1);
    open(&mut b, &seal_at(&mut a, almost, b"")).unwrap();
    assert_eq!(a.sending.key.epoch, 0);
    let record = seal_at(&mut a, START + limits::EPOCH_TIME, b"");
    assert_eq!(record[..4], short(limits::EPOCH_RECORDS), "the counter jumps");
    open(&mut b, &record).unwrap();
    assert_eq!(state(&b).0, 1);
    open(&mut b, &seal_at(&mut a, START + limits::EPOCH_TIME * 2, b"")).unwrap();
    assert_eq!((state(&b).0, state(&b).1), (2, Some(1)));
}

// spec: SESSION-7, SESSION-10
#[test]
fn datagrams_open_across_two_epochs_back_and_two_ahead_and_no_further() {
    let (mut a, mut b) = pair(Carrier::Datagram);
    let mut at_start: Vec<Vec<u8>> = Vec::new();
    for epoch in 0..8_u8 {
        at_start.push(seal(&mut a, &[epoch]));
        at_start.push(seal(&mut a, &[epoch]));
        skip(&mut a, limits::EPOCH_RECORDS - 2);
    }
    let first = |epoch: usize| &at_start[2 * epoch];
    let second = |epoch: usize| &at_start[2 * epoch + 1];
    assert_eq!(open(&mut b, first(3)), Err(OpenError::OutOfWindow), "three ahead");
    assert_eq!(state(&b).0, 0);
    assert!(open(&mut b, first(2)).is_ok(), "two ahead");
    assert!(open(&mut b, first(1)).is_ok(), "one back, never seen before");
    assert!(open(&mut b, second(1)).is_ok());
    assert_eq!(open(&mut b, first(0)), Err(OpenError::OutOfWindow), "two back");
    assert!(open(&mut b, first(3)).is_ok(), "one ahead");
    assert!(open(&mut b, second(2)).is_ok(), "one back");
    assert_eq!(open(&mut b, first(2)), Err(OpenError::OutOfWindow), "seen");
    assert_eq!(open(&mut b, first(6)), Err(OpenError::OutOfWindow));
    assert!(open(&mut b, first(5)).is_ok());
    assert!(open(&mut b, first(6)).is_ok());
    assert!(open(&mut b, first(7)).is_ok());
}

#[test]
fn counters_are_completed_to_the_one_nearest_the_current_epoch() {
    let (_, b) = pair(Carrier::Datagram);
    let Receiving::Datagrams(mut half) = b.receiving else { panic!("not datagrams") };
    let span = 1_u64 << 24;
    for epoch in [0, 1, 2, 2047, 2048, 4096, 1 << 40, (END_OF_COUNTERS >> 12) - 1] {
        half.current.epoch = epoch;
        let start = first_of(epoch);
        let low = start.saturating_sub(span / 2);
        for counter in [low, low + 1, start, start + 4095, start + 8192, low + span - 1] {
            assert_eq!(half.counter(&short(counter)), Ok(counter), "epoch {epoch}");
        }
    }
}

// spec: SESSION-8
#[test]
fn h_13_counters_end_before_they_wrap() {
    for carrier in [Carrier::Stream, Carrier::Datagram] {
        let (mut a, _) = pair(carrier);
        a.sending.next = END_OF_COUNTERS - 1;
        a.sending.key.epoch = epoch(END_OF_COUNTERS - 1);
        seal(&mut a, b"the last");
        let mut record = vec![0; 10];
        assert_eq!(a.seal(START, &mut record), Err(SealError::Exhausted));
        assert_eq!(a.seal(Time(u64::MAX), &mut record), Err(SealError::Exhausted));
        assert_eq!(record, vec![0; 10], "nothing was written");
    }
}

std::thread_local! {
    static USED: RefCell<BTreeSet<([u8; 32], u64)>> = const { RefCell::new(BTreeSet::new()) };
}

/// A cipher that remembers every nonce it sealed with.
struct Watched([u8; 32], Box<dyn Cipher>);

fn watched(key: &[u8; 32]) -> Box<dyn Cipher> {
    Box::new(Watched(*key, chacha20poly1305(key)))
}

impl Cipher for Watched {
    fn seal_in_place(&self, nonce: u64, bytes: &mut [u8]) -> [u8; TAG_BYTES] {
        let fresh = USED.with_borrow_mut(|used| used.insert((self.0, nonce)));
        // The receiver derives the same keys, so the ratchet's own nonce comes up at both ends.
        assert!(fresh || nonce == u64::MAX, "nonce {nonce} twice");
        self.1.seal_in_place(nonce, bytes)
    }

    fn open_in_place(&self, nonce: u64, bytes: &mut [u8], tag: &[u8; 16]) -> Result<(), Forged> {
        self.1.open_in_place(nonce, bytes, tag)
    }
}

#[test]
fn h_13_no_nonce_is_used_twice_under_one_key() {
    let mut rng = Rng::from_seed([13; 32]);
    for carrier in [Carrier::Stream, Carrier::Datagram] {
        USED.take();
        let (mut a, mut b) = pair_with(carrier, watched);
        let mut now = START;
        for _ in 0..20_000 {
            if rng.below(1000) == 0 {
                now = now + limits::EPOCH_TIME;
            }
            open(&mut b, &seal_at(&mut a, now, b"a")).unwrap();
            open(&mut a, &seal_at(&mut b, now, b"b")).unwrap();
        }
    }
}

#[test]
fn a_session_shows_nothing_of_its_keys() {
    let (a, _) = pair(Carrier::Stream);
    assert_eq!(std::format!("{a:?}"), "Session(Stream, …)");
}

/// What the world does to records between the ends.
#[derive(Clone, Debug)]
enum Operation {
    Seal,
    SealMany(u16),
    Wait,
    Deliver(prop::sample::Index),
    Garbage(u32),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        6 => Just(Operation::Seal),
        1 => (0..5000_u16).prop_map(Operation::SealMany),
        1 => Just(Operation::Wait),
        9 => any::<prop::sample::Index>().prop_map(Operation::Deliver),
        2 => any::<u32>().prop_map(Operation::Garbage),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    // spec: SESSION-7, SESSION-10, SESSION-11
    #[test]
    fn h_15_what_opens_is_what_a_set_of_counters_lets_through(
        operations in prop::collection::vec(operation(), 1..120),
    ) {
        let (mut a, mut b) = pair(Carrier::Datagram);
        let mut now = START;
        let mut sent: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut newest = 0;
        for operation in operations {
            match operation {
                Operation::Seal => {
                    let record = seal_at(&mut a, now, &sent.len().to_be_bytes());
                    sent.push((a.sending.next - 1, record));
                }
                Operation::SealMany(count) => {
                    for _ in 0..count {
                        seal_at(&mut a, now, b"lost");
                    }
                }
                Operation::Wait => now = now + limits::EPOCH_TIME,
                Operation::Deliver(_) if sent.is_empty() => {}
                Operation::Deliver(which) => {
                    let which = which.index(sent.len());
                    let (counter, record) = &sent[which];
                    let (epoch, opened) = (epoch(*counter), open(&mut b, record));
                    let fits = (newest..=newest + 3).contains(&(epoch + 1));
                    if fits && seen.insert(*counter) {
                        prop_assert_eq!(opened.unwrap(), which.to_be_bytes().to_vec());
                        newest = newest.max(epoch);
                    } else {
                        prop_assert_eq!(opened, Err(OpenError::OutOfWindow));
                    }
                }
                Operation::Garbage(counter) => {
                    let mut record = [0x55; 40];
                    record[..4].copy_from_slice(&short(u64::from(counter)));
                    prop_assert!(open(&mut b, &record).is_err());
                }
            }
            prop_assert_eq!(state(&b).0, newest);
        }
    }
}
