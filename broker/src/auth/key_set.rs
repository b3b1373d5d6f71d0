//! Public keys that tokens may be signed with: read from PEM or a JSON Web Key Set, chosen by algorithm and key id.

use std::ops::RangeInclusive;

use aws_lc_rs::signature::{ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use serde::Deserialize;

use super::error::KeysError;

/// A token that names no key is tried with all, so there is an end to them.
const MAX_KEYS: usize = 32;
/// 2048 to 8192 bits, as the library demands when a signature is checked.
const RSA_BYTES: RangeInclusive<usize> = 256..=1024;

/// The keys of one file or address.
#[derive(Debug)]
pub(super) struct KeySet(Vec<PublicKey>);

/// Made for one algorithm and never used with another, least of all as a secret.
struct PublicKey {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// The keys that a token may be signed with.
#[derive(Debug)]
pub(super) struct Candidates<'a> {
    /// In the order in which to try them.
    pub(super) keys: Vec<&'a DecodingKey>,
    /// Whether they are what the token asks for by id, or all that there are.
    pub(super) by_id: bool,
    /// Whether there are such keys, for whatever algorithm.
    pub(super) known: bool,
}

impl KeySet {
    /// Reads a PEM file with one public key, or a JWKS.
    pub(super) fn parse(text: &str) -> Result<Self, KeysError> {
        let keys = if text.trim_start().starts_with('{') { json(text)? } else { vec![pem(text)?] };
        if keys.is_empty() { Err(KeysError::NoneUsable) } else { Ok(Self(keys)) }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The keys that have this id; keys without one if there are none such, or all if the token names none.
    pub(super) fn candidates(&self, algorithm: Algorithm, id: Option<&str>) -> Candidates<'_> {
        let by_id = id.is_some() && self.0.iter().any(|key| key.id.as_deref() == id);
        let wanted = |key: &&PublicKey| match id {
            Some(_) if by_id => key.id.as_deref() == id,
            Some(_) => key.id.is_none(),
            None => true,
        };
        let keys: Vec<_> = self.0.iter().filter(wanted).collect();
        let known = !keys.is_empty();
        Candidates {
            keys: keys.iter().filter(|key| key.algorithm == algorithm).map(|key| &key.key).collect(),
            by_id,
            known,
        }
    }
}

fn pem(text: &str) -> Result<PublicKey, KeysError> {
    // Certificates are not taken: what is in one (names, an end) would go unheeded.
    match text.split_once("-----BEGIN ").and_then(|(_, rest)| rest.split_once("-----")) {
        Some(("PUBLIC KEY" | "RSA PUBLIC KEY", _)) => {}
        Some((label, _)) if label.ends_with("PRIVATE KEY") => return Err(KeysError::Private),
        _ => return Err(KeysError::Format),
    }
    let text = text.as_bytes();
    let (algorithm, key) = match DecodingKey::from_ed_pem(text) {
        Ok(key) => (Algorithm::EdDSA, key),
        Err(_) => (Algorithm::RS256, DecodingKey::from_rsa_pem(text).map_err(|_| KeysError::NoneUsable)?),
    };
    let key = PublicKey { id: None, algorithm, key };
    if key.is_usable() { Ok(key) } else { Err(KeysError::NoneUsable) }
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<serde_json::Value>,
}

/// Keys of a set that are not for us (for encryption, on other curves, yet to be invented) are passed over.
fn json(text: &str) -> Result<Vec<PublicKey>, KeysError> {
    let set: Jwks = serde_json::from_str(text).map_err(|_| KeysError::Format)?;
    let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
    Ok(keys.filter_map(|key: Jwk| jwk(&key)).take(MAX_KEYS).collect())
}

fn jwk(jwk: &Jwk) -> Option<PublicKey> {
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        // A secret (`oct`) has no place in a public set, and whoever wrote it there may be anybody.
        _ => return None,
    };
    let common = &jwk.common;
    let for_signatures = common.public_key_use.as_ref().is_none_or(|for_| *for_ == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify))
        && common.key_algorithm.is_none_or(|named| named == KeyAlgorithm::from(algorithm));
    let key = PublicKey { id: common.key_id.clone(), algorithm, key: DecodingKey::from_jwk(jwk).ok()? };
    (for_signatures && key.is_usable()).then_some(key)
}

impl PublicKey {
    /// Whether signatures can be checked with it: it is well-formed, and long enough.
    fn is_usable(&self) -> bool {
        match (self.algorithm, self.key.kind()) {
            (Algorithm::EdDSA, DecodingKeyKind::SecretOrDer(bytes)) => {
                bytes.len() == 32 && ParsedPublicKey::new(&ED25519, bytes).is_ok()
            }
            (Algorithm::RS256, DecodingKeyKind::SecretOrDer(der)) => {
                aws_lc_rs::rsa::PublicKey::from_der(der).is_ok_and(|key| RSA_BYTES.contains(&key.modulus_len()))
            }
            (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                let zeros = n.iter().take_while(|byte| **byte == 0).count();
                let components = RsaPublicKeyComponents { n: &n[zeros..], e: &e[..] };
                RSA_BYTES.contains(&(n.len() - zeros))
                    && components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).is_ok()
            }
            _ => false,
        }
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicKey").field("id", &self.id).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}
