//! Channels on the web: files that a plain server gives out, in memory.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use mesh_sim::{Quality, World};
use mesh_sync::{BlobId, Download, DownloadError, Internet, OriginState, Servers, Store, Sync};
use mesh_wire::codec::Wire;
use mesh_wire::origin::{OriginHead, OriginUrl, blob_path, cvs_path, head_path};
use mesh_wire::{ChannelId, Rng, Time, UnixTime};

use crate::world::{
    Node, content, create, faults, follow, is_level, outboard, publish, publish_blobs, size, texts,
    world,
};

const URL: &str = "http://web.example/mesh";

/// A plain web server, and what was got from it.
struct Web {
    files: BTreeMap<String, Vec<u8>>,
    works: bool,
    /// Answers that are on their way.
    answers: Vec<(Time, usize, u64, Result<Bytes, DownloadError>)>,
    /// Bytes that were given out, by node.
    given: BTreeMap<usize, u64>,
    heads: u64,
    /// Bytes a second, for each node.
    rate: u64,
    /// The only node that is served, if it is not all.
    only: Option<usize>,
}

fn url() -> OriginUrl {
    URL.parse().unwrap()
}

impl Web {
    fn new() -> Self {
        let (files, answers, given) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        Self { files, works: true, answers, given, heads: 0, rate: 10_000_000, only: None }
    }

    /// Puts there what a node has of a channel.
    fn put<S: Store>(&mut self, sync: &mut Sync<S>, channel: &ChannelId, blobs: &[&[u8]]) {
        let place = |path: &str| format!("{URL}/{path}");
        let head = place(&head_path(channel));
        let before = self.files.get(&head).map(|bytes| Bytes::copy_from_slice(bytes));
        let before = before.map(|bytes| OriginHead::from_bytes(bytes).unwrap());
        for bundle in sync.origin_bundles(channel, before.as_ref()).unwrap() {
            let items = sync.origin_items(channel, &bundle).unwrap();
            self.files.insert(place(&bundle.path), items.to_vec());
        }
        for bytes in blobs {
            let id = outboard(bytes).id();
            self.files.insert(place(&blob_path(&id.hash)), bytes.to_vec());
            let cvs = sync.origin_cvs(&id).unwrap();
            self.files.insert(place(&cvs_path(&id.hash)), cvs.to_vec());
        }
        self.files.insert(head, sync.origin_head(channel).unwrap().to_bytes().to_vec());
    }

    fn answer(&mut self, node: usize, download: &Download) -> Result<Bytes, DownloadError> {
        if !self.works {
            return Err(DownloadError::Failed("no route to host".into()));
        }
        self.heads += u64::from(download.url.ends_with("/head"));
        let file = self.files.get(&download.url).ok_or(DownloadError::Missing)?;
        let all = 0..file.len() as u64;
        let Range { start, end } = download.range.clone().unwrap_or(all.clone());
        if start >= all.end {
            return Err(DownloadError::Missing);
        }
        let bytes = &file[start as usize..end.min(all.end) as usize];
        assert!(bytes.len() <= download.most, "{download:?}");
        *self.given.entry(node).or_default() += bytes.len() as u64;
        Ok(Bytes::copy_from_slice(bytes))
    }

    /// Runs until `done`, or for a time. Whether it was done.
    fn run(
        &mut self,
        world: &mut World<Node>,
        time: Duration,
        done: impl Fn(&World<Node>) -> bool,
    ) -> bool {
        // The more there are, the less often it is looked at all of them.
        let step = Duration::from_millis(5.max(world.nodes().len() as u64 / 2));
        for _ in 0..time.as_millis() / step.as_millis() {
            let now = world.now(0).time;
            let nodes = self.only.map_or(world.nodes(), |only| only..only + 1);
            for node in nodes {
                while let Some(download) = world.with(node, |sync, now| sync.poll_download(now)) {
                    let answer = self.answer(node, &download);
                    let bytes = answer.as_ref().map_or(0, Bytes::len) as u64;
                    let later = Duration::from_millis(20 + bytes * 1000 / self.rate);
                    self.answers.push((now + later, node, download.number, answer));
                }
            }
            for (_, node, number, answer) in self.answers.extract_if(.., |(at, ..)| *at <= now) {
                world.with(node, |sync, now| sync.downloaded(now, number, answer));
            }
            if done(world) {
                return true;
            }
            world.run_for(step);
        }
        false
    }

