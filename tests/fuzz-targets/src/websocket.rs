//! What a server may write: whole frames, without masks and reserved bits, and nothing after the goodbye.

/// What a connection has said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Spoken<'b> {
    /// Opcode and payload.
    pub(crate) messages: Vec<(u8, &'b [u8])>,
    pub(crate) pongs: Vec<&'b [u8]>,
    pub(crate) close: Option<&'b [u8]>,
}

impl<'b> Spoken<'b> {
    /// Reads what was written up to the end of the connection.
    pub(crate) fn read(mut bytes: &'b [u8]) -> Self {
        let mut spoken = Self::default();
        while let Some((&[first, second], rest)) = bytes.split_first_chunk() {
            assert!(spoken.close.is_none(), "something after the goodbye");
            assert_eq!((first & 0xf0, second & 0x80), (0x80, 0), "a frame of a server");
            let wide = match second {
                126 => 2,
                127 => 8,
                _ => 0,
            };
            let (length, rest) = rest.split_at(wide);
            let length = match wide {
                0 => usize::from(second),
                _ => length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
            };
            let (payload, rest) = rest.split_at(length);
            match first & 0x0f {
                kind @ (1 | 2) => spoken.messages.push((kind, payload)),
                8 => spoken.close = Some(payload),
                9 => {}
                10 => spoken.pongs.push(payload),
                other => panic!("an opcode {other}"),
            }
            bytes = rest;
        }
        assert!(bytes.is_empty(), "half a frame");
        spoken
    }
}
