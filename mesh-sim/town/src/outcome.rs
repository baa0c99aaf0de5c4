//! What came of a run: the figures, and what a picture of it needs.

use std::collections::BTreeMap;

use mesh_wire::Time;
use serde::Serialize;

use crate::log::{Arrival, Log, Sample};
use crate::measure::Measure;
use crate::plan::{Plan, PlannedMessage, Recipient};
use crate::scenario::Load;
use crate::subject::{Class, Kind, Ledger, Sent};

/// A message is in time, and is late after this.
const SOON: f64 = 2.5;
const LATE: f64 = 15.0;
/// Width of the bins of delivery over time, in seconds, and how many messages one needs to count.
const BIN: u64 = 2;
const BIN_MESSAGES: usize = 5;

/// What came of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The scenario.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// The figures of merit that make sense here.
    pub values: BTreeMap<Measure, f64>,
    /// Messages that count: their ends were connected when they were sent.
    pub messages: usize,
    /// Bytes per node and second by kind, the largest class first.
    pub kinds: Vec<KindRate>,
    /// Bytes per node and second by kind, over time.
    pub rates: Vec<Rate>,
    /// Delivery over time.
    pub bins: Vec<Bin>,
    /// What became of every message that counts, for each who was to get it.
    #[serde(skip)]
    pub fates: Vec<Fate>,
    /// Nodes that were to be bad and that the subject could not turn bad.
    pub honest: usize,
    /// The life of the town in one hash: equal lives have equal ones.
    pub trace: String,
}

/// What one kind of message costs.
#[derive(Clone, Debug, Serialize)]
pub struct KindRate {
    /// What it is for.
    pub class: Class,
    /// Its name.
    pub name: &'static str,
    /// Bytes per node and second.
    pub bytes: f64,
    /// Messages per node and second; 0 if nobody counted.
    pub messages: f64,
}

/// What was sent around some time.
#[derive(Clone, Debug, Serialize)]
pub struct Rate {
    /// The end of that time, in seconds.
    pub at: f64,
    /// Bytes per node and second, in the order of [`Outcome::kinds`].
    pub bytes: Vec<f64>,
}

/// What was sent in two seconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Bin {
    /// When they begin.
    pub at: u64,
    /// Messages sent then that count.
    pub sent: usize,
    /// Those that arrived within 2.5 s.
    pub soon: usize,
}

/// What became of a message.
#[derive(Clone, Copy, Debug)]
pub struct Fate {
    /// When it was sent, in seconds.
    pub at: f64,
    /// By whom.
    pub from: usize,
    /// To whom.
    pub to: usize,
    /// How long it took, in seconds; `None` if it did not arrive.
    pub took: Option<f64>,
    /// Over how many links it came.
    pub hops: Option<u32>,
    /// How many links it needed.
    pub distance: u32,
    /// How often it came again.
    pub again: u32,
}

impl Outcome {
    pub(crate) fn new(plan: &Plan, log: &Log) -> Self {
        let fates = fates(plan, log);
        let bins = bins(plan, &fates);
        let (kinds, rates) = rates(plan, log);
        let mut outcome = Self {
            scenario: plan.scenario.name.clone(),
            seed: plan.seed,
            values: BTreeMap::new(),
            messages: fates.len(),
            kinds,
            rates,
            bins,
            fates,
            honest: log.honest,
            trace: log.trace.to_string(),
        };
        outcome.values.extend(delivery(&outcome.fates));
        outcome.values.extend(price(plan, log, &outcome));
        if matches!(plan.scenario.load, Load::Probes { .. }) {
            outcome.values.extend(outages(&outcome.bins));
        }
        if matches!(plan.scenario.load, Load::Channel { .. }) {
            // What is published comes from the nearest who has it.
            outcome.values.remove(&Measure::Stretch);
        }
        outcome
    }
}

/// What became of every message whose ends were connected.
fn fates(plan: &Plan, log: &Log) -> Vec<Fate> {
    let fate = |number: usize, message: &PlannedMessage, to: &Recipient| {
        let arrival = log.arrivals.get(&(number as u64, to.node));
        let took = |arrival: &Arrival| arrival.at.since(message.at).as_secs_f64();
        Some(Fate {
            at: seconds(message.at),
            from: message.from,
            to: to.node,
            took: arrival.map(took),
            hops: arrival.and_then(|arrival| arrival.hops),
            distance: to.distance?,
            again: arrival.map_or(0, |arrival| arrival.again),
        })
    };
    let numbered = plan.messages.iter().enumerate();
    let of_message = |(number, message): (usize, &PlannedMessage)| {
        message.to.iter().filter_map(|to| fate(number, message, to)).collect::<Vec<_>>()
    };
    numbered.flat_map(of_message).collect()
}

