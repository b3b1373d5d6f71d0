//! Finds out that the other side is gone although the socket looks alive: a pulled cable sends no close.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// So many pings without a sign of life end the connection: 10 s at the default period.
const PATIENCE: u32 = 5;

/// Pings sent since anything was heard. The writer counts, the reader resets.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    pings: AtomicU32,
    /// The reader itself does not listen, because a room has too many events.
    deaf: AtomicBool,
}

impl Silence {
    /// The broker said something.
    pub(crate) fn broken(&self) {
        self.pings.store(0, Ordering::Relaxed);
    }

    /// A ping is due. False when it is time to give up.
    #[must_use]
    pub(crate) fn patient(&self) -> bool {
        self.deaf.load(Ordering::Relaxed) || self.pings.fetch_add(1, Ordering::Relaxed) < PATIENCE
    }

    /// Waits with ears closed: what is not heard meanwhile is nobody's fault.
    pub(crate) async fn deaf_while(&self, wait: impl Future<Output = ()>) {
        self.deaf.store(true, Ordering::Relaxed);
        wait.await;
        self.broken();
        self.deaf.store(false, Ordering::Relaxed);
    }
}
