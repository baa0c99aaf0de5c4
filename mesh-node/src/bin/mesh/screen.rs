//! The state of a node as a person reads it, and a place on the terminal where it is redrawn.

use std::io::Write;
use std::time::Duration;

use console::{Term, style, truncate_str};
use mesh_node::Error;
use mesh_node::api::{LinkStatus, Status, TransportStatus};

use crate::say::failed;
use crate::{channel, words};

/// A node's state, in lines.
pub(crate) fn lines(status: &Status) -> Vec<String> {
    let uptime = Duration::from_millis(status.uptime_ms);
    let mut lines = vec![format!("{}, up {}", style(&status.name).bold(), words::time(uptime))];
    section(&mut lines, "Transports", &status.transports, transport, &[]);
    let near = format!("Near ({})", status.links.len());
    let now = status.uptime_ms;
    section(
        &mut lines,
        &near,
        &status.links,
        |other| link(other, now),
        &[
            "nobody yet: nodes in this network find each other by themselves;",
            "`mesh doctor` says what was tried",
        ],
    );
    section(
        &mut lines,
        "Channels",
        &status.channels,
        |one| vec![channel::row(one)],
        &["none yet: `mesh channel new NAME` makes one, `mesh follow LINK` reads one"],
    );
    let bytes = &status.bytes;
    lines.push(String::new());
    lines.push(format!(
        "Received {} and sent {}, {} of it to keep in touch",
        words::bytes(bytes.received),
        words::bytes(bytes.sent),
        words::bytes(bytes.control),
    ));
    if bytes.carried > 0 {
        lines.push(format!("{} were carried for others", words::bytes(bytes.carried)));
    }
    let here = status.channels.iter().map(|channel| channel.bytes).sum();
    let [here, saved, given] = [here, bytes.saved, bytes.given].map(words::bytes);
    lines.push(format!(
        "{}: {here} here; neighbours gave {saved} in place of the Internet, others got {given}",
        words::count(status.channels.len() as u64, "channel"),
    ));
    lines
}

fn section<T>(
    lines: &mut Vec<String>,
    title: &str,
    rows: &[T],
    row: impl Fn(&T) -> Vec<String>,
    none: &[&str],
) {
    lines.push(String::new());
    lines.push(style(title).bold().to_string());
    if rows.is_empty() {
        lines.extend(none.iter().map(|line| format!("  {line}")));
    }
    lines.extend(rows.iter().flat_map(row).map(|line| format!("  {line}")));
}

fn transport(transport: &TransportStatus) -> Vec<String> {
    let TransportStatus { kind, state, detail, remedy, .. } = transport;
    let shown = if state == "up" { style(state).green() } else { style(state).red() };
    let mut rows = vec![format!("{kind:<5} {shown}  {}", words::line(detail))];
    if !remedy.is_empty() {
        rows.push(format!("      do: {remedy}"));
    }
    rows
}

fn link(link: &LinkStatus, now_ms: u64) -> Vec<String> {
    let who = link.contact.as_deref().map_or_else(|| words::short(&link.peer).into(), words::line);
    let round_trip = link.rtt_ms.map(|ms| format!("  {ms:.1} ms away")).unwrap_or_default();
    let account = format!(
        "{}, received {}, sent {}, for {}",
        words::count(link.channels as u64, "channel"),
        words::bytes(link.received),
        words::bytes(link.sent),
        words::time(Duration::from_millis(now_ms.saturating_sub(link.since_ms))),
    );
    vec![format!("{who}  {}{round_trip}", link.address), format!("          {account}")]
}

/// Lines on the terminal that the next ones replace.
pub(crate) struct Live {
    term: Term,
    drawn: usize,
}

impl Live {
    /// Nothing is drawn yet.
    pub(crate) fn new() -> Self {
        Self { term: Term::buffered_stdout(), drawn: 0 }
    }

    /// Draws `lines` in place of what it drew before, as many as there is room for.
    pub(crate) fn draw(&mut self, lines: &[String]) -> Result<(), Error> {
        let (rows, columns) = self.term.size();
        let room = usize::from(rows).saturating_sub(1).max(1);
        self.term.clear_last_lines(self.drawn.min(room)).map_err(failed)?;
        self.drawn = lines.len().min(room);
        for line in &lines[..self.drawn] {
            let line = truncate_str(line, usize::from(columns), "…");
            writeln!(self.term, "{line}").map_err(failed)?;
        }
        self.term.flush().map_err(failed)
    }
}
