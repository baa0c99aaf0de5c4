//! Routers among each other.

mod laws;
mod neighbours;
mod trails;
