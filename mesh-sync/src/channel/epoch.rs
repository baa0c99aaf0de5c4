//! What only members read: the keys of a private channel, and what is sealed under them.

use alloc::vec::Vec;

use bytes::Bytes;
use mesh_wire::codec::{Extensions, List, Opaque, Reader, Wire, varint};
use mesh_wire::enclosure;
use mesh_wire::id::SealingKey;
use mesh_wire::message::sync::{EpochKey, EpochKeys, ItemHeader, Letter, SealedBody, Unsealing};
use mesh_wire::sealed::{self, OpeningKey};
use mesh_wire::sign::SigningKey;
use mesh_wire::{ChannelId, Hash, Rng, limits};
use zeroize::Zeroizing;

use super::{Channel, charter::Charter};
use crate::blob::BlobId;
use crate::command::Refused;

/// Derives what a writer opens keys with from the seed of what it signs with.
const OPENING_CONTEXT: &str = "mesh/1 opening key of a writer";
/// What a key of an epoch is sealed for.
const EPOCH_INFO: &[u8] = b"mesh/1 key of an epoch";
/// No key is sealed to it.
pub(crate) const NOBODY: SealingKey = SealingKey([0; 32]);
/// The extension of a genesis, a grant or a writer's link that holds a [`SealingKey`].
pub(crate) const SEALING: u64 = 1;

/// The key of an epoch.
pub(crate) type EpochSecret = Zeroizing<[u8; 32]>;

/// What a writer has to itself.
pub(crate) struct Secret {
    pub(crate) sign: SigningKey,
    pub(crate) open: OpeningKey,
}

impl Secret {
    /// All that follows from 32 random bytes.
    pub(crate) fn from_seed(seed: &[u8; 32]) -> Self {
        let open = Zeroizing::new(blake3::derive_key(OPENING_CONTEXT, seed));
        Self { sign: SigningKey::from_seed(seed), open: OpeningKey::from_seed(&open) }
    }

    /// The extensions that tell others what to seal to.
    pub(crate) fn sealing(&self) -> Extensions {
        Extensions::one(SEALING, self.open.sealing_key().as_bytes()).unwrap_or_default()
    }
}

/// What is to be sealed to, if these extensions name it.
// spec: SYNC-40
pub(crate) fn sealing(extensions: &Extensions) -> Option<SealingKey> {
    let key = SealingKey::from_bytes(extensions.get(SEALING)?).ok()?;
    (key != NOBODY).then_some(key)
}

/// A key of an epoch is of use for one member in one channel only.
fn info(channel: &ChannelId, epoch: u32, log: u32) -> Vec<u8> {
    let mut info = EPOCH_INFO.to_vec();
    channel.write(&mut info);
    varint::write(u64::from(epoch), &mut info);
    varint::write(u64::from(log), &mut info);
    info
}

/// The key of the next epoch, for everybody who may write by now.
// spec: SYNC-41
pub(crate) fn keys(id: &ChannelId, charter: &Charter, rng: &mut Rng) -> EpochKeys {
    let secret = EpochSecret::new(rng.bytes());
    let epoch = charter.epochs();
    let mut keys = Vec::new();
    for (log, writer) in charter.writers().filter(|(_, writer)| writer.is_open()) {
        let info = info(id, epoch, log);
        // Who named a key that nobody can have is a member who reads nothing.
        let sealed = sealed::seal_key(&writer.sealing, &info, &secret, rng);
        let sealed = sealed.unwrap_or([0; sealed::SEALED_KEY_BYTES]);
        keys.push(EpochKey { log, sealed });
    }
    let keys = List::new(&keys);
    EpochKeys { epoch, keys, extensions: Extensions::default() }
}

impl Channel {
    /// The key of an epoch, if it was sealed to this node.
    // spec: SYNC-41
    pub(crate) fn opened(&self, keys: &EpochKeys) -> Option<EpochSecret> {
        let ours = |log: u32| self.keys.get(&self.charter.writer(log)?.key);
        let open = |key: EpochKey| {
            let info = info(&self.id, keys.epoch, key.log);
            ours(key.log)?.open.open_key(&info, &key.sealed).map(EpochSecret::new)
        };
        keys.keys.iter().find_map(open)
    }

    /// A letter as the body of an item that only members read, and as long as many others.
    // spec: SYNC-42, SYNC-48
    pub(crate) fn seal(&self, letter: &Letter, rng: &mut Rng) -> Result<Bytes, Refused> {
        let epoch = self.charter.epochs().checked_sub(1).ok_or(Refused::NoKey)?;
        let key = self.epochs.get(&epoch).ok_or(Refused::NoKey)?;
        let mut letter = Zeroizing::new(letter.to_bytes().to_vec());
        let length = letter.len();
        let padded = enclosure::padded(length as u64).min(limits::LETTER_BYTES as u64);
        letter.resize(length.max(padded as usize), 0);
        let sealed = sealed::seal(key, self.id.as_bytes(), &letter, rng);
        let sealed = sealed.and_then(|sealed| Opaque::new(sealed.into()));
        let sealed = sealed.ok_or(Refused::TooLarge("the content"))?;
        Ok(SealedBody { epoch, sealed }.to_bytes())
    }

    /// What an item of a private channel says, if this node may read it.
    // spec: SYNC-42, SYNC-47
    pub(crate) fn open(&self, header: &ItemHeader, body: &Bytes) -> Option<Opened> {
        let body = SealedBody::from_bytes(body.clone()).ok()?;
        let key = self.epochs.get(&body.epoch)?;
        let letter = sealed::open(key, self.id.as_bytes(), body.sealed.bytes())?;
        let Letter { name, content } = Letter::read(&mut Reader::new(letter)).ok()?;
        let body = content.into_bytes();
        let (size, hash, unsealing) = match BlobId::of(header) {
            None => (body.len() as u64, Hash(*blake3::hash(&body).as_bytes()), None),
            Some(blob) => {
                let unsealing = Unsealing::from_bytes(body.clone()).ok()?;
                let fits = blob.size == enclosure::sealed_size(unsealing.size);
                let unsealing = Some(unsealing).filter(|_| fits)?;
                (unsealing.size, unsealing.hash, Some(unsealing))
            }
        };
        Some(Opened { header: ItemHeader { name, size, hash, ..header.clone() }, body, unsealing })
    }
}

/// An item of a private channel as those read it who may.
pub(crate) struct Opened {
    /// As it would be in a channel for everybody.
    pub(crate) header: ItemHeader,
    pub(crate) body: Bytes,
    /// What it takes to read the blob that it encloses.
    pub(crate) unsealing: Option<Unsealing>,
}
