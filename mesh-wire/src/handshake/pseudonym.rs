//! What a node calls itself for a while.

use core::fmt;

use x25519_dalek::{PublicKey, StaticSecret};

use crate::{PeerId, Rng};

/// The X25519 secret behind a [`PeerId`]: fresh in every epoch, random, derived from nothing that
/// lasts. Wiped when dropped.
#[derive(Clone)]
pub struct Pseudonym(pub(super) StaticSecret);

impl Pseudonym {
    /// A new one.
    #[must_use]
    pub fn generate(rng: &mut Rng) -> Self {
        Self(StaticSecret::from(rng.bytes::<32>()))
    }

    /// What neighbours see.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        PeerId(PublicKey::from(&self.0).to_bytes())
    }
}

impl fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pseudonym({:?}, …)", self.peer())
    }
}
