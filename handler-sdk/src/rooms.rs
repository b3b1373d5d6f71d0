//! Rooms as the rest of the game's server sees them: its own routes, and work functions that speak to another room.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parlor_broker::Broker;
use parlor_broker::auth::Keys;
use parlor_broker::room::{CreateRoom, Registry, RoomHandle, RoomInfo};
use parlor_protocol::codec::to_payload;
use parlor_protocol::room::CloseWhy;
use parlor_protocol::{ErrorCode, RoomId};
use serde::Serialize;

use crate::{Failure, Message, Result, Role};

/// Opens, lists and closes rooms, and raises events in them, without a detour over REST. Comes from [`App::rooms`](crate::App::rooms);
/// work functions find it in their [`Env`](crate::Env). Usable once the app has started, but not in a [worker](crate::worker), whose
/// broker is elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Rooms(Arc<OnceLock<Attached>>);

/// The broker that the rooms are in.
#[derive(Debug)]
struct Attached {
    /// Held weakly: the rooms' own work functions have this, and must not keep the broker alive.
    registry: Weak<Registry>,
    keys: Arc<Keys>,
}

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

    /// A ticket: the right of one account to come into this room, once, in this role, within `ttl`. For rooms whose policy asks for one;
    /// the text is what the player's client joins with.
    ///
    /// # Errors
    /// `unknown_room`; `bad_request` when the account is empty or has more than 64 bytes, or `ttl` is less than a second or more than a day.
    pub fn ticket(&self, room: &RoomId, account: &str, role: Role, ttl: Duration) -> Result<String> {
        let room = self.room(room)?;
        Ok(self.attached()?.keys.issue(room.id().clone(), account, role, ttl)?.ticket)
    }

    pub(crate) fn attach(&self, broker: &Broker) {
        let registry = Arc::downgrade(broker.registry());
        // An app starts once.
        let _ = self.0.set(Attached { registry, keys: broker.keys().clone() });
    }

    fn attached(&self) -> Result<&Attached> {
        let why = "the app has not started yet, or is a worker";
        self.0.get().ok_or_else(|| Failure::from(ErrorCode::Internal).because(why))
    }

    fn registry(&self) -> Result<Arc<Registry>> {
        self.attached()?.registry.upgrade().ok_or_else(|| ErrorCode::ShuttingDown.into())
    }

    fn room(&self, id: &RoomId) -> Result<Arc<RoomHandle>> {
        self.registry()?.get(id).ok_or_else(|| Failure::from(ErrorCode::UnknownRoom).with("room", id))
    }
}

fn payload(value: &impl Serialize) -> Result<bytes::Bytes> {
    to_payload(value).map_err(|error| Failure::from(ErrorCode::BadPayload).because(error.to_string()))
}
