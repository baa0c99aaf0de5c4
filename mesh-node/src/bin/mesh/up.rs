//! `mesh up`: runs a node until it is told to stop, and shows what happens.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use async_io::Timer;
use futures_lite::future::or;
use mesh_node::api::{ChannelStatus, Identity, Status};
use mesh_node::{Beacons, Config, Error, Mesh, Relaying};
use sd_notify::NotifyState;

use crate::Context;
use crate::args::Up;
use crate::interrupt::on_signal;
use crate::say::{Format, failed};
use crate::screen::{Live, lines};

mod event;

use event::Event;

/// Between two looks at the node, however much happens.
const PAUSE: Duration = Duration::from_millis(200);

/// How old what is on a screen may get: it counts bytes and seconds.
const REDRAW: Duration = Duration::from_secs(1);

/// `mesh up`.
pub(crate) fn up(context: &Context, options: Up) -> Result<(), Error> {
    #[cfg(target_os = "linux")]
    if options.with_parent {
        let signal = rustix::process::Signal::TERM;
        rustix::process::set_parent_process_death_signal(Some(signal)).map_err(failed)?;
    }
    let defaults = Config::at(context.home()?);
    let config = Config {
        listen: options.listen.unwrap_or(defaults.listen),
        beacons: if options.no_beacons { Beacons::Off } else { Beacons::On },
        relaying: if options.no_relay { Relaying::Nothing } else { Relaying::All },
        internet: options.internet.into(),
        interfaces: options.interfaces,
        peers: options.peers,
        ..defaults
    };
    let (mesh, run) = mesh_node::start(config)?;
    let (stop, stopped) = async_channel::bounded::<()>(1);
    on_signal(move || drop(stop))?;
    let node = thread::Builder::new()
        .name("node".into())
        .spawn(move || async_io::block_on(run))
        .map_err(failed)?;
    // A log and a screen do not share a terminal.
    let is_live = context.format.is_live() && !options.headless && context.verbose == 0;
    let mut view = if is_live { View::Live(Live::new()) } else { View::Lines(None) };
    let stopped = async {
        // Nothing is ever sent: the other end is dropped.
        let _ = stopped.recv().await;
        Ok(())
    };
    let shown = async_io::block_on(or(stopped, show(&mesh, &mut view, context.format)));
    notify(NotifyState::Stopping);
    mesh.stop();
    node.join().map_err(|_| failed("the node broke down; that is an error in mesh itself"))?;
    shown?;
    view.end(context.format)
}

/// Shows what happens until the node stops by itself.
async fn show(mesh: &Mesh, view: &mut View, format: Format) -> Result<(), Error> {
    let mut changed = mesh.changed();
    let mut status = mesh.status().await?;
    view.begin((mesh, &status), format)?;
    notify(NotifyState::Ready);
    loop {
        view.show(&status, format)?;
        match view {
            View::Live(_) => or(changed, after(REDRAW)).await,
            // Nobody watches, so nothing wakes the device while nothing happens.
            View::Lines(_) => changed.await,
        }
        Timer::after(PAUSE).await;
        changed = mesh.changed();
        status = mesh.status().await?;
    }
}

async fn after(time: Duration) {
    Timer::after(time).await;
}

/// Tells systemd, if it asked to be told.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}

/// Where it is shown.
enum View {
    /// On a terminal, in place.
    Live(Live),
    /// Line by line, each the difference to the last state.
    Lines(Option<Status>),
}

impl View {
    /// Says that the node runs, before anything else.
    fn begin(&self, (mesh, status): (&Mesh, &Status), format: Format) -> Result<(), Error> {
        let Identity { id, name, words } = mesh.identity();
        let home = mesh.home().display();
        match self {
            Self::Live(_) => {
                format.words(format_args!("This is {name}: {words}"))?;
                format.words(format_args!("State in {home}. Ctrl-C stops the node.\n"))
            }
            Self::Lines(_) => {
                let transports = status.transports.iter();
                let addresses = transports.flat_map(|one| one.addresses.clone()).collect();
                let node = status.node.clone();
                Event::Ready { id, name, words, node, home: home.to_string(), addresses }
                    .tell(format)
            }
        }
    }

    fn show(&mut self, status: &Status, format: Format) -> Result<(), Error> {
        match self {
            Self::Live(live) => live.draw(&lines(status)),
            Self::Lines(last) => {
                differences(last.as_ref(), status).try_for_each(|event| event.tell(format))?;
                *last = Some(status.clone());
                Ok(())
            }
        }
    }

    fn end(&self, format: Format) -> Result<(), Error> {
        match self {
            Self::Live(_) => format.words("\nStopped."),
            Self::Lines(_) => Event::Stopped.tell(format),
        }
    }
}

/// What happened between two states.
fn differences(old: Option<&Status>, new: &Status) -> impl Iterator<Item = Event> {
    let (transports, links, channels) = match old {
        Some(old) => (&*old.transports, &*old.links, &*old.channels),
        None => Default::default(),
    };
    let mut events = Vec::new();
    for transport in &new.transports {
        if !transports.contains(transport) {
            events.push(Event::Transport(transport.clone()));
        }
    }
    let were: BTreeMap<_, _> = links.iter().map(|link| (key(link), link)).collect();
    let mut are: BTreeMap<_, _> = new.links.iter().map(|link| (key(link), link)).collect();
    for (key, link) in were {
        if are.remove(&key).is_none() {
            events.push(Event::Gone { peer: link.peer.clone(), address: link.address.clone() });
        }
    }
    for link in are.into_values() {
        events.push(Event::Near {
            peer: link.peer.clone(),
            address: link.address.clone(),
            since_ms: link.since_ms,
        });
    }
    for channel in &new.channels {
        if !channels.iter().any(|old| progress(old) == progress(channel)) {
            events.push(Event::Channel(channel.clone()));
        }
    }
    events.into_iter()
}

/// What tells a link from an earlier one with the same neighbour.
fn key(link: &mesh_node::api::LinkStatus) -> (&str, &str, u64) {
    (&link.peer, &link.address, link.since_ms)
}

/// What of a channel is worth a line when it changes: whole items and files, not every byte.
fn progress(channel: &ChannelStatus) -> (&str, &str, u64, u64, u64) {
    let ChannelStatus { channel, name, items, blobs_have, blobs_known, .. } = channel;
    (channel, name, *items, *blobs_have, *blobs_known)
}
