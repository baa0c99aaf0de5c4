//! `mesh channel`, `mesh follow` and `mesh unfollow`.

use std::time::Duration;

use mesh_node::api::ChannelStatus;
use mesh_node::control::{Answer, Request, ask};
use mesh_node::{ChannelLink, Error};

use crate::Context;
use crate::words;
use crate::writers::after;

/// `mesh channel new`: its link alone on a line, to be copied.
pub(crate) fn new(context: &Context, request: Request) -> Result<(), Error> {
    one(context, &request, |channel| channel.link.clone())
}

/// `mesh channel list`.
pub(crate) fn list(context: &Context) -> Result<(), Error> {
    let mut answers = ask(&context.home()?, &Request::Channels)?;
    let mut is_empty = true;
    while let Some(answer) = answers.next()? {
        let Answer::Channel(channel) = answer else { continue };
        is_empty = false;
        context
            .format
            .value(&channel, |channel| format!("{}\n  {}", row(channel), channel.link))?;
    }
    if is_empty {
        context.format.words("No channels yet: `mesh channel new NAME` or `mesh follow LINK`.")?;
    }
    Ok(())
}

/// `mesh channel hide` and `mesh channel unhide`.
pub(crate) fn hide(context: &Context, request: Request) -> Result<(), Error> {
    one(context, &request, |channel| match channel.hidden {
        true => "hidden: neighbours learn of it by searches only".into(),
        false => "no longer hidden: neighbours that know it find it here".into(),
    })
}

/// `mesh follow`.
pub(crate) fn follow(context: &Context, link: ChannelLink, hidden: bool) -> Result<(), Error> {
    one(context, &Request::Follow { link: link.to_string(), hidden }, |channel| {
        if channel.items == 0 {
            match channel.origin.is_empty() {
                true => "following; what it holds comes when somebody near has it".into(),
                false => {
                    "following; what it holds comes from somebody near, or from the web".into()
                }
            }
        } else {
            format!("following {}", row(channel))
        }
    })
}

/// `mesh unfollow`.
pub(crate) fn unfollow(context: &Context, channel: String) -> Result<(), Error> {
    let mut answers = ask(&context.home()?, &Request::Unfollow { channel })?;
    while answers.next()?.is_some() {}
    context.format.words("no longer followed")
}

fn one(
    context: &Context,
    request: &Request,
    words: fn(&ChannelStatus) -> String,
) -> Result<(), Error> {
    let mut answers = ask(&context.home()?, request)?;
    while let Some(answer) = answers.next()? {
        if let Answer::Channel(channel) = answer {
            context.format.value(&channel, words)?;
        }
    }
    Ok(())
}

/// A channel on one line: `Village news  own  12 items  3 of 4 files  1.2 MB`.
pub(crate) fn row(channel: &ChannelStatus) -> String {
    let name = match channel.name.as_str() {
        "" => format!("({} …)", words::short(&channel.channel)),
        name => words::line(name),
    };
    let role = match channel.role.as_str() {
        "owner" => "own",
        "writer" => "yours to write in",
        _ => "followed",
    };
    let kind = match (channel.private, channel.open) {
        (true, _) => ("private, ", "members"),
        (false, true) => ("open, ", "owners"),
        (false, false) => ("", "writers"),
    };
    let role = match (channel.writers, kind) {
        (0 | 1, (private, _)) => format!("{private}{role}"),
        (many, (private, people)) => format!("{private}{role}, {many} {people}"),
    };
    let items = words::count(channel.items, "item");
    let bytes = words::bytes(channel.bytes);
    let files = match (channel.blobs_have, channel.blobs_known) {
        (_, 0) => String::new(),
        (have, known) if have == known => ", all here".into(),
        (have, known) => format!(", {have} of {known} large files here"),
    };
    let origin = match channel.origin.as_str() {
        "" => String::new(),
        origin => format!("; on the web at {}", words::line(origin)),
    };
    let hidden = if channel.hidden { ", hidden" } else { "" };
    let frozen = if channel.forked { "; frozen: its key has signed two histories" } else { "" };
    let promise = promise(channel);
    format!("{name}  {role}{hidden}  {items}, {bytes}{files}{origin}{promise}{frozen}")
}

/// How new it is, if its owner has promised to say so.
fn promise(channel: &ChannelStatus) -> String {
    let (Some(as_of), Some(by)) = (channel.as_of_ms, channel.promised_ms) else {
        return String::new();
    };
    let is_over = by <= after(Duration::ZERO);
    match (is_over, channel.role.as_str()) {
        (false, "owner") => format!("; you promise news by {}", words::date(by)),
        (false, _) => format!("; as of {}", words::date(as_of)),
        (true, "owner") => format!("; you promised news by {}", words::date(by)),
        (true, _) => format!(
            "; as of {}, perhaps out of date: there was to be news by {}",
            words::date(as_of),
            words::date(by)
        ),
    }
}
