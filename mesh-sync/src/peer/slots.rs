//! Which channels both ends of a link know, found out without naming any: lists of tokens, which
//! nobody can make for a channel who does not know it, and the initiator only for those about which
//! it has asked.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::mem::size_of;

use mesh_wire::oblivious::{Blind, Evaluator, Point, random_point};
use mesh_wire::{ChannelId, Fault, Hash, Link, Rng, Role, Secured, limits};

use crate::channel::Visibility;

/// Derives the key of channel tokens from a session's binding.
const TOKEN_CONTEXT: &str = "mesh/1 channel token";
/// Derives the key under which channels become points.
const POINT_CONTEXT: &str = "mesh/1 channel point";
/// Derives the key that salts roots in summaries.
const SALT_CONTEXT: &str = "mesh/1 root salt";

/// A channel as only those can recognise it who know it.
type ChannelToken = [u8; 8];

/// The lists of both ends of one link.
pub(crate) struct Slots {
    keys: Keys,
    rng: Rng,
    part: Part,
    /// Lengths of lists and questions are rounded up to a multiple of this.
    step: usize,
    /// Channels that may be matched by what the two say to each other.
    offered: BTreeSet<ChannelId>,
    /// The channel by which the two have found each other: it needs no evaluation.
    met: Option<ChannelId>,
    /// Those that the other end has proven to know on another link: nothing is hidden from it.
    proven: BTreeSet<ChannelId>,
    /// The tokens by which we can name channels.
    tokens: BTreeMap<ChannelId, ChannelToken>,
    /// Our list, and what stands behind each token.
    ours: Vec<(ChannelToken, Slot)>,
    indices: BTreeMap<ChannelId, u32>,
    /// The tokens by which the other end would name our channels.
    expected: BTreeMap<ChannelToken, ChannelId>,
    /// Its list.
    theirs: Vec<ChannelToken>,
    named: BTreeMap<u32, ChannelId>,
    /// What it has shown to share since it sent a list.
    shown: Option<ChannelId>,
    /// Both ends are this node's own: nothing is kept from the other.
    is_plain: bool,
}

/// What an end has to do with evaluations.
enum Part {
    /// The initiator asks for them.
    Asks { question: Option<Question>, is_first: bool },
    /// The responder makes them.
    Answers(Evaluator),
}

/// Points that were sent and not answered yet.
struct Question {
    serial: u32,
    points: Vec<Point>,
    /// What the first of the points hide; the rest are padding.
    hidden: Vec<(ChannelId, Blind)>,
}

/// What a token of ours stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    /// Nothing yet.
    Padding,
    /// A channel.
    Channel(ChannelId),
    /// Nothing any more: an index never changes its meaning.
    Retired,
}

/// What a session adds to the hashes, so that no two sessions can be compared.
struct Keys {
    binding: [u8; 32],
    token: [u8; 32],
    point: [u8; 32],
    salt: [u8; 32],
    role: Role,
}

impl Slots {
    /// Empty lists for a link.
    pub(crate) fn new(link: &Link, secured: &Secured, mut rng: Rng) -> Self {
        let keys = Keys {
            binding: secured.binding,
            token: blake3::derive_key(TOKEN_CONTEXT, &secured.binding),
            point: blake3::derive_key(POINT_CONTEXT, &secured.binding),
            salt: blake3::derive_key(SALT_CONTEXT, &secured.binding),
            role: link.role,
        };
        let part = match link.role {
            Role::Initiator => Part::Asks { question: None, is_first: true },
            Role::Responder => Part::Answers(Evaluator::random(&mut rng)),
        };
        Self {
            keys,
            rng,
            part,
            step: limits::TOKENS_STEP,
            offered: BTreeSet::new(),
            met: None,
            proven: BTreeSet::new(),
            tokens: BTreeMap::new(),
            ours: Vec::new(),
            indices: BTreeMap::new(),
            expected: BTreeMap::new(),
            theirs: Vec::new(),
            named: BTreeMap::new(),
            shown: None,
            is_plain: false,
        }
    }

    /// The other end is this node itself, in the place of an origin.
    // spec: SYNC-59
    pub(crate) fn be_plain(&mut self) {
        self.is_plain = true;
    }

