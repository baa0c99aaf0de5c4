//! Every object of the protocol, by name, and what a reader of JSON sees in it.

use bytes::Bytes;
use data_encoding::HEXLOWER;
use mesh_wire::codec::{Extensions, List, Opaque, Problem, Reader};
use mesh_wire::enclosure::BlobKey;
use mesh_wire::handshake::{Answer, Introduction, Retry};
use mesh_wire::id::WriterId;
use mesh_wire::message::find::PortNumber;
use mesh_wire::message::link::{Close, CloseReason, Fragment, Padding, Ping, Pong};
use mesh_wire::message::routing::{
    Anchor, Arrived, Broken, Find, Found, Guided, Packet, Presence, Register,
};
use mesh_wire::message::set::{
    AskIds, AskSymbols, Findings, Level, Node, Nodes, Prefix, Reconcile, SetKey, ShortIds, Spine,
    Step, Symbol, Symbols, Walk,
};
use mesh_wire::message::sync::{
    Author, Blinded, Branch, Checkpoint, Claim, Cvs, CvsWant, Enclosure, EpochKey, EpochKeys,
    Evaluated, Fork, Gateway, Genesis, Grant, GroupData, GroupsWant, Heard, Item, ItemHeader,
    ItemKind, Items, Letter, LogEnd, LogState, LogSummary, Note, Notes, Origins, PageAsk, PageDrop,
    PageHave, Parents, Place, Retract, Right, SealedBody, Share, Summary, Unsealing, Want,
    Withdrawal,
};
use mesh_wire::message::{self, Beacon, LinkMessage, Message, RouteMessage, SyncMessage};
use mesh_wire::origin::{BundleProof, OriginHead, OriginLog, OriginUrl};
use mesh_wire::{DecodeError, Hash, HopTag, Label, Token, UnixTime, Wire};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::samples::Sample;

/// Something that can be shown as JSON.
pub(crate) trait Show {
    fn show(&self) -> Value;
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Show for $type {
            fn show(&self) -> Value {
                json!(*self)
            }
        }
    )*};
}
numbers!(u8, u16, u32, u64);

macro_rules! as_bytes {
    ($($type:ty: $value:ident => $bytes:expr;)*) => {$(
        impl Show for $type {
            fn show(&self) -> Value {
                let $value = self;
                json!(HEXLOWER.encode($bytes))
            }
        }
    )*};
}
as_bytes! {
    [u8; 4]: value => value;
    [u8; 8]: value => value;
    [u8; 16]: value => value;
    [u8; 32]: value => value;
    [u8; 64]: value => value;
    [u8; 80]: value => value;
    Hash: value => &value.0;
    WriterId: value => &value.0;
    Token: value => &value.0;
    HopTag: value => &value.0;
    BlobKey: value => &value.to_bytes();
}

impl<const MAX: usize> Show for Opaque<MAX> {
    fn show(&self) -> Value {
        json!(HEXLOWER.encode(self.bytes()))
    }
}

impl Show for Extensions {
    fn show(&self) -> Value {
        // The bytes without the length in front: what the extensions themselves take.
        let mut reader = Reader::new(self.to_bytes());
        json!(HEXLOWER.encode(&reader.bytes(usize::MAX).expect("it was just written")))
    }
}

impl<const MAX: usize> Show for Label<MAX> {
    fn show(&self) -> Value {
        json!(self.as_str())
    }
}

impl Show for OriginUrl {
    fn show(&self) -> Value {
        json!(self.as_str())
    }
}

impl<T: Wire + Show, const MAX: usize> Show for List<T, MAX> {
    fn show(&self) -> Value {
        self.iter().map(|value| value.show()).collect()
    }
}

impl Show for UnixTime {
    fn show(&self) -> Value {
        json!(self.0)
    }
}

impl Show for PortNumber {
    fn show(&self) -> Value {
        json!(self.get())
    }
}

macro_rules! named {
    ($($type:ty),*) => {$(
        impl Show for $type {
            fn show(&self) -> Value {
                json!(format!("{self:?}"))
            }
        }
    )*};
}
named!(CloseReason, ItemKind, Right, LogEnd, Gateway);

