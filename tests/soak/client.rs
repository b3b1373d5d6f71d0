//! One client of the soak: it joins rooms and leaves them, says something, loses its connection without a word, comes back, and now
//! and then says goodbye and begins anew. Whatever it is told must fit together.

use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use parlor_client::{LifecycleEvent, Options, Parlor, Room, RoomEvent};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};

/// How long a client stays in a room, and how many rooms it visits in one session.
const STAY_MS: std::ops::Range<u64> = 2_000..15_000;
const VISITS: std::ops::Range<u32> = 1..6;
/// Between two messages.
const PAUSE_MS: std::ops::Range<u64> = 200..1_800;
/// Of so many pauses one ends with the connection being cut.
const CUTS: u32 = 30;
/// How long a client may take to be back and heard.
const ANSWER: Duration = Duration::from_secs(60);

/// What all clients share.
pub(crate) struct Shared {
    address: SocketAddr,
    rooms: usize,
    pub(crate) stop: AtomicBool,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    joined: AtomicU64,
    said: AtomicU64,
    heard: AtomicU64,
    views: AtomicU64,
    cut: AtomicU64,
    resumed: AtomicU64,
    refused: AtomicU64,
}

/// What they have done.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) joined: u64,
    pub(crate) said: u64,
    pub(crate) heard: u64,
    pub(crate) views: u64,
    pub(crate) cut: u64,
    pub(crate) resumed: u64,
    pub(crate) refused: u64,
}

#[derive(Deserialize)]
struct Counted {
    count: u64,
}

/// The socket of a client, for cutting it.
type Wire = Arc<Mutex<Option<std::net::TcpStream>>>;

impl Shared {
    pub(crate) fn new(address: SocketAddr, rooms: usize) -> Self {
        Self { address, rooms: rooms.max(1), stop: AtomicBool::new(false), counts: Counts::default() }
    }

    pub(crate) fn tally(&self) -> Tally {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { joined, said, heard, views, cut, resumed, refused } = &self.counts;
        Tally {
            joined: of(joined),
            said: of(said),
            heard: of(heard),
            views: of(views),
            cut: of(cut),
            resumed: of(resumed),
            refused: of(refused),
        }
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Lives until it is told to stop.
pub(crate) async fn run(shared: Arc<Shared>, mut rng: ChaCha8Rng) {
    // Not all at once.
    sleep(Duration::from_millis(rng.random_range(0..3_000))).await;
    while !shared.is_over() {
        let wire = Wire::default();
        let parlor = connect(&shared, &wire).await;
        let listener = tokio::spawn(listen(shared.clone(), parlor.clone()));
        for _ in 0..rng.random_range(VISITS) {
            if !shared.is_over() {
                visit(&shared, &parlor, &wire, &mut rng).await;
            }
        }
        parlor.close().await;
        listener.await.unwrap();
    }
}

async fn connect(shared: &Arc<Shared>, wire: &Wire) -> Parlor {
    let (address, wire) = (shared.address, wire.clone());
    let connector = move || {
        let wire = wire.clone();
        async move {
            let stream: std::net::TcpStream = TcpStream::connect(address).await?.into_std()?;
            *wire.lock().unwrap() = Some(stream.try_clone()?);
            TcpStream::from_std(stream)
        }
    };
    let options = Options::new().request_timeout(ANSWER);
    Parlor::through(connector, options).await.unwrap()
}

/// A session is never lost, and ends by our own word only.
async fn listen(shared: Arc<Shared>, parlor: Parlor) {
    let mut lifecycle = parlor.lifecycle();
    drop(parlor);
    while let Some(event) = lifecycle.recv().await {
        match event {
            LifecycleEvent::Resumed { .. } => drop(shared.counts.resumed.fetch_add(1, Ordering::Relaxed)),
            LifecycleEvent::Disconnected { .. } => {}
            LifecycleEvent::Closed(end) => assert_eq!(end.code, 1000, "{end:?}"),
            other => panic!("{other:?}"),
        }
    }
}

/// Some seconds in one room.
async fn visit(shared: &Shared, parlor: &Parlor, wire: &Wire, rng: &mut ChaCha8Rng) {
    let name = format!("room {}", rng.random_range(0..shared.rooms));
    let mut room = parlor.join_or_create("soak", &serde_json::json!({ "room": name })).await.unwrap();
    shared.counts.joined.fetch_add(1, Ordering::Relaxed);
    let mut count: u64 = room.view().unwrap();
    let end = Instant::now() + Duration::from_millis(rng.random_range(STAY_MS));
    while Instant::now() < end && !shared.is_over() {
        let pause = Instant::now() + Duration::from_millis(rng.random_range(PAUSE_MS));
        hear_until(shared, &mut room, &mut count, pause).await;
        let pad = "x".repeat(rng.random_range(0..200));
        room.send("say", &serde_json::json!({ "pad": pad })).unwrap();
        shared.counts.said.fetch_add(1, Ordering::Relaxed);
        if rng.random_range(0..CUTS) == 0
            && let Some(stream) = wire.lock().unwrap().take()
        {
            // What was sent last may be on its way, or not.
            let _ = stream.shutdown(Shutdown::Both);
            shared.counts.cut.fetch_add(1, Ordering::Relaxed);
        }
    }
    // Heard to the end, and answered only when the client is back.
    room.sender().leave();
    let deadline = Instant::now() + ANSWER;
    assert!(hear_until(shared, &mut room, &mut count, deadline).await, "no answer to leaving");
}

/// Reads what comes until then; whether the membership has ended. Every message is the next one, unless a view says otherwise.
async fn hear_until(shared: &Shared, room: &mut Room, count: &mut u64, end: Instant) -> bool {
    loop {
        let event = tokio::select! {
            event = room.recv() => event.expect("the membership ends with an event"),
            () = sleep_until(end) => return false,
        };
        match &event {
            RoomEvent::Message { .. } => {
                let message: Counted = event.decode().unwrap();
                assert_eq!(message.count, *count + 1, "a message was lost, doubled or out of order");
                *count = message.count;
                shared.counts.heard.fetch_add(1, Ordering::Relaxed);
            }
            RoomEvent::View { .. } => {
                let seen: u64 = event.decode().unwrap();
                assert!(seen >= *count, "a view of the past");
                *count = seen;
                shared.counts.views.fetch_add(1, Ordering::Relaxed);
            }
            RoomEvent::Refused { .. } => drop(shared.counts.refused.fetch_add(1, Ordering::Relaxed)),
            RoomEvent::Closed { code, .. } => {
                assert_eq!(code, "left");
                return true;
            }
            _ => {}
        }
    }
}
