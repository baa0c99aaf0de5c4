//! `mesh channel status`, `request`, `delegate`, `revoke`, `rotate`: two people and one channel.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::stage::{Stage, has_fields};

const WRITER_FIELDS: [&str; 8] =
    ["name", "key", "role", "state", "until_ms", "own", "items", "newest_ms"];

fn writers(stage: &Stage) -> Vec<Value> {
    let writers = stage.run(&["channel", "status", "news", "--json"]).json();
    writers.iter().for_each(|writer| has_fields(writer, &WRITER_FIELDS));
    writers
}

fn texts(stage: &Stage) -> Vec<String> {
    let items = stage.run(&["feed", "news", "--json"]).json();
    let words = |item: &Value| {
        let [writer, text] = ["writer", "text"].map(|field| item[field].as_str().unwrap());
        let void = if item["valid"] == true { "" } else { " (void)" };
        format!("{writer}: {text}{void}")
    };
    let mut texts: Vec<String> = items.iter().map(words).collect();
    texts.sort();
    texts
}

/// Asks again until it is so.
#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "not in 20 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

// spec: SYNC-37, SYNC-38
#[test]
fn somebody_is_let_in_writes_and_is_let_out_again() {
    let (ada, bob) = (Stage::new(), Stage::new());
    let (_ada, _bob) = (ada.up(), bob.up());
    let made = &ada.run(&["channel", "new", "news", "--json"]).json()[0];
    ada.run(&["publish", "news", "--text", "Market"]);
    let link = made["link"].as_str().unwrap();
    bob.run(&["follow", link]);
    until("Bob has it", || bob.run(&["feed", "news"]).code == Some(0) && texts(&bob).len() == 1);
    bob.run(&["publish", "news", "--text", "no"]).fails(1, &["mesh channel request"]);

    let wish = bob.run(&["channel", "request", "news", "Bob"]).out.trim().to_owned();
    ada.run(&["channel", "delegate", "news", link]).fails(2, &["mesh channel request"]);
    ada.run(&["channel", "rotate", "news", &wish]).fails(2, &["only to write"]);
    bob.run(&["channel", "delegate", "news", &wish]).fails(1, &["only the channel's owner"]);
    let let_in = ada.run(&["channel", "delegate", "news", &wish, "--days", "30"]);
    assert_eq!(let_in.code, Some(0), "{}", let_in.err);
    assert!(let_in.out.contains("Bob  ") && let_in.out.contains("; until 20"), "{}", let_in.out);
    until("Bob knows", || writers(&bob).len() == 2);
    assert_eq!((&writers(&bob)[1]["own"], &writers(&ada)[1]["own"]), (&true.into(), &false.into()));
    bob.run(&["publish", "news", "--text", "Concert"]).is_done();
    until("Ada has it", || texts(&ada) == [": Market", "Bob: Concert"]);
    assert!(ada.run(&["feed", "news"]).out.contains("Bob: Concert"));
    assert!(ada.run(&["channel", "list"]).out.contains("news  own, 2 writers  2 items"));

    ada.run(&["channel", "revoke", "news", "Eve"]).fails(4, &["Eve", "mesh channel status"]);
    let out = ada.run(&["channel", "revoke", "news", "Bob"]).out;
    assert!(out.contains("Bob  ") && out.contains("; ended"), "{out}");
    until("Bob knows", || writers(&bob)[1]["state"] == "ended");
    bob.run(&["publish", "news", "--text", "more"]).fails(1, &["has ended"]);
    assert_eq!(texts(&bob), [": Market", "Bob: Concert"]);

    // The owner's key is replaced, and then the owner.
    ada.run(&["channel", "rotate", "news"]).is_done();
    ada.run(&["publish", "news", "--text", "Fair"]).is_done();
    until("Bob reads on", || texts(&bob).contains(&": Fair".into()));
    let wish = bob.run(&["channel", "request", "news", "Bob", "--owner"]).out.trim().to_owned();
    ada.run(&["channel", "delegate", "news", &wish]).fails(2, &["mesh channel rotate"]);
    ada.run(&["channel", "rotate", "news", &wish]).is_done();
    until("Bob is the owner", || bob.run(&["channel", "list"]).out.contains("news  own"));
    bob.run(&["channel", "checkpoint", "news"]).is_done();
    ada.run(&["channel", "checkpoint", "news"]).fails(1, &["only the channel's owner"]);
    assert_eq!(writers(&bob).len(), 4);
    bob.run(&["publish", "news", "--text", "Ball"]).is_done();
    until("Ada follows now", || texts(&ada).contains(&"Bob: Ball".into()));
}

// spec: SYNC-40, SYNC-42
#[test]
fn a_private_channel_is_read_by_its_members_and_kept_by_others() {
    let (ada, bob, eve) = (Stage::new(), Stage::new(), Stage::new());
    let (_ada, _bob, _eve) = (ada.up(), bob.up(), eve.up());
    let made = &ada.run(&["channel", "new", "news", "--private", "--json"]).json()[0];
    assert_eq!(made["private"], true);
    let link = made["link"].as_str().unwrap();
    for follower in [&bob, &eve] {
        follower.run(&["follow", link]).is_done();
        until("it is known", || follower.run(&["feed", "news"]).code == Some(0));
    }
    let wish = bob.run(&["channel", "request", "news", "Bob"]).out.trim().to_owned();
    ada.run(&["channel", "member", "add", "news", &wish]).is_done();
    ada.run(&["publish", "news", "--text", "for us"]).is_done();
    let (small, large) = (ada.write("list.txt", b"bread"), ada.write("film", &[7; 40_000]));
    let [small, large] = [&small, &large].map(|path| path.to_str().unwrap());
    let published = ada.run(&["publish", "news", small, large]);
    assert_eq!(published.code, Some(8), "{}", published.out);
    assert!((published.out + &published.err).contains("15 kB"));
    until("Bob has it", || texts(&bob).len() == 2);
    assert_eq!(texts(&bob), [": ", ": for us"]);
    bob.run(&["get", "news", "all", "-o", "."]).is_done();
    assert_eq!(std::fs::read(bob.path("list.txt")).unwrap(), b"bread");
    until("Eve keeps it", || texts(&eve).len() == 2);
    assert_eq!(texts(&eve), [": ", ": "]);
    let feed = eve.run(&["feed", "news"]).out;
    assert_eq!(feed.matches("written for others").count(), 2, "{feed}");
    assert!(!feed.contains("list.txt"), "{feed}");
    eve.run(&["get", "news", "all", "-o", "."]).is_done();
    let number = eve.run(&["feed", "news", "--json"]).json()[0]["seq"].to_string();
    eve.run(&["get", "news", &number, "-o", "x"]).fails(6, &["written for others"]);
    assert!(ada.run(&["channel", "list"]).out.contains("private, own, 2 members"));
    ada.run(&["channel", "member", "remove", "news", "Bob"]).is_done();
    ada.run(&["publish", "news", "--text", "without Bob"]).is_done();
    until("Bob keeps it", || texts(&bob).len() == 3);
    assert!(!texts(&bob).contains(&": without Bob".into()));
}
