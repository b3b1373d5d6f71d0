//! A room goes on in another version of its kind, between two of its batches.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{debug, warn};

use super::RoomActor;

/// Whether the room may move now. Until it may, it goes on where it is: a move takes two workers some time, and with thousands before it,
/// a room that had stopped already would stand still for all of them.
pub(super) enum Turn {
    Expected(Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>),
    Come(#[expect(dead_code, reason = "kept until the room has moved")] Option<OwnedSemaphorePermit>),
}

impl Turn {
    pub(super) fn of(moves: &Arc<Semaphore>) -> Self {
        let turn = moves.clone().acquire_owned();
        Self::Expected(Box::pin(async move { turn.await.ok() }))
    }

    /// Ready when it has come, and from then on.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::Expected(turn) = self {
            let Poll::Ready(permit) = turn.as_mut().poll(cx) else { return Poll::Pending };
            *self = Self::Come(permit);
        }
        Poll::Ready(())
    }
}

impl RoomActor {
    /// Goes on in another version, if that was asked for and it is its turn. What was handled before is out by now.
    pub(super) async fn change_version(&mut self) {
        let Some(turn) = &mut self.moving else { return };
        // It may have come while there was something to do.
        if poll_fn(|cx| Poll::Ready(turn.poll(cx))).await.is_pending() {
            return;
        }
        let _turn = self.moving.take();
        // Meanwhile it may have been decided otherwise.
        let Some(to) = self.registry.course_of(&self.room.kind()).filter(|_| !self.state.ended()) else { return };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_moves_after_the_other_in_the_order_in_which_they_were_asked() {
        let moves = Arc::new(Semaphore::new(1));
        let mut rooms: Vec<_> = (0..3).map(|_| Turn::of(&moves)).collect();
        let turns = |rooms: &mut [Turn]| {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            rooms.iter_mut().map(|room| room.poll(&mut cx).is_ready()).collect::<Vec<_>>()
        };
        assert_eq!(turns(&mut rooms), [true, false, false]);
        assert_eq!(turns(&mut rooms), [true, false, false]);
        rooms.remove(0);
        assert_eq!(turns(&mut rooms), [true, false]);
        // One that gives it up makes way, too.
        rooms.remove(0);
        assert_eq!(turns(&mut rooms), [true]);
    }
}
