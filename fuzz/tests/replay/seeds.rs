//! The first inputs of every corpus: what the bodies accept, so that a fuzzer need not find it by
//! chance. What fuzzers find later lies beside them.

use bytes::Bytes;
use mesh_sim::seed;
use mesh_wire::codec::{Extensions, varint};
use mesh_wire::handshake::Answer;
use mesh_wire::id::WriterId;
use mesh_wire::invite::{ChannelLink, WriterLink};
use mesh_wire::message::sync::{
    Author, Checkpoint, Genesis, Grant, ItemHeader, Retract, Right, Withdrawal,
};
use mesh_wire::message::{Beacon, LinkMessage, Message, RouteMessage, SyncMessage};
use mesh_wire::{ChannelId, Label, Wire};

/// The seeds of the body called `name`, by file name.
pub(crate) fn of(name: &str) -> Vec<(String, Vec<u8>)> {
    let channel = ChannelId([7; 32]);
    let link = ChannelLink::from(channel).to_string();
    let (writer, right) = (WriterId([8; 32]), Right::Write);
    let ada = Label::new("Ada").expect("a name");
    let writer = WriterLink {
        channel,
        writer,
        right,
        acceptance: [9; 64],
        name: ada,
        extensions: Extensions::default(),
    }
    .to_string();
    match name {
        "address" => texts(&["tcp://192.0.2.7:4001", "tcp://[2001:db8::7]:4001", "ble://aa:bb"]),
        "beacon" => vec![smallest(|bytes| Beacon::from_bytes(bytes).is_ok())],
        "channel_link" => texts(&[&link, &link.to_uppercase(), &writer]),
        "genesis" => vec![
            smallest(|bytes| Genesis::from_bytes(bytes).is_ok()),
            ("grant".into(), smallest(|bytes| Grant::from_bytes(bytes).is_ok()).1),
            ("checkpoint".into(), smallest(|bytes| Checkpoint::from_bytes(bytes).is_ok()).1),
            ("retract".into(), smallest(|bytes| Retract::from_bytes(bytes).is_ok()).1),
            ("author".into(), smallest(|bytes| Author::from_bytes(bytes).is_ok()).1),
            ("withdrawal".into(), smallest(|bytes| Withdrawal::from_bytes(bytes).is_ok()).1),
        ],
        "item_header" => vec![smallest(|bytes| ItemHeader::from_bytes(bytes).is_ok())],
        "label" => numbered(["", "photos/market.jpg", "Dörfli – täglich"].map(prefixed)),
        "record" => records(),
        "introduction" => vec![smallest(|bytes| Answer::from_bytes(bytes).is_ok())],
        "stream" => numbered([[&[0, 3][..], &[0, 0, 2, 7, 7].repeat(20)].concat()]),
        // Each end in turn sends a frame (0) and the other gets it (2).
        "handshake" => operations(&[
            &[0, 0, 0, 0, 0],
            &[2, 0, 0, 0, 0],
            &[0, 0, 1, 0, 0],
            &[2, 0, 0, 0, 1],
            &[0, 0, 0, 0, 0],
            &[2, 0, 0, 0, 2],
        ]),
        // The ends seal a record each (0, an empty one), which the other opens (2).
        "session" => operations(&[
            &[0, 0, 0, 0, 0, 0],
            &[0, 0, 1, 0, 0, 0],
            &[2, 0, 0, 0, 0],
            &[2, 0, 0, 0, 1],
        ]),
        "router" => linked(&travelling()),
        // Items of both and of one, a round, the first half of the next, and lies in between.
        "sets" => operations(&[
            &[0, 2, 200, 0, 7, 0, 0, 100, 1, 0, 1, 0, 120, 9],
            &[2, 3, 0, 40, 4, 2, 3, 0, 1, 3, 0, 1],
            &[5, 0, 0, 3, 0, 9, 6, 0, 0, 0, 0, 1, 7, 3, 0, 40],
        ]),
        // Honest answers, one that is altered, one that is not there, one that fails, and time.
        "web" => operations(&[
            &[0x60; 12],
            &[0x64, 0, 0, 0, 1, 0, 9, 1, 0x60, 0, 0, 0x64, 0, 1, 0, 2, 3, 9, 0],
            &[0x60, 0, 0, 0x66, 0, 0, 0x67, 0, 0, 0x85, 0, 0, 3, 1, 2, 3, 0x80, 0, 0],
        ]),
        "sync" => linked(&publishing(&[])),
        // The ends shake hands first, and commands name an address and a node before the 5.
        "node" => linked(&[&[2, 0, 0, 0, 8][..], &publishing(&[0, 0, 0, 5])].concat()),
        _ => operations(&[]),
    }
}

fn texts(texts: &[&str]) -> Vec<(String, Vec<u8>)> {
    numbered(texts.iter().map(|text| text.as_bytes().to_vec()))
}

fn numbered(inputs: impl IntoIterator<Item = Vec<u8>>) -> Vec<(String, Vec<u8>)> {
    let named = |(index, input)| (format!("seed-{index:02}"), input);
    inputs.into_iter().enumerate().map(named).collect()
}

