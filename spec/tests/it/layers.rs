//! Who imports whom: the table of ARCHITECTURE.md, read off every Cargo.toml.

use crate::tree::{Tree, assert_none, words};

/// A crate of ours, where it lies, and what it may import.
struct Layer {
    name: &'static str,
    folder: &'static str,
    imports: &'static [&'static str],
}

const LAYERS: [Layer; 12] = [
    Layer { name: "mesh-wire", folder: "mesh-wire", imports: &[] },
    Layer { name: "mesh-routing", folder: "mesh-routing", imports: &["mesh-wire"] },
    Layer { name: "mesh-sync", folder: "mesh-sync", imports: &["mesh-wire"] },
    Layer { name: "mesh-transport", folder: "mesh-transports/core", imports: &["mesh-wire"] },
    Layer {
        name: "mesh-transport-tcp",
        folder: "mesh-transports/tcp",
        imports: &["mesh-wire", "mesh-transport"],
    },
    Layer {
        name: "mesh-transport-udp",
        folder: "mesh-transports/udp",
        imports: &["mesh-wire", "mesh-transport"],
    },
    Layer { name: "mesh-http", folder: "mesh-transports/http", imports: &[] },
    Layer {
        name: "mesh-node",
        folder: "mesh-node",
        imports: &[
            "mesh-http",
            "mesh-wire",
            "mesh-routing",
            "mesh-sync",
            "mesh-transport",
            "mesh-transport-tcp",
            "mesh-transport-udp",
        ],
    },
    Layer { name: "mesh-sim", folder: "mesh-sim", imports: &["mesh-wire"] },
    Layer {
        name: "mesh-town",
        folder: "mesh-sim/town",
        imports: &[
            "mesh-wire",
            "mesh-routing",
            "mesh-sync",
            "mesh-transport",
            "mesh-transport-tcp",
            "mesh-transport-udp",
            "mesh-node",
            "mesh-sim",
        ],
    },
    Layer { name: "mesh-spec", folder: "spec", imports: &["mesh-wire"] },
    Layer {
        name: "mesh-fuzz",
        folder: "fuzz",
        imports: &[
            "mesh-wire",
            "mesh-routing",
            "mesh-sync",
            "mesh-transport",
            "mesh-transport-tcp",
            "mesh-transport-udp",
            "mesh-node",
            "mesh-sim",
        ],
    },
];

/// What the tests of every crate may import besides.
const FOR_TESTS: &str = "mesh-sim";

/// The crates without clocks, sockets, threads, files and random iteration order.
const PURE: [&str; 3] = ["mesh-wire", "mesh-routing", "mesh-sync"];

/// Everything that is wrong with the manifests, one line each.
fn check_manifests(tree: &Tree) -> Vec<String> {
    let mut offences = Vec::new();
    for (path, text) in tree.ending("Cargo.toml").filter(|(path, _)| *path != "Cargo.toml") {
        let folder = path.strip_suffix("/Cargo.toml").unwrap_or(path);
        let Some(layer) = LAYERS.iter().find(|layer| layer.folder == folder) else {
            offences.push(format!("{path}: the table of layers does not know this crate"));
            continue;
        };
        if !text.contains("[lints]\nworkspace = true") {
            offences.push(format!("{path}: does not take its lints from the workspace"));
        }
        let mut section = "";
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or("").trim();
            if line.starts_with('[') {
                section = line;
            }
            if line.is_empty() || !section.contains("dependencies") {
                continue;
            }
            if !line.starts_with('[') && !line.contains("workspace = true") {
                let what = "a dependency whose version is not in the workspace";
                offences.push(format!("{path}:{}: {what}", index + 1));
            }
            let in_tests = section.contains("dev-dependencies");
            for name in imports(line) {
                let allowed = layer.imports.contains(&name) || (in_tests && name == FOR_TESTS);
                if !allowed {
                    let what = format!("{} must not import {name}", layer.name);
                    offences.push(format!("{path}:{}: {what}", index + 1));
                }
            }
        }
    }
    if !tree.text("Cargo.toml").contains("unsafe_code = \"forbid\"") {
        offences.push("Cargo.toml: unsafe code is not forbidden".into());
    }
    offences
}

/// The crates of ours that one line of a manifest names, as a key or as a renamed package.
fn imports(line: &str) -> impl Iterator<Item = &'static str> {
    let named = |name: &str| {
        let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '-');
        line.match_indices(name).any(|(at, _)| {
            is_edge(line[..at].chars().next_back())
                && is_edge(line[at + name.len()..].chars().next())
        })
    };
    LAYERS.iter().map(|layer| layer.name).filter(move |name| named(name))
}

