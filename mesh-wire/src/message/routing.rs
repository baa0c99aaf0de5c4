//! Who is around. `spec/3-finding.md`, `spec/4-routing.md`.

use crate::{Token, layout, messages};

messages! {
    /// Kinds 0x10 to 0x1f.
    pub enum RouteMessage {
        /// The sender's beacon token.
        Presence = 0x10,
    }
}

layout! {
    /// The neighbour's beacons carry this token from now on: the first message on every link, and
    /// again whenever its pseudonym changes.
    pub struct Presence {
        /// The token.
        token: Token,
    }
}
