//! What one room or client does must leave the others of its thread their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{SinkExt, StreamExt};
use parlor::broker::Broker;
use parlor::broker::room::{CreateRoom, RoomHandle};
use parlor::prelude::*;
use parlor_tests::{config, connect};
use tokio_tungstenite::tungstenite::Message as WsMessage;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// A room whose handler takes its time, but not so much that it would be reported.
#[derive(Default, Serialize, Deserialize)]
struct Slow {}

#[room(kind = "slow")]
impl Slow {
    #[msg::route("work")]
    fn work(&mut self, _ctx: &mut Ctx, _from: PlayerId) {
        let began = std::time::Instant::now();
        while began.elapsed() < Duration::from_micros(200) {
            std::hint::spin_loop();
        }
    }

    #[msg::route("ask")]
    fn ask(&mut self, _ctx: &mut Ctx, _from: PlayerId) -> u32 {
        7
    }
}

/// A room on another shard than `than`, or on the same.
fn room(broker: &Broker, than: Option<(&RoomHandle, bool)>) -> Arc<RoomHandle> {
    loop {
        let room = broker.registry().create("slow", CreateRoom::default()).unwrap();
        if than.is_none_or(|(other, same)| (room.shard() == other.shard()) == same) {
            return room;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_is_never_idle_does_not_starve_its_neighbours() {
    let mut config = config();
    config.shards = 2;
    let broker = parlor::App::new().room::<Slow>().start(&config).await.unwrap();
    let flooded = room(&broker, None);
    let (neighbour, elsewhere) = (room(&broker, Some((&flooded, true))), room(&broker, Some((&flooded, false))));
    // In two rooms, the first on the other shard: so this connection stays there, and can push while the flooded room works.
    let flooder = connect(&broker).await;
    let _home = flooder.join_by_id(elsewhere.id(), &()).await.unwrap();
    let mut flood = flooder.join_by_id(flooded.id(), &()).await.unwrap();
    let victim = connect(&broker).await;
    let quiet = victim.join_by_id(neighbour.id(), &()).await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let stop = done.clone();
    let flooding = tokio::spawn(async move {
        let mut sent = 0u64;
        while !stop.load(Ordering::Relaxed) {
            for _ in 0..64 {
                sent += u64::from(flood.send("work", &()).is_ok());
            }
            while flood.try_recv().is_some() {}
            tokio::task::yield_now().await;
        }
        sent
    });
    for _ in 0..50 {
        // A starved shard would not answer within the client's ten seconds.
        assert_eq!(quiet.request::<u32>("ask", &()).await.unwrap(), 7);
    }
    done.store(true, Ordering::Relaxed);
    assert!(flooding.await.unwrap() > 50, "there was a flood");
    broker.shutdown().await;
}

#[tokio::test]
async fn a_goodbye_is_answered() {
    let broker = parlor::App::new().room::<Slow>().start(&config()).await.unwrap();
    let stream = tokio::net::TcpStream::connect(broker.addr()).await.unwrap();
    let url = format!("ws://{}/ws", broker.addr());
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    let goodbye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    socket.send(WsMessage::Close(Some(goodbye.clone()))).await.unwrap();
    let answer = socket.next().await.expect("an answer").expect("no reset");
    assert_eq!(answer, WsMessage::Close(Some(goodbye)));
    broker.shutdown().await;
}
