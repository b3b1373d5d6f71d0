//! A room made by the macros, driven by inputs: every hook and every form that a method may have.

use std::borrow::Cow;

use parlor::prelude::*;
use parlor::{Kind, Payload, Runner, WorkId};
use parlor_protocol::codec::to_payload;
use parlor_protocol::frame::Role;
use parlor_protocol::policy::{Admission, Handled, OnDivergence, OnPanic, SameAccount, TickWhen};
use parlor_protocol::room::{Audience, Cause, Fault, Input, Outcome, Output};
use parlor_protocol::{Place, Seq};

#[derive(Serialize, Deserialize)]
struct Move {
    by: i32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
struct PlayerMoved {
    player: PlayerId,
    at: i32,
}

#[derive(Serialize, Deserialize, Message)]
#[message("dawn")]
struct Sunrise {
    brightness: i32,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Options {
    start: i32,
}

#[derive(Refusal)]
enum Denied {
    TooFar {
        limit: i32,
        asked: i32,
    },
    #[refusal(code = "broke", text = "need {need} {{gold}}", retryable)]
    NotEnoughGold {
        need: i32,
    },
    #[refusal(transparent)]
    Inner(Failure),
}

/// A structure can be a reason, too.
#[derive(Refusal)]
#[refusal(text = "not tonight")]
struct DoorShut;

#[derive(Serialize, Deserialize)]
struct Load {
    key: i32,
    reply: Option<Origin>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Loaded {
    value: i32,
}

#[derive(Default, Serialize, Deserialize)]
struct Arena {
    at: i32,
    log: Vec<String>,
    waiting: Option<Origin>,
}

#[room(
    kind = "arena",
    max_players = 16,
    tick_hz = 20,
    tick_when = "always",
    empty_ttl = "2m",
    resume = "1m",
    join = "ticket",
    watch = "invite",
    same_account = "refuse",
    queue_bytes = "64KiB",
    max_output_bytes = 1000,
    max_outputs_bytes = "2KiB",
    match_by = ["map"],
    client_topics = ["chat", "team"],
    latest_topics = ["place"],
    max_latest = 100,
    handled,
    on_panic = "close",
    on_divergence = "stop",
    snapshot_every = 100,
    snapshot_bytes = "1MiB",
    snapshot_age = "5s",
    sleep_after = "7s",
    max_snapshot_bytes = "2MiB",
    close_grace = "500ms"
)]
impl Arena {
    #[msg::open]
    fn opened(&mut self, _: &mut Ctx, options: Options) {
        self.at = options.start;
    }

    #[msg::join]
    fn joined(&mut self, _: &mut Ctx, player: &Player, _: Options) -> Result<(), DoorShut> {
        if player.name == "ghost" { Err(DoorShut) } else { Ok(()) }
    }

    #[msg::drop]
    fn dropped(&mut self, ctx: &mut Ctx, player: &Player) -> Result<(), Denied> {
        self.log.push(format!("{} away {}", player.name, ctx.connected(player.id)));
        if player.name == "grump" { Err(Denied::NotEnoughGold { need: 1 }) } else { Ok(()) }
    }

    #[msg::resume]
    fn resumed(&mut self, ctx: &mut Ctx, player: &Player) {
        self.log.push(format!("{} back {}", player.name, ctx.connected(player.id)));
        ctx.broadcast(&PlayerMoved { player: player.id, at: self.at });
    }

    #[msg::leave]
    fn left(&mut self, ctx: &mut Ctx, player: &Player, why: Leave) {
        self.log.push(format!("{} {why:?} {}", player.name, ctx.players().len()));
    }

    #[msg::close]
    fn closing(&mut self, ctx: &mut Ctx, why: CloseWhy, grace: Duration) {
        self.log.push(format!("{why:?} {grace:?}"));
        ctx.close(&self.at);
    }

    #[msg::view]
    fn view(&self, to: &Player) -> Result<i32> {
        if to.name == "blind" { Err(Failure::app("blind", "sees nothing")) } else { Ok(self.at) }
    }

    #[msg::tick]
    fn tick(&mut self, ctx: &mut Ctx, dt: Duration) -> Result {
        self.log.push(format!("{} {dt:?}", ctx.tick()));
        Ok(())
    }

    #[msg::route("/type=move")]
    fn game_move(&mut self, ctx: &mut Ctx, from: PlayerId, m: Move) -> Result<(), Denied> {
        if m.by > 10 {
            return Err(Denied::TooFar { limit: 10, asked: m.by });
        }
        self.at += m.by;
        ctx.broadcast(&PlayerMoved { player: from, at: self.at });
        Ok(())
    }

