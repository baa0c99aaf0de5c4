//! What somebody who knows every channel there is can learn of what a neighbour follows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_sim::seeds;
use mesh_sync::{MemoryStore, Sync, Visibility};
use mesh_wire::codec::List;
use mesh_wire::message::SyncMessage;
use mesh_wire::message::sync::{Blinded, Evaluated, Share};
use mesh_wire::oblivious::{Blind, Evaluator, Point, random_point};
use mesh_wire::{
    Carrier, ChannelId, Fault, Input, Label, Link, LinkId, Machine, Now, PeerId, Rng, Role,
    Secured, Time, UnixTime, limits,
};

use crate::pump::{Carried, Pump};
use crate::world::{Node, texts};

type Token = [u8; 8];

/// A stranger at the other end of a link of a node, who makes of the protocol what it likes.
struct Stranger {
    binding: [u8; 32],
    link: LinkId,
    rng: Rng,
    serial: u32,
}

impl Stranger {
    /// A link in which the stranger has `role`.
    fn meet(node: &mut Node, now: Now, number: u64, role: Role) -> Self {
        let mut rng = Rng::from_seed([number as u8; 32]);
        let (binding, link) = (rng.bytes(), LinkId(number));
        let secured = Secured { peer: PeerId([number as u8; 32]), binding };
        let other = if role == Role::Initiator { Role::Responder } else { Role::Initiator };
        let carrier = Carrier::Stream;
        let info = Link { role: other, carrier, largest_frame: 1 << 16, secured: Some(secured) };
        node.handle(now, Input::LinkUp(link, info));
        Self { binding, link, rng, serial: 0 }
    }

    fn say(&self, node: &mut Node, now: Now, message: impl Into<SyncMessage>) {
        node.handle(now, Input::Receive(self.link, message.into()));
    }

    /// What the node says until it falls silent.
    fn hear(&self, node: &mut Node, now: Now) -> Vec<SyncMessage> {
        std::iter::from_fn(|| node.poll_send(now, self.link, limits::RECORD_BYTES)).collect()
    }

    /// What the point of a channel is derived from (SYNC-51).
    fn hash(&self, channel: &ChannelId) -> blake3::Hasher {
        let key = blake3::derive_key("mesh/1 channel point", &self.binding);
        let mut hasher = blake3::Hasher::new_keyed(&key);
        hasher.update(channel.as_bytes());
        hasher
    }

    /// A token as whoever has the evaluation computes it (SYNC-8).
    fn token(&self, role: Role, channel: &ChannelId, evaluation: &[u8]) -> Token {
        let key = blake3::derive_key("mesh/1 channel token", &self.binding);
        let mut hasher = blake3::Hasher::new_keyed(&key);
        hasher.update(&[u8::from(role == Role::Responder)]);
        hasher.update(channel.as_bytes()).update(evaluation);
        *hasher.finalize().as_bytes().first_chunk().unwrap()
    }

    /// The channels of `directory` whose tokens, as anybody can compute them who has not been
    /// answered, stand among those it saw: with no evaluation, with points of its own choosing in
    /// place of it, and with whatever points it was sent.
    fn offline(&self, directory: &[ChannelId], seen: &[Token], points: &[Point]) -> usize {
        let seen: BTreeSet<&Token> = seen.iter().collect();
        let mut rng = Rng::from_seed([1; 32]);
        let one = Evaluator::random(&mut rng);
        let is_found = |channel: &&ChannelId| {
            let hash = self.hash(channel);
            let (blind, blinded) = Blind::hide(&hash, &mut Rng::from_seed([2; 32]));
            let mut evaluations: Vec<Vec<u8>> = points.iter().map(|it| it.to_vec()).collect();
            evaluations.push(Vec::new());
            evaluations.push(one.evaluate(&hash).to_vec());
            evaluations.push(blinded.to_vec());
            evaluations.push(blind.reveal(&blinded).unwrap().to_vec());
            let roles = [Role::Initiator, Role::Responder];
            evaluations.iter().any(|evaluation| {
                roles.iter().any(|role| seen.contains(&self.token(*role, channel, evaluation)))
            })
        };
        directory.iter().filter(is_found).count()
    }

