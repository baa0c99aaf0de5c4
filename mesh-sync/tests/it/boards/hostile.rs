//! Neighbours that forge notes, flood a board, or never come to an end.

use mesh_sync::ItemStatus;
use mesh_wire::codec::{Extensions, List, Opaque, Wire};
use mesh_wire::invite::WriterLink;
use mesh_wire::message::set::{Findings, Reconcile, SetKey, Spine};
use mesh_wire::message::sync::{Author, ItemHeader, Note, Notes, Withdrawal};
use mesh_wire::sign::{Context, SigningKey};
use mesh_wire::{Hash, Input, LinkId, Machine as _, UnixTime};

use super::*;

/// Somebody who writes notes by the book, or not.
struct Scribe {
    key: SigningKey,
    board: ChannelId,
}

impl Scribe {
    fn new(seed: u8, board: ChannelId) -> Self {
        Self { key: SigningKey::from_seed(&[seed; 32]), board }
    }

    fn header(&self, (kind, time): (ItemKind, u64), body: &[u8]) -> ItemHeader {
        let author = Author { key: self.key.writer(), name: Label::new("Eve").unwrap() };
        ItemHeader {
            kind,
            time: UnixTime(time),
            name: Label::default(),
            size: body.len() as u64,
            hash: Hash(*blake3::hash(body).as_bytes()),
            extensions: Extensions::one(7, &author.to_bytes()).unwrap(),
        }
    }

    /// A note as the specification says.
    fn signed(&self, header: &ItemHeader, body: &[u8]) -> Note {
        let header = header.to_bytes();
        let message = [self.board.as_bytes().as_slice(), leaf(&header).as_bytes()].concat();
        let signature = self.key.sign(Context::Note, &message);
        let (header, body) = (Opaque::new(header), Opaque::new(body.to_vec().into()));
        Note { header: header.unwrap(), body: body.unwrap(), signature }
    }

    fn write(&self, time: u64, words: &str) -> Note {
        let header = self.header((ItemKind::Text, time), words.as_bytes());
        self.signed(&header, words.as_bytes())
    }

    /// A note that takes others away.
    fn withdraw(&self, time: u64, notes: &[&Note]) -> Note {
        let key = |note: &&Note| {
            let header = ItemHeader::from_bytes(note.header.bytes().clone()).unwrap();
            SetKey { time: header.time, id: leaf(note.header.bytes()) }
        };
        let notes: Vec<SetKey> = notes.iter().map(key).collect();
        let extensions = Extensions::default();
        let content = Withdrawal { notes: List::new(&notes), extensions }.to_bytes();
        self.signed(&self.header((ItemKind::Retract, time), &content), &content)
    }
}

fn leaf(header: &[u8]) -> Hash {
    let key = blake3::derive_key("mesh/1 leaf of a log", b"");
    Hash(*blake3::keyed_hash(&key, header).as_bytes())
}

/// Two machines, the second of which may be made to say anything.
struct Bench {
    pump: Pump,
    board: ChannelId,
    /// The link to the second, at the first.
    link: LinkId,
    /// How the second names the board.
    index: u32,
    serial: u32,
    /// Up to when it says that it takes no notes.
    since: UnixTime,
}

impl Bench {
    fn new() -> Self {
        let (mut pump, board) = neighbours();
        pump.disconnect();
        let [link, _] = pump.connect(0, 1);
        let mut index = None;
        pump.run(Duration::from_secs(5), |from, message| {
            if let (1, SyncMessage::Summary(summary)) = (from, &message) {
                index = Some(summary.channel);
            }
            Carried::As(message)
        });
        Self { pump, board, link, index: index.unwrap(), serial: 1 << 20, since: UnixTime(0) }
    }

    fn time(&self) -> u64 {
        self.pump.now.unix.0
    }

    fn say(&mut self, notes: &[Note]) {
        self.serial += 1;
        let (channel, serial) = (self.index, self.serial);
        let notes = Notes { serial, channel, since: self.since, notes: List::new(notes) };
        self.pump.handle(0, Input::Receive(self.link, notes.into()));
    }

