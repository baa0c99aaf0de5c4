//! `mesh feed`.

use mesh_node::Error;
use mesh_node::api::Item;
use mesh_node::control::{Answer, Request, ask};

use crate::Context;
use crate::words;

/// `mesh feed`.
pub(crate) fn feed(context: &Context, request: &Request) -> Result<(), Error> {
    let mut answers = ask(&context.home()?, request)?;
    let mut is_empty = true;
    while let Some(answer) = answers.next()? {
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

/// `    3  2026-11-21 10:02    1.2 MB  here  photo.jpg`.
fn row(item: &Item) -> String {
    let what = match item.kind.as_str() {
        _ if item.state == "sealed" => "written for others".to_owned(),
        "text" => words::line(&item.text),
        _ => words::line(&item.name),
    };
    let mut what = match item.writer.as_str() {
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
        "partial" => format!("{} %", item.have * 100 / item.size.max(1)),
        state => state.to_owned(),
    };
    let size = words::bytes(item.size);
    format!("{:>5}  {}  {size:>9}  {state:<5}  {what}", item.seq, words::date(item.time_ms))
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
        };
        let row = row(&item);
        let words = "1.2 MB  40 %   Eve↵: one↵two\\u{1b}[31m  (came late)  (had read something";
        assert!(row.contains(words), "{row}");
        assert_eq!(row.lines().count(), 1);
    }
}
