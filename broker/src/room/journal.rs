//! What a room's handler is made anew from: its state as it was last saved, and the inputs since, each with what it was answered by.

use parlor_protocol::room::{Cause, Fault, Input, Outcome, Output, Topic};
use parlor_protocol::{Failure, Policy, Seq};

use crate::host::SavedState;

/// How many times `snapshot_bytes` a journal may hold before clients are refused, when the state cannot be saved.
const OVERDUE: u64 = 8;
/// How long after a failure saving is tried again: soon enough for those who are refused meanwhile.
const AGAIN_US: u64 = 1_000_000;
/// Bytes that an entry counts besides its payloads.
const ENTRY: u64 = 256;

/// An input that has been dealt with.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) input: Input,
    pub(super) answer: Answer,
}

/// What became of an input.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// What the handler said, views excepted: they change nothing, and are large.
    Said(Result<Vec<Output>, Fault>),
    /// The handler panicked, so that it is not given this input again.
    SetAside,
}

/// Whether a journal has room for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    Enough,
    /// For what the room owes itself, but not for clients.
    Short,
    /// For nothing: what is kept has reached its bound, and the room cannot go on.
    None,
}

/// The journal of one room.
#[derive(Debug)]
pub(super) struct Journal {
    terms: Terms,
    /// The state, and the input behind which it was so.
    snapshot: Option<(Seq, SavedState)>,
    /// The input that was kept last.
    last: Seq,
    saved_us: u64,
    entries: Vec<Entry>,
    bytes: u64,
    /// When saving is tried again, after it has failed.
    again_us: Option<u64>,
    /// Whether the state is to be saved however little there is to it.
    wanted: bool,
}

/// What a policy says of it.
#[derive(Debug)]
struct Terms {
    every: u64,
    bytes_due: u64,
    age_us: u64,
    /// Bytes beyond which nothing more is kept.
    bound: u64,
}

impl Terms {
    fn of(policy: &Policy) -> Self {
        Self {
            every: policy.snapshot_every.into(),
            bytes_due: policy.snapshot_bytes,
            age_us: policy.snapshot_age_ms.saturating_mul(1000),
            bound: policy.snapshot_bytes.saturating_mul(2 * OVERDUE).saturating_add(policy.queue_bytes),
        }
    }
}

impl Journal {
    pub(super) fn new(policy: &Policy) -> Self {
        Self {
            terms: Terms::of(policy),
            snapshot: None,
            last: Seq(0),
            saved_us: 0,
            entries: Vec::new(),
            bytes: 0,
            again_us: None,
            wanted: false,
        }
    }

    /// The state that was saved last; the room has none before the first.
    pub(super) fn snapshot(&self) -> Option<&(Seq, SavedState)> {
        self.snapshot.as_ref()
    }

    /// Whether nothing has happened since.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What came after it, in order.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The input that was kept last.
    pub(super) fn last(&self) -> Seq {
        self.last
    }

    /// Takes the place of what was said before.
    pub(super) fn correct(&mut self, entry: usize, said: Result<Vec<Output>, Fault>) {
        self.entries[entry].answer = Answer::Said(said);
    }

    /// Keeps an input and its outcome, unless the handler's state cannot have changed by it.
    pub(super) fn keep(&mut self, input: Input, outcome: Outcome) {
        let answer = match outcome.result {
            _ if matches!(input.cause, Cause::View { .. } | Cause::Follow { .. }) => return,
            Err(Fault::Panicked(_)) => Answer::SetAside,
            Err(fault) => Answer::Said(Err(fault)),
            Ok(()) => Answer::Said(Ok(outcome.outputs)),
        };
        let said = match &answer {
            Answer::Said(Ok(outputs)) => outputs.iter().map(|output| ENTRY / 2 + output_bytes(output)).sum(),
            Answer::Said(Err(Fault::Refused(failure))) => failure_bytes(failure),
            Answer::Said(Err(Fault::Panicked(_))) | Answer::SetAside => 0,
        };
        self.bytes += ENTRY + input_bytes(&input.cause) + said;
        self.last = input.seq;
        self.entries.push(Entry { input, answer });
    }

