//! What `mesh up` says when nobody watches a screen.

use mesh_node::Error;
use mesh_node::api::{ChannelStatus, TransportStatus};
use serde::Serialize;

use crate::say::Format;
use crate::{channel, words};

/// One line of `mesh up`.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Event {
    /// The first line: commands and neighbours can reach the node from now on.
    Ready {
        id: String,
        name: String,
        words: String,
        node: String,
        home: String,
        addresses: Vec<String>,
    },
    /// A medium came up, went down or moved.
    Transport(TransportStatus),
    /// A neighbour came.
    Near { peer: String, address: String, since_ms: u64 },
    /// A neighbour went.
    Gone { peer: String, address: String },
    /// A channel has more, or is new.
    Channel(ChannelStatus),
    /// The last line.
    Stopped,
}

impl Event {
    pub(super) fn tell(&self, format: Format) -> Result<(), Error> {
        format.value(self, Self::line)
    }

    fn line(&self) -> String {
        match self {
            Self::Ready { name, home, addresses, .. } => {
                let at = if addresses.is_empty() {
                    "reachable nowhere".into()
                } else {
                    addresses.join(" ")
                };
                format!("ready {name} {at} home {home}")
            }
            Self::Transport(TransportStatus { kind, state, detail, remedy, .. }) => {
                let remedy = if remedy.is_empty() { String::new() } else { format!(": {remedy}") };
                format!("transport {kind} {state}: {}{remedy}", words::line(detail))
            }
            Self::Near { peer, address, .. } => format!("near {} {address}", words::short(peer)),
            Self::Gone { peer, address } => format!("gone {} {address}", words::short(peer)),
            Self::Channel(status) => format!("channel {}", channel::row(status)),
            Self::Stopped => "stopped".into(),
        }
    }
}
