//! What the frames of a handshake look like: a type byte, then what is below.

use alloc::vec::Vec;

use bytes::Bytes;

use super::HandshakeError;
use crate::codec::{Extensions, List, Problem, Reader};
use crate::{Carrier, DecodeError, Wire, layout, limits};

/// Type of the first message, from the end that dialled.
pub(crate) const HELLO: u8 = 0x10;
/// Type of the second message.
pub(super) const ANSWER: u8 = 0x11;
/// Type of the third message.
pub(super) const FINISH: u8 = 0x12;
/// Type of the demand to repeat the first message with a cookie.
pub(super) const RETRY: u8 = 0x13;

/// Versions of the protocol one side speaks: at least one, ascending.
pub type Versions = List<u8, { limits::VERSIONS }>;

layout! {
    /// What each end tells the other about itself inside the handshake.
    pub struct Introduction {
        /// What later versions add.
        extensions: Extensions,
    }
}

layout! {
    /// What the responder says in the second message.
    pub struct Answer {
        /// The versions it speaks.
        versions: Versions,
        /// The one both will speak.
        choice: u8,
        /// Who it is.
        introduction: Introduction,
    }
}

layout! {
    /// Come again with this cookie.
    pub struct Retry {
        /// The hello that is meant: the first half of its hash.
        hello: [u8; 16],
        /// Goes into the hello's cookie.
        cookie: [u8; 16],
    }
}

/// Bytes of an answer around its introduction: type, `e`, `s`, tag, list, choice.
const ANSWER_BYTES: usize = 1 + 32 + 48 + 16 + (1 + limits::VERSIONS) + 1;
// No answer, not even with all the extensions there may be, is three times its hello.
const _: () = assert!(ANSWER_BYTES + 2 + limits::EXTENSION_BYTES <= 3 * limits::HELLO_BYTES);
const _: () = assert!(ANSWER_BYTES + 2 + limits::EXTENSION_BYTES <= limits::HANDSHAKE_BYTES);

/// The first message: a cookie (zeros without one), the versions, then Noise's message, whose
/// payload is padding.
pub(super) struct Hello {
    pub(super) versions: Versions,
    pub(super) noise: Bytes,
}

impl Hello {
    /// The frame around Noise's message.
    pub(super) fn frame(versions: &Versions, noise: &[u8]) -> Vec<u8> {
        let mut frame = Vec::with_capacity(1 + 16 + versions.size() + noise.len());
        frame.push(HELLO);
        [0; 16].write(&mut frame);
        versions.write(&mut frame);
        frame.extend_from_slice(noise);
        frame
    }

    /// How much padding the payload needs on `carrier`.
    // spec: SESSION-4
    pub(super) fn padding(versions: &Versions, carrier: Carrier) -> usize {
        match carrier {
            Carrier::Stream => 0,
            Carrier::Datagram => limits::HELLO_BYTES.saturating_sub(1 + 16 + versions.size() + 32),
        }
    }

    /// Reads the frame.
    pub(super) fn read(frame: &[u8], carrier: Carrier) -> Result<Self, HandshakeError> {
        if carrier == Carrier::Datagram && frame.len() < limits::HELLO_BYTES {
            return Err(HandshakeError::Size);
        }
        let mut reader = Reader::new(Bytes::copy_from_slice(frame));
        reader.at("Hello.type").byte()?;
        reader.at("Hello.cookie").take(16)?;
        let versions = Versions::read(reader.at("Hello.versions"))?;
        check_versions(&versions, "Hello.versions")?;
        let noise = reader.rest();
        if noise.len() < 32 {
            return Err(reader.at("Hello.noise").error(Problem::Truncated).into());
        }
        Ok(Self { versions, noise })
    }

    /// The initiator's ephemeral key.
    pub(super) fn ephemeral(&self) -> Option<&[u8; 32]> {
        self.noise.first_chunk()
    }
}

/// The cookie of a hello and the hash of everything behind it; `None` if `frame` is no hello of
/// a datagram. Allocates nothing: strangers can have this done as often as they like.
pub(crate) fn cookie_and_hash(frame: &[u8]) -> Option<(&[u8; 16], [u8; 32])> {
    let (kind, rest) = frame.split_first()?;
    let (cookie, rest) = rest.split_first_chunk()?;
    let sized = (limits::HELLO_BYTES..=limits::HANDSHAKE_BYTES).contains(&frame.len());
    (*kind == HELLO && sized).then(|| (cookie, *blake3::hash(rest).as_bytes()))
}

/// The frame that asks for a hello with a cookie.
pub(crate) fn retry_frame(hash: &[u8; 32], cookie: [u8; 16]) -> [u8; 33] {
    let mut frame = [RETRY; 33];
    let parts = hash.iter().take(16).chain(&cookie);
    for (into, byte) in frame.iter_mut().skip(1).zip(parts) {
        *into = *byte;
    }
    frame
}

/// Refuses an empty list and one that does not ascend.
pub(super) fn check_versions(versions: &Versions, field: &'static str) -> Result<(), DecodeError> {
    let mut last = None;
    for version in versions.iter() {
        if last.is_some_and(|last| version <= last) {
            return Err(DecodeError { field, problem: Problem::Unsorted });
        }
        last = Some(version);
    }
    last.map(|_| ()).ok_or(DecodeError { field, problem: Problem::TooShort })
}

/// The highest version in both lists.
// spec: SESSION-5
pub(super) fn highest_common(a: &Versions, b: &Versions) -> Option<u8> {
    a.iter().filter(|version| b.iter().any(|other| other == *version)).max()
}

/// What both ends must agree on before the first message means anything.
// spec: SESSION-3
pub(super) fn prologue(carrier: Carrier, network: &[u8; 32], versions: &Versions) -> Vec<u8> {
    let mut bytes = Vec::from(b"mesh/1");
    bytes.push(match carrier {
        Carrier::Stream => 0,
        Carrier::Datagram => 1,
    });
    network.write(&mut bytes);
    versions.write(&mut bytes);
    bytes
}
