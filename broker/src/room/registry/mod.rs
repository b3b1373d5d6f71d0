//! The directory of rooms: makes them, finds them, hands out their seats.

mod kinds;
mod seat;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::Bytes;
use dashmap::DashMap;
use parking_lot::RwLock;
use parlor_protocol::frame::Role;
use parlor_protocol::limits::MAX_UINT;
use parlor_protocol::room::{CloseWhy, Door};
use parlor_protocol::{ErrorCode, Failure, RoomId, RoomNo};
use rand::RngExt;
use rand::distr::{Alphanumeric, SampleString};
use serde_json::Value;
use tokio::sync::Notify;

use super::actor::{self, Listed, Opening};
use super::handle::{Listing, RoomHandle, RoomInfo};
use super::invite;
use super::kind::Kind;
use super::queue::{Arrival, PushError};
use super::rollout::Versions;
use crate::config::Limits;
use crate::engine::Engine;
use crate::shard::{Lodger, Shards};
use crate::telemetry::Metrics;

pub use seat::Seat;

/// What a room is made from.
#[derive(Clone, Debug, Default)]
pub struct CreateRoom {
    /// What the `open` handler gets; nil when empty.
    pub options: Bytes,
    /// Searchable facts to begin with.
    pub properties: BTreeMap<String, Value>,
    /// Whether only those who know the id find it.
    pub private: bool,
    /// A wish for the id; a random one otherwise.
    pub id: Option<RoomId>,
    /// Whose wish it is, if an account's.
    pub account: Option<String>,
}

/// All rooms of a broker. Lookups never hold a lock while calling out.
pub struct Registry {
    rooms: DashMap<RoomId, Arc<RoomHandle>>,
    /// Rooms that are joined by a code.
    invites: DashMap<String, RoomId>,
    kinds: RwLock<HashMap<Arc<str>, Versions>>,
    engine: Arc<dyn Engine>,
    shards: Arc<Shards>,
    metrics: Metrics,
    limits: Limits,
    next_no: AtomicU32,
    draining: AtomicBool,
    /// Whether there are, or will be, workers that offer kinds.
    has_workers: bool,
    gone: Notify,
}

/// Rooms by age, oldest first.
type Rooms = BTreeMap<RoomNo, Arc<RoomHandle>>;

/// Rooms of a kind that somebody may be offered a seat in.
#[derive(Default)]
pub(super) struct Joinable {
    players: HashMap<MatchKey, Rooms>,
    /// Rooms that may take another spectator; these need not agree on anything.
    spectators: Rooms,
}

/// The values of the policy's `match_by` fields, as canonical JSON.
type MatchKey = String;

impl Registry {
    /// An empty directory for these kinds.
    pub fn new(
        kinds: Vec<Kind>,
        engine: Arc<dyn Engine>,
        shards: Arc<Shards>,
        metrics: Metrics,
        limits: Limits,
    ) -> Self {
        let kinds = kinds.into_iter().map(|kind| (kind.name.clone(), Versions::of(kind))).collect();
        let next_no = AtomicU32::new(0);
        let (rooms, draining, gone) = (DashMap::new(), AtomicBool::new(false), Notify::new());
        Self {
            rooms,
            invites: DashMap::new(),
            kinds: RwLock::new(kinds),
            engine,
            shards,
            metrics,
            limits,
            next_no,
            draining,
            has_workers: false,
            gone,
        }
    }

    /// The same for a broker whose workers bring kinds.
    pub(crate) fn with_workers(self) -> Self {
        Self { has_workers: true, ..self }
    }

    /// A seat in an open room of the kind that agrees with the options, or in a new one. Two callers at once get seats in one room.
    ///
    /// # Errors
    /// `unknown_kind`, `server_full`; `unknown_room` for a spectator when there is nothing to watch.
    pub fn find_or_create(
        self: &Arc<Self>,
        kind: &str,
        role: Role,
        options: &Bytes,
        account: &str,
    ) -> Result<Seat, Failure> {
        let kind = self.kind(kind, Some(account))?;
        let agreed = agreed(&kind, options)?;
        let key = match_key(&kind, &agreed);
        let mut joinable = kind.joinable.lock();
        let candidates = match role {
            Role::Player => joinable.players.get(&key),
            Role::Spectator => Some(&joinable.spectators),
        };
        let found = candidates.and_then(|rooms| rooms.values().find_map(|room| self.take(room, role)));
        if let Some(seat) = found {
            self.relist_in(&kind, &mut joinable, seat.room());
            return Ok(seat);
        }
        if role == Role::Spectator {
            return Err(ErrorCode::UnknownRoom.into());
        }
        let wish = CreateRoom { options: options.clone(), properties: agreed, ..CreateRoom::default() };
        let (room, opening) = self.prepare(&kind, wish)?;
        let seat = self.take(&room, role);
        self.relist_in(&kind, &mut joinable, &room);
        drop(joinable);
        self.launch(&room, opening);
        seat.ok_or_else(|| ErrorCode::RoomFull.into())
    }

