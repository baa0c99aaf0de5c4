//! The transport: beacons on every interface that is up, and on those that come.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll};

use mesh_transport::interfaces::{Interface, Interfaces};
use mesh_transport::{DialId, State, Transport, TransportEvent};
use mesh_wire::{Address, limits};

use crate::ear::{Ear, Family};
use crate::group::PORT;

/// Interfaces that are listened on; a machine full of virtual ones has no neighbours on most.
const INTERFACES: usize = 32;

/// Beacons over UDP. It has no links.
pub struct Udp {
    /// The interfaces it may use; all if empty.
    only: Vec<String>,
    interfaces: Interfaces,
    ears: Vec<Ear>,
    /// Why an interface is not listened on, if so.
    trouble: Option<io::Error>,
    /// Dials that have not been answered yet.
    refused: VecDeque<DialId>,
    has_changed: bool,
}

impl Udp {
    /// Beacons on the interfaces called `only`, or on all if that is empty. Never fails: whatever
    /// is wrong now, [`Transport::state`] tells, and it may come right.
    #[must_use]
    pub fn new(only: &[String]) -> Self {
        let mut udp = Self {
            only: only.to_vec(),
            interfaces: Interfaces::new(),
            ears: Vec::new(),
            trouble: None,
            refused: VecDeque::new(),
            has_changed: true,
        };
        udp.open();
        udp
    }

    /// Makes the ears those of the interfaces that are up. Interfaces that stay keep theirs.
    // spec: FIND-5
    fn open(&mut self) {
        let mut kept = std::mem::take(&mut self.ears);
        self.trouble = None;
        let allowed =
            |interface: &&Interface| self.only.is_empty() || self.only.contains(&interface.name);
        for interface in self.interfaces.up().iter().filter(allowed).take(INTERFACES) {
            for family in [Family::V4, Family::V6] {
                let Some(part) = family.part_of(interface) else { continue };
                if let Some(at) = kept.iter().position(|ear| ear.is_for(&part)) {
                    self.ears.push(kept.swap_remove(at));
                    continue;
                }
                match Ear::open(part, family) {
                    Ok(ear) => {
                        self.ears.push(ear);
                        self.has_changed = true;
                    }
                    Err(error) => self.trouble = Some(error),
                }
            }
        }
        self.has_changed |= !kept.is_empty();
    }

    fn trouble(&self) -> Option<&io::Error> {
        self.trouble.as_ref().or_else(|| self.ears.iter().find_map(Ear::trouble))
    }
}

impl Transport for Udp {
    fn name(&self) -> &'static str {
        "udp"
    }

    fn state(&self) -> State {
        let working = self.ears.iter().filter(|ear| ear.trouble().is_none());
        let mut working: Vec<_> = working.map(Ear::describe).collect();
        if !working.is_empty() {
            working.sort();
            return State::Up { detail: format!("beacons on {}", working.join(", ")) };
        }
        match self.trouble() {
            Some(error) => State::Down {
                detail: format!("no beacons: {error}"),
                remedy: format!("let this program use UDP port {PORT} (firewall, sandbox)"),
            },
            None if self.only.is_empty() => State::Down {
                detail: "no network interface is up".into(),
                remedy: "connect to a network: Wi-Fi, a cable, or a hotspot of your own".into(),
            },
            None => State::Down {
                detail: format!("{} is not up", self.only.join(", ")),
                remedy: "bring the interface up, or allow others".into(),
            },
        }
    }

    fn listening(&self) -> Vec<Address> {
        Vec::new()
    }

    fn dial(&mut self, dial: DialId, _: &Address) {
        self.refused.push_back(dial);
    }

    fn announce(&mut self, beacon: &[u8]) {
        debug_assert!(beacon.len() <= limits::BEACON_BYTES, "nobody would hear it");
        let before = self.state();
        if self.trouble.is_some() {
            // Whatever kept us from an interface may be over.
            self.open();
        }
        self.ears.iter_mut().for_each(|ear| ear.send(beacon));
        self.has_changed |= self.state() != before;
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<TransportEvent> {
        if self.interfaces.poll_change(cx).is_ready() {
            self.open();
            // An IPv6 address is news twice: when it comes, and when it may be sent from.
            let too_soon = |error: &io::Error| error.kind() == io::ErrorKind::AddrNotAvailable;
            self.has_changed |= self.ears.iter().filter_map(Ear::trouble).any(too_soon);
            // There may be more news, and the next call asks for them.
            cx.waker().wake_by_ref();
        }
        if std::mem::take(&mut self.has_changed) {
            return Poll::Ready(TransportEvent::Changed);
        }
        if let Some(dial) = self.refused.pop_front() {
            let error = io::Error::new(io::ErrorKind::Unsupported, "UDP carries beacons, no links");
            return Poll::Ready(TransportEvent::DialFailed { dial, error });
        }
        for index in 0..self.ears.len() {
            if let Poll::Ready((from, bytes)) = self.ears[index].poll_hear(cx) {
                // The others come first next time.
                self.ears.rotate_left(index + 1);
                let from = Address::socket(self.name(), from);
                return Poll::Ready(TransportEvent::Heard { from, bytes });
            }
        }
        Poll::Pending
    }
}
