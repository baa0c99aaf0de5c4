//! `mesh channel status`, `request`, `delegate`, `revoke`, `rotate`: two people and one channel.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::stage::{Stage, has_fields, same};

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

// spec: SYNC-37, SYNC-38, SYNC-66
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
    let lists = |stage: &Stage, what| stage.run(&["channel", "list"]).out.contains(what);
    assert!(!lists(&ada, "as of"));
    bob.run(&["channel", "checkpoint", "news", "--every", "24"]).is_done();
    assert!(lists(&bob, "; you promise news by 20"));
    until("Ada knows how new it is", || lists(&ada, "; as of 20"));
    bob.run(&["channel", "checkpoint", "news", "--every", "0"]).is_done();
    until("nothing is promised", || !lists(&ada, "as of"));
    bob.run(&["publish", "news", "--text", "Ball"]).is_done();
    until("Ada follows now", || texts(&ada).contains(&"Bob: Ball".into()));
}

/// Whether any file in a directory holds these bytes, under whatever name.
fn holds(dir: &Path, words: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, words);
        }
        // A socket has no bytes.
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(words.len()).any(|window| window == words)
    })
}

// spec: SYNC-40, SYNC-42, SYNC-47
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
    let film = b"the cake is under the stairs; ".repeat(10_000);
    let (small, large) = (ada.write("list.txt", b"bread"), ada.write("film of us.mp4", &film));
    let [small, large] = [&small, &large].map(|path| path.to_str().unwrap());
    let published = &ada.run(&["publish", "news", small, large, "--json"]).json()[0];
    assert_eq!(
        (&published["items"][1]["name"], &published["items"][1]["size"]),
        (&"film of us.mp4".into(), &film.len().into())
    );
    until("Bob has it", || texts(&bob) == [": ", ": ", ": for us"]);
    bob.run(&["get", "news", "all", "-o", "."]).is_done();
    assert_eq!(std::fs::read(bob.path("list.txt")).unwrap(), b"bread");
    assert!(same(&bob.path("film of us.mp4"), &ada.path("film of us.mp4")));
    let seen = &bob.run(&["feed", "news", "--json"]).json()[2];
    assert_eq!(seen["blob"], blake3::hash(&film).to_string());
    for field in ["name", "size", "blob"] {
        assert_eq!(seen[field], published["items"][1][field]);
    }

    // Eve keeps all of it, and gives it to others, and finds no word in it.
    let whole = || {
        let feed = eve.run(&["feed", "news", "--json"]).json();
        let list = &eve.run(&["channel", "list", "--json"]).json()[0];
        feed.len() == 3 && list["blobs_known"] == 1 && list["blobs_have"] == 1
    };
    until("Eve keeps it", whole);
    assert_eq!(texts(&eve), [": ", ": ", ": "]);
    let feed = eve.run(&["feed", "news"]).out;
    assert_eq!(feed.matches("written for others").count(), 3, "{feed}");
    assert!(!feed.contains("list.txt") && !feed.contains("film of us"), "{feed}");
    eve.run(&["get", "news", "all", "-o", "."]).is_done();
    for item in eve.run(&["feed", "news", "--json"]).json() {
        let number = item["seq"].to_string();
        let words = ["written for others", "mesh channel request"];
        eve.run(&["get", "news", &number, "-o", "x"]).fails(6, &words);
    }
    for words in [&b"the cake"[..], b"film of us", b"list.txt", b"bread", b"for us"] {
        assert!(!holds(&eve.home(), words), "{:?}", String::from_utf8_lossy(words));
    }
    // What is published is at home sealed, too: only who has the keys in this home reads it.
    assert!(!holds(&ada.home(), b"the cake") && !holds(&bob.home(), b"the cake"));

    assert!(ada.run(&["channel", "list"]).out.contains("private, own, 2 members"));
    let long = "x".repeat(16_000);
    ada.run(&["publish", "news", "--text", &long]).fails(1, &["15 kB", "publish it as a file"]);
    ada.run(&["channel", "member", "remove", "news", "Bob"]).is_done();
    ada.run(&["publish", "news", "--text", "without Bob"]).is_done();
    until("Bob keeps it", || texts(&bob).len() == 4);
    assert!(!texts(&bob).contains(&": without Bob".into()));
}

/// Who reads along sees what came late, and everybody the same order in the end.
// spec: SYNC-50
#[test]
fn a_feed_is_in_the_order_in_which_people_read_it() {
    let (ada, bob) = (Stage::new(), Stage::new());
    let _ada = ada.up();
    let running = bob.up();
    let made = &ada.run(&["channel", "new", "news", "--json"]).json()[0];
    bob.run(&["follow", made["link"].as_str().unwrap()]);
    until("it is known", || bob.run(&["feed", "news"]).code == Some(0));
    let wish = bob.run(&["channel", "request", "news", "Bob"]).out.trim().to_owned();
    ada.run(&["channel", "delegate", "news", &wish]).is_done();
    until("Bob knows", || writers(&bob).len() == 2);
    // Ada cannot hear him: her node is gone while he writes, and his while she does.
    drop(_ada);
    bob.run(&["publish", "news", "--text", "first"]).is_done();
    drop(running);
    let _ada = ada.up();
    ada.run(&["publish", "news", "--text", "second"]).is_done();
    let _bob = bob.up();
    let order = |stage: &Stage| {
        let items = stage.run(&["feed", "news", "--json"]).json();
        items.iter().map(|item| item["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    until("both read it", || order(&ada) == ["first", "second"] && order(&bob) == order(&ada));
    let numbers = ada.run(&["feed", "news", "--json"]).json();
    assert!(numbers[0]["seq"].as_u64() > numbers[1]["seq"].as_u64(), "{numbers:?}");
}
