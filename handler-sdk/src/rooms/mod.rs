//! Rooms as the rest of the game's server sees them: its own routes, and work functions that speak to another room.

mod remote;

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parlor_broker::Broker;
use parlor_broker::auth::Keys;
use parlor_broker::room::{CreateRoom, Registry, RoomHandle, RoomInfo};
use parlor_protocol::codec::to_payload;
use parlor_protocol::room::CloseWhy;
use parlor_protocol::{ErrorCode, RoomId};
use serde::Serialize;

use self::remote::Remote;
use crate::{Failure, Message, Result, Role};

/// Opens, lists and closes rooms, and raises events in them. Comes from [`App::rooms`](crate::App::rooms); work functions find it in their
/// [`Env`](crate::Env). Usable once the app has started.
///
/// In a process with the broker in it, that is done at once. [Services](crate::App::start_services) and [workers](crate::worker) ask their
/// broker over REST, 32 calls at a time. What they say goes through JSON there: binary as an array of numbers, a number that is not finite
/// as null, at most 2 MiB.
///
/// # Errors
/// Of all methods: `internal` before the app has started, `shutting_down` when the broker ends. Over REST besides: `unauthorized` without the
/// server key, but for showing a room or up to 100; `internal` when it is not known where the broker's REST is; and `unreachable` when no
/// broker answers within 30 seconds. What was asked for may have been done all the same then, so that doing it again may do it twice.
#[derive(Clone, Debug, Default)]
pub struct Rooms(Arc<OnceLock<Attached>>);

/// The broker that the rooms are in.
#[derive(Debug)]
enum Attached {
    Here {
        /// Held weakly: the rooms' own work functions have this, and must not keep the broker alive.
        registry: Weak<Registry>,
        keys: Arc<Keys>,
    },
    Elsewhere(Remote),
    /// The app has started, and was not told where.
    Nowhere,
}

impl Rooms {
    /// Opens a room and waits for its `open` handler.
    ///
    /// # Errors
    /// `unknown_kind`, `no_worker`, `server_full`, or what the handler refused with.
    pub async fn create(&self, kind: &str, options: &impl Serialize) -> Result<RoomId> {
        let options = payload(options)?;
        match self.attached()? {
            Attached::Elsewhere(remote) => remote.create(kind, &options).await,
            here => {
                let wish = CreateRoom { options, ..CreateRoom::default() };
                let room = here.registry()?.create(kind, wish)?;
                room.opened().await?;
                Ok(room.id().clone())
            }
        }
    }

    /// Raises an event in a room: an input like any other, in its turn.
    ///
    /// # Errors
    /// `unknown_room`, `unknown_type` when the room has no such event, `queue_full`, `room_closed`.
    pub async fn raise<M: Message>(&self, room: &RoomId, event: &M) -> Result {
        let payload = payload(event)?;
        match self.attached()? {
            Attached::Elsewhere(remote) => remote.raise(room, M::TYPE, &payload).await,
            here => here.registry()?.raise(&*here.room(room)?, M::TYPE, payload),
        }
    }

    /// Asks a room to close; its `close` handler runs.
    ///
    /// # Errors
    /// `unknown_room`.
    pub async fn close(&self, room: &RoomId) -> Result {
        match self.attached()? {
            Attached::Elsewhere(remote) => remote.close(room).await,
            here => {
                here.room(room)?.close(CloseWhy::Requested);
                Ok(())
            }
        }
    }

    /// A room as the lobby shows it.
    ///
    /// # Errors
    /// `unknown_room`.
    pub async fn show(&self, room: &RoomId) -> Result<RoomInfo> {
        match self.attached()? {
            Attached::Elsewhere(remote) => remote.show(room).await,
            here => Ok(here.room(room)?.info()),
        }
    }

    /// All rooms that are not private, oldest first.
    ///
    /// # Errors
    /// Those of all methods.
    pub async fn list(&self) -> Result<Vec<RoomInfo>> {
        match self.attached()? {
            Attached::Elsewhere(remote) => remote.list().await,
            here => Ok(here.registry()?.list()),
        }
    }

    /// A ticket: the right of one account to come into this room, once, in this role, within `ttl`, in whole seconds. For rooms whose policy
    /// asks for one; the text is what the player's client joins with.
    ///
    /// # Errors
    /// `unknown_room`; `bad_request` when the account is empty or has more than 64 bytes, or `ttl` is less than a second or more than a day.
    pub async fn ticket(&self, room: &RoomId, account: &str, role: Role, ttl: Duration) -> Result<String> {
        let ttl = Duration::from_secs(ttl.as_secs());
        match self.attached()? {
            Attached::Elsewhere(remote) => remote.ticket(room, account, role, ttl).await,
            here => Ok(here.keys()?.issue(here.room(room)?.id().clone(), account, role, ttl)?.ticket),
        }
    }

    pub(crate) fn attach(&self, broker: &Broker) {
        let registry = Arc::downgrade(broker.registry());
        // An app starts once.
        let _ = self.0.set(Attached::Here { registry, keys: broker.keys().clone() });
    }

    /// The rooms of a broker whose REST is at `url`; none if there is no telling where it is.
    ///
    /// # Errors
    /// When that is no address, in words.
    pub(crate) fn attach_remote(&self, url: Option<&str>, server_key: Option<&str>) -> Result<(), String> {
        let attached = match url {
            Some(url) => Attached::Elsewhere(Remote::new(url, server_key)?),
            None => Attached::Nowhere,
        };
        let _ = self.0.set(attached);
        Ok(())
    }

    fn attached(&self) -> Result<&Attached> {
        let why = "the app has not started yet";
        self.0.get().ok_or_else(|| Failure::from(ErrorCode::Internal).because(why))
    }
}

/// Of a broker in this process.
impl Attached {
    fn registry(&self) -> Result<Arc<Registry>> {
        match self {
            Self::Here { registry, .. } => registry.upgrade().ok_or_else(|| ErrorCode::ShuttingDown.into()),
            Self::Elsewhere(_) | Self::Nowhere => Err(untold()),
        }
    }

    fn keys(&self) -> Result<&Keys> {
        match self {
            Self::Here { keys, .. } => Ok(keys),
            Self::Elsewhere(_) | Self::Nowhere => Err(untold()),
        }
    }

    fn room(&self, id: &RoomId) -> Result<Arc<RoomHandle>> {
        self.registry()?.get(id).ok_or_else(|| Failure::from(ErrorCode::UnknownRoom).with("room", id))
    }
}

fn untold() -> Failure {
    let why = "this worker was not told where its broker's REST is: --url or PARLOR_URL";
    Failure::from(ErrorCode::Internal).because(why)
}

fn payload(value: &impl Serialize) -> Result<bytes::Bytes> {
    to_payload(value).map_err(|error| Failure::from(ErrorCode::BadPayload).because(error.to_string()))
}
