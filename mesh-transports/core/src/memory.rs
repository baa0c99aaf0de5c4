//! Links between nodes of one process: for tests, and for programs that embed several nodes.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use mesh_wire::{Address, Carrier, limits};

use crate::link::{STREAM_FRAME_BYTES, check_size};
use crate::{DialId, FrameLink, State, Transport, TransportEvent};

/// What a frame costs beside its bytes while it waits, so that many small ones are bounded too.
const FRAME_COST: usize = 64;

/// A place whose members can dial each other by name and hear each other's beacons.
#[derive(Clone)]
pub struct Place {
    carrier: Carrier,
    members: Arc<Mutex<BTreeMap<Box<str>, Arc<Inbox>>>>,
}

impl Place {
    /// A place whose links are of one kind.
    #[must_use]
    pub fn new(carrier: Carrier) -> Self {
        Self { carrier, members: Arc::default() }
    }

    /// Enters under `name`, at `memory://name`; an error if that is taken or no address.
    pub fn enter(&self, name: &str) -> io::Result<Memory> {
        let at = format!("memory://{name}");
        let at: Address =
            at.parse().map_err(|bad| io::Error::new(io::ErrorKind::InvalidInput, bad))?;
        let mut members = lock(&self.members);
        if members.contains_key(name) {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, format!("{at} is taken")));
        }
        let inbox = Arc::new(Inbox::default());
        inbox.put(TransportEvent::Changed);
        members.insert(name.into(), Arc::clone(&inbox));
        drop(members);
        Ok(Memory { place: self.clone(), at, inbox })
    }
}

/// A member of a [`Place`].
pub struct Memory {
    place: Place,
    at: Address,
    inbox: Arc<Inbox>,
}

impl Memory {
    fn connect(&self, to: &Address) -> io::Result<MemoryLink> {
        let wrong = |problem| Err(io::Error::new(io::ErrorKind::ConnectionRefused, problem));
        if to.transport() != self.name() {
            return wrong(format!("{to} is not an address in memory"));
        }
        let Some(inbox) = lock(&self.place.members).get(to.rest()).cloned() else {
            return wrong(format!("nobody is at {to}"));
        };
        let (near, far) = pair(self.place.carrier, [self.at.clone(), to.clone()]);
        if !inbox.offer(far) {
            return wrong(format!("{to} takes no more links"));
        }
        Ok(near)
    }
}

