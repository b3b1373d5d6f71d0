//! A room goes on in another version of its kind, between two of its batches.

use std::sync::Arc;

use tracing::{debug, warn};

use super::RoomActor;

impl RoomActor {
    /// Goes on in another version, if that was asked for. What was handled before is out by now.
    pub(super) async fn change_version(&mut self) {
        let Some(to) = self.moving.take().filter(|to| !self.state.ended() && !Arc::ptr_eq(to, &self.room.kind()))
        else {
            return;
        };
        let (moved, upset) = self.keeper.move_to(&to, self.batch_began.as_micros() as u64).await;
        self.obey(upset);
        let (room, from) = (self.room.id(), self.room.kind());
        if let Err(failure) = moved {
            self.registry.metrics().moves_failed.inc();
            warn!(%room, kind = %from.name, version = %from.version, to = %to.version, %failure, "the room stays in its version");
            return;
        }
        debug!(%room, from = %from.version, to = %to.version, "the room goes on in another version");
        self.state.change_kind(to.clone());
        self.registry.moved(&self.room, &to);
    }
}
