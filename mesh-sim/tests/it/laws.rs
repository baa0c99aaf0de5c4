//! A good machine passes all laws, and each law finds the machine that breaks it.

use mesh_sim::{Law, Quality, Subject, laws, seeds};

use crate::toy::{Flaw, Heard, RUMOURS, Toy, WEIGHT_LIMIT};

fn subject(flaw: Flaw) -> Subject<Toy> {
    Subject::new(move |_, rng| Toy::new(flaw, rng), WEIGHT_LIMIT)
        .commands(|toy, _, rng| toy.spread(rng.below(RUMOURS as u64)))
}

fn finds(law: Law, flaw: Flaw, words: &str) {
    let found = seeds(8).filter_map(|seed| law.test(&subject(flaw), seed).err()).next();
    let why = found.unwrap_or_else(|| panic!("{law} does not find {flaw:?}"));
    assert!(why.contains(words), "{law} finds {flaw:?}, but says: {why}");
}

#[test]
fn a_good_machine_keeps_all_laws() {
    laws::check("the toy", &subject(Flaw::None));
}

#[test]
fn a_good_machine_keeps_all_laws_over_datagrams_and_unsecured() {
    let subject = subject(Flaw::None).over(Quality::DATAGRAM).securing_its_links().nodes(7);
    laws::check("the toy", &subject);
}

#[test]
fn law_1_finds_randomness_from_outside() {
    finds(Law::SameLife, Flaw::Outside, "differ");
}

#[test]
fn law_2_finds_a_forgotten_alarm() {
    finds(Law::HonestAlarm, Flaw::NoAlarm, "ticked more often");
}

#[test]
fn law_3_finds_a_tick_that_is_taken_for_an_alarm() {
    finds(Law::IdleTick, Flaw::AnyTick, "idle machine");
}

#[test]
fn law_4_finds_an_alarm_left_in_the_past() {
    finds(Law::NoSpin, Flaw::LateAlarm, "spins");
}

#[test]
fn law_5_finds_a_message_larger_than_its_room() {
    finds(Law::RoomKept, Flaw::NoRoom, "into a room of");
}

#[test]
fn law_6_finds_trust_in_a_number() {
    finds(Law::JunkProof, Flaw::Trusting, "assertion failed");
}

#[test]
fn law_6_finds_what_junk_leaves_behind() {
    finds(Law::JunkProof, Flaw::Hoarding, "before they met");
}

#[test]
fn law_7_finds_a_missing_limit() {
    finds(Law::Bounded, Flaw::NoLimit, "its limit is");
}

#[test]
fn law_8_finds_state_of_links_that_are_gone() {
    finds(Law::CleanGoodbye, Flaw::NoGoodbye, "before they met");
}

#[test]
fn law_9_finds_a_machine_that_speaks_when_asked() {
    finds(Law::Quiet, Flaw::Chatty, "idle machine");
}

#[test]
fn law_10_finds_outputs_that_do_not_follow_from_inputs() {
    finds(Law::Replayable, Flaw::Outside, "of the journal");
}

#[test]
fn a_life_asks_of_every_event_whether_a_link_should_close() {
    let asks = |heard: &Heard| panic!("asked about {heard:?}");
    let why = Law::Quiet.test(&subject(Flaw::None).closing(asks), 0).expect_err("it asks");
    assert!(why.contains("asked about Heard"), "{why}");
}

#[test]
fn a_broken_law_names_itself_and_the_command_that_replays_it() {
    let check = || laws::check("the toy", &subject(Flaw::LateAlarm));
    let panic = std::panic::catch_unwind(check).expect_err("it spins");
    let text = panic.downcast_ref::<String>().expect("a text");
    assert!(text.starts_with("the toy breaks law "), "{text}");
    assert!(text.contains("MESH_SEED=") && text.contains("cargo test -p mesh-sim"), "{text}");
}
