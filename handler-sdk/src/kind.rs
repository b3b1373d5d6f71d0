//! A room kind without its type, as an `App` or a test holds it.

use std::fmt;

use crate::work::WorkFn;
use crate::{Policy, Result, Room, Runner, runner};

/// Everything that there is to know about a kind of room.
#[derive(Clone)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// Its policy.
    pub policy: Policy,
    /// What clients may send.
    pub routes: &'static [&'static str],
    /// What the server side may raise.
    pub events: &'static [&'static str],
    /// Its outside work.
    pub works: Vec<WorkFn>,
    make: fn() -> Box<dyn Runner>,
    restore: fn(&[u8]) -> Restored,
    migrate: fn(&str, &[u8]) -> Restored,
}

/// A runner that goes on from a snapshot, or why there is none.
type Restored = Result<Box<dyn Runner>>;

impl Kind {
    /// The kind of room that `R` is.
    pub fn of<R: Room>() -> Self {
        Self {
            name: R::KIND,
            policy: R::policy(),
            routes: R::ROUTES,
            events: R::EVENTS,
            works: R::works(),
            make: runner::runner::<R>,
            restore: runner::restore::<R>,
            migrate: runner::migrate::<R>,
        }
    }

    /// A runner for a new room.
    pub fn runner(&self) -> Box<dyn Runner> {
        (self.make)()
    }

    /// A runner that goes on from a snapshot.
    ///
    /// # Errors
    /// When the snapshot is not one of this kind.
    pub fn restore(&self, snapshot: &[u8]) -> Result<Box<dyn Runner>> {
        (self.restore)(snapshot)
    }

    /// A runner that goes on from a snapshot of another version of the game.
    ///
    /// # Errors
    /// When the room cannot read that.
    pub fn migrate(&self, version: &str, snapshot: &[u8]) -> Result<Box<dyn Runner>> {
        (self.migrate)(version, snapshot)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kind").field("name", &self.name).field("routes", &self.routes).finish_non_exhaustive()
    }
}