fn delivery(fates: &[Fate]) -> Vec<(Measure, f64)> {
    if fates.is_empty() {
        return Vec::new();
    }
    let within = |limit: f64| {
        let soon = fates.iter().filter(|fate| fate.took.is_some_and(|took| took <= limit));
        soon.count() as f64 / fates.len() as f64
    };
    let mut values = vec![(Measure::D15, within(LATE)), (Measure::D2_5, within(SOON))];
    let mut took: Vec<f64> = fates.iter().filter_map(|fate| fate.took).collect();
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took.get(((took.len().max(1) - 1) as f64 * share) as usize).copied();
    values.extend(at(0.5).map(|median| (Measure::Median, median)));
    values.extend(at(0.95).map(|late| (Measure::Late, late)));
    let stretches = fates.iter().filter(|fate| fate.distance > 0);
    let stretches =
        stretches.filter_map(|fate| Some(f64::from(fate.hops?) / f64::from(fate.distance)));
    let stretches: Vec<f64> = stretches.collect();
    if !stretches.is_empty() {
        values.push((Measure::Stretch, mean(&stretches)));
    }
    if !took.is_empty() {
        let again: u32 = fates.iter().map(|fate| fate.again).sum();
        values.push((Measure::Duplicates, f64::from(again) / took.len() as f64));
    }
    values
}

/// What was sent in the time that counts.
fn price(plan: &Plan, log: &Log, outcome: &Outcome) -> Vec<(Measure, f64)> {
    let Some((first, last)) = window(plan, log) else { return Vec::new() };
    let of = |class: Class| {
        outcome
            .kinds
            .iter()
            .filter(|kind| kind.class == class)
            .map(|kind| kind.bytes)
            .fold(0.0, |a, b| a + b)
    };
    let (control, content, link) = (of(Class::Routing), of(Class::Content), of(Class::Link));
    let busiest = last.nodes.iter().zip(&first.nodes).map(|(now, then)| now - then);
    let memory = log.samples.iter().map(|sample| sample.memory).max().unwrap_or(0);
    let mut values = vec![
        (Measure::Control, control),
        (Measure::Content, content),
        (Measure::Link, link),
        (Measure::Total, control + content),
        (Measure::Busiest, busiest.fold(0.0, f64::max) / plan.seconds()),
        (Measure::Memory, memory as f64),
    ];
    let arrived = outcome.fates.iter().filter(|fate| fate.took.is_some()).count();
    if arrived > 0 {
        values.push((Measure::Airtime, (last.airtime - first.airtime) / arrived as f64));
    }
    if let Load::Channel { bytes, .. } = plan.scenario.load {
        let objects = plan.messages.len() * bytes;
        let total = content * plan.scenario.people as f64 * plan.seconds();
        values.push((Measure::Sends, total / objects as f64));
    }
    values
}

/// The samples at the beginning and at the end of the time that counts.
fn window<'a>(plan: &Plan, log: &'a Log) -> Option<(&'a Sample, &'a Sample)> {
    let (begin, end) = plan.window();
    let at = |time: Time| log.samples.iter().find(|sample| sample.at >= time);
    Some((at(begin)?, at(end)?))
}

/// Bytes per node and second by kind, in all the time that counts and over time.
fn rates(plan: &Plan, log: &Log) -> (Vec<KindRate>, Vec<Rate>) {
    let Some((first, last)) = window(plan, log) else { return Default::default() };
    let people = plan.scenario.people as f64;
    let all = Flow::between(first, last);
    let kinds: Vec<KindRate> = all
        .sent
        .0
        .iter()
        .map(|(kind, sent)| KindRate {
            class: kind.class,
            name: kind.name,
            bytes: all.on_air(*kind) / people / all.seconds,
            messages: sent.messages as f64 / people / all.seconds,
        })
        .collect();
    let over_time = log.samples.windows(2).map(|pair| {
        let flow = Flow::between(&pair[0], &pair[1]);
        let bytes = all.sent.0.keys().map(|kind| flow.on_air(*kind) / people / flow.seconds);
        Rate { at: seconds(pair[1].at), bytes: bytes.collect() }
    });
    let over_time = over_time.collect();
    (kinds, over_time)
}

