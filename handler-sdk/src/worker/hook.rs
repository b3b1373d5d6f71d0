//! For tests of what happens when a worker ends in the middle of something: a call at each point where it might.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Somewhere in a worker's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A frame with inputs has been read, and none of them handled.
    Received,
    /// An input has been handled; nothing of its outcome has been written.
    Handled,
    /// The same in a room that went on from a snapshot; comes besides.
    Replay,
    /// The first half of a frame with outcomes has been written, and no more.
    HalfSent,
    /// A state has been saved, and not been written.
    Snapshot,
    /// A piece of work is about to begin.
    Work,
    /// A piece of work has ended; its result has not been written.
    WorkDone,
    /// A room that goes on from a state has been made; nothing has been said of it.
    Restored,
}

/// What is called at each point, with how often this process has come there, from 1.
pub type At = Arc<dyn Fn(Point, u64) + Send + Sync>;

/// The call, and the counts. Costs one comparison when nobody listens.
#[derive(Clone, Default)]
pub(super) struct Hook(Option<(At, Arc<[AtomicU64; POINTS]>)>);

const POINTS: usize = Point::Restored as usize + 1;

impl Hook {
    pub(super) fn new(at: Option<At>) -> Self {
        Self(at.map(|at| (at, Arc::default())))
    }

    /// Whether anybody listens.
    pub(super) fn listens(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn at(&self, point: Point) {
        if let Some((at, counts)) = &self.0 {
            at(point, counts[point as usize].fetch_add(1, Ordering::Relaxed) + 1);
        }
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hook").field(&self.listens()).finish()
    }
}
