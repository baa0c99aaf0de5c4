//! `mesh channel status`, `request`, `delegate`, `revoke`, `rotate` and `checkpoint`.

use std::time::{Duration, SystemTime};

use mesh_node::api::Writer;
use mesh_node::control::{Answer, Request, RequestedRight, WriterChange, ask};
use mesh_node::{Error, ErrorKind, Right, WriterLink};

use crate::Context;
use crate::args::{Member, Writers};
use crate::{quota, words};

/// What concerns the writers of a channel.
pub(crate) fn command(context: &Context, command: Writers) -> Result<(), Error> {
    let (channel, change) = match command {
        Writers::Request { channel, name, owner } => {
            let right = if owner { RequestedRight::Own } else { RequestedRight::Write };
            return request(context, &Request::RequestRight { channel, name, right });
        }
        Writers::Status { channel } => (channel, None),
        Writers::Member(Member::Add { channel, member }) => {
            right(&member, Right::Write)?;
            let writer = member.to_string();
            (channel, Some(WriterChange::Delegate { writer, until_ms: None }))
        }
        Writers::Delegate { channel, writer, days } => {
            right(&writer, Right::Write)?;
            let until_ms = days.map(|days| after(Duration::from_hours(24 * u64::from(days))));
            (channel, Some(WriterChange::Delegate { writer: writer.to_string(), until_ms }))
        }
        Writers::Revoke { channel, who } | Writers::Member(Member::Remove { channel, who }) => {
            (channel, Some(WriterChange::Revoke { who }))
        }
        Writers::Rotate { channel, to: None } => (channel, Some(WriterChange::Rotate)),
        Writers::Rotate { channel, to: Some(writer) } => {
            right(&writer, Right::Succeed)?;
            let writer = writer.to_string();
            (channel, Some(WriterChange::Delegate { writer, until_ms: None }))
        }
        Writers::Checkpoint { channel, every: hours } => {
            (channel, Some(WriterChange::Checkpoint { hours }))
        }
    };
    let is_asked = change.is_none();
    let mut answers = ask(&context.home()?, &Request::Writers { channel, change })?;
    let mut is_empty = true;
    while let Some(answer) = answers.next()? {
        if let (Answer::Channel(channel), true) = (&answer, is_asked) {
            context.format.words(quota::policy(channel))?;
            if channel.open {
                context
                    .format
                    .words("open: everybody writes on it; its owner takes notes away:")?;
            }
        }
        let Answer::Writer(writer) = answer else { continue };
        is_empty = false;
        context.format.value(&writer, row)?;
    }
    if is_empty {
        context.format.words("Nothing of the channel has arrived yet, not even who writes it.")?;
    }
    Ok(())
}

/// Prints what the owner needs alone on a line, to be copied.
fn request(context: &Context, request: &Request) -> Result<(), Error> {
    let mut answers = ask(&context.home()?, request)?;
    while let Some(answer) = answers.next()? {
        if let Answer::Link(link) = answer {
            context.format.value(&link, Clone::clone)?;
        }
    }
    Ok(())
}

/// Somebody who was to write is not to become the owner by a slip, or the other way round.
fn right(writer: &WriterLink, wanted: Right) -> Result<(), Error> {
    match (writer.right, wanted) {
        (Right::Write, Right::Write) | (Right::Succeed, Right::Succeed) => Ok(()),
        (Right::Succeed, Right::Write) => Err(wrong(
            "they ask to become the channel's owner: `mesh channel rotate` hands it to them, and \
             `mesh channel request` without --owner is what they need to write in it",
        )),
        (Right::Write, Right::Succeed) => Err(wrong(
            "they ask only to write in the channel: it takes `mesh channel request --owner` to \
             become its owner",
        )),
    }
}

fn wrong(why: &str) -> Error {
    Error::new(ErrorKind::Usage, why.to_owned())
}

/// A moment from now on, in milliseconds since 1970.
pub(crate) fn after(time: Duration) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (now + time).as_millis() as u64
}

/// `writer  Ada's telephone  3f2a…  12 items, last 2026-11-21 10:02; until 2026-12-21 10:02`.
fn row(writer: &Writer) -> String {
    let name = match (writer.name.as_str(), writer.own) {
        ("", true) => "this node".into(),
        ("", false) => "whoever made it".into(),
        (name, true) => format!("{} (this node)", words::line(name)),
        (name, false) => words::line(name),
    };
    let last = writer.newest_ms.map(|ms| format!(", last {}", words::date(ms)));
    let state = match (writer.state.as_str(), writer.until_ms) {
        ("ended", _) => "; ended".to_owned(),
        ("forked", _) => "; frozen: it has signed two histories".to_owned(),
        (_, Some(ms)) if ms <= after(Duration::ZERO) => {
            format!("; until {}: over, as soon as the owner says so", words::date(ms))
        }
        (_, Some(ms)) => format!("; until {}", words::date(ms)),
        (_, None) => String::new(),
    };
    let (items, key) = (words::count(writer.items, "item"), words::short(&writer.key));
    format!("{:6}  {name}  {key}  {items}{}{state}", writer.role, last.unwrap_or_default())
}
