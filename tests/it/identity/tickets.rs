//! Tickets: one player, one room, one role, once.

use std::time::Duration;

use parlor::axum::extract::Path;
use parlor::axum::routing::post;
use parlor::axum::{Json, Router};
use parlor::broker::Broker;
use parlor::{Role, RoomId, Rooms};
use parlor_client::{ErrorCode, JoinRequest, Options};
use parlor_tests::connect_with;
use parlor_tests::http::{request, with_key};
use serde_json::{Value, json};

use super::sign::token;
use super::{app, closed, enter, hear, join, kept_out, start, start_with};
use crate::raw::until;

async fn make(broker: &Broker, kind: &str) -> String {
    let made = with_key(broker.addr(), "POST", "/v1/rooms", &json!({"kind": kind})).await;
    made.json()["id"].as_str().unwrap().to_owned()
}

async fn issue(broker: &Broker, room: &str, wish: Value) -> String {
    let answer = with_key(broker.addr(), "POST", &format!("/v1/rooms/{room}/tickets"), &wish).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["ticket"].as_str().unwrap().to_owned()
}

fn by(ticket: &str) -> Value {
    json!({"mode": "ticket", "ticket": ticket})
}

#[tokio::test]
async fn a_ticket_is_good_once() {
    let broker = start().await;
    let room = make(&broker, "court").await;
    let ticket = issue(&broker, &room, json!({"account": "ann"})).await;
    let mut ann = enter(&broker, "ann").await;
    let joined = join(&mut ann, by(&ticket)).await;
    assert_eq!((&joined["id"], &joined["role"]), (&json!(room), &json!("player")));
    let mut again = enter(&broker, "ann").await;
    kept_out(&broker, &mut again, by(&ticket), ErrorCode::TicketUsed).await;
    // She who is in stays in: a ticket that is no good replaces nobody.
    ann.say(json!([5, joined["room"], "set", 3, {"key": "a", "value": 1}])).await;
    assert_eq!(hear(&mut ann, 37).await[4], 3);
    ann.say(json!([3, joined["room"]])).await;
    assert_eq!(hear(&mut ann, 39).await[4], "left");
    kept_out(&broker, &mut again, by(&ticket), ErrorCode::TicketUsed).await;
    kept_out(&broker, &mut ann, by(&ticket), ErrorCode::TicketUsed).await;
    join(&mut again, by(&issue(&broker, &room, json!({"account": "ann"})).await)).await;
}

#[tokio::test]
async fn of_many_who_use_one_ticket_at_once_one_gets_in() {
    let broker = start_with(|config| config.shards = 2).await;
    let room = make(&broker, "court").await;
    let ticket = issue(&broker, &room, json!({"account": "ann"})).await;
    let joining = (0..20).map(async |_| {
        let client = connect_with(&broker, Options::new().token(token("ann"))).await;
        let joined = client.join(JoinRequest::by_ticket(&ticket)).await;
        let code = joined.as_ref().map_or_else(|error| error.code().to_string(), |_| "in".into());
        (code, client, joined)
    });
    let all = futures_util::future::join_all(joining).await;
    let count = |wanted: &str| all.iter().filter(|(code, ..)| code == wanted).count();
    // While she is on her way in, the one seat is nobody's.
    assert_eq!((count("in"), count("ticket_used") + count("room_full")), (1, 19));
}

#[tokio::test]
async fn a_ticket_is_of_no_use_to_others_or_elsewhere_or_later() {
    let broker = start().await;
    let room = make(&broker, "court").await;
    let (mut ann, mut bob) = (enter(&broker, "ann").await, enter(&broker, "bob").await);
    let ticket = issue(&broker, &room, json!({"account": "ann"})).await;
    kept_out(&broker, &mut bob, by(&ticket), ErrorCode::TicketInvalid).await;
    // Whatever else is said, the ticket is for its room and its role.
    let other = make(&broker, "court").await;
    let elsewhere = json!({"mode": "ticket", "ticket": ticket, "room": other, "kind": "yard", "role": "spectator"});
    let joined = join(&mut ann, elsewhere).await;
    assert_eq!((&joined["id"], &joined["role"]), (&json!(room), &json!("player")));
    for mode in ["id", "find_or_create", "create"] {
        let mut how = json!({"mode": mode, "ticket": ticket, "room": other, "kind": "court"});
        kept_out(&broker, &mut bob, how.take(), ErrorCode::TicketRequired).await;
    }
    let short = issue(&broker, &other, json!({"account": "bob", "ttl_s": 1})).await;
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    kept_out(&broker, &mut bob, by(&short), ErrorCode::TicketExpired).await;
    let gone = issue(&broker, &other, json!({"account": "bob"})).await;
    with_key(broker.addr(), "DELETE", &format!("/v1/rooms/{other}"), &Value::Null).await;
    until(|| broker.registry().get(&RoomId::parse(&other).unwrap()).is_none()).await;
    kept_out(&broker, &mut bob, by(&gone), ErrorCode::UnknownRoom).await;
}

