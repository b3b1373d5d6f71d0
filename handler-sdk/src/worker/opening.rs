//! The beginning of a connection: stream, WebSocket handshake, hello and its answer.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use parlor_protocol::Failure;
use parlor_protocol::worker::{FromWorker, Hello, MAX_HELLO_BYTES, SUBPROTOCOL, ToWorker, Welcome, WorkerFrameError};
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::http::uri::InvalidUri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::address::{Address, Stream};
use super::rooms::OutOfOrder;

/// Frames go out at the end of a turn, in one piece; only what is over this leaves before.
const WRITE_BUFFER: usize = 1 << 20;

/// How long a broker may take for its welcome.
const PATIENCE: Duration = Duration::from_secs(10);

/// A WebSocket to the broker.
pub(super) type Socket = WebSocketStream<Stream>;

/// Why a connection has ended, or not begun.
#[derive(Debug)]
pub(super) enum Lost {
    /// The broker does not want this worker.
    Refused(Failure),
    /// Anything else, in words.
    Gone(String),
}

impl Lost {
    /// A message that is no frame, or none that could come now.
    pub(super) fn malformed(what: impl fmt::Display) -> Self {
        Self::Gone(format!("a malformed frame: {what}"))
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(failure) => write!(f, "refused: {failure}"),
            Self::Gone(why) => f.write_str(why),
        }
    }
}

impl From<tungstenite::Error> for Lost {
    fn from(error: tungstenite::Error) -> Self {
        Self::Gone(error.to_string())
    }
}

impl From<WorkerFrameError> for Lost {
    fn from(error: WorkerFrameError) -> Self {
        Self::malformed(error)
    }
}

impl From<OutOfOrder> for Lost {
    fn from(OutOfOrder { seq, behind }: OutOfOrder) -> Self {
        Self::malformed(format!("input {seq} behind input {behind}"))
    }
}

/// Connects and says hello: everything up to the welcome.
pub(super) async fn open(address: &Address, hello: &Hello) -> Result<(Socket, Welcome), Lost> {
    let opened = tokio::time::timeout(PATIENCE, greet(address, hello)).await;
    opened.unwrap_or_else(|_| Err(Lost::Gone("no welcome came in time".to_owned())))
}

async fn greet(address: &Address, hello: &Hello) -> Result<(Socket, Welcome), Lost> {
    let stream = address.connect().await.map_err(|error| Lost::Gone(error.to_string()))?;
    let uri: Uri = address.uri().parse().map_err(|error: InvalidUri| Lost::Gone(error.to_string()))?;
    let request = ClientRequestBuilder::new(uri).with_sub_protocol(SUBPROTOCOL);
    // The limit of a frame is known only later, and is looked at when it is read.
    let config = WebSocketConfig::default().write_buffer_size(WRITE_BUFFER).max_message_size(None).max_frame_size(None);
    let (mut socket, _) = client_async_with_config(request, stream, Some(config)).await?;
    let sent = socket.send(Message::Binary(FromWorker::Hello(hello.clone()).encode().into())).await;
    loop {
        let Some(message) = socket.next().await else {
            // A broker that declines may have gone before hello was written; what it had to say was looked for first.
            sent?;
            return Err(closed());
        };
        match read(message?, MAX_HELLO_BYTES)? {
            Some(ToWorker::Welcome(welcome)) => return Ok((socket, welcome)),
            Some(ToWorker::Refused { error }) => return Err(Lost::Refused(error)),
            Some(_) => return Err(Lost::malformed("the first is no welcome")),
            None => {}
        }
    }
}

/// The frame in a message, if it is one that this library knows.
pub(super) fn read(message: Message, max: usize) -> Result<Option<ToWorker>, Lost> {
    let frame: Bytes = match message {
        Message::Binary(frame) => frame,
        Message::Text(_) => return Err(Lost::malformed("text")),
        Message::Close(_) => return Err(closed()),
        // Answered by tungstenite.
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return Ok(None),
    };
    match ToWorker::decode(&frame, max) {
        Ok(frame) => Ok(Some(frame)),
        Err(WorkerFrameError::UnknownOp(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn closed() -> Lost {
    Lost::Gone("the broker has closed the connection".to_owned())
}
