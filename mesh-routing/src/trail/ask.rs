//! FIND and FOUND: how a question spreads and how its answers come back.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use mesh_wire::codec::List;
use mesh_wire::message::routing::{Find, Found};
use mesh_wire::{FindKey, HopTag, LinkId, Role, Time, limits};

use super::flow::{Flow, Path};
use super::keys::{flow_name, proof, state, tag};
use super::search::{Search, Wanted};
use super::seen::Entry;
use super::{Relaying, TrailEvent, Trails};

/// Who lacks no more than this is recognised as somebody who lacks something.
const BEHIND: u64 = 16;

/// Which copy of a FIND.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copy {
    First,
    /// The first, but from somebody who was blamed.
    Doubtful,
    Further,
}

impl Trails {
    /// Sends the FIND of a search to every neighbour.
    // spec: ROUTE-4, ROUTE-16
    pub(super) fn ask(&mut self, now: Time, search: &Search) {
        let blamed = self.repute.blamed(now).filter(|_| !search.is_last());
        let avoid = blamed.take(limits::AVOIDED).collect::<Vec<_>>();
        let find = Find {
            id: search.id,
            hops_left: search.hops(&mut self.rng),
            cost: self.rng.below(64) as u32,
            avoid: List::new(&avoid),
            tag: tag(&search.key, &search.id),
            state: match (search.wanted, self.keys.get(&search.key)) {
                (Wanted::Anybody, Some(size)) => state(&search.key, &search.id, *size),
                (Wanted::Anybody, None) | (Wanted::Path(_), _) => self.rng.bytes(),
            },
            hops: List::default(),
            along: List::new(search.along()),
        };
        let avoided = avoid.iter().filter_map(|tag| self.hop_called(now, *tag));
        let avoided = avoided.collect::<Vec<_>>();
        if find.hops_left > 0 {
            self.pass_on(now, &find, &avoided);
        }
        if search.is_led() {
            self.lead(now, &search.key, find);
        }
    }

    /// Gives a FIND to every neighbour but these.
    pub(super) fn pass_on(&mut self, now: Time, find: &Find, but: &[LinkId]) {
        for (link, hop) in &mut self.hops {
            if !but.contains(link) {
                hop.ask(now, find.clone());
            }
        }
    }

    /// Takes a FIND from a neighbour.
    // spec: ROUTE-5
    pub(super) fn found_find(&mut self, now: Time, link: LinkId, mut find: Find) {
        match self.take_find(now, link, &mut find) {
            Some(Copy::First) => self.plan_to_pass_on(now, find, Duration::ZERO),
            Some(Copy::Doubtful) => self.plan_to_pass_on(now, find, DOUBTFUL),
            Some(Copy::Further) | None => {}
        }
    }

    /// Takes a copy of a FIND, and answers it if it means this node; else says which one it was.
    // spec: ROUTE-5, ROUTE-6
    pub(super) fn take_find(&mut self, now: Time, link: LinkId, find: &mut Find) -> Option<Copy> {
        let hop = self.hops.get_mut(&link)?;
        let is_own = self.searches.iter().any(|search| search.id == find.id)
            || self.detours.contains_key(&find.id);
        if is_own || !hop.finds.take(now) {
            return None;
        }
        hop.knows(&find.id);
        // Who is to be avoided may not care: then its neighbours do.
        if find.avoid.iter().any(|tag| hop.is_called(now, tag)) {
            return None;
        }
        find.cost = find.cost.saturating_add(hop.cost());
        // A question for a detour cannot wait.
        let is_blamed =
            find.hops.is_empty() && self.repute.blamed(now).any(|tag| hop.is_called(now, tag));
        if let Some(entry) = self.seen.get(now, &find.id) {
            if entry.heard.len() < limits::LINKS && !entry.heard.contains(&link) {
                entry.heard.push(link);
            }
            if entry.is_doubtful && !is_blamed && entry.onward.is_some() {
                (entry.ingress, entry.cost, entry.is_doubtful) = (link, find.cost, false);
                return Some(Copy::First);
            }
            let is_as_good = find.cost <= entry.cost.saturating_add(entry.cost / 2);
            let is_in_time = now < entry.since + limits::ANSWER_TIME;
            let is_answered = entry.given > 0;
            if is_answered && entry.given < limits::ANSWERS && is_in_time && is_as_good {
                self.answer(now, link, find);
            }
            return (!is_answered).then_some(Copy::Further);
        }
        let entry = Entry {
            is_doubtful: is_blamed,
            ingress: link,
            heard: [link].into(),
            cost: find.cost,
            since: now,
            onward: None,
            given: 0,
            passed: Vec::new(),
            is_led: false,
        };
        self.seen.insert(now, find.id, entry);
        let copy = if is_blamed { Copy::Doubtful } else { Copy::First };
        (!self.answer(now, link, find)).then_some(copy)
    }

