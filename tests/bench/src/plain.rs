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
    members: AtomicU64,
}

struct Room {
    number: u64,
    state: Mutex<RoomState>,
}

#[derive(Default)]
struct RoomState {
    seq: u64,
    members: Vec<(u64, mpsc::Sender<Bytes>)>,
}

impl Hall {
    fn room(&self, name: &str) -> Arc<Room> {
        let mut rooms = self.rooms.lock();
        if let Some(room) = rooms.get(name) {
            return room.clone();
        }
        let room = Arc::new(Room { number: rooms.len() as u64 + 1, state: Mutex::default() });
        rooms.insert(name.to_owned(), room.clone());
        room
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

/// Takes the member out again however its connection ends.
struct Membership {
    room: Arc<Room>,
    member: u64,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.room.state.lock().members.retain(|(member, _)| *member != self.member);
    }
}

struct Connection<'a> {
    hall: &'a Hall,
    /// Only rooms hold the outbox after the first join, so that a room can end the connection by letting go of it.
    unused_outbox: Option<mpsc::Sender<Bytes>>,
    outbox: mpsc::WeakSender<Bytes>,
    joined: HashMap<u64, Membership>,
}

async fn run_connection(stream: TcpStream, hall: &Hall) -> Result<(), Error> {
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
        let room = self.hall.room(name);
        let member = self.hall.members.fetch_add(1, Ordering::Relaxed);
        let seq = {
            let mut state = room.state.lock();
            state.members.push((member, outbox));
            state.seq
        };
        let answer = frames::joined_answer(id, room.number, name, member, seq);
        self.joined.insert(room.number, Membership { room, member });
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
