//! Notes go again: when their time is over, when there is no room, when somebody takes them away.

use mesh_wire::UnixTime;

use super::*;

const DAY: u64 = 86_400_000;

/// So many seconds pass.
fn pass(pump: &mut Pump, seconds: u64) -> Vec<(usize, SyncMessage)> {
    let mut said = Vec::new();
    let end = pump.now.time + Duration::from_secs(seconds);
    pump.run(Duration::from_secs(seconds), |from, message| {
        said.push((from, message.clone()));
        Carried::As(message)
    });
    let rest = end.since(pump.now.time);
    pump.now.time = end;
    pump.now.unix.0 += rest.as_millis() as u64;
    for node in 0..pump.nodes.len() {
        pump.handle(node, mesh_wire::Input::Tick);
    }
    said
}

// spec: SYNC-65
#[test]
fn a_note_goes_everywhere_when_its_time_is_over_and_nobody_brings_it_back() {
    let (mut pump, board) = neighbours();
    let now = pump.now;
    let brief = mesh_sync::NewItem { expires: Some(UnixTime(now.unix.0 + 5000)), ..text("brief") };
    pump.nodes[0].publish(now, &board, vec![brief]).unwrap();
    write(&mut pump, 1, &board, "for a month");
    pass(&mut pump, 1);
    let before = pump.nodes[1].store().clone();
    assert!([0, 1].iter().all(|node| shown(&pump.nodes[*node], &board).len() == 2));
    pass(&mut pump, 10);
    for node in [0, 1] {
        assert_eq!(shown(&pump.nodes[node], &board), ["for a month".into()].into(), "{node}");
    }
    // Somebody who was away brings what was there.
    pump.disconnect();
    let unix = pump.now.unix;
    pump.nodes[1] = Sync::open(before, Rng::from_seed([7; 32])).unwrap();
    pump.connect(1, 0);
    pass(&mut pump, 1);
    assert_eq!(shown(&pump.nodes[0], &board), ["for a month".into()].into());
    pump.now.unix = UnixTime(unix.0 + limits::NOTE_LIFE.as_millis() as u64 - 20_000);
    pass(&mut pump, 1);
    assert_eq!(shown(&pump.nodes[0], &board).len(), 1, "not yet");
    pass(&mut pump, 600);
    for node in [0, 1] {
        assert_eq!(shown(&pump.nodes[node], &board).len(), 0, "{node}");
        assert_eq!(pump.nodes[node].channel(&board).unwrap().contents, 0);
    }
    assert_eq!(pump.faults(0), Vec::<String>::new());
}

// spec: SYNC-64, SYNC-65
#[test]
fn clocks_that_differ_by_days_cost_a_few_rounds_and_no_more() {
    for ahead in [0, 1] {
        let (mut pump, board) = neighbours();
        let today = pump.now.unix.0;
        for day in 0..30 {
            let now = mesh_wire::Now { unix: UnixTime(today - day * DAY), ..pump.now };
            pump.nodes[0].publish(now, &board, texts(10)).unwrap();
        }
        pass(&mut pump, 100);
        assert_eq!(pump.nodes[1].channel(&board).unwrap().contents, 300);
        // One of the two lets go three days too early.
        let late = pump.nodes[1 - ahead].store().clone();
        pump.now.unix.0 += 3 * DAY;
        pass(&mut pump, 700);
        let kept = pump.nodes[ahead].channel(&board).unwrap().contents;
        assert!((265..=270).contains(&kept), "{kept}");
        pump.nodes[1 - ahead] = Sync::open(late, Rng::from_seed([7; 32])).unwrap();
        pump.disconnect();
        pump.connect(0, 1);
        let mut said = Vec::new();
        let two_clocks = |pump: &mut Pump, said: &mut Vec<_>| {
            for _ in 0..600 {
                let right = pump.now.unix;
                for node in [0, 1] {
                    let unix = if node == ahead { right } else { UnixTime(right.0 - 3 * DAY) };
                    pump.now.unix = unix;
                    pump.handle(node, mesh_wire::Input::Tick);
                }
                pump.now.unix = right;
                pump.exchange(|from, message| {
                    said.push((from, message.clone()));
                    Carried::As(message)
                });
                pump.now.time = pump.now.time + Duration::from_millis(250);
            }
        };
        two_clocks(&mut pump, &mut said);
        let notes = said.iter().filter_map(|(_, message)| match message {
            SyncMessage::Notes(notes) => Some(notes.notes.len()),
            _ => None,
        });
        let notes: usize = notes.sum();
        assert!(notes <= 40, "those of three days, once: {notes}");
        assert!(steps(&said) <= 12, "{}", steps(&said));
        said.clear();
        two_clocks(&mut pump, &mut said);
        assert_eq!(steps(&said), 0, "rounds end");
        assert_eq!(pump.nodes[ahead].channel(&board).unwrap().contents, kept);
    }
}

// spec: SYNC-63, SYNC-64
#[test]
fn a_note_from_a_clock_that_is_ahead_comes_when_it_can_have_been_written() {
    for ahead in [0, 1] {
        let (mut world, board) = village(9, 2);
        world.set_skew(ahead, 300_000);
        world.connect(0, 1, Quality::STREAM);
        world.run_for(Duration::from_secs(5));
        note(&mut world, ahead, &board, "bread at 9");
        world.run_for(Duration::from_secs(170));
        assert_eq!(shown(world.node(1 - ahead), &board).len(), 0);
        world.run_for(Duration::from_secs(120));
        assert_eq!(shown(world.node(1 - ahead), &board).len(), 1, "node {ahead} is ahead");
        assert_eq!(faults(&world), []);
    }
}

