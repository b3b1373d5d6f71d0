//! A plain tokio-tungstenite room server, written as well as one reasonably can: what Parlor is compared with.
//!
//! One task per connection, one channel per connection, a mutex around a room's members. It has no resume, no bounds
//! per topic, no recovery and no room logic; it forwards every `move` to all members and forgets it.

use crate::frames::{self, ClientFrame, SUBPROTOCOL};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

/// Frames that may wait for one reader before it is cut off.
const OUTBOX: usize = 4096;
/// Frames taken from the outbox at once.
const BATCH: usize = 64;

/// Accepts connections until the process ends.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    let hall = Arc::new(Hall::default());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let hall = hall.clone();
        tokio::spawn(async move {
            // A client that goes away is no news here; the load generator judges what it got.
            let _ = run_connection(stream, &hall).await;
        });
    }
}

/// All rooms, by name.
#[derive(Default)]
struct Hall {
    rooms: Mutex<HashMap<String, Arc<Room>>>,
    /// How many rooms there have been, and how many members.
    numbers: AtomicU64,
    members: AtomicU64,
}

struct Room {
    number: u64,
    name: String,
    state: Mutex<RoomState>,
}

#[derive(Default)]
struct RoomState {
    seq: u64,
    members: Vec<(u64, mpsc::Sender<Bytes>)>,
}

impl Hall {
    /// Brings a member into the room of this name. The hall is locked meanwhile, so that the room does not end under it.
    fn enter(self: &Arc<Self>, name: &str, outbox: mpsc::Sender<Bytes>) -> (Membership, u64) {
        let member = self.members.fetch_add(1, Ordering::Relaxed);
        let mut rooms = self.rooms.lock();
        let room = rooms.entry(name.to_owned()).or_insert_with(|| {
            let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
            Arc::new(Room { number, name: name.to_owned(), state: Mutex::default() })
        });
        let mut state = room.state.lock();
        state.members.push((member, outbox));
        (Membership { hall: self.clone(), room: room.clone(), member }, state.seq)
    }
}

impl Room {
    /// Encodes once, then hands every member a reference to the same bytes.
    fn publish(&self, payload: &[u8]) {
        let mut state = self.state.lock();
        state.seq += 1;
        let frame = Bytes::from(frames::publish(self.number, state.seq, payload));
        // A member whose outbox is full is cut off: with its last sender gone, its task ends and closes the socket.
        state.members.retain(|(_, outbox)| outbox.try_send(frame.clone()).is_ok());
    }
}

/// Takes the member out again however its connection ends, and the room with its last member.
struct Membership {
    hall: Arc<Hall>,
    room: Arc<Room>,
    member: u64,
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut rooms = self.hall.rooms.lock();
        let mut state = self.room.state.lock();
        state.members.retain(|(member, _)| *member != self.member);
        // One that lost its last member to a full outbox may have been opened again under the same name.
        if state.members.is_empty() && rooms.get(&self.room.name).is_some_and(|room| Arc::ptr_eq(room, &self.room)) {
            rooms.remove(&self.room.name);
        }
    }
}

struct Connection<'a> {
    hall: &'a Arc<Hall>,
    /// Only rooms hold the outbox after the first join, so that a room can end the connection by letting go of it.
    unused_outbox: Option<mpsc::Sender<Bytes>>,
    outbox: mpsc::WeakSender<Bytes>,
    joined: HashMap<u64, Membership>,
}

async fn run_connection(stream: TcpStream, hall: &Arc<Hall>) -> Result<(), Error> {
    // tungstenite fills its whole read buffer with zeros at every read: the default of 128 KiB costs a third more CPU.
    let config = WebSocketConfig::default().read_buffer_size(4096);
    let mut socket = accept_hdr_async_with_config(stream, choose_subprotocol, Some(config)).await?;
    let (outbox, mut outgoing) = mpsc::channel(OUTBOX);
    let mut connection =
        Connection { hall, outbox: outbox.downgrade(), unused_outbox: Some(outbox), joined: HashMap::new() };
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Binary(frame))) => {
                    if let Some(answer) = connection.handle_frame(&frame) {
                        socket.send(Message::binary(answer)).await?;
                    }
                }
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
            },
            taken = outgoing.recv_many(&mut batch, BATCH) => {
                if taken == 0 {
                    return Ok(());
                }
                write_all(&mut socket, &mut outgoing, &mut batch).await?;
            }
        }
    }
}

/// Everything that waits goes into the write buffer, then out with one system call.
async fn write_all(
    socket: &mut WebSocketStream<TcpStream>,
    outgoing: &mut mpsc::Receiver<Bytes>,
    batch: &mut Vec<Bytes>,
) -> Result<(), Error> {
    for frame in batch.drain(..) {
        socket.feed(Message::Binary(frame)).await?;
    }
    while let Ok(frame) = outgoing.try_recv() {
        socket.feed(Message::Binary(frame)).await?;
    }
    socket.flush().await
}

impl Connection<'_> {
    fn handle_frame(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        match ClientFrame::parse(bytes).ok()? {
            ClientFrame::Hello => Some(frames::welcome()),
            ClientFrame::Join { id, room } => self.join(id, room),
            ClientFrame::Send { room, payload } => {
                if let Some(membership) = self.joined.get(&room) {
                    membership.room.publish(payload);
                }
                None
            }
            ClientFrame::Other => None,
        }
    }

    fn join(&mut self, id: u64, name: &str) -> Option<Vec<u8>> {
        let outbox = self.unused_outbox.take().or_else(|| self.outbox.upgrade())?;
        let (membership, seq) = self.hall.enter(name, outbox);
        let number = membership.room.number;
        let answer = frames::joined_answer(id, number, name, membership.member, seq);
        self.joined.insert(number, membership);
        Some(answer)
    }
}

#[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
fn choose_subprotocol(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    if request.headers().contains_key("sec-websocket-protocol") {
        response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(SUBPROTOCOL));
    }
    Ok(response)
}
