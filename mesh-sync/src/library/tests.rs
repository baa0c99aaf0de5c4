//! What is here stays sound, is passed on only while it is sound, and is accounted for.

use std::vec;
use std::vec::Vec;

use bytes::Bytes;
use mesh_wire::message::sync::{ItemKind, Items, Place, Right};
use mesh_wire::{ChannelId, Label, Rng, UnixTime, limits};

use super::*;
use crate::blob::{Bitmap, BlobId, GROUP, Outboard, PageId};
use crate::channel::{LogId, ORIGIN, log, parents};
use crate::command::{Content, NewItem, Readers};
use crate::store::{MemoryStore, key};

fn rng() -> Rng {
    Rng::from_seed([9; 32])
}

fn bytes(size: usize, seed: u8) -> Vec<u8> {
    (0..size).map(|at| (at / 7) as u8 ^ (at % 251) as u8 ^ seed).collect()
}

fn outboard(bytes: &[u8]) -> Outboard {
    let mut builder = Outboard::builder(bytes.len() as u64);
    bytes.chunks(GROUP as usize).for_each(|group| builder.push(group));
    builder.finish().unwrap()
}

fn file(blob: BlobId) -> NewItem {
    let (name, content) = (Label::default(), Content::Blob(blob));
    NewItem { kind: ItemKind::File, name, content, expires: None }
}

fn text(text: &str) -> NewItem {
    let content = Content::Inline(Bytes::copy_from_slice(text.as_bytes()));
    NewItem { kind: ItemKind::Text, name: Label::default(), content, expires: None }
}

/// A library with one channel of its own.
fn origin() -> (Library<MemoryStore>, ChannelId) {
    let mut library = Library::closed(MemoryStore::default());
    let name = Label::new("files").unwrap();
    let id = library
        .create(UnixTime(1), (&name, Readers::Everybody), &mut Rng::from_seed([1; 32]))
        .unwrap();
    (library, id)
}

/// The log of its origin.
fn log_of(id: ChannelId) -> LogId {
    LogId { channel: id, log: ORIGIN }
}

fn adopt(library: &mut Library<MemoryStore>, bytes: &[u8]) -> BlobId {
    let outboard = outboard(bytes);
    library.store.write_blob(&outboard.id().hash, 0, bytes).unwrap();
    library.adopt(&outboard).unwrap();
    outboard.id()
}

/// A library that follows the channel and has all its items.
fn follower(origin: &mut Library<MemoryStore>, id: ChannelId) -> Library<MemoryStore> {
    let mut library = Library::closed(MemoryStore::default());
    library.follow(id).unwrap();
    let run: Items = origin.run(&log_of(id), 0..u64::MAX, usize::MAX).unwrap().unwrap();
    let verified = log::verify(&library.channels[&id], &run).unwrap();
    library.keep(&id, verified, UnixTime(0)).unwrap();
    library
}

/// What is to be fetched for a channel, in that order.
fn missing(library: &Library<MemoryStore>, id: ChannelId) -> Vec<(u64, BlobId)> {
    let queue = |queue| {
        let mut numbers = 0..u64::MAX;
        core::iter::from_fn(move || {
            let found = library.missing(&id, queue, &numbers).unwrap();
            found.inspect(|(number, _)| numbers.end = *number)
        })
    };
    (0..QUEUES).flat_map(queue).collect()
}

/// Moves one group.
fn carry(
    from: &mut Library<MemoryStore>,
    to: &mut Library<MemoryStore>,
    page: &PageId,
    group: u16,
) -> Result<(), Trouble> {
    let Group::Sound(bytes) = from.group(page, group).unwrap() else { panic!("not sound") };
    let mut here = to.page(page).unwrap();
    to.keep_group(page, &mut here, group, &bytes)
}

