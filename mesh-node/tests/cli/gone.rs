//! `mesh retract` and `mesh publish --expires`: content goes, also where it was read.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::stage::{Stage, has_fields};

const ITEM_FIELDS: [&str; 18] = [
    "seq",
    "author",
    "writer",
    "note",
    "valid",
    "time_ms",
    "kind",
    "name",
    "text",
    "blob",
    "size",
    "state",
    "have",
    "expires_ms",
    "late",
    "gap",
    "pinned",
    "unfetched",
];

fn feed(stage: &Stage) -> Vec<Value> {
    let items = stage.run(&["feed", "news", "--json"]).json();
    items.iter().for_each(|item| has_fields(item, &ITEM_FIELDS));
    items
}

fn states(stage: &Stage) -> Vec<String> {
    feed(stage).iter().map(|item| item["state"].as_str().unwrap().to_owned()).collect()
}

/// Asks again until everything is in this state.
#[track_caller]
fn until(stage: &Stage, wanted: &[&str]) {
    let deadline = Instant::now() + Duration::from_secs(20);
    // Before anything has come the channel has no name.
    let is_known = || stage.run(&["feed", "news"]).code == Some(0);
    while !is_known() || states(stage) != wanted {
        assert!(Instant::now() < deadline, "{:?} is not {wanted:?}", states(stage));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The blobs that a node keeps.
fn blobs(stage: &Stage) -> usize {
    let mut found = 0;
    let mut folders = vec![stage.home()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => found += usize::from(entry.metadata().unwrap().len() == 100_003),
            }
        }
    }
    found
}

// spec: SYNC-43, SYNC-44, SYNC-46
#[test]
fn what_is_retracted_or_expires_is_gone_with_everybody() {
    let (ada, bob) = (Stage::new(), Stage::new());
    let (_ada, _bob) = (ada.up(), bob.up());
    let made = &ada.run(&["channel", "new", "news", "--json"]).json()[0];
    bob.run(&["follow", made["link"].as_str().unwrap()]).is_done();
    let photo = ada.write("slip.jpg", &[7; 100_003]);
    ada.run(&["publish", "news", photo.to_str().unwrap(), "--text", "Market"]).is_done();
    ada.run(&["publish", "news", "--text", "a slip of the tongue"]).is_done();
    until(&bob, &["here"; 3]);
    assert_eq!((blobs(&ada), blobs(&bob)), (1, 1));
    bob.run(&["retract", "news", "2"]).fails(1, &["only who wrote an item"]);
    ada.run(&["retract", "news", "9"]).fails(4, &["no such", "mesh feed"]);
    ada.run(&["retract", "news", "one"]).fails(4, &["no item", "mesh feed"]);

    let said = ada.run(&["retract", "news", "1", "3"]);
    assert!(said.out.contains("item 1 is retracted: its content goes"), "{}", said.out);
    let gone = ["retracted", "here", "retracted"];
    assert_eq!(states(&ada), gone);
    until(&bob, &gone);
    assert_eq!(blobs(&ada), 0, "what is acknowledged is durable");
    // What was received becomes so within 200 ms.
    let deadline = Instant::now() + Duration::from_secs(5);
    while blobs(&bob) > 0 {
        assert!(Instant::now() < deadline, "the file is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
    for stage in [&ada, &bob] {
        let out = stage.run(&["feed", "news"]).out;
        assert!(out.contains("gone   retracted") && !out.contains("slip"), "{out}");
        stage.run(&["get", "news", "1"]).fails(4, &["item 1", "was retracted"]);
        stage.run(&["get", "news", "all", "-o", "files"]).is_done();
    }

    let day = ada.run(&["publish", "news", "--text", "for a day", "--expires", "1d"]);
    day.is_done();
    ada.run(&["publish", "news", "--text", "hush", "--expires", "soon"]).fails(2, &["7d"]);
    ada.run(&["publish", "news", "--text", "not for long", "--expires", "2s"]).is_done();
    until(&bob, &["retracted", "here", "retracted", "here", "expired"]);
    until(&ada, &["retracted", "here", "retracted", "here", "expired"]);
    let items = feed(&bob);
    let [brief, day] = [4, 3].map(|at| items[at]["expires_ms"].as_u64().unwrap());
    assert!((86_390_000..86_410_000).contains(&(day - brief)), "{day} {brief}");
    assert_eq!((items[4]["text"].as_str(), items[1]["expires_ms"].is_null()), (Some(""), true));
    let out = bob.run(&["feed", "news"]).out;
    assert!(out.contains("here   for a day (until 20") && out.contains("its time was over"));
    bob.run(&["get", "news", "6", "-o", "out"]).fails(4, &["item 6", "has expired", "until 20"]);

    // Somebody who comes when all are gone but one who never wrote gets what is left, and knows.
    drop(_ada);
    let eve = Stage::new();
    let _eve = eve.up();
    eve.run(&["follow", made["link"].as_str().unwrap()]).is_done();
    until(&eve, &["retracted", "here", "retracted", "here", "expired"]);
}