    /// Asks about `guesses`, as an initiator: those that the node follows, if it answers.
    fn ask(
        &mut self,
        node: &mut Node,
        now: Now,
        guesses: &[ChannelId],
        list: &[Token],
    ) -> Option<Vec<ChannelId>> {
        self.serial += 1;
        let mut rng = self.rng.fork("blinds");
        let asked: Vec<_> =
            guesses.iter().map(|id| Blind::hide(&self.hash(id), &mut rng)).collect();
        let points = List::new(asked.iter().map(|(_, point)| point));
        self.say(node, now, Blinded { serial: self.serial, points });
        let answer = self.hear(node, now).into_iter().find_map(|message| match message {
            SyncMessage::Evaluated(answer) => Some(answer),
            _ => None,
        })?;
        let found = guesses.iter().zip(&asked).zip(answer.points.iter()).filter_map(
            |((channel, (blind, _)), point)| {
                let evaluation = blind.reveal(&point).unwrap();
                let token = self.token(Role::Responder, channel, &evaluation);
                list.contains(&token).then_some(*channel)
            },
        );
        Some(found.collect())
    }
}

fn tokens(messages: &[SyncMessage]) -> Vec<Token> {
    let lists = messages.iter().filter_map(|message| match message {
        SyncMessage::Share(share) => Some(share.tokens.iter().collect::<Vec<_>>()),
        _ => None,
    });
    lists.last().unwrap_or_default()
}

fn points(messages: &[SyncMessage]) -> Vec<Point> {
    let points = messages.iter().filter_map(|message| match message {
        SyncMessage::Blinded(question) => Some(question.points.iter().collect::<Vec<_>>()),
        SyncMessage::Evaluated(answer) => Some(answer.points.iter().collect()),
        _ => None,
    });
    points.flatten().collect()
}

fn question(messages: &[SyncMessage]) -> Blinded {
    let question = messages.iter().find_map(|message| match message {
        SyncMessage::Blinded(question) => Some(question.clone()),
        _ => None,
    });
    question.expect("it asks")
}

/// A directory of channels, and a node that follows the first of them.
fn node(followed: usize) -> (Node, Vec<ChannelId>, Now) {
    let now = Now { time: Time(1), unix: UnixTime(1_800_000_000_000) };
    let mut node = Sync::open(MemoryStore::default(), Rng::from_seed([7; 32])).unwrap();
    let id = |n: u32| ChannelId(*blake3::hash(&n.to_be_bytes()).as_bytes());
    let directory: Vec<_> = (0..2000).map(id).collect();
    directory[..followed].iter().for_each(|channel| node.follow(now, *channel).unwrap());
    (node, directory, now)
}

// spec: SYNC-8, SYNC-52
#[test]
fn s_06_whoever_initiates_a_link_and_knows_every_channel_learns_of_those_alone_it_asks_about() {
    let (mut node, directory, now) = node(20);
    let mut eve = Stranger::meet(&mut node, now, 1, Role::Initiator);
    let list = tokens(&eve.hear(&mut node, now));
    assert_eq!(list.len(), 32, "more than 16 and at most 32");
    assert_eq!(eve.offline(&directory, &list, &[]), 0);
    let guesses = [&directory[15..25], &directory[100..150]].concat();
    assert_eq!(eve.ask(&mut node, now, &guesses, &list), Some(directory[15..20].to_vec()));
    // What it was told of these says nothing of others.
    eve.say(
        &mut node,
        now,
        Blinded {
            serial: 99,
            points: List::new(&[Blind::hide(&eve.hash(&directory[0]), &mut eve.rng.fork("one")).1]),
        },
    );
    let answer = points(&eve.hear(&mut node, now));
    assert_eq!(answer.len(), 1);
    assert_eq!(eve.offline(&directory, &list, &answer), 0);
}