    /// Whether the state is to be saved now: after enough inputs, if they are larger than it; after enough bytes, however large it is; and
    /// after long enough. Where that has failed, it is tried again a second later.
    pub(super) fn is_due(&self, now_us: u64) -> bool {
        if self.entries.is_empty() {
            return false;
        }
        if let Some(again_us) = self.again_us {
            return now_us >= again_us;
        }
        let count = self.entries.len() as u64;
        let size = self.snapshot.as_ref().map_or(0, |(_, state)| state.bytes.len()) as u64;
        self.wanted
            || self.bytes >= self.terms.bytes_due
            || (count >= self.terms.every && self.bytes >= size)
            || now_us.saturating_sub(self.saved_us) >= self.terms.age_us
    }

    /// Wants the state to be saved soon: who has had to replay once may have to again.
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    /// The state behind all entries has been saved, so that they are not needed any more.
    pub(super) fn saved(&mut self, snapshot: SavedState, now_us: u64) {
        self.entries.clear();
        // A burst must not be paid for as long as the room lives.
        self.entries.shrink_to(2 * self.terms.every as usize);
        (self.snapshot, self.saved_us, self.bytes) = (Some((self.last, snapshot)), now_us, 0);
        (self.again_us, self.wanted) = (None, false);
    }

    /// The room goes on in another version, under its policy, from a state that may have the form of the version before. So one of its
    /// own is wanted soon: then the other is needed no more.
    pub(super) fn moved(&mut self, policy: &Policy, snapshot: SavedState, now_us: u64) {
        self.terms = Terms::of(policy);
        self.saved(snapshot, now_us);
        self.want();
    }

    /// The state could not be saved.
    pub(super) fn failed(&mut self, now_us: u64) {
        self.again_us = Some(now_us + AGAIN_US);
    }

    /// When saving must be tried again although nothing happens: while clients are refused for it.
    pub(super) fn again_us(&self) -> Option<u64> {
        self.again_us.filter(|_| self.space() != Space::Enough)
    }

    /// How much more may come.
    pub(super) fn space(&self) -> Space {
        match self.bytes {
            bytes if bytes >= self.terms.bound => Space::None,
            bytes if bytes >= self.terms.bytes_due.saturating_mul(OVERDUE) => Space::Short,
            _ => Space::Enough,
        }
    }
}

fn input_bytes(cause: &Cause) -> u64 {
    let bytes = match cause {
        Cause::Open { options, .. } | Cause::Join { options, .. } => options.len(),
        Cause::Message { payload, .. } | Cause::Event { payload, .. } | Cause::Timer { payload, .. } => payload.len(),
        Cause::Work { result: Ok(result), .. } => result.len(),
        _ => 0,
    };
    bytes as u64
}

fn output_bytes(output: &Output) -> u64 {
    let bytes = match output {
        Output::Publish { payload, .. } | Output::Latest { payload, .. } | Output::Reply { payload, .. } => {
            payload.len()
        }
        Output::After { payload, .. } => payload.len(),
        Output::Run { arguments, .. } => arguments.len(),
        Output::Kick { reason, .. } => reason.len(),
        Output::Close { result } => result.len(),
        Output::Forget { key, .. } => key.len(),
        Output::SetTopics { topics, .. } => topics.len() * size_of::<Topic>(),
        Output::SetProperty { value, .. } => value.to_string().len(),
        Output::Refuse { error, .. } => return failure_bytes(error),
        Output::Cancel { .. } | Output::Lock(_) => 0,
    };
    bytes as u64
}

