//! Where a room's handler runs. The room actor does not know whether that is this thread or another process.

pub mod relay;

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use parlor_protocol::room::{Input, Outcome, WorkId};
use parlor_protocol::{ErrorCode, Failure, RoomId};

use crate::room::RoomHandle;

/// The handler of one room. Inputs go in by `seq`; for each, one outcome comes out, in the same order.
pub trait Host: Send {
    /// Takes the next input. Never blocks for others; a host in this process may handle it on the spot.
    fn submit(&mut self, input: &Input);

    /// Takes an input that the handler must not be given, since it has panicked on it. Who is in the room changes by it, and nothing else;
    /// there is no outcome.
    fn skip(&mut self, input: &Input);

    /// The outcome of the oldest input without one.
    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Outcome>;

    /// Starts outside work that an output asked for. Called only once the input that asked is safe.
    fn run(&mut self, name: &str, arguments: Bytes, done: WorkDone);

    /// All that is needed to go on elsewhere behind the last input. Called only while no outcome is due.
    ///
    /// # Errors
    /// When the state cannot be saved.
    fn snapshot(&mut self) -> Result<Bytes, Failure>;
}

/// Makes the handlers of one kind of room.
pub trait HostMaker: Send + Sync {
    /// A handler that waits for its `Open` input.
    fn make(&self, room: &RoomId) -> Box<dyn Host>;

    /// A handler that goes on from a snapshot.
    ///
    /// # Errors
    /// When the snapshot is none of this kind.
    fn restore(&self, room: &RoomId, snapshot: &Bytes) -> Result<Box<dyn Host>, Failure>;

    /// Whether its handlers can fail, so that the room keeps what it takes to make them anew.
    fn may_fail(&self) -> MayFail;
}

/// Whether handlers can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MayFail {
    /// They are a game's own code.
    Yes,
    /// They are the broker's.
    No,
}

/// The way back for the result of outside work. Dropping it unused tells the room that the work was lost.
#[derive(Debug)]
pub struct WorkDone {
    room: Arc<RoomHandle>,
    id: WorkId,
    name: String,
    finished: bool,
}

impl WorkDone {
    pub(crate) fn new(room: Arc<RoomHandle>, id: WorkId, name: &str) -> Self {
        Self { room, id, name: name.to_owned(), finished: false }
    }

    /// A key that is the same whenever this piece of work is started: room, input and output.
    pub fn key(&self) -> String {
        format!("{}/{}/{}", self.room.id(), self.id.0.seq, self.id.0.index)
    }

    /// Hands the result to the room, as its next input but for those that wait.
    pub fn finish(mut self, result: Result<Bytes, Failure>) {
        self.finished = true;
        self.room.work_done(self.id, std::mem::take(&mut self.name), result);
    }
}

impl Drop for WorkDone {
    fn drop(&mut self) {
        if !self.finished {
            let lost = Failure::from(ErrorCode::HandlerPanicked).because("the work ended without a result");
            self.room.work_done(self.id, std::mem::take(&mut self.name), Err(lost));
        }
    }
}