    #[msg::route("buy")]
    fn buy(&mut self, _: &mut Ctx, _: PlayerId, price: i32) -> Result<String, Denied> {
        match price {
            0 => Err(Denied::Inner(Failure::app("free", "nothing is free"))),
            1..=5 => Ok(format!("paid {price}")),
            _ => Err(Denied::NotEnoughGold { need: price }),
        }
    }

    #[msg::route("where")]
    fn position(&mut self, _: &mut Ctx, _: PlayerId) -> i32 {
        self.at
    }

    #[msg::route("share")]
    fn share(&mut self, ctx: &mut Ctx, from: PlayerId, topic: String) {
        ctx.publish_latest(topic, from, &PlayerMoved { player: from, at: self.at });
    }

    #[msg::route("unshare")]
    fn unshare(&mut self, ctx: &mut Ctx, from: PlayerId, topic: String) {
        ctx.forget_latest(topic, from);
    }

    #[msg::route("tell")]
    fn tell(&mut self, ctx: &mut Ctx, from: PlayerId, topic: String) {
        ctx.publish(topic, &PlayerMoved { player: from, at: self.at });
    }

    #[msg::route("who")]
    fn who(&mut self, ctx: &mut Ctx, _: PlayerId, player: PlayerId) -> bool {
        ctx.connected(player)
    }

    #[msg::route("defer")]
    fn defer(&mut self, ctx: &mut Ctx, _: PlayerId) {
        self.waiting = Some(ctx.defer_reply());
        ctx.after(Duration::from_millis(1500), Sunrise { brightness: 3 });
    }

    #[msg::route("load")]
    fn ask(&mut self, ctx: &mut Ctx, _: PlayerId, key: i32) {
        let reply = Some(ctx.defer_reply());
        ctx.run(Self::load, Load { key, reply });
    }

    #[msg::route("panic")]
    fn panic(&mut self, _: &mut Ctx, _: PlayerId) {
        panic!("as asked");
    }

    #[msg::route("flood")]
    fn flood(&mut self, ctx: &mut Ctx, _: PlayerId, bytes: usize) {
        self.log.push("flood".to_owned());
        ctx.reply(Origin { player: PlayerId(1), no: 0, request: None }, &"x".repeat(bytes));
    }

    #[msg::route("stray")]
    fn stray(&mut self, ctx: &mut Ctx, from: PlayerId) {
        ctx.after(Duration::ZERO, PlayerMoved { player: from, at: 0 });
    }

    #[msg::work]
    async fn load(env: Env, job: Load) -> Result<Loaded> {
        match job.key {
            0 => Err(Failure::app("no_such_key", "no such key")),
            key => Ok(Loaded { value: key * *env.get::<i32>() }),
        }
    }

    #[msg::event]
    fn loaded(&mut self, ctx: &mut Ctx, done: Done<Loaded>) -> Result {
        self.at = done.result?.value;
        ctx.set_property("loaded", done.id.0.index);
        Ok(())
    }

    #[msg::event("dawn")]
    fn sun_rises(&mut self, ctx: &mut Ctx, sunrise: Sunrise) {
        if let Some(origin) = self.waiting.take() {
            ctx.reply(origin, &sunrise.brightness);
        }
    }

    #[msg::event]
    fn bare(&mut self, _: &mut Ctx) -> Result<(), Denied> {
        Err(Denied::NotEnoughGold { need: 1 })
    }
}

/// A runner that numbers its inputs.
struct Game {
    runner: Box<dyn Runner>,
    seq: u64,
}

impl Game {
    fn open() -> Self {
        let mut game = Self { runner: Kind::of::<Arena>().runner(), seq: 0 };
        let options = encode(&Options { start: 7 });
        let room = parlor::RoomId::parse("den").expect("a valid id");
        assert_eq!(game.input(Cause::Open { room, seed: 1, options: options.0 }).result, Ok(()));
        assert_eq!(game.join(1, "ann").result, Ok(()));
        game
    }

    fn input(&mut self, cause: Cause) -> Outcome {
        self.seq += 1;
        self.runner.handle(&Input { seq: Seq(self.seq), now_ms: 1000, cause })
    }

    fn join(&mut self, id: u32, name: &str) -> Outcome {
        let player = Player { id: PlayerId(id), account: name.to_owned(), name: name.to_owned(), role: Role::Player };
        self.input(Cause::Join { player, options: parlor_protocol::codec::NIL, ticket: None })
    }

    fn request(&mut self, name: &str, payload: &impl Serialize) -> Outcome {
        self.input(Cause::Message { from: origin(), name: name.into(), payload: encode(payload).0 })
    }

