//! `mesh demo`: five nodes on this machine play what happens between people near each other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_node::api::{ChannelStatus, Published, Status};
use mesh_node::control::{Answer, Destination, Request, Wanted, WriterChange};
use mesh_node::{Error, ErrorKind};

use crate::interrupt::{INTERRUPTED, on_signal};
use crate::publish::left_out;
use crate::say::{Format, aside, failed};
use crate::words;

mod check;
mod sample;
mod stage;
mod teller;

use stage::{Actor, Stage};
use teller::{Share, Teller};

/// How long nodes may take to find each other by themselves before they are helped.
const FIND: Duration = Duration::from_secs(2);

/// `mesh demo`.
pub(crate) fn demo(format: Format, path: Option<PathBuf>) -> Result<(), Error> {
    let source = path.map(named).transpose()?;
    let stage = Arc::new(Stage::new()?);
    let theirs = stage.clone();
    on_signal(move || {
        theirs.clear();
        std::process::exit(INTERRUPTED);
    })?;
    let result = play(&stage, format, source);
    if result.is_err() {
        stage.logs().iter().for_each(aside);
    }
    // The one who waits for signals holds the stage for ever: it is not dropped.
    stage.clear();
    result
}

fn named(path: PathBuf) -> Result<PathBuf, Error> {
    let found = std::path::absolute(&path).and_then(|path| path.metadata().map(|_| path));
    found.map_err(|error| {
        let why = format!("{}: {error}: name a file or directory", path.display());
        Error::new(ErrorKind::Usage, why)
    })
}

fn play(stage: &Stage, format: Format, source: Option<PathBuf>) -> Result<(), Error> {
    let source = match source {
        Some(source) => source,
        None => {
            let dir = stage.path("sample");
            sample::write(&dir)?;
            format.words("Published is a small sample; `mesh demo PATH` takes files of yours.")?;
            dir
        }
    };
    Story { stage, teller: Teller::new(format), source }.play()
}

/// The demo while it plays.
struct Story<'a> {
    stage: &'a Stage,
    teller: Teller,
    source: PathBuf,
}

/// What the publisher has, and whether nodes must be told of each other.
struct Edition {
    /// Between the publisher and all others; it follows nothing.
    relay: Actor,
    publisher: Actor,
    channel: ChannelStatus,
    published: Published,
    bytes: u64,
}

