//! A closed room leaves nothing behind: ten thousand of them, and memory, tasks and files are as before.

use std::process::Command;
use std::sync::Arc;

use parlor::broker::Broker;
use parlor::broker::room::CreateRoom;
use parlor::prelude::*;
use parlor_client::{Parlor, RoomEvent};
use parlor_tests::wait::{soon, until};
use parlor_tests::{config, connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const CLIENTS: usize = 16;
const WARM_UP: usize = 2_000;
const ROOMS: usize = 10_000;
/// What may be left: the allocator rounds, and threads take turns at being busy. Two hundred bytes that each room left behind
/// would be more.
const SLACK_KIB: u64 = 2 << 10;

/// Fills what a room may fill: state, topics, timers, work, properties.
#[derive(Default, Serialize, Deserialize)]
struct Stall {
    goods: Vec<String>,
}

#[derive(Serialize, Deserialize, Message)]
struct Later {}

#[derive(Serialize, Deserialize, Message)]
struct Sold {
    good: String,
}

#[room(kind = "stall", empty_ttl = "20ms", client_topics = ["news"], match_by = ["street"])]
impl Stall {
    #[msg::open]
    fn opened(&mut self, ctx: &mut Ctx) {
        ctx.set_property("open", true);
        ctx.after(Duration::from_secs(3600), Later {});
    }

    #[msg::join]
    fn joined(&mut self, ctx: &mut Ctx, player: &Player) {
        ctx.set_topics(player.id, [(1, 2), (3, 4)]);
    }

    #[msg::route("sell")]
    fn sell(&mut self, ctx: &mut Ctx, _: PlayerId, good: String) -> usize {
        ctx.publish((1, 2), &Sold { good: good.clone() });
        ctx.run(Self::note, good.clone());
        self.goods.push(good);
        self.goods.len()
    }

    #[msg::work]
    async fn note(_: Env, _: String) -> Result<()> {
        Ok(())
    }

    #[msg::event]
    fn noted(&mut self, _: &mut Ctx, _: Done<()>) {}

    #[msg::event("later")]
    fn later(&mut self, _: &mut Ctx, _: Later) {}

    #[msg::route("shut")]
    fn shut(&mut self, ctx: &mut Ctx, _: PlayerId) {
        ctx.close(&self.goods.len());
    }
}

/// What a process holds.
#[derive(Debug)]
struct Held {
    kib: u64,
    files: usize,
    tasks: usize,
}

impl Held {
    fn by(broker: &Broker) -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib = line.trim().trim_end_matches(" kB").parse().unwrap();
        let files = std::fs::read_dir("/proc/self/fd").unwrap().count();
        Self { kib, files, tasks: broker.tasks() }
    }
}

/// Other tests in this process would disturb the measurement, so it has a process of its own.
#[test]
fn ten_thousand_rooms_leave_nothing_behind() {
    let own = std::env::current_exe().unwrap();
    let alone = ["--exact", "churn::alone", "--ignored", "--nocapture"];
    let output = Command::new(own).args(alone).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    println!("{text}");
}

#[test]
#[ignore = "run by ten_thousand_rooms_leave_nothing_behind"]
fn alone() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(churn());
}

async fn churn() {
    let mut config = config();
    config.shards = 2;
    let broker = Arc::new(parlor::App::new().room::<Stall>().start(&config).await.unwrap());
    let idle = broker.tasks();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(connect(&broker).await);
    }
    // They stay connected: a room must not live on in the sessions of those who were in it.
    open_and_close(&broker, &clients, WARM_UP).await;
    let before = Held::by(&broker);
    open_and_close(&broker, &clients, ROOMS).await;
    until("tasks are as before", || broker.tasks() <= before.tasks).await;
    let after = Held::by(&broker);
    println!("before {before:?}, after {after:?}");
    assert_eq!(after.files, before.files);
    assert!(after.kib <= before.kib + SLACK_KIB, "{ROOMS} rooms left {} KiB", after.kib - before.kib);
    for client in clients {
        client.close().await;
    }
    until("all sessions are gone", || broker.metrics().sessions.get() == 0).await;
    until("all tasks are gone", || broker.tasks() == idle).await;
    Arc::into_inner(broker).unwrap().shutdown().await;
}

async fn open_and_close(broker: &Arc<Broker>, clients: &[Parlor], rooms: usize) {
    let opened = broker.metrics().rooms_opened.get();
    let mut tasks = JoinSet::new();
    for client in clients {
        let (broker, client) = (broker.clone(), client.clone());
        let share = rooms / clients.len();
        tasks.spawn(async move {
            for number in 0..share {
                one_room(&broker, &client, number).await;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    until("all rooms are gone", || broker.registry().is_empty()).await;
    let metrics = broker.metrics();
    assert_eq!(metrics.rooms_opened.get() - opened, rooms as u64);
    until("the gauges are at zero", || (metrics.rooms.get(), metrics.members.get()) == (0, 0)).await;
    assert_eq!(metrics.sessions.get(), clients.len() as i64);
}

/// Opens a room, lives in it a little, and has it closed in one of the ways that there are.
async fn one_room(broker: &Broker, client: &Parlor, number: usize) {
    if number % 5 == 4 {
        // Nobody ever comes.
        broker.registry().create("stall", CreateRoom::default()).unwrap();
        return;
    }
    let options = serde_json::json!({ "street": format!("street {number}") });
    let mut room = client.create("stall", &options).await.unwrap();
    room.send("sell", "a large good ".repeat(20).as_str()).unwrap();
    room.subscribe("news").await.unwrap();
    assert_eq!(room.request::<usize>("sell", "a good").await.unwrap(), 2);
    let handle = Arc::downgrade(&broker.registry().get(room.id()).unwrap());
    match number % 5 {
        0 => drop(room.send("shut", &()).unwrap()),
        1 => broker.registry().get(room.id()).unwrap().close(CloseWhy::Requested),
        2 => rest_close(broker, room.id().as_str()).await,
        _ => return room.leave().await.unwrap(),
    }
    loop {
        match soon("the end of the room", room.recv()).await.expect("the connection lives") {
            RoomEvent::Closed { .. } => break,
            RoomEvent::Message { .. } => {}
            other => panic!("unexpected {other:?}"),
        }
    }
    if number.is_multiple_of(50) {
        // Not even its name is held by the sessions that were in it.
        until("the room's handle is gone", || handle.strong_count() == 0).await;
    }
}

/// As the game's backend would.
async fn rest_close(broker: &Broker, room: &str) {
    let mut stream = TcpStream::connect(broker.addr()).await.unwrap();
    let head = "host: broker\r\nconnection: close\r\nauthorization: Bearer test-key";
    stream.write_all(format!("DELETE /v1/rooms/{room} HTTP/1.1\r\n{head}\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
}
