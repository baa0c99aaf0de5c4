//! A carriage full of telephones that read partly the same: how much of what each of them lacks
//! another one has, and how much of it has to come through the pipe to the Internet.
//!
//! Every telephone is a whole [`Node`]. It was in reach of the Internet last some hours ago, each
//! at another time, and got everything then from plain files on the web; now they meet.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use mesh_node::node::{Download, DownloadError, Internet, Node, NodeConfig, NodeEvent};
use mesh_sim::{Quality, Securing, World, seed};
use mesh_sync::{BlobId, Content, MemoryStore, NewItem, Outboard, Store, Sync};
use mesh_wire::message::sync::ItemKind;
use mesh_wire::origin::{OriginHead, blob_path, cvs_path, head_path};
use mesh_wire::{ChannelId, Label, Now, Rng, Time, UnixTime, Wire};
use serde::Serialize;

use crate::chance::Chance;

/// Channels that there are, and how many of them one follows.
const CHANNELS: usize = 5000;
const FOLLOWED: usize = 50;
/// How popular the channel of a rank is: `1 / (rank + 20)²`, so that two have 21 in common.
const FLAT_RANKS: f64 = 20.0;
/// Posts of one channel in an hour.
const POSTS: f64 = 1.0;
/// Bytes of a post, and of the picture that every fourth one has.
const TEXT_BYTES: usize = 400;
const PICTURE_BYTES: usize = 60_000;
/// How long ago a telephone was in reach of the Internet, on average and at most, in hours.
const AWAY_HOURS: (f64, f64) = (4.0, 24.0);
/// Bytes a second of a telephone's way to the Internet.
const RATE: u64 = 500_000;
/// From asking to the first byte of an answer.
const DELAY: Duration = Duration::from_millis(80);
/// How often it is looked at what is to be asked of the web.
const STEP: Duration = Duration::from_millis(10);
/// Longest time that anything takes here.
const LONGEST: Duration = Duration::from_secs(600);
const URL: &str = "https://news.example/mesh";

/// What becomes of a carriage.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// From which it follows.
    pub seed: u64,
    /// Channels that two telephones both follow, on average.
    pub overlap: f64,
    /// The largest shares that can come from neighbours: without any Internet, and with one way to
    /// it for all.
    pub at_best: (f64, f64),
    /// Without any Internet.
    pub cut_off: Vec<Phone>,
    /// With the one way to it that the carriage has.
    pub shared: Vec<Phone>,
    /// With a way of its own for each.
    pub own: Vec<Phone>,
}

/// What becomes of a telephone. All numbers are bytes of content, but where it is said.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Phone {
    /// Channels that it follows.
    pub channels: usize,
    /// Hours since it was in reach of the Internet.
    pub away_hours: f64,
    /// What it lacked.
    pub lacked: u64,
    /// What it got.
    pub got: u64,
    /// Bytes of any kind that it got from the web.
    pub from_web: u64,
    /// When it had all, in seconds, if it had.
    pub level_s: Option<f64>,
}

/// Of what all telephones lacked, the share that they got, and did not get from the web.
#[must_use]
pub fn from_neighbours(phones: &[Phone]) -> f64 {
    let sum = |of: fn(&Phone) -> u64| phones.iter().map(of).sum::<u64>() as f64;
    (sum(|phone| phone.got) - sum(|phone| phone.from_web)) / sum(|phone| phone.lacked).max(1.0)
}

/// Whether neighbours had three fifths of what was lacking, and one pipe for all had to carry less
/// than a third of it: in the middle one of all these carriages.
#[must_use]
pub fn is_reached(outcomes: &[Outcome]) -> bool {
    let median = |share: fn(&Outcome) -> f64| {
        let mut shares: Vec<f64> = outcomes.iter().map(share).collect();
        shares.sort_by(f64::total_cmp);
        shares.get(shares.len() / 2).copied().unwrap_or_default()
    };
    let near = median(|outcome| from_neighbours(&outcome.cut_off));
    near >= 0.6 && median(|outcome| from_neighbours(&outcome.shared)) >= 0.7
}

