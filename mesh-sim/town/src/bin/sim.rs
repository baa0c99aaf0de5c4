//! `sim`: runs scenarios and says what came of them.

use std::fs;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use clap::{Args, Parser, Subcommand};
use mesh_town::batch::{Job, run_all};
use mesh_town::report::{self, Report};
use mesh_town::scenario::Verdict;
use mesh_town::{Protocol, Scenario, carriage, page};

/// Towns of people with devices: how much of what they say arrives, and at what price.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs scenarios and says everything about them.
    Run {
        /// Files, or names of scenarios in `scenarios/`.
        #[arg(required = true)]
        scenarios: Vec<String>,
        /// The first seed.
        #[arg(long, value_name = "N", default_value_t = 0)]
        seed: u64,
        /// How many seeds.
        #[arg(long, value_name = "K", default_value_t = 1)]
        seeds: u64,
        #[command(flatten)]
        how: How,
    },
    /// Telephones that meet in a carriage: how much of what each lacks comes from the others.
    Carriage {
        /// How many telephones.
        #[arg(long, value_name = "N", default_value_t = 12)]
        phones: usize,
        /// How many seeds.
        #[arg(long, value_name = "K", default_value_t = 1)]
        seeds: u64,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
        /// Writes a page to look at.
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Runs all scenarios and compares them with their goals.
    Table {
        /// Only towns of at most 200, and one seed.
        #[arg(long)]
        small: bool,
        /// How many seeds; the figures are medians.
        #[arg(long, value_name = "K")]
        seeds: Option<u64>,
        #[command(flatten)]
        how: How,
    },
}

#[derive(Args)]
struct How {
    /// What is in the pockets.
    #[arg(long, value_enum, default_value_t = Protocol::Mesh)]
    subject: Protocol,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    /// Writes a page to look at.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Nodes of a small town.
const SMALL: usize = 200;
/// Seeds of the table.
const SEEDS: u64 = 5;

fn main() -> ExitCode {
    match execute(Arguments::parse().command) {
        Ok(Verdict::Reached | Verdict::AboveFloor) => ExitCode::SUCCESS,
        Ok(Verdict::Failed) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sim: {error}");
            ExitCode::from(2)
        }
    }
}

fn execute(command: Command) -> Result<Verdict, String> {
    match command {
        Command::Run { scenarios, seed, seeds, how } => {
            let scenarios = open(&scenarios)?;
            let reports = reports(&scenarios, seed..seed + seeds, how.subject);
            let text = reports.iter().map(Report::to_string).collect();
            tell((&scenarios, &reports), text, &how)
        }
        Command::Carriage { phones, seeds, json, html } => {
            let outcomes: Vec<_> = (0..seeds).map(|seed| carriage::run(seed, phones)).collect();
            if json {
                let json = serde_json::to_string_pretty(&outcomes);
                println!("{}", json.map_err(|error| error.to_string())?);
            } else {
                outcomes.iter().for_each(|outcome| print!("{outcome}"));
            }
            if let Some(path) = html {
                let page = carriage::page(&outcomes);
                fs::write(&path, page).map_err(|error| format!("{}: {error}", path.display()))?;
            }
            Ok(if carriage::is_reached(&outcomes) { Verdict::Reached } else { Verdict::Failed })
        }
        Command::Table { small, seeds, how } => {
            let names = Scenario::names().map_err(|error| error.to_string())?;
            let mut scenarios = open(&names)?;
            scenarios.retain(|scenario| !small || scenario.people <= SMALL);
            scenarios.sort_by_key(|scenario| row_order(&scenario.row));
            let seeds = seeds.unwrap_or(if small { 1 } else { SEEDS });
            let reports = reports(&scenarios, 0..seeds, how.subject);
            tell((&scenarios, &reports), report::table(&reports), &how)
        }
    }
}

fn open(names: &[String]) -> Result<Vec<Scenario>, String> {
    names.iter().map(|name| Scenario::open(name)).collect()
}

/// R2 before R10, and R before S.
fn row_order(row: &str) -> (String, u32) {
    let split = row.find(|c: char| c.is_ascii_digit()).unwrap_or(row.len());
    (row[..split].to_owned(), row[split..].parse().unwrap_or(0))
}

fn reports(scenarios: &[Scenario], seeds: std::ops::Range<u64>, protocol: Protocol) -> Vec<Report> {
    let jobs = |scenario| seeds.clone().map(move |seed| Job { scenario, seed, protocol });
    let jobs: Vec<Job<'_>> = scenarios.iter().flat_map(jobs).collect();
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let mut done = run_all(&jobs, threads).into_iter();
    let count = (seeds.end - seeds.start) as usize;
    let report = |scenario| Report::new(scenario, protocol, done.by_ref().take(count).collect());
    scenarios.iter().map(report).collect()
}

/// Prints and writes what is wanted; the worst that became of a goal.
fn tell(
    (scenarios, reports): (&[Scenario], &[Report]),
    text: String,
    how: &How,
) -> Result<Verdict, String> {
    if how.json {
        let json = serde_json::to_string_pretty(reports).map_err(|error| error.to_string())?;
        println!("{json}");
    } else {
        print!("{text}");
    }
    if let Some(path) = &how.html {
        let html = page::write(scenarios, reports);
        fs::write(path, html).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(reports.iter().map(Report::verdict).min().unwrap_or(Verdict::Reached))
}
