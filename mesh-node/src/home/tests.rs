//! The life of a home: made, held, refused, repaired by hand.

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn refused(dir: &Path, fault: HomeFault, words: &[&str]) {
    let error = Home::open(dir).unwrap_err();
    assert_eq!(error.fault(), fault, "{error}");
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{text:?} does not say {word:?}");
    }
}

#[test]
fn a_new_home_is_closed_to_others() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("deep/home");
    let home = Home::open(&dir).unwrap();
    home.identity(&[7; 32]).unwrap();
    for (path, expected) in [
        (dir.clone(), 0o700),
        (home.blobs(), 0o700),
        (home.incoming(), 0o700),
        (dir.join(IDENTITY), 0o600),
        (dir.join(LOCK), 0o600),
        (dir.join(VERSION), 0o600),
    ] {
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
}

#[test]
fn one_process_at_a_time_and_the_other_is_told_who() {
    let temp = tempfile::tempdir().unwrap();
    let home = Home::open(temp.path()).unwrap();
    let pid = std::process::id().to_string();
    refused(temp.path(), HomeFault::Access, &[&pid, "--home", temp.path().to_str().unwrap()]);
    drop(home);
    Home::open(temp.path()).unwrap();
}

#[test]
fn a_directory_that_others_can_write_is_refused_and_one_they_can_read_is_closed() {
    let temp = tempfile::tempdir().unwrap();
    for open in [0o777, 0o770, 0o702] {
        fs::set_permissions(temp.path(), fs::Permissions::from_mode(open)).unwrap();
        refused(temp.path(), HomeFault::Access, &["others can write", "chmod 700"]);
    }
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o755)).unwrap();
    Home::open(temp.path()).unwrap();
    assert_eq!(mode(temp.path()), 0o700);
}

#[test]
fn a_home_of_another_version_is_left_alone_and_junk_is_damage() {
    let temp = tempfile::tempdir().unwrap();
    drop(Home::open(temp.path()).unwrap());
    let version = temp.path().join(VERSION);
    fs::write(&version, "5\n").unwrap();
    refused(temp.path(), HomeFault::Version, &["newer mesh", "format is 5", "install"]);
    fs::write(&version, "1\n").unwrap();
    refused(temp.path(), HomeFault::Version, &["older mesh", "format is 1", "--home"]);
    fs::write(&version, "2\n").unwrap();
    refused(temp.path(), HomeFault::Version, &["older mesh", "format is 2", "--home"]);
    fs::write(&version, "3\n").unwrap();
    refused(temp.path(), HomeFault::Version, &["older mesh", "format is 3", "--home"]);
    for junk in ["", "0\n", "1", "01\n", "+1\n", "x\n", "1\n1\n", "99999999999\n"] {
        fs::write(&version, junk).unwrap();
        refused(temp.path(), HomeFault::Damaged, &["version", "backup"]);
    }
    fs::write(&version, [0xff]).unwrap();
    refused(temp.path(), HomeFault::Damaged, &["version"]);
    fs::write(&version, "4\n").unwrap();
    Home::open(temp.path()).unwrap();
}

#[test]
fn somebody_elses_full_directory_does_not_become_a_home() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("letter.txt");
    fs::write(&file, "dear").unwrap();
    refused(temp.path(), HomeFault::Damaged, &["neither empty nor a mesh home"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "dear");
}

#[test]
fn an_interrupted_first_start_is_taken_up_again() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join(LOCK), "12").unwrap();
    fs::write(temp.path().join("version.new"), "").unwrap();
    let home = Home::open(temp.path()).unwrap();
    fs::write(temp.path().join("identity.new"), "half").unwrap();
    assert_eq!(*home.identity(&[3; 32]).unwrap(), [3; 32]);
}

#[test]
fn what_was_on_its_way_in_is_cleared_at_the_start() {
    let temp = tempfile::tempdir().unwrap();
    let home = Home::open(temp.path()).unwrap();
    fs::write(home.incoming().join("17"), "half a film").unwrap();
    let incoming = home.incoming();
    drop(home);
    let _home = Home::open(temp.path()).unwrap();
    assert_eq!(fs::read_dir(incoming).unwrap().count(), 0);
}

#[test]
fn the_identity_is_made_once() {
    let temp = tempfile::tempdir().unwrap();
    let home = Home::open(temp.path()).unwrap();
    assert_eq!(*home.identity(&[1; 32]).unwrap(), [1; 32]);
    assert_eq!(*home.identity(&[2; 32]).unwrap(), [1; 32]);
}

#[test]
fn k_04_any_flipped_bit_of_the_identity_is_found() {
    let temp = tempfile::tempdir().unwrap();
    let home = Home::open(temp.path()).unwrap();
    home.identity(&[1; 32]).unwrap();
    let path = temp.path().join(IDENTITY);
    let whole = fs::read(&path).unwrap();
    let is_damage = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        assert_eq!(home.identity(&[2; 32]).unwrap_err().fault(), HomeFault::Damaged);
    };
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        is_damage(&flipped);
    }
    is_damage(&whole[..whole.len() - 1]);
    is_damage(&[&whole[..], &[0]].concat());
    is_damage(&[]);
}

#[test]
fn an_identity_that_others_can_read_is_not_used() {
    let temp = tempfile::tempdir().unwrap();
    let home = Home::open(temp.path()).unwrap();
    home.identity(&[1; 32]).unwrap();
    let path = temp.path().join(IDENTITY);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = home.identity(&[2; 32]).unwrap_err();
    assert_eq!(error.fault(), HomeFault::Access);
    assert!(error.to_string().contains("chmod 600"), "{error}");
}

#[test]
fn a_symlink_is_no_lock_and_no_identity() {
    let temp = tempfile::tempdir().unwrap();
    let outside = temp.path().join("outside");
    fs::write(&outside, "x").unwrap();
    let dir = temp.path().join("home");
    let home = Home::open(&dir).unwrap();
    std::os::unix::fs::symlink(&outside, dir.join(IDENTITY)).unwrap();
    assert!(home.identity(&[1; 32]).is_err());
    drop(home);
    fs::remove_file(dir.join(LOCK)).unwrap();
    std::os::unix::fs::symlink(&outside, dir.join(LOCK)).unwrap();
    assert!(Home::open(&dir).is_err());
    assert_eq!(fs::read_to_string(&outside).unwrap(), "x");
}
