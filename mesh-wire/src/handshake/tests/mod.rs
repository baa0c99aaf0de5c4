//! Tests of the handshake that need its insides: the primitives against published vectors, stock
//! snow and hostile keys. Its behaviour as a whole is tested in `tests/it/handshake.rs`.

mod hostile;
mod stock;
mod vectors;

use super::frames::{Hello, prologue};
use super::{Config, Introduction, Pseudonym, Versions};
use crate::codec::Extensions;
use crate::{Carrier, Rng, Token, seal};

/// A config that differs in its pseudonym and token.
fn config(carrier: Carrier, who: u8) -> Config {
    Config {
        carrier,
        network: [0; 32],
        versions: Versions::new(&[1]),
        pseudonym: Pseudonym::generate(&mut Rng::from_seed([who; 32])),
        introduction: Introduction { token: Token([who; 8]), extensions: Extensions::default() },
        cipher: seal::chacha20poly1305,
    }
}
