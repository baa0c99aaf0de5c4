//! Private channels: who reads what, and who only keeps it for others.

use mesh_sync::{
    BlobId, ChannelName, Content, ItemState, MemoryStore, NewItem, Refused, Store, Sync, Table,
};
use mesh_wire::codec::{Extensions, Wire};
use mesh_wire::enclosure::{BlobKey, OPEN_GROUP_BYTES, Sealer};
use mesh_wire::invite::WriterLink;
use mesh_wire::message::sync::{ItemKind, Right, Unsealing};
use mesh_wire::sign::{Context, SigningKey};
use mesh_wire::{ChannelId, Hash, Input, Label, Rng, limits, seal};

use crate::pump::{Carried, Pump};
use crate::world::*;

fn node(seed: u8) -> Sync<MemoryStore> {
    Sync::open(MemoryStore::default(), Rng::from_seed([seed; 32])).unwrap()
}

/// Node 0 has a private channel, the others follow it in a line.
fn line(count: usize) -> (Pump, ChannelId) {
    let mut pump = Pump::new((0..count).map(|seed| node(seed as u8)).collect());
    let now = pump.now;
    let name = Label::new("family").unwrap();
    let channel = pump.nodes[0].create_private_channel(now, &name).unwrap();
    for follower in 1..count {
        pump.nodes[follower].follow(now, channel).unwrap();
        pump.connect(follower - 1, follower);
    }
    pump.settle();
    (pump, channel)
}

/// Lets a node in; the number of its log.
fn let_in(
    pump: &mut Pump,
    (owner, node): (usize, usize),
    channel: &ChannelId,
    right: Right,
) -> u32 {
    let name: ChannelName = Label::new(&format!("member {node}")).unwrap();
    let now = pump.now;
    let link = pump.nodes[node].request_right(now, channel, (name, right)).unwrap();
    let link = link.to_string().parse().unwrap();
    pump.nodes[owner].grant(now, &link, None).unwrap();
    pump.settle();
    pump.nodes[node].writers(channel).unwrap().iter().rfind(|writer| writer.is_ours).unwrap().log
}

fn write(pump: &mut Pump, node: usize, channel: &ChannelId, what: &str) -> Result<(), Refused> {
    let now = pump.now;
    pump.nodes[node].publish(now, channel, vec![text(what)])?;
    pump.settle();
    Ok(())
}

/// What a node reads, in order; `…` for what is sealed to it.
fn read(pump: &Pump, node: usize, channel: &ChannelId) -> Vec<String> {
    let items = pump.nodes[node].items(channel, 0..u64::MAX).unwrap().into_iter();
    let contents = items.filter(|item| item.header.kind == ItemKind::Text);
    let words = contents.map(|item| {
        let (status, body) = pump.nodes[node].item(channel, item.number).unwrap().unwrap();
        assert_eq!(status, item);
        assert_eq!(body.is_none(), item.state == ItemState::Sealed);
        body.map_or("…".into(), |body| String::from_utf8(body.to_vec()).unwrap())
    });
    words.collect()
}

// spec: SYNC-40, SYNC-41, SYNC-42
#[test]
fn g_02_members_read_what_is_written_while_they_are_and_nothing_else() {
    let (mut pump, channel) = line(4);
    assert!((0..4).all(|node| pump.nodes[node].channel(&channel).unwrap().private));
    write(&mut pump, 0, &channel, "alone").unwrap();
    assert_eq!(write(&mut pump, 2, &channel, "no"), Err(Refused::NotYours));
    let ada = let_in(&mut pump, (0, 2), &channel, Right::Write);
    write(&mut pump, 2, &channel, "hello").unwrap();
    write(&mut pump, 0, &channel, "welcome").unwrap();
    let_in(&mut pump, (0, 3), &channel, Right::Write);
    write(&mut pump, 3, &channel, "me too").unwrap();
    let now = pump.now;
    pump.nodes[0].revoke(now, &channel, ada).unwrap();
    pump.settle();
    write(&mut pump, 3, &channel, "is she gone?").unwrap();
    write(&mut pump, 0, &channel, "yes").unwrap();
    assert_eq!(write(&mut pump, 2, &channel, "no"), Err(Refused::Ended));
    let all = ["alone", "hello", "welcome", "me too", "is she gone?", "yes"];
    assert_eq!(read(&pump, 0, &channel), all);
    assert_eq!(read(&pump, 2, &channel), ["…", "hello", "welcome", "me too", "…", "…"]);
    assert_eq!(read(&pump, 3, &channel), ["…", "…", "…", "me too", "is she gone?", "yes"]);
    // Who is in between keeps it for others, and reads nothing.
    assert_eq!(read(&pump, 1, &channel), ["…"; 6]);
    assert!((0..4).all(|node| pump.faults(node).is_empty()));
    // All of it is still so after a restart.
    for node in 0..4 {
        let before = read(&pump, node, &channel);
        let store = pump.nodes[node].store().clone();
        pump.nodes[node] = Sync::open(store, Rng::from_seed([node as u8 + 50; 32])).unwrap();
        assert_eq!(read(&pump, node, &channel), before, "node {node}");
    }
}

