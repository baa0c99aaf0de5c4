//! A peer that lies in every step: nothing panics, what is held is bounded, and rounds end.

use mesh_sim::{hostile, seed, seeds};
use mesh_sync::set::{Ending, Event, Key, Reconciler, Set};
use mesh_wire::codec::{Bytes, List, Opaque};
use mesh_wire::message::SyncMessage;
use mesh_wire::message::set::{
    AskIds, AskSymbols, Findings, Level, Node, Nodes, Prefix, Reconcile, SetKey, ShortIds, Spine,
    Step, Symbol, Symbols, Walk,
};
use mesh_wire::{Fault, Hash, Rng, Role, UnixTime, Wire, limits};

use super::{BINDING, CHANNEL, MOST_BYTES, year};

/// One end, and whoever says what he likes to it.
struct Victim {
    set: Set,
    end: Reconciler,
    serial: u32,
}

impl Victim {
    fn new(role: Role) -> Self {
        let set = year(&mut seed::rng(1), 2000).into_iter().collect();
        let mut victim = Self { set, end: Reconciler::new(role, BINDING, CHANNEL), serial: 1 };
        victim.end.start(&mut victim.set);
        victim
    }

    fn hear(&mut self, step: impl Into<Step>) -> Result<(), Fault> {
        let message = Reconcile { channel: 0, serial: self.serial, step: step.into() };
        let heard = self.end.handle(&mut self.set, message);
        assert!(self.end.weight() <= MOST_BYTES, "{} bytes held", self.end.weight());
        heard
    }

    /// What it says now.
    fn says(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        while let Some(message) = self.end.poll_send(limits::RECORD_BYTES) {
            steps.push(message.step);
        }
        steps
    }

    fn ending(&mut self) -> Option<Ending> {
        let mut ending = None;
        while let Some(event) = self.end.poll_event() {
            match event {
                Event::Push(_) => {}
                Event::Ended { ending: how, .. } => ending = Some(how),
            }
        }
        ending
    }
}

/// A spine in which every level differs, older than whatever the victim has.
fn spine(rng: &mut Rng) -> Spine {
    let anchor = UnixTime(1_770_000_000_000);
    let levels: Vec<Level> = (0..10).map(|_| Level { digest: rng.bytes(), digits: 20 }).collect();
    Spine { anchor, present: 0b1_1111_1111_1000, levels: List::new(&levels) }
}

/// `count` symbols of noise, of which `more` are still to come.
fn noise(rng: &mut Rng, (first, count, more): (u32, usize, u32)) -> Symbols {
    let symbols: Vec<Symbol> = (0..count)
        .map(|_| Symbol { sum: rng.bytes(), check: rng.bytes(), count: rng.bytes::<1>()[0] })
        .collect();
    Symbols { levels: 0x1fff, items: 1 << 50, first, more, symbols: List::new(&symbols) }
}

/// Answers every question with noise until nothing more is asked; how many questions there were.
fn feed_noise(victim: &mut Victim, rng: &mut Rng) -> usize {
    let mut questions = 0;
    loop {
        let said = victim.says();
        if said.is_empty() {
            return questions;
        }
        for step in said {
            questions += 1;
            assert!(questions < 3000, "questions without end");
            match step {
                Step::AskSymbols(AskSymbols { first, count }) => {
                    let mut at = first;
                    while at < first + count {
                        let part = (first + count - at).min(limits::SET_IDS as u32);
                        let more = first + count - at - part;
                        let symbols = noise(rng, (at, part as usize, more));
                        victim.hear(symbols).expect("it was asked for");
                        at += part;
                    }
                }
                Step::Walk(Walk { prefixes }) => {
                    let hashes: Vec<Hash> = (0..16).map(|_| Hash(rng.bytes())).collect();
                    let branch = |prefix: Prefix| match prefix.length {
                        76 => Node {
                            prefix,
                            children: 0,
                            hashes: List::default(),
                            keys: List::default(),
                        },
                        _ => Node {
                            prefix,
                            children: 0xffff,
                            hashes: List::new(&hashes),
                            keys: List::default(),
                        },
                    };
                    let nodes: Vec<Node> = prefixes.iter().map(branch).collect();
                    victim.hear(Nodes { nodes: List::new(&nodes) }).expect("it was asked for");
                }
                Step::Spine(_)
                | Step::AskIds(_)
                | Step::ShortIds(_)
                | Step::Symbols(_)
                | Step::Findings(_)
                | Step::Nodes(_) => {}
            }
        }
    }
}

// spec: SYNC-30, SYNC-33
#[test]
fn s_02_noise_instead_of_symbols_and_nodes_ends_the_round_unfinished() {
    let mut rng = seed::rng(2);
    let mut victim = Victim::new(Role::Initiator);
    victim.says();
    victim.hear(noise(&mut rng, (0, 32, 0))).expect("a judgement");
    let questions = feed_noise(&mut victim, &mut rng);
    assert!(questions > limits::SET_WALKS as usize, "{questions}");
    assert_eq!(victim.ending(), Some(Ending::Unfinished));
}

