//! The task that owns a room: drains its queue in batches, has each input numbered and handled, logs the batch, and only then
//! hands the members their frames.

mod moving;
mod report;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use parlor_protocol::room::{CloseWhy, Fault, Input, Origin};
use parlor_protocol::{BrokerFrame, ErrorCode, Failure};
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::{debug, info_span};

use self::moving::Turn;
use super::aside::SetAside;
use super::handle::RoomHandle;
use super::journal::Space;
use super::keeper::{Keeper, Outside, Upset};
use super::link::{MemberLink, MemberSlot, Sent};
use super::queue::{Arrival, JoinArrival};
use super::registry::Registry;
use super::state::{Newcomer, RoomState, Shown, WorkStart};
use crate::engine::Claim;
use crate::host::WorkDone;
use crate::telemetry::count;

/// Inputs after which a batch goes out, so that under load nobody waits for the whole queue.
const BATCH: usize = 256;
/// What a new room begins with.
pub(crate) struct Opening {
    pub(crate) options: Bytes,
    pub(crate) seed: u64,
    pub(crate) claim: Claim,
}

/// Runs a room from its opening to its end, and leaves nothing behind, however it ends.
pub(crate) async fn run(listed: Listed, opening: Opening) {
    let mut actor = RoomActor::new(listed.room.clone(), listed.registry.clone(), opening.claim);
    actor.run(opening.seed, opening.options).await;
}

/// A room in the directory. Dropping this takes it out and refuses what still waits, even if its actor never ran.
pub(crate) struct Listed {
    pub(crate) room: Arc<RoomHandle>,
    pub(crate) registry: Arc<Registry>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut rest = VecDeque::new();
        self.room.queue().close(&mut rest);
        self.room.set_opened(Err(ErrorCode::RoomClosed.into()));
        self.registry.remove(&self.room);
    }
}

/// Whether there was anything to wait for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waited {
    Yes,
    No,
}

struct RoomActor {
    room: Arc<RoomHandle>,
    registry: Arc<Registry>,
    state: RoomState<MemberLink>,
    keeper: Keeper,
    claim: Claim,
    started: Instant,
    batch_began: Duration,
    arrivals: VecDeque<Arrival>,
    /// Inputs of this batch so far.
    batch: usize,
    works: Vec<WorkStart>,
    /// How much the keeper may still keep.
    space: Space,
    /// Whether the handler is counted as one that sleeps.
    asleep: bool,
    /// Whether the room has ended for want of a handler.
    failed: bool,
    /// The turn that the room waits for, or has, to go on in another version.
    moving: Option<Turn>,
    /// Answers to those who are members no more.
    late: Vec<(Arc<MemberSlot>, BrokerFrame)>,
}

impl RoomActor {
    fn new(room: Arc<RoomHandle>, registry: Arc<Registry>, claim: Claim) -> Self {
        let kind = room.kind();
        let keeper = Keeper::new(room.id().clone(), kind.clone());
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let listing = room.listing().lock().clone();
        let shown = Shown { properties: listing.properties, door: listing.door };
        Self {
            state: RoomState::new(room.no(), room.id().clone(), kind, now_ms, shown)
                .with_invite(room.invite().map(str::to_owned)),
            room,
            registry,
            keeper,
            claim,
            started: Instant::now(),
            batch_began: Duration::ZERO,
            arrivals: VecDeque::new(),
            batch: 0,
            works: Vec::new(),
            space: Space::Enough,
            asleep: false,
            failed: false,
            moving: None,
            late: Vec::new(),
        }
    }

    async fn run(&mut self, seed: u64, options: Bytes) {
        let span = info_span!("room", id = %self.room.id(), kind = %self.room.kind().name);
        span.in_scope(|| debug!(epoch = self.claim.epoch, "room opens"));
        let input = self.state.open(seed, options);
        self.handle(input).await;
        // Whoever waits for the opening finds the room as its handler has listed it.
        if !self.state.ended() {
            self.release();
        }
        self.advance();
        self.room.set_opened(self.state.refuses().filter(|_| self.state.ended()).map_or(Ok(()), Err));
        let mut sleep = pin!(sleep_until(self.started));
        while !self.state.ended() {
            self.own_business().await;
            if self.state.ended() {
                break;
            }
            self.release();
            self.change_version().await;
            self.begin_works().await;
            self.save().await;
            if self.state.ended() {
                break;
            }
            // A room that has always something to do must let the others of its thread have their turn.
            let pending = self.keeper.has_lost_works() && self.state.has_works();
            if pending || !self.arrivals.is_empty() || self.wait(sleep.as_mut()).await == Waited::No {
                tokio::task::yield_now().await;
            }
            self.advance();
            self.turn().await;
        }
        self.finish().await;
        span.in_scope(|| debug!("room closed"));
    }

