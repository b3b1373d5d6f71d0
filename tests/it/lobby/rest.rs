//! `/v1/rooms` as a game's backend uses it.

use parlor_client::{ErrorCode, RoomEvent};
use parlor_tests::http::{self, get, with_key};
use parlor_tests::{config, connect};
use serde_json::{Value, json};

use super::hall::{Hall, Rung, start, start_with};
use crate::raw::{soon, until};

#[tokio::test]
async fn a_room_is_created_shown_joined_and_closed() {
    let broker = start().await;
    let addr = broker.addr();
    let wish = json!({"kind": "hall", "id": "my-hall", "options": {"map": "ice"}, "properties": {"level": 3}});
    let created = with_key(addr, "POST", "/v1/rooms", &wish).await;
    assert_eq!((created.status, created.header("location")), (201, Some("/v1/rooms/my-hall")), "{created:?}");
    let shown = get(addr, "/v1/rooms/my-hall").await;
    assert_eq!((shown.status, shown.json()), (200, created.json()));
    let expected = json!({
        "id": "my-hall", "kind": "hall", "players": 0, "max_players": 4, "free": 4, "spectators": 0, "max_spectators": 2,
        "locked": false, "private": false, "properties": {"map": "ice", "level": 3, "opened_with": "ice"},
    });
    assert_eq!(shown.json(), expected, "the options reached `open` before the answer");
    let client = connect(&broker).await;
    let mut room = client.join_by_id("my-hall", &()).await.unwrap();
    assert_eq!(room.properties()["level"], 3);
    let closed = with_key(addr, "DELETE", "/v1/rooms/my-hall", &Value::Null).await;
    assert_eq!((closed.status, &*closed.body), (202, ""));
    assert_eq!(soon(room.recv()).await.unwrap().decode::<Rung>().unwrap(), Rung { times: 99 }, "the hook ran");
    let end = soon(room.recv()).await.unwrap();
    assert!(matches!(&end, RoomEvent::Closed { code, .. } if code == "closed"));
    assert_eq!(end.decode::<String>().unwrap(), "Requested");
    until(|| broker.registry().is_empty()).await;
    assert_eq!(get(addr, "/v1/rooms/my-hall").await.problem(), "unknown_room");
    assert_eq!(with_key(addr, "POST", "/v1/rooms", &wish).await.status, 201, "the id is free again");
}

#[tokio::test]
async fn what_cannot_be_created_is_refused_with_a_code() {
    let broker = start().await;
    let addr = broker.addr();
    let first = with_key(addr, "POST", "/v1/rooms", &json!({"kind": "hall", "id": "taken"})).await;
    assert_eq!(first.status, 201);
    let refusing = json!({"kind": "hall", "id": "never", "options": {"refuse_open": true, "map": "ice"}});
    let cases = [
        (json!({"kind": "hall", "id": "taken"}), 400, "bad_request"),
        (json!({"kind": "hall", "id": "no spaces"}), 400, "bad_request"),
        (json!({"kind": "hall", "colour": "red"}), 400, "bad_request"),
        (json!({}), 400, "bad_request"),
        (json!({"kind": "chess"}), 404, "unknown_kind"),
        (refusing.clone(), 422, "app.no_hall"),
    ];
    for (wish, status, code) in cases {
        let answer = with_key(addr, "POST", "/v1/rooms", &wish).await;
        assert_eq!((answer.status, &*answer.problem()), (status, code), "{wish}");
    }
    let refused = with_key(addr, "POST", "/v1/rooms", &refusing).await;
    assert_eq!((&refused.json()["params"]["map"], &refused.json()["retryable"]), (&json!("ice"), &json!(false)));
    until(|| broker.registry().len() == 1).await;
    let full = start_with(|config| config.limits.rooms = 0).await;
    let answer = with_key(full.addr(), "POST", "/v1/rooms", &json!({"kind": "hall"})).await;
    assert_eq!((answer.status, &*answer.problem(), &answer.json()["retryable"]), (503, "server_full", &json!(true)));
}

