//! What is published of what a user has on disk.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::SystemTime;

use super::*;
use crate::home::Home;
use crate::store::DiskStore;
use mesh_wire::enclosure::{Sealer, sealed_size};
use mesh_wire::limits::GROUP_BYTES;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

struct Place {
    temp: TempDir,
    home: Home,
    blobs: Blobs,
}

fn place() -> Place {
    let temp = tempfile::tempdir().unwrap();
    let home = Home::open(temp.path().join("home")).unwrap();
    let blobs = DiskStore::open(&home).unwrap().blobs();
    Place { temp, home, blobs }
}

impl Place {
    fn dir(&self) -> PathBuf {
        let dir = self.temp.path().join("files");
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn walk(&self, path: impl Into<PathBuf>) -> (Vec<Found>, Vec<Skipped>) {
        let (found, skipped): (Vec<_>, Vec<_>) =
            Walk::new(path, &self.home).unwrap().partition(Result::is_ok);
        (
            found.into_iter().map(Result::unwrap).collect(),
            skipped.into_iter().map(Result::unwrap_err).collect(),
        )
    }

    fn import(&self, path: impl Into<PathBuf>) -> Result<Imported, ImportError> {
        let (found, skipped) = self.walk(path);
        assert!(skipped.is_empty(), "{skipped:?}");
        import(&found[0], &self.blobs, Readers::Everybody, &mut |_| {})
    }

    fn incoming(&self) -> usize {
        fs::read_dir(self.home.incoming()).unwrap().count()
    }
}

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i / 251) as u8 ^ i as u8).collect()
}

fn names(found: &[Found]) -> Vec<&str> {
    found.iter().map(|found| found.name().as_str()).collect()
}

fn reasons(skipped: &[Skipped]) -> String {
    skipped.iter().map(|skipped| format!("{skipped}\n")).collect()
}

fn why(error: ImportError) -> Reason {
    match error {
        ImportError::Skipped(skipped) => skipped.why,
        ImportError::Store(error) => panic!("{error}"),
    }
}

#[test]
fn files_of_every_size_arrive_whole_under_their_hash() {
    let place = place();
    let path = place.dir().join("file");
    for size in [
        0,
        1,
        INLINE_BYTES,
        INLINE_BYTES + 1,
        64 << 10,
        (64 << 10) + 1,
        1 << 20,
        (1 << 20) + 1,
        (5 << 20) + 12345,
    ] {
        let bytes = content(size);
        fs::write(&path, &bytes).unwrap();
        let (found, _) = place.walk(&path);
        let mut told = 0;
        let imported =
            import(&found[0], &place.blobs, Readers::Everybody, &mut |more| told += more).unwrap();
        assert_eq!(told, size as u64);
        assert_eq!((imported.name.as_str(), imported.size), ("file", size as u64));
        assert_eq!(imported.hash.0, *blake3::hash(&bytes).as_bytes(), "{size}");
        match imported.content {
            Content::Inline(inline) => {
                assert!(size <= INLINE_BYTES);
                assert_eq!(inline, bytes);
            }
            Content::Blob { staged, outboard, unsealing } => {
                assert!(size > INLINE_BYTES);
                assert_eq!(outboard.id().hash, imported.hash);
                assert_eq!(unsealing, None);
                staged.place(&imported.hash).unwrap();
                let mut copy = Vec::new();
                place.blobs.open(&imported.hash).unwrap().read_to_end(&mut copy).unwrap();
                assert!(copy == bytes, "{size}: the copy differs");
            }
        }
    }
    assert_eq!(place.incoming(), 0);
}

