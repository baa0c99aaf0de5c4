//! Every number that bounds what a peer can make this node hold or do, with its reason.
//! `spec/7-limits.md` lists the same numbers; a test compares the two.

use core::time::Duration;

// ---- Wire ----------------------------------------------------------------------------------

/// Longest address, in bytes: a host name of 255 does not fit a beacon, an IPv6 literal does.
pub const ADDRESS_BYTES: usize = 128;
/// Content of one blob group, in bytes: the AEAD and the disk are at full speed from here on, and
/// 32 B of chaining value per group is 0.05 %.
pub const GROUP_BYTES: usize = 64 << 10;
/// Largest plaintext of a sealed record, in bytes: one blob group and its message header.
pub const RECORD_BYTES: usize = GROUP_BYTES + 256;
/// Extensions of one object, in bytes.
pub const EXTENSION_BYTES: usize = 256;
/// Versions one side may offer.
pub const VERSIONS: usize = 8;
/// Largest datagram we make, in bytes: the UDP payload of IPv6's smallest MTU.
pub const DATAGRAM_BYTES: usize = 1232;
/// Fragments of one message on a datagram link: a record of [`RECORD_BYTES`] over 200-byte frames.
pub const FRAGMENTS: usize = 512;
/// Bytes of unfinished messages kept per datagram link.
pub const REASSEMBLY_BYTES: usize = 256 << 10;
/// Unfinished messages kept per datagram link; the oldest goes first.
pub const REASSEMBLIES: usize = 8;

// ---- Handshake and session -----------------------------------------------------------------

/// Largest handshake message, in bytes.
pub const HANDSHAKE_BYTES: usize = 1232;
/// First message of a handshake over datagrams, in bytes, with padding: no answer to it is longer
/// than three of it, and the usual answer is shorter than it.
pub const HELLO_BYTES: usize = 128;
/// Time before a handshake message is repeated over datagrams; doubles with each repetition.
pub const HANDSHAKE_RESEND: Duration = Duration::from_millis(250);
/// The same over relays, where an answer takes longer.
pub const ROUTED_RESEND: Duration = Duration::from_secs(1);
/// A handshake that takes longer is given up: a second for the radio, four for the crowd.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// The same over relays, where other paths are tried meanwhile.
pub const ROUTED_HANDSHAKE_TIME: Duration = Duration::from_secs(15);
/// Handshakes under way at one time that the other end started.
pub const HALF_OPEN: usize = 16;
/// Handshakes per second from which a cookie is asked for on unvalidated paths.
pub const HANDSHAKES_PER_SECOND: u32 = 200;
/// Handshakes in a burst from one source class; one more every [`HANDSHAKE_REFILL`].
pub const HANDSHAKE_BURST: u32 = 32;
/// How long a source class waits for its next handshake once its burst is spent.
pub const HANDSHAKE_REFILL: Duration = Duration::from_millis(50);
/// Source classes remembered; the one not heard of for longest goes first.
pub const SOURCES: usize = 1024;
/// Life of the secret behind cookies; a cookie is good for one to two lives.
pub const COOKIE_LIFE: Duration = Duration::from_secs(120);
/// Records under one key: the key is ratcheted forward after so many.
pub const EPOCH_RECORDS: u64 = 4096;
/// Oldest key in use: it is ratcheted forward before the first record after this time.
pub const EPOCH_TIME: Duration = Duration::from_secs(120);
/// Records by which a datagram may be late: two key epochs, all that can still be opened.
pub const REPLAY_WINDOW: u64 = 2 * EPOCH_RECORDS;
/// Key epochs a datagram may be ahead: bounds the work an unauthenticated counter can cause.
pub const EPOCHS_AHEAD: u64 = 2;
/// Datagrams that failed to open before the link is closed (RFC 9001, section 6.6).
pub const FORGERIES: u64 = 1 << 36;

// ---- Node ----------------------------------------------------------------------------------

