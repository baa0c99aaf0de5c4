//! Files in and out by command.

use std::os::unix::fs::symlink;

use crate::stage::{Stage, has_fields, noise, same};

#[test]
fn what_is_published_is_listed_and_comes_back_byte_for_byte() {
    let stage = Stage::new();
    let _node = stage.up();
    stage.run(&["channel", "new", "news"]);
    let small = stage.write("in/a small file.txt", b"hello");
    let large = stage.write("in/deep/er/large.bin", &noise(300_000));
    stage.write("in/empty", b"");
    let published = &stage.run(&["publish", "news", "in", "--text", "Market", "--json"]).json()[0];
    has_fields(published, &["channel", "items", "skipped"]);
    let items = published["items"].as_array().unwrap();
    let names: Vec<_> = items.iter().map(|item| item["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a small file.txt", "deep/er/large.bin", "empty", ""]);
    items.iter().for_each(|item| has_fields(item, &["seq", "name", "blob", "size"]));

    let feed = stage.run(&["feed", "news", "--json"]).json();
    assert_eq!(feed.len(), 4);
    for (item, published) in feed.iter().zip(items) {
        has_fields(
            item,
            &[
                "seq",
                "author",
                "writer",
                "note",
                "valid",
                "late",
                "gap",
                "time_ms",
                "kind",
                "name",
                "text",
                "blob",
                "size",
                "state",
                "have",
                "pinned",
                "unfetched",
                "expires_ms",
            ],
        );
        assert_eq!(item["state"], "here");
        for field in ["seq", "name", "blob", "size"] {
            assert_eq!(item[field], published[field]);
        }
    }
    assert_eq!((&feed[3]["kind"], &feed[3]["text"]), (&"text".into(), &"Market".into()));

    let got = stage.run(&["get", "news", "all", "-o", "out", "--json"]).json();
    assert_eq!(got.len(), 3);
    got.iter().for_each(|one| has_fields(one, &["seq", "path", "size", "ms", "sources"]));
    assert!(same(&small, &stage.path("out/a small file.txt")));
    assert!(same(&large, &stage.path("out/deep/er/large.bin")));
    assert!(same(&stage.path("in/empty"), &stage.path("out/empty")));
}

#[test]
fn one_item_goes_to_a_file_by_number_or_hash_and_replaces_nothing_unasked() {
    let stage = Stage::new();
    let _node = stage.up();
    stage.run(&["channel", "new", "news"]);
    let one = stage.write("one", b"1");
    let two = stage.write("two", &noise(70_000));
    let published = &stage.run(&["publish", "news", "one", "two", "--json"]).json()[0];
    let hash = published["items"][1]["blob"].as_str().unwrap();
    assert_eq!(stage.run(&["get", "news", "1", "-o", "copy"]).code, Some(0));
    assert!(same(&one, &stage.path("copy")));
    stage.run(&["get", "news", hash, "-o", "copy"]).fails(1, &["copy", "--force"]);
    assert!(same(&one, &stage.path("copy")));
    assert_eq!(stage.run(&["get", "news", hash, "-o", "copy", "--force"]).code, Some(0));
    assert!(same(&two, &stage.path("copy")));

    // Under its own name, where the command runs.
    std::fs::remove_file(&one).unwrap();
    stage.run(&["get", "news", "1", "2"]).fails(8, &["1 file written, 1 not", "two is there"]);
    assert_eq!(std::fs::read(&one).unwrap(), b"1");
    stage.run(&["get", "news", "1", "2", "-o", "copy"]).fails(2, &["directory"]);
}

#[test]
fn an_item_that_does_not_exist_is_not_waited_for_where_it_would_be_made() {
    let stage = Stage::new();
    let _node = stage.up();
    stage.run(&["channel", "new", "news"]);
    stage.run(&["get", "news", "7"]).fails(4, &["mesh feed"]);
    stage.run(&["get", "news", &"0".repeat(64)]).fails(4, &["mesh feed"]);
    stage.run(&["get", "news", "18446744073709551615"]).fails(4, &["mesh feed"]);
}

#[test]
fn what_cannot_be_published_is_named_and_the_rest_is_published() {
    let stage = Stage::new();
    let _node = stage.up();
    stage.run(&["channel", "new", "news"]);
    stage.write("in/good", b"good");
    symlink("/etc/passwd", stage.path("in/link")).unwrap();
    let ran = stage.run(&["publish", "news", "in", "--json"]);
    ran.fails(8, &["in/link", "symbolic link", "1 file left out"]);
    assert!(ran.out.contains("\"good\""), "{}", ran.out);
    stage.run(&["publish", "news", "in/link"]).fails(1, &["nothing was published"]);
    stage.run(&["publish", "news", "missing"]).fails(1, &["missing"]);
}
