//! What the store promises, on a real file system.

mod crash;
mod damage;
mod full;
mod kill;

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};

use super::*;
use tempfile::TempDir;

fn home() -> (TempDir, Home) {
    let temp = tempfile::tempdir().unwrap();
    let home = Home::open(temp.path().join("home")).unwrap();
    (temp, home)
}

fn rows(store: &DiskStore, table: Table, from: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    store
        .scan(table, from, &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            true
        })
        .unwrap();
    rows
}

fn blob(number: u8) -> Hash {
    Hash([number; 32])
}

#[test]
fn a_change_is_seen_at_once_and_kept_from_the_commit_on() {
    let (_temp, home) = home();
    let mut store = DiskStore::open(&home).unwrap();
    for table in Table::ALL {
        store.put(table, b"kept", &[table as u8; 300]).unwrap();
        assert_eq!(store.get(table, b"kept").unwrap().unwrap(), vec![table as u8; 300]);
    }
    store.commit().unwrap();
    store.put(Table::Items, b"lost", b"x").unwrap();
    store.remove(Table::Items, b"kept").unwrap();
    assert_eq!(store.get(Table::Items, b"kept").unwrap(), None);
    drop(store);

    let store = DiskStore::open(&home).unwrap();
    for table in Table::ALL {
        assert_eq!(store.get(table, b"kept").unwrap().unwrap(), vec![table as u8; 300]);
        assert_eq!(rows(&store, table, b"").len(), 1);
    }
}

#[test]
fn empty_keys_and_values_are_keys_and_values() {
    let (_temp, home) = home();
    let mut store = DiskStore::open(&home).unwrap();
    store.put(Table::References, b"", b"").unwrap();
    assert_eq!(store.get(Table::References, b"").unwrap(), Some(Bytes::new()));
    store.remove(Table::References, b"").unwrap();
    store.remove(Table::References, b"").unwrap();
    assert_eq!(store.get(Table::References, b"").unwrap(), None);
}

#[test]
fn a_scan_goes_in_order_from_a_key_until_told_to_stop() {
    let (_temp, home) = home();
    let mut store = DiskStore::open(&home).unwrap();
    for key in [5u8, 1, 3, 2, 4] {
        store.put(Table::Nodes, &[key], &[key; 2]).unwrap();
    }
    for committed in [false, true] {
        let keys: Vec<_> = rows(&store, Table::Nodes, &[3]).into_iter().map(|row| row.0).collect();
        assert_eq!(keys, [[3], [4], [5]], "committed: {committed}");
        let mut seen = 0;
        let mut stop = |key: &[u8], value: &[u8]| {
            seen += 1;
            assert_eq!(value, [key, key].concat());
            key != [2]
        };
        store.scan(Table::Nodes, &[], &mut stop).unwrap();
        assert_eq!(seen, 2);
        store.commit().unwrap();
    }
}

#[test]
fn a_panic_of_the_visitor_is_not_taken_for_damage() {
    let (_temp, home) = home();
    let mut store = DiskStore::open(&home).unwrap();
    store.put(Table::Nodes, b"k", b"v").unwrap();
    let scan = std::panic::AssertUnwindSafe(|| {
        store.scan(Table::Nodes, b"", &mut |_, _| panic!("a bug of the caller"))
    });
    assert!(std::panic::catch_unwind(scan).is_err());
}

#[test]
fn blob_bytes_are_sparse_and_holes_read_as_something() {
    let (_temp, home) = home();
    let mut store = DiskStore::open(&home).unwrap();
    let far = 1 << 40;
    store.write_blob(&blob(1), far, b"far").unwrap();
    store.write_blob(&blob(1), 0, b"near").unwrap();
    let mut read = [9; 8];
    store.read_blob(&blob(1), far, &mut read).unwrap();
    assert_eq!(&read[..3], b"far");
    store.read_blob(&blob(1), 0, &mut read).unwrap();
    assert_eq!(&read[..4], b"near");
    store.read_blob(&blob(1), far + 100, &mut read).unwrap();
    store.read_blob(&blob(2), 0, &mut read).unwrap();
    let path = home.blobs().join("01").join(blob(1).to_string());
    assert!(fs::metadata(path).unwrap().blocks() * 512 < 1 << 20, "the hole takes space");
}

#[test]
fn more_blobs_than_open_files_are_all_written_and_flushed() {
    let (_temp, home) = home();
    let mut store = DiskStore::open(&home).unwrap();
    for round in [1u8, 2] {
        for number in 0..200 {
            store.write_blob(&blob(number), u64::from(round), &[number, round]).unwrap();
        }
        store.commit().unwrap();
    }
    for number in 0..200 {
        let mut read = [0; 3];
        store.read_blob(&blob(number), 1, &mut read).unwrap();
        assert_eq!(read, [number, number, 2]);
    }
    let open = fs::read_dir("/proc/self/fd").map_or(0, |all| {
        let blobs = home.blobs();
        all.flatten()
            .filter_map(|fd| fs::read_link(fd.path()).ok())
            .filter(|to| to.starts_with(&blobs) && *to != blobs)
            .count()
    });
    assert!(open <= 64, "{open} files are open");
}

#[test]
fn a_removed_blob_keeps_its_bytes_until_the_commit() {
    let (_temp, home) = home();
    let mut store = DiskStore::open(&home).unwrap();
    let path = home.blobs().join("01").join(blob(1).to_string());
    store.write_blob(&blob(1), 0, b"bytes").unwrap();
    store.commit().unwrap();
    store.remove_blob(&blob(1)).unwrap();
    assert!(path.exists());
    store.commit().unwrap();
    assert!(!path.exists());

    // Wanted again before the commit: it stays.
    store.write_blob(&blob(1), 0, b"again").unwrap();
    store.remove_blob(&blob(1)).unwrap();
    store.write_blob(&blob(1), 0, b"AGAIN").unwrap();
    store.commit().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"AGAIN");
    store.remove_blob(&blob(2)).unwrap();
    store.commit().unwrap();
}