/// What was sent between two samples.
struct Flow {
    sent: Ledger,
    /// What a message cost on the air beside its own bytes: what frames and their seals, padding
    /// and handshakes took, in equal shares.
    extra: f64,
    seconds: f64,
}

impl Flow {
    fn between(from: &Sample, to: &Sample) -> Self {
        let sent = to.sent.since(&from.sent);
        let sum = |part: fn(&Sent) -> u64| sent.0.values().map(part).sum::<u64>() as f64;
        let extra = (to.bytes - from.bytes) as f64 - sum(|sent| sent.bytes);
        let extra = extra / sum(|sent| sent.messages).max(1.0);
        Self { sent, extra, seconds: to.at.since(from.at).as_secs_f64().max(1.0) }
    }

    fn on_air(&self, kind: Kind) -> f64 {
        let sent = self.sent.0.get(&kind).copied().unwrap_or_default();
        sent.bytes as f64 + sent.messages as f64 * self.extra
    }
}

fn bins(plan: &Plan, fates: &[Fate]) -> Vec<Bin> {
    let (begin, end) = (plan.scenario.warm_up, plan.scenario.seconds);
    let mut bins: Vec<Bin> =
        (begin..end).step_by(BIN as usize).map(|at| Bin { at, sent: 0, soon: 0 }).collect();
    for fate in fates {
        let place = (fate.at as u64).saturating_sub(begin) / BIN;
        if let Some(bin) = bins.get_mut(place as usize) {
            bin.sent += 1;
            bin.soon += usize::from(fate.took.is_some_and(|took| took <= SOON));
        }
    }
    bins
}

