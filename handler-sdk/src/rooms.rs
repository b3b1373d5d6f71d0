//! Rooms as the rest of the game's server sees them: its own routes, and work functions that speak to another room.

use std::sync::{Arc, OnceLock, Weak};

use parlor_broker::room::{CreateRoom, Registry, RoomHandle, RoomInfo};
use parlor_protocol::codec::to_payload;
use parlor_protocol::room::CloseWhy;
use parlor_protocol::{ErrorCode, RoomId};
use serde::Serialize;

use crate::{Failure, Message, Result};

/// Opens, lists and closes rooms, and raises events in them, without a detour over REST. Comes from [`App::rooms`](crate::App::rooms);
/// work functions find it in their [`Env`](crate::Env). Usable once the app has started.
#[derive(Clone, Debug, Default)]
pub struct Rooms(Arc<OnceLock<Weak<Registry>>>);

impl Rooms {
    /// Opens a room and waits for its `open` handler.
    ///
    /// # Errors
    /// `unknown_kind`, `server_full`, or what the handler refused with.
    pub async fn create(&self, kind: &str, options: &impl Serialize) -> Result<RoomId> {
        let wish = CreateRoom { options: payload(options)?, ..CreateRoom::default() };
        let room = self.registry()?.create(kind, wish)?;
        room.opened().await?;
        Ok(room.id().clone())
    }

    /// Raises an event in a room: an input like any other, in its turn.
    ///
    /// # Errors
    /// `unknown_room`, `unknown_type` when the room has no such event, `queue_full`, `room_closed`.
    pub fn raise<M: Message>(&self, room: &RoomId, event: &M) -> Result {
        self.registry()?.raise(&*self.room(room)?, M::TYPE, payload(event)?)
    }

    /// Asks a room to close; its `close` handler runs.
    ///
    /// # Errors
    /// `unknown_room`.
    pub fn close(&self, room: &RoomId) -> Result {
        self.room(room)?.close(CloseWhy::Requested);
        Ok(())
    }

    /// A room as the lobby shows it.
    ///
    /// # Errors
    /// `unknown_room`.
    pub fn show(&self, room: &RoomId) -> Result<RoomInfo> {
        Ok(self.room(room)?.info())
    }

    /// All rooms that are not private, oldest first.
    ///
    /// # Errors
    /// Before the app has started.
    pub fn list(&self) -> Result<Vec<RoomInfo>> {
        Ok(self.registry()?.list())
    }

    pub(crate) fn attach(&self, registry: &Arc<Registry>) {
        // An app starts once.
        let _ = self.0.set(Arc::downgrade(registry));
    }

    /// Held weakly: the rooms' own work functions have this, and must not keep the broker alive.
    fn registry(&self) -> Result<Arc<Registry>> {
        let not_yet = || Failure::from(ErrorCode::Internal).because("the app has not started yet");
        self.0.get().ok_or_else(not_yet)?.upgrade().ok_or_else(|| ErrorCode::ShuttingDown.into())
    }

    fn room(&self, id: &RoomId) -> Result<Arc<RoomHandle>> {
        self.registry()?.get(id).ok_or_else(|| Failure::from(ErrorCode::UnknownRoom).with("room", id))
    }
}

fn payload(value: &impl Serialize) -> Result<bytes::Bytes> {
    to_payload(value).map_err(|error| Failure::from(ErrorCode::BadPayload).because(error.to_string()))
}
