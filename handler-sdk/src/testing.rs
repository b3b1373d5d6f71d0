//! A room without sockets, in time that stands still: push a message, look at what comes out.
//!
//! Every input is handled twice: by the room itself, and by a copy restored from the snapshot before it. Outputs and snapshots must
//! be the same, and the room goes on from the copy. When the [`TestRoom`] is dropped, the whole history is replayed once more. So a stray
//! `HashMap`, a clock or a random number of the game's own is found by any test that passes by.
//!
//! ```
//! use parlor::prelude::*;
//! use parlor::testing::TestRoom;
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Counter { count: u32 }
//!
//! #[room(kind = "counter")]
//! impl Counter {
//!     #[msg::route("add")]
//!     fn add(&mut self, ctx: &mut Ctx, from: PlayerId, n: u32) -> u32 {
//!         self.count += n;
//!         self.count
//!     }
//! }
//!
//! let mut room = TestRoom::<Counter>::open(&());
//! let ann = room.join("ann");
//! assert_eq!(room.request::<u32>(ann, "add", &2), Ok(2));
//! ```

mod determinism;
mod inbox;
mod members;

use std::collections::{BTreeMap, VecDeque};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parlor_broker::host::{Begin, HostMaker, Making, MayFail};
use parlor_broker::room::state::{RoomState, Shown, WorkStart};
use parlor_protocol::codec::to_payload;
use parlor_protocol::frame::{Role, TypeRef};
use parlor_protocol::room::{CloseWhy, Door, Input, Origin};
use parlor_protocol::{ErrorCode, RoomId, RoomNo};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Env, Failure, Kind, Message, Payload, PlayerId, Result, Room};
use determinism::Twice;
use inbox::{Inbox, TestLink};

pub use inbox::{Closed, Received};

/// When test rooms open: 2020-01-01 00:00 UTC, in milliseconds since 1970.
pub const OPENED_MS: u64 = 1_577_836_800_000;

/// One room of kind `R` under test.
#[derive(Debug)]
pub struct TestRoom<R: Room> {
    kind: Arc<parlor_broker::Kind>,
    works: Vec<crate::WorkFn>,
    state: RoomState<TestLink>,
    handler: Twice,
    now_us: u64,
    pending: VecDeque<WorkStart>,
    inboxes: BTreeMap<PlayerId, Inbox>,
    sent: BTreeMap<PlayerId, u64>,
    next_id: u64,
    _room: PhantomData<fn() -> R>,
}

/// Opening and closing.
impl<R: Room> TestRoom<R> {
    /// Opens a room.
    ///
    /// # Panics
    /// When the `open` handler refuses.
    pub fn open(options: &impl Serialize) -> Self {
        Self::try_open(options).unwrap_or_else(|failure| panic!("the room did not open: {failure}"))
    }

    /// Opens a room, or says why not.
    ///
    /// # Errors
    /// What the `open` handler refused with.
    pub fn try_open(options: &impl Serialize) -> Result<Self> {
        let mut room = Self::unopened();
        const SEED: u64 = 42;
        let input = room.state.open(SEED, payload(options));
        room.handle(input);
        match room.state.refuses().filter(|_| room.state.ended()) {
            Some(failure) => Err(failure),
            None => Ok(room),
        }
    }

    /// The room goes on in another version of the game, `N`, as when an operator has open rooms move: from the version called `from`, which is
    /// `R`, to the one called `to`.
    ///
    /// # Errors
    /// When the one does not write a state that the other can read: a broker leaves the room where it is then.
    ///
    /// # Panics
    /// When the two are not of one kind.
    pub fn move_to<N: Room>(self, from: &str, to: &str) -> Result<TestRoom<N>> {
        assert_eq!(R::KIND, N::KIND, "versions of one kind have its name");
        let sdk = Kind::of::<N>();
        let (kind, works) = (broker_kind(&sdk), sdk.works.clone());
        let Self { mut state, handler, now_us, pending, inboxes, sent, next_id, .. } = self;
        let handler = handler.moved(from, to, sdk)?;
        state.change_kind(kind.clone());
        Ok(TestRoom { kind, works, state, handler, now_us, pending, inboxes, sent, next_id, _room: PhantomData })
    }

    /// Somebody outside closes the room.
    pub fn close(&mut self, why: CloseWhy) {
        let input = self.state.close(why, u64::MAX);
        self.handle_all(input);
    }
}

