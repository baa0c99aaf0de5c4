//! The vectors in `spec/vectors`: what every node must accept or refuse, readable in any language.
//! `MESH_BLESS=1 cargo test -p mesh-wire vectors` writes them anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use bytes::BytesMut;
use data_encoding::HEXLOWER;
use mesh_wire::handshake::{Config, Handshake, Introduction, Pseudonym, Versions};
use mesh_wire::message::link::Ping;
use mesh_wire::message::{LinkMessage, RouteMessage, SyncMessage};
use mesh_wire::sign::{Context, SigningKey};
use mesh_wire::{Carrier, Rng, Time, Wire, limits, seal};
use serde_json::{Value, json};

use crate::examples::{Example, examples, extensions};
use crate::objects::{decode, name_of};

/// Bytes that must be refused, by what is wrong with them.
fn refusals() -> Vec<Example> {
    [refused_frames(), refused_objects()].concat()
}

fn refused_frames() -> Vec<Example> {
    vec![
        ("frame", "nothing", vec![]),
        ("frame", "a kind alone", vec![0x02]),
        ("frame", "a body that ends early", vec![0x02, 2, 5]),
        ("frame", "a byte after the frame", vec![0x02, 1, 5, 0]),
        ("frame", "a byte after the body's object", vec![0x02, 2, 5, 0]),
        (
            "frame",
            "a body longer than any",
            vec![0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ),
        ("frame", "a length not in its shortest form", vec![0x02, 0x40, 1, 5]),
        ("frame", "a nonce not in its shortest form", vec![0x02, 2, 0x40, 5]),
        ("frame", "an odd kind that nobody knows", vec![0xff, 0]),
        ("frame", "a reason without a name", vec![0x01, 2, 5, 0]),
        ("frame", "seconds above 32 bits", vec![0x01, 9, 0, 0xc0, 0, 0, 1, 0, 0, 0, 0]),
        ("frame", "an index above 16 bits", vec![0x05, 7, 1, 0x80, 1, 0, 0, 1, 0]),
        ("frame", "a list longer than its bytes", vec![0x20, 3, 0, 1, 7]),
        ("frame", "a list longer than any", vec![0x22, 5, 0x80, 0, 0x40, 0, 0]),
        ("frame", "a count above 32 bits", vec![0x22, 8, 0xc0, 0, 0, 1, 0, 0, 0, 0]),
        ("frame", "a token cut short", vec![0x10, 7, 1, 2, 3, 4, 5, 6, 7]),
        ("frame", "a step without a name", vec![0x38, 4, 1, 1, 8, 0]),
        ("frame", "a step that ends before its body", vec![0x38, 6, 1, 1, 3, 3, 32, 1]),
        ("frame", "a byte after the step's object", vec![0x38, 7, 1, 1, 3, 3, 32, 1, 0]),
    ]
}

fn refused_objects() -> Vec<Example> {
    let header = |change: &dyn Fn(&mut Vec<u8>)| {
        let (_, _, mut bytes) =
            examples().into_iter().find(|(of, ..)| *of == "ItemHeader").unwrap();
        change(&mut bytes);
        bytes
    };
    let full_label = [&[1][..], &[0; 6], &[0x42, 1], &[b'a'; 513]].concat();
    vec![
        ("Beacon", "a port below 1024", [&[1, 1][..], &[8; 8], &[3, 0xff]].concat()),
        ("Beacon", "nine versions", [&[9, 1, 2, 3, 4, 5, 6, 7, 8, 9][..], &[8; 10]].concat()),
        ("ItemHeader", "a kind without a name", header(&|bytes| bytes[0] = 9)),
        (
            "ItemHeader",
            "a name that is not UTF-8",
            header(&|bytes| {
                bytes.splice(7..8, [1, 0xff]);
            }),
        ),
        (
            "ItemHeader",
            "a name that reorders what follows",
            header(&|bytes| {
                bytes.splice(7..8, [3, 0xe2, 0x80, 0xae]);
            }),
        ),
        (
            "ItemHeader",
            "a name on two lines",
            header(&|bytes| {
                bytes.splice(7..8, [1, b'\n']);
            }),
        ),
        ("ItemHeader", "a name longer than any", full_label),
        (
            "ItemHeader",
            "an extension twice",
            header(&|bytes| {
                let last = bytes.len() - 1;
                bytes.splice(last.., [4, 2, 0, 2, 0]);
            }),
        ),
        (
            "ItemHeader",
            "extensions out of order",
            header(&|bytes| {
                let last = bytes.len() - 1;
                bytes.splice(last.., [4, 2, 0, 1, 0]);
            }),
        ),
        (
            "ItemHeader",
            "an extension cut short",
            header(&|bytes| {
                let last = bytes.len() - 1;
                bytes.splice(last.., [2, 2, 1]);
            }),
        ),
        ("Retry", "half a cookie", vec![1; 24]),
        ("Answer", "no introduction", vec![1, 1, 1]),
    ]
}

/// The vectors of one folder, by file: the message's name, or the object's.
fn files(cases: impl IntoIterator<Item = (String, Value)>) -> BTreeMap<String, Value> {
    let mut files: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (file, case) in cases {
        files.entry(file).or_default().push(case);
    }
    files.into_iter().map(|(file, cases)| (file, json!({ "cases": cases }))).collect()
}

/// `PageAsk` becomes `page-ask`.
fn file_name(name: &str) -> String {
    let mut file = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !file.is_empty() {
            file.push('-');
        }
        file.extend(c.to_lowercase());
    }
    file
}

