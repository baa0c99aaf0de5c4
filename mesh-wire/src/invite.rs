//! Links that people pass to each other: `mesh:` and letters and digits.

use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use bytes::Bytes;
use data_encoding::BASE32_NOPAD;
use thiserror::Error;

use crate::codec::{Extensions, Wire};
use crate::id::WriterId;
use crate::message::sync::Right;
use crate::origin::OriginUrl;
use crate::{ChannelId, Label, layout, limits};

/// All that a follower needs: the channel's id, and perhaps where on the web the channel is, too.
/// Written as `mesh:` and the base32 form (RFC 4648, without padding, lower or upper case) of: kind
/// (1 byte, 1 for a channel, 3 with a url), the id (32 bytes), the url, and the first 4 bytes of
/// the BLAKE3 hash of what stands before, so that a slip of the pen is noticed.
// spec: WIRE-10
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelLink {
    /// The channel.
    pub channel: ChannelId,
    /// Where to get it if nobody around has it.
    pub origin: Option<OriginUrl>,
}

impl From<ChannelId> for ChannelLink {
    fn from(channel: ChannelId) -> Self {
        Self { channel, origin: None }
    }
}

layout! {
    /// Somebody would write in a channel: who its owner gives the right to, and the consent that
    /// goes with it. Written like a [`ChannelLink`], as kind 2.
    // spec: WIRE-12
    pub struct WriterLink {
        /// The channel.
        channel: ChannelId,
        /// The key that would sign.
        writer: WriterId,
        /// What it would do.
        right: Right,
        /// The key's signature under that.
        acceptance: [u8; 64],
        /// How people know the writer.
        name: Label<{ limits::CHANNEL_NAME_BYTES }>,
        /// Of a private channel: the key to which its keys are to be sealed.
        extensions: Extensions,
    }
}

/// Why a text is not a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadLink {
    /// It does not look like one.
    #[error("a link is mesh: and letters and digits, at least 60 of them")]
    Shape,
    /// It looks like one, but was changed on its way.
    #[error("the link is damaged: a character was lost or changed on its way here")]
    Damaged,
    /// It is a writer's link where a channel's is wanted.
    #[error("this is what a writer gives to a channel's owner, not a link to a channel")]
    Writer,
    /// It is a channel's link where a writer's is wanted.
    #[error(
        "this is a link to a channel, not what a writer gives to its owner: they get it from \
         `mesh channel request`"
    )]
    Channel,
    /// It is a link to something else.
    #[error("perhaps a newer mesh knows what this link is to")]
    OtherKind,
}

const CHANNEL: u8 = 1;
const WRITER: u8 = 2;
const CHANNEL_AT: u8 = 3;
/// Bytes of the hash behind the rest.
const CHECK: usize = 4;
/// The longest text of a link that is looked at.
const LONGEST: usize = 512;

impl fmt::Display for ChannelLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(origin) = &self.origin else {
            return write(f, CHANNEL, self.channel.as_bytes());
        };
        write(f, CHANNEL_AT, &[self.channel.as_bytes(), &*origin.to_bytes()].concat())
    }
}

impl fmt::Display for WriterLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, WRITER, &self.to_bytes())
    }
}

impl FromStr for ChannelLink {
    type Err = BadLink;

    // spec: WIRE-10
    fn from_str(text: &str) -> Result<Self, BadLink> {
        match read(text)? {
            (CHANNEL, id) => ChannelId::from_bytes(id).map(Self::from).map_err(|_| BadLink::Shape),
            (CHANNEL_AT, mut fields) if fields.len() > ChannelId::MIN_SIZE => {
                let url = fields.split_off(ChannelId::MIN_SIZE);
                let channel = ChannelId::from_bytes(fields).map_err(|_| BadLink::Shape)?;
                let origin = OriginUrl::from_bytes(url).map_err(|_| BadLink::Shape)?;
                Ok(Self { channel, origin: Some(origin) })
            }
            (WRITER, _) => Err(BadLink::Writer),
            _ => Err(BadLink::OtherKind),
        }
    }
}

impl FromStr for WriterLink {
    type Err = BadLink;

