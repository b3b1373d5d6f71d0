//! Every accepted message is accounted for: handled, without its sender, or answered by the end of its room.

use parlor::broker::room::CreateRoom;
use parlor::broker::telemetry::Metrics;
use parlor::prelude::*;
use parlor_client::{ClientError, Codec, Options, Parlor};
use parlor_tests::panics::hush;
use parlor_tests::seed::{fork, seeded};
use parlor_tests::serve::Anywhere;
use parlor_tests::wait::until;
use parlor_tests::{config, connect_with};
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinSet;

const CLIENTS: usize = 24;
const ROOMS: usize = 6;
const STEPS: usize = 150;
/// Frames of one step at most: a join, messages in a row, and a leave.
const BURST: usize = 30;

/// Kicks and closes as it is told.
#[derive(Default, Serialize, Deserialize)]
struct Arcade {
    handled: u64,
}

#[derive(Serialize, Deserialize)]
enum Move {
    Play(u32),
    KickMe,
    KickAll,
    Close,
    Refuse,
    Panic,
}

#[room(kind = "arcade", queue_len = 200, member_queue_len = 40, max_players = 32)]
impl Arcade {
    #[msg::route("move")]
    fn game_move(&mut self, ctx: &mut Ctx, from: PlayerId, m: Move) -> Result<u64> {
        self.handled += 1;
        match m {
            Move::Play(n) => drop((0..n).map(u64::from).sum::<u64>()),
            Move::KickMe => ctx.kick(from, &"as you wish"),
            Move::KickAll => {
                let all: Vec<_> = ctx.players().map(|player| player.id).collect();
                all.into_iter().for_each(|player| ctx.kick(player, &"all of you"));
            }
            Move::Close => ctx.close(&self.handled),
            Move::Refuse => return Err(Failure::app("no", "no")),
            Move::Panic => panic!("on purpose"),
        }
        Ok(self.handled)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepted_is_handled_or_orphaned_or_closed() {
    hush();
    let mut rng = seeded();
    let mut config = config();
    config.shards = 2;
    let broker = parlor::App::new().room::<Arcade>().anywhere(&config).await;
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let codec = if number % 2 == 0 { Codec::Json } else { Codec::MsgPack };
        // It never waits for what it has sent, so all of that may be under way at once.
        let options = Options::new().codec(codec).send_frames(STEPS * BURST);
        let client = connect_with(&broker, options).await;
        clients.spawn(misbehave(client, fork(&mut rng)));
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    until("all sessions are gone", || broker.metrics().sessions.get() == 0).await;
    // Some rooms are still there, with messages in their queues.
    broker.registry().find(|_| true).iter().for_each(|room| room.close(CloseWhy::Requested));
    until("all rooms are gone", || broker.registry().is_empty()).await;
    until("the accounts balance", || balances(broker.metrics())).await;
    let metrics = broker.metrics();
    assert_eq!((metrics.members.get(), metrics.rooms.get()), (0, 0));
    let kinds = [&metrics.messages_handled, &metrics.messages_orphaned, &metrics.messages_room_closed];
    for (kind, count) in ["handled", "orphaned", "room_closed"].iter().zip(kinds) {
        assert!(count.get() > 0, "the test had no messages that were {kind}");
    }
    broker.shutdown().await;
}

fn balances(metrics: &Metrics) -> bool {
    let gone = [
        &metrics.messages_handled,
        &metrics.messages_set_aside,
        &metrics.messages_orphaned,
        &metrics.messages_room_closed,
    ];
    metrics.messages_accepted.get() == gone.iter().map(|count| count.get()).sum::<u64>()
}

/// Joins, sends in bursts, is kicked, closes rooms, leaves with messages under way, and at last just hangs up.
async fn misbehave(client: Parlor, mut rng: ChaCha8Rng) {
    let mut rooms: Vec<parlor_client::Room> = Vec::new();
    for _ in 0..STEPS {
        if rooms.len() < 2 {
            match client.join_or_create("arcade", &()).await {
                Ok(room) => rooms.push(room),
                // That room is this client's already, or has just closed, or has a long queue.
                Err(ClientError::Refused(_)) => tokio::task::yield_now().await,
                Err(other) => panic!("{other}"),
            }
        }
        let Some(room) = rooms.last_mut() else { continue };
        for _ in 0..rng.random_range(1..BURST - 1) {
            // Refused once the membership is over.
            let _ = room.send("move", &step(&mut rng));
        }
        while room.try_recv().is_some() {}
        match rng.random_range(0..10) {
            0 => drop(rooms.pop()),
            1 => drop(rooms.remove(0)),
            _ => tokio::task::yield_now().await,
        }
    }
}

fn step(rng: &mut ChaCha8Rng) -> Move {
    match rng.random_range(0..1000) {
        0..20 => Move::KickMe,
        20..24 => Move::KickAll,
        24..34 => Move::Close,
        34..60 => Move::Refuse,
        60..63 => Move::Panic,
        _ => Move::Play(rng.random_range(0..2000)),
    }
}

/// A room that closes with a full queue answers for all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_in_a_closing_room_is_counted() {
    let broker = parlor::App::new().room::<Arcade>().anywhere(&config()).await;
    for _ in 0..ROOMS {
        let room = broker.registry().create("arcade", CreateRoom::default()).unwrap();
        let client = connect_with(&broker, Options::new()).await;
        let mut member = client.join_by_id(room.id(), &()).await.unwrap();
        member.send("move", &Move::Close).unwrap();
        for _ in 0..30 {
            // Fails once the room's end is known here.
            let _ = member.send("move", &Move::Play(1));
        }
        while member.recv().await.is_some() {}
    }
    until("all rooms are gone", || broker.registry().is_empty()).await;
    until("the accounts balance", || balances(broker.metrics())).await;
    assert_eq!(broker.metrics().messages_handled.get(), ROOMS as u64, "nothing is handled behind the end");
    broker.shutdown().await;
}