// spec: SYNC-18, SYNC-19
#[test]
fn c_01_nothing_is_kept_that_does_not_match_what_is_above_it() {
    let (mut origin, id) = origin();
    let blob = adopt(&mut origin, &bytes(5 * GROUP as usize + 9, 1));
    origin.publish(UnixTime(1), &id, vec![file(blob)], &mut rng()).unwrap();
    let mut here = follower(&mut origin, id);
    let page = PageId { blob, index: 0 };
    assert_eq!(here.cvs_lacking(&page).unwrap(), Some(0));

    let values = origin.cvs(&blob, 0, 0).unwrap().unwrap().to_vec();
    let mut swapped = values.clone();
    swapped.swap(1, 2);
    let mut forged = values.clone();
    forged[5].0[31] ^= 1;
    let longer = [&values[..], &values[..1]].concat();
    for wrong in [swapped, forged, longer, values[..5].to_vec(), vec![]] {
        assert!(matches!(here.keep_cvs(&blob, (0, 0), wrong), Err(Trouble::Fault(_))));
        assert_eq!(here.cvs_lacking(&page).unwrap(), Some(0));
    }
    assert!(matches!(carry(&mut origin, &mut here, &page, 0), Err(Trouble::Fault(_))));
    here.keep_cvs(&blob, (0, 0), values).unwrap();
    assert_eq!(here.cvs_lacking(&page).unwrap(), None);

    let Group::Sound(good) = origin.group(&page, 2).unwrap() else { panic!() };
    let mut map = Bitmap::default();
    for bit in [0, 7, 8 * 1000, 8 * 65_535 + 7] {
        let mut wrong = good.to_vec();
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert!(here.keep_group(&page, &mut map, 2, &wrong).is_err());
    }
    assert!(here.keep_group(&page, &mut map, 3, &good).is_err());
    assert!(here.keep_group(&page, &mut map, 2, &good[1..]).is_err());
    assert!(here.keep_group(&page, &mut map, 2, &[]).is_err());
    assert!(map.is_empty() && here.page(&page).unwrap().is_empty());
    assert_eq!(here.store.blob_bytes(&blob.hash), None, "not a byte was written");
    here.keep_group(&page, &mut map, 2, &good).unwrap();
    assert_eq!(here.groups_here(&blob).unwrap(), Some(1));
}

#[test]
fn sums_follow_what_is_here() {
    let (mut origin, id) = origin();
    let small = adopt(&mut origin, &bytes(20_000, 2));
    let large = adopt(&mut origin, &bytes(200_000, 3));
    let items = vec![text("hello"), file(small), file(large), file(small)];
    origin.publish(UnixTime(1), &id, items, &mut rng()).unwrap();
    let counts = &origin.channels[&id].counts;
    let total = 20_000 * 2 + 200_000;
    assert_eq!((counts.blobs, counts.blobs_here), (3, 3));
    assert_eq!(counts.bytes, counts.bytes_here);

    let mut here = follower(&mut origin, id);
    let counts = &here.channels[&id].counts;
    assert_eq!((counts.blobs, counts.blobs_here), (3, 0));
    assert_eq!(counts.bytes - counts.bytes_here, total);
    assert_eq!(missing(&here, id), [(4, small), (3, large)], "each once, the newest first");

    carry(&mut origin, &mut here, &PageId { blob: small, index: 0 }, 0).unwrap();
    let counts = &here.channels[&id].counts;
    assert_eq!((counts.blobs_here, counts.bytes - counts.bytes_here), (2, 200_000));
    assert_eq!(missing(&here, id), [(3, large)]);

    // A second channel that names the same blob finds it here.
    let other = here.create(
        UnixTime(1),
        (&Label::new("b").unwrap(), Readers::Everybody),
        &mut Rng::from_seed([2; 32]),
    );
    let other = other.unwrap();
    here.publish(UnixTime(1), &other, vec![file(small)], &mut rng()).unwrap();
    assert_eq!(here.channels[&other].counts.blobs_here, 1);
    // It outlives the channel it came from.
    here.unfollow(&id).unwrap();
    assert_eq!(here.groups_here(&small).unwrap(), Some(1));
    assert_eq!(here.groups_here(&large).unwrap(), None);
    assert_eq!(missing(&here, id), []);
    let mut again = Library::closed(here.store.clone());
    again.open().unwrap();
    assert_eq!(again.channels.keys().collect::<Vec<_>>(), [&other]);
    assert_eq!(again.channels[&other].counts, here.channels[&other].counts);
}