    // spec: ROUTE-19
    fn plan_to_pass_on(&mut self, now: Time, mut find: Find, doubt: Duration) {
        if self.relaying == Relaying::Nothing {
            return;
        }
        let is_avoided = find.avoid.iter().any(|tag| self.is_mine(now, tag));
        #[cfg(feature = "hostile")]
        let is_avoided = is_avoided && !self.is_black_hole();
        let is_near = |tag| self.is_mine(now, tag) || self.hop_called(now, tag).is_some();
        // Each hop costs something: it ends even where nobody remembers having seen it.
        let is_lost = find.cost > ALONG_COST * (find.along.len() as u32 + 8);
        if !is_lost && find.along.iter().any(is_near) {
            find.hops_left = limits::ALONG_HOPS;
        }
        let (true, false) = (find.hops_left > 1, is_avoided) else { return };
        find.hops_left = find.hops_left.min(limits::PATH_HOPS as u8 + 1) - 1;
        let longest = if find.hops.is_empty() { limits::FIND_JITTER } else { SHORT_JITTER };
        let wait = self.rng.below(longest.as_micros() as u64);
        #[cfg(feature = "hostile")]
        let wait = if self.is_black_hole() { 0 } else { wait };
        let at = now + Duration::from_micros(wait) + doubt;
        if let Some(entry) = self.seen.get(now, &find.id) {
            entry.onward = Some((at, Box::new(find)));
        }
    }

    /// Answers a FIND that means this node or one of its neighbours; says whether it did.
    // spec: ROUTE-7
    fn answer(&mut self, now: Time, link: LinkId, find: &Find) -> bool {
        let Some(entry) = self.seen.get(now, &find.id) else { return false };
        let answer = entry.given;
        let found = if find.hops.is_empty() {
            let is_meant = |key: &&FindKey| tag(key, &find.id) == find.tag;
            let mut flows = self.flows.values().filter_map(|flow| flow.key.as_ref());
            let Some(key) = self.keys.keys().find(is_meant).or_else(|| flows.find(is_meant)) else {
                return false;
            };
            if let Some(size) = self.keys.get(key) {
                let has = |size| state(key, &find.id, size) == find.state;
                if has(*size) {
                    return false;
                }
                let lacks = (size.saturating_sub(BEHIND)..*size).any(has) || has(0);
                if !lacks && answer == 0 {
                    self.events.push_back(TrailEvent::Asked(*key));
                }
            }
            let proof = proof(key, &find.id, (answer, self.tag));
            let path = List::new(&[self.tag]);
            Found { id: find.id, answer, cost: find.cost, proof, path }
        } else {
            let Some(path) = self.way_to(now, link, find) else { return false };
            let (proof, path) = (self.rng.bytes(), List::new(&path));
            Found { id: find.id, answer, cost: find.cost, proof, path }
        };
        if let Some(entry) = self.seen.get(now, &find.id) {
            entry.given += 1;
        }
        if let Some(hop) = self.hops.get_mut(&link) {
            hop.say(found.into());
        }
        true
    }

    /// The hops from here to the furthest of those looked for, if this node or a neighbour is one.
    // spec: ROUTE-13, ROUTE-19
    fn way_to(&self, now: Time, ingress: LinkId, find: &Find) -> Option<Vec<HopTag>> {
        let beyond: Vec<HopTag> = find.hops.iter().collect();
        beyond.iter().rev().find_map(|tag| {
            if self.is_mine(now, *tag) {
                return Some([*tag].into());
            }
            if self.relaying == Relaying::Nothing {
                return None;
            }
            let near = self.hop_called(now, *tag).filter(|link| *link != ingress);
            near.map(|_| [self.tag, *tag].into())
        })
    }