fn outages(bins: &[Bin]) -> Vec<(Measure, f64)> {
    let full: Vec<&Bin> = bins.iter().filter(|bin| bin.sent >= BIN_MESSAGES).collect();
    let worst = full.iter().map(|bin| bin.soon as f64 / bin.sent as f64).reduce(f64::min);
    let (mut longest, mut run) = (0, 0);
    for bin in full {
        run = if bin.soon < bin.sent { run + BIN } else { 0 };
        longest = longest.max(run);
    }
    let worst = worst.map(|worst| (Measure::WorstBin, worst));
    worst.into_iter().chain([(Measure::Outage, longest as f64)]).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn seconds(time: Time) -> f64 {
    time.0 as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::second;
    use crate::scenario::Scenario;

    const FIND: Kind = Kind { class: Class::Routing, name: "Find" };
    const PACKET: Kind = Kind { class: Class::Content, name: "Packet" };
    const PING: Kind = Kind { class: Class::Link, name: "Ping" };

    /// Ten people in a chain, from second 10 to 20, and nothing of what chance would say.
    fn plan(load: &str, messages: &[(u64, usize, Option<u32>)]) -> Plan {
        let head = "row = 'T'\ntitle = 'By hand'\npeople = 10\nwarm_up = 10\nseconds = 20\n";
        let text = format!("{head}place = {{ kind = 'line' }}\nload = {{ {load} }}");
        let mut plan = Plan::new(&Scenario::parse("hand", &text).unwrap(), 1);
        plan.messages = messages
            .iter()
            .map(|(at, node, distance)| PlannedMessage {
                at: second(*at),
                from: 0,
                to: vec![Recipient { node: *node, distance: *distance }],
                bytes: 200,
            })
            .collect();
        plan
    }

    const PROBES: &str = "kind = 'probes', per_second = 1, bytes = 200";

    fn arrival(millis: u64, hops: Option<u32>) -> Arrival {
        Arrival { at: Time(millis * 1000), hops, again: 0 }
    }

    fn sample(at: u64, kinds: &[(Kind, u64, u64)], bytes: u64) -> Sample {
        let sent = |(kind, messages, bytes): &(Kind, u64, u64)| {
            (*kind, Sent { messages: *messages, bytes: *bytes })
        };
        let mut nodes = vec![0.0; 10];
        nodes[3] = bytes as f64;
        let sent = Ledger(kinds.iter().map(sent).collect());
        Sample { at: second(at), sent, bytes, airtime: 2.0 * bytes as f64, nodes, memory: 7 }
    }

    fn values(plan: &Plan, log: &Log) -> BTreeMap<Measure, f64> {
        Outcome::new(plan, log).values
    }

    #[test]
    fn only_messages_between_those_who_were_connected_count() {
        let sent = [(10, 1, Some(1)), (11, 5, Some(5)), (12, 9, None), (13, 8, Some(8))];
        let arrived = [
            ((0, 1), arrival(10_100, Some(1))),
            ((1, 5), Arrival { again: 2, ..arrival(17_000, Some(10)) }),
            ((2, 9), arrival(12_100, Some(9))),
        ];
        let log = Log { arrivals: arrived.into(), ..Log::default() };
        let outcome = Outcome::new(&plan(PROBES, &sent), &log);
        assert_eq!(outcome.messages, 3);
        let value = |measure| outcome.values.get(&measure).copied().unwrap();
        assert_eq!(value(Measure::D2_5), 1.0 / 3.0);
        assert_eq!(value(Measure::D15), 2.0 / 3.0);
        assert_eq!(value(Measure::Stretch), 1.5);
        assert_eq!(value(Measure::Duplicates), 1.0);
        assert_eq!(value(Measure::Median), 0.1);
    }

    #[test]
    fn a_kind_pays_its_bytes_and_its_share_of_what_frames_add() {
        let log = Log {
            samples: vec![
                sample(5, &[(FIND, 100, 4000)], 9000),
                sample(10, &[(FIND, 100, 4000)], 9000),
                sample(20, &[(FIND, 110, 4400), (PACKET, 20, 4000), (PING, 10, 80)], 15_480),
            ],
            ..Log::default()
        };
        let outcome = Outcome::new(&plan(PROBES, &[]), &log);
        // 40 messages of 4480 B took 6480 B: 50 B each beside their own.
        let of = |kind: Kind| outcome.kinds.iter().find(|k| k.name == kind.name).unwrap().bytes;
        assert_eq!(of(FIND), (400.0 + 10.0 * 50.0) / 100.0);
        assert_eq!(of(PACKET), (4000.0 + 20.0 * 50.0) / 100.0);
        assert_eq!(of(PING), (80.0 + 10.0 * 50.0) / 100.0);
        let value = |measure| outcome.values.get(&measure).copied().unwrap();
        assert_eq!(value(Measure::Control), 9.0);
        assert_eq!(value(Measure::Total), 59.0);
        assert_eq!(value(Measure::Busiest), 648.0);
        assert_eq!(value(Measure::Memory), 7.0);
        let at_10_s = &outcome.rates[0];
        assert_eq!((at_10_s.at, at_10_s.bytes.iter().sum::<f64>()), (10.0, 0.0));
    }

    #[test]
    fn an_outage_lasts_as_long_as_full_bins_are_not_perfect() {
        // Five messages in each two seconds; one of the second five is late, two of the third.
        let sent: Vec<_> = (0..25).map(|i| (10 + 2 * (i / 5), 1, Some(1))).collect();
        let late = [5, 10, 11];
        let arrived = sent.iter().enumerate().map(|(number, (at, node, _))| {
            let took = if late.contains(&number) { 2600 } else { 2400 };
            ((number as u64, *node), arrival(at * 1000 + took, None))
        });
        let log = Log { arrivals: arrived.collect(), ..Log::default() };
        let values = values(&plan(PROBES, &sent), &log);
        assert_eq!(values[&Measure::WorstBin], 0.6);
        assert_eq!(values[&Measure::Outage], 4.0);
        assert!(!values.contains_key(&Measure::Stretch), "nobody said how far it came");
    }

    #[test]
    fn sends_are_the_content_on_the_air_in_objects() {
        let channel = "kind = 'channel', subscribers = 0.5, every = 5, bytes = 1000";
        let sent = [(10, 1, Some(1)), (15, 1, Some(1))];
        let samples = vec![sample(10, &[], 0), sample(20, &[(PACKET, 6, 5000)], 6000)];
        let log = Log { samples, ..Log::default() };
        assert_eq!(values(&plan(channel, &sent), &log)[&Measure::Sends], 3.0);
    }
}