// spec: SYNC-30
#[test]
fn s_02_nobody_is_sent_symbols_without_end() {
    let mut rng = seed::rng(3);
    let mut victim = Victim::new(Role::Responder);
    victim.hear(spine(&mut rng)).expect("a spine");
    let ask = AskSymbols { first: 0, count: 1000 };
    for _ in 0..limits::SET_ASKS {
        victim.hear(ask.clone()).expect("within its limit");
        victim.says();
    }
    assert_eq!(victim.hear(ask), Err(Fault::Limit("questions for symbols")));
    assert_eq!(victim.says(), []);
    // The same spine again brings no more of them either.
    victim.hear(spine(&mut seed::rng(3))).expect("it is the same");
    assert_eq!(victim.says(), []);
    for (first, count) in [(0, 0), (0, 65_537), (u32::MAX, u32::MAX), (65_536, 1)] {
        let refused = victim.hear(AskSymbols { first, count });
        assert_eq!(refused, Err(Fault::Limit("symbols")));
    }
}

#[test]
fn s_02_nodes_are_asked_for_a_bounded_number_of_times() {
    let mut victim = Victim::new(Role::Responder);
    let root = Prefix { length: 0, nibbles: Opaque::default() };
    let walk = Walk { prefixes: List::new(&[root]) };
    for _ in 0..limits::SET_WALKS {
        victim.hear(walk.clone()).expect("within its limit");
        assert_eq!(victim.says().len(), 1);
    }
    assert_eq!(victim.hear(walk), Err(Fault::Limit("questions for nodes")));
}

// spec: SYNC-28
#[test]
fn a_spine_that_contradicts_itself_is_refused_and_changes_nothing() {
    let good = spine(&mut seed::rng(4));
    let level = |digits| Level { digest: [1; 8], digits };
    let bad = [
        Spine { present: 0x2000, ..good.clone() },
        Spine { present: 0b11, ..good.clone() },
        Spine { present: 0x1fff, ..good.clone() },
        Spine { present: 1, levels: List::new(&[level(0)]), ..good.clone() },
        Spine { present: 1, levels: List::new(&[level(49)]), ..good.clone() },
        Spine { present: 0, levels: List::new(&[level(1)]), ..good.clone() },
    ];
    for bad in bad {
        let mut victim = Victim::new(Role::Responder);
        assert!(matches!(victim.hear(bad), Err(Fault::Protocol(_))));
        assert_eq!((victim.says(), victim.ending()), (Vec::new(), None));
        victim.hear(good.clone()).expect("nothing has begun yet");
        assert_eq!(victim.says().len(), 1);
    }
}

// spec: SYNC-32
#[test]
fn a_place_or_node_that_cannot_be_is_refused_and_changes_nothing() {
    let prefix = |length, nibbles: &'static [u8]| {
        let nibbles = Opaque::new(Bytes::from_static(nibbles)).expect("few");
        Prefix { length, nibbles }
    };
    for place in [prefix(77, &[0; 38]), prefix(1, &[0x11]), prefix(3, &[1]), prefix(2, &[1, 0])] {
        let mut victim = Victim::new(Role::Responder);
        let refused = victim.hear(Walk { prefixes: List::new(&[place]) });
        assert_eq!(refused, Err(Fault::Protocol("no such place")));
    }
    let nothing = Node {
        prefix: prefix(0, &[]),
        children: 0,
        hashes: List::default(),
        keys: List::default(),
    };
    let key = |time| SetKey { time: UnixTime(time), id: Hash([0; 32]) };
    let hash = Hash([1; 32]);
    let bad = [
        Node { children: 3, hashes: List::new(&[hash]), ..nothing.clone() },
        Node { children: 0, hashes: List::new(&[hash]), ..nothing.clone() },
        Node {
            children: 1,
            hashes: List::new(&[hash]),
            keys: List::new(&[key(1)]),
            ..nothing.clone()
        },
        Node { keys: List::new(&[key(2), key(1)]), ..nothing.clone() },
        Node { keys: List::new(&[key(1), key(1)]), ..nothing.clone() },
    ];
    for bad in bad {
        let mut victim = walking();
        let refused = victim.hear(Nodes { nodes: List::new(&[bad]) });
        assert!(matches!(refused, Err(Fault::Protocol(_))), "{refused:?}");
        victim
            .hear(Nodes { nodes: List::new(std::slice::from_ref(&nothing)) })
            .expect("it still waits");
        assert_eq!(victim.ending(), Some(Ending::Different));
    }
    let mut victim = walking();
    let elsewhere = Node { prefix: prefix(1, &[0x10]), ..nothing };
    victim.hear(Nodes { nodes: List::new(&[elsewhere]) }).expect("it may be an old answer");
    assert_eq!((victim.says(), victim.ending()), (Vec::new(), None));
}

/// An initiator that walks: its round found nothing in levels that differ.
fn walking() -> Victim {
    let mut victim = Victim::new(Role::Initiator);
    victim.says();
    let nothing = ShortIds { levels: 0, first: 0, more: 0, ids: List::default() };
    victim.hear(nothing).expect("a list");
    assert!(matches!(victim.says()[..], [Step::Walk(_)]));
    victim
}

