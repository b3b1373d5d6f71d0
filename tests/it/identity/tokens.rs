//! Tokens and guests: which are taken, and what is said of those that are not.

use parlor::App;
use parlor_client::{ErrorCode, Options, Parlor};
use parlor_protocol::CloseCode;
use parlor_tests::{connect, connect_with};
use serde_json::json;

use super::sign::{Pair, SECRET, Scratch, claims, hs256, token, token_for, token_with};
use super::{Yard, closed, enter, enter_with, join, start, start_with, turned_away};

#[tokio::test]
async fn without_guests_a_token_is_required() {
    let broker = start().await;
    turned_away(&broker, json!({}), ErrorCode::TokenRequired, CloseCode::Unauthorized).await;
    turned_away(&broker, json!({"resume": {}}), ErrorCode::TokenRequired, CloseCode::Unauthorized).await;
    // An empty one is one.
    turned_away(&broker, json!({"token": ""}), ErrorCode::TokenInvalid, CloseCode::Unauthorized).await;
    let url = format!("ws://{}", broker.addr());
    assert_eq!(Parlor::connect(&url, Options::new()).await.unwrap_err().code(), "token_required");
    enter(&broker, "ann").await.is_alive().await;
}

#[tokio::test]
async fn a_token_that_is_not_ours_opens_nothing() {
    let broker = start().await;
    let good = token("ann");
    let mut parts = good.split('.');
    let (header, body, signature) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let other_body = token("bob").split('.').nth(1).unwrap().to_owned();
    // {"alg":"none"}
    let none = "eyJhbGciOiJub25lIn0";
    let bad = [
        hs256(&claims("ann", json!({})), "another secret of thirty-two bytes"),
        format!("{header}.{other_body}.{signature}"),
        format!("{header}.{body}."),
        format!("{header}.{body}"),
        format!("{none}.{body}."),
        format!("{none}.{body}.{signature}"),
        Pair::generate().sign(None, &claims("ann", json!({}))),
        "garbage".to_owned(),
        "\u{0}\u{ffff}".to_owned(),
        "x".repeat(9_000),
        format!("{good}{}", "A".repeat(9_000)),
    ];
    for token in bad {
        let told =
            turned_away(&broker, json!({"token": token}), ErrorCode::TokenInvalid, CloseCode::Unauthorized).await;
        assert!(!told.to_string().contains(body), "{told}");
    }
}

#[tokio::test]
async fn a_token_of_ours_that_does_not_hold_is_told_why() {
    let broker = start_with(|config| {
        config.auth.audience = Some("game".into());
        config.auth.issuer = Some("backend".into());
    })
    .await;
    let fits = json!({"aud": "game", "iss": "backend"});
    enter_with(&broker, json!({"token": token_with("ann", fits.clone())})).await;
    let cases = [
        (json!({"aud": "other"}), "audience"),
        (json!({"aud": null}), "audience"),
        (json!({"iss": "other"}), "issuer"),
        (json!({"nbf": super::sign::now_s() + 600}), "not valid yet"),
        (json!({"sub": null}), "`sub`"),
        (json!({"sub": ""}), "`sub`"),
        (json!({"sub": "x".repeat(65)}), "`sub`"),
        (json!({"exp": null}), "`exp`"),
        (json!({"parlor": {"kind": ["yard"]}}), "`parlor`"),
    ];
    for (change, why) in cases {
        let mut claims = fits.clone();
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let token = token_with("ann", claims);
        let told =
            turned_away(&broker, json!({"token": token}), ErrorCode::TokenInvalid, CloseCode::Unauthorized).await;
        assert!(told["text"].as_str().unwrap().contains(why), "{change} {told}");
    }
}

#[tokio::test]
async fn an_expired_token_asks_for_another() {
    let broker = start().await;
    let late = json!({"token": token_for("ann", -31)});
    turned_away(&broker, late, ErrorCode::TokenExpired, CloseCode::TokenExpired).await;
    let (_, welcome) = enter_with(&broker, json!({"token": token_for("ann", -25)})).await;
    assert_eq!(welcome["account"], "ann", "clocks may differ");
}

