//! Fetching with TLS, from a server whose certificate is trusted, and one whose is not.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::auth::KeysError;
use crate::fetch::{Address, FetchError};

/// Made for this test, for `localhost` and 127.0.0.1, and trusted by nobody else.
const CERTIFICATE: &[u8] = include_bytes!("localhost.pem");
const KEY: &[u8] = include_bytes!("localhost-key.pem");

fn certificate() -> Vec<CertificateDer<'static>> {
    vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()]
}

/// Answers every request with `hello`; gives its port.
async fn server() -> u16 {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let config = config.with_no_client_auth().with_single_cert(certificate(), key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(mut socket) = acceptor.accept(socket).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(socket.read_u8().await.unwrap());
            }
            assert!(head.starts_with(b"GET /keys?of=all HTTP/1.1\r\n"));
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await.unwrap();
            let _ = socket.shutdown().await;
        }
    });
    port
}

async fn get(host: &str, port: u16, roots: Vec<CertificateDer<'static>>) -> Result<Vec<u8>, KeysError> {
    let address = Address::trusting(&format!("https://{host}:{port}/keys?of=all"), || roots)?;
    assert!(!address.is_exposed());
    Ok(address.get(100, Duration::from_secs(10)).await?)
}

#[tokio::test]
async fn the_certificate_must_be_trusted_and_of_that_host() {
    let port = server().await;
    assert_eq!(get("localhost", port, certificate()).await.unwrap(), b"hello");
    assert_eq!(get("127.0.0.1", port, certificate()).await.unwrap(), b"hello");
    assert!(matches!(get("localhost", port, Vec::new()).await, Err(KeysError::NoRoots)));
    let wrong_host = get("127.0.0.2", port, certificate()).await.unwrap_err();
    let error = wrong_host.to_string();
    assert!(matches!(wrong_host, KeysError::Fetch { .. }) && error.lines().count() == 1, "{error}");
    // What this machine trusts does not have our certificate in it.
    let address = Address::parse(&format!("https://localhost:{port}/keys?of=all"));
    if let Ok(address) = address {
        assert!(matches!(address.get(100, Duration::from_secs(10)).await, Err(FetchError::Unreachable { .. })));
    }
}

#[test]
fn plain_addresses_are_exposed_unless_they_are_here() {
    for (text, exposed) in [
        ("http://localhost/x", false),
        ("http://127.0.0.1:8000/x", false),
        ("http://[::1]:8000/x", false),
        ("http://keys.example/x", true),
        ("http://10.0.0.1/x", true),
    ] {
        assert_eq!(Address::parse(text).unwrap().is_exposed(), exposed, "{text}");
    }
    for text in ["", "keys", "ftp://keys.example/", "//keys.example/", "http:///x", "http://a b/"] {
        assert!(matches!(Address::parse(text), Err(FetchError::Address)), "{text}");
    }
}
