//! What machines in a world may rely on.

use std::collections::VecDeque;
use std::time::Duration;

use mesh_sim::{Quality, Securing, Transmitter, World, seeds};
use mesh_wire::codec::Opaque;
use mesh_wire::{Carrier, Input, Link, LinkId, Machine, Now, Role, Time, Wake, layout};

use crate::toy::{Flaw, Toy};

layout! {
    /// A number, and bytes that make it 100 bytes in all.
    pub struct Numbered {
        number: [u8; 8],
        body: Opaque<200>,
    }
}

/// Sends numbers over its first link, or over whichever can, and tells all that happens to it.
#[derive(Default)]
struct Pipe {
    links: Vec<LinkId>,
    over_any: bool,
    waiting: VecDeque<u64>,
    told: VecDeque<Told>,
    alarm: Option<Time>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Up(Link),
    Down(Time),
    Got(Time, u64),
    Woke(Time),
}

impl Machine for Pipe {
    type Message = Numbered;
    type Event = Told;

    fn handle(&mut self, now: Now, input: Input<Numbered>) {
        self.told.push_back(match input {
            Input::LinkUp(id, link) => {
                self.links.push(id);
                Told::Up(link)
            }
            Input::LinkDown(id) => {
                self.links.retain(|known| *known != id);
                Told::Down(now.time)
            }
            Input::Receive(_, message) => Told::Got(now.time, u64::from_be_bytes(message.number)),
            Input::Tick => {
                self.alarm = None;
                Told::Woke(now.time)
            }
        });
    }

    fn poll_send(&mut self, _: Now, link: LinkId, _: usize) -> Option<Numbered> {
        let is_chosen = self.over_any || self.links.first() == Some(&link);
        let number = is_chosen.then(|| self.waiting.pop_front())??.to_be_bytes();
        Some(Numbered { number, body: Opaque::new(vec![0; 90].into())? })
    }

    fn poll_event(&mut self) -> Option<Told> {
        self.told.pop_front()
    }

    fn wake_at(&self) -> Option<Wake> {
        self.alarm.map(|at| Wake { at, reason: "test" })
    }

    fn weight(&self) -> usize {
        0
    }
}

/// 100-byte messages take 100 ms to leave and 1 s to arrive.
const SLOW: Quality = Quality {
    carrier: Carrier::Stream,
    delay: Duration::from_secs(1),
    jitter: Duration::ZERO,
    loss_per_mille: 500,
    repeat_per_mille: 500,
    bytes_per_second: 1000,
    transmitter: Transmitter::OfLink,
    overhead_bytes: 0,
    room_bytes: 200,
};

fn pair(seed: u64, quality: Quality) -> (World<Pipe>, LinkId, LinkId) {
    let mut world = World::new(seed, Securing::ByWorld);
    world.add(|_, _| Pipe::default());
    world.add(|_, _| Pipe::default());
    let (near, far) = world.connect(0, 1, quality);
    world.take_events(1);
    (world, near, far)
}

fn send(world: &mut World<Pipe>, count: u64) {
    world.with(0, |pipe, _| pipe.waiting.extend(0..count));
}

fn numbers(world: &World<Pipe>) -> Vec<u64> {
    let got = world.events(1).iter().filter_map(|told| match told {
        Told::Got(_, number) => Some(*number),
        Told::Up(_) | Told::Down(_) | Told::Woke(_) => None,
    });
    got.collect()
}

#[test]
fn messages_take_their_time_to_leave_and_to_arrive() {
    let (mut world, near, _) = pair(0, SLOW);
    send(&mut world, 3);
    world.run_for(Duration::from_secs(2));
    let arrivals = [1_100_000, 1_200_000, 1_300_000].map(Time);
    let expected: Vec<_> =
        arrivals.into_iter().zip(0..).map(|(at, number)| Told::Got(at, number)).collect();
    assert_eq!(world.events(1), expected);
    assert_eq!(world.traffic(near).messages, 3);
    assert_eq!(world.traffic(near).bytes, 300);
}

#[test]
fn messages_are_pulled_only_when_the_one_before_has_left() {
    let (mut world, _, _) = pair(0, SLOW);
    send(&mut world, 10);
    world.run_for(Duration::from_millis(250));
    assert_eq!(world.node(0).waiting.len(), 7);
}

#[test]
fn the_links_of_one_radio_take_turns() {
    let mut world = World::new(0, Securing::ByWorld);
    for _ in 0..4 {
        world.add(|_, _| Pipe { over_any: true, ..Pipe::default() });
    }
    let radio = Quality { transmitter: Transmitter::OfNode, overhead_bytes: 100, ..SLOW };
    let links = [1, 2, 3].map(|far| world.connect(0, far, radio).0);
    send(&mut world, 100);
    world.run_for(Duration::from_secs(3));
    let sent = links.map(|link| world.traffic(link).messages);
    assert_eq!(sent, [6, 5, 5], "one each 200 ms: 100 bytes and what the medium adds");
    let wired = world.connect(0, 1, SLOW).0;
    world.with(0, |_, _| ());
    assert_eq!(world.traffic(wired).messages, 1, "a cable does not wait for the radio");
}

