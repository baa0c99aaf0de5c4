//! The arithmetic of blobs against BLAKE3 itself.

use std::vec::Vec;

use mesh_wire::codec::Extensions;
use mesh_wire::message::sync::ItemKind;
use mesh_wire::{Hash, Label, UnixTime, limits};

use super::*;

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 31 + at / 251) as u8).collect()
}

fn outboard(bytes: &[u8]) -> Outboard {
    let mut builder = Outboard::builder(bytes.len() as u64);
    bytes.chunks(GROUP as usize).for_each(|group| builder.push(group));
    builder.finish().unwrap()
}

// spec: SYNC-15
#[test]
fn a_blob_is_named_by_the_plain_hash_of_its_bytes() {
    let group = GROUP as usize;
    let page = PAGE as usize * group;
    let sizes = [1, 1024, group - 1, group, group + 1, 2 * group, 3 * group + 5, 40 * group - 1];
    for size in sizes.into_iter().chain([page - 1, page, page + 1, page + 5 * group]) {
        let bytes = bytes(size);
        let id = outboard(&bytes).id();
        assert_eq!((id.hash.0, id.size), (*blake3::hash(&bytes).as_bytes(), size as u64));
    }
}

// spec: SYNC-15
#[test]
fn a_blob_has_the_pages_that_its_size_says() {
    for (groups, levels) in [(1, 0), (2, 1), (1024, 1), (1025, 2), (1 << 20, 2), ((1 << 20) + 1, 3)]
    {
        let blob = BlobId { hash: Hash([0; 32]), size: groups * GROUP };
        assert_eq!((blob.groups(), blob.levels()), (groups, levels));
        assert_eq!(blob.pages(), groups.div_ceil(1024));
    }
    let largest = BlobId { hash: Hash([0; 32]), size: limits::BLOB_BYTES };
    assert_eq!((largest.levels(), largest.values(3, 0), largest.values(3, 1)), (4, 16, 0));
    let odd = BlobId { hash: Hash([0; 32]), size: 1024 * GROUP + 3 };
    assert_eq!((odd.values(0, 0), odd.values(0, 1), odd.values(0, 2)), (1024, 1, 0));
    assert_eq!(odd.values(1, 0), 2);
    assert_eq!(
        (odd.group_bytes(1023), odd.group_bytes(1024), odd.group_bytes(1025)),
        (65536, 3, 0)
    );
}

#[test]
fn an_outboard_has_one_value_per_group_and_level() {
    let bytes = bytes((PAGE as usize + 2) * GROUP as usize);
    let outboard = outboard(&bytes);
    let pages: Vec<_> = outboard.pages().map(|(level, page, v)| (level, page, v.len())).collect();
    assert_eq!(pages, [(0, 0, 1024), (0, 1, 2), (1, 0, 2)]);
    for (level, page, values) in outboard.pages().filter(|(level, _, _)| *level == 0) {
        assert_eq!(values.len(), outboard.id().values(level, page));
        let group = page * PAGE;
        let at = (group * GROUP) as usize;
        let first = group_hash(outboard.id().size, group, &bytes[at..at + GROUP as usize]);
        assert_eq!(values[0], first);
    }
    let mut short = Outboard::builder(3 * GROUP);
    short.push(&bytes[..GROUP as usize]);
    assert_eq!(short.finish(), None);
    assert_eq!(Outboard::builder(0).finish(), None);
}

// spec: SYNC-15
#[test]
fn c_02_a_node_is_no_group_and_a_group_no_node() {
    let bytes = bytes(2 * GROUP as usize);
    let outboard = outboard(&bytes);
    let (_, _, values) = outboard.pages().next().unwrap();
    let both = [values[0].0, values[1].0].concat();
    assert_ne!(group_hash(64, 0, &both), outboard.id().hash);
    assert_ne!(group_hash(outboard.id().size, 0, &both), outboard.id().hash);
    assert_ne!(fold(values), fold_root(values));
    assert_eq!(fold_root(&values[..1]), None);
    assert_eq!(fold_root(&[]), None);
    // Hostile numbers do not overflow.
    let huge = BlobId { hash: Hash([0; 32]), size: 1 << 63 };
    assert!(huge.levels() <= 5 && huge.values(0, u64::MAX) == 0);
    assert_eq!(huge.group_bytes(u64::MAX), 0);
    let _ = group_hash(u64::MAX, u64::MAX, &bytes);
}

// spec: SYNC-3, SYNC-47
#[test]
fn an_item_names_its_content_or_what_it_encloses_if_that_is_a_blob() {
    let header = |size| ItemHeader {
        kind: ItemKind::File,
        time: UnixTime(0),
        name: Label::default(),
        size,
        hash: Hash([1; 32]),
        extensions: Default::default(),
    };
    let inline = limits::INLINE_BYTES as u64;
    let blob = |hash, size| BlobId { hash: Hash([hash; 32]), size };
    for size in [0, inline, inline + 1, limits::BLOB_BYTES, limits::BLOB_BYTES + 1] {
        let is_blob = size > inline && size <= limits::BLOB_BYTES;
        assert_eq!(BlobId::of(&header(size)), is_blob.then_some(blob(1, size)));
        let mut letter = header(700);
        blob(2, size).enclose(&mut letter);
        assert_eq!(BlobId::of(&letter), is_blob.then_some(blob(2, size)));
    }
    let mut both = header(inline + 1);
    blob(2, inline + 2).enclose(&mut both);
    assert_eq!(BlobId::of(&both), Some(blob(1, inline + 1)));
    let mut junk = header(700);
    junk.extensions = Extensions::one(5, &[7; 20]).unwrap();
    assert_eq!(BlobId::of(&junk), None);
}