/// A random value for a field; its type follows from where it is put.
fn value_of<T: Sample>(_field: &str) -> BoxedStrategy<T> {
    T::sample()
}

/// An object: how it is shown, and how a random one is made.
macro_rules! object {
    ($($name:ident { $($field:ident),* })*) => {$(
        impl Show for $name {
            fn show(&self) -> Value {
                json!({ $(stringify!($field): self.$field.show()),* })
            }
        }

        impl Sample for $name {
            fn sample() -> BoxedStrategy<Self> {
                ($(value_of(stringify!($field)),)*)
                    .prop_map(|($($field,)*)| Self { $($field),* })
                    .boxed()
            }
        }
    )*};
}
object! {
    Close { reason, retry_after_s }
    Ping { nonce }
    Pong { nonce }
    Fragment { message, index, total, bytes }
    Presence { token, tag, heard, answer }
    Find { id, hops_left, cost, avoid, tag, state, hops, along }
    Found { id, answer, cost, proof, path }
    Packet { number, flow, hops_left, patches, position, path, frame }
    Broken { flow, hops_left, position, gap, path }
    Arrived { numbers, released }
    Anchor { id, number, hops }
    Guided { find, tags, way }
    Register { path, tags }
    Share { serial, tokens }
    Blinded { serial, points }
    Evaluated { serial, points }
    Heard { serials }
    Summary { serial, channel, blobs, claims, logs }
    Claim { gateway, draw }
    Origins { urls, extensions }
    OriginHead { logs, extensions }
    OriginLog { state, signature }
    BundleProof { size, signature, edge }
    LogSummary { log, size, root }
    Want { channel, log, serial, first, bytes }
    Items { channel, log, first, items, edge, size, signature }
    Fork { serial, channel, log, end, genesis, branches }
    Branch { size, signature, peaks, edge }
    Item { header, body }
    ItemHeader { kind, time, name, size, hash, extensions }
    Genesis { origin, nonce, extensions }
    Grant { writer, right, until, acceptance, extensions }
    Checkpoint { logs, extensions }
    LogState { log, size, root, state }
    EpochKeys { epoch, keys, extensions }
    EpochKey { log, sealed }
    Retract { items, extensions }
    SealedBody { epoch, sealed }
    Letter { name, content }
    Enclosure { hash, size }
    Unsealing { key, size, hash }
    Parents { items }
    Place { log, seq }
    Notes { serial, channel, since, notes }
    Note { header, body, signature }
    Author { key, name }
    Withdrawal { notes, extensions }
    PageAsk { handle, channel, hash, size, page }
    PageHave { serial, handle, groups }
    GroupsWant { handle, groups }
    CvsWant { handle, level }
    Cvs { handle, level, cvs }
    GroupData { handle, group, bytes }
    PageDrop { serial, handle }
    Reconcile { channel, serial, step }
    Spine { anchor, present, levels }
    Level { digest, digits }
    AskIds { levels }
    ShortIds { levels, first, more, ids }
    AskSymbols { first, count }
    Symbols { levels, items, first, more, symbols }
    Symbol { sum, check, count }
    Findings { pushes, first, more, wanted }
    Walk { prefixes }
    Prefix { length, nibbles }
    Nodes { nodes }
    Node { prefix, children, hashes, keys }
    SetKey { time, id }
    Beacon { versions, token, tcp_port }
    Introduction { extensions }
    Answer { versions, choice, introduction }
    Retry { hello, cookie }
}

// The field of padding is nobody's business: it is made and shown as the bytes it is.
impl Show for Padding {
    fn show(&self) -> Value {
        let mut reader = Reader::new(self.to_bytes());
        let zeros = reader.bytes(usize::MAX).expect("it was just written");
        json!({ "zeros": HEXLOWER.encode(&zeros) })
    }
}

impl Sample for Padding {
    fn sample() -> BoxedStrategy<Self> {
        (1_usize..=1024)
            .prop_map(|length| Self::fill(length.saturating_sub(5), length, 0))
            .prop_filter_map("no padding fits", |padding| padding)
            .boxed()
    }
}

