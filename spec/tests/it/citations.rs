//! Every rule of `spec/*.md` has code and a test that cite it, and every citation has a rule.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{Tree, assert_none};

/// Where each rule stands, and where it is cited in code and in tests.
#[derive(Default)]
struct Rule {
    stands_at: Vec<String>,
    informative: bool,
    in_code: bool,
    in_test: bool,
}

/// Everything that is wrong, one line each.
fn check(tree: &Tree) -> Vec<String> {
    let mut offences = Vec::new();
    let mut rules = rules(tree, &mut offences);
    for source in tree.sources() {
        let code = source.lines_of_code();
        for (number, line) in source.lines() {
            let Some(cited) = line.trim_start().strip_prefix("// spec:") else { continue };
            for name in cited.split(',').map(str::trim) {
                match name.split_once('-').and_then(|(p, n)| Some((p, n.parse().ok()?))) {
                    Some(key) if rules.contains_key(&key) => {
                        let rule = rules.entry(key).or_default();
                        rule.in_code |= number <= code;
                        rule.in_test |= number > code;
                    }
                    _ => offences.push(format!("{}:{number}: no rule {name:?}", source.path)),
                }
            }
        }
    }
    for ((prefix, number), rule) in &rules {
        let at = rule.stands_at.join(" and ");
        if rule.stands_at.len() > 1 {
            offences.push(format!("{at}: {prefix}-{number} stands more than once"));
        }
        if *number > 1 && !rules.contains_key(&(*prefix, number - 1)) {
            offences.push(format!("{at}: {prefix}-{number} without {prefix}-{}", number - 1));
        }
        if !rule.informative && !rule.in_code {
            offences.push(format!("{at}: no code cites {prefix}-{number}"));
        }
        if !rule.informative && !rule.in_test {
            offences.push(format!("{at}: no test cites {prefix}-{number}"));
        }
    }
    offences
}

/// The rules: lines of a file in `spec/` that begin with `**PREFIX-n**`.
fn rules<'a>(tree: &'a Tree, offences: &mut Vec<String>) -> BTreeMap<(&'a str, u32), Rule> {
    let mut rules: BTreeMap<_, Rule> = BTreeMap::new();
    let mut homes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (path, text) in tree.ending(".md").filter(|(path, _)| path.starts_with("spec/")) {
        for (index, line) in text.lines().enumerate() {
            let Some((name, rest)) = line.strip_prefix("**").and_then(|l| l.split_once("**"))
            else {
                continue;
            };
            let Some((prefix, number)) = name.split_once('-') else { continue };
            let Ok(number) = number.parse::<u32>() else { continue };
            if !prefix.bytes().all(|c| c.is_ascii_uppercase()) || prefix.is_empty() {
                continue;
            }
            if number == 0 {
                offences.push(format!("{path}:{}: rules are numbered from 1", index + 1));
            }
            let rule = rules.entry((prefix, number)).or_default();
            rule.stands_at.push(format!("{path}:{}", index + 1));
            rule.informative |= rest.trim_start().starts_with("(informative)");
            homes.entry(prefix).or_default().insert(path);
        }
    }
    for (prefix, homes) in homes.iter().filter(|(_, homes)| homes.len() > 1) {
        offences.push(format!("{homes:?}: the rules {prefix}-n stand in more than one file"));
    }
    rules
}

#[test]
fn every_rule_has_code_and_a_test_and_every_citation_a_rule() {
    assert_none(&check(&Tree::workspace()));
}

const CODE: &str = "//! A room.\n// spec: A-1\nfn a() {}\n";
const TESTED: &str = "//! Tests.\n    // spec: A-1\n";

#[track_caller]
fn expect<const N: usize>(files: [(&str, &str); N], offences: &[&str]) {
    assert_eq!(check(&Tree::of(files)), offences);
}

#[test]
fn a_rule_with_code_and_a_test_is_fine() {
    let rule = ("spec/1-a.md", "# A\n\n**A-1** Do it.\n");
    expect([rule, ("x/src/a.rs", CODE), ("x/tests/it/a.rs", TESTED)], &[]);
    let inline = "// spec: A-1\nfn a() {}\n#[cfg(test)]\nmod tests {\n    // spec: A-1\n}\n";
    expect([rule, ("x/src/a.rs", inline)], &[]);
    expect([("spec/1-a.md", "**A-1** (informative) It is so.\n")], &[]);
}

#[test]
fn a_rule_without_code_or_test_is_found() {
    let rule = ("spec/1-a.md", "**A-1** Do it.\n");
    expect([rule, ("x/src/a.rs", CODE)], &["spec/1-a.md:1: no test cites A-1"]);
    expect([rule, ("x/src/a_tests.rs", TESTED)], &["spec/1-a.md:1: no code cites A-1"]);
    expect([rule, ("mesh-sim/src/a.rs", CODE)], &["spec/1-a.md:1: no code cites A-1"]);
}

#[test]
fn a_citation_without_a_rule_is_found() {
    expect([("x/src/a.rs", CODE)], &["x/src/a.rs:2: no rule \"A-1\""]);
    expect([("x/src/a.rs", "// spec: gossip")], &["x/src/a.rs:1: no rule \"gossip\""]);
}

#[test]
fn gaps_repeats_and_scattered_prefixes_are_found() {
    let gap = "**A-2** (informative) x\n";
    expect([("spec/1-a.md", gap)], &["spec/1-a.md:1: A-2 without A-1"]);
    let twice = "**A-1** (informative) x\n**A-1** (informative) y\n";
    expect(
        [("spec/1-a.md", twice)],
        &["spec/1-a.md:1 and spec/1-a.md:2: A-1 stands more than once"],
    );
    let first = ("spec/1-a.md", "**A-1** (informative) x\n");
    expect(
        [first, ("spec/2-b.md", gap)],
        &["{\"spec/1-a.md\", \"spec/2-b.md\"}: the rules A-n stand in more than one file"],
    );
}
