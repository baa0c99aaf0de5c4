//! Strangers who break the rules: what it costs the node, and what it costs them.

use mesh_node::node::{Frame, NodeEvent};
use mesh_wire::codec::{Opaque, Reader};
use mesh_wire::message::link::{Close, CloseReason, Fragment, LinkMessage, Padding, Ping};
use mesh_wire::message::read_frame;
use mesh_wire::{Carrier, Input, Machine, Wire, limits};

use crate::stranger::{Outcome, Stranger, at};
use crate::{node, open_links};

fn alice() -> crate::TestNode {
    node(0, mesh_wire::Rng::from_seed([9; 32]))
}

fn closes(node: &mut crate::TestNode) -> usize {
    let events = std::iter::from_fn(|| node.poll_event());
    events.filter(|event| matches!(event, NodeEvent::Close(_))).count()
}

// spec: WIRE-6
#[test]
fn w_06_an_unknown_even_kind_is_skipped_and_an_odd_one_ends_the_session() {
    let mut alice = alice();
    let mut stranger = Stranger::meet(&mut alice, 1, Carrier::Stream, at(0));
    assert_eq!(stranger.say(&mut alice, &[0xee, 3, 1, 2, 3]), Outcome::Up);
    assert_eq!(stranger.say(&mut alice, &[0xef, 3, 1, 2, 3]), Outcome::Closed);
}

// spec: SESSION-20
#[test]
fn w_01_a_record_that_does_not_decode_ends_the_session() {
    for bad in [&[0x02][..], &[0x02, 1], &[0x02, 0x40, 1, 7], &[0x02, 2, 7, 7]] {
        let mut alice = alice();
        let mut stranger = Stranger::meet(&mut alice, 1, Carrier::Stream, at(0));
        assert_eq!(stranger.say(&mut alice, bad), Outcome::Closed, "{bad:?}");
        assert_eq!(open_links(&alice).len(), 0);
    }
}

// spec: SESSION-8
#[test]
fn w_09_a_flipped_bit_ends_a_stream_and_leaves_a_datagram_link_as_it_was() {
    for (carrier, expected) in
        [(Carrier::Stream, Outcome::Closed), (Carrier::Datagram, Outcome::Up)]
    {
        let mut alice = alice();
        let mut stranger = Stranger::meet(&mut alice, 1, carrier, at(0));
        let ping = LinkMessage::from(Ping { nonce: 7 }).to_bytes();
        let mut record = stranger.seal(&ping);
        *record.last_mut().unwrap() ^= 1;
        alice.receive(at(0), stranger.link, record);
        assert_eq!(stranger.outcome(&mut alice), expected);
        if expected == Outcome::Up {
            assert_eq!(stranger.say(&mut alice, &ping), Outcome::Up);
        }
    }
}

// spec: SESSION-17
#[test]
fn l_02_half_open_links_are_few_short_and_the_oldest_gives_way() {
    let mut alice = alice();
    let empty = alice.weight();
    for number in 0..1000 {
        Stranger::dial(&mut alice, number, Carrier::Stream, at(number / 100));
        assert!(alice.weight() <= empty + (limits::LINKS + limits::HALF_OPEN) * 8192);
    }
    let closed = closes(&mut alice);
    assert!(closed >= 1000 - limits::HALF_OPEN, "{closed} of 1000 were closed");
    // One byte per second is no handshake either.
    alice.handle(at(10 + limits::HANDSHAKE_TIME.as_secs()), Input::Tick);
    assert_eq!(closed + closes(&mut alice), 1000);
}

#[test]
fn l_02_a_genuine_neighbour_gets_in_beside_the_half_open() {
    let mut alice = alice();
    for number in 0..200 {
        Stranger::dial(&mut alice, number, Carrier::Stream, at(0));
    }
    Stranger::meet(&mut alice, 1000, Carrier::Stream, at(1));
    assert_eq!(open_links(&alice).len(), 1);
}

// spec: SESSION-16
#[test]
fn l_07_a_storm_of_pings_is_answered_within_a_budget_and_then_ends_the_session() {
    let mut alice = alice();
    let mut stranger = Stranger::meet(&mut alice, 1, Carrier::Stream, at(0));
    let ping = |nonce| LinkMessage::from(Ping { nonce });
    let fine = limits::CONTROL_BURST as u64 - 1;
    assert!((0..fine).all(|n| stranger.send(&mut alice, ping(n)) == Outcome::Up));
    let storm = (0..8).map(|n| stranger.send(&mut alice, ping(n)));
    assert!(storm.into_iter().any(|outcome| outcome == Outcome::Closed));
}