    /// Whether this end has opened the link.
    pub(crate) fn role(&self) -> Role {
        self.keys.role
    }

    /// What tells the session from all others.
    pub(crate) fn binding(&self) -> [u8; 32] {
        self.keys.binding
    }

    /// Our list.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &ChannelToken> {
        self.ours.iter().map(|(token, _)| token)
    }

    /// The link goes over relays, and the other end was found by `channel`, if that is still here.
    /// Nothing has been said yet, and nothing that is said is made longer.
    // spec: SYNC-8, SYNC-9, SYNC-14
    pub(crate) fn meet(&mut self, channel: Option<ChannelId>) {
        (self.step, self.met, self.shown) = (1, channel, channel);
        self.ours.clear();
        self.indices.clear();
        if let Some(channel) = channel {
            self.recognise(&channel, None);
        }
        self.list();
    }

    /// These are the channels that are followed here. Whether our list changed.
    // spec: SYNC-9, SYNC-54
    pub(crate) fn share(&mut self, channels: &BTreeMap<ChannelId, Visibility>) -> bool {
        if self.is_plain {
            self.offered = channels.keys().copied().collect();
        } else {
            self.draw(channels);
        }
        let met = self.met.filter(|channel| channels.contains_key(channel));
        let is_gone = |id: &&ChannelId| !self.offered.contains(*id) && met != Some(**id);
        let gone: Vec<ChannelId> = self.tokens.keys().filter(is_gone).copied().collect();
        let mut changed = false;
        for channel in gone {
            changed |= self.forget(&channel);
        }
        if let Some(channel) = met {
            self.recognise(&channel, None);
        }
        if self.is_plain {
            let all: Vec<ChannelId> = self.offered.iter().copied().collect();
            all.iter().for_each(|channel| self.recognise(channel, None));
        } else if let Part::Answers(evaluator) = &self.part {
            let lacking = self.offered.iter().filter(|id| !self.tokens.contains_key(*id));
            let evaluate = |id: &ChannelId| (*id, evaluator.evaluate(&self.keys.hash(id)));
            let evaluations: Vec<_> = lacking.map(evaluate).collect();
            for (channel, evaluation) in evaluations {
                self.recognise(&channel, Some(&evaluation));
            }
        }
        self.list() || changed
    }

    /// Draws the channels that are offered: what was drawn before stays.
    // spec: SYNC-54
    fn draw(&mut self, channels: &BTreeMap<ChannelId, Visibility>) {
        let may_be = |id: &ChannelId| match channels.get(id) {
            Some(Visibility::Open) => true,
            Some(Visibility::Hidden) => self.proven.contains(id),
            None => false,
        };
        self.offered.retain(may_be);
        self.offered.extend(self.proven.iter().filter(|id| channels.contains_key(id)));
        let mut rest: Vec<ChannelId> = channels.keys().copied().filter(may_be).collect();
        rest.retain(|channel| !self.offered.contains(channel));
        while self.offered.len() < limits::OFFERED_CHANNELS && !rest.is_empty() {
            let drawn = self.rng.below(rest.len() as u64) as usize;
            self.offered.insert(rest.swap_remove(drawn));
        }
    }

    /// A channel is no longer here. Whether it stood in our list.
    fn forget(&mut self, channel: &ChannelId) -> bool {
        self.tokens.remove(channel);
        self.expected.retain(|_, known| known != channel);
        self.shown = self.shown.filter(|shown| shown != channel);
        let Some(index) = self.indices.remove(channel) else { return false };
        let token = self.rng.bytes();
        if let Some(slot) = self.ours.get_mut(index as usize) {
            *slot = (token, Slot::Retired);
        }
        true
    }

    /// The other end has proven on another link to know a channel. Whether that is new.
    // spec: SYNC-14
    pub(crate) fn prove(&mut self, channel: ChannelId) -> bool {
        self.met != Some(channel)
            && self.proven.len() < limits::OFFERED_CHANNELS
            && self.proven.insert(channel)
    }

    /// What the other end has proven to know.
    pub(crate) fn proven(&self) -> impl Iterator<Item = ChannelId> {
        self.proven.iter().copied().chain(self.met)
    }

    /// From here on we know both tokens of a channel.
    // spec: SYNC-8
    fn recognise(&mut self, channel: &ChannelId, evaluation: Option<&Point>) {
        let [ours, theirs] = match self.keys.role {
            Role::Initiator => [Role::Initiator, Role::Responder],
            Role::Responder => [Role::Responder, Role::Initiator],
        };
        let token = |role| self.keys.token(role, channel, evaluation);
        let (ours, theirs) = (token(ours), token(theirs));
        self.tokens.insert(*channel, ours);
        self.expected.insert(theirs, *channel);
    }

    /// Names in our list what is to be named by now: the responder whatever it offers, the
    /// initiator what the responder has named. Whether it changed.
    // spec: SYNC-9
    fn list(&mut self) -> bool {
        self.name();
        let named: BTreeSet<&ChannelId> = self.named.values().collect();
        let is_due = |channel: &&ChannelId| {
            let is_shown = match self.part {
                _ if self.is_plain => true,
                Part::Asks { .. } => named.contains(*channel) || self.met == Some(**channel),
                Part::Answers(_) => true,
            };
            is_shown && !self.indices.contains_key(*channel)
        };
        let due: Vec<ChannelId> = self.tokens.keys().filter(is_due).copied().collect();
        self.pad(due.len());
        due.iter().filter(|channel| self.add(**channel)).count() > 0
    }

    /// Gives a channel a place at random among the padding.
    fn add(&mut self, channel: ChannelId) -> bool {
        let Some(token) = self.tokens.get(&channel).copied() else { return false };
        let free = self.padding();
        let drawn = self.rng.below(free.len() as u64) as usize;
        let Some(index) = free.get(drawn) else { return false };
        if let Some(slot) = self.ours.get_mut(*index) {
            *slot = (token, Slot::Channel(channel));
        }
        self.indices.insert(channel, *index as u32);
        true
    }

    /// The places in our list that have never been a channel's.
    fn padding(&self) -> Vec<usize> {
        let is_free = |(_, (_, slot)): &(usize, &(_, Slot))| *slot == Slot::Padding;
        self.ours.iter().enumerate().filter(is_free).map(|(index, _)| index).collect()
    }

    /// Lengthens our list by random tokens until so many channels find a place. The initiator's
    /// hides nothing: all that it names, the responder has named.
    fn pad(&mut self, channels: usize) {
        let step = match self.part {
            Part::Asks { .. } => 1,
            Part::Answers(_) => self.step,
        };
        let lacking = channels.saturating_sub(self.padding().len());
        let length = (self.ours.len() + lacking).next_multiple_of(step);
        while self.ours.len() < length.min(limits::SHARED_CHANNELS) {
            self.ours.push((self.rng.bytes(), Slot::Padding));
        }
    }

    /// How many tokens of a list of the other end were not in the one before, each of which may
    /// be a guess.
    // spec: SYNC-53
    pub(crate) fn guesses(&self, theirs: &[ChannelToken]) -> usize {
        match self.part {
            _ if self.is_plain => 0,
            Part::Asks { .. } => {
                let before = self.theirs.iter().map(Some).chain(core::iter::repeat(None));
                theirs.iter().zip(before).filter(|(new, old)| Some(*new) != *old).count()
            }
            // It has evaluated what it names.
            Part::Answers(_) => 0,
        }
    }

    /// Takes the other end's list; the channels that stand in another place than before, and
    /// whether our list changed.
    // spec: SYNC-8, SYNC-9
    pub(crate) fn take(&mut self, theirs: Vec<ChannelToken>) -> (Vec<ChannelId>, bool) {
        let before = self.named.clone();
        self.theirs = theirs;
        self.shown = None;
        let changed = self.list();
        let has_moved = |(index, channel): &(&u32, &ChannelId)| {
            before.iter().any(|(old, known)| known == *channel && old != *index)
        };
        let moved = self.named.iter().filter(has_moved).map(|(_, channel)| *channel).collect();
        (moved, changed)
    }

    /// Finds our channels in the other end's list.
    fn name(&mut self) {
        let mut seen = BTreeSet::new();
        let named = |(token, index): (&ChannelToken, u32)| {
            let channel = *self.expected.get(token)?;
            seen.insert(channel).then_some((index, channel))
        };
        self.named = self.theirs.iter().zip(0..).filter_map(named).collect();
    }

    /// The channels about which the initiator has to ask before it can tell whether the responder
    /// has named them.
    fn unknown(&self) -> impl Iterator<Item = &ChannelId> {
        // Who has named nothing has nothing to be recognised.
        let has_named = !self.theirs.is_empty();
        let is_unknown = move |id: &&ChannelId| has_named && !self.tokens.contains_key(*id);
        self.offered.iter().filter(is_unknown)
    }

    /// Whether there is something to ask, and nothing was asked that may still be answered.
    pub(crate) fn is_curious(&self) -> bool {
        match &self.part {
            Part::Asks { question, .. } => question.is_none() && self.unknown().next().is_some(),
            Part::Answers(_) => false,
        }
    }

    /// Makes a question of what there is to ask.
    // spec: SYNC-52
    pub(crate) fn ask(&mut self, serial: u32) {
        let lacking: Vec<ChannelId> = self.unknown().copied().collect();
        let Part::Asks { question, is_first } = &mut self.part else { return };
        let (mut points, mut hidden) = (Vec::new(), Vec::new());
        for channel in lacking {
            let (blind, point) = Blind::hide(&self.keys.hash(&channel), &mut self.rng);
            points.push(point);
            hidden.push((channel, blind));
        }
        // The first one does not tell how many there are; those after it are about what is new.
        while *is_first && !points.len().is_multiple_of(self.step) {
            points.push(random_point(&mut self.rng));
        }
        *is_first = false;
        *question = Some(Question { serial, points, hidden });
    }

    /// The question that was not answered yet, and its serial.
    pub(crate) fn question(&self) -> Option<(u32, &[Point])> {
        let Part::Asks { question, .. } = &self.part else { return None };
        question.as_ref().map(|question| (question.serial, &*question.points))
    }

    /// Evaluates what the initiator asks.
    // spec: SYNC-52
    pub(crate) fn answer(&self, points: impl Iterator<Item = Point>) -> Result<Vec<Point>, Fault> {
        let Part::Answers(evaluator) = &self.part else {
            return Err(Fault::Protocol("a question from the responder"));
        };
        let answers = points.map(|point| evaluator.evaluate_blinded(&point));
        answers.collect::<Option<_>>().ok_or(Fault::Protocol("a point that is none"))
    }

    /// Takes the answer to question `serial`. `None` if it was not asked; else whether our list
    /// changed.
    // spec: SYNC-52
    pub(crate) fn learn(&mut self, serial: u32, points: &[Point]) -> Result<Option<bool>, Fault> {
        let Part::Asks { question, .. } = &mut self.part else {
            return Err(Fault::Protocol("an answer from the initiator"));
        };
        let asked = question.as_ref().filter(|question| question.serial == serial);
        let Some(asked) = asked else { return Ok(None) };
        if points.len() != asked.points.len() {
            return Err(Fault::Protocol("an answer to another question"));
        }
        let reveal = |((channel, blind), point): (&(ChannelId, Blind), &Point)| {
            Some((*channel, blind.reveal(point)?))
        };
        let evaluations: Option<Vec<_>> = asked.hidden.iter().zip(points).map(reveal).collect();
        let evaluations = evaluations.ok_or(Fault::Protocol("a point that is none"))?;
        *question = None;
        for (channel, evaluation) in evaluations {
            if self.offered.contains(&channel) && !self.tokens.contains_key(&channel) {
                self.recognise(&channel, Some(&evaluation));
            }
        }
        Ok(Some(self.list()))
    }

    /// The channels on both lists.
    pub(crate) fn both(&self) -> BTreeSet<ChannelId> {
        let shown = self.shown.filter(|channel| self.indices.contains_key(channel));
        self.named.values().copied().chain(shown).collect()
    }

    /// The channel that the other end means by `index`.
    pub(crate) fn named(&self, index: u32) -> Option<ChannelId> {
        self.named.get(&index).copied()
    }

    /// Our index of a channel.
    pub(crate) fn index(&self, channel: &ChannelId) -> Option<u32> {
        self.indices.get(channel).copied()
    }

    /// A root as this session's summaries show it.
    // spec: SYNC-11
    pub(crate) fn salted(&self, root: &Hash) -> [u8; 8] {
        first_eight(&blake3::keyed_hash(&self.keys.salt, root.as_bytes()))
    }

    /// Bytes held for the other end.
    pub(crate) fn weight(&self) -> usize {
        let asked = match &self.part {
            Part::Asks { question, .. } => question.as_ref().map_or(0, |it| it.points.len()),
            Part::Answers(_) => 0,
        };
        (self.ours.len() + self.theirs.len()) * size_of::<(ChannelToken, Slot)>()
            + (self.expected.len() + self.named.len() + self.indices.len() + self.tokens.len())
                * size_of::<(ChannelToken, ChannelId)>()
            + (self.offered.len() + self.proven.len()) * size_of::<ChannelId>()
            + asked * (size_of::<Point>() + size_of::<(ChannelId, Blind)>())
    }
}