#[test]
fn a_placed_file_takes_the_place_of_half_a_blob() {
    let (_temp, home) = home();
    let mut store = DiskStore::open(&home).unwrap();
    store.write_blob(&blob(1), 2, b"c").unwrap();
    store.remove_blob(&blob(1)).unwrap();
    let staged = store.blobs().stage().unwrap();
    staged.file().write_all_at(b"abcd", 0).unwrap();
    staged.sync().unwrap();
    staged.place(&blob(1)).unwrap();
    store.commit().unwrap();
    let mut read = [0; 4];
    store.read_blob(&blob(1), 0, &mut read).unwrap();
    assert_eq!(&read, b"abcd");
    assert_eq!(fs::read_dir(home.incoming()).unwrap().count(), 0);
}

#[test]
fn a_staged_file_that_is_not_placed_leaves_nothing() {
    let (_temp, home) = home();
    let store = DiskStore::open(&home).unwrap();
    let staged = store.blobs().stage().unwrap();
    assert_eq!(fs::read_dir(home.incoming()).unwrap().count(), 1);
    drop(staged);
    assert_eq!(fs::read_dir(home.incoming()).unwrap().count(), 0);
}

#[test]
fn bytes_that_no_row_speaks_of_are_swept_at_the_start() {
    let (_temp, home) = home();
    let mut store = DiskStore::open(&home).unwrap();
    for number in [1, 2, 3] {
        store.write_blob(&blob(number), 0, b"x").unwrap();
    }
    // A key that begins with the hash, and one that only follows it in order. That a blob is known
    // says nothing of its bytes: a crash may come before those of one given up are removed.
    store.put(Table::Groups, &[&[1; 32][..], &[0; 16]].concat(), b"bits").unwrap();
    store.put(Table::Groups, &[&[3; 32][..], &[0; 16]].concat(), b"bits").unwrap();
    store.put(Table::Blobs, &[&[2; 32][..], &[0; 8]].concat(), b"state").unwrap();
    store.commit().unwrap();
    let stranger = home.blobs().join("02/notes.txt");
    fs::write(&stranger, "mine").unwrap();
    drop(store);
    DiskStore::open(&home).unwrap();
    let is_there = |number| {
        let folder = home.blobs().join(format!("{number:02x}"));
        folder.join(blob(number).to_string()).exists()
    };
    assert_eq!([1, 2, 3].map(is_there), [true, false, true]);
    assert!(stranger.exists());
}

#[test]
fn a_lost_index_does_not_take_the_blobs_with_it() {
    let (_temp, home) = home();
    let mut store = DiskStore::open(&home).unwrap();
    store.write_blob(&blob(1), 0, b"x").unwrap();
    store.commit().unwrap();
    drop(store);
    fs::remove_file(home.index()).unwrap();
    DiskStore::open(&home).unwrap();
    assert!(home.blobs().join("01").join(blob(1).to_string()).exists());
}

#[test]
fn k_03_after_an_error_the_store_stands_at_the_last_commit_and_goes_on() {
    let (_temp, home) = home();
    let mut store = DiskStore::open(&home).unwrap();
    store.put(Table::Items, b"a", b"1").unwrap();
    store.commit().unwrap();
    store.put(Table::Items, b"a", b"2").unwrap();
    // A directory where a file must be: the open fails, as it does with too many open files.
    fs::create_dir_all(home.blobs().join("07").join(blob(7).to_string())).unwrap();
    let error = store.write_blob(&blob(7), 0, b"x").unwrap_err();
    assert!(matches!(error, StoreError::Failed(_)), "{error}");
    assert_eq!(store.get(Table::Items, b"a").unwrap().unwrap(), "1");
    store.put(Table::Items, b"b", b"3").unwrap();
    store.commit().unwrap();
    assert_eq!(store.get(Table::Items, b"b").unwrap().unwrap(), "3");
}

#[test]
fn k_03_what_the_system_says_has_one_meaning() {
    let meaning = |code| disk_error("x", &std::io::Error::from_raw_os_error(code));
    use rustix::io::Errno;
    for full in [Errno::NOSPC, Errno::DQUOT, Errno::FBIG] {
        assert!(matches!(meaning(full.raw_os_error()), StoreError::Full(_)), "{full}");
    }
    for failed in [Errno::ROFS, Errno::ACCESS, Errno::IO, Errno::MFILE] {
        assert!(matches!(meaning(failed.raw_os_error()), StoreError::Failed(_)), "{failed}");
    }
}

#[test]
fn the_index_speaks_of_no_bytes_that_were_not_flushed() {
    let (_temp, home) = home();
    let mut store = DiskStore::open(&home).unwrap();
    for number in 0..100 {
        store.write_blob(&blob(number), 0, b"x").unwrap();
    }
    store.commit().unwrap();
    store.write_blob(&blob(0), 0, b"y").unwrap();
    // So many are read since that the first is no longer open, nor can be opened to be flushed.
    for number in 1..100 {
        store.read_blob(&blob(number), 0, &mut [0]).unwrap();
    }
    store.put(Table::Groups, blob(0).as_bytes(), b"here").unwrap();
    fs::remove_file(home.blobs().join("00").join(blob(0).to_string())).unwrap();
    assert!(matches!(store.commit(), Err(StoreError::Failed(_))));
    assert_eq!(store.get(Table::Groups, blob(0).as_bytes()).unwrap(), None);
    store.commit().unwrap();
}
