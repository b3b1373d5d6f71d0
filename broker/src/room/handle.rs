//! A room as everybody outside it sees it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use parlor_protocol::frame::Role;
use parlor_protocol::policy::SameAccount;
use parlor_protocol::room::{CloseWhy, Door, WorkId};
use parlor_protocol::{Failure, RoomId, RoomNo};
use serde::Serialize;
use tokio::sync::SetOnce;

use super::aside::{Aside, SetAside};
use super::kind::Kind;
use super::queue::{Arrival, PushError, RoomQueue};
use crate::shard::ShardNo;

/// In place of a number of seats taken: nobody gets one any more.
const SEALED: u32 = u32::MAX;

/// Names a room and reaches its queue.
#[derive(Debug)]
pub struct RoomHandle {
    no: RoomNo,
    id: RoomId,
    kind: Arc<Kind>,
    /// The code with which clients may join, if the kind asks for one.
    invite: Option<String>,
    shard: ShardNo,
    queue: RoomQueue,
    listing: Mutex<Listing>,
    players: AtomicU32,
    spectators: AtomicU32,
    /// Whose seats are taken, and how many each has.
    accounts: Mutex<HashMap<String, u32>>,
    opened: SetOnce<Result<(), Failure>>,
    /// Inputs on which the handler has panicked: the newest, and how many there were.
    aside: Mutex<Aside>,
    /// A bit for each [`CloseWhy`] that waits in the queue or has been there.
    asked_to_close: AtomicU8,
}

/// What the lobby knows of a room beside its members.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// Searchable facts.
    pub properties: BTreeMap<String, serde_json::Value>,
    /// Whether newcomers may come in.
    pub door: Door,
    /// Whether only those who know the id find it.
    pub private: bool,
}

/// A room as the lobby shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoomInfo {
    /// Its public name.
    pub id: RoomId,
    /// Its kind.
    pub kind: String,
    /// Players in it or on their way in.
    pub players: u32,
    /// Seats for players.
    pub max_players: u32,
    /// Seats that are free.
    pub free: u32,
    /// Spectators in it or on their way in.
    pub spectators: u32,
    /// Places for spectators.
    pub max_spectators: u32,
    /// Whether newcomers may not come in.
    pub locked: bool,
    /// Whether only those who know the id find it.
    pub private: bool,
    /// Searchable facts.
    pub properties: BTreeMap<String, serde_json::Value>,
}

impl RoomHandle {
    pub(crate) fn new(
        no: RoomNo,
        id: RoomId,
        kind: Arc<Kind>,
        invite: Option<String>,
        shard: ShardNo,
        listing: Listing,
    ) -> Self {
        let queue = RoomQueue::new(&kind.policy);
        Self {
            no,
            id,
            invite,
            shard,
            queue,
            listing: Mutex::new(listing),
            players: AtomicU32::new(0),
            spectators: AtomicU32::new(0),
            accounts: Mutex::default(),
            opened: SetOnce::new(),
            aside: Mutex::default(),
            asked_to_close: AtomicU8::new(0),
            kind,
        }
    }

    /// Its number on the wire.
    pub fn no(&self) -> RoomNo {
        self.no
    }

    /// Its public name.
    pub fn id(&self) -> &RoomId {
        &self.id
    }

    /// Its kind.
    pub fn kind(&self) -> &Arc<Kind> {
        &self.kind
    }

    /// The code with which clients may join, if the kind asks for one.
    pub fn invite(&self) -> Option<&str> {
        self.invite.as_deref()
    }

    /// The thread that it lives on.
    pub fn shard(&self) -> ShardNo {
        self.shard
    }

    /// Members and those on their way in.
    pub fn members(&self) -> u32 {
        taken(&self.players) + taken(&self.spectators)
    }

    /// What the lobby shows.
    pub fn info(&self) -> RoomInfo {
        let listing = self.listing.lock().clone();
        let players = taken(&self.players);
        RoomInfo {
            id: self.id.clone(),
            kind: self.kind.name.to_string(),
            players,
            max_players: self.kind.policy.max_players,
            free: self.kind.policy.max_players.saturating_sub(players),
            spectators: taken(&self.spectators),
            max_spectators: self.kind.policy.max_spectators,
            locked: listing.door == Door::Locked,
            private: listing.private,
            properties: listing.properties,
        }
    }

