//! A plan: all that happens in a town whatever its devices do. It follows from the scenario and
//! the seed, so that every subject meets the same links and the same messages.

use std::time::Duration;

use mesh_wire::Time;

use crate::chance::Chance;
use crate::contacts::Contacts;
use crate::load::Talk;
use crate::place::Spot;
use crate::scenario::Scenario;

/// What arrives later than so many seconds after the end of the scenario does not count.
pub(crate) const PATIENCE: u64 = 20;
/// Seconds between two pictures of a town whose people move.
pub(crate) const PICTURE_EVERY: u64 = 2;

/// All that happens in a town whatever its devices do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it was made from.
    pub scenario: Scenario,
    /// And with which luck.
    pub seed: u64,
    /// Who is a black hole.
    pub(crate) black_holes: Vec<usize>,
    /// Who floods.
    pub(crate) flooders: Vec<usize>,
    /// Who has an uplink.
    pub(crate) gateways: Vec<usize>,
    /// By how many milliseconds every clock is ahead.
    pub(crate) skews: Vec<i64>,
    /// The links, by number.
    pub(crate) links: Vec<PlannedLink>,
    /// Who will say something to whom, each pair once.
    pub(crate) ties: Vec<(usize, Vec<usize>)>,
    /// The messages, by number.
    pub(crate) messages: Vec<PlannedMessage>,
    /// What happens, in order.
    pub(crate) happenings: Vec<(Time, Happening)>,
    /// Where everybody is, every [`PICTURE_EVERY`] seconds; one picture if nobody moves.
    pub(crate) pictures: Vec<Vec<Spot>>,
}

/// A link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedLink {
    /// Its ends; the first one dials.
    pub(crate) ends: (usize, usize),
    pub(crate) medium: Medium,
    /// Share of transmissions that the radio repeats.
    pub(crate) repeated: f64,
}

/// What carries a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Medium {
    Radio,
    Internet,
}

/// A message.
#[derive(Clone, Debug)]
pub(crate) struct PlannedMessage {
    pub(crate) at: Time,
    pub(crate) from: usize,
    pub(crate) to: Vec<Recipient>,
    pub(crate) bytes: usize,
}

/// Who is to get a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipient {
    pub(crate) node: usize,
    /// The links of the shortest way when it is sent; `None` if there is none, also none around
    /// black holes.
    pub(crate) distance: Option<u32>,
}

/// Something that happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happening {
    /// The link with this number forms.
    Link(usize),
    /// It breaks; its ends know after this time.
    Fade(usize, Duration),
    /// The message with this number is sent.
    Say(usize),
}

/// The time `seconds` after the start.
pub(crate) const fn second(seconds: u64) -> Time {
    Time(seconds * 1_000_000)
}

impl Plan {
    /// What will happen with this seed.
    #[must_use]
    pub fn new(scenario: &Scenario, seed: u64) -> Self {
        let rng = mesh_sim::seed::rng(seed).fork("town");
        let people = scenario.people;
        let mut roles = rng.fork("roles").some(people, people).into_iter();
        let mut take = |count: usize| roles.by_ref().take(count).collect::<Vec<_>>();
        let trouble = &scenario.trouble;
        let gateways = take(scenario.uplinks);
        let black_holes = take((people as f64 * trouble.black_holes).round() as usize);
        let flooders = take(trouble.flooders);
        let mut clocks = rng.fork("clocks");
        let off = trouble.clocks_off as i64 * 1000;
        let skews = (0..people).map(|_| clocks.below(2 * off as u64 + 1) as i64 - off).collect();
        let mut plan = Self {
            scenario: scenario.clone(),
            seed,
            black_holes,
            flooders,
            gateways,
            skews,
            links: Vec::new(),
            ties: Vec::new(),
            messages: Vec::new(),
            happenings: Vec::new(),
            pictures: Vec::new(),
        };
        let contacts = Contacts::new(scenario, rng.fork("contacts"));
        plan.live(contacts, &rng);
        plan
    }

