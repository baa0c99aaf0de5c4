//! What a peer can make us allocate, counted.

use allocation_counter::measure;
use bytes::{BufMut, Bytes, BytesMut};
use mesh_wire::codec::Reader;
use mesh_wire::message::{Message, read_frame};
use mesh_wire::{Carrier, Rng, Time, limits};

use crate::handshake::established;

/// Decodes one frame as a node does: without showing or writing anything.
fn decode(frame: Bytes) {
    let mut reader = Reader::new(frame);
    while let Ok((kind, body)) = read_frame(&mut reader) {
        let _ = std::hint::black_box(Message::read_body(kind, body));
    }
}

// spec: WIRE-3
#[test]
fn w_02_no_decoder_allocates_more_than_twice_its_input_and_a_little() {
    let mut rng = Rng::from_seed([2; 32]);
    for round in 0..20_000_u64 {
        let mut frame = vec![0; rng.below(200) as usize];
        frame.fill_with(|| rng.below(256) as u8);
        if let [kind, length, rest @ ..] = frame.as_mut_slice() {
            *kind = [0, 1, 2, 4, 5, 0x10, 0x20, 0x22, 0x24, 0x26, 0x28, 0x2a, 0x2c, 0x2e, 0x30]
                [round as usize % 15];
            // Lengths and counts that promise everything, nothing, or the truth.
            *length = [0xff, 0xc0, 0x80, 0x7f, 0x3f][round as usize / 15 % 5];
            if round % 3 == 0 {
                *length = rest.len().min(63) as u8;
            }
        }
        let input = frame.len() as u64;
        let frame = Bytes::from(frame);
        let info = measure(|| decode(frame));
        assert!(info.bytes_max <= 2 * input + 4096, "{info:?} for {input} bytes");
    }
}

#[test]
fn sealing_and_opening_allocate_nothing_once_they_run() {
    for carrier in [Carrier::Stream, Carrier::Datagram] {
        let [mut a, mut b] = established(carrier);
        let mut record = Vec::with_capacity(70_000);
        let mut buffer = BytesMut::with_capacity(1 << 20);
        // Datagrams and pieces of a stream come out of one large buffer, as in a transport.
        buffer.put_bytes(0, 1);
        drop(buffer.split());
        for size in [0, 64, 1200, limits::RECORD_BYTES] {
            let sealed = measure(|| {
                record.clear();
                record.resize(a.header_bytes() + size, 7);
                a.seal(Time(0), &mut record).unwrap();
            });
            assert_eq!(sealed.count_total, 0, "sealing {size} bytes on a {carrier:?}");
            buffer.put_slice(&record);
            let frame = buffer.split();
            let opened = measure(|| {
                assert_eq!(b.open(frame).unwrap().len(), size);
            });
            assert_eq!(opened.count_total, 0, "opening {size} bytes on a {carrier:?}");
        }
    }
}

#[test]
fn a_key_costs_two_small_allocations_when_its_epoch_begins() {
    let [mut a, _] = established(Carrier::Stream);
    let mut record = Vec::with_capacity(64);
    let info = measure(|| {
        for _ in 0..=limits::EPOCH_RECORDS {
            record.clear();
            record.push(0);
            a.seal(Time(0), &mut record).unwrap();
        }
    });
    assert!(info.count_total <= 2 && info.bytes_total <= 512, "{info:?}");
}
