//! Towns as a whole: what one must be able to rely on to compare two of them.

use std::collections::BTreeSet;

use mesh_town::batch::{Done, Job, run_all};
use mesh_town::{Class, Measure, Protocol, Report, Scenario, page};
use serde_json::Value;

/// A town small enough to run many times.
fn town(name: &str, people: usize, rest: &str) -> Scenario {
    let head = format!("row = 'T'\ntitle = 'Not </script> there'\npeople = {people}\n");
    Scenario::parse(name, &format!("{head}{rest}")).unwrap()
}

fn stroll() -> Scenario {
    let rest = "warm_up = 20\nseconds = 60\nplace = { kind = 'field', speed = 1.4 }\n\
        load = { kind = 'probes', per_second = 1, bytes = 200 }\n\
        goals = { d15 = { at_least = 2.0, floor = 0.0 } }";
    town("stroll", 12, rest)
}

fn run(scenario: &Scenario, seeds: &[u64], threads: usize) -> Vec<Done> {
    let job = |seed: &u64| Job { scenario, seed: *seed, protocol: Protocol::Mesh };
    run_all(&seeds.iter().map(job).collect::<Vec<_>>(), threads)
}

fn report(scenario: &Scenario, seeds: &[u64]) -> Report {
    Report::new(scenario, Protocol::Mesh, run(scenario, seeds, 2))
}

#[test]
fn every_scenario_in_the_library_can_be_read_and_every_goal_has_one() {
    let names = Scenario::names().unwrap();
    let scenarios: Vec<Scenario> = names.iter().map(|name| Scenario::open(name).unwrap()).collect();
    let rows: BTreeSet<&str> = scenarios.iter().map(|scenario| scenario.row.as_str()).collect();
    // R12 is about those who are never connected, R15 a column of the others.
    for row in (1..=14).filter(|row| *row != 12) {
        assert!(rows.contains(format!("R{row}").as_str()), "no scenario for R{row}");
    }
    for scenario in scenarios.iter().filter(|scenario| scenario.row.starts_with('R')) {
        assert!(!scenario.goals.is_empty(), "{} is a goal without one", scenario.name);
    }
}

#[test]
fn a_scenario_with_a_word_nobody_knows_is_refused() {
    let text = "row = 'T'\ntitle = 'T'\npeople = 2\nplace = { kind = 'line' }\nspeeed = 1";
    assert!(Scenario::parse("typo", text).unwrap_err().contains("speeed"));
}

#[test]
fn one_seed_is_one_life_and_another_is_another() {
    let scenario = stroll();
    let text = |done: &Done| serde_json::to_string(&done.outcome).unwrap();
    let alone = run(&scenario, &[1, 2], 1);
    let crowded = run(&scenario, &[1, 2, 1], 3);
    assert_eq!(text(&alone[0]), text(&crowded[0]));
    assert_eq!(text(&alone[0]), text(&crowded[2]));
    assert_eq!(text(&alone[1]), text(&crowded[1]));
    assert_ne!(alone[0].outcome.trace, alone[1].outcome.trace);
}

/// What every change is held to: to be raised, never lowered. The whole table takes longer, see
/// CONTRIBUTING.
#[test]
fn small_towns_deliver_what_they_did() {
    use Measure::{Control, D2_5, D15, Memory, Sends, WorstBin};
    let chats = "seconds = 180\nload = { kind = 'chats', every = 100, friends = 5, messages = 4, \
        bytes = 200 }\n";
    let channel = "seconds = 120\nload = { kind = 'channel', subscribers = 0.5, every = 10, \
        bytes = 1000 }\n";
    let probes = "seconds = 180\nload = { kind = 'probes', per_second = 5, bytes = 200 }\n";
    let field = "place = { kind = 'field' }\n";
    let walk = "place = { kind = 'field', speed = 1.4 }\n";
    let holes = "trouble = { black_holes = 0.2 }\n";
    let repeats = "radio = { repeated = 0.8 }\n";
    let kill = "trouble = { kill = { at = 130, share = 0.1 } }\n";
    let least = |measure, bound| (measure, bound..=f64::INFINITY);
    let most = |measure, bound| (measure, 0.0..=bound);
    let towns = [
        ("a chain", 8, [chats, "place = { kind = 'line' }", ""], vec![least(D15, 1.0)]),
        (
            "who stay",
            60,
            [chats, field, ""],
            vec![least(D15, 1.0), least(D2_5, 0.98), most(Control, 160.0), most(Memory, 131_072.0)],
        ),
        (
            "who walk",
            40,
            [chats, walk, ""],
            vec![least(D15, 0.99), least(D2_5, 0.95), most(Control, 400.0)],
        ),
        (
            "who listen",
            25,
            [channel, "place = { kind = 'grid' }", ""],
            vec![least(D15, 1.0), most(Sends, 90.0)],
        ),
        ("who lose", 50, [probes, field, kill], vec![least(D15, 0.99), least(WorstBin, 0.75)]),
        ("whose radios repeat", 40, [chats, field, repeats], vec![least(D15, 0.99)]),
        ("who are betrayed", 50, [chats, field, holes], vec![least(D15, 0.99), least(D2_5, 0.95)]),
    ];
    for (name, people, rest, bounds) in towns {
        let report = report(&town(name, people, &rest.concat()), &[0, 1, 2]);
        assert!(report.runs.iter().all(|run| run.messages > 10), "{report}");
        for (measure, bounds) in bounds {
            assert!(bounds.contains(&report.values[&measure]), "{measure:?}: {report}");
        }
    }
}