    fn given(&self) -> u64 {
        self.given.values().sum()
    }
}

fn follow_at(world: &mut World<Node>, node: usize, channel: ChannelId) {
    follow(world, node, channel);
    world.with(node, |sync, now| sync.follow_at(now, &channel, url())).unwrap();
}

fn internet(world: &mut World<Node>, node: usize, internet: Internet) {
    world.with(node, |sync, now| sync.set_internet(now, internet));
}

/// A channel of node 0 with texts and blobs, on the web.
fn published(seed: u64, nodes: usize, sizes: &[usize]) -> (World<Node>, ChannelId, Web) {
    let mut world = world(seed, nodes);
    let channel = create(&mut world, 0);
    publish(&mut world, &channel, texts(700));
    let mut rng = Rng::from_seed([seed as u8; 32]);
    let blobs: Vec<Vec<u8>> = sizes.iter().map(|size| content(&mut rng, *size)).collect();
    publish_blobs(&mut world, &channel, &blobs);
    let mut web = Web::new();
    let blobs: Vec<&[u8]> = blobs.iter().map(Vec::as_slice).collect();
    world.with(0, |sync, _| web.put(sync, &channel, &blobs));
    (world, channel, web)
}

const MINUTE: Duration = Duration::from_secs(60);

// spec: SYNC-58, SYNC-59
#[test]
fn who_has_no_neighbour_gets_everything_from_plain_files() {
    let sizes = [20_000, 300_000, 70 << 20];
    let (mut world, channel, mut web) = published(1, 2, &sizes);
    follow_at(&mut world, 1, channel);
    assert!(!web.run(&mut world, MINUTE, |_| false), "nothing is asked without a way out");
    assert_eq!(web.given(), 0);
    internet(&mut world, 1, Internet::Shared);
    assert!(web.run(&mut world, MINUTE, |world| is_level(world, 1, &channel)));
    assert_eq!(faults(&world), []);
    let content: u64 = sizes.iter().map(|size| *size as u64).sum();
    assert!(web.given() < content + content / 1000 + 100_000, "{}", web.given());
    let exchange = world.node(1).exchanged();
    assert!(exchange.origins >= content && exchange.neighbours == 0, "{exchange:?}");
    let state = world.node(1).origin(&channel).unwrap().state;
    assert_eq!(state, OriginState::Asked);
    assert_eq!(world.node(1).sharers(&channel), 0, "the web is no company");
}

// spec: SYNC-58, SYNC-59
#[test]
fn what_is_new_is_found_and_costs_no_more_than_it_is() {
    let (mut world, channel, mut web) = published(2, 2, &[]);
    follow_at(&mut world, 1, channel);
    internet(&mut world, 1, Internet::Shared);
    assert!(web.run(&mut world, MINUTE, |world| is_level(world, 1, &channel)));
    for count in [1, 100, 300, 1] {
        let before = web.given();
        publish(&mut world, &channel, texts(count));
        world.with(0, |sync, _| web.put(sync, &channel, &[]));
        assert!(web.run(&mut world, 20 * MINUTE, |world| is_level(world, 1, &channel)));
        let cost = web.given() - before;
        assert!(cost < 4000 + count as u64 * 120, "{cost} bytes for {count} items");
    }
    assert_eq!(faults(&world), []);
}

