//! How the players come in: one after the other, into rooms of their own or into those that the broker finds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parlor_client::{ClientError, JoinRequest, Options, Parlor, Room};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::load::{Load, Rooms};
use crate::player::{Due, Leash, PATIENCE, Player, Shared};
use crate::script::{Mode, RoomPart};
use crate::tally::{Codes, Latency, count};
use crate::template::{Filled, Filling, Template};

/// All players, and what leads them.
pub(crate) struct Crowd {
    /// One for each player that is in.
    pub(crate) dues: Vec<mpsc::UnboundedSender<Due>>,
    /// Closes when no player is busy any more.
    pub(crate) busy: mpsc::Receiver<()>,
    pub(crate) leave: watch::Sender<bool>,
    pub(crate) players: JoinSet<()>,
    pub(crate) joins: Joins,
}

/// How coming in went.
#[derive(Debug, Default)]
pub(crate) struct Joins {
    /// From connecting to being in.
    pub(crate) took: Latency,
    /// By what went wrong.
    pub(crate) failed: Codes,
    pub(crate) rooms: BTreeSet<String>,
    /// From the first one's coming to the last one's being in.
    pub(crate) all: Duration,
}

/// How to get into a room that somebody has made.
#[derive(Clone, Debug)]
enum Door {
    Id(String),
    Invite(String),
    /// The one who should have made it is not in.
    None,
}

type Doors = watch::Sender<Option<Door>>;

/// Lets all players in. One that is in plays from then on, for rooms do not wait to be read.
pub(crate) async fn gather(load: &Load, shared: &Arc<Shared>) -> Crowd {
    let began = Instant::now();
    let mut coming = JoinSet::new();
    let doors: Vec<Doors> = match load.rooms {
        Rooms::Made(rooms) => (0..rooms.min(load.players)).map(|_| watch::Sender::new(None)).collect(),
        Rooms::Found => Vec::new(),
    };
    for n in 0..load.players {
        let door = (!doors.is_empty()).then(|| doors[n % doors.len()].clone());
        let (url, options, room) = (load.url.clone(), options(load, n), shared.script.room.clone());
        let at = tokio::time::Instant::from_std(began) + load.ramp.mul_f64(n as f64);
        let makes = n < doors.len();
        coming.spawn(async move {
            tokio::time::sleep_until(at).await;
            (n, come(&url, options, &room, n as u64, door, makes).await)
        });
    }
    let (is_busy, busy) = mpsc::channel(1);
    let mut crowd = Crowd {
        dues: Vec::new(),
        busy,
        leave: watch::Sender::new(false),
        players: JoinSet::new(),
        joins: Joins::default(),
    };
    while let Some(came) = coming.join_next().await {
        match came {
            Ok((n, Ok((parlor, room, took)))) => {
                crowd.joins.took.record(took);
                crowd.joins.rooms.insert(room.id().to_string());
                let (dues, to_do) = mpsc::unbounded_channel();
                crowd.dues.push(dues);
                let leash = Leash { dues: to_do, busy: is_busy.clone(), leave: crowd.leave.subscribe() };
                crowd.players.spawn(Player::new(Arc::clone(shared), parlor, room, n as u64).play(leash));
            }
            Ok((_, Err(code))) => count(&mut crowd.joins.failed, &code),
            Err(panicked) => count(&mut crowd.joins.failed, &panicked.to_string()),
        }
    }
    crowd.joins.all = began.elapsed();
    crowd
}

fn options(load: &Load, n: usize) -> Options {
    let options = Options::new().request_timeout(PATIENCE).game("parlor bench");
    let options = match load.tokens.get(n) {
        Some(token) => options.token(token),
        None => options,
    };
    options.name(match &load.script.room.name {
        Template::Nil => format!("player {n}"),
        name => name.text(Filling { index: n as u64, ..Filling::default() }),
    })
}

/// One player's way in, or the code of what went wrong.
async fn come(
    url: &str,
    options: Options,
    part: &RoomPart,
    index: u64,
    door: Option<Doors>,
    makes: bool,
) -> Result<(Parlor, Room, Duration), String> {
    // Whoever waits for this door is told in any case.
    let made = door.clone().filter(|_| makes).map(Made);
    let door = match &door {
        Some(door) if !makes => Some(opened(door).await?),
        _ => None,
    };
    let began = Instant::now();
    let parlor = Parlor::connect(url, options).await.map_err(|error| code(&error))?;
    let request = match (door, part.mode) {
        (Some(Door::Invite(invite)), _) => JoinRequest::by_invite(invite),
        (Some(Door::Id(id)), _) => JoinRequest::by_id(id),
        (_, Mode::Create) => JoinRequest::create(&part.kind),
        (_, Mode::FindOrCreate) => JoinRequest::find_or_create(&part.kind),
    };
    let request = request.role(part.role.into());
    let request = request.options(&Filled(&part.options, Filling { index, ..Filling::default() }));
    let room = parlor.join(request).await.map_err(|error| code(&error))?;
    let took = began.elapsed();
    if let Some(Made(door)) = &made {
        let way = room.invite().map_or_else(|| Door::Id(room.id().to_string()), |code| Door::Invite(code.to_owned()));
        door.send_replace(Some(way));
    }
    Ok((parlor, room, took))
}

async fn opened(door: &Doors) -> Result<Door, String> {
    let mut door = door.subscribe();
    let opened = door.wait_for(Option::is_some).await.ok().and_then(|door| door.clone());
    match opened {
        Some(Door::None) | None => Err("no_room".to_owned()),
        Some(door) => Ok(door),
    }
}

/// A door that somebody is to open. It is known to stay closed when this is dropped before.
struct Made(Doors);

impl Drop for Made {
    fn drop(&mut self) {
        self.0.send_if_modified(|door| {
            let closed = door.is_none();
            if closed {
                *door = Some(Door::None);
            }
            closed
        });
    }
}

/// Why somebody is not in, in a word or two.
fn code(error: &ClientError) -> String {
    match error {
        ClientError::Refused(failure) => failure.code.to_string(),
        ClientError::Http(429) => "http 429 (the broker's limits.connections_per_address)".to_owned(),
        ClientError::Http(status) => format!("http {status}"),
        ClientError::Closed { code, reason } => format!("{code} {reason}"),
        other => other.to_string(),
    }
}
