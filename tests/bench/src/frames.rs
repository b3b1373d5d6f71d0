//! The frames of PROTOCOL.md that the benchmark needs, written and read by hand.
//!
//! Deliberately not `parlor-protocol`: an instrument that shared the code under test would share its mistakes.

use crate::kept::{self, Resumed, Terms};
use crate::scan::{Malformed, Scan};
use rmp::encode::{write_array_len, write_map_len, write_nil, write_str, write_uint};

/// The sub-protocol of both ends.
pub const SUBPROTOCOL: &str = "parlor.v1.msgpack";
/// The kind of the rooms whose members all hear everything.
pub const KIND: &str = "bench";
/// The kind of the rooms whose members hear their neighbours.
pub const RING_KIND: &str = "ring";
/// The kind of the rooms that nobody is in.
pub const EMPTY_KIND: &str = "empty";
/// What `bench-parlor` takes for its server key.
pub const SERVER_KEY: &str = "bench";
/// The name of the only message.
pub const MOVE: &str = "move";

pub(crate) const OK: &str = "writing to a Vec does not fail";

/// What a client sends, as far as `bench-plain` understands it.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientFrame<'a> {
    /// The first frame.
    Hello,
    /// Join the room of this name, opening it if need be.
    Join {
        /// Comes back in the answer.
        id: u64,
        /// `options.room`.
        room: &'a str,
    },
    /// A message for everybody in the room. The only type is `move`, so its number is not kept.
    Send {
        /// The room number.
        room: u64,
        /// Still encoded.
        payload: &'a [u8],
    },
    /// Something that is not needed here.
    Other,
}

impl<'a> ClientFrame<'a> {
    /// Reads one frame.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut scan = Scan::new(bytes);
        scan.array()?;
        match scan.uint()? {
            1 => Ok(ClientFrame::Hello),
            2 => {
                let id = scan.uint()?;
                scan.skip()?;
                Ok(ClientFrame::Join { id, room: room_option(&mut scan)? })
            }
            4 => {
                let room = scan.uint()?;
                scan.skip()?;
                Ok(ClientFrame::Send { room, payload: scan.rest() })
            }
            _ => Ok(ClientFrame::Other),
        }
    }
}

fn room_option<'a>(scan: &mut Scan<'a>) -> Result<&'a str, Malformed> {
    let mut room = None;
    for _ in 0..scan.map()? {
        match scan.str()? {
            "room" => room = Some(scan.str()?),
            _ => scan.skip()?,
        }
    }
    room.ok_or(Malformed("options with a room"))
}

/// What a server sends, as far as `bench-load` looks at it.
#[derive(Debug, PartialEq, Eq)]
pub enum ServerFrame<'a> {
    /// The answer to hello: a new session.
    Welcome {
        /// How to come back to it, if that was asked for.
        terms: Option<Terms>,
        /// Why the session that hello named is gone.
        lost: Option<&'a str>,
    },
    /// The answer to hello: the session that it named goes on.
    Resumed(Resumed<'a>),
    /// What a room shows in place of what was missed.
    View(View<'a>),
    /// The answer to join.
    Joined(Joined<'a>),
    /// A message of a room.
    Publish(Publish<'a>),
    /// More types of the room; the benchmark knows its only one already.
    Types,
    /// An answer that no benchmark should see: refused, closed or error, still encoded.
    Fault(u64, &'a [u8]),
    /// Something that is not needed here.
    Other,
}

/// Where a client is after its join.
#[derive(Debug, PartialEq, Eq)]
pub struct Joined<'a> {
    /// The room number.
    pub room: u64,
    /// The room's kind.
    pub kind: &'a str,
    /// The room's type table.
    pub types: Vec<&'a str>,
    /// How many of the types may be sent by number.
    pub routes: u64,
    /// What the room shows, still encoded.
    pub view: &'a [u8],
}

/// A view that takes the place of what was missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View<'a> {
    /// Still encoded.
    pub view: &'a [u8],
}

/// One output of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish<'a> {
    /// The room number.
    pub room: u64,
    /// The input that caused it.
    pub seq: u64,
    /// Its place among that input's outputs.
    pub index: u64,
    /// The type number.
    pub kind: u64,
    /// Still encoded.
    pub payload: &'a [u8],
}

impl<'a> ServerFrame<'a> {
    /// Reads one frame.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut scan = Scan::new(bytes);
        scan.array()?;
        match scan.uint()? {
            36 => Ok(ServerFrame::Publish(Publish {
                room: scan.uint()?,
                seq: scan.uint()?,
                index: scan.uint()?,
                kind: scan.uint()?,
                payload: scan.rest(),
            })),
            33 => {
                let (terms, lost) = kept::welcome(&mut scan)?;
                Ok(ServerFrame::Welcome { terms, lost })
            }
            34 => Ok(ServerFrame::Joined(joined(&mut scan)?)),
            35 => Ok(ServerFrame::Types),
            48 => Ok(ServerFrame::Resumed(kept::resumed(&mut scan)?)),
            49 => {
                scan.skip()?;
                scan.skip()?;
                Ok(ServerFrame::View(View { view: scan.rest() }))
            }
            op @ 38..=40 => Ok(ServerFrame::Fault(op, scan.rest())),
            _ => Ok(ServerFrame::Other),
        }
    }
}