// spec: SYNC-47, SYNC-48
#[test]
fn what_is_for_members_is_sealed_before_it_is_written() {
    let place = place();
    let path = place.dir().join("file");
    for size in [15_360, 15_361, 16_384, 65_520, 65_521, 300_000, 1 << 20, (5 << 20) + 12_345] {
        let bytes = content(size);
        fs::write(&path, &bytes).unwrap();
        let (found, _) = place.walk(&path);
        let mut told = 0;
        let mut progress = |more| told += more;
        let imported = import(&found[0], &place.blobs, Readers::Members, &mut progress).unwrap();
        assert_eq!((told, imported.size), (size as u64, size as u64));
        assert_eq!(imported.hash.0, *blake3::hash(&bytes).as_bytes());
        let (staged, outboard, unsealing) = match imported.content {
            Content::Inline(inline) => {
                assert!(size == SEALED_CONTENT_BYTES && inline == bytes);
                continue;
            }
            Content::Blob { staged, outboard, unsealing } => (staged, outboard, unsealing.unwrap()),
        };
        assert_eq!(outboard.id().size, sealed_size(size as u64));
        assert_eq!((unsealing.size, unsealing.hash), (imported.size, imported.hash));
        let hash = outboard.id().hash;
        staged.place(&hash).unwrap();
        let mut copy = Vec::new();
        place.blobs.open(&hash).unwrap().read_to_end(&mut copy).unwrap();
        assert_eq!(*blake3::hash(&copy).as_bytes(), hash.0);
        for piece in bytes.chunks(1000).map(|piece| &piece[..piece.len().min(32)]) {
            assert!(piece.len() < 32 || !copy.windows(32).any(|window| window == piece));
            if size > 100_000 {
                break;
            }
        }
        let sealer = Sealer::new(crate::cipher::make, &unsealing.key, unsealing.size);
        let mut opened = Vec::new();
        for (sealed, group) in copy.chunks(GROUP_BYTES).zip(0..) {
            let mut sealed = sealed.to_vec();
            sealer.open(group, &mut sealed).unwrap();
            opened.extend_from_slice(&sealed);
        }
        assert!(opened[..size] == bytes && opened[size..].iter().all(|byte| *byte == 0));
    }
    assert_eq!(place.incoming(), 0);
}

/// Each time another key: nobody finds out by its hash who else has a file.
// spec: SYNC-47
#[test]
fn one_file_is_sealed_under_a_new_key_each_time() {
    let place = place();
    let path = place.dir().join("file");
    fs::write(&path, content(100_000)).unwrap();
    let (found, _) = place.walk(&path);
    let seal = || {
        let imported = import(&found[0], &place.blobs, Readers::Members, &mut |_| {}).unwrap();
        let Content::Blob { outboard, unsealing, .. } = imported.content else { panic!() };
        (outboard.id().hash, unsealing.unwrap())
    };
    let (one, other) = (seal(), seal());
    assert_ne!(one.0, other.0);
    assert!(one.1.key != other.1.key && one.1.hash == other.1.hash);
    assert_eq!(place.incoming(), 0);
}

