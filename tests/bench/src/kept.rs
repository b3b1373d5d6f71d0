//! The frames of sessions that outlive their connections (PROTOCOL.md, section 9), and the counting that goes with them.

use crate::frames::OK;
use crate::scan::{Malformed, Scan};
use rmp::encode::{write_array_len, write_map_len, write_str, write_uint};

/// What is needed to come back: `welcome.resume`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Proves whose session it is, once.
    pub token: String,
    /// Counted frames after which an acknowledgement is due.
    pub ack_frames: u64,
    /// The same in bytes of messages.
    pub ack_bytes: u64,
}

/// The answer to hello by somebody who came back in time.
#[derive(Debug, PartialEq, Eq)]
pub struct Resumed<'a> {
    /// For the next time.
    pub terms: Terms,
    /// Counted frames of the client that the server has taken.
    pub received: u64,
    /// What became of each room: `recovered`, `view` or `lost`.
    pub outcomes: Vec<&'a str>,
}

/// `[1, {client, resume: {}}]`, or with `{token, received}` of a session that is there already.
#[must_use]
pub fn hello(back: Option<(&str, u64)>) -> Vec<u8> {
    let mut out = Vec::new();
    write_array_len(&mut out, 2).expect(OK);
    write_uint(&mut out, 1).expect(OK);
    write_map_len(&mut out, 2).expect(OK);
    write_str(&mut out, "client").expect(OK);
    write_str(&mut out, "parlor-bench/0.1.0").expect(OK);
    write_str(&mut out, "resume").expect(OK);
    match back {
        None => drop(write_map_len(&mut out, 0).expect(OK)),
        Some((token, received)) => {
            write_map_len(&mut out, 2).expect(OK);
            write_str(&mut out, "token").expect(OK);
            write_str(&mut out, token).expect(OK);
            write_str(&mut out, "received").expect(OK);
            write_uint(&mut out, received).expect(OK);
        }
    }
    out
}

/// `[9, received]`
#[must_use]
pub fn ack(received: u64) -> Vec<u8> {
    let mut out = Vec::new();
    write_array_len(&mut out, 2).expect(OK);
    write_uint(&mut out, 9).expect(OK);
    write_uint(&mut out, received).expect(OK);
    out
}

/// The downward half of the counting: what has come, and what of it must be acknowledged.
#[derive(Debug, Clone, Copy, Default)]
pub struct Count {
    received: u64,
    frames: u64,
    bytes: u64,
}

impl Count {
    /// Counted frames so far.
    #[must_use]
    pub fn received(self) -> u64 {
        self.received
    }

    /// A frame has come; whether it counts: all do but `welcome`, `resumed`, `pong`, `ack` and `latest`.
    pub fn see(&mut self, frame: &[u8]) -> Result<bool, Malformed> {
        let mut scan = Scan::new(frame);
        scan.array()?;
        let counts = !matches!(scan.uint()?, 33 | 42 | 44 | 48 | 50);
        if counts {
            self.add(1, frame.len() as u64);
        }
        Ok(counts)
    }

    /// So many publishes have come, in so many bytes.
    pub fn add(&mut self, frames: u64, bytes: u64) {
        self.received += frames;
        self.frames += frames;
        self.bytes += bytes;
    }

    /// Whether an acknowledgement is due. Asked for as late as the server allows, which costs it the most memory.
    #[must_use]
    pub fn is_due(self, terms: &Terms) -> bool {
        self.frames >= terms.ack_frames || self.bytes >= terms.ack_bytes
    }

    /// The acknowledgement, which is taken to be sent.
    pub fn ack(&mut self) -> Vec<u8> {
        (self.frames, self.bytes) = (0, 0);
        ack(self.received)
    }
}

/// The map of `welcome`, as far as it concerns coming back: the terms, and why an earlier session is lost.
pub(crate) fn welcome<'a>(scan: &mut Scan<'a>) -> Result<(Option<Terms>, Option<&'a str>), Malformed> {
    let (mut terms, mut lost) = (None, None);
    for _ in 0..scan.map()? {
        match scan.str()? {
            "resume" => terms = Some(read_terms(scan)?),
            "lost" => lost = Some(scan.str()?),
            _ => scan.skip()?,
        }
    }
    Ok((terms, lost))
}

