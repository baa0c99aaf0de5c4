//! Every case in `spec/cases.md` has a test that bears its number; the last column says which.

use std::collections::BTreeMap;

use crate::table::rows;
use crate::tree::{Tree, assert_blessed, words};

const PAGE: &str = "spec/cases.md";

/// The tests whose names begin with the number of a case (`w_01_…` for W-01), as `file::fn`.
fn tests(tree: &Tree) -> BTreeMap<String, Vec<String>> {
    let mut tests: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in tree.sources() {
        let mut is_test = false;
        for (_, line) in source.lines() {
            let line = line.trim();
            if line.starts_with("#[") {
                is_test |= line == "#[test]";
                continue;
            }
            let name = line.strip_prefix("fn ").and_then(|rest| words(rest).next());
            if let Some(name) = name.filter(|_| is_test)
                && let Some(id) = case_of(name)
            {
                tests.entry(id).or_default().push(format!("{}::{name}", source.path));
            }
            is_test &= line.is_empty() || line.starts_with("//");
        }
    }
    tests
}

/// The case that a test's name begins with.
fn case_of(name: &str) -> Option<String> {
    let mut parts = name.splitn(3, '_');
    let (letter, number, _) = (parts.next()?, parts.next()?, parts.next()?);
    let is_case = letter.len() == 1
        && number.len() == 2
        && letter.bytes().all(|c| c.is_ascii_lowercase())
        && number.bytes().all(|c| c.is_ascii_digit());
    is_case.then(|| format!("{}-{number}", letter.to_uppercase()))
}

/// The page with its last column written anew, and the cases without a test.
fn written_anew(page: &str, tests: &BTreeMap<String, Vec<String>>) -> (String, Vec<String>) {
    let (mut anew, mut missing) = (String::new(), Vec::new());
    for line in page.lines() {
        let row = rows(line).pop().filter(|row| row.len() == 4 && row[0].contains('-'));
        let Some([id, attack, expected, _]) = row.as_deref() else {
            anew += &format!("{line}\n");
            continue;
        };
        let found = tests.get(id).map_or(&[][..], Vec::as_slice);
        if found.is_empty() {
            missing.push(format!("{PAGE}: no test is called {}_…", prefix(id)));
        }
        let found: Vec<String> = found.iter().map(|test| format!("`{test}`")).collect();
        anew += &format!("| {id} | {attack} | {expected} | {} |\n", found.join("<br>"));
    }
    (anew, missing)
}

fn prefix(id: &str) -> String {
    id.to_lowercase().replace('-', "_")
}

#[test]
fn every_case_has_a_test_that_bears_its_number() {
    let tree = Tree::workspace();
    let page = tree.text(PAGE);
    let tests = tests(&tree);
    let (anew, mut offences) = written_anew(page, &tests);
    assert!(anew.contains("| W-01 |"), "{PAGE} has no cases");
    for (id, found) in tests.iter().filter(|(id, _)| !page.contains(&format!("| {id} |"))) {
        offences.push(format!("{PAGE}: has no {id}, but {} bears its number", found.join(", ")));
    }
    crate::tree::assert_none(&offences);
    assert_blessed(PAGE, &anew);
}

#[test]
fn a_test_is_found_by_the_number_in_its_name_and_nothing_else_is() {
    let text = "#[test]\nfn w_01_a() {}\n  #[test]\n  #[cfg(unix)]\n  fn w_01_b() {}\n\
                fn w_02_helper() {}\n#[test]\nfn wide() {}\n#[test]\nfn k_3_x() {}\n";
    let tests = tests(&Tree::of([("x/tests/it/a.rs", text)]));
    let both = vec!["x/tests/it/a.rs::w_01_a".to_owned(), "x/tests/it/a.rs::w_01_b".to_owned()];
    assert_eq!(tests, BTreeMap::from([("W-01".into(), both)]));

    let page = "text\n| case | attack | holds | tests |\n|---|---|---|---|\n\
                | W-01 | a | b | old |\n| W-02 | a | b |  |\n";
    let (anew, missing) = written_anew(page, &tests);
    let cell = "`x/tests/it/a.rs::w_01_a`<br>`x/tests/it/a.rs::w_01_b`";
    assert!(anew.contains(&format!("| W-01 | a | b | {cell} |\n")), "{anew}");
    assert_eq!(missing, ["spec/cases.md: no test is called w_02_…"]);
    assert_eq!(written_anew(&anew, &tests).0, anew, "writing it twice changes nothing");
}
