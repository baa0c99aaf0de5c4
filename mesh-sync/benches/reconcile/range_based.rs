//! Range-based reconciliation: negentropy, as it is used over relays of nostr.

use std::time::Duration;

use negentropy::{Id, Negentropy, NegentropyStorageVector, Storage};

use crate::sets::Item;
use crate::{Cost, timed};

fn side(items: &[Item]) -> Negentropy<'static, NegentropyStorageVector> {
    let mut storage = NegentropyStorageVector::with_capacity(items.len());
    for (time, id) in items {
        storage.insert(*time, Id::from_byte_array(*id)).expect("not sealed yet");
    }
    storage.seal().expect("not sealed yet");
    Negentropy::new(Storage::Owned(storage), 0).expect("no limit on frames")
}

/// Until the client knows both halves, and has told the server which ids it wants.
pub(crate) fn run(a: &[Item], b: &[Item]) -> Cost {
    let (mut client, mut server) = (side(a), side(b));
    let (mut have, mut need) = (Vec::new(), Vec::new());
    let mut cost = Cost { bytes: 0, flights: 0, found: 0, time: Duration::ZERO };
    let ((), time) = timed(|| {
        let mut next = Some(client.initiate().expect("a first message"));
        while let Some(message) = next {
            let answer = server.reconcile(&message).expect("an honest message");
            cost.bytes += message.len() + answer.len();
            cost.flights += 2;
            next = client.reconcile_with_ids(&answer, &mut have, &mut need).expect("honest");
        }
    });
    cost.time = time;
    cost.found = have.len() + need.len();
    cost.bytes += 32 * need.len();
    cost.flights += usize::from(!need.is_empty());
    cost
}