    /// The inputs on which the room's handler has panicked.
    pub fn aside(&self) -> Aside {
        self.aside.lock().clone()
    }

    pub(crate) fn set_aside(&self, input: SetAside) {
        self.aside.lock().add(input);
    }

    /// Waits until the room's `open` handler has run.
    ///
    /// # Errors
    /// What the handler refused with; there is then no room.
    pub async fn opened(&self) -> Result<(), Failure> {
        self.opened.wait().await.clone()
    }

    /// Puts something into the room's queue.
    ///
    /// # Errors
    /// When the queue is full or the room has closed.
    pub fn push(&self, arrival: Arrival) -> Result<(), PushError> {
        self.queue.push(arrival)
    }

    /// Asks the room to close. One that has closed, or was asked for this reason before, is left alone.
    pub fn close(&self, why: CloseWhy) {
        let reason = 1 << why as u8;
        if self.asked_to_close.fetch_or(reason, Ordering::AcqRel) & reason == 0 {
            let _ = self.push(Arrival::Close(why));
        }
    }

    /// A result for a room that has closed is of use to nobody.
    pub(crate) fn work_done(&self, id: WorkId, name: String, result: Result<Bytes, Failure>) {
        let _ = self.push(Arrival::WorkDone { id, name, result });
    }

    pub(crate) fn queue(&self) -> &RoomQueue {
        &self.queue
    }

    pub(crate) fn set_opened(&self, result: Result<(), Failure>) {
        // Set once: by the first input, or by an end that came before it.
        let _ = self.opened.set(result);
    }

    pub(crate) fn listing(&self) -> &Mutex<Listing> {
        &self.listing
    }

    /// Takes a seat if there is one.
    pub(crate) fn try_seat(&self, role: Role) -> bool {
        let (taken, max) = self.seats(role);
        taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < max).then_some(n + 1)).is_ok()
    }

    /// Takes one more seat than there are, for a member's account that joins again: the room gives the older one back before it lets the
    /// newer in.
    pub(crate) fn try_seat_again(&self, role: Role, account: &str) -> bool {
        let replaces = self.kind.policy.same_account == SameAccount::Replace;
        if !replaces || self.sealed() || !self.accounts.lock().contains_key(account) {
            return false;
        }
        let (taken, _) = self.seats(role);
        taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < SEALED - 1).then_some(n + 1)).is_ok()
    }

    /// Remembers whose seats are taken, for those who join again.
    pub(crate) fn seat_taken(&self, account: &str) {
        *self.accounts.lock().entry(account.to_owned()).or_default() += 1;
    }

    /// The reverse of [`seat_taken`](Self::seat_taken).
    pub(crate) fn seat_given_back(&self, account: &str) {
        let mut accounts = self.accounts.lock();
        if let Some(count) = accounts.get_mut(account) {
            *count -= 1;
            if *count == 0 {
                accounts.remove(account);
            }
        }
    }

    /// Gives out no more seats, unless one is taken: somebody may be on the way in. A room that is sealed stays so, whatever it
    /// still has to do before it ends.
    pub(crate) fn try_seal(&self) -> bool {
        if self.sealed() {
            return true;
        }
        let seal = |taken: &AtomicU32| taken.compare_exchange(0, SEALED, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !seal(&self.players) {
            return false;
        }
        if !seal(&self.spectators) {
            self.players.store(0, Ordering::Release);
            return false;
        }
        true
    }

    pub(crate) fn unseat(&self, role: Role) {
        self.seats(role).0.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether `find_or_create` may offer the room.
    pub(crate) fn joinable(&self, role: Role) -> bool {
        let listing = self.listing.lock();
        let (taken, max) = self.seats(role);
        !listing.private && listing.door == Door::Open && taken.load(Ordering::Acquire) < max
    }

    /// Whether no seat will ever be given out again.
    pub(crate) fn sealed(&self) -> bool {
        self.players.load(Ordering::Acquire) == SEALED
    }

    fn seats(&self, role: Role) -> (&AtomicU32, u32) {
        match role {
            Role::Player => (&self.players, self.kind.policy.max_players),
            Role::Spectator => (&self.spectators, self.kind.policy.max_spectators),
        }
    }
}

fn taken(seats: &AtomicU32) -> u32 {
    match seats.load(Ordering::Relaxed) {
        SEALED => 0,
        taken => taken,
    }
}