    fn event(&mut self, name: &str, payload: &impl Serialize) -> Outcome {
        self.input(Cause::Event { name: name.into(), payload: encode(payload).0 })
    }

    fn work(&mut self, result: Result<Payload>) -> Outcome {
        let id = WorkId(Place { seq: Seq(1), index: 4 });
        self.input(Cause::Work {
            id,
            name: Cow::Borrowed("load"),
            result: result.map(|payload| payload.0).map_err(Box::new),
        })
    }

    /// The state, as a snapshot shows it.
    fn state(&self) -> Arena {
        #[derive(Deserialize)]
        struct Saved {
            room: parlor::rt::Bytes,
        }
        let saved: Saved = Payload(self.runner.snapshot().expect("a snapshot")).decode().expect("a snapshot");
        Payload(saved.room).decode().expect("a state")
    }
}

fn encode(value: &impl Serialize) -> Payload {
    Payload(to_payload(value).expect("a payload"))
}

fn origin() -> Origin {
    Origin { player: PlayerId(1), no: 5, request: Some(9) }
}

fn quiet() -> Outcome {
    Outcome { result: Ok(()), outputs: Vec::new(), view: None }
}

fn reply(value: &impl Serialize) -> Output {
    Output::Reply { to: origin(), payload: encode(value).0 }
}

fn refusal(outcome: Outcome) -> Failure {
    assert_eq!(outcome.outputs, []);
    match outcome.result {
        Err(Fault::Refused(failure)) => *failure,
        other => panic!("not refused but {other:?}"),
    }
}

#[test]
fn the_kind_is_what_the_attribute_says() {
    let kind = Kind::of::<Arena>();
    assert_eq!(kind.name, "arena");
    assert_eq!(
        kind.routes,
        ["move", "buy", "where", "share", "unshare", "tell", "who", "defer", "load", "panic", "flood", "stray",]
    );
    assert_eq!(kind.events, ["dawn", "bare"]);
    assert_eq!(kind.works.iter().map(parlor::WorkFn::name).collect::<Vec<_>>(), ["load"]);
    let expected = parlor::Policy {
        max_players: 16,
        tick_hz: 20,
        tick_when: TickWhen::Always,
        empty_ttl_ms: 120_000,
        resume_ms: 60_000,
        join: Admission::Ticket,
        watch: Admission::Invite,
        same_account: SameAccount::Refuse,
        queue_bytes: 64 << 10,
        max_output_bytes: 1000,
        max_outputs_bytes: 2 << 10,
        match_by: vec!["map".to_owned()],
        client_topics: vec!["chat".to_owned(), "team".to_owned()],
        latest_topics: vec!["place".to_owned()],
        max_latest: 100,
        handled: Handled::Told,
        on_panic: OnPanic::Close,
        on_divergence: OnDivergence::Stop,
        snapshot_every: 100,
        snapshot_bytes: 1 << 20,
        snapshot_age_ms: 5_000,
        sleep_after_ms: 7_000,
        max_snapshot_bytes: 2 << 20,
        close_grace_ms: 500,
        ..parlor::Policy::default()
    };
    assert_eq!(kind.policy, expected);
}

#[test]
fn a_message_goes_out_under_its_name() {
    assert_eq!(PlayerMoved::TYPE, "player_moved");
    let outcome = Game::open().request("move", &Move { by: 3 });
    let moved = encode(&PlayerMoved { player: PlayerId(1), at: 10 });
    let publish = Output::Publish { to: Audience::All, name: "player_moved".into(), payload: moved.0 };
    // `Ok(())` answers a request, too: with nothing.
    assert_eq!(outcome.outputs, [publish, reply(&())]);
}

#[test]
fn what_a_route_returns_is_the_reply() {
    let mut game = Game::open();
    assert_eq!(game.request("buy", &5).outputs, [reply(&"paid 5")]);
    assert_eq!(game.request("where", &()).outputs, [reply(&7)]);
    // A message that is no request gets none.
    let from = Origin { request: None, ..origin() };
    assert_eq!(game.input(Cause::Message { from, name: "where".into(), payload: encode(&()).0 }).outputs, []);
}

#[test]
fn refusals_have_code_text_and_parameters() {
    let mut game = Game::open();
    let too_far = refusal(game.request("move", &Move { by: 11 }));
    assert_eq!(too_far, Failure::app("too_far", "too far").with("limit", 10).with("asked", 11));
    let broke = refusal(game.request("buy", &20));
    assert_eq!(broke, Failure::app("broke", "need 20 {gold}").with("need", 20).retry());
    assert_eq!(refusal(game.request("buy", &0)), Failure::app("free", "nothing is free"));
    assert_eq!(refusal(game.event("bare", &())).code, "app.broke");
}

#[test]
fn a_payload_that_does_not_fit_is_refused_with_its_field() {
    let mut game = Game::open();
    let failure = refusal(game.request("move", &BTreeMap::from([("by", "far")])));
    assert_eq!((failure.code.as_ref(), &failure.params["field"]), ("bad_payload", &"by".into()));
    let failure = refusal(game.request("move", &()));
    assert_eq!((failure.code.as_ref(), &failure.params["field"]), ("bad_payload", &"by".into()));
}

#[test]
fn unknown_names_reach_nobody() {
    let mut game = Game::open();
    assert_eq!(refusal(game.request("dawn", &())).code, "unknown_type");
    assert_eq!(refusal(game.event("move", &Move { by: 1 })).code, "unknown_type");
    assert_eq!(refusal(game.event("loaded", &())).code, "unknown_type");
    assert_eq!(game.state().at, 7);
}

#[test]
fn a_deferred_reply_comes_with_the_event() {
    let mut game = Game::open();
    let outcome = game.request("defer", &());
    let payload = encode(&Sunrise { brightness: 3 }).0;
    assert_eq!(outcome.outputs, [Output::After { delay_ms: 1500, event: "dawn".into(), payload: payload.clone() }]);
    let id = parlor::TimerId(Place { seq: Seq(3), index: 0 });
    assert_eq!(game.input(Cause::Timer { id, event: "dawn".into(), payload }).outputs, [reply(&3)]);
}

#[test]
fn a_timer_for_what_is_no_event_fails_the_input() {
    let failure = refusal(Game::open().request("stray", &()));
    assert_eq!(failure.code, "output_failed");
    assert!(failure.text.contains("`player_moved` is not an event"), "{failure}");
}

#[test]
fn work_is_asked_for_by_name_and_comes_back_to_its_event() {
    let mut game = Game::open();
    let outcome = game.request("load", &6);
    let [Output::Run { name, arguments }] = outcome.outputs.as_slice() else { panic!("{outcome:?}") };
    assert_eq!(name, "load");

    let result = call(arguments.clone(), Env::default().with(7));
    assert_eq!(result, Ok(encode(&Loaded { value: 42 })));
    let outcome = game.work(result);
    assert_eq!(outcome.outputs, [Output::SetProperty { name: "loaded".to_owned(), value: 4.into() }]);
    assert_eq!(game.state().at, 42);

    let failed = call(encode(&Load { key: 0, reply: None }).0, Env::default());
    assert_eq!(refusal(game.work(failed)), Failure::app("no_such_key", "no such key"));
}

/// Runs the arena's only work.
fn call(arguments: bytes::Bytes, env: Env) -> Result<Payload> {
    let mut future = Kind::of::<Arena>().works[0].call(env, Payload(arguments));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(result) => result.map(Payload),
        std::task::Poll::Pending => panic!("nothing to wait for"),
    }
}

