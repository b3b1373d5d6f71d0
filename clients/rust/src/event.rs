//! What a room tells its member, in order.

use std::sync::Arc;

use bytes::Bytes;
use parlor_protocol::{Failure, Place};
use serde::de::DeserializeOwned;

use crate::error::ClientError;

/// Why a [`RoomEvent::View`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ViewReason {
    /// The client has come back, and more was missed than the broker could keep.
    CameBack,
    /// The client has read too slowly.
    FellBehind,
}

/// Something that happened in a room. Events come in the order of the room's history, the same for all its members.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RoomEvent {
    /// A message from the room.
    Message {
        /// Its place in the room's history.
        place: Place,
        /// Its type.
        name: Arc<str>,
        /// With a topic of which only the newest value matters: what it is the value of. An older value may have been
        /// left out, and after a resume the present one comes although it may be known.
        key: Option<String>,
        /// MessagePack, whatever the connection speaks; see [`decode`](Self::decode).
        payload: Bytes,
    },
    /// A message sent with [`send`](crate::Room::send) was refused. (A refused request is answered instead.)
    Refused {
        /// The place of the refusal; none when the message never became an input of the room.
        place: Option<Place>,
        /// The number that `send` gave back.
        no: u64,
        /// Why.
        error: Failure,
    },
    /// What the game shows now, in place of everything before: publishes were missed. What the client keeps of the room
    /// is to be made anew from it, as on joining.
    View {
        /// The place in the room's history as of which the view is.
        place: Place,
        /// MessagePack; see [`decode`](Self::decode).
        view: Bytes,
        /// The number of this client's last message that is reflected in it.
        handled: u64,
        /// Why it came.
        why: ViewReason,
    },
    /// Everything up to the message `no` of this client is reflected in what came before.
    Handled {
        /// The number that `send` gave back.
        no: u64,
        /// The room's tick count.
        tick: u64,
    },
    /// The membership has ended. Nothing follows.
    Closed {
        /// `left`, `closed`, `kicked`, `room_failed`, `expired`, `replaced` or `shutting_down` by the broker; `lost` when the
        /// whole session was lost.
        code: String,
        /// The room's result, or the reason given for a kick, as MessagePack; see [`decode`](Self::decode).
        result: Bytes,
    },
}

impl RoomEvent {
    /// The payload of a message, a view, or the result of a close, as a `T`.
    ///
    /// # Errors
    /// [`ClientError::Decode`] when it is no `T`, or when the event has no payload.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        match self {
            Self::Message { payload: bytes, .. }
            | Self::View { view: bytes, .. }
            | Self::Closed { result: bytes, .. } => decode(bytes),
            Self::Refused { .. } | Self::Handled { .. } => Err(ClientError::Decode("the event has no payload".into())),
        }
    }

    /// The payload bytes that the event keeps in memory.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Message { payload, key, .. } => payload.len() + key.as_ref().map_or(0, String::len),
            Self::View { view, .. } => view.len(),
            Self::Closed { result, .. } => result.len(),
            Self::Refused { .. } | Self::Handled { .. } => 0,
        }
    }
}

/// A payload as a `T`.
pub(crate) fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, ClientError> {
    rmp_serde::from_slice(payload).map_err(|error| ClientError::Decode(error.to_string()))
}
