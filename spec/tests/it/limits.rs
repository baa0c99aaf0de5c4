//! The tables of `spec/7-limits.md` name every limit, with the value and the reason in the code.

use std::collections::BTreeMap;

use mesh_wire::limits;

use crate::tree::{Tree, assert_blessed};

const CODE: &str = "mesh-wire/src/limits.rs";
const PAGE: &str = "spec/7-limits.md";
/// What stands between the prose, which is written by hand, and the tables, which are not.
const MARK: &str = "<!-- The rest is made from mesh-wire/src/limits.rs. -->\n";

/// One line of the page: a heading, or a limit.
#[derive(Debug, PartialEq, Eq)]
enum Entry {
    Heading(String),
    Limit { name: String, value: String, reason: String },
}

/// What `limits.rs` declares, in its order.
fn declared(code: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut known = BTreeMap::new();
    let mut reason: Vec<&str> = Vec::new();
    for line in code.lines() {
        if let Some(heading) = line.strip_prefix("// ---- ") {
            entries.push(Entry::Heading(heading.trim_end_matches('-').trim().into()));
        } else if let Some(text) = line.strip_prefix("/// ") {
            reason.push(text);
        } else if line.starts_with("pub const ") {
            let read = constant(line)
                .and_then(|(name, expression)| Some((name, shown(name, expression, &mut known)?)));
            let (name, value) =
                read.unwrap_or_else(|| panic!("{CODE}: what is the value of {line:?}?"));
            let reason = reason.join(" ").replace("[`", "`").replace("`]", "`");
            assert!(!reason.is_empty(), "{CODE}: {name} has no reason");
            entries.push(Entry::Limit { name: name.into(), value, reason });
        }
        if !line.starts_with("///") {
            reason.clear();
        }
    }
    entries
}

/// The name and the expression of a constant.
fn constant(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.strip_prefix("pub const ")?.split_once(':')?;
    let (_, expression) = rest.split_once('=')?;
    Some((name, expression.trim().strip_suffix(';')?))
}

/// The value of a constant as people read it; `None` if the expression is beyond this reader.
fn shown<'a>(
    name: &'a str,
    expression: &str,
    known: &mut BTreeMap<&'a str, u64>,
) -> Option<String> {
    let spans = [("Duration::from_secs(", "s"), ("Duration::from_millis(", "ms")];
    for (constructor, unit) in spans {
        if let Some(inner) = expression.strip_prefix(constructor) {
            return Some(format!("{} {unit}", number(inner.strip_suffix(')')?, known)?));
        }
    }
    let value = number(expression, known)?;
    known.insert(name, value);
    Some(if name.ends_with("_BYTES") { format!("{value} bytes") } else { value.to_string() })
}

/// Sums, products and shifts of numbers and of constants declared before, as Rust ranks them.
fn number(expression: &str, known: &BTreeMap<&str, u64>) -> Option<u64> {
    let expression = expression.trim();
    if let Some((value, by)) = expression.rsplit_once("<<") {
        return number(value, known)?.checked_shl(number(by, known)?.try_into().ok()?);
    }
    if let Some((one, other)) = expression.rsplit_once('+') {
        return number(one, known)?.checked_add(number(other, known)?);
    }
    if let Some((one, other)) = expression.rsplit_once('*') {
        return number(one, known)?.checked_mul(number(other, known)?);
    }
    known.get(expression).copied().or_else(|| expression.replace('_', "").parse().ok())
}

#[test]
fn the_page_of_limits_says_what_the_code_says() {
    let tree = Tree::workspace();
    let prose = tree.text(PAGE).split(MARK).next().unwrap_or("");
    let mut page = format!("{prose}{MARK}");
    for entry in declared(tree.text(CODE)) {
        page += &match entry {
            Entry::Heading(heading) => {
                format!("\n## {heading}\n\n| limit | value | why |\n|---|---|---|\n")
            }
            Entry::Limit { name, value, reason } => format!("| `{name}` | {value} | {reason} |\n"),
        };
    }
    assert_blessed(PAGE, &page);
}

#[test]
fn limits_are_read_with_their_heading_value_and_reason() {
    let code = "// ---- Wire -----\n\n/// Why\n/// [`B`].\npub const A_BYTES: usize = 64 << 10;\n\
                /// So.\npub const B: u64 = 2 * A_BYTES + 1_000;\n\
                /// Long.\npub const C: Duration = Duration::from_secs(15 * 60);\n";
    let limit = |name: &str, value: &str, reason: &str| Entry::Limit {
        name: name.into(),
        value: value.into(),
        reason: reason.into(),
    };
    let expected = [
        Entry::Heading("Wire".into()),
        limit("A_BYTES", "65536 bytes", "Why `B`."),
        limit("B", "132072", "So."),
        limit("C", "900 s", "Long."),
    ];
    assert_eq!(declared(code), expected);
    for beyond in ["size_of::<u8>()", "1 - 2", "UNKNOWN", "(1 + 2) * 3"] {
        assert_eq!(shown("X", beyond, &mut BTreeMap::new()), None, "{beyond}");
    }
}

#[test]
fn the_compiler_reads_the_same_values() {
    let tree = Tree::workspace();
    let entries = declared(tree.text(CODE));
    for (expected, value) in [
        ("RECORD_BYTES", format!("{} bytes", limits::RECORD_BYTES)),
        ("REPLAY_WINDOW", limits::REPLAY_WINDOW.to_string()),
        ("FORGERIES", limits::FORGERIES.to_string()),
        ("PSEUDONYM_TIME", format!("{} s", limits::PSEUDONYM_TIME.as_secs())),
        ("COMMIT_TIME", format!("{} ms", limits::COMMIT_TIME.as_millis())),
    ] {
        let is_it = |entry: &Entry| matches!(entry, Entry::Limit { name, .. } if name == expected);
        let found = entries.iter().find(|entry| is_it(entry));
        let is_equal = matches!(found, Some(Entry::Limit { value: read, .. }) if *read == value);
        assert!(is_equal, "{expected}: {found:?} and {value}");
    }
}