#[test]
fn joining_shows_the_view_or_refuses() {
    let mut game = Game::open();
    assert_eq!(game.join(2, "bob").view, Some(encode(&7).0));
    assert_eq!(refusal(game.join(3, "ghost")), Failure::app("door_shut", "not tonight"));
    assert_eq!(refusal(game.join(4, "blind")).code, "app.blind");
    // Neither of the refused is a member: only Bob stays when Ann goes. Whoever was let in and could not be shown the room has left.
    game.input(Cause::Leave { player: PlayerId(1), why: Leave::Kicked });
    game.input(Cause::Leave { player: PlayerId(3), why: Leave::Left });
    assert_eq!(game.state().log, ["blind Disconnected 2", "ann Kicked 1"]);
}

#[test]
fn who_loses_its_connection_stays_a_member() {
    let mut game = Game::open();
    let (ann, nobody) = (PlayerId(1), PlayerId(9));
    assert_eq!(game.request("who", &nobody).outputs, [reply(&false)]);
    assert_eq!(game.request("who", &ann).outputs, [reply(&true)]);
    assert_eq!(game.input(Cause::Drop { player: ann }), quiet());
    assert_eq!(game.request("who", &ann).outputs, [reply(&false)]);
    let outcome = game.input(Cause::Resume { player: ann });
    assert!(matches!(outcome.outputs.as_slice(), [Output::Publish { .. }]), "{outcome:?}");
    assert_eq!(game.request("who", &ann).outputs, [reply(&true)]);
    game.input(Cause::Drop { player: ann });
    game.input(Cause::Leave { player: ann, why: Leave::Disconnected });
    assert_eq!(game.request("who", &ann).outputs, [reply(&false)]);
    // Who was never here, or is not any more, neither goes away nor comes back.
    for player in [ann, nobody] {
        assert_eq!(game.input(Cause::Drop { player }), quiet());
        assert_eq!(game.input(Cause::Resume { player }), quiet());
    }
    assert_eq!(game.state().log, ["ann away false", "ann back true", "ann away false", "ann Disconnected 0"]);
}

