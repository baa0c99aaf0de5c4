//! `mesh get`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mesh_node::api::{Progress, Source};
use mesh_node::control::{Answer, Answers, Destination, Got, Missed, Request, Wanted, ask};
use mesh_node::{Error, ErrorKind};
use serde::Serialize;

use crate::args::Get;
use crate::say::{aside, failed};
use crate::{Context, words};

/// One line of `mesh get --json`.
#[derive(Debug, Serialize)]
struct Written {
    /// The item's number in the channel.
    seq: u64,
    /// The file.
    path: PathBuf,
    /// Bytes of content, every one verified.
    size: u64,
    /// How long it took.
    ms: u64,
    /// Neighbours it came from, as far as this node remembers.
    sources: Vec<Source>,
}

/// `mesh get`.
pub(crate) fn get(context: &Context, wish: Get) -> Result<(), Error> {
    let is_all = wish.items.iter().any(|item| item == "all");
    let items = if is_all { Wanted::All } else { Wanted::These(wish.items) };
    let is_one = matches!(&items, Wanted::These(items) if items.len() == 1);
    let to = destination(wish.output.as_deref(), &items)?;
    let request = Request::Get { channel: wish.channel, items, to, replace: wish.force };
    let mut answers = ask(&context.home()?, &request)?;
    if let Some(wait) = wish.wait {
        // A time beyond the clock's end is for ever.
        Instant::now().checked_add(wait.0).inspect(|&deadline| answers.until(deadline));
    }
    let mut watch = Watch::new(context);
    let result = watch.run(&mut answers);
    watch.bar.finish_and_clear();
    match watch.missed.pop() {
        Some(missed) if is_one => return Err(missed.error),
        missed => watch.missed.extend(missed),
    }
    watch.tell_missed();
    result?;
    if is_one { Ok(()) } else { watch.outcome() }
}

/// A file for one item, or a directory for several.
fn destination(output: Option<&Path>, items: &Wanted) -> Result<Destination, Error> {
    let path = output.unwrap_or(Path::new("."));
    let absolute = std::path::absolute(path)
        .map_err(|error| failed(format_args!("{}: {error}", path.display())))?;
    let is_several = match items {
        Wanted::All => true,
        Wanted::These(items) => items.len() > 1,
    };
    if is_several && absolute.is_file() {
        let why = format!("{} is a file: several items need a directory", path.display());
        return Err(Error::new(ErrorKind::Usage, why));
    }
    let is_directory = is_several || absolute.is_dir();
    Ok(if is_directory { Destination::Directory(absolute) } else { Destination::File(absolute) })
}

/// What happens while items come.
struct Watch<'a> {
    context: &'a Context,
    bar: ProgressBar,
    start: Instant,
    last: Progress,
    written: (usize, u64),
    missed: Vec<Missed>,
}

impl<'a> Watch<'a> {
    fn new(context: &'a Context) -> Self {
        let bar = ProgressBar::new(0);
        if context.format.is_live() {
            bar.set_style(style());
            bar.enable_steady_tick(Duration::from_millis(250));
        } else {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let last = Progress { have: 0, size: 0, sources: Vec::new() };
        Self { context, bar, start: Instant::now(), last, written: (0, 0), missed: Vec::new() }
    }

    fn run(&mut self, answers: &mut Answers) -> Result<(), Error> {
        let mut start = self.start;
        while let Some(answer) = answers.next().map_err(|error| self.explain(error))? {
            if let Answer::Progress(progress) = answer {
                self.show(progress);
            } else if let Answer::Got(got) = answer {
                self.written = (self.written.0 + 1, self.written.1 + got.size);
                let Got { seq, path, size, sources } = got;
                let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
                let written = Written { seq, path, size, ms, sources };
                self.bar.suspend(|| self.context.format.value(&written, row))?;
                start = Instant::now();
            } else if let Answer::Missed(missed) = answer {
                self.missed.push(missed);
            }
        }
        Ok(())
    }

    fn show(&mut self, progress: Progress) {
        self.bar.set_length(progress.size);
        self.bar.set_position(progress.have);
        self.bar.set_message(match (progress.size, progress.sources.len()) {
            (0, _) => "waiting: nobody near has told of it yet".into(),
            (_, 0) => "waiting for somebody near who has it".into(),
            (_, sources) => format!("from {}", words::count(sources as u64, "neighbour")),
        });
        self.last = progress;
    }

    /// Says how far it came, if time was what ran out.
    fn explain(&self, error: Error) -> Error {
        if error.kind != ErrorKind::Pending {
            return error;
        }
        let (files, bytes) = self.written;
        let how_far = match self.last.size {
            0 => "nobody near has told of the next yet".into(),
            size => {
                let (have, size) = (words::bytes(self.last.have), words::bytes(size));
                format!("{have} of the {size} of the next are here")
            }
        };
        let why = format!(
            "{error} after {}: {} ({}) written, and {how_far}; the node goes on, ask again later",
            words::time(self.start.elapsed()),
            words::count(files as u64, "file"),
            words::bytes(bytes),
        );
        Error::new(ErrorKind::Pending, why)
    }

    fn tell_missed(&self) {
        for Missed { item, error } in &self.missed {
            aside(format_args!("mesh: item {}: {error}", words::line(item)));
        }
    }

    /// Says how it ended for several items.
    fn outcome(self) -> Result<(), Error> {
        let (files, bytes) = self.written;
        let missed = self.missed.len();
        match (files, self.missed.into_iter().next()) {
            (0, Some(first)) => {
                Err(Error::new(first.error.kind, "nothing was written, for the reason above"))
            }
            (_, Some(_)) => {
                let written = words::count(files as u64, "file");
                let why = format!("{written} written, {missed} not, for the reasons above");
                Err(Error::new(ErrorKind::Partly, why))
            }
            (0, None) => {
                self.context.format.words("The channel has no files yet that this node may read.")
            }
            (_, None) => {
                let time = self.start.elapsed();
                self.context.format.words(format_args!(
                    "{}, {} in {} ({})",
                    words::count(files as u64, "file"),
                    words::bytes(bytes),
                    words::time(time),
                    words::rate(bytes, time),
                ))
            }
        }
    }
}

fn row(written: &Written) -> String {
    let time = Duration::from_millis(written.ms);
    let from: Vec<_> = written
        .sources
        .iter()
        .map(|source| format!("{} from {}", words::bytes(source.bytes), source.address))
        .collect();
    let from = if from.is_empty() { String::new() } else { format!(": {}", from.join(", ")) };
    let path = words::line(&written.path.to_string_lossy());
    format!("{path}  {} in {}{from}", words::bytes(written.size), words::time(time))
}

fn style() -> ProgressStyle {
    let template = "  {bar:24} {decimal_bytes} of {decimal_total_bytes}, \
                    {decimal_bytes_per_sec}, {msg}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
