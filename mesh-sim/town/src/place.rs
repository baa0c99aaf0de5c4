//! Where people are, second by second, and who is in range of whom.

use std::collections::BTreeMap;
use std::f64::consts::PI;

use mesh_wire::Rng;

use crate::chance::Chance;
use crate::graph::Graph;
use crate::scenario::{Place, Scenario};
use crate::subway::Subway;

/// A link lasts until its ends are so many times further from each other than they may be to
/// begin one.
const GRIP: f64 = 1.1;

/// People at a place.
pub(crate) struct Crowd {
    spots: Vec<Spot>,
    side: f64,
    motion: Motion,
    range: f64,
    /// A wall through the middle.
    pub(crate) split: bool,
}

/// A spot, in metres.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spot {
    pub(crate) x: f64,
    pub(crate) y: f64,
}

enum Motion {
    Still,
    Walk(Vec<Walker>, Walk),
    Ride(Subway),
    /// Who can link with whom, wherever they are.
    Fixed(Graph),
}

#[derive(Clone, Copy)]
struct Walk {
    speed: f64,
    pause: f64,
}

#[derive(Clone, Default)]
struct Walker {
    to: Spot,
    speed: f64,
    pause: f64,
}

impl Spot {
    fn distance(self, other: Self) -> f64 {
        let (x, y) = (self.x - other.x, self.y - other.y);
        (x * x + y * y).sqrt()
    }
}

impl Crowd {
    pub(crate) fn new(scenario: &Scenario, rng: &mut Rng) -> Self {
        let people = scenario.people;
        let mut range = scenario.radio.range;
        let mut side = (people as f64).sqrt().ceil();
        let on_grid = |node: usize| Spot {
            x: (node % side as usize) as f64 + 0.5,
            y: (node / side as usize) as f64 + 0.5,
        };
        let mut spots: Vec<Spot> = (0..people).map(on_grid).collect();
        let motion = match scenario.place {
            Place::Field { density, speed, pause } => {
                side = (PI * range * range * people as f64 / density).sqrt();
                spots.fill_with(|| Spot { x: rng.between(0.0, side), y: rng.between(0.0, side) });
                let walkers = spots.iter().map(|spot| Walker { to: *spot, ..Walker::default() });
                match speed > 0.0 {
                    true => Motion::Walk(walkers.collect(), Walk { speed, pause }),
                    false => Motion::Still,
                }
            }
            Place::Subway { trains } => {
                range = Subway::RANGE;
                side = Subway::STATION_METRES * trains as f64;
                Motion::Ride(Subway::new(trains, people, rng))
            }
            Place::Grid => Motion::Fixed(grid(people, side as usize)),
            Place::PowerLaw { links_each } => {
                let graph = power_law(people, links_each, rng);
                spots = around_hubs(people, side);
                Motion::Fixed(graph)
            }
            Place::Line => {
                let mut graph = Graph::new(people);
                (1..people).for_each(|node| graph.link(node - 1, node));
                Motion::Fixed(graph)
            }
        };
        let mut crowd = Self { spots, side, motion, range, split: false };
        crowd.look();
        crowd
    }

    /// Whether anybody ever moves.
    pub(crate) fn moves(&self) -> bool {
        matches!(self.motion, Motion::Walk(..) | Motion::Ride(_))
    }

    /// Whether a radio has a bound on its links here.
    pub(crate) fn is_bounded(&self) -> bool {
        !matches!(self.motion, Motion::Fixed(_))
    }

    /// A second passes; `second` of them have.
    pub(crate) fn step(&mut self, second: u64, rng: &mut Rng) {
        match &mut self.motion {
            Motion::Still | Motion::Fixed(_) => {}
            Motion::Walk(walkers, walk) => {
                for (spot, walker) in self.spots.iter_mut().zip(walkers) {
                    walker.step(spot, (*walk, self.side), rng);
                }
            }
            Motion::Ride(subway) => subway.step(second, rng),
        }
        self.look();
    }

    fn look(&mut self) {
        if let Motion::Ride(subway) = &self.motion {
            self.spots = subway.spots();
        }
    }

    /// Whether two that are linked keep their link.
    pub(crate) fn holds(&self, a: usize, b: usize) -> bool {
        self.reaches(a, b, self.range * GRIP)
    }

