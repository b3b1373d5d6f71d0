//! The rooms of one connection: frames in, frames out. Knows no socket and no clock.

use std::collections::HashMap;
use std::sync::Arc;
use std::vec::IntoIter;

use parlor_protocol::room::{Input, Outcome, WorkId};
use parlor_protocol::worker::{FromWorker, MAX_ENVELOPE, SavedState, WorkerRoom};
use parlor_protocol::{ErrorCode, Failure, Seq};

use super::hook::{Hook, Point};
use super::hosted::Hosted;
use super::size;
use crate::{Kind, Result, WorkFn};

/// Outcomes that wait for the end of their batch or turn have this many bytes at most, so that memory stays small.
const GATHERED: usize = 256 << 10;

/// A frame to be written.
#[derive(Debug)]
pub(super) enum Said {
    /// Outcomes, encoded.
    Outcomes(Vec<u8>),
    /// Anything else.
    Other(FromWorker),
}

/// The broker has broken the order of a room's inputs: going on would make another room of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutOfOrder {
    /// What came.
    pub(super) seq: Seq,
    /// What had come before.
    pub(super) behind: Seq,
}

/// The rooms, and what is to be said of them.
pub(super) struct Rooms {
    kinds: Arc<[Kind]>,
    /// Of the game.
    version: String,
    rooms: HashMap<WorkerRoom, Hosted>,
    /// Inputs that are being handled. No further frame is taken before they are.
    batch: Option<Batch>,
    said: Vec<Said>,
    max_frame: usize,
    hook: Hook,
}

/// Inputs that came together.
struct Batch {
    room: WorkerRoom,
    inputs: IntoIter<Input>,
    /// Of the outcomes that are not said yet.
    first: Seq,
    outcomes: Vec<Outcome>,
    weight: usize,
}

impl Rooms {
    pub(super) fn new(kinds: Arc<[Kind]>, version: String, max_frame: usize, hook: Hook) -> Self {
        Self { kinds, version, rooms: HashMap::new(), batch: None, said: Vec::new(), max_frame, hook }
    }

    /// The largest frame of either side.
    pub(super) fn max_frame(&self) -> usize {
        self.max_frame
    }

    pub(super) fn hook(&self) -> &Hook {
        &self.hook
    }

    /// Makes a room, and says whether it worked. Without one, whatever comes for it is passed over.
    pub(super) fn open(&mut self, room: WorkerRoom, epoch: u64, kind: &str, snapshot: Option<(Seq, SavedState)>) {
        let found = self.kinds.iter().position(|known| known.name == kind);
        let kind = found.ok_or_else(|| Failure::from(ErrorCode::UnknownKind).with("kind", kind));
        let restores = snapshot.is_some();
        let opened = kind.and_then(|kind| Hosted::open(&self.kinds[kind], kind, epoch, &self.version, snapshot));
        if restores {
            self.hook.at(Point::Restored);
        }
        let result = opened.map(|hosted| drop(self.rooms.insert(room, hosted)));
        self.say(FromWorker::Opened { room, epoch, result: result.map_err(|failure| self.sayable(failure)) });
    }

    /// Takes inputs, to be handled by [`step`](Self::step).
    pub(super) fn take(&mut self, room: WorkerRoom, epoch: u64, inputs: Vec<Input>) {
        if let (Some(first), Some(_)) = (inputs.first(), self.find(room, epoch)) {
            self.hook.at(Point::Received);
            let first = first.seq;
            self.batch = Some(Batch { room, inputs: inputs.into_iter(), first, outcomes: Vec::new(), weight: 0 });
        }
    }

    /// Whether inputs wait to be handled.
    pub(super) fn is_busy(&self) -> bool {
        self.batch.is_some()
    }