#[test]
fn a_directory_is_walked_in_order_with_relative_names() {
    let place = place();
    let dir = place.dir();
    for name in ["b.txt", "a/z", "a/b/c", "a.txt", "a/Z", "日本/語"] {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
    let expected = ["a/Z", "a/b/c", "a/z", "a.txt", "b.txt", "日本/語"];
    for path in [dir.clone(), dir.join("a/.."), dir.join("a/../")] {
        let (found, skipped) = place.walk(&path);
        assert_eq!(names(&found), expected, "{}", path.display());
        assert!(skipped.is_empty());
    }
    let (found, _) = place.walk(dir.join("a/b/c"));
    assert_eq!(names(&found), ["c"]);
}

#[test]
fn what_is_no_plain_file_is_left_out_and_said_so_and_never_waited_for() {
    let place = place();
    let dir = place.dir();
    fs::write(dir.join("file"), "x").unwrap();
    symlink("/etc/passwd", dir.join("link")).unwrap();
    symlink("..", dir.join("loop")).unwrap();
    symlink("nowhere", dir.join("dangling")).unwrap();
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let _socket = UnixListener::bind(dir.join("socket")).unwrap();
    fs::write(dir.join(std::ffi::OsStr::from_bytes(b"latin-\xe9")), "x").unwrap();
    fs::write(dir.join("bidi\u{202e}gpj.exe"), "x").unwrap();
    fs::write(dir.join("line\nbreak"), "x").unwrap();
    let (found, skipped) = place.walk(&dir);
    assert_eq!(names(&found), ["file"]);
    let text = reasons(&skipped);
    assert_eq!(skipped.len(), 8, "{text}");
    for (name, reason) in [
        ("link", "symbolic link"),
        ("loop", "symbolic link"),
        ("dangling", "symbolic link"),
        ("fifo", "neither a file nor a directory"),
        ("socket", "neither a file nor a directory"),
        ("latin-", "UTF-8"),
        ("bidi", "U+202E"),
        ("line", "U+000A"),
    ] {
        let said = |skipped: &&Skipped| skipped.path.to_string_lossy().contains(name);
        let skipped = skipped.iter().find(said).unwrap();
        assert!(skipped.to_string().contains(reason), "{skipped}");
    }
    for name in ["link", "fifo"] {
        let (found, skipped) = place.walk(dir.join(name));
        assert_eq!((found.len(), skipped.len()), (0, 1), "{name}");
    }
}

#[test]
fn what_readers_would_not_write_is_not_published() {
    let place = place();
    let dir = place.dir();
    fs::create_dir(dir.join(".git")).unwrap();
    fs::write(dir.join(".git/config"), "x").unwrap();
    for name in ["a:b", "ends.", "nul.txt", "plain.txt"] {
        fs::write(dir.join(name), "x").unwrap();
    }
    let (found, skipped) = place.walk(&dir);
    assert_eq!(names(&found), ["plain.txt"]);
    assert_eq!(skipped.len(), 4, "{skipped:?}");
    assert!(skipped.iter().all(|skipped| skipped.to_string().contains("rename it")));
}

#[test]
fn what_is_not_there_or_not_ours_to_read_is_said() {
    let place = place();
    let dir = place.dir();
    let (found, skipped) = place.walk(dir.join("missing"));
    assert!(found.is_empty() && reasons(&skipped).contains("No such file"), "{skipped:?}");
    let (found, skipped) = place.walk("");
    assert!(found.is_empty() && skipped.len() == 1);
    fs::create_dir(dir.join("closed")).unwrap();
    fs::write(dir.join("later"), "x").unwrap();
    fs::set_permissions(dir.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    let (found, skipped) = place.walk(&dir);
    assert_eq!(names(&found), ["later"]);
    if !rustix::process::geteuid().is_root() {
        assert!(reasons(&skipped).contains("cannot be read"), "{skipped:?}");
    }
}

#[test]
fn names_too_long_for_a_label_are_left_out() {
    let place = place();
    let mut dir = place.dir();
    for _ in 0..4 {
        dir.push("d".repeat(126));
    }
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("e"), "x").unwrap();
    fs::write(dir.join("e".repeat(9)), "x").unwrap();
    let (found, skipped) = place.walk(place.dir());
    assert_eq!(found.iter().map(|f| f.name().as_str().len()).collect::<Vec<_>>(), [4 * 127 + 1]);
    assert!(reasons(&skipped).contains("longer than 512"), "{skipped:?}");
}

#[test]
fn the_home_of_the_node_is_not_published() {
    let place = place();
    place.home.identity(&[7; 32]).unwrap();
    let (found, skipped) = place.walk(place.temp.path());
    assert!(found.is_empty(), "{:?}", names(&found));
    assert!(matches!(skipped[0].why, Reason::Home));
    let (found, skipped) = place.walk(place.home.dir());
    assert!(found.is_empty() && matches!(skipped[0].why, Reason::Home));
}

#[test]
fn a_file_that_changes_while_it_is_read_is_left_out() {
    let place = place();
    let path = place.dir().join("file");
    let check_for = |readers: Readers, change: &dyn Fn(&File)| {
        fs::write(&path, content(3 << 20)).unwrap();
        let (found, _) = place.walk(&path);
        let writer = fs::OpenOptions::new().write(true).open(&path).unwrap();
        let mut is_first = true;
        let error = import(&found[0], &place.blobs, readers, &mut |_| {
            if std::mem::take(&mut is_first) {
                change(&writer);
            }
        })
        .unwrap_err();
        assert!(matches!(why(error), Reason::Changed));
        assert_eq!(place.incoming(), 0, "half a copy stays behind");
    };
    let check = |change: &dyn Fn(&File)| {
        check_for(Readers::Everybody, change);
        check_for(Readers::Members, change);
    };
    check(&|file| file.set_len(4 << 20).unwrap());
    check(&|file| file.set_len(2 << 20).unwrap());
    check(&|file| {
        file.write_all_at(b"x", 0).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    });
}

#[test]
fn a_file_that_is_swapped_for_something_else_is_not_opened() {
    let place = place();
    let path = place.dir().join("file");
    let swapped = |swap: &dyn Fn(&Path)| {
        fs::write(&path, "x").unwrap();
        let (found, _) = place.walk(&path);
        fs::remove_file(&path).unwrap();
        swap(&path);
        let error = import(&found[0], &place.blobs, Readers::Everybody, &mut |_| {}).unwrap_err();
        fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)).ok();
        why(error)
    };
    let fifo = swapped(&|path| {
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    });
    assert!(matches!(fifo, Reason::Special), "{fifo}");
    let link = swapped(&|path| symlink("/etc/passwd", path).unwrap());
    assert!(matches!(link, Reason::Unreadable(_)), "{link}");
    let gone = swapped(&|_| {});
    assert!(matches!(gone, Reason::Unreadable(_)), "{gone}");
    let folder = swapped(&|path| fs::create_dir(path).unwrap());
    assert!(matches!(folder, Reason::Special), "{folder}");
}

