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
