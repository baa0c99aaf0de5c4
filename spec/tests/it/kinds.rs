//! The table of message kinds in `spec/README.md` is the one in the code.

use std::collections::BTreeSet;

use mesh_wire::message::{LinkMessage, RouteMessage, SyncMessage};

use crate::table::rows;
use crate::tree::Tree;

/// The rows of `text` that begin with a kind (`0x20`), with the name beside it.
fn kinds(text: &str) -> Vec<(u8, String)> {
    let kind = |row: &Vec<String>| {
        let digits = row.first()?.trim_matches('`').strip_prefix("0x")?;
        let kind = u8::from_str_radix(digits, 16).ok()?;
        Some((kind, row.get(1)?.trim_matches('`').to_owned()))
    };
    rows(text).iter().filter_map(kind).collect()
}

#[test]
fn the_table_of_kinds_says_what_the_code_says() {
    let tree = Tree::workspace();
    let written = kinds(tree.text("spec/README.md"));
    let built = [LinkMessage::KINDS, RouteMessage::KINDS, SyncMessage::KINDS];
    let built: Vec<_> =
        built.iter().copied().flatten().map(|(kind, name)| (*kind, (*name).to_owned())).collect();
    assert_eq!(written, built, "spec/README.md and the code");
    let distinct: BTreeSet<u8> = built.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(distinct.len(), built.len(), "a kind names two messages");
}

#[test]
fn only_rows_that_begin_with_a_kind_are_read() {
    let text = "| kind | name |\n|---|---|\n| `0x01` | `Close` | ends |\n| 0x20–0x3f | sync |\n";
    assert_eq!(kinds(text), [(0x01, "Close".into())]);
}