fn accepted() -> BTreeMap<String, Value> {
    files(examples().into_iter().map(|(of, name, bytes)| {
        let value = decode(of, &bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let message = value.as_object().and_then(|object| object.keys().next().cloned());
        let file = if of == "frame" { message.expect("a message") } else { of.to_owned() };
        let case =
            json!({ "name": name, "as": of, "hex": HEXLOWER.encode(&bytes), "value": value });
        (file_name(&file), case)
    }))
}

fn refused() -> BTreeMap<String, Value> {
    files(refusals().into_iter().map(|(of, name, bytes)| {
        let Err(error) = decode(of, &bytes) else { panic!("{name} was accepted") };
        let (field, problem) = (error.field, name_of(error.problem));
        let hex = HEXLOWER.encode(&bytes);
        let case =
            json!({ "name": name, "as": of, "hex": hex, "field": field, "problem": problem });
        (file_name(of), case)
    }))
}

/// A generator that draws the same for the test and for the vector.
fn rng(fill: u8) -> Rng {
    Rng::from_seed([fill; 32])
}

/// The ephemeral secret of a handshake that was given `rng(fill)`.
fn ephemeral(fill: u8) -> String {
    let mut of_the_handshake = Rng::from_seed(rng(fill).bytes());
    let mut of_the_run = Rng::from_seed(of_the_handshake.bytes());
    HEXLOWER.encode(&of_the_run.bytes::<32>())
}

/// A whole handshake and the first records, with every secret that an implementation needs to
/// make the same bytes.
fn handshake(carrier: Carrier) -> Value {
    let now = Time(0);
    let config = |who: u8| Config {
        carrier,
        network: [0; 32],
        versions: Versions::new(&[1]),
        pseudonym: Pseudonym::generate(&mut rng(who)),
        introduction: Introduction { extensions: extensions(&[2, 1, who]) },
        cipher: seal::chacha20poly1305,
        resend: mesh_wire::limits::HANDSHAKE_RESEND,
        patience: mesh_wire::limits::HANDSHAKE_TIME,
    };
    let mut a = Handshake::initiate(now, config(1), &mut rng(3));
    let mut b = Handshake::respond(now, config(2), &mut rng(4));
    let hello = a.poll_send(now).unwrap();
    assert!(b.receive(now, &hello).unwrap().is_none());
    let answer = b.poll_send(now).unwrap();
    let at_a = a.receive(now, &answer).unwrap().unwrap();
    let finish = a.poll_send(now).unwrap();
    let at_b = b.receive(now, &finish).unwrap().unwrap();
    assert_eq!(at_a.binding, at_b.binding);
    let mut frames = vec![("Hello", hello), ("Answer", answer), ("Finish", finish)];
    frames.extend(b.poll_send(now).map(|record| ("the responder's first record: empty", record)));
    let (mut from, mut to) = (at_a.session, at_b.session);
    for (name, at) in [
        ("the initiator's first record: 020107", now),
        ("the same in the next epoch", now + limits::EPOCH_TIME),
    ] {
        let mut record = vec![0; from.header_bytes()];
        LinkMessage::from(Ping { nonce: 7 }).write(&mut record);
        from.seal(at, &mut record).unwrap();
        let opened = to.open(BytesMut::from(&record[..])).unwrap();
        assert_eq!(opened[..], [2, 1, 7]);
        frames.push((name, record));
    }
    let frames: Vec<Value> = frames
        .into_iter()
        .map(|(name, bytes)| json!({ "name": name, "hex": HEXLOWER.encode(&bytes) }))
        .collect();
    json!({
        "carrier": format!("{carrier:?}"),
        "initiator_static_secret": HEXLOWER.encode(&rng(1).bytes::<32>()),
        "initiator_ephemeral_secret": ephemeral(3),
        "initiator_extensions": "020101",
        "responder_static_secret": HEXLOWER.encode(&rng(2).bytes::<32>()),
        "responder_ephemeral_secret": ephemeral(4),
        "responder_extensions": "020102",
        "network": HEXLOWER.encode(&[0; 32]),
        "versions": [1],
        "binding": HEXLOWER.encode(&at_a.binding),
        "frames": frames,
    })
}

fn signature() -> Value {
    let key = SigningKey::from_seed(&[7; 32]);
    let message = b"a head";
    json!({
        "seed": HEXLOWER.encode(&[7; 32]),
        "key": key.writer().to_string(),
        "context": "mesh/1 log head",
        "message": HEXLOWER.encode(message),
        "signature": HEXLOWER.encode(&key.sign(Context::LogHead, message)),
    })
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").join("spec/vectors")
}

/// Compares what stands on disk with what the code says, or writes it.
#[track_caller]
fn bless(folder: &Path, files: &BTreeMap<String, Value>) {
    if env::var_os("MESH_BLESS").is_some() {
        fs::create_dir_all(folder).unwrap();
        for (name, content) in files {
            let text = serde_json::to_string_pretty(content).unwrap() + "\n";
            fs::write(folder.join(name).with_extension("json"), text).unwrap();
        }
    }
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = entry.path().file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(entry.path()).unwrap();
        found.insert(name, serde_json::from_str(&text).unwrap());
    }
    for (name, content) in files {
        assert_eq!(found.get(name), Some(content), "{name} in {}", folder.display());
    }
    let stray: Vec<_> = found.keys().filter(|name| !files.contains_key(*name)).collect();
    assert!(stray.is_empty(), "nothing makes {stray:?} in {}", folder.display());
}

// spec: WIRE-1, WIRE-5, SESSION-1, SESSION-3, SESSION-8
#[test]
fn w_09_the_vectors_to_accept_are_what_the_code_says() {
    let mut files = accepted();
    files.insert("handshake-stream".into(), handshake(Carrier::Stream));
    files.insert("handshake-datagram".into(), handshake(Carrier::Datagram));
    files.insert("signature".into(), signature());
    bless(&folder().join("accept"), &files);
}

#[test]
fn w_09_the_vectors_to_refuse_are_refused_for_the_reason_they_say() {
    bless(&folder().join("refuse"), &refused());
}

#[test]
fn every_message_has_a_vector() {
    let files = accepted();
    for (_, name) in
        [LinkMessage::KINDS, RouteMessage::KINDS, SyncMessage::KINDS].into_iter().flatten()
    {
        assert!(files.contains_key(&file_name(name)), "no vector for {name}");
    }
}
