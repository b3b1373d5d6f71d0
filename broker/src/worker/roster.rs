//! One worker as rooms and the fleet see it: what it can run, how much of it, and the desks of the rooms that it has.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use parking_lot::Mutex;
use parlor_protocol::worker::{Hello, WorkerRoom};

use super::desk::Desk;
use super::line::Line;
use crate::host::Owing;

/// A worker that was let in.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) no: u64,
    pub(super) name: String,
    pub(super) version: Arc<str>,
    kinds: HashSet<String>,
    capacity: u32,
    rooms: AtomicU32,
    draining: AtomicBool,
    pub(super) line: Line,
    /// `None` once the connection has ended.
    desks: Mutex<Option<HashMap<WorkerRoom, Arc<Desk>>>>,
    next_room: AtomicU32,
    /// Answers that it owes.
    owed: AtomicUsize,
}

impl Worker {
    pub(super) fn new(no: u64, hello: &Hello) -> Self {
        Self {
            no,
            name: hello.name.clone(),
            version: hello.version.as_str().into(),
            kinds: hello.kinds.iter().map(|kind| kind.name.clone()).collect(),
            capacity: hello.capacity,
            rooms: AtomicU32::new(0),
            draining: AtomicBool::new(false),
            line: Line::default(),
            desks: Mutex::new(Some(HashMap::new())),
            next_room: AtomicU32::new(0),
            owed: AtomicUsize::new(0),
        }
    }

    /// Rooms that it may take besides, of this kind in this version; 0 when it takes none.
    pub(super) fn free(&self, kind: &str, version: &str) -> u32 {
        if !self.offers(kind, version) {
            return 0;
        }
        self.capacity.saturating_sub(self.rooms.load(Ordering::Acquire))
    }

    /// Whether it takes rooms of this kind in this version, if it has place for them.
    pub(super) fn offers(&self, kind: &str, version: &str) -> bool {
        *self.version == *version && self.kinds.contains(kind) && !self.is_draining()
    }

    /// Takes a room's place, if there is one.
    pub(super) fn try_take(&self) -> bool {
        let room = |rooms: u32| (rooms < self.capacity).then_some(rooms + 1);
        self.rooms.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).is_ok()
    }

    pub(super) fn give_back(&self) {
        self.rooms.fetch_sub(1, Ordering::AcqRel);
    }

    pub(super) fn rooms(&self) -> u32 {
        self.rooms.load(Ordering::Acquire)
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Takes no more rooms, and asks those that it has to leave.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        let desks: Vec<_> = self.desks.lock().iter().flat_map(HashMap::values).cloned().collect();
        desks.iter().for_each(|desk| desk.part());
    }

    /// Gives a room a desk. It is gone from the beginning if the connection has ended meanwhile.
    pub(super) fn enlist(&self, desk: Arc<Desk>) -> WorkerRoom {
        let room = WorkerRoom(self.next_room.fetch_add(1, Ordering::Relaxed));
        match &mut *self.desks.lock() {
            Some(desks) => drop(desks.insert(room, desk.clone())),
            None => desk.end(Owing::Among),
        }
        // It may have been asked before this room came.
        if self.is_draining() {
            desk.part();
        }
        room
    }

    pub(super) fn strike(&self, room: WorkerRoom) {
        if let Some(desks) = &mut *self.desks.lock() {
            desks.remove(&room);
        }
    }

    /// The desk of a room that it has, in the epoch in which it has it.
    pub(super) fn desk(&self, room: WorkerRoom, epoch: u64) -> Option<Arc<Desk>> {
        let desk = self.desks.lock().as_ref().and_then(|desks| desks.get(&room).cloned());
        desk.filter(|desk| desk.epoch == epoch)
    }

    /// The connection has ended, and nothing that comes over it later is heard.
    pub(super) fn end(&self) {
        self.line.close();
        let desks = self.desks.lock().take().unwrap_or_default();
        let owing = if desks.values().filter(|desk| desk.owes()).count() == 1 { Owing::Alone } else { Owing::Among };
        for desk in desks.values() {
            desk.end(if desk.owes() { owing } else { Owing::Among });
        }
    }

    /// Says something that is to be answered.
    pub(super) fn ask(&self, frame: Vec<u8>) {
        self.owed.fetch_add(1, Ordering::AcqRel);
        self.line.push(frame);
    }

    /// So many answers are due no more.
    pub(super) fn settle(&self, answers: usize) {
        self.owed.fetch_sub(answers, Ordering::AcqRel);
    }

    /// Whether it owes an answer.
    pub(super) fn owes(&self) -> bool {
        self.owed.load(Ordering::Acquire) > 0
    }
}
