//! Brings all clients into their rooms, one after the other and blocking, before the load begins.

use super::client::Client;
use super::dial::allow_sockets;
use super::{Failure, Options, Stay};
use crate::check::{Game, Layout};
use crate::frames::{self, Joined, KIND, MOVE, MoveType, RING_KIND, SUBPROTOCOL, ServerFrame};
use crate::kept::{self, Count};
use crate::websocket::{self, Masker};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a server may take for one answer before the run is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects every client of the layout and joins it to its room.
pub(super) fn connect_all(options: &Options) -> Result<Vec<Client>, Failure> {
    let Options { address, layout, game, stay, .. } = *options;
    allow_sockets(layout.clients())?;
    (0..layout.clients())
        .map(|client| {
            let (kind, join) = join(layout, game, client);
            connect(address, client, kind, &join, stay).map_err(|error| format!("client {client}: {error}").into())
        })
        .collect()
}

/// The kind of room a client joins, and its join. A ring must know its members' places before anybody sends.
fn join(layout: Layout, game: Game, client: u32) -> (&'static str, Vec<u8>) {
    let room = format!("room-{}", layout.room(client));
    match game {
        Game::Everyone | Game::Fanout => (KIND, frames::join(1, KIND, &room, &[])),
        Game::Ring(neighbours) => {
            let place = [("seat", layout.place(client)), ("seats", layout.members), ("reach", neighbours / 2)];
            (RING_KIND, frames::join(1, RING_KIND, &room, &place))
        }
    }
}

fn connect(address: SocketAddr, client: u32, kind: &str, join: &[u8], stay: Stay) -> Result<Client, Failure> {
    let io = TcpStream::connect(address)?;
    io.set_nodelay(true)?;
    io.set_read_timeout(Some(PATIENCE))?;
    let mut dialog = Dialog {
        io,
        unread: Vec::new(),
        masker: Masker::new(client.wrapping_mul(2_654_435_761)),
        count: Count::default(),
    };

    dialog.upgrade(address)?;
    dialog.write(&if stay == Stay::Kept { kept::hello(None) } else { frames::hello() })?;
    let terms = dialog.await_frame(|frame| match frame {
        ServerFrame::Welcome { terms, .. } => Some(terms),
        _ => None,
    })?;
    if terms.is_some() != (stay == Stay::Kept) {
        return Err("the server keeps sessions that it should not, or the reverse".into());
    }
    dialog.write(join)?;
    let (room, moves, is_kind) = dialog.await_frame(|frame| match frame {
        ServerFrame::Joined(joined) => Some((joined.room, move_type(&joined), joined.kind == kind)),
        _ => None,
    })?;
    if !is_kind {
        return Err(format!("this server has no rooms of the kind {kind:?}, so it cannot play this").into());
    }

    dialog.io.set_nonblocking(true)?;
    // The answer to the join, and the types that came before it, were counted frames too.
    let mut client = Client::new(dialog.io, room, moves, &dialog.unread, dialog.masker);
    client.kept = terms.map(|terms| (terms, dialog.count));
    Ok(client)
}

pub(super) fn move_type(joined: &Joined<'_>) -> MoveType {
    let place = joined.types.iter().position(|&name| name == MOVE).map(|place| place as u64);
    place.filter(|&place| place < joined.routes).map_or(MoveType::Name, MoveType::Number)
}

/// A blocking exchange of frames.
struct Dialog {
    io: TcpStream,
    unread: Vec<u8>,
    masker: Masker,
    count: Count,
}

impl Dialog {
    fn upgrade(&mut self, address: SocketAddr) -> Result<(), Failure> {
        let request = websocket::upgrade_request(&address.to_string(), SUBPROTOCOL);
        self.io.write_all(request.as_bytes())?;
        loop {
            if let Some(head) = websocket::upgrade_response(&self.unread, SUBPROTOCOL)? {
                self.unread.drain(..head);
                return Ok(());
            }
            self.read_more()?;
        }
    }

    fn write(&mut self, frame: &[u8]) -> Result<(), Failure> {
        let mut out = Vec::new();
        self.masker.binary(&mut out, frame);
        Ok(self.io.write_all(&out)?)
    }

    /// Passes over frames until one is `wanted`; a fault ends the run.
    fn await_frame<T>(&mut self, wanted: impl Fn(ServerFrame<'_>) -> Option<T>) -> Result<T, Failure> {
        loop {
            while let Some(frame) = websocket::parse(&self.unread)? {
                self.count.see(frame.payload)?;
                let found = match ServerFrame::parse(frame.payload)? {
                    ServerFrame::Fault(op, rest) => {
                        let text = String::from_utf8_lossy(rest).into_owned();
                        return Err(format!("the server answered with op {op}: {text:?}").into());
                    }
                    parsed => wanted(parsed),
                };
                let consumed = frame.consumed;
                self.unread.drain(..consumed);
                if let Some(found) = found {
                    return Ok(found);
                }
            }
            self.read_more()?;
        }
    }

    fn read_more(&mut self) -> Result<(), Failure> {
        let mut buffer = [0; 4096];
        match self.io.read(&mut buffer)? {
            0 => Err("the server closed the connection".into()),
            len => {
                self.unread.extend_from_slice(&buffer[..len]);
                Ok(())
            }
        }
    }
}
