//! The handshake as a whole, over carriers that lose, repeat, alter and hold back.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::BytesMut;
use mesh_wire::codec::Extensions;
use mesh_wire::handshake::{
    Config, Established, Handshake, HandshakeError, Introduction, Progress, Pseudonym, Versions,
};
use mesh_wire::session::Session;
use mesh_wire::{Carrier, PeerId, Rng, Role, Time, Wire, limits, seal};
use proptest::prelude::*;

/// A config of the node `who`.
fn config(carrier: Carrier, who: u8) -> Config {
    Config {
        carrier,
        network: [0; 32],
        versions: Versions::new(&[1]),
        pseudonym: Pseudonym::generate(&mut Rng::from_seed([who; 32])),
        introduction: Introduction { extensions: extensions(2, &[who; 8]) },
        cipher: seal::chacha20poly1305,
        resend: limits::HANDSHAKE_RESEND,
        patience: limits::HANDSHAKE_TIME,
    }
}

/// One extension of this kind.
fn extensions(kind: u16, value: &[u8]) -> Extensions {
    let mut entry = Vec::new();
    kind.write(&mut entry);
    (value.len() as u16).write(&mut entry);
    entry.extend_from_slice(value);
    let mut bytes = Vec::new();
    (entry.len() as u16).write(&mut bytes);
    bytes.extend(entry);
    Extensions::from_bytes(bytes.into()).unwrap()
}

/// One end of a link, with what came of it.
struct End {
    handshake: Handshake,
    established: Vec<Established>,
}

impl End {
    fn new(role: Role, config: Config, seed: u8) -> Self {
        let rng = &mut Rng::from_seed([seed; 32]);
        let handshake = match role {
            Role::Initiator => Handshake::initiate(Time(0), config, rng),
            Role::Responder => Handshake::respond(Time(0), config, rng),
        };
        Self { handshake, established: Vec::new() }
    }

    /// Gives it a frame; a record of the session confirms the handshake, as in a node.
    fn take(&mut self, now: Time, frame: &[u8]) -> Result<(), HandshakeError> {
        if let Some(established) = self.established.last_mut()
            && established.session.open(BytesMut::from(frame)).is_ok()
        {
            self.handshake.confirm();
            return Ok(());
        }
        self.established.extend(self.handshake.receive(now, frame)?);
        Ok(())
    }

    fn send(&mut self, now: Time) -> Vec<u8> {
        self.handshake.poll_send(now).expect("a frame is due")
    }
}

/// Runs both ends until neither has anything to do, or for eight seconds; `fate` says which
/// frames arrive, by their number. Gives how many frames there were.
fn run(ends: &mut [End; 2], mut fate: impl FnMut(usize) -> bool) -> usize {
    let (mut now, mut frames) = (Time(0), 0);
    for _ in 0..1000 {
        let mut moved = false;
        for from in [0, 1] {
            while let Some(frame) = ends[from].handshake.poll_send(now) {
                moved = true;
                frames += 1;
                if fate(frames - 1) {
                    // What an end refuses over datagrams it has forgotten.
                    let _ = ends[1 - from].take(now, &frame);
                }
            }
        }
        if moved {
            continue;
        }
        let wakes = ends.iter().filter_map(|end| end.handshake.wake_at()).map(|wake| wake.at);
        let Some(next) = wakes.filter(|at| *at > now).min() else { return frames };
        if next > Time(8_000_000) {
            return frames;
        }
        now = next;
    }
    panic!("the two ends never come to rest");
}

/// Whether both ends have one session, the same one, and it works.
fn met(ends: &mut [End; 2]) -> bool {
    let counts = [ends[0].established.len(), ends[1].established.len()];
    assert!(counts[0] <= 1 && counts[1] <= 1, "more than one session: {counts:?}");
    let [a, b] = ends;
    let (Some(a), Some(b)) = (a.established.last_mut(), b.established.last_mut()) else {
        return false;
    };
    assert_eq!(a.binding, b.binding);
    assert_ne!(a.role, b.role);
    assert_eq!(a.version, b.version);
    for text in [&b"to and"[..], b"fro"] {
        assert_eq!(pass(&mut a.session, &mut b.session, text), text);
        assert_eq!(pass(&mut b.session, &mut a.session, text), text);
    }
    true
}