/// The page, with a mark where the data go.
const TEMPLATE: &str = include_str!("carriage.html");

/// A page to look at: one file that needs nothing else.
#[must_use]
pub fn page(outcomes: &[Outcome]) -> String {
    let data = serde_json::to_string(outcomes).unwrap_or_else(|_| "[]".into());
    TEMPLATE.replacen("\"the data\"", &data, 1)
}

/// Runs a carriage without, with a common and with separate ways to the Internet.
#[must_use]
pub fn run(seed: u64, phones: usize) -> Outcome {
    let carriage = |internet| Carriage::new(seed, phones).run(internet);
    let start = Carriage::new(seed, phones);
    let (overlap, at_best) = (start.overlap(), start.at_best());
    Outcome {
        seed,
        overlap,
        at_best,
        cut_off: carriage(Internet::None),
        shared: carriage(Internet::Shared),
        own: carriage(Internet::Own),
    }
}

struct Carriage {
    world: World<Node<MemoryStore>>,
    web: Web,
    office: Office,
    follows: Vec<Vec<usize>>,
    phones: Vec<Phone>,
}

/// Whoever publishes all the channels.
struct Office {
    sync: Sync<MemoryStore>,
    channels: Vec<ChannelId>,
    /// The posts to come, the next one last: hours before now, and where.
    posts: Vec<(f64, usize)>,
    /// What was published: how long ago, where, and how many bytes.
    content: Vec<(f64, usize, u64)>,
    rng: Rng,
}

/// A plain web server.
#[derive(Default)]
struct Web {
    files: BTreeMap<String, Bytes>,
    answers: Vec<(Time, usize, u64, Result<Bytes, DownloadError>)>,
    given: BTreeMap<usize, u64>,
    /// When each way to the Internet is free again.
    busy: BTreeMap<usize, Time>,
}

impl Carriage {
    /// Telephones that have what there was when they were last in reach of the Internet.
    fn new(seed: u64, count: usize) -> Self {
        let mut rng = seed::rng(seed).fork("carriage");
        let mut world = World::new(seed, Securing::ByMachines);
        world.on_event(|world, _, event| {
            if let NodeEvent::Close(link) = event {
                world.disconnect(link);
            }
            None
        });
        let mut follows: Vec<Vec<usize>> = (0..count).map(|_| tastes(&mut rng)).collect();
        // What nobody here follows need not be there.
        let mut all = follows.concat();
        all.sort_unstable();
        all.dedup();
        let place = |rank: &mut usize| *rank = all.partition_point(|other| other < rank);
        follows.iter_mut().flatten().for_each(place);
        let office = Office::new(rng.fork("office"), all.len());
        let phone = |channels: &Vec<usize>| Phone {
            channels: channels.len(),
            away_hours: rng.wait(AWAY_HOURS.0).min(AWAY_HOURS.1),
            ..Phone::default()
        };
        let phones = follows.iter().map(phone).collect();
        for _ in 0..count {
            let node = |_, rng| Node::new(NodeConfig::default(), MemoryStore::default(), rng);
            world.add(|index, rng| node(index, rng).expect("an empty store opens"));
        }
        let mut carriage = Self { world, web: Web::default(), office, follows, phones };
        carriage.remember();
        carriage
    }

    /// Channels that two telephones both follow, on average.
    fn overlap(&self) -> f64 {
        let (mut shared, mut pairs) = (0, 0);
        for (at, one) in self.follows.iter().enumerate() {
            for other in &self.follows[..at] {
                shared += one.iter().filter(|channel| other.contains(channel)).count();
                pairs += 1;
            }
        }
        shared as f64 / f64::from(pairs.max(1))
    }

