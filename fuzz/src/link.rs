//! Bodies for a link from its first byte: frames on a stream, handshake, records, fragments.

use bytes::{Bytes, BytesMut};
use mesh_sim::seed;
use mesh_transport::framing::{self, Reader};
use mesh_wire::codec::{Extensions, List};
use mesh_wire::fragment::{Fragments, Reassembly};
use mesh_wire::handshake::{Config, Established, Handshake, Introduction, Pseudonym};
use mesh_wire::message::link::Fragment;
use mesh_wire::session::Session;
use mesh_wire::{Carrier, Rng, Time, limits, seal};

use crate::source::Source;

/// Both ends of a handshake and what lies between them.
struct Ends {
    now: Time,
    ends: [Handshake; 2],
    established: [Option<Established>; 2],
    /// Every frame that was sent, and by whom.
    sent: Vec<(usize, Vec<u8>)>,
}

impl Ends {
    fn new(carrier: Carrier) -> Self {
        let rng = &mut seed::rng(0);
        let now = Time(0);
        let dialled = Handshake::initiate(now, config(carrier, rng), rng);
        let ends = [dialled, Handshake::respond(now, config(carrier, rng), rng)];
        Self { now, ends, established: [None, None], sent: Vec::new() }
    }

    /// Takes the next frame of one end off it.
    fn poll(&mut self, from: usize) {
        if let Some(frame) = self.ends[from].poll_send(self.now) {
            assert!(frame.len() <= limits::HANDSHAKE_BYTES, "a frame of {} bytes", frame.len());
            self.sent.push((from, frame));
        }
    }

    /// Gives a frame to one end.
    fn deliver(&mut self, to: usize, frame: &[u8]) {
        if let Ok(Some(established)) = self.ends[to].receive(self.now, frame) {
            assert!(self.established[to].is_none(), "one handshake gave two sessions");
            self.established[to] = Some(established);
        }
    }

    /// Lets the two ends talk without a disturbance.
    fn complete(mut self) -> [Established; 2] {
        for _ in 0..3 {
            for from in 0..2 {
                self.poll(from);
                if let Some((from, frame)) = self.sent.pop() {
                    self.deliver(1 - from, &frame);
                }
            }
        }
        self.established.map(|end| end.expect("an undisturbed handshake completes"))
    }
}

fn config(carrier: Carrier, rng: &mut Rng) -> Config {
    let introduction = Introduction { extensions: Extensions::default() };
    Config {
        carrier,
        network: [0; 32],
        versions: List::new(&[1]),
        pseudonym: Pseudonym::generate(rng),
        introduction,
        cipher: seal::chacha20poly1305,
        resend: limits::HANDSHAKE_RESEND,
        patience: limits::HANDSHAKE_TIME,
    }
}

fn carrier(source: &mut Source<'_>) -> Carrier {
    source.pick(&[Carrier::Stream, Carrier::Datagram])
}

/// A handshake over a link that loses, repeats, alters and invents frames: if both ends get a
/// session, it is the same one.
pub fn handshake(data: &[u8]) {
    let mut source = Source::new(data);
    let mut link = Ends::new(carrier(&mut source));
    while let Some(choice) = source.next() {
        let end = source.below(2);
        let sent = source.below(link.sent.len());
        match (choice % 6, link.sent.get(sent).cloned()) {
            (0 | 1, _) => link.poll(end),
            (2, Some((from, frame))) => link.deliver(1 - from, &frame),
            (3, Some((_, frame))) => link.deliver(end, &source.altered(&frame)),
            (4, _) => link.deliver(end, &source.bytes()),
            (5, _) => link.now.0 += 1 << source.below(24),
            (_, None) | (6.., _) => {}
        }
    }
    if let [Some(one), Some(other)] = &link.established {
        assert_eq!(one.binding, other.binding, "two sessions out of one handshake");
        assert_ne!(one.role, other.role, "both ends dialled");
    }
}

