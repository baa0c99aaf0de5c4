//! K-01 and K-03 on a disk that forgets, tears, fails and fills up at any of its operations.

use std::collections::BTreeMap;
use std::io;

use mesh_sim::disk::{Disk, Failure, File};
use mesh_wire::Rng;
use redb::StorageBackend;

use super::*;

#[derive(Debug)]
struct Backend(File);

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }
}

fn open(disk: &Disk) -> Result<Index, StoreError> {
    let disk = disk.clone();
    Index::open(Box::new(move |options| options.create_with_backend(Backend(disk.open("index")))))
}

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// An index beside what it must hold.
struct Life {
    index: Index,
    /// What reads show.
    rows: Rows,
    /// What a crash leaves: the last commit.
    durable: Rows,
}

impl Life {
    fn all(&self) -> Result<Rows, StoreError> {
        let mut all = Rows::new();
        self.index.scan(Table::Items, &[], &mut |key, value| {
            all.insert(key.to_vec(), value.to_vec());
            true
        })?;
        Ok(all)
    }

    /// One random act.
    fn act(&mut self, rng: &mut Rng) -> Result<(), StoreError> {
        let key = rng.below(500).to_be_bytes().to_vec();
        match rng.below(8) {
            0..5 => {
                let value = vec![rng.below(256) as u8; rng.below(6000) as usize];
                self.index.put(Table::Items, &key, &value)?;
                self.rows.insert(key, value);
            }
            5 => {
                self.index.remove(Table::Items, &key)?;
                self.rows.remove(&key);
            }
            6 => {
                let found = self.index.get(Table::Items, &key)?;
                assert_eq!(found.as_deref(), self.rows.get(&key).map(Vec::as_slice));
            }
            _ => {
                self.index.commit()?;
                self.durable.clone_from(&self.rows);
            }
        }
        Ok(())
    }

    /// After a failure: what was committed is there, and the commit under way, if it was one, is
    /// whole or absent.
    fn is_recovered(&mut self) -> bool {
        let all = self.all().unwrap();
        let is_one = all == self.durable || all == self.rows;
        (self.rows, self.durable) = (all.clone(), all);
        is_one
    }
}

/// Acts between two failures, at most.
const ACTS: usize = 300;

/// A life with one failure after another. Returns how many there were.
fn live(seed: u64, failures: &[Failure]) -> usize {
    let mut rng = mesh_sim::seed::rng(seed);
    let disk = Disk::new(rng.fork("disk"));
    let mut life = Life { index: open(&disk).unwrap(), rows: Rows::new(), durable: Rows::new() };
    let mut failed = 0;
    for _ in 0..6 {
        let failure = failures[rng.below(failures.len() as u64) as usize];
        disk.fail_at(rng.below(120), failure);
        // A full disk is noticed only by a file that has to grow.
        let Some(error) = (0..ACTS).find_map(|_| life.act(&mut rng).err()) else {
            disk.heal();
            continue;
        };
        failed += 1;
        match failure {
            Failure::Full => assert!(matches!(error, StoreError::Full(_)), "{error}"),
            Failure::Io | Failure::PowerCut => {
                assert!(matches!(error, StoreError::Failed(_)), "{error}");
            }
        }
        life.index.roll_back();
        if failure == Failure::PowerCut {
            disk.crash();
            life.index = open(&disk).unwrap();
        } else {
            disk.heal();
        }
        assert!(life.is_recovered(), "something else than a commit was found");
    }
    // Whatever was lost on the way: what is committed now survives a cut.
    life.rows.insert(b"last".to_vec(), b"word".to_vec());
    life.index.put(Table::Items, b"last", b"word").unwrap();
    life.index.commit().unwrap();
    disk.crash();
    life.index = open(&disk).unwrap();
    assert_eq!(life.all().unwrap(), life.rows);
    failed
}

fn check(failures: &[Failure]) {
    let mut failed = 0;
    for seed in mesh_sim::seeds(40) {
        let life = std::panic::AssertUnwindSafe(|| live(seed, failures));
        failed += std::panic::catch_unwind(life).unwrap_or_else(|panic| {
            println!("seed {seed}: {}", mesh_sim::seed::replay_command(seed));
            std::panic::resume_unwind(panic)
        });
    }
    assert!(failed > 0, "nothing failed: this test shows nothing");
}

#[test]
fn k_01_after_a_power_cut_the_last_commit_is_there_and_nothing_in_part() {
    check(&[Failure::PowerCut]);
}

#[test]
fn k_03_a_disk_that_fails_once_costs_no_committed_row() {
    check(&[Failure::Io]);
}

#[test]
fn k_03_a_disk_that_fills_up_costs_no_committed_row() {
    check(&[Failure::Full]);
}

#[test]
fn k_03_failures_of_every_kind_in_any_order_cost_no_committed_row() {
    check(&[Failure::PowerCut, Failure::Io, Failure::Full]);
}