// spec: SYNC-9, SYNC-52
#[test]
fn s_06_whoever_answers_a_link_and_knows_every_channel_learns_of_those_alone_it_names() {
    let (mut node, directory, now) = node(20);
    let mut eve = Stranger::meet(&mut node, now, 1, Role::Responder);
    assert!(eve.hear(&mut node, now).is_empty(), "nothing is said before something is named");
    let evaluator = Evaluator::random(&mut eve.rng);
    let named = [&directory[15..25], &directory[100..120]].concat();
    let token = |role, id| eve.token(role, id, &evaluator.evaluate(&eve.hash(id)));
    let list: Vec<Token> = named.iter().map(|id| token(Role::Responder, id)).collect();
    eve.say(&mut node, now, Share { serial: 1, tokens: List::new(&list) });
    let said = eve.hear(&mut node, now);
    let asked = points(&said);
    assert_eq!((asked.len(), tokens(&said).len()), (32, 0));
    // It can evaluate whatever it likes, and still recognises no point.
    let evaluated: Vec<Point> =
        asked.iter().map(|point| evaluator.evaluate_blinded(point).unwrap()).collect();
    let of_all: BTreeSet<Point> =
        directory.iter().map(|id| evaluator.evaluate(&eve.hash(id))).collect();
    assert!(asked.iter().chain(&evaluated).all(|point| !of_all.contains(point)));
    let question = question(&said);
    let points = List::new(&evaluated);
    eve.say(&mut node, now, Evaluated { serial: question.serial, points });
    let told: BTreeSet<Token> = tokens(&eve.hear(&mut node, now)).into_iter().collect();
    let learned = directory.iter().filter(|id| told.contains(&token(Role::Initiator, id)));
    assert_eq!(learned.copied().collect::<Vec<_>>(), directory[15..20]);
    assert_eq!(told.len(), 5, "and nothing else is said");
}

/// Knowing one channel of a neighbour is of no help in naming others: answers that fit together in
/// no honest way make nobody name what the other does not know.
// spec: SYNC-51
#[test]
fn s_06_whoever_knows_one_channel_is_not_taken_to_know_others() {
    let (mut node, directory, now) = node(8);
    let evaluator = Evaluator::random(&mut Rng::from_seed([3; 32]));
    for place in 0..16 {
        let eve = Stranger::meet(&mut node, now, place, Role::Responder);
        let known = evaluator.evaluate(&eve.hash(&directory[0]));
        let token = |role| eve.token(role, &directory[0], &known);
        let tokens = List::new(&[token(Role::Responder); 16]);
        eve.say(&mut node, now, Share { serial: 1, tokens });
        let asked: Vec<Point> = question(&eve.hear(&mut node, now)).points.iter().collect();
        let answer = evaluator.evaluate_blinded(&asked[place as usize]).unwrap();
        let points = List::new(&[answer; 16]);
        eve.say(&mut node, now, Evaluated { serial: 2, points });
        let told = self::tokens(&eve.hear(&mut node, now));
        assert!(told.iter().all(|told| *told == token(Role::Initiator)) && told.len() <= 1);
        // What it was told it cannot give back as its own.
        eve.say(&mut node, now, Share { serial: 2, tokens: List::new(&told) });
        assert!(node.shared_with(eve.link).is_empty());
    }
}

// spec: SYNC-53
#[test]
fn s_06_guesses_beyond_the_limit_are_refused_and_nobody_is_blamed() {
    let (mut node, directory, mut now) = node(20);
    let mut eve = Stranger::meet(&mut node, now, 1, Role::Initiator);
    let list = tokens(&eve.hear(&mut node, now));
    let mut answered = 0;
    for guesses in directory[1000..].chunks(limits::OFFERED_CHANNELS) {
        answered += eve.ask(&mut node, now, guesses, &list).map_or(0, |_| guesses.len());
    }
    assert_eq!(answered, limits::GUESSES as usize);
    assert_eq!(eve.ask(&mut node, now, &directory[..1], &list), None);
    assert!(std::iter::from_fn(|| node.poll_event()).next().is_none(), "nobody is to blame");
    now.time = now.time + limits::GUESS_REFILL;
    assert_eq!(eve.ask(&mut node, now, &directory[..1], &list), Some(vec![directory[0]]));
    assert_eq!(eve.ask(&mut node, now, &directory[1..2], &list), None);
    // Other names help for a while only, whichever end they take.
    let (mut links, mut found) = (2, 0);
    for _ in 0..100 {
        let mut eve = Stranger::meet(&mut node, now, links, Role::Initiator);
        let list = tokens(&eve.hear(&mut node, now));
        for guesses in directory[1000..1128].chunks(limits::OFFERED_CHANNELS) {
            found += eve.ask(&mut node, now, guesses, &list).map_or(0, |_| guesses.len());
        }
        links += 1;
    }
    assert!(found <= limits::ALL_GUESSES as usize, "{found}");
    let eve = Stranger::meet(&mut node, now, links, Role::Responder);
    eve.say(&mut node, now, Share { serial: 1, tokens: List::new(&[[1; 8]; 64]) });
    assert!(eve.hear(&mut node, now).is_empty(), "not even heard");
    now.time = now.time + limits::ALL_GUESSES_REFILL * 64;
    eve.say(&mut node, now, Share { serial: 1, tokens: List::new(&[[1; 8]; 64]) });
    assert_eq!(points(&eve.hear(&mut node, now)).len(), 32);
}

