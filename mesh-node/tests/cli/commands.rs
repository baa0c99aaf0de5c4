//! What programs read of a node: every field of every answer.

use crate::stage::{Stage, has_fields};

const CHANNEL: [&str; 22] = [
    "channel",
    "name",
    "role",
    "link",
    "items",
    "blobs_have",
    "blobs_known",
    "bytes",
    "policy",
    "used",
    "saved",
    "given",
    "origin",
    "catching_up",
    "forked",
    "private",
    "open",
    "hidden",
    "next",
    "writers",
    "promised_ms",
    "as_of_ms",
];

#[test]
fn a_node_is_ready_with_its_first_line() {
    let stage = Stage::new();
    let node = stage.up();
    has_fields(&node.ready, &["event", "id", "name", "words", "node", "home", "addresses"]);
    assert_eq!(node.ready["event"], "ready");
    assert_eq!(node.ready["home"], stage.home().to_str().unwrap());
    let address = node.ready["addresses"][0].as_str().unwrap();
    assert!(address.starts_with("tcp://127.0.0.1:"), "{address}");

    let id = &stage.run(&["id", "--json"]).json()[0];
    has_fields(id, &["id", "name", "words"]);
    for field in ["id", "name", "words"] {
        assert_eq!(id[field], node.ready[field]);
    }
}

#[test]
fn the_status_has_the_documented_fields() {
    let stage = Stage::new();
    let node = stage.up();
    stage.run(&["channel", "new", "news"]);
    let status = &stage.run(&["status", "--json"]).json()[0];
    has_fields(
        status,
        &["node", "name", "uptime_ms", "transports", "links", "channels", "role", "bytes"],
    );
    assert_eq!(status["node"], node.ready["node"]);
    for transport in status["transports"].as_array().unwrap() {
        has_fields(transport, &["kind", "state", "detail", "remedy", "addresses"]);
    }
    has_fields(&status["channels"][0], &CHANNEL);
    has_fields(&status["role"], &["relay", "supernode", "why"]);
    has_fields(
        &status["bytes"],
        &["in", "out", "control", "carried", "local_in", "internet_in", "saved", "given"],
    );
    for finding in stage.run(&["doctor", "--json"]).json() {
        has_fields(&finding, &["what", "ok", "found", "remedy"]);
    }
}

#[test]
fn a_channel_is_known_by_its_name_its_id_and_its_link() {
    let stage = Stage::new();
    let _node = stage.up();
    let made = &stage.run(&["channel", "new", "Village news", "--json"]).json()[0];
    has_fields(made, &CHANNEL);
    assert_eq!((&made["name"], &made["role"]), (&"Village news".into(), &"owner".into()));
    assert_eq!(stage.run(&["channel", "list", "--json"]).json(), *std::slice::from_ref(made));
    for field in ["name", "channel", "link"] {
        let name = made[field].as_str().unwrap();
        assert_eq!(stage.run(&["feed", name]).code, Some(0), "{name}");
    }
    // The link alone, to be copied.
    let printed = stage.run(&["channel", "new", "other"]).out;
    assert!(printed.starts_with("mesh:") && printed.lines().count() == 1, "{printed}");

    for arguments in [
        &["feed", "nothing"][..],
        &["unfollow", "nothing"],
        &["publish", "nothing", "--text", "hello"],
        &["get", "nothing", "1"],
    ] {
        stage.run(arguments).fails(4, &["nothing", "mesh channel list"]);
    }
}

#[test]
fn a_channel_nobody_near_has_is_followed_and_left_again() {
    let (stage, elsewhere) = (Stage::new(), Stage::new());
    let node = elsewhere.up();
    let made = &elsewhere.run(&["channel", "new", "news", "--json"]).json()[0];
    let link = made["link"].as_str().unwrap();
    drop(node);
    let _node = stage.up();
    let followed = &stage.run(&["follow", link, "--json"]).json()[0];
    has_fields(followed, &CHANNEL);
    assert_eq!((&followed["role"], &followed["items"]), (&"follower".into(), &0.into()));
    stage.run(&["get", link, "1", "--wait", "50ms"]).fails(5, &["nobody near has told"]);
    assert_eq!(stage.run(&["unfollow", link]).code, Some(0));
    assert_eq!(stage.run(&["channel", "list", "--json"]).json(), [] as [serde_json::Value; 0]);
    stage.run(&["feed", link]).fails(4, &["mesh follow"]);
}

#[test]
fn completions_and_man_pages_are_made() {
    let stage = Stage::new();
    assert!(stage.run(&["completions", "bash"]).out.contains("mesh"));
    let dir = stage.path("man");
    assert_eq!(stage.run(&["man", dir.to_str().unwrap()]).code, Some(0));
    for page in ["mesh.1", "mesh-up.1", "mesh-channel-new.1"] {
        assert!(dir.join(page).exists(), "{page}");
    }
}

#[test]
fn the_demo_verifies_every_byte_and_leaves_nothing() {
    let stage = Stage::new();
    let temp = stage.path("temp");
    std::fs::create_dir(&temp).unwrap();
    let output = stage.command(&["demo", "--json"]).env("TMPDIR", &temp).output().unwrap();
    let events = crate::stage::Ran::from(output).json();
    let last = events.last().unwrap();
    has_fields(last, &["event", "files", "bytes", "publisher_sent", "alone", "saved", "ms"]);
    assert_eq!((&last["event"], &last["files"]), (&"verified".into(), &5.into()));
    assert_eq!(std::fs::read_dir(&temp).unwrap().count(), 0);
}

// spec: SYNC-54
#[test]
fn a_channel_is_hidden_and_shown_again() {
    let (ada, bob) = (Stage::new(), Stage::new());
    let (_ada, _bob) = (ada.up(), bob.up());
    let made = &ada.run(&["channel", "new", "news", "--hidden", "--json"]).json()[0];
    assert_eq!(made["hidden"], true);
    assert!(ada.run(&["channel", "list"]).out.contains("own, hidden"));
    let link = made["link"].as_str().unwrap();
    let followed = &bob.run(&["follow", link, "--hidden", "--json"]).json()[0];
    assert_eq!(followed["hidden"], true);
    let again = &bob.run(&["follow", link, "--json"]).json()[0];
    assert_eq!(again["hidden"], true, "it stays as it is");
    let shown = &bob.run(&["channel", "unhide", link, "--json"]).json()[0];
    assert_eq!(shown["hidden"], false);
    assert!(ada.run(&["channel", "unhide", "news"]).out.contains("no longer hidden"));
    assert_eq!(ada.run(&["channel", "list", "--json"]).json()[0]["hidden"], false);
    let hidden = &ada.run(&["channel", "hide", "news", "--json"]).json()[0];
    assert_eq!(hidden["hidden"], true);
    ada.run(&["channel", "hide", "sports"]).fails(4, &["sports"]);
}
