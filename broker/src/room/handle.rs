//! A room as everybody outside it sees it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use parlor_protocol::frame::{Role, TypeRef};
use parlor_protocol::policy::SameAccount;
use parlor_protocol::room::{CloseWhy, Door, WorkId};
use parlor_protocol::{ErrorCode, Failure, RoomId, RoomNo};
use serde::{Deserialize, Serialize};
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
    kind: RwLock<Arc<Kind>>,
    /// The version that opened it: its routes are the types that clients may say by number.
    opened_as: Arc<Kind>,
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
    /// Whether the handler has failed, in the present version.
    failed: AtomicBool,
    /// Which of its version's rooms it is, from 1, in the order in which they were opened or moved there.
    ordinal: AtomicU64,
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
            failed: AtomicBool::new(false),
            ordinal: AtomicU64::new(kind.count_opened()),
            kind: RwLock::new(kind.clone()),
            opened_as: kind,
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

    /// Its kind, in the version of which it is now.
    pub fn kind(&self) -> Arc<Kind> {
        self.kind.read().clone()
    }

    /// Makes it one of another version.
    pub(super) fn set_kind(&self, kind: Arc<Kind>) {
        self.queue.set_bounds(&kind.policy);
        // Whatever has failed, has failed in the version before.
        self.failed.store(false, Ordering::Release);
        self.ordinal.store(kind.count_opened(), Ordering::Release);
        *self.kind.write() = kind;
    }

    /// The message type that a client means, and how many messages of one member may wait. A name is one of the present version; a number is
    /// one of those that the client was told when it came in, and names the same type for as long as the room lives.
    ///
    /// # Errors
    /// As for [`Kind::resolve`].
    pub(crate) fn resolve(&self, type_: &TypeRef) -> Result<(Arc<str>, u32), ErrorCode> {
        // Looked at once for both: it is for every message.
        let kind = self.kind.read();
        let name = match type_ {
            TypeRef::Number(number) if !Arc::ptr_eq(&kind, &self.opened_as) => {
                let told = self.opened_as.routes().get(*number as usize).ok_or(ErrorCode::UnknownType)?;
                kind.resolve(&TypeRef::Name(told.to_string()))
            }
            _ => kind.resolve(type_),
        };
        Ok((name?, kind.policy.member_queue_len))
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
        let (players, kind) = (taken(&self.players), self.kind());
        RoomInfo {
            id: self.id.clone(),
            kind: kind.name.to_string(),
            players,
            max_players: kind.policy.max_players,
            free: kind.policy.max_players.saturating_sub(players),
            spectators: taken(&self.spectators),
            max_spectators: kind.policy.max_spectators,
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

    pub(crate) fn ordinal(&self) -> u64 {
        self.ordinal.load(Ordering::Acquire)
    }

    /// Notes that the handler has failed; whether that is the first time.
    pub(crate) fn note_failure(&self) -> bool {
        !self.failed.swap(true, Ordering::AcqRel)
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
        let _ = self.push(Arrival::WorkDone { id, name, result: result.map_err(Box::new) });
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
        let replaces = self.kind.read().policy.same_account == SameAccount::Replace;
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
        let kind = self.kind.read();
        match role {
            Role::Player => (&self.players, kind.policy.max_players),
            Role::Spectator => (&self.spectators, kind.policy.max_spectators),
        }
    }
}

fn taken(seats: &AtomicU32) -> u32 {
    match seats.load(Ordering::Relaxed) {
        SEALED => 0,
        taken => taken,
    }
}

#[cfg(test)]
mod tests {
    use parlor_protocol::Policy;

    use super::*;
    use crate::host::{Begin, HostMaker, Making, MayFail};

    struct Nobody;

    impl HostMaker for Nobody {
        fn make(&self, _: &RoomId, _: Begin) -> Making {
            Box::pin(std::future::ready(Err(ErrorCode::NoWorker.into())))
        }

        fn may_fail(&self) -> MayFail {
            MayFail::Dies
        }
    }

    fn kind(routes: &[&str], max_players: u32) -> Arc<Kind> {
        let policy = Policy { max_players, ..Policy::default() };
        Arc::new(Kind::new("k", policy, routes, &["rang"], Box::new(Nobody)))
    }

    #[test]
    fn a_number_names_the_same_type_in_every_version() {
        let listing = Listing { properties: BTreeMap::new(), door: Door::Open, private: false };
        let id = RoomId::parse("r").unwrap();
        let room = RoomHandle::new(RoomNo(1), id, kind(&["buy", "move", "say"], 1), None, ShardNo(0), listing);
        let taken = |type_| room.resolve(&type_).map(|(name, _)| name.to_string());
        let (number, name) = (|n| taken(TypeRef::Number(n)), |name: &str| taken(TypeRef::Name(name.into())));
        assert_eq!((number(1), name("say")), (Ok("move".into()), Ok("say".into())));
        assert!(room.try_seat(Role::Player) && !room.try_seat(Role::Player));
        room.note_failure();
        room.set_kind(kind(&["dance", "say", "buy", "shout"], 2));
        assert_eq!((number(0), number(2)), (Ok("buy".into()), Ok("say".into())));
        assert_eq!((number(1), name("move")), (Err(ErrorCode::UnknownType), Err(ErrorCode::UnknownType)), "it is gone");
        assert_eq!((number(3), name("shout")), (Err(ErrorCode::UnknownType), Ok("shout".into())), "nobody was told 3");
        assert_eq!(name("rang"), Err(ErrorCode::EventOnly));
        assert!(room.try_seat(Role::Player) && !room.try_seat(Role::Player), "the new policy");
        assert!(room.note_failure(), "the first time in this version");
    }
}
