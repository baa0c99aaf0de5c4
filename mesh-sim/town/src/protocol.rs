//! The subjects by name.

use crate::device::Device;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::run::run;

/// What can be run in a town.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocol {
    /// The real thing.
    Mesh,
}

impl Protocol {
    /// Runs a plan.
    #[must_use]
    pub fn run(self, plan: &Plan) -> Outcome {
        match self {
            Self::Mesh => run(plan, Device::default()),
        }
    }
}
