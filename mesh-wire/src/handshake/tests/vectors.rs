//! The published vectors, with our primitives under snow's state machine.

use std::boxed::Box;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use data_encoding::HEXLOWER;
use serde_json::Value;
use snow::{Builder, HandshakeState};

use crate::handshake::noise::Suite;

/// The hex string called `key` in `vector`.
fn hex(vector: &Value, key: &str) -> Option<Vec<u8>> {
    let text = vector.get(key)?.as_str()?;
    Some(HEXLOWER.decode(text.as_bytes()).expect("vectors are in hex"))
}

/// One end of a vector; `who` is `init` or `resp`.
fn end(vector: &Value, who: &str) -> HandshakeState {
    let key = |name: &str| hex(vector, &[who, "_", name].concat());
    let own = [key("static"), key("ephemeral"), key("remote_static"), key("prologue")];
    let [secret, ephemeral, remote, prologue] = &own;
    let psks: Vec<[u8; 32]> = vector
        .get([who, "_psks"].concat())
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|psk| HEXLOWER.decode(psk.as_str().unwrap().as_bytes()).unwrap())
        .map(|psk| psk.try_into().unwrap())
        .collect();
    let name = vector["protocol_name"].as_str().unwrap();
    let suite = Suite { seed: [0; 32].into() };
    let mut builder = Builder::with_resolver(name.parse().unwrap(), Box::new(suite));
    if let Some(secret) = secret {
        builder = builder.local_private_key(secret).unwrap();
    }
    if let Some(remote) = remote {
        builder = builder.remote_public_key(remote).unwrap();
    }
    if let Some(prologue) = prologue {
        builder = builder.prologue(prologue).unwrap();
    }
    if let Some(ephemeral) = ephemeral {
        builder = builder.fixed_ephemeral_key_for_testing_only(ephemeral);
    }
    let places = name.split("psk").nth(1).and_then(|rest| rest.chars().next());
    for (psk, place) in psks.iter().zip(places) {
        builder = builder.psk(place.to_digit(10).unwrap() as u8, psk).unwrap();
    }
    match who {
        "init" => builder.build_initiator().unwrap(),
        _ => builder.build_responder().unwrap(),
    }
}

/// Plays the whole vector and compares every byte.
fn play(vector: &Value) {
    let name = vector["protocol_name"].to_string();
    let (mut init, mut resp) = (end(vector, "init"), end(vector, "resp"));
    let one_way = name.contains("_N_") || name.contains("_X_");
    let mut messages = vector["messages"].as_array().unwrap().iter().enumerate();
    while !init.is_handshake_finished() {
        let (index, message) = messages.next().unwrap();
        let (from, to) =
            if index % 2 == 0 { (&mut init, &mut resp) } else { (&mut resp, &mut init) };
        let (payload, expected) = (hex(message, "payload"), hex(message, "ciphertext"));
        let mut wire = vec![0; 1024];
        let length = from.write_message(&payload.clone().unwrap(), &mut wire).unwrap();
        assert_eq!(Some(&wire[..length]), expected.as_deref(), "{name}, message {index}");
        let mut read = vec![0; 1024];
        let length = to.read_message(&wire[..length], &mut read).unwrap();
        assert_eq!(Some(&read[..length]), payload.as_deref(), "{name}, message {index}");
    }
    if let Some(hash) = hex(vector, "handshake_hash") {
        assert_eq!(init.get_handshake_hash(), hash, "{name}");
    }
    let (mut init, mut resp) =
        (init.into_transport_mode().unwrap(), resp.into_transport_mode().unwrap());
    for (index, message) in messages {
        let (from, to) =
            if one_way || index % 2 == 0 { (&mut init, &mut resp) } else { (&mut resp, &mut init) };
        let (payload, expected) = (hex(message, "payload"), hex(message, "ciphertext"));
        let mut wire = vec![0; 1024];
        let length = from.write_message(&payload.clone().unwrap(), &mut wire).unwrap();
        assert_eq!(Some(&wire[..length]), expected.as_deref(), "{name}, message {index}");
        let mut read = vec![0; 1024];
        let length = to.read_message(&wire[..length], &mut read).unwrap();
        assert_eq!(Some(&read[..length]), payload.as_deref(), "{name}, message {index}");
    }
}

// spec: SESSION-2
#[test]
fn h_01_the_published_vectors_of_our_suite_come_out_byte_for_byte() {
    let text = include_str!("../../../tests/vectors/noise.json");
    let vectors: Value = serde_json::from_str(text).unwrap();
    let vectors = vectors["vectors"].as_array().unwrap();
    let named = |name: &str| {
        let whole = ["Noise_", name, "_25519_ChaChaPoly_BLAKE2s"].concat();
        vectors.iter().any(|vector| vector["protocol_name"] == Value::String(whole.clone()))
    };
    for name in ["XX", "IK", "KK", "N", "X", "XXpsk3", "IKpsk2"].map(String::from) {
        assert!(named(&name), "no vector for {name}");
    }
    vectors.iter().for_each(play);
}
