//! JSON Web Tokens: which key may have signed one, and what its claims say.
//!
//! The token's own header never decides how it is checked beyond choosing among what is configured: HS256 is checked with the
//! configured secret and nothing else, EdDSA and RS256 with public keys made for just that algorithm, everything else is refused.

use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde_json::{Map, Value};

use super::error::TokenError;
use super::identity::{Identity, Rights};
use super::key_set::KeySet;
use super::{GUEST, MAX_TOKEN_BYTES};
use crate::config::Auth;

/// What tokens must be like.
pub(super) struct Rules {
    /// For HS256.
    secret: Option<DecodingKey>,
    /// Without the algorithm, which is set for each token.
    claims: Validation,
    leeway_s: u64,
    /// Accounts that begin with this are not for tokens to give out.
    reserved: Option<&'static str>,
}

impl Rules {
    pub(super) fn new(config: &Auth) -> Self {
        let mut claims = Validation::new(Algorithm::HS256);
        let mut required = vec!["exp"];
        claims.leeway = config.leeway_s;
        claims.validate_nbf = true;
        // Without a configured audience, the library would refuse all tokens that have one.
        claims.validate_aud = config.audience.is_some();
        if let Some(audience) = &config.audience {
            claims.set_audience(&[audience]);
            required.push("aud");
        }
        if let Some(issuer) = &config.issuer {
            claims.set_issuer(&[issuer]);
            required.push("iss");
        }
        claims.set_required_spec_claims(&required);
        Self {
            secret: config.secret.as_ref().map(|secret| DecodingKey::from_secret(secret.as_bytes())),
            claims,
            leeway_s: config.leeway_s,
            reserved: config.guests.then_some(GUEST),
        }
    }

    /// Checks a token against the secret or these keys. [`TokenError::UnknownKey`] says that newer keys may know it.
    pub(super) fn verify(&self, token: &str, keys: Option<&KeySet>) -> Result<Identity, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLarge);
        }
        // The header's `alg` is an enum without `none`.
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
        if header.crit.is_some() {
            // Extensions that must be understood, and none is.
            return Err(TokenError::Malformed);
        }
        match header.alg {
            Algorithm::HS256 => match &self.secret {
                Some(secret) => self.identity(&self.decode(token, &header, secret)?),
                None => Err(TokenError::Algorithm),
            },
            Algorithm::EdDSA | Algorithm::RS256 => {
                let keys = keys.ok_or(TokenError::Algorithm)?;
                self.identity(&self.decode_by_any(token, &header, keys)?)
            }
            _ => Err(TokenError::Algorithm),
        }
    }

    fn decode_by_any(&self, token: &str, header: &Header, keys: &KeySet) -> Result<Map<String, Value>, TokenError> {
        let candidates = keys.candidates(header.alg, header.kid.as_deref());
        let unnamed = header.kid.is_some() && !candidates.by_id;
        if candidates.keys.is_empty() {
            return Err(if unnamed || !candidates.known { TokenError::UnknownKey } else { TokenError::Algorithm });
        }
        for key in candidates.keys {
            match self.decode(token, header, key) {
                Err(TokenError::Signature) => {}
                decided => return decided,
            }
        }
        Err(if unnamed { TokenError::UnknownKey } else { TokenError::Signature })
    }

    fn decode(&self, token: &str, header: &Header, key: &DecodingKey) -> Result<Map<String, Value>, TokenError> {
        let mut rules = self.claims.clone();
        rules.algorithms = vec![header.alg];
        // The signature comes first, so that nobody learns anything about claims that are not ours.
        jsonwebtoken::decode(token, key, &rules).map(|data| data.claims).map_err(|error| token_error(&error))
    }

    fn identity(&self, claims: &Map<String, Value>) -> Result<Identity, TokenError> {
        let account = claims.get("sub").and_then(Value::as_str).ok_or(TokenError::Claim("sub"))?;
        let expires_s = claims.get("exp").and_then(Value::as_f64).ok_or(TokenError::Claim("exp"))?;
        // The library compares whole seconds, rounded like this, and takes a token through the whole of its last second.
        let expires_s = (expires_s.round() as u64).saturating_add(self.leeway_s);
        let rights = match claims.get("parlor") {
            Some(claim) => Rights::read(claim).ok_or(TokenError::Claim("parlor"))?,
            None => Rights::default(),
        };
        let identity = Identity {
            account: account.to_owned(),
            name: claims.get("name").and_then(Value::as_str).map(str::to_owned),
            expires_ms: Some(expires_s.saturating_mul(1000)),
            rights,
        };
        self.admit(identity)
    }

    /// The last look at an identity, wherever it comes from.
    pub(super) fn admit(&self, identity: Identity) -> Result<Identity, TokenError> {
        identity.admitted(self.reserved).ok_or(TokenError::Claim("sub"))
    }
}

fn token_error(error: &Error) -> TokenError {
    match error.kind() {
        ErrorKind::InvalidSignature => TokenError::Signature,
        ErrorKind::ExpiredSignature => TokenError::Expired,
        ErrorKind::ImmatureSignature => TokenError::Early,
        ErrorKind::InvalidIssuer => TokenError::Issuer,
        ErrorKind::InvalidAudience => TokenError::Audience,
        ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => match claim.as_str() {
            "aud" => TokenError::Audience,
            "iss" => TokenError::Issuer,
            "nbf" => TokenError::Claim("nbf"),
            _ => TokenError::Claim("exp"),
        },
        _ => TokenError::Malformed,
    }
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").field("secret", &self.secret.is_some()).field("claims", &self.claims).finish()
    }
}
