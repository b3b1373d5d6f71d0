//! A session of a broker, fed with raw bytes behind a handshake, in time that stands still: it ends by itself, says nothing but frames,
//! and leaves nothing behind.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use parlor_broker::broker::{Broker, Setup, Threads};
use parlor_broker::config::{Config, RelayConfig};
use parlor_protocol::frame::Hello;
use parlor_protocol::{BrokerFrame, ClientFrame, Codec, Policy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

use crate::websocket::Spoken;

/// Longer than a session is kept for a client to come back, and than a room without members stays.
const ALL_OVER: Duration = Duration::from_secs(600);

/// A task's panic ends the task, and would go unnoticed.
static PANICS: AtomicUsize = AtomicUsize::new(0);

struct World {
    runtime: Runtime,
    broker: Broker,
    tasks: usize,
}

thread_local! {
    static WORLD: World = World::new();
}

/// Runs a future in time that leaps to the next timer whenever there is nothing else to do.
pub(crate) fn in_no_time<T>(future: impl Future<Output = T>) -> T {
    WORLD.with(|world| world.runtime.block_on(future))
}

impl World {
    fn new() -> Self {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Ordering::Relaxed);
            told(info);
        }));
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        let mut config = Config {
            relay: vec![RelayConfig { kind: "relay".to_owned(), policy: Policy::default() }],
            ..Config::default()
        };
        config.listen.set_port(0);
        config.auth.guests = true;
        let setup = Setup { pages: Router::new(), threads: Threads::Here, ..Setup::default() };
        let broker = runtime.block_on(Broker::start_with(&config, setup)).expect("a broker");
        let tasks = broker.tasks();
        Self { runtime, broker, tasks }
    }

    async fn run(&self, codec: Codec, bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut pipe = self.broker.connector().connect();
        let head = format!(
            "GET /ws HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: {}\r\n\r\n",
            codec.subprotocol()
        );
        pipe.write_all(head.as_bytes()).await.expect("a pipe");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(pipe.read_u8().await.expect("an answer"));
        }
        let (mut input, mut output) = tokio::io::split(pipe);
        let write = async move {
            for bytes in bytes.chunks(piece) {
                if output.write_all(bytes).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            output
        };
        let mut said = Vec::new();
        let (_, read) = tokio::join!(write, input.read_to_end(&mut said));
        read.expect("a pipe");
        said
    }
}

/// The first byte says how the others are sent: the codec, whether hello comes first, and in what pieces.
pub fn session(data: &[u8]) {
    let Some((how, bytes)) = data.split_first() else { return };
    let codec = Codec::ALL[usize::from(how & 1)];
    let mut sent = if how & 2 == 0 { hello(codec, how & 4 == 0) } else { Vec::new() };
    sent.extend_from_slice(bytes);
    let piece = match how >> 3 {
        0 => sent.len().max(1),
        piece => usize::from(piece),
    };
    WORLD.with(|world| {
        let said = world.runtime.block_on(world.run(codec, &sent, piece));
        check(codec, &said);
        world.runtime.block_on(async { tokio::time::sleep(ALL_OVER).await });
        let metrics = world.broker.metrics();
        assert_eq!((metrics.sessions.get(), metrics.sessions_away.get(), world.broker.registry().len()), (0, 0, 0));
        assert_eq!(world.broker.tasks(), world.tasks, "a task is left");
        assert_eq!(PANICS.load(Ordering::Relaxed), 0, "a task panicked");
    });
}

fn check(codec: Codec, said: &[u8]) {
    let spoken = Spoken::read(said);
    let wanted = match codec {
        Codec::MsgPack => 2,
        Codec::Json => 1,
    };
    for (kind, payload) in spoken.messages {
        assert_eq!(kind, wanted, "the codec was chosen");
        let frame = BrokerFrame::decode(codec, &Bytes::copy_from_slice(payload));
        assert!(frame.is_ok(), "{frame:?}: {payload:?}");
    }
}

/// A masked hello, of a session that is kept or not.
fn hello(codec: Codec, kept: bool) -> Vec<u8> {
    let resume = kept.then(Default::default);
    let hello = ClientFrame::Hello(Hello { client: "fuzz".to_owned(), resume, ..Hello::default() });
    let payload = hello.encode(codec).expect("a frame");
    let kind = match codec {
        Codec::MsgPack => 0x82,
        Codec::Json => 0x81,
    };
    let mut frame = vec![kind, 0x80 | u8::try_from(payload.len()).expect("a short one"), 0, 0, 0, 0];
    frame.extend(payload);
    frame
}