#[tokio::test]
async fn keys_from_a_file_as_pem_and_as_a_set() {
    let (old, new) = (Pair::generate(), Pair::generate());
    let pem = Scratch::new("key.pem", &old.pem);
    let broker = start_with(|config| (config.auth.secret, config.auth.keys) = (None, Some(pem.path()))).await;
    enter_with(&broker, json!({"token": old.sign(None, &claims("ann", json!({})))})).await;
    for bad in [new.sign(None, &claims("ann", json!({}))), token("ann"), hs256(&claims("ann", json!({})), &old.pem)] {
        turned_away(&broker, json!({"token": bad}), ErrorCode::TokenInvalid, CloseCode::Unauthorized).await;
    }

    let set = Scratch::new("jwks.json", &json!({"keys": [old.jwk("old"), new.jwk("new")]}).to_string());
    let broker = start_with(|config| config.auth.keys = Some(set.path())).await;
    for good in [
        old.sign(Some("old"), &claims("ann", json!({}))),
        new.sign(Some("new"), &claims("ann", json!({}))),
        new.sign(None, &claims("ann", json!({}))),
        // The secret beside them.
        token("ann"),
    ] {
        enter_with(&broker, json!({"token": good})).await;
    }
    let mixed = old.sign(Some("new"), &claims("ann", json!({})));
    turned_away(&broker, json!({"token": mixed}), ErrorCode::TokenInvalid, CloseCode::Unauthorized).await;
}

#[tokio::test]
async fn the_name_of_the_token_wins() {
    let broker = start().await;
    let named = token_with("u-1", json!({"name": "Ann\u{202e}"}));
    let cases = [
        (json!({"token": named, "name": "The Admin"}), "u-1", "Ann"),
        (json!({"token": token("u-2"), "name": "Bob"}), "u-2", "Bob"),
        (json!({"token": token("u-3")}), "u-3", "u-3"),
        (json!({"token": token("u-4"), "name": "  "}), "u-4", "u-4"),
    ];
    for (hello, account, name) in cases {
        let (mut raw, welcome) = enter_with(&broker, hello).await;
        assert_eq!(welcome["account"], account);
        raw.say(json!([2, 1, {"mode": "create", "kind": "yard"}, null])).await;
        assert_eq!(raw.hear().await[3], json!([account, name]), "the view is made for this player");
    }
}

#[tokio::test]
async fn guests_and_users_side_by_side() {
    let broker = start_with(|config| config.auth.guests = true).await;
    let (one, two) = (connect(&broker).await, connect(&broker).await);
    assert!(one.account().starts_with("guest-") && two.account().starts_with("guest-"));
    assert_ne!(one.account(), two.account());
    let ann = connect_with(&broker, Options::new().token(token("ann"))).await;
    assert_eq!(ann.account(), "ann");
    let room = ann.create("yard", &()).await.unwrap();
    let guests = one.join_by_id(room.id(), &()).await.unwrap();
    assert_eq!(guests.view::<(String, String)>().unwrap().0, one.account());
    // A bad token makes no guest, and a good one is nobody's who has none.
    turned_away(&broker, json!({"token": "bad"}), ErrorCode::TokenInvalid, CloseCode::Unauthorized).await;
    let posing = json!({"token": token(&two.account())});
    turned_away(&broker, posing, ErrorCode::TokenInvalid, CloseCode::Unauthorized).await;
    let mut raw = enter(&broker, "bob").await;
    join(&mut raw, json!({"mode": "create", "kind": "yard"})).await;
}

#[tokio::test]
async fn a_broker_that_nobody_could_get_into_does_not_start() {
    let refused = async |change: &dyn Fn(&mut parlor::broker::Config)| {
        let mut config = closed();
        change(&mut config);
        let error = App::new().room::<Yard>().start(&config).await.unwrap_err();
        assert_eq!(error.text.lines().count(), 1, "{error}");
        error.text.to_string()
    };
    let nobody = refused(&|config| config.auth.secret = None).await;
    assert!(nobody.contains("nobody can get in"), "{nobody}");
    let short = refused(&|config| config.auth.secret = Some("short".into())).await;
    assert!(short.contains("auth.secret") && !short.contains("short\""), "{short}");
    let missing = refused(&|config| config.auth.keys = Some("/nowhere/keys.pem".into())).await;
    assert!(missing.contains("/nowhere/keys.pem") && !missing.contains(SECRET), "{missing}");
}
