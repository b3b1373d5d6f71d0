//! Kinds and their versions: what is known, what is offered, and which version a new room is of.

use std::sync::Arc;

use parlor_protocol::{ErrorCode, Failure};
use tracing::{error, info};

use super::{Registry, match_key};
use crate::room::rollout::{KindInfo, OpenRooms};
use crate::room::{Arrival, Kind, RoomHandle};

impl Registry {
    /// The kind of this name, in the version that is for this account: the one that an operator has chosen, or else the oldest that
    /// somebody offers now.
    ///
    /// # Errors
    /// `unknown_kind`; `no_worker` where one may still come that knows it.
    pub fn kind(&self, name: &str, account: Option<&str>) -> Result<Arc<Kind>, Failure> {
        let kinds = self.kinds.read();
        kinds.get(name).and_then(|versions| versions.choose(account)).cloned().ok_or_else(|| self.unknown(name))
    }

    /// Takes in a kind that a worker offers. One that is known in this version must be the same.
    ///
    /// # Errors
    /// In one line, when it is not, or when the kind is one that needs no worker.
    pub(crate) fn offer(&self, kind: Kind) -> Result<(), String> {
        let (name, version) = (kind.name.clone(), kind.version.clone());
        let mut kinds = self.kinds.write();
        let versions = kinds.entry(name.clone()).or_default();
        if versions.known().iter().any(|known| known.maker().workers().is_none()) {
            return Err(format!("rooms of the kind `{name}` are run by the broker itself"));
        }
        match versions.known().iter().find(|known| known.version == version) {
            Some(known) if known.is_like(&kind) => {}
            Some(_) => {
                return Err(format!("version `{version}` of `{name}` is known with another policy or other types"));
            }
            None => versions.add(kind, |known| self.count(known)),
        }
        Ok(())
    }

    /// All kinds, by name.
    pub fn kinds(&self) -> Vec<KindInfo> {
        let kinds = self.kinds.read();
        let mut kinds: Vec<_> = kinds.values().filter_map(|versions| versions.info(|kind| self.count(kind))).collect();
        kinds.sort_unstable_by(|a, b| a.kind.cmp(&b.kind));
        kinds
    }

    /// One kind.
    ///
    /// # Errors
    /// `unknown_kind`.
    pub fn kind_info(&self, name: &str) -> Result<KindInfo, Failure> {
        let kinds = self.kinds.read();
        let info = kinds.get(name).and_then(|versions| versions.info(|kind| self.count(kind)));
        info.ok_or_else(|| Failure::from(ErrorCode::UnknownKind).with("kind", name))
    }

    /// Sends so many percent of the accounts that open rooms to a version of a kind, the others to where all went before. Rooms that are
    /// open and are to move do so each by itself, soon.
    ///
    /// # Errors
    /// `unknown_kind`; `bad_request` when nobody has offered that version yet, or a part of the rooms that are open would have to move.
    pub(crate) fn roll_out(&self, name: &str, to: &str, percent: u8, open_rooms: OpenRooms) -> Result<(), Failure> {
        let mut kinds = self.kinds.write();
        let unknown = || Failure::from(ErrorCode::UnknownKind).with("kind", name);
        let versions = kinds.get_mut(name).ok_or_else(unknown)?;
        if versions.known().iter().any(|kind| kind.maker().workers().is_none()) {
            let why = "its handlers run in the broker's own program, in one version";
            return Err(Failure::from(ErrorCode::BadRequest).because(why).with("kind", name));
        }
        let bad = |why| Failure::from(ErrorCode::BadRequest).because(why).with("version", to);
        versions.roll_out(to, percent, open_rooms).map_err(bad)?;
        info!(kind = name, to, percent, ?open_rooms, "new rooms are of this version");
        drop(kinds);
        self.find(|room| *room.kind().name == *name).iter().for_each(|room| self.guide(room));
        Ok(())
    }

    /// Asks a room to move if it is to go on in another version.
    pub(super) fn guide(&self, room: &RoomHandle) {
        if self.course_of(&room.kind()).is_some() {
            // One that has closed meanwhile need not.
            let _ = room.push(Arrival::Move);
        }
    }

    /// In which version a room of this kind is to go on, if not in its own.
    pub(crate) fn course_of(&self, kind: &Arc<Kind>) -> Option<Arc<Kind>> {
        self.kinds.read().get(&kind.name).and_then(|versions| versions.moves(kind)).cloned()
    }

    /// A room goes on in another version: it counts there, and is found there.
    pub(crate) fn moved(&self, room: &Arc<RoomHandle>, to: &Arc<Kind>) {
        let from = room.kind();
        {
            // Who looks for a room in the version before finds it there, or does not, but never half.
            let mut joinable = from.joinable.lock();
            let key = match_key(&from, &room.listing().lock().properties);
            joinable.unlist(&key, room.no());
            joinable.spectators.remove(&room.no());
            room.set_kind(to.clone());
        }
        self.relist(room);
        self.metrics.rooms_moved.inc();
        // Somebody may have decided otherwise while it moved.
        self.guide(room);
    }

    /// A room's handler has failed for the first time. Too many of those, and new rooms are of the version before again.
    pub(crate) fn handler_failed(&self, room: &RoomHandle) {
        let kind = room.kind();
        kind.failed.inc();
        let left = self.kinds.write().get_mut(&kind.name).and_then(|versions| versions.judge(&kind, room.ordinal()));
        if let Some(left) = left {
            self.metrics.rollouts_left.inc();
            error!(kind = %kind.name, version = %left.version, why = left.why, "new rooms are of the version before again");
            self.find(|room| Arc::ptr_eq(&room.kind(), &kind)).iter().for_each(|room| self.guide(room));
        }
    }

    fn unknown(&self, kind: &str) -> Failure {
        let code = if self.has_workers { ErrorCode::NoWorker } else { ErrorCode::UnknownKind };
        Failure::from(code).with("kind", kind)
    }

    fn count(&self, kind: &Arc<Kind>) -> usize {
        self.rooms.iter().filter(|room| Arc::ptr_eq(&room.kind(), kind)).count()
    }
}
