//! What goes over a link: what a protocol says, and that a routed message has come.

use mesh_wire::codec::{Output, Reader};
use mesh_wire::{DecodeError, Wire};

use super::Said;

/// A message of the protocol, or the acknowledgement of a routed one.
#[derive(Clone, Debug)]
pub enum Frame<M> {
    /// The routed message with this [`digest`] was heard.
    Acknowledged(u16),
    /// A message.
    Said(M),
}

impl<M> Frame<M> {
    /// The kind of an acknowledgement; protocols use others.
    const ACKNOWLEDGED: u8 = 0x00;
    pub(super) const ACKNOWLEDGEMENT_BYTES: usize = 4;
}

impl<M: Said> Wire for Frame<M> {
    const MIN_SIZE: usize = 2;

    fn size(&self) -> usize {
        match self {
            Self::Acknowledged(_) => Self::ACKNOWLEDGEMENT_BYTES,
            Self::Said(message) => message.size(),
        }
    }

    fn write(&self, out: &mut Output) {
        match self {
            Self::Acknowledged(heard) => {
                out.extend_from_slice(&[Self::ACKNOWLEDGED, 2]);
                out.extend_from_slice(&heard.to_be_bytes());
            }
            Self::Said(message) => message.write(out),
        }
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        if reader.peek().first() != Some(&Self::ACKNOWLEDGED) {
            return M::read(reader).map(Self::Said);
        }
        let [_, _, high, low] = reader.array()?;
        Ok(Self::Acknowledged(u16::from_be_bytes([high, low])))
    }
}

/// What a message is called in its acknowledgement: 16 bits of its FNV-1a hash.
pub(super) fn digest(message: &impl Wire) -> u16 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    (message.to_bytes().iter().fold(0xcbf2_9ce4_8422_2325, mix) >> 48) as u16
}
