//! One session in several rooms on several shards: it moves to its rooms, and neither loses nor disorders a frame.

use std::collections::HashSet;

use futures_util::SinkExt;
use parlor::broker::Broker;
use parlor::broker::room::CreateRoom;
use parlor::prelude::*;
use parlor_client::{Codec, JoinRequest, Options, Parlor, Role, Room as Membership, RoomEvent};
use parlor_protocol::ClientFrame;
use parlor_protocol::codec::NIL;
use parlor_protocol::frame::{Join, JoinMode};
use parlor_tests::raw::{Heard, Raw};
use parlor_tests::seed::seeded;
use parlor_tests::wait::soon;
use parlor_tests::{config, connect, connect_with};

/// Says back what it is told, to all.
#[derive(Default, Serialize, Deserialize)]
struct Relay {
    said: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
struct Said {
    from: PlayerId,
    number: u64,
    /// Counts what the room has said.
    nth: u64,
}

#[room(kind = "relay", max_spectators = 4)]
impl Relay {
    #[msg::route("say")]
    fn say(&mut self, ctx: &mut Ctx, from: PlayerId, number: u64) -> u64 {
        self.said += 1;
        ctx.broadcast(&Said { from, number, nth: self.said });
        number
    }
}

async fn broker(shards: usize) -> Broker {
    let mut config = config();
    config.shards = shards;
    parlor::App::new().room::<Relay>().start(&config).await.unwrap()
}

async fn next(room: &mut Membership) -> Said {
    let event = soon("what was said", room.recv()).await.expect("the room lives");
    event.decode().unwrap_or_else(|_| panic!("unexpected {event:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_moves_between_shards_while_it_sends_and_loses_nothing() {
    const MOVES: usize = 60;
    const BURST: u64 = 25;
    let mut rng = seeded();
    let broker = broker(3).await;
    let rooms: Vec<_> = (0..6).map(|_| broker.registry().create("relay", CreateRoom::default()).unwrap()).collect();
    for codec in Codec::ALL {
        let client = connect_with(&broker, Options::new().codec(codec)).await;
        for _ in 0..MOVES {
            // Leaving the last room and joining another takes the connection along, in the midst of what is sent.
            let room = &rooms[rng.random_range(0..rooms.len())];
            let mut member = client.join_by_id(room.id(), &()).await.unwrap();
            for number in 1..=BURST {
                assert_eq!(member.send("say", &number).unwrap(), number);
            }
            assert_eq!(member.request::<u64>("say", &(BURST + 1)).await.unwrap(), BURST + 1);
            for number in 1..=BURST + 1 {
                let said = next(&mut member).await;
                assert_eq!((said.from, said.number), (member.player(), number));
            }
            if rng.random() {
                member.leave().await.unwrap();
            }
        }
        client.close().await;
    }
    let expected = Codec::ALL.len() * MOVES * usize::try_from(BURST + 1).unwrap();
    assert_eq!(broker.metrics().messages_handled.get(), expected as u64);
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_before_a_move_is_not_forgotten() {
    // More than one turn reads, and so little that it is all read from the socket at once.
    const PINGS: usize = 180;
    let broker = broker(2).await;
    let rooms: Vec<_> = (0..2).map(|_| broker.registry().create("relay", CreateRoom::default()).unwrap()).collect();
    let mut raw = Raw::connect(&broker).await.hello().await;
    raw.join(JoinMode::Id, rooms[0].id().as_str()).await;
    for turn in 1..=10 {
        let (from, to) = (&rooms[(turn + 1) % 2], &rooms[turn % 2]);
        raw.feed(&ClientFrame::Leave { room: from.no() }).await;
        let join = Join {
            invite: None,
            ticket: None,
            mode: JoinMode::Id,
            kind: None,
            room: Some(to.id().to_string()),
            role: Role::Player,
            private: false,
        };
        raw.feed(&ClientFrame::Join { id: turn as u64, join, options: NIL }).await;
        for _ in 0..PINGS {
            raw.feed(&ClientFrame::Ping { time: 0.0 }).await;
        }
        soon("a flush", raw.ws.flush()).await.unwrap();
        // `closed`, `joined`, and all pongs; in one order or another.
        for _ in 0..PINGS + 2 {
            let heard = raw.hear().await;
            assert!(matches!(heard, Heard::Frame(_)), "{heard:?}");
        }
    }
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_on_different_shards_keep_each_their_order_on_one_connection() {
    const EACH: u64 = 400;
    let broker = broker(3).await;
    let rooms: Vec<_> = (0..3).map(|_| broker.registry().create("relay", CreateRoom::default()).unwrap()).collect();
    let shards: HashSet<_> = rooms.iter().map(|room| room.shard()).collect();
    assert_eq!(shards.len(), 3);
    let (one, other): (Parlor, Parlor) = (connect(&broker).await, connect(&broker).await);
    let mut tasks = tokio::task::JoinSet::new();
    for room in &rooms {
        for client in [&one, &other] {
            let mut member = client.join_by_id(room.id(), &()).await.unwrap();
            tasks.spawn(async move {
                for number in 1..=EACH / 2 {
                    member.send("say", &number).unwrap();
                    if number % 10 == 0 {
                        member.request::<u64>("say", &number).await.unwrap();
                    }
                }
                // Whoever came first has heard more of the other; from then on there is no gap.
                let (mut own, mut last) = (0, None);
                while own < EACH / 2 + EACH / 20 {
                    let said = next(&mut member).await;
                    assert_eq!(said.nth, last.map_or(said.nth, |last: u64| last + 1));
                    last = Some(said.nth);
                    own += u64::from(said.from == member.player());
                }
            });
        }
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spectators_see_what_players_see_and_say_nothing() {
    let broker = broker(2).await;
    let mut player = connect(&broker).await.create("relay", &()).await.unwrap();
    let request = JoinRequest::by_id(player.id()).role(Role::Spectator);
    let mut spectator = connect(&broker).await.join(request).await.unwrap();
    for number in 1..=50 {
        player.send("say", &number).unwrap();
    }
    for _ in 1..=50 {
        assert_eq!(next(&mut player).await, next(&mut spectator).await);
    }
    assert_eq!(spectator.send("say", &1).unwrap(), 1);
    let event = soon("the refusal", spectator.recv()).await.unwrap();
    assert!(matches!(&event, RoomEvent::Refused { no: 1, error, .. } if error.code == "spectator"), "{event:?}");
    player.request::<u64>("say", &51).await.unwrap();
    assert_eq!(next(&mut spectator).await.nth, 51, "what it said never came to the room");
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_of_newcomers_spread_over_all_shards() {
    let broker = broker(2).await;
    let mut shards = HashSet::new();
    for _ in 0..4 {
        let room = connect(&broker).await.create("relay", &()).await.unwrap();
        shards.insert(broker.registry().get(room.id()).unwrap().shard());
    }
    assert_eq!(shards.len(), 2, "all rooms are on one of two threads");
    broker.shutdown().await;
}