    /// Waits for an arrival or for the room's own next deadline, whichever comes first.
    async fn wait(&mut self, mut sleep: Pin<&mut Sleep>) -> Waited {
        let due_us = self.state.next_due_us().into_iter().chain(self.keeper.again_us()).min();
        let deadline = due_us.map(|us| self.started + Duration::from_micros(us));
        if let Some(deadline) = deadline {
            sleep.as_mut().reset(deadline);
        }
        let (room, arrivals, keeper) = (&self.room, &mut self.arrivals, &mut self.keeper);
        let moving = &mut self.moving;
        let mut waited = Waited::No;
        poll_fn(|cx| {
            // Both are asked, so that neither keeps the other waiting.
            let arrived = room.queue().poll_drain(cx, arrivals).is_ready();
            let parted = keeper.poll_parting(cx).is_ready();
            let moves = moving.as_mut().is_some_and(|turn| turn.poll(cx).is_ready());
            if arrived || parted || moves || (deadline.is_some() && sleep.as_mut().poll(cx).is_ready()) {
                return Poll::Ready(waited);
            }
            waited = Waited::Yes;
            Poll::Pending
        })
        .await
    }

    fn advance(&mut self) {
        // One clock reading serves the whole batch.
        self.batch_began = self.started.elapsed();
        // What was waited for before is none of this batch's.
        self.keeper.take_made();
        self.state.advance(self.batch_began.as_micros() as u64);
    }

    /// Handles a batch of arrivals.
    async fn turn(&mut self) {
        for _ in 0..BATCH {
            let Some(arrival) = self.arrivals.pop_front() else { return };
            if let Arrival::Join(join) = &arrival {
                self.state.make_way(&join.account, join.ticket.as_ref());
                self.evict().await;
            }
            if let Some(input) = self.number(arrival) {
                self.handle(input).await;
                self.evict().await;
            }
            if self.state.ended() {
                return;
            }
        }
    }

    /// Those whom the handler sent away leave before the next input.
    async fn evict(&mut self) {
        while let Some(input) = self.state.next_leaving() {
            self.handle(input).await;
        }
    }

    /// Timers, ticks and the end. What is left when the batch is full is due at once in the next.
    async fn own_business(&mut self) {
        while self.batch < 2 * BATCH {
            // Whoever has got a seat, in this very moment perhaps, finds the room open.
            if self.state.deserted() && !self.room.try_seal() {
                self.state.expect_company();
                self.registry.relist(&self.room);
            }
            let Some(input) = self.state.due() else { return };
            self.handle(input).await;
        }
    }

    fn number(&mut self, arrival: Arrival) -> Option<Input> {
        match arrival {
            Arrival::Message { slot, no, request, name, payload } => {
                slot.dequeued();
                let input = self.state.message(Origin { player: slot.player(), no, request }, name, payload);
                if input.is_none() {
                    self.too_late(slot, request, Some(no));
                }
                input
            }
            Arrival::Join(join) => {
                let JoinArrival { id, account, name, options, ticket, link } = *join;
                let role = link.role();
                self.state.join(Newcomer { id, account, name, role, options, ticket, link })
            }
            Arrival::Drop { slot } => self.state.drop_out(slot.player()),
            Arrival::Resume { slot } => self.state.resume(slot.player()),
            Arrival::View { slot } => self.state.view(slot.player()),
            Arrival::Leave { slot, why } => self.state.leave(slot.player(), &why),
            Arrival::Follow { slot, id, topic, follows } => {
                slot.dequeued();
                if !self.state.is_member(slot.player()) {
                    self.too_late(slot, Some(id), None);
                    return None;
                }
                self.state.follow(slot.player(), id, &topic, follows)
            }
            Arrival::Event { name, payload } => Some(self.state.event(name, payload)),
            Arrival::WorkDone { id, name, result } => self.state.work_done(id, name, result),
            Arrival::Close(why) => {
                let shutdown = self.registry.limits().drain_ms;
                let max_grace_ms = if why == CloseWhy::ShuttingDown { shutdown } else { u64::MAX };
                self.state.close(why, max_grace_ms)
            }
            Arrival::Move => {
                // Asked again, it keeps its place.
                self.moving.get_or_insert_with(|| Turn::of(&self.room.kind().moves));
                None
            }
        }
    }

    async fn handle(&mut self, input: Input) {
        let (outcome, upset) = self.keeper.handle(&input).await;
        let mut works = self.state.apply(&input, &outcome);
        self.works.append(&mut works);
        self.claim.log.append(&input);
        self.batch += 1;
        if let Err(Fault::Panicked(text)) = &outcome.result {
            self.room.set_aside(SetAside::new(&input, text));
            self.note_failure();
        }
        self.obey(upset);
        self.keeper.keep(input, outcome);
    }

