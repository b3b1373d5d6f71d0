//! One small document by HTTP or HTTPS, with a deadline and a bound. Nothing is followed, kept open or cached.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::error::KeysError;

/// Where a document is.
#[derive(Clone)]
pub(super) struct Address {
    uri: Uri,
    host: String,
    port: u16,
    /// For https.
    tls: Option<TlsConnector>,
}

impl Address {
    /// Takes `http://…` and `https://…`; the latter with the certificates that this machine trusts.
    pub(super) fn parse(text: &str) -> Result<Self, KeysError> {
        Self::trusting(text, || rustls_native_certs::load_native_certs().certs)
    }

    /// The same with other certificates to trust.
    pub(super) fn trusting(
        text: &str,
        roots: impl FnOnce() -> Vec<CertificateDer<'static>>,
    ) -> Result<Self, KeysError> {
        let uri: Uri = text.parse().map_err(|_| KeysError::Address)?;
        let secure = uri.scheme_str() == Some("https");
        let authority = uri.authority().ok_or(KeysError::Address)?;
        if !secure && uri.scheme_str() != Some("http") || authority.as_str().contains('@') {
            return Err(KeysError::Address);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tls = secure.then(|| connector(roots())).transpose()?;
        Ok(Self { host, port, tls, uri })
    }

    /// Whether somebody on the way could put their own keys in place of ours.
    pub(super) fn is_exposed(&self) -> bool {
        let local = self.host == "localhost" || self.host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        self.tls.is_none() && !local
    }

    /// Gets the document, at most `limit` bytes of it, within `deadline`.
    pub(super) async fn get(&self, limit: usize, deadline: Duration) -> Result<Vec<u8>, KeysError> {
        let answer = tokio::time::timeout(deadline, self.connect_and_get(limit)).await;
        match answer.unwrap_or_else(|_| Err(format!("no answer within {} s", deadline.as_secs_f32()).into())) {
            Ok(bytes) => Ok(bytes),
            Err(error) if error.is::<LengthLimitError>() => Err(KeysError::TooLarge),
            Err(error) => {
                Err(KeysError::Fetch { address: self.to_string(), why: error.to_string().replace('\n', " ") })
            }
        }
    }

    async fn connect_and_get(&self, limit: usize) -> Result<Vec<u8>, Problem> {
        let socket = TcpStream::connect((self.host.as_str(), self.port)).await?;
        match &self.tls {
            Some(tls) => {
                let name = ServerName::try_from(self.host.clone())?;
                self.exchange(tls.connect(name, socket).await?, limit).await
            }
            None => self.exchange(socket, limit).await,
        }
    }

    async fn exchange<S>(&self, socket: S, limit: usize) -> Result<Vec<u8>, Problem>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
        let request = Request::get(self.uri.path_and_query().map_or("/", |path| path.as_str()))
            .header(HOST, self.uri.authority().map_or("", |authority| authority.as_str()))
            .header(ACCEPT, "application/jwk-set+json, application/json")
            .header(USER_AGENT, concat!("parlor/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close")
            .body(Empty::<&[u8]>::new())?;
        let answer = async {
            let response = client.send_request(request).await?;
            if response.status() != StatusCode::OK {
                return Err(Problem::from(format!("the answer is {}", response.status())));
            }
            Ok(Limited::new(response.into_body(), limit).collect().await?.to_bytes().to_vec())
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
}

type Problem = Box<dyn std::error::Error + Send + Sync>;

/// TLS by aws-lc, said here and not left to a default of the process, which others may have set.
fn connector(roots: Vec<CertificateDer<'static>>) -> Result<TlsConnector, KeysError> {
    let mut store = RootCertStore::empty();
    let (usable, _) = store.add_parsable_certificates(roots);
    if usable == 0 {
        return Err(KeysError::NoRoots);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|_| KeysError::NoRoots)?.with_root_certificates(store).with_no_client_auth();
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
