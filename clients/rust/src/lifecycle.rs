//! What happens to the session and its connections as a whole, as opposed to one room.

use std::sync::Arc;
use std::time::Duration;

use parlor_protocol::Failure;
use parlor_protocol::code::CloseKind;
use parlor_protocol::frame::Recovery;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::link::{Phase, Shared};

/// Events that a [`Lifecycle`] remembers while nobody reads it.
pub(crate) const REMEMBERED: usize = 64;

/// Something that concerns the session as a whole.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum LifecycleEvent {
    /// The broker complains about something that nobody is waiting for.
    Error(Failure),
    /// The connection was lost, or an attempt to connect again has failed. What is sent meanwhile waits.
    Disconnected {
        /// What was lost, or why the attempt failed.
        end: End,
        /// The attempt that comes next, from 1 for each loss.
        attempt: u32,
        /// How long the client waits before it.
        wait: Duration,
    },
    /// The session goes on, on a new connection.
    Resumed {
        /// What became of each room of the session.
        rooms: Vec<Recovery>,
    },
    /// The session is gone, and all its memberships with it: their rooms get [`RoomEvent::Closed`](crate::RoomEvent) with
    /// the code `lost`. What was sent last may have taken effect or not; none of it is sent again.
    Lost {
        /// `expired`, `unknown` or `codec` by the broker; `shutting_down` when the broker ended it, `not_kept` when it was
        /// none to come back to, `gave_up` after [`Options::reconnect_for`](crate::Options::reconnect_for).
        reason: String,
    },
    /// A new session has begun in place of the lost one: rooms can be joined again.
    Renewed,
    /// No fresh token could be brought before the old one expires. The client tries again.
    TokenFailed {
        /// What the provider or the broker said.
        reason: String,
    },
    /// So many events were not read in time and are gone.
    Missed(u64),
    /// The client has ended, and does not come back. Nothing follows.
    Closed(End),
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct End {
    /// The WebSocket close code: the broker's ([`CloseCode`](parlor_protocol::CloseCode)), 1000 after
    /// [`close`](crate::Parlor::close), 1002 when the broker broke the protocol, 1006 when the socket just broke.
    pub code: u16,
    /// The reason that came with it, or what broke.
    pub reason: String,
    /// What may be done now.
    pub kind: CloseKind,
}

/// Close codes of WebSocket itself that the client uses.
pub(crate) mod close {
    pub(crate) const NORMAL: u16 = 1000;
    pub(crate) const PROTOCOL: u16 = 1002;
    pub(crate) const ABNORMAL: u16 = 1006;
}

impl End {
    /// An end that the broker, or something between, gave a code for.
    pub(crate) fn by_peer(code: u16, reason: &str) -> Self {
        let kind = match code {
            4100..=4199 => CloseKind::Terminal,
            4200..=4299 | close::PROTOCOL => CloseKind::ClientFault,
            _ => CloseKind::Resumable,
        };
        Self { code, reason: reason.to_owned(), kind }
    }

    pub(crate) fn by_us() -> Self {
        Self { code: close::NORMAL, reason: "closed by the client".to_owned(), kind: CloseKind::Terminal }
    }

    pub(crate) fn broken(reason: &impl ToString) -> Self {
        Self { code: close::ABNORMAL, reason: reason.to_string(), kind: CloseKind::Resumable }
    }

    /// The broker said something that makes no sense; talking to it again would not help.
    pub(crate) fn protocol(reason: &impl ToString) -> Self {
        Self { code: close::PROTOCOL, reason: reason.to_string(), kind: CloseKind::Terminal }
    }
}

/// A reader of [`LifecycleEvent`]s, from the moment it was made. The end is told to every reader, however late it comes.
#[derive(Debug)]
pub struct Lifecycle {
    events: broadcast::Receiver<LifecycleEvent>,
    shared: Arc<Shared>,
    told: bool,
}

impl Lifecycle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { events: shared.events.subscribe(), shared, told: false }
    }

    /// The next event; `None` after [`LifecycleEvent::Closed`].
    pub async fn recv(&mut self) -> Option<LifecycleEvent> {
        loop {
            // Looked up before the events are, so that everything said before the end is read before it.
            let end = self.shared.end();
            match self.events.try_recv() {
                Ok(event) => return Some(event),
                Err(TryRecvError::Lagged(n)) => return Some(LifecycleEvent::Missed(n)),
                Err(TryRecvError::Empty | TryRecvError::Closed) => {}
            }
            if let Some(end) = end {
                return (!std::mem::replace(&mut self.told, true)).then_some(LifecycleEvent::Closed(end));
            }
            tokio::select! {
                biased;
                event = self.events.recv() => match event {
                    Ok(event) => return Some(event),
                    Err(RecvError::Lagged(n)) => return Some(LifecycleEvent::Missed(n)),
                    // Cannot be: the sender lives in `shared`.
                    Err(RecvError::Closed) => return None,
                },
                () = self.shared.reached(Phase::Ended) => {}
            }
        }
    }
}
