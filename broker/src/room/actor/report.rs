//! What a room counts and logs of each of its batches.

use std::time::Duration;

use tracing::{error, warn};

use super::RoomActor;
use crate::telemetry::count;

/// Time for a batch beyond which it is reported.
const OVERRUN: Duration = Duration::from_millis(100);

impl RoomActor {
    /// A handler that takes long delays every room of its thread; all that can be done here is to say so. Where one had to be waited for,
    /// the time is not its own.
    pub(super) fn check_overrun(&mut self) {
        let took = self.started.elapsed().saturating_sub(self.batch_began);
        if !self.keeper.take_made() && took > OVERRUN {
            self.registry.metrics().handler_overruns.inc();
            let (room, kind) = (self.room.id(), self.room.kind().name.clone());
            warn!(%room, %kind, ?took, inputs = self.batch, "a batch of inputs took long to handle");
        }
    }

    /// Counts, and logs what no client is told.
    pub(super) fn report(&mut self) {
        self.count_asleep(self.keeper.is_asleep());
        let (metrics, tally) = (self.registry.metrics(), self.state.take_tally());
        count(&metrics.outputs, tally.outputs);
        count(&metrics.messages_handled, tally.handled);
        count(&metrics.messages_set_aside, tally.set_aside);
        count(&metrics.messages_orphaned, tally.orphaned);
        count(&metrics.handler_faults, tally.faults);
        count(&metrics.handler_panics, tally.panics.len() as u64);
        let kept = self.keeper.take_kept();
        count(&metrics.snapshots, kept.snapshots);
        count(&metrics.snapshots_failed, kept.snapshots_failed);
        count(&metrics.rooms_restored, kept.restored);
        count(&metrics.replays_diverged, kept.diverged);
        for code in tally.told {
            metrics.failure(&code);
        }
        let (room, kind) = (self.room.id(), self.room.kind().name.clone());
        for text in tally.panics {
            error!(%room, %kind, panic = text, "handler panicked");
        }
        for failure in tally.untold {
            warn!(%room, %kind, %failure, "handler failed");
        }
    }
}
