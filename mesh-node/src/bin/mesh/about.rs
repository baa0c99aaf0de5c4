//! `mesh id`, `mesh status` and `mesh doctor`.

use mesh_node::Error;
use mesh_node::api::{Finding, Identity, Status};
use mesh_node::control::{Answer, Request, ask};

use crate::screen::{Live, lines};
use crate::{Context, words};

/// `mesh id`.
pub(crate) fn id(context: &Context) -> Result<(), Error> {
    let mut answers = ask(&context.home()?, &Request::Identity)?;
    while let Some(answer) = answers.next()? {
        if let Answer::Identity(identity) = answer {
            context.format.value(&identity, |Identity { id, name, words }| {
                format!("{name}\n{words}\n{id}")
            })?;
        }
    }
    Ok(())
}

/// `mesh status`.
pub(crate) fn status(context: &Context) -> Result<(), Error> {
    let mut answers = ask(&context.home()?, &Request::Status)?;
    while let Some(answer) = answers.next()? {
        if let Answer::Status(status) = answer {
            context.format.value(&*status, text)?;
        }
    }
    Ok(())
}

/// `mesh status --watch`: the same again after every change, in place on a terminal.
pub(crate) fn watch(context: &Context) -> Result<(), Error> {
    let mut answers = ask(&context.home()?, &Request::Watch)?;
    let mut live = context.format.is_live().then(Live::new);
    while let Some(answer) = answers.next()? {
        let Answer::Status(status) = answer else { continue };
        match &mut live {
            Some(live) => live.draw(&lines(&status))?,
            None => context.format.value(&*status, |status| text(status) + "\n")?,
        }
    }
    Ok(())
}

fn text(status: &Status) -> String {
    lines(status).join("\n")
}

/// `mesh doctor`.
pub(crate) fn doctor(context: &Context, who: Option<String>) -> Result<(), Error> {
    let request = who.map_or(Request::Doctor, |who| Request::Examine { who });
    let mut answers = ask(&context.home()?, &request)?;
    while let Some(answer) = answers.next()? {
        if let Answer::Finding(finding) = answer {
            context.format.value(&finding, row)?;
        }
    }
    Ok(())
}

fn row(finding: &Finding) -> String {
    let Finding { what, ok, found, remedy } = finding;
    let verdict = if *ok { "well" } else { "not well" };
    let remedy = if remedy.is_empty() { String::new() } else { format!("\n    do: {remedy}") };
    format!("{}: {verdict}: {}{remedy}", words::line(what), words::line(found))
}
