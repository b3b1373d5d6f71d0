//! Which tokens are good, and all the ways in which they are not.

use jsonwebtoken::{Algorithm, EncodingKey};
use parlor_protocol::frame::Role;
use parlor_protocol::{ErrorCode, RoomId};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::auth::{MAX_TOKEN_BYTES, Verdict};

/// A local check has its answer at once.
#[track_caller]
fn at_once(authenticator: &Authenticator, token: &str) -> Result<Identity, Failure> {
    match authenticator.verify(token) {
        Verdict::Ready(result) => result,
        Verdict::Later(_) => panic!("asks somebody"),
    }
}

/// A token of which the header and the claims are these texts, signed with the secret.
fn by_hand(header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&key, signed.as_bytes())))
}

#[tokio::test]
async fn a_good_token_says_who_somebody_is() {
    let ann = at_once(
        &start(&with_secret()).await.unwrap(),
        &hs256(&claims(json!({"name": " Ann ", "exp": 4_000_000_000i64}))),
    );
    let ann = ann.unwrap();
    assert_eq!((ann.account.as_str(), ann.name.as_deref()), ("ann", Some("Ann")));
    assert_eq!(ann.expires_ms, Some(4_000_000_030_000), "with the leeway");
    assert_eq!(ann.rights, super::super::Rights::default());
}

#[tokio::test]
async fn every_algorithm_has_its_key() {
    let (one, other) = (ed25519(), ed25519());
    for pair in [&one, &*RSA] {
        for text in [pair.pem.clone(), set(std::slice::from_ref(&pair.jwk)), set(&[other.jwk.clone(), pair.named("1")])]
        {
            let file = Scratch::new(&text);
            let authenticator = start(&Auth { secret: Some(SECRET.into()), ..file.config() }).await.unwrap();
            assert_eq!(at_once(&authenticator, &pair.sign(None, &claims(json!({})))).unwrap().account, "ann");
            assert_eq!(at_once(&authenticator, &pair.sign(Some("1"), &claims(json!({})))).unwrap().account, "ann");
            assert_eq!(at_once(&authenticator, &hs256(&claims(json!({})))).unwrap().account, "ann");
        }
    }
}

#[tokio::test]
async fn claims_that_are_not_as_they_should_be() {
    let strict = Auth { issuer: Some("game".into()), audience: Some("parlor".into()), ..with_secret() };
    let strict = start(&strict).await.unwrap();
    let good = json!({"iss": "game", "aud": "parlor"});
    let with = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        hs256(&claims(changed))
    };
    use ErrorCode::{TokenExpired, TokenInvalid};
    let table = [
        ("expired", with("exp", json!(now_s() - 32)), TokenExpired),
        ("expired long ago", with("exp", json!(0)), TokenExpired),
        ("no exp", with("exp", Value::Null), TokenInvalid),
        ("exp is a text", with("exp", json!("4000000000")), TokenInvalid),
        ("exp is negative", with("exp", json!(-1)), TokenInvalid),
        ("not yet valid", with("nbf", json!(now_s() + 90)), TokenInvalid),
        ("nbf is a text", with("nbf", json!("tomorrow")), TokenInvalid),
        ("no sub", with("sub", Value::Null), TokenInvalid),
        ("sub is a number", with("sub", json!(7)), TokenInvalid),
        ("sub is empty", with("sub", json!("")), TokenInvalid),
        ("sub is long", with("sub", json!("x".repeat(65))), TokenInvalid),
        ("sub has a line", with("sub", json!("a\nb")), TokenInvalid),
        ("no iss", with("iss", Value::Null), TokenInvalid),
        ("another iss", with("iss", json!("Game")), TokenInvalid),
        ("no aud", with("aud", Value::Null), TokenInvalid),
        ("another aud", with("aud", json!("chat")), TokenInvalid),
        ("other auds", with("aud", json!(["chat", "mail"])), TokenInvalid),
        ("no auds", with("aud", json!([])), TokenInvalid),
        ("aud is a number", with("aud", json!(7)), TokenInvalid),
        ("rights are no map", with("parlor", json!("all")), TokenInvalid),
        ("rights are unknown", with("parlor", json!({"kind": ["chess"]})), TokenInvalid),
        (
            "rights are null",
            by_hand(r#"{"alg":"HS256"}"#, r#"{"sub":"a","exp":4e9,"iss":"game","aud":"parlor","parlor":null}"#),
            TokenInvalid,
        ),
    ];
    for (what, token, code) in table {
        let refused = at_once(&strict, &token);
        assert_eq!(refused.as_ref().map_err(|failure| failure.code.as_ref()), Err(code.as_str()), "{what}");
        assert!(!refused.unwrap_err().text.contains(&token), "{what}");
    }
    for (name, value) in [
        ("iss", json!("game")),
        ("exp", json!(now_s() - 20)),
        ("exp", json!(now_s() as f64 + 0.5)),
        ("nbf", json!(now_s() + 20)),
        ("nbf", json!(0)),
        ("aud", json!(["chat", "parlor"])),
        ("extra", json!({"roles": ["admin"]})),
    ] {
        assert_eq!(
            at_once(&strict, &with(name, value.clone())).map(|ann| ann.account),
            Ok("ann".into()),
            "{name} {value}"
        );
    }
}