#[test]
fn a_lost_connection_cannot_be_refused() {
    let mut game = Game::open();
    let grump = PlayerId(2);
    assert_eq!(game.join(grump.0, "grump").result, Ok(()));
    assert_eq!(refusal(game.input(Cause::Drop { player: grump })).code, "app.broke");
    assert_eq!(game.request("who", &grump).outputs, [reply(&false)]);
}

#[test]
fn a_view_can_be_asked_for_again_and_changes_nothing() {
    let mut game = Game::open();
    let before = game.runner.snapshot();
    let outcome = game.input(Cause::View { player: PlayerId(1) });
    assert_eq!(outcome, Outcome { view: Some(encode(&7).0), ..quiet() });
    assert_eq!(game.input(Cause::View { player: PlayerId(9) }), quiet());
    assert_eq!(game.runner.snapshot(), before);
}

#[test]
fn latest_values_go_out_with_their_key() {
    let mut game = Game::open();
    let payload = encode(&PlayerMoved { player: PlayerId(1), at: 7 }).0;
    let latest = Output::Latest { topic: "place".into(), key: "1".to_owned(), name: "player_moved".into(), payload };
    assert_eq!(game.request("share", &"place").outputs, [latest, reply(&())]);
    let forget = Output::Forget { topic: "place".into(), key: "1".to_owned() };
    assert_eq!(game.request("unshare", &"place").outputs, [forget, reply(&())]);
}

#[test]
fn a_topic_is_published_in_the_way_that_is_declared() {
    let mut game = Game::open();
    for (route, topic, text) in [
        ("share", "chat", "\"chat\" is none of `latest_topics`"),
        ("unshare", "chat", "\"chat\" is none of `latest_topics`"),
        ("tell", "place", "\"place\" is one of `latest_topics`: use publish_latest"),
    ] {
        let failure = refusal(game.request(route, &topic));
        assert_eq!(failure.code, "output_failed");
        assert!(failure.text.contains(text), "{failure}");
    }
    assert_eq!(game.request("tell", &"chat").outputs.len(), 2);
}

#[test]
fn ticks_and_the_close_hook_get_their_times() {
    let mut game = Game::open();
    game.input(Cause::Tick { count: 4, elapsed_us: 50_000 });
    let outcome = game.input(Cause::Close { why: CloseWhy::Empty, grace_ms: 20 });
    assert_eq!(outcome.outputs, [Output::Close { result: encode(&7).0 }]);
    assert_eq!(game.state().log, ["4 50ms", "Empty 20ms"]);
}

#[test]
fn a_panic_is_an_outcome() {
    let mut game = Game::open();
    assert_eq!(game.request("panic", &()).result, Err(Fault::Panicked("as asked".to_owned())));
    assert_eq!(game.request("where", &()).outputs, [reply(&7)]);
}

#[test]
fn an_output_over_the_limit_discards_the_whole_input() {
    let mut game = Game::open();
    assert_eq!(refusal(game.request("flood", &1100)).code, "output_failed");
    assert_eq!(game.state().log, ["flood"]);
    assert_eq!(game.request("flood", &900).outputs.len(), 2);
}

#[test]
fn a_snapshot_goes_on_where_it_was_taken() {
    let mut game = Game::open();
    game.request("defer", &());
    game.input(Cause::Drop { player: PlayerId(1) });
    let snapshot = game.runner.snapshot().unwrap();
    let mut copy = Game { runner: Kind::of::<Arena>().restore(&snapshot).unwrap(), seq: game.seq };
    for game in [&mut game, &mut copy] {
        assert_eq!(game.event("dawn", &Sunrise { brightness: 2 }).outputs, [reply(&2)]);
        assert_eq!(game.request("who", &PlayerId(1)).outputs, [reply(&false)]);
        game.input(Cause::Leave { player: PlayerId(1), why: Leave::Left });
        assert_eq!(game.state().log, ["ann away false", "ann Left 0"]);
    }
    assert_eq!(game.runner.snapshot(), copy.runner.snapshot());
    assert!(Kind::of::<Arena>().restore(b"no snapshot").is_err());
}
