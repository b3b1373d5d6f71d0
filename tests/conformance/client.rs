//! The client of a case: bytes into a pipe, frames out of it.

use bytes::Bytes;
use parlor::broker::Broker;
use parlor_broker::session::{Socket, echo};
use parlor_protocol::{ClientFrame, Codec, frame::Hello};
use parlor_tests::echo::limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};

use crate::cases::{BINARY, CLOSE, Case, End, FIN, Heard, PING, PONG, TEXT, frame, goodbye};

/// Bytes that the pipe holds: less than the largest cases.
const PIPE: usize = 16 << 10;
/// What shows that a connection goes on.
const ALIVE: &[u8] = b"still there?";

/// One frame of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Message(u8, Vec<u8>),
    Ping,
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

/// Plays a case against an echo, its bytes in pieces of so many.
pub(crate) async fn run(case: &Case, piece: usize) -> Heard {
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let limits = limits();
    let (early, late) = case.sent.split_at(if piece == usize::MAX { 0 } else { case.sent.len().min(piece) });
    let server = echo(Socket::Memory(theirs), Bytes::copy_from_slice(early), &limits);
    let (served, heard) = tokio::join!(server, play(ours, case, late, piece));
    let closed = served.unwrap();
    assert_eq!(closed.is_some(), matches!(heard.end, End::Failed(_)), "{}: {closed:?}", case.name);
    heard
}

async fn play(pipe: DuplexStream, case: &Case, bytes: &[u8], piece: usize) -> Heard {
    let mut client = Client::over(pipe);
    let (mut answers, mut left) = (Vec::new(), case.messages.len() + case.pongs.len());
    let write = write(&mut client.out, bytes, piece);
    let read = async {
        while left > 0 && !matches!(answers.last(), Some(Said::Close(..))) {
            let Some(said) = hear(&mut client.input).await else { break };
            answers.push(said);
            left -= 1;
        }
    };
    tokio::join!(write, read);
    if case.end == End::Open {
        let last = [frame(FIN | PING, ALIVE), frame(FIN | CLOSE, &goodbye(1000, ""))].concat();
        let _ = client.out.write_all(&last).await;
    }
    while let Some(said) = hear(&mut client.input).await {
        answers.push(said);
    }
    sorted(answers, case.end)
}

/// Messages and pongs apart; the answer to the question at the end is no part of the case.
fn sorted(answers: Vec<Said>, wanted: End) -> Heard {
    let mut heard = Heard { messages: Vec::new(), pongs: Vec::new(), end: End::Open };
    let mut last = None;
    for said in answers {
        assert_eq!(last, None, "something after the goodbye: {said:?}");
        match said {
            Said::Message(kind, bytes) => heard.messages.push((kind, bytes)),
            Said::Pong(bytes) => heard.pongs.push(bytes),
            Said::Ping => {}
            Said::Close(code, reason) => last = Some((code, reason)),
        }
    }
    let alive = heard.pongs.last().is_some_and(|pong| pong == ALIVE);
    heard.end = match last.expect("the end is said") {
        (Some(1000), _) if wanted == End::Open && alive => End::Open,
        (Some(code), reason) if reason == "bad_frames" || reason == "frame_too_large" => End::Failed(code),
        (code, _) => End::Answered(code),
    };
    if heard.end == End::Open {
        heard.pongs.pop();
    }
    heard
}

/// A pipe's end, with nothing in between.
pub(crate) struct Client {
    input: ReadHalf<DuplexStream>,
    out: WriteHalf<DuplexStream>,
}

impl Client {
    fn over(pipe: DuplexStream) -> Self {
        let (input, out) = tokio::io::split(pipe);
        Self { input, out }
    }

    /// A session of a broker that has said hello.
    pub(crate) async fn of(broker: &Broker) -> Self {
        let mut client = Self::over(broker.connector().connect());
        let request = "GET /ws HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
            sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        client.out.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.input.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        let hello = ClientFrame::Hello(Hello { client: "raw".into(), ..Hello::default() });
        client.out.write_all(&frame(FIN | BINARY, &hello.encode(Codec::MsgPack).unwrap())).await.unwrap();
        assert!(matches!(hear(&mut client.input).await, Some(Said::Message(..))));
        client
    }

    /// Says it all, and gives everything that is answered up to the end.
    pub(crate) async fn say_out(&mut self, bytes: &[u8]) -> Vec<Said> {
        let mut answers = Vec::new();
        let read = async {
            while let Some(said) = hear(&mut self.input).await {
                answers.push(said);
            }
        };
        tokio::join!(write(&mut self.out, bytes, usize::MAX), read);
        answers
    }
}

/// A server that has heard enough does not take the rest.
async fn write(out: &mut WriteHalf<DuplexStream>, bytes: &[u8], piece: usize) {
    for bytes in bytes.chunks(piece) {
        if out.write_all(bytes).await.is_err() {
            return;
        }
        // The other side shall see this piece by itself.
        tokio::task::yield_now().await;
    }
}

/// The next frame, none at the end. Servers send whole frames, without masks and reserved bits.
async fn hear(input: &mut ReadHalf<DuplexStream>) -> Option<Said> {
    let first = input.read_u8().await.ok()?;
    let len = match input.read_u8().await.unwrap() {
        126 => u64::from(input.read_u16().await.unwrap()),
        127 => input.read_u64().await.unwrap(),
        short => u64::from(short),
    };
    assert!(len < 1 << 20, "a mask or a monster");
    let mut payload = vec![0; len as usize];
    input.read_exact(&mut payload).await.unwrap();
    assert_eq!(first & 0xf0, FIN, "a whole frame without reserved bits");
    Some(match first & 0x0f {
        kind @ (TEXT | BINARY) => Said::Message(kind, payload),
        PING => Said::Ping,
        PONG => Said::Pong(payload),
        CLOSE => {
            let code = payload.split_first_chunk().map(|(code, _)| u16::from_be_bytes(*code));
            Said::Close(code, String::from_utf8(payload.split_off(payload.len().min(2))).unwrap())
        }
        other => panic!("an opcode {other}"),
    })
}
