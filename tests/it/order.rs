//! One total order per room: however many send at random, all members of a room have one history, from their joining on.

use std::sync::Arc;

use parlor::broker::Broker;
use parlor::broker::room::{CreateRoom, RoomHandle};
use parlor::prelude::*;
use parlor_client::{Codec, Options, Parlor, Place, Room as Membership, RoomEvent};
use parlor_tests::seed::{fork, seeded};
use parlor_tests::serve::Anywhere;
use parlor_tests::wait::soon;
use parlor_tests::{config, connect_with, event};
use rand_chacha::ChaCha8Rng;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;

/// Numbers everything that it says to all, so that a gap shows.
#[derive(Default, Serialize, Deserialize)]
struct Ledger {
    said: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Message)]
struct Line {
    number: u64,
    from: Option<PlayerId>,
    text: String,
}

#[derive(Serialize, Deserialize)]
struct Say {
    text: String,
    times: u64,
}

#[derive(Serialize, Deserialize, Message)]
struct TheEnd {}

#[room(kind = "ledger", queue_len = 8192)]
impl Ledger {
    #[msg::join]
    fn joined(&mut self, ctx: &mut Ctx, player: &Player) {
        self.line(ctx, Some(player.id), "came");
    }

    #[msg::view]
    fn view(&self, _: &Player) -> u64 {
        self.said
    }

    #[msg::route("say")]
    fn say(&mut self, ctx: &mut Ctx, from: PlayerId, say: Say) -> u64 {
        for _ in 0..say.times {
            self.line(ctx, Some(from), &say.text);
        }
        self.said
    }

    #[msg::event("the_end")]
    fn end(&mut self, ctx: &mut Ctx) {
        ctx.broadcast(&TheEnd {});
    }
}

impl Ledger {
    fn line(&mut self, ctx: &mut Ctx, from: Option<PlayerId>, text: &str) {
        self.said += 1;
        ctx.broadcast(&Line { number: self.said, from, text: text.to_owned() });
    }
}

/// What one member has seen.
struct History {
    joined: Place,
    /// Lines that were said before it came, by its view.
    before: u64,
    lines: Vec<(Place, Line)>,
}

/// How much happens in a test.
struct Load {
    shards: usize,
    rooms: usize,
    members: usize,
    /// Rooms that each client is in.
    rooms_each: usize,
    messages: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_rooms_of_ten_have_one_history_each() {
    one_history_each(Load { shards: 2, rooms: 50, members: 10, rooms_each: 1, messages: 16 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_in_several_rooms_on_three_shards_see_each_rooms_order() {
    one_history_each(Load { shards: 3, rooms: 12, members: 12, rooms_each: 3, messages: 20 }).await;
}

async fn one_history_each(load: Load) {
    let mut rng = seeded();
    let mut config = config();
    config.shards = load.shards;
    let broker = parlor::App::new().room::<Ledger>().anywhere(&config).await;
    let rooms: Vec<_> = (0..load.rooms)
        .map(|_| broker.registry().create("ledger", CreateRoom::default()).unwrap())
        .map(|room| {
            Arc::new(Played { room, histories: Mutex::default(), half: Semaphore::new(0), left: Semaphore::new(0) })
        })
        .collect();
    let mut tasks = JoinSet::new();
    let clients = load.rooms * load.members / load.rooms_each;
    for number in 0..clients {
        let client = client(&broker, &mut rng).await;
        for k in 0..load.rooms_each {
            // Neighbours are on different shards, and every room gets its number of members.
            let room = rooms[(number + k * (load.rooms / load.rooms_each)) % load.rooms].clone();
            let late = number >= clients * 3 / 4;
            tasks.spawn(play(client.clone(), room, fork(&mut rng), late, load.messages));
        }
    }
    for room in &rooms {
        let room = room.clone();
        tasks.spawn(async move {
            let all = u32::try_from(load.members).unwrap();
            soon("all have sent", room.left.acquire_many(all)).await.unwrap().forget();
            room.room.push(event("the_end")).unwrap();
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    for room in &rooms {
        let histories = std::mem::take(&mut *room.histories.lock().await);
        assert_eq!(histories.len(), load.members);
        compare(histories);
    }
    broker.shutdown().await;
}

/// A room in a test, and what its members bring back.
struct Played {
    room: Arc<RoomHandle>,
    histories: Mutex<Vec<History>>,
    /// A permit from each early member that has sent half of its messages; late ones wait for one.
    half: Semaphore,
    /// A permit from each member that has sent everything.
    left: Semaphore,
}

async fn client(broker: &Broker, rng: &mut ChaCha8Rng) -> Parlor {
    let codec = if rng.random() { Codec::Json } else { Codec::MsgPack };
    connect_with(broker, Options::new().codec(codec)).await
}

async fn play(client: Parlor, played: Arc<Played>, mut rng: ChaCha8Rng, late: bool, messages: usize) {
    if late {
        soon("half of the load", played.half.acquire()).await.unwrap().forget();
    }
    let mut room = client.join_by_id(played.room.id(), &()).await.unwrap();
    let mut history = History { joined: room.place(), before: room.view().unwrap(), lines: Vec::new() };
    for sent in 0..messages {
        let text = "x".repeat(if rng.random_ratio(1, 8) { rng.random_range(0..2000) } else { rng.random_range(0..80) });
        let say = Say { text, times: rng.random_range(0..3) };
        if rng.random_ratio(1, 4) {
            let number: u64 = room.request("say", &say).await.unwrap();
            assert!(number >= history.before);
        } else {
            room.send("say", &say).unwrap();
        }
        if sent == messages / 2 && !late {
            played.half.add_permits(1);
        }
        if rng.random() {
            tokio::task::yield_now().await;
        }
        while let Some(event) = room.try_recv() {
            assert!(!record(&mut history, &event));
        }
    }
    played.left.add_permits(1);
    read_to_the_end(&mut room, &mut history).await;
    played.histories.lock().await.push(history);
}

async fn read_to_the_end(room: &mut Membership, history: &mut History) {
    loop {
        let event = soon("the end", room.recv()).await.expect("the room lives");
        if record(history, &event) {
            return;
        }
    }
}

/// Returns whether that was the end.
fn record(history: &mut History, event: &RoomEvent) -> bool {
    let RoomEvent::Message { place, name, .. } = event else { panic!("unexpected {event:?}") };
    if name.as_ref() == "the_end" {
        return true;
    }
    history.lines.push((*place, event.decode().unwrap()));
    false
}

/// All histories are the ends of one, without a gap or a double.
fn compare(mut histories: Vec<History>) {
    histories.sort_by_key(|history| history.joined);
    let (first, others) = histories.split_first().unwrap();
    for history in &histories {
        let expected: Vec<u64> = (history.before + 1..).take(history.lines.len()).collect();
        let numbers: Vec<u64> = history.lines.iter().map(|(_, line)| line.number).collect();
        assert_eq!(numbers, expected);
        assert!(history.lines.iter().map(|(place, _)| *place).is_sorted_by(|a, b| a < b), "places rise");
    }
    for other in others {
        let since = first.lines.partition_point(|(place, _)| place.seq <= other.joined.seq);
        assert!(first.lines[since..] == other.lines[..], "two members saw different things");
    }
}
