//! One room of a worker: its handler, and how far it has come.

use std::panic::{AssertUnwindSafe, catch_unwind};

use parlor_protocol::room::{Cause, Fault, Input, Outcome};
use parlor_protocol::worker::SavedState;
use parlor_protocol::{ErrorCode, Failure, Seq};

use super::rooms::OutOfOrder;
use super::size;
use crate::{Kind, Leave, Result, Runner};

/// The longest text of a panic. It is for the log.
const MAX_PANIC: usize = 4096;

/// A room that runs here.
pub(super) struct Hosted {
    /// Always there until this is dropped.
    runner: Option<Box<dyn Runner>>,
    /// Where its kind stands among those that are offered.
    kind: usize,
    epoch: u64,
    /// The last input that was handled or skipped; 0 before the first.
    seq: Seq,
    restored: bool,
}

impl Hosted {
    /// A room that begins, or goes on as it was saved, by this version of the game or another.
    pub(super) fn open(
        kind: &Kind,
        number: usize,
        epoch: u64,
        version: &str,
        snapshot: Option<(Seq, SavedState)>,
    ) -> Result<Self> {
        let (seq, restored) = (snapshot.as_ref().map_or(Seq(0), |(seq, _)| *seq), snapshot.is_some());
        // A handler's constructor is game code as well.
        let made = catch_unwind(AssertUnwindSafe(|| match &snapshot {
            Some((_, state)) if state.version == version => kind.restore(&state.bytes),
            Some((_, state)) => kind.migrate(&state.version, &state.bytes),
            None => Ok(kind.runner()),
        }));
        let runner = made.unwrap_or_else(|_| Err(ErrorCode::HandlerPanicked.into()))?;
        Ok(Self { runner: Some(runner), kind: number, epoch, seq, restored })
    }

    pub(super) fn kind(&self) -> usize {
        self.kind
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn seq(&self) -> Seq {
        self.seq
    }

    /// Whether it went on from a snapshot.
    pub(super) fn is_restored(&self) -> bool {
        self.restored
    }

    /// What the handler makes of an input. Always something that fits into a frame.
    pub(super) fn handle(&mut self, input: &Input, max_frame: usize) -> Result<Outcome, OutOfOrder> {
        self.advance(input)?;
        let runner = self.runner.as_mut();
        let mut outcome =
            runner.map_or_else(|| Outcome::failed(Fault::Refused(gone().into())), |runner| runner.handle(input));
        if let Err(Fault::Panicked(text)) = &mut outcome.result {
            let end = (0..=MAX_PANIC.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or_default());
        }
        if size::fits(&outcome, max_frame) {
            return Ok(outcome);
        }
        if outcome.result.is_ok() {
            self.undo(input);
        }
        let why = format!("an outcome that is over the largest frame, of {max_frame} bytes");
        Ok(Outcome::failed(Fault::Refused(Failure::from(ErrorCode::OutputFailed).because(why).into())))
    }

    /// Whom the handler has let in, and the broker will not, has to go again.
    fn undo(&mut self, input: &Input) {
        if let (Cause::Join { player, .. }, Some(runner)) = (&input.cause, &mut self.runner) {
            let cause = Cause::Leave { player: player.id, why: Leave::Disconnected };
            // What the handler says to that is about somebody whom nobody has seen.
            let _ = runner.handle(&Input { cause, ..*input });
        }
    }

    /// Takes an input of which the handler does not hear.
    pub(super) fn skip(&mut self, input: &Input) -> Result<(), OutOfOrder> {
        self.advance(input)?;
        if let Some(runner) = &mut self.runner {
            runner.skip(input);
        }
        Ok(())
    }

    /// All that is needed to go on elsewhere: in an older version's form if that is asked for and known, or else in this version's.
    pub(super) fn snapshot(&self, max: usize, version: &str, meant_for: Option<&str>) -> Result<SavedState> {
        let runner = self.runner.as_ref().ok_or_else(gone)?;
        let older = meant_for.filter(|other| *other != version);
        let written = older.map(|other| runner.snapshot_for(other).map(|bytes| Some((other, bytes?)))).transpose()?;
        let (version, bytes) = match written.flatten() {
            Some(written) => written,
            None => (version, runner.snapshot()?),
        };
        if bytes.len() > max {
            let why = format!("snapshot: {} bytes are over the limit of {max}", bytes.len());
            return Err(Failure::from(ErrorCode::Internal).because(why));
        }
        Ok(SavedState { version: version.to_owned(), bytes })
    }

    /// Inputs may be left out, when a room goes on and no state changes by them; none comes twice.
    fn advance(&mut self, input: &Input) -> Result<(), OutOfOrder> {
        if input.seq <= self.seq {
            return Err(OutOfOrder { seq: input.seq, behind: self.seq });
        }
        self.seq = input.seq;
        Ok(())
    }
}

impl Drop for Hosted {
    /// The state of a handler that has panicked may panic once more as it goes, which must not end the other rooms.
    fn drop(&mut self) {
        let runner = self.runner.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(runner)));
    }
}

fn gone() -> Failure {
    ErrorCode::Internal.into()
}
