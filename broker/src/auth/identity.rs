//! Who somebody is, and what that lets them do.

use parlor_protocol::RoomId;
use parlor_protocol::frame::Role;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Longest account, and longest name, in bytes.
pub(super) const MAX_TEXT: usize = 64;
/// Integers on the wire end here.
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Who a client is, as a token, a game's own check or being a guest says.
///
/// As JSON it is an object with these fields, all but the account optional; one that is not known makes it invalid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Names the user, the same at every visit: 1 to 64 bytes of printable text, without spaces at its ends.
    pub account: String,
    /// The name that other players see. None leaves it to what the client says in `hello`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Milliseconds since 1970 after which this no longer holds; what clocks may differ by (`auth.leeway_s`) is in it already. None:
    /// as long as the session lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// What it may do.
    #[serde(default, deserialize_with = "understood")]
    pub rights: Rights,
}

/// What an identity may do: for each field, only what is listed, or everything when there is no list.
///
/// In a token it is the claim `parlor`. A field that is not known here makes the token invalid, so that no restriction is passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rights {
    /// Kinds of rooms to join and to make.
    #[serde(deserialize_with = "listed", skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<String>>,
    /// Ids of rooms to join. Who has such a list makes no rooms.
    #[serde(deserialize_with = "listed", skip_serializing_if = "Option::is_none")]
    pub rooms: Option<Vec<String>>,
    /// Roles to join in.
    #[serde(deserialize_with = "listed", skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<Role>>,
    /// Topics to subscribe to, among those that the room's policy leaves to clients.
    #[serde(deserialize_with = "listed", skip_serializing_if = "Option::is_none")]
    pub topics: Option<Vec<String>>,
}

impl Identity {
    /// An identity that may do everything, for as long as its session lasts.
    pub fn new(account: impl Into<String>) -> Self {
        Self { account: account.into(), name: None, expires_ms: None, rights: Rights::default() }
    }

    /// The same with a name for other players to see.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The same until a moment, in milliseconds since 1970.
    #[must_use]
    pub fn until(mut self, expires_ms: u64) -> Self {
        self.expires_ms = Some(expires_ms);
        self
    }

    /// The same with fewer rights.
    #[must_use]
    pub fn with_rights(mut self, rights: Rights) -> Self {
        self.rights = rights;
        self
    }

    /// Reads what another program says; none if it is not understood.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(text).ok()?;
        // A map, because serde would take an array for the fields in their order.
        if value.is_object() { Self::deserialize(value).ok() } else { None }
    }

    /// Whether it no longer holds.
    pub fn is_over(&self, now_ms: u64) -> bool {
        self.expires_ms.is_some_and(|end| now_ms > end)
    }

    /// Makes it fit to be shown to others, or says that its account cannot be one.
    pub(super) fn admitted(mut self, reserved: Option<&str>) -> Option<Self> {
        if !is_account(&self.account) || reserved.is_some_and(|prefix| self.account.starts_with(prefix)) {
            return None;
        }
        self.name = self.name.and_then(|name| presentable(&name));
        self.expires_ms = self.expires_ms.map(|end| end.min(MAX_INTEGER));
        Some(self)
    }
}

impl Rights {
    /// Reads the claim `parlor`; none if it is not understood.
    pub(super) fn read(claim: &Value) -> Option<Self> {
        // A map, because serde would take an array for the fields in their order.
        if claim.is_object() { Self::deserialize(claim).ok() } else { None }
    }

    /// Whether this room may be joined in this role.
    pub fn may_join(&self, kind: &str, room: &RoomId, role: Role) -> bool {
        allows(self.rooms.as_deref(), room.as_str()) && self.may_play(kind, role)
    }

    /// Whether a room of this kind may be made, or any found, and joined in this role. No if the rooms are listed.
    pub fn may_create(&self, kind: &str, role: Role) -> bool {
        self.rooms.is_none() && self.may_play(kind, role)
    }

    /// Whether this topic may be subscribed to.
    pub fn may_follow(&self, topic: &str) -> bool {
        allows(self.topics.as_deref(), topic)
    }

    fn may_play(&self, kind: &str, role: Role) -> bool {
        allows(self.kinds.as_deref(), kind) && self.roles.as_ref().is_none_or(|roles| roles.contains(&role))
    }
}

fn allows(list: Option<&[String]>, wanted: &str) -> bool {
    list.is_none_or(|list| list.iter().any(|entry| entry == wanted))
}

fn understood<'de, D: Deserializer<'de>>(from: D) -> Result<Rights, D::Error> {
    let claim = Value::deserialize(from)?;
    Rights::read(&claim).ok_or_else(|| serde::de::Error::custom("not understood"))
}