fn failure_bytes(failure: &Failure) -> u64 {
    let params = failure.params.values().map(|value| value.to_string().len()).sum::<usize>();
    (failure.code.len() + failure.text.len() + params) as u64
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn state(bytes: usize) -> SavedState {
        SavedState { version: "1".into(), bytes: vec![0; bytes].into() }
    }

    fn policy() -> Policy {
        Policy {
            snapshot_every: 4,
            snapshot_bytes: 8 << 10,
            snapshot_age_ms: 1_000,
            queue_bytes: 1_000,
            ..Policy::default()
        }
    }

    fn event(journal: &mut Journal, bytes: usize) {
        let cause = Cause::Event { name: "e".into(), payload: vec![0; bytes].into() };
        let input = Input { seq: Seq(1), now_ms: 0, cause };
        journal.keep(input, Outcome { result: Ok(()), outputs: Vec::new(), view: None });
    }

    #[test]
    fn is_due_by_count_by_bytes_and_by_age() {
        let mut journal = Journal::new(&policy());
        assert!(!journal.is_due(u64::MAX), "nothing has happened");
        event(&mut journal, 0);
        assert!(!journal.is_due(999_999) && journal.is_due(1_000_000));
        (1..4).for_each(|_| event(&mut journal, 0));
        assert!(journal.is_due(0), "four inputs");
        journal.saved(state(5_000), 0);
        (0..8).for_each(|_| event(&mut journal, 0));
        assert!(!journal.is_due(0), "they are smaller than the state");
        event(&mut journal, 3_000);
        assert!(journal.is_due(0));
        journal.saved(state(1 << 20), 0);
        event(&mut journal, 8 << 10);
        assert!(journal.is_due(0), "so many bytes, however large the state");
    }

    #[test]
    fn what_cannot_be_saved_runs_short_of_space_and_then_out_of_it() {
        let mut journal = Journal::new(&policy());
        let kib = 8;
        for i in 0..7 {
            event(&mut journal, kib << 10);
            assert!(journal.is_due(i * AGAIN_US));
            journal.failed(i * AGAIN_US);
            assert!(!journal.is_due((i + 1) * AGAIN_US - 1), "it has just failed");
            assert_eq!((journal.space(), journal.again_us()), (Space::Enough, None));
        }
        event(&mut journal, kib << 10);
        assert_eq!((journal.space(), journal.again_us()), (Space::Short, Some(7 * AGAIN_US)));
        (0..8).for_each(|_| event(&mut journal, kib << 10));
        assert_eq!(journal.space(), Space::None);
        journal.saved(state(0), 0);
        assert_eq!(journal.space(), Space::Enough);
        assert!(journal.entries().is_empty());
    }

    #[test]
    fn is_due_when_it_is_wanted_and_there_is_something_to_save() {
        let mut journal = Journal::new(&policy());
        journal.want();
        assert!(!journal.is_due(0));
        event(&mut journal, 0);
        assert!(journal.is_due(0));
        journal.saved(state(0), 0);
        event(&mut journal, 0);
        assert!(!journal.is_due(0));
    }

    #[test]
    fn a_room_that_has_moved_keeps_what_the_new_policy_says_and_saves_soon() {
        let mut journal = Journal::new(&policy());
        (0..3).for_each(|_| event(&mut journal, 0));
        journal.moved(&Policy { snapshot_every: 2, snapshot_bytes: 1 << 20, ..policy() }, state(0), 0);
        assert!(journal.is_empty() && !journal.is_due(0));
        event(&mut journal, 0);
        assert!(journal.is_due(0), "in the form of the new version");
        journal.saved(state(0), 0);
        event(&mut journal, 9 << 10);
        assert!(!journal.is_due(0));
        event(&mut journal, 0);
        assert!(journal.is_due(0), "two inputs");
    }

    #[test]
    fn views_and_subscriptions_are_not_kept() {
        let mut journal = Journal::new(&policy());
        let input = Input { seq: Seq(1), now_ms: 0, cause: Cause::View { player: parlor_protocol::PlayerId(1) } };
        journal.keep(input, Outcome { result: Ok(()), outputs: Vec::new(), view: Some(Bytes::new()) });
        assert!(journal.entries().is_empty());
    }
}
