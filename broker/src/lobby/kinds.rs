//! `/v1/kinds`: what kinds there are, in which versions, and which of them new rooms are of.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};

use super::Lobby;
use super::rooms::{Authorized, bad, parse};
use crate::problem::Problem;
use crate::room::{KindInfo, OpenRooms};

#[derive(Serialize)]
pub(super) struct Kinds {
    kinds: Vec<KindInfo>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RollOut {
    to: String,
    /// Of a hundred accounts.
    #[serde(default = "all")]
    weight: u8,
    /// Whether rooms that are open move to it, too.
    #[serde(default, rename = "move")]
    moves: bool,
}

fn all() -> u8 {
    100
}

/// `GET /v1/kinds`.
pub(super) async fn list(_: Authorized, State(lobby): State<Lobby>) -> Json<Kinds> {
    Json(Kinds { kinds: lobby.registry.kinds() })
}

/// `GET /v1/kinds/{kind}`.
pub(super) async fn show(
    _: Authorized,
    State(lobby): State<Lobby>,
    Path(kind): Path<String>,
) -> Result<Json<KindInfo>, Problem> {
    Ok(Json(lobby.registry.kind_info(&kind)?))
}

/// `PUT /v1/kinds/{kind}/rollout`: rooms that are open stay what they are, unless they are to move.
pub(super) async fn roll_out(
    _: Authorized,
    State(lobby): State<Lobby>,
    Path(kind): Path<String>,
    body: Bytes,
) -> Result<Json<KindInfo>, Problem> {
    let RollOut { to, weight, moves } = parse(&body)?;
    if weight > 100 {
        return Err(bad("weight is a percentage, 0 to 100".into()).into());
    }
    let open_rooms = if moves { OpenRooms::Move } else { OpenRooms::Stay };
    lobby.registry.roll_out(&kind, &to, weight, open_rooms)?;
    Ok(Json(lobby.registry.kind_info(&kind)?))
}
