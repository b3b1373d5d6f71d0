//! Finds out that the other side is gone although the socket looks alive: a pulled cable sends no close.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::lifecycle::End;
use crate::link::Shared;
use crate::options::OnLoss;

/// How often it is looked whether anything was heard.
const BEAT: Duration = Duration::from_secs(2);

/// So many beats without a sign of life end the connection: 10 to 12 s.
const PATIENCE: u32 = 5;

/// Beats since anything was heard. The watch counts, the reader resets.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    beats: AtomicU32,
    /// The reader itself does not listen, because a room has too many events.
    deaf: AtomicBool,
    /// A sign of life is to be asked for.
    probe: AtomicBool,
}

impl Silence {
    /// A new connection: nothing of the old one counts.
    pub(crate) fn restart(&self) {
        self.broken();
        self.deaf.store(false, Ordering::Relaxed);
        self.probe.store(false, Ordering::Relaxed);
    }

    /// The broker said something.
    pub(crate) fn broken(&self) {
        self.beats.store(0, Ordering::Relaxed);
    }

    /// Beats since anything was heard; none while nobody listens.
    fn beat(&self) -> u32 {
        if self.deaf.load(Ordering::Relaxed) { 0 } else { self.beats.fetch_add(1, Ordering::Relaxed) }
    }

    /// Whether a ping is wanted, once.
    pub(crate) fn take_probe(&self) -> bool {
        self.probe.swap(false, Ordering::Relaxed)
    }

    /// Waits with ears closed: what is not heard meanwhile is nobody's fault.
    pub(crate) async fn deaf_while(&self, wait: impl Future<Output = ()>) {
        self.deaf.store(true, Ordering::Relaxed);
        wait.await;
        self.broken();
        self.deaf.store(false, Ordering::Relaxed);
    }
}

/// Waits until the broker has been silent for too long. Stands beside the writer, which may be stuck in the very socket that
/// is dead; and lets what a quiet session has received be acknowledged.
pub(crate) async fn watch(shared: &Shared) -> End {
    let options = &shared.options;
    if options.ping_every.is_zero() && (options.on_loss == OnLoss::End || !shared.is_kept()) {
        return pending().await;
    }
    let mut ticks = interval(BEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let silent = shared.silence.beat();
        if silent >= PATIENCE {
            return End::broken(&"the broker does not answer pings");
        }
        // The regular pings are enough unless they are rare.
        let rare = options.ping_every.is_zero() || options.ping_every > BEAT;
        if silent > 0 && rare {
            shared.silence.probe.store(true, Ordering::Relaxed);
            shared.wake.notify_one();
        }
        shared.ask_ack();
    }
}
