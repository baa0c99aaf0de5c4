//! The vectors in `spec/vectors`: what every node must accept or refuse, readable in any language.
//! `MESH_BLESS=1 cargo test -p mesh-wire vectors` writes them anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use bytes::{Bytes, BytesMut};
use data_encoding::HEXLOWER;
use mesh_wire::codec::{Extensions, List, Opaque};
use mesh_wire::enclosure::BlobKey;
use mesh_wire::handshake::{Answer, Config, Handshake, Introduction, Pseudonym, Retry, Versions};
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
use mesh_wire::message::{Beacon, LinkMessage, RouteMessage, SyncMessage};
use mesh_wire::origin::{BundleProof, OriginHead, OriginLog};
use mesh_wire::sign::{Context, SigningKey};
use mesh_wire::{Carrier, Hash, HopTag, Label, Rng, Time, Token, UnixTime, Wire, limits, seal};
use serde_json::{Value, json};

use crate::objects::{decode, name_of};

/// Bytes that must be accepted: what they are, what is special about them, and they.
pub(crate) type Example = (&'static str, &'static str, Vec<u8>);

fn link(name: &'static str, message: impl Into<LinkMessage>) -> Example {
    ("frame", name, message.into().to_bytes().to_vec())
}

fn route(name: &'static str, message: impl Into<RouteMessage>) -> Example {
    ("frame", name, message.into().to_bytes().to_vec())
}

fn sync(name: &'static str, message: impl Into<SyncMessage>) -> Example {
    ("frame", name, message.into().to_bytes().to_vec())
}

fn alone<T: Wire>(of: &'static str, name: &'static str, value: &T) -> Example {
    (of, name, value.to_bytes().to_vec())
}

fn opaque<const MAX: usize>(bytes: &[u8]) -> Opaque<MAX> {
    Opaque::new(Bytes::copy_from_slice(bytes)).expect("not above its limit")
}

fn hash(fill: u8) -> Hash {
    Hash(std::array::from_fn(|i| fill.wrapping_add(i as u8)))
}

/// The extensions that stand in these bytes.
fn extensions(inner: &[u8]) -> Extensions {
    let mut bytes = (inner.len() as u64).to_bytes().to_vec();
    bytes.extend(inner);
    Extensions::from_bytes(bytes.into()).expect("extensions")
}

fn link_examples() -> Vec<Example> {
    vec![
        link("the smallest padding", Padding::fill(61, 65_792, 0).unwrap()),
        link("padding with a length of two bytes", Padding::fill(129, 65_792, 0).unwrap()),
        link("leaving", Close { reason: CloseReason::Leaving, retry_after_s: 0 }),
        link("come back in a minute", Close { reason: CloseReason::Full, retry_after_s: 60 }),
        link("the longest number", Close { reason: CloseReason::Silent, retry_after_s: u32::MAX }),
        link("a nonce of one byte", Ping { nonce: 63 }),
        link("a nonce of two bytes", Ping { nonce: 64 }),
        link("the largest nonce", Pong { nonce: (1 << 62) - 1 }),
        link(
            "a fragment",
            Fragment { message: 70_000, index: 1, total: 3, bytes: opaque(b"a part") },
        ),
        ("frame", "an even kind that nobody knows", vec![0xfe, 3, 1, 2, 3]),
    ]
}

