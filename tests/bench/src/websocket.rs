//! The client's half of WebSocket framing (RFC 6455), on plain bytes.
//!
//! Only what a load generator meets: unfragmented messages and control frames. It knows nothing of sockets.

/// The most that one frame may announce; beyond it the stream is taken for garbage.
const MAX_FRAME: u64 = 16 * 1024 * 1024;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// A whole binary message.
    Binary,
    /// The server ends the connection.
    Close,
    /// To be answered with a pong.
    Ping,
    /// An answer to a ping.
    Pong,
}

/// One frame in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it is.
    pub opcode: Opcode,
    /// What it carries.
    pub payload: &'a [u8],
    /// Its length in the buffer, header included.
    pub consumed: usize,
}

/// Why the stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadFrame(pub &'static str);

impl std::fmt::Display for BadFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "bad WebSocket frame: {}", self.0)
    }
}

impl std::error::Error for BadFrame {}

/// Reads the frame at the start of `bytes`; `None` while it is not all there.
pub fn parse(bytes: &[u8]) -> Result<Option<Frame<'_>>, BadFrame> {
    let &[first, second, ..] = bytes else { return Ok(None) };
    let opcode = match first {
        0x82 => Opcode::Binary,
        0x88 => Opcode::Close,
        0x89 => Opcode::Ping,
        0x8a => Opcode::Pong,
        0x81 => return Err(BadFrame("text")),
        _ => return Err(BadFrame("fragmented, reserved or unknown")),
    };
    let width = match second {
        0x80.. => return Err(BadFrame("masked by the server")),
        127 => 8,
        126 => 2,
        _ => 0,
    };
    let Some(extended) = bytes.get(2..2 + width) else { return Ok(None) };
    let len = match width {
        0 => u64::from(second),
        _ => extended.iter().fold(0, |sum, &byte| (sum << 8) | u64::from(byte)),
    };
    if len > MAX_FRAME {
        return Err(BadFrame("too long"));
    }
    let start = 2 + width;
    let end = start + usize::try_from(len).map_err(|_| BadFrame("too long"))?;
    Ok(bytes.get(start..end).map(|payload| Frame { opcode, payload, consumed: end }))
}

/// Writes masked frames into a send buffer.
#[derive(Debug)]
pub struct Masker {
    state: u32,
}

impl Masker {
    /// Begins a sequence of masks. They need not be secret here, only different.
    #[must_use]
    pub fn new(seed: u32) -> Self {
        Self { state: seed | 1 }
    }

    /// Appends a binary message.
    pub fn binary(&mut self, out: &mut Vec<u8>, payload: &[u8]) {
        self.frame(out, 0x82, payload);
    }

    /// Appends the answer to a ping.
    pub fn pong(&mut self, out: &mut Vec<u8>, payload: &[u8]) {
        self.frame(out, 0x8a, payload);
    }

    /// Appends the wish to end the connection, with code 1000.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        self.frame(out, 0x88, &1000_u16.to_be_bytes());
    }

    fn frame(&mut self, out: &mut Vec<u8>, first: u8, payload: &[u8]) {
        out.push(first);
        match payload.len() {
            len @ 0..=125 => out.push(0x80 | u8::try_from(len).expect("below 126")),
            len => {
                out.push(0x80 | 126);
                let len = u16::try_from(len).expect("clients here send less than 64 KiB at a time");
                out.extend(len.to_be_bytes());
            }
        }
        let mask = self.next_mask();
        out.extend(mask);
        let start = out.len();
        out.extend_from_slice(payload);
        // Eight bytes at a time; the rest begins where the mask does.
        let [a, b, c, d] = mask;
        let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (eights, rest) = out[start..].as_chunks_mut::<8>();
        eights.iter_mut().for_each(|eight| *eight = (u64::from_ne_bytes(*eight) ^ wide).to_ne_bytes());
        rest.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    }

    fn next_mask(&mut self) -> [u8; 4] {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        self.state.to_ne_bytes()
    }
}

