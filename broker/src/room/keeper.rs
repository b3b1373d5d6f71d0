//! Keeps a room's handler alive: has inputs handled, saves the state now and then, and makes the handler anew when it has panicked, from what
//! was saved and a replay of what came since.
//!
//! Knows neither time nor members: the actor brings the one, and does for the others what an [`Upset`] asks.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use parlor_protocol::policy::{OnDivergence, OnPanic};
use parlor_protocol::room::{Cause, Fault, Input, Outcome};
use parlor_protocol::{ErrorCode, Failure, RoomId};
use tracing::{error, warn};

use super::journal::{Answer, Journal, Space};
use super::kind::Kind;
use crate::host::{Host, MayFail, WorkDone};

/// How often a replay that fails is begun again before the room is given up: what is not deterministic may work the next time.
const REPLAYS: u32 = 3;
/// Bytes of outputs that a divergence shows in the log.
const SHOWN: usize = 2_000;

/// What the room must do because of its handler.
#[derive(Debug, PartialEq)]
pub(super) enum Upset {
    /// Show all members a fresh view: what they have seen is not what the handler remembers.
    Resync,
    /// End.
    Fail(Failure),
}

/// What has happened since it was last taken.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Kept {
    pub(super) snapshots: u64,
    pub(super) snapshots_failed: u64,
    pub(super) restored: u64,
    pub(super) diverged: u64,
}

/// The keeper of one room's handler.
pub(super) struct Keeper {
    room: RoomId,
    kind: Arc<Kind>,
    host: Box<dyn Host>,
    /// `None` for handlers that cannot fail, and rooms that end when theirs does.
    journal: Option<Journal>,
    kept: Kept,
}

impl Keeper {
    /// A handler that waits for its `Open` input.
    pub(super) fn new(room: RoomId, kind: Arc<Kind>) -> Self {
        let (maker, policy) = (kind.maker(), &kind.policy);
        let keeps = maker.may_fail() == MayFail::Yes && policy.on_panic == OnPanic::Restore;
        let (host, journal) = (maker.make(&room), keeps.then(|| Journal::new(policy)));
        Self { room, kind, host, journal, kept: Kept::default() }
    }

    /// Has an input handled. When the handler panics on it, it has been made anew as it was before, if that is the policy.
    pub(super) async fn handle(&mut self, input: &Input) -> (Outcome, Option<Upset>) {
        self.host.submit(input);
        let outcome = self.outcome().await;
        // A room that has panicked in its beginning has none.
        let restores = self.journal.is_some() && !matches!(input.cause, Cause::Open { .. });
        if !restores || !panicked(&outcome) {
            return (outcome, None);
        }
        let upset = self.restore().await;
        self.host.skip(input);
        (outcome, upset)
    }

    /// Remembers what has taken effect.
    pub(super) fn keep(&mut self, input: Input, outcome: Outcome) {
        if let Some(journal) = &mut self.journal {
            journal.keep(input, outcome);
        }
    }

    /// Saves the state if it is time to. Between inputs only.
    pub(super) fn save(&mut self, now_us: u64) -> Space {
        let Some(journal) = self.journal.as_mut() else { return Space::Enough };
        if journal.is_due(now_us) {
            let max = self.kind.policy.max_snapshot_bytes;
            match self.host.snapshot().and_then(|snapshot| check_size(snapshot, max)) {
                Ok(snapshot) => {
                    self.kept.snapshots += 1;
                    journal.saved(snapshot, now_us);
                }
                Err(failure) => {
                    self.kept.snapshots_failed += 1;
                    error!(room = %self.room, kind = %self.kind.name, %failure, "the room's state cannot be saved");
                    journal.failed(now_us);
                }
            }
        }
        journal.space()
    }

    /// When [`save`](Self::save) wants to be called although nothing happens.
    pub(super) fn again_us(&self) -> Option<u64> {
        self.journal.as_ref()?.again_us()
    }

    /// Starts outside work.
    pub(super) fn run(&mut self, name: &str, arguments: Bytes, done: WorkDone) {
        self.host.run(name, arguments, done);
    }

    /// What has happened since this was last called.
    pub(super) fn take_kept(&mut self) -> Kept {
        std::mem::take(&mut self.kept)
    }

    async fn outcome(&mut self) -> Outcome {
        poll_fn(|cx| self.host.poll_outcome(cx)).await
    }

    /// Makes the handler anew as it was after the last entry.
    async fn restore(&mut self) -> Option<Upset> {
        self.kept.restored += 1;
        let mut failure = Failure::from(ErrorCode::RoomFailed);
        for _ in 0..REPLAYS {
            match self.replay().await {
                Ok(Same::Yes) => return None,
                Ok(Same::No) => return Some(self.diverged()),
                Err(why) => {
                    error!(room = %self.room, kind = %self.kind.name, failure = %why, "the handler cannot be made anew");
                    failure.text = why.text;
                }
            }
        }
        Some(Upset::Fail(failure))
    }

    async fn replay(&mut self) -> Result<Same, Failure> {
        let Some(journal) = &mut self.journal else { return Ok(Same::Yes) };
        let maker = self.kind.maker();
        let mut host = match journal.snapshot() {
            Some(snapshot) => maker.restore(&self.room, snapshot)?,
            None => maker.make(&self.room),
        };
        let mut others = Vec::new();
        for (i, entry) in journal.entries().iter().enumerate() {
            let Answer::Said(before) = &entry.answer else {
                host.skip(&entry.input);
                continue;
            };
            host.submit(&entry.input);
            let again = poll_fn(|cx| host.poll_outcome(cx)).await;
            if let Err(Fault::Panicked(text)) = again.result {
                return Err(Failure::from(ErrorCode::HandlerPanicked).because(format!("in a replay: {text}")));
            }
            let now = again.result.map(|()| again.outputs);
            if now == *before {
                continue;
            }
            if others.is_empty() {
                let (before, now) = (shown(before), shown(&now));
                let (room, kind, seq) = (&self.room, &self.kind.name, entry.input.seq);
                warn!(%room, %kind, %seq, before, now, "the handler is not deterministic: a replay has other outputs");
            }
            others.push((i, now));
        }
        self.host = host;
        journal.want();
        let same = if others.is_empty() { Same::Yes } else { Same::No };
        for (entry, said) in others {
            journal.correct(entry, said);
        }
        Ok(same)
    }

    /// What was released cannot be taken back. The room goes on from what the handler remembers now, or not at all.
    fn diverged(&mut self) -> Upset {
        self.kept.diverged += 1;
        match self.kind.policy.on_divergence {
            OnDivergence::Resync => Upset::Resync,
            OnDivergence::Stop => {
                Upset::Fail(Failure::from(ErrorCode::RoomFailed).because("a replay had other outputs"))
            }
        }
    }
}

/// Whether a replay said what was said before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Same {
    Yes,
    No,
}

fn panicked(outcome: &Outcome) -> bool {
    matches!(outcome.result, Err(Fault::Panicked(_)))
}

fn check_size(snapshot: Bytes, max: u64) -> Result<Bytes, Failure> {
    if snapshot.len() as u64 <= max {
        return Ok(snapshot);
    }
    let text = format!("a state of {} bytes is over the limit of {max}", snapshot.len());
    Err(Failure::from(ErrorCode::Internal).because(text))
}

fn shown(outputs: &impl std::fmt::Debug) -> String {
    let mut text = format!("{outputs:?}");
    if let Some((end, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests;
