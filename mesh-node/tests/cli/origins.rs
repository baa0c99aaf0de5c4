//! `mesh publish --origin-dir`: a channel as plain files.

use std::collections::BTreeMap;
use std::path::Path;

use crate::stage::Stage;

/// Every file below a folder, by its path there, with its length.
fn files(folder: &Path) -> BTreeMap<String, u64> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let (path, meta) = entry.map(|it| (it.path(), it.metadata().unwrap())).unwrap();
            match meta.is_dir() {
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                    found.insert(name, meta.len());
                }
            }
        }
    }
    found
}

// spec: SYNC-58
#[test]
fn a_folder_for_a_web_server_has_what_the_channel_has_and_no_more() {
    let stage = Stage::new();
    let _node = stage.up();
    let made = &stage.run(&["channel", "new", "news", "--json"]).json()[0];
    let id = made["channel"].as_str().unwrap().to_owned();
    let large = stage.write("large", &[7; 100_000]);
    let web = stage.path("web");
    let put = |more: &[&str]| {
        let arguments = [&["publish", "news", "--origin-dir", "web", "--json"], more].concat();
        let origin = stage.run(&arguments).json()[0]["origin"].clone();
        (origin["files"].as_u64().unwrap(), origin["missing"].as_u64().unwrap())
    };
    assert_eq!(put(&[large.to_str().unwrap()]), (4, 0));
    let there = files(&web);
    let names: Vec<&str> = there.keys().map(String::as_str).collect();
    let is_there = |name: &str| names.contains(&name);
    assert!(is_there(&format!("{id}/head")) && is_there(&format!("{id}/0/0")), "{names:?}");
    assert_eq!(there.values().filter(|size| **size == 100_000).count(), 1);
    assert!(names.iter().any(|name| name.ends_with(".cvs")) && names.len() == 4, "{names:?}");

    // Nothing but `head` is written where nothing is new.
    assert_eq!(put(&[]), (1, 0));
    // What is retracted goes there, too, and its bundle is written once.
    stage.run(&["retract", "news", "1"]).is_done();
    assert_eq!(put(&[]), (4, 0));
    let names: Vec<String> = files(&web).into_keys().collect();
    assert_eq!(names, [format!("{id}/0/0"), format!("{id}/head")]);
    assert_eq!(put(&[]), (1, 0));

    // Several at once get into nobody's way.
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (stage, text) = (&stage, format!("text {number}"));
            let publish = ["publish", "news", "--text", &text, "--origin-dir", "web"];
            let publish = publish.map(str::to_owned);
            scope.spawn(move || {
                let arguments: Vec<&str> = publish.iter().map(String::as_str).collect();
                stage.run(&arguments).is_done();
            });
        }
    });
    assert_eq!(put(&[]), (1, 0));

    let file = stage.write("file", b"");
    let file = file.to_str().unwrap();
    stage.run(&["publish", "news", "--origin-dir", file]).fails(1, &["cannot write", "file"]);
    let bad = ["publish", "news", "--origin-dir", "web", "--origin-url", "ftp://a"];
    stage.run(&bad).fails(2, &["http"]);
}