    /// Takes an answer: to a question of this node's own, or to pass back.
    // spec: ROUTE-8
    pub(super) fn found_found(&mut self, now: Time, link: LinkId, mut found: Found) {
        let mut way: Vec<HopTag> = found.path.iter().collect();
        if way.is_empty() || way.len() >= limits::PATH_TAGS {
            return;
        }
        if let Some(detour) = self.detours.get_mut(&found.id) {
            return detour.answer(now, way);
        }
        // It need not lead over what lies before the furthest hop that is a neighbour.
        let near = way.iter().rposition(|tag| self.hop_called(now, *tag).is_some());
        way.drain(..near.unwrap_or(0));
        if let Some(at) = self.searches.iter().position(|search| search.id == found.id) {
            return self.found_own(now, (at, link), &found, way);
        }
        let Some(entry) = self.seen.get(now, &found.id) else { return };
        let is_enough = entry.passed.len() >= usize::from(limits::ANSWERS);
        if is_enough || entry.passed.contains(&found.proof) || way.contains(&self.tag) {
            return;
        }
        // After a while the way back may be gone where people walk: two are tried.
        let ways = if now < entry.since + FRESH { 1 } else { 2 };
        let others = entry.heard.iter().copied().filter(|other| *other != entry.ingress);
        let back = [entry.ingress].into_iter().chain(others);
        let back = back.filter(|back| self.hops.contains_key(back)).take(ways);
        let back: Vec<LinkId> = back.filter(|back| *back != link).collect();
        if !back.is_empty() {
            entry.passed.push(found.proof);
        }
        let path: Vec<HopTag> = [self.tag].into_iter().chain(way).collect();
        found.path = List::new(&path);
        for link in back {
            if let Some(hop) = self.hops.get_mut(&link) {
                hop.say(found.clone().into());
            }
        }
    }

    fn found_own(
        &mut self,
        now: Time,
        (at, over): (usize, LinkId),
        found: &Found,
        way: Vec<HopTag>,
    ) {
        let Some(search) = self.searches.get(at) else { return };
        let Some(last) = way.last().copied() else { return };
        // What neighbours share they know without a search, unless they hide it.
        let is_known = way.len() == 1 && !self.hidden.contains(&search.key);
        if (is_known && search.wanted == Wanted::Anybody)
            || proof(&search.key, &found.id, (found.answer, last)) != found.proof
        {
            return;
        }
        let hops: Vec<HopTag> = [self.tag].into_iter().chain(way).collect();
        // Who is to be avoided may answer all the same, and claim a low cost.
        let mut path = Path::new(hops, found.cost);
        path.cost = path.cost.saturating_add(self.repute.cost(path.relays()));
        let is_same = |flow: &&LinkId| {
            let path = self.flows.get(flow).and_then(Flow::path);
            path.is_some_and(|path| path.hops.last() == Some(&last))
        };
        let flow = match search.wanted {
            Wanted::Path(flow) => Some(flow),
            Wanted::Anybody => search.found.iter().find(is_same).copied(),
        };
        let is_enough = search.found.len() >= search.scope.sessions();
        let link = match flow {
            Some(link) => {
                if let Some(flow) = self.flows.get_mut(&link) {
                    if flow.path().is_none() {
                        self.events.push_back(TrailEvent::Mended(link));
                    }
                    flow.add(path);
                }
                link
            }
            None if is_enough || self.flows.len() >= limits::FLOWS => return,
            None => {
                let key = search.key;
                let name = flow_name(&key, self.rng.bytes());
                self.open(now, (name, key, Role::Initiator), path, over)
            }
        };
        if let Some(search) = self.searches.get_mut(at) {
            search.found(now, link);
        }
    }

    /// The key of those this node answers to by which somebody has named a flow.
    // spec: ROUTE-14
    pub(super) fn key_of(&self, name: &[u8; 8]) -> Option<FindKey> {
        let nonce = name.first_chunk().copied()?;
        self.keys.keys().find(|key| flow_name(key, nonce) == *name).copied()
    }

    /// A new flow along `path` with somebody who holds the key.
    pub(super) fn open(
        &mut self,
        now: Time,
        (name, key, role): ([u8; 8], FindKey, Role),
        path: Path,
        over: LinkId,
    ) -> LinkId {
        let link = LinkId(self.next_flow);
        self.next_flow += 1;
        // Who began looks for the other end, until there is a session.
        let finds = (role == Role::Initiator).then_some(key);
        self.flows.insert(link, Flow::new(now, name, path, finds));
        self.events.push_back(TrailEvent::Up { link, role, key, over });
        link
    }

    /// The neighbour that is called `tag` and can be given packets: the oldest link, so that who
    /// takes another's name gets nothing.
    // spec: ROUTE-3
    pub(super) fn hop_called(&self, now: Time, tag: HopTag) -> Option<LinkId> {
        let called = |hop: &super::Hop| hop.is_usable() && hop.is_called(now, tag);
        self.hops.iter().find(|(_, hop)| called(hop)).map(|(link, _)| *link)
    }
}

/// What a FIND along a path may cost for each of its relays.
const ALONG_COST: u32 = 500;
/// How long one neighbour is enough for an answer to go back to.
const FRESH: Duration = Duration::from_millis(500);
/// How long a question from a neighbour that was blamed waits for a copy from another.
const DOUBTFUL: Duration = Duration::from_millis(300);
/// Longest random wait of a question for a detour: packets wait for its answer.
const SHORT_JITTER: Duration = Duration::from_millis(10);
