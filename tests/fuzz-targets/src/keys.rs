//! The broker's own signed texts, resume tokens and tickets, and the tokens of players.

use std::sync::LazyLock;

use parlor_broker::auth::{Authenticator, Keys, Ticket, TicketError, Verdict};
use parlor_broker::config::Auth;
use parlor_protocol::RoomId;
use parlor_protocol::frame::Role;

/// What tickets are signed with here.
const SECRET: &str = "a secret that the fuzzers know, and nobody uses";

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys::new(Some(SECRET)).expect("a secret that is long enough"));
static AUTH: LazyLock<Authenticator> = LazyLock::new(|| {
    let config = Auth { secret: Some("another secret, for the tokens of players".to_owned()), ..Auth::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(Authenticator::start(&config, None)).expect("nothing to fetch")
});

/// Reads a text as each of them, and signs and changes a ticket that the bytes describe.
pub fn keys(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(claim) = KEYS.read_resume_token(&text) {
        // The key is this process's own.
        assert!(!KEYS.check(&claim, "ann"), "somebody else wrote a resume token");
    }
    if let Ok(ticket) = KEYS.read(&text, 0) {
        assert_eq!(KEYS.sign(&ticket), text, "a ticket has one form");
    }
    if let Verdict::Ready(found) = AUTH.verify(&text) {
        assert!(found.is_err(), "nobody has signed a token");
    }
    signed(data);
}

fn signed(data: &[u8]) {
    let Some((&[number, place, change, expires], rest)) = data.split_first_chunk() else { return };
    let room: String = rest.iter().take(64).map(|byte| char::from(b'a' + byte % 26)).collect();
    let Ok(room) = RoomId::parse(&room) else { return };
    let account: String = String::from_utf8_lossy(rest).chars().take(16).collect();
    let role = if number & 1 == 0 { Role::Player } else { Role::Spectator };
    let (id, expires_s) = (u128::from(number) << 64, u64::from(expires) + 1);
    let ticket = Ticket { id, ..Ticket::new(room, account, role, expires_s) };
    let text = KEYS.sign(&ticket);
    assert_eq!(KEYS.read(&text, expires_s - 1).as_ref(), Ok(&ticket));
    assert_eq!(KEYS.read(&text, expires_s), Err(TicketError::Expired));
    let mut changed = text.into_bytes();
    let at = usize::from(place) % changed.len();
    changed[at] ^= change.max(1);
    assert_eq!(KEYS.read(&String::from_utf8_lossy(&changed), 0), Err(TicketError::Invalid));
}
