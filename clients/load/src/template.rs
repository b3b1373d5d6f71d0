//! Payloads with holes, such as `{player}`, and what fills them.
//!
//! A text that is one hole and nothing else becomes a number; holes within a longer text become part of it.

use std::collections::BTreeMap;
use std::fmt::Write;

use rand::RngExt;
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use toml::Value;

/// A payload, or a part of one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) enum Template {
    /// Nothing.
    #[default]
    Nil,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    /// A number.
    Hole(Hole),
    /// A text with holes in it.
    Mixed(Vec<Piece>),
    List(Vec<Template>),
    Map(BTreeMap<String, Template>),
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    Text(String),
    Hole(Hole),
}

/// What is filled in anew for each message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Hole {
    /// The player's number in its room.
    Player,
    /// The player's number in the run, from 0.
    Index,
    /// The number of the message, from 1 for each player and action.
    N,
    /// An integer from the first up to but without the second.
    Integer(i64, i64),
    /// The same for fractions.
    Float(f64, f64),
}

/// What is known when a message is sent. On joining, there is an index only.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Filling {
    pub(crate) player: u32,
    pub(crate) index: u64,
    pub(crate) n: u64,
}

/// A template with its holes filled: chance is asked each time that it is serialized.
pub(crate) struct Filled<'a>(pub(crate) &'a Template, pub(crate) Filling);

/// A hole's value.
enum Number {
    Integer(i64),
    Float(f64),
}

impl Template {
    /// Whether it can be filled before a room is joined.
    pub(crate) fn needs_no_room(&self) -> bool {
        let early = |hole: &Hole| !matches!(hole, Hole::Player | Hole::N);
        match self {
            Self::Hole(hole) => early(hole),
            Self::Mixed(pieces) => pieces.iter().all(|piece| !matches!(piece, Piece::Hole(hole) if !early(hole))),
            Self::List(items) => items.iter().all(Self::needs_no_room),
            Self::Map(fields) => fields.values().all(Self::needs_no_room),
            _ => true,
        }
    }

    /// It as a text, where one is wanted.
    pub(crate) fn text(&self, filling: Filling) -> String {
        match serde_json::to_value(Filled(self, filling)) {
            Ok(serde_json::Value::String(text)) => text,
            Ok(other) => other.to_string(),
            // Nothing in a template fails to be written.
            Err(_) => String::new(),
        }
    }
}

impl TryFrom<Value> for Template {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        Ok(match value {
            Value::String(text) => parse(&text)?,
            Value::Integer(integer) => Self::Integer(integer),
            Value::Float(float) => Self::Float(float),
            Value::Boolean(bool) => Self::Bool(bool),
            Value::Array(items) => Self::List(items.into_iter().map(Self::try_from).collect::<Result<_, _>>()?),
            Value::Table(fields) => {
                let field = |(key, value)| Ok((key, Self::try_from(value)?));
                Self::Map(fields.into_iter().map(field).collect::<Result<_, String>>()?)
            }
            Value::Datetime(_) => return Err("a date cannot be sent; write it as a text".to_owned()),
        })
    }
}

/// A text with its holes found. `{{` and `}}` stand for the brackets themselves.
fn parse(text: &str) -> Result<Template, String> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        plain.push_str(&rest[..at]);
        let bracket = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(bracket) {
            plain.push_str(bracket);
            rest = after;
            continue;
        }
        let end = if bracket == "{" { rest.find('}') } else { None };
        let end =
            end.ok_or_else(|| format!("a `{bracket}` alone in \"{text}\"; `{bracket}{bracket}` stands for one"))?;
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(Piece::Hole(hole(&rest[..end])?));
        rest = &rest[end + 1..];
    }
    plain.push_str(rest);
    if pieces.is_empty() {
        return Ok(Template::Text(plain));
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(match pieces.as_slice() {
        [Piece::Hole(hole)] => Template::Hole(hole.clone()),
        _ => Template::Mixed(pieces),
    })
}

fn hole(name: &str) -> Result<Hole, String> {
    match name {
        "player" => return Ok(Hole::Player),
        "index" => return Ok(Hole::Index),
        "n" => return Ok(Hole::N),
        _ => {}
    }
    let Some(bounds) = name.strip_prefix("random:") else {
        return Err(format!(
            "unknown placeholder `{{{name}}}`; there are {{player}}, {{index}}, {{n}} and {{random:0..100}}"
        ));
    };
    let wrong = || format!("`{{{name}}}`: expected two numbers, the smaller first, such as {{random:0..100}}");
    let (from, to) = bounds.split_once("..").ok_or_else(wrong)?;
    if let (Ok(from), Ok(to)) = (from.parse(), to.parse()) {
        return if from < to { Ok(Hole::Integer(from, to)) } else { Err(wrong()) };
    }
    match (from.parse::<f64>(), to.parse::<f64>()) {
        (Ok(from), Ok(to)) if from < to && (to - from).is_finite() => Ok(Hole::Float(from, to)),
        _ => Err(wrong()),
    }
}