fn pass(from: &mut Session, to: &mut Session, text: &[u8]) -> bytes::Bytes {
    let mut record = vec![0; from.header_bytes()];
    record.extend_from_slice(text);
    from.seal(Time(0), &mut record).unwrap();
    to.open(BytesMut::from(&record[..])).unwrap()
}

fn pair(carrier: Carrier) -> [End; 2] {
    [
        End::new(Role::Initiator, config(carrier, 1), 11),
        End::new(Role::Responder, config(carrier, 2), 12),
    ]
}

/// The two ends of a session, the initiator's first.
pub(crate) fn established(carrier: Carrier) -> [Session; 2] {
    let mut ends = pair(carrier);
    run(&mut ends, |_| true);
    ends.map(|mut end| end.established.pop().expect("they meet").session)
}

const BOTH: [Carrier; 2] = [Carrier::Stream, Carrier::Datagram];

// spec: SESSION-3, SESSION-5
#[test]
fn two_strangers_get_one_session_and_know_what_the_other_said() {
    for carrier in BOTH {
        let mut ends = pair(carrier);
        assert_eq!(run(&mut ends, |_| true), if carrier == Carrier::Stream { 3 } else { 4 });
        assert!(met(&mut ends));
        for (end, other, role) in [(0, 2, Role::Initiator), (1, 1, Role::Responder)] {
            let established = &ends[end].established[0];
            let them = config(carrier, other);
            assert_eq!(established.role, role);
            assert_eq!(established.peer, them.pseudonym.peer());
            assert_eq!(established.introduction, them.introduction);
            assert_eq!(established.version, 1);
            // What comes late does not undo it.
            assert!(ends[end].handshake.receive(Time(1), &[0x11; 80]).is_err());
            assert_eq!(ends[end].handshake.progress(Time(9_000_000)), Progress::Done);
        }
    }
}

#[test]
fn bindings_differ_between_links_and_nothing_lasting_is_in_clear() {
    let mut seen = BTreeSet::new();
    for seed in 0..20 {
        let mut ends = pair(Carrier::Stream);
        ends[0] = End::new(Role::Initiator, config(Carrier::Stream, 1), 100 + seed);
        run(&mut ends, |_| true);
        assert!(seen.insert(ends[0].established[0].binding));
    }
    let mut ends = pair(Carrier::Stream);
    let mut frames = Vec::new();
    for from in [0, 1, 0] {
        let frame = ends[from].send(Time(0));
        ends[1 - from].take(Time(0), &frame).unwrap();
        frames.extend(frame);
    }
    let holds = |needle: &[u8]| frames.windows(needle.len()).any(|bytes| bytes == needle);
    for who in [1, 2] {
        assert!(!holds(&config(Carrier::Stream, who).pseudonym.peer().0));
        assert!(!holds(&[who; 8]));
    }
}

// spec: SESSION-4
#[test]
fn an_answer_is_never_three_times_its_hello_and_usually_shorter() {
    let mut ends = pair(Carrier::Datagram);
    let hello = ends[0].send(Time(0));
    assert_eq!(hello.len(), limits::HELLO_BYTES);
    ends[1].take(Time(0), &hello).unwrap();
    let answer = ends[1].send(Time(0)).len();
    assert!(answer <= hello.len());
    // And with the most that can be said.
    let mut long = config(Carrier::Datagram, 2);
    long.versions = Versions::new(&[1, 2, 3, 4, 5, 6, 7, 8]);
    long.introduction.extensions = extensions(2, &[7; limits::EXTENSION_BYTES - 3]);
    let mut end = End::new(Role::Responder, long, 3);
    end.take(Time(0), &hello).unwrap();
    let answer = end.send(Time(0)).len();
    assert!(answer > 2 * hello.len() && answer <= 3 * hello.len(), "{answer}");
    assert!(end.handshake.poll_send(Time(0)).is_none(), "one answer for one hello");
    let short = &hello[..limits::HELLO_BYTES - 1];
    let mut end = End::new(Role::Responder, config(Carrier::Datagram, 2), 3);
    assert_eq!(end.take(Time(0), short), Err(HandshakeError::Size));
}

