//! From a URL to a session: the TCP connection, the WebSocket handshake, hello and its answer.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt;
use parlor_protocol::frame::{Hello, Recovery, ResumeWish, Welcome};
use parlor_protocol::{BrokerFrame, ClientFrame, Codec, FrameError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::actor::next_frame;
use crate::error::ClientError;
use crate::lifecycle::close;
use crate::link::encode;
use crate::member::short;
use crate::options::Options;

/// The path that brokers serve.
const PATH: &str = "/ws";

/// What is asked for when there is no URL because the stream is there already.
const SOME_URL: &str = "ws://parlor/ws";

/// The largest message that is taken from a broker.
const MAX_MESSAGE: usize = 16 << 20;

/// A broker's address.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    uri: Uri,
    host: String,
    port: u16,
}

impl Address {
    /// Parses `ws://host[:port][/path]`, or `wss://…` where that is built in.
    pub(crate) fn parse(url: &str) -> Result<Self, ClientError> {
        let bad = |why: &str| ClientError::Invalid(format!("{why}: {url}"));
        let uri: Uri = url.parse().map_err(|_| bad("not a URL"))?;
        let (scheme, usual_port) = match uri.scheme_str() {
            Some("ws") => ("ws", 80),
            Some("wss") if cfg!(feature = "tls") => ("wss", 443),
            Some("wss") => return Err(bad("wss:// needs the feature `tls`")),
            _ => return Err(bad("a broker's URL begins with ws:// or wss://")),
        };
        let authority = uri.authority().ok_or_else(|| bad("a URL needs a host"))?.clone();
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        // What stands behind the host: `authority.port_u16()` would take a bad port for none.
        let behind_user = authority.as_str().rsplit('@').next().unwrap_or_default();
        let port = match behind_user.strip_prefix(authority.host()).and_then(|rest| rest.strip_prefix(':')) {
            Some(port) => port.parse().map_err(|_| bad("a port is a number"))?,
            None => usual_port,
        };
        let path = match uri.path_and_query().map_or("/", |path| path.as_str()) {
            "/" => PATH,
            path => path,
        };
        let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build();
        Ok(Self { uri: uri.map_err(|_| bad("not a URL"))?, host, port })
    }

    /// For a stream that needs no address.
    pub(crate) fn none() -> Self {
        Self { uri: Uri::from_static(SOME_URL), host: String::new(), port: 0 }
    }

    /// Whether the stream is to be encrypted.
    #[cfg(feature = "tls")]
    pub(crate) fn is_secure(&self) -> bool {
        self.uri.scheme_str() == Some("wss")
    }

    #[cfg(feature = "tls")]
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) async fn open(&self) -> Result<TcpStream, ClientError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        // A message is worth more now than in 40 ms together with another.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// A connection on which hello was answered.
pub(crate) struct Opened<S> {
    pub(crate) socket: WebSocketStream<S>,
    pub(crate) answer: HelloAnswer,
    /// How long hello and its answer took.
    pub(crate) rtt: Duration,
}

/// What a broker says to hello.
pub(crate) enum HelloAnswer {
    /// A new session.
    Welcome(Welcome),
    /// The session that hello asked for.
    Resumed { welcome: Welcome, received: u64, rooms: Vec<Recovery> },
}

/// Says hello over a stream: everything up to the answer.
pub(crate) async fn open<S>(
    address: &Address,
    stream: S,
    options: &Options,
    hello: Hello,
) -> Result<Opened<S>, ClientError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = ClientRequestBuilder::new(address.uri.clone()).with_sub_protocol(options.codec.subprotocol());
    let config = WebSocketConfig::default()
        // Small, because there may be many bots in one process; what is large grows the buffer.
        .read_buffer_size(4096)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let (mut socket, _) = client_async_with_config(request, stream, Some(config)).await?;

    let began = Instant::now();
    let sent = socket.send(encode(options.codec, &ClientFrame::Hello(hello))?).await;
    let frame = match next_frame(&mut socket, options.codec).await {
        Ok(frame) => frame,
        Err(end) if end.code != close::ABNORMAL => return Err((&end).into()),
        // A broker that declines at once may have gone before hello was written; its reason was looked for first.
        Err(end) => return Err(sent.err().map_or_else(|| (&end).into(), ClientError::from)),
    };
    let answer = hello_answer(options.codec, &frame)?;
    Ok(Opened { socket, answer, rtt: began.elapsed() })
}