// spec: SYNC-53
#[test]
fn s_06_a_list_that_changes_all_the_time_runs_out_of_guesses() {
    let (mut node, directory, now) = node(20);
    let mut eve = Stranger::meet(&mut node, now, 1, Role::Responder);
    let evaluator = Evaluator::random(&mut eve.rng);
    let mut named = 0;
    for (chunk, serial) in directory[1000..].chunks(16).zip(1..) {
        let token = |id| eve.token(Role::Responder, id, &evaluator.evaluate(&eve.hash(id)));
        let list: Vec<Token> = chunk.iter().map(token).collect();
        eve.say(&mut node, now, Share { serial, tokens: List::new(&list) });
        let said = eve.hear(&mut node, now);
        let is_heard = |it: &SyncMessage| matches!(it, SyncMessage::Heard(_));
        named += if said.iter().any(is_heard) { chunk.len() } else { 0 };
    }
    assert_eq!(named, limits::GUESSES as usize);
}

// spec: SYNC-54
#[test]
fn s_06_hidden_channels_are_never_found_by_guessing() {
    let (mut node, directory, now) = node(0);
    for channel in &directory[..3] {
        node.follow_hidden(now, *channel).unwrap();
    }
    node.follow(now, directory[3]).unwrap();
    node.follow(now, directory[4]).unwrap();
    node.show(now, &directory[4], Visibility::Hidden).unwrap();
    // Neither who asks finds them, nor who names them, also after a restart.
    for _ in 0..2 {
        let mut eve = Stranger::meet(&mut node, now, 1, Role::Initiator);
        let list = tokens(&eve.hear(&mut node, now));
        let found = eve.ask(&mut node, now, &directory[..10], &list);
        assert_eq!(found, Some(vec![directory[3]]));
        assert_eq!(eve.offline(&directory, &list, &[]), 0);
        let mut eve = Stranger::meet(&mut node, now, 2, Role::Responder);
        let evaluator = Evaluator::random(&mut eve.rng);
        let token = |role, id| eve.token(role, id, &evaluator.evaluate(&eve.hash(id)));
        let named: Vec<Token> =
            directory[..10].iter().map(|id| token(Role::Responder, id)).collect();
        eve.say(&mut node, now, Share { serial: 1, tokens: List::new(&named) });
        let asked = points(&eve.hear(&mut node, now));
        let answers: Vec<Point> =
            asked.iter().map(|point| evaluator.evaluate_blinded(point).unwrap()).collect();
        let serial = 1;
        eve.say(&mut node, now, Evaluated { serial, points: List::new(&answers) });
        let told = tokens(&eve.hear(&mut node, now));
        assert_eq!(told, [token(Role::Initiator, &directory[3])]);
        node = Sync::open(node.into_store(), Rng::from_seed([8; 32])).unwrap();
        assert_eq!(node.channel(&directory[1]).unwrap().visibility, Visibility::Hidden);
        assert_eq!(node.channel(&directory[3]).unwrap().visibility, Visibility::Open);
    }
    node.show(now, &directory[4], Visibility::Open).unwrap();
    let mut eve = Stranger::meet(&mut node, now, 3, Role::Initiator);
    let list = tokens(&eve.hear(&mut node, now));
    assert_eq!(eve.ask(&mut node, now, &directory[4..5], &list), Some(vec![directory[4]]));
}

