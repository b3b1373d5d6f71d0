//! A game's own check of tokens: slow, failing, panicking; in the broker's process, and in the game's services, which the broker asks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parlor::broker::{Broker, Config};
use parlor::{Failure, Identity, Rights, Services};
use parlor_client::{Codec, ErrorCode, Options};
use parlor_protocol::CloseCode;
use parlor_tests::panics::hush;
use parlor_tests::{config, connect_with};
use serde_json::json;
use tokio::sync::Semaphore;

use super::sign::{SECRET, now_s};
use super::{alive, app, ask, enter_with, hear, join, kept_out, turned_away};
use crate::raw::{Raw, until};

/// A check that does what the token says, and those whose token is `wait …` wait at.
struct Gate {
    broker: Broker,
    open: Arc<Semaphore>,
    services: Option<Services>,
}

/// Where the check is.
#[derive(Clone, Copy, Debug)]
enum Check {
    Within,
    Asked,
}

macro_rules! wherever_it_is {
    ($($test:ident),+ $(,)?) => {
        mod within {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Check::Within).await;
            })+
        }
        mod asked {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Check::Asked).await;
            })+
        }
    };
}

wherever_it_is!(
    it_says_who_somebody_is_and_what_is_allowed,
    what_it_refuses_with_is_what_the_client_is_told,
    what_is_sent_behind_a_hello_waits_for_the_answer,
    a_slow_check_is_not_held_against_the_client,
    a_check_without_an_answer_is_given_up,
    fresh_tokens_are_checked_one_after_the_other_while_the_game_goes_on,
    guests_are_let_in_beside_it_if_the_configuration_says_so,
);

async fn start_with(place: Check, change: impl FnOnce(&mut Config)) -> Gate {
    let mut config = config();
    config.auth.guests = false;
    change(&mut config);
    let open = Arc::new(Semaphore::new(0));
    let gate = open.clone();
    let check = move |token: String| {
        let gate = gate.clone();
        if token == "panic at once" {
            panic!("on purpose");
        }
        async move { answer(&token, &gate).await }
    };
    match place {
        Check::Within => Gate { broker: app().authenticate(check).start(&config).await.unwrap(), open, services: None },
        Check::Asked => {
            // Of a broker, this check needs nothing.
            let services = app().authenticate(check).start_services("http://127.0.0.1:1", &config).await.unwrap();
            config.auth.url = Some(format!("http://{}/v1/identity", services.addr()));
            Gate { broker: app().start(&config).await.unwrap(), open, services: Some(services) }
        }
    }
}

async fn answer(token: &str, gate: &Semaphore) -> Result<Identity, Failure> {
    match token.split_once(' ').unwrap_or((token, "")) {
        ("wait", account) => {
            gate.acquire().await.unwrap().forget();
            Ok(Identity::new(account))
        }
        ("panic", _) => panic!("on purpose"),
        ("expired", _) => Err(ErrorCode::TokenExpired.into()),
        ("banned", _) => Err(Failure::app("banned", "this account is closed").with("until", "never")),
        ("busy", _) => Err(Failure::app("busy", "the database is slow").retry()),
        ("chess", account) => {
            let rights = Rights { kinds: Some(vec!["chess".into()]), ..Rights::default() };
            Ok(Identity::new(account).with_rights(rights))
        }
        ("short", account) => Ok(Identity::new(account).until((now_s() as u64 + 1) * 1000)),
        ("named", account) => Ok(Identity::new(account).named(format!("The {account}"))),
        ("ok", account) => Ok(Identity::new(account)),
        _ => Err(ErrorCode::TokenInvalid.into()),
    }
}

async fn start(place: Check) -> Gate {
    start_with(place, |_| {}).await
}

async fn it_says_who_somebody_is_and_what_is_allowed(place: Check) {
    let Gate { broker, services: _services, .. } = start(place).await;
    let ann = connect_with(&broker, Options::new().token("named ann").name("Mallory")).await;
    let room = ann.create("yard", &()).await.unwrap();
    assert_eq!(room.view::<(String, String)>().unwrap(), ("ann".into(), "The ann".into()));
    let (mut bob, welcome) = enter_with(&broker, json!({"token": "chess bob"})).await;
    assert_eq!((&welcome["account"], &welcome["expires"]), (&json!("bob"), &json!(null)));
    kept_out(&broker, &mut bob, json!({"mode": "create", "kind": "yard"}), ErrorCode::Forbidden).await;
    let (mut cid, _) = enter_with(&broker, json!({"token": "short cid"})).await;
    hear(&mut cid, 40).await;
    assert_eq!(cid.closed().await, (4004, "token_expired".into()));
}

async fn what_it_refuses_with_is_what_the_client_is_told(place: Check) {
    hush();
    let Gate { broker, services: _services, .. } = start(place).await;
    turned_away(&broker, json!({"token": "?"}), ErrorCode::TokenInvalid, CloseCode::Unauthorized).await;
    turned_away(&broker, json!({"token": "expired"}), ErrorCode::TokenExpired, CloseCode::TokenExpired).await;
    turned_away(&broker, json!({}), ErrorCode::TokenRequired, CloseCode::Unauthorized).await;
    turned_away(&broker, json!({"token": "panic later"}), ErrorCode::Internal, CloseCode::Internal).await;
    turned_away(&broker, json!({"token": "panic at once"}), ErrorCode::Internal, CloseCode::Internal).await;
    // Such an account would break what others see.
    turned_away(&broker, json!({"token": "ok \u{202e}"}), ErrorCode::TokenInvalid, CloseCode::Unauthorized).await;
    for (token, code, close) in [("banned", "app.banned", 4102), ("busy", "app.busy", 4003)] {
        let (mut raw, told) = super::knock(&broker, json!({"token": token})).await;
        assert_eq!(
            (&told[0], &told[2]["code"], &told[2]["retryable"]),
            (&json!(40), &json!(code), &json!(close == 4003))
        );
        assert_eq!(raw.closed().await.0, close);
    }
    assert_eq!(broker.metrics().sessions_opened.get(), 0);
    assert!(broker.metrics().render().contains("parlor_errors_total{code=\"app\"} 2"));
    enter_with(&broker, json!({"token": "ok ann"})).await;
}

