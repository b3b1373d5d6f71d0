//! Keeps a room's handler alive: has inputs handled, saves the state now and then, and makes the handler anew when it has panicked or its
//! process is gone, from what was saved and a replay of what came since.
//!
//! Knows neither time nor members: the actor brings the one, and does for the others what an [`Upset`] asks.

mod moving;
mod restoring;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use parlor_protocol::policy::OnPanic;
use parlor_protocol::room::{Fault, Input, Outcome};
use parlor_protocol::{ErrorCode, Failure, RoomId};
use tracing::error;

use super::journal::{Journal, Space};
use super::kind::Kind;
use crate::host::{Begin, Gone, Host, MayFail, Owing, Parting, SavedState, Unsaved, WorkDone};

/// How many processes may die of an input before it is set aside. The first may have died of another room's; from then on it is handled
/// while no other that a process has died of is.
const DEATHS: u32 = 3;
/// How many may die of it in all, where others had something with them each time, as they have when rooms are many.
const MOST_DEATHS: u32 = 6;

/// What the room must do because of its handler.
#[derive(Debug, PartialEq)]
pub(super) enum Upset {
    /// Show all members a fresh view: what they have seen is not what the handler remembers.
    Resync,
    /// End.
    Fail(Box<Failure>),
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
    /// None before the first input, while the handler is gone, and while it sleeps.
    host: Option<Box<dyn Host>>,
    /// Whether there has been a handler.
    opened: bool,
    /// `None` for handlers that cannot fail, and rooms that end when theirs does.
    journal: Option<Journal>,
    /// Whether the present place of the handler is to be left.
    leaving: bool,
    /// Whether the handler was given up on purpose, with its state saved.
    asleep: bool,
    /// Whether outside work has ended without a result since this was last asked.
    works_lost: bool,
    /// Whether an input was handled since the state was last looked at.
    busy: bool,
    /// Whether a handler in another process had to be had, which takes as long as it takes.
    made: bool,
    used_us: u64,
    outside: Outside,
    /// How many processes have ended over saving the state, one behind the other.
    save_losses: u32,
    kept: Kept,
}

impl Keeper {
    /// A keeper without a handler, which the first input gets made.
    pub(super) fn new(room: RoomId, kind: Arc<Kind>) -> Self {
        let keeps = match kind.maker().may_fail() {
            MayFail::No => false,
            MayFail::Panics => kind.policy.on_panic == OnPanic::Restore,
            MayFail::Dies => true,
        };
        let journal = keeps.then(|| Journal::new(&kind.policy));
        Self {
            room,
            kind,
            host: None,
            opened: false,
            journal,
            leaving: false,
            asleep: false,
            works_lost: false,
            busy: false,
            made: false,
            used_us: 0,
            outside: Outside::Idle,
            save_losses: 0,
            kept: Kept::default(),
        }
    }

    /// Has an input handled. When the handler panics on it, it has been made anew as it was before, if that is the policy. When its process
    /// ends, another handles the input, unless it has ended too many.
    pub(super) async fn handle(&mut self, input: &Input) -> (Outcome, Option<Upset>) {
        let (mut upset, mut deaths, mut all) = (None, 0, 0);
        self.busy = true;
        let set_aside = loop {
            upset = worse(upset, self.ready().await);
            if let Some(Upset::Fail(failure)) = &upset {
                return (Outcome::failed(Fault::Refused(failure.clone())), upset);
            }
            match self.ask(input, all > 0).await {
                Asked::Answered(outcome) if !self.is_undone_by(&outcome) => {
                    self.opened = true;
                    return (outcome, upset);
                }
                Asked::Answered(outcome) => break outcome,
                Asked::Broken(failure) => {
                    let failure = Box::new(failure);
                    return (Outcome::failed(Fault::Refused(failure.clone())), Some(Upset::Fail(failure)));
                }
                Asked::NotYet => {}
                Asked::Died(owing) => {
                    // The first may have died of anything that it had; after that it counts where it was nobody else's.
                    deaths += u32::from(all == 0 || owing == Owing::Alone);
                    all += 1;
                    self.lose();
                    if deaths == DEATHS || all == MOST_DEATHS {
                        break Outcome::failed(Fault::Panicked(format!("{all} processes have ended over it")));
                    }
                }
            }
        };
        // Work that is done elsewhere goes with its handler; what is done here goes on.
        match self.kind.maker().may_fail() {
            MayFail::Dies => self.lose(),
            MayFail::No | MayFail::Panics => self.host = None,
        }
        // A room that has failed in its beginning has none.
        if self.opened {
            upset = worse(upset, self.ready().await);
            if let Some(host) = &mut self.host {
                host.skip(input);
            }
        }
        (set_aside, upset)
    }