#[test]
fn what_is_unfollowed_leaves_nothing_behind() {
    let (mut origin, id) = origin();
    let blob = adopt(&mut origin, &bytes(200_000, 2));
    let brief = |number: u64| {
        let expires = Some(UnixTime(number)).filter(|_| number.is_multiple_of(2));
        NewItem { expires, ..text(&std::format!("{number}")) }
    };
    let many = (1..700).map(brief).chain([file(blob)]);
    origin.publish(UnixTime(1), &id, many.collect(), &mut rng()).unwrap();
    // Some has expired, some is retracted here and there, some is lacking.
    origin.expire(UnixTime(100)).unwrap();
    origin.retract(UnixTime(1), &id, &[7, 8, 9]).unwrap();
    let mut here = Library::closed(MemoryStore::default());
    here.follow(id).unwrap();
    while let Some(run) =
        origin.run(&log_of(id), here.channels[&id].size(ORIGIN)..702, 1 << 20).unwrap()
    {
        let verified = log::verify(&here.channels[&id], &run).unwrap();
        here.keep(&id, verified, UnixTime(0)).unwrap();
    }
    here.expire(UnixTime(200)).unwrap();
    assert!(here.lacking_from(&log_of(id), 0).unwrap().is_none());
    here.lack(&log_of(id), 301, 0).unwrap();
    assert_eq!(here.next_expiry, Some(UnixTime(202)));
    here.unfollow(&id).unwrap();
    assert_eq!(here.next_expiry, None);
    for table in Table::ALL {
        let mut left = 0;
        here.store
            .scan(table, &[], &mut |_, _| {
                left += 1;
                true
            })
            .unwrap();
        assert_eq!(left, 0, "{table:?}");
    }
    assert_eq!(here.store.blob_bytes(&blob.hash), None);
}

// spec: SYNC-20
#[test]
fn k_04_a_rotten_group_is_never_served_and_counts_as_missing() {
    let (mut origin, id) = origin();
    let content = bytes(3 * GROUP as usize, 4);
    let blob = adopt(&mut origin, &content);
    origin.publish(UnixTime(1), &id, vec![file(blob)], &mut rng()).unwrap();
    let page = PageId { blob, index: 0 };
    origin.store.write_blob(&blob.hash, GROUP + 100, &[content[GROUP as usize + 100] ^ 4]).unwrap();
    assert!(matches!(origin.group(&page, 1).unwrap(), Group::Rotten));
    assert!(matches!(origin.group(&page, 1).unwrap(), Group::Missing));
    assert!(matches!(origin.group(&page, 2).unwrap(), Group::Sound(_)));
    assert_eq!(origin.groups_here(&blob).unwrap(), Some(2));
    assert_eq!(origin.channels[&id].counts.blobs_here, 0);
    assert_eq!(missing(&origin, id), [(1, blob)]);
    assert_eq!(origin.lacking_page(&blob, 0).unwrap(), Some(page));
    let mut here = origin.page(&page).unwrap();
    let again = &content[GROUP as usize..2 * GROUP as usize];
    origin.keep_group(&page, &mut here, 1, again).unwrap();
    assert!(matches!(origin.group(&page, 1).unwrap(), Group::Sound(_)));
    assert_eq!(origin.channels[&id].counts.blobs_here, 1);
    assert_eq!(missing(&origin, id), []);
}

// spec: SYNC-20
#[test]
fn k_04_rotten_chaining_values_are_asked_for_again() {
    let (mut origin, id) = origin();
    let blob = adopt(&mut origin, &bytes(3 * GROUP as usize, 4));
    origin.publish(UnixTime(1), &id, vec![file(blob)], &mut rng()).unwrap();
    let key = key::cvs(&blob, 0, 0);
    let mut values = origin.store.get(Table::Cvs, &key).unwrap().unwrap().to_vec();
    values[40] ^= 1;
    origin.store.put(Table::Cvs, &key, &values).unwrap();
    let page = PageId { blob, index: 0 };
    assert_eq!(origin.cvs_lacking(&page).unwrap(), Some(0));
    assert!(matches!(origin.group(&page, 1).unwrap(), Group::Rotten));
    assert_eq!(missing(&origin, id), [(1, blob)]);
    values[40] ^= 1;
    let values = values.as_chunks().0.iter().map(|value| mesh_wire::Hash(*value)).collect();
    origin.keep_cvs(&blob, (0, 0), values).unwrap();
    assert!(matches!(origin.group(&page, 2).unwrap(), Group::Sound(_)));
}

