//! The parts of a round against their definitions, written down once more in the plainest way.

mod shape;
mod sketch;
