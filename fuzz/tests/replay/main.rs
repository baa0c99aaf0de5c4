//! Runs every body on stable: on its corpus, and on mutations of it that follow from a seed.
//! `MESH_ROUNDS=1000000 cargo test -p mesh-fuzz` runs more of them, `MESH_SEED=7` only one.

mod seeds;

use std::path::{Path, PathBuf};
use std::{env, fs, thread};

use mesh_fuzz::{DECODERS, MACHINES, Target};
use mesh_sim::{hostile, seed, seeds};

/// Seeds per decoder and per machine, if `MESH_ROUNDS` does not say otherwise.
const DECODER_ROUNDS: u64 = 20_000;
const MACHINE_ROUNDS: u64 = 5_000;

/// Says what was being run if it is dropped by a panic.
struct Replay<'a> {
    target: Target,
    origin: &'a str,
    input: &'a [u8],
}

impl Drop for Replay<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let hex: String = self.input.iter().map(|byte| format!("{byte:02x}")).collect();
            eprintln!("{} fails on {}: {hex}", self.target.name, self.origin);
        }
    }
}

fn run(target: Target, origin: &str, input: &[u8]) {
    let _replay = Replay { target, origin, input };
    (target.body)(input);
}

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(kind)
}

/// The inputs in the corpus of `target`, by file name.
fn corpus(target: Target) -> Vec<(String, Vec<u8>)> {
    let at = folder("corpus").join(target.name);
    let entries = fs::read_dir(&at).unwrap_or_else(|error| panic!("{}: {error}", at.display()));
    let mut inputs: Vec<_> = entries
        .map(|entry| entry.expect("a corpus lists its files"))
        .map(|entry| {
            let input = fs::read(entry.path()).expect("an input can be read");
            (entry.file_name().to_string_lossy().into_owned(), input)
        })
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} is empty", at.display());
    inputs
}

/// The seeded mutation of a corpus that `seed` stands for.
fn mutation(corpus: &[(String, Vec<u8>)], seed: u64) -> Vec<u8> {
    let mut rng = seed::rng(seed);
    let at = rng.below(corpus.len() as u64) as usize;
    let mut input = corpus[at].1.clone();
    for _ in 0..=rng.below(3) {
        input = hostile::junk(&mut rng, &input).into();
    }
    input
}

/// Runs `each` on the corpus of every target, then on its mutations.
fn for_each(targets: &[Target], rounds: u64, each: fn(Target, &str, &[u8])) {
    let rounds = match env::var("MESH_ROUNDS") {
        Ok(text) => text.parse().expect("MESH_ROUNDS is a number"),
        Err(_) => rounds,
    };
    for target in targets {
        let corpus = corpus(*target);
        for (name, input) in &corpus {
            each(*target, name, input);
        }
        for seed in seeds(rounds) {
            each(*target, &format!("MESH_SEED={seed}"), &mutation(&corpus, seed));
        }
    }
}

#[test]
fn decoders_hold_on_their_corpora_and_on_mutations() {
    for_each(DECODERS, DECODER_ROUNDS, run);
}

#[test]
fn machines_hold_on_their_corpora_and_on_mutations() {
    for_each(MACHINES, MACHINE_ROUNDS, run);
}

#[test]
fn w_02_no_decoder_allocates_more_than_twice_its_input_and_four_kibibytes() {
    for_each(DECODERS, DECODER_ROUNDS / 10, |target, origin, input| {
        let replay = Replay { target, origin, input };
        let peak = allocation_counter::measure(|| (target.body)(input)).bytes_max;
        let bound = 2 * input.len() as u64 + 4096;
        assert!(peak <= bound, "{peak} bytes for an input of {}, at most {bound}", input.len());
        drop(replay);
    });
}

#[test]
fn every_corpus_begins_with_its_seeds() {
    for target in DECODERS.iter().chain(MACHINES) {
        let at = folder("corpus").join(target.name);
        for (name, input) in seeds::of(target.name) {
            if env::var_os("MESH_BLESS").is_some() {
                fs::create_dir_all(&at).expect("a corpus can be made");
                fs::write(at.join(&name), &input).expect("a seed can be written");
            }
            let found = fs::read(at.join(&name)).unwrap_or_default();
            assert!(found == input, "{}/{name}: MESH_BLESS=1 writes it anew", target.name);
        }
    }
}

#[test]
fn every_body_has_a_corpus_and_a_program_and_nothing_else_does() {
    let mut names: Vec<_> = DECODERS.iter().chain(MACHINES).map(|target| target.name).collect();
    names.sort_unstable();
    let manifest = fs::read_to_string(folder("Cargo.toml")).expect("there is a manifest");
    for name in &names {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "Cargo.toml has no {name}");
    }
    for (kind, end) in [("corpus", ""), ("fuzz_targets", ".rs")] {
        let entries = fs::read_dir(folder(kind)).expect("the folder is there");
        let mut found: Vec<String> = entries
            .map(|entry| entry.expect("it lists its files").file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        found.sort();
        let expected: Vec<String> = names.iter().map(|name| format!("{name}{end}")).collect();
        assert_eq!(found, expected, "{kind}");
    }
}
