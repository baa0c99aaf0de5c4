//! `mesh doctor WHO`: what it says of a channel and of somebody near, and of who is neither.

use serde_json::Value;

use crate::stage::{Ran, Stage, first_line, has_fields};

/// The findings about something, by what they are about.
fn findings(ran: &Ran) -> Vec<(String, Value)> {
    let findings = ran.json();
    findings.iter().for_each(|one| has_fields(one, &["what", "ok", "found", "remedy"]));
    findings.into_iter().map(|one| (one["what"].as_str().unwrap().into(), one)).collect()
}

#[track_caller]
fn about<'a>(findings: &'a [(String, Value)], what: &str) -> &'a Value {
    let found = findings.iter().find(|(about, _)| about.starts_with(what));
    &found.unwrap_or_else(|| panic!("nothing about {what:?} in {findings:?}")).1
}

#[test]
fn of_a_channel_it_says_what_is_here_and_that_nobody_shares_it() {
    let stage = Stage::new();
    let _node = stage.up();
    let made = &stage.run(&["channel", "new", "Village news", "--json"]).json()[0];
    stage.run(&["publish", "Village news", "--text", "Market"]);
    for who in ["Village news", made["channel"].as_str().unwrap(), made["link"].as_str().unwrap()] {
        let findings = findings(&stage.run(&["doctor", who, "--json"]));
        let here = about(&findings, "channel Village news");
        assert!(here["found"].as_str().unwrap().starts_with("signed here; here: 1 item"), "{here}");
        assert_eq!(about(&findings, "shared with")["ok"], false);
        about(&findings, "search ");
    }
    let words = stage.run(&["doctor", "Village news"]).out;
    assert!(words.starts_with("channel Village news: well: signed here"), "{words}");
}

#[test]
fn who_is_neither_a_channel_nor_near_is_not_found() {
    let stage = Stage::new();
    let _node = stage.up();
    let stranger = "0".repeat(64);
    for who in ["nothing", "00000000", &stranger] {
        stage.run(&["doctor", who]).fails(4, &["mesh status"]);
    }
    stage.run(&["doctor", "nothing"]).fails(4, &["nothing", "mesh channel list"]);
    stage.run(&["doctor", "mesh:tooshort"]).fails(2, &["link"]);
    stage.run(&["doctor", ""]).fails(4, &["mesh channel list"]);
}

#[test]
fn of_somebody_near_it_says_over_what_and_for_how_long() {
    let (stage, elsewhere) = (Stage::new(), Stage::new());
    let (_node, other) = (stage.up(), elsewhere.up());
    let made = &elsewhere.run(&["channel", "new", "news", "--json"]).json()[0];
    elsewhere.run(&["publish", "news", "--text", "Market"]);
    let link = made["link"].as_str().unwrap();
    stage.run(&["follow", link]);
    first_line(stage.command(&["feed", link, "--follow", "--json"]));
    let findings_of = |who: &str| findings(&stage.run(&["doctor", who, "--json"]));
    let news = findings_of("news");
    let here = about(&news, "channel news")["found"].as_str().unwrap();
    assert!(here.starts_with("followed; here: 1 item"), "{here}");
    assert_eq!(about(&news, "shared with")["ok"], true);

    let digits = &other.ready["node"].as_str().unwrap()[..8];
    about(&news, &format!("shared with {digits}"));
    let near = findings_of(digits);
    let found = about(&near, digits)["found"].as_str().unwrap();
    assert!(found.starts_with("a neighbour at tcp://"), "{found}");
    assert_eq!(about(&near, "channels")["found"], "1 in common: news");
    about(&near, "traffic");
}
