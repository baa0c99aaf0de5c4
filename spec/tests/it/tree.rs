//! The files of the workspace as the checks see them, or a handful of invented ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Text files by their path from the root of the workspace.
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// The workspace this test was built in.
    pub(crate) fn workspace() -> Self {
        let mut files = BTreeMap::new();
        collect(&root(), "", &mut files);
        assert!(files.contains_key("Cargo.toml"), "no workspace at {}", root().display());
        Self { files }
    }

    /// Invented files: (path, text).
    pub(crate) fn of<const N: usize>(files: [(&str, &str); N]) -> Self {
        Self { files: files.map(|(path, text)| (path.into(), text.into())).into() }
    }

    /// The text of one file; empty if there is none.
    pub(crate) fn text(&self, path: &str) -> &str {
        self.files.get(path).map_or("", String::as_str)
    }

    /// Every file whose path ends with `end`.
    pub(crate) fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let files = self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        files.filter(move |(path, _)| path.ends_with(end))
    }

    /// Every Rust file, with its lines told apart.
    pub(crate) fn sources(&self) -> impl Iterator<Item = Source<'_>> {
        self.ending(".rs").map(|(path, text)| Source { path, text })
    }
}

/// One Rust file.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) path: &'a str,
    pub(crate) text: &'a str,
}

impl<'a> Source<'a> {
    /// The lines, numbered from 1.
    pub(crate) fn lines(self) -> impl Iterator<Item = (usize, &'a str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// How many lines come before the tests; 0 in a file that holds nothing else.
    pub(crate) fn lines_of_code(self) -> usize {
        if self.is_test_file() {
            return 0;
        }
        let lines: Vec<&str> = self.text.lines().collect();
        let begins_tests =
            |pair: &[&str]| pair[0] == "#[cfg(test)]" && is_mod(pair[1]) && pair[1].ends_with('{');
        lines.windows(2).position(begins_tests).unwrap_or(lines.len())
    }

    /// Whether the whole file serves tests: it lies outside `src/`, in a crate that only tests
    /// import, or it is a module that is compiled for tests alone.
    fn is_test_file(self) -> bool {
        let dev_only = ["mesh-sim/", "spec/", "fuzz/"].iter().any(|c| self.path.starts_with(c));
        let stem = self.path.rsplit('/').next().unwrap_or("");
        dev_only
            || !self.path.contains("/src/")
            || self.path.contains("/tests/")
            || stem.ends_with("tests.rs")
            || stem == "laws.rs"
    }
}

/// Whether `line` declares a module.
pub(crate) fn is_mod(line: &str) -> bool {
    let line = line.trim_start();
    let line = line.strip_prefix("pub(crate) ").or(line.strip_prefix("pub ")).unwrap_or(line);
    line.starts_with("mod ")
}

/// The words of `text`: runs of letters, digits and underscores.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Fails with every offence on a line of its own.
#[track_caller]
pub(crate) fn assert_none(offences: &[String]) {
    assert!(offences.is_empty(), "{} offences:\n{}", offences.len(), offences.join("\n"));
}

/// Compares a generated file with what stands on disk, or writes it if `MESH_BLESS` is set.
#[track_caller]
pub(crate) fn assert_blessed(path: &str, expected: &str) {
    let file = root().join(path);
    if env::var_os("MESH_BLESS").is_some() {
        fs::write(&file, expected).unwrap_or_else(|error| panic!("{path}: {error}"));
        return;
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    let differ = |(a, b): (&str, &str)| (a != b).then(|| format!("- {a}\n+ {b}"));
    let first = found.lines().zip(expected.lines()).find_map(differ);
    assert!(
        found == expected,
        "{path} is not what the code says; MESH_BLESS=1 cargo test -p mesh-spec writes it anew\n{}",
        first.unwrap_or_else(|| "one is longer than the other".into()),
    );
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("spec/ has a parent").to_owned()
}

fn collect(at: &Path, prefix: &str, files: &mut BTreeMap<String, String>) {
    let entries = fs::read_dir(at).unwrap_or_else(|error| panic!("{}: {error}", at.display()));
    for entry in entries {
        let entry = entry.expect("a directory lists its entries");
        let name = entry.file_name().into_string().unwrap_or_default();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().expect("an entry has a type");
        if kind.is_dir() && !["target", ".git", "corpus", "artifacts"].contains(&name.as_str()) {
            collect(&entry.path(), &format!("{path}/"), files);
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            files.insert(path, text);
        }
    }
}
