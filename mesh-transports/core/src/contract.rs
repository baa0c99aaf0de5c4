//! What holds for every transport that has links: one test per promise, run over all of them.
//!
//! ```ignore
//! fn pair() -> mesh_transport::contract::Pair { … }
//! mesh_transport::contract!(pair);
//! ```

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use async_io::{Timer, block_on};
use bytes::BytesMut;
use futures_lite::future::{or, poll_once, zip};
use mesh_wire::{Address, Carrier, limits};

use crate::{DialId, FrameLink, Transport, TransportEvent};

/// Two fresh transports of one kind that can reach each other.
pub struct Pair {
    /// The one that dials.
    pub dialler: Box<dyn Transport>,
    /// The one that is dialled.
    pub listener: Box<dyn Transport>,
    /// An address that nobody is at.
    pub nobody: Address,
}

/// Makes a test of every promise; `$make` gives a [`Pair`].
#[macro_export]
macro_rules! contract {
    ($make:expr) => {
        $crate::contract!($make =>
            a_dial_opens_one_link_at_each_end
            every_dial_ends_in_exactly_one_event
            dialling_nobody_and_nonsense_fails
            frames_of_all_sizes_arrive_whole
            many_small_frames_arrive_both_ways
            frames_of_a_wrong_size_are_refused_before_anything_leaves
            a_reader_that_stops_stops_the_writer_and_loses_nothing
            closing_is_seen_at_the_other_end_after_the_last_frame
            sending_to_an_end_that_is_gone_fails
            links_outlive_their_transports
        );
    };
    ($make:expr => $($promise:ident)*) => {
        $(
            #[test]
            fn $promise() {
                $crate::contract::$promise($make);
            }
        )*
    };
}

type Link = Box<dyn FrameLink>;

/// Longer than any promise takes on a loaded machine: ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// More than any medium may hold of what nobody reads, in bytes.
const TOO_MUCH: usize = 64 << 20;

fn run<T>(case: impl Future<Output = T>) -> T {
    block_on(or(case, async {
        Timer::after(PATIENCE).await;
        panic!("nothing happened for {PATIENCE:?}")
    }))
}

/// The next event that is no [`TransportEvent::Changed`].
async fn event(transport: &mut dyn Transport) -> TransportEvent {
    loop {
        let event = poll_fn(|cx| transport.poll_event(cx)).await;
        if !matches!(event, TransportEvent::Changed) {
            return event;
        }
    }
}

/// Panics if the transport has anything more to tell.
async fn expect_silence(transport: &mut dyn Transport) {
    assert!(poll_once(event(transport)).await.is_none(), "an event that nothing caused");
}

async fn opened(transport: &mut dyn Transport) -> (Link, Option<DialId>) {
    match event(transport).await {
        TransportEvent::Opened { link, dial } => (link, dial),
        TransportEvent::DialFailed { error, .. } => panic!("the dial failed: {error}"),
        TransportEvent::Heard { .. } | TransportEvent::Changed => panic!("no link was opened"),
    }
}

fn address(pair: &Pair) -> Address {
    pair.listener.listening().first().expect("an address to dial").clone()
}

async fn link(pair: &mut Pair) -> (Link, Link) {
    let to = address(pair);
    pair.dialler.dial(DialId(0), &to);
    let ends = zip(opened(&mut *pair.dialler), opened(&mut *pair.listener)).await;
    (ends.0.0, ends.1.0)
}

async fn send(link: &mut Link, frame: &[u8]) -> io::Result<()> {
    poll_fn(|cx| link.poll_ready(cx)).await?;
    link.send(frame)
}

async fn flush(link: &mut Link) {
    poll_fn(|cx| link.poll_flush(cx)).await.expect("the frames leave");
}

async fn receive(link: &mut Link) -> Option<BytesMut> {
    poll_fn(|cx| link.poll_receive(cx)).await.expect("the link works")
}

/// Sends `frames` one way and closes; what arrived until the other end saw that.
async fn exchange(mut from: Link, mut to: Link, frames: &[Vec<u8>]) -> Vec<BytesMut> {
    let writer = async move {
        for frame in frames {
            send(&mut from, frame).await.expect("the link takes frames");
        }
        flush(&mut from).await;
    };
    let reader = async {
        let mut received = Vec::new();
        while let Some(frame) = receive(&mut to).await {
            received.push(frame);
        }
        received
    };
    zip(writer, reader).await.1
}

/// Sends `frames` over a fresh link; what arrived.
pub fn sent_and_received(make: impl FnOnce() -> Pair, frames: &[Vec<u8>]) -> Vec<BytesMut> {
    let mut pair = make();
    run(async {
        let (from, to) = link(&mut pair).await;
        exchange(from, to, frames).await
    })
}