    fn live(&mut self, mut contacts: Contacts, rng: &mesh_wire::Rng) {
        let mut talk = Talk::new(self, rng.fork("talk"));
        let gateways = contacts.connect_gateways(&self.gateways, &mut self.links);
        self.happenings.extend(gateways.into_iter().map(|link| (Time(0), link)));
        for at in 0..self.length() {
            let scenario = &self.scenario;
            let happenings = contacts.step(at, scenario, &mut self.links);
            self.happenings.extend(happenings.into_iter().map(|link| (second(at), link)));
            if at.is_multiple_of(PICTURE_EVERY) && (contacts.crowd().moves() || at == 0) {
                self.pictures.push(contacts.crowd().picture());
            }
            for message in talk.second(at, &contacts) {
                self.happenings.push((message.at, Happening::Say(self.messages.len())));
                self.messages.push(message);
            }
        }
        self.ties = talk.ties();
    }

    /// From when until when things count.
    pub(crate) fn window(&self) -> (Time, Time) {
        (second(self.scenario.warm_up), second(self.scenario.seconds))
    }

    /// How many seconds a run lasts.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.scenario.seconds + PATIENCE
    }

    /// How many seconds count.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        (self.scenario.seconds - self.scenario.warm_up) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Place;

    fn plan(place: &str, people: usize, rest: &str) -> Plan {
        let head = format!("row = 'T'\ntitle = 'A test'\npeople = {people}\n");
        let text = format!("{head}place = {{ {place} }}\n{rest}");
        Plan::new(&Scenario::parse("test", &text).unwrap(), 1)
    }

    fn breaks(plan: &Plan) -> usize {
        let is_break = |(_, what): &&(Time, Happening)| matches!(what, Happening::Fade(..));
        plan.happenings.iter().filter(is_break).count()
    }

    /// Who is linked with how many others, at most, at any time, also by links that are broken
    /// and whose ends do not know.
    fn most_links(plan: &Plan) -> usize {
        let mut changes: Vec<(Time, usize, i64)> = Vec::new();
        for (at, what) in &plan.happenings {
            let (at, link, change) = match what {
                Happening::Link(link) => (*at, *link, 1),
                // Who learns of a break in the middle of a second has a place in the next one.
                Happening::Fade(link, silence) => (*at + *silence, *link, -1),
                Happening::Say(_) => continue,
            };
            let (a, b) = plan.links[link].ends;
            changes.extend([(at, a, change), (at, b, change)]);
        }
        changes.sort_by_key(|(at, node, change)| (*at, *node, *change));
        let mut links = vec![0; plan.scenario.people];
        let mut most = 0;
        for (_, node, change) in changes {
            links[node] += change;
            most = most.max(links[node]);
        }
        most as usize
    }

    #[test]
    fn links_break_as_often_as_people_walk() {
        // The town in which Trails was found: 4.9 breaks per node and minute at 1.4 m/s, 1.0 at
        // 0.3 m/s, of links and not of their ends.
        for (speed, low, high) in [(0.0, 0.0, 0.0), (0.3, 0.7, 1.3), (1.4, 4.0, 5.8)] {
            let plan = plan(&format!("kind = 'field', speed = {speed:?}"), 200, "");
            let minutes = plan.length() as f64 / 60.0;
            let per_node = breaks(&plan) as f64 / 200.0 / minutes;
            assert!((low..=high).contains(&per_node), "{speed} m/s: {per_node} a minute");
        }
    }

    #[test]
    fn nobody_has_more_links_than_a_radio_can_keep() {
        assert_eq!(most_links(&plan("kind = 'field', speed = 1.4", 200, "")), 7);
        assert_eq!(most_links(&plan("kind = 'subway', trains = 2", 200, "")), 7);
        assert_eq!(most_links(&plan("kind = 'line'", 50, "")), 2);
        assert_eq!(most_links(&plan("kind = 'grid'", 49, "")), 4);
        assert!(most_links(&plan("kind = 'power_law', links_each = 2", 200, "")) > 20, "a hub");
    }

    #[test]
    fn ends_learn_of_a_break_two_to_five_seconds_later() {
        let plan = plan("kind = 'field', speed = 1.4", 100, "");
        let silences = plan.happenings.iter().filter_map(|(_, what)| match what {
            Happening::Fade(_, silence) => Some(silence.as_secs_f64()),
            Happening::Link(_) | Happening::Say(_) => None,
        });
        let silences: Vec<f64> = silences.collect();
        assert!(silences.len() > 100);
        assert!(silences.iter().all(|silence| (2.0..=5.0).contains(silence)));
    }

    #[test]
    fn everybody_starts_a_chat_every_five_minutes_with_somebody_connected() {
        let plan = plan("kind = 'field', density = 20.0", 200, "");
        let chats = plan.messages.len() as f64 / 8.0;
        let expected = 200.0 * plan.seconds() / 300.0;
        assert!((0.8 * expected..1.2 * expected).contains(&chats), "{chats}, not {expected}");
        let connected = plan.messages.iter().filter(|message| message.to[0].distance.is_some());
        assert!(connected.count() * 100 > plan.messages.len() * 99, "nobody moves");
        let (begin, end) = plan.window();
        assert!(plan.messages.iter().all(|message| (begin..end).contains(&message.at)));
        for (from, to) in &plan.ties {
            assert!(!to.contains(from));
        }
    }

    #[test]
    fn a_wall_parts_the_town_and_the_dead_stay_dead() {
        let wall = "trouble = { split = { at = 100, heal = 160 } }";
        let split = plan("kind = 'field', density = 20.0", 200, wall);
        let formed = |from: u64, to: u64| {
            let new = |(at, what): &&(Time, Happening)| {
                matches!(what, Happening::Link(_)) && (second(from)..second(to)).contains(at)
            };
            split.happenings.iter().filter(new).count()
        };
        assert!(breaks(&split) > 10);
        assert!(formed(160, 190) > 5, "links form again where the wall was");
        let killed = "trouble = { kill = { at = 130, share = 0.1 } }";
        let killed = plan("kind = 'field', density = 20.0", 200, killed);
        assert!((20..=140).contains(&breaks(&killed)), "20 nodes with 1 to 7 links each");
    }

    #[test]
    fn black_holes_are_silent_and_ways_go_around_them() {
        let holes = "trouble = { black_holes = 0.3 }";
        let plan = plan("kind = 'field'", 200, holes);
        assert_eq!(plan.black_holes.len(), 60);
        let talks =
            |node: &usize| plan.ties.iter().any(|(from, to)| from == node || to.contains(node));
        assert!(!plan.black_holes.iter().any(talks));
        let far = plan.messages.iter().filter(|message| message.to[0].distance.is_none()).count();
        assert!(far > 0, "some can only reach each other through holes");
    }

    #[test]
    fn gateways_are_linked_whatever_the_distance() {
        let plan = plan("kind = 'field'", 100, "uplinks = 5");
        let internet = plan.links.iter().filter(|link| link.medium == Medium::Internet);
        assert_eq!(internet.count(), 10);
    }

    #[test]
    fn one_seed_is_one_plan() {
        let place = "kind = 'field', speed = 1.4";
        let text = |plan: Plan| format!("{:?}{:?}", plan.happenings, plan.messages);
        assert_eq!(text(plan(place, 50, "")), text(plan(place, 50, "")));
        let mut other = plan(place, 50, "").scenario;
        assert!(matches!(other.place, Place::Field { .. }));
        other.people = 51;
        assert_ne!(text(Plan::new(&other, 1)), text(Plan::new(&other, 2)));
    }
}