// spec: SYNC-52
#[test]
fn w_01_questions_and_answers_that_break_the_rules_are_faults_and_change_nothing() {
    let (mut node, _, now) = node(2);
    let initiator = Stranger::meet(&mut node, now, 1, Role::Initiator);
    let responder = Stranger::meet(&mut node, now, 2, Role::Responder);
    responder.say(&mut node, now, Share { serial: 1, tokens: List::new(&[[1; 8]; 16]) });
    responder.hear(&mut node, now);
    initiator.hear(&mut node, now);
    let good = random_point(&mut Rng::from_seed([1; 32]));
    let sixteen = |point: Point| List::new(&[point; 16]);
    let bad: [(&Stranger, SyncMessage); 7] = [
        (&initiator, Blinded { serial: 1, points: List::new(&[good, [0; 32]]) }.into()),
        (&initiator, Blinded { serial: 1, points: List::new(&[[0xff; 32]]) }.into()),
        (&initiator, Evaluated { serial: 1, points: List::new(&[good]) }.into()),
        (&responder, Blinded { serial: 1, points: List::new(&[good]) }.into()),
        (&responder, Evaluated { serial: 1, points: List::new(&[good]) }.into()),
        (&responder, Evaluated { serial: 1, points: sixteen([0; 32]) }.into()),
        (&responder, Evaluated { serial: 1, points: sixteen([0xff; 32]) }.into()),
    ];
    for (stranger, message) in bad {
        let weight = node.weight();
        stranger.say(&mut node, now, message.clone());
        let event = node.poll_event();
        let fault = |event| match event {
            mesh_sync::Event::PeerFault { fault, .. } => Some(fault),
            _ => None,
        };
        let fault = event.and_then(fault);
        assert!(matches!(fault, Some(Fault::Protocol(_))), "{message:?}: {fault:?}");
        assert!(stranger.hear(&mut node, now).is_empty() && node.weight() == weight);
    }
    // The question still stands; an answer that nobody waits for is nothing.
    responder.say(&mut node, now, Evaluated { serial: 9, points: sixteen(good) });
    responder.say(&mut node, now, Evaluated { serial: 1, points: sixteen(good) });
    responder.say(&mut node, now, Evaluated { serial: 1, points: sixteen(good) });
    assert!(node.poll_event().is_none());
}

/// People follow and unfollow, hide and show, links break, messages are lost; in the end everybody
/// has what both ends of a link follow, and nothing else was ever named.
// spec: SYNC-9, SYNC-52, SYNC-54
#[test]
fn whoever_follows_what_and_whatever_is_lost_both_ends_come_to_know_what_they_share() {
    for seed in seeds(40) {
        let mut rng = Rng::from_seed([seed as u8; 32]);
        let mut pump = Pump::new((0..3).map(|n| open(seed, n)).collect());
        let channels = pump_channels(&mut pump);
        let mut lost = rng.fork("losses");
        connect(&mut pump);
        for _ in 0..30 {
            let (node, channel) = (1 + rng.below(2) as usize, rng.below(6) as usize);
            let (now, channel) = (pump.now, channels[channel]);
            match rng.below(8) {
                0..=2 => pump.nodes[node].follow(now, channel).unwrap(),
                3 => pump.nodes[node].follow_hidden(now, channel).unwrap(),
                4 | 5 => drop(pump.nodes[node].unfollow(now, &channel)),
                6 => drop(pump.nodes[node].show(now, &channel, Visibility::Open)),
                _ => {
                    pump.disconnect();
                    connect(&mut pump);
                }
            }
            let (odds, span) = (rng.below(60), Duration::from_millis(rng.below(5000)));
            pump.run(span, |_, message| match lost.below(100) < odds {
                true => Carried::Lost,
                false => Carried::As(message),
            });
        }
        pump.run(Duration::from_secs(600), |_, message| Carried::As(message));
        let visible = |node: &Node| -> BTreeMap<ChannelId, u64> {
            let open = node.channels().into_iter();
            let open = open.filter(|it| it.visibility == Visibility::Open);
            open.map(|it| (it.id, it.items)).collect()
        };
        let [origin, first, second] = [0, 1, 2].map(|node| visible(&pump.nodes[node]));
        for (channel, items) in &first {
            assert_eq!(origin.get(channel), Some(items), "seed {seed}: {channel}");
        }
        for (channel, items) in second.iter().filter(|(channel, _)| first.contains_key(channel)) {
            assert_eq!(first.get(channel), Some(items), "seed {seed}: {channel}");
        }
        for node in 0..3 {
            assert_eq!(pump.faults(node), Vec::<String>::new(), "seed {seed}");
        }
    }
}

fn open(seed: u64, number: u8) -> Node {
    Sync::open(MemoryStore::default(), Rng::from_seed([seed as u8 ^ (number << 6); 32])).unwrap()
}

fn pump_channels(pump: &mut Pump) -> Vec<ChannelId> {
    let now = pump.now;
    let make = |number: usize| {
        let name = Label::new(&format!("{number}")).unwrap();
        let channel = pump.nodes[0].create_channel(now, &name).unwrap();
        pump.nodes[0].publish(now, &channel, texts(number)).unwrap();
        channel
    };
    (0..6).map(make).collect()
}

/// In a line, of which the one in the middle initiates both links or none.
fn connect(pump: &mut Pump) {
    pump.connect(0, 1);
    pump.connect(2, 1);
}
