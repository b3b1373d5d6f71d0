//! Tokens as a backend makes them, and its keys.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData};
use serde_json::{Value, json};

pub(crate) const SECRET: &str = "a secret of thirty-two bytes or so";

pub(crate) fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// Claims of an account for an hour, with some of them replaced; null takes one away.
pub(crate) fn claims(account: &str, changes: Value) -> Value {
    let mut claims = json!({"sub": account, "exp": now_s() + 3600});
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

/// Signed with a secret.
pub(crate) fn hs256(claims: &Value, secret: &str) -> String {
    jsonwebtoken::encode(&Header::default(), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

/// A good token, signed with the secret.
pub(crate) fn token(account: &str) -> String {
    token_with(account, json!({}))
}

/// The same with some of its claims replaced.
pub(crate) fn token_with(account: &str, changes: Value) -> String {
    hs256(&claims(account, changes), SECRET)
}

/// A token that ends in so many seconds, or has ended that long ago.
pub(crate) fn token_for(account: &str, seconds: i64) -> String {
    token_with(account, json!({"exp": now_s() + seconds}))
}

/// An Ed25519 key as a backend has it.
pub(crate) struct Pair {
    signing: EncodingKey,
    pub(crate) pem: String,
    public: Vec<u8>,
}

impl Pair {
    pub(crate) fn generate() -> Self {
        let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let signing = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).unwrap();
        Self { signing, pem: pair.public_key_pem(), public: pair.der_bytes().to_vec() }
    }

    pub(crate) fn sign(&self, kid: Option<&str>, claims: &Value) -> String {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &self.signing).unwrap()
    }

    /// The public key under an id.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": URL_SAFE_NO_PAD.encode(&self.public)})
    }
}

/// A file that goes away with the test.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("parlor-identity-{}-{name}", std::process::id()));
        let file = Self(path);
        file.write(text);
        file
    }

    pub(crate) fn write(&self, text: &str) {
        std::fs::write(&self.0, text).unwrap();
    }

    pub(crate) fn path(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