/// Links of one node.
pub const LINKS: usize = 64;
/// Neighbours on one local network that we dial by ourselves; we accept up to [`LINKS`].
pub const LAN_NEIGHBOURS: usize = 12;
/// Life of a pseudonym and its beacon token, give or take a fifth.
pub const PSEUDONYM_TIME: Duration = Duration::from_secs(15 * 60);
/// Silence after which a link is asked whether it lives.
pub const PING_AFTER: Duration = Duration::from_secs(120);
/// Silence after which it is given up.
pub const DEAD_AFTER: Duration = Duration::from_secs(150);
/// Link control messages a peer may send in a burst; one more every [`CONTROL_REFILL`].
pub const CONTROL_BURST: u32 = 64;
/// How long a peer waits for its next link control message once its burst is spent.
pub const CONTROL_REFILL: Duration = Duration::from_millis(200);

// ---- Finding -------------------------------------------------------------------------------

/// Largest beacon, in bytes.
pub const BEACON_BYTES: usize = 64;
/// Time between beacons once the first ones are out.
pub const BEACON_EVERY: Duration = Duration::from_secs(30);
/// Beacons heard and remembered; the oldest goes first.
pub const HEARD: usize = 256;
/// Dials under way at one time.
pub const DIALS: usize = 16;

// ---- Routing -------------------------------------------------------------------------------

/// Hops of a path: the FIND of the widest ring goes so far.
pub const PATH_HOPS: usize = 32;
/// Tags in a path: its source, its hops, and room for what detours add.
pub const PATH_TAGS: usize = PATH_HOPS + 8;
/// Times a packet may be led around a gap on its way.
pub const PATCHES: u8 = 12;
/// Hops that a detour may take before it meets the path again; twice as many the second time.
pub const DETOUR_HOPS: u8 = 2;
/// Hops that a FIND for another path goes from the last place near the old one.
pub const ALONG_HOPS: u8 = 3;
/// Tags of a path in which a detour may end.
pub const DETOUR_TAGS: usize = 8;
/// Tags that a FIND may ask to stay away from.
pub const AVOIDED: usize = 16;
/// Bytes in one packet: a record of a session end to end. With every header it fits
/// [`DATAGRAM_BYTES`].
pub const PACKET_BYTES: usize = 1024;
/// Bytes around a record that goes over up to 17 relays, its own header and that of its packet:
/// with them it fills a bucket.
pub const PACKET_OVERHEAD: usize = 80;
/// FINDs remembered at a node; the oldest goes first. About 100 B each.
pub const FINDS: usize = 512;
/// How long a FIND is remembered: twice the longest time its answer takes.
pub const FIND_LIFE: Duration = Duration::from_secs(10);
/// FINDs taken from one link in a burst; one more every [`FIND_REFILL`].
pub const FIND_BURST: u32 = 40;
/// How long a link waits for its next FIND once its burst is spent: 5 % of 20 kB/s are 25 of 40 B.
pub const FIND_REFILL: Duration = Duration::from_millis(100);
/// A FIND that waits longer for its turn on a link is dropped: packets go first, and on a slow link
/// not everything can be asked.
pub const FIND_WAIT: Duration = Duration::from_millis(500);
/// Longest random wait before a FIND is passed on, so that the shortest way comes first.
pub const FIND_JITTER: Duration = Duration::from_millis(40);
/// Answers to one FIND that a node gives, and that it passes on.
pub const ANSWERS: u8 = 3;
/// How long further copies of a FIND are answered.
pub const ANSWER_TIME: Duration = Duration::from_millis(250);
/// Searches of one node at a time.
pub const SEARCHES: usize = 32;
/// Flows of one node: sessions over relays.
pub const FLOWS: usize = 64;
/// Paths kept per flow.
pub const PATHS: usize = 4;
/// Bytes of packets that wait at a relay for one link; what does not fit is dropped.
pub const RELAY_BYTES: usize = 128 << 10;
/// Bytes of packets a node may have sent over one link that the other end has not passed on.
pub const HOP_BYTES: usize = 64 << 10;
/// A packet that is not acknowledged is sent again after twice the usual time, but no sooner.
pub const RETRY_TIME: Duration = Duration::from_millis(100);
/// Without a sign of life for so long, the next hop of a packet is thought to be gone.
pub const HOP_TIME: Duration = Duration::from_millis(300);
/// Frames that may leave before a neighbour's answer is here: here and there each of 7 links has
/// its turn, and the question and the answer are one each. Where that takes long, all times of
/// routing are longer.
pub const HOP_TURNS: u32 = 16;
/// A packet that waits longer at a relay is dropped: so relays that wait for each other do not
/// wait for ever.
pub const PACKET_TIME: Duration = Duration::from_secs(4);
/// Hop acknowledgements in one message.
pub const ACKS: usize = 32;
/// Longest time before a packet is acknowledged to the hop before.
pub const ACK_TIME: Duration = Duration::from_millis(20);
/// How long the answers to a question for a detour are waited for; twice as long the second time.
pub const DETOUR_TIME: Duration = Duration::from_millis(200);
/// How long a detour is used again for other packets.
pub const DETOUR_LIFE: Duration = Duration::from_secs(10);
/// Gaps that a node looks for detours around at one time.
pub const DETOURS: usize = 16;
/// How long a hop tag that was changed is still good.
pub const TAG_GRACE: Duration = Duration::from_secs(60);
/// Time between two things an anchor says about itself.
pub const ANCHOR_EVERY: Duration = Duration::from_secs(60);
/// Without news of an anchor for so long, it is forgotten: two may be lost.
pub const ANCHOR_LIFE: Duration = Duration::from_secs(150);
/// Anchors that a node knows the way to and tells its neighbours of: the next one and one more.
pub const ANCHORS: usize = 2;
/// Hops to an anchor: a path up to one, over another and down again fits [`PATH_TAGS`].
pub const ANCHOR_HOPS: usize = 16;
/// Time between two registrations with the next anchor: a registered path has outlived the tag of
/// a relay for a minute at most.
pub const REGISTER_EVERY: Duration = Duration::from_secs(120);
/// How long an anchor remembers a registration: the next one may take its time.
pub const REGISTRATION_LIFE: Duration = Duration::from_secs(150);
/// Registrations an anchor remembers; when more come, the oldest of the link of which there are
/// most goes. About 200 B each.
pub const REGISTRATIONS: usize = 512;
/// Find keys in one registration.
pub const REGISTERED_TAGS: usize = 32;
/// How long the answer to a question is waited for that went to an anchor, before everybody is
/// asked: twice 30 hops of 25 ms.
pub const GUIDED_TIME: Duration = Duration::from_millis(1500);
/// Packets without an answer for so long make a node doubt a path.
pub const DOUBT_TIME: Duration = Duration::from_secs(3);
/// The same where nobody has ever answered.
pub const TURN_TIME: Duration = Duration::from_secs(1);
/// The least of both for each hop of the path: in half of it an answer comes back where queues are
/// short.
pub const DOUBT_TIME_PER_HOP: Duration = Duration::from_millis(250);
/// A session over relays that carries nothing for so long is let go.
pub const FLOW_IDLE: Duration = Duration::from_secs(90);

