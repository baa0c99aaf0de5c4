//! Somebody who speaks the protocol by hand: what a hostile neighbour can say to a node.

use bytes::BytesMut;
use mesh_node::node::{Frame, NodeEvent};
use mesh_wire::codec::{Extensions, List};
use mesh_wire::handshake::{Config, Established, Handshake, Introduction, Pseudonym};
use mesh_wire::machine::{Carrier, Input, Link, Machine, Role};
use mesh_wire::session::Session;
use mesh_wire::{LinkId, Now, Rng, Time, VERSIONS, Wire, seal};

use crate::TestNode;

/// The other end of one link of a node under test.
pub(crate) struct Stranger {
    pub(crate) link: LinkId,
    handshake: Handshake,
    session: Option<Session>,
    now: Now,
}

/// What became of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is up.
    Up,
    /// The node wants it closed.
    Closed,
}

impl Stranger {
    /// Dials `node` and says nothing yet.
    pub(crate) fn dial(node: &mut TestNode, number: u64, carrier: Carrier, now: Now) -> Self {
        let mut rng = Rng::from_seed([number as u8; 32]).fork(&number.to_string());
        let config = Config {
            carrier,
            network: [0; 32],
            versions: List::new(&VERSIONS),
            pseudonym: Pseudonym::generate(&mut rng),
            introduction: Introduction { extensions: Extensions::default() },
            cipher: seal::chacha20poly1305,
            resend: mesh_wire::limits::HANDSHAKE_RESEND,
            patience: mesh_wire::limits::HANDSHAKE_TIME,
        };
        let link = LinkId(number);
        let about = Link { role: Role::Responder, carrier, largest_frame: 1200, secured: None };
        node.handle(now, Input::LinkUp(link, about));
        let handshake = Handshake::initiate(now.time, config, &mut rng);
        Self { link, handshake, session: None, now }
    }

    /// Dials, shakes hands and hears what the node says first.
    pub(crate) fn meet(node: &mut TestNode, number: u64, carrier: Carrier, now: Now) -> Self {
        let mut stranger = Self::shake_hands(node, number, carrier, now);
        stranger.hear(node);
        stranger
    }

    /// Dials and shakes hands.
    pub(crate) fn shake_hands(
        node: &mut TestNode,
        number: u64,
        carrier: Carrier,
        now: Now,
    ) -> Self {
        let mut stranger = Self::dial(node, number, carrier, now);
        while let Some(frame) = stranger.handshake.poll_send(now.time) {
            node.receive(now, stranger.link, frame[..].into());
            if stranger.session.is_some() {
                break;
            }
            for frame in stranger.hear(node) {
                if let Ok(Some(Established { session, .. })) =
                    stranger.handshake.receive(now.time, &frame)
                {
                    stranger.session = Some(session);
                }
            }
        }
        assert!(stranger.session.is_some(), "no session");
        stranger
    }

    /// Every frame the node sends now.
    pub(crate) fn hear(&mut self, node: &mut TestNode) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while let Some(Frame(frame)) = node.poll_send(self.now, self.link, 1 << 17) {
            frames.push(frame.to_vec());
        }
        frames
    }

    /// Sends one record with `plaintext` in it.
    pub(crate) fn say(&mut self, node: &mut TestNode, plaintext: &[u8]) -> Outcome {
        let record = self.seal(plaintext);
        node.receive(self.now, self.link, record);
        self.outcome(node)
    }

    /// Sends a message.
    pub(crate) fn send(&mut self, node: &mut TestNode, message: impl Wire) -> Outcome {
        self.say(node, &message.to_bytes())
    }

    /// A record with `plaintext` in it.
    pub(crate) fn seal(&mut self, plaintext: &[u8]) -> BytesMut {
        let session = self.session.as_mut().expect("shaken hands");
        let mut record = vec![0; session.header_bytes()];
        record.extend_from_slice(plaintext);
        session.seal(self.now.time, &mut record).unwrap();
        record[..].into()
    }

    /// The plaintext of a record from the node.
    pub(crate) fn open(&mut self, Frame(record): &Frame) -> Vec<u8> {
        let session = self.session.as_mut().expect("shaken hands");
        session.open(record[..].into()).unwrap().to_vec()
    }

    /// What the node makes of it.
    pub(crate) fn outcome(&mut self, node: &mut TestNode) -> Outcome {
        self.hear(node);
        let link = self.link;
        let events: Vec<_> = std::iter::from_fn(|| node.poll_event()).collect();
        match events
            .iter()
            .any(|event| matches!(event, NodeEvent::Close(closed) if *closed == link))
        {
            true => Outcome::Closed,
            false => Outcome::Up,
        }
    }
}

/// `seconds` after the start.
pub(crate) fn at(seconds: u64) -> Now {
    Now { time: Time(seconds * 1_000_000), ..Now::default() }
}