impl Hole {
    fn fill(&self, filling: Filling) -> Number {
        let whole = |number: u64| Number::Integer(i64::try_from(number).unwrap_or(i64::MAX));
        match self {
            Self::Player => Number::Integer(filling.player.into()),
            Self::Index => whole(filling.index),
            Self::N => whole(filling.n),
            Self::Integer(from, to) => Number::Integer(rand::rng().random_range(*from..*to)),
            Self::Float(from, to) => Number::Float(rand::rng().random_range(*from..*to)),
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Integer(integer) => integer.fmt(f),
            Self::Float(float) => float.fmt(f),
        }
    }
}

impl Serialize for Filled<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(template, filling) = self;
        match template {
            Template::Nil => to.serialize_unit(),
            Template::Bool(bool) => to.serialize_bool(*bool),
            Template::Integer(integer) => to.serialize_i64(*integer),
            Template::Float(float) => to.serialize_f64(*float),
            Template::Text(text) => to.serialize_str(text),
            Template::Hole(hole) => match hole.fill(*filling) {
                Number::Integer(integer) => to.serialize_i64(integer),
                Number::Float(float) => to.serialize_f64(float),
            },
            Template::Mixed(pieces) => to.serialize_str(&mixed(pieces, *filling)),
            Template::List(items) => to.collect_seq(items.iter().map(|item| Self(item, *filling))),
            Template::Map(fields) => {
                let mut map = to.serialize_map(Some(fields.len()))?;
                for (key, value) in fields {
                    map.serialize_entry(key, &Self(value, *filling))?;
                }
                map.end()
            }
        }
    }
}

fn mixed(pieces: &[Piece], filling: Filling) -> String {
    pieces.iter().fold(String::new(), |mut text, piece| {
        match piece {
            Piece::Text(plain) => text.push_str(plain),
            // A `String` takes everything.
            Piece::Hole(hole) => drop(write!(text, "{}", hole.fill(filling))),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(toml: &str) -> Result<Template, String> {
        let table: toml::Table = toml.parse().unwrap();
        Template::try_from(Value::Table(table))
    }

    fn filled(toml: &str) -> serde_json::Value {
        serde_json::to_value(Filled(&template(toml).unwrap(), Filling { player: 3, index: 12, n: 7 })).unwrap()
    }

    #[test]
    fn holes_are_filled_wherever_they_are() {
        let toml = r#"a = "{player}"
            b = ["{index}", { c = "{n} of {player}" }]
            d = "{{n}} }}{{ {n}!"
            e = [1, 2.5, true, "plain", ""]"#;
        let expected = json!({"a": 3, "b": [12, {"c": "7 of 3"}], "d": "{n} }{ 7!", "e": [1, 2.5, true, "plain", ""]});
        assert_eq!(filled(toml), expected);
        assert_eq!(serde_json::to_value(Filled(&Template::Nil, Filling::default())).unwrap(), json!(null));
    }

    #[test]
    fn chance_keeps_to_its_bounds_and_uses_them() {
        let (mut integers, mut below) = (std::collections::BTreeSet::new(), 0);
        for _ in 0..1_000 {
            let drawn = filled(
                r#"i = "{random:-1..2}"
                f = "{random:-1.0..1.0}""#,
            );
            integers.insert(drawn["i"].as_i64().unwrap());
            let float = drawn["f"].as_f64().unwrap();
            assert!((-1.0..1.0).contains(&float));
            below += u32::from(float < 0.0);
        }
        assert_eq!(integers.into_iter().collect::<Vec<_>>(), [-1, 0, 1]);
        assert!((300..700).contains(&below), "{below}");
    }

    #[test]
    fn mistakes_are_told() {
        let cases = [
            (r#"x = "{plyer}""#, "unknown placeholder `{plyer}`; there are {player}, {index}, {n} and {random:0..100}"),
            (r#"x = ["{"]"#, "a `{` alone in \"{\"; `{{` stands for one"),
            (r#"x = "n}""#, "a `}` alone in \"n}\"; `}}` stands for one"),
            (
                r#"x = "{random:5..5}""#,
                "`{random:5..5}`: expected two numbers, the smaller first, such as {random:0..100}",
            ),
            (
                r#"x = "{random:0..nan}""#,
                "`{random:0..nan}`: expected two numbers, the smaller first, such as {random:0..100}",
            ),
            ("x = 2026-01-01", "a date cannot be sent; write it as a text"),
        ];
        for (toml, expected) in cases {
            assert_eq!(template(toml).unwrap_err(), expected);
        }
    }

    #[test]
    fn some_holes_need_a_room() {
        assert!(template(r#"a = ["{index}", { b = "x{random:0..9}" }]"#).unwrap().needs_no_room());
        for late in [r#"a = "{player}""#, r#"a = [{ b = "x {n}" }]"#] {
            assert!(!template(late).unwrap().needs_no_room(), "{late}");
        }
        let name = parse("bot {index}").unwrap();
        assert_eq!(name.text(Filling { index: 4, ..Filling::default() }), "bot 4");
        assert_eq!(parse("{index}").unwrap().text(Filling::default()), "0");
    }
}
