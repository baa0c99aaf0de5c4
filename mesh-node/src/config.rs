//! How a node is set up.

use std::net::SocketAddr;
use std::path::PathBuf;

use mesh_wire::Address;

use crate::node::{Internet, Relaying};

/// What [`crate::start`] needs to know. Everything but the home has a default that suits a laptop.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the node keeps its state.
    pub home: PathBuf,
    /// Where it takes TCP connections.
    pub listen: SocketAddr,
    /// Whether it announces itself and listens to others who do.
    pub beacons: Beacons,
    /// What it carries for others between whom it stands.
    pub relaying: Relaying,
    /// Interfaces on which it announces itself; all of them if empty.
    pub interfaces: Vec<String>,
    /// Its way to the Internet: with one, channels that are on the web are had there, too.
    pub internet: Internet,
    /// Neighbours to keep a link to, beside those it finds.
    pub peers: Vec<Address>,
}

/// Whether a node is found, and finds others, by beacons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beacons {
    /// It is and does.
    On,
    /// It says nothing to everyone and listens to nobody: only its peers know of it.
    Off,
}

impl Config {
    /// A node that keeps its state in `home`, listens on a free port, and announces itself on
    /// every interface.
    pub fn at(home: impl Into<PathBuf>) -> Self {
        Self {
            home: home.into(),
            listen: SocketAddr::from(([0_u16; 8], 0)),
            beacons: Beacons::On,
            relaying: Relaying::All,
            internet: Internet::Shared,
            interfaces: Vec::new(),
            peers: Vec::new(),
        }
    }
}