#[test]
fn a_link_that_fades_loses_everything_and_tells_nobody_for_a_while() {
    let (mut world, near, _) = pair(0, SLOW);
    send(&mut world, 20);
    world.run_for(Duration::from_millis(1250));
    world.fade(near, Duration::from_millis(500));
    world.take_events(0);
    world.run_for(Duration::from_millis(499));
    assert_eq!(numbers(&world), [0, 1], "what was under way is lost");
    assert!(world.events(0).is_empty(), "nobody knows");
    assert!(world.traffic(near).messages > 15, "so it goes on sending");
    world.run_for(Duration::from_millis(1));
    let down = Told::Down(Time(1_750_000));
    assert_eq!(world.events(0), std::slice::from_ref(&down));
    assert_eq!(world.events(1).last(), Some(&down));
    world.run_for(Duration::from_secs(5));
    assert_eq!((numbers(&world).len(), world.events(0).len()), (2, 1));
    let traffic = world.traffic(near);
    assert_eq!(traffic.lost + 2, traffic.messages);
}

#[test]
fn who_hangs_up_a_faded_link_cannot_tell_the_other_end() {
    let (mut world, near, _) = pair(0, SLOW);
    world.fade(near, Duration::from_secs(5));
    world.disconnect(near);
    world.run_for(Duration::from_secs(4));
    assert_eq!(world.links(1).len(), 1);
    world.run_for(Duration::from_secs(1));
    assert!(world.links(1).is_empty());
}

#[test]
fn streams_keep_everything_in_order_whatever_the_jitter() {
    for seed in seeds(10) {
        let jitter = Duration::from_secs(3);
        let (mut world, near, _) = pair(seed, Quality { jitter, ..SLOW });
        send(&mut world, 100);
        world.run_for(Duration::from_secs(20));
        assert_eq!(numbers(&world), (0..100).collect::<Vec<_>>(), "seed {seed}");
        assert_eq!(world.traffic(near).lost, 0);
    }
}

#[test]
fn datagrams_are_lost_repeated_and_overtaken() {
    let carrier = Carrier::Datagram;
    let (mut world, near, _) = pair(1, Quality { carrier, jitter: Duration::from_secs(1), ..SLOW });
    send(&mut world, 1000);
    world.run_for(Duration::from_secs(200));
    let got = numbers(&world);
    let lost = world.traffic(near).lost;
    assert!((400..600).contains(&lost), "{lost} lost");
    assert!(got.len() as u64 > 1000 - lost, "some come twice");
    assert!(!got.is_sorted(), "some overtake others");
}

#[test]
fn an_alarm_goes_off_exactly_when_it_should_also_if_it_was_moved() {
    let (mut world, _, _) = pair(0, SLOW);
    world.with(1, |pipe, _| pipe.alarm = Some(Time(500)));
    world.with(1, |pipe, _| pipe.alarm = Some(Time(900)));
    world.with(1, |pipe, _| pipe.alarm = Some(Time(700)));
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.take_events(1), [Told::Woke(Time(700))]);
    world.with(1, |pipe, _| pipe.alarm = Some(Time(3)));
    world.run_for(Duration::ZERO);
    assert_eq!(world.events(1), [Told::Woke(Time(1_000_000))], "a late one at once");
}

#[test]
fn both_ends_of_a_secured_link_know_each_other_and_one_binding() {
    let mut world = World::new(0, Securing::ByWorld);
    for _ in 0..2 {
        world.add(|_, _| Pipe::default());
    }
    world.connect(0, 1, SLOW);
    world.connect(0, 1, SLOW);
    let secured = |node: usize, index: usize| {
        let Told::Up(link) = &world.events(node)[index] else { panic!("no link") };
        (link.role, link.secured.expect("secured"))
    };
    let ((near, bob), (far, alice)) = (secured(0, 0), secured(1, 0));
    assert_eq!((near, far), (Role::Initiator, Role::Responder));
    assert_eq!((alice.peer, bob.peer), (world.peer(0), world.peer(1)));
    assert_eq!(alice.binding, bob.binding);
    assert_ne!(secured(0, 1).1.binding, bob.binding, "each link has its own");
}

#[test]
fn machines_that_secure_their_links_get_them_unsecured() {
    let mut world = World::new(0, Securing::ByMachines);
    for _ in 0..2 {
        world.add(|_, _| Pipe::default());
    }
    world.connect(0, 1, SLOW);
    assert!(matches!(world.events(1), [Told::Up(Link { secured: None, .. })]));
}

