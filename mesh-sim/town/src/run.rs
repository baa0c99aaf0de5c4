//! Runs a plan: puts a subject's machines into a world, makes and breaks their links, lets them
//! speak, and notes what comes of it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::rc::Rc;
use std::time::Duration;

use mesh_sim::{Quality, Transmitter, World};
use mesh_wire::{Carrier, LinkId, Time, limits};

use crate::log::{Arrival, Log, Sample};
use crate::outcome::Outcome;
use crate::plan::{Happening, Medium, Plan, second};
use crate::scenario::{Load, Radio};
use crate::subject::{Corruption, Ledger, Message, Subject, Told};

/// Seconds between two samples of what was sent.
const SAMPLE_EVERY: u64 = 5;
/// A link that a machine closed while its ends were in range is dialled again after this, then
/// after twice that, and so on.
const REDIAL: Duration = Duration::from_secs(2);
/// Doublings of that.
const REDIALS: u32 = 6;

/// Runs a plan with a subject.
///
/// # Panics
/// If a machine breaks its contract, as [`World`] says.
pub fn run<S: Subject>(plan: &Plan, subject: S) -> Outcome {
    let mut town = Town::new(plan, subject);
    for (at, happening) in &plan.happenings {
        town.pass(*at);
        town.happen(*happening);
    }
    town.pass(second(plan.length()));
    let log = town.log();
    Outcome::new(plan, &log)
}

/// A town that lives.
struct Town<'a, S: Subject> {
    plan: &'a Plan,
    world: World<S::Machine>,
    notes: Rc<RefCell<Notes<S>>>,
    /// What stands for each planned link.
    lines: Vec<Line>,
    /// Which one a link of the world stands for.
    line_of: BTreeMap<LinkId, usize>,
    /// When closed lines are dialled again.
    redials: BTreeSet<(Time, usize)>,
    next_sample: u64,
    log: Log,
}

/// A planned link in the world.
#[derive(Clone, Default)]
struct Line {
    /// The links of the world that stood for it, the dialler's ends.
    links: Vec<LinkId>,
    /// Whether it carries something.
    is_live: bool,
    /// Whether the last of its links has not been closed.
    is_open: bool,
}

/// What is written while events are told.
struct Notes<S> {
    subject: S,
    arrivals: BTreeMap<(u64, usize), Arrival>,
    /// Links that machines closed.
    closed: Vec<LinkId>,
}

impl<S: Subject> Notes<S> {
    fn arrived(&mut self, at: Time, (number, node): (u64, usize), hops: Option<u32>) {
        let first = Arrival { at, hops, again: 0 };
        self.arrivals.entry((number, node)).and_modify(|known| known.again += 1).or_insert(first);
    }
}

impl<'a, S: Subject> Town<'a, S> {
    fn new(plan: &'a Plan, mut subject: S) -> Self {
        let mut world = World::new(plan.seed, S::SECURING);
        for node in 0..plan.scenario.people {
            let name = world.peer(node);
            world.add(|_, rng| subject.build(node, name, rng));
            world.set_skew(node, plan.skews[node]);
        }
        for node in &plan.gateways {
            world.with(*node, |machine, now| subject.uplink(machine, now));
        }
        let is_channel = matches!(plan.scenario.load, Load::Channel { .. });
        for (from, to) in &plan.ties {
            match &to[..] {
                [to] if !is_channel => subject.befriend(&mut world, *from, *to),
                _ => subject.gather(&mut world, *from, to),
            }
        }
        let holes = plan.black_holes.iter().map(|node| (*node, Corruption::BlackHole));
        let flooders = plan.flooders.iter().map(|node| (*node, Corruption::Flooder));
        let mut log = Log::default();
        for (node, how) in holes.chain(flooders) {
            let is_bad = world.with(node, |machine, _| subject.corrupt(machine, how));
            log.honest += usize::from(!is_bad);
        }
        let notes = Notes { subject, arrivals: BTreeMap::new(), closed: Vec::new() };
        let notes = Rc::new(RefCell::new(notes));
        listen(&mut world, &notes);
        let lines = vec![Line::default(); plan.links.len()];
        let (line_of, redials) = (BTreeMap::new(), BTreeSet::new());
        Self { plan, world, notes, lines, line_of, redials, next_sample: 0, log }
    }