/// Saying things.
impl<R: Room> TestRoom<R> {
    /// A player sends a message.
    ///
    /// # Panics
    /// When it is refused; [`try_send`](Self::try_send) looks at that.
    pub fn send(&mut self, player: PlayerId, route: &str, message: &impl Serialize) {
        self.try_send(player, route, message).unwrap_or_else(|failure| panic!("`{route}` was refused: {failure}"));
    }

    /// A player sends a message.
    ///
    /// # Errors
    /// The refusal.
    pub fn try_send(&mut self, player: PlayerId, route: &str, message: &impl Serialize) -> Result {
        let no = self.say(player, route, None, message)?;
        self.inbox(player).refusal(no).map_or(Ok(()), Err)
    }

    /// A player asks, and is answered.
    ///
    /// # Errors
    /// The refusal; `app.unanswered` when the handler deferred its reply: see [`deferred`](Self::deferred).
    pub fn request<T: DeserializeOwned>(
        &mut self,
        player: PlayerId,
        route: &str,
        message: &impl Serialize,
    ) -> Result<T> {
        let id = self.next_id;
        self.next_id += 1;
        self.say(player, route, Some(id), message)?;
        self.inbox(player).answer(id).unwrap_or_else(|| Err(Failure::app("unanswered", "no reply has come yet")))
    }

    /// The answer to the request that was made last of those that are still unanswered, if it has come by now.
    pub fn deferred<T: DeserializeOwned>(&mut self, player: PlayerId) -> Option<Result<T>> {
        let id = self.inbox(player).unanswered()?;
        self.inbox(player).answer(id)
    }

    /// The server side raises an event.
    ///
    /// # Panics
    /// When the room has no such event.
    pub fn event<M: Message>(&mut self, event: &M) {
        assert!(self.kind.has_event(M::TYPE), "the room has no event `{}`", M::TYPE);
        let input = self.state.event(M::TYPE.into(), payload(event));
        self.handle_all(Some(input));
    }

    /// Lets time pass; timers and ticks come when they are due.
    pub fn advance(&mut self, by: Duration) {
        let until_us = self.now_us + by.as_micros() as u64;
        while let Some(due_us) = self.state.next_due_us().filter(|due_us| *due_us <= until_us) {
            self.now_us = self.now_us.max(due_us);
            self.state.advance(self.now_us);
            self.settle();
        }
        self.now_us = until_us;
        self.state.advance(until_us);
    }

    /// The names of the pieces of work that wait to be done.
    pub fn pending_work(&self) -> Vec<String> {
        self.pending.iter().map(|work| work.name.to_string()).collect()
    }

    /// Ends the first piece of pending work with a result of the test's choice.
    ///
    /// # Panics
    /// When nothing is pending.
    pub fn finish_work(&mut self, result: Result<impl Serialize>) {
        let work = self.pending.pop_front().expect("no work is pending");
        self.work_done(work, result.map(|value| payload(&value)));
    }

    /// Does the first piece of pending work for real.
    ///
    /// # Panics
    /// When nothing is pending, or the room lists no such work function.
    pub async fn run_work(&mut self, env: Env) {
        let work = self.pending.pop_front().expect("no work is pending");
        let known = self.works.iter().find(|known| known.name() == work.name).expect("a work function of this name");
        let result = known.call(env.for_work("test"), Payload(work.arguments.clone())).await;
        self.work_done(work, result);
    }
}

/// Looking.
impl<R: Room> TestRoom<R> {
    /// What a member was shown last: when it joined, or at a [`resync`](Self::resync).
    ///
    /// # Panics
    /// When that is no `T`.
    pub fn view<T: DeserializeOwned>(&mut self, player: PlayerId) -> T {
        let view = self.inbox(player).view().unwrap_or_else(|| panic!("player {player} was shown nothing"));
        Payload(view).decode().unwrap_or_else(|failure| panic!("the view is something else: {failure}"))
    }

    /// Takes all messages of this type that a member has received and that were not taken yet. They may have come while it was away:
    /// they are what waits for it.
    ///
    /// # Panics
    /// When one of them is no `T`.
    pub fn take<T: DeserializeOwned>(&mut self, player: PlayerId, name: &str) -> Vec<T> {
        let decode = |payload: Bytes| {
            Payload(payload).decode().unwrap_or_else(|failure| panic!("`{name}` is something else: {failure}"))
        };
        self.inbox(player).take(name).into_iter().map(decode).collect()
    }

