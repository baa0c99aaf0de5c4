//! Channels spread from node to node.

use std::time::Duration;

use mesh_sim::{Quality, seeds};
use mesh_sync::{Event, MemoryStore, Refused, Role, Sync};
use mesh_wire::message::SyncMessage;
use mesh_wire::{ChannelId, Label, Now, Rng, Wire, limits};

use crate::pump::{Carried, Pump};
use crate::world::*;

// spec: SYNC-11, SYNC-12, SYNC-13
#[test]
fn a_follower_gets_every_item() {
    let (mut world, channel) = chain(1, 2, Quality::STREAM);
    publish(&mut world, &channel, texts(1000));
    level(&mut world, &channel);
    let known = Event::ChannelKnown { channel };
    assert!(world.events(1).contains(&known));
    for seq in [1, 500, 1000] {
        let here = world.node(1).content(&channel, seq).unwrap();
        assert_eq!(here, world.node(0).content(&channel, seq).unwrap());
        assert_eq!(here.unwrap(), format!("item {}", seq - 1));
    }
    let items = world.node(1).items(&channel, 990..2000).unwrap();
    assert_eq!((items.len(), items[0].number), (11, 990));
    let writer = |node| world.node(node).writers(&channel).unwrap()[0].key;
    assert_eq!((items[0].writer, writer(1)), (writer(0), writer(0)));
    assert_eq!(faults(&world), []);
}

#[test]
fn items_travel_through_strangers_and_outlive_their_origin() {
    let (mut world, channel) = chain(2, 4, Quality::STREAM);
    publish(&mut world, &channel, texts(700));
    level(&mut world, &channel);
    let late = world.add(|_, rng| Sync::open(MemoryStore::default(), rng).unwrap());
    follow(&mut world, late, channel);
    let origin = world.links(0)[0];
    world.disconnect(origin);
    world.connect(3, late, Quality::STREAM);
    level(&mut world, &channel);
    assert_eq!(faults(&world), []);
}

// spec: SYNC-14
#[test]
fn a_short_text_goes_out_unasked_and_arrives_once() {
    let (mut world, channel) = chain(3, 3, Quality::STREAM);
    world.run_until_quiet(Duration::from_secs(1), SOON);
    let before: Vec<_> = world.nodes().map(|node| traffic(&world, node)).collect();
    publish(&mut world, &channel, vec![text(&"x".repeat(300))]);
    level(&mut world, &channel);
    world.run_until_quiet(Duration::from_secs(1), SOON);
    let bytes: Vec<_> = world.nodes().map(|node| traffic(&world, node) - before[node]).collect();
    // Each hop: the item and its proof (about 500 bytes), a summary back, and acknowledgements.
    assert!(bytes[0] < 700 && bytes[1] < 800 && bytes[2] < 100, "{bytes:?}");
    // More than a neighbour may be sent unasked is told, and asked for.
    publish(&mut world, &channel, vec![text(&"y".repeat(5000))]);
    level(&mut world, &channel);
    assert_eq!(faults(&world), []);
}

/// Node 0 with a channel of so many items that node 1 follows, nodes linked, both told that the
/// other shares it. The node `speaks_first` speaks first.
fn met(items: usize, speaks_first: usize) -> (Pump, ChannelId) {
    let open = |seed| Sync::open(MemoryStore::default(), Rng::from_seed([seed; 32])).unwrap();
    let mut pump = Pump::new(vec![open(1), open(2)]);
    let now = pump.now;
    let channel = pump.nodes[0].create_channel(now, &Label::new("news").unwrap()).unwrap();
    let items = (0..items).map(|_| text(&"x".repeat(200))).collect();
    pump.nodes[0].publish(now, &channel, items).unwrap();
    pump.nodes[1].follow(now, channel).unwrap();
    let other = 1 - speaks_first;
    let [here, there] = pump.connect(speaks_first, other);
    pump.nodes[speaks_first].met(here, channel);
    pump.nodes[other].met(there, channel);
    (pump, channel)
}

fn name_of(message: &SyncMessage) -> &'static str {
    let mut kinds = SyncMessage::KINDS.iter();
    kinds.find(|(kind, _)| *kind == message.kind()).unwrap().1
}