    /// Handles the next input.
    pub(super) fn step(&mut self) -> Result<(), OutOfOrder> {
        let Some(mut batch) = self.batch.take() else { return Ok(()) };
        let next = batch.inputs.next().and_then(|input| Some((input, self.rooms.get_mut(&batch.room)?)));
        let Some((input, room)) = next else { return Ok(()) };
        let outcome = room.handle(&input, self.max_frame)?;
        self.hook.at(Point::Handled);
        if room.is_restored() {
            self.hook.at(Point::Replay);
        }
        let weight = size::weight(&outcome);
        if batch.weight + weight > GATHERED.min(self.max_frame.saturating_sub(MAX_ENVELOPE)) {
            self.say_outcomes(&mut batch);
        }
        if batch.outcomes.is_empty() {
            batch.first = input.seq;
        }
        // What would be handled behind a cut is void: the broker sends what is left of it anew.
        let over = outcome.cuts() || batch.inputs.len() == 0;
        batch.outcomes.push(outcome);
        batch.weight += weight;
        if over {
            self.say_outcomes(&mut batch);
        } else {
            self.batch = Some(batch);
        }
        Ok(())
    }

    /// Takes an input of which the handler must not hear.
    pub(super) fn skip(&mut self, room: WorkerRoom, epoch: u64, input: &Input) -> Result<(), OutOfOrder> {
        self.find(room, epoch).map_or(Ok(()), |room| room.skip(input))
    }

    /// Says a room's state as of its last input, for another version perhaps.
    pub(super) fn snap(&mut self, room: WorkerRoom, epoch: u64, meant_for: Option<&str>) {
        let max = self.max_frame.saturating_sub(MAX_ENVELOPE);
        let Some(hosted) = self.rooms.get(&room).filter(|hosted| hosted.epoch() == epoch) else { return };
        let (seq, state) = (hosted.seq(), hosted.snapshot(max, &self.version, meant_for));
        self.hook.at(Point::Snapshot);
        let state = state.map_err(|failure| self.sayable(failure));
        self.say(FromWorker::Snapshot { room, epoch, seq, state });
    }

    pub(super) fn close(&mut self, room: WorkerRoom, epoch: u64) {
        if self.find(room, epoch).is_some() {
            self.rooms.remove(&room);
        }
    }

    /// The function that a room wants to have run. There is none if the room is gone, or has none of this name, which it is told.
    pub(super) fn work(&mut self, room: WorkerRoom, epoch: u64, id: WorkId, name: &str) -> Option<WorkFn> {
        let kind = self.find(room, epoch)?.kind();
        let work = self.kinds[kind].works.iter().find(|work| work.name() == name).cloned();
        if work.is_none() {
            let error = Failure::from(ErrorCode::HandlerFailed).because("no such work function").with("work", name);
            self.say(FromWorker::WorkDone { room, epoch, id, result: Err(self.sayable(error)) });
        }
        work
    }

    /// Puts a frame behind those that are to be written.
    pub(super) fn say(&mut self, frame: FromWorker) {
        self.said.push(Said::Other(frame));
    }

    /// Takes what is to be written, what has been handled of a batch included.
    pub(super) fn take_said(&mut self) -> Vec<Said> {
        if let Some(mut batch) = self.batch.take() {
            self.say_outcomes(&mut batch);
            self.batch = Some(batch);
        }
        std::mem::take(&mut self.said)
    }

    fn say_outcomes(&mut self, batch: &mut Batch) {
        let Some(epoch) = self.rooms.get(&batch.room).map(Hosted::epoch) else { return };
        if batch.outcomes.is_empty() {
            return;
        }
        let mut frame = Vec::with_capacity(batch.weight);
        FromWorker::encode_outcomes(batch.room, epoch, batch.first, &batch.outcomes, &mut frame);
        batch.outcomes.clear();
        batch.weight = 0;
        self.said.push(Said::Outcomes(frame));
    }

    /// The room, if this is the life of it that is meant.
    fn find(&mut self, room: WorkerRoom, epoch: u64) -> Option<&mut Hosted> {
        self.rooms.get_mut(&room).filter(|hosted| hosted.epoch() == epoch)
    }

    /// A failure that has a frame.
    fn sayable(&self, failure: Failure) -> Failure {
        let too_large = size::of_failure(&failure) + MAX_ENVELOPE > self.max_frame;
        if too_large { ErrorCode::OutputFailed.into() } else { crate::bounds::sayable(failure) }
    }
}