fn route_examples() -> Vec<Example> {
    let tags = |tags: &[u8]| tags.iter().map(|tag| HopTag([0x70, *tag])).collect::<Vec<_>>();
    let path = List::new(&tags(&[1, 2, 3]));
    let find = Find {
        id: [1; 8],
        hops_left: 3,
        cost: 100,
        avoid: List::default(),
        tag: [2; 8],
        state: [5; 4],
        hops: List::default(),
        along: List::default(),
    };
    let (avoid, hops) = (List::new(&tags(&[9])), List::new(&tags(&[4, 5])));
    vec![
        route(
            "a token and a tag",
            Presence {
                token: Token([1, 2, 3, 4, 5, 6, 7, 8]),
                tag: HopTag([9, 10]),
                heard: Token([0; 8]),
                answer: 1,
            },
        ),
        route("who recognises this tag?", find.clone()),
        route("who knows a way to one of these hops?", Find { avoid, hops, ..find.clone() }),
        route("who recognises it near this path?", Find { along: path.clone(), ..find.clone() }),
        route(
            "an answer",
            Found { id: [1; 8], answer: 0, cost: 300, proof: [3; 16], path: path.clone() },
        ),
        route(
            "a packet",
            Packet {
                number: 7,
                flow: [4; 8],
                hops_left: 11,
                patches: 0,
                position: 1,
                path: path.clone(),
                frame: opaque(b"sealed"),
            },
        ),
        route(
            "a gap behind the second hop",
            Broken { flow: [4; 8], hops_left: 11, position: 0, gap: 1, path },
        ),
        route("three packets", Arrived { numbers: List::new(&[7, 8, 9]), released: 4096 }),
        route("an anchor two hops away", Anchor { id: [6; 8], number: 9, hops: 2 }),
        route(
            "on its way to an anchor",
            Guided { find: find.clone(), tags: List::new(&[[7; 8], [8; 8]]), way: List::default() },
        ),
        route(
            "on its way from an anchor to who has registered",
            Guided { find, tags: List::default(), way: List::new(&tags(&[2, 3])) },
        ),
        route(
            "two keys, three hops",
            Register { path: List::new(&tags(&[1, 2, 3])), tags: List::new(&[[7; 8], [9; 8]]) },
        ),
    ]
}

