//! Seats in rooms, as those have them who are in, or on their way in.

use std::sync::{Arc, Weak};

use parlor_protocol::ErrorCode;
use parlor_protocol::frame::Role;

use super::Registry;
use crate::room::handle::RoomHandle;

/// A seat that is held. Dropping it frees it.
#[derive(Debug)]
pub struct Seat {
    room: Arc<RoomHandle>,
    role: Role,
    /// Whose it is, if that account may take it over.
    account: Option<String>,
    registry: Weak<Registry>,
}

impl Seat {
    pub(super) fn new(room: Arc<RoomHandle>, role: Role, registry: Weak<Registry>) -> Self {
        Self { room, role, account: None, registry }
    }

    /// The room that it is in.
    pub fn room(&self) -> &Arc<RoomHandle> {
        &self.room
    }

    /// Whose kind of seat it is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Lets this account, and no other, take a seat in its place when the room is full.
    pub(crate) fn hold(&mut self, account: &str) {
        self.room.seat_taken(account);
        self.account = Some(account.to_owned());
    }

    /// Counts an error that its holder is told.
    pub(crate) fn count(&self, code: ErrorCode) {
        if let Some(registry) = self.registry.upgrade() {
            registry.metrics.error(code);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.unseat(self.role);
        self.account.iter().for_each(|account| self.room.seat_given_back(account));
        if let Some(registry) = self.registry.upgrade() {
            registry.metrics.members.dec();
            registry.relist(&self.room);
        }
    }
}
