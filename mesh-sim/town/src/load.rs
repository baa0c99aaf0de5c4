//! Who says what to whom, and when.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use mesh_wire::{Rng, Time};

use crate::chance::Chance;
use crate::contacts::Contacts;
use crate::plan::{Plan, PlannedMessage, Recipient, second};
use crate::scenario::Load;

/// Time between two messages of a chat, in seconds.
const GAP: (f64, f64) = (4.0, 9.0);
/// Friends of one who sends probes.
const PROBED: usize = 10;

/// The talk of a town.
pub(crate) struct Talk {
    load: Load,
    rng: Rng,
    window: (Time, Time),
    /// Who never says anything: black holes, flooders.
    quiet: BTreeSet<usize>,
    holes: BTreeSet<usize>,
    friends: Vec<Vec<usize>>,
    agenda: BinaryHeap<Reverse<(Time, Act)>>,
    ties: BTreeMap<usize, BTreeSet<usize>>,
    gathered: Vec<(usize, Vec<usize>)>,
}

/// Something somebody means to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    /// Begin a chat.
    Chat { from: usize },
    /// Say the next thing.
    Say { from: usize, to: usize, left: usize },
    /// Send one message to somebody.
    Probe,
    /// Publish to the subscribers.
    Publish,
}

impl Talk {
    pub(crate) fn new(plan: &Plan, mut rng: Rng) -> Self {
        let people = plan.scenario.people;
        let load = plan.scenario.load.clone();
        let holes: BTreeSet<usize> = plan.black_holes.iter().copied().collect();
        let quiet: BTreeSet<usize> = holes.iter().chain(&plan.flooders).copied().collect();
        let friends_of = |node: usize, count: usize, rng: &mut Rng| {
            let mut friends = rng.some(count + 1, people);
            friends.retain(|friend| *friend != node);
            friends.truncate(count);
            friends
        };
        let mut talk = Self {
            rng: rng.fork("when"),
            window: plan.window(),
            quiet,
            holes,
            friends: Vec::new(),
            agenda: BinaryHeap::new(),
            ties: BTreeMap::new(),
            gathered: Vec::new(),
            load: load.clone(),
        };
        let start = talk.window.0;
        match load {
            Load::Chats { friends, every, .. } => {
                for from in 0..people {
                    talk.friends.push(friends_of(from, friends, &mut rng));
                    talk.later(start, every, Act::Chat { from });
                }
            }
            Load::Probes { .. } => {
                talk.friends = (0..people).map(|node| friends_of(node, PROBED, &mut rng)).collect();
                talk.agenda.push(Reverse((start, Act::Probe)));
            }
            Load::Channel { subscribers, .. } => {
                let count = (people as f64 * subscribers).round() as usize;
                let mut chosen = rng.some(people, people);
                chosen.retain(|node| !talk.quiet.contains(node));
                let to = chosen.split_off(1.min(chosen.len())).into_iter().take(count).collect();
                talk.gathered = chosen.into_iter().map(|owner| (owner, Vec::clone(&to))).collect();
                talk.agenda.push(Reverse((start, Act::Publish)));
            }
            Load::Silence => {}
        }
        talk
    }

    /// What is said in this second.
    pub(crate) fn second(&mut self, at: u64, contacts: &Contacts) -> Vec<PlannedMessage> {
        let mut said = Vec::new();
        while let Some(Reverse((time, act))) = self.agenda.pop() {
            if time >= second(at + 1) {
                self.agenda.push(Reverse((time, act)));
                break;
            }
            if time < self.window.1 {
                said.extend(self.act(time, act, contacts));
            }
        }
        said
    }

    /// Who has said something to whom.
    pub(crate) fn ties(self) -> Vec<(usize, Vec<usize>)> {
        let pairs =
            |(from, to): (usize, BTreeSet<usize>)| to.into_iter().map(move |to| (from, vec![to]));
        self.ties.into_iter().flat_map(pairs).chain(self.gathered).collect()
    }

