//! The look of the house: lengths of files, functions and lines, a first line that says what a
//! file is for, no file outside the module tree, every room on the map, nothing left half done.

use std::collections::BTreeSet;

use crate::tree::{Source, Tree, assert_none, is_mod, words};

/// Lines of one file before its tests.
const FILE_LINES: usize = 600;
/// Lines that nearly every file stays below, and one file in how many may be longer.
const USUAL_LINES: usize = 400;
const ONE_LONG_FILE_IN: usize = 20;
/// Lines of one function, tests aside.
const FUNCTION_LINES: usize = 70;
/// Characters of one line.
const COLUMNS: usize = 100;

/// Marks of unfinished work, in two parts so that this file holds none.
const HALF_DONE: [(&str, &str); 9] = [
    ("TO", "DO"),
    ("FIX", "ME"),
    ("X", "XX"),
    ("dbg", "!("),
    ("to", "do!("),
    ("unimpl", "emented!("),
    ("#[", "ignore"),
    ("allow(", "dead_code"),
    ("allow(", "unused"),
];

/// Everything that is untidy in the sources, one line each.
fn check_sources(tree: &Tree) -> Vec<String> {
    let mut offences = Vec::new();
    let (mut files, mut long) = (0, Vec::new());
    for source in tree.sources() {
        let path = source.path;
        let length = source.lines_of_code();
        files += 1;
        if length > USUAL_LINES {
            long.push(format!("{path}: {length} lines before the tests"));
        }
        if length > FILE_LINES {
            offences.push(format!("{path}: {length} lines before the tests, at most {FILE_LINES}"));
        }
        if !source.text.starts_with("//! ") {
            offences.push(format!("{path}:1: does not say what the file is for"));
        }
        if !is_reachable(tree, path) {
            offences.push(format!("{path}: no module declares this file"));
        }
        check_lines(source, &mut offences);
        check_functions(source, &mut offences);
    }
    if long.len() * ONE_LONG_FILE_IN > files {
        offences.push(format!("more than one file in {ONE_LONG_FILE_IN} is over {USUAL_LINES}:"));
        offences.append(&mut long);
    }
    offences
}

fn check_lines(source: Source<'_>, offences: &mut Vec<String>) {
    for (number, line) in source.lines() {
        let columns = line.chars().count();
        if columns > COLUMNS {
            offences.push(format!("{}:{number}: {columns} columns", source.path));
        }
        for (head, tail) in HALF_DONE {
            let mark = [head, tail].concat();
            let is_word = mark.chars().all(char::is_uppercase);
            let found = if is_word { words(line).any(|w| w == mark) } else { line.contains(&mark) };
            if found {
                offences.push(format!("{}:{number}: {mark}", source.path));
            }
        }
    }
}

/// Measures a function from its `fn` line to the closing brace at the same indentation, which is
/// where rustfmt puts it.
fn check_functions(source: Source<'_>, offences: &mut Vec<String>) {
    let mut open: Option<(usize, usize, &str)> = None;
    for (number, line) in source.lines().take(source.lines_of_code()) {
        let indent = line.len() - line.trim_start().len();
        if let Some(name) = function_name(line) {
            open = Some((number, indent, name));
        }
        if let Some((start, at, name)) = open
            && line.trim() == "}"
            && indent == at
        {
            let length = number - start + 1;
            if length > FUNCTION_LINES {
                offences.push(format!("{}:{start}: fn {name} has {length} lines", source.path));
            }
            open = None;
        }
    }
}

/// The name of the function that `line` begins.
fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let is_modifier = |word: &str| {
        word.starts_with("pub") || ["const", "async", "default", "extern"].contains(&word)
    };
    before.split_whitespace().all(is_modifier).then(|| words(after).next()).flatten()
}

/// Whether the file is the root of a target or some module declares it.
fn is_reachable(tree: &Tree, path: &str) -> bool {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let parent_folder = folder.rsplit_once('/').map_or("", |(parent, _)| parent);
    let in_folder = |name: &str| folder.rsplit('/').next() == Some(name);
    let root = ["bin", "tests", "benches", "examples", "fuzz_targets"].into_iter().any(in_folder)
        || matches!(file, "lib.rs" | "main.rs" | "build.rs");
    if root {
        return true;
    }
    let (name, declared_in) = if file == "mod.rs" {
        (folder.rsplit('/').next().unwrap_or(""), parent_folder)
    } else {
        (file.strip_suffix(".rs").unwrap_or(file), folder)
    };
    let beside = format!("{declared_in}.rs");
    let parents = ["lib.rs", "main.rs", "mod.rs"].map(|file| format!("{declared_in}/{file}"));
    parents.iter().chain([&beside]).any(|parent| {
        tree.text(parent).lines().any(|line| is_mod(line) && words(line).any(|word| word == name))
    })
}

