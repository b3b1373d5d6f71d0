//! Runs one room: inputs in, outcomes out. Knows nothing of sockets, queues or time.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;
use parlor_protocol::ErrorCode;
use parlor_protocol::codec::{NIL, to_payload};
use parlor_protocol::room::{Cause, Fault, Input, Outcome};
use ref_cast::RefCast;
use serde::{Deserialize, Serialize};

use crate::ctx::{Ctx, Rules};
use crate::{Failure, Leave, Payload, Player, PlayerId, Result, Room, RoomId, bounds};

/// A room that runs, whatever its kind.
pub trait Runner: Send {
    /// Handles the next input. A panic is caught and becomes part of the outcome.
    fn handle(&mut self, input: &Input) -> Outcome;

    /// Takes an input of which the handler does not hear, since it has panicked on it: only who is in the room changes by it.
    fn skip(&mut self, input: &Input);

    /// All that is needed to go on elsewhere after the last input.
    ///
    /// # Errors
    /// When the state cannot be encoded.
    fn snapshot(&self) -> Result<Bytes>;

    /// The same in the form of an older version of the game, if the room knows it.
    ///
    /// # Errors
    /// When the room's state has no such form, or cannot be encoded.
    fn snapshot_for(&self, version: &str) -> Result<Option<Bytes>>;
}

/// A new runner for rooms of kind `R`, which waits for its `Open` input.
pub(crate) fn runner<R: Room>() -> Box<dyn Runner> {
    // The real name and seed come with the first input.
    let nameless = RoomId::parse("unopened").expect("a valid id");
    Box::new(Running {
        room: R::default(),
        ctx: Ctx::new(nameless, 0, Rules::new(&R::policy(), R::EVENTS)),
        let_in: false,
    })
}

/// A runner that goes on from a snapshot.
pub(crate) fn restore<R: Room>(snapshot: &[u8]) -> Result<Box<dyn Runner>> {
    restore_by::<R>(snapshot, |state| rmp_serde::from_slice(&state.0).map_err(|error| unsaved(&error)))
}

/// A runner that goes on from a snapshot of another version.
pub(crate) fn migrate<R: Room>(version: &str, snapshot: &[u8]) -> Result<Box<dyn Runner>> {
    let mut runner = restore_by::<R>(snapshot, |state| R::from_version(version, state));
    if let Err(failure) = &mut runner {
        failure.text = format!("from version `{version}`: {}", failure.text).into();
    }
    runner
}

fn restore_by<R: Room>(snapshot: &[u8], read: impl Fn(&Payload) -> Result<R>) -> Result<Box<dyn Runner>> {
    let saved: Saved = rmp_serde::from_slice(snapshot).map_err(|error| unsaved(&error))?;
    let room = caught(|| read(&Payload(saved.room)))?;
    let mut ctx = Ctx::new(saved.id, saved.seed, Rules::new(&R::policy(), R::EVENTS));
    ctx.tick = saved.tick;
    (ctx.players, ctx.away) = (saved.players, saved.away);
    Ok(Box::new(Running { room, ctx, let_in: false }))
}

/// What the game's code makes of a state, even if it panics.
fn caught<T>(of: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(of)).unwrap_or_else(|panic| Err(unsaved(&panic_text(panic.as_ref()))))
}

fn unsaved(why: &dyn std::fmt::Display) -> Failure {
    Failure::from(ErrorCode::Internal).because(format!("snapshot: {why}"))
}

struct Running<R> {
    room: R,
    ctx: Ctx,
    /// Whether the handler has agreed to the join that is being handled.
    let_in: bool,
}

/// A snapshot as it is read. The room's own state is binary in it, so that it can be read as whatever an older version made of it.
#[derive(Deserialize)]
struct Saved {
    room: Bytes,
    id: RoomId,
    seed: u64,
    tick: u64,
    players: BTreeMap<PlayerId, Player>,
    away: BTreeSet<PlayerId>,
}

/// A snapshot as it is written.
#[derive(Serialize)]
struct Saving<'a> {
    room: Bytes,
    id: &'a RoomId,
    seed: u64,
    tick: u64,
    players: &'a BTreeMap<PlayerId, Player>,
    away: &'a BTreeSet<PlayerId>,
}

impl<R: Room> Runner for Running<R> {
    fn handle(&mut self, input: &Input) -> Outcome {
        self.ctx.begin(input.seq, input.now_ms);
        self.let_in = false;
        // The state may be half changed after a panic: whoever drives this makes the room anew from a snapshot, or ends it.
        match catch_unwind(AssertUnwindSafe(|| self.dispatch(&input.cause))) {
            Ok(Ok(view)) => match self.ctx.end() {
                Ok(outputs) => Outcome { result: Ok(()), outputs, view },
                Err(failure) => self.undo(&input.cause, Fault::Refused(failure.into())),
            },
            Ok(Err(failure)) => self.undo(&input.cause, Fault::Refused(bounds::sayable(failure).into())),
            Err(panic) => self.undo(&input.cause, Fault::Panicked(panic_text(panic.as_ref()))),
        }
    }

