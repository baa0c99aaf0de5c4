//! The simulator's own tests.

mod disk;
mod hostile;
mod laws;
mod net;
mod toy;