#[test]
fn w_06_a_critical_extension_that_nobody_knows_ends_the_handshake() {
    for (kind, meets) in [(64, true), (65, false)] {
        for (end, role) in [(0, Role::Initiator), (1, Role::Responder)] {
            let mut ends = pair(Carrier::Stream);
            let mut ours = config(Carrier::Stream, 3);
            ours.introduction.extensions = extensions(kind, &[7; 100]);
            ends[end] = End::new(role, ours, 4);
            run(&mut ends, |_| true);
            // The one that sends it may believe that all is well, the other does not.
            assert_eq!(ends[1 - end].established.len() == 1, meets, "kind {kind}, end {end}");
        }
    }
}

/// What comes of these versions at the two ends.
fn agree(ours: &[u8], theirs: &[u8]) -> Option<u8> {
    let mut ends = pair(Carrier::Stream);
    for (end, role, versions) in [(0, Role::Initiator, ours), (1, Role::Responder, theirs)] {
        let mut config = config(Carrier::Stream, end as u8 + 1);
        config.versions = Versions::new(versions);
        ends[end] = End::new(role, config, 5);
    }
    run(&mut ends, |_| true);
    met(&mut ends).then(|| ends[0].established[0].version)
}

// spec: SESSION-5
#[test]
fn w_06_the_highest_common_version_is_spoken_and_none_else() {
    assert_eq!(agree(&[1], &[1]), Some(1));
    assert_eq!(agree(&[1, 2, 9], &[2, 3, 9, 200]), Some(9));
    assert_eq!(agree(&[1, 2], &[1, 3]), Some(1));
    assert_eq!(agree(&[1], &[2]), None);
    assert_eq!(agree(&[255], &[0, 255]), Some(255));
    assert_eq!(agree(&[], &[1]), None);
    assert_eq!(agree(&[2, 1], &[1, 2]), None, "a list that does not ascend");
    assert_eq!(agree(&[1, 1], &[1]), None, "a version twice");
}

// spec: SESSION-3, SESSION-5
#[test]
fn a_list_of_versions_changed_on_its_way_makes_the_handshake_fail() {
    let mut ends = pair(Carrier::Stream);
    for (end, role) in [(0, Role::Initiator), (1, Role::Responder)] {
        let mut config = config(Carrier::Stream, end as u8 + 1);
        config.versions = Versions::new(&[1, 2]);
        ends[end] = End::new(role, config, 5);
    }
    let mut hello = ends[0].send(Time(0));
    assert_eq!(hello[17..20], [2, 1, 2]);
    hello.splice(17..20, [1, 1]);
    ends[1].take(Time(0), &hello).unwrap();
    let answer = ends[1].send(Time(0));
    assert_eq!(ends[0].take(Time(0), &answer), Err(HandshakeError::Forged));
    assert!(ends[0].established.is_empty());
}

// spec: SESSION-3
#[test]
fn h_10_carrier_and_network_are_part_of_the_handshake() {
    let mut other_network = config(Carrier::Stream, 2);
    other_network.network = [9; 32];
    for config in [other_network, config(Carrier::Datagram, 2)] {
        let mut ends = pair(Carrier::Stream);
        ends[1] = End::new(Role::Responder, config, 5);
        run(&mut ends, |_| true);
        assert!(!met(&mut ends));
        assert!(ends[0].established.is_empty());
    }
}