fn joined<'a>(scan: &mut Scan<'a>) -> Result<Joined<'a>, Malformed> {
    scan.skip()?;
    let (mut room, mut kind, mut types, mut routes) = (None, "", Vec::new(), 0);
    for _ in 0..scan.map()? {
        match scan.str()? {
            "room" => room = Some(scan.uint()?),
            "kind" => kind = scan.str()?,
            "routes" => routes = scan.uint()?,
            "types" => {
                for _ in 0..scan.array()? {
                    types.push(scan.str()?);
                }
            }
            _ => scan.skip()?,
        }
    }
    let room = room.ok_or(Malformed("a joined frame with a room number"))?;
    Ok(Joined { room, kind, types, routes, view: scan.rest() })
}

/// `[1, {client}]`
#[must_use]
pub fn hello() -> Vec<u8> {
    let mut out = Vec::new();
    write_array_len(&mut out, 2).expect(OK);
    write_uint(&mut out, 1).expect(OK);
    write_map_len(&mut out, 1).expect(OK);
    text_entry(&mut out, "client", "parlor-bench/0.1.0");
    out
}

/// `[2, id, {mode, kind}, {room, …}]`
#[must_use]
pub fn join(id: u64, kind: &str, room: &str, further: &[(&str, u32)]) -> Vec<u8> {
    let mut out = Vec::new();
    write_array_len(&mut out, 4).expect(OK);
    write_uint(&mut out, 2).expect(OK);
    write_uint(&mut out, id).expect(OK);
    write_map_len(&mut out, 2).expect(OK);
    text_entry(&mut out, "mode", "find_or_create");
    text_entry(&mut out, "kind", kind);
    write_map_len(&mut out, 1 + u32::try_from(further.len()).expect("options are few")).expect(OK);
    text_entry(&mut out, "room", room);
    for &(key, value) in further {
        number_entry(&mut out, key, value.into());
    }
    out
}

/// How a client names the type of what it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveType {
    /// By its place in the type table.
    Number(u64),
    /// In full, as it is not in the table of routes.
    Name,
}

/// `[4, room, type,` without the payload that must follow.
pub fn send_header(out: &mut Vec<u8>, room: u64, kind: MoveType) {
    write_array_len(out, 4).expect(OK);
    write_uint(out, 4).expect(OK);
    write_uint(out, room).expect(OK);
    match kind {
        MoveType::Number(number) => {
            write_uint(out, number).expect(OK);
        }
        MoveType::Name => write_str(out, MOVE).expect(OK),
    }
}