/// Every room of a crate `mesh-*` that no line of ARCHITECTURE.md with its source folder
/// (`mesh-wire/src`) names.
fn check_map(tree: &Tree) -> Vec<String> {
    let mut offences = BTreeSet::new();
    for (path, _) in tree.ending(".rs").filter(|(path, _)| path.starts_with("mesh-")) {
        let Some((folder, room)) = path.split_once("/src/") else { continue };
        let room = room.split('/').next().unwrap_or(room);
        let room = room.strip_suffix(".rs").unwrap_or(room);
        if folder.contains('/') || room == "lib" {
            continue;
        }
        let home = format!("{folder}/src");
        let mut map = tree.text("ARCHITECTURE.md").lines().filter(|line| line.contains(&home));
        if !map.any(|line| words(line).any(|word| word == room)) {
            offences.insert(format!("ARCHITECTURE.md: does not name {home}/{room}"));
        }
    }
    offences.into_iter().collect()
}

#[test]
fn every_source_is_tidy() {
    assert_none(&check_sources(&Tree::workspace()));
}

#[test]
fn every_room_is_on_the_map() {
    assert_none(&check_map(&Tree::workspace()));
}

#[track_caller]
fn expect(text: &str, offences: &[&str]) {
    let tree = Tree::of([("x/src/lib.rs", "//! Map.\nmod a;\n"), ("x/src/a.rs", text)]);
    assert_eq!(check_sources(&tree), offences);
}

#[test]
fn untidy_lines_are_found() {
    expect("//! A room.\n", &[]);
    expect("fn a() {}\n", &["x/src/a.rs:1: does not say what the file is for"]);
    let wide = format!("//! {}\n", "é".repeat(97));
    expect(&wide, &["x/src/a.rs:1: 101 columns"]);
    for (head, tail) in HALF_DONE {
        let line = format!("//! A room.\n// {head}{tail}\n");
        expect(&line, &[&format!("x/src/a.rs:2: {head}{tail}")]);
    }
}

#[test]
fn long_files_and_functions_are_found_but_tests_may_be_long() {
    let body = |lines: usize| format!("fn long() {{\n{}}}\n", "    x();\n".repeat(lines - 2));
    expect(&format!("//! A room.\n{}", body(70)), &[]);
    expect(&format!("//! A room.\n{}", body(71)), &["x/src/a.rs:2: fn long has 71 lines"]);
    let tests = format!("//! A room.\n#[cfg(test)]\nmod tests {{\n{}}}\n", body(700));
    expect(&tests, &[]);
    let lines = |count: usize| format!("//! A room.\n{}", "const X: u8 = 1;\n".repeat(count - 1));
    let many = [("x/src/lib.rs", lines(601).leak() as &str), ("y/src/lib.rs", "//! Y.\n")];
    assert_eq!(
        check_sources(&Tree::of(many)),
        [
            "x/src/lib.rs: 601 lines before the tests, at most 600",
            "more than one file in 20 is over 400:",
            "x/src/lib.rs: 601 lines before the tests"
        ]
    );
}

#[test]
fn files_outside_the_module_tree_and_rooms_off_the_map_are_found() {
    let sources = [
        ("mesh-x/src/lib.rs", "//! Map.\npub(crate) mod a;\nmod b;\n"),
        ("mesh-x/src/a.rs", "//! A.\n"),
        ("mesh-x/src/b/mod.rs", "//! B.\nmod c;\n"),
        ("mesh-x/src/b/c.rs", "//! C.\n"),
        ("mesh-x/src/orphan.rs", "//! O.\n"),
        ("ARCHITECTURE.md", "orphan\n| `mesh-x/src` | `a`, then `b/` |\n"),
    ];
    let tree = Tree::of(sources);
    assert_eq!(check_sources(&tree), ["mesh-x/src/orphan.rs: no module declares this file"]);
    assert_eq!(check_map(&tree), ["ARCHITECTURE.md: does not name mesh-x/src/orphan"]);
}
