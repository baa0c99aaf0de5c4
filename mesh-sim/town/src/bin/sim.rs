//! `sim`: runs a scenario and says what came of it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mesh_town::{Measure, Plan, Protocol, Scenario};

/// Towns of people with devices: how much of what they say arrives, and at what price.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs one scenario.
    Run(RunArguments),
}

#[derive(Parser)]
struct RunArguments {
    /// A scenario: a file, or the name of one in `scenarios/`.
    scenario: String,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[arg(long, value_enum, default_value_t = Protocol::Mesh)]
    subject: Protocol,
}

fn main() -> ExitCode {
    let Command::Run(arguments) = Arguments::parse().command;
    let scenario = Scenario::open(&arguments.scenario).unwrap();
    let plan = Plan::new(&scenario, arguments.seed);
    let outcome = arguments.subject.run(&plan);
    for (measure, value) in &outcome.values {
        println!("{:14} {}", measure.label(), measure.write(*value));
    }
    println!("{:?}\n{}", outcome.kinds, outcome.trace);
    let _ = Measure::ALL;
    ExitCode::SUCCESS
}
