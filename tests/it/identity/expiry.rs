//! Tokens that end while their session goes on, and fresh ones.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parlor_client::ErrorCode;
use parlor_protocol::CloseCode;
use serde_json::json;

use super::sign::{now_s, token, token_for, token_with};
use super::{alive, ask, enter_with, hear, join, kept_out, start_with, turned_away};
use crate::raw::until;

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

async fn past(expires_ms: u64) {
    while now_ms() <= expires_ms + 1_500 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_session_ends_with_its_token_and_the_leeway() {
    let broker = start_with(|config| config.auth.leeway_s = 1).await;
    let end = now_s() + 1;
    let (mut raw, welcome) = enter_with(&broker, json!({"token": token_with("ann", json!({"exp": end}))})).await;
    assert_eq!(welcome["expires"], (end + 1) * 1000);
    join(&mut raw, json!({"mode": "create", "kind": "yard"})).await;
    let error = hear(&mut raw, 40).await;
    assert_eq!((&error[1], &error[2]["code"]), (&json!(null), &json!("token_expired")));
    assert!(now_ms() > (end as u64 + 1) * 1000, "not before the leeway is over");
    assert_eq!(raw.closed().await, (4004, "token_expired".into()));
    drop(raw);
    let metrics = broker.metrics();
    until(|| metrics.closes(Some(CloseCode::TokenExpired)) == 1 && metrics.members.get() == 0).await;
    assert_eq!(metrics.errors(ErrorCode::TokenExpired), 1);
}

#[tokio::test]
async fn a_fresh_token_goes_on_with_its_rights_and_its_name() {
    let broker = start_with(|config| config.auth.leeway_s = 0).await;
    let (mut raw, welcome) = enter_with(&broker, json!({"token": token_for("ann", 2), "name": "Ann"})).await;
    let fresh = token_with("ann", json!({"name": "Anna", "parlor": {"kinds": ["yard"]}}));
    assert_eq!(ask(&mut raw, json!([10, 7, fresh])).await, json!([41, 7]));
    past(welcome["expires"].as_u64().unwrap()).await;
    alive(&mut raw).await;
    kept_out(&broker, &mut raw, json!({"mode": "create", "kind": "allowing"}), ErrorCode::Forbidden).await;
    raw.say(json!([2, 1, {"mode": "create", "kind": "yard"}, null])).await;
    assert_eq!(raw.hear().await[3], json!(["ann", "Anna"]));
    // Fewer rights, from now on.
    let less = token_with("ann", json!({"parlor": {"kinds": []}}));
    assert_eq!(ask(&mut raw, json!([10, 8, less])).await, json!([41, 8]));
    kept_out(&broker, &mut raw, json!({"mode": "create", "kind": "yard"}), ErrorCode::Forbidden).await;
    assert_eq!(broker.metrics().errors(ErrorCode::TokenExpired), 0);
}

#[tokio::test]
async fn a_fresh_token_that_is_no_good_leaves_the_one_in_force() {
    let broker = start_with(|config| config.auth.leeway_s = 0).await;
    let (mut raw, _) = enter_with(&broker, json!({"token": token("ann")})).await;
    for (id, bad, code) in [
        (1, token("bob"), ErrorCode::TokenInvalid),
        (2, "garbage".to_owned(), ErrorCode::TokenInvalid),
        (3, token_for("ann", -5), ErrorCode::TokenExpired),
    ] {
        let before = broker.metrics().errors(code);
        let answer = ask(&mut raw, json!([10, id, bad])).await;
        assert_eq!(answer[2]["code"], code.as_str(), "{answer}");
        assert_eq!(broker.metrics().errors(code), before + 1);
    }
    raw.say(json!([2, 1, {"mode": "create", "kind": "yard"}, null])).await;
    assert_eq!(raw.hear().await[3], json!(["ann", "ann"]));
    alive(&mut raw).await;
}

#[tokio::test]
async fn a_kept_session_waits_for_a_client_whose_token_has_ended() {
    let broker = start_with(|config| config.auth.leeway_s = 0).await;
    let (mut raw, welcome) = enter_with(&broker, json!({"token": token_for("ann", 1), "resume": {}})).await;
    join(&mut raw, json!({"mode": "create", "kind": "yard"})).await;
    hear(&mut raw, 40).await;
    assert_eq!(raw.closed().await.0, 4004);
    drop(raw);
    until(|| broker.metrics().sessions_away.get() == 1).await;
    let back = |token: String| json!({"token": token, "resume": {"token": welcome["resume"]["token"]}});
    // What it has is not enough without a token that holds.
    turned_away(&broker, back(token_for("ann", -1)), ErrorCode::TokenExpired, CloseCode::TokenExpired).await;
    let without = json!({"resume": {"token": welcome["resume"]["token"]}});
    turned_away(&broker, without, ErrorCode::TokenRequired, CloseCode::Unauthorized).await;
    let (mut raw, resumed) = super::knock(&broker, back(token("ann"))).await;
    assert_eq!((&resumed[0], &resumed[1]["session"]), (&json!(48), &welcome["session"]), "{resumed}");
    assert!(resumed[1]["expires"].as_u64() > welcome["expires"].as_u64());
    hear(&mut raw, 49).await;
    assert_eq!(broker.metrics().sessions_away.get(), 0);
    assert_eq!(broker.metrics().sessions_resumed.get(), 1);
}
