//! Tests of the door.

use std::vec;
use std::vec::Vec;

use super::*;
use crate::handshake::HELLO_TYPE;

fn guard() -> Admission {
    Admission::new(Rng::from_seed([1; 32]))
}

fn source(class: u32, port: u16) -> Source {
    let [a, b, c, d] = class.to_be_bytes();
    Source::from(SocketAddr::from(([a, b, c, d], port)))
}

fn hello(cookie: [u8; 16], fill: u8) -> Vec<u8> {
    let mut frame = vec![fill; limits::HELLO_BYTES];
    frame[0] = HELLO_TYPE;
    frame[1..17].copy_from_slice(&cookie);
    frame
}

fn later(millis: u64) -> Time {
    Time(millis * 1000)
}

/// Uses up all that strangers without a cookie may have, from sources all over the place.
fn crowd(guard: &mut Admission, now: Time) {
    for index in 0..limits::HANDSHAKES_PER_SECOND {
        let path = Path::Unvalidated(&hello([0; 16], 7));
        let verdict = guard.ask(now, &source(index << 8, 1), LinkId(u64::from(index)), path);
        assert!(matches!(verdict, Verdict::Accept { .. }), "{index}");
    }
}

fn cookie_of(verdict: Verdict) -> [u8; 16] {
    let Verdict::Retry(frame) = verdict else { panic!("{verdict:?}") };
    frame[17..].try_into().unwrap()
}

fn ask(guard: &mut Admission, now: Time, source: &Source, frame: &[u8]) -> Verdict {
    guard.ask(now, source, LinkId(5000), Path::Unvalidated(frame))
}

const FREE: Verdict = Verdict::Accept { instead_of: None };

#[test]
fn classes_are_a_slash_24_and_a_slash_64() {
    let of = |text: &str| Source::from(text.parse::<SocketAddr>().unwrap());
    assert_eq!(of("192.0.2.7:1").class, of("192.0.2.200:2").class);
    assert_ne!(of("192.0.2.7:1").class, of("192.0.3.7:1").class);
    assert_ne!(of("192.0.2.7:1").path, of("192.0.2.7:2").path);
    assert_eq!(of("[2001:db8::1]:1").class, of("[2001:db8::ffff]:1").class);
    assert_ne!(of("[2001:db8::1]:1").class, of("[2001:db8:0:1::1]:1").class);
    assert_ne!(of("[2001:db8::1]:1").path, of("[2001:db8::2]:1").path);
    assert_ne!(of("0.0.0.1:1").class, of("[::1]:1").class);
}

// spec: SESSION-17
#[test]
fn a_class_has_a_burst_and_then_one_at_a_time() {
    let mut guard = guard();
    let mut take = |now| guard.ask(now, &source(1, 1), LinkId(1), Path::Validated);
    for _ in 0..limits::HANDSHAKE_BURST {
        assert_ne!(take(later(0)), Verdict::Refuse);
    }
    assert_eq!(take(later(49)), Verdict::Refuse);
    assert_ne!(take(later(50)), Verdict::Refuse);
    assert_eq!(take(later(50)), Verdict::Refuse);
    assert_ne!(take(later(100)), Verdict::Refuse);
    assert_ne!(
        guard.ask(later(100), &source(1 << 8, 1), LinkId(1), Path::Validated),
        Verdict::Refuse
    );
}

// spec: SESSION-17
#[test]
fn l_02_the_oldest_half_open_handshake_gives_way_and_none_outlives_its_time() {
    let mut guard = guard();
    for link in 0..limits::HALF_OPEN as u64 {
        assert_eq!(guard.ask(later(link), &source(1, 1), LinkId(link), Path::Validated), FREE);
    }
    let ask = |guard: &mut Admission, now, link| {
        guard.ask(now, &source(2 << 8, 1), LinkId(link), Path::Validated)
    };
    let instead_of = Some(LinkId(0));
    assert_eq!(ask(&mut guard, later(20), 100), Verdict::Accept { instead_of });
    guard.done(LinkId(7));
    assert_eq!(ask(&mut guard, later(21), 101), FREE, "one is done");
    let now = later(0) + limits::HANDSHAKE_TIME;
    let instead_of = Some(LinkId(1));
    assert_eq!(ask(&mut guard, now, 102), Verdict::Accept { instead_of });
    assert_eq!(ask(&mut guard, now + Duration::from_millis(2), 103), FREE, "one is late");
    assert!(guard.half_open.len() <= limits::HALF_OPEN);
}