impl Keys {
    /// The token by which the end in `role` names a channel. It differs by role, so that nobody
    /// can pass off the other's list as its own.
    // spec: SYNC-8
    fn token(&self, role: Role, channel: &ChannelId, evaluation: Option<&Point>) -> ChannelToken {
        let role = match role {
            Role::Initiator => 0,
            Role::Responder => 1,
        };
        let mut hasher = blake3::Hasher::new_keyed(&self.token);
        hasher.update(&[role]).update(channel.as_bytes());
        hasher.update(evaluation.map_or(&[], |evaluation| evaluation));
        first_eight(&hasher.finalize())
    }

    /// What a channel's point is derived from.
    // spec: SYNC-51
    fn hash(&self, channel: &ChannelId) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_keyed(&self.point);
        hasher.update(channel.as_bytes());
        hasher
    }
}

fn first_eight(hash: &blake3::Hash) -> [u8; 8] {
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_wire::{Carrier, PeerId};
    use std::string::ToString;
    use std::vec;

    fn slots(role: Role, seed: u8) -> Slots {
        let secured = Secured { peer: PeerId([0; 32]), binding: [7; 32] };
        let carrier = Carrier::Stream;
        let link = Link { role, carrier, largest_frame: 1 << 16, secured: Some(secured) };
        Slots::new(&link, &secured, Rng::from_seed([seed; 32]))
    }

    fn pair() -> [Slots; 2] {
        [slots(Role::Initiator, 1), slots(Role::Responder, 2)]
    }

    fn open(range: core::ops::Range<u8>) -> BTreeMap<ChannelId, Visibility> {
        range.map(|byte| (ChannelId([byte; 32]), Visibility::Open)).collect()
    }

    fn ids(range: core::ops::Range<u8>) -> BTreeSet<ChannelId> {
        open(range).into_keys().collect()
    }

    /// Both say all that they have to say.
    fn exchange([alice, bob]: &mut [Slots; 2]) {
        alice.take(bob.tokens().copied().collect());
        if alice.is_curious() {
            alice.ask(1);
            let (serial, points) = alice.question().unwrap();
            let answer = bob.answer(points.iter().copied()).unwrap();
            alice.learn(serial, &answer).unwrap();
        }
        bob.take(alice.tokens().copied().collect());
    }

    // spec: SYNC-8, SYNC-52
    #[test]
    fn both_ends_find_what_both_share_and_nothing_else() {
        let mut pair = pair();
        assert!(!pair[0].share(&open(0..20)), "nothing is named before the responder has");
        assert!(pair[1].share(&open(15..40)));
        exchange(&mut pair);
        let [alice, bob] = &pair;
        assert_eq!(alice.both(), ids(15..20));
        assert_eq!(bob.both(), ids(15..20));
        for channel in ids(15..20) {
            assert_eq!(bob.named(alice.index(&channel).unwrap()), Some(channel));
            assert_eq!(alice.named(bob.index(&channel).unwrap()), Some(channel));
        }
        assert_eq!(alice.ours.len(), 5, "what only one follows has no token");
    }

    // spec: SYNC-8, SYNC-51
    #[test]
    fn tokens_and_points_are_made_as_the_specification_shows() {
        let (alice, channel) = (slots(Role::Initiator, 1), ChannelId([3; 32]));
        let mut rng = Rng::from_seed([1; 32]);
        let (blind, blinded) = Blind::hide(&alice.keys.hash(&channel), &mut rng);
        // As if the responder's number were 1.
        let point = blind.reveal(&blinded).unwrap();
        let expected = "24691711d527a3ab4996df228756770a631c1c81f927a4fc355b737296d8621c";
        assert_eq!(Hash(point).to_string(), expected);
        let token = |role, evaluation| alice.keys.token(role, &channel, evaluation);
        let token = |role, evaluation| u64::from_be_bytes(token(role, evaluation));
        let tokens = [
            token(Role::Responder, Some(&point)),
            token(Role::Initiator, Some(&point)),
            token(Role::Initiator, None),
        ];
        assert_eq!(
            tokens.map(|token| std::format!("{token:016x}")),
            ["c5a5ce72aa6667b5", "9daf65153c187a7c", "d981cf96ac29441e"]
        );
    }

    // spec: SYNC-8
    #[test]
    fn a_list_sent_back_shares_nothing() {
        for mut one in pair() {
            one.share(&open(0..20));
            one.meet(Some(ChannelId([1; 32])));
            let own = one.tokens().copied().collect();
            one.take(own);
            assert!(one.both().is_empty());
        }
    }

    // spec: SYNC-9, SYNC-52
    #[test]
    fn the_lengths_of_lists_and_questions_and_the_places_in_them_say_little() {
        let [mut alice, mut bob] = pair();
        bob.share(&open(0..16));
        assert_eq!(bob.ours.len(), 16);
        let in_order = ids(0..16).iter().zip(0..).all(|(id, i)| bob.index(id) == Some(i));
        assert!(!in_order);
        bob.share(&open(0..17));
        assert_eq!(bob.ours.len(), 32);
        alice.share(&open(100..103));
        assert!(!alice.is_curious(), "there is nothing to recognise yet");
        alice.take(bob.tokens().copied().collect());
        alice.ask(1);
        assert_eq!(alice.question().unwrap().1.len(), 16);
        let answer = bob.answer(alice.question().unwrap().1.iter().copied()).unwrap();
        assert_eq!(alice.learn(1, &answer), Ok(Some(false)));
        assert!(alice.ours.is_empty() && !alice.is_curious());
        alice.share(&open(100..105));
        alice.ask(2);
        assert_eq!(alice.question().unwrap().1.len(), 2, "what is new");
    }

    // spec: SYNC-9
    #[test]
    fn an_index_never_changes_its_meaning() {
        let mut pair = pair();
        let mut meanings: [BTreeMap<u32, ChannelId>; 2] = Default::default();
        for round in 0..100 {
            let channels = open(round..round + 10);
            for slots in &mut pair {
                slots.share(&channels);
            }
            exchange(&mut pair);
            for (slots, meanings) in pair.iter().zip(&mut meanings) {
                assert_eq!(slots.both(), ids(round..round + 10));
                for channel in ids(round..round + 10) {
                    let index = slots.index(&channel).unwrap();
                    assert_eq!(*meanings.entry(index).or_insert(channel), channel);
                }
            }
        }
        for slots in &mut pair {
            assert!(slots.ours.len() <= limits::SHARED_CHANNELS);
            assert!(!slots.share(&open(99..109)));
        }
    }

    // spec: SYNC-8
    #[test]
    fn what_was_proven_needs_no_question_and_stands_beside_what_does() {
        let mut pair = pair();
        pair[0].share(&open(0..3));
        pair[1].share(&open(0..2));
        for slots in &mut pair {
            slots.meet(Some(ChannelId([0; 32])));
            assert_eq!(slots.both(), ids(0..1), "until the other's list says otherwise");
        }
        pair[0].take(pair[1].tokens().copied().collect());
        pair[1].take(pair[0].tokens().copied().collect());
        assert_eq!(pair.each_ref().map(Slots::both), [ids(0..1), ids(0..1)]);
        exchange(&mut pair);
        assert_eq!(pair.each_ref().map(Slots::both), [ids(0..2), ids(0..2)]);
    }

    // spec: SYNC-9
    #[test]
    fn over_relays_nothing_is_longer_than_it_must_be_and_places_are_random_all_the_same() {
        let mut pair = pair();
        for (slots, channels) in pair.iter_mut().zip([open(0..5), open(0..8)]) {
            slots.share(&channels);
            slots.meet(Some(ChannelId([0; 32])));
        }
        assert_eq!(pair.each_ref().map(|slots| slots.ours.len()), [1, 8]);
        let in_order = ids(0..8).iter().zip(0..).all(|(id, i)| pair[1].index(id) == Some(i));
        assert!(!in_order);
        let [alice, bob] = &mut pair;
        alice.take(bob.tokens().copied().collect());
        alice.ask(1);
        assert_eq!(alice.question().unwrap().1.len(), 4);
        let answer = bob.answer(alice.question().unwrap().1.iter().copied()).unwrap();
        alice.learn(1, &answer).unwrap();
        bob.take(alice.tokens().copied().collect());
        assert_eq!(pair.each_ref().map(Slots::both), [ids(0..5), ids(0..5)]);
    }

    // spec: SYNC-54
    #[test]
    fn hidden_channels_are_shared_with_those_only_who_have_proven_to_know_them() {
        let mut pair = pair();
        let hidden = BTreeMap::from([(ChannelId([1; 32]), Visibility::Hidden)]);
        for slots in &mut pair {
            assert!(!slots.share(&hidden));
        }
        exchange(&mut pair);
        assert!(pair.each_ref().map(Slots::both).iter().all(BTreeSet::is_empty));
        // One end alone is of no use, and does no harm.
        assert!(pair[0].prove(ChannelId([1; 32])) && !pair[0].share(&hidden));
        exchange(&mut pair);
        assert!(pair.each_ref().map(Slots::both).iter().all(BTreeSet::is_empty));
        assert!(pair[1].prove(ChannelId([1; 32])) && pair[1].share(&hidden));
        exchange(&mut pair);
        assert_eq!(pair.each_ref().map(Slots::both), [ids(1..2), ids(1..2)]);
    }

    // spec: SYNC-54
    #[test]
    fn of_many_channels_some_are_offered_and_stay_so() {
        let [_, mut bob] = pair();
        bob.share(&open(0..200));
        assert_eq!(bob.offered.len(), limits::OFFERED_CHANNELS);
        let first = bob.offered.clone();
        assert_ne!(first, ids(0..limits::OFFERED_CHANNELS as u8));
        assert!(!bob.share(&open(0..201)));
        assert_eq!(bob.offered, first);
        bob.share(&open(100..200));
        assert_eq!(bob.offered.len(), limits::OFFERED_CHANNELS);
        assert!(bob.offered.is_superset(&(&first & &ids(100..200))));
    }

    // spec: SYNC-52
    #[test]
    fn questions_and_answers_that_break_the_rules_change_nothing() {
        let [mut alice, mut bob] = pair();
        alice.share(&open(0..2));
        bob.share(&open(1..3));
        alice.take(bob.tokens().copied().collect());
        alice.ask(7);
        let points = alice.question().unwrap().1.to_vec();
        let good = bob.answer(points.iter().copied()).unwrap();
        assert!(alice.answer(points.iter().copied()).is_err(), "only the responder answers");
        assert!(bob.learn(7, &good).is_err(), "only the initiator asks");
        assert!(bob.answer(vec![good[0], [0; 32]].into_iter()).is_err());
        assert_eq!(alice.learn(6, &good), Ok(None));
        assert!(alice.learn(7, &good[1..]).is_err());
        assert!(alice.learn(7, &vec![[0; 32]; good.len()]).is_err());
        assert_eq!(alice.learn(7, &good), Ok(Some(true)));
        assert_eq!(alice.learn(7, &good), Ok(None), "once");
        assert_eq!(alice.both(), ids(1..2));
    }

    // spec: SYNC-53
    #[test]
    fn every_new_token_of_the_responder_is_a_guess_and_none_of_the_initiators() {
        let [mut alice, bob] = pair();
        let mut theirs = vec![[1; 8]; 16];
        assert_eq!([alice.guesses(&theirs), bob.guesses(&theirs)], [16, 0]);
        alice.take(theirs.clone());
        assert_eq!(alice.guesses(&theirs), 0);
        theirs[3] = [2; 8];
        theirs.push([3; 8]);
        assert_eq!(alice.guesses(&theirs), 2);
    }
}
