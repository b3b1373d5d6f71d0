//! Where a session is found by a client that comes back: its outbox, and a box for the new connection. The session's own task takes
//! it from there, so that at any time one task alone speaks for the session.

use std::sync::Arc;
use std::task::{Context, Waker};

use parking_lot::Mutex;

use super::connection::Connection;
use super::conversation::Entrance;
use crate::outbox::Outbox;

/// A session as others see it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) outbox: Arc<Outbox>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Whose session it is, once it can be taken up again.
    owner: Option<Owner>,
    /// The generation of the newest resume token, and the newest that the client is known to have.
    newest: u32,
    proven: u32,
    offer: Option<Box<Offer>>,
    /// Nobody looks into the box any more.
    over: bool,
    /// Somebody wants the session to end.
    ended: bool,
    waker: Option<Waker>,
}

/// Whose session it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) account: String,
    /// Whether the account was given to somebody without a token, who can prove it by nothing but the resume token.
    pub(crate) guest: bool,
}

/// A connection for a session that was there before it.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) connection: Connection,
    /// What its client said.
    pub(crate) entrance: Entrance,
}

impl Place {
    pub(crate) fn new(outbox: Arc<Outbox>) -> Self {
        Self { outbox, inner: Mutex::default() }
    }

    /// Lets the session be taken up again by its owner.
    pub(crate) fn own(&self, owner: Owner) {
        self.inner.lock().owner = Some(owner);
    }

    pub(crate) fn owner(&self) -> Option<Owner> {
        self.inner.lock().owner.clone()
    }

    /// The generation of the next token. Older ones hold until it is [proven](Self::prove).
    pub(crate) fn next_generation(&self) -> u32 {
        let mut inner = self.inner.lock();
        inner.newest = inner.newest.saturating_add(1);
        inner.newest
    }

    /// The client has the newest token: older ones are void.
    pub(crate) fn prove(&self) {
        let mut inner = self.inner.lock();
        inner.proven = inner.newest;
    }

    /// Whether tokens of this generation are good.
    pub(crate) fn accepts(&self, generation: u32) -> bool {
        let inner = self.inner.lock();
        (inner.proven..=inner.newest).contains(&generation)
    }

    /// Hands a connection to the session's task; gives it back when there is none any more. One that still waits is dropped for it.
    pub(crate) fn offer(&self, offer: Box<Offer>) -> Result<(), Box<Offer>> {
        let mut inner = self.inner.lock();
        if inner.over {
            return Err(offer);
        }
        let older = inner.offer.replace(offer);
        let waker = inner.waker.take();
        drop(inner);
        drop(older);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Ends a session that has no connection to be told over.
    pub(crate) fn end(&self) {
        let mut inner = self.inner.lock();
        inner.ended = true;
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// A connection that waits, if there is one, and whether the session is to end as soon as it has none; the task is woken when
    /// either comes.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> (Option<Box<Offer>>, bool) {
        let mut inner = self.inner.lock();
        if inner.offer.is_none() && !inner.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            inner.waker = Some(cx.waker().clone());
        }
        (inner.offer.take(), inner.ended)
    }

    /// Takes no connection any more; returns one that came too late.
    pub(crate) fn close(&self) -> Option<Box<Offer>> {
        let mut inner = self.inner.lock();
        inner.over = true;
        inner.offer.take()
    }
}
