//! Tests of the handshake that need its insides: the primitives against published vectors, stock
//! snow and hostile keys. Its behaviour as a whole is tested in `tests/it/handshake.rs`.

mod hostile;
mod stock;
mod vectors;

use bytes::Bytes;

use super::frames::{Hello, prologue};
use super::{Config, Introduction, Pseudonym, Versions};
use crate::codec::Extensions;
use crate::{Carrier, Rng, Wire, seal};

/// One extension that everybody may ignore.
fn says(who: u8) -> Extensions {
    Extensions::from_bytes(Bytes::copy_from_slice(&[3, 2, 1, who])).unwrap()
}

/// A config that differs in its pseudonym and in what it says.
fn config(carrier: Carrier, who: u8) -> Config {
    Config {
        carrier,
        network: [0; 32],
        versions: Versions::new(&[1]),
        pseudonym: Pseudonym::generate(&mut Rng::from_seed([who; 32])),
        introduction: Introduction { extensions: says(who) },
        cipher: seal::chacha20poly1305,
        resend: crate::limits::HANDSHAKE_RESEND,
        patience: crate::limits::HANDSHAKE_TIME,
    }
}
