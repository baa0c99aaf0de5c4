//! What the demo publishes when it is given nothing: a made-up village newspaper.

use std::fs;
use std::path::Path;

use mesh_node::Error;

use crate::say::failed;

/// Name and content of each file.
const FILES: [(&str, &[u8]); 5] = [
    ("about.txt", include_bytes!("../../../../sample/about.txt")),
    ("news.txt", include_bytes!("../../../../sample/news.txt")),
    ("letters/lost-and-found.txt", include_bytes!("../../../../sample/letters/lost-and-found.txt")),
    ("bus-timetable.csv", include_bytes!("../../../../sample/bus-timetable.csv")),
    ("map.svg", include_bytes!("../../../../sample/map.svg")),
];

/// Writes the files into `dir`.
pub(super) fn write(dir: &Path) -> Result<(), Error> {
    for (name, content) in FILES {
        let path = dir.join(name);
        let parent = path.parent().unwrap_or(dir);
        fs::create_dir_all(parent).and_then(|()| fs::write(&path, content)).map_err(failed)?;
    }
    Ok(())
}
