//! What one room or client does must leave the others of its thread their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{SinkExt, StreamExt};
use parlor::broker::Broker;
use parlor::broker::room::{CreateRoom, RoomHandle};
use parlor::prelude::*;
use parlor_tests::{config, connect, event};
use tokio_tungstenite::tungstenite::Message as WsMessage;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// A room whose handler takes its time, but not so much that it would be reported.
#[derive(Default, Serialize, Deserialize)]
struct Slow {}

// A queue that one batch empties: the room has never anything left over, and never an empty queue.
#[room(kind = "slow", queue_len = 200)]
impl Slow {
    #[msg::event]
    fn work(&mut self, _ctx: &mut Ctx) {
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

/// A room, on the same shard as `beside`.
fn room(broker: &Broker, beside: Option<&RoomHandle>) -> Arc<RoomHandle> {
    loop {
        let room = broker.registry().create("slow", CreateRoom::default()).unwrap();
        if beside.is_none_or(|other| room.shard() == other.shard()) {
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
    let neighbour = room(&broker, Some(&flooded));
    let victim = connect(&broker).await;
    let quiet = victim.join_by_id(neighbour.id(), &()).await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let stop = done.clone();
    let flood = std::thread::spawn(move || {
        let mut taken = 0u64;
        while !stop.load(Ordering::Relaxed) {
            match flooded.push(event("work")) {
                Ok(()) => taken += 1,
                Err(_) => std::thread::yield_now(),
            }
        }
        taken
    });
    for _ in 0..20 {
        // A starved shard would not answer within the client's ten seconds.
        assert_eq!(quiet.request::<u32>("ask", &()).await.unwrap(), 7);
    }
    done.store(true, Ordering::Relaxed);
    assert!(flood.join().unwrap() > 1000, "there was a flood");
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