impl Story<'_> {
    fn play(mut self) -> Result<(), Error> {
        let mut edition = self.publish()?;
        let (readers, found) = self.read(&edition)?;
        self.replace_key(&mut edition, &readers)?;
        let sent = edition.publisher.status()?.bytes.sent;
        self.stage.kill(&edition.publisher)?;
        self.teller.step("the publisher is cut off: its process is killed, its disk wiped", 0)?;
        let latecomer = self.come_late(&edition, &readers, found)?;
        let files = self.compare(&edition, &latecomer)?;
        self.teller.end((files, edition.bytes), sent)
    }

    fn publish(&mut self) -> Result<Edition, Error> {
        let relay = self.stage.start("relay", &[])?;
        let publisher = self.stage.hide("publisher", &relay)?;
        self.teller
            .step("a publisher starts, and a relay: nobody else can reach the publisher", 0)?;
        let channel = publisher.channel(&Request::NewChannel {
            name: "demo".into(),
            private: false,
            open: false,
            hidden: false,
        })?;
        let paths = vec![self.source.clone()];
        let request =
            Request::Publish { channel: channel.channel.clone(), paths, expires_ms: None };
        let mut answers = publisher.ask(&request)?;
        let mut published = Published::default();
        loop {
            // Reading a large directory takes long and is heard of all the time.
            answers.until(Instant::now() + Duration::from_secs(60));
            match answers.next()? {
                Some(Answer::Read(bytes)) => self.teller.progress("reading and hashing", bytes),
                Some(Answer::Published(all)) => published = all,
                Some(_) => {}
                None => break,
            }
        }
        for line in left_out(&published.skipped) {
            self.teller.aside(&format!("{:24}{line}", ""));
        }
        if published.items.is_empty() {
            let why = format!("there is nothing to publish in {}", self.source.display());
            return Err(Error::new(ErrorKind::Usage, why));
        }
        let bytes = published.items.iter().map(|item| item.size).sum();
        let files = words::count(published.items.len() as u64, "file");
        self.teller.step(&format!("it makes a channel and signs {files}"), bytes)?;
        self.teller.note(&channel.link)?;
        let (free, need) = (self.stage.free()?, bytes.saturating_mul(3));
        if free < need {
            let why = format!(
                "{} has {} free and the demo needs {}: choose another directory with TMPDIR",
                stage::temp().display(),
                words::bytes(free),
                words::bytes(need),
            );
            return Err(failed(why));
        }
        let channel = publisher.has(&channel)?;
        Ok(Edition { relay, publisher, channel, published, bytes })
    }

    /// Two readers follow the link and get everything.
    fn read(&mut self, edition: &Edition) -> Result<([Actor; 2], Found), Error> {
        let (relay, publisher) = (&edition.relay, &edition.publisher);
        let mut one = self.stage.start("reader-1", &[])?;
        let mut two = self.stage.start("reader-2", &[])?;
        let follow = Request::Follow { link: edition.channel.link.clone(), hidden: false };
        one.channel(&follow)?;
        two.channel(&follow)?;
        self.teller.step("two readers start and follow the link", 0)?;
        let mut found = Found::ByThemselves;
        if one.finds(&[relay], FIND)? && two.finds(&[relay, &one], FIND)? {
            self.teller.step("they have found the relay and each other by themselves", 0)?;
        } else {
            found = Found::ByAddress;
            self.stage.end(one.name)?;
            self.stage.end(two.name)?;
            one = self.stage.start(one.name, &[relay])?;
            two = self.stage.start(two.name, &[relay, &one])?;
            self.teller.step(
                "they have not found the relay by themselves: multicast seems forbidden here, \
                 so each is started again with --peer and an address",
                0,
            )?;
        }
        let readers = [one, two];
        let mut shares = Vec::new();
        for reader in &readers {
            let status = self.wait(reader, &edition.channel)?;
            let others: Vec<_> = readers.iter().chain([publisher]).collect();
            shares.push((reader.name, share(&status, &others)));
        }
        if !relay.status()?.channels.is_empty() {
            return Err(failed("the relay follows a channel, which nobody told it to"));
        }
        let what = "both have everything: the relay, which follows nothing, carried it sealed";
        self.teller.step(what, edition.bytes)?;
        for (name, shares) in shares {
            self.teller.shares(name, shares)?;
        }
        Ok((readers, found))
    }

    /// The publisher replaces its key and writes on; the readers follow from one to the other.
    fn replace_key(&mut self, edition: &mut Edition, readers: &[Actor; 2]) -> Result<(), Error> {
        let (publisher, channel) = (&edition.publisher, edition.channel.channel.clone());
        let change = Some(WriterChange::Rotate);
        publisher.does(&Request::Writers { channel: channel.clone(), change })?;
        let text = "A word under the new key.".to_owned();
        publisher.does(&Request::PublishText { channel, text, expires_ms: None })?;
        edition.channel = publisher.has(&edition.channel)?;
        for reader in readers {
            self.wait(reader, &edition.channel)?;
        }
        let what = "the publisher replaces its key and writes on: the readers follow all the same";
        self.teller.step(what, 0)
    }

    fn come_late(
        &mut self,
        edition: &Edition,
        readers: &[Actor; 2],
        found: Found,
    ) -> Result<Actor, Error> {
        let [one, two] = readers;
        let peers: &[&Actor] = match found {
            Found::ByThemselves => &[],
            Found::ByAddress => &[one, two],
        };
        let latecomer = self.stage.start("latecomer", peers)?;
        // With one of them it would have everything as well, only from one.
        latecomer.finds(&[one, two], FIND)?;
        latecomer
            .channel(&Request::Follow { link: edition.channel.link.clone(), hidden: false })?;
        self.teller.step("a latecomer starts, finds the readers and follows the same link", 0)?;
        let status = self.wait(&latecomer, &edition.channel)?;
        self.teller.step("it has everything from its neighbours", edition.bytes)?;
        self.teller.shares(latecomer.name, share(&status, &[one, two]))?;
        Ok(latecomer)
    }

    fn wait(&mut self, actor: &Actor, channel: &ChannelStatus) -> Result<Status, Error> {
        let teller = &mut self.teller;
        actor.wait_for(channel, |bytes| teller.progress(actor.name, bytes))
    }

    /// Exports everything from the latecomer and compares it with the source; how many files.
    fn compare(&mut self, edition: &Edition, latecomer: &Actor) -> Result<u64, Error> {
        let out = self.stage.path("exported");
        let request = Request::Get {
            channel: edition.channel.channel.clone(),
            items: Wanted::All,
            to: Destination::Directory(out),
            replace: false,
        };
        let items = edition.published.items.iter();
        let mut names: BTreeMap<_, _> = items.map(|item| (item.seq, &item.name)).collect();
        let mut answers = latecomer.ask(&request)?;
        let mut bytes = 0;
        loop {
            answers.until(Instant::now() + Duration::from_secs(60));
            match answers.next()? {
                Some(Answer::Got(got)) => {
                    let Some(name) = names.remove(&got.seq) else {
                        return Err(differs(&got.path, "nobody published it"));
                    };
                    let original = self.original(name);
                    match check::same(&original, &got.path).map_err(failed)? {
                        Some(same) => bytes += same,
                        None => {
                            let why = format!("it is not what {} holds", original.display());
                            return Err(differs(&got.path, &why));
                        }
                    }
                    self.teller.progress("comparing", bytes);
                }
                Some(Answer::Missed(missed)) => return Err(missed.error),
                Some(_) => {}
                None => break,
            }
        }
        if let Some(name) = names.into_values().next() {
            return Err(differs(Path::new(name), "it has not arrived"));
        }
        let files = edition.published.items.len() as u64;
        let words = words::count(files, "file");
        self.teller.step(&format!("{words} of it compared with the originals: equal"), bytes)?;
        Ok(files)
    }

    fn original(&self, name: &str) -> PathBuf {
        if self.source.is_dir() { self.source.join(name) } else { self.source.clone() }
    }
}

/// How the nodes came to know each other.
#[derive(Clone, Copy)]
enum Found {
    ByThemselves,
    ByAddress,
}

/// What a node received from each of `others`.
fn share(status: &Status, others: &[&Actor]) -> Vec<Share> {
    let mut shares = Vec::new();
    for other in others {
        let links = status.links.iter().filter(|link| link.peer == other.node);
        let bytes = links.map(|link| link.received).sum();
        if bytes > 0 {
            shares.push(Share { from: other.name, bytes });
        }
    }
    shares
}

fn differs(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Verification, format!("{}: {why}", path.display()))
}
