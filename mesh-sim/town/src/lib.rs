//! Towns of people with devices, from a seed: where they are and walk, who is in range of whom,
//! what they say, and how much of it arrives at what price. For development only.
//!
//! | to | read |
//! |---|---|
//! | say what a town is like | [`scenario`], and the files in `scenarios/` |
//! | run a protocol in a town | [`subject`], and [`device`] for the real one |
//! | compare with other protocols | [`models`] |
//! | know how a figure comes about | [`measure`], [`outcome`] |
//! | run many, and compare with what is wanted | [`batch`], [`report`], [`page`] |
//! | see how much the Internet is spared in a carriage | [`carriage`] |
//! | see how it is done | `place` and `contacts` (who is linked), `load` (who speaks), `run` |
//!
//! ```
//! use mesh_town::{Plan, Protocol, Scenario};
//! let text = "row = 'X'\ntitle = 'A chain'\npeople = 3\nwarm_up = 5\nseconds = 10\n\
//!     place = { kind = 'line' }\nload = { kind = 'probes', per_second = 1, bytes = 200 }";
//! let plan = Plan::new(&Scenario::parse("chain", text).unwrap(), 7);
//! let outcome = Protocol::Mesh.run(&plan);
//! assert_eq!(outcome.messages, 5);
//! ```

pub mod batch;
pub mod carriage;
mod chance;
mod contacts;
pub mod device;
mod graph;
mod load;
mod log;
pub mod measure;
pub mod models;
pub mod outcome;
pub mod page;
mod place;
mod plan;
mod protocol;
pub mod report;
mod run;
pub mod scenario;
pub mod subject;
mod subway;

pub use measure::Measure;
pub use outcome::Outcome;
pub use plan::Plan;
pub use protocol::Protocol;
pub use report::Report;
pub use run::run;
pub use scenario::Scenario;
pub use subject::{Class, Corruption, Kind, Ledger, Message, Sent, Subject, Told};
