//! Many runs on all cores; what comes of each does not depend on how many there are.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::protocol::Protocol;
use crate::scenario::Scenario;

/// One run to do.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// In which town.
    pub scenario: &'a Scenario,
    /// With which luck.
    pub seed: u64,
    /// With which devices.
    pub protocol: Protocol,
}

/// A run that was done.
#[derive(Clone, Debug)]
pub struct Done {
    /// What came of it.
    pub outcome: Outcome,
    /// Nodes times simulated seconds.
    pub node_seconds: f64,
    /// Seconds on a processor; `None` where the system does not tell.
    pub cpu_seconds: Option<f64>,
}

/// Does all jobs on so many threads.
///
/// # Panics
/// If a run does.
#[must_use]
pub fn run_all(jobs: &[Job<'_>], threads: usize) -> Vec<Done> {
    let next = AtomicUsize::new(0);
    let done: Vec<Mutex<Option<Done>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, jobs.len().max(1)) {
            scope.spawn(|| {
                while let Some((job, place)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    jobs.get(index).zip(done.get(index))
                } {
                    let result = job.run();
                    *place.lock().expect("only its own thread writes it") = Some(result);
                }
            });
        }
    });
    let result = |place: Mutex<Option<Done>>| place.into_inner().ok().flatten();
    done.into_iter().filter_map(result).collect()
}

impl Job<'_> {
    fn run(&self) -> Done {
        let before = cpu_seconds();
        let plan = Plan::new(self.scenario, self.seed);
        let outcome = self.protocol.run(&plan);
        let spent = cpu_seconds().zip(before).map(|(now, then)| now - then);
        let node_seconds = (self.scenario.people as u64 * plan.length()) as f64;
        Done { outcome, node_seconds, cpu_seconds: spent }
    }
}

/// What this thread has spent on a processor.
fn cpu_seconds() -> Option<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}