// spec: SYNC-59
#[test]
fn an_origin_is_looked_at_less_often_the_less_there_is_new() {
    let (mut world, channel, mut web) = published(3, 2, &[]);
    follow_at(&mut world, 1, channel);
    internet(&mut world, 1, Internet::Own);
    web.run(&mut world, 120 * MINUTE, |_| false);
    assert!((8..=14).contains(&web.heads), "{}", web.heads);
    web.works = false;
    web.run(&mut world, 60 * MINUTE, |_| false);
    let state = world.node(1).origin(&channel).unwrap().state;
    assert_eq!(state, OriginState::Failed("no route to host".into()));
    web.works = true;
    publish(&mut world, &channel, texts(1));
    world.with(0, |sync, _| web.put(sync, &channel, &[]));
    assert!(web.run(&mut world, 20 * MINUTE, |world| is_level(world, 1, &channel)));
    let state = world.node(1).origin(&channel).unwrap().state;
    assert_eq!(state, OriginState::Asked);
}

/// Everybody linked with everybody.
fn crowd(world: &mut World<Node>, nodes: Range<usize>) {
    for node in nodes.clone() {
        (nodes.start..node).for_each(|other| {
            world.connect(other, node, Quality::STREAM);
        });
    }
}

// spec: SYNC-60, SYNC-61
#[test]
fn of_a_crowd_behind_one_way_out_one_gets_everything_for_all() {
    let sizes = [5 << 20, 3 << 20, 400_000, 20_000];
    let (mut world, channel, mut web) = published(4, 51, &sizes);
    for node in 1..51 {
        follow_at(&mut world, node, channel);
        internet(&mut world, node, Internet::Shared);
    }
    crowd(&mut world, 1..51);
    let all = |world: &World<Node>| (1..51).all(|node| is_level(world, node, &channel));
    assert!(web.run(&mut world, 2 * MINUTE, all));
    let content: u64 = sizes.iter().map(|size| *size as u64).sum();
    let given = web.given();
    assert!(given <= content + content / 10, "{given} bytes for {content}");
    // What is new later is everywhere as soon as one has it.
    let before = web.given();
    publish(&mut world, &channel, texts(1));
    world.with(0, |sync, _| web.put(sync, &channel, &[]));
    let any = |world: &World<Node>| (1..51).any(|node| is_level(world, node, &channel));
    assert!(web.run(&mut world, 20 * MINUTE, any));
    assert!(web.run(&mut world, Duration::from_secs(2), all));
    assert!(web.given() - before < 4000);
}

// spec: SYNC-61
#[test]
fn who_have_each_a_way_of_their_own_divide_a_blob() {
    let size = 24 << 20;
    let (mut world, channel, mut web) = published(5, 5, &[size]);
    web.rate = 300_000;
    for node in 1..5 {
        follow_at(&mut world, node, channel);
        internet(&mut world, node, Internet::Own);
    }
    crowd(&mut world, 1..5);
    let all = |world: &World<Node>| (1..5).all(|node| is_level(world, node, &channel));
    assert!(web.run(&mut world, 2 * MINUTE, all));
    let (given, most) = (web.given(), web.given.values().max().unwrap());
    assert!(given < size as u64 * 3 / 2, "{given}");
    assert!(*most < size as u64 * 6 / 10, "{:?}", web.given);
}

// spec: SYNC-60
#[test]
fn who_claims_and_does_nothing_delays_the_others_and_no_more() {
    let (mut world, channel, mut web) = published(6, 3, &[300_000]);
    // Node 1 claims, and its downloads never end.
    follow_at(&mut world, 1, channel);
    internet(&mut world, 1, Internet::Shared);
    for _ in 0..1000 {
        world.run_for(Duration::from_millis(5));
        while world.with(1, |sync, now| sync.poll_download(now)).is_some() {}
    }
    follow_at(&mut world, 2, channel);
    internet(&mut world, 2, Internet::Shared);
    world.connect(1, 2, Quality::STREAM);
    let there = |world: &World<Node>| is_level(world, 2, &channel);
    assert!(web.run(&mut world, 25 * MINUTE, there));
}

