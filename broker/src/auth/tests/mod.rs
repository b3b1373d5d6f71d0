//! Tokens as real backends make them, keys made on the spot, and a server that gives them out.

mod hook;
mod https;
mod sources;
mod tokens;

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RsaKeyPair};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use parking_lot::Mutex;
use parlor_protocol::{ErrorCode, Failure};
use serde_json::{Value, json};

use super::{AuthError, Authenticator, Identity};
use crate::config::Auth;

const SECRET: &str = "a secret of thirty-two bytes or so";

/// A pair of keys as a backend has them.
struct Pair {
    algorithm: Algorithm,
    signing: EncodingKey,
    /// The public key.
    pem: String,
    jwk: Value,
}

/// Making one takes long enough to make only one.
static RSA: LazyLock<Pair> = LazyLock::new(|| {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let parts = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
    Pair {
        algorithm: Algorithm::RS256,
        signing: EncodingKey::from_rsa_pem(pem("PRIVATE KEY", private.as_ref()).as_bytes()).unwrap(),
        pem: pem("PUBLIC KEY", public.as_ref()),
        jwk: json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(&parts.n), "e": URL_SAFE_NO_PAD.encode(&parts.e)}),
    }
});

fn ed25519() -> Pair {
    let pair = Ed25519KeyPair::generate().unwrap();
    let public = pair.public_key().as_ref();
    // What RFC 8410 puts before the 32 bytes.
    let prefix = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
    Pair {
        algorithm: Algorithm::EdDSA,
        signing: EncodingKey::from_ed_der(pair.to_pkcs8().unwrap().as_ref()),
        pem: pem("PUBLIC KEY", &[&prefix, public].concat()),
        jwk: json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(public)}),
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

impl Pair {
    fn sign(&self, kid: Option<&str>, claims: &Value) -> String {
        sign(self.algorithm, kid, claims, &self.signing)
    }

    /// The public key under an id.
    fn named(&self, kid: &str) -> Value {
        let mut jwk = self.jwk.clone();
        jwk["kid"] = kid.into();
        jwk
    }
}

fn sign(algorithm: Algorithm, kid: Option<&str>, claims: &Value, key: &EncodingKey) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

/// Signed with the secret.
fn hs256(claims: &Value) -> String {
    sign(Algorithm::HS256, None, claims, &EncodingKey::from_secret(SECRET.as_bytes()))
}

fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// Good claims for an hour, with some of them replaced; null takes one away.
fn claims(changes: Value) -> Value {
    let mut claims = json!({"sub": "ann", "exp": now_s() + 3600});
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn with_secret() -> Auth {
    Auth { secret: Some(SECRET.into()), ..Auth::default() }
}

async fn start(config: &Auth) -> Result<Authenticator, AuthError> {
    Authenticator::start(config, None).await
}

/// A file that goes away with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("parlor-auth-{:016x}", rand::random::<u64>()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn config(&self) -> Auth {
        Auth { keys: Some(self.0.to_str().unwrap().into()), ..Auth::default() }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A server that gives out whatever it is told to.
struct Server {
    url: String,
    answer: Arc<Mutex<Answer>>,
}

#[derive(Default)]
struct Answer {
    status: StatusCode,
    body: String,
    /// Says nothing at all.
    silent: bool,
    /// How often it was asked.
    asked: u32,
}

impl Server {
    async fn start(keys: &[Value]) -> Self {
        let answer = Arc::new(Mutex::new(Answer { body: set(keys), ..Answer::default() }));
        let shared = answer.clone();
        let give = get(async move || {
            let (silent, answer) = {
                let mut answer = shared.lock();
                answer.asked += 1;
                (answer.silent, (answer.status, answer.body.clone()))
            };
            if silent {
                std::future::pending::<()>().await;
            }
            answer
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/jwks.json", give)).await });
        Self { url, answer }
    }

    fn give(&self, keys: &[Value]) {
        *self.answer.lock() = Answer { body: set(keys), asked: self.asked(), ..Answer::default() };
    }

    fn asked(&self) -> u32 {
        self.answer.lock().asked
    }

    fn config(&self) -> Auth {
        Auth { keys: Some(self.url.clone()), ..Auth::default() }
    }
}

fn set(keys: &[Value]) -> String {
    json!({"keys": keys}).to_string()
}

#[track_caller]
fn is(code: ErrorCode, refused: &Result<Identity, Failure>) {
    let found = refused.as_ref().map_err(|failure| failure.code.as_ref());
    assert_eq!(found.map(|identity| &identity.account), Err(code.as_str()));
}
