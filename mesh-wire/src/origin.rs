//! Plain files on the web from which a channel can be had: where they are, and what stands in them.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use thiserror::Error;

use crate::codec::{DecodeError, Extensions, List, Output, Problem, Reader, Wire};
use crate::message::sync::LogState;
use crate::{ChannelId, Hash, Label, layout, limits};

/// Where the files of one or more channels are on the web.
// spec: SYNC-57
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OriginUrl(Label<{ limits::URL_BYTES }>);

/// The text is no [`OriginUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "an origin is http:// or https://, a host and perhaps a path, of at most {} characters, \
     without ?, #, @ and a slash at the end",
    limits::URL_BYTES
)]
pub struct BadUrl;

impl OriginUrl {
    /// The url.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// The file with the [`OriginHead`] of a channel, below the origin's url.
// spec: SYNC-58
#[must_use]
pub fn head_path(channel: &ChannelId) -> String {
    alloc::format!("{channel}/head")
}

/// The file with bundle `number` of a log.
// spec: SYNC-58
#[must_use]
pub fn bundle_path(channel: &ChannelId, log: u32, number: u64) -> String {
    alloc::format!("{channel}/{log}/{number}")
}

/// The file with a blob's bytes.
// spec: SYNC-58
#[must_use]
pub fn blob_path(blob: &Hash) -> String {
    alloc::format!("blobs/{blob}")
}

/// The file with a blob's chaining values.
// spec: SYNC-58
#[must_use]
pub fn cvs_path(blob: &Hash) -> String {
    blob_path(blob) + ".cvs"
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#@\"\\".contains(&byte);
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with('/')
            && !rest.ends_with('/')
            && rest.bytes().all(plain)
    })
}

impl FromStr for OriginUrl {
    type Err = BadUrl;

    /// Reads a url; a slash at its end is left out.
    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let text = text.trim().trim_end_matches('/');
        Label::new(text).ok().filter(|_| is_url(text)).map(Self).ok_or(BadUrl)
    }
}

impl Wire for OriginUrl {
    const MIN_SIZE: usize = 1 + "http://x".len();

    fn size(&self) -> usize {
        self.0.size()
    }

    fn write(&self, out: &mut Output) {
        self.0.write(out);
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        let label = Label::read(reader)?;
        match is_url(label.as_str()) {
            true => Ok(Self(label)),
            false => Err(reader.error(Problem::BadText)),
        }
    }
}

impl fmt::Display for OriginUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for OriginUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

layout! {
    /// What an origin has of a channel.
    // spec: SYNC-58
    pub struct OriginHead {
        /// Its logs, in ascending order.
        logs: List<OriginLog, { limits::LOGS }>,
        /// What later versions add.
        extensions: Extensions,
    }
}

layout! {
    /// What an origin has of a log.
    pub struct OriginLog {
        /// How much, and whether there may be more.
        state: LogState,
        /// The writer's signature over a head of that size.
        signature: [u8; 64],
    }
}

layout! {
    /// What proves the items of a full bundle.
    // spec: SYNC-58
    pub struct BundleProof {
        /// The size of the log that the head is about.
        size: u64,
        /// The writer's signature over the head.
        signature: [u8; 64],
        /// Roots of the largest subtrees right of the bundle, from left to right.
        edge: List<Hash, { limits::EDGE_HASHES }>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    // spec: SYNC-57
    #[test]
    fn urls_are_plain_and_name_a_host() {
        for good in ["http://a", "https://news.example/mesh", "http://[::1]:8000/a/b"] {
            let url: OriginUrl = good.parse().unwrap();
            assert_eq!(url.to_string(), good);
            assert_eq!(OriginUrl::from_bytes(url.to_bytes()), Ok(url.clone()));
            assert_eq!(alloc::format!("{good}/").parse(), Ok(url));
        }
        let long = alloc::format!("http://{}", "a".repeat(limits::URL_BYTES));
        for bad in ["", "a", "ftp://a", "http://", "http:///a", "http://a b", "http://u@a", &long] {
            assert_eq!(bad.parse::<OriginUrl>(), Err(BadUrl), "{bad}");
        }
        for bad in ["http://a/", "http://a?b", "http://a#b", "http://\u{e4}"] {
            let label = Label::<{ limits::URL_BYTES }>::new(bad).unwrap();
            assert!(OriginUrl::from_bytes(label.to_bytes()).is_err(), "{bad}");
        }
    }
}
