//! What can be wrong with a token or with the settings, and the one place where it becomes what a client is told.

use std::path::PathBuf;

use parlor_protocol::{ErrorCode, Failure};

use crate::fetch::FetchError;

/// Why a token is not accepted. The texts are for the log; neither has anything of the token itself in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenError {
    #[error("tokens are not accepted here: neither a secret nor keys are configured")]
    NotAccepted,
    #[error("it is too large")]
    TooLarge,
    #[error("it is no JSON Web Token")]
    Malformed,
    #[error("it is signed in a way that is not accepted here")]
    Algorithm,
    #[error("it is signed with a key that is not known here")]
    UnknownKey,
    #[error("its signature is not right")]
    Signature,
    #[error("its key is not known here, and the keys could not be fetched")]
    NoKeys,
    #[error("the game's own check gave no answer")]
    NoAnswer,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    Early,
    #[error("its issuer is another")]
    Issuer,
    #[error("it is meant for another audience")]
    Audience,
    #[error("its claim `{0}` is missing or not as it should be")]
    Claim(&'static str),
}

/// Before the signature is known to be right, a client learns nothing but that the token is no good; afterwards it is told what a
/// developer needs, since then the token is one of ours.
impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        let invalid = Self::from(ErrorCode::TokenInvalid);
        match error {
            TokenError::NotAccepted => ErrorCode::AuthUnavailable.into(),
            TokenError::NoKeys | TokenError::NoAnswer => {
                let text = "the token cannot be checked at present: try again later";
                Self::from(ErrorCode::AuthUnavailable).because(text).retry()
            }
            TokenError::Expired => ErrorCode::TokenExpired.into(),
            TokenError::TooLarge => invalid.because("the token is too large").with("limit", super::MAX_TOKEN_BYTES),
            TokenError::Malformed | TokenError::Algorithm | TokenError::UnknownKey | TokenError::Signature => invalid,
            TokenError::Early => invalid.because("the token is not valid yet"),
            TokenError::Issuer => invalid.because("the token is from another issuer"),
            TokenError::Audience => invalid.because("the token is meant for another audience"),
            TokenError::Claim(claim) => {
                let text = format!("the token's claim `{claim}` is missing or not as it should be");
                invalid.because(text).with("claim", claim)
            }
        }
    }
}

/// Why the broker cannot start with these settings. Each is one line.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// A secret that could be guessed.
    #[error("`{0}` has fewer than {min} bytes", min = super::MIN_SECRET_BYTES)]
    ShortSecret(&'static str),
    /// More than clocks differ.
    #[error("`auth.leeway_s` is more than {max}", max = super::MAX_LEEWAY_S)]
    Leeway,
    /// Two ways at once.
    #[error("the program checks tokens by itself: remove `auth.secret`, `auth.keys` and `auth.url`, or its own check")]
    TwoWays,
    /// A restriction on tokens that nothing would look at.
    #[error("`auth.issuer` and `auth.audience` need `auth.secret` or `auth.keys`")]
    NothingToRestrict,
    /// The keys cannot be had, or are none.
    #[error("`auth.keys`: {0}")]
    Keys(#[from] KeysError),
    /// Nobody can be asked there.
    #[error("`auth.url`: {0}")]
    Url(FetchError),
    /// The operating system has no randomness to give.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

impl From<FetchError> for KeysError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::TooLarge => Self::TooLarge,
            FetchError::Address => Self::Address,
            FetchError::NoRoots => Self::NoRoots,
            FetchError::Unreachable { address, why } => Self::Fetch { address, why },
        }
    }
}

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be read.
    #[error("cannot read {0}: {1}")]
    File(PathBuf, std::io::Error),
    /// More than keys need.
    #[error("more than {max} bytes", max = super::MAX_KEYS_BYTES)]
    TooLarge,
    /// The address is none that keys can be fetched from.
    #[error("not an address of the form https://host/path")]
    Address,
    /// The server does not answer as it should.
    #[error("cannot fetch {address}: {why}")]
    Fetch {
        /// Where they are, without its query.
        address: String,
        /// What happened, in one line.
        why: String,
    },
    /// Certificates to trust are needed for https.
    #[error("this machine has no certificates to trust (https needs them)")]
    NoRoots,
    /// Neither of the two formats.
    #[error("neither a public key in PEM nor a JSON Web Key Set")]
    Format,
    /// A key that should not be here.
    #[error("a private key; the broker needs the public one only")]
    Private,
    /// There is no key in it that tokens may be signed with.
    #[error("no usable key: Ed25519, or RSA of 2048 to 8192 bits, for signatures")]
    NoneUsable,
}