    // spec: WIRE-12
    fn from_str(text: &str) -> Result<Self, BadLink> {
        match read(text)? {
            (WRITER, fields) => Self::from_bytes(fields).map_err(|_| BadLink::Shape),
            (CHANNEL | CHANNEL_AT, _) => Err(BadLink::Channel),
            _ => Err(BadLink::OtherKind),
        }
    }
}

fn write(f: &mut fmt::Formatter<'_>, kind: u8, fields: &[u8]) -> fmt::Result {
    let mut bytes = Vec::with_capacity(1 + fields.len() + CHECK);
    bytes.push(kind);
    bytes.extend_from_slice(fields);
    let check = blake3::hash(&bytes);
    bytes.extend(check.as_bytes().iter().take(CHECK));
    write!(f, "mesh:{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
}

/// The kind of a link, and what stands behind it.
fn read(text: &str) -> Result<(u8, Bytes), BadLink> {
    let (scheme, rest) = text.trim().split_once(':').ok_or(BadLink::Shape)?;
    if !scheme.eq_ignore_ascii_case("mesh") || rest.len() > LONGEST {
        return Err(BadLink::Shape);
    }
    let bytes = BASE32_NOPAD.decode(rest.to_ascii_uppercase().as_bytes());
    let bytes = bytes.map_err(|_| BadLink::Shape)?;
    let (body, check) = bytes.split_last_chunk::<CHECK>().ok_or(BadLink::Shape)?;
    let (kind, fields) = body.split_first().ok_or(BadLink::Shape)?;
    if *kind == CHANNEL && fields.len() != ChannelId::MIN_SIZE {
        return Err(BadLink::Shape);
    }
    if !blake3::hash(body).as_bytes().starts_with(check) {
        return Err(BadLink::Damaged);
    }
    Ok((*kind, Bytes::copy_from_slice(fields)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};

    // spec: WIRE-10
    #[test]
    fn links_read_what_they_write_and_notice_every_slip() {
        let link = ChannelLink::from(ChannelId(core::array::from_fn(|i| i as u8)));
        let text = link.to_string();
        assert_eq!(text.len(), 65);
        assert_eq!(text.parse(), Ok(link.clone()));
        assert_eq!(text.to_uppercase().parse(), Ok(link.clone()));
        for at in 5..text.len() {
            let mut slip: String = text.clone();
            let other = if &text[at..=at] == "a" { "b" } else { "a" };
            slip.replace_range(at..=at, other);
            assert!(slip.parse::<ChannelLink>().is_err(), "{slip}");
        }
        for bad in ["", "mesh:", "mesh:aa", "http://x", &text[..64], &(text.clone() + "a")] {
            assert!(bad.parse::<ChannelLink>().is_err(), "{bad}");
        }
        let url = "http://h".parse().unwrap();
        let link = ChannelLink { origin: Some(url), ..link };
        let text = link.to_string();
        assert_eq!(text.parse(), Ok(link));
        assert_eq!(text.parse::<WriterLink>(), Err(BadLink::Channel));
    }

    // spec: WIRE-12
    #[test]
    fn a_writers_link_is_no_channels_link_and_the_other_way_round() {
        let channel = ChannelId([7; 32]);
        let link = WriterLink {
            channel,
            writer: WriterId([8; 32]),
            right: Right::Succeed,
            acceptance: [9; 64],
            name: Label::new("Ada's telephone").unwrap(),
            extensions: Extensions::one(1, &[7; 32]).unwrap(),
        };
        let text = link.to_string();
        assert_eq!(text.parse(), Ok(link.clone()));
        assert_eq!(text.parse::<ChannelLink>(), Err(BadLink::Writer));
        assert_eq!(
            ChannelLink::from(channel).to_string().parse::<WriterLink>(),
            Err(BadLink::Channel)
        );
        let longest = WriterLink { name: Label::new(&"n".repeat(64)).unwrap(), ..link };
        assert_eq!(longest.to_string().parse(), Ok(longest));
        let slip = text.replacen("a", "b", 1);
        assert!(slip.parse::<WriterLink>().is_err());
    }
}
