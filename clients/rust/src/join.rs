//! Which room to join, and as what.

use std::fmt::Display;

use bytes::Bytes;
use parlor_protocol::codec::NIL;
use parlor_protocol::frame::{Join, JoinMode, Role};
use serde::Serialize;

use crate::error::ClientError;
use crate::member::short;
use crate::payload;

/// A request to join a room; see [`Parlor::join`](crate::Parlor::join).
#[derive(Debug)]
#[must_use = "a request does nothing until it is given to Parlor::join"]
pub struct JoinRequest {
    join: Join,
    options: Result<Bytes, ClientError>,
}

impl JoinRequest {
    /// An open room of the kind, or else a new one.
    pub fn find_or_create(kind: impl Into<String>) -> Self {
        Self::new(Join { kind: Some(kind.into()), ..by(JoinMode::FindOrCreate) })
    }

    /// Always a new room.
    pub fn create(kind: impl Into<String>) -> Self {
        Self::new(Join { kind: Some(kind.into()), ..by(JoinMode::Create) })
    }

    /// The room with this id (see [`Room::id`](crate::Room::id)).
    pub fn by_id(id: impl Display) -> Self {
        Self::new(Join { room: Some(id.to_string()), ..by(JoinMode::Id) })
    }

    /// The room with this invite code (see [`Room::invite`](crate::Room::invite)).
    pub fn by_invite(code: impl Into<String>) -> Self {
        Self::new(Join { invite: Some(code.into()), ..by(JoinMode::Invite) })
    }

    /// The room that this ticket is for. The game's backend gets tickets from the lobby; each can be used once.
    pub fn by_ticket(ticket: impl Into<String>) -> Self {
        Self::new(Join { ticket: Some(ticket.into()), ..by(JoinMode::Ticket) })
    }

    /// As a player (the default) or a spectator, who sees what is broadcast and sends nothing.
    pub fn role(mut self, role: Role) -> Self {
        self.join.role = role;
        self
    }

    /// Hides a room that is created from lists and from those who find or create.
    pub fn private(mut self) -> Self {
        self.join.private = true;
        self
    }

    /// What the game's `open` and `join` handlers get. Nothing by default.
    pub fn options(mut self, options: &(impl Serialize + ?Sized)) -> Self {
        self.options = payload(options);
        self
    }

    fn new(join: Join) -> Self {
        Self { join, options: Ok(NIL) }
    }

    /// The parts of the frame, checked as far as a client can.
    pub(crate) fn into_parts(self) -> Result<(Join, Bytes), ClientError> {
        short("the room kind", self.join.kind.as_deref().unwrap_or_default())?;
        short("the room id", self.join.room.as_deref().unwrap_or_default())?;
        short("the invite code", self.join.invite.as_deref().unwrap_or_default())?;
        Ok((self.join, self.options?))
    }
}

/// A join that says nothing but its mode.
fn by(mode: JoinMode) -> Join {
    Join { mode, kind: None, invite: None, ticket: None, room: None, role: Role::Player, private: false }
}
