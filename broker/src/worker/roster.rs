//! One worker as rooms and the fleet see it: what it can run, how much of it, and the desks of the rooms that it has.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use parlor_protocol::worker::{Hello, WorkerRoom};

use tokio::time::Instant;

use super::desk::{Debt, Desk, Settled};
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
    /// Answers that were ever asked for, and how many of them are due no more.
    asked: AtomicU64,
    settled: AtomicU64,
    /// The number of the answer among all that were given which was asked for last.
    latest: AtomicU64,
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
            asked: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            latest: AtomicU64::new(0),
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
        let owes = |desk: &Arc<Desk>| desk.debt().is_some();
        let owing = if desks.values().filter(|desk| owes(desk)).count() == 1 { Owing::Alone } else { Owing::Among };
        for desk in desks.values() {
            desk.end(if owes(desk) { owing } else { Owing::Among });
        }
    }

    /// Something is about to be said that is to be answered.
    pub(super) fn ask(&self) -> Debt {
        Debt { no: self.asked.fetch_add(1, Ordering::AcqRel) + 1, since: Instant::now() }
    }

    pub(super) fn settle(&self, Settled { answers, latest }: Settled) {
        self.settled.fetch_add(answers as u64, Ordering::AcqRel);
        self.latest.fetch_max(latest, Ordering::AcqRel);
    }

    /// Whether it owes an answer.
    pub(super) fn owes(&self) -> bool {
        self.settled.load(Ordering::Acquire) < self.asked.load(Ordering::Acquire)
    }

    /// Whether a room waits for an answer that others have had who have asked later, and has done so for longer than this.
    pub(super) fn forgets(&self, now: Instant, limit: Duration) -> bool {
        let latest = self.latest.load(Ordering::Acquire);
        let forgotten = |debt: Debt| debt.no < latest && now.saturating_duration_since(debt.since) > limit;
        self.desks.lock().iter().flat_map(HashMap::values).any(|desk| desk.debt().is_some_and(forgotten))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parlor_protocol::Seq;
    use parlor_protocol::room::{Fault, Outcome};

    const LIMIT: Duration = Duration::from_secs(1);

    fn worker() -> Worker {
        let text = || "x".to_owned();
        let hello =
            Hello { token: text(), name: text(), version: text(), sdk: text(), capacity: 10, kinds: Vec::new() };
        Worker::new(1, &hello)
    }

    /// Rooms that the worker has, and that wait for the outcome of an input.
    fn waiting<const N: usize>(worker: &Worker) -> [Arc<Desk>; N] {
        let desks = std::array::from_fn(|_| Arc::new(Desk::new(1, Seq(0), worker.ask())));
        for desk in &desks {
            worker.enlist(desk.clone());
            worker.settle(desk.opened(Ok(())).unwrap());
        }
        assert!(desks.iter().all(|desk| desk.give(Seq(1), worker.ask())));
        desks
    }

    fn answer(worker: &Worker, desk: &Desk) {
        worker.settle(
            desk.answered(Seq(1), vec![Outcome::failed(Fault::Refused(parlor_protocol::ErrorCode::Internal.into()))])
                .unwrap(),
        );
    }

    #[test]
    fn an_answer_is_forgotten_that_later_ones_have_overtaken_for_too_long() {
        let (worker, late) = (worker(), Instant::now() + 2 * LIMIT);
        let [first, second, third] = waiting(&worker);
        assert!(worker.owes() && !worker.forgets(late, LIMIT), "all wait alike");
        answer(&worker, &first);
        assert!(!worker.forgets(late, LIMIT), "in their order");
        answer(&worker, &third);
        assert!(!worker.forgets(Instant::now(), LIMIT), "it may come any moment");
        assert!(worker.forgets(late, LIMIT));
        answer(&worker, &second);
        assert!(!worker.owes() && !worker.forgets(late, LIMIT));
    }

    #[test]
    fn what_a_room_that_has_left_was_owed_is_no_answer() {
        let (worker, late) = (worker(), Instant::now() + 2 * LIMIT);
        let [first, second] = waiting(&worker);
        worker.settle(second.leave());
        assert!(worker.owes() && !worker.forgets(late, LIMIT), "nothing has overtaken it");
        worker.settle(first.leave());
        assert!(!worker.owes());
    }
}