// spec: SYNC-9, SYNC-14
#[test]
fn an_origin_offers_its_newest_items_to_whom_it_was_found_by_before_it_hears_what_it_has() {
    for speaks_first in [0, 1] {
        let (mut pump, channel) = met(1, speaks_first);
        let mut said = Vec::new();
        pump.exchange(|from, message| {
            said.push((from, name_of(&message)));
            Carried::As(message)
        });
        assert_eq!(pump.nodes[1].channel(&channel).unwrap().items, 2, "{said:?}");
        let origin = |(from, name): &(usize, &'static str)| (*from == 0).then_some(*name);
        let origin: Vec<_> = said.iter().filter_map(origin).collect();
        assert_eq!(origin[0], "Share", "first of all");
        let origin: Vec<_> = origin.into_iter().filter(|name| *name != "Heard").collect();
        assert_eq!(origin, ["Share", "Items"], "what was offered need not be told: {said:?}");
        assert_eq!(pump.faults(1), Vec::<String>::new());
    }
}

// spec: SYNC-14
#[test]
fn an_offer_that_is_too_little_or_lost_is_followed_by_the_rest() {
    for is_lost in [false, true] {
        let (mut pump, channel) = met(30, 0);
        let mut offered = 0;
        pump.run(Duration::from_secs(10), |from, message| match &message {
            SyncMessage::Items(items) if from == 0 && offered == 0 => {
                offered = items.items.len();
                assert!(message.size() < limits::OFFER_BYTES + 160, "{}", message.size());
                if is_lost { Carried::Lost } else { Carried::As(message) }
            }
            _ => Carried::As(message),
        });
        assert_eq!(offered, 2, "as many as are to be offered");
        assert_eq!(pump.nodes[1].channel(&channel).unwrap().items, 31);
        assert_eq!(pump.faults(1), Vec::<String>::new());
    }
}

// spec: SYNC-14
#[test]
fn nobody_but_the_origin_offers_items() {
    let (mut pump, channel) = met(1, 0);
    pump.settle();
    let now = pump.now;
    let late = Sync::open(MemoryStore::default(), Rng::from_seed([3; 32])).unwrap();
    pump.nodes.push(late);
    pump.nodes[2].follow(now, channel).unwrap();
    let [here, there] = pump.connect(1, 2);
    pump.nodes[1].met(here, channel);
    pump.nodes[2].met(there, channel);
    let mut first = Vec::new();
    pump.exchange(|from, message| {
        if from == 1 {
            first.push(name_of(&message));
        }
        Carried::As(message)
    });
    let named = |name| first.iter().position(|said| *said == name);
    assert!(named("Summary").unwrap() < named("Items").unwrap(), "{first:?}");
    assert_eq!(pump.nodes[2].channel(&channel).unwrap().items, 2);
}

fn traffic(world: &mesh_sim::World<Node>, node: usize) -> u64 {
    world.links(node).iter().map(|link| world.traffic(*link).bytes).sum()
}

#[test]
fn whoever_follows_nothing_in_common_exchanges_a_padded_list_and_questions_and_no_more() {
    let mut world = world(4, 2);
    create(&mut world, 0);
    create(&mut world, 1);
    let (here, there) = world.connect(0, 1, Quality::STREAM);
    world.run_for(SOON);
    // What is heard, and a question; a list, and the answer.
    for (link, most) in [(here, 530), (there, 660)] {
        let traffic = world.traffic(link);
        assert_eq!((traffic.messages, traffic.bytes < most), (2, true), "{traffic:?}");
    }
    assert!(world.node(0).shared_with(here).is_empty());
}

// spec: SYNC-9, SYNC-52
#[test]
fn whoever_follows_nothing_asks_nothing_and_is_asked_nothing() {
    for follower in [0, 1] {
        let mut world = world(4, 2);
        create(&mut world, follower);
        let (here, there) = world.connect(0, 1, Quality::STREAM);
        world.run_for(SOON);
        let bytes = [here, there].map(|link| world.traffic(link).bytes);
        // The responder's list, and that it was heard.
        let most = if follower == 1 { [10, 140] } else { [0, 0] };
        assert!(bytes[0] <= most[0] && bytes[1] <= most[1], "{follower}: {bytes:?}");
    }
}

// spec: SYNC-9
#[test]
fn channels_can_be_followed_and_unfollowed_while_linked() {
    let mut world = world(5, 2);
    let channels: Vec<_> = (0..20).map(|_| create(&mut world, 0)).collect();
    let (here, _) = world.connect(0, 1, Quality::STREAM);
    for channel in &channels {
        follow(&mut world, 1, *channel);
        level(&mut world, channel);
    }
    assert_eq!(world.node(0).shared_with(here).len(), 20);
    world.with(1, |sync, now| sync.unfollow(now, &channels[3])).unwrap();
    world.run_until_quiet(Duration::from_secs(1), SOON);
    assert_eq!(world.node(0).shared_with(here).len(), 19);
    follow(&mut world, 1, channels[3]);
    level(&mut world, &channels[3]);
    assert_eq!(faults(&world), []);
}

#[test]
fn every_node_of_a_lossy_crowd_ends_with_the_same() {
    for seed in seeds(6) {
        let quality = Quality { loss_per_mille: 200, repeat_per_mille: 50, ..Quality::DATAGRAM };
        let (mut world, channel) = chain(seed, 4, quality);
        world.connect(3, 0, quality);
        for _ in 0..5 {
            publish(&mut world, &channel, texts(40));
            world.run_for(Duration::from_secs(2));
        }
        let nodes = world.nodes();
        let within = Duration::from_secs(600);
        let reached =
            world.run_until(within, |world| nodes.clone().all(|n| is_level(world, n, &channel)));
        assert!(reached, "{:?}", nodes.map(|n| size(&world, n, &channel)).collect::<Vec<_>>());
        assert_eq!(faults(&world), []);
    }
}

// spec: SYNC-10
#[test]
fn once_all_is_said_a_lossy_link_falls_silent() {
    let quality = Quality { loss_per_mille: 300, ..Quality::DATAGRAM };
    let (mut world, channel) = chain(8, 2, quality);
    publish(&mut world, &channel, texts(40));
    world.run_for(Duration::from_secs(600));
    assert!(is_level(&world, 1, &channel));
    let before = [0, 1].map(|node| traffic(&world, node));
    world.run_for(Duration::from_secs(600));
    assert_eq!([0, 1].map(|node| traffic(&world, node)), before);
}

/// Two nodes, linked, of which the first has a channel that both follow.
fn pair() -> (Pump, mesh_wire::ChannelId) {
    let node = |seed| Sync::open(MemoryStore::default(), Rng::from_seed([seed; 32])).unwrap();
    let mut pump = Pump::new(vec![node(1), node(2)]);
    let name = Label::new("news").unwrap();
    let channel = pump.nodes[0].create_channel(pump.now, &name).unwrap();
    pump.nodes[1].follow(pump.now, channel).unwrap();
    (pump, channel)
}

#[test]
fn catching_up_costs_less_than_ten_bytes_per_item_beside_the_items() {
    let (mut pump, channel) = pair();
    let now = pump.now;
    pump.nodes[0].publish(now, &channel, texts(500)).unwrap();
    pump.connect(0, 1);
    let (mut all, mut items) = (0, 0);
    pump.run(SOON, |_, message| {
        all += message.size();
        if let SyncMessage::Items(run) = &message {
            items += run.items.iter().map(|item| item.size()).sum::<usize>();
        }
        Carried::As(message)
    });
    assert_eq!(pump.nodes[1].channel(&channel).unwrap().items, 501);
    assert!(all - items <= 500 * 10, "{} bytes beside the items", all - items);
}

/// What strangers have to say before they know what both follow is counted by itself.
// spec: SYNC-52
#[test]
fn twenty_channels_that_are_level_say_so_in_less_than_1300_bytes_and_twice_32_questions() {
    let (mut pump, _) = pair();
    let now = pump.now;
    for number in 1..20 {
        let name = Label::new(&format!("{number}")).unwrap();
        let channel = pump.nodes[0].create_channel(now, &name).unwrap();
        pump.nodes[0].publish(now, &channel, texts(3 * number)).unwrap();
        pump.nodes[1].follow(now, channel).unwrap();
    }
    pump.connect(0, 1);
    pump.settle();
    pump.disconnect();
    pump.connect(0, 1);
    let (mut bytes, mut of_matching) = (0, 0);
    pump.run(SOON, |_, message| {
        assert!(!matches!(message, SyncMessage::Want(_) | SyncMessage::Items(_)));
        match message {
            SyncMessage::Blinded(_) | SyncMessage::Evaluated(_) => of_matching += message.size(),
            _ => bytes += message.size(),
        }
        Carried::As(message)
    });
    assert!(bytes <= 1300, "{bytes} bytes");
    assert!(of_matching <= 2 * (32 * 32 + 8), "{of_matching} bytes");
}

#[test]
fn what_was_published_is_there_after_a_restart() {
    let (mut pump, channel) = pair();
    let now = pump.now;
    assert_eq!(pump.nodes[0].publish(now, &channel, texts(600)), Ok(1..601));
    pump.connect(0, 1);
    pump.settle();
    pump.nodes.iter_mut().for_each(|node| node.flush(now).unwrap());
    let before: Vec<_> = pump.nodes.iter().map(Sync::channels).collect();
    assert_eq!((before[0][0].role, before[1][0].role), (Role::Owner, Role::Follower));
    let stores = pump.nodes.drain(..).map(Sync::into_store);
    let again = stores.map(|store| Sync::open(store, Rng::from_seed([9; 32])).unwrap()).collect();
    let mut pump = Pump::new(again);
    assert_eq!(pump.nodes.iter().map(Sync::channels).collect::<Vec<_>>(), before);
    assert_eq!(pump.nodes[0].publish(now, &channel, texts(1)), Ok(601..602));
    pump.connect(0, 1);
    pump.settle();
    assert_eq!(pump.nodes[1].channel(&channel).unwrap().items, 602);
}

#[test]
fn commands_that_cannot_be_done_are_refused_in_words() {
    let (mut pump, channel) = pair();
    let now = Now::default();
    let [origin, follower] = &mut pump.nodes[..] else { panic!() };
    assert_eq!(follower.publish(now, &channel, texts(1)), Err(Refused::Incomplete));
    let unknown = mesh_wire::ChannelId([0; 32]);
    assert_eq!(follower.publish(now, &unknown, texts(1)), Err(Refused::NoSuchChannel));
    assert_eq!(follower.unfollow(now, &unknown), Err(Refused::NoSuchChannel));
    assert_eq!(origin.unfollow(now, &channel), Err(Refused::Own));
    let long = text(&"x".repeat(limits::INLINE_BYTES + 1));
    assert_eq!(origin.publish(now, &channel, vec![long]), Err(Refused::TooLarge("the content")));
    let blob = |size| file("f", mesh_sync::BlobId { hash: mesh_wire::Hash([0; 32]), size });
    assert_eq!(origin.publish(now, &channel, vec![blob(100)]), Err(Refused::TooSmall));
    let giant = vec![text("good"), blob(limits::BLOB_BYTES + 1)];
    assert_eq!(origin.publish(now, &channel, giant), Err(Refused::TooLarge("the content")));
    assert_eq!(origin.channel(&channel).unwrap().items, 1, "all or nothing");
    for number in 1..limits::SHARED_CHANNELS {
        follower.follow(now, mesh_wire::ChannelId([number as u8; 32])).ok();
        let id = [[number as u8; 16], [(number >> 8) as u8; 16]].concat();
        follower.follow(now, mesh_wire::ChannelId(id.try_into().unwrap())).ok();
    }
    let one_more = mesh_wire::ChannelId([0xee, 1].repeat(16).try_into().unwrap());
    assert_eq!(follower.follow(now, one_more), Err(Refused::TooManyChannels));
    assert_eq!(follower.follow(now, channel), Ok(()), "that one is followed already");
    assert!(Refused::NotYours.to_string().contains("`mesh channel request`"));
}
