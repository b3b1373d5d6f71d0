//! Interest set by the server side: a member sees exactly what is published under the topics that it follows, in order.

use parlor::broker::room::CreateRoom;
use parlor::prelude::*;
use parlor_client::{Codec, Options, Parlor, Place, RoomEvent};
use parlor_tests::seed::{fork, seeded};
use parlor_tests::serve::Anywhere;
use parlor_tests::wait::soon;
use parlor_tests::{config, connect_with, event};
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinSet;

const CELLS: i32 = 6;
const MEMBERS: usize = 8;
const STEPS: usize = 60;

/// Writes down by itself who should see what.
#[derive(Default, Serialize, Deserialize)]
struct Plain {
    follows: BTreeMap<PlayerId, BTreeSet<i32>>,
    should_see: BTreeMap<PlayerId, Vec<u64>>,
    shouts: u64,
}

#[derive(Serialize, Deserialize)]
enum Step {
    /// Follows these cells from now on.
    Look(BTreeSet<i32>),
    /// Shouts into these cells, one after the other.
    Shout(Vec<i32>),
    /// Shouts, goes, and shouts again, all in one input.
    Move { from: i32, to: i32 },
}

#[derive(Debug, Serialize, Deserialize, Message)]
struct Heard {
    number: u64,
}

#[derive(Serialize, Deserialize, Message)]
struct TheEnd {
    should_see: Vec<u64>,
}

#[room(kind = "plain")]
impl Plain {
    #[msg::join]
    fn joined(&mut self, _: &mut Ctx, player: &Player) {
        self.should_see.insert(player.id, Vec::new());
    }

    #[msg::route("step")]
    fn step(&mut self, ctx: &mut Ctx, from: PlayerId, step: Step) {
        match step {
            Step::Look(cells) => self.look(ctx, from, cells),
            Step::Shout(cells) => cells.into_iter().for_each(|cell| self.shout(ctx, cell)),
            Step::Move { from: old, to } => {
                self.shout(ctx, old);
                self.look(ctx, from, BTreeSet::from([to]));
                self.shout(ctx, to);
            }
        }
    }

    #[msg::event("the_end")]
    fn end(&mut self, ctx: &mut Ctx) {
        for (player, numbers) in std::mem::take(&mut self.should_see) {
            ctx.send(player, &TheEnd { should_see: numbers });
        }
    }
}

impl Plain {
    fn look(&mut self, ctx: &mut Ctx, player: PlayerId, cells: BTreeSet<i32>) {
        ctx.set_topics(player, cells.iter().map(|cell| (*cell, -*cell)));
        self.follows.insert(player, cells);
    }

    fn shout(&mut self, ctx: &mut Ctx, cell: i32) {
        self.shouts += 1;
        ctx.publish((cell, -cell), &Heard { number: self.shouts });
        for (player, cells) in &self.follows {
            if cells.contains(&cell) {
                self.should_see.entry(*player).or_default().push(self.shouts);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_sees_exactly_the_topics_that_it_follows() {
    let mut rng = seeded();
    let mut config = config();
    config.shards = 2;
    let broker = parlor::App::new().room::<Plain>().anywhere(&config).await;
    let room = broker.registry().create("plain", CreateRoom::default()).unwrap();
    let mut walkers = JoinSet::new();
    for number in 0..MEMBERS {
        let codec = if number % 2 == 0 { Codec::Json } else { Codec::MsgPack };
        let client = connect_with(&broker, Options::new().codec(codec)).await;
        walkers.spawn(walk(client, room.id().to_string(), fork(&mut rng)));
    }
    let mut rooms = Vec::new();
    while let Some(room) = walkers.join_next().await {
        rooms.push(room.unwrap());
    }
    room.push(event("the_end")).unwrap();
    for room in &mut rooms {
        let (seen, should_see) = read(room).await;
        assert!(seen.is_sorted_by(|(a, _), (b, _)| a < b), "places rise");
        let numbers: Vec<u64> = seen.into_iter().map(|(_, number)| number).collect();
        assert_eq!(numbers, should_see);
        assert!(!numbers.is_empty());
    }
    broker.shutdown().await;
}

async fn walk(client: Parlor, room: String, mut rng: ChaCha8Rng) -> parlor_client::Room {
    let room = client.join_by_id(room, &()).await.unwrap();
    let cell = |rng: &mut ChaCha8Rng| rng.random_range(0..CELLS);
    for _ in 0..STEPS {
        let step = match rng.random_range(0..6) {
            0 => Step::Look((0..rng.random_range(0..4)).map(|_| cell(&mut rng)).collect()),
            1 => Step::Move { from: cell(&mut rng), to: cell(&mut rng) },
            _ => Step::Shout((0..rng.random_range(1..4)).map(|_| cell(&mut rng)).collect()),
        };
        room.send("step", &step).unwrap();
        tokio::task::yield_now().await;
    }
    // Everything before it has been handled when the answer comes.
    room.request::<()>("step", &Step::Look(BTreeSet::new())).await.unwrap();
    room
}

/// What a member saw, and what it should have seen.
async fn read(room: &mut parlor_client::Room) -> (Vec<(Place, u64)>, Vec<u64>) {
    let mut seen = Vec::new();
    loop {
        let event = soon("the end", room.recv()).await.expect("the room lives");
        let RoomEvent::Message { place, name, .. } = &event else { panic!("unexpected {event:?}") };
        if name.as_ref() == "the_end" {
            return (seen, event.decode::<TheEnd>().unwrap().should_see);
        }
        seen.push((*place, event.decode::<Heard>().unwrap().number));
    }
}