    fn shown(&self) -> BTreeSet<String> {
        shown(&self.pump.nodes[0], &self.board)
    }

    /// What the first node sends over its link, with nobody to answer.
    fn sent(&mut self) -> Vec<SyncMessage> {
        std::iter::from_fn(|| self.pump.poll(0, self.link)).collect()
    }
}

// spec: SYNC-24, SYNC-62
#[test]
fn c_09_notes_that_are_not_their_authors_change_nothing_and_their_sender_brings_no_more() {
    let time = Bench::new().time();
    let board = Bench::new().board;
    let (eve, good) = (Scribe::new(1, board), Scribe::new(2, board));
    let note = good.write(time, "bread at 9");
    let mut flipped = note.clone();
    flipped.signature[7] ^= 1;
    let other_body = Note { body: Opaque::new("cake at 9".into()).unwrap(), ..note.clone() };
    let no_body = Note { body: Opaque::default(), ..note.clone() };
    let elsewhere = Scribe::new(2, ChannelId([9; 32])).write(time, "bread at 9");
    // Signed by one, in the name of another.
    let stolen = good.header((ItemKind::Text, time), b"bread at 9");
    let stolen = eve.signed(&stolen, b"bread at 9");
    let nobodys = ItemHeader {
        extensions: Extensions::default(),
        ..eve.header((ItemKind::Text, time), b"bread at 9")
    };
    let nobodys = eve.signed(&nobodys, b"bread at 9");
    let kinds = [ItemKind::Genesis, ItemKind::Grant, ItemKind::Checkpoint, ItemKind::Keys];
    let kinds = kinds.map(|kind| eve.signed(&eve.header((kind, time), b"x"), b"x"));
    let empty = eve.signed(&eve.header((ItemKind::Retract, time), b"\x05"), b"\x05");
    let torn = Note { header: Opaque::new(vec![1, 2, 3].into()).unwrap(), ..note.clone() };
    let bad = [flipped, other_body, no_body, elsewhere, stolen, nobodys, empty, torn];
    for (number, bad) in bad.into_iter().chain(kinds).enumerate() {
        let mut bench = Bench::new();
        assert_eq!(bench.board, board);
        bench.say(&[good.write(time, "before"), bad]);
        assert_eq!(bench.shown(), [].into(), "{number}: nothing of the message is taken");
        let faults = bench.pump.faults(0);
        assert!(faults.len() == 1 && faults[0].contains("note"), "{number}: {faults:?}");
        bench.say(std::slice::from_ref(&note));
        assert_eq!(bench.shown(), [].into(), "{number}");
    }
    let mut bench = Bench::new();
    bench.say(&[note.clone(), note]);
    assert_eq!(bench.shown(), ["bread at 9".into()].into());
    let items = bench.pump.nodes[0].items(&board, 1..9).unwrap();
    let name = |item: &ItemStatus| (item.writer, item.writer_name.to_string());
    let names: Vec<_> = items.iter().map(name).collect();
    assert_eq!(names, [(good.key.writer(), "Eve".to_owned())]);
    assert_eq!(bench.pump.faults(0), Vec::<String>::new());
}

