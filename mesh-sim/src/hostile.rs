//! Bytes that no honest neighbour sends: what decoders and machines are pelted with.

use bytes::Bytes;
use mesh_wire::codec::{Reader, varint};
use mesh_wire::message::read_frame;
use mesh_wire::{Rng, limits};

/// Any of the below, or `valid` as it is: a replay is hostile enough at the wrong moment.
#[must_use]
pub fn junk(rng: &mut Rng, valid: &[u8]) -> Bytes {
    let bytes = match rng.below(6) {
        0 => valid.to_vec(),
        1 => random(rng),
        2 => {
            let (kind, body) = (below(rng, 0x40) as u8, random(rng));
            framed(kind, &body)
        }
        3 => mutated(rng, valid),
        _ => match read_frame(&mut Reader::new(Bytes::copy_from_slice(valid))) {
            Ok((kind, body)) => framed(kind, &mutated(rng, &body)),
            Err(_) => mutated(rng, valid),
        },
    };
    bytes.into()
}

/// `valid`, cut, flipped, with a lie about a length, or with parts repeated or missing.
#[must_use]
pub fn mutated(rng: &mut Rng, valid: &[u8]) -> Vec<u8> {
    match rng.below(4) {
        0 => truncated(rng, valid),
        1 => flipped(rng, valid),
        2 => length_lie(rng, valid),
        _ => spliced(rng, valid),
    }
}

/// Random bytes, mostly few.
#[must_use]
pub fn random(rng: &mut Rng) -> Vec<u8> {
    let magnitude = 1 + rng.below(11);
    (0..rng.below(1 << magnitude)).map(|_| byte(rng)).collect()
}

/// A frame whose length is right: it takes a wrong body to the decoder of bodies.
#[must_use]
pub fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    varint::write(body.len() as u64, &mut bytes);
    bytes.extend_from_slice(body);
    bytes
}

/// A strict prefix of `valid`; nothing of nothing.
#[must_use]
pub fn truncated(rng: &mut Rng, valid: &[u8]) -> Vec<u8> {
    valid[..below(rng, valid.len())].to_vec()
}

/// `valid` with one to four bits flipped.
#[must_use]
pub fn flipped(rng: &mut Rng, valid: &[u8]) -> Vec<u8> {
    let mut bytes = valid.to_vec();
    for _ in 0..1 + rng.below(4) {
        let at = below(rng, bytes.len());
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << rng.below(8);
        }
    }
    bytes
}

/// `valid` with a number somewhere replaced by one at a limit: if it was a length, it lies.
#[must_use]
pub fn length_lie(rng: &mut Rng, valid: &[u8]) -> Vec<u8> {
    const LIES: [u64; 8] =
        [0, 1, 63, 64, limits::RECORD_BYTES as u64, 1 << 30, u32::MAX as u64, varint::MAX];
    let at = below(rng, valid.len());
    let mut bytes = valid[..at].to_vec();
    varint::write(LIES[below(rng, LIES.len())], &mut bytes);
    bytes.extend_from_slice(valid.get(at + 1..).unwrap_or_default());
    bytes
}

/// The head of `valid` and then its tail from elsewhere: parts repeat or are missing.
#[must_use]
pub fn spliced(rng: &mut Rng, valid: &[u8]) -> Vec<u8> {
    let mut bytes = truncated(rng, valid);
    bytes.extend_from_slice(&valid[below(rng, valid.len())..]);
    bytes
}

/// Small numbers, limits and anything, each often.
fn byte(rng: &mut Rng) -> u8 {
    match rng.below(4) {
        0 => 0,
        1 => below(rng, 8) as u8,
        2 => 0xff,
        _ => below(rng, 256) as u8,
    }
}

fn below(rng: &mut Rng, bound: usize) -> usize {
    rng.below(bound as u64) as usize
}
