//! One way to each error about who somebody is, what that allows, and how much of it.

use std::time::Duration;

use parlor::broker::Broker;
use parlor::policy::Admission;
use parlor::{Policy, Role, RoomId, Rooms};
use parlor_client::{Codec, ErrorCode, JoinRequest, Options, Parlor};
use parlor_protocol::Failure;
use parlor_tests::{config, connect, connect_with};
use serde_json::json;

use super::provoke::refusal;
use crate::identity::sign::{SECRET, token, token_for, token_with};
use crate::raw::Raw;
use crate::stage::{Told, start_with, told};

/// A broker whose rooms ask for something, and its rooms.
async fn start() -> (Broker, Rooms) {
    let mut config = config();
    config.auth.guests = false;
    config.auth.secret = Some(SECRET.into());
    let asking = |join| Policy { join, ..Policy::default() };
    let app = parlor::App::new().relay("court", asking(Admission::Ticket)).relay("club", asking(Admission::Invite));
    let rooms = app.rooms();
    (app.start(&config).await.unwrap(), rooms)
}

async fn ann(broker: &Broker) -> Parlor {
    connect_with(broker, Options::new().token(token("ann"))).await
}

async fn connecting(options: Options) -> Told {
    let (broker, _) = start().await;
    let failure = refusal(Parlor::connect(&format!("ws://{}", broker.addr()), options).await);
    told(&broker, failure)
}

pub(super) async fn token_required() -> Told {
    connecting(Options::new()).await
}

pub(super) async fn token_invalid() -> Told {
    connecting(Options::new().token("not one")).await
}

pub(super) async fn token_expired() -> Told {
    connecting(Options::new().token(token_for("ann", -60))).await
}

pub(super) async fn forbidden() -> Told {
    let (broker, _) = start().await;
    let watching = token_with("ann", json!({"parlor": {"roles": ["spectator"]}}));
    let client = connect_with(&broker, Options::new().token(watching)).await;
    told(&broker, refusal(client.create("club", &()).await))
}

pub(super) async fn ticket_required() -> Told {
    let (broker, rooms) = start().await;
    let (room, client) = (rooms.create("court", &()).await.unwrap(), ann(&broker).await);
    told(&broker, refusal(client.join_by_id(room, &()).await))
}

async fn with_ticket(ticket: impl AsyncFnOnce(&Rooms, RoomId, &Parlor) -> String) -> Told {
    let (broker, rooms) = start().await;
    let (room, client) = (rooms.create("court", &()).await.unwrap(), ann(&broker).await);
    let ticket = ticket(&rooms, room, &client).await;
    told(&broker, refusal(client.join(JoinRequest::by_ticket(ticket)).await))
}

const MINUTE: Duration = Duration::from_secs(60);

pub(super) async fn ticket_invalid() -> Told {
    with_ticket(async |rooms, room, _| rooms.ticket(&room, "bob", Role::Player, MINUTE).await.unwrap()).await
}

pub(super) async fn ticket_expired() -> Told {
    with_ticket(async |rooms, room, _| {
        let ticket = rooms.ticket(&room, "ann", Role::Player, Duration::from_secs(1)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        ticket
    })
    .await
}

pub(super) async fn ticket_used() -> Told {
    with_ticket(async |rooms, room, client| {
        let ticket = rooms.ticket(&room, "ann", Role::Player, MINUTE).await.unwrap();
        client.join(JoinRequest::by_ticket(&ticket)).await.unwrap().leave().await.unwrap();
        ticket
    })
    .await
}

pub(super) async fn invite_required() -> Told {
    let (broker, rooms) = start().await;
    let (room, client) = (rooms.create("club", &()).await.unwrap(), ann(&broker).await);
    told(&broker, refusal(client.join_by_id(room, &()).await))
}

pub(super) async fn unknown_invite() -> Told {
    let (broker, _) = start().await;
    let failure = refusal(ann(&broker).await.join(JoinRequest::by_invite("ABCD-EFGH")).await);
    told(&broker, failure)
}

/// Everything beyond the rate is refused under its id or number, and what is within it again goes through.
pub(super) async fn rate_limited() -> Told {
    let broker = start_with(|config| config.limits.messages_per_s = 10).await;
    let (mut raw, room) = Raw::join(&broker, Codec::Json, "stage").await;
    // Five seconds' worth at once, two of which it took to come here; then everything is refused, under its id or number.
    let mut frames = vec![json!([8, 1]); 60];
    frames.extend([
        json!([4, room, "say", {"text": "x"}]),
        json!([5, room, "say", 7, {"text": "x"}]),
        json!([6, 8, room, "news"]),
        json!([2, 9, {"mode": "create", "kind": "stage"}, null]),
        json!([10, 11, "token"]),
    ]);
    raw.say_all(&frames).await;
    let mut answered = 0;
    for _ in 0..60 {
        let answer = raw.hear().await;
        match answer[0].as_u64() {
            Some(42) => answered += 1,
            _ => assert_eq!((&answer[1], &answer[2]["code"]), (&json!(null), &json!("rate_limited")), "{answer}"),
        }
    }
    assert!((48..60).contains(&answered), "{answered}");
    let mut last: Option<Failure> = None;
    for (id, no) in [(None, Some(1)), (Some(7), Some(2)), (Some(8), None), (Some(9), None), (Some(11), None)] {
        let (answers, failure) = raw.error().await;
        assert_eq!((answers, failure.no, &*failure.code), (id, no, "rate_limited"));
        last = Some(failure);
    }
    assert_eq!(broker.metrics().errors(ErrorCode::RateLimited), 65 - answered);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    raw.say(json!([5, room, "say", 12, {"text": "calm"}])).await;
    let mut reply = raw.hear().await;
    while reply[0] != 37 {
        reply = raw.hear().await;
    }
    assert_eq!(reply[4], 12);
    told(&broker, last.unwrap())
}

pub(super) async fn too_many_subscriptions() -> Told {
    let broker = start_with(|config| config.limits.subscriptions = 1).await;
    let client = connect(&broker).await;
    let (one, other) = (client.create("stage", &()).await.unwrap(), client.create("stage", &()).await.unwrap());
    one.subscribe("news").await.unwrap();
    one.subscribe("news").await.expect("the same one is no other");
    let failure = refusal(other.subscribe("news").await);
    assert_eq!(failure.params["limit"], 1);
    one.unsubscribe("news").await.unwrap();
    other.subscribe("news").await.expect("there is a place again");
    told(&broker, failure)
}
