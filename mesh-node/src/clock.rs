//! The one file that reads clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mesh_wire::{Now, Time, UnixTime};

/// Tells [`Now`]. Counts time asleep where the system can (Linux: `CLOCK_BOOTTIME`), so that after
/// a suspend every overdue alarm rings at once.
#[derive(Debug)]
pub struct Clock {
    start: Duration,
}

impl Clock {
    /// A clock that starts at zero now.
    #[must_use]
    pub fn start() -> Self {
        Self { start: since_boot() }
    }

    /// This moment.
    #[must_use]
    pub fn now(&self) -> Now {
        let time = since_boot().saturating_sub(self.start);
        Now { time: Time(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)), unix: unix() }
    }

    /// The instant at which a timer for `at` is to ring.
    #[must_use]
    pub fn instant(&self, at: Time) -> Instant {
        Instant::now() + at.since(self.now().time)
    }
}

#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(now).unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
fn since_boot() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

fn unix() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX).min(UnixTime::MAX.0))
}
