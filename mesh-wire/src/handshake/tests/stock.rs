//! Stock snow, with its own primitives, at the other end.

use std::vec;
use std::vec::Vec;

use bytes::BytesMut;
use snow::{Builder, HandshakeState, TransportState};

use super::{Hello, config, prologue};
use crate::handshake::frames::{ANSWER, Answer, FINISH};
use crate::handshake::{Established, Handshake, Introduction, Versions};
use crate::session::Session;
use crate::{Carrier, Rng, Role, Time, Wire, limits};

const NOW: Time = Time(7);

/// Stock snow in `role`, for our prologue.
fn stock(role: Role, secret: &[u8]) -> HandshakeState {
    let prologue = prologue(Carrier::Stream, &[0; 32], &Versions::new(&[1]));
    let builder = Builder::new("Noise_XX_25519_ChaChaPoly_BLAKE2s".parse().unwrap())
        .local_private_key(secret)
        .unwrap()
        .prologue(&prologue)
        .unwrap();
    match role {
        Role::Initiator => builder.build_initiator().unwrap(),
        Role::Responder => builder.build_responder().unwrap(),
    }
}

fn write(stock: &mut HandshakeState, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 1024];
    let length = stock.write_message(payload, &mut message).unwrap();
    message.truncate(length);
    message
}

fn read(stock: &mut HandshakeState, message: &[u8]) -> Vec<u8> {
    let mut payload = vec![0; 1024];
    let length = stock.read_message(message, &mut payload).unwrap();
    payload.truncate(length);
    payload
}

fn introduction(who: u8) -> Introduction {
    config(Carrier::Stream, who).introduction
}

/// Our end in `role` against stock snow in the other: both sides of the finished handshake.
fn meet(role: Role, rng: &mut Rng) -> (Established, HandshakeState) {
    let ours = config(Carrier::Stream, 1);
    let us = ours.pseudonym.peer();
    let secret = rng.bytes::<32>();
    match role {
        Role::Initiator => {
            let mut handshake = Handshake::initiate(NOW, ours, rng);
            let mut peer = stock(Role::Responder, &secret);
            let hello = handshake.poll_send(NOW).unwrap();
            let hello = Hello::read(&hello, Carrier::Stream).unwrap();
            assert!(read(&mut peer, &hello.noise).is_empty());
            let versions = Versions::new(&[1]);
            let answer = Answer { versions, choice: 1, introduction: introduction(9) };
            let mut frame = vec![ANSWER];
            frame.extend(write(&mut peer, &answer.to_bytes()));
            let established = handshake.receive(NOW, &frame).unwrap().unwrap();
            let finish = handshake.poll_send(NOW).unwrap();
            assert_eq!(read(&mut peer, &finish[1..]), introduction(1).to_bytes());
            assert_eq!(peer.get_remote_static(), Some(&us.0[..]));
            (established, peer)
        }
        Role::Responder => {
            let mut handshake = Handshake::respond(NOW, ours, rng);
            let mut peer = stock(Role::Initiator, &secret);
            let hello = Hello::frame(&Versions::new(&[1]), &write(&mut peer, &[]));
            assert!(handshake.receive(NOW, &hello).unwrap().is_none());
            let answer = handshake.poll_send(NOW).unwrap();
            let answer = Answer::from_bytes(read(&mut peer, &answer[1..]).into()).unwrap();
            assert_eq!((answer.choice, answer.introduction), (1, introduction(1)));
            let mut frame = vec![FINISH];
            frame.extend(write(&mut peer, &introduction(9).to_bytes()));
            (handshake.receive(NOW, &frame).unwrap().unwrap(), peer)
        }
    }
}

/// Seals `plaintext` here and opens it there.
fn send(session: &mut Session, peer: &mut TransportState, plaintext: &[u8]) {
    let mut record = vec![0];
    record.extend_from_slice(plaintext);
    session.seal(NOW, &mut record).unwrap();
    let mut read = vec![0; record.len()];
    let length = peer.read_message(&record[1..], &mut read).unwrap();
    assert_eq!(&read[..length], plaintext);
}

/// The other way round; `phase` is the header that the record needs.
fn take(session: &mut Session, peer: &mut TransportState, phase: u8, plaintext: &[u8]) {
    let mut record = vec![phase; 1 + plaintext.len() + 16];
    let length = peer.write_message(plaintext, &mut record[1..]).unwrap();
    let opened = session.open(BytesMut::from(&record[..=length])).unwrap();
    assert_eq!(opened, plaintext);
}

// spec: SESSION-2, SESSION-9
#[test]
fn h_02_stock_snow_agrees_in_both_roles_over_random_messages() {
    let mut rng = Rng::from_seed([2; 32]);
    for (round, role) in [Role::Initiator, Role::Responder].into_iter().cycle().take(20).enumerate()
    {
        let (established, peer) = meet(role, &mut rng);
        assert_eq!(established.role, role);
        assert_eq!(&established.binding[..], peer.get_handshake_hash(), "round {round}");
        assert_eq!(established.introduction, introduction(9));
        let (mut session, mut peer) = (established.session, peer.into_transport_mode().unwrap());
        for _ in 0..500 {
            let mut text = vec![0; rng.below(1000) as usize];
            text.fill_with(|| rng.below(256) as u8);
            if rng.below(2) == 0 {
                send(&mut session, &mut peer, &text);
            } else {
                take(&mut session, &mut peer, 0, &text);
            }
        }
    }
}

// spec: SESSION-10
#[test]
fn the_ratchet_is_the_rekey_of_stock_snow() {
    let (established, peer) = meet(Role::Initiator, &mut Rng::from_seed([3; 32]));
    let (mut session, mut peer) = (established.session, peer.into_transport_mode().unwrap());
    for epoch in 0..3 {
        for _ in 0..limits::EPOCH_RECORDS {
            send(&mut session, &mut peer, b"out");
            take(&mut session, &mut peer, epoch % 2, b"in");
        }
        peer.rekey_incoming();
        peer.rekey_outgoing();
    }
}
