//! What happens to the connection as a whole, as opposed to one room.

use std::sync::Arc;

use parlor_protocol::Failure;
use parlor_protocol::code::CloseKind;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::link::{Phase, Shared};

/// Errors that a [`Lifecycle`] remembers while nobody reads it.
pub(crate) const REMEMBERED: usize = 64;

/// Something that concerns the connection as a whole.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum LifecycleEvent {
    /// The broker complains about something that nobody is waiting for.
    Error(Failure),
    /// So many errors were not read in time and are gone.
    Missed(u64),
    /// The connection has ended. Nothing follows.
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
    errors: broadcast::Receiver<Failure>,
    shared: Arc<Shared>,
    told: bool,
}

impl Lifecycle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { errors: shared.errors.subscribe(), shared, told: false }
    }

    /// The next event; `None` after [`LifecycleEvent::Closed`].
    pub async fn recv(&mut self) -> Option<LifecycleEvent> {
        loop {
            // Looked up before the errors are, so that everything said before the end is read before it.
            let end = self.shared.end();
            match self.errors.try_recv() {
                Ok(failure) => return Some(LifecycleEvent::Error(failure)),
                Err(TryRecvError::Lagged(n)) => return Some(LifecycleEvent::Missed(n)),
                Err(TryRecvError::Empty | TryRecvError::Closed) => {}
            }
            if let Some(end) = end {
                return (!std::mem::replace(&mut self.told, true)).then_some(LifecycleEvent::Closed(end));
            }
            tokio::select! {
                biased;
                error = self.errors.recv() => match error {
                    Ok(failure) => return Some(LifecycleEvent::Error(failure)),
                    Err(RecvError::Lagged(n)) => return Some(LifecycleEvent::Missed(n)),
                    // Cannot be: the sender lives in `shared`.
                    Err(RecvError::Closed) => return None,
                },
                () = self.shared.reached(Phase::Ended) => {}
            }
        }
    }
}
