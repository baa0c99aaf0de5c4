//! Names are data: which of a stranger's names may become a path, and which two are one.

use std::path::{Component, Path, PathBuf};

use mesh_wire::label::deceptive;
use mesh_wire::limits::NAME_BYTES;
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

/// Longest part of a path, in bytes: with a suffix of ours it fits the 255 of every file system.
const PART_BYTES: usize = 200;

/// Why a name does not become a path.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the name {name:?} is not used: {why}; choose one with -o FILE")]
pub struct UnsafeName {
    name: String,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
enum Why {
    #[error("it is longer than {NAME_BYTES} bytes")]
    TooLong,
    #[error("a part of it is longer than {PART_BYTES} bytes")]
    PartTooLong,
    #[error("a part of it is empty: it begins or ends with / or contains //")]
    Empty,
    #[error("it contains {0:?}")]
    Character(char),
    #[error("a part of it begins or ends with a dot or a space")]
    Edge,
    #[error("{0} is a device on some systems")]
    Device(&'static str),
}

impl UnsafeName {
    /// What is wrong with it.
    #[must_use]
    pub fn why(&self) -> impl std::fmt::Display + use<> {
        self.why
    }
}

/// The relative path that a received name stands for: plain parts only, at least one. It never
/// leads out of the directory it is joined to, on any system, and reads as what it is.
///
/// Refused: `\`, `:`, controls, bidirectional and invisible characters; parts that are empty,
/// begin or end with a dot or a space, exceed 200 bytes, or name a device of Windows.
pub fn safe_name(name: &str) -> Result<PathBuf, UnsafeName> {
    let check = || {
        if name.len() > NAME_BYTES {
            return Err(Why::TooLong);
        }
        name.split('/').try_for_each(check_part)
    };
    match check() {
        Ok(()) => Ok(PathBuf::from(name)),
        Err(why) => Err(UnsafeName { name: name.chars().take(80).collect(), why }),
    }
}

fn check_part(part: &str) -> Result<(), Why> {
    if part.is_empty() {
        return Err(Why::Empty);
    }
    if part.len() > PART_BYTES {
        return Err(Why::PartTooLong);
    }
    if let Some(c) = part.chars().find(|c| matches!(c, '\\' | ':') || deceptive(*c)) {
        return Err(Why::Character(c));
    }
    if part.starts_with(is_edge) || part.ends_with(is_edge) {
        return Err(Why::Edge);
    }
    device(part).map_or(Ok(()), |device| Err(Why::Device(device)))
}

fn is_edge(c: char) -> bool {
    c == '.' || c.is_whitespace()
}

/// The device of Windows that this part would open there, whatever its ending.
fn device(part: &str) -> Option<&'static str> {
    const NUMBERED: [&str; 2] = ["COM", "LPT"];
    const PLAIN: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
    let stem = part.split('.').next().unwrap_or(part).trim_end();
    let numbered = NUMBERED.into_iter().find(|device| {
        let mut rest = stem.chars();
        let starts =
            device.chars().all(|c| rest.next().is_some_and(|r| r.eq_ignore_ascii_case(&c)));
        let number = rest.next();
        starts && matches!(number, Some('0'..='9' | '¹' | '²' | '³')) && rest.next().is_none()
    });
    numbered.or_else(|| PLAIN.into_iter().find(|device| stem.eq_ignore_ascii_case(device)))
}

/// What two paths have in common that a person, or a file system without regard to case, takes
/// for one.
pub(super) fn look(path: &Path) -> String {
    let text: String = path.to_string_lossy().nfc().collect();
    // Up and down again: ß meets SS, and both kinds of small sigma meet.
    text.to_uppercase().to_lowercase().nfc().collect()
}

/// The `copy`-th path of those that look the same: the second is `name (2).ending`.
pub(super) fn numbered(path: &Path, copy: u32) -> PathBuf {
    if copy < 2 {
        return path.to_owned();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!("{stem} ({copy}){ending}"))
}

/// The parts of a path of plain parts, or nothing if it is not one.
pub(super) fn parts(path: &Path) -> Option<Vec<&std::ffi::OsStr>> {
    path.components()
        .map(|part| match part {
            Component::Normal(part) => Some(part),
            Component::Prefix(_)
            | Component::RootDir
            | Component::CurDir
            | Component::ParentDir => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_are_used_as_they_are() {
        for name in [
            "a",
            "photo.jpg",
            "album/2026/photo 1.jpg",
            "~",
            "-rf",
            "$(reboot)",
            "a..b",
            "console",
            "COM",
            "COM10",
            "auxiliary.txt",
            "Ünïcode/日本語.txt",
            "e\u{301}",
            &"x".repeat(200),
        ] {
            assert_eq!(safe_name(name), Ok(PathBuf::from(name)), "{name:?}");
        }
    }

    #[test]
    fn names_that_mean_something_else_somewhere_are_refused() {
        for name in [
            "",
            "/",
            "/etc/passwd",
            "a/",
            "a//b",
            ".",
            "..",
            "../a",
            "a/../b",
            "a/..",
            "./a",
            ".bashrc",
            "a/.ssh/b",
            "a.",
            "a ",
            " a",
            "a /b",
            "a\\b",
            "..\\a",
            "C:",
            "C:/a",
            "a:b",
            "a\0b",
            "a\nb",
            "a\u{1b}[2Jb",
            "a\u{202e}gpj.exe",
            "a\u{2066}b",
            "a\u{200b}b",
            "CON",
            "con",
            "Con.txt",
            "x/aux.tar.gz",
            "NUL .txt",
            "COM1",
            "lpt9.log",
            "COM¹",
            "CONIN$",
            "\u{a0}a",
            "a\u{3000}",
            &"x".repeat(201),
            &"x/".repeat(300),
        ] {
            assert!(safe_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_refusal_says_why_in_few_words() {
        let error = safe_name(&format!("{}\u{202e}", "x".repeat(4096))).unwrap_err().to_string();
        assert!(
            error.len() < 300 && error.contains("512 bytes") && error.contains("-o"),
            "{error}"
        );
    }

    #[test]
    fn alike_is_what_a_person_or_a_file_system_takes_for_one() {
        let alike = |a: &str, b: &str| look(Path::new(a)) == look(Path::new(b));
        assert!(alike("É/a", "e\u{301}/A"));
        assert!(alike("STRASSE", "straße"));
        assert!(alike("ΣΑΣ", "σας"));
        assert!(!alike("a", "b"));
        assert!(!alike("a/b", "ab"));
    }

    #[test]
    fn a_number_stands_before_the_ending() {
        let check = |name, copy, expected: &str| {
            assert_eq!(numbered(Path::new(name), copy), Path::new(expected));
        };
        check("a/b.txt", 1, "a/b.txt");
        check("a/b.txt", 2, "a/b (2).txt");
        check("a/b", 12, "a/b (12)");
        check("b.tar.gz", 3, "b.tar (3).gz");
    }
}