    fn act(&mut self, now: Time, act: Act, contacts: &Contacts) -> Option<PlannedMessage> {
        match (act, self.load.clone()) {
            (Act::Chat { from }, Load::Chats { every, messages, .. }) => {
                self.later(now, every, act);
                if contacts.on[from] && !self.quiet.contains(&from) {
                    let to = self.partner(from, contacts)?;
                    return self.act(now, Act::Say { from, to, left: messages }, contacts);
                }
                None
            }
            (Act::Say { from, to, left }, Load::Chats { bytes, .. }) => {
                if left > 1 {
                    let gap = Duration::from_secs_f64(self.rng.between(GAP.0, GAP.1));
                    let reply = Act::Say { from: to, to: from, left: left - 1 };
                    self.agenda.push(Reverse((now + gap, reply)));
                }
                contacts.on[from].then(|| self.message((now, bytes), from, &[to], contacts))
            }
            (Act::Probe, Load::Probes { per_second, bytes }) => {
                let gap = Duration::from_micros(1_000_000 / per_second.max(1));
                self.agenda.push(Reverse((now + gap, act)));
                let from = self.rng.place(self.friends.len());
                if !contacts.on[from] || self.quiet.contains(&from) {
                    return None;
                }
                let to = self.partner(from, contacts)?;
                Some(self.message((now, bytes), from, &[to], contacts))
            }
            (Act::Publish, Load::Channel { every, bytes, .. }) => {
                self.agenda.push(Reverse((now + Duration::from_secs_f64(every), act)));
                if now == self.window.0 {
                    self.choose_publisher(contacts);
                }
                let (owner, to) = self.gathered.first()?.clone();
                Some(self.message((now, bytes), owner, &to, contacts))
            }
            (Act::Chat { .. } | Act::Say { .. } | Act::Probe | Act::Publish, _) => None,
        }
    }

    /// Somebody who can reach most of the others publishes.
    fn choose_publisher(&mut self, contacts: &Contacts) {
        for (owner, to) in &mut self.gathered {
            let reaches_most = |from: usize, others: &[usize]| {
                let distances = contacts.graph.distances(from, |_| true);
                others.iter().filter(|node| distances[**node].is_some()).count() * 2 > others.len()
            };
            if !reaches_most(*owner, to)
                && let Some(place) = to.iter().position(|node| reaches_most(*node, to))
            {
                std::mem::swap(owner, &mut to[place]);
            }
        }
    }

    /// A friend that is connected, or else anybody who is.
    fn partner(&mut self, from: usize, contacts: &Contacts) -> Option<usize> {
        let distances = contacts.graph.distances(from, |_| true);
        let is_there = |node: &usize| {
            *node != from && distances[*node].is_some() && !self.quiet.contains(node)
        };
        let mut there: Vec<usize> = self.friends[from].iter().copied().filter(is_there).collect();
        if there.is_empty() {
            there = (0..distances.len()).filter(is_there).collect();
        }
        (!there.is_empty()).then(|| there[self.rng.place(there.len())])
    }

    fn message(
        &mut self,
        (at, bytes): (Time, usize),
        from: usize,
        to: &[usize],
        contacts: &Contacts,
    ) -> PlannedMessage {
        let distances = contacts.graph.distances(from, |node| !self.holes.contains(&node));
        let is_gathered = !self.gathered.is_empty();
        if !is_gathered {
            self.ties.entry(from).or_default().extend(to);
        }
        let recipient = |node: &usize| Recipient { node: *node, distance: distances[*node] };
        PlannedMessage { at, from, to: to.iter().map(recipient).collect(), bytes }
    }

    fn later(&mut self, now: Time, mean: f64, act: Act) {
        let wait = Duration::from_micros((self.rng.wait(mean) * 1e6) as u64);
        self.agenda.push(Reverse((now + wait, act)));
    }
}
