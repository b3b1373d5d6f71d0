//! Keys from files and over HTTP: what is taken, how they are kept fresh, and what happens while they cannot be had.

use std::time::Duration;

use axum::http::StatusCode;
use parlor_protocol::ErrorCode;
use serde_json::json;

use super::*;
use crate::auth::source::{Pace, Source};
use crate::auth::{KeysError, MAX_KEYS_BYTES, Verdict};

/// Looks at once when asked, and never by itself.
const EAGER: Pace = Pace {
    every: Duration::from_secs(3600),
    retry: Duration::from_secs(3600),
    cooldown: Duration::ZERO,
    deadline: Duration::from_secs(4),
};

async fn paced(config: &Auth, pace: Pace) -> Authenticator {
    let source = Source::parse(config.keys.as_ref().unwrap()).unwrap();
    Authenticator::start_with(config, Some((source, pace)), None).await.unwrap()
}

/// Verifies until it is as wanted: what happens by itself has no other sign.
async fn until(authenticator: &Authenticator, token: &str, wanted: bool) {
    let soon = async {
        while authenticator.verify(token).wait().await.is_ok() != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), soon).await.expect("it never is");
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it() {
    let (one, two) = (ed25519(), ed25519());
    let server = Server::start(&[one.named("1")]).await;
    let authenticator = paced(&server.config(), EAGER).await;
    let good = claims(json!({}));
    assert!(matches!(authenticator.verify(&one.sign(Some("1"), &good)), Verdict::Ready(Ok(_))));
    is(ErrorCode::TokenInvalid, &authenticator.verify(&two.sign(Some("2"), &good)).wait().await);

    server.give(&[two.named("2")]);
    assert!(authenticator.verify(&one.sign(Some("1"), &good)).wait().await.is_ok(), "nothing was looked for yet");
    assert!(authenticator.verify(&two.sign(Some("2"), &good)).wait().await.is_ok());
    is(ErrorCode::TokenInvalid, &authenticator.verify(&one.sign(Some("1"), &good)).wait().await);
    assert!(matches!(authenticator.verify(&two.sign(Some("2"), &good)), Verdict::Ready(Ok(_))));
}

#[tokio::test]
async fn unknown_keys_do_not_make_it_fetch_all_the_time() {
    let server = Server::start(&[ed25519().named("1")]).await;
    let authenticator = start(&server.config()).await.unwrap();
    let stranger = ed25519();
    for kid in 0..200 {
        let token = stranger.sign(Some(&format!("x{kid}")), &claims(json!({})));
        is(ErrorCode::TokenInvalid, &authenticator.verify(&token).wait().await);
    }
    assert_eq!(server.asked(), 1, "only at the start, which was just now");

    let eager = paced(&server.config(), Pace { cooldown: Duration::from_millis(1), ..EAGER }).await;
    tokio::time::sleep(Duration::from_millis(2)).await;
    let token = stranger.sign(Some("x"), &claims(json!({})));
    let all = (0..50).map(|_| eager.verify(&token).wait());
    let mut at_once = tokio::task::JoinSet::new();
    all.for_each(|verdict| drop(at_once.spawn(verdict)));
    while at_once.join_next().await.is_some() {}
    assert!(server.asked() < 10, "asked {} times by 50 at once", server.asked());
}

#[tokio::test]
async fn keys_are_looked_for_by_themselves() {
    let (one, two) = (ed25519(), ed25519());
    let server = Server::start(std::slice::from_ref(&one.jwk)).await;
    let often = Pace { every: Duration::from_millis(20), retry: Duration::from_millis(20), ..EAGER };
    let authenticator = paced(&server.config(), often).await;
    let (by_one, by_two) = (one.sign(None, &claims(json!({}))), two.sign(None, &claims(json!({}))));
    is(ErrorCode::TokenInvalid, &authenticator.verify(&by_two).wait().await);
    server.give(std::slice::from_ref(&two.jwk));
    until(&authenticator, &by_two, true).await;
    is(ErrorCode::TokenInvalid, &authenticator.verify(&by_one).wait().await);

    drop(authenticator);
    let asked = server.asked();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(server.asked() <= asked + 1, "it goes on after its end");
}

#[tokio::test]
async fn an_outage_keeps_the_old_keys() {
    let (one, two) = (ed25519(), ed25519());
    let server = Server::start(&[one.named("1")]).await;
    let pace = Pace { deadline: Duration::from_millis(200), ..EAGER };
    let authenticator = paced(&server.config(), pace).await;
    let (by_one, by_two) = (one.sign(Some("1"), &claims(json!({}))), two.sign(Some("2"), &claims(json!({}))));
    let good = set(&[two.named("2")]);
    let outages = [
        Answer { status: StatusCode::INTERNAL_SERVER_ERROR, body: good.clone(), ..Answer::default() },
        Answer { status: StatusCode::FOUND, body: good.clone(), ..Answer::default() },
        Answer { body: "<html>".into(), ..Answer::default() },
        Answer { body: set(&[]), ..Answer::default() },
        Answer { body: format!("{good}{}", " ".repeat(MAX_KEYS_BYTES)), ..Answer::default() },
        Answer { body: good, silent: true, ..Answer::default() },
    ];
    for outage in outages {
        *server.answer.lock() = outage;
        let refused = authenticator.verify(&by_two).wait().await;
        is(ErrorCode::AuthUnavailable, &refused);
        assert!(refused.unwrap_err().retryable);
        assert!(matches!(authenticator.verify(&by_one), Verdict::Ready(Ok(_))));
    }
    server.give(&[one.named("1"), two.named("2")]);
    assert!(authenticator.verify(&by_two).wait().await.is_ok());
    is(ErrorCode::TokenInvalid, &authenticator.verify(&ed25519().sign(Some("3"), &claims(json!({})))).wait().await);
}