// spec: SYNC-60, SYNC-61
#[test]
fn over_a_metered_way_comes_what_is_small_and_what_somebody_wants() {
    let sizes = [300_000, 400_000, 2 << 20];
    let (mut world, channel, mut web) = published(16, 3, &sizes);
    let blobs: Vec<BlobId> = (701..704)
        .map(|number| world.node(0).item(&channel, number).unwrap().unwrap().0.blob.unwrap())
        .collect();
    follow_at(&mut world, 1, channel);
    internet(&mut world, 1, Internet::Metered);
    assert!(!web.run(&mut world, MINUTE, |world| is_level(world, 1, &channel)));
    assert_eq!(size(&world, 1, &channel), 704);
    assert!(web.given() < 60_000, "{} bytes", web.given());
    // One is waited for, one pinned.
    let here = |world: &World<Node>, blob: &BlobId| {
        world.node(1).blob(blob).is_ok_and(|it| it.groups == it.groups_here)
    };
    world.with(1, |sync, now| sync.prefer(now, blobs[0]));
    assert!(web.run(&mut world, MINUTE, |world| here(world, &blobs[0])));
    world.with(1, |sync, now| sync.pin(now, &channel, 702)).unwrap();
    assert!(web.run(&mut world, MINUTE, |world| here(world, &blobs[1])));
    assert!(!web.run(&mut world, MINUTE, |world| here(world, &blobs[2])));
    // A neighbour whose way is free gets the rest, and what is new, for both.
    let before = web.given.get(&1).copied();
    follow_at(&mut world, 2, channel);
    world.connect(1, 2, Quality::STREAM);
    internet(&mut world, 2, Internet::Own);
    let both = |world: &World<Node>| is_level(world, 1, &channel) && is_level(world, 2, &channel);
    assert!(web.run(&mut world, MINUTE, both));
    publish(&mut world, &channel, texts(300));
    world.with(0, |sync, _| web.put(sync, &channel, &[]));
    assert!(web.run(&mut world, 20 * MINUTE, both));
    let looks = web.given.get(&1).copied().unwrap() - before.unwrap();
    assert!(looks < 1000, "{looks} bytes");
    assert_eq!(faults(&world), []);
}

// spec: SYNC-57
#[test]
fn an_origin_that_only_the_channel_names_is_not_looked_for_at_home() {
    let (mut world, channel, mut web) = published(7, 2, &[]);
    world.with(0, |sync, now| sync.name_origins(now, &channel, &[url()])).unwrap();
    world.with(0, |sync, _| web.put(sync, &channel, &[]));
    follow(&mut world, 1, channel);
    world.connect(0, 1, Quality::STREAM);
    internet(&mut world, 1, Internet::Own);
    assert!(web.run(&mut world, MINUTE, |world| is_level(world, 1, &channel)));
    let ask = |world: &mut World<Node>| {
        (0..20_000).find_map(|_| {
            world.run_for(Duration::from_millis(5));
            let download = world.with(1, |sync, now| sync.poll_download(now))?;
            let answer = Err(DownloadError::Missing);
            world.with(1, |sync, now| sync.downloaded(now, download.number, answer));
            Some(download.servers)
        })
    };
    assert_eq!(ask(&mut world), Some(Servers::Public));
    // A person may say that it is there.
    world.with(1, |sync, now| sync.follow_at(now, &channel, url())).unwrap();
    assert_eq!(ask(&mut world), Some(Servers::Anywhere));
    assert_eq!(world.with(0, |sync, now| sync.poll_download(now)), None, "its owner has it");
}

// spec: SYNC-58
#[test]
fn files_that_were_written_in_part_do_no_harm_and_are_written_again() {
    let (mut world, channel, mut web) = published(10, 3, &[]);
    for node in [1, 2] {
        follow_at(&mut world, node, channel);
    }
    publish(&mut world, &channel, texts(100));
    // The publisher goes down before it writes `head`.
    let head = format!("{URL}/{}", head_path(&channel));
    let before = web.files.clone();
    world.with(0, |sync, _| web.put(sync, &channel, &[]));
    web.files.insert(head.clone(), before[&head].clone());
    internet(&mut world, 1, Internet::Own);
    assert!(!web.run(&mut world, MINUTE, |world| is_level(world, 1, &channel)));
    assert_eq!(world.node(1).channel(&channel).unwrap().items, 701);
    publish(&mut world, &channel, texts(100));
    world.with(0, |sync, _| web.put(sync, &channel, &[]));
    internet(&mut world, 2, Internet::Own);
    for node in [1, 2] {
        assert!(web.run(&mut world, 5 * MINUTE, |world| is_level(world, node, &channel)));
    }
    assert_eq!(faults(&world), []);
}