// spec: SYNC-31
#[test]
fn lists_beyond_their_limits_are_refused() {
    let ids: Vec<[u8; 8]> = vec![[3; 8]; 10];
    let ids = || List::new(&ids);
    let mut victim = Victim::new(Role::Initiator);
    for (first, more) in [(0, 4087), (4087, 0), (u32::MAX, u32::MAX)] {
        let refused = victim.hear(ShortIds { levels: 1, first, more, ids: ids() });
        assert_eq!(refused, Err(Fault::Limit("short ids")));
    }
    for (first, more) in [(0, 65_527), (65_527, 0)] {
        let refused = victim.hear(Findings { pushes: 0, first, more, wanted: ids() });
        assert_eq!(refused, Err(Fault::Limit("short ids")));
    }
    let refused = victim.hear(noise(&mut seed::rng(5), (0, 10, 65_527)));
    assert_eq!(refused, Err(Fault::Limit("symbols")));
    victim.hear(AskIds { levels: 0x2000 }).expect_err("no such level");
    // Of 2000 items the list may be asked for; of more than a list holds it may not.
    victim.hear(AskIds { levels: 0x1fff }).expect("few enough");
    let mut crowd = Victim::new(Role::Initiator);
    crowd.set.extend(year(&mut seed::rng(6), 5000));
    crowd.end.start(&mut crowd.set);
    crowd.serial = 2;
    let refused = crowd.hear(AskIds { levels: 0x1fff });
    assert_eq!(refused, Err(Fault::Limit("short ids asked for")));
}

#[test]
fn nobody_is_told_that_sets_are_level_by_who_was_shown_that_they_differ() {
    let mut victim = Victim::new(Role::Responder);
    victim.hear(spine(&mut seed::rng(7))).expect("a spine");
    let nothing = Findings { pushes: 0, first: 0, more: 0, wanted: List::default() };
    victim.hear(nothing).expect("an end");
    assert_eq!(victim.ending(), Some(Ending::Unfinished));
}

/// A step with numbers that mean something and contents that need not.
fn any_step(rng: &mut Rng, said: &[Step]) -> Step {
    let small = |rng: &mut Rng| rng.below(70) as u32;
    let ids = |rng: &mut Rng| {
        let ids: Vec<[u8; 8]> = (0..rng.below(40)).map(|_| rng.bytes()).collect();
        List::new(&ids)
    };
    match rng.below(10) {
        0 => spine(rng).into(),
        1 => AskIds { levels: rng.below(1 << 13) as u16 }.into(),
        2 => ShortIds { levels: 0x1fff, first: small(rng), more: small(rng), ids: ids(rng) }.into(),
        3 => AskSymbols { first: small(rng), count: small(rng) }.into(),
        4 => {
            let (first, more) = (small(rng), small(rng));
            noise(rng, (first, 32, more)).into()
        }
        5 => Findings { pushes: 7, first: small(rng), more: small(rng), wanted: ids(rng) }.into(),
        _ if said.is_empty() => spine(rng).into(),
        _ => {
            // What the victim itself has said, as it was or altered.
            let honest = said[rng.below(said.len() as u64) as usize].clone();
            let altered = hostile::junk(rng, &honest.to_bytes());
            Step::from_bytes(altered).unwrap_or(honest)
        }
    }
}

#[test]
fn s_02_steps_in_any_order_and_of_any_content_are_borne() {
    for seed in seeds(60) {
        let mut rng = seed::rng(seed);
        let mut victims = [Role::Initiator, Role::Responder].map(Victim::new);
        let mut said = Vec::new();
        for _ in 0..300 {
            for victim in &mut victims {
                if rng.below(50) == 0 {
                    victim.serial += 1;
                    victim.end.start(&mut victim.set);
                }
                let step = any_step(&mut rng, &said);
                let _ = victim.hear(step);
                victim.end.repeat();
                let new = victim.says();
                said.extend(new.into_iter().take(4));
                let surplus = said.len().saturating_sub(64);
                said.drain(..surplus);
                victim.ending();
            }
        }
        for victim in &mut victims {
            victim.serial += 1;
            victim.end.start(&mut victim.set);
            let message = SyncMessage::from(Reconcile {
                channel: 0,
                serial: victim.serial,
                step: spine(&mut rng).into(),
            });
            assert!(message.size() > 0 && victim.end.weight() <= MOST_BYTES, "seed {seed}");
        }
    }
}

#[test]
fn only_the_initiator_opens_rounds() {
    let mut victim = Victim::new(Role::Responder);
    assert_eq!(victim.says(), [], "it was told to start");
    let mut opener = Victim::new(Role::Initiator);
    opener.serial = 2;
    opener.says();
    opener.hear(spine(&mut seed::rng(8))).expect("of no round");
    assert_eq!(opener.says(), []);
    let key = Key::new(UnixTime(u64::MAX), Hash([0; 32]));
    assert_eq!(key.time(), UnixTime::MAX);
}
