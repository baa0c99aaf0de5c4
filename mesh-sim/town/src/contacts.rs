//! Which links there are, second by second: they form by chance between those in range, and break
//! without a word.

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_wire::{Rng, Time};

use crate::chance::Chance;
use crate::graph::Graph;
use crate::place::Crowd;
use crate::plan::{Happening, Medium, PlannedLink, second};
use crate::scenario::Scenario;

/// Chance per second that two in range, with room for one more link, begin one.
const FORMING: f64 = 0.3;
/// In the first seconds everybody who can does.
const RUSH: u64 = 3;
/// Time from the break of a link until its ends know, in seconds.
const SILENCE: (f64, f64) = (2.0, 5.0);
/// Chance per second that a node which is switched off comes back.
const RETURN: f64 = 1.0 / 30.0;
/// Links to other gateways that one keeps over the Internet.
const INTERNET_LINKS: usize = 8;

/// The links of a town.
pub(crate) struct Contacts {
    crowd: Crowd,
    rng: Rng,
    /// What carries something now.
    pub(crate) graph: Graph,
    /// Which nodes are switched on.
    pub(crate) on: Vec<bool>,
    /// Radio links that carry something, by their number.
    live: Vec<usize>,
    /// Places taken, also by links that are broken when nobody has noticed yet.
    taken: Vec<usize>,
    /// Pairs that have or think they have a link.
    pairs: BTreeSet<(usize, usize)>,
    /// Links that are broken, and from when on their ends know.
    fading: Vec<(Time, usize)>,
    most: usize,
    /// Who was in range when somebody moved last.
    in_range: Vec<(usize, usize)>,
}

impl Contacts {
    pub(crate) fn new(scenario: &Scenario, mut rng: Rng) -> Self {
        let crowd = Crowd::new(scenario, &mut rng);
        Self {
            most: if crowd.is_bounded() { scenario.radio.links } else { usize::MAX },
            in_range: crowd.in_range(),
            crowd,
            rng,
            graph: Graph::new(scenario.people),
            on: vec![true; scenario.people],
            live: Vec::new(),
            taken: vec![0; scenario.people],
            pairs: BTreeSet::new(),
            fading: Vec::new(),
        }
    }

    /// Who is where.
    pub(crate) fn crowd(&self) -> &Crowd {
        &self.crowd
    }

    /// Links those who have an uplink.
    pub(crate) fn connect_gateways(
        &mut self,
        gateways: &[usize],
        links: &mut Vec<PlannedLink>,
    ) -> Vec<Happening> {
        let mut formed = Vec::new();
        for (place, a) in gateways.iter().enumerate() {
            for b in gateways.iter().skip(place + 1).take(INTERNET_LINKS) {
                formed.push(Happening::Link(links.len()));
                let ends = (*a, *b);
                links.push(PlannedLink { ends, medium: Medium::Internet, repeated: 0.0 });
                self.graph.link(*a, *b);
            }
        }
        formed
    }

    /// What happens to links in this second.
    pub(crate) fn step(
        &mut self,
        at: u64,
        scenario: &Scenario,
        links: &mut Vec<PlannedLink>,
    ) -> Vec<Happening> {
        let split = scenario.trouble.split;
        let split = split.is_some_and(|split| (split.at..split.heal).contains(&at));
        if self.crowd.moves() || split != self.crowd.split {
            self.crowd.split = split;
            self.crowd.step(at, &mut self.rng);
            self.in_range = self.crowd.in_range();
        }
        self.switch(at, scenario);
        self.forget(second(at), links);
        let mut happenings = self.break_links(at, links);
        happenings.extend(self.form_links(at, scenario, links));
        happenings
    }

    /// Switches nodes off and on.
    fn switch(&mut self, at: u64, scenario: &Scenario) {
        let trouble = &scenario.trouble;
        if trouble.churn_per_minute > 0.0 && at > scenario.warm_up / 2 {
            for on in &mut self.on {
                let chance = if *on { trouble.churn_per_minute / 60.0 } else { RETURN };
                *on ^= self.rng.happens(chance);
            }
        }
        if let Some(kill) = trouble.kill.filter(|kill| kill.at == at) {
            let count = (self.on.len() as f64 * kill.share).ceil() as usize;
            for node in self.rng.some(count, self.on.len()) {
                self.on[node] = false;
            }
        }
    }

    /// Gives back the places of links whose ends know by now that they are broken.
    fn forget(&mut self, now: Time, links: &[PlannedLink]) {
        let (pairs, taken) = (&mut self.pairs, &mut self.taken);
        self.fading.retain(|(known_at, link)| {
            let (a, b) = links[*link].ends;
            let is_known = *known_at <= now;
            if is_known {
                pairs.remove(&(a.min(b), a.max(b)));
                taken[a] -= 1;
                taken[b] -= 1;
            }
            !is_known
        });
    }

    fn break_links(&mut self, at: u64, links: &[PlannedLink]) -> Vec<Happening> {
        let mut broken = Vec::new();
        let live = std::mem::take(&mut self.live);
        for link in live {
            let (a, b) = links[link].ends;
            if self.on[a] && self.on[b] && self.crowd.holds(a, b) {
                self.live.push(link);
                continue;
            }
            let silence = Duration::from_secs_f64(self.rng.between(SILENCE.0, SILENCE.1));
            self.graph.cut(a, b);
            self.fading.push((second(at) + silence, link));
            broken.push(Happening::Fade(link, silence));
        }
        broken
    }

    fn form_links(
        &mut self,
        at: u64,
        scenario: &Scenario,
        links: &mut Vec<PlannedLink>,
    ) -> Vec<Happening> {
        let mut formed = Vec::new();
        let mut pairs = self.in_range.clone();
        self.rng.shuffle(&mut pairs);
        let chance = if at < RUSH { 1.0 } else { FORMING };
        for (a, b) in pairs {
            let can = self.on[a] && self.on[b] && !self.pairs.contains(&(a, b));
            let has_room = self.taken[a] < self.most && self.taken[b] < self.most;
            if can && has_room && self.rng.happens(chance) {
                let ends = if self.rng.happens(0.5) { (a, b) } else { (b, a) };
                let repeated = self.rng.between(0.0, scenario.radio.repeated);
                self.pairs.insert((a, b));
                self.taken[a] += 1;
                self.taken[b] += 1;
                self.graph.link(a, b);
                self.live.push(links.len());
                formed.push(Happening::Link(links.len()));
                links.push(PlannedLink { ends, medium: Medium::Radio, repeated });
            }
        }
        formed
    }
}
