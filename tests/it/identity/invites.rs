//! Invite codes: whoever makes a room lets others in.

use parlor_client::{ErrorCode, JoinRequest, Options};
use parlor_tests::connect_with;
use parlor_tests::http::{get, with_key};
use serde_json::json;

use super::sign::token;
use super::{enter, hear, join, kept_out, start};
use crate::raw::until;

#[tokio::test]
async fn whoever_makes_a_room_can_invite() {
    let broker = start().await;
    let ann = connect_with(&broker, Options::new().token(token("ann"))).await;
    let room = ann.create("club", &()).await.unwrap();
    let code = room.invite().expect("a code for others").to_owned();
    assert!(code.len() == 9 && code.is_ascii(), "{code}");
    let ways = [code.clone(), code.to_lowercase(), code.replace('-', ""), code.replace('-', " "), format!(" {code}\n")];
    for (number, way) in ways.iter().enumerate() {
        let bob = connect_with(&broker, Options::new().token(token(&format!("bob-{number}")))).await;
        let joined = bob.join(JoinRequest::by_invite(way)).await.unwrap_or_else(|error| panic!("{way:?}: {error}"));
        assert_eq!((joined.id(), joined.invite()), (room.id(), Some(&*code)), "who is in may invite, too");
        bob.close().await;
        until(|| broker.metrics().members.get() == 1).await;
    }
    // No list and no page shows it.
    for path in ["/v1/rooms".to_owned(), format!("/v1/rooms/{}", room.id()), "/metrics".to_owned()] {
        assert!(!get(broker.addr(), &path).await.body.contains(&code), "{path}");
    }
}

#[tokio::test]
async fn without_the_code_nobody_comes_in() {
    let broker = start().await;
    let mut ann = enter(&broker, "ann").await;
    let made = join(&mut ann, json!({"mode": "create", "kind": "club"})).await;
    let code = made["invite"].as_str().unwrap();
    let mut bob = enter(&broker, "bob").await;
    kept_out(&broker, &mut bob, json!({"mode": "id", "room": made["id"]}), ErrorCode::InviteRequired).await;
    let find = json!({"mode": "find_or_create", "kind": "club"});
    kept_out(&broker, &mut bob, find, ErrorCode::InviteRequired).await;
    let last = if code.ends_with('7') { '8' } else { '7' };
    let wrong = format!("{}{last}", &code[..code.len() - 1]);
    for wrong in [wrong.as_str(), "", "-", &code[..8], &format!("{code}0"), "\u{ff10}", made["id"].as_str().unwrap()] {
        kept_out(&broker, &mut bob, json!({"mode": "invite", "invite": wrong}), ErrorCode::UnknownInvite).await;
    }
    let answer = super::ask(&mut bob, json!([2, 1, {"mode": "invite"}, null])).await;
    assert_eq!((&answer[2]["code"], &answer[2]["params"]["field"]), (&json!("bad_frame"), &json!("invite")));
    assert_eq!((broker.registry().len(), broker.metrics().members.get()), (1, 1));
    // It ends with its room.
    ann.say(json!([3, made["room"]])).await;
    hear(&mut ann, 39).await;
    with_key(broker.addr(), "DELETE", &format!("/v1/rooms/{}", made["id"].as_str().unwrap()), &json!(null)).await;
    until(|| broker.registry().is_empty()).await;
    kept_out(&broker, &mut bob, json!({"mode": "invite", "invite": code}), ErrorCode::UnknownInvite).await;
}

#[tokio::test]
async fn who_may_watch_without_the_code_is_not_shown_it() {
    let broker = start().await;
    let mut ann = enter(&broker, "ann").await;
    let made = join(&mut ann, json!({"mode": "create", "kind": "club"})).await;
    let mut eve = enter(&broker, "eve").await;
    let watching = join(&mut eve, json!({"mode": "id", "room": made["id"], "role": "spectator"})).await;
    assert_eq!(
        (&watching["role"], watching.get("invite")),
        (&json!("spectator"), None),
        "or players could come in by it"
    );
}

#[tokio::test]
async fn players_by_ticket_and_spectators_by_invite() {
    let broker = start().await;
    let room = with_key(broker.addr(), "POST", "/v1/rooms", &json!({"kind": "salon", "id": "salon"})).await.json();
    let code = room["invite"].as_str().expect("the backend is told the code");
    let ticket = with_key(broker.addr(), "POST", "/v1/rooms/salon/tickets", &json!({"account": "ann"})).await.json();
    let mut ann = enter(&broker, "ann").await;
    kept_out(&broker, &mut ann, json!({"mode": "invite", "invite": code}), ErrorCode::TicketRequired).await;
    let played = join(&mut ann, json!({"mode": "ticket", "ticket": ticket["ticket"]})).await;
    assert_eq!(played["invite"], code);
    let mut bob = enter(&broker, "bob").await;
    let watch = json!({"mode": "id", "room": "salon", "role": "spectator"});
    kept_out(&broker, &mut bob, watch, ErrorCode::InviteRequired).await;
    let watching = join(&mut bob, json!({"mode": "invite", "invite": code, "role": "spectator"})).await;
    assert_eq!((&watching["role"], &watching["invite"]), (&json!("spectator"), &json!(code)));
}
