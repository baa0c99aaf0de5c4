//! What strangers' names and a hostile neighbour on the same disk can do to an export.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;
use mesh_wire::Rng;
use mesh_wire::enclosure::{BlobKey, OPEN_GROUP_BYTES, Sealer};
use mesh_wire::limits::GROUP_BYTES;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

fn inline(bytes: &[u8]) -> Content<'_> {
    let hash = Hash(*blake3::hash(bytes).as_bytes());
    Content { hash, size: bytes.len() as u64, bytes: Bytes::Inline(bytes) }
}

/// A folder to export into, beside things that must stay as they are.
fn place() -> (TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let inside = temp.path().join("a/b/inside");
    fs::create_dir_all(&inside).unwrap();
    (temp, inside)
}

fn open(path: &Path, existing: Existing) -> ExportFolder {
    ExportFolder::open(path, existing).unwrap()
}

/// Every path under `dir`, directories included, without following links.
fn all(dir: &Path) -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(path) = todo.pop() {
        if path.symlink_metadata().unwrap().is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        all.insert(path);
    }
    all
}

#[test]
fn a_file_is_written_whole_for_its_owner_only_and_never_as_a_program() {
    let (_temp, inside) = place();
    let path = open(&inside, Existing::Keep)
        .export("album/1/photo.jpg", inline(b"bytes"), &mut |_| {})
        .unwrap();
    assert_eq!(path, inside.join("album/1/photo.jpg"));
    assert_eq!(fs::read(&path).unwrap(), b"bytes");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    export_file(&inside.join("other"), Existing::Keep, inline(b""), &mut |_| {}).unwrap();
    assert_eq!(fs::read(inside.join("other")).unwrap(), b"");
    assert_eq!(all(&inside).len(), 5, "nothing temporary stays behind");
}

#[test]
fn what_is_there_stays_unless_it_is_to_be_replaced() {
    let (_temp, inside) = place();
    let path = inside.join("file");
    fs::write(&path, "old").unwrap();
    let mut folder = open(&inside, Existing::Keep);
    let error = folder.export("file", inline(b"new"), &mut |_| {}).unwrap_err();
    assert!(matches!(error, ExportError::Exists(_)) && error.to_string().contains("--force"));
    let error = export_file(&path, Existing::Keep, inline(b"new"), &mut |_| {}).unwrap_err();
    assert!(matches!(error, ExportError::Exists(_)));
    assert_eq!(fs::read(&path).unwrap(), b"old");
    export_file(&path, Existing::Replace, inline(b"new"), &mut |_| {}).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(all(&inside).len(), 2);
}

#[test]
fn k_04_a_blob_is_verified_group_by_group_before_it_is_written() {
    let (temp, inside) = place();
    for size in [20_000, GROUP_BYTES, GROUP_BYTES + 1, 40 * GROUP_BYTES + 17] {
        let bytes: Vec<u8> = (0..size).map(|i| (i / 255) as u8 | 1).collect();
        let hash = Hash(*blake3::hash(&bytes).as_bytes());
        let values: Vec<_> = (0..)
            .zip(bytes.chunks(GROUP_BYTES))
            .map(|(group, bytes)| group_hash(size as u64, group, bytes))
            .collect();
        let stored = temp.path().join("stored");
        let target = inside.join(size.to_string());
        let write = |hash: Hash, values: &[Hash], progress: &mut dyn FnMut(u64)| {
            let file = File::open(&stored).unwrap();
            let mut value = |group: u64| values.get(group as usize).copied();
            let bytes = Bytes::Blob { file: &file, value: &mut value, unsealing: None };
            let content = Content { hash, size: size as u64, bytes };
            export_file(&target, Existing::Keep, content, progress)
        };
        let damaged = |result: Result<(), ExportError>, expected: u64| {
            let error = result.unwrap_err();
            let ExportError::Damaged { group, .. } = error else { panic!("{error}") };
            assert_eq!(group, expected);
            assert_eq!(all(&inside).len(), 1, "part of it was written");
        };
        let last = values.len() as u64 - 1;

        // A flipped bit, a file cut short, values that are missing or belong to another blob.
        let mut flipped = bytes.clone();
        flipped[size - 1] ^= 1;
        fs::write(&stored, &flipped).unwrap();
        damaged(write(hash, &values, &mut |_| {}), last);
        fs::write(&stored, &bytes[..size - 1]).unwrap();
        assert!(matches!(write(hash, &values, &mut |_| {}), Err(ExportError::Damaged { .. })));
        fs::write(&stored, &bytes).unwrap();
        damaged(write(hash, &values[..last as usize], &mut |_| {}), last);
        damaged(write(Hash([1; 32]), &values, &mut |_| {}), last + 1);

        let mut told = 0;
        write(hash, &values, &mut |more| told += more).unwrap();
        assert_eq!(told, size as u64);
        assert!(fs::read(&target).unwrap() == bytes);
        fs::remove_file(&target).unwrap();
    }
}

