//! A life: a few machines under watch, random commands, links that come and go, time that passes.

use std::time::Duration;

use mesh_wire::{Hash, Input, LinkId, Machine, Rng, Time, Wire};

use super::Subject;
use super::watched::Watched;
use crate::{Quality, World, hostile};

/// Things that are done to the machines of one life.
const ACTS: usize = 48;
/// Between two of them time passes in so many steps: about a minute in all, sometimes ten.
const PAUSES: u32 = 4;

/// A world of machines under watch.
pub(super) type Watch<M> = World<Watched<M>>;

pub(super) struct Life<'a, M: Machine> {
    subject: &'a Subject<M>,
    pub(super) world: Watch<M>,
    /// Of the links that come up from now on.
    pub(super) quality: Quality,
    chance: Rng,
}

impl<'a, M: Machine + 'static> Life<'a, M> {
    pub(super) fn new(subject: &'a Subject<M>, seed: u64) -> Self {
        let mut world = World::new(seed, subject.securing);
        for _ in 0..subject.nodes {
            let limit = subject.weight_limit;
            world.add(|index, rng| Watched::new((subject.build)(index, rng), limit));
        }
        let closing = subject.closing;
        world.on_event(move |world, _, event| {
            if let Some(link) = closing(&event) {
                world.disconnect(link);
            }
            None
        });
        let chance = world.rng("life");
        Self { subject, world, quality: subject.quality, chance }
    }

    /// Commands, links and time, in random order. `meanwhile` is called whenever time has passed
    /// and before anything else is done. Returns the trace at each of these moments.
    pub(super) fn live(&mut self, mut meanwhile: impl FnMut(&mut Watch<M>)) -> Vec<(Time, Hash)> {
        let mut history = Vec::new();
        self.meet();
        for _ in 0..ACTS {
            self.rest(|world| {
                history.push((world.now(0).time, world.trace()));
                meanwhile(world);
            });
            match self.chance.below(8) {
                0..=3 => self.command(),
                4..=5 => self.connect(),
                6 => self.disconnect(),
                _ => {}
            }
        }
        history
    }

    /// Commands while no link is up; then links and time but no commands; then the last link goes.
    /// Returns the weights of all machines before the first link and after the last.
    pub(super) fn visit(
        &mut self,
        mut meanwhile: impl FnMut(&mut Watch<M>),
    ) -> (Vec<usize>, Vec<usize>) {
        for _ in 0..ACTS / 2 {
            self.command();
            self.rest(|_| {});
        }
        let before = self.weights();
        self.meet();
        for _ in 0..ACTS / 2 {
            self.rest(&mut meanwhile);
            self.connect();
            self.disconnect();
        }
        for node in self.world.nodes() {
            while let Some(link) = self.world.links(node).first() {
                self.world.disconnect(*link);
            }
        }
        (before, self.weights())
    }

    /// Links every node to the next one.
    fn meet(&mut self) {
        for node in self.world.nodes().skip(1) {
            self.world.connect(node - 1, node, self.quality);
        }
    }

    /// Links two random nodes.
    pub(super) fn connect(&mut self) {
        let (from, to) = (self.node(), self.node());
        if from != to {
            self.world.connect(from, to, self.quality);
        }
    }

    fn disconnect(&mut self) {
        let node = self.node();
        if let Some(link) = pick(&mut self.chance, self.world.links(node)) {
            self.world.disconnect(link);
        }
    }

    fn command(&mut self) {
        let (node, seed) = (self.node(), self.chance.below(u64::MAX));
        let subject = self.subject;
        self.world.with(node, |machine, now| machine.command(now, seed, subject));
    }

    fn rest(&mut self, mut meanwhile: impl FnMut(&mut Watch<M>)) {
        let magnitude = self.chance.below(20);
        let span = Duration::from_millis(1 << magnitude);
        for _ in 0..PAUSES {
            self.world.run_for(span / PAUSES);
            meanwhile(&mut self.world);
        }
    }

    fn weights(&self) -> Vec<usize> {
        self.world.nodes().map(|node| self.world.node(node).weight()).collect()
    }

    fn node(&mut self) -> usize {
        self.chance.below(self.world.nodes().len() as u64) as usize
    }
}

/// Lets random neighbours say `count` things that no honest machine says.
pub(super) fn pelt<M: Machine>(world: &mut Watch<M>, rng: &mut Rng, count: usize) {
    for _ in 0..count {
        let [from, to] = [0; 2].map(|_: usize| rng.below(world.nodes().len() as u64) as usize);
        let Some(link) = pick(rng, world.links(to)) else { continue };
        let said = world.node(from).said(rng);
        if let Ok(message) = M::Message::from_bytes(hostile::junk(rng, &said)) {
            world.with(to, |machine, now| machine.handle(now, Input::Receive(link, message)));
        }
    }
}

fn pick(rng: &mut Rng, links: &[LinkId]) -> Option<LinkId> {
    links.get(rng.below(links.len() as u64) as usize).copied()
}