#[test]
fn c_06_a_sparse_file_stays_sparse() {
    use std::os::unix::fs::MetadataExt;
    let place = place();
    let path = place.dir().join("sparse");
    let file = File::create(&path).unwrap();
    file.set_len(256 << 20).unwrap();
    file.write_all_at(b"middle", 100 << 20).unwrap();
    let imported = place.import(&path).unwrap();
    let Content::Blob { staged, .. } = imported.content else { panic!("not inline") };
    let meta = staged.file().metadata().unwrap();
    assert_eq!(meta.len(), 256 << 20);
    assert!(meta.blocks() * 512 <= 1 << 20, "{} bytes on disk", meta.blocks() * 512);
}

#[test]
fn c_06_names_that_differ_in_case_are_different_files() {
    let place = place();
    let dir = place.dir();
    for name in ["a", "A", "é", "e\u{301}"] {
        fs::write(dir.join(name), name).unwrap();
    }
    let (found, skipped) = place.walk(&dir);
    // Fewer on a file system that takes some of them for one.
    assert_eq!(found.len(), fs::read_dir(&dir).unwrap().count());
    assert!(skipped.is_empty());
}

#[test]
fn a_directory_of_more_names_than_are_held_is_walked_in_order_all_the_same() {
    let place = place();
    let dir = place.dir();
    let count = super::walk::PAGE_NAMES * 2 + 3;
    File::create(dir.join("0")).unwrap();
    for number in 1..count {
        fs::hard_link(dir.join("0"), dir.join((number * 7919 % count).to_string()))
            .or_else(|_| File::create(dir.join((number * 7919 % count).to_string())).map(drop))
            .unwrap();
    }
    let mut expected: Vec<_> = (0..count).map(|number| number.to_string()).collect();
    expected.sort_unstable();
    let found =
        Walk::new(&dir, &place.home).unwrap().map(|found| found.unwrap().name().to_string());
    assert!(found.eq(expected));
}