    /// Takes everything that a member has received and that was not taken yet, in order.
    pub fn received(&mut self, player: PlayerId) -> Vec<Received> {
        self.inbox(player).take_all()
    }

    /// How a membership ended, if it has.
    pub fn closed(&mut self, player: PlayerId) -> Option<Closed> {
        self.inbox(player).closed()
    }

    /// Whether the room has ended.
    pub fn ended(&self) -> bool {
        self.state.ended()
    }

    /// Members, spectators included.
    pub fn members(&self) -> usize {
        self.state.member_count()
    }

    /// The room's state, as a snapshot of it says.
    ///
    /// # Panics
    /// When the snapshot does not hold the state, which the checks would have found before.
    pub fn state(&self) -> R {
        #[derive(serde::Deserialize)]
        struct Saved {
            room: Bytes,
        }
        let saved: Saved = Payload(self.handler.snapshot()).decode().expect("a snapshot");
        Payload(saved.room).decode().expect("a state")
    }

    /// Milliseconds since 1970 in the room.
    pub fn now_ms(&self) -> u64 {
        OPENED_MS + self.now_us / 1000
    }
}

impl<R: Room> TestRoom<R> {
    fn unopened() -> Self {
        let sdk = Kind::of::<R>();
        let kind = broker_kind(&sdk);
        let id = RoomId::parse("test").expect("a valid id");
        let shown = Shown { properties: BTreeMap::new(), door: Door::Open };
        Self {
            state: RoomState::new(RoomNo(1), id, kind.clone(), OPENED_MS, shown),
            works: sdk.works.clone(),
            handler: Twice::new(sdk),
            kind,
            now_us: 0,
            pending: VecDeque::new(),
            inboxes: BTreeMap::new(),
            sent: BTreeMap::new(),
            next_id: 1,
            _room: PhantomData,
        }
    }

    fn say(&mut self, player: PlayerId, route: &str, request: Option<u64>, message: &impl Serialize) -> Result<u64> {
        let (role, away) = (self.inbox(player).role(), self.inbox(player).is_away());
        if away {
            return Err(Failure::app("away", "it has no connection to say anything over"));
        }
        let no = self.sent.entry(player).or_default();
        *no += 1;
        let no = *no;
        if role == Role::Spectator {
            return Err(ErrorCode::Spectator.into());
        }
        let name = self.kind.resolve(&TypeRef::Name(route.to_owned())).map_err(Failure::from)?;
        if let Some(id) = request {
            self.inbox(player).ask(id, no);
        }
        let input = self.state.message(Origin { player, no, request }, name, payload(message));
        if input.is_none() {
            return Err(ErrorCode::NotAMember.into());
        }
        self.handle_all(input);
        Ok(no)
    }

    fn work_done(&mut self, work: WorkStart, result: Result<Bytes>) {
        let input = self.state.work_done(work.id, work.name.into_owned(), result.map_err(Box::new));
        self.handle_all(input);
    }

    fn handle_all(&mut self, input: Option<Input>) {
        if let Some(input) = input {
            self.handle(input);
        }
        self.settle();
    }

    fn handle(&mut self, input: Input) {
        let outcome = self.handler.handle(&input);
        self.pending.extend(self.state.apply(&input, &outcome));
    }

    /// What the room owes itself, and the end of the batch.
    fn settle(&mut self) {
        while let Some(input) = self.state.due() {
            self.handle(input);
        }
        drop(self.state.end_batch());
    }

    fn inbox(&mut self, player: PlayerId) -> &mut Inbox {
        self.inboxes.get_mut(&player).unwrap_or_else(|| panic!("there never was a player {player}"))
    }
}

fn payload(value: &impl Serialize) -> Bytes {
    to_payload(value).expect("a test's own message can be encoded")
}

fn broker_kind(sdk: &Kind) -> Arc<parlor_broker::Kind> {
    let kind = parlor_broker::Kind::new(sdk.name, sdk.policy.clone(), sdk.routes, sdk.events, Box::new(NoHost));
    Arc::new(kind)
}

/// The harness runs the handler itself.
struct NoHost;

impl HostMaker for NoHost {
    fn make(&self, _room: &RoomId, _begin: Begin) -> Making {
        unreachable!("a test room has no actor")
    }

    fn may_fail(&self) -> MayFail {
        MayFail::No
    }
}
