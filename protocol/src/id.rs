//! The names of things, parsed once at the edge.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A room's public name, 1 to 64 characters of `A-Z a-z 0-9 _ -`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoomId(Arc<str>);

impl RoomId {
    /// Parses a room id.
    ///
    /// # Errors
    /// When the text is empty, longer than 64 bytes, or has a character outside `A-Z a-z 0-9 _ -`.
    pub fn parse(text: &str) -> Result<Self, BadRoomId> {
        let fits = (1..=crate::limits::MAX_NAME).contains(&text.len());
        let clean = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if fits && clean { Ok(Self(text.into())) } else { Err(BadRoomId) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no room id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a room id has 1 to 64 characters of A-Z a-z 0-9 _ -")]
pub struct BadRoomId;

impl TryFrom<String> for RoomId {
    type Error = BadRoomId;
    fn try_from(text: String) -> Result<Self, BadRoomId> {
        Self::parse(&text)
    }
}

impl From<RoomId> for String {
    fn from(id: RoomId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A room's number on the wire of one broker process, the same for all its members.
    RoomNo(u32)
}
number! {
    /// A room's number on one worker's connection, never used twice on it.
    WorkerRoom(u32)
}
number! {
    /// A member's number within its room, from 1, never used twice in a room.
    PlayerId(u32)
}
number! {
    /// The position of an input in its room's history, from 1.
    Seq(u64)
}

/// The place of an output in its room's history: the input that caused it, and its index among that input's outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The input.
    pub seq: Seq,
    /// From 0.
    pub index: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_id_is_short_and_plain() {
        for good in ["a", "k3F9xQ2m", "_-_", &"x".repeat(64)] {
            assert_eq!(RoomId::parse(good).map(String::from).as_deref(), Ok(good));
        }
        for bad in ["", "a b", "a/b", "é", "a.b", "a\0", &"x".repeat(65)] {
            assert_eq!(RoomId::parse(bad), Err(BadRoomId), "{bad}");
        }
    }

    #[test]
    fn a_room_id_is_parsed_when_it_is_read() {
        let id: RoomId = serde_json::from_str("\"k3F9xQ2m\"").unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"k3F9xQ2m\"");
        assert!(serde_json::from_str::<RoomId>("\"a b\"").is_err());
    }

    #[test]
    fn places_are_ordered_by_input_then_output() {
        let place = |seq, index| Place { seq: Seq(seq), index };
        assert!(place(1, 9) < place(2, 0) && place(2, 0) < place(2, 1));
        assert_eq!((PlayerId(3).to_string(), Seq(4).to_string()), ("3".into(), "4".into()));
    }
}
