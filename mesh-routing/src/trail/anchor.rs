//! Anchors: nodes with an uplink, which say so to those around them. What a node knows of the way
//! to the next ones, and what an anchor knows of those who have registered with it.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use mesh_wire::codec::List;
use mesh_wire::message::routing::{Anchor, Register};
use mesh_wire::{HopTag, LinkId, Rng, Time, limits};

/// Whether this device has a link to the Internet that works.
// spec: ROUTE-20
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Uplink {
    /// It has none: it is reached like everybody else.
    #[default]
    None,
    /// It has one: it is an anchor for those around it.
    Works,
}

/// What is known of anchors.
#[derive(Debug, Default)]
pub(crate) struct Anchors {
    /// This node as one.
    own: Option<Own>,
    known: Vec<Known>,
    /// The oldest first.
    registrations: VecDeque<Registration>,
}

/// What this node says of itself.
#[derive(Debug)]
struct Own {
    id: [u8; 8],
    number: u32,
    /// When it says it next, if there is anybody around.
    next: Option<Time>,
}

/// The way to an anchor.
#[derive(Debug)]
struct Known {
    id: [u8; 8],
    number: u32,
    hops: u8,
    link: LinkId,
    heard: Time,
    /// When to tell the neighbours, and those who know, with their hops.
    onward: Option<Time>,
    told: Vec<(LinkId, u8)>,
}

/// Somebody who can be reached through this anchor.
#[derive(Debug)]
struct Registration {
    link: LinkId,
    until: Time,
    path: List<HopTag, { limits::ANCHOR_HOPS }>,
    tags: List<[u8; 8], { limits::REGISTERED_TAGS }>,
}

/// An anchor that is silent for longer makes room for another.
const OVERDUE: Duration = Duration::from_secs(limits::ANCHOR_EVERY.as_secs() * 5 / 4);
/// An anchor that says more sooner is not honest.
const TOO_SOON: Duration = Duration::from_secs(limits::ANCHOR_EVERY.as_secs() / 2);
/// Time before an anchor is told of, so that the shortest way comes first and not everybody needs
/// to be told; and the longest random time added to it.
const WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(100));

impl Known {
    fn is_overdue(&self, now: Time) -> bool {
        self.heard + OVERDUE <= now
    }

    /// The worst last.
    fn rank(&self, now: Time) -> (bool, u8) {
        (self.is_overdue(now), self.hops)
    }
}

impl Anchors {
    /// Whether this node is one.
    pub(crate) fn is_one(&self) -> bool {
        self.own.is_some()
    }

    /// From now on this node is one, under a new name; among others if there are any.
    // spec: ROUTE-20
    pub(crate) fn begin(&mut self, rng: &mut Rng, next: Option<Time>) {
        self.own = Some(Own { id: rng.bytes(), number: 0, next });
        self.known.clear();
    }

    /// It is none any more.
    pub(crate) fn end(&mut self) {
        self.own = None;
        self.registrations.clear();
    }

    /// The first neighbour is here: it hears of this anchor in turn, at a random time.
    pub(crate) fn arrive(&mut self, now: Time, rng: &mut Rng) {
        if let Some(own) = &mut self.own {
            own.next = Some(some_time(now, rng));
        }
    }

    /// A new name, with the pseudonym.
    // spec: ROUTE-20
    pub(crate) fn rotate(&mut self, rng: &mut Rng) {
        if let Some(own) = &mut self.own {
            (own.id, own.number) = (rng.bytes(), 0);
        }
    }

    /// Nothing of it leads over `link` any more.
    pub(crate) fn link_down(&mut self, link: LinkId) {
        self.known.retain(|known| known.link != link);
        self.registrations.retain(|registration| registration.link != link);
    }

    /// There is nobody around.
    pub(crate) fn clear(&mut self) {
        (self.known, self.registrations) = (Vec::new(), VecDeque::new());
        if let Some(own) = &mut self.own {
            own.next = None;
        }
    }

