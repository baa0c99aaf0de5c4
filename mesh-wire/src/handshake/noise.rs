//! `Noise_XX_25519_ChaChaPoly_BLAKE2s`: snow's state machine over our own generation of
//! primitives, with randomness from our own generator.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use blake2::{Blake2s256, Digest};
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, Tag};
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, Error, HandshakeState};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::seal::{MakeCipher, TAG_BYTES, noise_nonce};
use crate::session::SessionKeys;
use crate::{PeerId, Rng, Role, limits};

const PROTOCOL: &str = "Noise_XX_25519_ChaChaPoly_BLAKE2s";

/// What a run of the pattern starts from. Two runs from the same setup write the same messages.
pub(super) struct Setup {
    pub(super) role: Role,
    pub(super) prologue: Vec<u8>,
    pub(super) secret: StaticSecret,
    /// Where the ephemeral key comes from.
    pub(super) seed: Zeroizing<[u8; 32]>,
}

/// One run of the pattern, from one end.
pub(super) struct Run(HandshakeState);

impl Run {
    pub(super) fn start(setup: &Setup) -> Result<Self, Error> {
        let suite = Suite { seed: setup.seed.clone() };
        let builder = Builder::with_resolver(PROTOCOL.parse()?, Box::new(suite))
            .local_private_key(setup.secret.as_bytes())?
            .prologue(&setup.prologue)?;
        Ok(Self(match setup.role {
            Role::Initiator => builder.build_initiator()?,
            Role::Responder => builder.build_responder()?,
        }))
    }

    /// The next message, with `payload` in it.
    pub(super) fn write(&mut self, payload: &[u8]) -> Result<Vec<u8>, Error> {
        let mut message = vec![0; limits::HANDSHAKE_BYTES + TAG_BYTES];
        let length = self.0.write_message(payload, &mut message)?;
        message.truncate(length);
        Ok(message)
    }

    /// The payload of the other end's next message.
    pub(super) fn read(&mut self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut payload = vec![0; message.len()];
        let length = self.0.read_message(message, &mut payload)?;
        payload.truncate(length);
        Ok(payload)
    }

    /// The other end's static key, once a message told it.
    pub(super) fn peer(&self) -> Option<PeerId> {
        self.0.get_remote_static()?.try_into().ok().map(PeerId)
    }

    /// The handshake hash: names this run and nothing else.
    pub(super) fn binding(&self) -> Option<[u8; 32]> {
        self.0.get_handshake_hash().try_into().ok()
    }

    /// Which end this is.
    pub(super) fn role(&self) -> Role {
        if self.0.is_initiator() { Role::Initiator } else { Role::Responder }
    }

    /// The keys of the session.
    // spec: SESSION-2
    pub(super) fn split(&mut self, make: MakeCipher) -> SessionKeys {
        let (initiators, responders) = self.0.dangerously_get_raw_split();
        let (initiators, responders) = (Zeroizing::new(initiators), Zeroizing::new(responders));
        match self.role() {
            Role::Initiator => SessionKeys { sending: initiators, receiving: responders, make },
            Role::Responder => SessionKeys { sending: responders, receiving: initiators, make },
        }
    }
}

/// The primitives of the protocol and no others.
pub(super) struct Suite {
    pub(super) seed: Zeroizing<[u8; 32]>,
}

impl CryptoResolver for Suite {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Draw(Rng::from_seed(*self.seed))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        (*choice == DHChoice::Curve25519)
            .then(|| Box::new(X25519 { secret: [0; 32].into(), public: [0; 32] }) as Box<dyn Dh>)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        (*choice == HashChoice::Blake2s)
            .then(|| Box::new(Blake2s(Blake2s256::new())) as Box<dyn Hash>)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        (*choice == CipherChoice::ChaChaPoly)
            .then(|| Box::new(ChaChaPoly(Zeroizing::new([0; 32]))) as Box<dyn Cipher>)
    }
}

struct Draw(Rng);

impl Random for Draw {
    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Error> {
        rand_core::TryRng::try_fill_bytes(&mut self.0, into).map_err(|_| Error::Rng)
    }
}

struct X25519 {
    secret: StaticSecret,
    public: [u8; 32],
}

impl X25519 {
    fn become_secret(&mut self, secret: [u8; 32]) {
        self.secret = StaticSecret::from(secret);
        self.public = PublicKey::from(&self.secret).to_bytes();
    }
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, secret: &[u8]) {
        // Only ever called with the 32 bytes of our own static key.
        self.become_secret(secret.try_into().unwrap_or_default());
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        let mut secret = Zeroizing::new([0; 32]);
        rng.try_fill_bytes(&mut *secret)?;
        self.become_secret(*secret);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        self.secret.as_bytes()
    }

    // spec: SESSION-2
    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let public: [u8; 32] = *public.first_chunk().ok_or(Error::Dh)?;
        let shared = self.secret.diffie_hellman(&PublicKey::from(public));
        if !shared.was_contributory() {
            return Err(Error::Dh);
        }
        out.get_mut(..32).ok_or(Error::Dh)?.copy_from_slice(shared.as_bytes());
        Ok(())
    }
}

struct Blake2s(Blake2s256);

impl Hash for Blake2s {
    fn name(&self) -> &'static str {
        "BLAKE2s"
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        32
    }

    fn reset(&mut self) {
        self.0 = Blake2s256::new();
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        let hash = self.0.finalize_reset();
        for (into, byte) in out.iter_mut().zip(hash) {
            *into = byte;
        }
    }
}

/// The cipher inside the handshake: with associated data, so not the one of `seal`.
struct ChaChaPoly(Zeroizing<[u8; 32]>);

impl Cipher for ChaChaPoly {
    fn name(&self) -> &'static str {
        "ChaChaPoly"
    }

    fn set(&mut self, key: &[u8; 32]) {
        *self.0 = *key;
    }

    fn encrypt(&self, nonce: u64, authtext: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let Some((text, rest)) = out.split_at_mut_checked(plaintext.len()) else { return 0 };
        let Some(tag) = rest.first_chunk_mut::<TAG_BYTES>() else { return 0 };
        text.copy_from_slice(plaintext);
        let cipher = ChaCha20Poly1305::new((&*self.0).into());
        match cipher.encrypt_inout_detached(&noise_nonce(nonce), authtext, text.into()) {
            Ok(sealed) => *tag = sealed.into(),
            Err(_) => return 0,
        }
        plaintext.len() + TAG_BYTES
    }

    fn decrypt(
        &self,
        nonce: u64,
        authtext: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let (text, tag) = ciphertext.split_last_chunk::<TAG_BYTES>().ok_or(Error::Decrypt)?;
        let out = out.get_mut(..text.len()).ok_or(Error::Decrypt)?;
        out.copy_from_slice(text);
        let cipher = ChaCha20Poly1305::new((&*self.0).into());
        cipher
            .decrypt_inout_detached(&noise_nonce(nonce), authtext, out.into(), &Tag::from(*tag))
            .map_err(|_| Error::Decrypt)?;
        Ok(text.len())
    }
}
