//! What boards cost, as counts.

use mesh_wire::Wire;
use mesh_wire::message::set::Step;

use super::*;

/// Two meet, and `count` notes go from one to the other: bytes and flights of the round that found
/// them, to its end.
fn meet(pump: &mut Pump, board: &ChannelId, count: usize) -> (usize, usize) {
    let (mut bytes, mut flights, mut before) = (0, 0, None);
    pump.disconnect();
    pump.connect(1, 0);
    let (mut notes, mut is_over) = (0, false);
    pump.run(Duration::from_secs(1), |from, message| {
        match &message {
            SyncMessage::Reconcile(said) if !is_over => {
                bytes += message.size();
                flights += usize::from(before.replace(from) != Some(from));
                is_over = matches!(said.step, Step::Findings(_));
            }
            SyncMessage::Notes(more) => notes += more.notes.len(),
            _ => {}
        }
        Carried::As(message)
    });
    assert_eq!(notes, count, "each note comes once");
    assert_eq!(shown(&pump.nodes[0], board), shown(&pump.nodes[1], board));
    (bytes, flights)
}

// spec: SYNC-28, SYNC-29, SYNC-63
#[test]
fn what_is_new_among_ten_thousand_notes_costs_200_bytes_in_three_flights() {
    let (mut pump, board) = neighbours();
    let mut now = pump.now;
    for day in 0..20 {
        now.unix.0 = pump.now.unix.0 - 86_400_000 * (20 - day);
        pump.nodes[0].publish(now, &board, texts(500)).unwrap();
    }
    pump.disconnect();
    meet(&mut pump, &board, 10_000);
    for (writes, flights) in [(0, 2), (1, 3)] {
        for count in [1, 100] {
            pump.disconnect();
            pump.now.unix.0 += 60_000;
            let now = pump.now;
            pump.nodes[writes].publish(now, &board, texts(count)).unwrap();
            let cost = meet(&mut pump, &board, count);
            println!("{count} new: {} bytes of control in {} flights", cost.0, cost.1);
            assert!(cost.0 <= 200 && cost.1 <= flights, "{count}: {cost:?}");
        }
    }
}

// spec: SYNC-63
#[test]
fn who_has_the_same_notes_finds_that_out_by_one_spine() {
    let (mut pump, board) = neighbours();
    let now = pump.now;
    pump.nodes[0].publish(now, &board, texts(1000)).unwrap();
    pump.settle();
    pump.disconnect();
    pump.connect(0, 1);
    let said = overhear(&mut pump);
    assert_eq!(steps(&said), 2, "{said:?}");
    let sizes = said.iter().filter(|(_, message)| matches!(message, SyncMessage::Reconcile(_)));
    let bytes: usize = sizes.map(|(_, message)| message.size()).sum();
    assert!(bytes <= 110, "{bytes}");
    assert!(!said.iter().any(|(_, message)| matches!(message, SyncMessage::Notes(_))));
}