#[tokio::test]
async fn what_is_not_configured_is_not_looked_at() {
    let authenticator = start(&with_secret()).await.unwrap();
    assert!(at_once(&authenticator, &hs256(&claims(json!({"iss": "anybody", "aud": ["chat"]})))).is_ok());
}

#[tokio::test]
async fn no_key_is_used_for_another_algorithm() {
    let ed = ed25519();
    let good = claims(json!({}));
    let with_key = |algorithm, key: &[u8]| sign(algorithm, None, &good, &EncodingKey::from_secret(key));
    let unsigned =
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(good.to_string()));
    for pair in [&ed, &*RSA] {
        let (raw, file) = (pair.jwk["x"].as_str().or(pair.jwk["n"].as_str()).unwrap(), Scratch::new(&pair.pem));
        let secret = EncodingKey::from_secret(SECRET.as_bytes());
        for (config, has_secret) in
            [(file.config(), false), (Auth { secret: Some(SECRET.into()), ..file.config() }, true)]
        {
            let authenticator = start(&config).await.unwrap();
            let table = [
                ("none", unsigned.clone()),
                ("the PEM as a secret", with_key(Algorithm::HS256, pair.pem.as_bytes())),
                ("the PEM without its last line end", with_key(Algorithm::HS256, pair.pem.trim_end().as_bytes())),
                ("the public key as a secret", with_key(Algorithm::HS256, &URL_SAFE_NO_PAD.decode(raw).unwrap())),
                ("its text as a secret", with_key(Algorithm::HS256, raw.as_bytes())),
                ("an empty secret", with_key(Algorithm::HS256, b"")),
                ("HS384", sign(Algorithm::HS384, None, &good, &secret)),
                ("HS512", sign(Algorithm::HS512, None, &good, &secret)),
                ("PS256", sign(Algorithm::PS256, None, &good, &RSA.signing)),
                ("RS512", sign(Algorithm::RS512, None, &good, &RSA.signing)),
                ("another key", ed25519().sign(None, &good)),
            ];
            for (what, token) in table {
                is(ErrorCode::TokenInvalid, &authenticator.verify(&token).wait().await);
                assert!(matches!(authenticator.verify(&token), Verdict::Ready(_)), "{what} asks somebody");
            }
            assert_eq!(at_once(&authenticator, &hs256(&good)).is_ok(), has_secret);
        }
    }
    // And the reverse: a secret is no public key.
    let authenticator = start(&with_secret()).await.unwrap();
    for token in [ed.sign(None, &good), RSA.sign(None, &good), unsigned] {
        is(ErrorCode::TokenInvalid, &at_once(&authenticator, &token));
    }
}

#[tokio::test]
async fn a_key_id_chooses_the_key_and_nothing_else() {
    let (one, two) = (ed25519(), ed25519());
    let file = Scratch::new(&set(&[one.named("1"), two.named("2"), RSA.named("3")]));
    let authenticator = start(&file.config()).await.unwrap();
    let good = claims(json!({}));
    assert!(at_once(&authenticator, &two.sign(Some("2"), &good)).is_ok());
    assert!(at_once(&authenticator, &two.sign(None, &good)).is_ok());
    is(ErrorCode::TokenInvalid, &at_once(&authenticator, &two.sign(Some("1"), &good)));
    is(ErrorCode::TokenInvalid, &at_once(&authenticator, &two.sign(Some("3"), &good)));
    is(ErrorCode::TokenInvalid, &authenticator.verify(&two.sign(Some("4"), &good)).wait().await);
}

