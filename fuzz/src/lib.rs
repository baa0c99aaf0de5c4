//! One fuzz body per decoder and per state machine: a function that takes any bytes and panics
//! only if something of ours is broken. They run on stable: `tests/replay/` feeds them the corpora
//! and seeded mutations of them. `cargo +nightly fuzz run NAME --features libfuzzer` feeds them
//! for as long as you let it.
//!
//! | bodies | take the input as |
//! |---|---|
//! | [`decode`] | bytes or text from a stranger |
//! | [`link`] | what happens to the frames between two ends of a link |
//! | [`machines`], [`router`] | what happens to two machines and the links between them |
//! | [`sets`] | what happens to two sets and to what their holders say about them |
//! | [`web`] | what a web server answers to a follower |

mod bench;
pub mod decode;
pub mod link;
pub mod machines;
pub mod router;
pub mod sets;
mod source;
pub mod web;

/// A body and the name of its corpus and of its libFuzzer program.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name.
    pub name: &'static str,
    /// The body.
    pub body: fn(&[u8]),
}

/// Declares a list of bodies, each named after its function.
macro_rules! targets {
    ($($module:ident::$name:ident)*) => {
        &[$(Target { name: stringify!($name), body: $module::$name }),*]
    };
}

/// The decoders: they allocate at most twice their input and 4 KiB.
pub const DECODERS: &[Target] = targets! {
    decode::address
    decode::beacon
    decode::channel_link
    decode::genesis
    decode::introduction
    decode::item_header
    decode::label
    decode::record
};

/// The state machines: they take their input as a list of operations.
pub const MACHINES: &[Target] = targets! {
    link::fragments
    link::handshake
    link::session
    link::stream
    router::router
    sets::sets
    machines::sync
    machines::node
    web::web
};
