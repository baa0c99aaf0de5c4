//! How the store is doing, and when to try again.

use core::time::Duration;

use mesh_wire::{Time, Wake};

use crate::store::StoreError;

/// The first pause after a failure; doubles with each one, up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(64);

/// The state of the store.
// spec: SYNC-25
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// It failed, and is opened again at this time.
    down_until: Option<Time>,
    /// It was full: nothing is fetched before this time.
    full_until: Option<Time>,
    /// Failures since the last commit that worked.
    failures: u32,
    /// The error that closed it.
    error: Option<StoreError>,
}

impl Health {
    /// Why the store is closed, if it is.
    pub(crate) fn closed(&self) -> Option<&StoreError> {
        self.error.as_ref().filter(|_| self.down_until.is_some())
    }

    /// Whether there was no room for anything new a while ago.
    pub(crate) fn is_full(&self, now: Time) -> bool {
        self.full_until.is_some_and(|until| now < until)
    }

    /// The store failed.
    pub(crate) fn failed(&mut self, now: Time, error: StoreError) {
        let pause = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.down_until = Some(now + FIRST);
        match error {
            StoreError::Full(_) => self.full_until = Some(now + FIRST + pause),
            StoreError::Damaged(_) | StoreError::Failed(_) => self.down_until = Some(now + pause),
        }
        self.error = Some(error);
    }

    /// Whether it is time to open it again.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.down_until.is_some_and(|until| until <= now)
    }

    /// It is open again.
    pub(crate) fn opened(&mut self) {
        self.down_until = None;
    }

    /// It took what was written.
    pub(crate) fn committed(&mut self) {
        self.failures = 0;
    }

    /// Whether fetching may begin again now.
    pub(crate) fn has_room_again(&mut self, now: Time) -> bool {
        self.full_until.take_if(|until| *until <= now).is_some()
    }

    /// When something is to be done.
    pub(crate) fn wake_at(&self) -> Option<Wake> {
        let wake = |at: Option<Time>, reason| at.map(|at| Wake { at, reason });
        let reopen = wake(self.down_until, "open the store again");
        reopen.or(wake(self.full_until, "fetch again"))
    }
}