/// The upgrade request. The key is fixed: nothing between these two ends could cache the answer.
#[must_use]
pub fn upgrade_request(host: &str, subprotocol: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
    )
}

/// The length of the response head at the start of `bytes`, once it is all there and says that the upgrade is done.
pub fn upgrade_response(bytes: &[u8], subprotocol: &str) -> Result<Option<usize>, BadFrame> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| BadFrame("the response head is not text"))?;
    if !head.starts_with("HTTP/1.1 101 ") {
        return Err(BadFrame("the server refused the upgrade"));
    }
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    // The answer that RFC 6455 section 1.3 gives for its example key, which is ours.
    if header("sec-websocket-accept") != Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") {
        return Err(BadFrame("the server answered another key"));
    }
    if header("sec-websocket-protocol") != Some(subprotocol) {
        return Err(BadFrame("the server chose another sub-protocol"));
    }
    Ok(Some(end + 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_frame(payload: &[u8]) -> Vec<u8> {
        let mut out = vec![0x82];
        match payload.len() {
            len @ 0..=125 => out.push(u8::try_from(len).unwrap()),
            len @ 126..=65_535 => {
                out.push(126);
                out.extend(u16::try_from(len).unwrap().to_be_bytes());
            }
            len => {
                out.push(127);
                out.extend((len as u64).to_be_bytes());
            }
        }
        out.extend(payload);
        out
    }

    #[test]
    fn frames_of_every_length_form_are_read_whole_or_not_at_all() {
        for len in [0, 1, 125, 126, 300, 65_535, 65_536, 70_000] {
            let payload = vec![7; len];
            let bytes = server_frame(&payload);
            let frame = parse(&bytes).unwrap().unwrap();
            assert_eq!((frame.opcode, frame.payload, frame.consumed), (Opcode::Binary, &payload[..], bytes.len()));
            for cut in [0, 1, 2, bytes.len() - 1] {
                assert!(parse(&bytes[..cut.min(bytes.len() - 1)]).unwrap().is_none());
            }
        }
    }

    #[test]
    fn several_frames_in_one_buffer_follow_each_other() {
        let mut bytes = server_frame(b"one");
        bytes.extend(server_frame(b"two"));
        let first = parse(&bytes).unwrap().unwrap();
        let second = parse(&bytes[first.consumed..]).unwrap().unwrap();
        assert_eq!((first.payload, second.payload), (&b"one"[..], &b"two"[..]));
    }

    #[test]
    fn garbage_is_refused() {
        assert!(parse(&[0x02, 0x00]).is_err(), "fragment");
        assert!(parse(&[0x82, 0x81, 0, 0, 0, 0, 0]).is_err(), "masked");
        assert!(parse(&[0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0]).is_err(), "too long");
    }

    #[test]
    fn masked_frames_unmask_to_their_payload() {
        for len in [0, 5, 125, 126, 1000] {
            let payload: Vec<u8> = (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let mut out = Vec::new();
            Masker::new(42).binary(&mut out, &payload);
            let header = if len < 126 { 2 } else { 4 };
            let mask = &out[header..header + 4];
            let plain: Vec<u8> = out[header + 4..].iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b).collect();
            assert_eq!(plain, payload);
            assert_ne!(mask, [0; 4]);
        }
    }

    #[test]
    fn the_upgrade_is_checked() {
        let good = "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-protocol: p\r\n\
                    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nrest";
        assert_eq!(upgrade_response(good.as_bytes(), "p"), Ok(Some(good.len() - 4)));
        assert_eq!(upgrade_response(&good.as_bytes()[..40], "p"), Ok(None));
        assert!(upgrade_response(good.as_bytes(), "q").is_err());
        assert!(upgrade_response(b"HTTP/1.1 400 Bad Request\r\n\r\n", "p").is_err());
    }
}
