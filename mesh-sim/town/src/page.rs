//! A page to look at: the figures beside the goals, delivery, latency, bytes, and the town itself
//! as it moves. One file that needs nothing else.

use serde::Serialize;

use crate::measure::Measure;
use crate::outcome::{Bin, Fate, KindRate, Outcome, Rate};
use crate::plan::{Happening, PICTURE_EVERY, Plan};
use crate::report::{Judged, Report};
use crate::scenario::{Goal, Scenario};

/// The page, with a mark where the data go.
const TEMPLATE: &str = include_str!("page.html");
const MARK: &str = "\"the data\"";

/// Bytes of moving pictures that a page may have in all; towns after that have none.
const PICTURES: usize = 1_200_000;

#[derive(Serialize)]
struct Sheet<'a> {
    row: &'a str,
    name: &'a str,
    title: &'a str,
    protocol: &'a str,
    people: usize,
    seeds: Vec<u64>,
    messages: usize,
    warm_up: u64,
    seconds: u64,
    figures: Vec<Figure>,
    kinds: &'a [KindRate],
    rates: &'a [Rate],
    bins: &'a [Bin],
    /// How long messages took that arrived, in seconds, of all runs: in order, thinned out.
    took: Vec<f64>,
    /// Share of messages that arrived.
    arrived: f64,
    town: Option<Town>,
}

#[derive(Serialize)]
struct Figure {
    label: &'static str,
    value: Option<f64>,
    text: String,
    wanted: Option<f64>,
    floor: Option<f64>,
    goal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<crate::scenario::Verdict>,
}

/// A town as it moves.
#[derive(Serialize)]
struct Town {
    every: u64,
    /// For each picture two digits of base 64 for each coordinate of each node.
    spots: Vec<String>,
    /// First end, second end, and from when until when they were linked, in tenths of a second.
    links: Vec<[u64; 4]>,
    /// When, from whom, to whom, and how long it took, in tenths of a second; 0 if it was lost.
    messages: Vec<[u64; 4]>,
    bad: Vec<usize>,
    gateways: Vec<usize>,
}

/// Writes the page.
#[must_use]
pub fn write(scenarios: &[Scenario], reports: &[Report]) -> String {
    let mut left = PICTURES;
    let sheets: Vec<Sheet<'_>> = scenarios
        .iter()
        .zip(reports)
        .filter_map(|(scenario, report)| Sheet::new(scenario, report, &mut left))
        .collect();
    let data = serde_json::to_string(&sheets).unwrap_or_default();
    // No text in it can end the script.
    TEMPLATE.replace(MARK, &data.replace('<', "\\u003c"))
}

impl<'a> Sheet<'a> {
    fn new(scenario: &'a Scenario, report: &'a Report, left: &mut usize) -> Option<Self> {
        let first = report.runs.first()?;
        let fates = || report.runs.iter().flat_map(|run| &run.fates);
        let mut took: Vec<f64> = fates().filter_map(|fate| fate.took).collect();
        took.sort_by(f64::total_cmp);
        let arrived = took.len() as f64 / fates().count().max(1) as f64;
        let thin = took.len().div_ceil(400).max(1);
        let last = took.last().copied();
        let took = took.into_iter().step_by(thin).chain(last).collect();
        Some(Self {
            row: &report.row,
            name: &report.scenario,
            title: &report.title,
            protocol: &report.protocol,
            people: report.people,
            seeds: report.runs.iter().map(|run| run.seed).collect(),
            messages: first.messages,
            warm_up: scenario.warm_up,
            seconds: scenario.seconds,
            figures: figures(report),
            kinds: &first.kinds,
            rates: &first.rates,
            bins: &first.bins,
            took,
            arrived,
            town: town(scenario, first, left),
        })
    }
}

fn figures(report: &Report) -> Vec<Figure> {
    let figure = |measure: Measure| {
        let value = report.values.get(&measure).copied();
        let judged = report.goals.iter().find(|judged| judged.measure == measure);
        if value.is_none() && judged.is_none() {
            return None;
        }
        let (wanted, floor) = judged.map(bounds).unzip();
        Some(Figure {
            label: measure.label(),
            value,
            text: value.map_or_else(|| "–".into(), |value| measure.write(value)),
            wanted,
            floor,
            goal: judged.map(goal),
            verdict: judged.map(|judged| judged.verdict),
        })
    };
    Measure::ALL.into_iter().filter_map(figure).collect()
}

const fn bounds(judged: &Judged) -> (f64, f64) {
    match judged.goal {
        Goal::AtLeast { at_least, floor } => (at_least, floor),
        Goal::AtMost { at_most, floor } => (at_most, floor),
    }
}

fn goal(judged: &Judged) -> String {
    let sign = match judged.goal {
        Goal::AtLeast { .. } => "≥",
        Goal::AtMost { .. } => "≤",
    };
    let (wanted, floor) = bounds(judged);
    let write = |value| judged.measure.write(value);
    format!("goal {sign} {}, floor {}", write(wanted), write(floor))
}

/// The town of a run, if there is room for it on the page.
fn town(scenario: &Scenario, outcome: &Outcome, left: &mut usize) -> Option<Town> {
    let plan = Plan::new(scenario, outcome.seed);
    let spots: Vec<String> = plan.pictures.iter().map(|picture| digits(picture)).collect();
    let links = links(&plan);
    let size = spots.iter().map(String::len).sum::<usize>()
        + links.len() * LINK_BYTES
        + outcome.fates.len() * LINK_BYTES;
    *left = left.checked_sub(size)?;
    let bad = plan.black_holes.iter().chain(&plan.flooders).copied().collect();
    let messages = outcome.fates.iter().map(message).collect();
    Some(Town { every: PICTURE_EVERY, spots, links, messages, bad, gateways: plan.gateways })
}

/// About what a link, or a message, takes on the page.
const LINK_BYTES: usize = 20;

fn links(plan: &Plan) -> Vec<[u64; 4]> {
    let end = plan.length() * 10;
    let tenths = |time: mesh_wire::Time| time.0 / 100_000;
    let ends = plan.links.iter().map(|link| [link.ends.0 as u64, link.ends.1 as u64, 0, end]);
    let mut links: Vec<[u64; 4]> = ends.collect();
    for (at, happening) in &plan.happenings {
        match happening {
            Happening::Link(link) => links[*link][2] = tenths(*at),
            Happening::Fade(link, _) => links[*link][3] = tenths(*at),
            Happening::Say(_) => {}
        }
    }
    links
}

fn message(fate: &Fate) -> [u64; 4] {
    let tenths = |seconds: f64| (seconds * 10.0).round() as u64;
    let took = fate.took.map_or(0, |took| tenths(took).max(1));
    [tenths(fate.at), fate.from as u64, fate.to as u64, took]
}

fn digits(picture: &[crate::place::Spot]) -> String {
    const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
    let digit = |value: usize| DIGITS.get(value).map_or('0', |digit| char::from(*digit));
    let coordinate = |share: f64| {
        let value = (share.clamp(0.0, 1.0) * 4095.0).round() as usize;
        [digit(value / 64), digit(value % 64)]
    };
    picture.iter().flat_map(|spot| [spot.x, spot.y]).flat_map(coordinate).collect()
}
