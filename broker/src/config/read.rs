//! Reading the file: what is wrong with it is told with its line and key, and a key that there is not with the one that was
//! probably meant.

use std::ops::Range;
use std::path::Path;

use parlor_protocol::Policy;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, KEYS};
use super::{Config, ConfigError};

impl Config {
    /// Reads a TOML file. What it says is not compared yet, since flags may add to it: that is [`check`](Self::check).
    ///
    /// # Errors
    /// [`ConfigError`], in one line.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable(path.to_owned(), error))?;
        Self::parse(path, &text)
    }

    /// Reads what a file says; its path is for the error.
    ///
    /// # Errors
    /// [`ConfigError`], in one line.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        parse(text).map_err(|Mistake { place, what }| {
            let line = place.map(|place| text[..place.start].matches('\n').count() + 1);
            let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            ConfigError::Invalid(path.to_owned(), format!("{line}{}", what.replace('\n', " ")))
        })
    }
}

/// What is wrong, and which bytes of the file.
struct Mistake {
    place: Option<Range<usize>>,
    what: String,
}

fn parse(text: &str) -> Result<Config, Mistake> {
    let file =
        DeTable::parse(text).map_err(|error| Mistake { place: error.span(), what: error.message().to_owned() })?;
    if let Some(mistake) =
        unknown_keys(file.get_ref()).into_iter().min_by_key(|mistake| mistake.place.clone().map(|at| at.start))
    {
        return Err(mistake);
    }
    let wrong = |error| wrong_value(file.get_ref(), &error);
    // First by themselves: serde loses the places within a structure that it flattens into another.
    for (_, relay) in relays(file.get_ref()) {
        Policy::deserialize(relay.clone().into_deserializer()).map_err(wrong)?;
    }
    Config::deserialize(toml::Deserializer::from(file.clone())).map_err(wrong)
}

/// The relay kinds of a file, each as a table and as the value that it is.
fn relays<'a, 'i>(file: &'a DeTable<'i>) -> impl Iterator<Item = (&'a DeTable<'i>, &'a Spanned<DeValue<'i>>)> {
    let relays = file.get("relay").and_then(|relays| relays.get_ref().as_array());
    relays.into_iter().flat_map(|relays| relays.iter()).filter_map(|relay| Some((relay.get_ref().as_table()?, relay)))
}

fn unknown_keys(file: &DeTable<'_>) -> Vec<Mistake> {
    let mut found = Vec::new();
    for (key, value) in file.iter() {
        match value.get_ref() {
            DeValue::Table(section) if keys::is_section(key.get_ref()) => {
                let unknown = section.keys().filter(|inner| !keys::is_key(key.get_ref(), inner.get_ref()));
                found.extend(unknown.map(|inner| unknown_key(key.get_ref(), inner, &all_keys())));
            }
            _ if keys::is_section(key.get_ref()) || keys::is_key("", key.get_ref()) => {}
            _ => found.push(unknown_key("", key, &all_keys())),
        }
    }
    let of_relays = relay_keys();
    for (relay, _) in relays(file) {
        let unknown = relay.keys().filter(|key| !of_relays.iter().any(|(_, known)| known == key.get_ref()));
        found.extend(unknown.map(|key| unknown_key("relay", key, &of_relays)));
    }
    found
}

/// A key's section and its name there.
type Known = (&'static str, String);

/// The keys of the table, and the sections as if they were keys.
fn all_keys() -> Vec<Known> {
    let keys = KEYS.iter().map(super::Key::parts);
    let sections = keys.clone().filter(|(section, _)| !section.is_empty()).map(|(section, _)| ("", section));
    keys.chain(sections).map(|(section, name)| (section, name.to_owned())).collect()
}

fn relay_keys() -> Vec<Known> {
    let policy = toml::Table::try_from(Policy::default()).unwrap_or_default();
    policy.keys().cloned().chain(["kind".to_owned()]).map(|name| ("relay", name)).collect()
}

fn unknown_key(section: &str, key: &Spanned<std::borrow::Cow<'_, str>>, known: &[Known]) -> Mistake {
    let full =
        |section: &str, name: &str| if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
    let name: &str = key.get_ref();
    let hint = match meant(section, name, known) {
        Some((of, meant)) if *of == section => format!("did you mean `{meant}`?"),
        Some((of, meant)) => format!("did you mean `{}`?", full(of, meant)),
        None => "`config --print` shows those that there are".to_owned(),
    };
    Mistake { place: Some(key.span()), what: format!("unknown key `{}`; {hint}", full(section, name)) }
}

/// The most similar key, of the same section if one is similar enough there.
fn meant<'a>(section: &str, name: &str, known: &'a [Known]) -> Option<&'a Known> {
    let enough = 1 + name.chars().count() / 4;
    let ranked = known.iter().map(|known| (known.0 != section, strsim::osa_distance(name, &known.1), known));
    let similar = ranked.filter(|(_, distance, _)| *distance <= enough);
    similar.min_by_key(|(elsewhere, distance, _)| (*elsewhere, *distance)).map(|(_, _, known)| known)
}

fn wrong_value(file: &DeTable<'_>, error: &toml::de::Error) -> Mistake {
    // serde names Rust's types, which are not the operator's business.
    const NAMES: [(&str, &str); 4] = [
        ("expected usize", "expected a number from 0"),
        ("expected u64", "expected a number from 0"),
        ("expected u32", "expected a number from 0 to 4294967295"),
        ("expected path string", "expected a path as a string"),
    ];
    let what = NAMES.iter().fold(error.message().to_owned(), |what, (rust, ours)| what.replace(rust, ours));
    let key = error.span().and_then(|place| key_at(file, &place)).map(|key| format!("`{key}`: ")).unwrap_or_default();
    Mistake { place: error.span(), what: format!("{key}{what}") }
}

/// The name of the value at a place. A section's own span is that of its header, so its keys are looked at whatever it is.
fn key_at(table: &DeTable<'_>, place: &Range<usize>) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let inner = match value.get_ref() {
            DeValue::Table(section) => key_at(section, place),
            DeValue::Array(items) => items.iter().find_map(|item| key_at(item.get_ref().as_table()?, place)),
            _ => None,
        };
        let here = value.span().start <= place.start && place.end <= value.span().end;
        inner.map(|inner| format!("{}.{inner}", key.get_ref())).or_else(|| here.then(|| key.get_ref().to_string()))
    })
}