    /// A neighbour tells of an anchor. It is believed if that is newer, or the way is shorter; of
    /// one not known, if it is nearer than those that are.
    // spec: ROUTE-21
    pub(crate) fn hear(&mut self, now: Time, link: LinkId, said: &Anchor, rng: &mut Rng) {
        let hops = said.hops.saturating_add(1);
        if self.is_one() || usize::from(hops) > limits::ANCHOR_HOPS {
            return;
        }
        self.forget(now);
        let wait = WAIT.0 + Duration::from_micros(rng.below(WAIT.1.as_micros() as u64));
        let (id, number, told) = (said.id, said.number, [(link, said.hops)].into());
        let new = Known { id, number, hops, link, heard: now, onward: Some(now + wait), told };
        let has_room = self.known.len() < limits::ANCHORS;
        match self.known.iter_mut().find(|known| known.id == said.id) {
            Some(known) if number > known.number && known.heard + TOO_SOON <= now => *known = new,
            Some(known) if number == known.number => {
                if hops < known.hops {
                    (known.hops, known.link) = (hops, link);
                }
                if known.onward.is_some() && known.told.len() < limits::LINKS {
                    known.told.push((link, said.hops));
                }
            }
            Some(_) => {}
            None if has_room => self.known.push(new),
            None => {
                let worst = self.known.iter_mut().max_by_key(|known| known.rank(now));
                if let Some(worst) = worst.filter(|known| known.rank(now) > new.rank(now)) {
                    *worst = new;
                }
            }
        }
    }

    fn forget(&mut self, now: Time) {
        self.known.retain(|known| now < known.heard + limits::ANCHOR_LIFE);
    }

    /// The neighbour on the way to the next anchor.
    // spec: ROUTE-22
    pub(crate) fn way_up(&self, now: Time) -> Option<LinkId> {
        let fresh = self.known.iter().filter(|known| now < known.heard + limits::ANCHOR_LIFE);
        fresh.min_by_key(|known| known.rank(now)).map(|known| known.link)
    }

    /// What is to be said now of anchors, and to whom it need not be said: those who know a way as
    /// short as the one that they would learn of.
    // spec: ROUTE-20, ROUTE-21
    pub(crate) fn due(&mut self, now: Time) -> Vec<(Anchor, Vec<LinkId>)> {
        let mut due = Vec::new();
        if let Some(own) = &mut self.own
            && own.next.is_some_and(|at| at <= now)
        {
            own.next = Some(now + limits::ANCHOR_EVERY);
            own.number = own.number.saturating_add(1);
            due.push((Anchor { id: own.id, number: own.number, hops: 0 }, Vec::new()));
        }
        for known in &mut self.known {
            if known.onward.take_if(|at| *at <= now).is_some() {
                let Known { id, number, hops, .. } = *known;
                let told = core::mem::take(&mut known.told).into_iter();
                let knows = told.filter(|(_, theirs)| *theirs <= hops.saturating_add(1));
                due.push((Anchor { id, number, hops }, knows.map(|(link, _)| link).collect()));
            }
        }
        due
    }

    /// Somebody can be reached over `link`.
    // spec: ROUTE-23
    pub(crate) fn register(&mut self, now: Time, link: LinkId, said: Register) {
        let Register { path, tags } = said;
        self.registrations.retain(|known| now < known.until && known.path != path);
        if self.registrations.len() >= limits::REGISTRATIONS {
            self.drop_one();
        }
        let until = now + limits::REGISTRATION_LIFE;
        self.registrations.push_back(Registration { link, until, path, tags });
    }

    /// The oldest of the link of which there are most goes.
    fn drop_one(&mut self) {
        let mut counts = BTreeMap::<LinkId, usize>::new();
        for registration in &self.registrations {
            *counts.entry(registration.link).or_default() += 1;
        }
        let fullest = counts.into_iter().max_by_key(|(_, count)| *count).map(|(link, _)| link);
        let oldest = self.registrations.iter().position(|known| Some(known.link) == fullest);
        oldest.and_then(|oldest| self.registrations.remove(oldest));
    }

    /// The ways to those who registered under one of these last.
    // spec: ROUTE-24
    pub(crate) fn registered(&self, now: Time, tags: &[[u8; 8]]) -> Vec<Vec<HopTag>> {
        let is_meant = |known: &&Registration| {
            now < known.until && known.tags.iter().any(|tag| tags.contains(&tag))
        };
        let meant = self.registrations.iter().rev().filter(is_meant);
        meant.take(limits::ANSWERS.into()).map(|known| known.path.iter().collect()).collect()
    }

    pub(crate) fn wake_at(&self) -> Option<Time> {
        let own = self.own.as_ref().and_then(|own| own.next);
        self.known.iter().filter_map(|known| known.onward).chain(own).min()
    }

    pub(crate) fn weight(&self) -> usize {
        let told = self.known.iter().map(|known| known.told.len() * size_of::<(LinkId, u8)>());
        let lists = self.registrations.iter().map(|r| r.path.len() * 2 + r.tags.len() * 8);
        self.known.len() * size_of::<Known>()
            + told.sum::<usize>()
            + self.registrations.len() * size_of::<Registration>()
            + lists.sum::<usize>()
    }
}

/// Some time within the usual pause.
pub(crate) fn some_time(now: Time, rng: &mut Rng) -> Time {
    now + Duration::from_micros(rng.below(limits::ANCHOR_EVERY.as_micros() as u64))
}