/// The messages of one layer.
macro_rules! layer {
    ($($layer:ident { $($body:ident),* })*) => {$(
        impl Show for $layer {
            fn show(&self) -> Value {
                match self { $(Self::$body(body) => json!({ stringify!($body): body.show() })),* }
            }
        }

        impl Sample for $layer {
            fn sample() -> BoxedStrategy<Self> {
                prop_oneof![$($body::sample().prop_map(Self::$body)),*].boxed()
            }
        }
    )*};
}
layer! {
    LinkMessage { Padding, Close, Ping, Pong, Fragment }
    RouteMessage { Presence, Find, Found, Packet, Broken, Arrived, Anchor, Guided, Register }
    SyncMessage {
        Share, Heard, Summary, Want, Items, PageAsk, PageHave, GroupsWant, CvsWant, Cvs, GroupData,
        PageDrop, Reconcile, Fork, Blinded, Evaluated, Notes
    }
    Step { Spine, AskIds, ShortIds, AskSymbols, Symbols, Findings, Walk, Nodes }
}

/// What bytes are said to be: a frame, or an object that stands alone.
pub(crate) type Decoder = fn(Bytes) -> Result<Value, DecodeError>;

/// Everything that is decoded on its own, by the name that vectors use.
pub(crate) const DECODERS: [(&str, Decoder); 21] = [
    ("frame", frame),
    ("Beacon", alone::<Beacon>),
    ("ItemHeader", alone::<ItemHeader>),
    ("Genesis", alone::<Genesis>),
    ("Grant", alone::<Grant>),
    ("Checkpoint", alone::<Checkpoint>),
    ("EpochKeys", alone::<EpochKeys>),
    ("Origins", alone::<Origins>),
    ("OriginHead", alone::<OriginHead>),
    ("BundleProof", alone::<BundleProof>),
    ("Retract", alone::<Retract>),
    ("SealedBody", alone::<SealedBody>),
    ("Letter", alone::<Letter>),
    ("Enclosure", alone::<Enclosure>),
    ("Unsealing", alone::<Unsealing>),
    ("Parents", alone::<Parents>),
    ("Author", alone::<Author>),
    ("Withdrawal", alone::<Withdrawal>),
    ("Introduction", alone::<Introduction>),
    ("Answer", alone::<Answer>),
    ("Retry", alone::<Retry>),
];

/// Decodes `bytes` as what `name` says.
pub(crate) fn decode(name: &str, bytes: &[u8]) -> Result<Value, DecodeError> {
    let (_, decoder) = DECODERS.iter().find(|(known, _)| *known == name).expect("a known name");
    decoder(Bytes::copy_from_slice(bytes))
}

fn alone<T: Wire + Show>(bytes: Bytes) -> Result<Value, DecodeError> {
    let value = T::from_bytes(bytes.clone())?;
    assert_eq!(value.to_bytes(), bytes, "what is accepted is written back");
    Ok(value.show())
}

/// One frame and nothing behind it.
fn frame(bytes: Bytes) -> Result<Value, DecodeError> {
    let mut reader = Reader::new(bytes.clone());
    let (kind, body) = message::read_frame(&mut reader)?;
    reader.finish()?;
    let message = Message::read_body(kind, body)?;
    let (again, value) = match message {
        Some(Message::Link(message)) => (message.to_bytes(), message.show()),
        Some(Message::Route(message)) => (message.to_bytes(), message.show()),
        Some(Message::Sync(message)) => (message.to_bytes(), message.show()),
        None => return Ok(json!({ "skipped": kind })),
    };
    assert_eq!(again, bytes, "what is accepted is written back");
    Ok(value)
}

/// How a problem is called in `spec/1-wire.md`.
pub(crate) fn name_of(problem: Problem) -> &'static str {
    match problem {
        Problem::Truncated => "truncated",
        Problem::TooLarge => "too large",
        Problem::TooShort => "too short",
        Problem::NotShortest => "not shortest",
        Problem::Undefined => "undefined",
        Problem::BadText => "bad text",
        Problem::Unsorted => "unsorted",
        Problem::Trailing => "trailing",
        Problem::UnknownCritical => "unknown critical",
    }
}
