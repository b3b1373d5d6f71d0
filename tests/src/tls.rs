//! Certificates made for a test, and clients that trust them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use parlor::broker::config::Tls;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The server's name in all certificates here.
pub const NAME: &str = "game.example";

/// A certificate that has signed itself.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate's file.
    pub certificate: String,
    /// The key's file.
    pub key: String,
    der: CertificateDer<'static>,
}

impl Certificate {
    /// Another one every time.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn generate() -> Self {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
        Self { certificate: made.cert.pem(), key: made.signing_key.serialize_pem(), der: made.cert.der().clone() }
    }

    /// A client that trusts nothing else.
    pub fn client(&self) -> Client {
        Client { trusted: self.der.clone(), versions: rustls::ALL_VERSIONS, alpn: &[], receive_buffer: None }
    }
}

/// Where a broker reads its certificate. The folder is removed when this is dropped.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
}

impl Files {
    /// Files of a test with this name.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn new(test: &str, holds: &Certificate) -> Self {
        let folder = std::env::temp_dir().join(format!("parlor-tls-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the test");
        let files = Self { folder };
        files.write(&holds.certificate, &holds.key);
        files
    }

    /// Replaces both files, each at once, as a well-behaved tool does.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn write(&self, certificate: &str, key: &str) {
        for (name, text) in [("chain.pem", certificate), ("key.pem", key)] {
            let aside = self.folder.join(format!("{name}.new"));
            std::fs::write(&aside, text).expect("a file for the test");
            std::fs::rename(&aside, self.folder.join(name)).expect("a file for the test");
        }
    }

    /// As the configuration names them.
    pub fn config(&self) -> Tls {
        Tls { certificate: Some(self.folder.join("chain.pem")), key: Some(self.folder.join("key.pem")) }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // What is left in a temporary folder harms nobody.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// How a client connects.
#[derive(Clone, Debug)]
pub struct Client {
    /// The one certificate that it trusts.
    pub trusted: CertificateDer<'static>,
    /// TLS versions that it speaks.
    pub versions: &'static [&'static SupportedProtocolVersion],
    /// Protocols that it offers.
    pub alpn: &'static [&'static str],
    /// A small one makes a reader who stalls felt at once.
    pub receive_buffer: Option<u32>,
}

impl Client {
    /// A connection with the handshake done.
    ///
    /// # Errors
    /// When one of the two does not like the other.
    ///
    /// # Panics
    /// When nobody listens.
    pub async fn connect(&self, server: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let socket = TcpSocket::new_v4().expect("a socket");
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes).expect("a buffer");
        }
        let stream = socket.connect(server).await.expect("the server listens");
        let name = ServerName::try_from(NAME).expect("a name");
        TlsConnector::from(Arc::new(self.config())).connect(name, stream).await
    }

    fn config(&self) -> ClientConfig {
        let provider: Arc<CryptoProvider> = aws_lc_rs::default_provider().into();
        let mut roots = RootCertStore::empty();
        roots.add(self.trusted.clone()).expect("a certificate");
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(self.versions);
        let mut config = config.expect("known versions").with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}
