//! Trains between stations: radios reach far down a train and nowhere else.

use mesh_wire::Rng;

use crate::chance::Chance;
use crate::place::Spot;

/// Length of a train and of a platform, in metres.
const TRAIN_METRES: f64 = 120.0;
/// Time a train stands, and from one departure to the next, in seconds.
const STOP: u64 = 25;
const PERIOD: u64 = 85;
/// Share of passengers who get out at a stop, and their chance to do it in each second of it.
const TURNOVER: f64 = 0.2;
const GETTING_OUT: f64 = 0.15;
/// Chance per second that somebody who waited long enough gets into a train that stands there.
const GETTING_IN: f64 = 0.1;

/// Trains that go around as many stations, all at once.
pub(crate) struct Subway {
    trains: usize,
    second: u64,
    people: Vec<Passenger>,
}

struct Passenger {
    aboard: bool,
    /// The train, or the station.
    at: usize,
    spot: Spot,
    wants_out: bool,
    /// For how much longer somebody on a platform does not look for a train.
    pause: f64,
}

impl Subway {
    /// How far a radio reaches between bodies and metal, in metres.
    pub(crate) const RANGE: f64 = 12.0;
    /// From one station to the next.
    pub(crate) const STATION_METRES: f64 = 1200.0;

    pub(crate) fn new(trains: usize, people: usize, rng: &mut Rng) -> Self {
        let passenger = |_| Passenger {
            aboard: true,
            at: rng.place(trains),
            spot: in_train(rng),
            wants_out: false,
            pause: 0.0,
        };
        Self { trains, second: 0, people: (0..people).map(passenger).collect() }
    }

    pub(crate) fn step(&mut self, second: u64, rng: &mut Rng) {
        self.second = second;
        let stands = second % PERIOD < STOP;
        let leg = (second / PERIOD) as usize;
        for person in &mut self.people {
            if person.aboard {
                if second.is_multiple_of(PERIOD) {
                    person.wants_out = rng.happens(TURNOVER);
                }
                if stands && person.wants_out && rng.happens(GETTING_OUT) {
                    person.aboard = false;
                    person.wants_out = false;
                    person.at = (leg + person.at) % self.trains;
                    person.pause = rng.between(30.0, 90.0);
                    person.spot.x = rng.between(0.0, TRAIN_METRES);
                    person.spot.y = rng.between(4.0, 9.0);
                }
            } else {
                person.pause -= 1.0;
                if person.pause < 0.0 && stands && rng.happens(GETTING_IN) {
                    person.aboard = true;
                    // The train `k` is at the station `leg + k`.
                    person.at = (person.at + self.trains - leg % self.trains) % self.trains;
                    person.spot = in_train(rng);
                }
            }
        }
    }

    /// Whether two are in the same train, or in a train that stands and at its station, or at the
    /// same station.
    pub(crate) fn is_together(&self, a: usize, b: usize) -> bool {
        self.hall(&self.people[a]) == self.hall(&self.people[b])
    }

    /// Where a radio of this passenger is heard: a moving train is a hall of its own.
    fn hall(&self, person: &Passenger) -> (bool, usize) {
        let moves = self.second % PERIOD >= STOP;
        (person.aboard && moves, if person.aboard { self.station(person.at) } else { person.at })
    }

    /// The station at which a train is, or was last.
    fn station(&self, train: usize) -> usize {
        ((self.second / PERIOD) as usize + train) % self.trains
    }

    pub(crate) fn spots(&self) -> Vec<Spot> {
        let spot = |person: &Passenger| Spot {
            x: person.spot.x + self.hall(person).1 as f64 * Self::STATION_METRES,
            y: person.spot.y,
        };
        self.people.iter().map(spot).collect()
    }

    /// One row for each station; a moving train is drawn above its last one. From 0 to 1.
    pub(crate) fn picture(&self) -> Vec<Spot> {
        let rows = self.trains as f64;
        let spot = |person: &Passenger| {
            let (moves, station) = self.hall(person);
            let lift = if moves { 0.45 } else { 0.0 };
            let y = station as f64 + 0.55 + person.spot.y / 25.0 - lift;
            Spot { x: 0.03 + person.spot.x / TRAIN_METRES * 0.94, y: y / rows }
        };
        self.people.iter().map(spot).collect()
    }
}

fn in_train(rng: &mut Rng) -> Spot {
    Spot { x: rng.between(0.0, TRAIN_METRES), y: rng.between(0.0, 2.8) }
}
