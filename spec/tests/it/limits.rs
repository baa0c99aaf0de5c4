//! The tables of `spec/7-limits.md` name every limit, with the value and the reason in the code.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_wire::limits;

use crate::tree::{Tree, assert_blessed};

const CODE: &str = "mesh-wire/src/limits.rs";
const PAGE: &str = "spec/7-limits.md";
/// What stands between the prose, which is written by hand, and the tables, which are not.
const MARK: &str = "<!-- The rest is made from mesh-wire/src/limits.rs. -->\n";

/// A limit's value, as people read it.
trait Shown {
    fn shown(self, name: &str) -> String;
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Shown for $type {
            fn shown(self, name: &str) -> String {
                format!("{self}{}", if name.ends_with("_BYTES") { " bytes" } else { "" })
            }
        }
    )*};
}
numbers!(u32, u64, usize);

impl Shown for Duration {
    fn shown(self, _: &str) -> String {
        if self.subsec_millis() == 0 {
            format!("{} s", self.as_secs())
        } else {
            format!("{} ms", self.as_millis())
        }
    }
}

macro_rules! values {
    ($($name:ident)*) => { [$((stringify!($name), limits::$name.shown(stringify!($name)))),*] };
}

/// Every limit and its value; a test fails for one that is missing.
fn values() -> impl IntoIterator<Item = (&'static str, String)> {
    values! {
        ADDRESS_BYTES GROUP_BYTES RECORD_BYTES EXTENSION_BYTES VERSIONS DATAGRAM_BYTES
        FRAGMENTS REASSEMBLY_BYTES REASSEMBLIES HANDSHAKE_BYTES HANDSHAKE_TIME HALF_OPEN
        HANDSHAKES_PER_SECOND HANDSHAKE_BURST HANDSHAKE_REFILL SOURCES COOKIE_LIFE EPOCH_RECORDS
        EPOCH_TIME REPLAY_WINDOW EPOCHS_AHEAD FORGERIES LINKS LAN_NEIGHBOURS PSEUDONYM_TIME
        PING_AFTER DEAD_AFTER CONTROL_BURST CONTROL_REFILL BEACON_BYTES BEACON_EVERY HEARD DIALS
        SHARED_CHANNELS TOKENS LOGS NAME_BYTES CHANNEL_NAME_BYTES INLINE_BYTES HEADER_BYTES
        RUN_ITEMS EDGE_HASHES LOG_ITEMS WANTED_RUNS PAGE_CVS BLOB_BYTES OPEN_BLOBS GROUP_RUNS
        GROUPS_IN_FLIGHT COMMIT_TIME
    }
}

/// One line of the page: a heading, or a limit with its reason.
#[derive(Debug, PartialEq, Eq)]
enum Entry {
    Heading(String),
    Limit(String, String),
}

/// What `limits.rs` declares, in its order.
fn declared(code: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut reason: Vec<&str> = Vec::new();
    for line in code.lines() {
        if let Some(heading) = line.strip_prefix("// ---- ") {
            entries.push(Entry::Heading(heading.trim_end_matches('-').trim().into()));
        } else if let Some(text) = line.strip_prefix("/// ") {
            reason.push(text);
        } else if let Some(rest) = line.strip_prefix("pub const ") {
            let name = rest.split(':').next().unwrap_or(rest).trim();
            let reason = reason.join(" ").replace("[`", "`").replace("`]", "`");
            entries.push(Entry::Limit(name.into(), reason));
        }
        if !line.starts_with("///") {
            reason.clear();
        }
    }
    entries
}

#[test]
fn the_page_of_limits_says_what_the_code_says() {
    let tree = Tree::workspace();
    let entries = declared(tree.text(CODE));
    let names: BTreeSet<&str> = entries.iter().filter_map(limit_name).collect();
    let values: BTreeMap<_, _> = values().into_iter().collect();
    let listed: BTreeSet<&str> = values.keys().copied().collect();
    assert_eq!(listed, names, "the list in this file and {CODE}");

    let prose = tree.text(PAGE).split(MARK).next().unwrap_or("");
    let mut page = format!("{prose}{MARK}");
    for entry in &entries {
        match entry {
            Entry::Heading(heading) => {
                page += &format!("\n## {heading}\n\n| limit | value | why |\n|---|---|---|\n");
            }
            Entry::Limit(name, reason) => {
                assert!(!reason.is_empty(), "{CODE}: {name} has no reason");
                page += &format!("| `{name}` | {} | {reason} |\n", values[name.as_str()]);
            }
        }
    }
    assert_blessed(PAGE, &page);
}

fn limit_name(entry: &Entry) -> Option<&str> {
    match entry {
        Entry::Heading(_) => None,
        Entry::Limit(name, _) => Some(name),
    }
}

#[test]
fn limits_are_read_with_their_heading_and_reason() {
    let code = "// ---- Wire -----\n\n/// Why\n/// [`B`].\npub const A: usize = 1;\n\
                pub const B: u8 = 2;\n";
    let limit = |name: &str, reason: &str| Entry::Limit(name.into(), reason.into());
    assert_eq!(
        declared(code),
        [Entry::Heading("Wire".into()), limit("A", "Why `B`."), limit("B", "")]
    );
    assert_eq!(Duration::from_millis(1500).shown("X"), "1500 ms");
    assert_eq!(Duration::from_secs(90).shown("X"), "90 s");
    assert_eq!(64_usize.shown("X_BYTES"), "64 bytes");
    assert_eq!(64_u64.shown("X"), "64");
}
