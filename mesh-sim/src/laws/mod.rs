//! The ten laws of a machine (`spec/README.md`) as one check for every machine.
//!
//! ```
//! use mesh_sim::{Subject, laws};
//! # fn example<M: mesh_wire::Machine + 'static>(
//! #     build: fn(usize, mesh_wire::Rng) -> M,
//! #     command: fn(&mut M, mesh_wire::Now, &mut mesh_wire::Rng)) {
//! const WEIGHT_LIMIT: usize = 1 << 20;
//! let subject = Subject::new(build, WEIGHT_LIMIT).commands(command);
//! laws::check("sync", &subject);
//! # }
//! ```

mod life;
mod watched;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mesh_wire::{Input, LinkId, Machine, Now, Rng};

use crate::seed::{replay_command, seeds};
use crate::{Quality, Securing};
use life::{Life, Watch, pelt};
use watched::Watched;

/// Lives in which each law is checked.
const LIVES: u64 = 8;
/// Links that a crowd opens in a life that checks a limit.
const CROWD: usize = 64;
/// How many bytes per second the crowd reads: what piles up, piles up.
const CLOGGED: u64 = 10;
/// Junk messages between two acts of a life.
const JUNK: usize = 64;

/// A machine, as the laws need to know it.
pub struct Subject<M: Machine> {
    build: Box<dyn Fn(usize, Rng) -> M>,
    weight_limit: usize,
    nodes: usize,
    command: Command<M>,
    securing: Securing,
    quality: Quality,
    closing: fn(&M::Event) -> Option<LinkId>,
}

type Command<M> = Box<dyn Fn(&mut M, Now, &mut Rng)>;

impl<M: Machine> Subject<M> {
    /// A machine that is built from its index and a generator, and whose
    /// [`Machine::weight`] never exceeds `weight_limit` bytes. Four of them live on links of
    /// [`Quality::STREAM`] that the world secures; the methods below change that.
    pub fn new(build: impl Fn(usize, Rng) -> M + 'static, weight_limit: usize) -> Self {
        Self {
            build: Box::new(build),
            weight_limit,
            nodes: 4,
            command: Box::new(|_, _, _| {}),
            securing: Securing::ByWorld,
            quality: Quality::STREAM,
            closing: |_| None,
        }
    }

    /// What its owner may ask of it: calls one random command, or a few. What it does follows
    /// from its arguments alone.
    #[must_use]
    pub fn commands(mut self, command: impl Fn(&mut M, Now, &mut Rng) + 'static) -> Self {
        self.command = Box::new(command);
        self
    }

    /// How many of them live together.
    #[must_use]
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// The links they have.
    #[must_use]
    pub fn over(mut self, quality: Quality) -> Self {
        self.quality = quality;
        self
    }

    /// Links come up unsecured: the machine makes its own handshakes.
    #[must_use]
    pub fn securing_its_links(mut self) -> Self {
        self.securing = Securing::ByMachines;
        self
    }

    /// The events that ask the owner to close a link, and which.
    #[must_use]
    pub fn closing(mut self, closing: fn(&M::Event) -> Option<LinkId>) -> Self {
        self.closing = closing;
        self
    }
}

/// Checks all laws in several lives.
///
/// # Panics
/// If the machine breaks one, with the law, the seed and the command that replays it.
pub fn check<M: Machine + 'static>(name: &str, subject: &Subject<M>) {
    for law in Law::ALL {
        for seed in seeds(LIVES) {
            if let Err(why) = law.test(subject, seed) {
                let replay = replay_command(seed);
                panic!("{name} breaks {law}: {why}\nthe seed was {seed}; replay: {replay}");
            }
        }
    }
}

/// A law of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// 1: same seed, same life.
    SameLife = 1,
    /// 2: whoever sleeps exactly until `wake_at` loses nothing.
    HonestAlarm,
    /// 3: an idle tick changes nothing.
    IdleTick,
    /// 4: after a tick, the alarm lies ahead or something was emitted.
    NoSpin,
    /// 5: no message is larger than its room.
    RoomKept,
    /// 6: no bytes of a neighbour cause a panic or leave anything behind.
    JunkProof,
    /// 7: the weight is below its limit, whatever the peers do.
    Bounded,
    /// 8: after the last `LinkDown` the weight is back where it began.
    CleanGoodbye,
    /// 9: without input and alarm, polls return `None`.
    Quiet,
    /// 10: the same inputs again give the same outputs again.
    Replayable,
}

impl Law {
    /// All ten.
    pub const ALL: [Self; 10] = [
        Self::SameLife,
        Self::HonestAlarm,
        Self::IdleTick,
        Self::NoSpin,
        Self::RoomKept,
        Self::JunkProof,
        Self::Bounded,
        Self::CleanGoodbye,
        Self::Quiet,
        Self::Replayable,
    ];

