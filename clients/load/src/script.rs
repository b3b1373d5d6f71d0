//! What a player does, as a TOML file says it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use parlor_client::Role;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::template::Template;

/// The fastest that one player may repeat an action: beyond it, more players are the better test.
const MAX_HZ: f64 = 10_000.0;

/// What each player of a load test does.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    pub(crate) room: RoomPart,
    /// Codes of refusals that belong to the game, and are no failure of the test.
    #[serde(default)]
    pub(crate) may_refuse: Vec<String>,
    #[serde(default, rename = "action")]
    pub(crate) actions: Vec<Action>,
}

/// Which rooms are joined, and how.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoomPart {
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) mode: Mode,
    #[serde(default)]
    pub(crate) role: RolePart,
    /// The players' name.
    #[serde(default, deserialize_with = "early")]
    pub(crate) name: Template,
    /// What the game gets on joining.
    #[serde(default, deserialize_with = "early")]
    pub(crate) options: Template,
}

/// Whose the choice of a room is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// The test's: it makes as many rooms as it was told to, and divides the players among them.
    #[default]
    Create,
    /// The broker's, as if all came by themselves.
    FindOrCreate,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RolePart {
    #[default]
    Player,
    Spectator,
}

impl From<RolePart> for Role {
    fn from(role: RolePart) -> Self {
        match role {
            RolePart::Player => Self::Player,
            RolePart::Spectator => Self::Spectator,
        }
    }
}

/// Something that a player does again and again.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "ActionPart")]
pub(crate) struct Action {
    /// The type of the message.
    pub(crate) send: String,
    /// What the report calls it.
    pub(crate) name: String,
    pub(crate) payload: Template,
    pub(crate) every: Duration,
    /// When it begins and ends, from the beginning of the measured time. Without a beginning it is part of the warm-up too.
    pub(crate) start: Option<Duration>,
    pub(crate) stop: Option<Duration>,
    /// Whether it is a request, whose reply is waited for.
    pub(crate) reply: bool,
    /// The message from the room that shows what became of it.
    pub(crate) answered_by: Option<Answer>,
}

impl Action {
    /// Whether it gives a latency.
    pub(crate) fn is_measured(&self) -> bool {
        self.reply || self.answered_by.is_some()
    }
}

/// An action as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ActionPart {
    send: String,
    name: Option<String>,
    #[serde(default)]
    payload: Template,
    hz: Option<f64>,
    #[serde(default, deserialize_with = "duration")]
    every: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    start: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    stop: Option<Duration>,
    #[serde(default)]
    reply: bool,
    answered_by: Option<Answer>,
}

impl TryFrom<ActionPart> for Action {
    type Error = String;

    fn try_from(part: ActionPart) -> Result<Self, String> {
        let ActionPart { send, name, payload, hz, every, start, stop, reply, answered_by } = part;
        let every = match (hz, every) {
            (Some(hz), None) if hz > 0.0 && hz <= MAX_HZ => {
                Duration::try_from_secs_f64(1.0 / hz).unwrap_or(Duration::MAX)
            }
            (None, Some(every)) if every.as_secs_f64() >= 1.0 / MAX_HZ => every,
            (Some(_), None) | (None, Some(_)) => {
                return Err(format!("`{send}`: from {MAX_HZ} times a second down to less than once, please"));
            }
            (None, None) => return Err(format!("`{send}`: how often? `hz` or `every` says it")),
            (Some(_), Some(_)) => return Err(format!("`{send}`: `hz` and `every` say the same; leave one out")),
        };
        if stop.is_some_and(|stop| stop <= start.unwrap_or_default()) {
            return Err(format!("`{send}` stops before it starts"));
        }
        let name = name.unwrap_or_else(|| send.clone());
        Ok(Self { send, name, payload, every, start, stop, reply, answered_by })
    }
}

/// Which message of the room answers an action.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) type_: String,
    /// What its fields must be. Without any, the next message of the type answers everything that waits for one.
    pub(crate) fields: BTreeMap<String, Template>,
}

/// The long form of an answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerPart {
    #[serde(rename = "type")]
    type_: String,
    #[serde(default, rename = "where")]
    fields: BTreeMap<String, Template>,
}

impl<'de> Deserialize<'de> for Answer {
    /// A type alone, or a type and what its fields must be. By hand, because serde's untagged enums forget what was wrong.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Answer;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a message type, or a table with `type` and `where`")
            }

            fn visit_str<E>(self, type_: &str) -> Result<Answer, E> {
                Ok(Answer { type_: type_.to_owned(), fields: BTreeMap::new() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Answer, A::Error> {
                let AnswerPart { type_, fields } = AnswerPart::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Answer { type_, fields })
            }
        }

        from.deserialize_any(Either)
    }
}

/// A duration such as `"1m 30s"`.
fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    match humantime::parse_duration(&text) {
        Ok(duration) => Ok(Some(duration)),
        Err(error) => Err(D::Error::custom(format!("\"{text}\" is no duration such as \"100ms\": {error}"))),
    }
}

/// A template for the time before there is a room.
fn early<'de, D: Deserializer<'de>>(from: D) -> Result<Template, D::Error> {
    let template = Template::deserialize(from)?;
    if template.needs_no_room() {
        return Ok(template);
    }
    Err(D::Error::custom("{player} and {n} are not known before a room is joined; {index} is"))
}

/// Why a script cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file cannot be read.
    #[error("cannot read the script: {0}")]
    Unreadable(#[from] std::io::Error),
    /// It is not what is expected; the text names the line.
    #[error("{0}")]
    Invalid(String),
}

