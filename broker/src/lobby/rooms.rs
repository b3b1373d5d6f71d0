//! `/v1/rooms`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::header::{AUTHORIZATION, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use parlor_protocol::codec::{NIL, to_payload};
use parlor_protocol::frame::Role;
use parlor_protocol::room::CloseWhy;
use parlor_protocol::{ErrorCode, Failure, RoomId, msgpack};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use subtle::ConstantTimeEq;

use super::Lobby;
use crate::problem::Problem;
use crate::room::{Aside, CreateRoom, RoomHandle, RoomInfo};

/// Rooms that one listing shows unless it asks for fewer, or for more with the server key.
const MAX_LISTED: usize = 100;

#[derive(Serialize)]
pub(super) struct Listed {
    rooms: Vec<RoomInfo>,
    /// How many match in all.
    total: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    kind: String,
    #[serde(default)]
    id: Option<RoomId>,
    #[serde(default)]
    options: Value,
    #[serde(default)]
    properties: BTreeMap<String, Value>,
    #[serde(default)]
    private: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    event: String,
    #[serde(default)]
    payload: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantTicket {
    account: String,
    #[serde(default)]
    role: Role,
    /// Seconds.
    #[serde(default = "ticket_ttl")]
    ttl_s: u64,
}

/// Two minutes: long enough to start a game, short enough that a leaked ticket is of little use.
fn ticket_ttl() -> u64 {
    120
}

#[derive(Serialize)]
pub(super) struct TicketMade {
    ticket: String,
    /// Seconds since 1970.
    expires_s: u64,
}

/// A room as its maker sees it.
#[derive(Serialize)]
struct Made {
    #[serde(flatten)]
    room: RoomInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    invite: Option<String>,
}

/// `GET /v1/rooms?kind=arena&free=1&prop.map=dust&limit=20`.
pub(super) async fn list(
    State(lobby): State<Lobby>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Json<Listed>, Problem> {
    let number = |name: &str| match query.get(name) {
        Some(text) => text.parse::<u32>().map(Some).map_err(|_| bad(format!("`{name}` is not a number"))),
        None => Ok(None),
    };
    let (free, limit) = (number("free")?, number("limit")?);
    let known = |key: &String| matches!(key.as_str(), "kind" | "free" | "limit") || key.starts_with("prop.");
    if let Some(unknown) = query.keys().find(|key| !known(key)) {
        return Err(bad(format!("unknown parameter `{unknown}`: kind, free, limit and prop.NAME are known")).into());
    }
    let mut rooms = lobby.registry.list();
    rooms.retain(|room| {
        query.get("kind").is_none_or(|kind| *kind == room.kind)
            && free.is_none_or(|free| room.free >= free)
            && query
                .iter()
                .all(|(key, wanted)| key.strip_prefix("prop.").is_none_or(|name| matches(room, name, wanted)))
    });
    let total = rooms.len();
    let trusted = authorize(lobby.server_key.as_deref(), &headers).is_ok();
    let most = if trusted { usize::MAX } else { MAX_LISTED };
    rooms.truncate(limit.map_or(MAX_LISTED, |limit| (limit as usize).min(most)));
    Ok(Json(Listed { rooms, total }))
}

/// `POST /v1/rooms`: answers once the room's `open` handler has run.
pub(super) async fn create(_: Authorized, State(lobby): State<Lobby>, body: Bytes) -> Result<Response, Problem> {
    let Create { kind, id, options, properties, private } = parse(&body)?;
    let wish = CreateRoom { options: payload(&options)?, properties, private, id, account: None };
    let room = lobby.registry.create(&kind, wish)?;
    room.opened().await?;
    let location = format!("/v1/rooms/{}", room.id());
    let made = Made { room: room.info(), invite: room.invite().map(str::to_owned) };
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(made)).into_response())
}

