//! A bad medium: wraps a good one and loses, repeats, delays and so reorders what it carries, by
//! a seed.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use mesh_wire::{Address, Carrier, Rng};

use crate::link::check_size;
use crate::{DialId, FrameLink, State, Transport, TransportEvent};

/// How bad it is. The chances are in percent and independent of each other.
#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    /// The chance that a frame or a beacon is lost.
    pub lost: u8,
    /// The chance that a frame comes twice.
    pub repeated: u8,
    /// The chance that a frame is late.
    pub late: u8,
    /// How many later frames may overtake a late one.
    pub overtaken_by: u8,
}

/// A transport whose links and beacons suffer.
pub struct Flaky {
    inner: Box<dyn Transport>,
    trouble: Trouble,
    rng: Rng,
    links: u64,
}

impl Flaky {
    /// Makes `inner` as bad as `trouble` says; the same `rng` gives the same bad luck.
    #[must_use]
    pub fn new(inner: Box<dyn Transport>, trouble: Trouble, rng: Rng) -> Self {
        Self { inner, trouble, rng, links: 0 }
    }
}

impl Transport for Flaky {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn state(&self) -> State {
        self.inner.state()
    }

    fn listening(&self) -> Vec<Address> {
        self.inner.listening()
    }

    fn dial(&mut self, dial: DialId, to: &Address) {
        self.inner.dial(dial, to);
    }

    fn announce(&mut self, beacon: &[u8]) {
        if !happens(&mut self.rng, self.trouble.lost) {
            self.inner.announce(beacon);
        }
    }

    fn renew(&mut self) {
        self.inner.renew();
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<TransportEvent> {
        let event = ready!(self.inner.poll_event(cx));
        let TransportEvent::Opened { link, dial } = event else { return Poll::Ready(event) };
        self.links += 1;
        let rng = self.rng.fork(&format!("link {}", self.links));
        let link = Box::new(FlakyLink::new(link, self.trouble, rng));
        Poll::Ready(TransportEvent::Opened { link, dial })
    }
}

/// A link whose outgoing frames suffer. It is a datagram link, whatever it wraps.
pub struct FlakyLink {
    inner: Box<dyn FrameLink>,
    trouble: Trouble,
    rng: Rng,
    /// Whether the next frame may be taken.
    is_ready: bool,
    /// Frames on their way, in order.
    due: VecDeque<Bytes>,
    /// Late frames, each with the number of frames that may yet overtake it.
    late: Vec<(u64, Bytes)>,
}

impl FlakyLink {
    /// Makes `inner` as bad as `trouble` says; the same `rng` gives the same bad luck.
    #[must_use]
    pub fn new(inner: Box<dyn FrameLink>, trouble: Trouble, rng: Rng) -> Self {
        Self { inner, trouble, rng, is_ready: false, due: VecDeque::new(), late: Vec::new() }
    }

    /// Lets another frame overtake the late ones.
    fn overtake(&mut self) {
        self.late.iter_mut().for_each(|(by, _)| *by -= 1);
        self.due.extend(self.late.extract_if(.., |(by, _)| *by == 0).map(|(_, frame)| frame));
    }

    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(frame) = self.due.front() {
            ready!(self.inner.poll_ready(cx))?;
            self.inner.send(frame)?;
            self.due.pop_front();
        }
        Poll::Ready(Ok(()))
    }
}

impl FrameLink for FlakyLink {
    fn carrier(&self) -> Carrier {
        Carrier::Datagram
    }

    fn largest_frame(&self) -> usize {
        self.inner.largest_frame()
    }

    fn remote(&self) -> Address {
        self.inner.remote()
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<BytesMut>>> {
        self.inner.poll_receive(cx)
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_due(cx))?;
        let ready = self.inner.poll_ready(cx);
        self.is_ready = matches!(ready, Poll::Ready(Ok(())));
        ready
    }

    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        check_size(frame, self.largest_frame())?;
        if !mem::take(&mut self.is_ready) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let copies = if happens(&mut self.rng, self.trouble.lost) {
            0
        } else {
            1 + u8::from(happens(&mut self.rng, self.trouble.repeated))
        };
        for _ in 0..copies {
            let frame = Bytes::copy_from_slice(frame);
            if self.trouble.overtaken_by > 0 && happens(&mut self.rng, self.trouble.late) {
                // The count begins with the frame itself, which overtakes nothing.
                let by = 2 + self.rng.below(self.trouble.overtaken_by.into());
                self.late.push((by, frame));
            } else {
                self.due.push_back(frame);
            }
        }
        self.overtake();
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.due.extend(self.late.drain(..).map(|(_, frame)| frame));
        ready!(self.poll_due(cx))?;
        self.inner.poll_flush(cx)
    }
}

fn happens(rng: &mut Rng, percent: u8) -> bool {
    rng.below(100) < percent.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{self, Pair};
    use crate::memory::Place;
    use std::collections::BTreeMap;

    const BAD: Trouble = Trouble { lost: 20, repeated: 20, late: 40, overtaken_by: 5 };

    fn pair(carrier: Carrier, trouble: Trouble) -> Pair {
        let place = Place::new(carrier);
        let enter = |name: &str| -> Box<dyn Transport> {
            let rng = Rng::from_seed([7; 32]).fork(name);
            Box::new(Flaky::new(Box::new(place.enter(name).unwrap()), trouble, rng))
        };
        Pair { dialler: enter("a"), listener: enter("b"), nobody: "memory://c".parse().unwrap() }
    }

    crate::contract!(|| pair(Carrier::Datagram, BAD));

    /// The numbers of the frames that arrive when 0..1000 are sent.
    fn arrivals(trouble: Trouble) -> Vec<u64> {
        let frames: Vec<_> = (0..1000_u64).map(|n| n.to_be_bytes().to_vec()).collect();
        let number = |frame: BytesMut| u64::from_be_bytes(frame[..].try_into().unwrap());
        contract::sent_and_received(|| pair(Carrier::Stream, trouble), &frames)
            .into_iter()
            .map(number)
            .collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_bad_luck() {
        assert_eq!(arrivals(BAD), arrivals(BAD));
    }

    #[test]
    fn frames_are_lost_and_repeated_as_often_as_asked_for() {
        let mut times: BTreeMap<u64, usize> = BTreeMap::new();
        arrivals(BAD).into_iter().for_each(|n| *times.entry(n).or_default() += 1);
        let lost = 1000 - times.len();
        let repeated = times.values().filter(|times| **times == 2).count();
        assert!((150..250).contains(&lost), "{lost} of 1000 lost");
        assert!((110..210).contains(&repeated), "{repeated} of 1000 repeated");
        assert!(times.values().all(|times| *times <= 2));
    }

    #[test]
    fn no_frame_is_overtaken_by_more_than_asked_for() {
        let none = Trouble { lost: 0, repeated: 0, late: 0, overtaken_by: 0 };
        assert!(arrivals(none).is_sorted());
        let late = arrivals(Trouble { late: 40, overtaken_by: 5, ..none });
        let overtakers =
            |(at, n): (usize, &u64)| late[..at].iter().filter(|earlier| *earlier > n).count();
        let most = late.iter().enumerate().map(overtakers).max();
        assert_eq!((late.len(), most), (1000, Some(5)));
    }
}