// spec: SYNC-64, SYNC-65
#[test]
fn notes_that_are_over_or_to_come_are_not_taken_and_nobody_is_to_blame() {
    let mut bench = Bench::new();
    let eve = Scribe::new(1, bench.board);
    let (time, life) = (bench.time(), limits::NOTE_LIFE.as_millis() as u64);
    let ahead = limits::AHEAD_TIME.as_millis() as u64;
    bench.sent();
    let mut expired = eve.header((ItemKind::Text, time), b"expired");
    let moment = UnixTime(time).to_bytes();
    expired.extensions = expired.extensions.with(2, &moment).unwrap();
    bench.say(&[
        eve.write(time - life, "a month ago"),
        eve.write(0, "in 1970"),
        eve.write(time + ahead + 1, "tomorrow"),
        eve.write(UnixTime::MAX.0, "one day"),
        eve.signed(&expired, b"expired"),
    ]);
    assert_eq!(bench.shown(), [].into());
    assert_eq!(bench.pump.faults(0), Vec::<String>::new());
    // Who sends what is over is told so; once.
    let is_since = |message: &SyncMessage| match message {
        SyncMessage::Notes(notes) => notes.notes.is_empty() && notes.since > UnixTime(time - life),
        _ => false,
    };
    assert_eq!(bench.sent().iter().filter(|message| is_since(message)).count(), 1);
    let is_heard = |bench: &mut Bench| {
        let serial = bench.serial;
        bench.sent().iter().any(|message| match message {
            SyncMessage::Heard(heard) => heard.serials.iter().any(|heard| heard == serial),
            _ => false,
        })
    };
    bench.say(&[eve.write(time + ahead + 1, "tomorrow")]);
    assert!(!is_heard(&mut bench), "it may be taken later");
    bench.say(&[eve.write(time + ahead, "in a while")]);
    assert!(is_heard(&mut bench));
    assert_eq!(bench.shown().len(), 1);
    bench.pump.now.unix.0 += 1;
    bench.say(&[eve.write(time + ahead + 1, "tomorrow")]);
    assert_eq!(bench.shown().len(), 2);
}

// spec: SYNC-64
#[test]
fn s_09_whoever_floods_a_board_makes_it_forget_but_does_not_keep_out_what_is_new() {
    let mut bench = Bench::new();
    let (eve, good) = (Scribe::new(1, bench.board), Scribe::new(2, bench.board));
    bench.say(&[good.write(bench.time(), "before")]);
    let ahead = limits::AHEAD_TIME.as_millis() as u64;
    let flood = |bench: &mut Bench, count: u64| {
        let time = bench.time() + ahead;
        for first in (0..count).step_by(500) {
            let notes: Vec<Note> = (first..count.min(first + 500))
                .map(|number| eve.write(time - number % 1000, &format!("buy {number}")))
                .collect();
            bench.say(&notes);
        }
    };
    flood(&mut bench, limits::BOARD_NOTES as u64 + 2000);
    let contents = |bench: &Bench| bench.pump.nodes[0].channel(&bench.board).unwrap().contents;
    // No more are looked at than one link may bring.
    assert_eq!(contents(&bench), limits::BOARD_NOTES as u64);
    let arrived = size_of_board(&bench);
    assert!(arrived <= limits::BOARD_NOTES as u64 + 2, "{arrived}");
    let now = bench.pump.now;
    let refused = bench.pump.nodes[0].publish(now, &bench.board, vec![text("mine")]);
    assert_eq!(refused, Err(Refused::Overtaken), "what could not stay is not acknowledged");
    // The second node is honest, and brings its own by a link of its own.
    let [other, _] = bench.pump.connect(0, 1);
    let honest = |bench: &mut Bench, words: &str| {
        write(&mut bench.pump, 1, &bench.board, words);
        bench.pump.run(Duration::from_secs(100), |_, message| Carried::As(message));
        bench.shown().contains(words)
    };
    assert_ne!(other, bench.link);
    bench.pump.now.unix.0 += ahead;
    flood(&mut bench, 3000);
    assert!(honest(&mut bench, "bread at 9"), "a flood dates its notes ahead, but not by more");
    assert_eq!(contents(&bench), limits::BOARD_NOTES as u64);
    assert_eq!(bench.pump.faults(0), Vec::<String>::new());
}

// spec: SYNC-64
#[test]
fn s_09_large_notes_count_by_their_bytes() {
    let mut bench = Bench::new();
    let eve = Scribe::new(1, bench.board);
    let ahead = limits::AHEAD_TIME.as_millis() as u64;
    let mut number = 0;
    let mut flood = |bench: &mut Bench, count: u64| {
        let notes: Vec<Note> = (0..count)
            .map(|_| {
                number += 1;
                eve.write(bench.time() + ahead, &format!("{number:0>16000}"))
            })
            .collect();
        notes.chunks(20).for_each(|notes| bench.say(notes));
    };
    flood(&mut bench, limits::BOARD_BYTES / 16_000 + 50);
    bench.pump.connect(0, 1);
    for second in 0..300 {
        bench.pump.now.time = bench.pump.now.time + Duration::from_secs(1);
        bench.pump.now.unix.0 += 1000;
        bench.pump.handle(0, Input::Tick);
        flood(&mut bench, 10);
        if second == 200 {
            write(&mut bench.pump, 1, &bench.board, "bread at 9");
        }
        bench.pump.run(Duration::from_millis(1), |_, message| Carried::As(message));
    }
    bench.pump.run(SOON, |_, message| Carried::As(message));
    assert!(bench.shown().contains("bread at 9"));
    assert_eq!(bench.pump.faults(0), Vec::<String>::new());
}

