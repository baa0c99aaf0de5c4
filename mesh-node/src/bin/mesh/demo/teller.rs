//! How the demo tells what happens: numbered lines with their time and bytes, or JSON.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mesh_node::Error;
use serde::Serialize;

use crate::say::{Format, aside};
use crate::words;

/// What one node received from another.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Share {
    pub(super) from: &'static str,
    pub(super) bytes: u64,
}

/// A line of `mesh demo --json`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event<'a> {
    /// A step is done.
    Step { step: u32, what: &'a str, ms: u64, bytes: u64 },
    /// A detail of the step before.
    Note { text: &'a str },
    /// Where a node has what it has.
    Received { node: &'a str, from: Vec<Share> },
    /// Every byte was verified.
    Verified { files: u64, bytes: u64, publisher_sent: u64, alone: u64, saved: u64, ms: u64 },
}

/// Tells the story.
pub(super) struct Teller {
    format: Format,
    bar: ProgressBar,
    start: Instant,
    last: Instant,
    step: u32,
}

impl Teller {
    pub(super) fn new(format: Format) -> Self {
        let bar = ProgressBar::no_length();
        if format.is_live() {
            bar.set_style(style());
        } else {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let now = Instant::now();
        Self { format, bar, start: now, last: now, step: 0 }
    }

    /// Says that a step is done, with its time and, unless 0, its bytes.
    pub(super) fn step(&mut self, what: &str, bytes: u64) -> Result<(), Error> {
        let time = self.last.elapsed();
        self.step += 1;
        self.tell(&Event::Step { step: self.step, what, ms: ms(time), bytes })?;
        self.last = Instant::now();
        Ok(())
    }

    /// Says a detail of the last step.
    pub(super) fn note(&self, text: &str) -> Result<(), Error> {
        self.tell(&Event::Note { text })
    }

    /// Says on stderr what went otherwise than one may have thought.
    pub(super) fn aside(&self, text: &str) {
        self.bar.suspend(|| aside(text));
    }

    /// Says what a node received from whom.
    pub(super) fn shares(&self, node: &str, from: Vec<Share>) -> Result<(), Error> {
        self.tell(&Event::Received { node, from })
    }

    /// Shows how far the step under way is.
    pub(super) fn progress(&mut self, what: &str, bytes: u64) {
        self.bar.set_message(what.to_owned());
        self.bar.set_position(bytes);
    }

    /// Says how it ended: `(files, bytes)` arrived at three nodes, and the publisher sent `sent`.
    pub(super) fn end(&self, (files, bytes): (u64, u64), sent: u64) -> Result<(), Error> {
        let alone = bytes.saturating_mul(3);
        let saved = alone.saturating_sub(sent);
        let ms = ms(self.start.elapsed());
        self.tell(&Event::Verified { files, bytes, publisher_sent: sent, alone, saved, ms })
    }

    fn tell(&self, event: &Event<'_>) -> Result<(), Error> {
        self.bar.suspend(|| self.format.value(event, words))
    }
}

fn words(event: &Event<'_>) -> String {
    match event {
        Event::Step { step, what, ms, bytes } => {
            let time = words::time(Duration::from_millis(*ms));
            let bytes = if *bytes == 0 { String::new() } else { words::bytes(*bytes) };
            format!("{time:>8} {bytes:>9}  {step:>2}. {what}")
        }
        Event::Note { text } => format!("{:24}{text}", ""),
        Event::Received { node, from } => {
            let from: Vec<_> = from
                .iter()
                .map(|share| format!("{} from {}", words::bytes(share.bytes), share.from))
                .collect();
            format!("{:24}{node}: {}", "", from.join(", "))
        }
        Event::Verified { files, bytes, publisher_sent, alone, saved, ms } => format!(
            "\nThree readers have {}, {} each, every byte verified, in {}.\n\
             Had each fetched it alone, the publisher would have sent {}; it sent {}, {} % less,\n\
             and the last reader never met it.",
            words::count(*files, "file"),
            words::bytes(*bytes),
            words::time(Duration::from_millis(*ms)),
            words::bytes(*alone),
            words::bytes(*publisher_sent),
            saved * 100 / (*alone).max(1),
        ),
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner:>8} {decimal_bytes:>9}      {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}
