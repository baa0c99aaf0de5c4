//! Time, as it is handed to every machine: machines never read a clock.

use core::ops::Add;
use core::time::Duration;

/// Microseconds since the node started; never goes back, counts time asleep. Timers use this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

/// Milliseconds since 1970 by this device's clock, which may be wrong. Only signed things that
/// carry a date are compared with it, never a timer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(pub u64);

impl UnixTime {
    /// The latest time that can be written (48 bits: the year 10889).
    pub const MAX: Self = Self((1 << 48) - 1);
}

/// This moment, by both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For timers.
    pub time: Time,
    /// For the dates in signed things.
    pub unix: UnixTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_saturates_instead_of_wrapping() {
        assert_eq!(Time(u64::MAX) + Duration::from_secs(1), Time(u64::MAX));
        assert_eq!(Time(1).since(Time(5)), Duration::ZERO);
        assert_eq!(Time(5).since(Time(1)), Duration::from_micros(4));
    }
}
