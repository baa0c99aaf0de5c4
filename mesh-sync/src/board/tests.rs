//! What a board keeps.

use mesh_wire::{Hash, Rng, UnixTime, limits};

use super::{Board, HOUR};
use crate::set::Key;

fn key(time: u64, rng: &mut Rng) -> Key {
    Key::new(UnixTime(time), Hash(rng.bytes()))
}

// spec: SYNC-64
#[test]
fn there_is_room_for_so_many_notes_and_so_many_bytes_and_the_oldest_gives_way() {
    let (mut board, mut rng) = (Board::default(), Rng::from_seed([1; 32]));
    let oldest = key(5, &mut rng);
    for time in 0..limits::BOARD_NOTES as u64 - 1 {
        board.insert(key(100 + time % 7000, &mut rng), 1000);
    }
    board.insert(oldest, 1000);
    assert_eq!(board.excess(), None);
    // Twice the same is once.
    board.insert(oldest, 1000);
    assert_eq!((board.excess(), board.bytes), (None, limits::BOARD_NOTES as u64 * 1000));
    let one_more = key(7, &mut rng);
    board.insert(one_more, 1000);
    assert_eq!(board.excess(), Some(oldest));
    board.remove(&oldest, 1000);
    assert_eq!(board.excess(), None);
    board.insert(key(50_000, &mut rng), 0);
    board.remove(&one_more, 1000);
    board.bytes = limits::BOARD_BYTES;
    assert_eq!(board.excess(), None);
    board.bytes += 1;
    assert_eq!(board.excess(), board.set.first());
}

// spec: SYNC-64
#[test]
fn no_clock_can_be_told_by_what_is_too_old() {
    let (mut board, life) = (Board::default(), limits::NOTE_LIFE.as_millis() as u64);
    assert_eq!(board.since(UnixTime(0)), UnixTime(0), "a clock that was never set");
    for now in [0, 1, HOUR / 2, HOUR - 1] {
        let since = board.since(UnixTime(7 * HOUR + life + now));
        assert_eq!(since, UnixTime(8 * HOUR), "an hour has one answer");
    }
    board.record.floor = UnixTime(9 * HOUR + 1);
    assert_eq!(board.since(UnixTime(7 * HOUR + life)), UnixTime(9 * HOUR + 1));
}

/// What `BOARD_NOTES` says in `limits.rs`.
#[test]
fn the_keys_of_a_full_board_take_as_much_memory_as_the_limit_says() {
    let mut rng = Rng::from_seed([3; 32]);
    let mut month = Board::default();
    for _ in 0..limits::BOARD_NOTES {
        month.insert(key(1_764_000_000_000 + rng.below(2_592_000_000), &mut rng), 1);
    }
    // Leaves of one key more than they hold, as deep as may be.
    let mut chosen = Board::default();
    for number in 0..limits::BOARD_NOTES as u64 {
        let mut id: [u8; 32] = [0; 32];
        id[31] = (number % 65) as u8;
        id[30] = 0;
        chosen.insert(Key::new(UnixTime((number / 65) << 12), Hash(id)), 1);
    }
    let weights = [month.set.weight(), chosen.set.weight()];
    std::println!("{weights:?} bytes");
    assert!(weights[0] <= 1_300_000 && weights[1] <= 7_000_000, "{weights:?}");
}
