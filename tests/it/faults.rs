//! A handler that panics or takes too long harms its own room only.

use std::time::Instant;

use parlor::broker::{Broker, Config};
use parlor::prelude::*;
use parlor_client::{ErrorCode, Parlor, Room as Membership, RoomEvent};
use parlor_tests::panics::hush;
use parlor_tests::wait::{soon, until};
use parlor_tests::{config, connect, event};

/// Every hook panics when it is told to.
#[derive(Default, Serialize, Deserialize)]
struct Mine {
    steps: u64,
    armed: Option<Trap>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Trap {
    Message,
    Join,
    View,
    Leave,
    Tick,
    Timer,
    Event,
    Work,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
struct Step {
    steps: u64,
}

#[derive(Serialize, Deserialize, Message)]
struct Fuse {}

impl Mine {
    /// What has been changed by then is as it was before. So is the trap: it stays armed.
    fn tread(&mut self, on: Trap) {
        assert!(self.armed != Some(on), "on purpose: {on:?}");
    }
}

#[room(kind = "mine", tick_hz = 200)]
impl Mine {
    #[msg::join]
    fn joined(&mut self, _: &mut Ctx, _: &Player) {
        self.tread(Trap::Join);
    }

    #[msg::view]
    fn view(&self, _: &Player) -> u64 {
        assert!(self.armed != Some(Trap::View), "on purpose: View");
        self.steps
    }

    #[msg::leave]
    fn left(&mut self, _: &mut Ctx, _: &Player, _: Leave) {
        self.tread(Trap::Leave);
    }

    #[msg::tick]
    fn tick(&mut self, _: &mut Ctx, _: Duration) {
        self.tread(Trap::Tick);
    }

    #[msg::route("step")]
    fn step(&mut self, ctx: &mut Ctx, _: PlayerId) -> u64 {
        self.steps += 1;
        ctx.broadcast(&Step { steps: self.steps });
        self.tread(Trap::Message);
        self.steps
    }

    #[msg::route("arm")]
    fn arm(&mut self, ctx: &mut Ctx, _: PlayerId, trap: Trap) {
        self.armed = Some(trap);
        match trap {
            Trap::Timer => drop(ctx.after(Duration::from_millis(1), Fuse {})),
            Trap::Work => drop(ctx.run(Self::dig, ())),
            _ => {}
        }
    }

    #[msg::route("disarm")]
    fn disarm(&mut self, _: &mut Ctx, _: PlayerId) {
        self.armed = None;
    }

    #[msg::event("fuse")]
    fn fuse(&mut self, _: &mut Ctx, _: Fuse) {
        self.tread(Trap::Timer);
        self.tread(Trap::Event);
    }

    #[msg::work]
    async fn dig(_: Env, (): ()) -> Result<()> {
        Ok(())
    }

    #[msg::event]
    fn dug(&mut self, _: &mut Ctx, _: Done<()>) {
        self.tread(Trap::Work);
    }
}

/// The same, but one panic is the end of it.
#[derive(Default, Serialize, Deserialize)]
struct Fragile {}

#[room(kind = "fragile", on_panic = "close")]
impl Fragile {
    #[msg::route("break")]
    fn break_(&mut self, _: &mut Ctx, _: PlayerId) {
        panic!("on purpose");
    }
}

/// Fails at its beginning when it is told to, and always at its end.
#[derive(Default, Serialize, Deserialize)]
struct Ill {}

#[room(kind = "ill", close_grace = "10m")]
impl Ill {
    #[msg::open]
    fn opened(&mut self, _: &mut Ctx, stillborn: bool) {
        assert!(!stillborn, "on purpose");
    }

    #[msg::close]
    fn closing(&mut self, ctx: &mut Ctx) {
        ctx.broadcast(&Fuse {});
        ctx.close(&());
        panic!("on purpose");
    }

    #[msg::route("end")]
    fn end(&mut self, ctx: &mut Ctx, _: PlayerId) {
        ctx.close(&"at last");
    }
}

/// A room that can be made to stand still.
#[derive(Default, Serialize, Deserialize)]
struct Sleepy {}

#[room(kind = "sleepy")]
impl Sleepy {
    #[msg::route("sleep")]
    fn sleep(&mut self, _: &mut Ctx, _: PlayerId, ms: u64) {
        std::thread::sleep(Duration::from_millis(ms));
    }
}

async fn start(config: &Config) -> Broker {
    hush();
    parlor::App::new().room::<Mine>().room::<Fragile>().room::<Ill>().room::<Sleepy>().start(config).await.unwrap()
}

/// Two rooms of one kind on one shard: one in which things go wrong, and its neighbour.
struct Pair {
    broker: Broker,
    /// Whoever arms traps, and another member of the same room.
    own: [Membership; 2],
    neighbours: [Membership; 2],
    steps: u64,
    /// How many panics there have been.
    panics: u64,
}

impl Pair {
    async fn new() -> Self {
        let mut config = config();
        config.shards = 1;
        let broker = start(&config).await;
        let own = two(&broker).await;
        let neighbours = two(&broker).await;
        Self { broker, own, neighbours, steps: 0, panics: 0 }
    }

    /// The neighbours' room goes on, and everybody in it sees that.
    async fn neighbours_step(&mut self) {
        self.steps += 1;
        assert_eq!(self.neighbours[0].request::<u64>("step", &()).await.unwrap(), self.steps);
        for room in &mut self.neighbours {
            assert_eq!(next(room).await, Step { steps: self.steps });
        }
    }

    async fn arm(&self, trap: Trap) {
        self.own[0].request::<()>("arm", &trap).await.unwrap();
    }

    /// Waits until one more panic is counted, and takes the trap away; the rooms go on.
    async fn survive(&mut self) {
        let (metrics, before) = (self.broker.metrics(), self.panics);
        until("the panic is counted", || metrics.handler_panics.get() > before).await;
        self.own[0].request::<()>("disarm", &()).await.unwrap();
        self.panics = metrics.handler_panics.get();
        assert_eq!((metrics.rooms_restored.get(), metrics.replays_diverged.get()), (self.panics, 0));
        let steps: u64 = self.own[1].request("step", &()).await.unwrap();
        for room in &mut self.own {
            assert_eq!(next(room).await, Step { steps });
        }
        self.neighbours_step().await;
    }
}

async fn two(broker: &Broker) -> [Membership; 2] {
    let first = connect(broker).await.create("mine", &()).await.unwrap();
    let second = connect(broker).await.join_by_id(first.id(), &()).await.unwrap();
    [first, second]
}

async fn next(room: &mut Membership) -> Step {
    let event = soon("a step", room.recv()).await.expect("the room lives");
    event.decode().unwrap_or_else(|_| panic!("no step but {event:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_whose_handler_panics_goes_on_and_only_the_sender_is_told() {
    let mut pair = Pair::new().await;
    pair.arm(Trap::Message).await;
    let told = pair.own[0].request::<u64>("step", &()).await.unwrap_err();
    assert_eq!(told.code(), ErrorCode::HandlerPanicked.as_str());
    // A message that is no request is refused by its number.
    let no = pair.own[0].send("step", &()).unwrap();
    let event = soon("the refusal", pair.own[0].recv()).await.unwrap();
    let RoomEvent::Refused { no: refused, error, place: Some(_) } = event else { panic!("unexpected {event:?}") };
    assert_eq!((refused, error.code.as_ref()), (no, ErrorCode::HandlerPanicked.as_str()));
    // The outputs of both are gone, and the others hear of nothing: their next event is a step that worked. What the handler had changed before
    // it panicked is gone too: that step is the first.
    until("both are counted", || pair.broker.metrics().messages_set_aside.get() == 2).await;
    pair.survive().await;
    assert_eq!(pair.own[1].request::<u64>("step", &()).await.unwrap(), 2);
    pair.broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_while_joining_keeps_the_joiner_out_and_gives_its_seat_back() {
    let mut pair = Pair::new().await;
    let client: Parlor = connect(&pair.broker).await;
    for trap in [Trap::Join, Trap::View] {
        pair.arm(trap).await;
        let refused = client.join_by_id(pair.own[0].id(), &()).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::HandlerPanicked.as_str());
        pair.survive().await;
        until("the seat is free", || pair.broker.metrics().members.get() == 4).await;
    }
    // What failed was the handler, not the client.
    client.join_by_id(pair.own[0].id(), &()).await.unwrap();
    pair.broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panics_of_hooks_that_answer_nobody_are_counted_and_survived() {
    let mut pair = Pair::new().await;
    for trap in [Trap::Tick, Trap::Timer, Trap::Work] {
        pair.arm(trap).await;
        pair.survive().await;
    }
    pair.arm(Trap::Event).await;
    let room = pair.broker.registry().get(pair.own[0].id()).unwrap();
    room.push(event("fuse")).unwrap();
    pair.survive().await;
    pair.arm(Trap::Leave).await;
    let mut third = connect(&pair.broker).await.join_by_id(pair.own[0].id(), &()).await.unwrap();
    third.leave().await.unwrap();
    pair.survive().await;
    until("its seat is free all the same", || pair.broker.metrics().members.get() == 4).await;
    pair.broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fragile_room_is_closed_by_a_panic_and_its_neighbours_are_not() {
    let mut pair = Pair::new().await;
    let mut first = connect(&pair.broker).await.create("fragile", &()).await.unwrap();
    let mut second = connect(&pair.broker).await.join_by_id(first.id(), &()).await.unwrap();
    first.send("break", &()).unwrap();
    let event = soon("the refusal", first.recv()).await.unwrap();
    assert!(matches!(&event, RoomEvent::Refused { no: 1, error, .. } if error.code == "handler_panicked"), "{event:?}");
    for room in [&mut first, &mut second] {
        let event = soon("the end", room.recv()).await.unwrap();
        assert!(matches!(&event, RoomEvent::Closed { code, .. } if code == "room_failed"), "{event:?}");
    }
    until("the room is gone", || pair.broker.registry().len() == 2).await;
    pair.neighbours_step().await;
    pair.broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_at_the_opening_leaves_no_room_and_one_at_the_close_leaves_it_its_grace() {
    let mut pair = Pair::new().await;
    let client = connect(&pair.broker).await;
    let refused = client.create("ill", &true).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::HandlerPanicked.as_str());
    until("there is no such room", || pair.broker.registry().len() == 2).await;
    let mut room = client.create("ill", &false).await.unwrap();
    pair.broker.registry().get(room.id()).unwrap().close(CloseWhy::Requested);
    until("both panics are counted", || pair.broker.metrics().handler_panics.get() == 2).await;
    // What the hook wanted is discarded as a whole; the room is closing and lives until it ends itself.
    room.send("end", &()).unwrap();
    let event = soon("the end", room.recv()).await.unwrap();
    assert!(matches!(&event, RoomEvent::Closed { code, .. } if code == "closed"), "{event:?}");
    assert_eq!(event.decode::<String>().unwrap(), "at last");
    pair.neighbours_step().await;
    pair.broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_stands_still_is_reported_and_delays_its_own_shard_only() {
    const STANDSTILL: Duration = Duration::from_millis(1_000);
    let mut config = config();
    config.shards = 2;
    let broker = start(&config).await;
    let sleepy = connect(&broker).await.create("sleepy", &()).await.unwrap();
    let shard = |room: &Membership| broker.registry().get(room.id()).unwrap().shard();
    let client = connect(&broker).await;
    // Rooms take shards in turn.
    let other = client.create("mine", &()).await.unwrap();
    assert_ne!(shard(&other), shard(&sleepy));
    // By now both connections are with their rooms.
    other.request::<u64>("step", &()).await.unwrap();
    let standing = async {
        let before = Instant::now();
        sleepy.request::<()>("sleep", &(STANDSTILL.as_millis() as u64)).await.unwrap();
        before.elapsed()
    };
    let going = async {
        let (began, mut slowest) = (Instant::now(), Duration::ZERO);
        while began.elapsed() < STANDSTILL {
            let before = Instant::now();
            other.request::<u64>("step", &()).await.unwrap();
            slowest = slowest.max(before.elapsed());
        }
        slowest
    };
    let (standing, slowest) = tokio::join!(standing, going);
    assert!(standing >= STANDSTILL);
    assert!(slowest < STANDSTILL / 2, "a room on another shard waited {slowest:?}");
    assert_eq!(broker.metrics().handler_overruns.get(), 1);
    broker.shutdown().await;
}