/// Panics unless the medium did to the frames what its kind may do.
#[track_caller]
fn check(carrier: Carrier, sent: &[Vec<u8>], received: &[BytesMut]) {
    match carrier {
        Carrier::Stream => assert!(
            sent.iter().map(Vec::as_slice).eq(received.iter().map(|frame| &frame[..])),
            "a stream brings every frame, whole and in order; {} of {} came",
            received.len(),
            sent.len(),
        ),
        Carrier::Datagram => {
            let sent: BTreeSet<_> = sent.iter().map(Vec::as_slice).collect();
            assert!(!received.is_empty(), "something arrives");
            assert!(received.iter().all(|frame| sent.contains(&frame[..])), "whole or not at all");
        }
    }
}

/// The `n`th frame of a test, `size` bytes long.
fn frame(n: usize, size: usize) -> Vec<u8> {
    let number = (n as u64).to_be_bytes();
    number.iter().copied().cycle().take(size).collect()
}

/// One dial, one link at each end, with the dial's number at the end that dialled.
pub fn a_dial_opens_one_link_at_each_end(make: impl FnOnce() -> Pair) {
    let mut pair = make();
    run(async {
        pair.dialler.dial(DialId(7), &address(&pair));
        let (near, far) = zip(opened(&mut *pair.dialler), opened(&mut *pair.listener)).await;
        assert_eq!((near.1, far.1), (Some(DialId(7)), None));
        let kind = |link: &Link| (link.carrier(), link.largest_frame());
        assert_eq!(kind(&near.0), kind(&far.0));
        for (link, transport) in [(&near.0, &pair.dialler), (&far.0, &pair.listener)] {
            assert_eq!(link.remote().transport(), transport.name());
        }
        assert_eq!(near.0.remote(), address(&pair));
        expect_silence(&mut *pair.dialler).await;
        expect_silence(&mut *pair.listener).await;
    });
}

/// However many dials at once, each opens a link or fails, once.
pub fn every_dial_ends_in_exactly_one_event(make: impl FnOnce() -> Pair) {
    let mut pair = make();
    run(async {
        let (to, nobody) = (address(&pair), pair.nobody.clone());
        let dials = 2 * limits::DIALS as u64;
        for dial in 0..dials {
            pair.dialler.dial(DialId(dial), if dial % 2 == 0 { &to } else { &nobody });
        }
        let (mut ended, mut links) = (BTreeSet::new(), Vec::new());
        for _ in 0..dials {
            let dial = match event(&mut *pair.dialler).await {
                TransportEvent::Opened { link, dial } => {
                    links.push(link);
                    dial.expect("the dial's number")
                }
                TransportEvent::DialFailed { dial, .. } => dial,
                TransportEvent::Heard { .. } | TransportEvent::Changed => panic!("no such thing"),
            };
            assert!(ended.insert(dial), "{dial:?} ended twice");
        }
        assert!(!links.is_empty());
        // They may be accepted in another order than they were opened in.
        for _ in &links {
            let mut far = opened(&mut *pair.listener).await.0;
            send(&mut far, b"well").await.expect("the link works");
            flush(&mut far).await;
        }
        for link in &mut links {
            assert_eq!(receive(link).await.as_deref(), Some(&b"well"[..]));
        }
        expect_silence(&mut *pair.dialler).await;
        expect_silence(&mut *pair.listener).await;
    });
}

/// A dial that cannot succeed says why.
pub fn dialling_nobody_and_nonsense_fails(make: impl FnOnce() -> Pair) {
    let mut pair = make();
    let strange: Address = "elsewhere://x".parse().expect("an address");
    let vague = format!("{}://nowhere.at.all", pair.dialler.name()).parse().expect("an address");
    run(async {
        for (dial, to) in [pair.nobody.clone(), strange, vague].into_iter().enumerate() {
            let id = DialId(dial as u64);
            pair.dialler.dial(id, &to);
            let TransportEvent::DialFailed { dial, error } = event(&mut *pair.dialler).await else {
                panic!("{to} answered");
            };
            assert_eq!(dial, id);
            assert!(!error.to_string().is_empty());
        }
    });
}

/// Frames of 1 byte, of the largest size, and on both sides of the powers of two between.
pub fn frames_of_all_sizes_arrive_whole(make: impl FnOnce() -> Pair) {
    let mut pair = make();
    run(async {
        let (from, to) = link(&mut pair).await;
        let (carrier, largest) = (from.carrier(), from.largest_frame());
        let powers = (0..usize::BITS).map(|bit| 1 << bit).take_while(|size| *size < largest);
        let sizes = powers.flat_map(|size| [size - 1, size, size + 1]).chain([largest, largest]);
        let frames: Vec<_> =
            sizes.filter(|size| *size > 0).enumerate().map(|(n, size)| frame(n, size)).collect();
        check(carrier, &frames, &exchange(from, to, &frames).await);
    });
}

