//! What a node asks before it spends anything on a handshake that somebody else started.

use alloc::collections::{BTreeMap, VecDeque};
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::handshake::{cookie_and_hash, retry_frame};
use crate::{LinkId, Rng, Time, limits};

/// Where a handshake comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Those who share one allowance: a /24 of IPv4, a /64 of IPv6, one radio.
    pub class: [u8; 8],
    /// The one path a cookie is good for: an address and a port.
    pub path: [u8; 18],
}

impl Source {
    /// A medium without addresses: every link is a source of its own.
    #[must_use]
    pub fn of_link(link: LinkId) -> Self {
        Self { class: link.0.to_be_bytes(), path: [0; 18] }
    }
}

impl From<SocketAddr> for Source {
    fn from(at: SocketAddr) -> Self {
        let mut class = [0; 8];
        let mut path = [0; 18];
        let (prefix, whole) = match at.ip() {
            // In front of the /24 stand bytes that no unicast /64 begins with.
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                ([0xff, 0xff, 0, 0, 0, a, b, c], ip.to_ipv6_mapped().octets())
            }
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, g, h, ..] = ip.octets();
                ([a, b, c, d, e, f, g, h], ip.octets())
            }
        };
        class.copy_from_slice(&prefix);
        for (into, byte) in path.iter_mut().zip(whole.into_iter().chain(at.port().to_be_bytes())) {
            *into = byte;
        }
        Self { class, path }
    }
}

/// Whether anybody can have written the source.
#[derive(Clone, Copy, Debug)]
pub enum Path<'a> {
    /// The other end has shown that it hears us there: a TCP connection.
    Validated,
    /// It has not: a first datagram, which is this frame.
    Unvalidated(&'a [u8]),
}

/// What to do with a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Start it. If half-open handshakes were at their limit, the oldest gives way: drop it.
    Accept {
        /// The link to drop.
        instead_of: Option<LinkId>,
    },
    /// Send this frame back and forget the rest. It is shorter than what it answers.
    Retry([u8; 33]),
    /// Ignore it.
    Refuse,
}

/// Guards the door. Weighs at most [`limits::SOURCES`] short entries, however many knock.
pub struct Admission {
    rng: Rng,
    secrets: [Zeroizing<[u8; 32]>; 2],
    rotated: Time,
    everyone: Bucket,
    classes: BTreeMap<[u8; 8], Bucket>,
    half_open: VecDeque<(LinkId, Time)>,
}

impl Admission {
    /// A guard that has seen nobody.
    #[must_use]
    pub fn new(mut rng: Rng) -> Self {
        Self {
            secrets: [Zeroizing::new(rng.bytes()), Zeroizing::new(rng.bytes())],
            rng,
            rotated: Time(0),
            everyone: Bucket::default(),
            classes: BTreeMap::new(),
            half_open: VecDeque::with_capacity(limits::HALF_OPEN),
        }
    }

    /// Whether `source` may start a handshake, which would be that of `link`.
    ///
    /// While more than half of the common allowance is left, everybody may; below that, only who
    /// has shown that it hears us at its source: the other half is theirs.
    // spec: SESSION-17
    pub fn ask(&mut self, now: Time, source: &Source, link: LinkId, path: Path<'_>) -> Verdict {
        self.rotate(now);
        if let Path::Unvalidated(frame) = path {
            let Some((cookie, hash)) = cookie_and_hash(frame) else { return Verdict::Refuse };
            let busy = self.everyone.left(now, Self::EVERYONE) <= Self::EVERYONE.burst / 2;
            if busy && !self.is_ours(source, &hash, cookie) {
                let [newest, _] = &self.secrets;
                return Verdict::Retry(retry_frame(&hash, bake(newest, source, &hash)));
            }
        }
        if !self.take(now, source) {
            return Verdict::Refuse;
        }
        self.half_open.retain(|(_, since)| now.since(*since) < limits::HANDSHAKE_TIME);
        let full = self.half_open.len() >= limits::HALF_OPEN;
        let instead_of = if full { self.half_open.pop_front().map(|(link, _)| link) } else { None };
        self.half_open.push_back((link, now));
        Verdict::Accept { instead_of }
    }

