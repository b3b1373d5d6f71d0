//! Where a room's handler runs. The room actor does not know whether that is this thread or another process.

pub mod relay;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use parlor_protocol::room::{Input, Outcome, WorkId};
pub use parlor_protocol::worker::SavedState;
use parlor_protocol::{ErrorCode, Failure, RoomId, Seq};
use tokio::sync::Semaphore;

use crate::room::RoomHandle;

/// The handler of one room. Inputs go in by `seq`; for each, one outcome comes out, in the same order.
pub trait Host: Send {
    /// Takes the next input. Never blocks for others; a host in this process may handle it on the spot.
    fn submit(&mut self, input: &Input);

    /// Takes an input that the handler must not be given, since it has panicked on it. Who is in the room changes by it, and nothing else;
    /// there is no outcome.
    fn skip(&mut self, input: &Input);

    /// The outcome of the oldest input without one.
    ///
    /// # Errors
    /// [`Gone`] when there will be none any more.
    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Result<Outcome, Gone>>;

    /// Starts outside work that an output asked for. Called only once the input that asked is safe.
    fn run(&mut self, name: &str, arguments: Bytes, done: WorkDone);

    /// Has the state saved, as it is behind the last input; in the form of another version of the game, if the handler knows how to.
    /// Called only while no outcome is due.
    fn save(&mut self, meant_for: Option<&str>);

    /// The state that was to be saved: all that is needed to go on elsewhere.
    ///
    /// # Errors
    /// [`Unsaved`] when there is none.
    fn poll_saved(&mut self, cx: &mut Context<'_>) -> Poll<Result<SavedState, Unsaved>>;

    /// Whether the room should look for another host, while no outcome is due.
    fn poll_parting(&mut self, _cx: &mut Context<'_>) -> Poll<Parting> {
        Poll::Pending
    }
}

/// Why there is no handler any more.
#[derive(Clone, Debug, PartialEq)]
pub enum Gone {
    /// Its process has ended, or is cut off. Another can go on from what the room has kept.
    Lost(Owing),
    /// It cannot go on, and neither can another.
    Broken(Failure),
}

/// Whose answers were due when a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owing {
    /// This room's and no other's, so that it has ended over it.
    Alone,
    /// Others' as well, or none.
    Among,
}

/// Why a state was not saved.
#[derive(Clone, Debug, PartialEq)]
pub enum Unsaved {
    /// It cannot be encoded.
    Failed(Failure),
    /// There is no handler any more.
    Gone(Gone),
}

/// Why a room should look for another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// This one is lost.
    Lost,
    /// It wants to end, and waits for the room's state to be taken.
    Asked,
}

/// From where a handler begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Begin {
    /// It waits for its `Open` input.
    New,
    /// It gets that input again, and those behind it.
    Again,
    /// It goes on from its state as it was behind an input.
    From(Seq, SavedState),
    /// The same for a room of another version, which stays where it is unless there is a place now, and the handler can read the state.
    Moved(Seq, SavedState),
}

/// A host on its way.
pub type Making = Pin<Box<dyn Future<Output = Result<Box<dyn Host>, Failure>> + Send>>;

/// Makes the handlers of one kind of room.
pub trait HostMaker: Send + Sync {
    /// A handler. Ends without one when there is no place for it (`no_worker`), or its state is none of this kind.
    fn make(&self, room: &RoomId, begin: Begin) -> Making;

    /// What may happen to its handlers, and so what a room has to keep.
    fn may_fail(&self) -> MayFail;

    /// How many workers can run its handlers now; none where it needs no worker.
    fn workers(&self) -> Option<usize> {
        None
    }

    /// Who has this may submit an input of which a handler's process has died before: one at a time, so that it shows which of many it is.
    fn alone(&self) -> Option<&Arc<Semaphore>> {
        None
    }
}

/// How handlers can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MayFail {
    /// Not at all: they are the broker's own.
    No,
    /// They are a game's code, and may panic.
    Panics,
    /// They are in another process besides, which may end at any time.
    Dies,
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

    /// Which piece of work.
    pub fn id(&self) -> WorkId {
        self.id
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

    /// Gives it up without a word: the work is begun again elsewhere.
    pub fn forget(mut self) {
        self.finished = true;
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
