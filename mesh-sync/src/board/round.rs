//! The round that is under way on a link: one at a time, about whatever board.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::time::Duration;

use mesh_wire::message::set::{Reconcile, Step};
use mesh_wire::{ChannelId, Fault, Role, Time};

use crate::peer::said::pause;
use crate::set::{Ending, Event, Reconciler, Set, Span};

/// Times that an end says its part again before it gives a round up.
const TRIES: u32 = 4;

/// The rounds of one link.
pub(crate) struct Rounds {
    pub(crate) role: Role,
    binding: [u8; 32],
    /// The serial of the newest one.
    serial: u32,
    under_way: Option<Box<Round>>,
}

struct Round {
    board: ChannelId,
    reconciler: Reconciler,
    /// How it ended, once it has.
    ending: Option<Ending>,
    /// What it has found that they lack.
    finds: VecDeque<Span>,
    /// Notes that they are to send.
    expected: u64,
    /// When something should have been heard of it.
    again: Time,
    /// Times that its part was said again.
    tries: u32,
}

/// What has become of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It goes on.
    UnderWay,
    /// It has ended like that, and found so many notes that one of the two lacks.
    Ended(Ending, u64),
}

impl Rounds {
    /// None yet.
    pub(crate) fn new(role: Role, binding: [u8; 32]) -> Self {
        Self { role, binding, serial: 0, under_way: None }
    }

    fn round(&self, board: ChannelId, index: u32) -> Box<Round> {
        let reconciler = Reconciler::new(self.role, self.binding, index).after(self.serial);
        let (ending, finds, expected) = (None, VecDeque::new(), 0);
        Box::new(Round { board, reconciler, ending, finds, expected, again: Time(0), tries: 0 })
    }

    /// The board that the newest round is about.
    pub(crate) fn board(&self) -> Option<ChannelId> {
        self.under_way.as_ref().map(|round| round.board)
    }

    /// Whether what a round is to find, or has found, is on its way.
    pub(crate) fn is_busy(&self) -> bool {
        self.under_way.as_ref().is_some_and(|round| {
            round.ending.is_none() || !round.finds.is_empty() || round.expected > 0
        })
    }

    /// Opens a round about a board that stands at place `index` of our list.
    pub(crate) fn open(&mut self, (board, index): (ChannelId, u32), set: &mut Set) {
        let same = self.under_way.take().filter(|round| round.board == board);
        let mut round = same.unwrap_or_else(|| self.round(board, index));
        round.reconciler.start(set);
        self.serial = round.reconciler.serial();
        (round.ending, round.tries) = (None, 0);
        self.under_way = Some(round);
    }

    /// Takes what they say in a round about a board. What opens another one ends that under way.
    // spec: SYNC-27, SYNC-63
    pub(crate) fn take(
        &mut self,
        (board, index): (ChannelId, u32),
        set: &mut Set,
        message: Reconcile,
    ) -> Result<Outcome, Fault> {
        let is_other = self.board() != Some(board);
        if is_other && self.role == Role::Initiator {
            return Ok(Outcome::UnderWay);
        }
        let opens = matches!(message.step, Step::Spine(_) | Step::Walk(_));
        let mut new = (is_other && opens).then(|| self.round(board, index));
        let Some(round) = new.as_mut().or(self.under_way.as_mut()).filter(|it| it.board == board)
        else {
            return Ok(Outcome::UnderWay);
        };
        let serial = round.reconciler.serial();
        round.reconciler.handle(set, message)?;
        if round.reconciler.serial() != serial {
            (round.ending, round.tries) = (None, 0);
            round.finds.clear();
        } else if is_other {
            // It was opened before, and came late.
            return Ok(Outcome::UnderWay);
        }
        let outcome = round.drain(set);
        self.serial = self.serial.max(round.reconciler.serial());
        self.under_way = new.or(self.under_way.take());
        Ok(outcome)
    }

    /// The next message of the round, of at most `room` bytes.
    pub(crate) fn poll_send(
        &mut self,
        (now, patience): (Time, Duration),
        room: usize,
    ) -> Option<Reconcile> {
        let round = self.under_way.as_mut()?;
        let message = round.reconciler.poll_send(room)?;
        round.wait(now, patience);
        Some(message)
    }

    /// A part of what the round has found, to be sent now.
    pub(crate) fn next_find(&mut self) -> Option<Span> {
        self.under_way.as_mut()?.finds.pop_front()
    }

    /// What is left of it.
    pub(crate) fn put_back(&mut self, span: Span) {
        if let Some(round) = &mut self.under_way {
            round.finds.push_front(span);
        }
    }

    /// Something about a board came, and so many notes with it; more is due at `again`.
    pub(crate) fn heard(&mut self, board: &ChannelId, notes: u64, again: Time) {
        let round = self.under_way.as_mut().filter(|round| round.board == *board);
        if let Some(round) = round {
            round.expected = round.expected.saturating_sub(notes);
            round.again = again;
        }
    }

    /// Says again what was not answered, or gives the round up. What was to be done, about which
    /// board.
    // spec: SYNC-63
    pub(crate) fn chores(&mut self, now: Time, patience: Duration) -> Option<(ChannelId, Outcome)> {
        let is_busy = self.is_busy();
        let round = self.under_way.as_mut().filter(|round| is_busy && round.again <= now)?;
        let board = round.board;
        if round.ending.is_some() {
            // What is still to be sent waits for the link.
            round.expected = 0;
        } else if round.tries < TRIES {
            round.tries += 1;
            round.wait(now, patience);
            round.reconciler.repeat();
        } else {
            self.under_way = None;
            return Some((board, Outcome::Ended(Ending::Unfinished, u64::MAX)));
        }
        Some((board, Outcome::UnderWay))
    }

    /// No answer will come to what is under way: it may be said again at once.
    pub(crate) fn hasten(&mut self, now: Time) {
        if let Some(round) = &mut self.under_way {
            round.again = now;
        }
    }

    /// Another round about a board is wanted: one that has not ended is given up.
    pub(crate) fn give_up(&mut self, board: &ChannelId) {
        self.under_way.take_if(|round| round.board == *board && round.ending.is_none());
    }

    /// Gives up what is under way.
    pub(crate) fn forget(&mut self) {
        self.under_way = None;
    }

    /// Bytes that it holds, but for the set.
    pub(crate) fn weight(&self) -> usize {
        self.under_way.as_ref().map_or(0, |round| {
            size_of::<Round>()
                + round.reconciler.weight()
                + round.finds.capacity() * size_of::<Span>()
        })
    }
}

impl Round {
    /// Takes in what it tells about a set.
    fn drain(&mut self, set: &mut Set) -> Outcome {
        let mut outcome = Outcome::UnderWay;
        let mut pushes = 0;
        while let Some(event) = self.reconciler.poll_event() {
            match event {
                Event::Push(spans) => {
                    let set = set.snapshot();
                    pushes += spans.iter().map(|span| set.keys(*span).count() as u64).sum::<u64>();
                    self.finds.extend(spans);
                }
                Event::Ended { ending, want } => {
                    (self.ending, self.expected) = (Some(ending), want);
                    outcome = Outcome::Ended(ending, want.saturating_add(pushes));
                }
            }
        }
        outcome
    }

    /// The answer to what was said is due in a while.
    fn wait(&mut self, now: Time, patience: Duration) {
        self.again = now + pause(patience, self.tries);
    }
}