    /// Opens a room. Its `open` handler has not run yet when this returns: see [`RoomHandle::opened`].
    ///
    /// # Errors
    /// `unknown_kind`, `server_full`, `bad_request` when the wished id is taken.
    pub fn create(self: &Arc<Self>, kind: &str, mut wish: CreateRoom) -> Result<Arc<RoomHandle>, Failure> {
        let kind = self.kind(kind, wish.account.as_deref())?;
        let mut properties = agreed(&kind, &wish.options)?;
        properties.append(&mut wish.properties);
        wish.properties = properties;
        let (room, opening) = self.prepare(&kind, wish)?;
        self.relist(&room);
        self.launch(&room, opening);
        Ok(room)
    }

    /// A seat in this room. An account that has one already gets another even if the room is full: it will lose the first.
    ///
    /// # Errors
    /// `room_full`; `room_closed` when it is about to end for want of members.
    pub fn seat(self: &Arc<Self>, room: &Arc<RoomHandle>, role: Role, account: &str) -> Result<Seat, Failure> {
        let full = || if room.sealed() { ErrorCode::RoomClosed } else { ErrorCode::RoomFull };
        let again = || room.try_seat_again(role, account).then(|| self.seated(room, role));
        let seat = self.take(room, role).or_else(again).ok_or_else(|| Failure::from(full()))?;
        self.relist(room);
        Ok(seat)
    }

    /// The room of this id.
    pub fn get(&self, id: &RoomId) -> Option<Arc<RoomHandle>> {
        self.rooms.get(id).map(|room| room.clone())
    }

    /// The room that has this invite code. Case, spaces and dashes do not matter.
    pub fn invited(&self, code: &str) -> Option<Arc<RoomHandle>> {
        let id = self.invites.get(&invite::plain(code)).map(|id| id.clone())?;
        self.get(&id)
    }

    /// Raises an event in a room from the server side.
    ///
    /// # Errors
    /// `unknown_type` when its kind has no such event, `queue_full`, `room_closed`.
    pub fn raise(&self, room: &RoomHandle, event: &str, payload: Bytes) -> Result<(), Failure> {
        if !room.kind().has_event(event) {
            let failure = Failure::from(ErrorCode::UnknownType).because("the room has no such event");
            return Err(failure.with("event", event));
        }
        room.push(Arrival::Event { name: event.into(), payload }).map_err(|error| {
            if error == PushError::Full {
                self.metrics.queue_full.inc();
            }
            ErrorCode::from(error).into()
        })
    }

    /// Rooms of which `wanted` is true.
    pub fn find(&self, wanted: impl Fn(&RoomHandle) -> bool) -> Vec<Arc<RoomHandle>> {
        self.rooms.iter().filter(|room| wanted(room)).map(|room| room.clone()).collect()
    }

    /// What the lobby shows of all rooms that are not private, oldest first.
    pub fn list(&self) -> Vec<RoomInfo> {
        let mut rooms = self.find(|room| !room.listing().lock().private);
        rooms.sort_unstable_by_key(|room| room.no());
        rooms.iter().map(|room| room.info()).collect()
    }

    /// Rooms that are open.
    pub fn len(&self) -> usize {
        self.rooms.len()
    }

    /// Whether no room is open.
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// Asks all rooms to close, and opens no more.
    pub fn shut_down(&self) {
        self.draining.store(true, Ordering::SeqCst);
        for room in self.find(|_| true) {
            room.close(CloseWhy::ShuttingDown);
        }
    }

