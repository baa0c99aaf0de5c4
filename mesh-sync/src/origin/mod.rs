//! Channels are had from plain files on the web where no neighbour has them: by one of those who
//! are near each other, for all.
//!
//! To the rest of the machine an origin is a neighbour; [`mirror::Mirror`] speaks for it. What is
//! decided here is when it is asked, and who of several asks.

mod mirror;
mod write;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use bytes::Bytes;
use mesh_wire::message::sync::{Claim, Gateway};
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
pub(crate) use mirror::level_values;
use mirror::{Mirror, Outcome, Request};
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    troubles: BTreeMap<OriginUrl, Trouble>,
    /// Requests that are under way, by number, and from whom the answer comes.
    downloads: BTreeMap<u64, LinkId>,
    /// Channels have come or gone, or their origins have changed.
    pub(crate) is_stale: bool,
    rng: Rng,
}

/// When the origin of a channel is looked at.
struct Plan {
    url: OriginUrl,
    servers: Servers,
    at: Time,
    pause: Duration,
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

    /// An origin did not work.
    fn failed(&mut self, now: Time, url: &OriginUrl, (error, pause): (String, Option<Duration>)) {
        // What was long ago says little.
        let is_recent = |it: &&Trouble| now.since(it.until) < limits::ORIGIN_RETRY_MAX;
        let before = self.troubles.get(url).filter(is_recent).map(|trouble| trouble.pause * 2);
        let again = before.unwrap_or(limits::ORIGIN_RETRY).min(limits::ORIGIN_RETRY_MAX);
        let pause = pause.unwrap_or(again);
        let trouble = Trouble { until: now + pause, pause, error, is_heard: false };
        if self.troubles.len() >= limits::SHARED_CHANNELS * limits::ORIGINS {
            self.troubles.pop_first();
        }
        self.troubles.insert(url.clone(), trouble);
    }
}

