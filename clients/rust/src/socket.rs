//! From a URL to a session: the TCP connection, the WebSocket handshake, hello and welcome.

use bytes::Bytes;
use futures_util::SinkExt;
use parlor_protocol::frame::{Hello, Welcome};
use parlor_protocol::{BrokerFrame, ClientFrame, Codec, FrameError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::actor::next_frame;
use crate::clock::Clock;
use crate::error::ClientError;
use crate::lifecycle::close;
use crate::link::{Shared, encode};
use crate::member::short;
use crate::options::Options;

/// The path that brokers serve.
const PATH: &str = "/ws";

/// What is asked for when there is no URL because the stream is there already.
const SOME_URL: &str = "ws://parlor/ws";

/// The largest message that is taken from a broker.
const MAX_MESSAGE: usize = 16 << 20;

/// A broker's address.
pub(crate) struct Address {
    uri: Uri,
    host: String,
    port: u16,
}

impl Address {
    /// Parses `ws://host[:port][/path]`.
    pub(crate) fn parse(url: &str) -> Result<Self, ClientError> {
        let bad = |why: &str| ClientError::Invalid(format!("{why}: {url}"));
        let uri: Uri = url.parse().map_err(|_| bad("not a URL"))?;
        if uri.scheme_str() != Some("ws") {
            return Err(bad("a broker's URL begins with ws://"));
        }
        let authority = uri.authority().ok_or_else(|| bad("a URL needs a host"))?.clone();
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        // What stands behind the host: `authority.port_u16()` would take a bad port for none.
        let behind_user = authority.as_str().rsplit('@').next().unwrap_or_default();
        let port = match behind_user.strip_prefix(authority.host()).and_then(|rest| rest.strip_prefix(':')) {
            Some(port) => port.parse().map_err(|_| bad("a port is a number"))?,
            None => 80,
        };
        let path = match uri.path_and_query().map_or("/", |path| path.as_str()) {
            "/" => PATH,
            path => path,
        };
        let uri = Uri::builder().scheme("ws").authority(authority).path_and_query(path).build();
        Ok(Self { uri: uri.map_err(|_| bad("not a URL"))?, host, port })
    }

    /// For a stream that needs no address.
    pub(crate) fn none() -> Self {
        Self { uri: Uri::from_static(SOME_URL), host: String::new(), port: 0 }
    }

    pub(crate) async fn open(&self) -> Result<TcpStream, ClientError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        // A message is worth more now than in 40 ms together with another.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Begins a session over a stream: everything up to the welcome.
pub(crate) async fn begin<S>(
    address: &Address,
    stream: S,
    options: Options,
) -> Result<(WebSocketStream<S>, Shared), ClientError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    short("the name", options.name.as_deref().unwrap_or_default())?;
    short("the game version", options.game.as_deref().unwrap_or_default())?;
    let request = ClientRequestBuilder::new(address.uri.clone()).with_sub_protocol(options.codec.subprotocol());
    let config = WebSocketConfig::default()
        // Small, because there may be many bots in one process; what is large grows the buffer.
        .read_buffer_size(4096)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let (mut socket, _) = client_async_with_config(request, stream, Some(config)).await?;

    let began = Instant::now();
    let sent = socket.send(encode(options.codec, &hello(&options))?).await;
    let frame = match next_frame(&mut socket, options.codec).await {
        Ok(frame) => frame,
        Err(end) if end.code != close::ABNORMAL => return Err((&end).into()),
        // A broker that declines at once may have gone before hello was written; its reason was looked for first.
        Err(end) => return Err(sent.err().map_or_else(|| (&end).into(), ClientError::from)),
    };
    let welcome = welcome(options.codec, &frame)?;

    let mut clock = Clock::default();
    let now = began.elapsed().as_secs_f64() * 1000.0;
    clock.sample(now, welcome.time, now);
    Ok((socket, Shared::new(options, welcome, clock, began)))
}

fn hello(options: &Options) -> ClientFrame {
    ClientFrame::Hello(Hello {
        client: concat!("parlor-rust/", env!("CARGO_PKG_VERSION")).to_owned(),
        game: options.game.clone(),
        name: options.name.clone(),
        token: options.token.clone(),
    })
}

/// The first frame must be the welcome, or say why there is none.
fn welcome(codec: Codec, frame: &Bytes) -> Result<Welcome, ClientError> {
    match BrokerFrame::decode(codec, frame)? {
        BrokerFrame::Welcome(welcome) => Ok(welcome),
        BrokerFrame::Error { error, .. } => Err(ClientError::Refused(error)),
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
            WsError::Http(response) => Self::Http(response.status().as_u16()),
            error => Self::Protocol(error.to_string()),
        }
    }
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
    fn other_urls_are_refused() {
        for url in ["", "ws://", "wss://host", "http://host", "host:7373", "/ws", "ws://host:99999"] {
            assert_eq!(parsed(url), None, "{url}");
        }
    }
}
