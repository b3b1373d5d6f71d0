//! One client that keeps its session over its connections: what it says, what it counts, and whether what it is told fits together.
//!
//! In each room one member sends, so that everybody can tell by the number of a message what must come next.

use super::super::connect::move_type;
use super::backoff::Backoff;
use super::tally::Tally;
use crate::frames::{self, KIND, MoveType, Publish, SUBPROTOCOL, ServerFrame, send_header};
use crate::kept::{self, Count, Resumed, Terms};
use crate::moves::Move;
use crate::scan::{Malformed, Scan};
use crate::websocket::{self, Masker, Opcode};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// How far a client has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Without a connection.
    Away,
    /// The connection is made, or the WebSocket handshake.
    Upgrading,
    /// Hello has been said.
    Greeting,
    /// The join has been asked for.
    Joining,
    /// Back, but something that was missed is still to come.
    CatchingUp,
    /// In its room, and up to date.
    In,
}

/// What a client must know to understand a frame.
pub(super) struct Hearing<'a> {
    pub(super) now_ns: u64,
    pub(super) room: u32,
    /// How many messages the room's sender has sent.
    pub(super) room_sent: u32,
    pub(super) tally: &'a mut Tally,
}

/// One client.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) number: u32,
    pub(super) stage: Stage,
    pub(super) io: Option<TcpStream>,
    /// Does not read.
    pub(super) stalled: bool,
    pub(super) backoff: Backoff,
    /// Since when it is connected, or without a connection.
    pub(super) since_ns: u64,
    /// Its messages so far, when it is its room's sender.
    pub(super) sent: u32,
    name: String,
    stays: bool,
    terms: Option<Terms>,
    count: Count,
    /// Counted frames that it has sent.
    said: u64,
    room: u64,
    kind: MoveType,
    /// The message of the room's sender that must come next, and the one up to which a client that is back must come.
    next: u32,
    catch_up: u32,
    masker: Masker,
    partial: Vec<u8>,
    outgoing: Vec<u8>,
}

impl Member {
    pub(super) fn new(number: u32, name: String, stays: bool) -> Self {
        Self {
            number,
            stage: Stage::Away,
            io: None,
            stalled: false,
            backoff: Backoff::new(u64::from(number)),
            since_ns: 0,
            sent: 0,
            name,
            stays,
            terms: None,
            count: Count::default(),
            said: 0,
            room: 0,
            kind: MoveType::Name,
            next: 0,
            catch_up: 0,
            masker: Masker::new(number.wrapping_mul(2_654_435_761)),
            partial: Vec::new(),
            outgoing: Vec::new(),
        }
    }

    /// A connection has begun.
    pub(super) fn begin(&mut self, io: TcpStream, address: SocketAddr, now_ns: u64) {
        (self.io, self.stage, self.since_ns) = (Some(io), Stage::Upgrading, now_ns);
        self.partial = Vec::new();
        self.outgoing = websocket::upgrade_request(&address.to_string(), SUBPROTOCOL).into_bytes();
    }

    /// The connection is gone, and what was half said with it.
    pub(super) fn part(&mut self, now_ns: u64) {
        if matches!(self.stage, Stage::In | Stage::CatchingUp) {
            self.backoff.held(now_ns - self.since_ns);
        }
        (self.io, self.stage, self.since_ns) = (None, Stage::Away, now_ns);
        (self.partial, self.outgoing) = (Vec::new(), Vec::new());
    }

    /// Puts the room's next message into the send buffer.
    pub(super) fn queue_move(&mut self, intended_ns: u64) {
        let mut frame = Vec::with_capacity(96);
        send_header(&mut frame, self.room, self.kind);
        Move { client: self.number, number: self.sent, intended_ns }.encode(&mut frame);
        self.say(&frame);
        (self.sent, self.said) = (self.sent + 1, self.said + 1);
    }

    /// Whether it is in its room and has been told all of so many messages.
    pub(super) fn has_all(&self, sent: u32) -> bool {
        self.stage == Stage::In && self.next >= sent
    }

