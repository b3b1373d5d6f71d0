//! The test harness, tested: it behaves as the broker does, and it finds what is not deterministic.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use parlor::prelude::*;
use parlor::testing::TestRoom;

#[derive(Default, Serialize, Deserialize)]
struct Quiz {
    scores: BTreeMap<PlayerId, u32>,
    ticks: u64,
    waiting: Vec<Origin>,
}

#[derive(Serialize, Message)]
struct Scored {
    player: PlayerId,
    score: u32,
}

#[derive(Serialize, Deserialize, Message)]
struct TimeUp {}

#[derive(Serialize, Deserialize)]
struct Question {
    number: u32,
    to: Origin,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct QuizView {
    you: PlayerId,
    scores: BTreeMap<PlayerId, u32>,
}

#[derive(Refusal)]
enum Wrong {
    TooHigh { limit: u32 },
}

#[room(kind = "quiz", max_players = 2, max_spectators = 1, tick_hz = 10, empty_ttl = "5s")]
impl Quiz {
    #[msg::join]
    fn joined(&mut self, ctx: &mut Ctx, player: &Player) -> Result<()> {
        if player.name == "mallory" {
            return Err(Failure::app("banned", "not you"));
        }
        self.scores.insert(player.id, 0);
        ctx.broadcast(&Scored { player: player.id, score: 0 });
        Ok(())
    }

    #[msg::route("break")]
    fn broken(&mut self, _: &mut Ctx, _: PlayerId) {
        self.scores.clear();
        panic!("as asked");
    }

    #[msg::leave]
    fn left(&mut self, ctx: &mut Ctx, player: &Player) {
        if player.name == "trap" {
            self.scores.clear();
            panic!("as asked");
        }
        self.scores.remove(&player.id);
        ctx.broadcast(&Scored { player: player.id, score: 0 });
    }

    #[msg::route("guess")]
    fn guess(&mut self, ctx: &mut Ctx, from: PlayerId, n: u32) -> Result<u32, Wrong> {
        if n > 6 {
            return Err(Wrong::TooHigh { limit: 6 });
        }
        let dice = ctx.rng().random_range(1..=6);
        let score = self.scores.entry(from).or_default();
        *score += u32::from(dice == n);
        ctx.broadcast(&Scored { player: from, score: *score });
        Ok(dice)
    }

    #[msg::route("hurry")]
    fn hurry(&mut self, ctx: &mut Ctx, _from: PlayerId) {
        ctx.after(Duration::from_millis(1500), TimeUp {});
    }

    #[msg::event]
    fn time_up(&mut self, ctx: &mut Ctx) {
        ctx.close(&self.scores);
    }

    #[msg::route("look-up")]
    fn look_up(&mut self, ctx: &mut Ctx, _from: PlayerId, number: u32) {
        let to = ctx.defer_reply();
        ctx.run(Self::fetch, Question { number, to });
    }

    #[msg::work]
    async fn fetch(env: Env, question: Question) -> Result<(Origin, String), Failure> {
        let book = env.get::<Vec<String>>();
        let text = book.get(question.number as usize).ok_or_else(|| Failure::app("no_such_page", "no such page"))?;
        Ok((question.to, text.clone()))
    }

    #[msg::event]
    fn fetched(&mut self, ctx: &mut Ctx, done: Done<(Origin, String), Failure>) {
        if let Ok((to, text)) = done.result {
            ctx.reply(to, &text);
        }
    }

    #[msg::tick]
    fn tick(&mut self, _ctx: &mut Ctx, dt: Duration) {
        assert_eq!(dt, Duration::from_millis(100));
        self.ticks += 1;
    }

