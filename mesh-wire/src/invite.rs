//! Links that people pass to each other: `mesh:` and 60 letters and digits.

use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use data_encoding::BASE32_NOPAD;
use thiserror::Error;

use crate::ChannelId;

/// All that a follower needs: the channel's id. Written as `mesh:` and the base32 form (RFC 4648,
/// without padding, lower or upper case) of: kind (1 byte, 1 for a channel), the id (32 bytes),
/// and the first 4 bytes of the BLAKE3 hash of what stands before, so that a slip of the pen is
/// noticed.
// spec: WIRE-10
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelLink(pub ChannelId);

/// Why a text is not a channel link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadLink {
    /// It does not look like one.
    #[error("a channel link is mesh: and 60 letters and digits")]
    Shape,
    /// It looks like one, but was changed on its way.
    #[error("the link is damaged: a character was lost or changed on its way here")]
    Damaged,
    /// It is a link to something else.
    #[error("this link is not to a channel; perhaps a newer mesh knows what it is")]
    OtherKind,
}

const CHANNEL: u8 = 1;
const LENGTH: usize = 1 + 32 + 4;

impl fmt::Display for ChannelLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.push(CHANNEL);
        bytes.extend_from_slice(self.0.as_bytes());
        let check = blake3::hash(&bytes);
        bytes.extend(check.as_bytes().iter().take(4));
        write!(f, "mesh:{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
    }
}

impl FromStr for ChannelLink {
    type Err = BadLink;

    // spec: WIRE-10
    fn from_str(text: &str) -> Result<Self, BadLink> {
        let (scheme, rest) = text.trim().split_once(':').ok_or(BadLink::Shape)?;
        if !scheme.eq_ignore_ascii_case("mesh") || rest.len() > 2 * LENGTH {
            return Err(BadLink::Shape);
        }
        let bytes = BASE32_NOPAD
            .decode(rest.to_ascii_uppercase().as_bytes())
            .map_err(|_| BadLink::Shape)?;
        let bytes: [u8; LENGTH] = bytes.try_into().map_err(|_| BadLink::Shape)?;
        let Some((kind, id, check)) = split(&bytes) else { return Err(BadLink::Shape) };
        let (body, _) = bytes.split_at(1 + 32);
        if !blake3::hash(body).as_bytes().starts_with(check) {
            return Err(BadLink::Damaged);
        }
        if kind == CHANNEL { Ok(Self(ChannelId(id))) } else { Err(BadLink::OtherKind) }
    }
}

fn split(bytes: &[u8; LENGTH]) -> Option<(u8, [u8; 32], &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let (id, check) = rest.split_first_chunk::<32>()?;
    Some((*kind, *id, check))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};

    // spec: WIRE-10
    #[test]
    fn links_read_what_they_write_and_notice_every_slip() {
        let link = ChannelLink(ChannelId(core::array::from_fn(|i| i as u8)));
        let text = link.to_string();
        assert_eq!(text.len(), 65);
        assert_eq!(text.parse(), Ok(link));
        assert_eq!(text.to_uppercase().parse(), Ok(link));
        for at in 5..text.len() {
            let mut slip: String = text.clone();
            let other = if &text[at..=at] == "a" { "b" } else { "a" };
            slip.replace_range(at..=at, other);
            assert!(slip.parse::<ChannelLink>().is_err(), "{slip}");
        }
        for bad in ["", "mesh:", "mesh:aa", "http://x", &text[..64], &(text.clone() + "a")] {
            assert!(bad.parse::<ChannelLink>().is_err(), "{bad}");
        }
    }
}
