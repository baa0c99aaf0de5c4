//! The decoder in Python that was written from the specification (`spec/vectors/decode.py`)
//! against ours.

use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};
use std::{iter, thread};

use data_encoding::HEXLOWER;
use mesh_wire::Rng;
use serde_json::Value;

use crate::examples::examples;
use crate::objects::{DECODERS, decode};
use crate::vectors::folder;

const MUTANTS: usize = 100_000;
const SEED: u8 = 8;

/// Bytes at which something changes: lengths of numbers, kinds, signs.
const BYTES: [u8; 12] = [0, 1, 2, 0x10, 0x3f, 0x40, 0x41, 0x7f, 0x80, 0xbf, 0xc0, 0xff];

/// Runs the decoder with these arguments on this input; `None` on a machine without Python.
fn python(arguments: &[&str], input: String) -> Option<(bool, String)> {
    let started = Command::new("python3")
        .arg(folder().join("decode.py"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("skipped: there is no python3 here");
            return None;
        }
        Err(error) => panic!("python3: {error}"),
    };
    let mut stdin = child.stdin.take().expect("it was piped");
    // It may stop reading when it fails; what it prints then says so.
    let writer = thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().expect("python3 runs");
    writer.join().expect("the writer does not panic");
    Some((output.status.success(), String::from_utf8(output.stdout).expect("UTF-8")))
}

/// Changes `bytes` a little, in one to three places.
fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..=rng.below(3) {
        let at = rng.below(bytes.len().max(1) as u64) as usize;
        let byte = BYTES[rng.below(BYTES.len() as u64) as usize];
        match rng.below(8) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at.min(bytes.len()), byte),
            2 if !bytes.is_empty() => drop(bytes.remove(at)),
            3 => bytes.extend(iter::repeat_n(byte, rng.below(40) as usize)),
            // The length of the body follows, so that what is inside is looked at too.
            4 => {
                if let [_, length, body @ ..] = bytes.as_mut_slice()
                    && body.len() < 64
                {
                    *length = body.len() as u8;
                }
            }
            5 => {
                let end = bytes.len().min(at + 9);
                let again = bytes[at.min(end)..end].to_vec();
                bytes.splice(at..at, again);
            }
            6 if !bytes.is_empty() => bytes[at] = byte,
            _ if !bytes.is_empty() => bytes[at] ^= 1 << rng.below(8),
            _ => {}
        }
    }
}

#[test]
fn w_09_every_vector_holds_in_python_too() {
    let Some((good, output)) = python(&[], String::new()) else { return };
    assert!(good, "{output}");
}

// spec: WIRE-1, WIRE-2, WIRE-3, WIRE-7, WIRE-8, WIRE-9
#[test]
fn w_08_both_decoders_say_the_same_of_a_hundred_thousand_mutants() {
    let mut rng = Rng::from_seed([SEED; 32]);
    let examples = examples();
    let cases: Vec<(&str, Vec<u8>)> = (0..MUTANTS)
        .map(|number| {
            let (of, _, bytes) = &examples[number % examples.len()];
            let mut bytes = bytes.clone();
            mutate(&mut bytes, &mut rng);
            // Now and then as something else.
            let of = if rng.below(50) == 0 {
                DECODERS[rng.below(DECODERS.len() as u64) as usize].0
            } else {
                of
            };
            (of, bytes)
        })
        .collect();
    let input: String =
        cases.iter().map(|(of, bytes)| format!("{of} {}\n", HEXLOWER.encode(bytes))).collect();
    let Some((good, output)) = python(&["-"], input) else { return };
    assert!(good && output.lines().count() == MUTANTS, "it stopped: {output:.500}");
    let mut accepted = 0;
    for ((of, bytes), line) in cases.iter().zip(output.lines()) {
        let theirs: Value = serde_json::from_str(line).expect("a line of JSON");
        let ours = decode(of, bytes).ok();
        let hex = HEXLOWER.encode(bytes);
        assert_eq!(ours.as_ref(), theirs.get("value"), "seed {SEED}: {of} {hex}");
        accepted += usize::from(ours.is_some());
    }
    assert!((MUTANTS / 10..MUTANTS * 9 / 10).contains(&accepted), "{accepted} were accepted");
}