    #[msg::view]
    fn view(&self, to: &Player) -> QuizView {
        QuizView { you: to.id, scores: self.scores.clone() }
    }
}

#[test]
fn a_joiner_sees_the_view_and_others_the_news() {
    let mut room = TestRoom::<Quiz>::open(&());
    let (ann, bob) = (room.join("ann"), room.join("bob"));
    let view: QuizView = room.view(bob);
    assert_eq!(view, QuizView { you: bob, scores: BTreeMap::from([(ann, 0), (bob, 0)]) });
    assert!(room.received(bob).is_empty(), "what its own join told everybody is in its view");
    let news = room.received(ann);
    assert_eq!(news.len(), 1);
    assert_eq!((&*news[0].name, &news[0].payload["player"]), ("scored", &serde_json::json!(2)));
}

#[test]
fn seats_are_counted_and_freed() {
    let mut room = TestRoom::<Quiz>::open(&());
    assert_eq!(room.try_join("mallory", &()).unwrap_err().code, "app.banned");
    let (ann, _bob) = (room.join("ann"), room.join("bob"));
    assert_eq!(room.try_join("cid", &()).unwrap_err().code, "room_full");
    room.watch("dora").unwrap();
    assert_eq!(room.watch("eve").unwrap_err().code, "room_full");
    room.disconnect(ann);
    assert_eq!(room.members(), 2);
    room.join("cid");
}

#[test]
fn requests_are_answered_or_refused() {
    let mut room = TestRoom::<Quiz>::open(&());
    let ann = room.join("ann");
    let dice: u32 = room.request(ann, "guess", &3).unwrap();
    assert!((1..=6).contains(&dice));
    let refused = room.request::<u32>(ann, "guess", &7).unwrap_err();
    assert_eq!((&*refused.code, &refused.params["limit"]), ("app.too_high", &serde_json::json!(6)));
    let field = room.try_send(ann, "guess", &"three").unwrap_err();
    assert_eq!(field.code, "bad_payload");
    assert_eq!(room.try_send(ann, "time_up", &()).unwrap_err().code, "event_only");
    assert_eq!(room.try_send(ann, "nonsense", &()).unwrap_err().code, "unknown_type");
}

#[test]
fn time_passes_only_when_told() {
    let mut room = TestRoom::<Quiz>::open(&());
    room.advance(Duration::from_secs(1));
    assert_eq!(room.state().ticks, 0, "an empty room does not tick");
    let ann = room.join("ann");
    room.send(ann, "hurry", &());
    room.advance(Duration::from_millis(1499));
    assert_eq!(room.state().ticks, 14);
    assert!(!room.ended());
    room.advance(Duration::from_millis(1));
    assert!(room.ended());
    let closed = room.closed(ann).unwrap();
    assert_eq!((&*closed.code, closed.result), ("closed", serde_json::json!({"1": 0})));
}

#[test]
fn an_empty_room_ends_after_its_ttl() {
    let mut room = TestRoom::<Quiz>::open(&());
    let ann = room.join("ann");
    room.advance(Duration::from_secs(60));
    room.leave(ann);
    assert_eq!(room.closed(ann).unwrap().code, "left");
    room.advance(Duration::from_millis(4_999));
    assert!(!room.ended());
    room.advance(Duration::from_millis(1));
    assert!(room.ended());
}

#[test]
fn work_is_done_by_the_test_or_for_real() {
    let mut room = TestRoom::<Quiz>::open(&());
    let ann = room.join("ann");
    let unanswered = room.request::<String>(ann, "look-up", &1).unwrap_err();
    assert_eq!((&*unanswered.code, room.pending_work()), ("app.unanswered", vec!["fetch".to_owned()]));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(room.run_work(Env::default().with(vec!["zero".to_owned(), "one".to_owned()])));
    assert_eq!(room.deferred::<String>(ann), Some(Ok("one".to_owned())));
    room.request::<String>(ann, "look-up", &1).unwrap_err();
    room.finish_work(Err::<(), _>(Failure::app("no_such_page", "as the test wants it")));
    assert_eq!(room.deferred::<String>(ann), None);
}

#[derive(Default, Serialize, Deserialize)]
struct Restless {
    players: BTreeSet<PlayerId>,
    rings: u32,
}

#[derive(Serialize, Message)]
struct Ring {}

#[room(kind = "restless", max_view_bytes = 40)]
impl Restless {
    #[msg::join]
    fn joined(&mut self, ctx: &mut Ctx, player: &Player) {
        self.players.insert(player.id);
        ctx.after(Duration::ZERO, Ring {});
    }

