//! Channels are had from plain files on the web where no neighbour has them: by one of those who
//! are near each other, for all.
//!
//! To the rest of the machine an origin is a neighbour; [`mirror::Mirror`] speaks for it. What is
//! decided here is when it is asked, and in `claim`, who of several asks.

mod claim;
mod mirror;
mod write;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use bytes::Bytes;
use mesh_wire::origin::OriginUrl;
use mesh_wire::{
    Carrier, ChannelId, Input, Link, LinkId, Machine, Now, PeerId, Rng, Role, Secured, Time, Wake,
    limits,
};
use thiserror::Error;

use crate::channel::Channel;
use crate::channel::account::Source;
use crate::peer::pace::Pace;
use crate::peer::slots::Slots;
use crate::store::Store;
use crate::sync::Sync;
use mirror::{Mirror, Outcome};
pub use write::Bundle;

/// Links to origins have numbers from here on; those over relays have higher ones.
const FIRST: u64 = 1 << 62;

/// Whether the other end of a link is an origin.
#[must_use]
pub const fn is_origin(link: LinkId) -> bool {
    link.0 >= FIRST && link.0 < FIRST << 1
}

/// A node's way to the Internet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Internet {
    /// It has none: origins are not asked.
    #[default]
    None,
    /// That of the network in which it and its neighbours are.
    Shared,
    /// One of its own, as that of a telephone.
    Own,
    /// One that costs by the byte: only for items, and for blobs that somebody waits for or has
    /// pinned, and only if no neighbour gets them.
    Metered,
}

/// A file, or a part of one, that is to be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// Under which number [`Sync::downloaded`] is told of it.
    pub number: u64,
    /// Where it is.
    pub url: String,
    /// Which of its bytes; all of them if there is none. The end may lie behind that of the file.
    pub range: Option<Range<u64>>,
    /// Longest answer, in bytes, that is of use.
    pub most: usize,
    /// Where the server may be.
    pub servers: Servers,
}

/// Where the server of a download may be.
// spec: SYNC-57
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Servers {
    /// Anywhere: somebody typed the url.
    Anywhere,
    /// Not at addresses that are private to a machine or a network.
    Public,
}

/// Why a download brought nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DownloadError {
    /// There is no such file, or not that part of it.
    #[error("there is no such file")]
    Missing,
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// How it stands with the origin of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginStatus {
    /// Where it is.
    pub url: OriginUrl,
    /// Whether it is asked.
    pub state: OriginState,
}

/// Whether an origin is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginState {
    /// This node asks it.
    Asked,
    /// A neighbour does, for this node as well.
    ByNeighbour,
    /// This node has no way to the Internet, or needs none.
    Unused,
    /// It did not work.
    Failed(String),
}

/// The origins that are in use.
pub(crate) struct Origins {
    internet: Internet,
    next: u64,
    mirrors: BTreeMap<LinkId, Mirror>,
    plans: BTreeMap<ChannelId, Plan>,
    /// With origins, or with what they should have of a channel.
    troubles: BTreeMap<(OriginUrl, Option<ChannelId>), Trouble>,
    /// The origin that was last asked for a file.
    turn: u64,
    /// Requests that are under way, by number, and from whom the answer comes.
    downloads: BTreeMap<u64, LinkId>,
    /// Channels have come or gone, or their origins have changed.
    pub(crate) is_stale: bool,
    rng: Rng,
}

/// Where the files of a channel may be.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Site {
    url: OriginUrl,
    servers: Servers,
}

/// When the origin of a channel is looked at.
struct Plan {
    site: Site,
    at: Time,
    pause: Duration,
    /// The last look at it, or the beginning.
    looked: Time,
    /// A neighbour does it until then.
    trusts: bool,
}

/// An origin that did not work.
struct Trouble {
    until: Time,
    pause: Duration,
    error: String,
    /// It has said since what it has; that is not enough to think that it works.
    is_heard: bool,
}

