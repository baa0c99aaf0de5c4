//! Sets of items without an order of their own, and how two peers find out in what theirs differ.
//!
//! A [`Set`] holds the keys of its items in a tree by time. A [`Reconciler`] exchanges
//! [`Reconcile`](mesh_wire::message::set::Reconcile)s about it with one peer and tells, as
//! [`Event`]s, which items the peer lacks and how many it will send. `spec/5-sync.md`, SYNC-26 and
//! on, has the rules.
//!
//! | to know | read |
//! |---|---|
//! | what an item is called, and what a part of a set is | `key` |
//! | the set itself, and what is proven about its parts | `tree`, `snapshot`, `digest` |
//! | what is said first, and what follows from it | `spine` |
//! | how a difference is decoded from sums | `sketch` |
//! | what is done when all that fails | `walk` |
//! | who says what when | `reconciler`, `round` |
//! | how it is cut into messages | `outgoing` |

mod digest;
mod key;
mod outgoing;
mod reconciler;
mod round;
mod sketch;
mod snapshot;
mod spine;
mod tree;
mod walk;

#[cfg(test)]
mod tests;

pub use key::{Key, Span};
pub use reconciler::{Ending, Event, Reconciler};
pub use snapshot::{Keys, Snapshot};
pub use tree::Set;