fn sync_examples() -> Vec<Example> {
    let header = ItemHeader {
        kind: ItemKind::Text,
        time: UnixTime(1_764_000_000_000),
        name: Label::new("").unwrap(),
        size: 5,
        hash: Hash(*blake3::hash(b"hello").as_bytes()),
        extensions: Extensions::default(),
    };
    let item = Item { header: opaque(&header.to_bytes()), body: opaque(b"hello") };
    let log = LogSummary { log: 0, size: 300, root: [9; 8] };
    vec![
        sync("two channels", Share { serial: 0, tokens: List::new(&[[1; 8], [2; 8]]) }),
        sync("no channel", Share { serial: 1, tokens: List::default() }),
        sync("two questions", Blinded { serial: 1, points: List::new(&[[1; 32], [2; 32]]) }),
        sync("two answers", Evaluated { serial: 1, points: List::new(&[[3; 32], [4; 32]]) }),
        sync("acknowledged", Heard { serials: List::new(&[0, 1, 64]) }),
        sync(
            "one log",
            Summary {
                serial: 2,
                channel: 1,
                blobs: 64,
                claims: List::default(),
                logs: List::new([&log]),
            },
        ),
        sync(
            "one log and a claim",
            Summary {
                serial: 3,
                channel: 1,
                blobs: 64,
                claims: List::new(&[Claim { gateway: Gateway::Shared, draw: 77 }]),
                logs: List::new([&log]),
            },
        ),
        sync(
            "from the start",
            Want { channel: 1, log: 0, serial: 0, first: 0, bytes: limits::WANT_BYTES },
        ),
        sync(
            "one text with its proof",
            Items {
                channel: 1,
                log: 0,
                first: 299,
                items: List::new(&[item]),
                edge: List::new(&[hash(0), hash(100)]),
                size: 300,
                signature: [0xab; 64],
            },
        ),
        sync(
            "the first page",
            PageAsk { handle: 3, channel: 1, hash: hash(1), size: 1 << 30, page: 0 },
        ),
        sync(
            "groups 0, 1 and 10",
            PageHave { serial: 6, handle: 3, groups: opaque(&[0b11, 0b100]) },
        ),
        sync("three groups", GroupsWant { handle: 3, groups: List::new(&[0, 1, 1023]) }),
        sync("the pages around it", CvsWant { handle: 3, level: 1 }),
        sync("two values", Cvs { handle: 3, level: 0, cvs: List::new(&[hash(7), hash(8)]) }),
        sync("a short last group", GroupData { handle: 3, group: 64, bytes: opaque(b"the end") }),
        sync("enough", PageDrop { serial: 7, handle: 3 }),
        alone("ItemHeader", "a text", &header),
        alone(
            "ItemHeader",
            "a file with extensions",
            &ItemHeader {
                kind: ItemKind::File,
                time: UnixTime::MAX,
                name: Label::new("Fotos/Süd 読む.jpg").unwrap(),
                size: limits::BLOB_BYTES,
                hash: hash(3),
                extensions: extensions(&[2, 1, 0xaa, 0x40, 64, 0]),
            },
        ),
        alone(
            "Genesis",
            "without extensions",
            &Genesis {
                origin: WriterId(hash(5).0),
                nonce: [6; 16],
                extensions: Extensions::default(),
            },
        ),
        alone(
            "Grant",
            "until the end of 2026",
            &Grant {
                writer: WriterId(hash(6).0),
                right: Right::Write,
                until: UnixTime(1_798_761_600_000),
                acceptance: [0xcd; 64],
                extensions: Extensions::default(),
            },
        ),
        alone(
            "EpochKeys",
            "for two members",
            &EpochKeys {
                epoch: 3,
                keys: List::new(&[0, 5].map(|log| EpochKey { log, sealed: [log as u8 + 1; 80] })),
                extensions: Extensions::default(),
            },
        ),
        alone(
            "Origins",
            "two places",
            &Origins {
                urls: List::new(
                    &["https://news.example/mesh", "http://[2001:db8::7]:8000"]
                        .map(|url| url.parse().unwrap()),
                ),
                extensions: Extensions::default(),
            },
        ),
        alone(
            "Retract",
            "two items of different logs",
            &Retract {
                items: List::new(&[(0, 7), (3, 300)].map(|(log, seq)| Place { log, seq })),
                extensions: Extensions::default(),
            },
        ),
        alone(
            "OriginHead",
            "one log that goes on",
            &OriginHead {
                logs: List::new(&[OriginLog {
                    state: LogState { log: 0, size: 300, root: hash(4), state: LogEnd::Open },
                    signature: [0xab; 64],
                }]),
                extensions: Extensions::default(),
            },
        ),
        alone(
            "BundleProof",
            "of the first of 300 items",
            &BundleProof { size: 300, signature: [0xab; 64], edge: List::new(&[hash(1)]) },
        ),
        alone(
            "SealedBody",
            "five bytes under the first key",
            &SealedBody { epoch: 0, sealed: opaque(&[9; 45]) },
        ),
        alone(
            "Letter",
            "a small file",
            &Letter { name: Label::new("list.txt").unwrap(), content: opaque(b"bread") },
        ),
        alone("Enclosure", "a sealed blob", &Enclosure { hash: hash(3), size: 65_536 }),
        alone(
            "Unsealing",
            "its key, size and hash",
            &Unsealing { key: BlobKey::from_array([9; 32]), size: 65_000, hash: hash(4) },
        ),
        alone(
            "Parents",
            "items of two logs",
            &Parents { items: List::new(&[Place { log: 0, seq: 70 }, Place { log: 2, seq: 1 }]) },
        ),
        alone(
            "Checkpoint",
            "one goes on, one has ended",
            &Checkpoint {
                logs: List::new(&[
                    LogState { log: 1, size: 300, root: hash(1), state: LogEnd::Open },
                    LogState { log: 2, size: 7, root: hash(2), state: LogEnd::Ended },
                ]),
                extensions: Extensions::default(),
            },
        ),
    ]
}

fn fork_examples() -> Vec<Example> {
    let genesis = Item { header: opaque(b"a header"), body: opaque(b"a key") };
    let branch = |size, edge: &[Hash]| Branch {
        size,
        signature: [7; 64],
        peaks: List::new(&[hash(1), hash(2)]),
        edge: List::new(edge),
    };
    let fork = |branches: &[Branch]| Fork {
        serial: 3,
        channel: 1,
        log: 0,
        end: 3,
        genesis: genesis.clone(),
        branches: List::new(branches),
    };
    vec![
        sync("a history", fork(&[branch(3, &[])])),
        sync("a fork", fork(&[branch(3, &[]), branch(5, &[hash(3), hash(4)])])),
    ]
}

