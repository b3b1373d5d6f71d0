//! Rooms on which things can be made to go wrong.

use std::sync::{Mutex, mpsc};

use parlor::broker::telemetry::Metrics;
use parlor::broker::{Broker, Config};
use parlor::prelude::*;
use parlor_tests::config;
use parlor_tests::serve::{Anywhere, Served};
use serde::ser::{SerializeSeq, Serializer};
use tokio::sync::oneshot;

/// Does on command what a handler may do.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Stage {
    pub(crate) said: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
pub(crate) struct Said {
    pub(crate) from: PlayerId,
    pub(crate) text: String,
}

/// For `open` and `join`.
#[derive(Default, Deserialize)]
struct Wishes {
    #[serde(default)]
    refuse_open: bool,
    #[serde(default)]
    refuse_join: bool,
    #[serde(default)]
    deep_view: bool,
    #[serde(default)]
    strange_view: bool,
}

#[derive(Deserialize)]
pub(crate) struct Say {
    text: String,
}

#[derive(Deserialize)]
struct Nested {
    #[expect(dead_code, reason = "only decoded")]
    path: Vec<Point>,
}

#[derive(Deserialize)]
struct Point {
    #[expect(dead_code, reason = "only decoded")]
    x: i32,
}

#[derive(Deserialize)]
struct Size {
    bytes: usize,
    times: u32,
}

#[derive(Deserialize)]
struct At {
    name: String,
}

#[derive(Serialize, Message)]
#[message("said")]
struct Deep(Levels);

#[derive(Serialize, Message)]
#[message("said")]
struct Strange(Extension);

#[derive(Refusal)]
enum Denied {
    #[refusal(code = "too_expensive", text = "not enough coins")]
    Poor { coins: u32, price: u32 },
    #[refusal(code = "not_yet", text = "later", retryable)]
    NotYet,
    #[refusal(code = "no_map", text = "no such map")]
    NoMap { map: String },
}

#[room(
    kind = "stage",
    max_players = 2,
    max_spectators = 1,
    member_queue_len = 8,
    client_topics = ["news"],
    max_output_bytes = 1000,
    max_outputs_bytes = 2700
)]
impl Stage {
    #[msg::open]
    fn opened(&mut self, _ctx: &mut Ctx, wishes: Option<Wishes>) -> Result<(), Denied> {
        if wishes.unwrap_or_default().refuse_open { Err(Denied::NoMap { map: "ice".into() }) } else { Ok(()) }
    }

    #[msg::join]
    fn joined(&mut self, _ctx: &mut Ctx, _player: &Player, wishes: Option<Wishes>) -> Result<(), Denied> {
        let wishes = wishes.unwrap_or_default();
        self.said = if wishes.deep_view {
            1_000
        } else if wishes.strange_view {
            2_000
        } else {
            self.said
        };
        if wishes.refuse_join { Err(Denied::Poor { coins: 3, price: 10 }) } else { Ok(()) }
    }

    #[msg::leave]
    fn left(&mut self, ctx: &mut Ctx, player: &Player, why: Leave) {
        ctx.broadcast(&Said { from: player.id, text: format!("{why:?}") });
    }

    #[msg::view]
    fn view(&self, _to: &Player) -> Seen {
        match self.said {
            1_000 => Seen::Deep(Levels(80)),
            2_000 => Seen::Strange(Extension),
            said => Seen::Plain(said),
        }
    }

    #[msg::route("say")]
    fn say(&mut self, ctx: &mut Ctx, from: PlayerId, say: Say) {
        self.said += 1;
        ctx.broadcast(&Said { from, text: say.text });
    }

    #[msg::route("nested")]
    fn nested(&mut self, _ctx: &mut Ctx, _from: PlayerId, _nested: Nested) {}

    #[msg::route("buy")]
    fn buy(&mut self, ctx: &mut Ctx, from: PlayerId) -> Result<(), Denied> {
        ctx.broadcast(&Said { from, text: "never heard: the input is refused".into() });
        Err(Denied::Poor { coins: 3, price: 10 })
    }

    #[msg::route("wait")]
    fn wait(&mut self, _ctx: &mut Ctx, _from: PlayerId) -> Result<(), Denied> {
        Err(Denied::NotYet)
    }

    #[msg::route("panic")]
    fn panic(&mut self, _ctx: &mut Ctx, _from: PlayerId) {
        panic!("on command");
    }

    #[msg::route("large")]
    fn large(&mut self, ctx: &mut Ctx, from: PlayerId, size: Size) {
        for _ in 0..size.times {
            ctx.broadcast(&Said { from, text: "x".repeat(size.bytes) });
        }
    }

    #[msg::route("deep")]
    fn deep(&mut self, ctx: &mut Ctx, _from: PlayerId) {
        ctx.broadcast(&Deep(Levels(80)));
    }

    #[msg::route("strange")]
    fn strange(&mut self, ctx: &mut Ctx, _from: PlayerId) -> Extension {
        ctx.broadcast(&Strange(Extension));
        Extension
    }

    #[msg::route("kick")]
    fn kick(&mut self, ctx: &mut Ctx, from: PlayerId, size: Size) {
        ctx.kick(from, &"x".repeat(size.bytes));
    }

    #[msg::route("lock")]
    fn lock(&mut self, ctx: &mut Ctx, _from: PlayerId) {
        ctx.lock();
    }