    /// Checks this law in the life that follows from `seed`; says how it is broken.
    pub fn test<M: Machine + 'static>(self, subject: &Subject<M>, seed: u64) -> Result<(), String> {
        let check = match self {
            Self::SameLife => same_life,
            Self::HonestAlarm => honest_alarm,
            Self::IdleTick => idle_tick,
            Self::NoSpin => no_spin,
            Self::RoomKept => room_kept,
            Self::JunkProof => junk_proof,
            Self::Bounded => bounded,
            Self::CleanGoodbye => clean_goodbye,
            Self::Quiet => quiet,
            Self::Replayable => replayable,
        };
        catch_unwind(AssertUnwindSafe(|| check(subject, seed))).map_err(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it panics").to_owned()
        })
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "law {} ({self:?})", *self as u8)
    }
}

fn same_life<M: Machine + 'static>(subject: &Subject<M>, seed: u64) {
    let life = Life::new(subject, seed).live(|_| {});
    let again = Life::new(subject, seed).live(|_| {});
    for ((at, one), (_, other)) in life.into_iter().zip(again) {
        assert_eq!(one, other, "two lives from one seed differ before {at:?}");
    }
}

fn honest_alarm<M: Machine + 'static>(subject: &Subject<M>, seed: u64) {
    let asleep = Life::new(subject, seed).live(|_| {});
    let restless = Life::new(subject, seed).live(|world| {
        for node in world.nodes() {
            world.with(node, |machine, now| machine.handle(now, Input::Tick));
        }
    });
    for ((at, one), (_, other)) in asleep.into_iter().zip(restless) {
        assert_eq!(one, other, "it does other things before {at:?} if it is ticked more often");
    }
}

fn idle_tick<M: Machine + 'static>(subject: &Subject<M>, seed: u64) {
    let room = subject.quality.room_bytes;
    Life::new(subject, seed).live(|world| {
        undisturbed(world, room, |machine, now| machine.handle(now, Input::Tick));
    });
}

/// The world itself panics when a machine spins.
fn no_spin<M: Machine + 'static>(subject: &Subject<M>, seed: u64) {
    Life::new(subject, seed).live(|_| {});
}

fn room_kept<M: Machine + 'static>(subject: &Subject<M>, seed: u64) {
    let mut life = Life::new(subject, seed);
    for node in life.world.nodes() {
        let rooms = life.world.rng(&format!("rooms {node}"));
        life.world.with(node, |machine, _| machine.narrow(rooms));
    }
    life.live(|_| {});
}

fn junk_proof<M: Machine + 'static>(subject: &Subject<M>, seed: u64) {
    let mut life = Life::new(subject, seed);
    let mut rng = life.world.rng("junk");
    let (before, after) = life.visit(|world| pelt(world, &mut rng, JUNK));
    no_heavier(&before, &after);
}

/// The watch itself panics when a machine is too heavy.
fn bounded<M: Machine + 'static>(subject: &Subject<M>, seed: u64) {
    let mut life = Life::new(subject, seed);
    let mut rng = life.world.rng("junk");
    life.quality.bytes_per_second = CLOGGED;
    for _ in 0..CROWD {
        life.connect();
    }
    life.live(|world| pelt(world, &mut rng, JUNK));
}

fn clean_goodbye<M: Machine + 'static>(subject: &Subject<M>, seed: u64) {
    let (before, after) = Life::new(subject, seed).visit(|_| {});
    no_heavier(&before, &after);
}

fn quiet<M: Machine + 'static>(subject: &Subject<M>, seed: u64) {
    let room = subject.quality.room_bytes;
    Life::new(subject, seed).live(|world| {
        for _ in 0..2 {
            undisturbed(world, room, |_, _| {});
        }
    });
}

fn replayable<M: Machine + 'static>(subject: &Subject<M>, seed: u64) {
    let mut life = Life::new(subject, seed);
    life.live(|_| {});
    for node in life.world.nodes() {
        let fresh = (subject.build)(node, life.world.node_rng(node));
        life.world.node(node).replay(fresh, subject);
    }
}

/// Insists that `disturb` gets nothing out of a machine that has nothing to do.
fn undisturbed<M: Machine>(world: &mut Watch<M>, room: usize, disturb: fn(&mut Watched<M>, Now)) {
    for node in world.nodes() {
        let links: Vec<LinkId> =
            world.links(node).iter().copied().filter(|link| world.is_free(*link)).collect();
        world.with(node, |machine, now| {
            let before = (machine.weight(), machine.wake_at());
            disturb(machine, now);
            let event = machine.poll_event();
            assert!(event.is_none(), "an idle machine told {event:?}");
            for link in links {
                let message = machine.poll_send(now, link, room);
                assert!(message.is_none(), "an idle machine sent {message:?}");
            }
            assert_eq!((machine.weight(), machine.wake_at()), before, "its weight and alarm");
        });
    }
}

fn no_heavier(before: &[usize], after: &[usize]) {
    let lighter = before.iter().zip(after).all(|(before, after)| after <= before);
    assert!(lighter, "the machines held {before:?} bytes before they met, and now {after:?}");
}
