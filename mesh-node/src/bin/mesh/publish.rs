//! `mesh publish` and `mesh retract`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mesh_node::api::{Published, Skipped};
use mesh_node::control::{Answer, REQUEST_BYTES, Request, ask};
use mesh_node::{Error, ErrorKind, OriginUrl};

use crate::Context;
use crate::args::Wait;
use crate::say::{aside, failed};
use crate::words;
use crate::writers::after;

/// `mesh publish`: the paths and the text that are given.
pub(crate) fn publish(
    context: &Context,
    channel: String,
    (paths, text, expires): (Vec<PathBuf>, Option<String>, Option<Wait>),
    origin: (Option<PathBuf>, Option<OriginUrl>),
) -> Result<(), Error> {
    let start = Instant::now();
    let expires_ms = expires.map(|Wait(time)| after(time));
    let home = context.home()?;
    let mut all = Published::default();
    for paths in portions(paths)? {
        let request = Request::Publish { channel: channel.clone(), paths, expires_ms };
        add(&mut all, send(context, &home, &request)?);
    }
    if let Some(text) = text {
        let request = Request::PublishText { channel: channel.clone(), text, expires_ms };
        add(&mut all, send(context, &home, &request)?);
    }
    if let (Some(folder), url) = origin {
        let folder = absolute(&folder)?;
        let url = url.map(|url| url.to_string());
        let request = Request::WriteOrigin { channel, folder, url };
        all.origin = send(context, &home, &request)?.origin;
    }
    for line in left_out(&all.skipped) {
        aside(format_args!("mesh: {line}"));
    }
    context.format.value(&all, |all| summary(all, start))?;
    match (all.items.len(), all.skipped.len()) {
        (_, 0) => Ok(()),
        (0, _) if all.origin.is_none() => {
            Err(Error::new(ErrorKind::Failed, "nothing was published"))
        }
        (_, left) => {
            let why =
                format!("{} left out, the rest is published", words::count(left as u64, "file"));
            Err(Error::new(ErrorKind::Partly, why))
        }
    }
}

/// `mesh publish --as`: first of all, so that what is published bears the name.
pub(crate) fn sign_as(context: &Context, channel: &str, name: Option<String>) -> Result<(), Error> {
    let Some(name) = name else { return Ok(()) };
    let request = Request::SignAs { channel: channel.to_owned(), name };
    let mut answers = ask(&context.home()?, &request)?;
    while answers.next()?.is_some() {}
    Ok(())
}

/// `mesh retract`.
pub(crate) fn retract(context: &Context, channel: String, items: Vec<String>) -> Result<(), Error> {
    let mut answers = ask(&context.home()?, &Request::Retract { channel, items })?;
    while let Some(answer) = answers.next()? {
        let Answer::Item(item) = answer else { continue };
        context.format.value(&item, |item| {
            format!("item {} is retracted: its content goes wherever this is heard", item.seq)
        })?;
    }
    Ok(())
}

/// A line for each of the first files that were left out, and one for all others.
pub(crate) fn left_out(skipped: &[Skipped]) -> impl Iterator<Item = String> {
    const LINES: usize = 10;
    let first = skipped.iter().take(LINES).map(|skipped| {
        let (path, reason) = (words::line(&skipped.path), words::line(&skipped.reason));
        format!("{path} is left out: {reason}")
    });
    let rest = skipped.len().saturating_sub(LINES);
    let rest = (rest > 0).then(|| {
        format!(
            "{} more left out: `mesh publish --json` names them",
            words::count(rest as u64, "file")
        )
    });
    first.chain(rest)
}

fn summary(all: &Published, start: Instant) -> String {
    let mut lines: Vec<_> = all
        .items
        .iter()
        .map(|item| {
            format!("{:>5}  {:>9}  {}", item.seq, words::bytes(item.size), name(&item.name))
        })
        .collect();
    let bytes = all.items.iter().map(|item| item.size).sum();
    if let Some(origin) = &all.origin {
        let (files, bytes) = (words::count(origin.files, "file"), words::bytes(origin.bytes));
        lines.push(format!("{files}, {bytes} written for the web server"));
        if origin.missing > 0 {
            let missing = words::count(origin.missing, "large file");
            lines.push(format!("{missing} left out, as not all of it is here yet"));
        }
    }
    if all.items.is_empty() {
        return lines.join("\n");
    }
    lines.push(format!(
        "{}, {} signed and offered in {}",
        words::count(all.items.len() as u64, "item"),
        words::bytes(bytes),
        words::time(start.elapsed())
    ));
    lines.join("\n")
}

fn name(name: &str) -> String {
    if name.is_empty() { "(text)".into() } else { words::line(name) }
}

fn add(all: &mut Published, more: Published) {
    all.channel = more.channel;
    all.items.extend(more.items);
    all.skipped.extend(more.skipped);
}

fn send(context: &Context, home: &Path, request: &Request) -> Result<Published, Error> {
    let mut answers = ask(home, request)?;
    let bar = bar(context);
    let mut published = Published::default();
    while let Some(answer) = answers.next()? {
        if let Answer::Read(bytes) = answer {
            bar.set_position(bytes);
        } else if let Answer::Origin(origin) = answer {
            published.origin = Some(origin);
        } else if let Answer::Published(done) = answer {
            published = done;
        }
    }
    bar.finish_and_clear();
    Ok(published)
}

fn bar(context: &Context) -> ProgressBar {
    let bar = ProgressBar::no_length();
    if context.format.is_live() {
        bar.set_style(style());
    } else {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar
}

fn style() -> ProgressStyle {
    let template = "  {spinner} reading and hashing: {decimal_bytes}, {decimal_bytes_per_sec}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// Absolute paths in portions that each fit a request.
fn portions(paths: Vec<PathBuf>) -> Result<Vec<Vec<PathBuf>>, Error> {
    // JSON seldom makes a path longer, and hardly ever twice as long.
    const ROOM: usize = REQUEST_BYTES / 2 - 1024;
    let mut portions: Vec<Vec<PathBuf>> = Vec::new();
    let mut size = 0;
    for path in paths {
        let path = absolute(&path)?;
        let bytes = path.as_os_str().len() + 3;
        match portions.last_mut() {
            Some(last) if size + bytes <= ROOM => {
                size += bytes;
                last.push(path);
            }
            Some(_) | None => {
                size = bytes;
                portions.push(vec![path]);
            }
        }
    }
    Ok(portions)
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|error| failed(format_args!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_portion_of_many_paths_fits_a_request() {
        let paths: Vec<_> = (0..5000).map(|n| PathBuf::from(format!("/tmp/\"{n}\""))).collect();
        let portions = portions(paths.clone()).unwrap();
        assert_eq!(portions.concat(), paths);
        for paths in portions {
            let request =
                Request::Publish { channel: "news".into(), paths, expires_ms: Some(u64::MAX) };
            assert!(serde_json::to_vec(&request).unwrap().len() < REQUEST_BYTES);
        }
    }
}