// spec: SYNC-58
#[test]
fn whose_items_are_of_other_lengths_reads_the_whole_file() {
    let mut world = world(11, 2);
    let channel = create(&mut world, 0);
    let mut items = texts(100);
    let ten_minutes = UnixTime(world.now(0).unix.0 + 600_000);
    items[50].expires = Some(ten_minutes);
    publish(&mut world, &channel, items);
    let mut web = Web::new();
    world.with(0, |sync, _| web.put(sync, &channel, &[]));
    follow_at(&mut world, 1, channel);
    internet(&mut world, 1, Internet::Own);
    assert!(web.run(&mut world, MINUTE, |world| is_level(world, 1, &channel)));
    // By its clock one item is gone, so that it has fewer bytes than the file.
    world.set_skew(1, 3_600_000);
    publish(&mut world, &channel, texts(1));
    world.with(0, |sync, _| web.put(sync, &channel, &[]));
    let there = |world: &World<Node>| size(world, 1, &channel) == 102;
    assert!(web.run(&mut world, 5 * MINUTE, there));
    assert!(!is_level(&world, 1, &channel), "what is gone is gone");
    assert_eq!(faults(&world), []);
    assert_eq!(world.node(1).origin(&channel).unwrap().state, OriginState::Asked);
}

// spec: SYNC-59
#[test]
fn what_is_put_there_later_is_found() {
    let (mut world, channel, mut web) = published(12, 2, &[300_000]);
    let is_blob = |path: &String, _: &mut Vec<u8>| path.contains("/blobs/");
    let blobs: BTreeMap<String, Vec<u8>> = web.files.extract_if(.., is_blob).collect();
    let rest = core::mem::take(&mut web.files);
    follow_at(&mut world, 1, channel);
    internet(&mut world, 1, Internet::Own);
    let state = |world: &World<Node>| world.node(1).origin(&channel).unwrap().state;
    assert!(!web.run(&mut world, MINUTE, |_| false));
    assert_eq!(state(&world), OriginState::Failed("nothing of the channel is there".into()));
    web.files.extend(rest);
    let items = |world: &World<Node>| size(world, 1, &channel) == 702;
    assert!(web.run(&mut world, 5 * MINUTE, items));
    assert_eq!(state(&world), OriginState::Asked);
    assert!(!web.run(&mut world, MINUTE, |world| is_level(world, 1, &channel)));
    web.files.extend(blobs);
    assert!(web.run(&mut world, 20 * MINUTE, |world| is_level(world, 1, &channel)));
}

// spec: SYNC-59
#[test]
fn where_nothing_is_the_next_url_is_asked() {
    let (mut world, channel, mut web) = published(13, 2, &[300_000]);
    world.with(0, |sync, now| sync.name_origins(now, &channel, &[url()])).unwrap();
    world.with(0, |sync, _| web.put(sync, &channel, &[]));
    follow(&mut world, 1, channel);
    world.connect(0, 1, Quality::STREAM);
    assert!(world.run_until(MINUTE, |world| is_level(world, 1, &channel)));
    let links = world.links(1).to_vec();
    links.into_iter().for_each(|link| world.disconnect(link));
    // A friend's server, which has nothing.
    let typed = "http://friend.example".parse().unwrap();
    world.with(1, |sync, now| sync.follow_at(now, &channel, typed)).unwrap();
    internet(&mut world, 1, Internet::Own);
    publish(&mut world, &channel, texts(1));
    world.with(0, |sync, _| web.put(sync, &channel, &[]));
    assert!(web.run(&mut world, MINUTE, |world| is_level(world, 1, &channel)));
    assert_eq!(world.node(1).origin(&channel).unwrap().url, url());
}