    /// The handshake of `link` is over, one way or the other.
    pub fn done(&mut self, link: LinkId) {
        self.half_open.retain(|(other, _)| *other != link);
    }

    /// Bytes held.
    #[must_use]
    pub fn weight(&self) -> usize {
        let class = size_of::<([u8; 8], Bucket)>();
        self.classes.len() * class + self.half_open.len() * size_of::<(LinkId, Time)>()
    }

    /// The allowance of one class.
    const CLASS: Allowance =
        Allowance { burst: limits::HANDSHAKE_BURST, refill: limits::HANDSHAKE_REFILL };

    /// The allowance of all together.
    const EVERYONE: Allowance = Allowance {
        burst: 2 * limits::HANDSHAKES_PER_SECOND,
        refill: Duration::from_micros(1_000_000 / limits::HANDSHAKES_PER_SECOND as u64),
    };

    /// Takes one handshake out of both allowances, or out of none.
    fn take(&mut self, now: Time, source: &Source) -> bool {
        let mut class = self.classes.get(&source.class).copied().unwrap_or_default();
        if self.everyone.left(now, Self::EVERYONE) == 0 || class.left(now, Self::CLASS) == 0 {
            return false;
        }
        self.everyone.take(now, Self::EVERYONE);
        class.take(now, Self::CLASS);
        if self.classes.len() >= limits::SOURCES && !self.classes.contains_key(&source.class) {
            self.forget(now);
        }
        self.classes.insert(source.class, class);
        true
    }

    /// Makes room for a class: those with a full bucket are as good as unknown; if there are
    /// none, the one that comes closest goes.
    fn forget(&mut self, now: Time) {
        self.classes.retain(|_, bucket| bucket.full_at > now);
        if self.classes.len() >= limits::SOURCES {
            let fullest = self.classes.iter().min_by_key(|(_, bucket)| bucket.full_at);
            if let Some(class) = fullest.map(|(class, _)| *class) {
                self.classes.remove(&class);
            }
        }
    }

    fn rotate(&mut self, now: Time) {
        let age = now.since(self.rotated);
        if age < limits::COOKIE_LIFE {
            return;
        }
        let [newest, oldest] = &mut self.secrets;
        core::mem::swap(newest, oldest);
        *newest = Zeroizing::new(self.rng.bytes());
        if age >= limits::COOKIE_LIFE * 2 {
            *oldest = Zeroizing::new(self.rng.bytes());
        }
        self.rotated = now;
    }

    fn is_ours(&self, source: &Source, hash: &[u8; 32], cookie: &[u8; 16]) -> bool {
        self.secrets.iter().any(|secret| bake(secret, source, hash).ct_eq(cookie).into())
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Admission({} half open, …)", self.half_open.len())
    }
}

/// The cookie for a hello with this hash from this source.
// spec: SESSION-21
fn bake(secret: &[u8; 32], source: &Source, hash: &[u8; 32]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_keyed(secret);
    hasher.update(&source.path).update(hash);
    let mut cookie = [0; 16];
    hasher.finalize_xof().fill(&mut cookie);
    cookie
}

/// How much may be taken at once, and how long one takes to come back.
#[derive(Clone, Copy)]
struct Allowance {
    burst: u32,
    refill: Duration,
}

/// A token bucket, kept as the time at which it is full again.
#[derive(Clone, Copy, Default)]
struct Bucket {
    full_at: Time,
}

impl Bucket {
    fn left(self, now: Time, allowance: Allowance) -> u32 {
        let missing = self.full_at.since(now).as_micros().div_ceil(allowance.refill.as_micros());
        allowance.burst.saturating_sub(u32::try_from(missing).unwrap_or(u32::MAX))
    }

    fn take(&mut self, now: Time, allowance: Allowance) {
        self.full_at = self.full_at.max(now) + allowance.refill;
    }
}

#[cfg(test)]
mod tests;
