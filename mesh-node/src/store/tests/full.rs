//! K-03: a disk that is really full. As root this test mounts one of 2 MiB where nobody else sees
//! it.

use std::path::Path;
use std::process::Command;

use super::*;

/// Set for the child, which is this test again, alone with its mounts: where to mount.
const CHILD: &str = "MESH_FULL_DISK";

#[test]
fn k_03_a_full_disk_is_told_and_works_again_when_there_is_space() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return fill_and_free(Path::new(&dir));
    }
    let temp = tempfile::tempdir().unwrap();
    let can_mount = Command::new("unshare")
        .args(["-m", "mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs"])
        .arg(temp.path())
        .output()
        .is_ok_and(|output| output.status.success());
    if !can_mount {
        println!("skipped: mounting a small disk needs root and `unshare`");
        return;
    }
    let name = "k_03_a_full_disk_is_told_and_works_again_when_there_is_space";
    let module = module_path!().split_once("::").unwrap().1;
    let script = "mount -t tmpfs -o size=2m tmpfs \"$MESH_FULL_DISK\" && exec \"$@\"";
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([&format!("{module}::{name}"), "--exact", "--nocapture"])
        .env(CHILD, temp.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 passed"), "{text}");
}

fn fill_and_free(disk: &Path) {
    let ballast = disk.join("ballast");
    let home = Home::open(disk.join("home")).unwrap();
    let mut store = DiskStore::open(&home).unwrap();
    store.put(Table::Secrets, b"key", b"kept").unwrap();
    store.commit().unwrap();
    fs::write(&ballast, vec![1; 512 << 10]).unwrap();

    // Rows, until no more fit.
    let mut count = 0u32;
    let full = loop {
        let row = store.put(Table::Items, &count.to_be_bytes(), &[7; 8 << 10]);
        match row.and_then(|()| store.commit()) {
            Ok(()) => count += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, StoreError::Full(_)), "{full}");
    // Blob bytes, too.
    let full =
        (0..).find_map(|group| store.write_blob(&blob(1), group << 16, &[7; 64 << 10]).err());
    assert!(matches!(full, Some(StoreError::Full(_))), "{full:?}");

    // Full or not: what was committed is there.
    let check = |store: &DiskStore, count: u32| {
        assert_eq!(store.get(Table::Secrets, b"key").unwrap().unwrap(), "kept");
        let items = rows(store, Table::Items, b"");
        assert_eq!(items.len() as u32, count);
        assert!(items.iter().all(|(_, value)| *value == [7; 8 << 10]));
    };
    check(&store, count);

    // Space returns, and the same store works again.
    store.remove_blob(&blob(1)).unwrap();
    fs::remove_file(&ballast).unwrap();
    store.put(Table::Channels, b"after", b"1").unwrap();
    store.commit().unwrap();
    check(&store, count);
    drop(store);
    let store = DiskStore::open(&home).unwrap();
    check(&store, count);
    assert_eq!(store.get(Table::Channels, b"after").unwrap().unwrap(), "1");
}
