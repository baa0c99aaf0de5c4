//! `mesh channel new --open`: a board, on which everybody writes.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::stage::{Stage, same};

fn notes(stage: &Stage) -> Vec<Value> {
    stage.run(&["feed", "green", "--json"]).json()
}

fn texts(stage: &Stage) -> Vec<String> {
    let words = |item: &Value| {
        let [writer, text] = ["writer", "text"].map(|field| item[field].as_str().unwrap());
        format!("{writer}: {text}")
    };
    notes(stage).iter().map(words).collect()
}

/// Asks again until everybody reads this.
#[track_caller]
fn until(stages: &[&Stage], wanted: &[&str]) {
    let deadline = Instant::now() + Duration::from_secs(20);
    for stage in stages {
        while texts(stage) != wanted {
            assert!(Instant::now() < deadline, "{:?} is not {wanted:?}", texts(stage));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

// spec: SYNC-62, SYNC-63, SYNC-65
#[test]
fn everybody_writes_on_a_board_and_takes_back_what_is_theirs() {
    let (ada, bob) = (Stage::new(), Stage::new());
    let (_ada, bobs) = (ada.up(), bob.up());
    ada.run(&["channel", "new", "green", "--open", "--private"]).fails(2, &["--private"]);
    let made = &ada.run(&["channel", "new", "green", "--open", "--json"]).json()[0];
    assert_eq!((&made["open"], &made["private"]), (&true.into(), &false.into()));
    let link = made["link"].as_str().unwrap();
    ada.run(&["publish", "green", "--text", "Bread at 9", "--as", "Ada"]).is_done();
    bob.run(&["follow", link]).is_done();
    let deadline = Instant::now() + Duration::from_secs(20);
    while bob.run(&["feed", "green"]).code != Some(0) {
        assert!(Instant::now() < deadline, "Bob does not get to know the board");
        std::thread::sleep(Duration::from_millis(20));
    }
    until(&[&bob], &["Ada: Bread at 9"]);
    bob.run(&["publish", "green", "--text", "Really?", "--as", "Ada"]).is_done();
    let both = ["Ada: Bread at 9", "Ada: Really?"];
    until(&[&ada, &bob], &both);

    // Two of one name are told apart, and each takes away its own; the owner takes away all.
    let of_ada = notes(&ada);
    assert_ne!(of_ada[0]["author"], of_ada[1]["author"]);
    let key = of_ada[1]["author"].as_str().unwrap();
    let line = format!("Ada ·{}: Really?", &key[..8]);
    let out = ada.run(&["feed", "green"]).out;
    assert!(out.contains(&line), "{line:?} is not in {out}");
    let number = |of: &[Value], at: usize| of[at]["seq"].to_string();
    let of_bob = notes(&bob);
    bob.run(&["retract", "green", &number(&of_bob, 0)]).fails(1, &["only who wrote"]);
    let out = bob.run(&["retract", "green", &number(&of_bob, 1)]).out;
    assert!(out.contains("is retracted"), "{out}");
    until(&[&ada, &bob], &["Ada: Bread at 9"]);
    let status = bob.run(&["channel", "status", "green"]).out;
    assert!(status.contains("open: everybody writes"), "{status}");
    let list = ada.run(&["channel", "list"]).out;
    assert!(list.contains("green  open, own  1 item,"), "{list}");
    let list = bob.run(&["channel", "list"]).out;
    assert!(list.contains("green  open, followed  1 item,"), "{list}");

    // A large file goes both ways, too, and what was written stays when a node begins anew.
    let picture = bob.write("cat.jpg", &crate::stage::noise(300_000));
    bob.run(&["publish", "green", "cat.jpg"]).is_done();
    until(&[&ada, &bob], &["Ada: Bread at 9", "Ada: "]);
    ada.run(&["get", "green", &number(&notes(&ada), 1), "-o", "got.jpg", "--wait", "20s"])
        .is_done();
    assert!(same(&picture, &ada.path("got.jpg")));
    drop(bobs);
    ada.run(&["publish", "green", "--text", "Found"]).is_done();
    let _bob = bob.up();
    until(&[&bob], &["Ada: Bread at 9", "Ada: ", "Ada: Found"]);
    let again = notes(&bob);
    assert_eq!(again[1]["author"].as_str(), Some(key), "Bob is who he was");
    ada.run(&["publish", "green", "--text", "x", "--as", "bad\nname"]).fails(2, &["go by"]);
}