fn read_terms(scan: &mut Scan<'_>) -> Result<Terms, Malformed> {
    let mut terms = Terms { token: String::new(), ack_frames: u64::MAX, ack_bytes: u64::MAX };
    for _ in 0..scan.map()? {
        match scan.str()? {
            "token" => scan.str()?.clone_into(&mut terms.token),
            "ack_frames" => terms.ack_frames = scan.uint()?,
            "ack_bytes" => terms.ack_bytes = scan.uint()?,
            _ => scan.skip()?,
        }
    }
    Ok(terms)
}

/// `resumed` behind its op.
pub(crate) fn resumed<'a>(scan: &mut Scan<'a>) -> Result<Resumed<'a>, Malformed> {
    let (terms, _) = welcome(scan)?;
    let received = scan.uint()?;
    let mut outcomes = Vec::new();
    for _ in 0..scan.array()? {
        for _ in 0..scan.map()? {
            match scan.str()? {
                "outcome" => outcomes.push(scan.str()?),
                _ => scan.skip()?,
            }
        }
    }
    Ok(Resumed { terms: terms.ok_or(Malformed("resumed with a token"))?, received, outcomes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::{ClientFrame, ServerFrame, publish};

    /// The two examples of PROTOCOL.md, as a server writes them.
    fn map(out: &mut Vec<u8>, token: &str) {
        write_map_len(out, 2).unwrap();
        write_str(out, "session").unwrap();
        write_str(out, "s-8Jq2").unwrap();
        write_str(out, "resume").unwrap();
        write_map_len(out, 3).unwrap();
        write_str(out, "token").unwrap();
        write_str(out, token).unwrap();
        write_str(out, "ack_frames").unwrap();
        write_uint(out, 2).unwrap();
        write_str(out, "ack_bytes").unwrap();
        write_uint(out, 65_536).unwrap();
    }

    #[test]
    fn answers_to_hello_are_read() {
        let terms = Terms { token: "AAI".to_owned(), ack_frames: 2, ack_bytes: 65_536 };
        let mut bytes = vec![0x92, 33];
        map(&mut bytes, "AAI");
        assert_eq!(ServerFrame::parse(&bytes), Ok(ServerFrame::Welcome { terms: Some(terms.clone()), lost: None }));

        let mut bytes = vec![0x94, 48];
        map(&mut bytes, "AAI");
        bytes.extend([13, 0x91, 0x82]);
        write_str(&mut bytes, "room").unwrap();
        write_uint(&mut bytes, 7).unwrap();
        write_str(&mut bytes, "outcome").unwrap();
        write_str(&mut bytes, "recovered").unwrap();
        let expected = Resumed { terms, received: 13, outcomes: vec!["recovered"] };
        assert_eq!(ServerFrame::parse(&bytes), Ok(ServerFrame::Resumed(expected)));
    }

    #[test]
    fn hello_and_ack_are_what_a_server_expects() {
        assert_eq!(ClientFrame::parse(&hello(None)), Ok(ClientFrame::Hello));
        assert_eq!(ClientFrame::parse(&hello(Some(("token", 300)))), Ok(ClientFrame::Hello));
        assert_eq!(ack(17), [0x92, 9, 17]);
    }

    #[test]
    fn what_counts_is_acknowledged_when_enough_has_come() {
        let terms = Terms { token: String::new(), ack_frames: 2, ack_bytes: 1000 };
        let mut count = Count::default();
        assert_eq!(count.see(&[0x92, 44, 3]), Ok(false));
        assert_eq!(count.see(&publish(1, 1, &[0xc0])), Ok(true));
        assert!(!count.is_due(&terms));
        count.see(&publish(1, 2, &[0xc0])).unwrap();
        assert!(count.is_due(&terms));
        assert_eq!((count.ack(), count.received()), (ack(2), 2));
        assert!(!count.is_due(&terms));
        count.see(&publish(1, 3, &[0; 1000])).unwrap();
        assert!(count.is_due(&terms), "by bytes");
    }
}
