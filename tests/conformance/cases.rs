//! What a case is, and what its frames are made of.

/// The key under which all frames are masked: no byte of it is another's, and none is 0.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;
pub(crate) const FIN: u8 = 0x80;

/// What a client sends, and what comes back.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) sent: Vec<u8>,
    pub(crate) messages: Vec<(u8, Vec<u8>)>,
    pub(crate) pongs: Vec<Vec<u8>>,
    pub(crate) end: End,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It goes on.
    Open,
    /// It is closed for what the client did, with this code.
    Failed(u16),
    /// The client's goodbye is answered with this code.
    Answered(Option<u16>),
}

/// Everything that came back, messages and pongs each in their order: a pong may overtake a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) messages: Vec<(u8, Vec<u8>)>,
    pub(crate) pongs: Vec<Vec<u8>>,
    pub(crate) end: End,
}

impl Heard {
    /// In one line, without the many bytes.
    pub(crate) fn brief(&self) -> String {
        let messages: Vec<_> = self.messages.iter().map(|(kind, bytes)| format!("{kind}:{}", bytes.len())).collect();
        let pongs: Vec<_> = self.pongs.iter().map(Vec::len).collect();
        format!("messages {messages:?}, pongs {pongs:?}, {:?}", self.end)
    }
}

impl Case {
    /// A case that sends nothing and goes on.
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), sent: Vec::new(), messages: Vec::new(), pongs: Vec::new(), end: End::Open }
    }

    /// These bytes are sent.
    pub(crate) fn send(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.sent.extend_from_slice(bytes.as_ref());
        self
    }

    /// A frame is sent; `first` is its first byte.
    pub(crate) fn frame(self, first: u8, payload: impl AsRef<[u8]>) -> Self {
        self.send(frame(first, payload.as_ref()))
    }

    /// A message is sent in one frame, and comes back.
    pub(crate) fn echoed(self, kind: u8, payload: impl AsRef<[u8]>) -> Self {
        let payload = payload.as_ref();
        self.frame(FIN | kind, payload).gives(kind, payload)
    }

    /// A message is sent in these fragments, and comes back in one frame.
    pub(crate) fn fragments(mut self, kind: u8, pieces: &[&[u8]]) -> Self {
        for (at, piece) in pieces.iter().enumerate() {
            let fin = if at + 1 == pieces.len() { FIN } else { 0 };
            self = self.frame(if at == 0 { fin | kind } else { fin }, piece);
        }
        self.gives(kind, pieces.concat())
    }

    /// A ping is sent and answered.
    pub(crate) fn pinged(self, payload: impl AsRef<[u8]>) -> Self {
        let payload = payload.as_ref();
        let mut case = self.frame(FIN | PING, payload);
        case.pongs.push(payload.to_vec());
        case
    }

    /// This message comes back.
    pub(crate) fn gives(mut self, kind: u8, payload: impl Into<Vec<u8>>) -> Self {
        self.messages.push((kind, payload.into()));
        self
    }

    /// The connection is closed for that.
    pub(crate) fn fails(mut self, code: u16) -> Self {
        self.end = End::Failed(code);
        self
    }

    /// The goodbye is answered.
    pub(crate) fn answered(mut self, code: Option<u16>) -> Self {
        self.end = End::Answered(code);
        self
    }

    pub(crate) fn expected(&self) -> Heard {
        Heard { messages: self.messages.clone(), pongs: self.pongs.clone(), end: self.end }
    }
}

/// A masked frame with the shortest header that does.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, payload.len());
    frame[1] |= 0x80;
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// A frame as only a server may send it.
pub(crate) fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    [header(first, payload.len()), payload.to_vec()].concat()
}

fn header(first: u8, len: usize) -> Vec<u8> {
    match len {
        0..126 => vec![first, len as u8],
        126..65_536 => [&[first, 126][..], &(len as u16).to_be_bytes()].concat(),
        _ => [&[first, 127][..], &(len as u64).to_be_bytes()].concat(),
    }
}

/// A close frame's payload.
pub(crate) fn goodbye(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason.as_bytes()].concat()
}
