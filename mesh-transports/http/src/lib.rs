//! Files, and parts of files, from plain web servers: nothing but GET, without cookies, proxies and
//! compression, and nothing longer than was asked for.
//!
//! | to know | read |
//! |---|---|
//! | how a file is asked for | [`Client`] |
//! | which addresses are everybody's | [`is_public`] |

mod public;

use std::io::Read;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use ureq::config::Config;
use ureq::http::{HeaderMap, StatusCode, Uri};
use ureq::tls::TlsConfig;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body};

pub use public::is_public;

/// How long a server may take to be found, to accept, and to say the next thing.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a whole answer may take: a megabyte over the slowest of lines.
const LONGEST: Duration = Duration::from_secs(600);
/// Largest file that is read up to the part that was asked for, if the server gives no parts.
const WHOLE_BYTES: u64 = 8 << 20;
/// Redirections that are followed for one file.
const REDIRECTS: u32 = 3;

/// Where a server may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Servers {
    /// Anywhere.
    Anywhere,
    /// Where [`is_public`] says so, whatever a name resolves to.
    Public,
}

/// Why a file was not got.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// It is not there, or not that part of it.
    #[error("there is no such file")]
    Missing,
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// Asks for files. It keeps connections for some time; its clones share them.
#[derive(Clone, Debug)]
pub struct Client {
    anywhere: Agent,
    public: Agent,
}

impl Default for Client {
    fn default() -> Self {
        Self { anywhere: agent(Servers::Anywhere), public: agent(Servers::Public) }
    }
}

impl Client {
    /// The bytes of a file, or those of `range`, as far as there are; at most `most`. Blocks the
    /// thread.
    pub fn get(
        &self,
        url: &str,
        range: Option<Range<u64>>,
        (most, servers): (usize, Servers),
    ) -> Result<Bytes, Error> {
        let agent = match servers {
            Servers::Anywhere => &self.anywhere,
            Servers::Public => &self.public,
        };
        let mut request = agent.get(url);
        if let Some(Range { start, end }) = &range {
            let last = end.saturating_sub(1);
            request = request.header("range", format!("bytes={start}-{last}"));
        }
        let answer = request.call().map_err(failed)?;
        let start = range.as_ref().map_or(0, |range| range.start);
        let (skip, most) = match (answer.status(), range) {
            (StatusCode::OK, None) => (0, most),
            // It gives whole files only.
            (StatusCode::OK, Some(range)) => {
                let size = length(answer.headers()).unwrap_or(range.start);
                if size > WHOLE_BYTES {
                    let why = "the server gives no parts of files, and this one is too large";
                    return Err(Error::Failed(why.into()));
                }
                (start, most.min((range.end - range.start) as usize))
            }
            (StatusCode::PARTIAL_CONTENT, Some(range)) => {
                if !begins_at(answer.headers(), start) {
                    return Err(Error::Failed("the server gave another part of the file".into()));
                }
                (0, most.min((range.end - range.start) as usize))
            }
            (
                StatusCode::NOT_FOUND
                | StatusCode::GONE
                | StatusCode::FORBIDDEN
                | StatusCode::RANGE_NOT_SATISFIABLE,
                _,
            ) => return Err(Error::Missing),
            (status, _) if status.is_redirection() => {
                let to = answer.headers().get("location").and_then(|to| to.to_str().ok());
                let to = to.unwrap_or("another place");
                return Err(Error::Failed(format!("the server says that it moved: {to:.100}")));
            }
            (status, _) => return Err(Error::Failed(format!("the server answered {status}"))),
        };
        read(answer.into_body(), skip, most)
    }
}

/// An answer's bytes, without the first `skip`.
fn read(body: Body, skip: u64, most: usize) -> Result<Bytes, Error> {
    let broken = |error: std::io::Error| Error::Failed(format!("the answer broke off: {error}"));
    let mut body = body.into_reader();
    let skipped = std::io::copy(&mut (&mut body).take(skip), &mut std::io::sink());
    if skipped.map_err(broken)? < skip {
        return Err(Error::Missing);
    }
    let mut bytes = Vec::new();
    body.take(most as u64).read_to_end(&mut bytes).map_err(broken)?;
    if skip > 0 && bytes.is_empty() {
        return Err(Error::Missing);
    }
    Ok(bytes.into())
}

/// How long the answer says it is.
fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get("content-length")?.to_str().ok()?.trim().parse().ok()
}

/// Whether a part of a file begins where it should.
fn begins_at(headers: &HeaderMap, start: u64) -> bool {
    let range = headers.get("content-range").and_then(|range| range.to_str().ok());
    let range = range.and_then(|range| range.trim().strip_prefix("bytes "));
    range.is_some_and(|range| range.starts_with(&format!("{start}-")))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all others have words of their own")]
fn failed(error: ureq::Error) -> Error {
    Error::Failed(match error {
        ureq::Error::HostNotFound => "there is no server of that name in reach".into(),
        ureq::Error::Timeout(_) => "the server does not answer".into(),
        ureq::Error::ConnectionFailed => "the server cannot be reached".into(),
        ureq::Error::Io(error) => format!("the server cannot be reached: {error}"),
        error => error.to_string(),
    })
}

fn agent(servers: Servers) -> Agent {
    let config = Config::builder()
        .http_status_as_error(false)
        .max_redirects(match servers {
            // Whoever typed where it is has not typed where that leads.
            Servers::Anywhere => 0,
            Servers::Public => REDIRECTS,
        })
        .max_redirects_will_error(false)
        .proxy(None)
        .accept_encoding("identity")
        .user_agent("mesh")
        .timeout_resolve(Some(PATIENCE))
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .timeout_per_read(Some(PATIENCE))
        .timeout_global(Some(LONGEST))
        .tls_config(TlsConfig::builder().build())
        .build();
    Agent::with_parts(config, DefaultConnector::default(), Names(servers))
}

/// Finds servers by name, those that may be asked.
#[derive(Debug)]
struct Names(Servers);

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let all = DefaultResolver::default().resolve(uri, config, timeout)?;
        let may_ask = |at: &&SocketAddr| self.0 == Servers::Anywhere || is_public(at.ip());
        let mut found = self.empty();
        all.iter().filter(may_ask).for_each(|at| found.push(*at));
        match found.is_empty() {
            true => Err(ureq::Error::HostNotFound),
            false => Ok(found),
        }
    }
}