    /// Of what all lack, the shares that somebody else here has, and that need not come through one
    /// way to the Internet for all: nothing does better.
    fn at_best(&self) -> (f64, f64) {
        let (mut lacked, mut near, mut once) = (0, 0, 0);
        for (age, channel, bytes) in &self.office.content {
            let readers = self.phones.iter().zip(&self.follows);
            let readers = readers.filter(|(_, follows)| follows.contains(channel));
            let away: Vec<f64> = readers.map(|(phone, _)| phone.away_hours).collect();
            let lack = away.iter().filter(|hours| *hours > age).count();
            lacked += lack as u64 * bytes;
            match lack < away.len() {
                true => near += lack as u64 * bytes,
                false => once += bytes * u64::from(lack > 0),
            }
        }
        let share = |bytes: u64| bytes as f64 / (lacked as f64).max(1.0);
        (share(near), 1.0 - share(once))
    }

    /// One after the other, those who were away longest first, gets all there is at that time.
    fn remember(&mut self) {
        let mut order: Vec<usize> = self.world.nodes().collect();
        order.sort_by(|a, b| self.phones[*b].away_hours.total_cmp(&self.phones[*a].away_hours));
        for phone in order {
            let now = self.world.now(phone);
            self.office.publish_until(now, self.phones[phone].away_hours, &mut self.web);
            let channels: Vec<_> =
                self.follows[phone].iter().map(|channel| self.office.channels[*channel]).collect();
            self.world.with(phone, |node, now| {
                node.sync_mut(now, |sync| {
                    for channel in channels {
                        sync.follow(now, channel).expect("memory takes it");
                        let url = URL.parse().expect("a url");
                        sync.follow_at(now, &channel, url).expect("memory takes it");
                    }
                });
                node.set_internet(now, Internet::Own);
            });
            assert!(self.run_until(|carriage| carriage.lacks(phone) == 0), "the web has it all");
            self.world.with(phone, |node, now| node.set_internet(now, Internet::None));
        }
        let now = self.world.now(0);
        self.office.publish_until(now, 0.0, &mut self.web);
        self.web.given.clear();
    }

    /// What a telephone lacks of its channels.
    fn lacks(&self, phone: usize) -> u64 {
        let lack = |channel: &usize| {
            let id = self.office.channels[*channel];
            let there = self.office.sync.channel(&id).map_or(0, |status| status.bytes);
            let here = self.world.node(phone).sync().channel(&id);
            there - here.map_or(0, |status| status.bytes_here)
        };
        self.follows[phone].iter().map(lack).sum()
    }

    /// They meet, and all is exchanged that can be.
    fn run(mut self, internet: Internet) -> Vec<Phone> {
        let lacked: Vec<u64> = self.world.nodes().map(|phone| self.lacks(phone)).collect();
        for phone in self.world.nodes() {
            self.phones[phone].lacked = lacked[phone];
            for other in 0..phone {
                self.world.connect(other, phone, Quality::STREAM);
            }
        }
        for phone in self.world.nodes() {
            self.world.with(phone, |node, now| node.set_internet(now, internet));
        }
        if internet == Internet::Shared {
            self.web.busy.insert(SHARED, Time(0));
        }
        let start = self.world.now(0).time;
        let mut levels: Vec<Option<f64>> = vec![None; self.phones.len()];
        let mut last = (u64::MAX, start);
        self.run_until(|carriage| {
            let now = carriage.world.now(0).time;
            let mut all = 0;
            for phone in carriage.world.nodes() {
                let lacks = carriage.lacks(phone);
                all += lacks;
                if lacks == 0 {
                    levels[phone].get_or_insert(now.since(start).as_secs_f64());
                }
            }
            if all < last.0 {
                last = (all, now);
            }
            // Without the Internet, what nobody has never comes.
            let is_over = internet == Internet::None && now.since(last.1) > LONGEST / 20;
            all == 0 || is_over
        });
        for phone in self.world.nodes() {
            let lacks = self.lacks(phone);
            let found = &mut self.phones[phone];
            found.got = found.lacked - lacks;
            found.from_web = self.web.given.get(&phone).copied().unwrap_or(0);
            found.level_s = levels[phone];
        }
        self.phones
    }

