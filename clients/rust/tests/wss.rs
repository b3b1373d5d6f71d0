//! `wss://`: whom a client trusts, and that it comes back over TLS.
#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod fake;

use std::sync::Arc;

use fake::{Fake, assert_code, kept_welcome, quiet, wish};
use parlor_client::Parlor;
use parlor_protocol::BrokerFrame;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

// Good for `localhost` alone; the authority's own key is not kept anywhere.
const AUTHORITY: &str = include_str!("tls/authority.pem");
const CERTIFICATE: &[u8] = include_bytes!("tls/localhost.pem");
const KEY: &[u8] = include_bytes!("tls/localhost.key");

fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::from_pem_slice(KEY).unwrap())
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn accept(listener: &TcpListener) -> Fake<TlsStream<TcpStream>> {
    let (stream, _) = listener.accept().await.unwrap();
    Fake::accept(acceptor().accept(stream).await.unwrap()).await
}

#[tokio::test]
async fn a_client_comes_back_over_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}", listener.local_addr().unwrap().port());
    let (parlor, fake) = tokio::join!(Parlor::connect(&url, quiet().root_certificate(AUTHORITY)), async {
        let mut fake = accept(&listener).await;
        fake.hello().await;
        fake.say(BrokerFrame::Welcome(Box::new(kept_welcome("t1")))).await;
        fake
    });
    let _parlor = parlor.unwrap();
    drop(fake);
    let mut fake = accept(&listener).await;
    assert_eq!(fake.hello().await.resume, Some(wish("t1", 0)));
    fake.resumed("t2", 0, 0, 0).await;
}

#[tokio::test]
async fn strangers_are_not_trusted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let trusting = quiet().root_certificate(AUTHORITY);
    for (host, options) in [("localhost", quiet()), ("127.0.0.1", trusting)] {
        let url = format!("wss://{host}:{port}");
        let (parlor, _) = tokio::join!(Parlor::connect(&url, options), async {
            let (stream, _) = listener.accept().await.unwrap();
            acceptor().accept(stream).await.is_err()
        });
        assert_code(parlor, "io");
    }
    let nonsense = quiet().root_certificate("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_code(Parlor::connect(&format!("wss://localhost:{port}"), nonsense).await, "invalid");
}
