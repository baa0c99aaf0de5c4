//! Who is whose child: signed records, and the coordinates that follow from them.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_wire::Time;

use super::message::{Announce, DEPTH};
use crate::models::{Filler, NodeId, Word};

/// Life of a record; that of one's own is renewed before.
const TIME_OUT: Duration = Duration::from_secs(5 * 60);
const REFRESH: Duration = Duration::from_secs(4 * 60);
/// Records held.
const RECORDS: usize = 16_384;

/// A node and its parent.
#[derive(Clone, Copy)]
pub(super) struct Record {
    pub(super) parent: NodeId,
    pub(super) port: u16,
    pub(super) sequence: u64,
}

/// Where a node is in the tree.
pub(super) struct Place {
    pub(super) root: NodeId,
    /// The node itself first, the root last.
    pub(super) line: Vec<NodeId>,
    /// From the root down.
    pub(super) ports: Vec<u16>,
}

/// All records that are known.
#[derive(Default)]
pub(super) struct Ancestries(BTreeMap<NodeId, (Time, Record)>);

impl Ancestries {
    /// Takes a record that is newer than the known one, or as new with a lower parent, so that all
    /// agree; whether it did.
    pub(super) fn learn(&mut self, now: Time, id: NodeId, record: Record) -> bool {
        let is_newer = self.record(id).is_none_or(|known| {
            let lower = record.parent < known.parent;
            (record.sequence > known.sequence) || (record.sequence == known.sequence && lower)
        });
        let is_taken = is_newer && (self.0.len() < RECORDS || self.0.contains_key(&id));
        if is_taken {
            self.0.insert(id, (now + TIME_OUT, record));
        }
        is_taken
    }

    /// This node has a new parent; until then the record holds.
    pub(super) fn renew(&mut self, now: Time, me: NodeId, record: Record) {
        self.0.insert(me, (now + REFRESH, record));
    }

    pub(super) fn record(&self, id: NodeId) -> Option<Record> {
        self.0.get(&id).map(|(_, record)| *record)
    }

    /// A record as it is told.
    pub(super) fn announce(&self, id: NodeId) -> Option<Announce> {
        let Record { parent, port, sequence } = self.record(id)?;
        let (port, sequence) = (Word(port.into()), Word(sequence));
        Some(Announce { id, parent, port, sequence, rest: Filler })
    }

    /// Where a node is; `None` if a part of its ancestry is missing or goes round in a circle.
    pub(super) fn place(&self, id: NodeId) -> Option<Place> {
        let (mut line, mut ports) = (Vec::new(), Vec::new());
        let mut at = id;
        while line.len() <= DEPTH {
            line.push(at);
            let record = self.record(at)?;
            if record.parent == at {
                ports.reverse();
                return Some(Place { root: at, line, ports });
            }
            ports.push(record.port);
            at = record.parent;
        }
        None
    }

    /// Takes away what is too old; their names.
    pub(super) fn expire(&mut self, now: Time) -> Vec<NodeId> {
        let old = self.0.iter().filter(|(_, (until, _))| *until <= now);
        let old: Vec<NodeId> = old.map(|(id, _)| *id).collect();
        self.0.retain(|_, (until, _)| *until > now);
        old
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Steps along the tree from one place to another.
pub(super) fn distance(a: &[u16], b: &[u16]) -> u8 {
    let common = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    u8::try_from(a.len() + b.len() - 2 * common).unwrap_or(u8::MAX)
}
