//! What a disk keeps, what it may lose, and what it must not.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};

use mesh_sim::{Disk, Failure, File, seed, seeds};

fn contents(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

/// Writes `old`, syncs, writes `new` over it and crashes; what is there then.
fn overwritten(seed: u64, old: &[u8], new: &[u8]) -> Vec<u8> {
    let disk = Disk::new(seed::rng(seed));
    let file = disk.open("f");
    file.write_at(0, old).unwrap();
    file.sync().unwrap();
    file.write_at(0, new).unwrap();
    assert_eq!(contents(&file)[..new.len()], *new, "reads show what was written");
    disk.crash();
    contents(&disk.open("f"))
}

#[test]
fn what_was_synced_survives() {
    for seed in seeds(20) {
        assert_eq!(overwritten(seed, b"old and long", b""), b"old and long", "seed {seed}");
    }
}

#[test]
fn what_was_not_synced_is_kept_lost_or_torn_between_sectors() {
    let (old, new) = ([1; 2048], [2; 2048]);
    let mut outcomes = BTreeSet::new();
    for seed in 0..200 {
        let after = overwritten(seed, &old, &new);
        assert_eq!(after.len(), 2048);
        for sector in after.chunks(512) {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "seed {seed}: a torn sector");
        }
        outcomes.insert(after.iter().step_by(512).copied().collect::<Vec<_>>());
    }
    assert_eq!(outcomes.len(), 16, "every subset of four sectors happens");
}

#[test]
fn sectors_are_those_of_the_disk_and_not_of_the_write() {
    for seed in seeds(100) {
        let disk = Disk::new(seed::rng(seed));
        let file = disk.open("f");
        file.set_len(1024).unwrap();
        file.sync().unwrap();
        file.write_at(500, &[1; 24]).unwrap();
        disk.crash();
        let after = contents(&disk.open("f"));
        assert!(after[500..512].iter().all(|byte| *byte == after[500]), "seed {seed}");
        assert!(after[512..524].iter().all(|byte| *byte == after[512]), "seed {seed}");
        assert!(after[..500].iter().chain(&after[524..]).all(|byte| *byte == 0), "seed {seed}");
    }
}

#[test]
fn a_change_of_length_is_a_change_like_any_other() {
    let lengths = (0..50).map(|seed| {
        let disk = Disk::new(seed::rng(seed));
        let file = disk.open("f");
        file.write_at(0, &[1; 100]).unwrap();
        file.sync().unwrap();
        file.set_len(10).unwrap();
        disk.crash();
        contents(&disk.open("f")).len()
    });
    assert_eq!(lengths.collect::<BTreeSet<_>>(), BTreeSet::from([10, 100]));
}

#[test]
fn files_of_the_life_before_the_crash_are_dead() {
    let disk = Disk::new(seed::rng(0));
    let file = disk.open("f");
    disk.crash();
    assert!(file.write_at(0, b"late").is_err());
    assert!(file.sync().is_err());
    assert!(file.len().is_err());
    assert_eq!(contents(&disk.open("f")), b"");
}

#[test]
fn a_power_cut_stops_everything_until_the_crash() {
    let disk = Disk::new(seed::rng(0));
    let file = disk.open("f");
    file.write_at(0, b"safe").unwrap();
    file.sync().unwrap();
    disk.fail_at(1, Failure::PowerCut);
    file.read_at(0, &mut [0; 4]).unwrap();
    assert!(file.read_at(0, &mut [0; 4]).is_err());
    assert!(file.write_at(0, b"gone").is_err());
    assert!(disk.open("f").len().is_err());
    disk.crash();
    assert_eq!(contents(&disk.open("f")), b"safe");
}

#[test]
fn a_full_disk_refuses_growth_only_and_until_it_is_healed() {
    let disk = Disk::new(seed::rng(0));
    let file = disk.open("f");
    file.write_at(0, b"abcdef").unwrap();
    disk.fail_at(0, Failure::Full);
    let refused = file.write_at(4, b"EFGH").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::StorageFull);
    assert_eq!(contents(&file), b"abcdEF", "what fits is written");
    assert_eq!(file.set_len(7).unwrap_err().kind(), ErrorKind::StorageFull);
    file.write_at(0, b"A").unwrap();
    file.set_len(2).unwrap();
    file.sync().unwrap();
    disk.heal();
    file.write_at(2, b"GH").unwrap();
    assert_eq!(contents(&file), b"AbGH");
}

#[test]
fn a_failed_operation_fails_once() {
    let disk = Disk::new(seed::rng(0));
    let file = disk.open("f");
    disk.fail_at(0, Failure::Io);
    assert!(file.set_len(5).is_err());
    assert_eq!(file.len().unwrap(), 0);
    file.set_len(5).unwrap();
}

#[test]
fn after_a_failed_sync_a_later_one_saves_nothing_of_before() {
    let lost = (0..50).filter(|seed| {
        let disk = Disk::new(seed::rng(*seed));
        let file = disk.open("f");
        file.write_at(0, b"a").unwrap();
        disk.fail_at(0, Failure::Io);
        assert!(file.sync().is_err());
        assert_eq!(contents(&file), b"a", "reads still show it");
        file.sync().unwrap();
        disk.crash();
        contents(&disk.open("f")).is_empty()
    });
    assert!((1..50).contains(&lost.count()));
}

#[test]
fn rot_flips_one_bit_for_good() {
    let disk = Disk::new(seed::rng(0));
    let file = disk.open("f");
    assert_eq!(disk.rot("f"), None);
    file.write_at(0, &[0; 64]).unwrap();
    file.sync().unwrap();
    let at = disk.rot("f").unwrap() as usize;
    disk.crash();
    let after = contents(&disk.open("f"));
    assert_eq!(after.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
    assert_ne!(after[at], 0);
}

#[test]
fn a_removed_file_is_gone_and_reads_beyond_the_end_are_refused() {
    let disk = Disk::new(seed::rng(0));
    let file = disk.open("f");
    file.write_at(3, b"x").unwrap();
    assert_eq!(contents(&file), b"\0\0\0x");
    let kind = |outcome: io::Result<()>| outcome.unwrap_err().kind();
    assert_eq!(kind(file.read_at(3, &mut [0; 2])), ErrorKind::UnexpectedEof);
    assert_eq!(kind(file.read_at(u64::MAX, &mut [0; 2])), ErrorKind::UnexpectedEof);
    disk.remove("f");
    assert_eq!(kind(file.write_at(0, b"x")), ErrorKind::NotFound);
    assert!(disk.names().is_empty());
}

/// A log of numbers that syncs after each: nothing it confirmed may be missing, whatever point
/// of its work the power is cut at.
#[test]
fn a_careful_log_survives_a_power_cut_at_every_operation() {
    fn append(disk: &Disk, number: u64) -> io::Result<()> {
        let file = disk.open("log");
        file.write_at(number * 8, &(number + 1).to_le_bytes())?;
        file.sync()
    }
    for cut in 0..40 {
        let disk = Disk::new(seed::rng(cut));
        disk.fail_at(cut, Failure::PowerCut);
        let confirmed = (0..20).take_while(|number| append(&disk, *number).is_ok()).count();
        assert_eq!(confirmed as u64, cut / 2);
        disk.crash();
        let after = contents(&disk.open("log"));
        for (index, number) in after.chunks(8).take(confirmed).enumerate() {
            assert_eq!(number, (index as u64 + 1).to_le_bytes(), "cut at {cut}");
        }
        assert!(after.len() >= confirmed * 8, "cut at {cut}");
    }
}