#[tokio::test]
async fn lists_are_filtered_and_hold_no_private_rooms() {
    let mut config = config();
    config.relay = vec![serde_json::from_value(json!({"kind": "chat", "max_players": 9})).unwrap()];
    let broker = parlor::App::new().room::<Hall>().start(&config).await.unwrap();
    let addr = broker.addr();
    let wishes = [
        json!({"kind": "hall", "id": "a", "properties": {"map": "ice", "level": 3, "hard": true}}),
        json!({"kind": "hall", "id": "b", "properties": {"map": "dust", "level": 3}}),
        json!({"kind": "hall", "id": "hidden", "private": true}),
        json!({"kind": "chat", "id": "c"}),
    ];
    for wish in wishes {
        assert_eq!(with_key(addr, "POST", "/v1/rooms", &wish).await.status, 201);
    }
    let client = connect(&broker).await;
    let _member = client.join_by_id("b", &()).await.unwrap();
    let cases = [
        ("", vec!["a", "b", "c"], 3),
        ("?kind=hall", vec!["a", "b"], 2),
        ("?kind=chess", vec![], 0),
        ("?free=4", vec!["a", "c"], 2),
        ("?free=5", vec!["c"], 1),
        ("?prop.map=dust", vec!["b"], 1),
        ("?prop.level=3&prop.map=ice", vec!["a"], 1),
        ("?prop.hard=true", vec!["a"], 1),
        ("?prop.level=4", vec![], 0),
        ("?limit=2", vec!["a", "b"], 3),
    ];
    for (query, ids, total) in cases {
        let answer = get(addr, &format!("/v1/rooms{query}")).await;
        let list = answer.json();
        let found: Vec<_> = list["rooms"].as_array().unwrap().iter().map(|room| room["id"].as_str().unwrap()).collect();
        assert_eq!((answer.status, found, &list["total"]), (200, ids, &json!(total)), "{query}");
    }
    for query in ["?colour=red", "?free=many", "?limit=-1"] {
        let answer = get(addr, &format!("/v1/rooms{query}")).await;
        assert_eq!((answer.status, &*answer.problem()), (400, "bad_request"), "{query}");
    }
    assert_eq!(get(addr, "/v1/rooms/hidden").await.json()["private"], true, "who knows the id sees it");
}

#[tokio::test]
async fn an_event_is_raised_in_its_turn_and_what_is_wrong_with_it_is_said_or_counted() {
    let broker = start().await;
    let addr = broker.addr();
    let client = connect(&broker).await;
    let mut room = client.create("hall", &()).await.unwrap();
    let path = format!("/v1/rooms/{}/events", room.id());
    let raised = with_key(addr, "POST", &path, &json!({"event": "ring", "payload": {"times": 2}})).await;
    assert_eq!(raised.status, 202, "{raised:?}");
    assert_eq!(soon(room.recv()).await.unwrap().decode::<Rung>().unwrap(), Rung { times: 2 });
    for (event, status, code) in [
        (json!({"event": "set", "payload": {"name": "map", "value": 1}}), 400, "unknown_type"),
        (json!({"event": "nothing"}), 400, "unknown_type"),
        (json!({"payload": 1}), 400, "bad_request"),
    ] {
        let answer = with_key(addr, "POST", &path, &event).await;
        assert_eq!((answer.status, &*answer.problem()), (status, code), "{event}");
    }
    let nowhere = with_key(addr, "POST", "/v1/rooms/nowhere/events", &json!({"event": "ring"})).await;
    assert_eq!((nowhere.status, &*nowhere.problem()), (404, "unknown_room"));
    assert_eq!(broker.metrics().handler_faults.get(), 0);
    let wrong = with_key(addr, "POST", &path, &json!({"event": "ring", "payload": {"times": "often"}})).await;
    assert_eq!(wrong.status, 202, "the payload is looked at in the room");
    until(|| broker.metrics().handler_faults.get() == 1).await;
    assert_eq!(broker.metrics().errors(ErrorCode::BadPayload), 0, "no client is told");
}

#[tokio::test]
async fn whatever_changes_something_needs_the_server_key() {
    let (broker, keyless) = (start().await, start_with(|config| config.server_key = None).await);
    with_key(broker.addr(), "POST", "/v1/rooms", &json!({"kind": "hall", "id": "r"})).await;
    let calls = [("POST", "/v1/rooms"), ("DELETE", "/v1/rooms/r"), ("POST", "/v1/rooms/r/events")];
    let wrong = [
        "",
        "authorization: Bearer wrong\r\n",
        "authorization: Bearer test-ke\r\n",
        "authorization: test-key\r\n",
        "authorization: Basic test-key\r\n",
    ];
    for (method, path) in calls {
        for header in wrong {
            let answer = http::request(broker.addr(), method, path, header, "{}").await;
            assert_eq!((answer.status, &*answer.problem()), (401, "unauthorized"), "{method} {path} {header}");
        }
        let unset = with_key(keyless.addr(), method, path, &json!({})).await;
        assert_eq!((unset.status, &*unset.problem()), (401, "unauthorized"), "{method} {path}");
        assert!(unset.body.contains("--server-key"), "it says what to do");
    }
    assert_eq!((broker.registry().len(), keyless.registry().len()), (1, 0));
}
