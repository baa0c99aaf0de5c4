//! What happens to a received frame: the dispatcher, one line per layer.

use bytes::{Bytes, BytesMut};
use mesh_sync::Store;
use mesh_wire::admission::Path;
use mesh_wire::codec::Reader;
use mesh_wire::handshake::Progress;
use mesh_wire::message::{self, Message, SyncMessage};
use mesh_wire::session::OpenError;
use mesh_wire::{Carrier, Fault, Input, LinkId, Machine, Now, Wire};

use super::Node;
use super::links::{LinkState, Phase};

impl<S: Store> Node<S> {
    /// Takes a frame from a link. The record in it is opened in place.
    pub fn receive(&mut self, now: Now, id: LinkId, frame: BytesMut) {
        let Some(state) = self.links.get_mut(&id) else { return };
        if state.is_leaving() {
            return;
        }
        state.traffic.received += frame.len() as u64;
        match &mut state.phase {
            Phase::Knocking { source, .. } => {
                let source = *source;
                self.let_in(now, id, &source, Path::Unvalidated(&frame));
                if let Some(LinkState { phase: Phase::Handshake(handshake), .. }) =
                    self.links.get_mut(&id)
                {
                    // What is wrong with it, it will say again.
                    let _ = handshake.receive(now.time, &frame);
                }
            }
            Phase::Handshake(handshake) => match handshake.receive(now.time, &frame) {
                Ok(None) => {}
                Ok(Some(established)) => self.established(now, id, established),
                Err(_) if handshake.progress(now.time) == Progress::Failed => self.end(now, id),
                // On datagrams anybody can send anything.
                Err(_) => {}
            },
            Phase::Open(open) => {
                if !open.repeated(now.time, &frame) {
                    self.open_record(now, id, frame);
                }
            }
            Phase::Closed => {}
        }
        self.drain(now);
    }

    // spec: SESSION-8
    fn open_record(&mut self, now: Now, id: LinkId, record: BytesMut) {
        let Some(state) = self.links.get_mut(&id) else { return };
        let Phase::Open(open) = &mut state.phase else { return };
        match open.session.open(record) {
            Ok(plaintext) => {
                open.heard(now.time);
                self.router.confirm(now.time, id);
                if let Err(fault) = self.record(now, id, plaintext) {
                    self.on_fault(now, id, fault);
                }
            }
            // On a stream only the other end can cause this, on a datagram anybody can.
            Err(OpenError::Ended) => self.end(now, id),
            Err(OpenError::Malformed | OpenError::OutOfWindow | OpenError::Forged) => {
                if state.link.carrier == Carrier::Stream {
                    self.end(now, id);
                }
            }
        }
    }

    /// The frames of an opened record.
    fn record(&mut self, now: Now, id: LinkId, record: Bytes) -> Result<(), Fault> {
        let mut reader = Reader::new(record);
        while reader.remaining() > 0 {
            let (kind, body) = message::read_frame(&mut reader)?;
            if let Some(message) = Message::read_body(kind, body)? {
                self.message(now, id, message)?;
            }
        }
        Ok(())
    }

    /// One frame that was put together from fragments.
    pub(super) fn frame(&mut self, now: Now, id: LinkId, frame: Bytes) -> Result<(), Fault> {
        let mut reader = Reader::new(frame);
        let (kind, body) = message::read_frame(&mut reader)?;
        reader.finish()?;
        match Message::read_body(kind, body)? {
            Some(Message::Link(_)) => Err(Fault::Protocol("link control in fragments")),
            Some(message) => self.message(now, id, message),
            None => Ok(()),
        }
    }

    fn message(&mut self, now: Now, id: LinkId, message: Message) -> Result<(), Fault> {
        match message {
            Message::Link(message) => self.link_message(now, id, message)?,
            Message::Route(message) => self.router.handle(now, Input::Receive(id, message)),
            Message::Sync(message) => {
                if let Some(state) = self.links.get_mut(&id) {
                    state.traffic.content_received += content(&message);
                }
                self.sync.handle(now, Input::Receive(id, message));
            }
        }
        self.drain(now);
        Ok(())
    }
}

/// Bytes of content in a message.
pub(super) fn content(message: &SyncMessage) -> u64 {
    let bytes = match message {
        SyncMessage::Items(items) => items.items.size(),
        SyncMessage::Notes(notes) => notes.notes.size(),
        SyncMessage::GroupData(data) => data.bytes.bytes().len(),
        SyncMessage::Share(_)
        | SyncMessage::Summary(_)
        | SyncMessage::Heard(_)
        | SyncMessage::Want(_)
        | SyncMessage::PageAsk(_)
        | SyncMessage::PageHave(_)
        | SyncMessage::GroupsWant(_)
        | SyncMessage::CvsWant(_)
        | SyncMessage::Cvs(_)
        | SyncMessage::PageDrop(_)
        | SyncMessage::Reconcile(_)
        | SyncMessage::Fork(_)
        | SyncMessage::Blinded(_)
        | SyncMessage::Evaluated(_) => 0,
    };
    bytes as u64
}
