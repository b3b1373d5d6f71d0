//! One request by HTTP or HTTPS, with a deadline and a bound on its answer. Nothing is followed, kept open or cached.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
pub use hyper::{Method, StatusCode};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// More than was asked for.
    #[error("the answer is larger than it may be")]
    TooLarge,
    /// The address is none.
    #[error("not an address of the form https://host/path")]
    Address,
    /// Nobody is there, or does not answer as they should.
    #[error("cannot fetch {address}: {why}")]
    Unreachable {
        /// Where, without its query.
        address: String,
        /// What happened, in one line.
        why: String,
    },
    /// Certificates to trust are needed for https.
    #[error("this machine has no certificates to trust (https needs them)")]
    NoRoots,
}

/// What is asked of a server besides to get something.
#[derive(Clone, Default)]
pub struct Asked {
    /// GET unless it is said.
    pub method: Method,
    /// A key to show.
    pub key: Option<String>,
    /// JSON to send.
    pub body: Option<String>,
}

impl std::fmt::Debug for Asked {
    /// Without the key, and what may be secret in the body.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").field("method", &self.method).finish_non_exhaustive()
    }
}

/// Where something is.
#[derive(Clone)]
pub struct Address {
    uri: Uri,
    host: String,
    port: u16,
    /// For https.
    tls: Option<TlsConnector>,
}

impl Address {
    /// Takes `http://…` and `https://…`; the latter with the certificates that this machine trusts.
    pub fn parse(text: &str) -> Result<Self, FetchError> {
        Self::trusting(text, || rustls_native_certs::load_native_certs().certs)
    }

    /// The same with other certificates to trust.
    pub fn trusting(text: &str, roots: impl FnOnce() -> Vec<CertificateDer<'static>>) -> Result<Self, FetchError> {
        let uri: Uri = text.parse().map_err(|_| FetchError::Address)?;
        let secure = uri.scheme_str() == Some("https");
        let authority = uri.authority().ok_or(FetchError::Address)?;
        if !secure && uri.scheme_str() != Some("http") || authority.as_str().contains('@') {
            return Err(FetchError::Address);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tls = secure.then(|| connector(roots())).transpose()?;
        Ok(Self { host, port, tls, uri })
    }

    /// Another path at the same place.
    ///
    /// # Errors
    /// When it is no path.
    pub fn at(&self, path: &str) -> Result<Self, FetchError> {
        let mut parts = self.uri.clone().into_parts();
        parts.path_and_query = Some(path.parse().map_err(|_| FetchError::Address)?);
        let uri = Uri::from_parts(parts).map_err(|_| FetchError::Address)?;
        Ok(Self { uri, ..self.clone() })
    }

    /// Whether it names no more than a server.
    pub fn is_root(&self) -> bool {
        self.uri.path_and_query().is_none_or(|path| path == "/")
    }

    /// Whether somebody on the way could put their own keys in place of ours.
    pub fn is_exposed(&self) -> bool {
        let local = self.host == "localhost" || self.host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        self.tls.is_none() && !local
    }

    /// Gets a document, at most `limit` bytes of it, within `deadline`.
    pub async fn get(&self, limit: usize, deadline: Duration) -> Result<Vec<u8>, FetchError> {
        match self.ask(&Asked::default(), limit, deadline).await? {
            (StatusCode::OK, body) => Ok(body),
            (status, _) => Err(self.unreachable(&format!("the answer is {status}"))),
        }
    }

    /// Asks for something, and gets an answer, of at most `limit` bytes, within `deadline`.
    pub async fn ask(
        &self,
        asked: &Asked,
        limit: usize,
        deadline: Duration,
    ) -> Result<(StatusCode, Vec<u8>), FetchError> {
        let answer = tokio::time::timeout(deadline, self.connect_and_ask(asked, limit)).await;
        match answer.unwrap_or_else(|_| Err(format!("no answer within {} s", deadline.as_secs_f32()).into())) {
            Ok(answer) => Ok(answer),
            Err(error) if error.is::<LengthLimitError>() => Err(FetchError::TooLarge),
            Err(error) => Err(self.unreachable(&error.to_string())),
        }
    }

    fn unreachable(&self, why: &str) -> FetchError {
        FetchError::Unreachable { address: self.to_string(), why: why.replace('\n', " ") }
    }

    async fn connect_and_ask(&self, asked: &Asked, limit: usize) -> Result<(StatusCode, Vec<u8>), Problem> {
        let socket = TcpStream::connect((self.host.as_str(), self.port)).await?;
        match &self.tls {
            Some(tls) => {
                let name = ServerName::try_from(self.host.clone())?;
                self.exchange(tls.connect(name, socket).await?, asked, limit).await
            }
            None => self.exchange(socket, asked, limit).await,
        }
    }

    async fn exchange<S>(&self, socket: S, asked: &Asked, limit: usize) -> Result<(StatusCode, Vec<u8>), Problem>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
        let request = self.request(asked)?;
        let answer = async {
            let response = client.send_request(request).await?;
            let status = response.status();
            Ok((status, Limited::new(response.into_body(), limit).collect().await?.to_bytes().to_vec()))
        };
        // The connection is driven here and not by a task of its own, so that it ends with the deadline.
        let driven = async {
            let _ = connection.await;
            std::future::pending().await
        };
        tokio::select! {
            answer = answer => answer,
            never = driven => never,
        }
    }

    fn request(&self, asked: &Asked) -> Result<Request<Full<Bytes>>, Problem> {
        let mut request = Request::builder()
            .method(&asked.method)
            .uri(self.uri.path_and_query().map_or("/", |path| path.as_str()))
            .header(HOST, self.uri.authority().map_or("", |authority| authority.as_str()))
            .header(ACCEPT, "application/jwk-set+json, application/json")
            .header(USER_AGENT, concat!("parlor/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close");
        if let Some(key) = &asked.key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        if asked.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        Ok(request.body(asked.body.clone().unwrap_or_default().into_bytes().into())?)
    }
}

type Problem = Box<dyn std::error::Error + Send + Sync>;

/// TLS by aws-lc, said here and not left to a default of the process, which others may have set.
fn connector(roots: Vec<CertificateDer<'static>>) -> Result<TlsConnector, FetchError> {
    let mut store = RootCertStore::empty();
    let (usable, _) = store.add_parsable_certificates(roots);
    if usable == 0 {
        return Err(FetchError::NoRoots);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|_| FetchError::NoRoots)?.with_root_certificates(store).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Without the query, in which some services put a secret.
impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        write!(f, "{scheme}://{authority}{}", self.uri.path())
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}
