//! What an app calls. Owned types, no lifetimes, no callbacks: a binding for another language
//! needs no other interface.
//!
//! Every call is a question to the one loop of the node ([`crate::driver`]); what it answers is
//! true at that moment. [`Mesh::changed`] says when asking again may pay.

use std::future::Future;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use async_channel::{Receiver, Sender, WeakSender};
use event_listener::Event;
use mesh_sync::{ChannelName, Sync, Visibility};
use mesh_transport::Transport;
use mesh_transport_tcp::Tcp;
use mesh_transport_udp::Udp;
use mesh_wire::{ChannelId, Label, Now};

use crate::config::{Beacons, Config};
use crate::control;
use crate::driver::{Command, Driver, Media};
use crate::error::{Error, ErrorKind};
use crate::export::ExportError;
use crate::home::{Home, HomeError, HomeFault};
use crate::identity::Identity;
use crate::node::{Node, NodeConfig};
use crate::store::DiskStore;
use crate::{ChannelLink, api, cipher, entropy};

mod authority;
mod doctor;
mod feed;
mod files;
mod origin;
mod policy;
mod report;

pub use feed::{App, Feed};
pub use files::{Export, ExportTo, Exported};

/// A running node. Clones are the same node; it stops when the last one is gone, or at
/// [`Mesh::stop`].
#[derive(Clone)]
pub struct Mesh {
    commands: Sender<Command<DiskStore>>,
    shared: Arc<Shared>,
}

/// A handle that does not keep the node running.
#[derive(Clone)]
pub struct WeakMesh {
    commands: WeakSender<Command<DiskStore>>,
    shared: Arc<Shared>,
}

struct Shared {
    changed: Arc<Event>,
    home: Weak<Home>,
    dir: PathBuf,
    identity: api::Identity,
}

/// Opens the home in `config` and makes a node of it. Nothing happens until the future runs: spawn
/// it on any executor. It ends when the node has stopped and said goodbye.
pub fn start(config: Config) -> Result<(Mesh, impl Future<Output = ()> + Send), Error> {
    let home = Arc::new(Home::open(&config.home)?);
    let fresh = entropy::bytes().map_err(Error::failed)?;
    let identity = Identity::from_seed(&*home.identity(&fresh)?).public();
    let store = DiskStore::open(&home).map_err(Error::failed)?;
    let tcp = Tcp::new(config.listen).map_err(|error| {
        Error::new(ErrorKind::Failed, format!("cannot listen at {}: {error}", config.listen))
    })?;
    let mut transports: Vec<Box<dyn Transport>> = vec![Box::new(tcp)];
    match config.beacons {
        Beacons::On => transports.push(Box::new(Udp::new(&config.interfaces))),
        Beacons::Off => {}
    }
    let node_config = NodeConfig { cipher: cipher::make, ..NodeConfig::default() };
    let rng = entropy::rng().map_err(Error::failed)?;
    let mut node = Node::new(node_config, store, rng).map_err(Error::failed)?;
    node.set_relaying(config.relaying);
    node.assume_budget(fair_share(&home, node.sync().budget().used)?);

    let (commands, inbox) = async_channel::bounded(COMMANDS);
    let changed = Arc::new(Event::new());
    let shared = Shared {
        changed: changed.clone(),
        home: Arc::downgrade(&home),
        dir: home.dir().to_path_buf(),
        identity,
    };
    let mesh = Mesh { commands, shared: Arc::new(shared) };
    let mut driver = Driver::new(node, transports, inbox, changed);
    driver.begin(config.peers, config.internet);
    let server = control::Server::bind(&home.control())?.serve(mesh.downgrade());
    let run = async move {
        // The lock on the home is held until the node is gone.
        let _home = home;
        futures_lite::future::or(driver, server).await;
    };
    Ok((mesh, run))
}

/// Bytes that large files may take as long as nobody has said anything: half of what is free, or
/// theirs by now. Nothing is given up by that.
fn fair_share(home: &Home, used: u64) -> Result<u64, Error> {
    let disk = rustix::fs::statvfs(home.dir()).map_err(Error::failed)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    Ok(used.max(used.saturating_add(free) / 2))
}

/// Calls that may wait for the loop.
const COMMANDS: usize = 64;

impl WeakMesh {
    /// The node, if it still runs.
    #[must_use]
    pub fn upgrade(&self) -> Option<Mesh> {
        let commands = self.commands.upgrade()?;
        Some(Mesh { commands, shared: self.shared.clone() })
    }
}

impl Mesh {
    /// A handle that does not keep the node running.
    #[must_use]
    pub fn downgrade(&self) -> WeakMesh {
        WeakMesh { commands: self.commands.downgrade(), shared: self.shared.clone() }
    }

