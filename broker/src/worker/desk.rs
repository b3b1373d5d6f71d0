//! Where a room and its worker's connection meet: the one lays down what it asks, the other what was answered.

use std::collections::{HashMap, VecDeque};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use parking_lot::Mutex;
use parlor_protocol::room::{Outcome, WorkId};
use parlor_protocol::{Failure, Seq};
use tokio::time::Instant;

use crate::host::{Gone, Owing, Parting, SavedState, Unsaved, WorkDone};

/// What a worker has said that it may not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Breach {
    #[error("a room was opened twice")]
    Opened,
    #[error("an outcome has no input")]
    Outcome,
    #[error("a state was not asked for, or is that of another input")]
    Snapshot,
}

/// An answer that is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Debt {
    /// Counts all that the worker is asked.
    pub(super) no: u64,
    pub(super) since: Instant,
}

/// Answers that are due no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) answers: usize,
    /// The number of the one that was asked for last, where they have been given.
    pub(super) latest: u64,
}

impl Settled {
    /// One that was not asked for after all.
    pub(super) const UNASKED: Self = Self { answers: 1, latest: 0 };
}

/// The desk of one room with one worker, for one of the room's epochs.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) epoch: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// While the worker has still to say that it has the room.
    opening: Option<Debt>,
    /// Inputs without an outcome.
    due: VecDeque<(Seq, Debt)>,
    outcomes: VecDeque<Outcome>,
    /// The input that was given to the worker last.
    last: Seq,
    saving: Option<Debt>,
    saved: Option<Result<SavedState, Failure>>,
    works: HashMap<WorkId, WorkDone>,
    gone: Option<Gone>,
    /// Whether the room should leave.
    parting: bool,
    waker: Option<Waker>,
}

impl Inner {
    fn owed(&self) -> usize {
        self.due.len() + usize::from(self.opening.is_some()) + usize::from(self.saving.is_some())
    }

