//! Who was heard nearby, and which of them to dial now.

use alloc::collections::BTreeMap;
use core::time::Duration;

use mesh_wire::{Address, Time, Token, limits};

/// Nodes whose beacons were heard. At most [`limits::HEARD`]; the one silent for longest goes
/// first. A beacon costs nothing to make, so being heard earns one dial and a place here, no more.
// spec: FIND-11
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    heard: BTreeMap<Token, Heard>,
}

#[derive(Debug)]
struct Heard {
    at: Address,
    last: Time,
    dial: Dial,
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dial {
    /// To be dialled at this time.
    Due(Time),
    /// Being dialled, or linked, since this time.
    Done(Time),
}

/// A dial that neither failed nor led to a link by now came to nothing.
const GIVEN_UP: Duration = Duration::from_secs(10);

/// Somebody silent for three beacons is gone.
const GONE: Duration = Duration::from_secs(3 * limits::BEACON_EVERY.as_secs());

impl Surroundings {
    /// Takes a beacon. A node not heard before is dialled at once.
    pub(crate) fn hear(&mut self, now: Time, token: Token, at: Address) {
        if let Some(heard) = self.heard.get_mut(&token) {
            heard.last = now;
            if heard.at != at {
                heard.at = at;
                heard.failures = 0;
                heard.dial = Dial::Due(now);
            }
            return;
        }
        if self.heard.len() >= limits::HEARD {
            let oldest = self.heard.iter().min_by_key(|(_, heard)| heard.last);
            if let Some(oldest) = oldest.map(|(token, _)| *token) {
                self.heard.remove(&oldest);
            }
        }
        let heard = Heard { at, last: now, dial: Dial::Due(now), failures: 0 };
        self.heard.insert(token, heard);
    }

    /// The dial to `at` came to nothing, or the link that it led to is gone: try again after 1, 2,
    /// 4 … 32 s, as long as beacons come.
    pub(crate) fn lost(&mut self, now: Time, lost: impl Fn(Token, &Address) -> bool) {
        for (_, heard) in self.heard.iter_mut().filter(|(token, heard)| lost(**token, &heard.at)) {
            let pause = Duration::from_secs(1 << heard.failures.min(5));
            heard.failures = heard.failures.saturating_add(1);
            heard.dial = Dial::Due(now + pause);
        }
    }

    /// A link to `token` is up.
    pub(crate) fn linked(&mut self, now: Time, token: Token) {
        if let Some(heard) = self.heard.get_mut(&token) {
            heard.dial = Dial::Done(now);
            heard.failures = 0;
        }
    }

    /// Nobody is called `token` any more.
    pub(crate) fn forget(&mut self, token: Token) {
        self.heard.remove(&token);
    }

    /// Somebody to dial now who is not among `linked`.
    pub(crate) fn due(&mut self, now: Time, linked: impl Fn(Token) -> bool) -> Option<Address> {
        self.heard.retain(|_, heard| now.since(heard.last) < GONE);
        for (token, heard) in &mut self.heard {
            if let Dial::Done(since) = heard.dial
                && !linked(*token)
                && now.since(since) >= GIVEN_UP
            {
                heard.dial = Dial::Due(now);
            }
        }
        let (_, heard) = self.heard.iter_mut().find(|(token, heard)| {
            matches!(heard.dial, Dial::Due(at) if at <= now) && !linked(**token)
        })?;
        heard.dial = Dial::Done(now);
        Some(heard.at.clone())
    }

    /// When somebody not among `linked` is to be dialled next.
    pub(crate) fn next(&self, linked: impl Fn(Token) -> bool) -> Option<Time> {
        let waiting = self.heard.iter().filter(|(token, _)| !linked(**token));
        waiting
            .map(|(_, heard)| match heard.dial {
                Dial::Due(at) => at,
                Dial::Done(since) => since + GIVEN_UP,
            })
            .min()
    }

    /// Bytes held.
    pub(crate) fn weight(&self) -> usize {
        self.heard.values().map(|heard| size_of::<Heard>() + heard.at.rest().len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn at(n: u16) -> Address {
        format!("tcp://192.0.2.1:{n}").parse().unwrap()
    }

    // spec: FIND-11
    #[test]
    fn whoever_is_heard_is_dialled_once_and_again_only_after_a_failure() {
        let mut around = Surroundings::default();
        let nobody = |_| false;
        around.hear(Time(0), Token([1; 8]), at(2000));
        assert_eq!(around.due(Time(0), nobody), Some(at(2000)));
        assert_eq!(around.due(Time(0), nobody), None);
        around.hear(Time(1), Token([1; 8]), at(2000));
        assert_eq!(around.due(Time(1), nobody), None, "a second beacon is no reason to dial");
        around.lost(Time(10), |_, address| *address == at(2000));
        assert_eq!(around.due(Time(10), nobody), None);
        assert_eq!(around.next(nobody), Some(Time(1_000_010)));
        assert_eq!(around.due(Time(1_000_010), nobody), Some(at(2000)));
        around.hear(Time(1_000_011), Token([1; 8]), at(2001));
        assert_eq!(around.due(Time(1_000_011), nobody), Some(at(2001)), "it moved");
        assert_eq!(around.due(Time(2_000_000), |_| true), None);
    }

    // spec: FIND-11
    #[test]
    fn a_flood_of_beacons_costs_bounded_memory_and_silence_forgets() {
        let mut around = Surroundings::default();
        for n in 0..100_000_u64 {
            around.hear(Time(n), Token(n.to_be_bytes()), at(2000));
        }
        assert_eq!(around.heard.len(), limits::HEARD);
        assert!(around.weight() < limits::HEARD * 256);
        assert_eq!(around.due(Time(0) + 2 * GONE, |_| false), None);
        assert_eq!(around.weight(), 0);
    }
}
