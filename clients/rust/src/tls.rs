//! TLS for `wss://` URLs.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::ClientError;
use crate::options::Options;
use crate::socket::Address;

/// Whom to trust. Read once, for all connections of a client.
pub(crate) struct Tls(TlsConnector);

impl Tls {
    pub(crate) fn new(options: &Options) -> Result<Self, ClientError> {
        let invalid = |error: &dyn std::fmt::Display| ClientError::Invalid(error.to_string());
        let mut roots = RootCertStore::empty();
        // Single certificates of the system may be unreadable; without any, nobody is trusted and connecting says so.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for pem in &options.roots {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                roots.add(certificate.map_err(|error| invalid(&error))?).map_err(|error| invalid(&error))?;
            }
        }
        // Named rather than the process's default, which an application may have left open.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    pub(crate) async fn secure(
        &self,
        address: &Address,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, ClientError> {
        let name = ServerName::try_from(address.host().to_owned())
            .map_err(|_| ClientError::Invalid(format!("no name for a certificate: {}", address.host())))?;
        Ok(self.0.connect(name, stream).await?)
    }
}
