//! `mesh quota`, `mesh channel set`, `mesh pin` and `mesh unpin`: what is to be here.

use mesh_node::Error;
use mesh_node::api::{ChannelStatus, Item, Quota};
use mesh_node::control::{Answer, ComingFiles, Limit, Request, ask};

use crate::args::{Coming, Size};
use crate::{Context, channel, words};

/// `mesh quota`.
pub(crate) fn quota(context: &Context, size: Option<Size>) -> Result<(), Error> {
    let total = size.map(|Size(limit)| limit);
    let mut answers = ask(&context.home()?, &Request::Quota { total })?;
    while let Some(answer) = answers.next()? {
        if let Answer::Quota(quota) = answer {
            context.format.value(&quota, text)?;
        }
    }
    Ok(())
}

/// What `mesh channel set` changes.
pub(crate) struct Change {
    pub(crate) files: Option<Coming>,
    pub(crate) largest: Option<Size>,
    pub(crate) keep: Option<Size>,
}

/// `mesh channel set`.
pub(crate) fn set(context: &Context, channel: String, change: Change) -> Result<(), Error> {
    let limit = |size: Option<Size>| -> Option<Limit> { size.map(|Size(limit)| limit) };
    let files = change.files.map(|files| match files {
        Coming::All => ComingFiles::All,
        Coming::Wanted => ComingFiles::Wanted,
    });
    let (largest, keep) = (limit(change.largest), limit(change.keep));
    let request = Request::SetChannel { channel, files, largest, keep };
    let mut answers = ask(&context.home()?, &request)?;
    while let Some(answer) = answers.next()? {
        if let Answer::Channel(channel) = answer {
            context.format.value(&channel, |channel| {
                format!("{}\n  {}", channel::row(channel), policy(channel))
            })?;
        }
    }
    Ok(())
}

/// `mesh pin` and `mesh unpin`.
pub(crate) fn pin(context: &Context, request: &Request) -> Result<(), Error> {
    let mut answers = ask(&context.home()?, request)?;
    while let Some(answer) = answers.next()? {
        if let Answer::Item(item) = answer {
            context.format.value(&item, pinned)?;
        }
    }
    Ok(())
}

fn pinned(item: &Item) -> String {
    let name = if item.name.is_empty() { "a text" } else { &item.name };
    let what = match (item.pinned, item.have < item.size) {
        _ if item.blob.is_empty() || item.kind == "text" => "stays in any case",
        (true, true) => "comes first from now on, and stays",
        (true, false) => "stays",
        (false, _) => "may go when its time has come",
    };
    format!("{}: {} {what}", item.seq, words::line(name))
}

/// What of a channel's large files is to be here, and is: `large files: all up to 10.0 MB; …`.
pub(crate) fn policy(channel: &ChannelStatus) -> String {
    let policy = &channel.policy;
    let which = match (policy.files.as_str(), policy.largest) {
        ("wanted", _) => "those that are asked for or pinned".into(),
        (_, None) => "all".into(),
        (_, Some(largest)) => format!("all up to {}", words::bytes(largest)),
    };
    let keep = match policy.keep {
        None => String::new(),
        Some(keep) => format!(", the newest {} of them", words::bytes(keep)),
    };
    format!("large files: {which}{keep}; {} of others' are here", words::bytes(channel.used))
}

fn text(quota: &Quota) -> String {
    let mut lines = Vec::new();
    for channel in &quota.channels {
        let name = match channel.name.as_str() {
            "" => format!("({} …)", words::short(&channel.channel)),
            name => words::line(name),
        };
        let keep = channel.keep.map(|keep| format!(" of {}", words::bytes(keep)));
        lines.push(format!("{name}  {}{}", words::bytes(channel.used), keep.unwrap_or_default()));
    }
    let total = match (quota.total, quota.set) {
        (None, _) => String::new(),
        (Some(total), true) => format!(" of {}", words::bytes(total)),
        (Some(total), false) => {
            format!(
                " of {}, half of what was free: `mesh quota 20G` says otherwise",
                words::bytes(total)
            )
        }
    };
    lines.push(format!(
        "In all {}{total}; what you published is not counted",
        words::bytes(quota.used)
    ));
    lines.join("\n")
}
