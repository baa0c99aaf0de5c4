//! Random values that like to sit on the limits: 0, 1, the edges of each length of a number, MAX.

use std::iter;

use mesh_wire::codec::{Extensions, List, Opaque, varint};
use mesh_wire::enclosure::BlobKey;
use mesh_wire::id::WriterId;
use mesh_wire::message::find::PortNumber;
use mesh_wire::message::link::CloseReason;
use mesh_wire::message::sync::{Gateway, ItemKind, LogEnd, Right};
use mesh_wire::origin::OriginUrl;
use mesh_wire::{Hash, HopTag, Label, Token, UnixTime, Wire, limits};
use proptest::prelude::*;

/// A type that random values can be made of.
pub(crate) trait Sample: Sized {
    fn sample() -> BoxedStrategy<Self>;
}

/// Numbers at which something changes.
const EDGES: [u64; 12] = [
    0,
    1,
    0x3f,
    0x40,
    0x3fff,
    0x4000,
    0xffff,
    0x3fff_ffff,
    0x4000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    varint::MAX,
];

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Sample for $type {
            fn sample() -> BoxedStrategy<Self> {
                let edges: Vec<Self> =
                    EDGES.iter().filter_map(|edge| Self::try_from(*edge).ok()).collect();
                let all = any::<Self>().prop_map(|n| u64::from(n).min(varint::MAX) as Self);
                prop_oneof![prop::sample::select(edges), all].boxed()
            }
        }
    )*};
}
numbers!(u8, u16, u32, u64);

macro_rules! wrapped {
    ($($type:ty: $inner:ty => $from:expr;)*) => {$(
        impl Sample for $type {
            fn sample() -> BoxedStrategy<Self> {
                any::<$inner>().prop_map($from).boxed()
            }
        }
    )*};
}
wrapped! {
    [u8; 4]: [u8; 4] => |bytes| bytes;
    [u8; 8]: [u8; 8] => |bytes| bytes;
    HopTag: [u8; 2] => HopTag;
    [u8; 16]: [u8; 16] => |bytes| bytes;
    [u8; 32]: [u8; 32] => |bytes| bytes;
    [u8; 64]: [[u8; 32]; 2] => |halves| std::array::from_fn(|i| halves[i / 32][i % 32]);
    [u8; 80]: [[u8; 16]; 5] => |parts| std::array::from_fn(|i| parts[i / 16][i % 16]);
    Hash: [u8; 32] => Hash;
    WriterId: [u8; 32] => WriterId;
    BlobKey: [u8; 32] => BlobKey::from_array;
    Token: [u8; 8] => Token;
    UnixTime: u64 => |time| UnixTime(time & UnixTime::MAX.0);
    PortNumber: u16 => |port| PortNumber::new(port.max(1024)).expect("not below 1024");
}

impl Sample for CloseReason {
    fn sample() -> BoxedStrategy<Self> {
        prop::sample::select(Self::ALL).boxed()
    }
}

impl Sample for ItemKind {
    fn sample() -> BoxedStrategy<Self> {
        prop::sample::select(Self::ALL).boxed()
    }
}

impl Sample for Right {
    fn sample() -> BoxedStrategy<Self> {
        prop::sample::select(Self::ALL).boxed()
    }
}

impl Sample for Gateway {
    fn sample() -> BoxedStrategy<Self> {
        prop::sample::select(Self::ALL).boxed()
    }
}

impl Sample for OriginUrl {
    fn sample() -> BoxedStrategy<Self> {
        prop_oneof![Just("n".repeat(limits::URL_BYTES - 7)), "[a-z][a-z0-9./:]{0,12}[a-z]"]
            .prop_map(|rest| format!("http://{rest}").parse().expect("a url"))
            .boxed()
    }
}

impl Sample for LogEnd {
    fn sample() -> BoxedStrategy<Self> {
        prop::sample::select(Self::ALL).boxed()
    }
}

impl<const MAX: usize> Sample for Opaque<MAX> {
    fn sample() -> BoxedStrategy<Self> {
        // A frame has to hold it and what is around it.
        let most = MAX.min(limits::GROUP_BYTES);
        let lengths: Vec<usize> =
            [0, 1, 0x3f, 0x40, most].into_iter().filter(|length| *length <= most).collect();
        (prop::sample::select(lengths), 0..=most.min(200), any::<u8>(), any::<bool>())
            .prop_map(|(edge, any, fill, sits)| {
                let length = if sits { edge } else { any };
                Self::new(vec![fill; length].into()).expect("not above its limit")
            })
            .boxed()
    }
}

impl<const MAX: usize> Sample for Label<MAX> {
    fn sample() -> BoxedStrategy<Self> {
        prop_oneof![Just(String::new()), Just("n".repeat(MAX)), "[ -~äß読🜁]{0,12}"]
            .prop_map(|text| Self::new(&text).expect("a label"))
            .boxed()
    }
}

impl<T: Wire + Sample + std::fmt::Debug + 'static, const MAX: usize> Sample for List<T, MAX> {
    fn sample() -> BoxedStrategy<Self> {
        (prop::collection::vec(T::sample(), 0..4), any::<bool>())
            .prop_map(|(values, full)| match values.first() {
                Some(first) if full && first.size() * MAX <= 40_000 => {
                    Self::new(iter::repeat_n(first, MAX))
                }
                _ => Self::new(values.iter().take(MAX)),
            })
            .boxed()
    }
}

impl Sample for Extensions {
    fn sample() -> BoxedStrategy<Self> {
        prop::collection::btree_map(u64::sample(), prop::collection::vec(any::<u8>(), 0..40), 0..5)
            .prop_map(|entries| {
                let mut inner = Vec::new();
                for (kind, value) in entries {
                    kind.write(&mut inner);
                    (value.len() as u64).write(&mut inner);
                    inner.extend(value);
                }
                let mut bytes = Vec::new();
                (inner.len() as u64).write(&mut bytes);
                bytes.extend(inner);
                Self::from_bytes(bytes.into()).expect("extensions")
            })
            .boxed()
    }
}