#[test]
fn l_07_empty_records_and_padding_cost_bytes_and_nothing_else() {
    let mut alice = alice();
    let mut stranger = Stranger::meet(&mut alice, 1, Carrier::Stream, at(0));
    let weight = alice.weight();
    for _ in 0..10_000 {
        assert_eq!(stranger.say(&mut alice, &[]), Outcome::Up);
    }
    let zeros = Opaque::new(vec![0; 60_000].into()).unwrap();
    assert_eq!(stranger.send(&mut alice, LinkMessage::from(Padding { zeros })), Outcome::Up);
    assert_eq!(alice.weight(), weight);
}

// spec: SESSION-15
#[test]
fn l_09_a_close_in_any_state_ends_the_link_once() {
    let mut alice = alice();
    let close =
        || LinkMessage::from(Close { reason: CloseReason::Leaving, retry_after_s: 0 }).to_bytes();
    let mut half = Stranger::dial(&mut alice, 1, Carrier::Stream, at(0));
    alice.receive(at(0), half.link, close()[..].into());
    assert_eq!(half.outcome(&mut alice), Outcome::Closed, "during the handshake it is junk");

    let mut stranger = Stranger::meet(&mut alice, 2, Carrier::Stream, at(0));
    assert_eq!(stranger.say(&mut alice, &close()), Outcome::Closed);
    assert_eq!(stranger.say(&mut alice, &close()), Outcome::Up, "it is closed already");
    alice.handle(at(0), Input::LinkDown(stranger.link));
    assert_eq!(stranger.say(&mut alice, &close()), Outcome::Up, "and gone");

    // A close that crosses ours.
    let mut crossing = Stranger::meet(&mut alice, 3, Carrier::Stream, at(0));
    alice.leave(at(0));
    alice.receive(at(0), crossing.link, crossing.seal(&close()));
    assert_eq!(crossing.outcome(&mut alice), Outcome::Closed);
    assert!(alice.poll_send(at(0), crossing.link, 1 << 17).is_none());
}

#[test]
fn l_05_fragments_hold_a_bounded_amount_and_carry_no_link_control() {
    let mut alice = alice();
    let mut stranger = Stranger::meet(&mut alice, 1, Carrier::Datagram, at(0));
    let before = alice.weight();
    for message in 0..10_000 {
        let bytes = Opaque::new(vec![7; 1000].into()).unwrap();
        let part = Fragment { message, index: 1, total: 60, bytes };
        assert_eq!(stranger.send(&mut alice, LinkMessage::from(part)), Outcome::Up);
        assert!(alice.weight() - before <= limits::REASSEMBLY_BYTES);
    }
    let ping = LinkMessage::from(Ping { nonce: 1 }).to_bytes();
    let whole = Fragment { message: 0, index: 0, total: 1, bytes: Opaque::new(ping).unwrap() };
    assert_eq!(stranger.send(&mut alice, LinkMessage::from(whole)), Outcome::Closed);
}

#[test]
fn l_08_a_peer_that_stops_reading_costs_nothing_more() {
    let mut alice = alice();
    let mut stranger = Stranger::meet(&mut alice, 1, Carrier::Stream, at(0));
    // It never reads: the node is never polled for its link, and makes nothing for it.
    let weight = alice.weight();
    for nonce in 0..limits::CONTROL_BURST as u64 / 2 {
        let record = stranger.seal(&LinkMessage::from(Ping { nonce }).to_bytes());
        alice.receive(at(0), stranger.link, record);
    }
    assert_eq!(alice.weight(), weight);
    let Some(Frame(answer)) = alice.poll_send(at(0), stranger.link, 1 << 17) else {
        panic!("no answer")
    };
    assert!(answer.len() < 200, "one answer, not {} bytes of them", answer.len());
}

// spec: SESSION-18, SESSION-22
#[test]
fn a_record_holds_all_there_is_to_say_and_what_is_about_the_link_comes_first() {
    let mut alice = alice();
    let name = mesh_wire::Label::new("news").unwrap();
    alice.sync_mut(at(0), |sync| sync.create_channel(at(0), &name)).unwrap();
    let mut stranger = Stranger::shake_hands(&mut alice, 1, Carrier::Stream, at(0));
    let record = stranger.seal(&LinkMessage::from(Ping { nonce: 77 }).to_bytes());
    alice.receive(at(0), stranger.link, record);
    let plaintext = stranger.open(&alice.poll_send(at(0), stranger.link, 1 << 17).unwrap());
    let mut reader = Reader::new(plaintext.into());
    let kinds: Vec<u8> = std::iter::from_fn(|| read_frame(&mut reader).ok())
        .map(|(kind, _)| kind)
        .filter(|kind| *kind != 0)
        .collect();
    let [pong, ping, presence, rest @ ..] = &kinds[..] else { panic!("{kinds:?}") };
    assert_eq!((*pong, *ping, *presence), (0x04, 0x02, 0x10), "{kinds:?}");
    assert!(rest.iter().all(|kind| *kind >= 0x20) && !rest.is_empty(), "{kinds:?}");
}
