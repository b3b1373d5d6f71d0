//! A room that counts, and does whatever else a test needs.

use std::sync::{Arc, Condvar, Mutex};

use parlor::prelude::*;
use tokio::sync::Notify;

#[derive(Serialize, Message)]
struct Count {
    count: u64,
}

#[derive(Serialize, Message)]
struct Text {
    text: String,
}

/// What work is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Job {
    Double(u64),
    Fail,
    Panic,
    Large(usize),
    /// Waits for the resource of this type.
    Wait,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Worked {
    pub(crate) value: u64,
    pub(crate) key: String,
    pub(crate) padding: String,
}

/// Holds a handler until a test lets it go.
#[derive(Default)]
pub(crate) struct Gate(Mutex<bool>, Condvar);

impl Gate {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(false), Condvar::new())
    }

    pub(crate) fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    pub(crate) fn pass(&self) {
        let shut = self.0.lock().unwrap();
        drop(self.1.wait_while(shut, |open| !*open).unwrap());
    }
}

/// For the one test of slow handlers.
pub(crate) static GATE: Gate = Gate::new();

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Counter {
    count: u64,
    padding: String,
    here: Vec<String>,
}

impl Drop for Counter {
    fn drop(&mut self) {
        assert_ne!(self.padding, "drop", "it was asked for");
    }
}

#[room(
    kind = "counter",
    max_players = 8,
    max_output_bytes = "8MiB",
    max_outputs_bytes = "64MiB",
    max_view_bytes = "8MiB"
)]
impl Counter {
    #[msg::join]
    fn joined(&mut self, _ctx: &mut Ctx, player: &Player) {
        self.here.push(player.name.clone());
    }

    #[msg::leave]
    fn left(&mut self, _ctx: &mut Ctx, player: &Player) {
        self.here.retain(|name| *name != player.name);
    }

    #[msg::view]
    fn view(&self, _to: &Player) -> (u64, String) {
        (self.count, self.padding.clone())
    }

    /// Version 0 was a number, and nothing else.
    #[msg::migrate]
    fn from_older(from: &str, state: parlor::Payload) -> Result<Self> {
        if from != "0" {
            return state.decode();
        }
        let mut room = Self::default();
        room.count = state.decode()?;
        Ok(room)
    }

    #[msg::migrate_back]
    fn for_older(&self, to: &str) -> Option<u64> {
        (to == "0").then_some(self.count)
    }

    #[msg::route("add")]
    fn add(&mut self, ctx: &mut Ctx, _from: PlayerId, n: u64) {
        self.count += n;
        ctx.broadcast(&Count { count: self.count });
        ctx.defer_reply();
    }

    #[msg::route("count")]
    fn count(&mut self, _ctx: &mut Ctx, _from: PlayerId) -> u64 {
        self.count
    }

    #[msg::route("drawn")]
    fn drawn(&mut self, ctx: &mut Ctx, _from: PlayerId) -> u64 {
        ctx.rng().random()
    }

    /// Who the library and the handler think is here, and the tick.
    #[msg::route("who")]
    fn who(&mut self, ctx: &mut Ctx, _from: PlayerId) -> (Vec<(PlayerId, bool)>, Vec<String>, u64) {
        let members = ctx.players().map(|player| (player.id, ctx.connected(player.id))).collect();
        (members, self.here.clone(), ctx.tick())
    }

    #[msg::route("kick")]
    fn kick(&mut self, ctx: &mut Ctx, _from: PlayerId, whom: PlayerId) {
        ctx.kick(whom, &());
        ctx.defer_reply();
    }

    #[msg::route("panic")]
    fn panic(&mut self, _ctx: &mut Ctx, _from: PlayerId, text: String) {
        panic!("{text}");
    }

    /// Says something of a size.
    #[msg::route("say")]
    fn say(&mut self, ctx: &mut Ctx, _from: PlayerId, bytes: usize) {
        ctx.broadcast(&Text { text: "x".repeat(bytes) });
        ctx.defer_reply();
    }

    /// Has a state of a size from now on, and as large a view.
    #[msg::route("grow")]
    fn grow(&mut self, ctx: &mut Ctx, _from: PlayerId, bytes: usize) {
        self.padding = "x".repeat(bytes);
        ctx.defer_reply();
    }

    #[msg::route("pad")]
    fn pad(&mut self, ctx: &mut Ctx, _from: PlayerId, padding: String) {
        self.padding = padding;
        ctx.defer_reply();
    }

    /// Takes longer than a worker keeps answers back.
    #[msg::route("slow")]
    fn slow(&mut self, ctx: &mut Ctx, _from: PlayerId) {
        let began = std::time::Instant::now();
        while began.elapsed() < Duration::from_millis(25) {
            std::hint::spin_loop();
        }
        ctx.defer_reply();
    }

    #[msg::route("gate")]
    fn gate(&mut self, ctx: &mut Ctx, _from: PlayerId) {
        GATE.pass();
        ctx.defer_reply();
    }

    #[msg::route("work")]
    fn work(&mut self, ctx: &mut Ctx, _from: PlayerId, job: Job) {
        ctx.run(Self::load, job);
        ctx.defer_reply();
    }

    #[msg::work]
    async fn load(env: Env, job: Job) -> Result<Worked, Failure> {
        let (mut value, mut padding) = (0, String::new());
        match job {
            Job::Double(n) => value = 2 * n,
            Job::Fail => return Err(Failure::app("no_such_player", "no such player")),
            Job::Panic => panic!("as asked"),
            Job::Large(bytes) => padding = "x".repeat(bytes),
            Job::Wait => env.get::<Arc<Notify>>().notified().await,
        }
        Ok(Worked { value, key: env.idempotency_key().to_owned(), padding })
    }

    #[msg::event]
    fn poke(&mut self, _ctx: &mut Ctx, n: u64) {
        self.count += n;
    }

    #[msg::event]
    fn loaded(&mut self, _ctx: &mut Ctx, done: Done<Worked, Failure>) {
        self.count = done.result.map_or(0, |worked| worked.value);
    }
}
