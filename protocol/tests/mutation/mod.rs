//! Changes to the bytes of a frame that are likely to matter.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// One change to a byte string.
#[derive(Clone, Debug)]
pub(crate) enum Mutation {
    Set(Index, u8),
    Cut(Index),
    Remove(Index),
    Insert(Index, Vec<u8>),
    Double(Index, Index),
}

impl Mutation {
    pub(crate) fn apply(&self, bytes: &mut Vec<u8>) {
        let len = bytes.len() + 1;
        match self {
            Self::Set(at, byte) => bytes.iter_mut().skip(at.index(len)).take(1).for_each(|b| *b = *byte),
            Self::Cut(at) => bytes.truncate(at.index(len)),
            Self::Remove(at) => drop(bytes.drain(at.index(len)..).next()),
            Self::Insert(at, more) => drop(bytes.splice(at.index(len)..at.index(len), more.iter().copied())),
            Self::Double(a, b) => {
                let (a, b) = (a.index(len), b.index(len));
                bytes.extend_from_within(a.min(b)..a.max(b));
            }
        }
    }
}

/// Bytes that mean something to one codec or the other, more often than not.
pub(crate) fn telling_byte() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), 0x80..=0xa3_u8, 0xc0..=0xdf_u8, select(b"[]{},:\"\\0-.e nt".to_vec())]
}

pub(crate) fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        4 => (any::<Index>(), telling_byte()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        1 => any::<Index>().prop_map(Mutation::Cut),
        1 => any::<Index>().prop_map(Mutation::Remove),
        2 => (any::<Index>(), vec(telling_byte(), 1..8)).prop_map(|(at, more)| Mutation::Insert(at, more)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Mutation::Double(a, b)),
    ]
}
