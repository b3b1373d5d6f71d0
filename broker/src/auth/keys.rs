//! The broker's own keys: what it has signed, nobody else can have written.
//!
//! Each purpose has its own key, derived from the one secret, so that a text of one kind is never taken for one of another.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use super::error::AuthError;
use super::ticket::{self, Ticket, TicketError};

/// A MAC of 128 bits cannot be guessed over a network, and keeps tokens short.
const MAC_BYTES: usize = 16;
/// The longest of our texts is a ticket, of 228 characters.
const MAX_TEXT: usize = 256;
/// The first byte of what is signed, should the layout ever change.
const VERSION: u8 = 1;

/// Signs and checks resume tokens and tickets.
pub struct Keys {
    resume: Key,
    ticket: Key,
}

/// What a resume token says. Not yet believed: see [`Keys::check`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumeClaim {
    /// The session to go on with.
    pub session: u64,
    /// Counts the session's connections; only the newest tokens are to be accepted.
    pub generation: u32,
    mac: [u8; MAC_BYTES],
}

impl Keys {
    /// Derives the keys from the configured secret, or from a random one.
    ///
    /// Tickets signed with the same secret are good in another process, or after a restart. Resume tokens are not: sessions end with
    /// their process, the next one gives their numbers and the accounts of their guests to others, and an old token must not fit these.
    ///
    /// # Errors
    /// When the secret is too short, or the system has no randomness.
    pub fn new(secret: Option<&str>) -> Result<Self, AuthError> {
        if secret.is_some_and(|secret| secret.len() < super::MIN_SECRET_BYTES) {
            return Err(AuthError::ShortSecret("secret"));
        }
        let mut random = [[0; 32]; 2];
        for bytes in &mut random {
            rand::fill(bytes).map_err(|_| AuthError::NoRandomness)?;
        }
        let [instance, substitute] = random;
        Ok(Self::derive(secret.map_or(&substitute[..], str::as_bytes), &instance))
    }

    fn derive(secret: &[u8], instance: &[u8]) -> Self {
        let root = Key::new(HMAC_SHA256, secret);
        let key = |purpose: &[u8]| Key::new(HMAC_SHA256, sign(&root, purpose).as_ref());
        Self { resume: key(&[b"parlor resume ", instance].concat()), ticket: key(b"parlor ticket") }
    }

    /// A resume token: only this account can go on with this session by it, and only while the generation is the right one.
    pub fn resume_token(&self, session: u64, account: &str, generation: u32) -> String {
        let fields = resume_fields(session, generation);
        URL_SAFE_NO_PAD.encode([&fields[..], &self.resume_mac(&fields, account)].concat())
    }

    /// Reads a resume token; none if it cannot be one. Which account it must belong to is known to the session that it names.
    pub fn read_resume_token(&self, token: &str) -> Option<ResumeClaim> {
        let bytes = decode(token)?;
        let (version, rest) = bytes.split_first()?;
        let (session, rest) = rest.split_first_chunk()?;
        let (generation, rest) = rest.split_first_chunk()?;
        let (session, generation) = (u64::from_be_bytes(*session), u32::from_be_bytes(*generation));
        let claim = ResumeClaim { session, generation, mac: rest.try_into().ok()? };
        (*version == VERSION).then_some(claim)
    }

    /// Whether the broker wrote this claim for this account. Takes as long whatever the answer.
    #[must_use]
    pub fn check(&self, claim: &ResumeClaim, account: &str) -> bool {
        let expected = self.resume_mac(&resume_fields(claim.session, claim.generation), account);
        expected.ct_eq(&claim.mac).into()
    }

