//! A body for a web server that gives a channel out, rightly or not.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use mesh_sim::seed;
use mesh_sync::{
    BlobId, Content, Download, DownloadError, Internet, ItemState, MemoryStore, NewItem, Outboard,
    Store, Sync,
};
use mesh_wire::message::sync::ItemKind;
use mesh_wire::origin::{blob_path, cvs_path, head_path};
use mesh_wire::{ChannelId, Hash, Input, Label, Machine, Now, UnixTime, Wire, limits};

use crate::source::Source;

const URL: &str = "http://web.example";
/// Answers after which an honest server has given everything, whatever came before.
const ENOUGH: usize = 200;

/// A channel, and the files that its publisher puts on the web.
struct Site {
    channel: ChannelId,
    files: BTreeMap<String, Bytes>,
    contents: Vec<Hash>,
}

/// It takes long to make, so all inputs share one.
static SITE: LazyLock<Site> = LazyLock::new(site);

fn site() -> Site {
    let now = Now::default();
    let mut sync = open(1);
    let name = Label::new("news").expect("a plain name");
    let channel = sync.create_channel(now, &name).expect("an empty store takes a channel");
    let texts = (0..300).map(|number: u32| {
        let content = Content::Inline(Bytes::copy_from_slice(&number.to_be_bytes()));
        NewItem { kind: ItemKind::Text, name: Label::default(), content, expires: None }
    });
    sync.publish(now, &channel, texts.collect()).expect("texts are published");
    let mut files = BTreeMap::new();
    for size in [20_000, 150_000] {
        let blob = adopt(&mut sync, now, &vec![size as u8; size], &mut files);
        let content = Content::Blob(blob);
        let item = NewItem { kind: ItemKind::File, name: name_of(size), content, expires: None };
        sync.publish(now, &channel, vec![item]).expect("files are published");
    }
    for bundle in sync.origin_bundles(&channel, None).expect("it is here") {
        let items = sync.origin_items(&channel, &bundle).expect("it is here");
        files.insert(bundle.path, items);
    }
    let head = sync.origin_head(&channel).expect("it is here");
    files.insert(head_path(&channel), head.to_bytes());
    let items = sync.items(&channel, 0..u64::MAX).expect("they are here");
    let contents = items.iter().map(|item| item.header.hash).collect();
    Site { channel, files, contents }
}

fn open(index: u64) -> Sync<MemoryStore> {
    Sync::open(MemoryStore::default(), seed::rng(index)).expect("an empty store opens")
}

fn name_of(size: usize) -> Label<{ limits::NAME_BYTES }> {
    Label::new(&size.to_string()).expect("a plain name")
}

fn adopt(
    sync: &mut Sync<MemoryStore>,
    now: Now,
    bytes: &[u8],
    files: &mut BTreeMap<String, Bytes>,
) -> BlobId {
    let mut builder = Outboard::builder(bytes.len() as u64);
    bytes.chunks(limits::GROUP_BYTES).for_each(|group| builder.push(group));
    let outboard = builder.finish().expect("all bytes were pushed");
    let blob = outboard.id();
    sync.store_mut().write_blob(&blob.hash, 0, bytes).expect("memory takes it");
    sync.adopt_blob(now, &outboard).expect("the bytes are in place");
    let values = sync.origin_cvs(&blob).expect("it is here");
    files.insert(blob_path(&blob.hash), Bytes::copy_from_slice(bytes));
    files.insert(cvs_path(&blob.hash), values);
    blob
}

/// What an honest server answers.
fn honest(download: &Download) -> Result<Bytes, DownloadError> {
    let path = download.url.strip_prefix(URL).and_then(|path| path.strip_prefix('/'));
    let file = path.and_then(|path| SITE.files.get(path)).ok_or(DownloadError::Missing)?;
    let range = download.range.clone().unwrap_or(0..u64::MAX);
    let end = range.end.min(file.len() as u64);
    if range.start >= end {
        return Err(DownloadError::Missing);
    }
    Ok(file.slice(range.start as usize..end as usize))
}

/// A follower asks a server that answers what the input says, late, or never. Nothing is shown that
/// was not published, and an honest server brings everything in the end.
pub fn web(data: &[u8]) {
    let mut source = Source::new(data);
    let (mut sync, mut now) = (open(2), Now::default());
    sync.follow(now, SITE.channel).expect("an empty store takes a channel");
    let url = URL.parse().expect("a plain url");
    sync.follow_at(now, &SITE.channel, url).expect("it is followed");
    sync.set_internet(now, Internet::Own);
    let mut asked = Vec::new();
    while let Some(choice) = source.next() {
        pass(&mut sync, &mut now, Duration::from_millis(100 << (choice >> 4)));
        asked.extend(core::iter::from_fn(|| sync.poll_download(now)));
        assert!(asked.len() <= limits::ALL_DOWNLOADS, "{} at once", asked.len());
        if asked.is_empty() {
            continue;
        }
        let download = asked.swap_remove(source.below(asked.len()));
        let answer = match choice % 8 {
            0..=3 => honest(&download),
            4 => honest(&download).map(|bytes| source.altered(&bytes).into()),
            5 => Ok(source.bytes()),
            6 => Err(DownloadError::Missing),
            _ => Err(DownloadError::Failed("it broke off".into())),
        };
        let most = |bytes: Bytes| bytes.slice(..bytes.len().min(download.most));
        sync.downloaded(now, download.number, answer.map(most));
    }
    check(&sync);
    for download in asked {
        sync.downloaded(now, download.number, honest(&download));
    }
    for _ in 0..ENOUGH {
        pass(&mut sync, &mut now, limits::ORIGIN_BAN);
        while let Some(download) = sync.poll_download(now) {
            sync.downloaded(now, download.number, honest(&download));
        }
        if check(&sync) == SITE.contents.len() {
            return;
        }
    }
    panic!("an honest server has not given everything");
}

/// Time passes, up to so much, and alarms ring.
fn pass(sync: &mut Sync<MemoryStore>, now: &mut Now, time: Duration) {
    let until = now.time + time;
    while let Some(wake) = sync.wake_at().filter(|wake| wake.at <= until) {
        now.time = now.time.max(wake.at);
        sync.handle(*now, Input::Tick);
        while sync.poll_event().is_some() {}
    }
    now.time = until;
    now.unix = UnixTime(until.0 / 1000);
}

/// What is here is what was published: how many items are here whole.
fn check(sync: &Sync<MemoryStore>) -> usize {
    let items = sync.items(&SITE.channel, 0..u64::MAX).unwrap_or_default();
    for (item, hash) in items.iter().zip(&SITE.contents) {
        assert_eq!(item.header.hash, *hash, "item {} differs", item.number);
    }
    let is_here = |item: &&mesh_sync::ItemStatus| item.state == ItemState::Here;
    for item in items.iter().filter(is_here) {
        let Some(blob) = item.blob else { continue };
        let mut bytes = vec![0; blob.size as usize];
        sync.store().read_blob(&blob.hash, 0, &mut bytes).expect("memory does not fail");
        assert!(bytes.iter().all(|byte| *byte == blob.size as u8), "{} differs", item.number);
    }
    items.iter().filter(is_here).count()
}
