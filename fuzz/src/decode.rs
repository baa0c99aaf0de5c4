//! Bodies for what reads bytes or text: nothing panics, and what is accepted is written back as it
//! came.

use core::fmt::Debug;
use core::str::FromStr;

use bytes::Bytes;
use mesh_wire::codec::Reader;
use mesh_wire::handshake::{Answer, Introduction, Retry};
use mesh_wire::invite::{ChannelLink, WriterLink};
use mesh_wire::message::sync::{
    Author, Checkpoint, Enclosure, EpochKeys, Genesis, Grant, ItemHeader, Letter, Origins, Parents,
    Retract, SealedBody, Unsealing, Withdrawal,
};
use mesh_wire::message::{Beacon, Message, read_frame};
use mesh_wire::origin::{BundleProof, OriginHead};
use mesh_wire::{Address, Label, Wire, limits};

/// A beacon, as it comes from anybody on the local network.
pub fn beacon(data: &[u8]) {
    identity::<Beacon>(data);
}

/// The plaintext of a record: frames of every layer, one after the other.
pub fn record(data: &[u8]) {
    let mut reader = Reader::new(Bytes::copy_from_slice(data));
    while reader.remaining() > 0 {
        let Ok((kind, body)) = read_frame(&mut reader) else { return };
        let Ok(Some(message)) = Message::read_body(kind, body.clone()) else { continue };
        let mut again = Vec::with_capacity(body.len());
        match message {
            Message::Link(message) => message.write_body(&mut again),
            Message::Route(message) => message.write_body(&mut again),
            Message::Sync(message) => message.write_body(&mut again),
        }
        assert_eq!(again, body, "kind {kind:#04x}");
    }
}

/// What the two ends tell each other inside the messages of a handshake.
pub fn introduction(data: &[u8]) {
    identity::<Answer>(data);
    identity::<Introduction>(data);
    identity::<Retry>(data);
}

/// The header of an item, as its writer signed it.
pub fn item_header(data: &[u8]) {
    identity::<ItemHeader>(data);
}

/// What an item says about its channel.
pub fn genesis(data: &[u8]) {
    identity::<Genesis>(data);
    identity::<Grant>(data);
    identity::<Checkpoint>(data);
    identity::<EpochKeys>(data);
    identity::<Origins>(data);
    identity::<OriginHead>(data);
    identity::<BundleProof>(data);
    identity::<Retract>(data);
    identity::<SealedBody>(data);
    identity::<Letter>(data);
    identity::<Enclosure>(data);
    identity::<Unsealing>(data);
    identity::<Parents>(data);
    identity::<Author>(data);
    identity::<Withdrawal>(data);
}

/// A name that a stranger chose.
pub fn label(data: &[u8]) {
    identity::<Label<{ limits::NAME_BYTES }>>(data);
    if let Ok(text) = str::from_utf8(data)
        && let Ok(label) = Label::<{ limits::NAME_BYTES }>::new(text)
    {
        assert_eq!(label.as_str(), text);
        assert!(!text.contains(['\n', '\r', '\0', '\u{202e}']), "a label that splits a line");
    }
}

/// An address, as a user or a peer writes it.
pub fn address(data: &[u8]) {
    let Some(address) = text::<Address>(data) else { return };
    assert_eq!(address.to_string().as_bytes(), data);
    assert!(data.len() <= limits::ADDRESS_BYTES);
    let _ = address.socket_addr();
}

/// A link to a channel or from a writer, as people pass it on: many spellings, one meaning.
pub fn channel_link(data: &[u8]) {
    let links = (text::<ChannelLink>(data), text::<WriterLink>(data));
    match links {
        (Some(link), None) => assert_eq!(link.to_string().parse(), Ok(link)),
        (None, Some(link)) => assert_eq!(link.to_string().parse(), Ok(link)),
        (None, None) => {}
        (Some(_), Some(_)) => panic!("a link of two kinds"),
    }
}

fn text<T: FromStr>(data: &[u8]) -> Option<T> {
    str::from_utf8(data).ok()?.parse().ok()
}

/// What is accepted has one form: the one it came in.
fn identity<T: Wire + Debug>(data: &[u8]) {
    if let Ok(value) = T::from_bytes(Bytes::copy_from_slice(data)) {
        assert_eq!(value.size(), data.len());
        assert_eq!(value.to_bytes(), data);
    }
}