#[tokio::test]
async fn a_ticket_that_was_changed_anywhere_is_none() {
    let broker = start().await;
    let room = make(&broker, "court").await;
    let ticket = issue(&broker, &room, json!({"account": "ann"})).await;
    let mut ann = enter(&broker, "ann").await;
    for at in 0..ticket.len() {
        let mut changed = ticket.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        kept_out(&broker, &mut ann, by(std::str::from_utf8(&changed).unwrap()), ErrorCode::TicketInvalid).await;
    }
    for bad in
        ["", "A", &ticket[1..], &ticket[..ticket.len() - 1], &format!("{ticket}A"), &format!("{ticket}="), "\u{e4}"]
    {
        kept_out(&broker, &mut ann, by(bad), ErrorCode::TicketInvalid).await;
    }
    let answer = super::ask(&mut ann, json!([2, 1, {"mode": "ticket"}, null])).await;
    assert_eq!((&answer[2]["code"], &answer[2]["params"]["field"]), (&json!("bad_frame"), &json!("ticket")));
    join(&mut ann, by(&ticket)).await;
}

#[tokio::test]
async fn the_policy_of_each_role_says_whether_one_is_needed() {
    let broker = start().await;
    let (court, booth) = (make(&broker, "court").await, make(&broker, "box").await);
    let mut ann = enter(&broker, "ann").await;
    kept_out(&broker, &mut ann, json!({"mode": "id", "room": court}), ErrorCode::TicketRequired).await;
    for mode in ["find_or_create", "create"] {
        kept_out(&broker, &mut ann, json!({"mode": mode, "kind": "court"}), ErrorCode::TicketRequired).await;
    }
    // Watching is free there, and the reverse in the other.
    join(&mut ann, json!({"mode": "id", "room": court, "role": "spectator"})).await;
    let watching = json!({"mode": "id", "room": booth, "role": "spectator"});
    kept_out(&broker, &mut ann, watching, ErrorCode::TicketRequired).await;
    let watch = issue(&broker, &booth, json!({"account": "ann", "role": "spectator"})).await;
    let joined = join(&mut ann, json!({"mode": "ticket", "ticket": watch, "role": "player"})).await;
    assert_eq!(joined["role"], "spectator");
    let mut bob = enter(&broker, "bob").await;
    join(&mut bob, json!({"mode": "id", "room": booth})).await;
    assert_eq!(broker.registry().len(), 2);
}

#[tokio::test]
async fn a_full_room_is_full_and_the_ticket_still_good() {
    let broker = start().await;
    let room = make(&broker, "court").await;
    let mut tickets = Vec::new();
    for account in ["ann", "bob"] {
        tickets.push(issue(&broker, &room, json!({"account": account})).await);
    }
    let (mut ann, mut bob) = (enter(&broker, "ann").await, enter(&broker, "bob").await);
    let joined = join(&mut ann, by(&tickets[0])).await;
    kept_out(&broker, &mut bob, by(&tickets[1]), ErrorCode::RoomFull).await;
    ann.say(json!([3, joined["room"]])).await;
    assert_eq!(hear(&mut ann, 39).await[4], "left");
    join(&mut bob, by(&tickets[1])).await;
}

#[tokio::test]
async fn the_game_s_own_routes_hand_out_tickets() {
    let app = app();
    let rooms: Rooms = app.rooms();
    let early =
        rooms.ticket(&RoomId::parse("x").unwrap(), "ann", Role::Player, Duration::from_secs(1)).await.unwrap_err();
    assert!(early.text.contains("not started"), "{early}");
    let given = rooms.clone();
    let seat = post(async move |Path((room, account)): Path<(String, String)>| {
        let (room, minute) = (RoomId::parse(&room).unwrap(), Duration::from_secs(60));
        Json(given.ticket(&room, &account, Role::Player, minute).await.map_err(|failure| failure.code))
    });
    let broker = app.http(Router::new().route("/seats/{room}/{account}", seat)).start(&closed()).await.unwrap();
    let room = rooms.create("court", &()).await.unwrap();
    let answer = request(broker.addr(), "POST", &format!("/seats/{room}/ann"), "", "").await;
    let mut ann = enter(&broker, "ann").await;
    let joined = join(&mut ann, by(answer.json()["Ok"].as_str().unwrap())).await;
    assert_eq!(joined["id"], room.as_str());
    let nowhere = request(broker.addr(), "POST", "/seats/nowhere/ann", "", "").await;
    assert_eq!(nowhere.json()["Err"], "unknown_room");
    for (account, seconds) in [("", 60), (&*"x".repeat(65), 60), ("ann", 0), ("ann", 86_401)] {
        let refused = rooms.ticket(&room, account, Role::Player, Duration::from_secs(seconds)).await.unwrap_err();
        assert_eq!(refused.code, "bad_request", "{account} {seconds}");
    }
    rooms.ticket(&room, "ann", Role::Spectator, Duration::from_secs(86_400)).await.unwrap();
}

#[tokio::test]
async fn tickets_outlive_their_process_with_a_secret_only() {
    for (secret, code) in
        [(Some("a secret of the broker of some length"), ErrorCode::UnknownRoom), (None, ErrorCode::TicketInvalid)]
    {
        let set = |config: &mut parlor::broker::Config| config.secret = secret.map(str::to_owned);
        let (first, second) = (start_with(set).await, start_with(set).await);
        let room = make(&first, "court").await;
        let ticket = issue(&first, &room, json!({"account": "ann"})).await;
        let mut ann = enter(&second, "ann").await;
        kept_out(&second, &mut ann, by(&ticket), code).await;
    }
}
