//! Handles every input twice and compares, so that what is not deterministic shows.

use bytes::Bytes;
use parlor_protocol::room::{Fault, Input, Outcome};

use crate::{Kind, Result, Runner};

/// A handler and its proof.
pub(super) struct Twice {
    kind: Kind,
    runner: Box<dyn Runner>,
    /// From which the history goes on, in a room that has moved here from another version.
    began: Option<Bytes>,
    history: Vec<(Input, Outcome)>,
}

impl Twice {
    pub(super) fn new(kind: Kind) -> Self {
        Self { runner: kind.runner(), kind, began: None, history: Vec::new() }
    }

    /// The same room in another version of the game, as a broker moves it.
    pub(super) fn moved(self, from: &str, to: &str, kind: Kind) -> Result<Self> {
        let runner = match self.runner.snapshot_for(to)? {
            Some(state) => kind.restore(&state)?,
            None => kind.migrate(from, &self.snapshot())?,
        };
        let began = Some(snapshot(runner.as_ref()));
        Ok(Self { runner, kind, began, history: Vec::new() })
    }

    /// Handles an input by the room and by a copy from the snapshot before it; goes on with the copy.
    pub(super) fn handle(&mut self, input: &Input) -> Outcome {
        let before = self.snapshot();
        let mut copy = self.restored(&before);
        let (outcome, again) = (self.runner.handle(input), copy.handle(input));
        assert_eq!(outcome, again, "not deterministic: {input:?} had other outputs after a restore");
        if let Err(Fault::Panicked(_)) = outcome.result {
            // As a broker does it.
            self.runner = self.restored(&before);
            copy = self.restored(&before);
            self.runner.skip(input);
            copy.skip(input);
        }
        let (after, after_copy) = (self.snapshot(), snapshot(copy.as_ref()));
        assert!(
            after == after_copy && snapshot(self.restored(&after).as_ref()) == after,
            "not deterministic: after {input:?} the state differs from that of a restored copy.\n\
             Is there a HashMap or HashSet in it (use IndexMap or BTreeMap), or a field that serde skips?"
        );
        self.runner = copy;
        self.history.push((input.clone(), outcome.clone()));
        outcome
    }

    pub(super) fn snapshot(&self) -> Bytes {
        snapshot(self.runner.as_ref())
    }

    fn restored(&self, snapshot: &[u8]) -> Box<dyn Runner> {
        self.kind.restore(snapshot).unwrap_or_else(|failure| panic!("a snapshot cannot be restored: {failure}"))
    }
}

fn snapshot(runner: &dyn Runner) -> Bytes {
    runner.snapshot().unwrap_or_else(|failure| panic!("the state cannot be saved: {failure}"))
}

impl Drop for Twice {
    /// The whole history once more, from the beginning.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let mut runner = self.began.as_ref().map_or_else(|| self.kind.runner(), |state| self.restored(state));
        for (input, outcome) in &self.history {
            if let Err(Fault::Panicked(_)) = outcome.result {
                runner.skip(input);
                continue;
            }
            assert_eq!(runner.handle(input), *outcome, "not deterministic: a replay of {input:?} had other outputs");
        }
        assert_eq!(snapshot(runner.as_ref()), self.snapshot(), "not deterministic: a replay ended in another state");
    }
}

impl std::fmt::Debug for Twice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Twice").field("inputs", &self.history.len()).finish_non_exhaustive()
    }
}
