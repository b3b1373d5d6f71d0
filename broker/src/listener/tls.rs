//! TLS: the certificate, read again when its files change, and the handshake.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio::time::MissedTickBehavior;
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

use crate::config;
use crate::session::{Movable, Tls};
use crate::telemetry::Metrics;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Bytes that rustls may hold for a client that does not read, about one TLS record: the rest is to wait in the outbox, where it is
/// counted.
const HELD: usize = 16 << 10;

/// What makes TLS connections of TCP connections.
#[derive(Clone)]
pub(crate) struct Handshakes {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
}

/// The certificate that new connections are shown.
#[derive(Debug)]
struct Certificate {
    files: Files,
    current: RwLock<Arc<CertifiedKey>>,
    provider: Arc<CryptoProvider>,
}

#[derive(Clone, Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// What the files say.
struct Pem {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Handshakes {
    /// Reads the files that the configuration names; `None` when it names none. The error is one line.
    pub(crate) fn new(config: &config::Tls) -> Result<Option<(Self, Watch)>, String> {
        let files = match (&config.certificate, &config.key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => Files { certificate: certificate.clone(), key: key.clone() },
            _ => return Err("`certificate` and `key` go together".to_owned()),
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let pem = files.read()?;
        let watch = |certificate: &Arc<Certificate>| Watch::new(certificate.clone(), &pem);
        let current = RwLock::new(Arc::new(files.certified(&pem, &provider)?));
        let certificate = Arc::new(Certificate { files, current, provider: provider.clone() });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_cert_resolver(certificate.clone());
        // WebSocket begins with HTTP/1.1, and nothing else is spoken here.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let watch = watch(&certificate);
        Ok(Some((Self { acceptor: Arc::new(config).into(), certificate }, watch)))
    }

    /// The server's part of a handshake. Whoever calls bounds its time.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<Tls> {
        let handshake = self.acceptor.accept_with(Movable::new(stream), |session| session.set_buffer_limit(Some(HELD)));
        handshake.await.map(Tls::new)
    }
}

impl std::fmt::Debug for Handshakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handshakes").field("files", &self.certificate.files).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().clone())
    }
}

impl Files {
    fn read(&self) -> Result<Pem, String> {
        let read =
            |path: &Path| std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()));
        Ok(Pem { certificate: read(&self.certificate)?, key: read(&self.key)? })
    }

    /// A certificate that can be used, with the key that belongs to it.
    fn certified(&self, pem: &Pem, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
        let bad = |path: &Path, why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem.certificate).collect();
        let chain = chain.map_err(|error| bad(&self.certificate, &error))?;
        if chain.is_empty() {
            return Err(bad(&self.certificate, &"no certificate in PEM format"));
        }
        let key = PrivateKeyDer::from_pem_slice(&pem.key).map_err(|error| bad(&self.key, &error))?;
        CertifiedKey::from_der(chain, key, provider).map_err(|error| bad(&self.certificate, &error))
    }
}

/// Looks at the files now and then, and takes over what has changed. What cannot be used is reported once, and what was there stays.
pub(crate) struct Watch {
    certificate: Arc<Certificate>,
    /// Of the contents that were last seen: the time of a file may stay the same when it changes twice in a moment.
    seen: u64,
    hasher: RandomState,
}

impl Watch {
    fn new(certificate: Arc<Certificate>, pem: &Pem) -> Self {
        let hasher = RandomState::new();
        Self { certificate, seen: pem.digest(&hasher), hasher }
    }

    /// Watches until dropped.
    pub(crate) async fn run(mut self, metrics: Metrics) {
        let mut pace = tokio::time::interval(LOOK);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            let files = self.certificate.files.clone();
            let Ok(read) = tokio::task::spawn_blocking(move || files.read()).await else { return };
            match self.take(read) {
                None => {}
                Some(Ok(())) => {
                    info!(file = %self.certificate.files.certificate.display(), "certificate replaced");
                    metrics.certificates_loaded.inc();
                }
                Some(Err(why)) => {
                    warn!(%why, "certificate not replaced, the old one is still in use");
                    metrics.certificates_failed.inc();
                }
            }
        }
    }

    /// Takes over what the files say; `None` when that is nothing new.
    fn take(&mut self, read: Result<Pem, String>) -> Option<Result<(), String>> {
        let seen = match &read {
            Ok(pem) => pem.digest(&self.hasher),
            Err(why) => self.hasher.hash_one(why),
        };
        if seen == std::mem::replace(&mut self.seen, seen) {
            return None;
        }
        let Certificate { files, provider, current } = &*self.certificate;
        Some(read.and_then(|pem| files.certified(&pem, provider)).map(|new| *current.write() = Arc::new(new)))
    }
}

impl Pem {
    fn digest(&self, hasher: &RandomState) -> u64 {
        hasher.hash_one((&self.certificate, &self.key))
    }
}