// spec: SYNC-47
#[test]
fn k_04_a_sealed_blob_is_verified_and_opened_group_by_group() {
    let (temp, inside) = place();
    let stored = temp.path().join("stored");
    for size in [15_361, 65_520, 300_000] {
        let bytes: Vec<u8> = (0..size).map(|i| (i / 255) as u8 | 1).collect();
        let key = BlobKey::from_array([size as u8; 32]);
        let hash = Hash(*blake3::hash(&bytes).as_bytes());
        let unsealing = Unsealing { key, size: size as u64, hash };
        let sealer = Sealer::new(crate::cipher::make, &unsealing.key, size as u64);
        let mut sealed = Vec::new();
        for group in 0..sealer.groups() {
            let start = (group as usize * OPEN_GROUP_BYTES).min(size);
            let end = (start + sealer.group_bytes(group)).min(size);
            let mut some = bytes[start..end].to_vec();
            some.resize(sealer.group_bytes(group), 0);
            sealer.seal(group, &mut some);
            sealed.extend_from_slice(&some);
        }
        let target = inside.join(size.to_string());
        let total = sealed.len() as u64;
        let write = |stored_bytes: &[u8], signed: &[u8], unsealing: &Unsealing| {
            fs::write(&stored, stored_bytes).unwrap();
            let values: Vec<_> = (0..)
                .zip(signed.chunks(GROUP_BYTES))
                .map(|(group, bytes)| group_hash(total, group, bytes))
                .collect();
            let hash = Hash(*blake3::hash(signed).as_bytes());
            let file = File::open(&stored).unwrap();
            let mut value = |group: u64| values.get(group as usize).copied();
            let unsealing = Some(unsealing);
            let bytes = Bytes::Blob { file: &file, value: &mut value, unsealing };
            let content = Content { hash, size: total, bytes };
            export_file(&target, Existing::Keep, content, &mut |_| {})
        };
        let unopened = |result: Result<(), ExportError>| {
            let error = result.unwrap_err();
            assert!(matches!(error, ExportError::Unopened(_)), "{error}");
            assert_eq!(all(&inside).len(), 1, "part of it was written");
        };
        // The copy has rotted, or ends early.
        let mut flipped = sealed.clone();
        flipped[sealed.len() - 1] ^= 1;
        for copy in [&flipped[..], &sealed[..sealed.len() - 1]] {
            let error = write(copy, &sealed, &unsealing).unwrap_err();
            assert!(matches!(error, ExportError::Damaged { .. }), "{error}");
            assert_eq!(all(&inside).len(), 1, "part of it was written");
        }
        // The writer lies: what was signed does not open, with this key or to this.
        unopened(write(&flipped, &flipped, &unsealing));
        let wrong = BlobKey::from_array([250; 32]);
        unopened(write(&sealed, &sealed, &Unsealing { key: wrong, ..unsealing.clone() }));
        unopened(write(&sealed, &sealed, &Unsealing { hash: Hash([1; 32]), ..unsealing.clone() }));
        write(&sealed, &sealed, &unsealing).unwrap();
        assert!(fs::read(&target).unwrap() == bytes);
        fs::remove_file(&target).unwrap();
    }
}

#[test]
fn inline_content_that_is_not_what_was_signed_is_not_written() {
    let (_temp, inside) = place();
    let content = Content { hash: Hash([0; 32]), ..inline(b"bytes") };
    let error = open(&inside, Existing::Keep).export("file", content, &mut |_| {}).unwrap_err();
    assert!(matches!(error, ExportError::Damaged { .. }));
    assert_eq!(all(&inside).len(), 1);
}