#[tokio::test]
async fn a_session_that_goes_away_does_not_stop_the_fetch() {
    let (one, two) = (ed25519(), ed25519());
    let server = Server::start(&[one.named("1")]).await;
    let authenticator = paced(&server.config(), EAGER).await;
    server.give(&[two.named("2")]);
    let token = two.sign(Some("2"), &claims(json!({})));
    let Verdict::Later(answer) = authenticator.verify(&token) else { panic!("known already") };
    let _ = tokio::time::timeout(Duration::ZERO, answer).await;
    until(&authenticator, &token, true).await;
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn a_file_is_read_again() {
    let (one, two) = (ed25519(), ed25519());
    let file = Scratch::new(&one.pem);
    let often = Pace { every: Duration::from_millis(20), retry: Duration::from_millis(20), ..EAGER };
    let authenticator = paced(&file.config(), often).await;
    let (by_one, by_two) = (one.sign(None, &claims(json!({}))), two.sign(None, &claims(json!({}))));
    assert!(authenticator.verify(&by_one).wait().await.is_ok());
    std::fs::write(&file.0, "half a fi").unwrap();
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert!(authenticator.verify(&by_one).wait().await.is_ok(), "what cannot be read changes nothing");
    std::fs::write(&file.0, set(&[two.named("2")])).unwrap();
    until(&authenticator, &by_two, true).await;
    is(ErrorCode::TokenInvalid, &authenticator.verify(&by_one).wait().await);
}

#[tokio::test]
async fn keys_that_are_not_for_us_are_passed_over() {
    let ed = ed25519();
    let with = |base: &Value, changes: Value| {
        let mut jwk = base.clone();
        changes.as_object().unwrap().iter().for_each(|(name, value)| jwk[name] = value.clone());
        jwk
    };
    let weak = URL_SAFE_NO_PAD.encode([0xc3; 128]);
    let unusable = [
        json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(SECRET)}),
        json!({"kty": "OKP", "crv": "X25519", "x": ed.jwk["x"]}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}),
        json!({"kty": "EC", "crv": "P-256", "x": ed.jwk["x"], "y": ed.jwk["x"]}),
        json!({"kty": "RSA", "n": weak, "e": "AQAB"}),
        json!({"kty": "RSA", "n": "!", "e": "AQAB"}),
        json!({"kty": "new"}),
        json!({}),
        json!(7),
        with(&ed.jwk, json!({"use": "enc"})),
        with(&ed.jwk, json!({"key_ops": ["encrypt"]})),
        with(&ed.jwk, json!({"alg": "ES256"})),
        with(&RSA.jwk, json!({"alg": "RS512"})),
        with(&RSA.jwk, json!({"alg": "RSA-OAEP"})),
    ];
    for jwk in &unusable {
        let file = Scratch::new(&set(std::slice::from_ref(jwk)));
        let error = start(&file.config()).await.unwrap_err();
        assert!(matches!(error, AuthError::Keys(KeysError::NoneUsable)), "{jwk}: {error}");
    }
    let mut all = unusable.to_vec();
    all.push(with(&ed.jwk, json!({"use": "sig", "alg": "EdDSA", "key_ops": ["verify"], "kid": "1", "x5t": "abc"})));
    let file = Scratch::new(&set(&all));
    let authenticator = start(&file.config()).await.unwrap();
    assert!(authenticator.verify(&ed.sign(Some("1"), &claims(json!({})))).wait().await.is_ok());
    // The secret in the set is not used.
    is(ErrorCode::TokenInvalid, &authenticator.verify(&hs256(&claims(json!({})))).wait().await);
}

#[tokio::test]
async fn what_cannot_be_used_is_said_at_the_start_in_one_line() {
    let server = Server::start(&[]).await;
    let gone = server.url.replace("jwks", "nothing");
    let (garbage, private) = (Scratch::new("hello"), Scratch::new(&pem("PRIVATE KEY", b"secret")));
    let (certificate, broken) = (Scratch::new(&pem("CERTIFICATE", b"x")), Scratch::new(&pem("PUBLIC KEY", b"x")));
    let (large, html) = (Scratch::new(&" ".repeat(MAX_KEYS_BYTES + 1)), Scratch::new("{\"keys\": 7}"));
    let path = |file: &Scratch| file.0.to_str().unwrap().to_owned();
    let table = [
        ("/no/such/file".to_owned(), "cannot read /no/such/file"),
        (path(&garbage), "neither a public key"),
        (path(&html), "neither a public key"),
        (path(&private), "a private key"),
        (path(&certificate), "neither a public key"),
        (path(&broken), "no usable key"),
        (path(&large), "more than 65536 bytes"),
        (server.url.clone(), "no usable key"),
        (gone, "404"),
        ("http://127.0.0.1:1/jwks".into(), "cannot fetch http://127.0.0.1:1/jwks"),
        ("http://".into(), "not an address"),
        ("http://user:password@localhost/".into(), "not an address"),
    ];
    for (keys, part) in table {
        let error = start(&Auth { keys: Some(keys.clone()), ..Auth::default() }).await.unwrap_err().to_string();
        assert!(error.starts_with("`auth.keys`: ") && error.contains(part), "{keys}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[tokio::test]
async fn a_secret_in_an_address_is_not_shown() {
    let error = start(&Auth { keys: Some("http://127.0.0.1:1/jwks?key=hidden".into()), ..Auth::default() }).await;
    let error = error.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hidden"), "{error:?}");
}