/// Sealed records that are lost, repeated, reordered, altered and invented: what opens was sealed
/// by the other end, and opens once.
pub fn session(data: &[u8]) {
    let mut source = Source::new(data);
    let [one, other] = Ends::new(carrier(&mut source)).complete();
    let mut ends: [Session; 2] = [one.session, other.session];
    let mut now = Time(0);
    let mut sealed: Vec<(usize, Vec<u8>, Bytes)> = Vec::new();
    let mut opened = Vec::new();
    while let Some(choice) = source.next() {
        let end = source.below(2);
        let index = source.below(sealed.len());
        match (choice % 7, sealed.get(index).cloned()) {
            (0 | 1, _) => {
                // The number in front keeps plaintexts apart.
                let plaintext =
                    [&(sealed.len() as u32).to_be_bytes()[..], &source.bytes()].concat();
                let mut record = vec![0; ends[end].header_bytes()];
                record.extend_from_slice(&plaintext);
                if ends[end].seal(now, &mut record).is_ok() {
                    sealed.push((end, record, plaintext.into()));
                }
            }
            (2, Some((from, record, plaintext))) => {
                if let Ok(found) = ends[1 - from].open(BytesMut::from(&record[..])) {
                    assert_eq!(found, plaintext);
                    assert!(!opened.contains(&index), "record {index} opened twice");
                    opened.push(index);
                }
            }
            (3, Some((from, record, _))) => {
                let altered = source.altered(&record);
                if altered != record {
                    let found = ends[1 - from].open(BytesMut::from(&altered[..]));
                    assert!(found.is_err(), "an altered record opened");
                }
            }
            (4, _) => {
                let found = ends[end].open(BytesMut::from(&source.bytes()[..]));
                assert!(found.is_err(), "an invented record opened");
            }
            (5, Some((from, record, _))) => {
                let found = ends[from].open(BytesMut::from(&record[..]));
                assert!(found.is_err(), "a record opened at the end that sealed it");
            }
            (6, _) => now.0 += 1 << source.below(32),
            (_, None) | (7.., _) => {}
        }
    }
}

/// Fragments of several frames in any order, some of them invented: what comes out of a link
/// whose fragments were all honest is what went in, and what is kept is bounded.
pub fn fragments(data: &[u8]) {
    let mut source = Source::new(data);
    let mut reassembly = Reassembly::default();
    let mut frames: Vec<Bytes> = Vec::new();
    let mut under_way: Vec<Fragment> = Vec::new();
    let mut all_honest = true;
    while let Some(choice) = source.next() {
        match choice % 4 {
            0 => {
                let byte = source.byte() & 0xf0;
                let frame = Bytes::from(vec![byte; source.below(1 << 16)]);
                let room = 40 + source.below(limits::DATAGRAM_BYTES);
                if let Some(parts) = Fragments::new(frames.len() as u32, frame.clone(), room) {
                    under_way.extend(parts);
                    frames.push(frame);
                }
            }
            1 => {
                let (message, index, total) =
                    (source.below(8) as u32, source.byte().into(), source.byte().into());
                let bytes = mesh_wire::codec::Opaque::new(source.bytes()).unwrap_or_default();
                all_honest = false;
                let _ = reassembly.receive(Fragment { message, index, total, bytes });
            }
            _ if under_way.is_empty() => {}
            _ => {
                let fragment = under_way.swap_remove(source.below(under_way.len()));
                let message = fragment.message as usize;
                match reassembly.receive(fragment) {
                    Ok(Some(frame)) if all_honest => assert_eq!(frame, frames[message]),
                    Ok(_) => {}
                    Err(fault) => assert!(!all_honest, "honest fragments are refused: {fault}"),
                }
            }
        }
        let weight = reassembly.weight();
        assert!(weight <= limits::REASSEMBLY_BYTES, "{weight} bytes of fragments held");
    }
}

/// A byte stream that comes in pieces: every frame that comes out is one that went in, in order,
/// and what is held for a frame under way is bounded by the largest frame.
pub fn stream(data: &[u8]) {
    const LARGEST: usize = 300;
    let mut source = Source::new(data);
    let piece = 1 + source.below(64);
    let stream = source.rest();
    let (mut reader, mut again, mut at) = (Reader::new(LARGEST), Vec::new(), 0);
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => {
                let prefix = framing::prefix(&frame, LARGEST).expect("a frame within the limit");
                again.extend_from_slice(&prefix);
                again.extend_from_slice(&frame);
            }
            Ok(None) if at == stream.len() => break,
            Ok(None) => {
                let room = reader.room();
                let count = piece.min(stream.len() - at).min(room.capacity() - room.len());
                assert!(count > 0, "no room for what is to come");
                room.extend_from_slice(&stream[at..at + count]);
                at += count;
            }
            Err(_) => break,
        }
    }
    assert!(stream.starts_with(&again), "frames that never came");
    if at == stream.len() && reader.is_between_frames() {
        assert_eq!(again, stream, "frames that got lost");
    }
}
