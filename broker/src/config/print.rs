//! Writing the configuration as a file that explains itself. Secrets are left out: such a file ends up in tickets and chats.

use parlor_protocol::Policy;
use serde::Serializer;
use toml::Value;

use super::keys::KEYS;
use super::{Config, ConfigError};

impl Config {
    /// The whole as TOML, each key with its meaning, and with its default where it says something else. Reading this gives the same
    /// configuration but for the secrets, of which is told only whether they are set.
    ///
    /// # Errors
    /// When a number is larger than TOML can hold, which [`check`](Self::check) refuses.
    pub fn print(&self) -> Result<String, ConfigError> {
        let unprintable = |error: toml::ser::Error| ConfigError::Unprintable(error.to_string());
        let table = |config: &Self| toml::Table::try_from(config).map_err(unprintable);
        let (now, default) = (table(self)?, table(&Self::default())?);
        let mut text = format!("# The configuration of Parlor {}. Secrets are not shown.\n", env!("CARGO_PKG_VERSION"));
        let mut last_section = "";
        for key in &KEYS {
            let (section, name) = key.parts();
            if section != last_section && !section.is_empty() {
                text += &format!("\n[{section}]\n");
                last_section = section;
            }
            let unit = if key.unit.is_empty() { String::new() } else { format!(" ({})", key.unit) };
            text += &format!("\n# {}{unit}\n", key.meaning);
            text += &match (lookup(&now, section, name), lookup(&default, section, name)) {
                (Some(Value::Array(relays)), _) if key.name == "relay" => {
                    print_relays(relays, &toml::Table::try_from(Policy::default()).map_err(unprintable)?)
                }
                (Some(Value::String(text)), _) if text == HIDDEN => format!("# {name}: set, not shown\n"),
                (value, default) => line(name, value, default),
            };
        }
        Ok(text)
    }
}

/// What stands for a secret that is set.
const HIDDEN: &str = "(not shown)";

/// Serializes a secret as [`HIDDEN`], so that nothing that writes a configuration can tell it.
pub(super) fn hidden<S: Serializer>(secret: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(_) => serializer.serialize_str(HIDDEN),
        None => serializer.serialize_none(),
    }
}

fn lookup<'a>(table: &'a toml::Table, section: &str, name: &str) -> Option<&'a Value> {
    let table = if section.is_empty() { Some(table) } else { table.get(section)?.as_table() };
    table?.get(name)
}

fn line(name: &str, value: Option<&Value>, default: Option<&Value>) -> String {
    let Some(shown) = value else { return format!("# {name}: not set\n") };
    if value == default {
        return format!("{name} = {shown}\n");
    }
    let default = default.map_or_else(|| "not set".to_owned(), Value::to_string);
    format!("{name} = {shown} # default: {default}\n")
}

fn print_relays(relays: &[Value], default: &toml::Table) -> String {
    let relays = relays.iter().filter_map(Value::as_table).map(|relay| {
        let kind = line("kind", relay.get("kind"), relay.get("kind"));
        let policy = default.iter().map(|(name, default)| line(name, relay.get(name), Some(default)));
        std::iter::once(format!("[[relay]]\n{kind}")).chain(policy).collect::<String>()
    });
    let printed = relays.collect::<Vec<_>>().join("\n");
    if printed.is_empty() { "# relay: none\n".to_owned() } else { printed }
}
