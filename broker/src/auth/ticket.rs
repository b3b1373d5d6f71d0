//! Tickets: the right of one player to one seat in one room, once, for a while. Signed by [`Keys`](super::Keys).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parlor_protocol::frame::Role;
use parlor_protocol::{ErrorCode, Failure, RoomId};

use super::Keys;
use super::identity::MAX_TEXT;

/// The longest that a ticket may be good for: a day, which used tickets are remembered for at most.
const MAX_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// What a ticket says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Tells it apart from all others; random. The room remembers those that have been used, until they end.
    pub id: u128,
    /// The room that it lets into.
    pub room: RoomId,
    /// The player who may use it: 1 to 64 bytes.
    pub account: String,
    /// What the player is to be there.
    pub role: Role,
    /// Seconds since 1970 from which it is no longer good.
    pub expires_s: u64,
}

/// Why a ticket is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// The broker has not written it.
    #[error("the ticket is none of this broker's")]
    Invalid,
    /// It was good once.
    #[error("the ticket is no longer valid")]
    Expired,
}

impl Ticket {
    /// A fresh ticket.
    pub fn new(room: RoomId, account: impl Into<String>, role: Role, expires_s: u64) -> Self {
        Self { id: rand::random(), room, account: account.into(), role, expires_s }
    }
}

/// A ticket to be handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// What the player's client joins with.
    pub ticket: String,
    /// Seconds since 1970 from which it is no longer good.
    pub expires_s: u64,
}

impl Keys {
    /// Writes a ticket that is good for `ttl` from now on.
    ///
    /// # Errors
    /// `bad_request` when no account is like this, or the time is less than a second or more than a day.
    pub fn issue(&self, room: RoomId, account: &str, role: Role, ttl: Duration) -> Result<Issued, Failure> {
        let bad = |text| Err(Failure::from(ErrorCode::BadRequest).because(text));
        if !(1..=MAX_TEXT).contains(&account.len()) {
            return bad("an account has 1 to 64 bytes");
        }
        if !(Duration::from_secs(1)..=MAX_TTL).contains(&ttl) {
            return bad("a ticket is good for a second to a day: 1 to 86400 s");
        }
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let ticket = Ticket::new(room, account, role, now_s + ttl.as_secs());
        Ok(Issued { ticket: self.sign(&ticket), expires_s: ticket.expires_s })
    }
}

/// Fields of fixed length, then the room's id with its length before it, then the account up to the end.
pub(super) fn write(ticket: &Ticket, to: &mut Vec<u8>) {
    to.extend(ticket.id.to_be_bytes());
    to.extend(ticket.expires_s.to_be_bytes());
    let role = match ticket.role {
        Role::Player => 0,
        Role::Spectator => 1,
    };
    let room = ticket.room.as_str().as_bytes();
    // A room id has at most 64 bytes.
    to.extend([role, room.len() as u8]);
    to.extend(room);
    to.extend(ticket.account.as_bytes());
}

pub(super) fn read(bytes: &[u8]) -> Option<Ticket> {
    let (id, rest) = bytes.split_first_chunk()?;
    let (expires, rest) = rest.split_first_chunk()?;
    let ([role, length], rest) = rest.split_first_chunk()?;
    let role = match role {
        0 => Role::Player,
        1 => Role::Spectator,
        _ => return None,
    };
    let (room, account) = rest.split_at_checked(usize::from(*length))?;
    let room = RoomId::parse(std::str::from_utf8(room).ok()?).ok()?;
    let account = std::str::from_utf8(account).ok().filter(|account| !account.is_empty())?.to_owned();
    Some(Ticket { id: u128::from_be_bytes(*id), room, account, role, expires_s: u64::from_be_bytes(*expires) })
}