    /// Remembers what has taken effect.
    pub(super) fn keep(&mut self, input: Input, outcome: Outcome) {
        if let Some(journal) = &mut self.journal {
            journal.keep(input, outcome);
        }
    }

    /// Saves the state if it is time to, and lets the handler sleep or leave its place. Between inputs only.
    pub(super) async fn save(&mut self, now_us: u64, outside: Outside) -> Space {
        if std::mem::take(&mut self.busy) {
            self.used_us = now_us;
        }
        self.outside = outside;
        let sleeps = self.sleeps_us().is_some_and(|sleep_us| sleep_us <= now_us);
        let parts = sleeps || std::mem::take(&mut self.leaving);
        let Some(journal) = &self.journal else { return Space::Enough };
        if journal.is_due(now_us) || (parts && !journal.is_empty()) {
            self.save_now(now_us).await;
        }
        if parts {
            self.part();
        }
        if self.save_losses >= DEATHS {
            // Saving ends one process after the other.
            return Space::None;
        }
        self.journal.as_ref().map_or(Space::Enough, Journal::space)
    }

    async fn save_now(&mut self, now_us: u64) {
        let (Some(host), Some(journal)) = (&mut self.host, &mut self.journal) else { return };
        let max = self.kind.policy.max_snapshot_bytes;
        host.save(None);
        let saved = poll_fn(|cx| host.poll_saved(cx)).await;
        match saved.and_then(|state| check_size(state, max).map_err(Unsaved::Failed)) {
            Ok(state) => {
                (self.kept.snapshots, self.save_losses) = (self.kept.snapshots + 1, 0);
                journal.saved(state, now_us);
            }
            Err(Unsaved::Gone(Gone::Lost(owing))) => {
                // Not at once again: it may have ended over this.
                journal.failed(now_us);
                self.save_losses += u32::from(owing == Owing::Alone);
                self.lose();
            }
            Err(Unsaved::Failed(failure) | Unsaved::Gone(Gone::Broken(failure))) => {
                self.kept.snapshots_failed += 1;
                error!(room = %self.room, kind = %self.kind.name, %failure, "the room's state cannot be saved");
                journal.failed(now_us);
            }
        }
    }

    /// When [`save`](Self::save) wants to be called although nothing happens.
    pub(super) fn again_us(&self) -> Option<u64> {
        let again = self.journal.as_ref().and_then(Journal::again_us);
        again.into_iter().chain(self.sleeps_us()).min()
    }

    /// When the handler goes to sleep if nothing happens: one that costs another process its memory.
    fn sleeps_us(&self) -> Option<u64> {
        let may = self.host.is_some()
            && self.opened
            && self.outside == Outside::Idle
            && self.kind.maker().may_fail() == MayFail::Dies;
        may.then(|| self.used_us.saturating_add(self.kind.policy.sleep_after_ms.saturating_mul(1000)))
    }