fn board_examples() -> Vec<Example> {
    let notes = |notes: &[Note]| Notes {
        serial: 3,
        channel: 1,
        since: UnixTime(1_761_408_000_000),
        notes: List::new(notes),
    };
    let note = Note { header: opaque(b"a header"), body: opaque(b"bread"), signature: [7; 64] };
    let author = Author { key: WriterId(hash(6).0), name: Label::new("Ada").unwrap() };
    let key = SetKey { time: UnixTime(1_764_000_000_000), id: hash(5) };
    let notes_named = List::new(&[key]);
    vec![
        sync("a note", notes(&[note])),
        sync("there may be notes", notes(&[])),
        alone("Author", "Ada", &author),
        alone(
            "Withdrawal",
            "one note",
            &Withdrawal { notes: notes_named, extensions: Extensions::default() },
        ),
    ]
}

fn set_examples() -> Vec<Example> {
    let step = |name, step: Step| sync(name, Reconcile { channel: 1, serial: 2, step });
    let level = |digits| Level { digest: [digits; 8], digits };
    let prefix = Prefix { length: 3, nibbles: opaque(&[0x01, 0x90]) };
    let key = SetKey { time: UnixTime(0x0190_0000_0007), id: hash(5) };
    let nothing = Node {
        prefix: prefix.clone(),
        children: 0,
        hashes: List::default(),
        keys: List::default(),
    };
    let branch =
        Node { children: 0x8002, hashes: List::new(&[hash(1), hash(2)]), ..nothing.clone() };
    let leaf = Node { keys: List::new(&[key]), ..nothing.clone() };
    let symbol = Symbol { sum: [7; 8], check: [8; 4], count: 255 };
    vec![
        step(
            "two levels",
            Spine {
                anchor: UnixTime(1_764_000_000_000),
                present: 0b1_0000_0000_0100,
                levels: List::new(&[level(17), level(1)]),
            }
            .into(),
        ),
        step("nothing", Spine { anchor: UnixTime(0), present: 0, levels: List::default() }.into()),
        step("which are they?", AskIds { levels: 0x0802 }.into()),
        step(
            "the last two",
            ShortIds { levels: 0x0802, first: 4096, more: 0, ids: List::new(&[[1; 8], [2; 8]]) }
                .into(),
        ),
        step("more symbols", AskSymbols { first: 32, count: 480 }.into()),
        step(
            "the first symbol",
            Symbols { levels: 1, items: 300, first: 0, more: 31, symbols: List::new(&[symbol]) }
                .into(),
        ),
        step(
            "three to come, one wanted",
            Findings { pushes: 3, first: 0, more: 0, wanted: List::new(&[[9; 8]]) }.into(),
        ),
        step("the nodes of a place", Walk { prefixes: List::new(&[prefix]) }.into()),
        step(
            "a branch, a leaf and nothing",
            Nodes { nodes: List::new(&[branch, leaf, nothing]) }.into(),
        ),
    ]
}

/// Everything that stands in `accept`, but for the handshake.
pub(crate) fn examples() -> Vec<Example> {
    let introduction = Introduction { extensions: Extensions::default() };
    let mut all = link_examples();
    all.extend(route_examples());
    all.extend(sync_examples());
    all.extend(fork_examples());
    all.extend(set_examples());
    all.extend(board_examples());
    all.push(alone(
        "Beacon",
        "one version",
        &Beacon {
            versions: List::new(&[1]),
            token: Token([8; 8]),
            tcp_port: PortNumber::new(4001).unwrap(),
        },
    ));
    all.push(alone("Introduction", "nothing to say", &introduction));
    all.push(alone(
        "Answer",
        "the highest of three",
        &Answer { versions: Versions::new(&[1, 2, 9]), choice: 9, introduction },
    ));
    all.push(alone("Retry", "a cookie", &Retry { hello: [1; 16], cookie: [2; 16] }));
    all
}

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
            sync_examples().into_iter().find(|(of, ..)| *of == "ItemHeader").unwrap();
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
