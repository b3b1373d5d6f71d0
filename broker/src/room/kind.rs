//! A kind of room as the broker knows it.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use parlor_protocol::frame::TypeRef;
use parlor_protocol::{ErrorCode, Policy};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::Semaphore;

use super::registry::Joinable;
use crate::host::HostMaker;

/// Rooms that leave a version at once for another. Each keeps two workers busy for a millisecond or so; more would wait for each other.
const MOVES: usize = 16;

/// What rooms of one kind have in common, those of one version of it.
pub struct Kind {
    /// What clients ask for.
    pub name: Arc<str>,
    /// Of the game's code; empty where there is just one.
    pub version: Arc<str>,
    /// How its rooms behave.
    pub policy: Policy,
    routes: Vec<Arc<str>>,
    events: HashSet<Arc<str>>,
    open: OpenTypes,
    maker: Box<dyn HostMaker>,
    /// Rooms that may take another player, by what they must agree on with the joiner. The lock makes find-or-create one step.
    pub(super) joinable: Mutex<Joinable>,
    /// Rooms that were opened.
    pub(super) opened: Counter,
    /// Those of them on which the handler has failed.
    pub(super) failed: Counter,
    /// Turns of rooms that are to go on in another version.
    pub(super) moves: Arc<Semaphore>,
}

/// Which message types clients may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenTypes {
    /// Those that the kind lists.
    Listed,
    /// Any: the relay's way.
    Any,
}

impl Kind {
    /// A kind whose handler takes `routes` from clients and `events` from the server side.
    pub fn new(name: &str, policy: Policy, routes: &[&str], events: &[&str], maker: Box<dyn HostMaker>) -> Self {
        let texts = |list: &[&str]| list.iter().map(|text| Arc::from(*text)).collect();
        Self::of(name, policy, texts(routes), texts(events), maker)
    }

    /// The same, of names that somebody has.
    pub(crate) fn of(
        name: &str,
        policy: Policy,
        routes: Vec<Arc<str>>,
        events: Vec<Arc<str>>,
        maker: Box<dyn HostMaker>,
    ) -> Self {
        Self {
            name: name.into(),
            version: "".into(),
            policy,
            routes,
            events: events.into_iter().collect(),
            open: OpenTypes::Listed,
            maker,
            joinable: Mutex::default(),
            opened: Counter::default(),
            failed: Counter::default(),
            moves: Arc::new(Semaphore::new(MOVES)),
        }
    }

    /// The same kind, of this version.
    #[must_use]
    pub fn of_version(mut self, version: Arc<str>) -> Self {
        self.version = version;
        self
    }

    /// Counts one more room, and says which it is.
    pub(super) fn count_opened(&self) -> u64 {
        self.opened.inc() + 1
    }

    /// Whether this is what the other is, whoever runs it.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        (&self.name, &self.version, &self.policy) == (&other.name, &other.version, &other.policy)
            && (&self.routes, &self.events, self.open) == (&other.routes, &other.events, other.open)
    }

    /// A kind that takes any message type from clients.
    pub(crate) fn open(name: &str, policy: Policy, maker: Box<dyn HostMaker>) -> Self {
        Self { open: OpenTypes::Any, ..Self::new(name, policy, &[], &[], maker) }
    }

    /// The message types that may be sent by number.
    pub fn routes(&self) -> &[Arc<str>] {
        &self.routes
    }

    /// Whether the server side may raise this event.
    pub fn has_event(&self, name: &str) -> bool {
        self.events.contains(name)
    }

    pub(crate) fn maker(&self) -> &dyn HostMaker {
        self.maker.as_ref()
    }

    /// The message type that a client means.
    ///
    /// # Errors
    /// [`ErrorCode::EventOnly`] for what only the server side may say, [`ErrorCode::UnknownType`] for what nobody may.
    pub fn resolve(&self, type_: &TypeRef) -> Result<Arc<str>, ErrorCode> {
        let known = match type_ {
            TypeRef::Number(number) => self.routes.get(*number as usize),
            // A handful of names: a scan is as fast as a hash.
            TypeRef::Name(name) => self.routes.iter().find(|route| ***route == **name),
        };
        match (known, type_) {
            (Some(route), _) => Ok(route.clone()),
            (None, TypeRef::Name(name)) if self.open == OpenTypes::Any => Ok(name.as_str().into()),
            (None, TypeRef::Name(name)) if self.has_event(name) => Err(ErrorCode::EventOnly),
            _ => Err(ErrorCode::UnknownType),
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kind").field("name", &self.name).field("routes", &self.routes).finish_non_exhaustive()
    }
}