    /// Owes nothing any more, and nobody has answered.
    fn forgive(&mut self) -> Settled {
        let answers = self.owed();
        self.due.clear();
        (self.opening, self.saving) = (None, None);
        Settled { answers, latest: 0 }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn wait<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// What the room does.
impl Desk {
    /// A desk that waits for the room to be opened, as it was behind an input.
    pub(super) fn new(epoch: u64, behind: Seq, debt: Debt) -> Self {
        Self { epoch, inner: Mutex::new(Inner { opening: Some(debt), last: behind, ..Inner::default() }) }
    }

    /// Notes that the worker is given an input. False when there is no worker.
    pub(super) fn give(&self, seq: Seq, debt: Debt) -> bool {
        let mut inner = self.inner.lock();
        inner.last = seq;
        if inner.gone.is_none() {
            inner.due.push_back((seq, debt));
        }
        inner.gone.is_none()
    }

    /// Notes an input that is not to be answered.
    pub(super) fn skip(&self, seq: Seq) {
        self.inner.lock().last = seq;
    }

    /// Notes that the worker is asked for the room's state. False when there is no worker.
    pub(super) fn save(&self, debt: Debt) -> bool {
        let mut inner = self.inner.lock();
        inner.saving = inner.gone.is_none().then_some(debt);
        inner.saving.is_some()
    }

    /// Notes a piece of work, unless it is under way already.
    pub(super) fn run(&self, done: WorkDone) -> bool {
        let mut inner = self.inner.lock();
        if inner.gone.is_some() || inner.works.contains_key(&done.id()) {
            drop(inner);
            done.forget();
            return false;
        }
        inner.works.insert(done.id(), done);
        true
    }

    pub(super) fn poll_answer(&self, cx: &Context<'_>) -> Poll<Result<Outcome, Gone>> {
        let mut inner = self.inner.lock();
        // What was said before the end was said.
        match (inner.outcomes.pop_front(), &inner.gone) {
            (Some(outcome), _) => Poll::Ready(Ok(outcome)),
            (None, Some(gone)) => Poll::Ready(Err(gone.clone())),
            (None, None) => inner.wait(cx),
        }
    }

    /// Ready when the worker has said that it has the room.
    pub(super) fn poll_opened(&self, cx: &Context<'_>) -> Poll<Result<(), Gone>> {
        let mut inner = self.inner.lock();
        match (&inner.gone, inner.opening) {
            (Some(gone), _) => Poll::Ready(Err(gone.clone())),
            (None, None) => Poll::Ready(Ok(())),
            (None, Some(_)) => inner.wait(cx),
        }
    }

    pub(super) fn poll_saved(&self, cx: &Context<'_>) -> Poll<Result<SavedState, Unsaved>> {
        let mut inner = self.inner.lock();
        match (inner.saved.take(), &inner.gone) {
            (Some(saved), _) => Poll::Ready(saved.map_err(Unsaved::Failed)),
            (None, Some(gone)) => Poll::Ready(Err(Unsaved::Gone(gone.clone()))),
            (None, None) => inner.wait(cx),
        }
    }

    pub(super) fn poll_parting(&self, cx: &Context<'_>) -> Poll<Parting> {
        let mut inner = self.inner.lock();
        match (&inner.gone, inner.parting) {
            (Some(_), _) => Poll::Ready(Parting::Lost),
            (None, true) => {
                inner.parting = false;
                Poll::Ready(Parting::Asked)
            }
            (None, false) => inner.wait(cx),
        }
    }

    /// The room has left: how many answers nobody waits for any more. Its work goes on, and nobody hears of it.
    pub(super) fn leave(&self) -> Settled {
        let mut inner = self.inner.lock();
        inner.gone.get_or_insert(Gone::Lost(Owing::Among));
        let (forgiven, works) = (inner.forgive(), std::mem::take(&mut inner.works));
        drop(inner);
        works.into_values().for_each(WorkDone::forget);
        forgiven
    }
}

/// What the connection does, and what is settled by it.
impl Desk {
    /// The worker has the room, or why it has not.
    pub(super) fn opened(&self, result: Result<(), Failure>) -> Result<Settled, Breach> {
        let mut inner = self.inner.lock();
        // The room may have left in this moment.
        if inner.gone.is_some() {
            return Ok(Settled::default());
        }
        let Some(Debt { no, .. }) = inner.opening else { return Err(Breach::Opened) };
        let settled = match result {
            Ok(()) => {
                inner.opening = None;
                Settled { answers: 1, latest: no }
            }
            // What was sent behind is not answered.
            Err(failure) => {
                inner.gone = Some(Gone::Broken(failure));
                Settled { latest: no, ..inner.forgive() }
            }
        };
        inner.wake();
        Ok(settled)
    }

    /// The outcomes of the oldest inputs.
    pub(super) fn answered(&self, first: Seq, outcomes: Vec<Outcome>) -> Result<Settled, Breach> {
        let mut inner = self.inner.lock();
        if inner.gone.is_some() {
            return Ok(Settled::default());
        }
        let answers = outcomes.len();
        if answers > inner.due.len() || inner.due.front().is_none_or(|(seq, _)| *seq != first) {
            return Err(Breach::Outcome);
        }
        let Some((_, Debt { no: latest, .. })) = inner.due.drain(..answers).next_back() else {
            return Err(Breach::Outcome);
        };
        inner.outcomes.extend(outcomes);
        inner.wake();
        Ok(Settled { answers, latest })
    }

    /// The room's state.
    pub(super) fn saved(&self, seq: Seq, state: Result<SavedState, Failure>) -> Result<Settled, Breach> {
        let mut inner = self.inner.lock();
        if inner.gone.is_some() {
            return Ok(Settled::default());
        }
        let Some(Debt { no, .. }) = inner.saving.filter(|_| seq == inner.last) else {
            return Err(Breach::Snapshot);
        };
        inner.saving = None;
        inner.saved = Some(state);
        inner.wake();
        Ok(Settled { answers: 1, latest: no })
    }

    /// The result of a piece of work. One that nobody waits for is of no use.
    pub(super) fn work_done(&self, id: WorkId, result: Result<Bytes, Failure>) {
        let done = self.inner.lock().works.remove(&id);
        if let Some(done) = done {
            done.finish(result);
        }
    }

    /// The room should go elsewhere.
    pub(super) fn part(&self) {
        let mut inner = self.inner.lock();
        inner.parting = true;
        inner.wake();
    }

    /// The answer that has been due for longest.
    pub(super) fn debt(&self) -> Option<Debt> {
        let inner = self.inner.lock();
        let due = inner.due.front().map(|(_, debt)| *debt);
        [inner.opening, due, inner.saving].into_iter().flatten().min_by_key(|debt| debt.no)
    }

    /// The worker is gone.
    pub(super) fn end(&self, owing: Owing) {
        let mut inner = self.inner.lock();
        inner.gone.get_or_insert(Gone::Lost(owing));
        inner.wake();
        let works = std::mem::take(&mut inner.works);
        drop(inner);
        works.into_values().for_each(WorkDone::forget);
    }
}
