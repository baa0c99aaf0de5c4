//! What several runs of a scenario come to, beside what was wanted.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::batch::Done;
use crate::measure::Measure;
use crate::outcome::{KindRate, Outcome};
use crate::protocol::Protocol;
use crate::scenario::{Goal, Scenario, Verdict};

/// What several runs of a scenario come to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The scenario.
    pub scenario: String,
    /// Its row in the table of goals.
    pub row: String,
    /// What it is.
    pub title: String,
    /// Whose machines.
    pub protocol: String,
    /// Nodes.
    pub people: usize,
    /// The runs.
    pub runs: Vec<Outcome>,
    /// The medians of their figures.
    pub values: BTreeMap<Measure, f64>,
    /// What was wanted of them.
    pub goals: Vec<Judged>,
    /// Nodes times simulated seconds for each second on a processor.
    #[serde(skip)]
    pub speed: Option<f64>,
}

/// A goal, and what became of it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Judged {
    /// Of what.
    pub measure: Measure,
    /// The median; `None` if no run can say, or if nodes that were to be bad stayed honest.
    pub value: Option<f64>,
    /// What was wanted.
    #[serde(flatten)]
    pub goal: Goal,
    /// Whether it is so.
    pub verdict: Verdict,
}

impl Report {
    /// What the runs of `scenario` come to.
    #[must_use]
    pub fn new(scenario: &Scenario, protocol: Protocol, runs: Vec<Done>) -> Self {
        let node_seconds: f64 = runs.iter().map(|run| run.node_seconds).sum();
        let cpu_seconds: Option<f64> = runs.iter().map(|run| run.cpu_seconds).sum();
        let runs: Vec<Outcome> = runs.into_iter().map(|run| run.outcome).collect();
        let median = |measure: Measure| {
            let values = runs.iter().filter_map(|run| run.values.get(&measure)).copied();
            Some((measure, median(values.collect())?))
        };
        let values: BTreeMap<Measure, f64> = Measure::ALL.into_iter().filter_map(median).collect();
        // A town where the bad stayed honest is not the one the goal is about.
        let is_told = runs.iter().all(|run| run.honest == 0);
        let judge = |(measure, goal): (&Measure, &Goal)| {
            let value = values.get(measure).copied().filter(|_| is_told);
            let verdict = value.map_or(Verdict::Failed, |value| goal.judge(value));
            Judged { measure: *measure, value, goal: *goal, verdict }
        };
        Self {
            scenario: scenario.name.clone(),
            row: scenario.row.clone(),
            title: scenario.title.clone(),
            protocol: protocol.to_string(),
            people: scenario.people,
            goals: scenario.goals.iter().map(judge).collect(),
            values,
            runs,
            speed: cpu_seconds.filter(|spent| *spent > 0.0).map(|spent| node_seconds / spent),
        }
    }

    /// The worst that became of a goal.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let verdicts = self.goals.iter().map(|judged| judged.verdict);
        verdicts.min().unwrap_or(Verdict::Reached)
    }

    fn kinds(&self) -> impl Iterator<Item = &KindRate> {
        self.runs.first().into_iter().flat_map(|run| &run.kinds)
    }
}

/// Everything about one scenario, for a terminal.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seeds = self.runs.iter().map(|run| run.seed.to_string()).collect::<Vec<_>>();
        writeln!(f, "{} {}: {}", self.row, self.scenario, self.title)?;
        let messages = self.runs.first().map_or(0, |run| run.messages);
        let seeds = seeds.join(", ");
        writeln!(f, "  {}, seed {seeds}, {messages} messages", self.protocol)?;
        for (measure, value) in &self.values {
            let judged = self.goals.iter().find(|judged| judged.measure == *measure);
            write!(f, "  {:12} {:>10}", measure.label(), measure.write(*value))?;
            match judged {
                Some(judged) => writeln!(f, "   {judged}")?,
                None => writeln!(f)?,
            }
        }
        for judged in self.goals.iter().filter(|judged| judged.value.is_none()) {
            writeln!(f, "  {:12} {:>10}   {judged}", judged.measure.label(), "-")?;
        }
        for kind in self.kinds() {
            write!(f, "  {:12} {:>10.1} B/s", kind.name, kind.bytes)?;
            match kind.messages > 0.0 {
                true => writeln!(f, "   {:.3} messages/s", kind.messages)?,
                false => writeln!(f)?,
            }
        }
        let honest: usize = self.runs.iter().map(|run| run.honest).sum();
        if honest > 0 {
            writeln!(f, "  {honest} nodes were to be bad and stayed honest")?;
        }
        if let Some(run) = self.runs.first() {
            writeln!(f, "  trace        {}", run.trace)?;
        }
        match self.speed {
            Some(speed) => writeln!(f, "  {speed:.0} node seconds per CPU second"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let write = |value: f64| self.measure.write(value);
        let (sign, wanted, floor) = match self.goal {
            Goal::AtLeast { at_least, floor } => ("≥", at_least, floor),
            Goal::AtMost { at_most, floor } => ("≤", at_most, floor),
        };
        let verdict = match self.verdict {
            Verdict::Reached => "reached",
            Verdict::AboveFloor => "above the floor",
            Verdict::Failed => "FAILED",
        };
        write!(f, "{sign} {:9} floor {:9} {verdict}", write(wanted), write(floor))
    }
}

/// The columns of the table of all scenarios.
const COLUMNS: [Measure; 7] = [
    Measure::D15,
    Measure::D2_5,
    Measure::Stretch,
    Measure::Control,
    Measure::Content,
    Measure::Link,
    Measure::Memory,
];

/// All scenarios in one table for a terminal: the figures, then every goal.
#[must_use]
pub fn table(reports: &[Report]) -> String {
    let mut text = format!("{:20}", "");
    text.extend(COLUMNS.iter().map(|measure| format!("{:>13}", measure.label())));
    text.push('\n');
    for report in reports {
        text.push_str(&format!("{:4} {:15}", report.row, report.scenario));
        for measure in COLUMNS {
            let value = report.values.get(&measure).map(|value| measure.write(*value));
            text.push_str(&format!("{:>13}", value.unwrap_or_else(|| "-".into())));
        }
        text.push('\n');
        for judged in &report.goals {
            let value = judged.value.map(|value| judged.measure.write(value));
            let value = value.unwrap_or_else(|| "-".into());
            text.push_str(&format!("       {:12} {value:>10}  {judged}\n", judged.measure.label()));
        }
    }
    text
}

/// The one in the middle; the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        1 => values.get(middle).copied(),
        _ => Some((values.get(middle.checked_sub(1)?)? + values.get(middle)?) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
