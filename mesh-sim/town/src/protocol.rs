//! The subjects by name.

use std::fmt;

use clap::ValueEnum;

use crate::device::Device;
use crate::models::Models;
use crate::models::aodv::Aodv;
use crate::models::flood::{Flood, TTL_FAR, TTL_OF_BITCHAT};
use crate::models::tree::Tree;
use crate::models::vector::Vector;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::run::run;

/// What can be run in a town.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// The real thing.
    Mesh,
    /// Everybody repeats everything, over 7 hops, as bitchat does.
    Flood,
    /// The same over 32 hops.
    FloodFar,
    /// Asks for a way when one is needed, which relays then hold.
    Aodv,
    /// Everybody announces itself to everybody, as in Reticulum.
    Vector,
    /// Coordinates in a spanning tree, as in Yggdrasil.
    Tree,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

impl Protocol {
    /// Runs a plan.
    #[must_use]
    pub fn run(self, plan: &Plan) -> Outcome {
        match self {
            Self::Mesh => run(plan, Device::default()),
            Self::Flood => run(plan, Models::new(|| Flood::new(TTL_OF_BITCHAT))),
            Self::FloodFar => run(plan, Models::new(|| Flood::new(TTL_FAR))),
            Self::Aodv => run(plan, Models::new(Aodv::default)),
            Self::Vector => run(plan, Models::new(Vector::default)),
            Self::Tree => run(plan, Models::new(Tree::default)),
        }
    }
}