#[test]
fn the_far_end_hears_of_a_goodbye_after_all_that_was_under_way() {
    let (mut world, near, far) = pair(0, SLOW);
    send(&mut world, 2);
    world.run_for(Duration::from_millis(150));
    world.disconnect(near);
    world.with(1, |pipe, _| pipe.waiting.push_back(7));
    world.take_events(0);
    world.run_for(Duration::from_secs(5));
    let (first, second) = (Time(1_100_000), Time(1_200_000));
    assert_eq!(world.events(1), [Told::Got(first, 0), Told::Got(second, 1), Told::Down(second)]);
    assert!(world.events(0).is_empty(), "what the far end sent meanwhile is lost");
    world.disconnect(far);
    assert_eq!(world.events(1).len(), 3, "a link goes down once");
}

#[test]
fn a_machine_that_crashed_is_replaced_and_its_neighbours_learn_it() {
    let (mut world, _, far) = pair(0, SLOW);
    send(&mut world, 5);
    let old = world.replace(0, Pipe::default());
    assert_eq!(old.waiting.len(), 4);
    assert!(world.links(0).is_empty());
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.events(1).last(), Some(&Told::Down(Time(1_100_000))));
    assert!(world.links(1).is_empty());
    world.disconnect(far);
    assert_eq!(world.far_node(far), 0);
}

#[test]
fn a_handler_may_act_on_the_world_and_decides_what_is_kept() {
    let (mut world, _, _) = pair(0, SLOW);
    world.on_event(|world, node, told| {
        if !matches!(told, Told::Got(_, 3)) {
            return Some(told);
        }
        world.disconnect(world.links(node)[0]);
        world.connect(node, 0, SLOW);
        None
    });
    send(&mut world, 4);
    world.run_for(Duration::from_secs(9));
    let last: Vec<_> = world.events(1).iter().skip(3).collect();
    assert!(matches!(last[..], [Told::Down(_), Told::Up(Link { role: Role::Initiator, .. })]));
    assert_eq!(world.links(0), [LinkId(3)]);
}

#[test]
fn a_world_runs_until_a_goal_holds_or_all_is_quiet_and_no_longer() {
    let (mut world, _, _) = pair(0, SLOW);
    send(&mut world, 3);
    let second = Duration::from_secs(1);
    assert!(world.run_until(9 * second, |world| numbers(world) == [0, 1]));
    assert_eq!(world.now(0).time, Time(1_200_000));
    assert!(!world.run_until(second, |world| numbers(world).len() == 4));
    assert_eq!(world.now(0).time, Time(2_200_000));
    send(&mut world, 1);
    assert!(!world.run_until_quiet(second, 2 * second));
    assert!(world.run_until_quiet(second, 2 * second));
    assert_eq!(world.now(0).time, Time(4_300_000), "a second after the last arrival");
}

#[test]
fn every_node_has_a_date_of_its_own() {
    let (mut world, _, _) = pair(0, SLOW);
    world.run_for(Duration::from_secs(1));
    world.set_skew(1, -5000);
    assert_eq!(world.now(0).unix.0 - 5000, world.now(1).unix.0);
    assert_eq!(world.now(0).time, world.now(1).time);
    world.set_skew(1, i64::MIN);
    assert_eq!(world.now(1).unix.0, 0);
}

/// Toys in a ring with chords; one rumour.
fn crowd(seed: u64, nodes: usize) -> World<Toy> {
    let mut world = World::new(seed, Securing::ByWorld);
    for _ in 0..nodes {
        world.add(|_, rng| Toy::new(Flaw::None, rng));
    }
    let mut chance = world.rng("chords");
    for node in world.nodes() {
        world.connect(node, (node + 1) % nodes, Quality::STREAM);
        let chord = chance.below(nodes as u64) as usize;
        if chord != node {
            world.connect(node, chord, Quality::DATAGRAM);
        }
    }
    world.with(0, |toy, _| toy.spread(7));
    world
}

#[test]
fn a_rumour_reaches_a_thousand_nodes() {
    let mut world = crowd(0, 1000);
    world.on_event(|_, _, _| None);
    let spread = |world: &World<Toy>| world.nodes().all(|node| world.node(node).knows(7));
    assert!(world.run_until(Duration::from_secs(10), spread));
    world.run_for(Duration::from_secs(600));
}

#[test]
#[should_panic(expected = "into a room of")]
fn a_world_does_not_carry_more_than_its_room() {
    let mut world = World::new(0, Securing::ByWorld);
    for _ in 0..2 {
        world.add(|_, rng| Toy::new(Flaw::NoRoom, rng));
    }
    world.connect(0, 1, Quality { room_bytes: 10, ..Quality::STREAM });
    world.with(0, |toy, _| toy.spread(7));
}

/// The same in debug and release builds, and on every platform.
#[test]
fn a_seed_stands_for_one_life() {
    let trace = |seed| {
        let mut world = crowd(seed, 20);
        world.run_for(Duration::from_secs(100));
        world.trace().to_string()
    };
    assert_eq!(trace(0), "c04ea33c766cbf2f8dae839d99654a5b7e1b2aa5a00f3c89a2896ea6957ad2e0");
    assert_ne!(trace(0), trace(1));
}