// spec: SYNC-20
#[test]
fn k_04_a_rotten_item_is_never_served_and_can_be_put_back() {
    let (mut origin, id) = origin();
    let texts = (0..9).map(|number| text(&std::format!("text {number}"))).collect();
    origin.publish(UnixTime(1), &id, texts, &mut rng()).unwrap();
    let sound = origin.item(&log_of(id), 4).unwrap().unwrap();
    let key = key::item(&log_of(id), 4);
    let stored = origin.store.get(Table::Items, &key).unwrap().unwrap();
    for at in 0..stored.len() {
        let mut rotten = stored.to_vec();
        rotten[at] ^= 0x10;
        origin.store.put(Table::Items, &key, &rotten).unwrap();
        let run = origin.run(&log_of(id), 0..10, usize::MAX).unwrap().unwrap();
        assert_eq!(run.items.len(), 4, "byte {at}");
        assert_eq!(origin.run(&log_of(id), 4..10, usize::MAX).unwrap(), None);
        assert_eq!(origin.run(&log_of(id), 5..10, usize::MAX).unwrap().unwrap().items.len(), 5);
        assert_eq!(origin.lacking_from(&log_of(id), 0).unwrap(), Some(4));
        let other = origin.item(&log_of(id), 5).unwrap().unwrap();
        origin.repair(&log_of(id), 4, &other).unwrap();
        assert_eq!(origin.lacking_from(&log_of(id), 0).unwrap(), Some(4));
        origin.repair(&log_of(id), 4, &sound).unwrap();
        assert_eq!(origin.lacking_from(&log_of(id), 0).unwrap(), None);
        assert_eq!(origin.run(&log_of(id), 0..10, usize::MAX).unwrap().unwrap().items.len(), 10);
    }
}

/// What has rotted is gone all the same, whichever came first, and takes nothing along that stays.
// spec: SYNC-45, SYNC-46
#[test]
fn k_04_a_rotten_item_that_is_gone_gets_its_header_back_and_nothing_else() {
    for rots_first in [true, false] {
        let (mut origin, id) = origin();
        let blob = adopt(&mut origin, &bytes(200_000, 4));
        let items = vec![text("slip"), file(blob), file(blob), text("stays")];
        origin.publish(UnixTime(1), &id, items, &mut rng()).unwrap();
        let mut here = follower(&mut origin, id);
        let at = log_of(id);
        let rot = |here: &mut Library<MemoryStore>| {
            for seq in [1, 2] {
                here.store.put(Table::Items, &key::item(&at, seq), b"junk").unwrap();
                assert_eq!(here.run(&at, seq..5, usize::MAX).unwrap(), None);
            }
        };
        let retract = |here: &mut Library<MemoryStore>, origin: &mut Library<MemoryStore>| {
            let run = origin.run(&at, 5..6, usize::MAX).unwrap().unwrap();
            let verified = log::verify(&here.channels[&id], &run).unwrap();
            here.keep(&id, verified, UnixTime(0)).unwrap();
        };
        let sound = [1, 2].map(|seq| origin.item(&at, seq).unwrap().unwrap());
        origin.retract(UnixTime(2), &id, &[1, 2]).unwrap();
        if rots_first {
            rot(&mut here);
            retract(&mut here, &mut origin);
        } else {
            retract(&mut here, &mut origin);
            rot(&mut here);
        }
        for (seq, item) in [1, 2].into_iter().zip(&sound) {
            assert!(!here.repair(&at, seq, item).unwrap(), "no content comes back");
        }
        assert_eq!(here.lacking_from(&at, 0).unwrap(), None);
        assert_eq!(here.item(&at, 1).unwrap().unwrap().body.bytes().len(), 0);
        assert_eq!(here.run(&at, 0..6, usize::MAX).unwrap().unwrap().items.len(), 6);
        assert!(here.is_named(&blob, &id).unwrap(), "another item names it");
        let [theirs, ours] = [&origin, &here].map(|library| &library.channels[&id].counts);
        assert_eq!((ours.bytes, ours.blobs), (theirs.bytes, theirs.blobs));
    }
}