/// Nothing of what members write stands in what others hold or carry.
// spec: SYNC-42
#[test]
fn g_02_those_in_between_hold_no_word_of_it() {
    let (mut pump, channel) = line(3);
    let_in(&mut pump, (0, 2), &channel, Right::Write);
    let now = pump.now;
    let secret = "the cake is under the stairs";
    let mut item = text(secret);
    item.kind = ItemKind::File;
    item.name = Label::new("surprise.txt").unwrap();
    pump.nodes[0].publish(now, &channel, vec![item]).unwrap();
    let mut carried = Vec::new();
    pump.run(SOON, |_, message| {
        carried.extend_from_slice(&mesh_wire::Wire::to_bytes(&message));
        Carried::As(message)
    });
    for table in Table::ALL {
        let scan = |key: &[u8], value: &[u8]| {
            carried.extend_from_slice(&[key, value].concat());
            true
        };
        pump.nodes[1].store().scan(table, &[], &mut { scan }).unwrap();
    }
    for word in [secret, "surprise", "cake"] {
        let found = carried.windows(word.len()).any(|window| window == word.as_bytes());
        assert!(!found, "{word:?} is there for all to see");
    }
    let last = pump.nodes[2].items(&channel, 0..100).unwrap().pop().unwrap();
    assert_eq!(last.header.name.as_str(), "surprise.txt");
    assert_eq!(last.header.size, secret.len() as u64);
}

// spec: SYNC-41
#[test]
fn a_private_channel_outlives_its_owners_key_and_its_owner() {
    let (mut pump, channel) = line(3);
    let_in(&mut pump, (0, 1), &channel, Right::Write);
    write(&mut pump, 1, &channel, "one").unwrap();
    let now = pump.now;
    pump.nodes[0].rotate(now, &channel).unwrap();
    pump.settle();
    write(&mut pump, 1, &channel, "two").unwrap();
    write(&mut pump, 0, &channel, "three").unwrap();
    assert_eq!(read(&pump, 0, &channel), ["one", "two", "three"]);
    assert_eq!(read(&pump, 1, &channel), ["one", "two", "three"]);
    // Handed to somebody who was no member: it gives out the next keys.
    let_in(&mut pump, (0, 2), &channel, Right::Succeed);
    write(&mut pump, 2, &channel, "four").unwrap();
    write(&mut pump, 1, &channel, "five").unwrap();
    assert_eq!(read(&pump, 1, &channel), ["one", "two", "three", "four", "five"]);
    assert_eq!(read(&pump, 2, &channel), ["…", "…", "…", "four", "five"]);
    assert_eq!(read(&pump, 0, &channel), ["one", "two", "three", "…", "…"]);
    assert!((0..3).all(|node| pump.faults(node).is_empty()));
}

/// Puts a blob in place at a node, sealed.
fn adopt_sealed(pump: &mut Pump, node: usize, bytes: &[u8]) -> (BlobId, Unsealing) {
    let key = BlobKey::from_array([pump.now.unix.0 as u8; 32]);
    let sealer = Sealer::new(seal::chacha20poly1305, &key, bytes.len() as u64);
    let (mut rest, mut sealed) = (bytes, Vec::new());
    for group in 0..sealer.groups() {
        let room = sealer.group_bytes(group);
        let (some, more) = rest.split_at(room.min(rest.len()));
        let mut some = some.to_vec();
        some.resize(room, 0);
        sealer.seal(group, &mut some);
        sealed.extend_from_slice(&some);
        rest = more;
    }
    let now = pump.now;
    let blob = adopt(&mut pump.nodes[node], now, &sealed).unwrap();
    let hash = Hash(*blake3::hash(bytes).as_bytes());
    (blob, Unsealing { key, size: bytes.len() as u64, hash })
}