    /// Lets time pass until `done`, at most for [`LONGEST`]; whether it was done.
    fn run_until(&mut self, mut done: impl FnMut(&Self) -> bool) -> bool {
        for step in 0..LONGEST.as_millis() / STEP.as_millis() {
            if step % 10 == 0 && done(self) {
                return true;
            }
            let now = self.world.now(0).time;
            for phone in self.world.nodes() {
                while let Some(download) =
                    self.world.with(phone, |node, now| node.poll_download(now))
                {
                    self.web.ask(now, phone, &download);
                }
            }
            for (phone, number, answer) in self.web.due(now) {
                self.world.with(phone, |node, now| node.downloaded(now, number, answer));
            }
            self.world.run_for(STEP);
        }
        false
    }
}

/// The ranks of the channels that somebody follows.
fn tastes(rng: &mut Rng) -> Vec<usize> {
    let weight = |rank: usize| (rank as f64 + FLAT_RANKS).powi(-2);
    let all: f64 = (0..CHANNELS).map(weight).sum();
    let mut chosen = std::collections::BTreeSet::new();
    while chosen.len() < FOLLOWED {
        let mut left = rng.share() * all;
        let chosen_one = (0..CHANNELS).find(|rank| {
            left -= weight(*rank);
            left <= 0.0
        });
        chosen.extend(chosen_one);
    }
    chosen.into_iter().collect()
}

/// The name of the way to the Internet that all have in common, if they have.
const SHARED: usize = usize::MAX;

impl Web {
    fn ask(&mut self, now: Time, phone: usize, download: &Download) {
        let answer = self.answer(download);
        let bytes = answer.as_ref().map_or(0, Bytes::len) as u64;
        *self.given.entry(phone).or_default() += bytes;
        let way = if self.busy.contains_key(&SHARED) { SHARED } else { phone };
        let free = self.busy.entry(way).or_insert(now);
        *free = (*free).max(now) + Duration::from_micros(bytes * 1_000_000 / RATE);
        self.answers.push((*free + DELAY, phone, download.number, answer));
    }

    fn answer(&self, download: &Download) -> Result<Bytes, DownloadError> {
        let file = self.files.get(&download.url).ok_or(DownloadError::Missing)?;
        let range = download.range.clone().unwrap_or(0..file.len() as u64);
        let (start, end) = (range.start as usize, (range.end as usize).min(file.len()));
        if start >= end { Err(DownloadError::Missing) } else { Ok(file.slice(start..end)) }
    }

    fn due(&mut self, now: Time) -> Vec<(usize, u64, Result<Bytes, DownloadError>)> {
        let due = self.answers.extract_if(.., |(at, ..)| *at <= now);
        due.map(|(_, phone, number, answer)| (phone, number, answer)).collect()
    }
}

impl Office {
    fn new(mut rng: Rng, count: usize) -> Self {
        let mut sync = Sync::open(MemoryStore::default(), rng.fork("keys")).expect("it opens");
        let name = Label::new("news").expect("a plain name");
        let now = Now { time: Time(0), unix: UnixTime(0) };
        let channel = |_| sync.create_channel(now, &name).expect("memory takes it");
        let channels = (0..count).map(channel).collect();
        let mut posts = Vec::new();
        for channel in 0..count {
            let mut hours = 0.0;
            loop {
                hours += rng.wait(1.0 / POSTS);
                if hours > 2.0 * AWAY_HOURS.1 {
                    break;
                }
                posts.push((hours, channel));
            }
        }
        posts.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self { sync, channels, posts, rng, content: Vec::new() }
    }

