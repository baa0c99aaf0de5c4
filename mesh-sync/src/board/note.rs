//! A note: what somebody has written on a board, and the author's signature.

use alloc::vec::Vec;

use bytes::Bytes;
use mesh_wire::codec::Wire;
use mesh_wire::message::sync::{Author, Item, ItemHeader, ItemKind, Note, Place, Withdrawal};
use mesh_wire::sign::{self, Context, SigningKey};
use mesh_wire::{ChannelId, Fault, Hash, UnixTime, limits};

use super::NOTES;
use crate::channel::item::{self, Checked};
use crate::library::expiry;
use crate::merkle::tree;
use crate::set::Key;

/// The extension of a header that holds its [`Author`].
const AUTHOR: u64 = 7;

/// A note that its author wrote so, ready to be kept.
pub(crate) struct Written {
    pub(crate) key: Key,
    pub(crate) author: Author,
    pub(crate) item: Item,
    pub(crate) checked: Checked,
    pub(crate) signature: [u8; 64],
}

impl Written {
    /// Bytes of all of it.
    pub(crate) fn bytes(&self) -> u64 {
        (self.item.size() + self.signature.len()) as u64
    }

    /// Bytes that it takes here, with what is noted of those that it takes away.
    pub(crate) fn weight(&self) -> u64 {
        let noted = withdrawn(&self.checked.header, &self.checked.body).len();
        self.bytes() + (noted * limits::SET_KEY_BYTES) as u64
    }
}

/// The key in the set of the note with this header; `None` if it has none.
// spec: SYNC-62
pub(crate) fn key(header: &Bytes) -> Option<Key> {
    let ItemHeader { time, .. } = ItemHeader::from_bytes(header.clone()).ok()?;
    Some(Key::new(time, tree::leaf(header)))
}

/// Who wrote the note with this header.
// spec: SYNC-62
pub(crate) fn author(header: &ItemHeader) -> Option<Author> {
    Author::from_bytes(header.extensions.get(AUTHOR)?).ok()
}

/// The header with its author's name in it.
pub(crate) fn name(header: ItemHeader, author: &Author) -> Option<ItemHeader> {
    let extensions = header.extensions.with(AUTHOR, &author.to_bytes())?;
    Some(ItemHeader { extensions, ..header })
}

/// What is signed.
// spec: SYNC-62
fn message(channel: &ChannelId, leaf: &Hash) -> Vec<u8> {
    [channel.as_bytes().as_slice(), leaf.as_bytes()].concat()
}

/// A note, signed.
// spec: SYNC-62
pub(crate) fn sign(channel: &ChannelId, item: &Item, key: &SigningKey) -> Note {
    let leaf = tree::leaf(item.header.bytes());
    let signature = key.sign(Context::Note, &message(channel, &leaf));
    Note { header: item.header.clone(), body: item.body.clone(), signature }
}

/// Checks all that there is to check of a note: the same everywhere, whatever the time is.
// spec: SYNC-62
pub(crate) fn verify(channel: &ChannelId, note: Note) -> Result<Written, Fault> {
    checked(channel, note).ok_or(Fault::Forged("a note that its author did not write"))
}

fn checked(channel: &ChannelId, note: Note) -> Option<Written> {
    let Note { header, body, signature } = note;
    let item = Item { header, body };
    let checked = item::check(&Place { log: NOTES, seq: 0 }, &item).ok()?;
    let author = author(&checked.header)?;
    let is_sound = match checked.header.kind {
        ItemKind::Text | ItemKind::File => item::holds(&checked.header, &checked.body),
        ItemKind::Retract => withdrawal(&checked).is_some(),
        ItemKind::Genesis
        | ItemKind::Grant
        | ItemKind::Checkpoint
        | ItemKind::Keys
        | ItemKind::Origins => false,
    };
    let signed = message(channel, &checked.leaf);
    let is_signed = || sign::verify(&author.key, Context::Note, &signed, &signature).is_ok();
    let key = Key::new(checked.header.time, checked.leaf);
    (is_sound && is_signed()).then_some(Written { key, author, item, checked, signature })
}

/// The notes that this one takes away, if they are its author's to take: none newer than itself.
// spec: SYNC-65
pub(crate) fn withdrawn(header: &ItemHeader, body: &Bytes) -> Vec<Key> {
    let content = match header.kind {
        ItemKind::Retract => Withdrawal::from_bytes(body.clone()).ok(),
        ItemKind::Text
        | ItemKind::File
        | ItemKind::Genesis
        | ItemKind::Grant
        | ItemKind::Checkpoint
        | ItemKind::Keys
        | ItemKind::Origins => None,
    };
    let named = content.iter().flat_map(|content| content.notes.iter());
    named.map(Key::from).filter(|key| key.time() <= header.time).collect()
}

fn withdrawal(checked: &Checked) -> Option<Withdrawal> {
    let is_inside = item::holds(&checked.header, &checked.body)
        && checked.header.size <= limits::INLINE_BYTES as u64;
    Withdrawal::from_bytes(checked.body.clone()).ok().filter(|_| is_inside)
}

/// When all that there is of a note goes.
// spec: SYNC-65
pub(crate) fn end(header: &ItemHeader) -> UnixTime {
    let life = limits::NOTE_LIFE.as_millis() as u64;
    let end = UnixTime(header.time.0.saturating_add(life));
    expiry(header).map_or(end, |moment| moment.min(end))
}

/// A note as it travels.
pub(crate) fn travelling(item: Item, signature: [u8; 64]) -> Note {
    Note { header: item.header, body: item.body, signature }
}

/// The body of a withdrawal is short enough whatever it names.
const _: () = assert!(limits::RETRACTED_ITEMS * limits::SET_KEY_BYTES + 8 <= limits::INLINE_BYTES);
