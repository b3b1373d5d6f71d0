//! A game's routes and its check of tokens in a process of their own, beside a broker that stands alone and workers.

use std::net::SocketAddr;
use std::time::Duration;

use parlor::axum::extract::Path;
use parlor::axum::routing::{get, post};
use parlor::axum::{Json, Router};
use parlor::broker::{Broker, Config};
use parlor::prelude::*;
use parlor::{App, ErrorCode, Identity, Problem, Rights, RoomId, Services, WorkerOptions};
use parlor_client::{ClientError, JoinRequest, Options, Parlor};
use parlor_tests::http::{self, Answer, request, with_key};
use parlor_tests::{config, connect_with};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::stage::Extension;

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:1";

#[derive(Default, Serialize, Deserialize)]
struct Match {
    map: String,
}

#[room(kind = "match", join = "ticket")]
impl Match {
    #[msg::open]
    fn opened(&mut self, _ctx: &mut Ctx, map: String) {
        self.map = map;
    }

    #[msg::view]
    fn view(&self, to: &Player) -> (String, String) {
        (self.map.clone(), to.account.clone())
    }
}

async fn check(token: String) -> Result<Identity, Failure> {
    match token.split_once(' ') {
        Some(("full", account)) => {
            let rights = Rights { kinds: Some(vec!["match".into()]), rooms: Some(vec![]), ..Rights::default() };
            Ok(Identity::new(account).named("Ann").until(4_000_000_000_000).with_rights(rights))
        }
        Some(("ok", account)) => Ok(Identity::new(account)),
        Some(("banned", _)) => Err(Failure::app("banned", "this account is closed").with("until", "never")),
        _ => Err(ErrorCode::TokenInvalid.into()),
    }
}

/// A game with a route that makes a match and lets somebody into it.
fn game() -> App {
    let app = App::new().room::<Match>().authenticate(check);
    let rooms = app.rooms();
    let seat = async move |Path((map, account)): Path<(String, String)>| {
        let room = rooms.create("match", &map).await?;
        Ok::<_, Problem>(Json(rooms.ticket(&room, &account, Role::Player, Duration::from_secs(60)).await?))
    };
    let own =
        Router::new().route("/seats/{map}/{account}", post(seat)).route("/health", get(async || "the game's own"));
    app.http(own)
}

/// A broker that asks `services` whose tokens are.
async fn broker_asking(services: SocketAddr, change: impl FnOnce(&mut Config)) -> Broker {
    let mut config = config();
    config.auth.guests = false;
    config.auth.url = Some(format!("http://{services}/v1/identity"));
    change(&mut config);
    Broker::start(&config, Vec::new(), Router::new()).await.unwrap()
}

async fn identity_of(services: &Services, token: &str) -> Answer {
    with_key(services.addr(), "POST", "/v1/identity", &json!({ "token": token })).await
}

#[tokio::test]
async fn a_game_in_three_processes() {
    // The check needs to know nothing of the broker, and the routes nothing of who asks for the check: one is there first.
    let checks = game().start_services(NOWHERE, &config()).await.unwrap();
    let token = "a token for the workers";
    let broker = broker_asking(checks.addr(), |config| config.workers.token = Some(token.into())).await;
    let options = WorkerOptions { token: token.into(), ..WorkerOptions::new(format!("ws://{}", broker.addr())) };
    let worker = game().start_worker(&options).unwrap();
    worker.welcomed().await.unwrap();
    let routes = game().start_services(&format!("http://{}", broker.addr()), &config()).await.unwrap();

    let ann = connect_with(&broker, Options::new().token("ok ann")).await;
    let made = request(routes.addr(), "POST", "/seats/dust/ann", "", "").await;
    let ticket = made.json().as_str().unwrap().to_owned();
    let room = ann.join(JoinRequest::by_ticket(&ticket)).await.unwrap();
    assert_eq!(room.view::<(String, String)>().unwrap(), ("dust".into(), "ann".into()));
    // What the broker refuses, the route passes on as it is.
    let refused = request(routes.addr(), "POST", &format!("/seats/dust/{}", "x".repeat(65)), "", "").await;
    assert_eq!((refused.status, &refused.json()["code"]), (400, &json!("bad_request")));
    broker.shutdown().await;
    let gone = request(routes.addr(), "POST", "/seats/dust/ann", "", "").await;
    let told = gone.json();
    assert_eq!((gone.status, &told["code"], &told["retryable"]), (503, &json!("unreachable"), &json!(true)));
}