#[test]
fn names_that_look_the_same_get_a_number() {
    let (_temp, inside) = place();
    let mut folder = open(&inside, Existing::Replace);
    let names =
        ["A.txt", "a.txt", "a (2).txt", "\u{e9}", "e\u{301}", "A.TXT", "x/a.txt", "X/a.txt"];
    let written = names.map(|name| {
        let path = folder.export(name, inline(name.as_bytes()), &mut |_| {}).unwrap();
        assert_eq!(fs::read(&path).unwrap(), name.as_bytes(), "{name}");
        path.strip_prefix(&inside).unwrap().to_str().unwrap().to_owned()
    });
    let expected = [
        "A.txt",
        "a (2).txt",
        "a (2) (2).txt",
        "\u{e9}",
        "e\u{301} (2)",
        "A (3).TXT",
        "x/a.txt",
        "X/a (2).txt",
    ];
    assert_eq!(written, expected);
}

/// What paths are made of that lead out of a folder, or nowhere.
const PARTS: &[&str] = &[
    "..",
    ".",
    "",
    "a",
    "b",
    "..\\..",
    "C:",
    "CON",
    "aux.txt",
    "nul",
    "LPT1",
    "a.",
    "a ",
    " a",
    "~",
    "~root",
    "-rf",
    "$HOME",
    "`id`",
    ";ls",
    "*",
    "%2e%2e",
    "..%2f",
    "\u{202e}txt",
    "a\0b",
    "a\nb",
    "a\u{1b}[2J",
    "\u{feff}",
    "\u{2025}",
    "\u{ff0e}\u{ff0e}",
    "\u{ff0f}",
    "\u{2215}",
    "\u{e9}",
    "e\u{301}",
    "É",
    "ß",
    "SS",
    "ﬁ",
    ".git",
    ".ssh",
    "...",
    "dev",
    "proc",
    "index.redb",
    "A",
    "a (2)",
    "inside",
    "outside",
    "fifo",
    "link",
    "dangling",
    "folder-link",
    "hard",
];

fn hostile_names() -> Vec<String> {
    let mut names: Vec<_> = [
        "/etc/passwd",
        "/dev/null",
        "../../../../../../etc/cron.d/x",
        "folder-link/x",
        "folder-link/../x",
        "link",
        "fifo",
        "hard",
        "dangling",
    ]
    .map(String::from)
    .into();
    names.push("x".repeat(4096));
    names.push("x/".repeat(2048));
    names.push("é".repeat(100));
    names.push("é".repeat(101));
    let mut rng = Rng::from_seed([5; 32]);
    while names.len() < 300 {
        let count = 1 + rng.below(4) as usize;
        let name = (0..count).map(|_| PARTS[rng.below(PARTS.len() as u64) as usize]);
        names.push(name.collect::<Vec<_>>().join("/"));
    }
    names
}