/// What to say first. Asks the token's provider, if there is one.
pub(crate) async fn hello(options: &Options, resume: Option<ResumeWish>) -> Result<Hello, ClientError> {
    short("the name", options.name.as_deref().unwrap_or_default())?;
    short("the game version", options.game.as_deref().unwrap_or_default())?;
    let token = match &options.token {
        Some(token) => Some(token.get().await?),
        None => None,
    };
    let client = concat!("parlor-rust/", env!("CARGO_PKG_VERSION")).to_owned();
    Ok(Hello { client, game: options.game.clone(), name: options.name.clone(), token, resume })
}

/// The first frame must answer hello, or say why it is not answered.
fn hello_answer(codec: Codec, frame: &Bytes) -> Result<HelloAnswer, ClientError> {
    match BrokerFrame::decode(codec, frame)? {
        BrokerFrame::Welcome(welcome) => Ok(HelloAnswer::Welcome(*welcome)),
        BrokerFrame::Resumed { welcome, received, rooms } => {
            Ok(HelloAnswer::Resumed { welcome: *welcome, received, rooms })
        }
        BrokerFrame::Error { error, .. } => Err(ClientError::Refused(*error)),
        _ => Err(ClientError::Protocol("the first frame is no welcome".to_owned())),
    }
}

impl From<FrameError> for ClientError {
    fn from(error: FrameError) -> Self {
        Self::Protocol(error.to_string())
    }
}

impl From<WsError> for ClientError {
    fn from(error: WsError) -> Self {
        match error {
            WsError::Io(error) => Self::Io(error),
            error if is_cut(&error) => Self::Io(io::Error::new(io::ErrorKind::ConnectionReset, error.to_string())),
            WsError::Http(response) => Self::Http(response.status().as_u16()),
            error => Self::Protocol(error.to_string()),
        }
    }
}

/// Whether the peer just went away, which tungstenite counts as a breach of protocol.
pub(crate) fn is_cut(error: &WsError) -> bool {
    use ProtocolError::{HandshakeIncomplete, ReceivedAfterClosing, ResetWithoutClosingHandshake, SendAfterClosing};
    matches!(
        error,
        WsError::Protocol(HandshakeIncomplete | ReceivedAfterClosing | ResetWithoutClosingHandshake | SendAfterClosing)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Option<(String, String, u16)> {
        Address::parse(url).ok().map(|a| (a.uri.to_string(), a.host, a.port))
    }

    #[test]
    fn the_path_may_be_left_out() {
        let expected = Some(("ws://game.example:7373/ws".to_owned(), "game.example".to_owned(), 7373));
        assert_eq!(parsed("ws://game.example:7373"), expected);
        assert_eq!(parsed("ws://game.example:7373/"), expected);
        assert_eq!(parsed("ws://game.example:7373/ws"), expected);
        assert_eq!(parsed("ws://[::1]/x?y").unwrap(), ("ws://[::1]/x?y".into(), "::1".into(), 80));
        assert_eq!(parsed("ws://7:7").unwrap().2, 7);
    }

    #[test]
    fn secure_urls_need_the_feature() {
        let expected = Some(("wss://game.example/ws".to_owned(), "game.example".to_owned(), 443));
        assert_eq!(parsed("wss://game.example"), if cfg!(feature = "tls") { expected } else { None });
    }

    #[test]
    fn other_urls_are_refused() {
        for url in ["", "ws://", "http://host", "host:7373", "/ws", "ws://host:99999"] {
            assert_eq!(parsed(url), None, "{url}");
        }
    }
}