    pub(super) fn owes(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Writes what is owed; whether anything is left because the socket is full.
    pub(super) fn write_out(&mut self) -> std::io::Result<bool> {
        let Some(io) = &mut self.io else { return Ok(false) };
        while !self.outgoing.is_empty() {
            match io.write(&self.outgoing) {
                Ok(written) => drop(self.outgoing.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Reads once; an error is the end of the connection, in words.
    pub(super) fn read_in(&mut self, scratch: &mut [u8], hearing: &mut Hearing<'_>) -> Result<(), String> {
        let Some(io) = &mut self.io else { return Ok(()) };
        let len = match io.read(scratch) {
            Ok(0) => return Err("the server closed the connection".to_owned()),
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        if self.partial.is_empty() {
            let used = self.hear(&scratch[..len], hearing)?;
            self.partial.extend_from_slice(&scratch[used..len]);
        } else {
            let mut bytes = std::mem::take(&mut self.partial);
            bytes.extend_from_slice(&scratch[..len]);
            let used = self.hear(&bytes, hearing)?;
            bytes.drain(..used);
            self.partial = bytes;
        }
        if let Some(terms) = &self.terms
            && self.count.is_due(terms)
        {
            self.acknowledge();
        }
        Ok(())
    }

    /// Goes through all that is whole in `bytes`; how many bytes that took.
    fn hear(&mut self, bytes: &[u8], hearing: &mut Hearing<'_>) -> Result<usize, String> {
        let mut used = 0;
        if self.stage == Stage::Upgrading {
            let head = websocket::upgrade_response(bytes, SUBPROTOCOL).map_err(|error| error.to_string())?;
            let Some(head) = head else { return Ok(0) };
            used = head;
            self.greet();
        }
        while let Some(frame) = websocket::parse(&bytes[used..]).map_err(|error| error.to_string())? {
            match frame.opcode {
                Opcode::Binary => self.handle_frame(frame.payload, hearing).map_err(|error| error.to_string())?,
                Opcode::Ping => self.masker.pong(&mut self.outgoing, frame.payload),
                Opcode::Pong => {}
                Opcode::Close => return Err(format!("the server closed with {}", close_code(frame.payload))),
            }
            used += frame.consumed;
        }
        Ok(used)
    }

    fn greet(&mut self) {
        let back = self.terms.as_ref().map(|terms| (terms.token.as_str(), self.count.received()));
        let hello = if self.stays { kept::hello(back) } else { frames::hello() };
        self.say(&hello);
        self.stage = Stage::Greeting;
    }

    fn handle_frame(&mut self, frame: &[u8], hearing: &mut Hearing<'_>) -> Result<(), Malformed> {
        if self.stays {
            self.count.see(frame)?;
        }
        match ServerFrame::parse(frame)? {
            ServerFrame::Welcome { terms, lost } => {
                if let Some(why) = lost {
                    hearing.tally.lost(self.number, why);
                }
                self.terms = terms;
                (self.count, self.said) = (Count::default(), 1);
                self.say(&frames::join(1, KIND, &self.name, &[]));
                self.stage = Stage::Joining;
            }
            ServerFrame::Joined(joined) => {
                (self.room, self.kind) = (joined.room, move_type(&joined));
                self.next = shown(joined.view)?;
                self.catch_up_to(self.next, hearing);
            }
            ServerFrame::Resumed(resumed) => self.resume(resumed, hearing),
            ServerFrame::View(view) => {
                self.next = shown(view.view)?;
                hearing.tally.views += 1;
                self.look(hearing);
            }
            ServerFrame::Publish(publish) => self.publish(&publish, hearing)?,
            ServerFrame::Fault(op, rest) => {
                let text = String::from_utf8_lossy(rest).into_owned();
                hearing.tally.violation(|| format!("client {}: answered with op {op}: {text:?}", self.number));
            }
            ServerFrame::Types | ServerFrame::Other => {}
        }
        Ok(())
    }

    fn resume(&mut self, resumed: Resumed<'_>, hearing: &mut Hearing<'_>) {
        let Resumed { terms, received, outcomes } = resumed;
        if received != self.said {
            // None of them is dropped while it says something, so there is nothing to say again.
            let said = self.said;
            hearing.tally.violation(|| format!("client {}: {received} of {said} frames were taken", self.number));
        }
        for outcome in outcomes {
            hearing.tally.outcome(self.number, outcome);
        }
        self.terms = Some(terms);
        // It shows the server at once that the new token has arrived.
        self.acknowledge();
        self.catch_up_to(hearing.room_sent, hearing);
    }

    /// It is in its room, and up to date once it has had so many messages.
    fn catch_up_to(&mut self, sent: u32, hearing: &mut Hearing<'_>) {
        (self.stage, self.catch_up) = (Stage::CatchingUp, sent);
        self.look(hearing);
    }

    fn look(&mut self, hearing: &mut Hearing<'_>) {
        if self.stage == Stage::CatchingUp && self.next >= self.catch_up {
            self.stage = Stage::In;
            hearing.tally.is_in(hearing.now_ns);
        }
    }

    fn publish(&mut self, publish: &Publish<'_>, hearing: &mut Hearing<'_>) -> Result<(), Malformed> {
        let message = Move::decode(publish.payload)?;
        let (expected, number) = (self.next, message.number);
        if number != expected {
            hearing.tally.violation(|| format!("client {}: message {number}, expected {expected}", self.number));
        }
        self.next = number + 1;
        hearing.tally.pauses.heard(hearing.room, number, hearing.now_ns);
        match self.stage {
            Stage::In if !self.stalled => {
                hearing.tally.measure(hearing.now_ns.saturating_sub(message.intended_ns));
            }
            _ => self.look(hearing),
        }
        Ok(())
    }

    fn acknowledge(&mut self) {
        let ack = self.count.ack();
        self.say(&ack);
    }

    fn say(&mut self, frame: &[u8]) {
        self.masker.binary(&mut self.outgoing, frame);
    }
}

/// What the room's view says: how many messages have been handled. A room without views shows nothing.
fn shown(view: &[u8]) -> Result<u32, Malformed> {
    if view == [0xc0] {
        return Ok(0);
    }
    u32::try_from(Scan::new(view).uint()?).map_err(|_| Malformed("a small number"))
}

fn close_code(payload: &[u8]) -> u16 {
    payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code))
}
