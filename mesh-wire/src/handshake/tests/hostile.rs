//! Keys that no honest end sends.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use data_encoding::HEXLOWER;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, Error, HandshakeState};

use super::{Hello, config, prologue};
use crate::handshake::frames::{ANSWER, Answer, FINISH};
use crate::handshake::noise::Suite;
use crate::handshake::{Handshake, HandshakeError, Versions};
use crate::{Carrier, Rng, Role, Time, Wire};

/// The points of low order and the other encodings of them: in both halves of the number space.
const LOW_ORDER: [&str; 12] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

/// Which of the hostile end's keys is the point.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    Static,
    Ephemeral,
}

/// Our suite with a point of the attacker's choosing for one of its keys. The attacker knows what
/// comes of it: zeros.
struct Hostile {
    suite: Suite,
    point: [u8; 32],
    at: Where,
    made: AtomicUsize,
}

impl CryptoResolver for Hostile {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        self.suite.resolve_rng()
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        // snow asks for the static key first, then for the ephemeral one.
        let this = match self.made.fetch_add(1, Ordering::Relaxed) {
            0 => Where::Static,
            _ => Where::Ephemeral,
        };
        if this == self.at {
            return Some(Box::new(Point(self.point)));
        }
        self.suite.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        self.suite.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        self.suite.resolve_cipher(choice)
    }
}

struct Point([u8; 32]);

impl Dh for Point {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, _: &[u8]) {}

    fn generate(&mut self, _: &mut dyn Random) -> Result<(), Error> {
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.0
    }

    fn privkey(&self) -> &[u8] {
        &self.0
    }

    fn dh(&self, _: &[u8], out: &mut [u8]) -> Result<(), Error> {
        out[..32].fill(0);
        Ok(())
    }
}

fn hostile(role: Role, point: [u8; 32], at: Where) -> HandshakeState {
    let suite = Suite { seed: [5; 32].into() };
    let resolver = Hostile { suite, point, at, made: AtomicUsize::new(0) };
    let prologue = prologue(Carrier::Stream, &[0; 32], &Versions::new(&[1]));
    let name = "Noise_XX_25519_ChaChaPoly_BLAKE2s".parse().unwrap();
    let builder = Builder::with_resolver(name, Box::new(resolver))
        .local_private_key(&[6; 32])
        .unwrap()
        .prologue(&prologue)
        .unwrap();
    match role {
        Role::Initiator => builder.build_initiator().unwrap(),
        Role::Responder => builder.build_responder().unwrap(),
    }
}

fn write(peer: &mut HandshakeState, kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind; 1024];
    let length = peer.write_message(payload, &mut frame[1..]).unwrap();
    frame.truncate(1 + length);
    frame
}

/// What our initiator says to an answer from a hostile responder.
fn initiator_meets(point: [u8; 32], at: Where) -> HandshakeError {
    let now = Time(0);
    let ours = config(Carrier::Stream, 1);
    let introduction = ours.introduction.clone();
    let mut handshake = Handshake::initiate(now, ours, &mut Rng::from_seed([1; 32]));
    let hello = handshake.poll_send(now).unwrap();
    let hello = Hello::read(&hello, Carrier::Stream).unwrap();
    let mut peer = hostile(Role::Responder, point, at);
    peer.read_message(&hello.noise, &mut [0; 64]).unwrap();
    let answer = Answer { versions: Versions::new(&[1]), choice: 1, introduction };
    let frame = write(&mut peer, ANSWER, &answer.to_bytes());
    handshake.receive(now, &frame).unwrap_err()
}

/// What our responder says to the messages of a hostile initiator.
fn responder_meets(point: [u8; 32], at: Where) -> HandshakeError {
    let now = Time(0);
    let ours = config(Carrier::Stream, 1);
    let introduction = ours.introduction.clone();
    let mut handshake = Handshake::respond(now, ours, &mut Rng::from_seed([1; 32]));
    let mut peer = hostile(Role::Initiator, point, at);
    let hello = Hello::frame(&Versions::new(&[1]), &write(&mut peer, 0, &[])[1..]);
    if let Err(error) = handshake.receive(now, &hello) {
        return error;
    }
    let answer = handshake.poll_send(now).unwrap();
    peer.read_message(&answer[1..], &mut [0; 1024]).unwrap();
    let finish = write(&mut peer, FINISH, &introduction.to_bytes());
    handshake.receive(now, &finish).unwrap_err()
}

// spec: SESSION-2
#[test]
fn h_03_low_order_points_abort_in_every_place_with_the_same_error() {
    for text in LOW_ORDER {
        let point: [u8; 32] = HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap();
        for at in [Where::Static, Where::Ephemeral] {
            assert_eq!(initiator_meets(point, at), HandshakeError::Forged, "{text}");
            assert_eq!(responder_meets(point, at), HandshakeError::Forged, "{text}");
        }
    }
}
