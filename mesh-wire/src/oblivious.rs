//! A function that two compute together: one has the key and does not learn of what, the other
//! learns the value of what it asked for and of nothing else (RFC 9497, mode OPRF).

use core::fmt;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use zeroize::Zeroizing;

use crate::Rng;

/// An element of ristretto255 as it travels (RFC 9496).
pub type Point = [u8; 32];

/// The key: whoever has it evaluates anything. Wiped when dropped.
pub struct Evaluator(Zeroizing<Scalar>);

/// What hides a question from whoever evaluates it. Wiped when dropped.
pub struct Blind(Zeroizing<Scalar>);

impl Evaluator {
    /// A new key.
    #[must_use]
    pub fn random(rng: &mut Rng) -> Self {
        Self(random_scalar(rng))
    }

    /// The evaluation of what `hash` is the keyed hash of.
    // spec: SYNC-51
    #[must_use]
    pub fn evaluate(&self, hash: &blake3::Hasher) -> Point {
        (point(hash) * *self.0).compress().to_bytes()
    }

    /// A blinded point, evaluated. `None` if it is no element, or the identity.
    // spec: SYNC-52
    #[must_use]
    pub fn evaluate_blinded(&self, blinded: &Point) -> Option<Point> {
        Some((read(blinded)? * *self.0).compress().to_bytes())
    }
}

impl Blind {
    /// Asks for the evaluation of what `hash` is the keyed hash of: the point to send is random to
    /// whoever does not have the blind.
    // spec: SYNC-52
    #[must_use]
    pub fn hide(hash: &blake3::Hasher, rng: &mut Rng) -> (Self, Point) {
        let blind = random_scalar(rng);
        let blinded = (point(hash) * *blind).compress().to_bytes();
        (Self(blind), blinded)
    }

    /// The evaluation that was asked for, from the answer. `None` if that is no element, or the
    /// identity.
    // spec: SYNC-52
    #[must_use]
    pub fn reveal(&self, answer: &Point) -> Option<Point> {
        Some((read(answer)? * self.0.invert()).compress().to_bytes())
    }
}

/// A point that asks for nothing: nobody can tell it from one that does.
// spec: SYNC-52
#[must_use]
pub fn random_point(rng: &mut Rng) -> Point {
    RistrettoPoint::from_uniform_bytes(&rng.bytes()).compress().to_bytes()
}

/// The element derived from what was hashed (RFC 9496, section 4.3.4).
fn point(hash: &blake3::Hasher) -> RistrettoPoint {
    let mut uniform = [0; 64];
    hash.finalize_xof().fill(&mut uniform);
    RistrettoPoint::from_uniform_bytes(&uniform)
}

fn read(point: &Point) -> Option<RistrettoPoint> {
    CompressedRistretto(*point).decompress().filter(|point| !point.is_identity())
}

fn random_scalar(rng: &mut Rng) -> Zeroizing<Scalar> {
    Zeroizing::new(Scalar::from_bytes_mod_order_wide(&Zeroizing::new(rng.bytes::<64>())))
}

impl fmt::Debug for Evaluator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Evaluator(…)")
    }
}

impl fmt::Debug for Blind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blind(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(of: u8) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_keyed(&[7; 32]);
        hasher.update(&[of; 32]);
        hasher
    }

    // spec: SYNC-51, SYNC-52
    #[test]
    fn who_asks_learns_what_who_answers_could_have_computed() {
        let mut rng = Rng::from_seed([1; 32]);
        let evaluator = Evaluator::random(&mut rng);
        for of in 0..20 {
            let (blind, asked) = Blind::hide(&hash(of), &mut rng);
            let answer = evaluator.evaluate_blinded(&asked).unwrap();
            assert_eq!(blind.reveal(&answer), Some(evaluator.evaluate(&hash(of))));
            assert_ne!(blind.reveal(&answer), Some(evaluator.evaluate(&hash(of + 1))));
        }
    }

    // spec: SYNC-52
    #[test]
    fn the_same_question_never_looks_the_same_and_another_key_gives_another_answer() {
        let mut rng = Rng::from_seed([1; 32]);
        let [first, second] = [0; 2].map(|_| Blind::hide(&hash(1), &mut rng).1);
        assert_ne!(first, second);
        assert_ne!(random_point(&mut rng), random_point(&mut rng));
        let [ada, bob] = [0; 2].map(|_| Evaluator::random(&mut rng));
        assert_ne!(ada.evaluate(&hash(1)), bob.evaluate(&hash(1)));
    }

    // spec: SYNC-52
    #[test]
    fn what_is_no_element_is_neither_evaluated_nor_believed() {
        let mut rng = Rng::from_seed([1; 32]);
        let evaluator = Evaluator::random(&mut rng);
        let (blind, asked) = Blind::hide(&hash(1), &mut rng);
        let mut other_form = asked;
        other_form[31] |= 0x80;
        for bad in [[0; 32], [0xff; 32], [1; 32], other_form] {
            assert_eq!(evaluator.evaluate_blinded(&bad), None, "{bad:?}");
            assert_eq!(blind.reveal(&bad), None, "{bad:?}");
        }
        assert!(evaluator.evaluate_blinded(&random_point(&mut rng)).is_some());
    }
}