/// `[33, {session, account, server, time, max_frame}]`
#[must_use]
pub fn welcome() -> Vec<u8> {
    let mut out = Vec::new();
    write_array_len(&mut out, 2).expect(OK);
    write_uint(&mut out, 33).expect(OK);
    write_map_len(&mut out, 5).expect(OK);
    text_entry(&mut out, "session", "plain");
    text_entry(&mut out, "account", "guest");
    text_entry(&mut out, "server", "bench-plain/0.1.0");
    number_entry(&mut out, "time", 0);
    number_entry(&mut out, "max_frame", 65_536);
    out
}

/// `[34, id, {room, id, kind, player, role, seq, index, routes, types, properties}, nil]`
#[must_use]
pub fn joined_answer(id: u64, room: u64, name: &str, player: u64, seq: u64) -> Vec<u8> {
    let mut out = Vec::new();
    write_array_len(&mut out, 4).expect(OK);
    write_uint(&mut out, 34).expect(OK);
    write_uint(&mut out, id).expect(OK);
    write_map_len(&mut out, 10).expect(OK);
    number_entry(&mut out, "room", room);
    text_entry(&mut out, "id", name);
    text_entry(&mut out, "kind", KIND);
    number_entry(&mut out, "player", player);
    text_entry(&mut out, "role", "player");
    number_entry(&mut out, "seq", seq);
    number_entry(&mut out, "index", 0);
    number_entry(&mut out, "routes", 1);
    write_str(&mut out, "types").expect(OK);
    write_array_len(&mut out, 1).expect(OK);
    write_str(&mut out, MOVE).expect(OK);
    write_str(&mut out, "properties").expect(OK);
    write_map_len(&mut out, 0).expect(OK);
    write_nil(&mut out).expect(OK);
    out
}

/// `[36, room, seq, 0, 0, payload]`
#[must_use]
pub fn publish(room: u64, seq: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(24 + payload.len());
    write_array_len(&mut out, 6).expect(OK);
    for field in [36, room, seq, 0, 0] {
        write_uint(&mut out, field).expect(OK);
    }
    out.extend_from_slice(payload);
    out
}

fn text_entry(out: &mut Vec<u8>, key: &str, value: &str) {
    write_str(out, key).expect(OK);
    write_str(out, value).expect(OK);
}

fn number_entry(out: &mut Vec<u8>, key: &str, value: u64) {
    write_str(out, key).expect(OK);
    write_uint(out, value).expect(OK);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_frames_come_back() {
        assert_eq!(ClientFrame::parse(&hello()), Ok(ClientFrame::Hello));
        assert_eq!(
            ClientFrame::parse(&join(5, KIND, "r1", &[("seat", 3)])),
            Ok(ClientFrame::Join { id: 5, room: "r1" })
        );
        for kind in [MoveType::Number(0), MoveType::Name] {
            let mut bytes = Vec::new();
            send_header(&mut bytes, 300, kind);
            bytes.push(0xc0);
            assert_eq!(ClientFrame::parse(&bytes), Ok(ClientFrame::Send { room: 300, payload: &[0xc0] }));
        }
    }

    #[test]
    fn server_frames_come_back() {
        assert_eq!(ServerFrame::parse(&welcome()), Ok(ServerFrame::Welcome { terms: None, lost: None }));
        let expected = Joined { room: 7, kind: KIND, types: vec![MOVE], routes: 1, view: &[0xc0] };
        assert_eq!(ServerFrame::parse(&joined_answer(1, 7, "r", 2, 9)), Ok(ServerFrame::Joined(expected)));
        let expected = Publish { room: 7, seq: 1000, index: 0, kind: 0, payload: &[1] };
        assert_eq!(ServerFrame::parse(&publish(7, 1000, &[1])), Ok(ServerFrame::Publish(expected)));
    }

    #[test]
    fn faults_and_unknown_frames_are_told_apart() {
        assert_eq!(ServerFrame::parse(&[0x93, 40, 0xc0, 0x80]), Ok(ServerFrame::Fault(40, &[0xc0, 0x80])));
        assert_eq!(ServerFrame::parse(&[0x92, 99, 0xc0]), Ok(ServerFrame::Other));
        assert!(ServerFrame::parse(&[0x80]).is_err());
        assert!(ServerFrame::parse(&publish(7, 1, &[])[..3]).is_err());
    }
}