    /// Ready when something has happened to the handler that [`save`](Self::save) or outside work must know of. While nothing is handled.
    pub(super) fn poll_parting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(host) = &mut self.host else { return Poll::Pending };
        match ready!(host.poll_parting(cx)) {
            Parting::Lost => self.lose(),
            Parting::Asked => self.leaving = true,
        }
        Poll::Ready(())
    }

    /// Starts outside work, or gives it up if there is no handler: then it is lost as all else that was pending.
    pub(super) fn run(&mut self, name: &str, arguments: Bytes, done: WorkDone) {
        match &mut self.host {
            Some(host) => host.run(name, arguments, done),
            None => done.forget(),
        }
    }

    /// Whether outside work that was pending has to be begun again.
    pub(super) fn has_lost_works(&self) -> bool {
        self.works_lost
    }

    /// The same, told once.
    pub(super) fn take_works_lost(&mut self) -> bool {
        std::mem::take(&mut self.works_lost)
    }

    /// Whether a handler in another process was made, or waited for, since this was last asked.
    pub(super) fn take_made(&mut self) -> bool {
        std::mem::take(&mut self.made)
    }

    /// Whether the handler was given up until it is needed.
    pub(super) fn is_asleep(&self) -> bool {
        self.asleep
    }

    /// What has happened since this was last called.
    pub(super) fn take_kept(&mut self) -> Kept {
        std::mem::take(&mut self.kept)
    }

    /// Sees to it that there is a handler, as it was behind the last input.
    pub(super) async fn ready(&mut self) -> Option<Upset> {
        if self.host.is_some() {
            return None;
        }
        self.made |= self.kind.maker().may_fail() == MayFail::Dies;
        if self.opened {
            return self.restore().await;
        }
        match self.kind.maker().make(&self.room, Begin::New).await {
            Ok(host) => {
                self.host = Some(host);
                None
            }
            Err(failure) => Some(Upset::Fail(failure.into())),
        }
    }

    /// Has the handler handle an input, alone if it is one of which a process has died.
    async fn ask(&mut self, input: &Input, suspect: bool) -> Asked {
        let alone = self.kind.maker().alone().filter(|_| suspect).cloned();
        let _turn = match alone {
            Some(turn) => turn.acquire_owned().await.ok(),
            None => None,
        };
        // What happened while it waited for its turn is not its doing.
        if suspect && self.poll_parting(&mut Context::from_waker(Waker::noop())).is_ready() && self.host.is_none() {
            return Asked::NotYet;
        }
        let Some(host) = &mut self.host else { return Asked::NotYet };
        host.submit(input);
        match poll_fn(|cx| host.poll_outcome(cx)).await {
            Ok(outcome) => Asked::Answered(outcome),
            Err(Gone::Lost(owing)) => Asked::Died(owing),
            Err(Gone::Broken(failure)) => Asked::Broken(failure),
        }
    }

    /// Whether the handler is to be made anew as it was before this outcome.
    fn is_undone_by(&self, outcome: &Outcome) -> bool {
        panicked(outcome) && self.opened && self.journal.is_some() && self.kind.policy.on_panic == OnPanic::Restore
    }

    /// The handler's process is gone.
    fn lose(&mut self) {
        if self.host.take().is_some() {
            self.works_lost = true;
        }
    }

    /// Leaves the handler's place, since its state is saved or can be made again.
    fn part(&mut self) {
        self.lose();
        self.asleep = self.journal.as_ref().is_some_and(Journal::is_empty);
    }
}

/// What came of an input.
enum Asked {
    Answered(Outcome),
    /// The handler's process has died while it had it.
    Died(Owing),
    /// The handler cannot go on.
    Broken(Failure),
    /// The handler has not been given it.
    NotYet,
}

/// Why a replay came to nothing.
enum Setback {
    Lost(Owing),
    Failed(Failure),
}

/// Whether outside work is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outside {
    Idle,
    Working,
}

/// Of two things that must be done, the one that leaves less.
fn worse(first: Option<Upset>, second: Option<Upset>) -> Option<Upset> {
    match (first, second) {
        (Some(Upset::Fail(failure)), _) | (_, Some(Upset::Fail(failure))) => Some(Upset::Fail(failure)),
        (first, second) => first.or(second),
    }
}

fn panicked(outcome: &Outcome) -> bool {
    matches!(outcome.result, Err(Fault::Panicked(_)))
}

fn check_size(state: SavedState, max: u64) -> Result<SavedState, Failure> {
    if state.bytes.len() as u64 <= max {
        return Ok(state);
    }
    let text = format!("a state of {} bytes is over the limit of {max}", state.bytes.len());
    Err(Failure::from(ErrorCode::Internal).because(text))
}

#[cfg(test)]
mod tests;