/// Plants everything a folder can hold that leads out of it.
fn plant(temp: &Path, inside: &Path) {
    fs::write(temp.join("outside"), "untouched").unwrap();
    fs::create_dir(temp.join("outside-folder")).unwrap();
    symlink(temp.join("outside"), inside.join("link")).unwrap();
    symlink(temp.join("not-yet"), inside.join("dangling")).unwrap();
    symlink(temp.join("outside-folder"), inside.join("folder-link")).unwrap();
    fs::hard_link(temp.join("outside"), inside.join("hard")).unwrap();
    mknodat(CWD, inside.join("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

#[test]
fn a_05_hostile_names_stay_inside_or_are_refused() {
    for existing in [Existing::Keep, Existing::Replace] {
        let (temp, inside) = place();
        plant(temp.path(), &inside);
        let before = all(temp.path());
        let mut folder = open(&inside, existing);
        let (mut written, mut refused) = (BTreeSet::new(), 0);
        for name in hostile_names() {
            match folder.export(&name, inline(name.as_bytes()), &mut |_| {}) {
                Ok(path) => {
                    assert!(path.starts_with(&inside), "{name:?}");
                    let meta = path.symlink_metadata().unwrap();
                    assert!(meta.is_file() && meta.nlink() == 1, "{name:?}");
                    assert_eq!(fs::read(&path).unwrap(), name.as_bytes());
                    assert!(written.insert(path), "{name:?} replaced another of this export");
                }
                Err(_) => refused += 1,
            }
        }
        assert!(written.len() > 30 && refused > 100, "{} written, {refused}", written.len());
        for path in all(temp.path()).difference(&before) {
            assert!(path.starts_with(&inside), "{} was made", path.display());
            let is_ours = written.iter().any(|file| file.starts_with(path));
            assert!(is_ours || path.is_dir(), "{} stays behind", path.display());
        }
        assert_eq!(fs::read(temp.path().join("outside")).unwrap(), b"untouched");
        assert_eq!(fs::read_dir(temp.path().join("outside-folder")).unwrap().count(), 0);
    }
}

#[test]
fn a_06_what_is_planted_diverts_nothing() {
    for existing in [Existing::Keep, Existing::Replace] {
        let (temp, inside) = place();
        plant(temp.path(), &inside);
        let mut folder = open(&inside, existing);
        for name in ["link", "dangling", "hard", "fifo"] {
            let result = folder.export(name, inline(b"received"), &mut |_| {});
            match existing {
                Existing::Keep => assert!(matches!(result, Err(ExportError::Exists(_))), "{name}"),
                Existing::Replace => {
                    assert_eq!(fs::read(result.unwrap()).unwrap(), b"received", "{name}");
                    assert!(inside.join(name).symlink_metadata().unwrap().is_file());
                }
            }
        }
        for name in ["folder-link/x", "folder-link/y/z", "hard/x"] {
            let result = folder.export(name, inline(b"received"), &mut |_| {});
            assert!(matches!(result, Err(ExportError::Write { .. })), "{name}");
        }
        assert_eq!(fs::read(temp.path().join("outside")).unwrap(), b"untouched");
        assert_eq!(fs::read_dir(temp.path().join("outside-folder")).unwrap().count(), 0);
        assert!(!temp.path().join("not-yet").exists());
    }
}

#[test]
fn a_06_a_race_of_links_never_leads_outside() {
    let (temp, inside) = place();
    let outside = temp.path().join("outside-folder");
    fs::create_dir(&outside).unwrap();
    let part = inside.join("part");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let aside = inside.join("aside");
            while !is_over.load(Ordering::Relaxed) {
                // A directory, a link to elsewhere, nothing: as fast as can be.
                let _ = fs::rename(&part, &aside);
                let _ = symlink(&outside, &part);
                let _ = fs::remove_file(&part);
                let _ = fs::rename(&aside, &part);
                for entry in fs::read_dir(&part).into_iter().flatten().flatten() {
                    if entry.file_name().to_string_lossy().ends_with(".part") {
                        let _ = fs::remove_file(entry.path());
                        let _ = symlink(outside.join("stolen"), entry.path());
                    }
                }
            }
        });
        let mut folder = open(&inside, Existing::Replace);
        let mut written = 0;
        for number in 0..3000 {
            let name = format!("part/file{number}");
            let bytes = number.to_string();
            written +=
                u32::from(folder.export(&name, inline(bytes.as_bytes()), &mut |_| {}).is_ok());
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(written > 0, "the race was always lost: this test shows nothing");
    });
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn a_folder_that_cannot_be_written_is_said_with_its_path() {
    let (temp, inside) = place();
    fs::write(inside.join("file"), "").unwrap();
    let error = ExportFolder::open(inside.join("file/x"), Existing::Keep).unwrap_err();
    assert!(error.to_string().contains("inside/file/x"), "{error}");
    let error = export_file(&inside.join("no/file"), Existing::Keep, inline(b""), &mut |_| {});
    assert!(error.unwrap_err().to_string().contains("inside/no/file"));
    for path in [Path::new("/"), &inside.join(".."), Path::new("")] {
        let error = export_file(path, Existing::Replace, inline(b""), &mut |_| {}).unwrap_err();
        assert!(matches!(error, ExportError::Write { .. }), "{error}");
    }
    if !rustix::process::geteuid().is_root() {
        fs::set_permissions(&inside, fs::Permissions::from_mode(0o500)).unwrap();
        assert!(open(&inside, Existing::Keep).export("x", inline(b""), &mut |_| {}).is_err());
    }
    assert_eq!(all(temp.path()).len(), 5);
}
