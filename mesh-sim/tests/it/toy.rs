//! A small machine that gossips rumours, and the ten ways to break it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mesh_wire::codec::Opaque;
use mesh_wire::{Input, LinkId, Machine, Now, Rng, Time, Wake, layout, messages};

/// Rumours known at most, and so waiting per link.
pub(crate) const RUMOURS: usize = 32;
/// Links served at most.
const LINKS: usize = 128;
/// The stated limit: per link its rumours and a mark that a hello is due.
pub(crate) const WEIGHT_LIMIT: usize = LINKS * (RUMOURS * 8 + 1);
const HELLO_EVERY: Duration = Duration::from_secs(20);

messages! {
    /// What toys say.
    pub enum Gossip {
        /// News.
        Rumour = 0x20,
        /// Nothing new.
        Hello = 0x22,
    }
}

layout! {
    /// News, and bytes that make it large.
    pub struct Rumour {
        /// Its number.
        number: u64,
        /// Its body.
        body: Opaque<100>,
    }
}

layout! {
    /// Nothing new.
    pub struct Hello {
        /// Random.
        nonce: u64,
    }
}

/// How a toy is broken, by the law that finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    /// 1 and 10: draws from something outside.
    Outside,
    /// 2: does not tell when it wants to be woken.
    NoAlarm,
    /// 3: takes every tick for its alarm.
    AnyTick,
    /// 4: leaves its alarm in the past.
    LateAlarm,
    /// 5: ignores the room.
    NoRoom,
    /// 6: believes a number it was sent.
    Trusting,
    /// 6: keeps what a neighbour says about things that do not exist.
    Hoarding,
    /// 7: has no limit.
    NoLimit,
    /// 8: keeps the state of links that are gone.
    NoGoodbye,
    /// 9: has something to say whenever it is asked.
    Chatty,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Heard(pub(crate) u64);

pub(crate) struct Toy {
    flaw: Flaw,
    rng: Rng,
    known: BTreeSet<u64>,
    links: BTreeMap<LinkId, Waiting>,
    hoard: Vec<u64>,
    events: VecDeque<Heard>,
    hello_at: Option<Time>,
}

#[derive(Default)]
struct Waiting {
    rumours: VecDeque<u64>,
    hello: bool,
}

static OUTSIDE: AtomicU64 = AtomicU64::new(0);

impl Toy {
    pub(crate) fn new(flaw: Flaw, rng: Rng) -> Self {
        Self {
            flaw,
            rng,
            known: BTreeSet::new(),
            links: BTreeMap::new(),
            hoard: Vec::new(),
            events: VecDeque::new(),
            hello_at: None,
        }
    }

    /// Spreads a rumour; for numbers below [`RUMOURS`] only, unless the toy has no limit.
    pub(crate) fn spread(&mut self, number: u64) {
        let fits = number < RUMOURS as u64 || self.flaw == Flaw::NoLimit;
        if fits && self.known.insert(number) {
            self.events.push_back(Heard(number));
            self.links.values_mut().for_each(|waiting| waiting.rumours.push_back(number));
        } else if !fits && self.flaw == Flaw::Hoarding {
            self.hoard.push(number);
        }
    }

    pub(crate) fn knows(&self, number: u64) -> bool {
        self.known.contains(&number)
    }

    fn tick(&mut self, now: Now) {
        let due = self.hello_at.is_some_and(|at| at <= now.time) || self.flaw == Flaw::AnyTick;
        if !due || self.links.is_empty() {
            return;
        }
        self.links.values_mut().for_each(|waiting| waiting.hello = true);
        if self.flaw != Flaw::LateAlarm {
            self.hello_at = Some(now.time + HELLO_EVERY);
        }
    }
}

impl Machine for Toy {
    type Message = Gossip;
    type Event = Heard;

    fn handle(&mut self, now: Now, input: Input<Gossip>) {
        match input {
            Input::LinkUp(link, _) if self.links.len() < LINKS => {
                let rumours = self.known.iter().copied().collect();
                self.links.insert(link, Waiting { rumours, hello: false });
                self.hello_at = self.hello_at.or(Some(now.time + HELLO_EVERY));
            }
            Input::LinkUp(..) => {}
            Input::LinkDown(_) if self.flaw == Flaw::NoGoodbye => {}
            Input::LinkDown(link) => {
                self.links.remove(&link);
                if self.links.is_empty() {
                    self.hello_at = None;
                }
            }
            Input::Receive(_, Gossip::Rumour(rumour)) => {
                if self.flaw == Flaw::Trusting {
                    assert!(rumour.number < RUMOURS as u64);
                }
                self.spread(rumour.number);
            }
            Input::Receive(_, Gossip::Hello(_)) => {}
            Input::Tick => self.tick(now),
        }
    }

    fn poll_send(&mut self, _: Now, link: LinkId, room: usize) -> Option<Gossip> {
        let waiting = self.links.get_mut(&link)?;
        if self.flaw == Flaw::Chatty {
            waiting.hello |= self.rng.below(50) == 0;
        }
        let size = |number: u64| 12 + (number % 8) as usize * 12;
        let number = waiting.rumours.front().copied();
        if let Some(number) = number
            && (room >= size(number) + 4 || self.flaw == Flaw::NoRoom)
        {
            waiting.rumours.pop_front();
            let body = Opaque::new(vec![0; size(number) - 12].into()).expect("at most 84 bytes");
            return Some(Rumour { number, body }.into());
        }
        if room < 16 || !std::mem::take(&mut waiting.hello) {
            return None;
        }
        let mut nonce = self.rng.below(1 << 60);
        if self.flaw == Flaw::Outside {
            nonce += OUTSIDE.fetch_add(1, Ordering::Relaxed);
        }
        Some(Hello { nonce }.into())
    }

    fn poll_event(&mut self) -> Option<Heard> {
        self.events.pop_front()
    }

    fn wake_at(&self) -> Option<Wake> {
        let alarm = self.hello_at.filter(|_| self.flaw != Flaw::NoAlarm);
        alarm.map(|at| Wake { at, reason: "hello" })
    }

    fn weight(&self) -> usize {
        let links = self.links.values().map(|waiting| waiting.rumours.len() * 8 + 1);
        links.sum::<usize>() + self.hoard.len() * 8
    }
}
