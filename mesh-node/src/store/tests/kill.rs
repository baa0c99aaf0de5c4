//! K-01: a process that is killed at any moment loses nothing that it acknowledged.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use mesh_wire::Rng;

/// Set for the child, which is this test again: where its home is.
const CHILD: &str = "MESH_KILL_HOME";
const LOOPS: &str = "MESH_KILL_LOOPS";

fn entry(number: u32) -> ([u8; 4], Vec<u8>, Hash) {
    let size = 1 + number as usize * 37 % 9000;
    (number.to_be_bytes(), vec![number as u8; size], blob((number % 251) as u8))
}

/// Writes entries from `number` on and says each one that is durable, until it is killed.
fn write_for_ever(dir: &Path) -> ! {
    let home = Home::open(dir).unwrap();
    let mut store = DiskStore::open(&home).unwrap();
    let mut out = std::io::stdout();
    for number in rows(&store, Table::Items, b"").len() as u32.. {
        let (key, value, blob) = entry(number);
        store.put(Table::Items, &key, &value).unwrap();
        store.write_blob(&blob, u64::from(number), &key).unwrap();
        store.put(Table::Groups, &[blob.as_bytes(), &key[..]].concat(), b"here").unwrap();
        if number % 3 == 0 {
            store.commit().unwrap();
            writeln!(out, "durable {number}").unwrap();
            out.flush().unwrap();
        }
    }
    unreachable!("a disk for 2^32 entries");
}

/// Every entry up to the last is whole. Returns how many there are.
fn count(home: &Home) -> u32 {
    let store = DiskStore::open(home).unwrap();
    let items = rows(&store, Table::Items, b"");
    for (number, (found, record)) in (0..).zip(&items) {
        let (key, value, blob) = entry(number);
        assert_eq!((&found[..], record), (&key[..], &value), "entry {number}");
        let group = store.get(Table::Groups, &[blob.as_bytes(), &key[..]].concat()).unwrap();
        assert_eq!(group.unwrap(), "here", "entry {number}");
    }
    // Each blob is written over and over, four bytes further: the last write is whole.
    if let Some(last) = (items.len() as u32).checked_sub(1) {
        let mut bytes = [0; 4];
        store.read_blob(&entry(last).2, u64::from(last), &mut bytes).unwrap();
        assert_eq!(bytes, last.to_be_bytes());
    }
    items.len() as u32
}

#[test]
fn k_01_nothing_acknowledged_is_lost_when_the_process_is_killed() {
    if let Some(dir) = std::env::var_os(CHILD) {
        write_for_ever(Path::new(&dir));
    }
    let loops = std::env::var(LOOPS).ok().and_then(|loops| loops.parse().ok()).unwrap_or(50);
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("home");
    let seed = 1;
    let mut rng = Rng::from_seed([seed; 32]);
    let mut known = 0;
    for round in 0..loops {
        let name = "k_01_nothing_acknowledged_is_lost_when_the_process_is_killed";
        let module = module_path!().split_once("::").unwrap().1;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([&format!("{module}::{name}"), "--exact", "--nocapture"])
            .env(CHILD, &dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut durable = |line: std::io::Result<String>| {
            let number = line.ok()?.strip_prefix("durable ")?.parse::<u32>().ok()?;
            known = known.max(number + 1);
            Some(())
        };
        // Not before it began, and then at any moment.
        while durable(lines.next().expect("the child ended by itself")).is_none() {}
        thread::sleep(Duration::from_micros(rng.below(20_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            durable(line);
        }
        let before = Instant::now();
        let home = Home::open(&dir).unwrap();
        let count = count(&home);
        assert!(count >= known, "seed {seed}, round {round}: {known} acknowledged, {count} here");
        assert!(before.elapsed() < Duration::from_secs(2), "round {round}: slow to open");
    }
}