    /// Waits until no room is open.
    pub async fn empty(&self) {
        loop {
            let gone = self.gone.notified();
            if self.is_empty() {
                return;
            }
            gone.await;
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Brings the index of joinable rooms in line with a room whose seats, door or properties have changed.
    pub(crate) fn relist(&self, room: &Arc<RoomHandle>) {
        self.in_index(room, |kind, joinable| self.relist_in(kind, joinable, room));
    }

    /// Does something with the index in which a room is listed, if it is. The room does not move meanwhile.
    fn in_index(&self, room: &RoomHandle, act: impl FnOnce(&Kind, &mut Joinable)) {
        loop {
            let kind = room.kind();
            let mut joinable = kind.joinable.lock();
            // It may have moved before there was the lock.
            if Arc::ptr_eq(&room.kind(), &kind) {
                return act(&kind, &mut joinable);
            }
        }
    }

    /// The key is made under the lock: one made before could be out of date by the time that the room is listed under it.
    fn relist_in(&self, kind: &Kind, joinable: &mut Joinable, room: &Arc<RoomHandle>) {
        let key = match_key(kind, &room.listing().lock().properties);
        let open = self.rooms.contains_key(room.id());
        if open && room.joinable(Role::Player) {
            joinable.players.entry(key).or_default().entry(room.no()).or_insert_with(|| room.clone());
        } else {
            joinable.unlist(&key, room.no());
        }
        if open && room.joinable(Role::Spectator) {
            joinable.spectators.entry(room.no()).or_insert_with(|| room.clone());
        } else {
            joinable.spectators.remove(&room.no());
        }
    }

    /// Takes a changed listing over, under the old key and the new.
    pub(crate) fn update(&self, room: &Arc<RoomHandle>, properties: BTreeMap<String, Value>, door: Door) {
        self.in_index(room, |kind, joinable| {
            let before = match_key(kind, &room.listing().lock().properties);
            {
                let mut listing = room.listing().lock();
                (listing.properties, listing.door) = (properties, door);
            }
            joinable.unlist(&before, room.no());
            self.relist_in(kind, joinable, room);
        });
    }

    /// Forgets a room that has closed.
    pub(crate) fn remove(&self, room: &Arc<RoomHandle>) {
        // By now another room may have taken the id.
        self.rooms.remove_if(room.id(), |_, found| found.no() == room.no());
        room.invite().map(|code| self.invites.remove(&invite::plain(code)));
        room.listing().lock().door = Door::Locked;
        self.relist(room);
        self.metrics.rooms.dec();
        self.gone.notify_waiters();
    }

    /// A room in the directory whose actor does not run yet.
    fn prepare(&self, kind: &Arc<Kind>, wish: CreateRoom) -> Result<(Arc<RoomHandle>, Opening), Failure> {
        if self.draining.load(Ordering::SeqCst) {
            return Err(ErrorCode::ShuttingDown.into());
        }
        if self.rooms.len() >= self.limits.rooms {
            return Err(ErrorCode::ServerFull.into());
        }
        let id = wish.id.unwrap_or_else(random_id);
        let taken =
            |_| Failure::from(ErrorCode::BadRequest).because("a room of this id is open").with("id", id.as_str());
        let claim = self.engine.claim(&id).map_err(taken)?;
        let listing = Listing { properties: wish.properties, door: Door::Open, private: wish.private };
        let no = RoomNo(self.next_no.fetch_add(1, Ordering::Relaxed));
        let code = invite::code_for(&kind.policy);
        let shard = self.shards.next(Lodger::Room);
        let room = Arc::new(RoomHandle::new(no, id, kind.clone(), code, shard, listing));
        self.rooms.insert(room.id().clone(), room.clone());
        if let Some(code) = room.invite() {
            self.invites.insert(invite::plain(code), room.id().clone());
        }
        if self.draining.load(Ordering::SeqCst) {
            // It may have come in behind the look at all rooms.
            room.close(CloseWhy::ShuttingDown);
        }
        // So may this.
        self.guide(&room);
        self.metrics.rooms.inc();
        self.metrics.rooms_opened.inc();
        let options = if wish.options.is_empty() { parlor_protocol::codec::NIL } else { wish.options };
        Ok((room, Opening { options, seed: rand::rng().random_range(0..=MAX_UINT), claim }))
    }

    /// Starts the room's actor. Not to be called under a lock: a shard that has stopped gives the room up on the spot.
    fn launch(self: &Arc<Self>, room: &Arc<RoomHandle>, opening: Opening) {
        let listed = Listed { room: room.clone(), registry: self.clone() };
        self.shards.runtime(room.shard()).spawn(actor::run(listed, opening));
    }

    fn take(self: &Arc<Self>, room: &Arc<RoomHandle>, role: Role) -> Option<Seat> {
        room.try_seat(role).then(|| self.seated(room, role))
    }

    fn seated(self: &Arc<Self>, room: &Arc<RoomHandle>, role: Role) -> Seat {
        self.metrics.members.inc();
        Seat::new(room.clone(), role, Arc::downgrade(self))
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("rooms", &self.rooms.len()).finish_non_exhaustive()
    }
}

/// The fields of the options that the kind matches by. Options that are no map agree with everything.
///
/// # Errors
/// `bad_payload` when they are larger than a property that a client chooses may be.
fn agreed(kind: &Kind, options: &[u8]) -> Result<BTreeMap<String, Value>, Failure> {
    const MAX_BYTES: usize = 256;
    if kind.policy.match_by.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut given: BTreeMap<String, Value> = rmp_serde::from_slice(options).unwrap_or_default();
    given.retain(|name, _| kind.policy.match_by.contains(name));
    match given.iter().find(|(_, value)| value.to_string().len() > MAX_BYTES) {
        Some((name, _)) => {
            let text = format!("`{name}` is what rooms are found by, and has at most {MAX_BYTES} bytes");
            Err(Failure::from(ErrorCode::BadPayload).because(text).with("field", name))
        }
        None => Ok(given),
    }
}

fn match_key(kind: &Kind, properties: &BTreeMap<String, Value>) -> MatchKey {
    let values: Vec<_> = kind.policy.match_by.iter().map(|name| properties.get(name)).collect();
    serde_json::to_string(&values).unwrap_or_default()
}

impl Joinable {
    fn unlist(&mut self, key: &MatchKey, no: RoomNo) {
        if let Some(rooms) = self.players.get_mut(key) {
            rooms.remove(&no);
            if rooms.is_empty() {
                self.players.remove(key);
            }
        }
    }
}

/// Twelve characters: enough (71 bits) that nobody finds a private room by trying.
fn random_id() -> RoomId {
    let text = Alphanumeric.sample_string(&mut rand::rng(), 12);
    RoomId::parse(&text).expect("alphanumeric and of fitting length")
}