#[tokio::test]
async fn headers_that_bring_a_key_or_ask_for_extensions() {
    let authenticator = start(&with_secret()).await.unwrap();
    let good = claims(json!({})).to_string();
    assert!(at_once(&authenticator, &by_hand(r#"{"alg":"HS256","typ":"JWT"}"#, &good)).is_ok());
    assert!(
        at_once(&authenticator, &by_hand(r#"{"alg":"HS256","jku":"http://evil.example/"}"#, &good)).is_ok(),
        "not looked at"
    );
    is(ErrorCode::TokenInvalid, &at_once(&authenticator, &by_hand(r#"{"alg":"HS256","crit":["exp"],"exp":1}"#, &good)));
    for header in [r#"{"alg":"none"}"#, r#"{"alg":"None"}"#, r#"{"alg":"hs256"}"#, r#"{"alg":""}"#, "{}", "[]", ""] {
        is(ErrorCode::TokenInvalid, &at_once(&authenticator, &by_hand(header, &good)));
    }
    // Somebody's own key, brought along.
    let own = ed25519();
    let header = Header { jwk: serde_json::from_value(own.jwk.clone()).ok(), ..Header::new(Algorithm::EdDSA) };
    let file = Scratch::new(&ed25519().pem);
    let authenticator = start(&file.config()).await.unwrap();
    let token = jsonwebtoken::encode(&header, &claims(json!({})), &own.signing).unwrap();
    is(ErrorCode::TokenInvalid, &at_once(&authenticator, &token));
}

#[tokio::test]
async fn tampering_is_noticed_at_every_byte() {
    let authenticator = start(&with_secret()).await.unwrap();
    let token = hs256(&claims(json!({})));
    assert!(at_once(&authenticator, &token).is_ok());
    for at in 0..token.len() {
        for new in ['A', 'x', '.', '='] {
            if token.as_bytes()[at] != new as u8 {
                let text = format!("{}{new}{}", &token[..at], &token[at + 1..]);
                is(ErrorCode::TokenInvalid, &at_once(&authenticator, &text));
            }
        }
        is(ErrorCode::TokenInvalid, &at_once(&authenticator, &token[..at]));
    }
    is(ErrorCode::TokenInvalid, &at_once(&authenticator, &format!("{token}.{token}")));
}

#[tokio::test]
async fn a_huge_token_is_not_looked_at() {
    let authenticator = start(&with_secret()).await.unwrap();
    let padded = |bytes: usize| hs256(&claims(json!({"pad": "x".repeat(bytes)})));
    let (fits, huge) = (padded(MAX_TOKEN_BYTES * 3 / 4 - 200), padded(MAX_TOKEN_BYTES));
    assert!(fits.len() <= MAX_TOKEN_BYTES && at_once(&authenticator, &fits).is_ok());
    let refused = at_once(&authenticator, &huge);
    is(ErrorCode::TokenInvalid, &refused);
    assert_eq!(refused.unwrap_err().params["limit"], MAX_TOKEN_BYTES);
}

#[tokio::test]
async fn rights_come_with_the_token() {
    let authenticator = start(&with_secret()).await.unwrap();
    let token = hs256(&claims(json!({"parlor": {"rooms": ["table-1"], "roles": ["spectator"]}})));
    let rights = at_once(&authenticator, &token).unwrap().rights;
    let room = RoomId::parse("table-1").unwrap();
    assert!(rights.may_join("chess", &room, Role::Spectator) && !rights.may_join("chess", &room, Role::Player));
    assert!(rights.may_follow("scores"));
}

#[tokio::test]
async fn guests_are_let_in_only_where_they_are_wanted() {
    let closed = start(&Auth::default()).await.unwrap();
    assert!(closed.guest(7).is_none() && !closed.admits_anybody());
    is(ErrorCode::AuthUnavailable, &at_once(&closed, &hs256(&claims(json!({})))));

    let open = start(&Auth { guests: true, ..with_secret() }).await.unwrap();
    assert_eq!(open.guest(7), Some(Identity::new("guest-7")));
    is(ErrorCode::TokenInvalid, &at_once(&open, &hs256(&claims(json!({"sub": "guest-7"})))));
    assert!(at_once(&open, &hs256(&claims(json!({})))).is_ok());
    let without_guests = start(&with_secret()).await.unwrap();
    assert!(without_guests.admits_anybody());
    assert!(at_once(&without_guests, &hs256(&claims(json!({"sub": "guest-7"})))).is_ok(), "an account like any other");
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_in_one_line() {
    let short = Auth { secret: Some("x".repeat(31)), ..Auth::default() };
    let leeway = Auth { leeway_s: u64::MAX, ..with_secret() };
    let issuer = Auth { issuer: Some("game".into()), guests: true, ..Auth::default() };
    for (config, part) in [(short, "auth.secret"), (leeway, "leeway"), (issuer, "auth.issuer")] {
        let error = start(&config).await.unwrap_err().to_string();
        assert!(error.contains(part) && error.lines().count() == 1, "{error}");
    }
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let shown = format!("{:?}", start(&with_secret()).await.unwrap());
    assert!(!shown.contains(SECRET) && !shown.contains("115, 101, 99"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}", parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..5)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let authenticator = runtime.block_on(start(&with_secret())).unwrap();
        let joined: Vec<_> = parts.iter().map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
        let signed = by_hand(&text, &String::from_utf8_lossy(&parts.concat()));
        for token in [text, joined.join("."), signed] {
            is(ErrorCode::TokenInvalid, &at_once(&authenticator, &token));
        }
    }

    #[test]
    fn no_signed_claims_make_it_panic(sub in "\\PC{0,80}", exp: f64, nbf: i64, name in "\\PC{0,80}", text in "\\PC{0,20}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let authenticator = runtime.block_on(start(&with_secret())).unwrap();
        let token = hs256(&json!({"sub": sub, "exp": exp, "nbf": nbf, "name": name, "parlor": {"kinds": [text]}}));
        let _ = at_once(&authenticator, &token);
    }
}