    /// All pairs that are in range, the lower one first.
    pub(crate) fn in_range(&self) -> Vec<(usize, usize)> {
        let nodes = 0..self.spots.len();
        if let Motion::Fixed(graph) = &self.motion {
            let pairs = nodes.flat_map(|a| graph.neighbours(a).iter().map(move |b| (a, *b)));
            return pairs.filter(|(a, b)| a < b && self.reaches(*a, *b, self.range)).collect();
        }
        let cell = |spot: Spot| {
            ((spot.x / self.range).floor() as i64, (spot.y / self.range).floor() as i64)
        };
        let mut cells: BTreeMap<(i64, i64), Vec<usize>> = BTreeMap::new();
        for (node, spot) in self.spots.iter().enumerate() {
            cells.entry(cell(*spot)).or_default().push(node);
        }
        let mut pairs = Vec::new();
        for a in nodes {
            let (x, y) = cell(self.spots[a]);
            let around = (x - 1..=x + 1).flat_map(|x| (y - 1..=y + 1).map(move |y| (x, y)));
            for b in around.filter_map(|cell| cells.get(&cell)).flatten() {
                if a < *b && self.reaches(a, *b, self.range) {
                    pairs.push((a, *b));
                }
            }
        }
        pairs
    }

    fn reaches(&self, a: usize, b: usize, range: f64) -> bool {
        if self.split && self.is_left(a) != self.is_left(b) {
            return false;
        }
        match &self.motion {
            Motion::Fixed(_) => true,
            Motion::Ride(subway) if !subway.is_together(a, b) => false,
            Motion::Still | Motion::Walk(..) | Motion::Ride(_) => {
                self.spots[a].distance(self.spots[b]) < range
            }
        }
    }

    fn is_left(&self, node: usize) -> bool {
        self.spots[node].x < self.side / 2.0
    }

    /// Where everybody is, for a picture: from 0 to 1.
    pub(crate) fn picture(&self) -> Vec<Spot> {
        match &self.motion {
            Motion::Ride(subway) => subway.picture(),
            Motion::Still | Motion::Walk(..) | Motion::Fixed(_) => {
                let on_picture =
                    |spot: &Spot| Spot { x: spot.x / self.side, y: spot.y / self.side };
                self.spots.iter().map(on_picture).collect()
            }
        }
    }
}

impl Walker {
    /// Random waypoint: half to full speed towards a spot, a pause, the next spot.
    fn step(&mut self, spot: &mut Spot, (walk, side): (Walk, f64), rng: &mut Rng) {
        if self.pause > 0.0 {
            self.pause -= 1.0;
            return;
        }
        let distance = spot.distance(self.to);
        if distance <= self.speed {
            *spot = self.to;
            self.to = Spot { x: rng.between(0.0, side), y: rng.between(0.0, side) };
            self.speed = rng.between(0.5, 1.0) * walk.speed;
            self.pause = rng.wait(walk.pause);
        } else {
            spot.x += (self.to.x - spot.x) / distance * self.speed;
            spot.y += (self.to.y - spot.y) / distance * self.speed;
        }
    }
}

fn grid(people: usize, side: usize) -> Graph {
    let mut graph = Graph::new(people);
    for node in 0..people {
        if node % side + 1 < side && node + 1 < people {
            graph.link(node, node + 1);
        }
        if node + side < people {
            graph.link(node, node + side);
        }
    }
    graph
}

fn power_law(people: usize, links_each: usize, rng: &mut Rng) -> Graph {
    let mut graph = Graph::new(people);
    // Every node once for each link it has.
    let mut ends = vec![0, 1];
    graph.link(0, 1);
    for node in 2..people {
        let mut chosen = Vec::new();
        while chosen.len() < links_each.min(node) {
            let far = ends[rng.place(ends.len())];
            if !chosen.contains(&far) {
                chosen.push(far);
            }
        }
        for far in chosen {
            graph.link(node, far);
            ends.extend([node, far]);
        }
    }
    graph
}

/// A sunflower: who came early, and so has many links, is in the middle.
fn around_hubs(people: usize, side: f64) -> Vec<Spot> {
    let golden_angle = PI * (3.0 - 5_f64.sqrt());
    let spot = |node: usize| {
        let radius = (node as f64 / people as f64).sqrt() * side / 2.0;
        let angle = node as f64 * golden_angle;
        Spot { x: side / 2.0 + radius * angle.cos(), y: side / 2.0 + radius * angle.sin() }
    };
    (0..people).map(spot).collect()
}
