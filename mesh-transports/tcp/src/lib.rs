//! Links over TCP: framed streams between IP addresses.
//!
//! | to know | read |
//! |---|---|
//! | how links are opened | [`Tcp`] |
//! | how bytes move | `link` |
//! | who else may dial | `listener` |

mod link;
mod listener;
mod tcp;

pub use tcp::Tcp;