// spec: SYNC-60
#[test]
fn who_claims_again_and_again_delays_the_others_no_longer() {
    let (mut world, channel, mut web) = published(14, 3, &[]);
    follow_at(&mut world, 1, channel);
    follow_at(&mut world, 2, channel);
    let (mut link, _) = world.connect(1, 2, Quality::STREAM);
    internet(&mut world, 1, Internet::Shared);
    // Nothing that node 1 asks for comes.
    let claim = |world: &mut World<Node>, seconds: u64| {
        for _ in 0..seconds * 200 {
            world.run_for(Duration::from_millis(5));
            while world.with(1, |sync, now| sync.poll_download(now)).is_some() {}
        }
    };
    claim(&mut world, 10);
    internet(&mut world, 2, Internet::Shared);
    web.only = Some(2);
    for _ in 0..6 {
        for _ in 0..50 {
            claim(&mut world, 5);
            let there = |world: &World<Node>| is_level(world, 2, &channel);
            web.run(&mut world, Duration::from_secs(1), there);
        }
        world.disconnect(link);
        (link, _) = world.connect(1, 2, Quality::STREAM);
    }
    assert!(is_level(&world, 2, &channel));
}

// spec: SYNC-21, SYNC-59
#[test]
fn a_neighbour_goes_before_an_origin_that_is_slow() {
    let (mut world, channel, mut web) = published(15, 2, &[3 << 20]);
    follow_at(&mut world, 1, channel);
    internet(&mut world, 1, Internet::Own);
    // It says what it has, and then no more.
    let is_head = |download: &Download| download.url.ends_with("/head");
    for _ in 0..2000 {
        world.run_for(Duration::from_millis(5));
        while let Some(download) = world.with(1, |sync, now| sync.poll_download(now)) {
            if is_head(&download) {
                let answer = web.answer(1, &download);
                world.with(1, |sync, now| sync.downloaded(now, download.number, answer));
            }
        }
    }
    world.connect(0, 1, Quality::STREAM);
    let soon = Duration::from_secs(5);
    assert!(world.run_until(soon, |world| is_level(world, 1, &channel)));
}

// spec: SYNC-59
#[test]
fn an_origin_that_forges_is_left_and_nothing_of_it_is_kept() {
    let (mut world, channel, mut web) = published(8, 3, &[300_000]);
    let blob = world.with(0, |sync, _| sync.items(&channel, 701..702).unwrap()[0].header.hash);
    let path = format!("{URL}/{}", blob_path(&blob));
    web.files.get_mut(&path).unwrap()[100_000] ^= 1;
    follow_at(&mut world, 1, channel);
    internet(&mut world, 1, Internet::Shared);
    assert!(!web.run(&mut world, 5 * MINUTE, |world| is_level(world, 1, &channel)));
    let state = world.node(1).origin(&channel).unwrap().state;
    assert!(matches!(&state, OriginState::Failed(error) if error.contains("signed")), "{state:?}");
    assert_eq!(faults(&world).len(), 1);
    // Whoever has the right bytes completes it.
    world.connect(0, 1, Quality::STREAM);
    assert!(web.run(&mut world, MINUTE, |world| is_level(world, 1, &channel)));
}

// spec: SYNC-59
#[test]
fn any_byte_of_any_file_may_be_wrong_and_nothing_wrong_is_kept() {
    let (_, _, web) = published(9, 2, &[70_000]);
    let mut rng = Rng::from_seed([9; 32]);
    for path in web.files.keys() {
        for _ in 0..6 {
            let (mut world, channel, mut web) = published(9, 2, &[70_000]);
            let file = web.files.get_mut(path).unwrap();
            match rng.below(3) {
                0 => file.truncate(rng.below(file.len() as u64) as usize),
                _ => {
                    let at = rng.below(file.len() as u64) as usize;
                    file[at] ^= 1 << rng.below(8);
                }
            }
            follow_at(&mut world, 1, channel);
            internet(&mut world, 1, Internet::Shared);
            web.run(&mut world, MINUTE, |world| is_level(world, 1, &channel));
            world.connect(0, 1, Quality::STREAM);
            let whole = web.run(&mut world, 2 * MINUTE, |world| is_level(world, 1, &channel));
            assert!(whole, "{path}");
        }
    }
}
