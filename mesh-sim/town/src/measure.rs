//! What is measured in a town, and how it is written.

use serde::{Deserialize, Serialize};

/// A figure of merit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Share of messages that arrive within 15 s, of those whose ends were connected when they
    /// were sent.
    D15,
    /// Within 2.5 s.
    D2_5,
    /// Links travelled over links needed, on average.
    Stretch,
    /// Bytes to find and keep ways, per node and second.
    Control,
    /// Bytes of messages and of what confirms them, per node and second.
    Content,
    /// Bytes about single links, per node and second.
    Link,
    /// All bytes per node and second, those about single links left out.
    Total,
    /// Bytes per second of the node that sends most.
    Busiest,
    /// Half of the messages that arrive are faster, in seconds.
    Median,
    /// 95 % of them are, in seconds.
    Late,
    /// Messages delivered again, for each delivered.
    Duplicates,
    /// Share within 2.5 s of the messages of the worst two seconds.
    WorstBin,
    /// The longest time in which no two seconds were perfect, in seconds.
    Outage,
    /// Times an object travels over a link, for each that is published.
    Sends,
    /// Bytes of airtime for each message that arrives, in the whole town.
    Airtime,
    /// Bytes that routing holds in memory, in the node that holds most.
    Memory,
}

impl Measure {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 16] = [
        Self::D15,
        Self::D2_5,
        Self::Stretch,
        Self::Control,
        Self::Content,
        Self::Link,
        Self::Total,
        Self::Busiest,
        Self::Median,
        Self::Late,
        Self::Duplicates,
        Self::WorstBin,
        Self::Outage,
        Self::Sends,
        Self::Airtime,
        Self::Memory,
    ];

    /// A name with a unit, for people.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::D15 => "in 15 s",
            Self::D2_5 => "in 2.5 s",
            Self::Stretch => "stretch",
            Self::Control => "control B/s",
            Self::Content => "content B/s",
            Self::Link => "link B/s",
            Self::Total => "total B/s",
            Self::Busiest => "busiest B/s",
            Self::Median => "median s",
            Self::Late => "95 % s",
            Self::Duplicates => "duplicates",
            Self::WorstBin => "worst 2 s",
            Self::Outage => "outage s",
            Self::Sends => "sends",
            Self::Airtime => "airtime B",
            Self::Memory => "memory B",
        }
    }

    /// A value as people read it.
    #[must_use]
    pub fn write(self, value: f64) -> String {
        match self {
            Self::D15 | Self::D2_5 | Self::WorstBin => format!("{:.2} %", value * 100.0),
            Self::Stretch | Self::Median | Self::Late | Self::Duplicates => format!("{value:.2}"),
            Self::Control | Self::Content | Self::Link | Self::Total => format!("{value:.1}"),
            Self::Busiest | Self::Outage | Self::Sends | Self::Airtime | Self::Memory => {
                format!("{value:.0}")
            }
        }
    }
}