    /// A ticket as text.
    pub fn sign(&self, ticket: &Ticket) -> String {
        let mut bytes = vec![VERSION];
        ticket::write(ticket, &mut bytes);
        let mac = mac(&self.ticket, &bytes);
        bytes.extend(mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a ticket that the broker has signed. That it is for this player and this room, and that it has not been used, is still to be
    /// looked at.
    ///
    /// # Errors
    /// When it is none of the broker's, or its time is over.
    pub fn read(&self, text: &str, now_s: u64) -> Result<Ticket, TicketError> {
        let bytes = decode(text).ok_or(TicketError::Invalid)?;
        let (signed, found) = bytes.split_last_chunk::<MAC_BYTES>().ok_or(TicketError::Invalid)?;
        if !bool::from(mac(&self.ticket, signed).ct_eq(found)) {
            return Err(TicketError::Invalid);
        }
        let fields = signed.strip_prefix(&[VERSION]).ok_or(TicketError::Invalid)?;
        let ticket = ticket::read(fields).ok_or(TicketError::Invalid)?;
        if now_s < ticket.expires_s { Ok(ticket) } else { Err(TicketError::Expired) }
    }

    /// The account comes last and the fields before it have a fixed length, so that no two claims are the same bytes.
    fn resume_mac(&self, fields: &[u8], account: &str) -> [u8; MAC_BYTES] {
        mac(&self.resume, &[fields, account.as_bytes()].concat())
    }
}

fn resume_fields(session: u64, generation: u32) -> [u8; 13] {
    let mut fields = [VERSION; 13];
    fields[1..9].copy_from_slice(&session.to_be_bytes());
    fields[9..].copy_from_slice(&generation.to_be_bytes());
    fields
}

fn mac(key: &Key, bytes: &[u8]) -> [u8; MAC_BYTES] {
    let mut mac = [0; MAC_BYTES];
    mac.copy_from_slice(&sign(key, bytes).as_ref()[..MAC_BYTES]);
    mac
}

/// The alphabet of URLs, in its one canonical form: a text that differs in any character is another text.
fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() > MAX_TEXT { None } else { URL_SAFE_NO_PAD.decode(text).ok() }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use parlor_protocol::RoomId;
    use parlor_protocol::frame::Role;
    use proptest::prelude::*;

    use super::*;

    const SECRET: &[u8] = b"a secret that nobody knows, really";

    fn keys() -> Keys {
        Keys::derive(SECRET, b"this process")
    }

    fn ticket() -> Ticket {
        Ticket {
            id: 0x0123_4567_89ab_cdef_0011_2233_4455_6677,
            room: RoomId::parse("table-1").unwrap(),
            account: "Zoë".into(),
            role: Role::Player,
            expires_s: 1_800_000_000,
        }
    }

    fn holds(keys: &Keys, token: &str, account: &str) -> Option<ResumeClaim> {
        keys.read_resume_token(token).filter(|claim| keys.check(claim, account))
    }

    /// All texts that differ from this one in one bit of what they stand for, and in one character.
    fn tampered(text: &str) -> Vec<String> {
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
        let bits = (0..bytes.len() * 8).map(|bit| {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            URL_SAFE_NO_PAD.encode(bytes)
        });
        let characters = text.char_indices().flat_map(|(at, old)| {
            let others = ['A', 'B', '_', '='].into_iter().filter(move |new| *new != old);
            others.map(move |new| format!("{}{new}{}", &text[..at], &text[at + 1..]))
        });
        let shorter = (0..text.len()).map(|end| text[..end].to_owned());
        bits.chain(characters).chain(shorter).chain([format!("{text}A"), format!("{text}AAAA")]).collect()
    }

    #[test]
    fn a_resume_token_is_for_one_account_session_and_generation() {
        let keys = keys();
        let token = keys.resume_token(7, "ann", 3);
        let claim = holds(&keys, &token, "ann").unwrap();
        assert_eq!((claim.session, claim.generation), (7, 3));
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{token}");

        for other in ["", "an", "anna", "bob", "Ann", "ann\0"] {
            assert_eq!(holds(&keys, &token, other), None, "{other:?}");
        }
        for (session, generation) in [(8, 3), (7, 2), (7, 4), (3, 7)] {
            assert!(!keys.check(&ResumeClaim { session, generation, ..claim }, "ann"));
        }
    }

    #[test]
    fn a_resume_token_that_was_tampered_with_does_not_hold() {
        let keys = keys();
        for text in tampered(&keys.resume_token(7, "ann", 3)) {
            assert_eq!(holds(&keys, &text, "ann"), None, "{text}");
        }
    }

    #[test]
    fn a_ticket_comes_back_as_it_was() {
        let long = Ticket {
            id: u128::MAX,
            room: RoomId::parse(&"r".repeat(64)).unwrap(),
            account: "x".repeat(64),
            role: Role::Spectator,
            expires_s: u64::MAX,
        };
        for ticket in [ticket(), long] {
            assert_eq!(keys().read(&keys().sign(&ticket), 1_799_999_999), Ok(ticket));
        }
    }

    #[test]
    fn a_ticket_ends() {
        let text = keys().sign(&ticket());
        assert_eq!(keys().read(&text, 1_799_999_999), Ok(ticket()));
        assert_eq!(keys().read(&text, 1_800_000_000), Err(TicketError::Expired));
    }

    #[test]
    fn a_ticket_that_was_tampered_with_does_not_hold() {
        for text in tampered(&keys().sign(&ticket())) {
            assert_eq!(keys().read(&text, 0), Err(TicketError::Invalid), "{text}");
        }
    }

    #[test]
    fn what_is_signed_but_no_ticket_is_refused() {
        let keys = keys();
        let mut good = vec![VERSION];
        ticket::write(&ticket(), &mut good);
        for end in 0..good.len() {
            let mut bytes = good[..end].to_vec();
            bytes.extend(mac(&keys.ticket, &bytes));
            let read = keys.read(&URL_SAFE_NO_PAD.encode(bytes), 0);
            // Only the account has no length of its own: a shorter one is another ticket, none or a broken one is none.
            let shorter = read.as_ref().is_ok_and(|read| ["Z", "Zo"].contains(&read.account.as_str()));
            assert!(shorter || read == Err(TicketError::Invalid), "{end}: {read:?}");
        }
    }

    #[test]
    fn keys_differ_by_secret_and_purpose() {
        let (text, token) = (keys().sign(&ticket()), keys().resume_token(7, "ann", 3));
        let another = Keys::derive(b"another secret that nobody knows", b"this process");
        assert_eq!(another.read(&text, 0), Err(TicketError::Invalid));
        assert_eq!(holds(&another, &token, "ann"), None);
        assert_eq!(keys().read(&token, 0), Err(TicketError::Invalid));
        assert_eq!(holds(&keys(), &text, "Zoë"), None);
        let random = || Keys::new(None).unwrap();
        assert_eq!(random().read(&random().sign(&ticket()), 0), Err(TicketError::Invalid));
    }

    #[test]
    fn after_a_restart_tickets_hold_and_resume_tokens_do_not() {
        let process = || Keys::new(std::str::from_utf8(SECRET).ok()).unwrap();
        let (first, second) = (process(), process());
        assert_eq!(second.read(&first.sign(&ticket()), 0), Ok(ticket()));
        let token = first.resume_token(7, "guest-7", 0);
        assert!(holds(&first, &token, "guest-7").is_some());
        assert_eq!(holds(&second, &token, "guest-7"), None, "guest-7 is somebody else now");
    }

    #[test]
    fn a_secret_that_can_be_guessed_is_refused() {
        assert!(matches!(Keys::new(Some(&"x".repeat(31))), Err(AuthError::ShortSecret("secret"))));
        assert!(Keys::new(Some(&"x".repeat(32))).is_ok());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,300}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for text in [text, URL_SAFE_NO_PAD.encode(&bytes)] {
                prop_assert_eq!(holds(&keys(), &text, "ann"), None);
                prop_assert_eq!(keys().read(&text, 0), Err(TicketError::Invalid));
            }
        }

        #[test]
        fn no_signed_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..150)) {
            bytes.insert(0, VERSION);
            bytes.extend(mac(&keys().ticket, &bytes));
            let _ = keys().read(&URL_SAFE_NO_PAD.encode(bytes), 0);
        }

        #[test]
        fn tickets_come_back(id: u128, room in "[A-Za-z0-9_-]{1,64}", account in "[a-zé]{1,32}", expires_s in 1u64.., spectator: bool) {
            let role = if spectator { Role::Spectator } else { Role::Player };
            let ticket = Ticket { id, room: RoomId::parse(&room).unwrap(), account, role, expires_s };
            prop_assert_eq!(keys().read(&keys().sign(&ticket), 0), Ok(ticket));
        }
    }
}