    fn skip(&mut self, input: &Input) {
        let ctx = &mut self.ctx;
        match &input.cause {
            Cause::Drop { player } if ctx.players.contains_key(player) => drop(ctx.away.insert(*player)),
            Cause::Resume { player } => drop(ctx.away.remove(player)),
            Cause::Leave { player, .. } => {
                ctx.away.remove(player);
                ctx.players.remove(player);
            }
            Cause::Tick { count, .. } => ctx.tick = *count,
            _ => {}
        }
    }

    fn snapshot(&self) -> Result<Bytes> {
        self.save(caught(|| to_payload(&self.room).map_err(|error| unsaved(&error)))?)
    }

    fn snapshot_for(&self, version: &str) -> Result<Option<Bytes>> {
        caught(|| self.room.for_version(version))?.map(|state| self.save(state.0)).transpose()
    }
}

impl<R: Room> Running<R> {
    fn save(&self, room: Bytes) -> Result<Bytes> {
        let Ctx { room: id, seed, tick, players, away, .. } = &self.ctx;
        to_payload(&Saving { room, id, seed: *seed, tick: *tick, players, away }).map_err(|error| unsaved(&error))
    }

    fn dispatch(&mut self, cause: &Cause) -> Result<Option<Bytes>> {
        let Self { room, ctx, let_in } = self;
        match cause {
            Cause::Open { room: id, seed, options } => {
                (ctx.room, ctx.seed) = (id.clone(), *seed);
                room.on_open(ctx, Payload::ref_cast(options))?;
            }
            Cause::Join { player, options, .. } => {
                ctx.players.insert(player.id, player.clone());
                room.on_join(ctx, player, Payload::ref_cast(options))?;
                *let_in = true;
                return view(room, ctx, player).map(Some);
            }
            Cause::Drop { player } => {
                if let Some(member) = ctx.players.get(player).cloned() {
                    ctx.away.insert(*player);
                    room.on_drop(ctx, &member)?;
                }
            }
            Cause::Resume { player } => {
                if let Some(member) = ctx.players.get(player).cloned() {
                    ctx.away.remove(player);
                    room.on_resume(ctx, &member)?;
                }
            }
            Cause::View { player } => {
                let member = ctx.players.get(player);
                return member.map(|member| view(room, ctx, member)).transpose();
            }
            Cause::Leave { player, why } => {
                ctx.away.remove(player);
                if let Some(player) = ctx.players.remove(player) {
                    room.on_leave(ctx, &player, why.clone())?;
                }
            }
            Cause::Message { from, name, payload } => {
                ctx.asked_by = Some(*from);
                room.on_message(ctx, *from, name, Payload::ref_cast(payload))?;
            }
            Cause::Follow { .. } => {}
            Cause::Tick { count, elapsed_us } => {
                ctx.tick = *count;
                room.on_tick(ctx, Duration::from_micros(*elapsed_us))?;
            }
            Cause::Timer { event, payload, .. } => room.on_event(ctx, event, Payload::ref_cast(payload))?,
            Cause::Event { name, payload } => room.on_event(ctx, name, Payload::ref_cast(payload))?,
            Cause::Work { id, name, result } => {
                room.on_work(ctx, *id, name, result.clone().map(Payload).map_err(|failure| *failure))?;
            }
            Cause::Close { why, grace_ms } => room.on_close(ctx, *why, Duration::from_millis(*grace_ms))?,
        }
        Ok(None)
    }

    /// A join that did not work leaves no member. If it failed after the handler had said yes, for a view that is too large for
    /// instance, the handler hears that the player is gone; what it wants to tell the others about somebody whom they never saw is
    /// discarded with the rest.
    fn undo(&mut self, cause: &Cause, fault: Fault) -> Outcome {
        if let Cause::Join { player, .. } = cause {
            self.ctx.players.remove(&player.id);
            if self.let_in {
                let Self { room, ctx, .. } = self;
                // A second failure changes nothing: the join has failed already.
                let _ = catch_unwind(AssertUnwindSafe(|| room.on_leave(ctx, player, Leave::Disconnected)));
                let _ = self.ctx.end();
            }
        }
        Outcome::failed(fault)
    }
}

/// What a member is shown.
fn view<R: Room>(room: &R, ctx: &Ctx, to: &Player) -> Result<Bytes> {
    let view = room.on_view(to)?.unwrap_or(NIL);
    ctx.rules.check_view(&view)?;
    Ok(view)
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
