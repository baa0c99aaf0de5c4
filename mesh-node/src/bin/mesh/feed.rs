//! `mesh feed`.

use mesh_node::Error;
use mesh_node::api::{ChannelStatus, Item};
use mesh_node::control::{Answer, Request, ask};

use crate::Context;
use crate::words;

/// `mesh feed`.
pub(crate) fn feed(context: &Context, request: &Request) -> Result<(), Error> {
    let mut answers = ask(&context.home()?, request)?;
    let mut is_empty = true;
    while let Some(answer) = answers.next()? {
        if let (Answer::Channel(channel), true) = (&answer, context.format.is_live()) {
            context.format.words(exchanged(channel))?;
        }
        let Answer::Item(item) = answer else { continue };
        is_empty = false;
        context.format.value(&item, row)?;
    }
    if is_empty {
        context
            .format
            .words("Nothing yet: items come by themselves when somebody near has them.")?;
    }
    Ok(())
}

/// What it has saved: the last line, for people.
fn exchanged(channel: &ChannelStatus) -> String {
    let [here, saved, given] = [channel.bytes, channel.saved, channel.given].map(words::bytes);
    format!("{here} here; neighbours gave {saved} in place of the Internet, others got {given}")
}

/// `    3  2026-11-21 10:02    1.2 MB  here  photo.jpg`.
fn row(item: &Item) -> String {
    let what = match item.kind.as_str() {
        _ if item.state == "sealed" => "written for others".to_owned(),
        _ if item.state == "retracted" => "retracted".to_owned(),
        _ if item.state == "expired" => "its time was over".to_owned(),
        "text" => words::line(&item.text),
        _ => words::line(&item.name),
    };
    let mut what = match item.writer.as_str() {
        // People on a board choose their names themselves: a key tells two of a name apart.
        "" if item.note => format!("·{}: {what}", words::short(&item.author)),
        name if item.note => {
            format!("{} ·{}: {what}", words::line(name), words::short(&item.author))
        }
        "" => what,
        writer => format!("{}: {what}", words::line(writer)),
    };
    if item.late {
        what.push_str("  (came late)");
    }
    if item.gap {
        what.push_str("  (had read something that is not here)");
    }
    let state = match item.state.as_str() {
        _ if !item.valid => "void".to_owned(),
        "retracted" | "expired" => "gone".to_owned(),
        "partial" => format!("{} %", item.have * 100 / item.size.max(1)),
        state => state.to_owned(),
    };
    let why = match item.unfetched.as_str() {
        "" => "",
        "not-wanted" => "  (comes when asked for: `mesh get`)",
        "too-large" => "  (larger than this channel's files may be; `mesh get` fetches it)",
        "over-budget" => "  (larger than all there is room for; `mesh get` fetches it)",
        _ => "  (no room beside newer ones; `mesh get` fetches it)",
    };
    let pinned = if item.pinned { "  (pinned)" } else { "" };
    let until = item.expires_ms.map(|ms| format!(" (until {})", words::date(ms)));
    let what = what + until.as_deref().unwrap_or_default();
    let size = words::bytes(item.size);
    format!(
        "{:>5}  {}  {size:>9}  {state:<5}  {what}{pinned}{why}",
        item.seq,
        words::date(item.time_ms)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_one_line_whatever_its_author_wrote() {
        let item = Item {
            seq: 3,
            author: String::new(),
            writer: "Eve\n".into(),
            note: false,
            valid: true,
            late: true,
            gap: true,
            time_ms: 0,
            kind: "text".into(),
            name: String::new(),
            text: "one\ntwo\u{1b}[31m".into(),
            blob: String::new(),
            size: 1_200_000,
            state: "partial".into(),
            have: 480_000,
            pinned: false,
            unfetched: String::new(),
            expires_ms: None,
        };
        let row = super::row(&item);
        let words = "1.2 MB  40 %   Eve↵: one↵two\\u{1b}[31m  (came late)  (had read something";
        assert!(row.contains(words), "{row}");
        assert_eq!(row.lines().count(), 1);
        // A name that somebody chose never stands alone.
        let note = Item { note: true, author: "3f9a02c1d7".into(), ..item };
        let words = |name: &str| super::row(&Item { writer: name.into(), ..note.clone() });
        assert!(words("Ada\n").contains("40 %   Ada↵ ·3f9a02c1: one"), "{}", words("Ada\n"));
        assert!(words("").contains("40 %   ·3f9a02c1: one"), "{}", words(""));
    }

    #[test]
    fn what_is_gone_is_said_to_be_and_not_shown() {
        let item = Item {
            seq: 3,
            author: String::new(),
            writer: String::new(),
            note: false,
            valid: true,
            late: false,
            gap: false,
            time_ms: 0,
            kind: "file".into(),
            name: "embarrassing.jpg".into(),
            text: String::new(),
            blob: String::new(),
            size: 1_200_000,
            state: "retracted".into(),
            have: 0,
            pinned: false,
            unfetched: String::new(),
            expires_ms: None,
        };
        assert!(row(&item).ends_with("1.2 MB  gone   retracted"), "{}", row(&item));
        let item = Item { state: "expired".into(), expires_ms: Some(0), ..item };
        assert!(row(&item).contains("gone   its time was over (until 19"), "{}", row(&item));
    }
}