/// Ten thousand small frames each way at the same time.
pub fn many_small_frames_arrive_both_ways(make: impl FnOnce() -> Pair) {
    let mut pair = make();
    run(async {
        let (near_out, far_in) = link(&mut pair).await;
        let (near_in, far_out) = link(&mut pair).await;
        let carrier = near_out.carrier();
        let frames: Vec<_> = (0..10_000).map(|n| frame(n, 8 + n % 60)).collect();
        let there = exchange(near_out, far_in, &frames);
        let back = exchange(far_out, near_in, &frames);
        let (there, back) = zip(there, back).await;
        check(carrier, &frames, &there);
        check(carrier, &frames, &back);
    });
}

/// An empty frame and one that is too large are the sender's errors and harm nothing.
pub fn frames_of_a_wrong_size_are_refused_before_anything_leaves(make: impl FnOnce() -> Pair) {
    let mut pair = make();
    run(async {
        let (mut from, to) = link(&mut pair).await;
        for size in [0, from.largest_frame() + 1] {
            let error = send(&mut from, &frame(1, size)).await.expect_err("a wrong size");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
        let frames: Vec<_> = (0..100).map(|n| frame(n, 8)).collect();
        check(from.carrier(), &frames, &exchange(from, to, &frames).await);
    });
}

/// Back-pressure: the link stops taking frames, holds a bounded amount, and what it took arrives.
pub fn a_reader_that_stops_stops_the_writer_and_loses_nothing(make: impl FnOnce() -> Pair) {
    let mut pair = make();
    run(async {
        let (mut from, mut to) = link(&mut pair).await;
        let carrier = from.carrier();
        let (size, mut sent) = (from.largest_frame(), Vec::new());
        while let Some(ready) = poll_once(poll_fn(|cx| from.poll_ready(cx))).await {
            ready.expect("the link works");
            sent.push(frame(sent.len(), size));
            from.send(&sent[sent.len() - 1]).expect("it was ready");
            assert!(sent.len() * size < TOO_MUCH, "a link that never says stop");
        }
        let error = from.send(&frame(0, size)).expect_err("it was not ready");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        let writer = async move {
            flush(&mut from).await;
        };
        let reader = async {
            let mut received = Vec::new();
            while let Some(frame) = receive(&mut to).await {
                received.push(frame);
            }
            received
        };
        check(carrier, &sent, &zip(writer, reader).await.1);
    });
}

/// A link that is dropped closes: the other end reads what was sent, then the end.
pub fn closing_is_seen_at_the_other_end_after_the_last_frame(make: impl FnOnce() -> Pair) {
    let mut pair = make();
    run(async {
        let (mut near, mut far) = link(&mut pair).await;
        assert!(poll_once(pin!(receive(&mut far))).await.is_none(), "nothing was sent");
        let frames: Vec<_> = (0..4).map(|n| frame(n, 100)).collect();
        for frame in &frames {
            send(&mut near, frame).await.expect("the link works");
        }
        flush(&mut near).await;
        drop(near);
        let mut received = Vec::new();
        while let Some(frame) = receive(&mut far).await {
            received.push(frame);
        }
        check(far.carrier(), &frames, &received);
        assert!(receive(&mut far).await.is_none(), "the end is the end");
    });
}

/// Whoever sends to a link that is closed learns of it, soon if not at once.
pub fn sending_to_an_end_that_is_gone_fails(make: impl FnOnce() -> Pair) {
    let mut pair = make();
    run(async {
        let (near, mut far) = link(&mut pair).await;
        drop(near);
        let mut sent = 0;
        while send(&mut far, &frame(sent, 1000)).await.is_ok() {
            sent += 1;
            assert!(sent * 1000 < TOO_MUCH, "a link that takes frames for nobody");
        }
    });
}

/// A transport may go, and take a new address, without harm to its links.
pub fn links_outlive_their_transports(make: impl FnOnce() -> Pair) {
    let mut pair = make();
    run(async {
        let (from, to) = link(&mut pair).await;
        pair.listener.renew();
        let (again, _far) = link(&mut pair).await;
        drop(pair);
        drop(again);
        let frames: Vec<_> = (0..100).map(|n| frame(n, 8)).collect();
        check(from.carrier(), &frames, &exchange(from, to, &frames).await);
    });
}

/// A future that is ready when `poll` says so; what transports' own tests wait with.
pub fn wait<T>(poll: impl FnMut(&mut std::task::Context<'_>) -> Poll<T>) -> T {
    run(poll_fn(poll))
}