fn sealed_file(name: &str, (blob, unsealing): (BlobId, Unsealing)) -> NewItem {
    let content = Content::Sealed(blob, unsealing);
    let name = Label::new(name).unwrap();
    NewItem { kind: ItemKind::File, name, content, expires: None }
}

/// A large file goes along a line of nodes as what nobody between the members can read.
// spec: SYNC-47, SYNC-48
#[test]
fn g_02_a_large_file_is_sealed_for_all_but_members_who_open_any_part_of_it() {
    let (mut pump, channel) = line(3);
    let_in(&mut pump, (0, 2), &channel, Right::Write);
    let words = "the cake is under the stairs ".repeat(11_000);
    let bytes = words.as_bytes();
    let now = pump.now;
    let file = adopt_sealed(&mut pump, 0, bytes);
    let (blob, unsealing) = file.clone();
    pump.nodes[0].publish(now, &channel, vec![sealed_file("surprise.txt", file)]).unwrap();
    let mut carried = Vec::new();
    pump.run(SOON, |_, message| {
        carried.extend_from_slice(&mesh_wire::Wire::to_bytes(&message));
        Carried::As(message)
    });
    carried.extend_from_slice(pump.nodes[1].store().blob_bytes(&blob.hash).unwrap());
    let key = unsealing.key.to_bytes();
    for word in [&b"surprise"[..], b"the cake", &key, &unsealing.hash.0] {
        assert!(!carried.windows(word.len()).any(|window| window == word), "{word:?}");
    }
    let status = |node: usize| pump.nodes[node].items(&channel, 0..99).unwrap().pop().unwrap();
    let ours = status(2);
    assert_eq!((ours.header.name.as_str(), ours.state), ("surprise.txt", ItemState::Here));
    assert_eq!((ours.header.size, ours.header.hash), (bytes.len() as u64, unsealing.hash));
    assert_eq!((ours.blob, ours.unsealing.as_ref()), (Some(blob), Some(&unsealing)));
    let theirs = status(1);
    assert_eq!((theirs.header.name.as_str(), theirs.state), ("", ItemState::Sealed));
    assert_eq!((theirs.blob, theirs.unsealing), (Some(blob), None));
    assert!(pump.nodes[1].blob(&blob).unwrap().is_complete(), "it keeps it for others");
    assert_eq!(pump.nodes[1].item(&channel, theirs.number).unwrap().unwrap().1, None);
    // A member opens the fourth group alone.
    let sealer = Sealer::new(seal::chacha20poly1305, &unsealing.key, unsealing.size);
    let mut group = vec![0; sealer.group_bytes(3) + 16];
    pump.nodes[2].store().read_blob(&blob.hash, 3 << 16, &mut group).unwrap();
    sealer.open(3, &mut group).unwrap();
    assert_eq!(group, bytes[3 * OPEN_GROUP_BYTES..][..group.len()]);
    // Sums count what is kept, the same at all.
    let sums = |node: usize| {
        let status = pump.nodes[node].channel(&channel).unwrap();
        (status.blobs_known, status.blobs_here, status.bytes, status.bytes_here)
    };
    assert_eq!(sums(0), sums(1));
    assert_eq!((sums(0), sums(0).2), (sums(2), sums(0).3));
}

