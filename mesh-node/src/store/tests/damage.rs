//! K-04: bits that flip on the disk.

use super::*;
use mesh_wire::Rng;

const RECORDS: u32 = 300;

fn key(number: u32) -> [u8; 24] {
    let mut key = [3; 24];
    key[..4].copy_from_slice(&number.to_be_bytes());
    key
}

fn value(number: u32) -> Vec<u8> {
    vec![number as u8; (number % 200) as usize]
}

/// Opens the index as it lies there, reads everything and writes a little.
fn live_with(home: &Home) -> Result<u32, StoreError> {
    let mut store = DiskStore::open(home)?;
    let mut known = 0;
    for number in 0..RECORDS {
        match store.get(Table::Items, &key(number)) {
            Ok(Some(found)) => {
                assert_eq!(found, value(number), "record {number} is silently wrong");
                known += 1;
            }
            // Damaged, or gone with its page: sync fetches it again.
            Ok(None) | Err(StoreError::Damaged(_) | StoreError::Failed(_)) => {}
            Err(error @ StoreError::Full(_)) => panic!("{error}"),
        }
    }
    store.scan(Table::Items, b"", &mut |found, record| {
        let number = u32::from_be_bytes(*found.first_chunk().unwrap());
        assert_eq!((found, record), (&key(number)[..], &value(number)[..]));
        true
    })?;
    store.put(Table::Items, b"new", b"record")?;
    store.commit()?;
    Ok(known)
}

#[test]
fn k_04_a_flipped_bit_of_the_index_never_reads_as_another_value() {
    let (_temp, home) = home();
    let mut store = DiskStore::open(&home).unwrap();
    for round in [2, 1] {
        for number in (0..RECORDS).filter(|number| number % round == 0) {
            store.put(Table::Items, &key(number), &value(number)).unwrap();
        }
        store.commit().unwrap();
    }
    drop(store);
    let whole = fs::read(home.index()).unwrap();
    let used: Vec<_> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    let seed = 4;
    let mut rng = Rng::from_seed([seed; 32]);
    let (mut unharmed, mut found) = (0, 0);
    for case in 0..400 {
        // A third in the first page, where the trees begin.
        let at = if case % 3 == 0 {
            rng.below(4096)
        } else {
            used[rng.below(used.len() as u64) as usize] as u64
        };
        let bit = rng.below(8);
        let mut flipped = whole.clone();
        flipped[at as usize] ^= 1 << bit;
        fs::write(home.index(), &flipped).unwrap();
        match live_with(&home) {
            Ok(RECORDS) => unharmed += 1,
            Ok(_) | Err(StoreError::Damaged(_) | StoreError::Failed(_)) => found += 1,
            Err(error @ StoreError::Full(_)) => panic!("seed {seed}, case {case}: {error}"),
        }
    }
    assert!(unharmed > 0 && found > 0, "{unharmed} unharmed, {found} found");
}

#[test]
fn k_04_a_flipped_bit_of_a_record_is_named_and_the_rest_is_usable() {
    let (_temp, home) = home();
    let mut store = DiskStore::open(&home).unwrap();
    let marked = b"a value that is easy to find in the file";
    store.put(Table::Items, b"bad", marked).unwrap();
    store.put(Table::Items, b"good", b"1").unwrap();
    store.commit().unwrap();
    drop(store);
    let bytes = fs::read(home.index()).unwrap();
    let mut file = fs::OpenOptions::new().write(true).open(home.index()).unwrap();
    for at in (0..bytes.len() - marked.len()).filter(|at| bytes[*at..].starts_with(marked)) {
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.write_all(b"A").unwrap();
    }
    let mut store = DiskStore::open(&home).unwrap();
    let error = store.get(Table::Items, b"bad").unwrap_err();
    assert!(matches!(error, StoreError::Damaged(_)), "{error}");
    assert!(error.to_string().contains("Items"), "{error}");
    assert_eq!(store.get(Table::Items, b"good").unwrap().unwrap(), "1");
    store.put(Table::Items, b"bad", b"mended").unwrap();
    store.commit().unwrap();
    assert_eq!(store.get(Table::Items, b"bad").unwrap().unwrap(), "mended");
}

#[test]
fn k_04_a_record_under_another_key_or_table_is_damage() {
    let (_temp, home) = home();
    let store = DiskStore::open(&home).unwrap();
    let tag = |table, key: &[u8], value: &[u8]| store.index.tag(table, key, value);
    let here = tag(Table::Items, b"key", b"value");
    assert_eq!(here, tag(Table::Items, b"key", b"value"));
    for moved in [
        tag(Table::Nodes, b"key", b"value"),
        tag(Table::Items, b"kez", b"value"),
        tag(Table::Items, b"keyv", b"alue"),
        tag(Table::Items, b"key", b"valuf"),
    ] {
        assert_ne!(here, moved);
    }
}

#[test]
fn k_04_junk_is_not_an_index() {
    for junk in [&b"not an index"[..], &[0xff; 8192]] {
        let (_temp, home) = home();
        fs::write(home.index(), junk).unwrap();
        let error = DiskStore::open(&home).unwrap_err();
        assert!(matches!(error, StoreError::Damaged(_) | StoreError::Failed(_)), "{error}");
        assert_eq!(fs::read(home.index()).unwrap(), junk, "what cannot be read is not overwritten");
    }
}