// spec: SYNC-63
#[test]
fn up_to_when_somebody_takes_notes_is_what_it_said_last() {
    let mut bench = Bench::new();
    bench.since = UnixTime(bench.time() + 40 * 86_400_000);
    bench.say(&[]);
    while !bench.sent().is_empty() {}
    write(&mut bench.pump, 0, &bench.board, "bread at 9");
    let has_notes = |message: &SyncMessage| match message {
        SyncMessage::Notes(notes) => !notes.notes.is_empty(),
        _ => false,
    };
    assert!(!bench.sent().iter().any(has_notes), "nothing that they do not take");
    // Its clock is put right.
    bench.since = UnixTime(0);
    bench.say(&[]);
    write(&mut bench.pump, 0, &bench.board, "water at noon");
    assert!(bench.sent().iter().any(has_notes));
}

// spec: SYNC-65
#[test]
fn what_the_next_owner_took_away_goes_when_it_is_known_to_be_that() {
    let mut bench = Bench::new();
    let (eve, next) = (Scribe::new(1, bench.board), Scribe::new(2, bench.board));
    let spam = eve.write(bench.time(), "spam");
    bench.say(&[spam.clone(), next.withdraw(bench.time(), &[&spam])]);
    assert!(bench.shown().contains("spam"), "nobody's");
    let right = Right::Succeed;
    let mut consent = bench.board.to_bytes().to_vec();
    right.write(&mut consent);
    Extensions::default().write(&mut consent);
    let link = WriterLink {
        channel: bench.board,
        writer: next.key.writer(),
        right,
        acceptance: next.key.sign(Context::Acceptance, &consent),
        name: Label::new("Bob").unwrap(),
        extensions: Extensions::default(),
    };
    let now = bench.pump.now;
    bench.pump.nodes[0].grant(now, &link, None).unwrap();
    assert!(!bench.shown().contains("spam"));
    bench.say(&[spam]);
    assert!(!bench.shown().contains("spam"), "nor does it come again");
}

/// Items that ever came in at the first node.
fn size_of_board(bench: &Bench) -> u64 {
    bench.pump.nodes[0].channel(&bench.board).unwrap().items
}

// spec: SYNC-65
#[test]
fn nobody_takes_away_what_others_wrote_whatever_comes_first() {
    let mut bench = Bench::new();
    let (eve, good) = (Scribe::new(1, bench.board), Scribe::new(2, bench.board));
    let time = bench.time();
    let notes = ["one", "two", "three"].map(|words| good.write(time, words));
    let [one, two, three] = &notes;
    // Eve names what she has not seen yet; its author takes it away before it comes; and Eve again.
    bench.say(&[eve.withdraw(time, &[one, two])]);
    bench.say(&[good.withdraw(time, &[two])]);
    bench.say(&[eve.withdraw(time + 1, &[two, three])]);
    bench.say(&notes);
    assert_eq!(bench.shown(), ["one".into(), "three".into()].into());
    // Nobody takes away what is to come.
    bench.say(&[good.withdraw(time - 1, &[three])]);
    assert_eq!(bench.shown().len(), 2);
    bench.say(&[good.withdraw(time, &[three]), good.write(time, "four")]);
    assert_eq!(bench.shown(), ["one".into(), "four".into()].into());
    // What takes others away is not taken away itself, whatever comes first.
    let five = good.write(time, "five");
    let [first, second] = [time, time + 1].map(|time| good.withdraw(time, &[&five]));
    bench.say(&[good.withdraw(time + 2, &[&first, &second]), first, second, five]);
    assert_eq!(bench.shown(), ["one".into(), "four".into()].into());
    assert_eq!(bench.pump.faults(0), Vec::<String>::new());
    let fresh = bench.pump.nodes[0].store().clone();
    let again = Sync::open(fresh, Rng::from_seed([7; 32])).unwrap();
    assert_eq!(shown(&again, &bench.board), bench.shown());
}

