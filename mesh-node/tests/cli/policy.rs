//! `mesh channel set`, `mesh quota`, `mesh pin`: what of a channel is here, between real nodes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::stage::{Stage, has_fields, noise, same};

/// Asks again until it is so.
#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "not in 30 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// `number: state, why it does not come` of every file.
fn files(stage: &Stage) -> Vec<String> {
    let ran = stage.run(&["feed", "news", "--json"]);
    if ran.code == Some(4) {
        // Its name has not come yet.
        return Vec::new();
    }
    let items = ran.json();
    let file = |item: &Value| {
        let [state, why] = ["state", "unfetched"].map(|field| item[field].as_str().unwrap());
        let pinned = if item["pinned"] == true { " pinned" } else { "" };
        format!("{} {state}{pinned} {why}", item["seq"])
    };
    items.iter().map(file).collect()
}

/// Whether the files are as said.
fn are(stage: &Stage, expected: &[&str]) -> bool {
    files(stage).iter().map(|file| file.trim_end()).eq(expected.iter().copied())
}

fn quota(stage: &Stage, arguments: &[&str]) -> Value {
    let quota = stage.run(&[&["quota", "--json"], arguments].concat()).json().remove(0);
    has_fields(&quota, &["total", "set", "used", "channels"]);
    has_fields(&quota["channels"][0], &["channel", "name", "keep", "used"]);
    quota
}

#[test]
fn a_reader_says_what_comes_what_stays_and_how_much() {
    let (ada, bob) = (Stage::new(), Stage::new());
    let (_ada, bobs) = (ada.up(), bob.up());
    let made = &ada.run(&["channel", "new", "news", "--json"]).json()[0];
    for (number, size) in (1..).zip([100_000, 110_000, 3_000_000, 120_000]) {
        let name = format!("file {number}");
        ada.write(&name, &noise(size + number));
        ada.run(&["publish", "news", &name]).is_done();
    }
    bob.run(&["follow", made["link"].as_str().unwrap()]).is_done();
    until("all is known", || files(&bob).len() == 4);
    until("all is here", || are(&bob, &["1 here", "2 here", "3 here", "4 here"]));

    // Without a word, half of the disk's free space may be taken.
    let before = quota(&bob, &[]);
    assert_eq!((&before["set"], &before["used"]), (&false.into(), &3_330_010.into()));
    assert!(before["total"].as_u64().unwrap() >= 3_330_010);

    // What is too large for all there is room for, and then the oldest, is given up: not what is
    // pinned.
    bob.run(&["pin", "news", "1"]).is_done();
    let set = quota(&bob, &["350k"]);
    assert_eq!((&set["set"], &set["total"]), (&true.into(), &350_000.into()));
    assert_eq!(set["used"], 220_005, "the oldest that was not pinned, and the large one");
    let kept = ["1 here pinned", "2 known no-room", "3 known over-budget", "4 here"];
    assert!(are(&bob, &kept), "{:?}", files(&bob));
    let doctor = bob.run(&["doctor", "news"]).out;
    assert!(!doctor.contains("missing here"), "what is ruled out is not missed: {doctor}");
    let feed = bob.run(&["feed", "news"]).out;
    assert!(feed.contains("larger than all there is room for; `mesh get` fetches it"), "{feed}");
    // It lasts, and nothing is fetched to be given up again.
    drop(bobs);
    let _bob = bob.up();
    assert!(are(&bob, &kept), "{:?}", files(&bob));
    assert_eq!(quota(&bob, &[])["used"], 220_005);

    // Whoever waits for it gets it.
    bob.run(&["get", "news", "3", "-o", "copy", "--wait", "30s"]).is_done();
    assert!(same(&ada.path("file 3"), &bob.path("copy")));
    assert!(are(&bob, &["1 here pinned", "2 known no-room", "3 here", "4 here"]));

    let all = quota(&bob, &["default"]);
    assert_eq!(all["set"], false);
    until("all is here again", || are(&bob, &["1 here pinned", "2 here", "3 here", "4 here"]));
    assert_eq!(ada.run(&["quota", "--json"]).json()[0]["used"], 0, "what Ada published is hers");
}

#[test]
fn a_channels_files_come_as_its_reader_says() {
    let (ada, bob) = (Stage::new(), Stage::new());
    let (_ada, _bob) = (ada.up(), bob.up());
    let made = &ada.run(&["channel", "new", "news", "--json"]).json()[0];
    bob.run(&["follow", made["link"].as_str().unwrap()]).is_done();
    until("its name is known", || bob.run(&["feed", "news"]).code == Some(0));
    let set = bob.run(&["channel", "set", "news", "--largest", "50k", "--keep", "1G", "--json"]);
    let policy = json!({"files": "all", "largest": 50_000, "keep": 1_000_000_000});
    assert_eq!(set.json()[0]["policy"], policy);
    ada.write("small", &noise(40_000));
    ada.write("large", &noise(60_000));
    ada.run(&["publish", "news", "large", "small"]).is_done();
    until("what may comes", || are(&bob, &["1 known too-large", "2 here"]));
    let status = bob.run(&["channel", "status", "news"]).out;
    let words = "large files: all up to 50.0 kB, the newest 1.0 GB of them; 40.0 kB of others'";
    assert!(status.starts_with(words), "{status}");

    let wanted = ["--files", "wanted", "--largest", "default", "--keep", "default"];
    bob.run(&[&["channel", "set", "news"][..], &wanted].concat()).is_done();
    assert!(are(&bob, &["1 known not-wanted", "2 here"]), "{:?}", files(&bob));
    bob.run(&["pin", "news", "1"]).is_done();
    until("what is pinned comes", || are(&bob, &["1 here pinned", "2 here"]));
    bob.run(&["unpin", "news", "1"]).is_done();
    assert!(are(&bob, &["1 here", "2 here"]), "{:?}", files(&bob));

    // What it has saved is counted, at both ends.
    let channel = |stage: &Stage| stage.run(&["channel", "list", "--json"]).json().remove(0);
    let genesis = 49;
    assert_eq!(channel(&bob)["saved"], 100_000 + genesis);
    assert_eq!(channel(&ada)["given"], 100_000 + genesis);
    let status = bob.run(&["status", "--json"]).json().remove(0);
    assert_eq!(status["bytes"]["saved"], 100_000 + genesis);
    let words = bob.run(&["status"]).out;
    assert!(words.contains("1 channel: 100.0 kB here; neighbours gave 100.0 kB in"), "{words}");

    for (arguments, why) in [
        (&["channel", "set", "news", "--largest", "much"][..], "10M"),
        (&["quota", "-5"], "unexpected"),
    ] {
        bob.run(arguments).fails(2, &[why]);
    }
    bob.run(&["pin", "news", "77"]).fails(4, &["mesh feed"]);
}
