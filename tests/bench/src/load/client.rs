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
}

impl Client {
    pub(super) fn new(io: TcpStream, room: u64, kind: MoveType, unread: &[u8], masker: Masker) -> Self {
        Self { io, sent: 0, kept: None, room, kind, masker, partial: unread.to_vec(), outgoing: Vec::new() }
    }

    /// Puts the next message into the send buffer.
    pub(super) fn queue_move(&mut self, client: u32, intended_ns: u64) {
        let mut frame = Vec::with_capacity(96);
        send_header(&mut frame, self.room, self.kind);
        Move { client, number: self.sent, intended_ns }.encode(&mut frame);
        self.masker.binary(&mut self.outgoing, &frame);
        self.sent += 1;
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

    /// Reads once into `scratch` and hands every whole message to `handle`. The epoll is level-triggered: what one read
    /// leaves is reported again. Whether something is owed now (a pong).
    pub(super) fn read_in(
        &mut self,
        scratch: &mut [u8],
        mut handle: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<bool, Failure> {
        let len = match self.io.read(scratch) {
            Ok(0) => return Err("the server closed a connection".into()),
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let fresh = &scratch[..len];
        let count = &mut self.kept;
        let mut handle = |frame: &[u8]| {
            if let Some((_, count)) = count {
                count.see(frame)?;
            }
            handle(frame)
        };
        if self.partial.is_empty() {
            let used = each_message(fresh, &mut self.masker, &mut self.outgoing, &mut handle)?;
            self.partial.extend_from_slice(&fresh[used..]);
        } else {
            self.partial.extend_from_slice(fresh);
            let used = each_message(&self.partial, &mut self.masker, &mut self.outgoing, &mut handle)?;
            self.partial.drain(..used);
        }
        if let Some((terms, count)) = &mut self.kept
            && count.is_due(terms)
        {
            self.masker.binary(&mut self.outgoing, &count.ack());
        }
        Ok(!self.outgoing.is_empty())
    }
}

/// Goes through all whole frames in `bytes`; how many bytes they took.
fn each_message(
    bytes: &[u8],
    masker: &mut Masker,
    outgoing: &mut Vec<u8>,
    handle: &mut impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<usize, Failure> {
    let mut used = 0;
    while let Some(frame) = websocket::parse(&bytes[used..])? {
        match frame.opcode {
            Opcode::Binary => handle(frame.payload)?,
            Opcode::Ping => masker.pong(outgoing, frame.payload),
            Opcode::Pong => {}
            Opcode::Close => return Err("the server sent a close frame".into()),
        }
        used += frame.consumed;
    }
    Ok(used)
}