impl Transport for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn state(&self) -> State {
        State::Up { detail: self.at.to_string() }
    }

    fn listening(&self) -> Vec<Address> {
        vec![self.at.clone()]
    }

    fn dial(&mut self, dial: DialId, to: &Address) {
        self.inbox.put(match self.connect(to) {
            Ok(link) => TransportEvent::Opened { link: Box::new(link), dial: Some(dial) },
            Err(error) => TransportEvent::DialFailed { dial, error },
        });
    }

    fn announce(&mut self, beacon: &[u8]) {
        let members: Vec<_> = lock(&self.place.members).values().cloned().collect();
        let bytes = Bytes::copy_from_slice(beacon);
        for inbox in members {
            inbox.hear(self.at.clone(), bytes.clone());
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<TransportEvent> {
        self.inbox.poll(cx)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        lock(&self.place.members).remove(self.at.rest());
    }
}

/// What happened to a member and was not asked for yet.
#[derive(Default)]
struct Inbox(Mutex<(VecDeque<TransportEvent>, Option<Waker>)>);

impl Inbox {
    fn put(&self, event: TransportEvent) {
        let mut inbox = lock(&self.0);
        inbox.0.push_back(event);
        wake(&mut inbox.1);
    }

    /// Puts a link that somebody else dialled, unless as many as a node may have wait already.
    fn offer(&self, link: MemoryLink) -> bool {
        let is_offer =
            |event: &&TransportEvent| matches!(event, TransportEvent::Opened { dial: None, .. });
        let has_room = lock(&self.0).0.iter().filter(is_offer).count() < limits::LINKS;
        if has_room {
            self.put(TransportEvent::Opened { link: Box::new(link), dial: None });
        }
        has_room
    }

    /// Puts a beacon, unless as many as a node remembers wait already.
    fn hear(&self, from: Address, bytes: Bytes) {
        let is_beacon = |event: &&TransportEvent| matches!(event, TransportEvent::Heard { .. });
        if lock(&self.0).0.iter().filter(is_beacon).count() < limits::HEARD {
            self.put(TransportEvent::Heard { from, bytes });
        }
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<TransportEvent> {
        let mut inbox = lock(&self.0);
        let event = inbox.0.pop_front();
        event.map_or_else(|| wait(&mut inbox.1, cx), Poll::Ready)
    }
}

/// One end of a link inside this process.
pub struct MemoryLink {
    carrier: Carrier,
    remote: Address,
    outgoing: Arc<Mutex<Pipe>>,
    incoming: Arc<Mutex<Pipe>>,
}

/// The two ends of a link between the two addresses.
fn pair(carrier: Carrier, [a, b]: [Address; 2]) -> (MemoryLink, MemoryLink) {
    let (there, back) = (Arc::default(), Arc::default());
    let far = MemoryLink {
        carrier,
        remote: a,
        outgoing: Arc::clone(&back),
        incoming: Arc::clone(&there),
    };
    (MemoryLink { carrier, remote: b, outgoing: there, incoming: back }, far)
}

/// One direction of a link.
#[derive(Default)]
struct Pipe {
    frames: VecDeque<BytesMut>,
    cost: usize,
    is_closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn close(&mut self) {
        self.is_closed = true;
        wake(&mut self.reader);
        wake(&mut self.writer);
    }
}

impl FrameLink for MemoryLink {
    fn carrier(&self) -> Carrier {
        self.carrier
    }

    fn largest_frame(&self) -> usize {
        match self.carrier {
            Carrier::Stream => STREAM_FRAME_BYTES,
            Carrier::Datagram => limits::DATAGRAM_BYTES,
        }
    }

    fn remote(&self) -> Address {
        self.remote.clone()
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<BytesMut>>> {
        let mut pipe = lock(&self.incoming);
        if let Some(frame) = pipe.frames.pop_front() {
            pipe.cost -= frame.len() + FRAME_COST;
            wake(&mut pipe.writer);
            return Poll::Ready(Ok(Some(frame)));
        }
        if pipe.is_closed { Poll::Ready(Ok(None)) } else { wait(&mut pipe.reader, cx) }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut pipe = lock(&self.outgoing);
        if pipe.is_closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if pipe.cost <= self.largest_frame() {
            Poll::Ready(Ok(()))
        } else {
            wait(&mut pipe.writer, cx)
        }
    }

    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        check_size(frame, self.largest_frame())?;
        let mut pipe = lock(&self.outgoing);
        if pipe.is_closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if pipe.cost > self.largest_frame() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        pipe.cost += frame.len() + FRAME_COST;
        pipe.frames.push_back(frame.into());
        wake(&mut pipe.reader);
        Ok(())
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for MemoryLink {
    fn drop(&mut self) {
        lock(&self.outgoing).close();
        lock(&self.incoming).close();
    }
}

/// Nothing here panics while it holds a lock, so what a lock guards is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

fn wait<T>(waker: &mut Option<Waker>, cx: &mut Context<'_>) -> Poll<T> {
    *waker = Some(cx.waker().clone());
    Poll::Pending
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Pair;
    use async_io::block_on;
    use std::future::poll_fn;

    fn pair(carrier: Carrier) -> Pair {
        let place = Place::new(carrier);
        Pair {
            dialler: Box::new(place.enter("a").unwrap()),
            listener: Box::new(place.enter("b").unwrap()),
            nobody: "memory://c".parse().unwrap(),
        }
    }

    mod stream {
        use super::*;
        crate::contract!(|| pair(Carrier::Stream));
    }

    mod datagram {
        use super::*;
        crate::contract!(|| pair(Carrier::Datagram));
    }

    #[test]
    fn a_beacon_is_heard_by_all_and_beacons_do_not_pile_up() {
        let mut pair = pair(Carrier::Stream);
        (0..=limits::HEARD).for_each(|_| pair.dialler.announce(b"here"));
        for member in [&mut pair.dialler, &mut pair.listener] {
            let mut heard = 0;
            while let Some(event) = block_on(poll_fn(|cx| match member.poll_event(cx) {
                Poll::Ready(event) => Poll::Ready(Some(event)),
                Poll::Pending => Poll::Ready(None),
            })) {
                let TransportEvent::Heard { from, bytes } = event else { continue };
                assert_eq!((from.to_string().as_str(), &bytes[..]), ("memory://a", &b"here"[..]));
                heard += 1;
            }
            assert_eq!(heard, limits::HEARD);
        }
    }

    #[test]
    fn a_name_is_taken_once_and_free_again_after() {
        let place = Place::new(Carrier::Stream);
        let first = place.enter("a").unwrap();
        assert!(place.enter("a").is_err());
        assert!(place.enter("").is_err());
        drop(first);
        assert!(place.enter("a").is_ok());
    }
}
