//! One hash over everything that leaves the machines of a world: two lives are the same life
//! exactly if their traces are equal.

use std::fmt;

use mesh_wire::{Hash, LinkId, Time, Wake};

/// The hash so far.
pub(crate) struct Trace(blake3::Hasher);

impl Trace {
    pub(crate) fn new() -> Self {
        Self(blake3::Hasher::new())
    }

    /// A message left `node` over its `link`.
    pub(crate) fn message(&mut self, at: Time, link: LinkId, bytes: &[u8]) {
        self.entry(b'm', at, link.0, bytes);
    }

    /// `node` told its owner something.
    pub(crate) fn event(&mut self, at: Time, node: usize, event: &impl fmt::Debug) {
        self.entry(b'e', at, node as u64, format!("{event:?}").as_bytes());
    }

    /// The alarm of `node` changed.
    pub(crate) fn wake(&mut self, at: Time, node: usize, wake: Option<Wake>) {
        let text = wake.map(|wake| format!("{} {}", wake.at.0, wake.reason)).unwrap_or_default();
        self.entry(b'w', at, node as u64, text.as_bytes());
    }

    /// The hash of everything up to here.
    pub(crate) fn hash(&self) -> Hash {
        Hash(*self.0.finalize().as_bytes())
    }

    fn entry(&mut self, kind: u8, at: Time, who: u64, what: &[u8]) {
        self.0.update(&[kind]).update(&at.0.to_le_bytes()).update(&who.to_le_bytes());
        self.0.update(&(what.len() as u64).to_le_bytes()).update(what);
    }
}