// spec: SESSION-21
#[test]
fn a_crowd_is_asked_for_cookies_and_who_brings_one_comes_in() {
    let mut guard = guard();
    crowd(&mut guard, later(0));
    let one = source(99 << 16, 4001);
    let cookie = cookie_of(ask(&mut guard, later(0), &one, &hello([0; 16], 7)));
    let verdict = ask(&mut guard, later(0), &one, &hello(cookie, 7));
    assert!(matches!(verdict, Verdict::Accept { .. }), "{verdict:?}");
    // As does who has a connection anyway.
    let verdict = guard.ask(later(0), &one, LinkId(1), Path::Validated);
    assert!(matches!(verdict, Verdict::Accept { .. }), "{verdict:?}");
}

// spec: SESSION-21
#[test]
fn a_cookie_is_good_for_one_source_one_hello_and_two_lives_at_most() {
    let one = source(99 << 16, 4001);
    let life = limits::COOKIE_LIFE.as_millis() as u64;
    // Each case: where and when the cookie comes back, in which hello, and whether it holds.
    for (back, at, fill, good) in [
        (one, 1, 7, true),
        (one, life, 7, true),
        (one, 2 * life, 7, false),
        (one, 3 * life, 7, false),
        (one, 1, 8, false),
        (source(99 << 16, 4002), 1, 7, false),
        (source(98 << 16, 4001), 1, 7, false),
    ] {
        let mut guard = guard();
        crowd(&mut guard, later(0));
        let cookie = cookie_of(ask(&mut guard, later(0), &one, &hello([0; 16], 7)));
        // Somebody else's handshakes keep the secrets turning and the crowd standing.
        for step in 1..=at / life {
            guard.rotate(later(step * life));
        }
        guard.everyone = Bucket::default();
        crowd(&mut guard, later(at));
        let verdict = ask(&mut guard, later(at), &back, &hello(cookie, fill));
        assert_eq!(matches!(verdict, Verdict::Accept { .. }), good, "{at} {fill}");
    }
}

#[test]
fn a_cookie_does_not_outlive_the_process() {
    let one = source(99 << 16, 4001);
    let mut before = guard();
    crowd(&mut before, later(0));
    let cookie = cookie_of(ask(&mut before, later(0), &one, &hello([0; 16], 7)));
    let mut after = Admission::new(Rng::from_seed([2; 32]));
    crowd(&mut after, later(0));
    assert!(matches!(ask(&mut after, later(0), &one, &hello(cookie, 7)), Verdict::Retry(_)));
}

// spec: SESSION-21
#[test]
fn the_demand_for_a_cookie_is_shorter_than_any_hello() {
    let mut guard = guard();
    crowd(&mut guard, later(0));
    let one = source(99 << 16, 4001);
    for length in 0..2000 {
        let mut frame = hello([0; 16], 7);
        frame.resize(length, 7);
        match ask(&mut guard, later(0), &one, &frame) {
            Verdict::Retry(answer) => assert!(answer.len() * 3 < length),
            Verdict::Refuse => assert!(!(128..=1232).contains(&length), "{length}"),
            Verdict::Accept { .. } => panic!("no cookie, {length}"),
        }
    }
}

#[test]
fn a_flood_from_everywhere_leaves_a_bounded_memory_and_room_for_those_with_cookies() {
    let mut guard = guard();
    let mut rng = Rng::from_seed([3; 32]);
    let mut accepted = 0;
    for step in 0..200_000_u64 {
        let from = source(rng.below(1 << 32) as u32, 1);
        match ask(&mut guard, Time(step * 10), &from, &hello([0; 16], 7)) {
            Verdict::Accept { .. } => accepted += 1,
            Verdict::Retry(_) | Verdict::Refuse => {}
        }
        assert!(guard.classes.len() <= limits::SOURCES);
        assert!(guard.half_open.len() <= limits::HALF_OPEN);
    }
    // Two seconds: the first burst and what comes back in the time.
    assert!((400..=601).contains(&accepted), "{accepted}");
    assert!(guard.weight() < 64 << 10);
    assert_ne!(
        guard.ask(Time(2_000_000), &source(1, 1), LinkId(1), Path::Validated),
        Verdict::Refuse
    );
}
