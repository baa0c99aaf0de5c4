//! The subjects by name.

use std::fmt;

use clap::ValueEnum;

use crate::device::Device;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::run::run;

/// What can be run in a town.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// The real thing.
    Mesh,
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
        }
    }
}