#[test]
fn who_wants_nothing_sends_nothing_to_find_ways() {
    let rest = "warm_up = 20\nseconds = 120\nload = { kind = 'silence' }\n\
        place = { kind = 'field', speed = 1.4 }";
    let report = report(&town("idle", 20, rest), &[0]);
    assert_eq!(report.values[&Measure::Control], 0.0, "{report}");
    assert!(report.values[&Measure::Link] > 0.0, "links come and go: {report}");
}

#[test]
fn who_wants_nothing_is_told_of_an_uplink_and_says_no_more() {
    let rest = "warm_up = 20\nseconds = 320\nload = { kind = 'silence' }\nuplinks = 1\n\
        place = { kind = 'field' }";
    let report = report(&town("idle", 30, rest), &[0]);
    assert!((0.1..15.0).contains(&report.values[&Measure::Control]), "{report}");
    let routing = report.runs[0].kinds.iter().filter(|kind| kind.class == Class::Routing);
    assert!(routing.into_iter().all(|kind| kind.name == "Anchor"), "{report}");
}

/// The names of the fields of a JSON object, in order.
fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn the_fields_of_a_report_have_the_names_that_others_read() {
    let json = serde_json::to_value(report(&stroll(), &[3])).unwrap();
    let fields = ["goals", "people", "protocol", "row", "runs", "scenario", "title", "values"];
    assert_eq!(names(&json), fields);
    assert_eq!(names(&json["goals"][0]), ["at_least", "floor", "measure", "value", "verdict"]);
    assert_eq!(json["goals"][0]["verdict"], "above_floor");
    let run =
        ["bins", "honest", "kinds", "messages", "rates", "scenario", "seed", "trace", "values"];
    assert_eq!(names(&json["runs"][0]), run);
    let kind = ["bytes", "class", "messages", "name"];
    assert_eq!(names(&json["runs"][0]["kinds"][0]), kind);
}

#[test]
fn the_page_says_what_the_report_says() {
    let scenario = stroll();
    let report = report(&scenario, &[1, 2, 3]);
    let html = page::write(std::slice::from_ref(&scenario), std::slice::from_ref(&report));
    let data = html.split_once("id=\"data\">").unwrap().1.split_once("</script>").unwrap().0;
    let sheets: Value = serde_json::from_str(data).unwrap();
    let sheet = &sheets[0];
    assert_eq!(sheet["title"], "Not </script> there");
    assert_eq!(sheet["seeds"], serde_json::json!([1, 2, 3]));
    let figures = sheet["figures"].as_array().unwrap();
    assert_eq!(figures.len(), report.values.len());
    for (figure, (measure, value)) in figures.iter().zip(&report.values) {
        assert_eq!(figure["label"], measure.label());
        assert_eq!(figure["text"], measure.write(*value));
    }
    assert_eq!(figures[0]["verdict"], "above_floor");
    let town = &sheet["town"];
    assert_eq!(town["spots"][0].as_str().unwrap().len(), 4 * scenario.people);
    assert_eq!(town["messages"].as_array().unwrap().len(), report.runs[0].messages);
    assert!(!html.contains("http://") || html.matches("http://").count() == 1, "needs nothing");
}