#[tokio::test]
async fn whose_a_token_is_is_told_to_those_with_the_server_key() {
    let services = game().start_services(NOWHERE, &config()).await.unwrap();
    let full = identity_of(&services, "full ann").await;
    let whole = json!({
        "account": "ann", "name": "Ann", "expires_ms": 4_000_000_000_000_u64, "rights": {"kinds": ["match"], "rooms": []},
    });
    assert_eq!((full.status, full.json()), (200, whole));
    assert_eq!(identity_of(&services, "ok bob").await.json(), json!({"account": "bob", "rights": {}}));
    let banned = identity_of(&services, "banned cid").await;
    let expected = json!({
        "title": "Unprocessable Entity", "status": 422, "detail": "this account is closed", "code": "app.banned", "retryable": false,
        "params": {"until": "never"},
    });
    assert_eq!((banned.status, banned.json()), (422, expected));
    assert_eq!(identity_of(&services, "?").await.json()["code"], "token_invalid");

    let question = json!({"token": "ok ann"}).to_string();
    for key in ["", "authorization: Bearer test-kez\r\n", "authorization: test-key\r\n"] {
        let refused = request(services.addr(), "POST", "/v1/identity", key, &question).await;
        assert_eq!((refused.status, &refused.json()["code"]), (401, &json!("unauthorized")), "{key}");
    }
    for question in [json!({}), json!({"token": 5}), json!({"token": "ok ann", "more": 1}), json!("ok ann")] {
        let refused = with_key(services.addr(), "POST", "/v1/identity", &question).await;
        assert_eq!((refused.status, &refused.json()["code"]), (400, &json!("bad_request")), "{question}");
    }
    assert_eq!(identity_of(&services, &"x".repeat(60_000)).await.status, 413);
    assert_eq!(http::get(services.addr(), "/v1/identity").await.status, 405);
    let keyless = Config { server_key: None, ..config() };
    let shut = game().start_services(NOWHERE, &keyless).await.unwrap_err();
    assert!(shut.text.contains("server_key is not set"), "{shut}");
    App::new().room::<Match>().start_services(NOWHERE, &keyless).await.unwrap();
    let checkless = App::new().room::<Match>().start_services(NOWHERE, &config()).await.unwrap();
    assert_eq!(identity_of(&checkless, "ok ann").await.status, 404);
}

#[tokio::test]
async fn their_own_paths_win_and_connections_are_bounded() {
    let mut config = config();
    config.limits.connections = 2;
    let services = game().start_services(NOWHERE, &config).await.unwrap();
    assert_eq!(http::get(services.addr(), "/health").await.json()["status"], "ok");
    assert_eq!(http::get(services.addr(), "/nothing").await.status, 404);
    // A WebSocket is to be had from the broker.
    assert_eq!(http::get(services.addr(), "/ws").await.status, 404);
    let ask = |path| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes();
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut socket = TcpStream::connect(services.addr()).await.unwrap();
        assert_eq!(http::exchange(&mut socket, &ask("/health")).await.status, 200);
        held.push(socket);
    }
    let mut third = TcpStream::connect(services.addr()).await.unwrap();
    assert_eq!(third.read(&mut [0]).await.unwrap_or(0), 0, "there is no place for it");
    let metrics = http::exchange(&mut held[0], &ask("/metrics")).await;
    assert!(metrics.body.contains("parlor_connections_refused_total 1"), "{}", metrics.body);
    for (url, why) in [("broker.example", "https://host"), ("http://proxy.example/game", "it has a path")] {
        let error = game().start_services(url, &self::config()).await.unwrap_err();
        assert!(error.code == "cannot_start" && error.text.contains(why), "{error}");
    }
}

/// Answers every question with this.
async fn backend(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut asked = Vec::new();
            while !asked.ends_with(b"}") {
                asked.push(socket.read_u8().await.unwrap());
            }
            let asked = String::from_utf8(asked).unwrap();
            assert!(
                asked.starts_with("POST /v1/identity HTTP/1.1\r\n") && asked.ends_with("{\"token\":\"x\"}"),
                "{asked}"
            );
            assert!(asked.contains("authorization: Bearer test-key\r\n"), "{asked}");
            let length = answer.split_once("\r\n\r\n").unwrap().1.len();
            let whole = answer.replacen("\r\n", &format!("\r\ncontent-length: {length}\r\n"), 1);
            socket.write_all(whole.as_bytes()).await.unwrap();
        }
    });
    addr
}

