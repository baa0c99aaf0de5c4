//! What goes along the way to an anchor: registrations, and questions, which it leads on to those
//! who have registered.

use alloc::vec::Vec;
use core::time::Duration;

use mesh_wire::codec::List;
use mesh_wire::message::routing::{Anchor, Find, Guided, Register, RouteMessage};
use mesh_wire::{FindKey, HopTag, LinkId, Time, limits};

use super::anchor::{Uplink, some_time};
use super::{Relaying, Trails, keys};

/// Registrations of one hour bear one tag.
const HOUR: u64 = 60 * 60 * 1000;
/// The longest time before a node registers with an anchor it has just heard of: not everybody at
/// once.
const FIRST: Duration = Duration::from_secs(15);
/// The same when it has reason to register again.
const AGAIN: Duration = Duration::from_secs(1);

impl Trails {
    // spec: ROUTE-20
    pub(crate) fn set_uplink(&mut self, now: Time, uplink: Uplink) {
        match uplink {
            Uplink::None => self.anchors.end(),
            Uplink::Works if self.anchors.is_one() => {}
            Uplink::Works => {
                let next = (!self.hops.is_empty()).then(|| some_time(now, &mut self.rng));
                self.anchors.begin(&mut self.rng, next);
                self.register_at = None;
            }
        }
    }

    /// Milliseconds since 1970, as far as this device knows.
    fn unix(&self, now: Time) -> u64 {
        self.clock.unix.0.saturating_add(now.since(self.clock.time).as_millis() as u64)
    }

    /// A neighbour tells of an anchor.
    // spec: ROUTE-21
    pub(super) fn anchor(&mut self, now: Time, link: LinkId, said: &Anchor) {
        let Some(hop) = self.hops.get_mut(&link) else { return };
        if !hop.finds.take(now) {
            return;
        }
        if said.hops == 0 {
            hop.is_anchor_until(now + limits::ANCHOR_LIFE);
        }
        self.anchors.hear(now, link, said, &mut self.rng);
        self.plan_to_register(now, FIRST);
    }

    /// If there are keys to register and an anchor to register with, that is done within `most`.
    pub(super) fn plan_to_register(&mut self, now: Time, most: Duration) {
        if self.registered_keys().next().is_none() || self.anchors.way_up(now).is_none() {
            self.register_at = None;
        } else if self.register_at.is_none_or(|at| now + most < at) {
            let wait = Duration::from_micros(self.rng.below(most.as_micros() as u64));
            self.register_at = Some(now + wait);
        }
    }

    /// The neighbour is gone over which this node registered, perhaps.
    pub(super) fn leave_anchor(&mut self, now: Time, link: LinkId) {
        self.anchors.link_down(link);
        if self.registered_over.take_if(|over| *over == link).is_some() {
            self.plan_to_register(now, AGAIN);
        }
    }

    /// The keys are not those that were registered.
    pub(super) fn keys_changed(&mut self, now: Time) {
        self.plan_to_register(now, AGAIN);
    }

    /// Says of anchors what is due, and registers.
    pub(super) fn tick_anchors(&mut self, now: Time) {
        for (anchor, told) in self.anchors.due(now) {
            if self.relaying == Relaying::Nothing && !self.anchors.is_one() {
                continue;
            }
            let others = self.hops.iter_mut().filter(|(link, _)| !told.contains(link));
            others.for_each(|(_, hop)| hop.say(anchor.clone().into()));
        }
        if self.register_at.is_some_and(|at| at <= now) {
            self.register_at = None;
            self.register(now);
        }
    }

    /// What this node may be looked for by.
    fn registered_keys(&self) -> impl Iterator<Item = &FindKey> {
        self.keys.keys().chain(self.flows.values().filter_map(|flow| flow.key.as_ref()))
    }

    // spec: ROUTE-23
    fn register(&mut self, now: Time) {
        let Some(link) = self.anchors.way_up(now) else { return };
        let hour = self.unix(now) / HOUR;
        let tags: Vec<_> =
            self.registered_keys().map(|key| keys::registration(key, hour)).collect();
        if tags.is_empty() {
            return;
        }
        let register = Register { path: List::new(&[self.tag]), tags: List::new(&tags) };
        self.say(link, register);
        self.registered_over = Some(link);
        let spread = Duration::from_micros(self.rng.below(FIRST.as_micros() as u64));
        self.register_at = Some(now + (limits::REGISTER_EVERY - spread));
    }