    /// Publishes all that is older than so many hours, and puts it on the web.
    fn publish_until(&mut self, now: Now, hours: f64, web: &mut Web) {
        let mut changed = Vec::new();
        while self.posts.last().is_some_and(|(age, _)| *age > hours) {
            let Some((age, channel)) = self.posts.pop() else { break };
            let mut size = TEXT_BYTES;
            let id = self.channels[channel];
            let text = self.content(TEXT_BYTES);
            let mut items = vec![item(ItemKind::Text, Content::Inline(text.into()))];
            if self.rng.below(4) == 0 {
                let blob = self.picture(now, web);
                items.push(item(ItemKind::File, Content::Blob(blob)));
                size += PICTURE_BYTES;
            }
            self.content.push((age, channel, size as u64));
            self.sync.publish(now, &id, items).expect("memory takes it");
            changed.push(id);
        }
        changed.sort_unstable();
        changed.dedup();
        for channel in if web.files.is_empty() { self.channels.clone() } else { changed } {
            self.put(&channel, web);
        }
    }

    fn content(&mut self, size: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(size + 64);
        while bytes.len() < size {
            bytes.extend_from_slice(&self.rng.bytes::<64>());
        }
        bytes.truncate(size);
        bytes
    }

    fn picture(&mut self, now: Now, web: &mut Web) -> BlobId {
        let bytes = self.content(PICTURE_BYTES);
        let mut outboard = Outboard::builder(bytes.len() as u64);
        bytes.chunks(64 << 10).for_each(|group| outboard.push(group));
        let outboard = outboard.finish().expect("all of it");
        let id = outboard.id();
        self.sync.store_mut().write_blob(&id.hash, 0, &bytes).expect("memory takes it");
        self.sync.adopt_blob(now, &outboard).expect("memory takes it");
        web.files.insert(format!("{URL}/{}", blob_path(&id.hash)), bytes.into());
        let values = self.sync.origin_cvs(&id).expect("it is here");
        web.files.insert(format!("{URL}/{}", cvs_path(&id.hash)), values);
        id
    }

    fn put(&mut self, channel: &ChannelId, web: &mut Web) {
        let head = format!("{URL}/{}", head_path(channel));
        let before = web.files.get(&head).cloned();
        let before = before.map(|bytes| OriginHead::from_bytes(bytes).expect("it was written"));
        for bundle in self.sync.origin_bundles(channel, before.as_ref()).expect("it is here") {
            let items = self.sync.origin_items(channel, &bundle).expect("it is here");
            web.files.insert(format!("{URL}/{}", bundle.path), items);
        }
        let now = self.sync.origin_head(channel).expect("it is here");
        web.files.insert(head, now.to_bytes());
    }
}

fn item(kind: ItemKind, content: Content) -> NewItem {
    NewItem { kind, name: Label::default(), content, expires: None }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mega = |bytes: u64| bytes as f64 / 1e6;
        let count = self.shared.len();
        writeln!(
            f,
            "seed {}: {count} telephones, each with {:.0} channels, two with {:.1} in common",
            self.seed,
            self.shared.iter().map(|phone| phone.channels).sum::<usize>() as f64 / count as f64,
            self.overlap
        )?;
        let lacked: u64 = self.shared.iter().map(|phone| phone.lacked).sum();
        let (near, once) = (100.0 * self.at_best.0, 100.0 * self.at_best.1);
        writeln!(
            f,
            "  they lack {:.1} MB together; neighbours have {near:.1} % of it, and of all but \
             {:.1} % nobody needs a second copy",
            mega(lacked),
            100.0 - once
        )?;
        for (name, phones) in
            [("no Internet", &self.cut_off), ("one for all", &self.shared), ("own each", &self.own)]
        {
            let web: u64 = phones.iter().map(|phone| phone.from_web).sum();
            let got: u64 = phones.iter().map(|phone| phone.got).sum();
            let last = phones.iter().filter_map(|phone| phone.level_s).fold(0.0, f64::max);
            let level = phones.iter().filter(|phone| phone.level_s.is_some()).count();
            writeln!(
                f,
                "  {name:12} got {:5.1} % of it, {:5.1} MB from the web: {:4.1} % from neighbours; \
                 {level} of {count} had all, the last after {last:.1} s",
                100.0 * got as f64 / lacked as f64,
                mega(web),
                100.0 * from_neighbours(phones),
            )?;
        }
        Ok(())
    }
}
