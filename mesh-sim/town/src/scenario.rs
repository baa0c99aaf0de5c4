//! A scenario: a file that says how many people there are, where, what they do and what goes wrong.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::measure::Measure;

/// What `scenarios/*.toml` says. Times are in seconds, lengths in metres, shares from 0 to 1.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name: that of its file, without `.toml`.
    #[serde(skip)]
    pub name: String,
    /// The row of the table of goals that it is.
    pub row: String,
    /// What it is, for people.
    pub title: String,
    /// How many people.
    pub people: usize,
    /// Nothing is said and counted before this time.
    #[serde(default = "a_minute")]
    pub warm_up: u64,
    /// Nothing new is said and nothing counted from this time on.
    #[serde(default = "five_minutes")]
    pub seconds: u64,
    /// Where people are, and how they move.
    pub place: Place,
    /// What their radios can do.
    #[serde(default)]
    pub radio: Radio,
    /// What they say.
    #[serde(default)]
    pub load: Load,
    /// What goes wrong.
    #[serde(default)]
    pub trouble: Trouble,
    /// How many of them have a link to the Internet.
    #[serde(default)]
    pub uplinks: usize,
    /// What is to be reached.
    #[serde(default)]
    pub goals: BTreeMap<Measure, Goal>,
}

/// Where people are, and how they move.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Place {
    /// A square. Everybody goes to a random spot, pauses, goes to the next one.
    Field {
        /// How many others are in range, on average.
        #[serde(default = "ten")]
        density: f64,
        /// The fastest walk in metres per second; 0 for people who stay where they are.
        #[serde(default)]
        speed: f64,
        /// How long a pause is, on average.
        #[serde(default = "twenty")]
        pause: f64,
    },
    /// A line of trains and stations: radios reach 12 m, and only within a train or a station.
    Subway {
        /// How many trains, and stations.
        trains: usize,
    },
    /// A square lattice: links to the four neighbours.
    Grid,
    /// Who comes later links with those who have many links already (Barabási and Albert).
    PowerLaw {
        /// How many links everybody makes.
        links_each: usize,
    },
    /// A chain.
    Line,
}

/// What radios can do.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Radio {
    /// How far they reach, in metres.
    pub range: f64,
    /// How many links one has at most. On lattices, graphs and chains all links are had.
    pub links: usize,
    /// What the one transmitter sends.
    pub bytes_per_second: u64,
    /// Frames lost for good, of a thousand.
    pub loss_per_mille: u16,
    /// Share of transmissions that the radio itself repeats, drawn for each link from 0 to this:
    /// they take airtime.
    pub repeated: f64,
}

/// What people say.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Load {
    /// Everybody starts a chat now and then, with one of some friends that is connected.
    Chats {
        /// Time between two chats that one starts, on average.
        every: f64,
        /// How many friends one has.
        friends: usize,
        /// Messages of a chat, alternating, 4 to 9 s apart.
        messages: usize,
        /// Content of a message, in bytes.
        bytes: usize,
    },
    /// Single messages between random friends.
    Probes {
        /// How many in the whole town.
        per_second: u64,
        /// Content of a message, in bytes.
        bytes: usize,
    },
    /// One person publishes to a share of the others.
    Channel {
        /// The share that listens.
        subscribers: f64,
        /// Time between two messages.
        every: f64,
        /// Content of a message, in bytes.
        bytes: usize,
    },
    /// Nothing.
    Silence,
}

/// What goes wrong.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trouble {
    /// Share of nodes switched off each minute; they come back after half a minute on average.
    pub churn_per_minute: f64,
    /// Nodes that die, all at once.
    pub kill: Option<Kill>,
    /// A wall through the middle, for a while.
    pub split: Option<Split>,
    /// Share of nodes that relay what finds ways at once and drop what others say.
    pub black_holes: f64,
    /// Nodes that look for somebody who does not exist, a hundred times a second.
    pub flooders: usize,
    /// Clocks are wrong by up to so many seconds, either way.
    pub clocks_off: u64,
}

/// Nodes that die.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    /// When.
    pub at: u64,
    /// How many.
    pub share: f64,
}

/// A wall through the middle.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// When it comes.
    pub at: u64,
    /// When it goes.
    pub heal: u64,
}

/// What a measure is to be.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Goal {
    /// As high as possible.
    AtLeast {
        /// What is wanted.
        at_least: f64,
        /// Below this something is broken.
        floor: f64,
    },
    /// As low as possible.
    AtMost {
        /// What is wanted.
        at_most: f64,
        /// Above this something is broken.
        floor: f64,
    },
}

impl Default for Radio {
    fn default() -> Self {
        Self { range: 30.0, links: 7, bytes_per_second: 20_000, loss_per_mille: 0, repeated: 0.0 }
    }
}

impl Default for Load {
    fn default() -> Self {
        Self::Chats { every: 300.0, friends: 10, messages: 8, bytes: 200 }
    }
}

const fn a_minute() -> u64 {
    60
}

const fn five_minutes() -> u64 {
    300
}

const fn ten() -> f64 {
    10.0
}

const fn twenty() -> f64 {
    20.0
}

impl Scenario {
    /// Reads a scenario.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut scenario: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        scenario.name = name.to_owned();
        if scenario.people < 2 {
            return Err("a town has two people at least".into());
        }
        if scenario.warm_up >= scenario.seconds {
            return Err("the warm-up ends before the end".into());
        }
        Ok(scenario)
    }

    /// Reads a scenario from a file, or from the one of this name in `scenarios/`.
    pub fn open(file_or_name: &str) -> Result<Self, String> {
        let mut path = PathBuf::from(file_or_name);
        if !path.is_file() {
            path = library().join(file_or_name).with_added_extension("toml");
        }
        let text = fs::read_to_string(&path).map_err(|error| format!("{path:?}: {error}"))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::parse(&name, &text).map_err(|error| format!("{path:?}: {error}"))
    }

    /// The names of all scenarios in `scenarios/`, in order.
    pub fn names() -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(library())? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
            }
        }
        names.sort();
        Ok(names)
    }
}

/// Where the scenarios are.
fn library() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

impl Goal {
    /// Whether `value` is what is wanted, or at least not broken, or neither.
    #[must_use]
    pub fn judge(self, value: f64) -> Verdict {
        let (wanted, floor) = match self {
            Self::AtLeast { at_least, floor } => (value >= at_least, value >= floor),
            Self::AtMost { at_most, floor } => (value <= at_most, value <= floor),
        };
        if wanted {
            Verdict::Reached
        } else if floor {
            Verdict::AboveFloor
        } else {
            Verdict::Failed
        }
    }
}

/// What became of a goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Not even the floor is held.
    Failed,
    /// The floor is held.
    AboveFloor,
    /// The goal is reached.
    Reached,
}