// spec: SESSION-6
#[test]
fn h_10_messages_sent_again_give_no_second_session_and_no_session_elsewhere() {
    for carrier in BOTH {
        let mut ends = pair(carrier);
        let mut frames = Vec::new();
        for from in [0, 1, 0] {
            let frame = ends[from].send(Time(0));
            ends[1 - from].take(Time(0), &frame).unwrap();
            frames.push(frame);
        }
        assert!(met(&mut ends));
        // To those who know them already. On a stream they would be broken records.
        if carrier == Carrier::Datagram {
            for frame in frames.iter().cycle().take(10) {
                let _ = ends[0].take(Time(1), frame);
                let _ = ends[1].take(Time(1), frame);
            }
            assert!(met(&mut ends));
        }
        // To fresh ends of the same nodes, a moment later.
        for seed in [21, 22] {
            let mut initiator = End::new(Role::Initiator, config(carrier, 1), seed);
            let mut responder = End::new(Role::Responder, config(carrier, 2), seed);
            for frame in &frames {
                let _ = initiator.take(Time(2), frame);
                let _ = responder.take(Time(2), frame);
            }
            assert!(initiator.established.is_empty() && responder.established.is_empty());
        }
    }
}

// spec: SESSION-6
#[test]
fn a_repeated_hello_gets_the_same_answer_and_a_repeated_finish_the_same_record() {
    let mut ends = pair(Carrier::Datagram);
    let hello = ends[0].send(Time(0));
    ends[1].take(Time(0), &hello).unwrap();
    let answer = ends[1].send(Time(0));
    ends[1].take(Time(1), &hello).unwrap();
    assert_eq!(ends[1].send(Time(1)), answer);
    ends[0].take(Time(1), &answer).unwrap();
    let finish = ends[0].send(Time(1));
    ends[1].take(Time(2), &finish).unwrap();
    let record = ends[1].send(Time(2));
    ends[1].take(Time(3), &finish).unwrap();
    assert_eq!(ends[1].send(Time(3)), record);
    assert_eq!(ends[1].handshake.poll_send(Time(4)), None);
    assert_eq!(ends[0].handshake.progress(Time(4)), Progress::Lingering);
    ends[0].take(Time(4), &record).unwrap();
    assert_eq!(ends[0].handshake.progress(Time(4)), Progress::Done);
    assert!(met(&mut ends));
}

// spec: SESSION-6
#[test]
fn h_11_a_hello_that_comes_back_is_dropped() {
    let mut end = End::new(Role::Initiator, config(Carrier::Datagram, 1), 1);
    let hello = end.send(Time(0));
    assert_eq!(end.take(Time(0), &hello), Err(HandshakeError::Reflected));
    assert_eq!(end.handshake.progress(Time(0)), Progress::Waiting);
    // Whole conversations with oneself end too: the same pseudonym is at the other end.
    let mut ends = pair(Carrier::Datagram);
    ends[1] = End::new(Role::Responder, config(Carrier::Datagram, 1), 5);
    run(&mut ends, |_| true);
    assert!(ends.iter().all(|end| end.established.is_empty()));
}

// spec: SESSION-6
#[test]
fn h_11_both_ends_dial_at_once_and_six_frames_meet_every_fate() {
    for seed in 0..4 {
        for fates in 0..64 {
            let mut ends = [
                End::new(Role::Initiator, config(Carrier::Datagram, 1), 30 + seed),
                End::new(Role::Initiator, config(Carrier::Datagram, 2), 40 + seed),
            ];
            let frames = run(&mut ends, |frame| frame >= 6 || fates >> frame & 1 == 1);
            assert!(met(&mut ends), "seed {seed}, fates {fates:06b}");
            assert!(frames < 20, "{frames} frames, seed {seed}, fates {fates:06b}");
        }
    }
}