async fn what_is_sent_behind_a_hello_waits_for_the_answer(place: Check) {
    let Gate { broker, open, services: _services } = start(place).await;
    let mut raw = Raw::open(&broker, Codec::Json).await;
    let frames = [
        json!([1, {"client": "raw", "token": "wait ann"}]),
        json!([2, 1, {"mode": "create", "kind": "yard"}, null]),
        json!([8, 5.5]),
    ];
    raw.say_all(&frames).await;
    // Others do not wait for it.
    enter_with(&broker, json!({"token": "ok bob"})).await.0.is_alive().await;
    let silence = tokio::time::timeout(Duration::from_millis(200), raw.hear()).await;
    assert!(silence.is_err(), "{silence:?}");
    assert_eq!((broker.metrics().sessions_opened.get(), broker.metrics().members.get()), (1, 0));
    open.add_permits(1);
    assert_eq!(raw.hear().await[0], 33);
    let mut heard = vec![raw.hear().await];
    while !heard.iter().any(|frame| frame[0] == 34) || !heard.iter().any(|frame| frame[0] == 42) {
        heard.push(raw.hear().await);
    }
    let joined = heard.iter().find(|frame| frame[0] == 34).unwrap();
    assert_eq!(joined[3], json!(["ann", "ann"]));
}

/// The time for a hello is the client's, not the check's.
async fn a_slow_check_is_not_held_against_the_client(place: Check) {
    let Gate { broker, open, services: _services } =
        start_with(place, |config| config.limits.hello_timeout_ms = 500).await;
    let mut raw = Raw::open(&broker, Codec::Json).await;
    raw.say(json!([1, {"client": "raw", "token": "wait ann"}])).await;
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    open.add_permits(1);
    assert_eq!(raw.hear().await[0], 33);
    assert_eq!(broker.metrics().closes(Some(CloseCode::HelloTimeout)), 0);
}

async fn a_check_without_an_answer_is_given_up(place: Check) {
    let Gate { broker, services: _services, .. } = start(place).await;
    let began = Instant::now();
    let waits = json!({"token": "wait for ever"});
    let told = turned_away(&broker, waits, ErrorCode::AuthUnavailable, CloseCode::Internal).await;
    assert_eq!(told["retryable"], true);
    assert!(began.elapsed() >= Duration::from_secs(5), "{:?}", began.elapsed());
    // Nor does it go on for somebody who has hung up.
    let mut raw = Raw::open(&broker, Codec::Json).await;
    raw.say(json!([1, {"client": "raw", "token": "wait ann"}])).await;
    until(|| broker.metrics().connections.get() == 1).await;
    drop(raw);
    until(|| broker.metrics().connections.get() == 0).await;
    assert_eq!(broker.metrics().sessions_opened.get(), 0);
}

async fn fresh_tokens_are_checked_one_after_the_other_while_the_game_goes_on(place: Check) {
    let Gate { broker, open, services: _services } = start(place).await;
    let (mut raw, _) = enter_with(&broker, json!({"token": "ok ann"})).await;
    let room = join(&mut raw, json!({"mode": "create", "kind": "yard"})).await["room"].clone();
    raw.say(json!([10, 5, "wait ann"])).await;
    raw.say(json!([5, room, "say", 6, 1])).await;
    hear(&mut raw, 37).await;
    let second = ask(&mut raw, json!([10, 7, "ok ann"])).await;
    assert_eq!(second[2]["code"], "rate_limited");
    open.add_permits(1);
    assert_eq!(hear(&mut raw, 41).await[1], 5);
    assert_eq!(ask(&mut raw, json!([10, 8, "ok ann"])).await, json!([41, 8]));
    assert_eq!(ask(&mut raw, json!([10, 9, "ok bob"])).await[2]["code"], "token_invalid");
    assert_eq!(ask(&mut raw, json!([10, 10, "banned"])).await[2]["code"], "app.banned");
    alive(&mut raw).await;
}

async fn guests_are_let_in_beside_it_if_the_configuration_says_so(place: Check) {
    let Gate { broker, services: _services, .. } = start_with(place, |config| config.auth.guests = true).await;
    let (_, welcome) = enter_with(&broker, json!({})).await;
    assert!(welcome["account"].as_str().unwrap().starts_with("guest-"));
    turned_away(&broker, json!({"token": "ok guest-1"}), ErrorCode::TokenInvalid, CloseCode::Unauthorized).await;
}

#[tokio::test]
async fn it_does_not_go_together_with_configured_keys() {
    for set in ["secret", "keys", "url"] {
        let mut config = config();
        match set {
            "secret" => config.auth.secret = Some(SECRET.into()),
            "url" => config.auth.url = Some("http://127.0.0.1:1/v1/identity".into()),
            _ => config.auth.keys = Some("keys.pem".into()),
        }
        let check = |_: String| async { Err(ErrorCode::TokenInvalid) };
        let error = app().authenticate(check).start(&config).await.unwrap_err();
        assert!(error.text.contains(&format!("auth.{set}")) && error.text.lines().count() == 1, "{error}");
    }
}