/// `POST /v1/rooms/{id}/tickets`: the right of one player to come in, once.
pub(super) async fn ticket(
    _: Authorized,
    State(lobby): State<Lobby>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<(StatusCode, Json<TicketMade>), Problem> {
    let WantTicket { account, role, ttl_s } = parse(&body)?;
    let room = find(&lobby, &id)?;
    let issued = lobby.keys.issue(room.id().clone(), &account, role, Duration::from_secs(ttl_s))?;
    Ok((StatusCode::CREATED, Json(TicketMade { ticket: issued.ticket, expires_s: issued.expires_s })))
}

/// `GET /v1/rooms/{id}`.
pub(super) async fn show(State(lobby): State<Lobby>, Path(id): Path<String>) -> Result<Json<RoomInfo>, Problem> {
    Ok(Json(find(&lobby, &id)?.info()))
}

/// `DELETE /v1/rooms/{id}`: the room's `close` handler runs, and within its grace the room is gone.
pub(super) async fn close(
    _: Authorized,
    State(lobby): State<Lobby>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    find(&lobby, &id)?.close(CloseWhy::Requested);
    Ok(StatusCode::ACCEPTED)
}

/// `POST /v1/rooms/{id}/events`: an input like any other, in its turn.
pub(super) async fn event(
    _: Authorized,
    State(lobby): State<Lobby>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let Event { event, payload: value } = parse(&body)?;
    let room = find(&lobby, &id)?;
    lobby.registry.raise(&room, &event, payload(&value)?)?;
    Ok(StatusCode::ACCEPTED)
}

/// `GET /v1/rooms/{id}/set-aside`: the inputs on which the room's handler has panicked.
pub(super) async fn aside(
    _: Authorized,
    State(lobby): State<Lobby>,
    Path(id): Path<String>,
) -> Result<Json<Aside>, Problem> {
    Ok(Json(find(&lobby, &id)?.aside()))
}

/// The caller has the server key. This stands before the body in a handler's arguments, so that nobody else's body is waited for.
pub(super) struct Authorized;

impl FromRequestParts<Lobby> for Authorized {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, lobby: &Lobby) -> Result<Self, Problem> {
        authorize(lobby.server_key.as_deref(), &parts.headers)?;
        Ok(Self)
    }
}

fn find(lobby: &Lobby, id: &str) -> Result<Arc<RoomHandle>, Failure> {
    let unknown = || Failure::from(ErrorCode::UnknownRoom).with("room", id);
    let id = RoomId::parse(id).map_err(|_| unknown())?;
    lobby.registry.get(&id).ok_or_else(unknown)
}

pub(crate) fn authorize(server_key: Option<&str>, headers: &HeaderMap) -> Result<(), Failure> {
    let denied = |text| Err(Failure::from(ErrorCode::Unauthorized).because(text));
    let Some(key) = server_key else {
        return denied("no server key is set: start with --server-key or PARLOR_SERVER_KEY");
    };
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let same = given.is_some_and(|given| given.as_bytes().ct_eq(key.as_bytes()).into());
    if same { Ok(()) } else { denied("this needs `Authorization: Bearer` with the server key") }
}

pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| bad(error.to_string()))
}

fn payload(value: &Value) -> Result<bytes::Bytes, Failure> {
    let payload = if value.is_null() { NIL } else { to_payload(value).map_err(|error| bad(error.to_string()))? };
    msgpack::check(&payload).map_err(|error| bad(error.to_string()))?;
    Ok(payload)
}

fn matches(room: &RoomInfo, name: &str, wanted: &str) -> bool {
    room.properties.get(name).is_some_and(|value| match value {
        Value::String(text) => text == wanted,
        // A number or a truth value, as JSON writes it.
        other => serde_json::from_str::<Value>(wanted).is_ok_and(|wanted| wanted == *other),
    })
}

pub(super) fn bad(text: String) -> Failure {
    Failure::from(ErrorCode::BadRequest).because(text)
}