// ---- Sync ----------------------------------------------------------------------------------

/// Channels shared over one link, the padding included.
pub const SHARED_CHANNELS: usize = 512;
/// The number of channel tokens, and of questions about channels, is padded to a multiple of this.
pub const TOKENS_STEP: usize = 16;
/// Channels that are offered over one link, but for those that the other end has proven to know:
/// what costs both ends 7 ms each on a desktop. Of more, some are drawn; searches find the rest.
pub const OFFERED_CHANNELS: usize = 64;
/// Guesses at what is followed here that one link begins with: a list of [`OFFERED_CHANNELS`], and
/// as much again for what changes or is lost.
pub const GUESSES: u32 = 128;
/// How long a link waits for its next guess once they are spent.
pub const GUESS_REFILL: Duration = Duration::from_secs(10);
/// Guesses of all links together in a burst: a crowd of [`LINKS`] that comes at once, each with a
/// list of two steps.
pub const ALL_GUESSES: u32 = 2048;
/// How long all links wait for their next guess once these are spent: under however many names,
/// somebody beside a node tries 172,800 channels a day at most.
pub const ALL_GUESSES_REFILL: Duration = Duration::from_millis(500);
/// Logs of one channel.
pub const LOGS: usize = 64;
/// Logs that are kept for new keys of a channel's owner, whoever else writes.
pub const SUCCESSIONS: usize = 8;
/// Items that one item withdraws: some kilobytes on disk for one on the air.
pub const RETRACTED_ITEMS: usize = 256;
/// Longest item name, in bytes: a relative path.
pub const NAME_BYTES: usize = 512;
/// Longest channel name, in bytes.
pub const CHANNEL_NAME_BYTES: usize = 64;
/// Content that travels inside its item, in bytes; larger content is a blob.
pub const INLINE_BYTES: usize = 16 << 10;
/// Content of a private channel that travels inside its item, in bytes, with its name and the seal;
/// larger content is a sealed blob.
pub const SEALED_CONTENT_BYTES: usize = 15 << 10;
/// Longest letter of a private channel, its padding included: sealed it fits into an item.
pub const LETTER_BYTES: usize = 16_320;
/// Items of other logs that an item names as read before it: what a few people write at the same
/// time; who reads more at once names the newest.
pub const PARENTS: usize = 8;
/// Items that are put in the order of a chat at one time: the newest.
pub const CHAT_ITEMS: usize = 1024;
/// How far ahead of its arrival an item may be shown to be written: clocks are not better.
pub const AHEAD_TIME: Duration = Duration::from_secs(120);
/// Longest item header, in bytes.
pub const HEADER_BYTES: usize = 1024;
/// Items in one message: one signature pays for all of them.
pub const RUN_ITEMS: usize = 512;
/// Proof hashes in one message: the right edge of a tree of [`LOG_ITEMS`] leaves.
pub const EDGE_HASHES: usize = 40;
/// Items of one log.
pub const LOG_ITEMS: u64 = 1 << 40;
/// Bytes of items asked for and not yet received, per link and channel.
pub const WANT_BYTES: u64 = 1 << 20;
/// Bytes of new items that go to a neighbour unasked; of more it is only told.
pub const PUSH_BYTES: usize = 1024;
/// Most bytes of items that are offered, unasked, to somebody over relays who has not said yet
/// what it has: with a list of channels they fit into one packet.
pub const OFFER_BYTES: usize = 512;
/// Chaining values in one page: 64 MiB of content.
pub const PAGE_CVS: usize = 1024;
/// Largest blob, in bytes (1 PiB): four levels of pages.
pub const BLOB_BYTES: u64 = 1 << 50;
/// Pages of blobs in transfer over one link, each way, and in transfer at all: enough small blobs
/// at a time to fill a link, few enough to keep their bitmaps in memory.
pub const OPEN_PAGES: usize = 64;
/// Pages that a neighbour may ask about at a time: the open ones, and those whose end it has not
/// been told was heard.
pub const ASKED_PAGES: usize = 2 * OPEN_PAGES;
/// Groups asked for and not yet received, per link.
pub const GROUPS_IN_FLIGHT: usize = 64;
/// Longest url of an origin, in bytes.
pub const URL_BYTES: usize = 200;
/// Urls that a channel names.
pub const ORIGINS: usize = 4;
/// Items in one file at an origin: few enough to be fetched again for one that is new.
pub const BUNDLE_ITEMS: u64 = 256;
/// Longest such file, in bytes: as many items of the largest size.
pub const BUNDLE_BYTES: usize = 5 << 20;
/// How long the answer of an origin may take: a part of a blob over the slowest of lines.
pub const ORIGIN_TIME: Duration = Duration::from_secs(15 * 60);
/// Shortest time in which a channel's owner promises to say something: every time costs all who
/// follow the channel some 300 bytes.
pub const PROMISE_LEAST: Duration = Duration::from_secs(60 * 60);
/// Requests under way to one origin: enough to fill a line.
pub const DOWNLOADS: usize = 4;
/// Requests under way to all origins: each takes a thread.
pub const ALL_DOWNLOADS: usize = 16;
/// Groups in one request to an origin, and groups that one of those who divide a blob among them
/// gets in a row.
pub const STRIPE_GROUPS: u64 = 16;
/// Longest time before an origin is first asked about a channel: neighbours may have it.
pub const ORIGIN_WAIT: Duration = Duration::from_secs(2);
/// Time between two looks at what an origin has; doubles whenever nothing was new.
pub const ORIGIN_POLL: Duration = Duration::from_secs(60);
/// Longest time between two looks at what an origin has.
pub const ORIGIN_POLL_MAX: Duration = Duration::from_secs(16 * 60);
/// Time before an origin that did not answer is asked again; doubles each time.
pub const ORIGIN_RETRY: Duration = Duration::from_secs(5);
/// Longest time before an origin that did not answer is asked again.
pub const ORIGIN_RETRY_MAX: Duration = Duration::from_secs(16 * 60);
/// How long nothing is asked of an origin that gave what its channel's writers have not signed.
pub const ORIGIN_BAN: Duration = Duration::from_secs(60 * 60);
/// How long a neighbour is believed that it gets what is new at an origin.
pub const CLAIM_TRUST: Duration = Duration::from_secs(10 * 60);
/// How long a neighbour is left to get a part of a blob at an origin.
pub const CLAIM_PATIENCE: Duration = Duration::from_secs(5);
/// Levels of a spine: one for each of the 12 nibbles of a time, and the newest millisecond.
pub const SET_LEVELS: usize = 13;
/// Bytes of a key in a set: its time and its id.
pub const SET_KEY_BYTES: usize = 38;
/// Items up to which a place in the tree of a set is not divided: a node is small beside them, and
/// all of them fit a packet or three.
pub const SET_LEAF: usize = 64;
/// Short ids in a list of all that is in some levels, and values in any part of a list.
pub const SET_IDS: usize = 4096;
/// Symbols of one round: enough for 47,000 differences; 1.5 MiB while they are decoded.
pub const SET_SYMBOLS: usize = 65_536;
/// Symbols that are sent before anybody has asked for them.
pub const SET_FIRST_SYMBOLS: usize = 1024;
/// Items that may be asked for at the end of one round.
pub const SET_WANTS: usize = 65_536;
/// Times that one round may ask for symbols: each costs a pass over the levels.
pub const SET_ASKS: u32 = 16;
/// Nodes asked for at one time.
pub const SET_WALK: usize = 64;
/// Times that one round may ask for nodes.
pub const SET_WALKS: u32 = 1024;
/// Places that a walk has still to see; where there are more, some wait for the next round.
pub const SET_PLACES: usize = 16_384;
/// Rounds in a row that may end with a difference before the next one compares whole hashes.
pub const SET_ROUNDS: u32 = 2;
/// Notes of a board that are kept, the newest: of 30 days, 500 a day. Their keys take 1.2 MB of
/// memory for each board that is followed, and 7 MB at most whoever chose them.
pub const BOARD_NOTES: usize = 16_384;
/// Bytes that they may have, with headers and signatures: 1 kB each.
pub const BOARD_BYTES: u64 = 16 << 20;
/// The largest blob of a board that is fetched by itself, unless the owner says otherwise: a photo.
/// Anybody may name it.
pub const BOARD_FILE: u64 = 1 << 20;
/// Bytes of blobs that are kept of a board, unless the owner says otherwise.
pub const BOARD_FILES: u64 = 64 << 20;
/// How long a note stays after its time: who was away for a month has missed it.
pub const NOTE_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long a link waits to bring the next KiB of notes of a board once it has brought as much as
/// is kept: people do not write 10 kB a second, and each note costs a signature to verify.
pub const NOTE_REFILL: Duration = Duration::from_millis(100);
/// Longest time between a change and its commit to disk.
pub const COMMIT_TIME: Duration = Duration::from_millis(200);
/// Bytes written and not yet committed to disk; bytes of the index count eight times.
pub const UNCOMMITTED_BYTES: u64 = 64 << 20;
/// Time before what was not answered is said again on a datagram link; doubles each time, up to
/// [`REPEAT_MAX`].
pub const REPEAT_TIME: Duration = Duration::from_secs(2);
/// The same on a stream, which loses nothing: only who does not answer is asked again.
pub const REPEAT_TIME_STREAM: Duration = Duration::from_secs(30);
/// Longest time between two repetitions.
pub const REPEAT_MAX: Duration = Duration::from_secs(64);
/// Requests that a neighbour leaves unanswered in a row before nothing more is asked of it: where
/// every fifth message is lost, that happens by chance once in 10⁷.
pub const UNANSWERED: u32 = 16;
/// Time a page of which nobody around has anything keeps its place while others wait for one.
pub const PAGE_TIME: Duration = Duration::from_secs(10);
/// Time between two looks for what is overdue.
pub const CHORE_TIME: Duration = Duration::from_millis(250);
/// Events that wait for the owner; the oldest goes first.
pub const EVENTS: usize = 1024;