// spec: SESSION-6
#[test]
fn h_11_both_ends_dial_at_once_on_a_stream() {
    for seed in 0..8 {
        let mut ends = [
            End::new(Role::Initiator, config(Carrier::Stream, 1), 30 + seed),
            End::new(Role::Initiator, config(Carrier::Stream, 2), 40 + seed),
        ];
        let hellos = [ends[0].send(Time(0)), ends[1].send(Time(0))];
        for (end, hello) in [(0, &hellos[1]), (1, &hellos[0])] {
            ends[end].take(Time(0), hello).unwrap();
        }
        run(&mut ends, |_| true);
        assert!(met(&mut ends));
    }
}

// spec: SESSION-6
#[test]
fn every_loss_of_the_first_four_frames_is_made_good() {
    for fates in 0..16 {
        let mut ends = pair(Carrier::Datagram);
        run(&mut ends, |frame| frame >= 4 || fates >> frame & 1 == 1);
        assert!(met(&mut ends), "fates {fates:04b}");
        for end in &ends {
            assert_eq!(end.handshake.progress(Time(20_000_000)), Progress::Done, "{fates:04b}");
        }
    }
}

// spec: SESSION-6
#[test]
fn a_handshake_that_nobody_answers_is_repeated_ever_less_often_and_given_up() {
    let mut end = End::new(Role::Initiator, config(Carrier::Datagram, 1), 1);
    let mut at = Vec::new();
    while let Some(wake) = end.handshake.wake_at() {
        if end.handshake.progress(wake.at) == Progress::Failed {
            break;
        }
        assert!(end.handshake.poll_send(wake.at).is_some(), "a wake-up for nothing");
        at.push(wake.at.0 / 1000);
    }
    assert_eq!(at, [0, 250, 750, 1750, 3750]);
    assert_eq!(end.handshake.poll_send(Time(5_000_000)), None);
    let mut end = End::new(Role::Initiator, config(Carrier::Stream, 1), 1);
    end.send(Time(0));
    assert_eq!(end.handshake.wake_at().unwrap().at, Time(0) + limits::HANDSHAKE_TIME);
    assert_eq!(end.handshake.poll_send(Time(4_999_999)), None, "no repetition on a stream");
}

/// Over 30 relays whose packets are led around gaps, each step takes seconds.
// spec: SESSION-6
#[test]
fn both_ends_are_patient_over_relays() {
    for (patience, together) in
        [(limits::ROUTED_HANDSHAKE_TIME, true), (limits::HANDSHAKE_TIME, false)]
    {
        let config = |who| Config { patience, ..config(Carrier::Datagram, who) };
        let mut ends =
            [End::new(Role::Initiator, config(1), 11), End::new(Role::Responder, config(2), 12)];
        let mut now = Time(0);
        for from in [0, 1, 0, 1] {
            if let Some(frame) = ends[from].handshake.poll_send(now) {
                now = now + Duration::from_secs(4);
                // An end that has given up refuses it.
                let _ = ends[1 - from].take(now, &frame);
            }
        }
        assert_eq!(ends[0].handshake.progress(now) == Progress::Done, together);
    }
}

// spec: SESSION-6
#[test]
fn forged_copies_that_come_first_do_not_keep_the_real_messages_out() {
    let mut ends = pair(Carrier::Datagram);
    for from in [0, 1, 0] {
        let frame = ends[from].send(Time(0));
        if from != 0 || frame.len() != limits::HELLO_BYTES {
            for byte in 0..frame.len() {
                let mut forged = frame.clone();
                forged[byte] ^= 0x10;
                assert!(ends[1 - from].take(Time(0), &forged).is_err(), "byte {byte}");
                assert!(ends[1 - from].take(Time(0), &frame[..byte]).is_err());
            }
        }
        ends[1 - from].take(Time(0), &frame).unwrap();
    }
    assert!(met(&mut ends));
}