#[test]
fn k_04_a_channel_whose_tree_has_rotted_is_set_aside_and_the_rest_is_not() {
    let (mut origin, id) = origin();
    let other = origin.create(
        UnixTime(1),
        (&Label::new("b").unwrap(), Readers::Everybody),
        &mut Rng::from_seed([2; 32]),
    );
    let other = other.unwrap();
    let texts = (0..9).map(|number| text(&std::format!("text {number}"))).collect();
    origin.publish(UnixTime(1), &id, texts, &mut rng()).unwrap();
    let spoil = |table, key: Vec<u8>| {
        let mut store = origin.store.clone();
        let mut value = store.get(table, &key).unwrap().unwrap().to_vec();
        value[3] ^= 1;
        store.put(table, &key, &value).unwrap();
        let mut again = Library::closed(store);
        again.open().unwrap();
        assert!(again.channels[&id].damaged && !again.channels[&other].damaged);
        let refused = again.publish(UnixTime(2), &id, vec![text("more")], &mut rng()).unwrap_err();
        assert_eq!(refused, crate::command::Refused::Damaged);
        assert_eq!(again.run(&log_of(id), 0..1, usize::MAX).unwrap(), None);
    };
    spoil(Table::Nodes, key::tile(&log_of(id), 0, 0));
    spoil(Table::Logs, key::log(&log_of(id)));
    spoil(Table::Charters, key::channel(&id));
    spoil(Table::Items, key::item(&log_of(id), 0));
}

#[test]
fn c_06_giant_blobs_cost_nothing_until_they_come() {
    let (mut origin, id) = origin();
    let blob = BlobId { hash: mesh_wire::Hash([9; 32]), size: limits::BLOB_BYTES };
    origin.publish(UnixTime(1), &id, vec![file(blob)], &mut rng()).unwrap();
    let page = PageId { blob, index: blob.pages() - 1 };
    assert_eq!(origin.lacking_page(&blob, page.index).unwrap(), Some(page));
    assert_eq!(origin.lacking_page(&blob, blob.pages()).unwrap(), None);
    assert_eq!(origin.cvs_lacking(&page).unwrap(), Some(3));
    assert_eq!(origin.store.blob_bytes(&blob.hash), None);
}

/// In a channel for everybody nobody reads a blob in the place of what an item says.
// spec: SYNC-3, SYNC-47
#[test]
fn an_enclosure_in_an_open_channel_is_kept_and_not_shown() {
    let (mut library, id) = origin();
    let blob = adopt(&mut library, &bytes(100_000, 1));
    let content = Bytes::from_static(b"what it says");
    let (mut header, body) =
        channels::written(ItemKind::Text, UnixTime(2), Label::default(), content.clone());
    blob.enclose(&mut header);
    library.extend(&log_of(id), vec![(header, body)]).unwrap();
    assert!(library.is_named(&blob, &id).unwrap());
    let counts = &library.channels[&id].counts;
    assert_eq!((counts.blobs, counts.blobs_here), (1, 1));
    let sync = crate::Sync::open(library.store, rng()).unwrap();
    let (item, body) = sync.item(&id, 1).unwrap().unwrap();
    assert_eq!((item.blob, body), (None, Some(content)));
}

/// Somebody who names what does not exist yet, or others in a circle, hides from nobody what they
/// have read.
// spec: SYNC-49
#[test]
fn g_03_a_lie_about_what_was_read_stands_for_nothing_else() {
    let (mut library, id) = origin();
    for name in ["ada", "bob"] {
        let wish = (Label::new(name).unwrap(), Right::Write);
        let link = library.request(&id, wish, &mut Rng::from_seed([name.as_bytes()[0]; 32]));
        library.grant(UnixTime(1), &link.unwrap(), None).unwrap();
    }
    let at = |log| LogId { channel: id, log };
    let place = |log, seq| Place { log, seq };
    let mut say = |log, named: &[Place]| {
        let body = Bytes::from_static(b"hello");
        let (mut header, body) =
            channels::written(ItemKind::Text, UnixTime(2), Label::default(), body);
        parents::name(&mut header, named);
        library.extend(&at(log), vec![(header, body)]).unwrap();
        library.parents(&at(0)).unwrap()
    };
    assert_eq!(say(2, &[]), [place(2, 0)]);
    assert_eq!(say(1, &[place(2, 1000)]), [place(1, 0), place(2, 0)]);
    assert_eq!(say(1, &[place(2, 0)]), [place(1, 1)]);
    assert_eq!(say(2, &[place(1, 2)]), [place(1, 1), place(2, 1)]);
    assert_eq!(say(1, &[place(2, 1)]), [place(1, 2)]);
}