/// A list that is there is a list: `null` would otherwise read as no restriction at all.
fn listed<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<Vec<T>>, D::Error> {
    Vec::deserialize(from).map(Some)
}

fn is_account(text: &str) -> bool {
    (1..=MAX_TEXT).contains(&text.len()) && text.trim() == text && text.chars().all(is_printable)
}

/// A name as others may see it. Identity providers have long ones, and that is no reason to turn anybody away.
fn presentable(name: &str) -> Option<String> {
    let mut clean = String::new();
    for c in name.trim().chars().filter(|c| is_printable(*c)) {
        if clean.len() + c.len_utf8() > MAX_TEXT {
            break;
        }
        clean.push(c);
    }
    clean.truncate(clean.trim_end().len());
    (!clean.is_empty()).then_some(clean)
}

/// Neither control characters nor what is not seen but changes how other text looks.
fn is_printable(c: char) -> bool {
    let invisible = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    !c.is_control() && !invisible && !matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(text: &str) -> Option<Rights> {
        Rights::read(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn no_list_allows_everything_and_a_list_only_what_is_in_it() {
        let room = RoomId::parse("table-1").unwrap();
        let all = rights("{}").unwrap();
        assert_eq!(all, Rights::default());
        assert!(all.may_join("chess", &room, Role::Player) && all.may_create("chess", Role::Player));
        assert!(all.may_follow("scores"));

        let kinds = rights(r#"{"kinds": ["chess"]}"#).unwrap();
        assert!(kinds.may_join("chess", &room, Role::Player) && kinds.may_create("chess", Role::Spectator));
        assert!(!kinds.may_join("poker", &room, Role::Player) && !kinds.may_create("poker", Role::Player));

        let rooms = rights(r#"{"rooms": ["table-1"]}"#).unwrap();
        assert!(rooms.may_join("chess", &room, Role::Player));
        assert!(!rooms.may_join("chess", &RoomId::parse("table-2").unwrap(), Role::Player));
        assert!(!rooms.may_create("chess", Role::Player), "its id would be another");

        let roles = rights(r#"{"roles": ["spectator"]}"#).unwrap();
        assert!(roles.may_join("chess", &room, Role::Spectator) && !roles.may_join("chess", &room, Role::Player));
        assert!(!roles.may_create("chess", Role::Player));

        let topics = rights(r#"{"topics": ["scores"]}"#).unwrap();
        assert!(topics.may_follow("scores") && !topics.may_follow("chat"));

        let nothing = rights(r#"{"kinds": [], "topics": []}"#).unwrap();
        assert!(!nothing.may_join("", &room, Role::Player) && !nothing.may_follow(""));
    }

    #[test]
    fn a_restriction_that_is_not_understood_is_not_passed_over() {
        let bad = [
            "null",
            "[]",
            r#"[["chess"]]"#,
            r#"{"kind": ["chess"]}"#,
            r#"{"kinds": null}"#,
            r#"{"kinds": "chess"}"#,
            r#"{"roles": ["admin"]}"#,
        ];
        for text in bad {
            assert_eq!(rights(text), None, "{text}");
        }
    }

    #[test]
    fn accounts_are_short_and_printable() {
        for good in ["a", "7", "ann@example.org", "Zoë K.", "auth0|5f7c8ec7", &"é".repeat(32)] {
            assert!(Identity::new(good).admitted(None).is_some(), "{good}");
        }
        for bad in
            ["", " ", " ann", "ann ", "a\nb", "a\0", "a\u{200b}b", "\u{202e}nna", &"x".repeat(65), &"é".repeat(33)]
        {
            assert!(Identity::new(bad).admitted(None).is_none(), "{bad:?}");
        }
        assert!(Identity::new("guest-1").admitted(Some("guest-")).is_none());
        assert!(Identity::new("guest-1").admitted(None).is_some());
    }

    #[test]
    fn names_are_made_to_fit() {
        let named = |name: &str| Identity::new("ann").named(name).admitted(None).unwrap().name;
        assert_eq!(named(" Ann\u{202e} B\n ").as_deref(), Some("Ann B"));
        assert_eq!(named("\u{200b} \n"), None);
        assert_eq!(named(&"é".repeat(60)), Some("é".repeat(32)));
        assert_eq!(named(&format!("{} x", "y".repeat(63))), Some("y".repeat(63)));
    }

    #[test]
    fn it_holds_up_to_its_end() {
        assert!(!Identity::new("ann").is_over(u64::MAX));
        let ann = Identity::new("ann").until(1000);
        assert!(!ann.is_over(1000) && ann.is_over(1001));
        assert_eq!(Identity::new("ann").until(u64::MAX).admitted(None).unwrap().expires_ms, Some(MAX_INTEGER));
    }
}