    #[msg::route("close")]
    fn close(&mut self, ctx: &mut Ctx, _from: PlayerId) {
        ctx.close(&"over");
    }

    #[msg::route("close_strangely")]
    fn close_strangely(&mut self, ctx: &mut Ctx, _from: PlayerId) {
        ctx.close(&Extension);
    }

    #[msg::event("bell")]
    fn bell(&mut self, ctx: &mut Ctx, say: Say) {
        ctx.broadcast(&Said { from: PlayerId(0), text: say.text });
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Seen {
    Plain(u32),
    Deep(Levels),
    Strange(Extension),
}

/// Ends with the first panic, takes four inputs at a time, and has time to close.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Brittle {}

#[room(kind = "brittle", client_topics = ["news"], on_panic = "close", queue_len = 4, member_queue_len = 100, close_grace = "60s")]
impl Brittle {
    #[msg::route("panic_at")]
    fn panic_at(&mut self, _ctx: &mut Ctx, _from: PlayerId, gate: At) {
        pass(&gate.name);
        panic!("on command");
    }

    #[msg::route("stand_at")]
    fn stand_at(&mut self, _ctx: &mut Ctx, _from: PlayerId, gate: At) {
        pass(&gate.name);
    }

    #[msg::route("say")]
    fn say(&mut self, ctx: &mut Ctx, from: PlayerId, say: Say) {
        ctx.broadcast(&Said { from, text: say.text });
    }

    #[msg::route("close")]
    fn close(&mut self, ctx: &mut Ctx, _from: PlayerId) {
        ctx.close(&"over");
    }

    #[msg::close]
    fn closing(&mut self, ctx: &mut Ctx, why: CloseWhy, grace: Duration) {
        ctx.broadcast(&Said { from: PlayerId(0), text: format!("{why:?} {}", grace.as_millis()) });
    }
}

/// A state that cannot be saved once it is hard, until somebody leaves.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Stubborn {
    #[serde(serialize_with = "soft")]
    hard: bool,
}

fn soft<S: serde::Serializer>(hard: &bool, to: S) -> Result<S::Ok, S::Error> {
    if *hard { Err(serde::ser::Error::custom("too hard")) } else { to.serialize_bool(false) }
}

#[derive(Serialize, Deserialize, Message)]
struct Spin {}

#[room(kind = "stubborn", snapshot_every = 1, snapshot_bytes = 1024, queue_bytes = 2048)]
impl Stubborn {
    #[msg::route("harden")]
    fn harden(&mut self, _ctx: &mut Ctx, _from: PlayerId) {
        self.hard = true;
    }

    #[msg::route("say")]
    fn say(&mut self, _ctx: &mut Ctx, _from: PlayerId, _: Say) {}

    /// The room has something to do from now on, whoever is refused.
    #[msg::route("start_spinning")]
    fn spin(&mut self, ctx: &mut Ctx, _from: PlayerId) {
        ctx.after(Duration::from_millis(1), Spin {});
    }

    #[msg::event("spin")]
    fn spun(&mut self, ctx: &mut Ctx, _: Spin) {
        ctx.after(Duration::from_millis(1), Spin {});
    }

    #[msg::leave]
    fn left(&mut self, _ctx: &mut Ctx, _player: &Player, _why: Leave) {
        self.hard = false;
    }
}

/// A broker with all of them, on one thread.
pub(crate) async fn start() -> Served {
    start_with(|_| {}).await
}

pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Served {
    let mut config = config();
    config.shards = 1;
    change(&mut config);
    parlor::App::new().room::<Stage>().room::<Brittle>().room::<Stubborn>().anywhere(&config).await
}

/// What a client was told, and the counters of the broker that told it.
pub(crate) struct Told {
    pub(crate) failure: Failure,
    pub(crate) metrics: Metrics,
}

pub(crate) fn told(broker: &Broker, failure: Failure) -> Told {
    Told { failure, metrics: broker.metrics().clone() }
}

type Gates = BTreeMap<String, (oneshot::Sender<()>, mpsc::Receiver<()>)>;
static GATES: Mutex<Gates> = Mutex::new(BTreeMap::new());

/// A gate at which a handler stops: the first end tells that one has come, dropping the second lets it through.
pub(crate) fn gate(name: &str) -> (oneshot::Receiver<()>, mpsc::Sender<()>) {
    let ((arrive, arrived), (open, opened)) = (oneshot::channel(), mpsc::channel());
    GATES.lock().unwrap().insert(name.to_owned(), (arrive, opened));
    (arrived, open)
}

fn pass(name: &str) {
    let (arrive, opened) = GATES.lock().unwrap().remove(name).expect("the test has set up the gate");
    arrive.send(()).expect("the test waits for this");
    let _ = opened.recv();
}

/// So many arrays in each other.
pub(crate) struct Levels(pub(crate) u32);

impl Serialize for Levels {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut seq = out.serialize_seq(Some(usize::from(self.0 > 1)))?;
        if self.0 > 1 {
            seq.serialize_element(&Levels(self.0 - 1))?;
        }
        seq.end()
    }
}

/// A MessagePack extension type, which JSON does not have.
pub(crate) struct Extension;

impl Serialize for Extension {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        struct Raw;
        impl Serialize for Raw {
            fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_bytes(&[1, 2, 3, 4])
            }
        }
        // The name by which rmp-serde knows extension types.
        out.serialize_newtype_struct("_ExtStruct", &(5_i8, Raw))
    }
}