// spec: SYNC-27, SYNC-33, SYNC-63
#[test]
fn s_10_a_neighbour_whose_rounds_never_end_gets_ever_fewer() {
    // It says that it lacks everything, and that more is to come; or that it wants what is not.
    rounds_without_end(Findings { pushes: 7, first: 0, more: 0, wanted: List::default() });
    rounds_without_end(Findings { pushes: 0, first: 0, more: 0, wanted: List::new(&[[9; 8]]) });
}

fn rounds_without_end(findings: Findings) {
    let mut bench = Bench::new();
    let words: Vec<_> = (0..50).map(|number| text(&format!("{number}"))).collect();
    let now = bench.pump.now;
    bench.pump.nodes[0].publish(now, &bench.board, words).unwrap();
    let (link, index) = (bench.link, bench.index);
    let (mut opened, mut notes, mut last) = (0, 0, 0);
    let end = bench.pump.now.time + Duration::from_secs(3600);
    while bench.pump.now.time < end {
        for message in bench.sent() {
            match message {
                SyncMessage::Reconcile(message) => {
                    opened += u32::from(message.serial > last);
                    last = message.serial;
                    let empty = Spine { anchor: UnixTime(0), present: 0, levels: List::default() };
                    let step = Reconcile { channel: index, serial: last, step: empty.into() };
                    bench.pump.handle(0, Input::Receive(link, step.into()));
                    let step = findings.clone().into();
                    let step = Reconcile { channel: index, serial: last, step };
                    bench.pump.handle(0, Input::Receive(link, step.into()));
                }
                SyncMessage::Notes(more) => notes += more.notes.len(),
                _ => {}
            }
        }
        let next = bench.pump.nodes[0].wake_at().map_or(end, |wake| wake.at);
        bench.pump.now.time = next.max(bench.pump.now.time + Duration::from_millis(1));
        bench.pump.handle(0, Input::Tick);
    }
    println!("{opened} rounds, {notes} notes in an hour");
    assert!((6..=limits::UNANSWERED + 2).contains(&opened), "{opened}");
    assert!(notes <= 50 * (limits::UNANSWERED as usize + 2), "{notes}");
    assert!(bench.pump.nodes[0].weight() < 64 << 10);
}

// spec: SYNC-8, SYNC-63
#[test]
fn who_does_not_share_a_board_is_told_nothing_and_cannot_name_it() {
    let node = |seed| Sync::open(MemoryStore::default(), Rng::from_seed([seed; 32])).unwrap();
    let mut pump = Pump::new(vec![node(1), node(2)]);
    let now = pump.now;
    let board = pump.nodes[0].create_board(now, &Label::new("green").unwrap()).unwrap();
    let other = pump.nodes[1].create_board(now, &Label::new("bus").unwrap()).unwrap();
    let [link, _] = pump.connect(0, 1);
    pump.settle();
    write(&mut pump, 0, &board, "bread at 9");
    write(&mut pump, 1, &other, "late again");
    let said = overhear(&mut pump);
    assert!(!said.iter().any(|(_, message)| {
        matches!(message, SyncMessage::Notes(_) | SyncMessage::Reconcile(_))
    }));
    let eve = Scribe::new(1, board);
    for channel in [0, 1, 7, u32::MAX] {
        let notes = List::new(&[eve.write(pump.now.unix.0, "hello")]);
        let notes = Notes { serial: 9, channel, since: UnixTime(0), notes };
        pump.handle(0, Input::Receive(link, notes.into()));
    }
    assert_eq!(shown(&pump.nodes[0], &board).len(), 1);
}
