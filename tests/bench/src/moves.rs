//! The payload of the benchmarks: a `move` of exactly [`MOVE_BYTES`] bytes that can be checked on arrival.
//!
//! It is an ordinary named map with the smallest integer forms, so that a server which decodes and encodes it again
//! with any MessagePack library gives back the same bytes:
//! `{c: client, n: message number, t: intended time in ns, pad: text}`.

use crate::scan::{Malformed, Scan};
use rmp::encode::{write_map_len, write_str, write_uint};

/// The length of every encoded move.
pub const MOVE_BYTES: usize = 64;

/// One message of the workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// The sender, counted over all rooms.
    pub client: u32,
    /// The sender's message number, from 0.
    pub number: u32,
    /// When it should have been sent, in nanoseconds since the load began.
    pub intended_ns: u64,
}

impl Move {
    /// Appends the encoded move to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        const OK: &str = "writing to a Vec does not fail";
        let end = out.len() + MOVE_BYTES;
        write_map_len(out, 4).expect(OK);
        for (key, value) in [("c", u64::from(self.client)), ("n", u64::from(self.number)), ("t", self.intended_ns)] {
            write_str(out, key).expect(OK);
            write_uint(out, value).expect(OK);
        }
        write_str(out, "pad").expect(OK);
        // The rest is always 32 to 63 characters, whose string header is two bytes long.
        let pad = end - out.len() - 2;
        out.extend([0xd9, u8::try_from(pad).expect("a pad is short")]);
        out.resize(end, self.pad_byte());
    }

    /// Reads a move back; one whose padding is not its own is refused, for then the server mixed up bytes.
    pub fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let mut scan = Scan::new(payload);
        let mut parsed = Move { client: 0, number: 0, intended_ns: 0 };
        let mut pad = "";
        for _ in 0..scan.map()? {
            match scan.str()? {
                "c" => parsed.client = small(scan.uint()?)?,
                "n" => parsed.number = small(scan.uint()?)?,
                "t" => parsed.intended_ns = scan.uint()?,
                "pad" => pad = scan.str()?,
                _ => scan.skip()?,
            }
        }
        let own = parsed.pad_byte();
        if payload.len() != MOVE_BYTES || pad.is_empty() || pad.bytes().any(|byte| byte != own) {
            return Err(Malformed("a move as it was sent"));
        }
        Ok(parsed)
    }

    fn pad_byte(&self) -> u8 {
        let letter = self.client.wrapping_mul(7).wrapping_add(self.number) % 26;
        b'a' + u8::try_from(letter).expect("below 26")
    }
}

fn small(value: u64) -> Result<u32, Malformed> {
    u32::try_from(value).map_err(|_| Malformed("a small number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_move_is_64_bytes_and_comes_back() {
        for client in [0, 127, 128, 70_000, u32::MAX] {
            for intended_ns in [0, 255, 65_536, 5_000_000_000, u64::MAX] {
                let sent = Move { client, number: client / 3, intended_ns };
                let mut bytes = Vec::new();
                sent.encode(&mut bytes);
                assert_eq!(bytes.len(), MOVE_BYTES);
                assert_eq!(Move::decode(&bytes), Ok(sent));
            }
        }
    }

    #[test]
    fn mixed_up_bytes_are_noticed() {
        let mut bytes = Vec::new();
        Move { client: 3, number: 9, intended_ns: 1 }.encode(&mut bytes);
        let last = bytes.len() - 1;
        bytes[last] += 1;
        assert!(Move::decode(&bytes).is_err());
        assert!(Move::decode(&bytes[..last]).is_err());
    }
}
