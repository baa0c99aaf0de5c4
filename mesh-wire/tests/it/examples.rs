//! Values of every kind that goes over the wire, and the bytes they stand for: [`crate::vectors`]
//! writes them down for other implementations.

use bytes::Bytes;
use mesh_wire::codec::{Extensions, List, Opaque};
use mesh_wire::enclosure::BlobKey;
use mesh_wire::handshake::{Answer, Introduction, Retry, Versions};
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
use mesh_wire::{Hash, HopTag, Label, Token, UnixTime, Wire, limits};

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
pub(crate) fn extensions(inner: &[u8]) -> Extensions {
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

/// The header of a text.
fn header() -> ItemHeader {
    ItemHeader {
        kind: ItemKind::Text,
        time: UnixTime(1_764_000_000_000),
        name: Label::new("").unwrap(),
        size: 5,
        hash: Hash(*blake3::hash(b"hello").as_bytes()),
        extensions: Extensions::default(),
    }
}

fn sync_examples() -> Vec<Example> {
    let item = Item { header: opaque(&header().to_bytes()), body: opaque(b"hello") };
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
    ]
}

fn blob_examples() -> Vec<Example> {
    vec![
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
    ]
}

fn item_examples() -> Vec<Example> {
    vec![
        alone("ItemHeader", "a text", &header()),
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
            "Retract",
            "two items of different logs",
            &Retract {
                items: List::new(&[(0, 7), (3, 300)].map(|(log, seq)| Place { log, seq })),
                extensions: Extensions::default(),
            },
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

fn origin_examples() -> Vec<Example> {
    vec![
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
    ]
}

fn sealed_examples() -> Vec<Example> {
    vec![
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
    let rooms = [
        link_examples,
        route_examples,
        sync_examples,
        blob_examples,
        item_examples,
        origin_examples,
        sealed_examples,
        fork_examples,
        set_examples,
        board_examples,
    ];
    let mut all: Vec<Example> = rooms.into_iter().flat_map(|room| room()).collect();
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