/// `text` behind its length.
fn prefixed(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint::write(text.len() as u64, &mut bytes);
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// One frame of every kind there is, and a record of them all.
fn records() -> Vec<(String, Vec<u8>)> {
    let kinds = [LinkMessage::KINDS, RouteMessage::KINDS, SyncMessage::KINDS];
    let mut all = Vec::new();
    let mut inputs: Vec<_> = kinds
        .into_iter()
        .flatten()
        .map(|(kind, name)| {
            let accepts = |body| matches!(Message::read_body(*kind, body), Ok(Some(_)));
            let (_, body) = smallest(accepts);
            let mut frame = vec![*kind];
            varint::write(body.len() as u64, &mut frame);
            frame.extend_from_slice(&body);
            all.extend_from_slice(&frame);
            (name.to_lowercase(), frame)
        })
        .collect();
    inputs.push(("all".into(), all));
    inputs
}

/// Lists of operations: for a machine, any bytes are some. `first` is a list worth to start from.
fn operations(first: &[&[u8]]) -> Vec<(String, Vec<u8>)> {
    let random = (0..4).map(|index| seed::rng(index).bytes::<512>().to_vec());
    let stream = [&[0, 0][..], &first.concat()].concat();
    let datagrams = [&[0, 1][..], &first.concat()].concat();
    numbered([stream, datagrams].into_iter().filter(|_| !first.is_empty()).chain(random))
}

/// Operations behind a first one: a link comes up.
fn linked(first: &[u8]) -> Vec<(String, Vec<u8>)> {
    let behind = |(name, input): (String, Vec<u8>)| (name, [&[0][..], &input].concat());
    operations(&[first]).into_iter().map(behind).collect()
}

/// The second router answers the first, which hears of a longer way, sends packets along, and hears
/// one, of a gap, and that packets arrived. The second becomes an anchor; each hears of another,
/// somebody registers, and a question is led.
fn travelling() -> Vec<u8> {
    let command = |who: u8, rest: &[u8]| [&[7, 0, who, 0, 0][..], rest].concat();
    let exchange = [2, 0, 0, 0, 63];
    let wait = [6, 0, 20];
    [
        &exchange[..],
        &command(1, &[5, 0, 0]),
        &command(0, &[6, 0, 0]),
        &exchange,
        &command(0, &[7, 2, 8, 1]),
        &exchange,
        &command(0, &[8, 0, 0, 0, 0, 1]),
        &command(1, &[9, 0, 1, 1, 9, 3, 0, 1, 8, 0, 2, 7, 7, 0]),
        &wait,
        &command(0, &[9, 0, 0, 1, 9, 3, 0, 8, 1, 1, 1]),
        &command(0, &[9, 0, 0, 0, 9, 0, 3, 10]),
        &exchange,
        &wait,
        &exchange,
        &command(1, &[10, 1]),
        &command(0, &[9, 1, 0, 1, 0, 0, 4]),
        &command(1, &[9, 1, 0, 1, 0, 0, 4]),
        &wait,
        &exchange,
        &command(0, &[5, 1, 1]),
        &wait,
        &command(1, &[9, 1, 0, 1, 0, 1, 0, 5, 1]),
        &command(0, &[9, 1, 0, 1, 0, 1, 8, 5, 1]),
        &command(1, &[9, 2, 0, 1, 9, 0, 6, 1]),
        &exchange,
        &command(0, &[9, 3, 0, 1, 9, 0, 6, 1]),
        &exchange,
    ]
    .concat()
}

/// A channel is made and followed, gets a text and a file, and they arrive; and so is a board, on
/// which both write. Commands begin with `target`.
fn publishing(target: &[u8]) -> Vec<u8> {
    let command = |rest: &[u8]| [&[7][..], target, rest].concat();
    let exchange = [2, 0, 0, 0, 63].repeat(2);
    let wait = [6, 0, 21];
    [
        &command(&[])[..],
        &command(&[0, 0, 0]),
        &exchange,
        &command(&[0, 0, 2, 5, b'h', b'e', b'l', b'l', b'o']),
        &command(&[0, 0, 3, 0, 3, 9]),
        &exchange,
        &wait,
        &exchange,
        &command(&[0, 0, 5]),
        &command(&[0, 0, 7]),
        &command(&[0, 0, 0]),
        &command(&[0, 1, 0]),
        &exchange,
        &command(&[0, 0, 8, 3, b'o', b'n', b'e']),
        &command(&[0, 1, 8, 3, b't', b'w', b'o']),
        &command(&[0, 0, 2, 5, b't', b'h', b'r', b'e', b'e']),
        &command(&[0, 1, 2, 4, b'f', b'o', b'u', b'r']),
        &exchange,
        &wait,
        &exchange,
    ]
    .concat()
}

/// The shortest run of one byte that `accepts`: empty lists, the first code of every enum.
fn smallest(accepts: impl Fn(Bytes) -> bool) -> (String, Vec<u8>) {
    let runs = (0..256).flat_map(|length| [0, 4, 1].map(|byte| vec![byte; length]));
    let found = runs.into_iter().find(|bytes| accepts(Bytes::copy_from_slice(bytes)));
    ("smallest".into(), found.expect("some run of bytes is a value"))
}