    /// Lets time pass until `end`.
    fn pass(&mut self, end: Time) {
        loop {
            let sample_at = second(self.next_sample);
            let redial_at = self.redials.first().map_or(end, |(at, _)| *at);
            let next = end.min(sample_at).min(redial_at);
            self.world.run_for(next.since(self.world.time()));
            self.note_closed();
            if next == sample_at {
                self.sample();
                self.next_sample += SAMPLE_EVERY;
            } else if next == redial_at && next < end {
                self.redial();
            } else {
                return;
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Link(line) => {
                self.lines[line].is_live = true;
                self.connect(line);
            }
            Happening::Fade(line, silence) => {
                let line = &mut self.lines[line];
                line.is_live = false;
                if let Some(link) = line.links.last() {
                    self.world.fade(*link, silence);
                }
            }
            Happening::Say(number) => self.say(number),
        }
    }

    fn connect(&mut self, line: usize) {
        let planned = self.plan.links[line];
        let quality = match planned.medium {
            Medium::Radio => radio::<S>(&self.plan.scenario.radio, planned.repeated),
            Medium::Internet => INTERNET,
        };
        let (from, to) = planned.ends;
        let (near, far) = self.world.connect(from, to, quality);
        self.line_of.extend([(near, line), (far, line)]);
        self.lines[line].links.push(near);
        self.lines[line].is_open = true;
    }

    fn say(&mut self, number: usize) {
        let planned = &self.plan.messages[number];
        let Some(first) = planned.to.first() else { return };
        let (from, bytes) = (planned.from, planned.bytes);
        let message = Message { number: number as u64, from, to: first.node, bytes };
        let is_channel = matches!(self.plan.scenario.load, Load::Channel { .. });
        let to: Vec<usize> = planned.to.iter().map(|recipient| recipient.node).collect();
        let notes = Rc::clone(&self.notes);
        self.world.with(from, |machine, now| {
            let subject = &mut notes.borrow_mut().subject;
            match is_channel {
                true => subject.publish(machine, now, (message, &to)),
                false => subject.send(machine, now, message),
            }
        });
    }

    /// Plans to dial again what machines closed although its ends are in range.
    fn note_closed(&mut self) {
        let closed = mem::take(&mut self.notes.borrow_mut().closed);
        for line in closed.iter().filter_map(|link| self.line_of.get(link)) {
            let state = &mut self.lines[*line];
            if mem::take(&mut state.is_open) && state.is_live {
                let doublings = (state.links.len() as u32).min(REDIALS) - 1;
                self.redials.insert((self.world.time() + REDIAL * (1 << doublings), *line));
            }
        }
    }

    fn redial(&mut self) {
        if let Some((_, line)) = self.redials.pop_first()
            && self.lines[line].is_live
        {
            self.connect(line);
        }
    }

    /// Notes what has been sent until now.
    fn sample(&mut self) {
        let notes = self.notes.borrow();
        let mut sent = Ledger::default();
        let mut memory = 0;
        for node in self.world.nodes() {
            let machine = self.world.node(node);
            sent.add(&notes.subject.sent(machine));
            memory = memory.max(notes.subject.routing_bytes(machine));
        }
        let mut nodes = vec![0.0; self.plan.scenario.people];
        let (mut bytes, mut airtime) = (0, 0.0);
        for (line, planned) in self.lines.iter().zip(&self.plan.links) {
            if planned.medium == Medium::Internet {
                continue;
            }
            for end in line.links.iter().flat_map(|link| [*link, LinkId(link.0 ^ 1)]) {
                let traffic = self.world.traffic(end);
                let here = traffic.bytes + traffic.messages * S::OVERHEAD_BYTES as u64;
                let sender = self.world.far_node(LinkId(end.0 ^ 1));
                nodes[sender] += here as f64;
                bytes += here;
                airtime += here as f64 / (1.0 - planned.repeated);
            }
        }
        let at = self.world.time();
        self.log.samples.push(Sample { at, sent, bytes, airtime, nodes, memory });
    }

    fn log(mut self) -> Log {
        self.log.arrivals = mem::take(&mut self.notes.borrow_mut().arrivals);
        self.log.trace = self.world.trace();
        self.log
    }
}

/// From now on the subject is told of events; those until now are nobody's business.
fn listen<S: Subject>(world: &mut World<S::Machine>, notes: &Rc<RefCell<Notes<S>>>) {
    let notes = Rc::clone(notes);
    for node in world.nodes() {
        world.take_events(node);
    }
    world.on_event(move |world, node, event| {
        let told = notes.borrow_mut().subject.told(node, world.node(node), &event);
        for told in told {
            match told {
                Told::Delivered { number, hops } => {
                    notes.borrow_mut().arrived(world.time(), (number, node), hops);
                }
                Told::Close(link) => {
                    world.disconnect(link);
                    notes.borrow_mut().closed.push(link);
                }
            }
        }
        None
    });
}

/// A radio link of which a share of transmissions is repeated.
fn radio<S: Subject>(radio: &Radio, repeated: f64) -> Quality {
    Quality {
        carrier: Carrier::Datagram,
        delay: Duration::from_millis(15),
        jitter: Duration::from_millis(20),
        loss_per_mille: radio.loss_per_mille,
        repeat_per_mille: 0,
        bytes_per_second: (radio.bytes_per_second as f64 * (1.0 - repeated)) as u64,
        transmitter: Transmitter::OfNode,
        overhead_bytes: S::OVERHEAD_BYTES,
        room_bytes: limits::DATAGRAM_BYTES,
    }
}

/// A link between two who have an uplink.
const INTERNET: Quality = Quality {
    delay: Duration::from_millis(25),
    jitter: Duration::from_millis(5),
    bytes_per_second: 1_000_000,
    ..Quality::STREAM
};
