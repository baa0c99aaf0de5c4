//! How good a link is, and what becomes of what is sent over it.

use std::time::Duration;

use mesh_wire::{Carrier, Rng, Time, limits};

/// What a link does to what it carries, the same in both directions.
///
/// ```
/// use mesh_sim::Quality;
/// let bad_radio = Quality { loss_per_mille: 200, ..Quality::DATAGRAM };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quality {
    /// A stream neither loses, repeats nor reorders, whatever the fields below say.
    pub carrier: Carrier,
    /// How long the first byte is under way, at least.
    pub delay: Duration,
    /// Up to this much longer, drawn for every message. Lets datagrams overtake each other.
    pub jitter: Duration,
    /// Datagrams lost, of a thousand.
    pub loss_per_mille: u16,
    /// Datagrams that arrive twice, of a thousand.
    pub repeat_per_mille: u16,
    /// How fast bytes leave, each way. A message is pulled when the one before has left.
    pub bytes_per_second: u64,
    /// What sends: until it is free, no message is pulled.
    pub transmitter: Transmitter,
    /// Bytes that the medium adds to every message: they take their time to leave, too.
    pub overhead_bytes: usize,
    /// The largest frame: `Link::largest_frame`, and the room of every `poll_send`.
    pub room_bytes: usize,
}

impl Quality {
    /// A TCP connection in a local network: 1 ms, 10 MB/s, records of the largest size.
    pub const STREAM: Self = Self {
        carrier: Carrier::Stream,
        delay: Duration::from_millis(1),
        jitter: Duration::from_micros(500),
        loss_per_mille: 0,
        repeat_per_mille: 0,
        bytes_per_second: 10_000_000,
        transmitter: Transmitter::OfLink,
        overhead_bytes: 0,
        room_bytes: limits::RECORD_BYTES,
    };

    /// A mediocre radio: 5 to 25 ms, 125 kB/s, loses 2 % and repeats 1 %.
    pub const DATAGRAM: Self = Self {
        carrier: Carrier::Datagram,
        delay: Duration::from_millis(5),
        jitter: Duration::from_millis(20),
        loss_per_mille: 20,
        repeat_per_mille: 10,
        bytes_per_second: 125_000,
        transmitter: Transmitter::OfLink,
        overhead_bytes: 0,
        room_bytes: limits::DATAGRAM_BYTES,
    };

    /// How long `bytes` take to leave: at least a microsecond, so that time always moves.
    fn time_to_send(&self, bytes: usize) -> Duration {
        let bytes = bytes + self.overhead_bytes;
        let micros = (bytes as u128 * 1_000_000).div_ceil(u128::from(self.bytes_per_second.max(1)));
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX).max(1))
    }

    /// How often a message arrives.
    fn copies(&self, luck: &mut Rng) -> usize {
        let mut chance = |per_mille: u16| luck.below(1000) < u64::from(per_mille);
        match self.carrier {
            Carrier::Stream => 1,
            Carrier::Datagram if chance(self.loss_per_mille) => 0,
            Carrier::Datagram if chance(self.repeat_per_mille) => 2,
            Carrier::Datagram => 1,
        }
    }
}

/// What sends over a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transmitter {
    /// One of its own at each end, as on a cable.
    OfLink,
    /// The one that a node has for all its links of this kind, which take turns: a radio.
    OfNode,
}

/// What one end of a link has sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of the messages the link lost.
    pub lost: u64,
}

/// One end of a link: when the other end gets what is sent here.
pub(crate) struct End {
    pub(crate) node: usize,
    pub(crate) up: bool,
    /// Nothing comes through any more, and this end has not been told.
    pub(crate) faded: bool,
    pub(crate) quality: Quality,
    pub(crate) traffic: Traffic,
    /// When the last message has left.
    pub(crate) free_at: Time,
    last_arrival: Time,
}

impl End {
    pub(crate) fn new(node: usize, quality: Quality, now: Time) -> Self {
        let traffic = Traffic::default();
        Self { node, up: true, faded: false, quality, traffic, free_at: now, last_arrival: now }
    }

    /// Sends `size` bytes; when they arrive, each time they do.
    pub(crate) fn send(&mut self, now: Time, size: usize, luck: &mut Rng) -> Vec<Time> {
        let copies = self.quality.copies(luck);
        self.traffic.messages += 1;
        self.traffic.bytes += size as u64;
        self.traffic.lost += u64::from(copies == 0);
        self.free_at = now + self.quality.time_to_send(size);
        (0..copies).map(|_| self.arrival(luck)).collect()
    }

    /// When the other end learns that this one hangs up: after everything it has sent.
    pub(crate) fn last_word(&self, now: Time) -> Time {
        (now + self.quality.delay).max(self.last_arrival)
    }

    fn arrival(&mut self, luck: &mut Rng) -> Time {
        let jitter = luck.below(self.quality.jitter.as_micros() as u64 + 1);
        let at = self.free_at + self.quality.delay + Duration::from_micros(jitter);
        let latest = at.max(self.last_arrival);
        self.last_arrival = latest;
        match self.quality.carrier {
            Carrier::Stream => latest,
            Carrier::Datagram => at,
        }
    }
}
