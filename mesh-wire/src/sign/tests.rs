//! Tests of signatures: what holds, and every way in which one does not.

use std::vec::Vec;

use data_encoding::HEXLOWER;
use ed25519_dalek::Signer;
use serde_json::Value;

use super::*;

const MESSAGE: &[u8] = b"a head";

/// The order of the group, ℓ = 2²⁵² + 27742317777372353535851937790883648493, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn key() -> SigningKey {
    SigningKey::from_seed(&[7; 32])
}

#[test]
fn what_a_writer_signed_holds_and_nothing_else_does() {
    let (key, other) = (key(), SigningKey::from_seed(&[8; 32]));
    let signature = key.sign(Context::LogHead, MESSAGE);
    assert_eq!(verify(&key.writer(), Context::LogHead, MESSAGE, &signature), Ok(()));
    assert!(verify(&other.writer(), Context::LogHead, MESSAGE, &signature).is_err());
    assert!(verify(&key.writer(), Context::LogHead, b"a hea", &signature).is_err());
    for bit in 0..512 {
        let mut flipped = signature;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&key.writer(), Context::LogHead, MESSAGE, &flipped).is_err(), "{bit}");
    }
}

#[test]
fn a_key_shows_nothing_of_itself() {
    assert_eq!(std::format!("{:?}", key()), "SigningKey(…)");
}

// spec: SESSION-1
#[test]
fn h_05_a_signature_for_another_purpose_is_refused() {
    let key = key();
    let sign = |bytes: &[u8]| key.0.sign(bytes).to_bytes();
    let holds =
        |signature: &[u8; 64]| verify(&key.writer(), Context::LogHead, MESSAGE, signature).is_ok();
    assert!(holds(&sign(b"mesh/1 log head\0\0\0\0\0\0\0\0\x06a head")), "as the spec says");
    assert!(!holds(&sign(MESSAGE)), "no context");
    assert!(!holds(&sign(&signed_bytes("mesh/1 log heads", MESSAGE))), "a longer context");
    assert!(!holds(&sign(&signed_bytes("mesh/1 log hea", MESSAGE))), "a shorter one");
    assert!(!holds(&sign(&signed_bytes("mesh/2 log head", MESSAGE))), "another network");
    assert!(!holds(&sign(&signed_bytes("", MESSAGE))), "an empty one");
}

#[test]
fn h_05_no_two_pairs_of_context_and_message_are_signed_alike() {
    let pairs = [("a", &b"b"[..]), ("a", b""), ("", b"a"), ("a\0", b"b"), ("a", b"\0b")];
    let mut signed: Vec<_> = pairs.iter().map(|(c, m)| signed_bytes(c, m)).collect();
    signed.sort_unstable();
    signed.dedup();
    assert_eq!(signed.len(), pairs.len());
}

// spec: SESSION-1
#[test]
fn h_04_the_cases_of_speccheck_come_out_as_documented() {
    let text = include_str!("../../tests/vectors/ed25519.json");
    let cases: Value = serde_json::from_str(text).unwrap();
    let hex =
        |case: &Value, key: &str| HEXLOWER.decode(case[key].as_str().unwrap().as_bytes()).unwrap();
    let accepted: Vec<usize> = cases["cases"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .filter(|(_, case)| {
            let writer = WriterId(hex(case, "pub_key").try_into().unwrap());
            let signature = hex(case, "signature").try_into().unwrap();
            verify_bytes(&writer, &hex(case, "message"), &signature).is_ok()
        })
        .map(|(number, _)| number)
        .collect();
    // 0 to 2: A or R of small order. 3: A and R of mixed order, which the cofactorless equation
    // holds for. 4 and 5: it does not. 6 and 7: s ≥ ℓ. 8 and 9: a non-canonical R.
    assert_eq!(accepted, [3]);
}

#[test]
fn h_04_a_second_s_for_the_same_signature_is_refused() {
    let mut signature = key().sign(Context::LogHead, MESSAGE);
    let mut carry = 0;
    for (byte, add) in signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    assert_eq!(carry, 0);
    assert_eq!(verify(&key().writer(), Context::LogHead, MESSAGE, &signature), Err(BadSignature));
}

#[test]
fn h_04_keys_of_small_order_and_second_encodings_are_refused() {
    // y = 1, −1, 0, and the same plus 2²⁵⁵ − 19, each with both signs of x.
    let mut low = [[0; 32]; 6];
    low[0][0] = 1;
    low[1] = [0xff; 32];
    low[1][0] = 0xec;
    for (at, first) in [(3, 0xee), (4, 0xed), (5, 0xec)] {
        low[at] = [0xff; 32];
        low[at][0] = first;
    }
    for mut y in low {
        for sign in [0, 0x80] {
            y[31] = y[31] & 0x7f | sign;
            // R = A, s = 0 satisfies the bare equation for some message if A has small order.
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&y);
            for message in 0..16_u8 {
                let held = verify(&WriterId(y), Context::LogHead, &[message], &signature);
                assert_eq!(held, Err(BadSignature), "{y:?}");
            }
        }
    }
    assert!(!is_reduced(&WriterId(low[3])) && !is_reduced(&WriterId(low[4])));
    assert!(is_reduced(&WriterId(low[1])) && is_reduced(&key().writer()));
}

#[test]
fn h_04_one_function_in_the_whole_tree_verifies() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut folders = std::vec![root.to_path_buf()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if name.ends_with(".rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let calls = text.matches(&["verify", "_strict("].concat()).count()
                    + text.matches(&["verify", "_stream("].concat()).count()
                    + text.matches(&["Verifier", "::"].concat()).count();
                found.extend(std::iter::repeat_n(path, calls));
            }
        }
    }
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].ends_with("mesh-wire/src/sign.rs"));
}