    /// Where the node keeps its state.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.shared.dir
    }

    /// Who this node's user is.
    #[must_use]
    pub fn identity(&self) -> api::Identity {
        self.shared.identity.clone()
    }

    /// Stops the node: it says goodbye, and its future ends.
    pub fn stop(&self) {
        self.commands.close();
    }

    /// A hint: something that can be asked about may be different from when this was called.
    pub fn changed(&self) -> impl Future<Output = ()> + Send + use<> {
        self.shared.changed.listen()
    }

    /// A new channel that this node signs and everybody may read.
    pub async fn create_channel(&self, name: &str) -> Result<api::ChannelStatus, Error> {
        let name = channel_name(name)?;
        let id = self.command(move |sync, now| sync.create_channel(now, &name)).await??;
        self.channel(id).await
    }

    /// A new channel that only those read who are let in to write. Others who know its link keep
    /// and carry it for them, and learn its name and theirs.
    pub async fn create_private_channel(&self, name: &str) -> Result<api::ChannelStatus, Error> {
        let name = channel_name(name)?;
        let id = self.command(move |sync, now| sync.create_private_channel(now, &name)).await??;
        self.channel(id).await
    }

    /// A new board: a channel in which everybody writes who knows its link, under any name.
    pub async fn create_board(&self, name: &str) -> Result<api::ChannelStatus, Error> {
        let name = channel_name(name)?;
        let id = self.command(move |sync, now| sync.create_board(now, &name)).await??;
        self.channel(id).await
    }

    /// Changes what this node goes by in what it writes on a board from now on.
    pub async fn sign_as(&self, board: ChannelId, name: &str) -> Result<api::ChannelStatus, Error> {
        let name = Label::new(name).map_err(|bad| {
            Error::new(ErrorKind::Usage, format!("nobody can go by {name:?}: {bad}"))
        })?;
        self.command(move |sync, now| sync.sign_as(now, &board, name)).await??;
        self.channel(board).await
    }

    /// Every channel, own and followed.
    pub async fn channels(&self) -> Result<Vec<api::ChannelStatus>, Error> {
        self.ask(|node, _, _| report::channels(node.sync())).await
    }

    /// One channel.
    pub async fn channel(&self, id: ChannelId) -> Result<api::ChannelStatus, Error> {
        let id = id.to_string();
        let all = self.channels().await?;
        all.into_iter().find(|channel| channel.channel == id).ok_or_else(not_followed)
    }

    /// The channel that a local name, an id or a link means.
    pub async fn resolve(&self, channel: &str) -> Result<ChannelId, Error> {
        let known = self.channels().await?;
        let known_id = |id: ChannelId| {
            known.iter().any(|channel| channel.channel == id.to_string()).then_some(id)
        };
        if channel.trim().to_ascii_lowercase().starts_with("mesh:") {
            let link: ChannelLink = channel
                .parse()
                .map_err(|bad| Error::new(ErrorKind::Usage, format!("{channel:?}: {bad}")))?;
            return known_id(link.channel).ok_or_else(not_followed);
        }
        if let Some(id) = ChannelId::from_hex(channel) {
            return known_id(id).ok_or_else(not_followed);
        }
        let mut named = known.iter().filter(|known| known.name == channel);
        match (named.next(), named.next()) {
            (Some(one), None) => ChannelId::from_hex(&one.channel).ok_or_else(not_followed),
            (Some(_), Some(_)) => {
                let why = format!("several channels are called {channel:?}: say which by its id");
                Err(Error::new(ErrorKind::Usage, why))
            }
            (None, _) => {
                let why = format!("no channel here is called {channel:?}: see `mesh channel list`");
                Err(Error::new(ErrorKind::NotFound, why))
            }
        }
    }

    /// Subscribes: from now on the channel syncs by itself.
    pub async fn follow(&self, link: ChannelLink) -> Result<api::ChannelStatus, Error> {
        let ChannelLink { channel, origin } = link;
        self.command(move |sync, now| feed::follow(sync, now, channel, origin)).await??;
        self.channel(channel).await
    }

    /// Subscribes to a channel that no neighbour is to find out about by asking, or hides one that
    /// is followed already: only who searches for it, or is found by a search, learns of it.
    pub async fn follow_hidden(&self, link: ChannelLink) -> Result<api::ChannelStatus, Error> {
        let ChannelLink { channel, origin } = link;
        self.command(move |sync, now| sync.follow_hidden(now, channel)).await??;
        self.command(move |sync, now| feed::follow(sync, now, channel, origin)).await??;
        self.channel(channel).await
    }

    /// Changes who may find out that a channel is here. Who has found out before, knows.
    pub async fn show(
        &self,
        channel: ChannelId,
        to: Visibility,
    ) -> Result<api::ChannelStatus, Error> {
        self.command(move |sync, now| sync.show(now, &channel, to)).await??;
        self.channel(channel).await
    }

    /// Ends a subscription and forgets what came by it.
    pub async fn unfollow(&self, channel: ChannelId) -> Result<(), Error> {
        Ok(self.command(move |sync, now| sync.unfollow(now, &channel)).await??)
    }

    /// The texts and files numbered from `shown` on, in the order in which people read what several
    /// write: none before what its writer had read, and for the rest by time. What stands before an
    /// item numbered below `shown`, which was told before, says that it came late. Only the newest
    /// 1024 items have that order; those before come first, by their numbers, at most 256 at one
    /// time. Ask again from the page's `next` on.
    pub async fn chat(&self, channel: ChannelId, shown: u64) -> Result<api::Page, Error> {
        self.ask(move |node, _, _| report::chat(node.sync(), &channel, shown)).await?
    }

    /// The texts and files among the items with these numbers, of which at most 256 are looked at.
    pub async fn items(&self, channel: ChannelId, range: Range<u64>) -> Result<api::Page, Error> {
        self.ask(move |node, _, _| report::items(node.sync(), &channel, range)).await?
    }

    /// What is there, who is near, what it costs.
    pub async fn status(&self) -> Result<api::Status, Error> {
        let name = self.shared.identity.name.clone();
        self.ask(move |node, media, now| report::status(name, node, media, now)).await
    }

    /// What was tried, with its result and what to do.
    pub async fn doctor(&self) -> Result<Vec<api::Finding>, Error> {
        self.ask(|node, media, now| doctor::all(node, media, now)).await
    }

    /// What was tried, with its result and what to do, for one channel (a local name, an id or a
    /// link), or for somebody near (the first digits of the pseudonym).
    pub async fn examine(&self, who: &str) -> Result<Vec<api::Finding>, Error> {
        let no_channel = match self.resolve(who).await {
            Ok(id) => {
                return self
                    .ask(move |node, media, now| doctor::channel(&id, node, media, now))
                    .await?;
            }
            Err(error) if error.kind == ErrorKind::NotFound => error,
            Err(error) => return Err(error),
        };
        let digits = who.trim().to_ascii_lowercase();
        let near = self.ask(move |node, media, now| doctor::somebody(&digits, node, media, now));
        near.await??.ok_or_else(|| match who.parse::<ChannelLink>() {
            Ok(_) => no_channel,
            Err(_) => {
                let hint = "; somebody near goes by the first digits in `mesh status`";
                Error::new(ErrorKind::NotFound, no_channel.message + hint)
            }
        })
    }

    /// Gives the content layer a command.
    async fn command<R: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Sync<DiskStore>, Now) -> R + Send + 'static,
    ) -> Result<R, Error> {
        self.ask(move |node, _, now| node.sync_mut(now, |sync| command(sync, now))).await
    }

    /// Gives the content layer a command and does not wait for it.
    fn send<R>(
        &self,
        command: impl FnOnce(&mut Sync<DiskStore>, Now) -> R + Send + 'static,
    ) -> Result<(), Error> {
        let command: Command<DiskStore> = Box::new(move |node, _, now| {
            node.sync_mut(now, |sync| command(sync, now));
        });
        self.commands.try_send(command).map_err(|_| Error::stopped())
    }

    /// Runs `question` in the loop.
    async fn ask<R: Send + 'static>(
        &self,
        question: impl FnOnce(&mut DiskNode, &Media<'_>, Now) -> R + Send + 'static,
    ) -> Result<R, Error> {
        self.post(question).await?.recv().await.map_err(|_| Error::stopped())
    }

    /// Has the loop run `question`; the answer comes by the channel.
    async fn post<R: Send + 'static>(
        &self,
        question: impl FnOnce(&mut DiskNode, &Media<'_>, Now) -> R + Send + 'static,
    ) -> Result<Receiver<R>, Error> {
        let (answer, answered) = async_channel::bounded(1);
        let command: Command<DiskStore> = Box::new(move |node, media, now| {
            // Whoever asked may be gone.
            let _ = answer.try_send(question(node, media, now));
        });
        self.commands.send(command).await.map_err(|_| Error::stopped())?;
        Ok(answered)
    }
}