/// Everything in the pure crates that needs the standard library outside their tests.
fn check_purity(tree: &Tree) -> Vec<String> {
    let mut offences = Vec::new();
    for name in PURE {
        let root = format!("{name}/src/lib.rs");
        let is_doc = |line: &&str| line.starts_with("//") || line.is_empty();
        if tree.text(&root).lines().find(|line| !is_doc(line)) != Some("#![no_std]") {
            offences.push(format!("{root}: does not begin with #![no_std]"));
        }
    }
    for source in tree.sources() {
        if !PURE.iter().any(|name| source.path.starts_with(&format!("{name}/src/"))) {
            continue;
        }
        let code = source.lines_of_code();
        let mut before = "";
        for (number, line) in source.lines().take(code) {
            let uses = line.contains("std::") && words(line).any(|word| word == "std");
            let links = line.contains("extern crate std") && before != "#[cfg(test)]";
            if (uses && !line.trim_start().starts_with("//")) || links {
                offences.push(format!("{}:{number}: the standard library", source.path));
            }
            before = line;
        }
    }
    offences
}

#[test]
fn every_crate_imports_only_what_its_layer_may() {
    let tree = Tree::workspace();
    for layer in &LAYERS {
        let manifest = tree.text(&format!("{}/Cargo.toml", layer.folder));
        assert!(manifest.contains(&format!("name = \"{}\"", layer.name)), "{}", layer.folder);
    }
    assert_none(&check_manifests(&tree));
}

#[test]
fn the_pure_crates_need_no_standard_library() {
    assert_none(&check_purity(&Tree::workspace()));
}

#[test]
fn a_forbidden_import_is_found_in_whatever_way_it_is_written() {
    let root = ("Cargo.toml", "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n");
    let check = |folder: &str, rest: &str| {
        let path = format!("{folder}/Cargo.toml");
        let text = format!("[lints]\nworkspace = true\n{rest}");
        check_manifests(&Tree::of([root, (&path, &text)]))
    };
    let fine = "[dependencies]\nmesh-wire.workspace = true\nbytes.workspace = true\n";
    assert_none(&check("mesh-sync", fine));
    assert_none(&check("mesh-wire", "[dev-dependencies]\nmesh-sim.workspace = true\n"));
    for bad in [
        "[dependencies]\nmesh-routing.workspace = true\n",
        "[dependencies]\nmesh-routing = { workspace = true }\n",
        "[dependencies]\nrouting = { package = \"mesh-routing\", workspace = true }\n",
        "[dependencies.mesh-routing]\nworkspace = true\n",
        "[dev-dependencies]\nmesh-routing.workspace = true\n",
        "[target.'cfg(unix)'.dependencies]\nmesh-routing.workspace = true\n",
        "[dependencies]\nmesh-sim.workspace = true\n",
        "[dependencies]\nbytes = \"1\"\n",
    ] {
        assert_eq!(check("mesh-sync", bad).len(), 1, "{bad}");
    }
    assert_eq!(check("mesh-other", "").len(), 1, "a crate that is not in the table");
    assert_eq!(
        check_manifests(&Tree::of([("mesh-sync/Cargo.toml", fine)])),
        [
            "mesh-sync/Cargo.toml: does not take its lints from the workspace",
            "Cargo.toml: unsafe code is not forbidden"
        ]
    );
}

#[test]
fn the_standard_library_is_found_in_a_pure_crate_but_not_in_its_tests() {
    let root = "//! Docs.\n#![no_std]\n#[cfg(test)]\nextern crate std;\n";
    let check = |file: &str| {
        let [wire, routing, sync] = PURE.map(|name| format!("{name}/src/lib.rs"));
        let roots = [(wire.as_str(), root), (&routing, root), (&sync, root)];
        check_purity(&Tree::of([roots[0], roots[1], roots[2], ("mesh-sync/src/a.rs", file)]))
    };
    assert_none(&check("//! std::x\nuse core::fmt;\n#[cfg(test)]\nmod tests {\nuse std::x;\n}\n"));
    assert_eq!(check("use std::fs;\n"), ["mesh-sync/src/a.rs:1: the standard library"]);
    assert_eq!(check("extern crate std;\n"), ["mesh-sync/src/a.rs:1: the standard library"]);
    let none = Tree::of([("mesh-wire/src/lib.rs", "//! Docs.\nextern crate alloc;\n")]);
    assert_eq!(check_purity(&none).len(), 3, "a crate root that does not say no_std");
}
