//! One client's socket with its two buffers. It frames and unframes; what frames mean is the engine's business.

use crate::frames::{MoveType, send_header};
use crate::kept::{Count, Terms};
use crate::moves::Move;
use crate::websocket::{self, Masker, Opcode};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use super::Failure;

/// A client that is in its room.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) io: TcpStream,
    /// Messages sent so far, which is also the next message's number.
    pub(super) sent: u32,
    /// In a session that outlives its connections: when to acknowledge, and what has come.
    pub(super) kept: Option<(Terms, Count)>,
    room: u64,
    kind: MoveType,
    masker: Masker,
    /// The beginning of a frame whose end has not arrived.
    partial: Vec<u8>,
    outgoing: Vec<u8>,
    /// The message that is being written.
    frame: Vec<u8>,
}

impl Client {
    pub(super) fn new(io: TcpStream, room: u64, kind: MoveType, unread: &[u8], masker: Masker) -> Self {
        let (partial, outgoing, frame) = (unread.to_vec(), Vec::new(), Vec::new());
        Self { io, sent: 0, kept: None, room, kind, masker, partial, outgoing, frame }
    }

    /// Puts the next message into the send buffer.
    pub(super) fn queue_move(&mut self, client: u32, intended_ns: u64) {
        self.frame.clear();
        send_header(&mut self.frame, self.room, self.kind);
        Move { client, number: self.sent, intended_ns }.encode(&mut self.frame);
        self.masker.binary(&mut self.outgoing, &self.frame);
        self.sent += 1;
    }

    pub(super) fn owes(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Writes what is owed; whether anything is left because the socket is full.
    pub(super) fn write_out(&mut self) -> Result<bool, Failure> {
        while !self.outgoing.is_empty() {
            match self.io.write(&self.outgoing) {
                Ok(written) => drop(self.outgoing.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// Reads once into `scratch` and has `listener` hear all that is whole. The epoll is level-triggered: what one read
    /// leaves is reported again. Whether something is owed now (a pong, an acknowledgement).
    pub(super) fn read_in(&mut self, scratch: &mut [u8], listener: &mut impl Listener) -> Result<bool, Failure> {
        let len = match self.io.read(scratch) {
            Ok(0) => return Err("the server closed a connection".into()),
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let fresh = &scratch[..len];
        if self.partial.is_empty() {
            let used = self.hear(fresh, listener)?;
            self.partial.extend_from_slice(&fresh[used..]);
        } else {
            let mut bytes = std::mem::take(&mut self.partial);
            bytes.extend_from_slice(fresh);
            let used = self.hear(&bytes, listener)?;
            bytes.drain(..used);
            self.partial = bytes;
        }
        if let Some((terms, count)) = &mut self.kept
            && count.is_due(terms)
        {
            self.masker.binary(&mut self.outgoing, &count.ack());
        }
        Ok(!self.outgoing.is_empty())
    }

    /// Goes through all whole frames in `bytes`; how many bytes they took.
    fn hear(&mut self, bytes: &[u8], listener: &mut impl Listener) -> Result<usize, Failure> {
        let mut used = 0;
        loop {
            let (frames, len) = listener.repeat(&bytes[used..]);
            used += len;
            if let Some((_, count)) = &mut self.kept {
                // With the few bytes of their headers, so that the acknowledgement is rather early than late.
                count.add(frames, len as u64);
            }
            let Some(frame) = websocket::parse(&bytes[used..])? else { return Ok(used) };
            match frame.opcode {
                Opcode::Binary => {
                    if let Some((_, count)) = &mut self.kept {
                        count.see(frame.payload)?;
                    }
                    listener.hear(&bytes[used..used + frame.consumed], frame.payload)?;
                }
                Opcode::Ping => self.masker.pong(&mut self.outgoing, frame.payload),
                Opcode::Pong => {}
                Opcode::Close => return Err("the server sent a close frame".into()),
            }
            used += frame.consumed;
        }
    }
}

/// Who understands what a client gets.
pub(super) trait Listener {
    /// Passes over the messages at the start of `bytes` that need no look: how many they are, and how many bytes.
    fn repeat(&mut self, bytes: &[u8]) -> (u64, usize);

    /// A message that needs one: its whole WebSocket frame and what is in it.
    fn hear(&mut self, raw: &[u8], frame: &[u8]) -> Result<(), Failure>;
}