fn channel_name(name: &str) -> Result<ChannelName, Error> {
    Label::new(name).map_err(|bad| {
        Error::new(ErrorKind::Usage, format!("{name:?} cannot be a channel's name: {bad}"))
    })
}

fn not_followed() -> Error {
    let why = "this node does not follow that channel: `mesh follow LINK` first";
    Error::new(ErrorKind::NotFound, why)
}

type DiskNode = Node<DiskStore>;

impl From<HomeError> for Error {
    fn from(error: HomeError) -> Self {
        let kind = match error.fault() {
            HomeFault::Access => ErrorKind::Permission,
            HomeFault::Version | HomeFault::Damaged | HomeFault::Disk => ErrorKind::Failed,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<ExportError> for Error {
    fn from(error: ExportError) -> Self {
        let kind = match &error {
            ExportError::Damaged { .. } | ExportError::Unopened(_) => ErrorKind::Verification,
            ExportError::Name(_)
            | ExportError::Exists(_)
            | ExportError::Read { .. }
            | ExportError::Write { .. } => ErrorKind::Failed,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<mesh_sync::Refused> for Error {
    fn from(refused: mesh_sync::Refused) -> Self {
        let is_missing = refused == mesh_sync::Refused::NoSuchItem;
        let kind = if is_missing { ErrorKind::NotFound } else { ErrorKind::Failed };
        Self::new(kind, refused.to_string())
    }
}