impl<S: Store> Sync<S> {
    /// The node's way to the Internet, which is unknown to begin with: none.
    pub fn set_internet(&mut self, now: Now, internet: Internet) {
        if self.origins.internet == internet {
            return;
        }
        self.origins.internet = internet;
        let claimed: Vec<ChannelId> = self.origins.plans.keys().copied().collect();
        claimed.iter().for_each(|channel| self.claim(channel, None));
        self.origins.plans.clear();
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
        let (first, _) = urls(known).next()?;
        let plan = self.origins.plans.get(channel);
        let url = plan.map_or(first, |plan| &plan.url).clone();
        let state = match (plan, self.origins.troubles.get(&url)) {
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
        let links: Vec<LinkId> = self.origins.mirrors.keys().copied().collect();
        for link in links {
            let number = self.origins.number();
            let Some(mirror) = self.origins.mirrors.get_mut(&link) else { continue };
            if let Some(Request { url, range, most }) = mirror.request(number) {
                let of = |plan: &&Plan| plan.url == mirror.url && plan.servers == Servers::Anywhere;
                let is_typed = self.origins.plans.values().any(|plan| of(&plan));
                let servers = if is_typed { Servers::Anywhere } else { Servers::Public };
                self.origins.downloads.insert(number, link);
                return Some(Download { number, url, range, most, servers });
            }
        }
        None
    }

    /// What became of a download.
    pub fn downloaded(&mut self, now: Now, number: u64, answer: Result<Bytes, DownloadError>) {
        let Some(link) = self.origins.downloads.remove(&number) else { return };
        let Some(mirror) = self.origins.mirrors.get_mut(&link) else { return };
        let url = mirror.url.clone();
        match mirror.answered(number, answer) {
            Outcome::Taken => {
                let is_over = |it: &Trouble| it.until <= now.time;
                if self.origins.troubles.get(&url).is_some_and(is_over) {
                    self.origins.troubles.remove(&url);
                }
            }
            Outcome::Head(channel, is_same) => {
                if let Some(trouble) = self.origins.troubles.get_mut(&url) {
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
            Outcome::Broken(error) => self.leave_origin(now, &url, (error, None)),
        }
        self.converse(now);
    }

    /// The other end of a link to an origin has forged.
    // spec: SYNC-59
    pub(crate) fn blame_origin(&mut self, now: Time, link: LinkId) {
        if let Some(mirror) = self.origins.mirrors.get(&link) {
            let error = "it gave what the channel's writers have not signed".to_string();
            let (url, ban) = (mirror.url.clone(), Some(limits::ORIGIN_BAN));
            self.origins.failed(now, &url, (error, ban));
            self.withdraw_claims(&url);
            self.origins.is_stale = true;
        }
    }

    /// Nothing more is asked of an origin for some time.
    fn leave_origin(&mut self, now: Now, url: &OriginUrl, why: (String, Option<Duration>)) {
        self.origins.failed(now.time, url, why);
        self.withdraw_claims(url);
        self.plan_origins(now.time);
    }

    /// What is not had at an origin is not claimed.
    // spec: SYNC-60
    fn withdraw_claims(&mut self, url: &OriginUrl) {
        let of_it = self.origins.plans.iter().filter(|(_, plan)| plan.url == *url);
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
        let mut wanted: BTreeMap<ChannelId, (OriginUrl, Servers)> = BTreeMap::new();
        if self.origins.internet != Internet::None {
            for channel in self.library.channels.values().filter(|channel| !channel.damaged) {
                let works = |(url, _): &(&OriginUrl, Servers)| {
                    self.origins.troubles.get(url).is_none_or(|trouble| trouble.until <= now)
                };
                // Whoever says what is in a channel needs nobody to tell.
                let is_ours = channel.role() == crate::status::Role::Owner;
                let first = urls(channel).find(works).or_else(|| urls(channel).next());
                if let Some((url, servers)) = first.filter(|_| !is_ours) {
                    wanted.insert(channel.id, (url.clone(), servers));
                }
            }
        }
        let gone = |channel: &ChannelId, plan: &mut Plan| {
            wanted
                .get(channel)
                .is_none_or(|(url, servers)| (url, *servers) != (&plan.url, plan.servers))
        };
        let gone = self.origins.plans.extract_if(.., |channel, plan| gone(channel, plan));
        let gone: Vec<ChannelId> = gone.map(|(channel, _)| channel).collect();
        gone.iter().for_each(|channel| self.claim(channel, None));
        for (channel, (url, servers)) in wanted {
            let soon = self.origins.soon(now);
            let until = self.origins.troubles.get(&url).map_or(soon, |trouble| trouble.until);
            let (at, pause) = (soon.max(until), limits::ORIGIN_POLL);
            let plan = || Plan { url, servers, at, pause, trusts: false };
            let plan = self.origins.plans.entry(channel).or_insert_with(plan);
            if until > now {
                plan.at = until;
            }
        }
        self.mirror_origins(now);
    }

    /// Brings the links to origins in line with what is wanted of them.
    fn mirror_origins(&mut self, now: Time) {
        let mut wanted: BTreeMap<OriginUrl, BTreeSet<ChannelId>> = BTreeMap::new();
        for (channel, plan) in &self.origins.plans {
            let trouble = self.origins.troubles.get(&plan.url);
            if trouble.is_none_or(|trouble| trouble.until <= now) {
                wanted.entry(plan.url.clone()).or_default().insert(*channel);
            }
        }
        let gone = |mirror: &mut Mirror| !wanted.contains_key(&mirror.url);
        let gone = self.origins.mirrors.extract_if(.., |_, mirror| gone(mirror));
        let gone: Vec<LinkId> = gone.map(|(link, _)| link).collect();
        for link in gone {
            self.origins.downloads.retain(|_, from| *from != link);
            self.link_down(now, link);
        }
        for (url, channels) in wanted {
            let known = self.origins.mirrors.values_mut().find(|mirror| mirror.url == url);
            match known {
                Some(mirror) => mirror.share(&channels),
                None => self.add_mirror(url, &channels),
            }
        }
    }

    fn add_mirror(&mut self, url: OriginUrl, channels: &BTreeSet<ChannelId>) {
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
        let mut mirror = Mirror::new(url, Slots::new(&end(Role::Responder), &secured, rng));
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
        let links: Vec<LinkId> = self.origins.mirrors.keys().copied().collect();
        for link in links {
            loop {
                let said = self.poll_send(now, link, limits::RECORD_BYTES);
                let Some(mirror) = self.origins.mirrors.get_mut(&link) else { break };
                if let Some(message) = &said {
                    let from = mirror.wanted(message).map_or(0, |(at, first)| {
                        let start = first / limits::BUNDLE_ITEMS * limits::BUNDLE_ITEMS;
                        self.library.bytes_of(&at, start..first).unwrap_or(0)
                    });
                    mirror.take(message, from);
                }
                let answer = mirror.message();
                let is_over = said.is_none() && answer.is_none();
                if let Some(message) = answer {
                    self.handle(now, Input::Receive(link, message));
                }
                if is_over {
                    break;
                }
            }
            if self.fetch.is_held {
                self.arm_chores(now.time);
            }
            if let Some(mirror) = self.origins.mirrors.get(&link) {
                let channels: Vec<ChannelId> = mirror.channels().collect();
                channels.iter().for_each(|channel| self.show_claim(link, channel));
            }
        }
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
            if is_left && !plan.trusts {
                (plan.trusts, plan.at) = (true, now + limits::CLAIM_TRUST);
                continue;
            }
            plan.trusts = is_left;
            plan.at = now + if is_left { limits::CLAIM_TRUST } else { plan.pause };
            let url = plan.url.clone();
            if !is_left {
                self.make_claim(&channel);
            }
            let mut mirrors = self.origins.mirrors.values_mut();
            if let Some(mirror) = mirrors.find(|mirror| mirror.url == url) {
                mirror.look(channel);
            }
        }
    }

    /// Whether a neighbour gets a channel over the same way to the Internet.
    // spec: SYNC-60
    fn is_left_to_others(&self, channel: &ChannelId) -> bool {
        let own = self.library.channels.get(channel).and_then(|channel| channel.claim.as_ref());
        let own = own.map_or(u64::MAX, |claim| u64::from(claim.draw));
        let others = self.peers.values().filter(|peer| !peer.is_origin());
        let mut claims = others.filter_map(|peer| peer.matched.get(channel)?.claim.as_ref());
        self.origins.internet == Internet::Shared
            && claims.any(|it| it.gateway == Gateway::Shared && u64::from(it.draw) < own)
    }

    /// A neighbour that shares a channel has come, gone or said something else about its claim.
    // spec: SYNC-60
    pub(crate) fn claims_changed(&mut self, now: Time, channel: &ChannelId) {
        let is_left = self.is_left_to_others(channel);
        let soon = self.origins.soon(now);
        let Some(plan) = self.origins.plans.get_mut(channel) else { return };
        if is_left && self.library.channels.get(channel).is_some_and(|it| it.claim.is_some()) {
            (plan.trusts, plan.at) = (true, now + limits::CLAIM_TRUST);
            self.claim(channel, None);
        } else if !is_left && plan.trusts {
            (plan.trusts, plan.at) = (false, soon);
        }
    }

    /// The same for every channel.
    pub(crate) fn all_claims_changed(&mut self, now: Time) {
        let trusting = self.origins.plans.iter().filter(|(_, plan)| plan.trusts);
        let trusting: Vec<ChannelId> = trusting.map(|(channel, _)| *channel).collect();
        trusting.iter().for_each(|channel| self.claims_changed(now, channel));
    }

    fn make_claim(&mut self, channel: &ChannelId) {
        let gateway = match self.origins.internet {
            Internet::None => return,
            Internet::Shared => Gateway::Shared,
            Internet::Own => Gateway::Own,
        };
        if self.library.channels.get(channel).is_some_and(|channel| channel.claim.is_none()) {
            let draw = u32::from_be_bytes(self.origins.rng.bytes());
            self.claim(channel, Some(Claim { gateway, draw }));
        }
    }

    /// Makes or withdraws a claim, and tells everybody.
    fn claim(&mut self, id: &ChannelId, claim: Option<Claim>) {
        let Some(channel) = self.library.channels.get_mut(id) else { return };
        if channel.claim == claim {
            return;
        }
        channel.claim = claim;
        self.peers.values_mut().for_each(|peer| peer.changed(id));
        let links: Vec<LinkId> = self.origins.mirrors.keys().copied().collect();
        links.iter().for_each(|link| self.show_claim(*link, id));
    }

    /// To those who choose what to ask an origin for, its claim is ours.
    fn show_claim(&mut self, link: LinkId, channel: &ChannelId) {
        let own = self.library.channels.get(channel).and_then(|channel| channel.claim.clone());
        if let Some(peer) = self.peers.get_mut(&link)
            && let Some(matched) = peer.matched.get_mut(channel)
            && matched.claim != own
        {
            matched.claim = own;
            peer.hungry = true;
        }
    }
}

/// Where the files of a channel may be: what a person typed comes first.
fn urls(channel: &Channel) -> impl Iterator<Item = (&OriginUrl, Servers)> {
    let typed = channel.origin.iter().map(|url| (url, Servers::Anywhere));
    let told = channel.charter.origins().iter().map(|url| (url, Servers::Public));
    typed.chain(told.filter(|(url, _)| channel.origin.as_ref() != Some(*url)))
}