    #[msg::leave]
    fn left(&mut self, _ctx: &mut Ctx, player: &Player) {
        self.players.remove(&player.id);
    }

    #[msg::event]
    fn ring(&mut self, ctx: &mut Ctx) {
        self.rings += 1;
        ctx.after(Duration::from_micros(1), Ring {});
    }

    #[msg::view]
    fn view(&self, to: &Player) -> String {
        "x".repeat(to.name.len())
    }
}

#[test]
fn a_timer_that_sets_itself_anew_cannot_hold_the_time_still() {
    let mut room = TestRoom::<Restless>::open(&());
    room.join("ann");
    room.advance(Duration::from_millis(10));
    assert_eq!(room.state().rings, 10, "once a millisecond");
}

#[test]
fn a_join_that_fails_behind_the_handler_leaves_nobody_in_its_state() {
    let mut room = TestRoom::<Restless>::open(&());
    let failed = room.try_join(&"a".repeat(60), &()).unwrap_err();
    assert_eq!(failed.code, "output_failed");
    assert!(room.state().players.is_empty());
    let ann = room.join("ann");
    assert_eq!(room.state().players, BTreeSet::from([ann]));
}

/// A room that does something that a handler must not do.
macro_rules! unsteady {
    ($name:ident, $field:ty, |$room:ident, $ctx:ident| $body:expr) => {
        #[derive(Default, Serialize, Deserialize)]
        struct $name {
            #[serde(default)]
            field: $field,
        }

        #[derive(Serialize, Message)]
        #[allow(dead_code)]
        struct Out {
            n: u64,
        }

        #[room(kind = "unsteady")]
        impl $name {
            #[msg::route("go")]
            fn go(&mut self, $ctx: &mut Ctx, _from: PlayerId, _n: u64) {
                let $room = self;
                $body
            }
        }
    };
}

/// Whether the harness stops a test of this room.
fn found<R: Room>() -> bool {
    catch_unwind(AssertUnwindSafe(|| {
        let mut room = TestRoom::<R>::open(&());
        let ann = room.join("ann");
        for n in 0..20u64 {
            room.send(ann, "go", &n);
        }
    }))
    .is_err()
}

#[test]
fn a_panic_is_undone_as_by_a_broker() {
    let mut room = TestRoom::<Quiz>::open(&());
    let (ann, trap) = (room.join("ann"), room.join("trap"));
    assert_eq!(room.try_send(ann, "break", &()).unwrap_err().code, "handler_panicked");
    assert_eq!(room.state().scores, BTreeMap::from([(ann, 0), (trap, 0)]));
    // Its leave takes place although the handler has not survived it.
    room.leave(trap);
    assert_eq!(room.members(), 1);
    assert_eq!(room.state().scores, BTreeMap::from([(ann, 0), (trap, 0)]));
    room.join("bob");
}

#[test]
fn a_hash_map_is_found() {
    unsteady!(Hashed, HashMap<u64, u64>, |room, ctx| {
        let n = ctx.input_no();
        room.field.insert(n, n);
    });
    assert!(found::<Hashed>());
}

#[test]
fn a_clock_is_found() {
    unsteady!(Clocked, u64, |_room, ctx| {
        let n = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
        ctx.broadcast(&Out { n });
    });
    assert!(found::<Clocked>());
}

#[test]
fn state_that_is_not_saved_is_found() {
    #[derive(Default, Serialize, Deserialize)]
    struct Forgetful {
        #[serde(skip)]
        n: u64,
    }
    unsteady!(Skipping, Forgetful, |room, ctx| {
        room.field.n += 1;
        ctx.broadcast(&Out { n: room.field.n });
    });
    assert!(found::<Skipping>());
}

#[test]
fn a_steady_room_passes() {
    unsteady!(Steady, IndexMap<u64, u64>, |room, ctx| {
        let n = ctx.rng().random_range(0..1000);
        room.field.insert(n, ctx.now_ms());
        ctx.broadcast(&Out { n });
    });
    assert!(!found::<Steady>());
}
