//! Watches WebSocket frames go by (RFC 6455, section 5.2): tungstenite hands over whole messages only, and says nothing of their
//! fragments, of control frames, or of a message that never ends.

/// Longest frame header: two bytes, eight of length, four of mask.
const MAX_HEADER: usize = 14;

/// What has gone by on one connection.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    header: [u8; MAX_HEADER],
    have: usize,
    /// Payload bytes of the present frame that are still to come.
    payload: u64,
    /// A data message has begun and not ended.
    open: bool,
    fragments: u32,
    most_fragments: u32,
    messages: u64,
    controls: u32,
}

impl Meter {
    /// Bytes of the stream, in order.
    pub(crate) fn see(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skipped = bytes.len().min(usize::try_from(self.payload).unwrap_or(usize::MAX));
            self.payload -= skipped as u64;
            bytes = &bytes[skipped..];
            let Some((first, rest)) = bytes.split_first() else { return };
            self.header[self.have] = *first;
            self.have += 1;
            bytes = rest;
            if self.have >= 2 && self.have == header_len(self.header[1]) {
                self.begin_frame();
            }
        }
    }

    /// Control frames since this was last asked.
    pub(crate) fn take_controls(&mut self) -> u32 {
        std::mem::take(&mut self.controls)
    }

    /// The largest number of fragments that one message has had so far.
    pub(crate) fn most_fragments(&self) -> u32 {
        self.most_fragments
    }

    /// The number of the message that has begun and not ended, if there is one.
    pub(crate) fn unfinished(&self) -> Option<u64> {
        (self.open || self.have > 0 || self.payload > 0).then_some(self.messages)
    }

    fn begin_frame(&mut self) {
        const FIN: u8 = 0x80;
        self.have = 0;
        self.payload = payload_len(&self.header);
        let (opcode, last) = (self.header[0] & 0x0f, self.header[0] & FIN != 0);
        if opcode >= 8 {
            self.controls += 1;
            return;
        }
        self.fragments = if opcode == 0 { self.fragments.saturating_add(1) } else { 1 };
        self.most_fragments = self.most_fragments.max(self.fragments);
        self.open = !last;
        // A message that is whole counts as another one even while its payload comes: what matters is that the number moves.
        self.messages += u64::from(last);
    }
}

fn header_len(second: u8) -> usize {
    const MASKED: u8 = 0x80;
    let mask = if second & MASKED == 0 { 0 } else { 4 };
    mask + match second & 0x7f {
        126 => 4,
        127 => 10,
        _ => 2,
    }
}

fn payload_len(header: &[u8; MAX_HEADER]) -> u64 {
    match header[1] & 0x7f {
        126 => u64::from(u16::from_be_bytes([header[2], header[3]])),
        127 => header[2..10].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        short => u64::from(short),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, len: usize) -> Vec<u8> {
        let mut frame = vec![first];
        match len {
            0..126 => frame.push(0x80 | len as u8),
            126..65_536 => {
                frame.push(0x80 | 126);
                frame.extend((len as u16).to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 127);
                frame.extend((len as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        // A payload that would make sense as headers.
        frame.extend(std::iter::repeat_n(0x89, len));
        frame
    }

    #[test]
    fn it_sees_the_same_however_the_bytes_come() {
        let stream = [
            frame(0x82, 5),
            frame(0x89, 0),
            frame(0x01, 200),
            frame(0x8a, 3),
            frame(0x00, 70_000),
            frame(0x80, 1),
            frame(0x82, 0),
        ]
        .concat();
        for piece in [1, 2, 3, 7, 1000, stream.len()] {
            let mut meter = Meter::default();
            stream.chunks(piece).for_each(|bytes| meter.see(bytes));
            assert_eq!((meter.take_controls(), meter.most_fragments(), meter.messages), (2, 3, 3), "by {piece}");
            assert_eq!(meter.unfinished(), None);
        }
    }

    #[test]
    fn a_message_is_unfinished_until_its_last_byte() {
        let mut meter = Meter::default();
        let stream = [frame(0x02, 3), frame(0x80, 3)].concat();
        for byte in &stream[..stream.len() - 1] {
            meter.see(&[*byte]);
            assert!(meter.unfinished().is_some());
        }
        meter.see(&stream[stream.len() - 1..]);
        assert_eq!(meter.unfinished(), None);
    }

    #[test]
    fn the_largest_length_does_no_harm() {
        let mut meter = Meter::default();
        meter.see(&[0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5, 6]);
        assert!(meter.unfinished().is_some());
    }
}
