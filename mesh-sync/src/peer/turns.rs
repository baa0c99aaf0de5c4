//! Who goes next on a link: control before items before blobs, and nobody starves.

/// What a message is for, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// What keeps the exchange going.
    Control,
    /// Items.
    Items,
    /// Parts of blobs.
    Bulk,
}

impl Class {
    /// Every class, in the order of urgency.
    pub(crate) const ALL: [Self; 3] = [Self::Control, Self::Items, Self::Bulk];

    /// Its share of a link on which all classes have something to send.
    const fn share(self) -> u64 {
        match self {
            Self::Control => 8,
            Self::Items => 4,
            Self::Bulk => 1,
        }
    }
}

/// Start-time fair queueing: a class that sends falls behind by the bytes it sent, divided by its
/// share; the class least behind goes next, and one that had nothing to send owes nothing.
// spec: SYNC-23
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Turns {
    /// By class: where its next message starts.
    starts: [u64; 3],
    /// Where the message sent last started.
    now: u64,
}

impl Turns {
    /// The classes, whose turn it is first.
    pub(crate) fn order(&self) -> [Class; 3] {
        let mut order = Class::ALL;
        order.sort_by_key(|class| self.start(*class));
        order
    }

    /// A message of `bytes` was sent.
    pub(crate) fn sent(&mut self, class: Class, bytes: usize) {
        self.now = self.start(class);
        let end = self.now.saturating_add(8 * bytes as u64 / class.share());
        if let Some(start) = self.starts.get_mut(class as usize) {
            *start = end;
        }
    }

    fn start(&self, class: Class) -> u64 {
        self.starts.get(class as usize).copied().unwrap_or(0).max(self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: SYNC-23
    #[test]
    fn classes_that_always_have_something_get_eight_to_four_to_one() {
        let mut turns = Turns::default();
        let mut bytes = [0_usize; 3];
        for _ in 0..500_000 {
            let class = turns.order()[0];
            let size = [100, 1000, 65_000][class as usize];
            turns.sent(class, size);
            bytes[class as usize] += size;
        }
        let bulk = bytes[2] as f64;
        assert!((7.5..8.5).contains(&(bytes[0] as f64 / bulk)), "{bytes:?}");
        assert!((3.7..4.3).contains(&(bytes[1] as f64 / bulk)), "{bytes:?}");
    }

    // spec: SYNC-23
    #[test]
    fn control_goes_first_however_much_bulk_was_sent() {
        let mut turns = Turns::default();
        (0..100).for_each(|_| turns.sent(Class::Bulk, 65_000));
        assert_eq!(turns.order()[0], Class::Control);
    }
}
