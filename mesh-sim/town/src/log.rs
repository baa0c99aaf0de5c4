//! What is written down while a town lives.

use std::collections::BTreeMap;

use mesh_wire::{Hash, Time};

use crate::subject::Ledger;

/// All that is written down.
pub(crate) struct Log {
    /// What came where: number and node.
    pub(crate) arrivals: BTreeMap<(u64, usize), Arrival>,
    /// What was sent until when.
    pub(crate) samples: Vec<Sample>,
    /// Nodes that the subject could not turn bad.
    pub(crate) honest: usize,
    /// The life of the world in one hash.
    pub(crate) trace: Hash,
}

/// A message that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// When first.
    pub(crate) at: Time,
    /// Over how many links.
    pub(crate) hops: Option<u32>,
    /// How often it came again.
    pub(crate) again: u32,
}

/// What was sent since the start.
pub(crate) struct Sample {
    pub(crate) at: Time,
    /// By kind, as the machines count it.
    pub(crate) sent: Ledger,
    /// On the air.
    pub(crate) bytes: u64,
    /// On the air, with what radios repeat by themselves.
    pub(crate) airtime: f64,
    /// On the air, by node.
    pub(crate) nodes: Vec<f64>,
    /// What routing held in memory in the node that held most, just then.
    pub(crate) memory: usize,
}

impl Default for Log {
    fn default() -> Self {
        let (arrivals, samples) = (BTreeMap::new(), Vec::new());
        Self { arrivals, samples, honest: 0, trace: Hash([0; 32]) }
    }
}
