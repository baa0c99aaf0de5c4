//! Where the demo plays: one temporary directory and the processes of its nodes, all of which are
//! gone afterwards, however it ends.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mesh_node::api::{ChannelStatus, Status};
use mesh_node::control::{Answer, Answers, Request, ask};
use mesh_node::{Error, ErrorKind};
use serde::Deserialize;

use crate::say::failed;

/// The loopback interface.
const LOOPBACK: &str = if cfg!(target_os = "linux") { "lo" } else { "lo0" };

/// How long a node may take to start.
const START: Duration = Duration::from_secs(10);

/// How long a node that waits for content may see nothing of it.
const STANDSTILL: Duration = Duration::from_secs(30);

/// Between two looks at a node.
const LOOK: Duration = Duration::from_millis(10);

/// A temporary directory and the nodes in it.
pub(super) struct Stage {
    dir: PathBuf,
    /// By name; nothing any more once the stage is cleared.
    nodes: Mutex<Option<Vec<(&'static str, Child)>>>,
}

impl Stage {
    pub(super) fn new() -> Result<Self, Error> {
        let dir = tempfile::Builder::new().prefix("mesh-demo-").tempdir().map_err(|error| {
            failed(format_args!("cannot make a directory in {}: {error}", temp().display()))
        })?;
        Ok(Self { dir: dir.keep(), nodes: Mutex::new(Some(Vec::new())) })
    }

    /// A path on the stage.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Bytes that may still be written here.
    pub(super) fn free(&self) -> Result<u64, Error> {
        let disk = rustix::fs::statvfs(&self.dir).map_err(failed)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Starts a node that finds others by itself, and keeps a link to `peers` besides.
    pub(super) fn start(&self, name: &'static str, peers: &[&Actor]) -> Result<Actor, Error> {
        self.start_with(name, &["--interface", LOOPBACK], peers)
    }

    /// Starts a node that nobody finds but `peer`, to which it keeps a link.
    pub(super) fn hide(&self, name: &'static str, peer: &Actor) -> Result<Actor, Error> {
        self.start_with(name, &["--no-beacons"], &[peer])
    }

    fn start_with(
        &self,
        name: &'static str,
        options: &[&str],
        peers: &[&Actor],
    ) -> Result<Actor, Error> {
        let home = self.path(name);
        let log = self.path(&format!("{name}.log"));
        let log_file = File::create(&log).map_err(failed)?;
        let program = std::env::current_exe().map_err(failed)?;
        let mut command = Command::new(program);
        command
            .args(["up", "--headless", "--json", "--with-parent"])
            .args(["--listen", "127.0.0.1:0"])
            .args(options)
            .arg("--home")
            .arg(&home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file);
        for peer in peers {
            command.args(["--peer", &peer.address]);
        }
        let lines = {
            let mut nodes = self.lock();
            let Some(nodes) = nodes.as_mut() else { return Err(failed("interrupted")) };
            let mut child = command.spawn().map_err(failed)?;
            let stdout = child.stdout.take().map(first_line);
            nodes.push((name, child));
            stdout.ok_or_else(|| failed("a child has no output"))?
        };
        let explain = |why: &str| {
            let log = fs::read_to_string(&log).unwrap_or_default();
            failed(format_args!("{name} did not start: {why}\n{}", log.trim_end()))
        };
        let line = lines.recv_timeout(START).map_err(|_| explain("it does not say it is ready"))?;
        let ready: Ready = serde_json::from_str(&line).map_err(|_| explain(&line))?;
        let address = ready.addresses.into_iter().next().unwrap_or_default();
        Ok(Actor { name, home, node: ready.node, address })
    }

    /// Kills a node. What it had is gone as well.
    pub(super) fn kill(&self, actor: &Actor) -> Result<(), Error> {
        self.end(actor.name)?;
        fs::remove_dir_all(&actor.home).map_err(failed)
    }

    /// Ends a node's process; its home stays.
    pub(super) fn end(&self, name: &'static str) -> Result<(), Error> {
        if let Some(nodes) = self.lock().as_mut() {
            for (_, child) in nodes.iter_mut().filter(|(called, _)| *called == name) {
                child.kill().and_then(|()| child.wait()).map_err(failed)?;
            }
            nodes.retain(|(called, _)| *called != name);
        }
        Ok(())
    }

    /// What the nodes logged, which is nothing while all is well.
    pub(super) fn logs(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let logs = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension() == Some(OsStr::new("log")));
        logs.filter_map(|path| {
            let log = fs::read_to_string(&path).ok().filter(|log| !log.is_empty())?;
            Some(format!("{}:\n{}", path.file_stem()?.display(), log.trim_end()))
        })
        .collect()
    }

