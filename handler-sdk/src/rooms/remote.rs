//! Rooms of a broker in another process, by its REST.

use std::fmt;
use std::time::Duration;

use parlor_broker::fetch::{Address, Asked, Method};
use parlor_broker::problem::Problem;
use parlor_broker::room::RoomInfo;
use parlor_protocol::codec::json_from_msgpack;
use parlor_protocol::{ErrorCode, RoomId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::{Failure, Result, Role};

/// Time for an answer: a room that opens may have to wait for a worker.
const DEADLINE: Duration = Duration::from_secs(30);
/// Bytes of one: a list of all rooms, of some 200 bytes each, and their properties.
const MAX_ANSWER: usize = 256 << 20;

/// Calls under way at once: a broker takes so many connections from one address, and drops those beyond.
const UNDER_WAY: usize = 32;

/// A broker's REST.
pub(super) struct Remote {
    address: Address,
    server_key: Option<String>,
    turns: Semaphore,
}

#[derive(Deserialize)]
struct Made {
    id: RoomId,
}

#[derive(Deserialize)]
struct Listed {
    rooms: Vec<RoomInfo>,
    total: usize,
}

#[derive(Deserialize)]
struct TicketMade {
    ticket: String,
}

impl Remote {
    pub(super) fn new(url: &str, server_key: Option<&str>) -> Result<Self, String> {
        // Not the address itself, which may have somebody's password in it.
        let address = Address::parse(url).map_err(|error| format!("the broker's address: {error}"))?;
        if !address.is_root() {
            return Err("the broker's address: it has a path, and a broker is at the root".to_owned());
        }
        if server_key.is_some() && address.is_exposed() {
            tracing::warn!(%address, "the server key is sent without TLS");
        }
        Ok(Self { address, server_key: server_key.map(str::to_owned), turns: Semaphore::new(UNDER_WAY) })
    }

    pub(super) async fn create(&self, kind: &str, options: &[u8]) -> Result<RoomId> {
        let wish = json!({"kind": kind, "options": as_json(options)?});
        let Made { id } = self.ask(Method::POST, "/v1/rooms", Some(wish)).await?;
        Ok(id)
    }

    pub(super) async fn raise(&self, room: &RoomId, event: &str, payload: &[u8]) -> Result {
        let body = json!({"event": event, "payload": as_json(payload)?});
        self.call(Method::POST, &format!("/v1/rooms/{room}/events"), Some(body)).await.map(drop)
    }

    pub(super) async fn close(&self, room: &RoomId) -> Result {
        self.call(Method::DELETE, &format!("/v1/rooms/{room}"), None).await.map(drop)
    }

    pub(super) async fn show(&self, room: &RoomId) -> Result<RoomInfo> {
        self.ask(Method::GET, &format!("/v1/rooms/{room}"), None).await
    }

    pub(super) async fn list(&self) -> Result<Vec<RoomInfo>> {
        let Listed { rooms, total } = self.ask(Method::GET, &format!("/v1/rooms?limit={}", u32::MAX), None).await?;
        if rooms.len() < total {
            let why = format!("{} of {total} rooms are shown without the server key", rooms.len());
            return Err(Failure::from(ErrorCode::Unauthorized).because(why));
        }
        Ok(rooms)
    }

    pub(super) async fn ticket(&self, room: &RoomId, account: &str, role: Role, ttl: Duration) -> Result<String> {
        let wanted = json!({"account": account, "role": role, "ttl_s": ttl.as_secs()});
        let made = self.ask(Method::POST, &format!("/v1/rooms/{room}/tickets"), Some(wanted)).await?;
        let TicketMade { ticket } = made;
        Ok(ticket)
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<Value>) -> Result<T> {
        let answer = self.call(method, path, body).await?;
        let strange = |error| unreachable(format!("the answer is no broker's: {error}"));
        serde_json::from_slice(&answer).map_err(strange)
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Vec<u8>> {
        let _turn = self.turns.acquire().await;
        let asked = Asked { method, key: self.server_key.clone(), body: body.map(|body| body.to_string()) };
        let address = self.address.at(path).map_err(|error| unreachable(error.to_string()))?;
        let (status, answer) =
            address.ask(&asked, MAX_ANSWER, DEADLINE).await.map_err(|error| unreachable(error.to_string()))?;
        if status.is_success() {
            return Ok(answer);
        }
        let other = || {
            let failure = unreachable(format!("the answer is no broker's: {status}"));
            Failure { retryable: status.is_server_error(), ..failure }
        };
        Err(Problem::read(&answer).map_or_else(other, |Problem(failure)| failure))
    }
}

impl fmt::Debug for Remote {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("address", &self.address).finish_non_exhaustive()
    }
}

/// As REST takes it, by the way that payloads go to clients which speak JSON.
fn as_json(payload: &[u8]) -> Result<Value> {
    let bad = |error: &dyn fmt::Display| Failure::from(ErrorCode::BadPayload).because(error.to_string());
    let mut text = Vec::new();
    json_from_msgpack(payload, &mut text).map_err(|error| bad(&error))?;
    serde_json::from_slice(&text).map_err(|error| bad(&error))
}

fn unreachable(why: String) -> Failure {
    Failure { code: "unreachable".into(), retryable: true, ..Failure::app("", why) }
}