impl Origins {
    pub(crate) fn new(rng: Rng) -> Self {
        Self {
            internet: Internet::None,
            next: 0,
            mirrors: BTreeMap::new(),
            plans: BTreeMap::new(),
            troubles: BTreeMap::new(),
            turn: FIRST,
            downloads: BTreeMap::new(),
            is_stale: true,
            rng,
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn wake_at(&self) -> Option<Wake> {
        let at = self.plans.values().map(|plan| plan.at).min()?;
        Some(Wake { at, reason: "look at an origin" })
    }

    /// A moment soon, another one for each node.
    fn soon(&mut self, now: Time) -> Time {
        let most = limits::ORIGIN_WAIT.as_millis() as u64;
        now + Duration::from_millis(most / 8 + self.rng.below(most - most / 8))
    }

    /// An origin did not work, or has nothing of a channel.
    fn failed(
        &mut self,
        now: Time,
        of: (OriginUrl, Option<ChannelId>),
        (error, pause): (String, Option<Duration>),
    ) {
        // What was long ago says little.
        let is_recent = |it: &&Trouble| now.since(it.until) < limits::ORIGIN_RETRY_MAX;
        let before = self.troubles.get(&of).filter(is_recent).map(|trouble| trouble.pause * 2);
        let again = before.unwrap_or(limits::ORIGIN_RETRY).min(limits::ORIGIN_RETRY_MAX);
        let pause = pause.unwrap_or(again);
        let trouble = Trouble { until: now + pause, pause, error, is_heard: false };
        if self.troubles.len() >= limits::SHARED_CHANNELS * limits::ORIGINS {
            self.troubles.pop_first();
        }
        self.troubles.insert(of, trouble);
    }

    /// What keeps a channel from being had at an origin, for longest.
    fn trouble(&self, url: &OriginUrl, channel: &ChannelId) -> Option<&Trouble> {
        let with = |channel| self.troubles.get(&(url.clone(), channel));
        with(None).into_iter().chain(with(Some(*channel))).max_by_key(|trouble| trouble.until)
    }

    /// The next file to ask for, of each origin in its turn.
    fn next_download(&mut self) -> Option<Download> {
        for _ in 0..self.mirrors.len() {
            let link = self.link(self.turn + 1).or_else(|| self.link(FIRST))?;
            self.turn = link.0;
            let number = self.number();
            if let Some(download) = self.mirrors.get_mut(&link)?.request(number) {
                self.downloads.insert(number, link);
                return Some(download);
            }
        }
        None
    }

    /// The first link to an origin from a number on.
    fn link(&self, from: u64) -> Option<LinkId> {
        self.mirrors.range(LinkId(from)..).next().map(|(link, _)| *link)
    }
}

impl<S: Store> Sync<S> {
    /// The node's way to the Internet, which is unknown to begin with: none.
    pub fn set_internet(&mut self, now: Now, internet: Internet) {
        if self.origins.internet == internet {
            return;
        }
        self.origins.internet = internet;
        self.fetch.is_metered = internet == Internet::Metered;
        let claimed: Vec<ChannelId> = self.origins.plans.keys().copied().collect();
        claimed.iter().for_each(|channel| self.claim(channel, None));
        self.origins.plans.clear();
        self.mirror_origins(now.time);
        self.plan_origins(now.time);
    }

    /// Where on the web a channel is, too, as it says itself.
    pub fn origins(&self, channel: &ChannelId) -> Vec<OriginUrl> {
        let known = self.library.channels.get(channel);
        known.map(|channel| channel.charter.origins().to_vec()).unwrap_or_default()
    }

    /// How it stands with a channel's origin, if it has one.
    pub fn origin(&self, channel: &ChannelId) -> Option<OriginStatus> {
        let known = self.library.channels.get(channel)?;
        let first = sites(known).next()?;
        let plan = self.origins.plans.get(channel);
        let url = plan.map_or(&first, |plan| &plan.site).url.clone();
        let state = match (plan, self.origins.trouble(&url, channel)) {
            (None, _) => OriginState::Unused,
            (Some(_), Some(trouble)) if !trouble.is_heard => {
                OriginState::Failed(trouble.error.clone())
            }
            (Some(plan), _) if plan.trusts => OriginState::ByNeighbour,
            (Some(_), _) => OriginState::Asked,
        };
        Some(OriginStatus { url, state })
    }

    /// The next file to ask for. To be called until it says `None` whenever messages and events are
    /// asked for, and followed by [`Sync::downloaded`] in any case.
    pub fn poll_download(&mut self, now: Now) -> Option<Download> {
        if self.health.closed().is_some() {
            return None;
        }
        if core::mem::take(&mut self.origins.is_stale) {
            self.plan_origins(now.time);
        }
        self.converse(now);
        if self.origins.downloads.len() < limits::ALL_DOWNLOADS {
            self.origins.next_download()
        } else {
            None
        }
    }

    /// What became of a download.
    pub fn downloaded(&mut self, now: Now, number: u64, answer: Result<Bytes, DownloadError>) {
        let Some(link) = self.origins.downloads.remove(&number) else { return };
        let Some(mirror) = self.origins.mirrors.get_mut(&link) else { return };
        let url = mirror.site.url.clone();
        match mirror.answered(number, answer) {
            Outcome::Taken => {
                let of = (url, None);
                let is_over = |it: &Trouble| it.until <= now.time;
                if self.origins.troubles.get(&of).is_some_and(is_over) {
                    self.origins.troubles.remove(&of);
                }
            }
            Outcome::Head(channel, is_same) => {
                self.origins.troubles.remove(&(url.clone(), Some(channel)));
                if let Some(trouble) = self.origins.troubles.get_mut(&(url, None)) {
                    trouble.is_heard = true;
                }
                if let Some(plan) = self.origins.plans.get_mut(&channel) {
                    plan.pause = match is_same {
                        true => (plan.pause * 2).min(limits::ORIGIN_POLL_MAX),
                        false => limits::ORIGIN_POLL,
                    };
                    if !plan.trusts {
                        plan.at = now.time + plan.pause;
                    }
                }
            }
            Outcome::Absent(channel) => {
                let error = "nothing of the channel is there".to_string();
                self.origins.failed(now.time, (url, Some(channel)), (error, None));
                self.claim(&channel, None);
                self.plan_origins(now.time);
            }
            Outcome::Broken(error) => {
                self.origins.failed(now.time, (url.clone(), None), (error, None));
                self.withdraw_claims(&url);
                self.plan_origins(now.time);
            }
        }
        self.converse(now);
    }

    /// The other end of a link to an origin has forged.
    // spec: SYNC-59
    pub(crate) fn blame_origin(&mut self, now: Time, link: LinkId) {
        if let Some(mirror) = self.origins.mirrors.get(&link) {
            let error = "it gave what the channel's writers have not signed".to_string();
            let (url, ban) = (mirror.site.url.clone(), Some(limits::ORIGIN_BAN));
            self.origins.failed(now, (url.clone(), None), (error, ban));
            self.withdraw_claims(&url);
            self.origins.is_stale = true;
        }
    }

    /// What is not had at an origin is not claimed.
    // spec: SYNC-60
    fn withdraw_claims(&mut self, url: &OriginUrl) {
        let of_it = self.origins.plans.iter().filter(|(_, plan)| plan.site.url == *url);
        let channels: Vec<ChannelId> = of_it.map(|(channel, _)| *channel).collect();
        channels.iter().for_each(|channel| self.claim(channel, None));
    }

    /// The store failed: what was asked is asked anew when it is back.
    pub(crate) fn close_origins(&mut self) {
        for (link, _) in core::mem::take(&mut self.origins.mirrors) {
            self.peers.remove(&link);
        }
        self.origins.plans.clear();
        self.origins.downloads.clear();
        self.origins.is_stale = true;
    }

    /// Decides for every channel where its origin is.
    // spec: SYNC-57, SYNC-59
    fn plan_origins(&mut self, now: Time) {
        let mut wanted: BTreeMap<ChannelId, Site> = BTreeMap::new();
        if self.origins.internet != Internet::None {
            for channel in self.library.channels.values().filter(|channel| !channel.damaged) {
                let works = |site: &Site| {
                    let trouble = self.origins.trouble(&site.url, &channel.id);
                    trouble.is_none_or(|trouble| trouble.until <= now)
                };
                // Whoever says what is in a channel needs nobody to tell.
                let is_ours = channel.role() == crate::status::Role::Owner;
                let first = sites(channel).find(works).or_else(|| sites(channel).next());
                if let Some(site) = first.filter(|_| !is_ours) {
                    wanted.insert(channel.id, site);
                }
            }
        }
        let gone = |channel: &ChannelId, plan: &mut Plan| wanted.get(channel) != Some(&plan.site);
        let gone = self.origins.plans.extract_if(.., |channel, plan| gone(channel, plan));
        let gone: Vec<ChannelId> = gone.map(|(channel, _)| channel).collect();
        gone.iter().for_each(|channel| self.claim(channel, None));
        for (channel, site) in wanted {
            let soon = self.origins.soon(now);
            let trouble = self.origins.trouble(&site.url, &channel).map(|trouble| trouble.until);
            let pause = limits::ORIGIN_POLL;
            let plan = || Plan { site, at: soon, pause, looked: now, trusts: false };
            let plan = self.origins.plans.entry(channel).or_insert_with(plan);
            if let Some(until) = trouble.filter(|until| *until > now) {
                plan.at = until;
            }
        }
        self.mirror_origins(now);
    }

    /// Brings the links to origins in line with what is wanted of them.
    fn mirror_origins(&mut self, now: Time) {
        let mut wanted: BTreeMap<Site, BTreeSet<ChannelId>> = BTreeMap::new();
        for (channel, Plan { site, .. }) in &self.origins.plans {
            let trouble = self.origins.trouble(&site.url, channel);
            if trouble.is_none_or(|trouble| trouble.until <= now) {
                wanted.entry(site.clone()).or_default().insert(*channel);
            }
        }
        // Who has forged is trusted again on another link only.
        let trusted = |link: &LinkId| self.peers.get(link).is_some_and(|peer| peer.trusted);
        let gone = |link: &LinkId, mirror: &mut Mirror| {
            !wanted.contains_key(&mirror.site) || !trusted(link)
        };
        let gone = self.origins.mirrors.extract_if(.., |link, mirror| gone(link, mirror));
        let gone: Vec<LinkId> = gone.map(|(link, _)| link).collect();
        for link in gone {
            self.origins.downloads.retain(|_, from| *from != link);
            self.link_down(now, link);
        }
        for (site, channels) in wanted {
            let known = self.origins.mirrors.values_mut().find(|mirror| mirror.site == site);
            match known {
                Some(mirror) => mirror.share(&channels),
                None => self.add_mirror(site, &channels),
            }
        }
    }

    fn add_mirror(&mut self, site: Site, channels: &BTreeSet<ChannelId>) {
        let link = LinkId(FIRST + self.origins.number());
        let binding = self.origins.rng.bytes();
        let secured = Secured { peer: PeerId(self.origins.rng.bytes()), binding };
        let end = |role| Link {
            role,
            carrier: Carrier::Stream,
            largest_frame: limits::RECORD_BYTES,
            secured: Some(secured),
        };
        let rng = Rng::from_seed(self.origins.rng.bytes());
        let mut mirror = Mirror::new(site, Slots::new(&end(Role::Responder), &secured, rng));
        mirror.share(channels);
        self.origins.mirrors.insert(link, mirror);
        self.link_up(link, end(Role::Initiator));
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.source = Source::Origin;
            peer.slots.be_plain();
            peer.pace = Pace::of_origin();
        }
        self.share();
        channels.iter().for_each(|channel| self.show_claim(link, channel));
    }

    /// Carries messages between the machine and the mirrors, until neither has any more.
    fn converse(&mut self, now: Now) {
        let mut from = FIRST;
        while let Some(link) = self.origins.link(from) {
            let mut has_spoken = false;
            while self.exchange(now, link) {
                has_spoken = true;
            }
            let mirror = self.origins.mirrors.get(&link).filter(|_| has_spoken);
            let channels: Vec<ChannelId> = mirror.into_iter().flat_map(Mirror::channels).collect();
            channels.iter().for_each(|channel| self.show_claim(link, channel));
            from = link.0 + 1;
        }
        if self.fetch.is_held {
            self.arm_chores(now.time);
        }
    }

    /// Carries a message each way, if there is any.
    fn exchange(&mut self, now: Now, link: LinkId) -> bool {
        let said = self.poll_send(now, link, limits::RECORD_BYTES);
        let Some(mirror) = self.origins.mirrors.get_mut(&link) else { return false };
        if let Some(message) = &said {
            let from = mirror.wanted(message).map_or(0, |(at, first)| {
                let start = first / limits::BUNDLE_ITEMS * limits::BUNDLE_ITEMS;
                self.library.bytes_of(&at, start..first).unwrap_or(0)
            });
            mirror.take(message, from);
        }
        let answer = mirror.message();
        let is_any = said.is_some() || answer.is_some();
        if let Some(message) = answer {
            self.handle(now, Input::Receive(link, message));
        }
        is_any
    }

    /// Looks at the origins whose time has come.
    // spec: SYNC-59, SYNC-60
    pub(crate) fn tick_origins(&mut self, now: Time) {
        let due = self.origins.plans.iter().filter(|(_, plan)| plan.at <= now);
        let due: Vec<ChannelId> = due.map(|(channel, _)| *channel).collect();
        if due.is_empty() {
            return;
        }
        self.mirror_origins(now);
        for channel in due {
            let is_left = self.is_left_to_others(&channel);
            let Some(plan) = self.origins.plans.get_mut(&channel) else { continue };
            plan.trusts = is_left;
            let until = plan.looked + limits::CLAIM_TRUST;
            if is_left && now < until {
                plan.at = until;
                continue;
            }
            plan.looked = now;
            plan.at = now + if is_left { limits::CLAIM_TRUST } else { plan.pause };
            let site = plan.site.clone();
            if !is_left {
                self.make_claim(&channel);
            }
            let mut mirrors = self.origins.mirrors.values_mut();
            if let Some(mirror) = mirrors.find(|mirror| mirror.site == site) {
                mirror.look(channel);
            }
        }
    }
}

/// Where the files of a channel may be: what a person typed comes first.
fn sites(channel: &Channel) -> impl Iterator<Item = Site> {
    let typed = channel.origin.iter().map(|url| (url, Servers::Anywhere));
    let told = channel.charter.origins().iter().map(|url| (url, Servers::Public));
    let told = told.filter(|(url, _)| channel.origin.as_ref() != Some(*url));
    typed.chain(told).map(|(url, servers)| Site { url: url.clone(), servers })
}