    /// Ends every node and removes every file. No node starts here afterwards.
    pub(super) fn clear(&self) {
        let nodes = self.lock().take();
        for (_, mut child) in nodes.into_iter().flatten() {
            // It may have ended by itself.
            let _ = child.kill().and_then(|()| child.wait());
        }
        // It may have been cleared before.
        let _ = fs::remove_dir_all(&self.dir);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<(&'static str, Child)>>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Where temporary files are made.
pub(super) fn temp() -> PathBuf {
    std::env::temp_dir()
}

/// Sends the first line; the rest is read and forgotten, so that the child never waits.
fn first_line(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = sync_channel(1);
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Only the first is waited for.
            let _ = sender.try_send(line);
        }
    });
    receiver
}

/// What the demo reads of a node's first line.
#[derive(Deserialize)]
struct Ready {
    node: String,
    addresses: Vec<String>,
}

/// A running node.
pub(super) struct Actor {
    pub(super) name: &'static str,
    pub(super) home: PathBuf,
    /// What its neighbours call it.
    pub(super) node: String,
    pub(super) address: String,
}

impl Actor {
    /// Asks it something.
    pub(super) fn ask(&self, request: &Request) -> Result<Answers, Error> {
        let mut answers = ask(&self.home, request)?;
        answers.until(Instant::now() + START);
        Ok(answers)
    }

    /// How it is.
    pub(super) fn status(&self) -> Result<Status, Error> {
        let mut answers = self.ask(&Request::Status)?;
        while let Some(answer) = answers.next()? {
            if let Answer::Status(status) = answer {
                return Ok(*status);
            }
        }
        Err(failed(format_args!("{} tells nothing of itself", self.name)))
    }

    /// Has it do something that says nothing of interest.
    pub(super) fn does(&self, request: &Request) -> Result<(), Error> {
        let mut answers = self.ask(request)?;
        while answers.next()?.is_some() {}
        Ok(())
    }

    /// What it has of a channel.
    pub(super) fn has(&self, channel: &ChannelStatus) -> Result<ChannelStatus, Error> {
        let channels = self.status()?.channels;
        let found = channels.into_iter().find(|one| one.channel == channel.channel);
        found.ok_or_else(|| failed(format_args!("{} has lost its channel", self.name)))
    }

    /// Makes or follows a channel.
    pub(super) fn channel(&self, request: &Request) -> Result<ChannelStatus, Error> {
        let mut answers = self.ask(request)?;
        while let Some(answer) = answers.next()? {
            if let Answer::Channel(channel) = answer {
                return Ok(channel);
            }
        }
        Err(failed(format_args!("{} has no such channel", self.name)))
    }

    /// Waits until it has all that `channel` has elsewhere. [`ErrorKind::Pending`] if nothing
    /// came for too long.
    pub(super) fn wait_for(
        &self,
        channel: &ChannelStatus,
        mut progress: impl FnMut(u64),
    ) -> Result<Status, Error> {
        let mut last = (0, Instant::now());
        loop {
            let status = self.status()?;
            let here = status.channels.iter().find(|here| here.channel == channel.channel);
            if here.is_some_and(|here| amount(here) == amount(channel)) {
                return Ok(status);
            }
            // Content from neighbours: that they keep in touch is no progress.
            if status.bytes.saved != last.0 {
                last = (status.bytes.saved, Instant::now());
                progress(last.0);
            } else if last.1.elapsed() > STANDSTILL {
                let why = format!(
                    "{} has received nothing for {} s and still lacks something: {}",
                    self.name,
                    STANDSTILL.as_secs(),
                    here.map_or_else(|| "all".into(), crate::channel::row),
                );
                return Err(Error::new(ErrorKind::Pending, why));
            }
            thread::sleep(LOOK);
        }
    }

    /// Whether it gets links to all of `others` within `time`.
    pub(super) fn finds(&self, others: &[&Self], time: Duration) -> Result<bool, Error> {
        let deadline = Instant::now() + time;
        loop {
            let links = self.status()?.links;
            if others.iter().all(|other| links.iter().any(|link| link.peer == other.node)) {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            thread::sleep(LOOK);
        }
    }
}

/// What two copies of a channel have in common when they are whole.
fn amount(channel: &ChannelStatus) -> (u64, u64, u64, u64) {
    (channel.items, channel.blobs_have, channel.blobs_known, channel.bytes)
}