impl Script {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// [`ScriptError`], in one line.
    pub fn read(path: &Path) -> Result<Self, ScriptError> {
        Self::parse(&std::fs::read_to_string(path)?)
    }

    /// Reads what a file says.
    ///
    /// # Errors
    /// [`ScriptError::Invalid`], in one line.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map(|place| text[..place.start.min(text.len())].matches('\n').count() + 1);
            let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            ScriptError::Invalid(format!("{line}{}", error.message().replace('\n', " ")))
        })
    }

    /// Whether anything in it gives a latency.
    pub(crate) fn measures(&self) -> bool {
        self.actions.iter().any(Action::is_measured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_may_be_short() {
        let script = Script::parse("[room]\nkind = \"arena\"\n[[action]]\nsend = \"steer\"\nhz = 20").unwrap();
        assert_eq!((script.room.mode, script.room.role), (Mode::Create, RolePart::Player));
        let [action] = script.actions.as_slice() else { panic!() };
        assert_eq!((action.name.as_str(), action.every), ("steer", Duration::from_millis(50)));
        assert!(!action.reply && action.payload == Template::Nil && !script.measures());
        // A crowd that only watches.
        assert!(Script::parse("[room]\nkind = \"arena\"\nrole = \"spectator\"").unwrap().actions.is_empty());
    }

    #[test]
    fn a_script_may_say_everything() {
        let text = r#"
            may_refuse = ["app.cooling"]
            [room]
            kind = "arena"
            mode = "find_or_create"
            role = "player"
            name = "bot {index}"
            options = { map = "dust" }
            [[action]]
            name = "rush"
            send = "dash"
            payload = { power = "{random:0..9}" }
            every = "2s 500ms"
            start = "5s"
            stop = "1m"
            reply = true
            answered_by = { type = "dashed", where = { id = "{player}" } }
            [[action]]
            send = "steer"
            hz = 0.5
            answered_by = "frame"
        "#;
        let script = Script::parse(text).unwrap();
        assert_eq!(
            (script.room.mode, script.may_refuse.as_slice()),
            (Mode::FindOrCreate, &["app.cooling".to_owned()][..])
        );
        let [dash, steer] = script.actions.as_slice() else { panic!() };
        assert_eq!((dash.name.as_str(), dash.every), ("rush", Duration::from_millis(2_500)));
        assert_eq!((dash.start, dash.stop), (Some(Duration::from_secs(5)), Some(Duration::from_secs(60))));
        let answer = dash.answered_by.as_ref().unwrap();
        assert_eq!((answer.type_.as_str(), answer.fields.len(), dash.reply), ("dashed", 1, true));
        assert_eq!(steer.every, Duration::from_secs(2));
        assert_eq!(steer.answered_by, Some(Answer { type_: "frame".into(), fields: BTreeMap::new() }));
        assert!(script.measures());
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        let room = "[room]\nkind = \"arena\"\n";
        let cases = [
            ("[room]\nkid = \"arena\"", "line 2: unknown field `kid`, expected one of `kind`, `mode`"),
            ("[room]\nkind = \"a\"\n[[actoin]]", "line 3: unknown field `actoin`, expected one of `room`"),
            ("[[action]]\nsend = \"x\"\nhz = 1", "line 1: missing field `room`"),
            ("[room]\nkind = 1", "line 2: invalid type: integer `1`, expected a string"),
            (
                "[room]\nkind = \"a\"\nmode = \"make\"",
                "line 3: unknown variant `make`, expected `create` or `find_or_create`",
            ),
            (
                "[room]\nkind = \"a\"\nname = \"bot {n}\"",
                "line 3: {player} and {n} are not known before a room is joined",
            ),
            ("[room]\nkind = ", "line 2: "),
        ];
        let actions = [
            ("send = \"x\"\nherz = 1", "line 5: unknown field `herz`, expected one of `send`, `name`, `payload`"),
            ("send = \"x\"", "line 3: `x`: how often? `hz` or `every` says it"),
            ("send = \"x\"\nhz = 1\nevery = \"1s\"", "line 3: `x`: `hz` and `every` say the same"),
            ("send = \"x\"\nhz = 0", "line 3: `x`: from 10000 times a second"),
            ("send = \"x\"\nhz = nan", "line 3: `x`: from 10000 times a second"),
            ("send = \"x\"\nevery = \"soon\"", "line 5: \"soon\" is no duration such as \"100ms\": "),
            ("send = \"x\"\nhz = 1\nstart = \"2s\"\nstop = \"1s\"", "line 3: `x` stops before it starts"),
            ("send = \"x\"\nhz = 1\n\npayload = { a = \"{who}\" }", "line 7: unknown placeholder `{who}`"),
            (
                "send = \"x\"\nhz = 1\nanswered_by = 5",
                "line 6: invalid type: integer `5`, expected a message type, or a table",
            ),
            (
                "send = \"x\"\nhz = 1\nanswered_by = { typ = \"y\" }",
                "line 6: unknown field `typ`, expected `type` or `where`",
            ),
            ("hz = 1", "line 3: missing field `send`"),
        ];
        let actions = actions.map(|(text, expected)| (format!("{room}[[action]]\n{text}"), expected));
        for (text, expected) in cases.map(|(text, expected)| (text.to_owned(), expected)).into_iter().chain(actions) {
            let said = Script::parse(&text).unwrap_err().to_string();
            assert!(said.starts_with(expected) && said.lines().count() == 1, "{text}\nsays {said}\nnot {expected}");
        }
    }
}
