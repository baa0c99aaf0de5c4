//! Finding out in what two sets differ. `spec/5-sync.md`, SYNC-26 and on.
//!
//! One kind of message, [`Reconcile`], carries the steps of all rounds about a channel. A list that
//! is longer than a message goes over several: `first` says where in the list this part begins,
//! `more` how many values follow it.

use crate::codec::{List, Opaque};
use crate::{Hash, UnixTime, limits};
use crate::{layout, messages};

layout! {
    /// One step of a round.
    pub struct Reconcile {
        /// The channel's index.
        channel: u32,
        /// Names the round; whoever opens rounds counts them, from 1 on.
        serial: u32,
        /// What is said.
        step: Step,
    }
}

messages! {
    /// What is said in a round.
    pub enum Step {
        /// A summary that grows with the logarithm of the set.
        Spine = 0x00,
        /// Asks for all short ids in some levels.
        AskIds = 0x01,
        /// The short ids of all items in some levels.
        ShortIds = 0x02,
        /// Asks for symbols.
        AskSymbols = 0x03,
        /// A code over all items in some levels, from which their difference can be decoded.
        Symbols = 0x04,
        /// What its sender found out; ends the round.
        Findings = 0x05,
        /// Asks for nodes of the tree.
        Walk = 0x06,
        /// The nodes.
        Nodes = 0x07,
    }
}

layout! {
    /// The set up to its newest item, in levels that are larger the older they are.
    pub struct Spine {
        /// The time of the newest item; 0 if there is none.
        anchor: UnixTime,
        /// One bit for every level, level 0 the lowest: whether it has items.
        present: u16,
        /// The levels that have.
        levels: List<Level, { limits::SET_LEVELS }>,
    }
}

layout! {
    /// One level of a spine.
    pub struct Level {
        /// Tells apart two contents of a level, under the salt of the round.
        digest: [u8; 8],
        /// How many binary digits the number of its items has.
        digits: u8,
    }
}

layout! {
    /// Asks for the short ids of all items in these levels.
    pub struct AskIds {
        /// One bit for every level.
        levels: u16,
    }
}

layout! {
    /// The short ids of all items that the sender has in these levels.
    pub struct ShortIds {
        /// One bit for every level.
        levels: u16,
        /// Where in the list this part begins.
        first: u32,
        /// How many follow it.
        more: u32,
        /// The ids.
        ids: List<[u8; 8], { limits::SET_IDS }>,
    }
}

layout! {
    /// Asks for the symbols `first..first + count` of the levels under way.
    pub struct AskSymbols {
        /// The first symbol.
        first: u32,
        /// How many.
        count: u32,
    }
}

layout! {
    /// Symbols over all items that the sender has in these levels.
    pub struct Symbols {
        /// One bit for every level.
        levels: u16,
        /// How many items those are.
        items: u64,
        /// The first symbol here.
        first: u32,
        /// How many follow these.
        more: u32,
        /// The symbols.
        symbols: List<Symbol, { limits::SET_IDS }>,
    }
}

layout! {
    /// The sum of some of the items, and what tells whether it is one item alone.
    pub struct Symbol {
        /// Exclusive or of their short ids.
        sum: [u8; 8],
        /// Exclusive or of their checks.
        check: [u8; 4],
        /// How many they are, modulo 256.
        count: u8,
    }
}

layout! {
    /// What the sender found out about the difference: the end of a round.
    pub struct Findings {
        /// How many items it is going to send.
        pushes: u64,
        /// Where in the list of wanted ids this part begins.
        first: u32,
        /// How many follow it.
        more: u32,
        /// The short ids of items that it wants.
        wanted: List<[u8; 8], { limits::SET_IDS }>,
    }
}

layout! {
    /// Asks for the nodes of the tree at these places.
    pub struct Walk {
        /// The places.
        prefixes: List<Prefix, { limits::SET_WALK }>,
    }
}

layout! {
    /// A place in the tree: what all keys below it begin with.
    pub struct Prefix {
        /// How many nibbles.
        length: u8,
        /// The nibbles, two in a byte, the high one first; a low one that is left over is 0.
        nibbles: Opaque<{ limits::SET_KEY_BYTES }>,
    }
}

layout! {
    /// The nodes asked for, in the order asked.
    pub struct Nodes {
        /// The nodes.
        nodes: List<Node, { limits::SET_WALK }>,
    }
}

layout! {
    /// What the sender has below one place: some keys, or more, as the hashes of the places below.
    pub struct Node {
        /// The place.
        prefix: Prefix,
        /// One bit for every nibble that keys go on with; 0 if the keys are listed.
        children: u16,
        /// The hashes of those places.
        hashes: List<Hash, 16>,
        /// All keys, ascending.
        keys: List<SetKey, { limits::SET_LEAF }>,
    }
}

layout! {
    /// What an item is called in a set.
    pub struct SetKey {
        /// Its time.
        time: UnixTime,
        /// Its id.
        id: Hash,
    }
}