// spec: SYNC-63, SYNC-64
#[test]
fn what_could_not_be_taken_for_long_comes_when_there_is_something_new() {
    let (mut world, board) = village(12, 2);
    world.connect(0, 1, Quality::STREAM);
    world.set_skew(1, 15 * 60_000);
    note(&mut world, 1, &board, "from the future");
    world.run_for(Duration::from_secs(1200));
    assert!(!shown(world.node(0), &board).contains("from the future"), "nobody asks any more");
    world.set_skew(1, 0);
    note(&mut world, 1, &board, "now");
    agree(&mut world, &board, 2);
}

// spec: SYNC-64
#[test]
fn a_full_board_forgets_the_oldest_and_takes_nothing_older() {
    let (mut pump, board) = neighbours();
    pump.disconnect();
    let start = pump.now.unix.0 - DAY;
    let at = |pump: &Pump, unix| mesh_wire::Now { unix: UnixTime(unix), ..pump.now };
    let now = at(&pump, start);
    pump.nodes[1].publish(now, &board, texts(10)).unwrap();
    let now = at(&pump, start + 1000);
    pump.nodes[0].publish(now, &board, texts(limits::BOARD_NOTES)).unwrap();
    let count = |pump: &Pump, node: usize| pump.nodes[node].channel(&board).unwrap().contents;
    assert_eq!(count(&pump, 0), limits::BOARD_NOTES as u64);
    let now = pump.now;
    pump.nodes[0].publish(now, &board, texts(100)).unwrap();
    assert_eq!(count(&pump, 0), limits::BOARD_NOTES as u64);
    pump.connect(0, 1);
    let said = pass(&mut pump, 120);
    assert_eq!([0, 1].map(|node| count(&pump, node)), [limits::BOARD_NOTES as u64; 2]);
    assert!(steps(&said) <= 12, "{}", steps(&said));
    assert_eq!(steps(&pass(&mut pump, 300)), 0, "rounds end");
    assert_eq!(shown(&pump.nodes[0], &board), shown(&pump.nodes[1], &board));
    // What would be older than all is refused to the owner, too.
    let now = at(&pump, start);
    let late = pump.nodes[0].publish(now, &board, texts(1));
    assert_eq!(late, Err(Refused::Overtaken));
    // A store that is opened again holds what it held.
    let store = pump.nodes[0].store().clone();
    let again = Sync::open(store, Rng::from_seed([7; 32])).unwrap();
    assert_eq!(shown(&again, &board), shown(&pump.nodes[0], &board));
    assert_eq!(again.channel(&board).unwrap().contents, limits::BOARD_NOTES as u64);
}

// spec: SYNC-65
#[test]
fn a_note_is_taken_away_by_its_author_or_the_owner_and_by_nobody_else() {
    let (mut world, board) = village(8, 4);
    for (node, words) in [(1, "mine"), (1, "also mine"), (2, "spam"), (2, "more spam")] {
        note(&mut world, node, &board, words);
    }
    world.connect(1, 2, Quality::STREAM);
    world.connect(0, 1, Quality::STREAM);
    world.connect(2, 3, Quality::STREAM);
    agree(&mut world, &board, 4);
    let number = |world: &World<Node>, node: usize, words: &str| {
        let sync = world.node(node);
        let items = sync.items(&board, 0..99).unwrap().into_iter();
        let is_it = |item: &mesh_sync::ItemStatus| {
            let content = sync.content(&board, item.number).unwrap();
            item.is_note && content.is_some_and(|content| content == words)
        };
        items.filter(is_it).map(|item| item.number).next().unwrap()
    };
    let of_another = number(&world, 1, "spam");
    let refused = world.with(1, |sync, now| sync.retract(now, &board, &[of_another]));
    assert_eq!(refused, Err(Refused::NotYourItem));
    let refused = world.with(1, |sync, now| sync.retract(now, &board, &[0]));
    assert_eq!(refused, Err(Refused::NoSuchItem), "the channel's first item is no note");
    part(&mut world);
    let late = world.node(3).store().clone();
    let mine = number(&world, 1, "mine");
    world.with(1, |sync, now| sync.retract(now, &board, &[mine])).unwrap();
    let spam = ["spam", "more spam"].map(|words| number(&world, 0, words));
    world.with(0, |sync, now| sync.retract(now, &board, &spam)).unwrap();
    assert_eq!(shown(world.node(0), &board).len(), 2);
    world.connect(1, 2, Quality::STREAM);
    world.connect(0, 2, Quality::STREAM);
    world.connect(2, 3, Quality::STREAM);
    agree(&mut world, &board, 1);
    // Whoever was away, or joins, does not bring it back, whomever it meets first.
    world.replace(3, Sync::open(late, Rng::from_seed([7; 32])).unwrap());
    let new = world.add(|_, rng| Sync::open(MemoryStore::default(), rng).unwrap());
    follow(&mut world, new, board);
    world.connect(3, new, Quality::STREAM);
    world.run_for(Duration::from_secs(5));
    assert_eq!(shown(world.node(new), &board).len(), 4);
    world.connect(new, 1, Quality::STREAM);
    agree(&mut world, &board, 1);
}