    fn say(&mut self, link: LinkId, message: impl Into<RouteMessage>) {
        if let Some(hop) = self.hops.get_mut(&link) {
            hop.say(message.into());
        }
    }

    /// Somebody registers, here or with an anchor behind this node.
    // spec: ROUTE-23
    pub(super) fn registers(&mut self, now: Time, link: LinkId, mut said: Register) {
        let path: Vec<HopTag> = said.path.iter().collect();
        let in_circles = path.iter().any(|tag| self.is_mine(now, *tag));
        let may = self.hops.get_mut(&link).is_some_and(|hop| hop.finds.take(now));
        if !may || path.is_empty() || in_circles {
            return;
        }
        if self.anchors.is_one() {
            return self.anchors.register(now, link, said);
        }
        let up = self.anchors.way_up(now).filter(|up| *up != link);
        if let Some(up) = up.filter(|_| self.relaying == Relaying::All)
            && path.len() < limits::ANCHOR_HOPS
        {
            let path: Vec<HopTag> = [self.tag].into_iter().chain(path).collect();
            said.path = List::new(&path);
            self.say(up, said);
        }
    }

    /// Whether there is an anchor to ask.
    pub(super) fn can_be_led(&self, now: Time) -> bool {
        self.anchors.is_one() || self.anchors.way_up(now).is_some()
    }

    /// Asks the next anchor, too.
    // spec: ROUTE-24
    pub(super) fn lead(&mut self, now: Time, key: &FindKey, find: Find) {
        // The clock of who has registered may be half an hour off.
        let hour = (self.unix(now) + HOUR / 2) / HOUR;
        let tags = [hour, hour.saturating_sub(1)].map(|hour| keys::registration(key, hour));
        let hops_left = limits::PATH_HOPS as u8;
        let find = Find { hops_left, ..find };
        self.lead_up(now, None, Guided { find, tags: List::new(&tags), way: List::default() });
    }

    /// Takes a question that an anchor leads, or will lead.
    // spec: ROUTE-24
    pub(super) fn guided(&mut self, now: Time, link: LinkId, mut guided: Guided) {
        let find = &mut guided.find;
        if !find.hops.is_empty() || self.take_find(now, link, find).is_none() {
            return;
        }
        let is_avoided = find.avoid.iter().any(|tag| self.is_mine(now, tag));
        if self.relaying == Relaying::Nothing || is_avoided || find.hops_left <= 1 {
            return;
        }
        find.hops_left -= 1;
        let way: Vec<HopTag> = guided.way.iter().collect();
        match way.split_first() {
            None => {
                if let Some(entry) = self.seen.get(now, &guided.find.id)
                    && !core::mem::replace(&mut entry.is_led, true)
                {
                    self.lead_up(now, Some(link), guided);
                }
            }
            Some((first, rest)) if self.is_mine(now, *first) => {
                self.lead_down(now, (Some(link), rest), &guided.find);
            }
            Some(_) => {}
        }
    }

    /// A question goes to the next anchor; if this is one, to those who have registered here, and
    /// to the anchors that are neighbours.
    // spec: ROUTE-24
    fn lead_up(&mut self, now: Time, from: Option<LinkId>, guided: Guided) {
        if !self.anchors.is_one() {
            if let Some(up) = self.anchors.way_up(now).filter(|up| Some(*up) != from) {
                self.say(up, guided);
            }
            return;
        }
        let tags: Vec<_> = guided.tags.iter().collect();
        for path in self.anchors.registered(now, &tags) {
            self.lead_down(now, (None, &path), &guided.find);
        }
        let peers =
            self.hops.iter_mut().filter(|(link, hop)| Some(**link) != from && hop.is_anchor(now));
        peers.for_each(|(_, hop)| hop.say(guided.clone().into()));
    }

    /// A question goes to the furthest of these hops that is a neighbour.
    fn lead_down(&mut self, now: Time, (from, way): (Option<LinkId>, &[HopTag]), find: &Find) {
        let hops = way.iter().enumerate().rev();
        let mut near = hops.filter_map(|(at, tag)| Some((at, self.hop_called(now, *tag)?)));
        if let Some((at, link)) = near.next()
            && Some(link) != from
        {
            let way = List::new(way.get(at..).unwrap_or_default());
            self.say(link, Guided { find: find.clone(), tags: List::default(), way });
        }
    }
}