/// What encloses a blob goes with it, and all count the same: those who read it, those who only
/// kept it, and those who come later.
// spec: SYNC-46, SYNC-47
#[test]
fn enclosed_files_that_go_leave_nothing_and_count_for_nothing() {
    let (mut pump, channel) = line(3);
    let_in(&mut pump, (0, 2), &channel, Right::Write);
    let files = [100_000, 200_000, 300_000].map(|size| {
        pump.now.unix.0 += 1;
        adopt_sealed(&mut pump, 0, &vec![7; size])
    });
    let blobs = files.clone().map(|(blob, _)| blob);
    let now = pump.now;
    let later = Some(mesh_wire::UnixTime(now.unix.0 + 3_600_000));
    let [one, two, three] = files.map(|file| sealed_file("file", file));
    let items = vec![one, NewItem { expires: later, ..two }, three];
    let numbers = pump.nodes[0].publish(now, &channel, items).unwrap();
    pump.settle();
    pump.nodes[0].retract(now, &channel, &[numbers.start]).unwrap();
    pump.settle();
    pump.now.unix.0 += 4_000_000;
    pump.run(SOON, |_, message| Carried::As(message));
    // Somebody who has nothing yet gets the letters of what is gone from nobody.
    let late = pump.nodes.len();
    pump.nodes.push(node(9));
    let now = pump.now;
    pump.nodes[late].follow(now, channel).unwrap();
    pump.connect(1, late);
    pump.settle();
    let sums = |node: usize| {
        let status = pump.nodes[node].channel(&channel).unwrap();
        (status.blobs_known, status.blobs_here, status.bytes, status.bytes_here)
    };
    let is_here =
        |node: usize| blobs.map(|blob| pump.nodes[node].store().blob_bytes(&blob.hash).is_some());
    for node in [0, 1, 2, late] {
        assert_eq!(is_here(node), [false, false, true], "node {node}");
        assert_eq!(sums(node), sums(0), "node {node}");
        assert_eq!(sums(node).2, sums(node).3, "node {node}");
        let items = pump.nodes[node].items(&channel, numbers.clone()).unwrap();
        let states: Vec<ItemState> = items.iter().map(|item| item.state).collect();
        assert_eq!(states[..2], [ItemState::Retracted, ItemState::Expired], "node {node}");
    }
    assert!((0..=late).all(|node| pump.faults(node).is_empty()));
}

/// Two people who publish one file do not give away that it is one.
// spec: SYNC-47
#[test]
fn the_same_file_twice_is_two_blobs() {
    let (mut pump, _) = line(1);
    let one = adopt_sealed(&mut pump, 0, &[7; 100_000]);
    pump.now.unix.0 += 1;
    let other = adopt_sealed(&mut pump, 0, &[7; 100_000]);
    assert_ne!(one.0.hash, other.0.hash);
    assert_eq!(one.1.hash, other.1.hash);
}

/// Whoever is a member may enclose what no key opens, or nothing at all.
// spec: SYNC-3, SYNC-47
#[test]
fn g_02_an_enclosure_that_no_key_opens_is_found_out_group_by_group() {
    let (mut pump, channel) = line(2);
    let_in(&mut pump, (0, 1), &channel, Right::Write);
    let now = pump.now;
    let (blob, unsealing) = adopt_sealed(&mut pump, 0, &[7; 100_000]);
    let wrong = Unsealing { size: 1, ..unsealing.clone() };
    let lie = sealed_file("lie", (blob, wrong));
    assert_eq!(pump.nodes[0].publish(now, &channel, vec![lie]), Err(Refused::WrongSeal));
    // Of a length that fits, but no key is right: who reads it finds that out by its groups.
    let key = BlobKey::from_array([1; 32]);
    let junk = sealed_file("junk", (blob, Unsealing { key, ..unsealing }));
    pump.nodes[0].publish(now, &channel, vec![junk]).unwrap();
    pump.settle();
    let item = pump.nodes[1].items(&channel, 0..99).unwrap().pop().unwrap();
    let unsealing = item.unsealing.unwrap();
    let sealer = Sealer::new(seal::chacha20poly1305, &unsealing.key, unsealing.size);
    let mut group = vec![0; 1 << 16];
    pump.nodes[1].store().read_blob(&blob.hash, 0, &mut group).unwrap();
    assert!(sealer.open(0, &mut group).is_err() && group.is_empty());
}

/// What a letter says of how long its text is, to those who cannot read it: little.
// spec: SYNC-48
#[test]
fn texts_of_many_lengths_look_alike() {
    let (mut pump, channel) = line(1);
    for length in 60..120 {
        write(&mut pump, 0, &channel, &"x".repeat(length)).unwrap();
    }
    let mut lengths = std::collections::BTreeSet::new();
    let scan = |_: &[u8], value: &[u8]| {
        lengths.insert(value.len());
        true
    };
    pump.nodes[0].store().scan(Table::Items, channel.as_bytes(), &mut { scan }).unwrap();
    // Those of the genesis and of the key, too.
    assert!(lengths.len() < 2 + 10, "{lengths:?}");
}