/// Bytes of a peer that knows the form of the messages and none of the secrets.
fn nonsense() -> impl Strategy<Value = Vec<u8>> {
    let body = prop::collection::vec(any::<u8>(), 0..limits::HANDSHAKE_BYTES + 2);
    (prop_oneof![0x0f..0x15_u8, any::<u8>()], body).prop_map(|(kind, mut body)| {
        if let Some(first) = body.first_mut() {
            *first = kind;
        }
        // A list of versions that is in order, so that the rest is looked at.
        if let Some(list) = body.get_mut(17..19) {
            list.copy_from_slice(&[1, 1]);
        }
        body
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn nonsense_over_datagrams_gives_no_session_and_keeps_nobody_out(
        frames in prop::collection::vec((0..2_usize, nonsense()), 0..20),
        between in 0..4_usize,
    ) {
        let mut ends = pair(Carrier::Datagram);
        for step in 0..4 {
            if step == between {
                for (end, frame) in &frames {
                    // A sound hello from somebody else takes the place of the responder: the one
                    // thing a stranger can do on an open path.
                    if !(step == 0 && *end == 1 && frame.first() == Some(&0x10)) {
                        let _ = ends[*end].take(Time(step as u64), frame);
                    }
                }
            }
            if step < 3 && let Some(frame) = ends[step % 2].handshake.poll_send(Time(step as u64)) {
                let _ = ends[1 - step % 2].take(Time(step as u64), &frame);
            }
        }
        run(&mut ends, |_| true);
        let gave_way = between <= 1 && frames.iter().any(|(end, frame)| {
            *end == 0 && frame.first() == Some(&0x10)
        });
        prop_assert!(gave_way || met(&mut ends));
    }

    #[test]
    fn nonsense_on_a_stream_ends_it(frame in nonsense(), initiator: bool) {
        let mut ends = pair(Carrier::Stream);
        let end = &mut ends[usize::from(!initiator)];
        let refused = end.take(Time(0), &frame).is_err();
        prop_assert!(end.established.is_empty());
        prop_assert_eq!(refused, end.handshake.progress(Time(0)) == Progress::Failed);
    }
}

// spec: SESSION-6
#[test]
fn l_09_the_end_of_the_link_in_any_state_leaves_no_work_behind() {
    for carrier in BOTH {
        for steps in 0..4 {
            let mut ends = pair(carrier);
            for from in [0, 1, 0].into_iter().take(steps) {
                let frame = ends[from].send(Time(0));
                ends[1 - from].take(Time(0), &frame).unwrap();
            }
            // The other end is gone: each comes to rest after a bounded number of wake-ups.
            for end in &mut ends {
                let (mut now, mut wakes) = (Time(0), 0);
                while let Some(wake) = end.handshake.wake_at() {
                    now = now.max(wake.at);
                    let over = [Progress::Failed, Progress::Done];
                    if over.contains(&end.handshake.progress(now)) {
                        break;
                    }
                    while end.handshake.poll_send(now).is_some() {}
                    wakes += 1;
                    assert!(wakes < 20, "{carrier:?} spins after {steps} steps");
                }
                assert!(now <= Time(0) + limits::HANDSHAKE_TIME);
                assert_ne!(end.handshake.progress(Time(5_000_000)), Progress::Waiting);
                assert_eq!(end.handshake.poll_send(Time(60_000_000)), None);
                assert!(end.take(Time(60_000_000), &[0x11; 100]).is_err());
            }
        }
    }
}

#[test]
fn handshakes_and_pseudonyms_show_nothing_of_their_secrets() {
    let config = config(Carrier::Stream, 1);
    let PeerId(peer) = config.pseudonym.peer();
    let shown = format!("{:?}", config.pseudonym);
    assert!(shown.starts_with(&format!("Pseudonym(PeerId({:02x}", peer[0])), "{shown}");
    assert!(shown.ends_with("…), …)") && shown.len() < 40, "{shown}");
    let end = End::new(Role::Initiator, config, 1);
    assert_eq!(format!("{:?}", end.handshake), "Handshake(…)");
}