    fn obey(&mut self, upset: Option<Upset>) {
        match upset {
            None => {}
            Some(Upset::Resync) => self.state.resync(),
            Some(Upset::Fail(failure)) => {
                self.note_failure();
                self.failed = true;
                self.state.fail(*failure);
            }
        }
    }

    fn note_failure(&self) {
        if self.room.note_failure() {
            self.registry.handler_failed(&self.room);
        }
    }

    /// Begins the outside work that this batch asked for, and what was pending where the handler is no more.
    async fn begin_works(&mut self) {
        let lost = self.keeper.take_works_lost();
        if !lost && self.works.is_empty() {
            return;
        }
        let pending = self.state.pending_works();
        if !lost || !pending.is_empty() {
            let upset = self.keeper.ready().await;
            self.obey(upset);
        }
        // What was lost meanwhile is among what is pending.
        if self.keeper.take_works_lost() || lost {
            self.works = pending;
        }
        for work in self.works.drain(..) {
            let done = WorkDone::new(self.room.clone(), work.id, &work.name);
            self.keeper.run(&work.name, work.arguments, done);
        }
    }

    /// Behind everything else, since it may take a while.
    async fn save(&mut self) {
        let outside = if self.state.has_works() { Outside::Working } else { Outside::Idle };
        let space = self.keeper.save(self.batch_began.as_micros() as u64, outside).await;
        if space != self.space {
            self.room.queue().set_overdue(space != Space::Enough);
        }
        if space == Space::None {
            self.failed = true;
            self.state.fail(ErrorCode::RoomFailed.into());
        }
        self.space = space;
        self.count_asleep(self.keeper.is_asleep());
    }

    fn count_asleep(&mut self, asleep: bool) {
        let gauge = &self.registry.metrics().rooms_asleep;
        match (std::mem::replace(&mut self.asleep, asleep), asleep) {
            (false, true) => drop(gauge.inc()),
            (true, false) => drop(gauge.dec()),
            _ => {}
        }
    }

    fn relist(&mut self) {
        if let Some(shown) = self.state.take_shown() {
            self.registry.update(&self.room, shown.properties, shown.door);
        }
    }

    /// Makes the batch safe, and then lets out everything that it caused.
    fn release(&mut self) {
        self.check_overrun();
        self.claim.log.commit();
        count(&self.registry.metrics().inputs, std::mem::take(&mut self.batch) as u64);
        // Whoever is told something finds it counted and listed.
        self.report();
        self.relist();
        let metrics = self.registry.metrics();
        let mut sent = Sent::default();
        for link in self.state.end_batch() {
            link.depart(&mut sent);
        }
        for link in self.state.links() {
            link.flush(&mut sent);
        }
        count(&metrics.deliveries, sent.frames);
        count(&metrics.writes, sent.wrote.calls);
        count(&metrics.bytes_out, sent.wrote.bytes);
        for (slot, error) in self.late.drain(..) {
            metrics.error(ErrorCode::RoomClosed);
            slot.tell(&error);
        }
    }

    /// Answers everything that came too late.
    async fn finish(&mut self) {
        // Out of the lobby first: whoever finds the queue closed then finds another room.
        self.relist();
        self.room.queue().close(&mut self.arrivals);
        let why = self.state.refuses().unwrap_or_else(|| ErrorCode::RoomClosed.into());
        for arrival in std::mem::take(&mut self.arrivals) {
            self.turn_away(arrival, &why);
        }
        self.release();
        // What a room saves in its end must be saved, if it has not ended because nobody can run its handler.
        if !self.failed {
            self.begin_works().await;
        }
        self.count_asleep(false);
    }

    fn turn_away(&mut self, arrival: Arrival, why: &Failure) {
        match arrival {
            Arrival::Join(join) => self.state.turn_away(join.id, join.link, why.clone()),
            Arrival::Message { slot, no, request, .. } => {
                self.registry.metrics().messages_room_closed.inc();
                self.too_late(slot, request, Some(no));
            }
            Arrival::Follow { slot, id, .. } => self.too_late(slot, Some(id), None),
            // Nobody waits for an answer to these.
            Arrival::Leave { .. }
            | Arrival::Event { .. }
            | Arrival::WorkDone { .. }
            | Arrival::Close(_)
            | Arrival::Move => {}
            Arrival::Drop { .. } | Arrival::Resume { .. } | Arrival::View { .. } => {}
        }
    }

    /// Answers, behind all that the room says, what came from somebody who is a member no more.
    fn too_late(&mut self, slot: Arc<MemberSlot>, id: Option<u64>, no: Option<u64>) {
        let error = Failure { room: Some(self.room.no()), no, ..ErrorCode::RoomClosed.into() };
        self.late.push((slot, BrokerFrame::Error { id, error: error.into() }));
    }
}
