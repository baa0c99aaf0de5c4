//! Who is around, and how to reach who is not. `spec/3-finding.md`, `spec/4-routing.md`.

use crate::codec::{List, Opaque};
use crate::{HopTag, Token, layout, limits, messages};

messages! {
    /// Kinds 0x10 to 0x1f.
    pub enum RouteMessage {
        /// What the sender is called by beacons and in paths.
        Presence = 0x10,
        /// Who can be reached through you?
        Find = 0x12,
        /// The answer, on its way back.
        Found = 0x14,
        /// A packet on its way along a path.
        Packet = 0x16,
        /// A packet could go no further.
        Broken = 0x18,
        /// Packets arrived at the next hop.
        Arrived = 0x1a,
        /// A node with an uplink can be reached over me.
        Anchor = 0x1c,
        /// A question on its way to such nodes, and on to whom it means.
        Guided = 0x1d,
        /// A node tells one of them how it can be reached.
        Register = 0x1e,
    }
}

layout! {
    /// The neighbour's beacons carry this token, and paths over it this tag, from now on: the first
    /// message on every link, and again whenever its pseudonym changes.
    pub struct Presence {
        /// In its beacons.
        token: Token,
        /// In paths.
        tag: HopTag,
        /// The receiver's token, as far as it has said; else zeros.
        heard: Token,
        /// 1 if the receiver is to say its own now, 0 if not.
        answer: u8,
    }
}

layout! {
    /// Looks for whoever recognises the tag, or for a way to one of the hops.
    pub struct Find {
        /// Random: names this question.
        id: [u8; 8],
        /// How many more hops it may go.
        hops_left: u8,
        /// What the way so far costs.
        cost: u32,
        /// [`crate::HopTag`]s that the way is not to lead over.
        avoid: List<HopTag, { limits::AVOIDED }>,
        /// Recognised by who knows the key it was made with. Random if hops are looked for.
        tag: [u8; 8],
        /// Made with the same key: the same at who has as much as the asker. Random otherwise.
        state: [u8; 4],
        /// The hops of a path behind a gap, the next first; none if the tag is meant.
        hops: List<HopTag, { limits::DETOUR_TAGS }>,
        /// The relays of the path that is to be replaced: it goes on for as long as it is near one.
        /// None if it may go anywhere.
        along: List<HopTag, { limits::PATH_TAGS }>,
    }
}

layout! {
    /// Somebody was found; each node that passes this back adds itself in front.
    pub struct Found {
        /// The question.
        id: [u8; 8],
        /// Counts the answers of one node to one question.
        answer: u8,
        /// What the way from the asker to the node that was found costs.
        cost: u32,
        /// Made with the key of the question. Random if hops were looked for.
        proof: [u8; 16],
        /// The hops from here on, the node that was found last.
        path: List<HopTag, { limits::PATH_TAGS }>,
    }
}

layout! {
    /// A frame of a session between two nodes that are no neighbours.
    pub struct Packet {
        /// Counts the packets on this link, from 0 on.
        number: u32,
        /// Random: names the session at its two ends.
        flow: [u8; 8],
        /// How many more hops it may go.
        hops_left: u8,
        /// How often it was led around a gap.
        patches: u8,
        /// Where in the path the receiver stands.
        position: u8,
        /// Every hop, the source first and the destination last.
        path: List<HopTag, { limits::PATH_TAGS }>,
        /// The frame.
        frame: Opaque<{ limits::PACKET_BYTES }>,
    }
}

layout! {
    /// Goes back to the source of a packet that was dropped, hop by hop.
    pub struct Broken {
        /// The packet's session.
        flow: [u8; 8],
        /// How many more hops it may go.
        hops_left: u8,
        /// Where in the path the receiver stands.
        position: u8,
        /// Where in the path the gap is: behind this hop.
        gap: u8,
        /// The packet's path.
        path: List<HopTag, { limits::PATH_TAGS }>,
    }
}

layout! {
    /// Packets that came over this link.
    pub struct Arrived {
        /// Their numbers.
        numbers: List<u32, { limits::ACKS }>,
        /// Bytes of all packets that came over this link and wait here no longer.
        released: u64,
    }
}

layout! {
    /// A node with an uplink tells those around it how to reach it; each tells its neighbours.
    pub struct Anchor {
        /// Random: names it until its pseudonym changes.
        id: [u8; 8],
        /// Counts what it has said.
        number: u32,
        /// How many hops the sender is away from it.
        hops: u8,
    }
}

layout! {
    /// Goes to the next anchor, and tells it how to reach the sender.
    pub struct Register {
        /// The hops from here on, the sender last: each node that passes this on adds itself in
        /// front.
        path: List<HopTag, { limits::ANCHOR_HOPS }>,
        /// What the sender answers to, one for each find key.
        tags: List<[u8; 8], { limits::REGISTERED_TAGS }>,
    }
}

layout! {
    /// A question that goes to the next anchor, and from there to those who have registered.
    pub struct Guided {
        /// The question.
        find: Find,
        /// Under what those it means may have registered; none once an anchor has sent it to them.
        tags: List<[u8; 8], 2>,
        /// The hops from the receiver on to whom it means; none on the way to an anchor.
        way: List<HopTag, { limits::ANCHOR_HOPS }>,
    }
}