async fn refusal(broker: &Broker) -> Failure {
    match Parlor::connect(&format!("ws://{}", broker.addr()), Options::new().token("x")).await {
        Err(ClientError::Refused(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn any_backend_may_answer_and_a_bad_answer_lets_nobody_in() {
    for (answer, code, retryable) in [
        ("HTTP/1.1 422 No\r\n\r\n{\"code\":\"app.banned\"}", "app.banned", false),
        ("HTTP/1.1 422 No\r\n\r\n{\"code\":\"app.busy\",\"retryable\":true}", "app.busy", true),
        ("HTTP/1.1 422 No\r\n\r\nno", "auth_unavailable", true),
        ("HTTP/1.1 401 No\r\n\r\n{\"code\":\"unauthorized\"}", "auth_unavailable", true),
        ("HTTP/1.1 500 No\r\n\r\n", "auth_unavailable", true),
        ("HTTP/1.1 200 OK\r\n\r\n{}", "auth_unavailable", true),
        ("HTTP/1.1 200 OK\r\n\r\n{\"account\":\"ann\",\"right\":{}}", "auth_unavailable", true),
        ("HTTP/1.1 200 OK\r\n\r\n{\"account\":\"ann\",\"rights\":{\"kind\":[]}}", "auth_unavailable", true),
        ("HTTP/1.1 200 OK\r\n\r\n{\"account\":\"ann\",\"rights\":[]}", "auth_unavailable", true),
        ("HTTP/1.1 200 OK\r\n\r\n{\"account\":\"ann\",\"rights\":[[\"chess\"]]}", "auth_unavailable", true),
        ("HTTP/1.1 200 OK\r\n\r\n[\"ann\"]", "auth_unavailable", true),
        ("HTTP/1.1 422 No\r\n\r\n{\"code\":\"\"}", "auth_unavailable", true),
        ("HTTP/1.1 200 OK\r\n\r\n{\"account\":\" \"}", "token_invalid", false),
        ("HTTP/1.1 302 Found\r\nlocation: /\r\n\r\n", "auth_unavailable", true),
        ("no HTTP\r\n\r\n", "auth_unavailable", true),
    ] {
        let broker = broker_asking(backend(answer).await, |_| {}).await;
        let failure = refusal(&broker).await;
        assert_eq!((&*failure.code, failure.retryable), (code, retryable), "{answer}");
    }
    let broker = broker_asking(backend("HTTP/1.1 200 OK\r\n\r\n{\"account\":\"ann\"}").await, |_| {}).await;
    connect_with(&broker, Options::new().token("x")).await;
    let nobody = broker_asking(NOWHERE["http://".len()..].parse().unwrap(), |_| {}).await;
    assert_eq!(refusal(&nobody).await.code, "auth_unavailable");
}

#[tokio::test]
async fn rooms_are_reached_with_the_server_key() {
    let broker = App::new().room::<Match>().start(&config()).await.unwrap();
    let url = format!("http://{}", broker.addr());
    let (app, keyless) = (game(), App::new().room::<Match>());
    let (rooms, shown) = (app.rooms(), keyless.rooms());
    let _services = app.start_services(&url, &config()).await.unwrap();
    let _others = keyless.start_services(&url, &Config { server_key: None, ..config() }).await.unwrap();
    let mut made = Vec::new();
    for number in 0..100 {
        made.push(rooms.create("match", &number.to_string()).await.unwrap());
    }
    let ids = |rooms: Vec<parlor::broker::room::RoomInfo>| rooms.into_iter().map(|room| room.id).collect::<Vec<_>>();
    assert_eq!(ids(shown.list().await.unwrap()), made);
    made.push(rooms.create("match", &"one more").await.unwrap());
    assert_eq!(ids(rooms.list().await.unwrap()), made);
    // Some of a list would pass for all of it.
    assert_eq!(shown.list().await.unwrap_err().code, "unauthorized");
    assert_eq!(shown.create("match", &"x").await.unwrap_err().code, "unauthorized");
    assert_eq!(shown.close(&made[0]).await.unwrap_err().code, "unauthorized");
    assert_eq!(rooms.create("chess", &"x").await.unwrap_err().code, "unknown_kind");
    assert_eq!(rooms.show(&RoomId::parse("nowhere").unwrap()).await.unwrap_err().code, "unknown_room");
    assert_eq!(shown.show(&made[0]).await.unwrap(), rooms.show(&made[0]).await.unwrap());
    // What clients that speak JSON cannot be sent either.
    assert_eq!(rooms.create("match", &Extension).await.unwrap_err().code, "bad_payload");
}

#[tokio::test]
async fn more_calls_than_a_broker_takes_connections_wait_for_each_other() {
    let mut config = config();
    config.limits.connections_per_address = 32;
    let broker = App::new().room::<Match>().start(&config).await.unwrap();
    let app = game();
    let rooms = app.rooms();
    let _services = app.start_services(&format!("http://{}", broker.addr()), &config).await.unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let rooms = rooms.clone();
        calls.spawn(async move { rooms.create("match", &"dust").await });
    }
    while let Some(made) = calls.join_next().await {
        made.unwrap().unwrap();
    }
    assert_eq!((broker.registry().len(), broker.metrics().connections_refused.get()), (300, 0));
}
