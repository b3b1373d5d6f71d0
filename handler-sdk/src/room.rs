//! The trait that `#[room]` fills in, and that can be written by hand.

use std::time::Duration;

use bytes::Bytes;
use ref_cast::RefCast;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::work::WorkFn;
use crate::{CloseWhy, Ctx, Failure, Leave, Origin, Player, Policy, Result, WorkId};

/// A room's state and what happens to it. `#[room]` writes this; by hand it does just as well.
///
/// A handler must be deterministic: its state and outputs may depend on its inputs and its [`Ctx`] alone. No clocks, no
/// random numbers of its own, no iteration over a `HashMap`; [`parlor::testing`](crate::testing) finds what was missed.
/// An `Err` discards the outputs of that input and leaves the state as the handler left it: validate first, then change.
pub trait Room: Default + Serialize + DeserializeOwned + Send + 'static {
    /// The kind that clients ask for.
    const KIND: &'static str;
    /// The message types that clients may send.
    const ROUTES: &'static [&'static str] = &[];
    /// The message types that only the server side produces.
    const EVENTS: &'static [&'static str] = &[];

    /// How rooms of this kind behave.
    fn policy() -> Policy {
        Policy::default()
    }

    /// The outside work that handlers may ask for.
    fn works() -> Vec<WorkFn> {
        Vec::new()
    }

    /// The room begins: input 1. `Err` means that there will be no room.
    #[allow(unused_variables)]
    fn on_open(&mut self, ctx: &mut Ctx, options: &Payload) -> Result {
        Ok(())
    }

    /// Somebody wants in. `Err` refuses.
    #[allow(unused_variables)]
    fn on_join(&mut self, ctx: &mut Ctx, player: &Player, options: &Payload) -> Result {
        Ok(())
    }

    /// A member has lost its connection. It stays a member, and its seat is kept for the policy's `resume`; then either
    /// [`on_resume`](Self::on_resume) comes, or [`on_leave`](Self::on_leave).
    #[allow(unused_variables)]
    fn on_drop(&mut self, ctx: &mut Ctx, player: &Player) -> Result {
        Ok(())
    }

    /// A member that had lost its connection is back.
    #[allow(unused_variables)]
    fn on_resume(&mut self, ctx: &mut Ctx, player: &Player) -> Result {
        Ok(())
    }

    /// A member is gone; its seat is free again.
    #[allow(unused_variables)]
    fn on_leave(&mut self, ctx: &mut Ctx, player: &Player, why: Leave) -> Result {
        Ok(())
    }

    /// The room is to be closed from outside. It may end itself with [`Ctx::close`] now, or within `grace`.
    #[allow(unused_variables)]
    fn on_close(&mut self, ctx: &mut Ctx, why: CloseWhy, grace: Duration) -> Result {
        Ok(())
    }

    /// A client says something. Only types in [`ROUTES`](Self::ROUTES) come here.
    ///
    /// # Errors
    /// What the sender is to be told.
    fn on_message(&mut self, ctx: &mut Ctx, from: Origin, route: &str, payload: &Payload) -> Result;

    /// The server side says something: a timer, REST, another room. Only types in [`EVENTS`](Self::EVENTS) come here.
    #[allow(unused_variables)]
    fn on_event(&mut self, ctx: &mut Ctx, event: &str, payload: &Payload) -> Result {
        Ok(())
    }

    /// Work that was asked for with [`Ctx::run`] has ended.
    #[allow(unused_variables)]
    fn on_work(&mut self, ctx: &mut Ctx, id: WorkId, work: &str, result: Result<Payload>) -> Result {
        Ok(())
    }

    /// The clock ticked; `dt` has passed since the tick before.
    #[allow(unused_variables)]
    fn on_tick(&mut self, ctx: &mut Ctx, dt: Duration) -> Result {
        Ok(())
    }

    /// What a player gets to see on joining, and when it has missed too much; encoded, nil when there is nothing.
    ///
    /// # Errors
    /// When the view cannot be encoded.
    #[allow(unused_variables)]
    fn on_view(&self, to: &Player) -> Result<Option<Bytes>> {
        Ok(None)
    }

    /// The room as it goes on in this version of the game, from the state that another version has saved. Unless this says otherwise, that is
    /// read as if it were this version's own, so that fields that are new need no more than a default.
    ///
    /// # Errors
    /// When it cannot be read. The room then stays in the other version.
    #[allow(unused_variables)]
    fn from_version(version: &str, state: &Payload) -> Result<Self> {
        state.decode()
    }

    /// The state as an older version of the game would have saved it, so that the room can go back to it. None for a version that reads this
    /// one's states as they are, or that this one does not know: a newer one, for instance.
    ///
    /// # Errors
    /// When that version has no such state. The room then stays in this version.
    #[allow(unused_variables)]
    fn for_version(&self, version: &str) -> Result<Option<Payload>> {
        Ok(None)
    }
}

/// A MessagePack payload that has not been decoded yet.
// Of a message it is a view: a clone would cost an allocation each time.
#[derive(Clone, Debug, PartialEq, RefCast)]
#[repr(transparent)]
pub struct Payload(pub Bytes);

impl Payload {
    /// Decodes the payload. Nil also does for a structure all of whose fields have defaults.
    ///
    /// # Errors
    /// `bad_payload`, with the path of the offending field in the parameter `field`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        const EMPTY_MAP: &[u8] = &[0x80];
        match rmp_serde::from_slice(&self.0) {
            Ok(value) => Ok(value),
            Err(_) if self.0.as_ref() == [0xc0] => {
                rmp_serde::from_slice(EMPTY_MAP).map_err(|_| bad_payload::<T>(EMPTY_MAP))
            }
            Err(_) => Err(bad_payload::<T>(&self.0)),
        }
    }
}

/// Decodes once more, slowly, to learn where it goes wrong.
fn bad_payload<T: DeserializeOwned>(bytes: &[u8]) -> Failure {
    let code = parlor_protocol::ErrorCode::BadPayload;
    let mut from = rmp_serde::Deserializer::from_read_ref(bytes);
    match serde_path_to_error::deserialize::<_, T>(&mut from) {
        Ok(_) => code.into(),
        Err(error) => {
            let path = error.path().to_string();
            let reason = error.inner().to_string();
            // serde names a missing field in its text only: the path ends at the structure around it.
            let missing = reason.split_once("missing field `").and_then(|(_, rest)| rest.split('`').next());
            let field = match (path.as_str(), missing) {
                (".", Some(name)) => name.to_owned(),
                (path, Some(name)) => format!("{path}.{name}"),
                (path, None) => path.to_owned(),
            };
            Failure::from(code).because(format!("field `{field}`: {reason}")).with("field", field)
        }
    }
}