// spec: SYNC-40, SYNC-42
#[test]
fn what_does_not_fit_into_a_private_channel_is_refused_in_words() {
    let (mut pump, channel) = line(2);
    let now = pump.now;
    let bytes = content(&mut Rng::from_seed([3; 32]), 100_000);
    let blob = adopt(&mut pump.nodes[0], now, &bytes).unwrap();
    let refused = pump.nodes[0].publish(now, &channel, vec![file("large", blob)]);
    assert_eq!(refused, Err(Refused::WrongSeal));
    let sealed = sealed_file("large", adopt_sealed(&mut pump, 0, &bytes));
    let open = pump.nodes[0].create_channel(now, &Label::new("open").unwrap()).unwrap();
    assert_eq!(pump.nodes[0].publish(now, &open, vec![sealed]), Err(Refused::WrongSeal));
    assert!(Refused::TooLargeToSeal.to_string().contains("15 kB"));
    let longest = "x".repeat(15 << 10);
    write(&mut pump, 0, &channel, &longest).unwrap();
    let mut longest = text(&longest);
    longest.name = Label::new(&"n".repeat(limits::NAME_BYTES)).unwrap();
    pump.nodes[0].publish(now, &channel, vec![longest]).unwrap();
    let over = write(&mut pump, 0, &channel, &"x".repeat(limits::INLINE_BYTES));
    assert_eq!(over, Err(Refused::TooLargeToSeal));
    // Who asks in the manner of an open channel gets no right without a key to seal to.
    let name = ChannelName::default();
    let link = pump.nodes[1].request_right(now, &channel, (name, Right::Write)).unwrap();
    let bare = WriterLink { extensions: Default::default(), ..link };
    assert_eq!(pump.nodes[0].grant(now, &bare, None), Err(Refused::NotAccepted));
}

/// A writer asks for keys to be sealed to a point of small order: nobody can open them, and the
/// owner's node does not try again and again.
// spec: SYNC-41
#[test]
fn who_names_a_key_that_nobody_can_have_reads_nothing() {
    let (mut pump, channel) = line(1);
    let now = pump.now;
    for order in [1, 2] {
        let key = SigningKey::from_seed(&[order; 32]);
        let mut point = [0; 32];
        point[0] = order - 1;
        let extensions = Extensions::one(1, &point).unwrap();
        let mut consent = Wire::to_bytes(&channel).to_vec();
        consent.push(0);
        extensions.write(&mut consent);
        let link = WriterLink {
            channel,
            writer: key.writer(),
            right: Right::Write,
            acceptance: key.sign(Context::Acceptance, &consent),
            name: ChannelName::default(),
            extensions,
        };
        let granted = pump.nodes[0].grant(now, &link, None);
        assert_eq!(granted.is_ok(), order == 2, "zeros name no key at all: {granted:?}");
    }
    let items = pump.nodes[0].channel(&channel).unwrap().items;
    assert_eq!(items, 4, "a genesis, keys, a grant, keys");
    write(&mut pump, 0, &channel, "hello").unwrap();
    assert_eq!(read(&pump, 0, &channel), ["hello"]);
}

/// Three who all know each other, and commands that come while messages are on their way: nobody
/// waits for a repetition.
// spec: SYNC-11, SYNC-14
#[test]
fn commands_amid_messages_leave_nobody_waiting() {
    for seed in 0..300 {
        let mut rng = Rng::from_seed([seed as u8; 32]);
        let mut pump = Pump::new((0..3).map(|seed| node(seed as u8)).collect());
        let now = pump.now;
        let name = Label::new("family").unwrap();
        let channel = pump.nodes[0].create_private_channel(now, &name).unwrap();
        let mut ends = Vec::new();
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            let [here, there] = pump.connect(one, other);
            ends.extend([(one, here, other, there), (other, there, one, here)]);
        }
        let mut some = |pump: &mut Pump| {
            for _ in 0..rng.below(60) {
                let (from, out, to, into) = ends[rng.below(6) as usize];
                if let Some(message) = pump.poll(from, out) {
                    pump.handle(to, Input::Receive(into, message));
                }
            }
        };
        for follower in 1..3 {
            pump.nodes[follower].follow(now, channel).unwrap();
            some(&mut pump);
        }
        pump.exchange(|_, message| Carried::As(message));
        let name: ChannelName = Label::new("Bob").unwrap();
        let link = pump.nodes[1].request_right(now, &channel, (name, Right::Write)).unwrap();
        pump.nodes[0].grant(now, &link, None).unwrap();
        some(&mut pump);
        pump.nodes[0].publish(now, &channel, vec![text("for us")]).unwrap();
        some(&mut pump);
        pump.nodes[0].publish(now, &channel, vec![text("bread")]).unwrap();
        pump.exchange(|_, message| Carried::As(message));
        for node in 0..3 {
            assert_eq!(read(&pump, node, &channel).len(), 2, "seed {seed}, node {node}");
        }
    }
}
