//! Where streams to the broker come from: a URL, a function of the caller's, or one stream that is there already.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::ClientError;
use crate::options::Options;
use crate::socket::Address;

/// Makes streams, as often as it is asked to.
pub(crate) trait Connector: Send + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Whether a lost stream can be followed by another.
    const AGAIN: bool = true;

    fn connect(&mut self) -> impl Future<Output = Result<Self::Stream, ClientError>> + Send;

    /// The address to name in the WebSocket handshake.
    fn address(&self) -> Address {
        Address::none()
    }
}

/// A stream of any kind, for those whose kind is known only when the URL is read.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

/// The sockets of a URL.
pub(crate) struct ByUrl {
    pub(crate) address: Address,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<crate::tls::Tls>,
}

impl ByUrl {
    pub(crate) fn new(url: &str, options: &Options) -> Result<Self, ClientError> {
        let address = Address::parse(url)?;
        #[cfg(feature = "tls")]
        let tls = address.is_secure().then(|| crate::tls::Tls::new(options)).transpose()?;
        #[cfg(not(feature = "tls"))]
        let _ = options;
        Ok(Self {
            address,
            #[cfg(feature = "tls")]
            tls,
        })
    }
}

impl Connector for ByUrl {
    type Stream = Box<dyn Duplex>;

    async fn connect(&mut self) -> Result<Self::Stream, ClientError> {
        let stream = self.address.open().await?;
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return Ok(Box::new(tls.secure(&self.address, stream).await?));
        }
        Ok(Box::new(stream))
    }

    fn address(&self) -> Address {
        self.address.clone()
    }
}

/// The streams of a function.
pub(crate) struct By<C>(pub(crate) C);

impl<C, F, S> Connector for By<C>
where
    C: FnMut() -> F + Send + 'static,
    F: Future<Output = io::Result<S>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = S;

    async fn connect(&mut self) -> Result<S, ClientError> {
        Ok((self.0)().await?)
    }
}

/// One stream, and never another.
pub(crate) struct Only<S>(pub(crate) Option<S>);

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Connector for Only<S> {
    type Stream = S;

    const AGAIN: bool = false;

    async fn connect(&mut self) -> Result<S, ClientError> {
        self.0.take().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected).into())
    }
}
