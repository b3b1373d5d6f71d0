//! `parlor rollout`: which version of a kind new rooms are of, seen and changed from a shell.

use std::fmt::Write;
use std::time::Duration;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::fetch::{Address, Asked};
use crate::problem::Problem;

/// Time for an answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// Bytes of one.
const LIMIT: usize = 1 << 20;

/// Shows the versions of a kind, or has new rooms be of another. Rooms that are open stay what they are, unless they are to move.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "parlor rollout")]
pub struct RolloutArgs {
    /// The kind of room
    pub kind: String,
    /// Version that new rooms shall be of
    #[arg(long, value_name = "VERSION")]
    pub to: Option<String>,
    /// Percentage of accounts whose new rooms are of that version; the others' are of the version before
    #[arg(long, value_name = "PERCENT", requires = "to", value_parser = percent)]
    pub weight: Option<u8>,
    /// Have rooms that are open go on in that version, too
    #[arg(long = "move", requires = "to")]
    pub moves: bool,
    /// Where the broker is
    #[arg(long, env = "PARLOR_URL", value_name = "URL", default_value = "http://127.0.0.1:7373")]
    pub url: String,
    /// The broker's server key
    #[arg(long, env = "PARLOR_SERVER_KEY", value_name = "KEY", hide_env_values = true)]
    pub server_key: Option<String>,
}

fn percent(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse::<u8>();
    number.ok().filter(|percent| *percent <= 100).ok_or_else(|| "a percentage is 0 to 100".to_owned())
}

impl RolloutArgs {
    /// Does it; what is to be printed.
    ///
    /// # Errors
    /// In one line.
    pub async fn run(&self) -> Result<String, String> {
        let url = format!("{}/v1/kinds/{}", self.url.trim_end_matches('/'), self.kind);
        let key = self.server_key.clone();
        let (url, asked) = match &self.to {
            None => (url, Asked { key, ..Asked::default() }),
            Some(to) => {
                let body = json!({"to": to, "weight": self.weight.unwrap_or(100), "move": self.moves}).to_string();
                (format!("{url}/rollout"), Asked { method: Method::PUT, key, body: Some(body) })
            }
        };
        let address = Address::parse(&url).map_err(|error| format!("{url}: {error}"))?;
        let (status, body) = address.ask(&asked, LIMIT, DEADLINE).await.map_err(|error| error.to_string())?;
        let other = || format!("{url} is no broker's: it says {status}");
        if status == StatusCode::OK {
            return serde_json::from_slice(&body).map(|kind| shown(&kind)).map_err(|_| other());
        }
        Err(Problem::read(&body).map_or_else(other, |Problem(failure)| failure.to_string()))
    }
}

/// A kind as a table.
fn shown(kind: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut out =
        format!("{:<24} {:>7} {:>7} {:>8} {:>8}   new rooms\n", "version", "workers", "rooms", "opened", "failed");
    let weight = kind["weight"].as_u64().unwrap_or(100);
    for version in kind["versions"].as_array().into_iter().flatten() {
        let new = match &version["version"] {
            name if *name == kind["to"] => format!("{weight}%"),
            name if *name == kind["rest"] => format!("{}%", 100_u64.saturating_sub(weight)),
            _ => String::new(),
        };
        let number = |name: &str| version.get(name).map_or_else(|| "-".to_owned(), Value::to_string);
        let numbers = ["workers", "rooms", "opened", "failed"].map(number);
        let [workers, rooms, opened, failed] = &numbers;
        let line = format!("{:<24} {workers:>7} {rooms:>7} {opened:>8} {failed:>8}   {new}", text(&version["version"]));
        // Writing into a String cannot fail.
        let _ = writeln!(out, "{}", line.trim_end());
    }
    if let Some(left) = kind.get("left") {
        let _ = writeln!(out, "left {}: {}", text(&left["version"]), text(&left["why"]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_shown_as_a_table() {
        let kind = json!({
            "kind": "arena", "to": "2", "weight": 10, "rest": "1", "left": {"version": "3", "why": "3 of 4 failed", "at_ms": 1},
            "versions": [
                {"version": "1", "workers": 2, "rooms": 12, "opened": 40, "failed": 0},
                {"version": "2", "workers": 1, "rooms": 1, "opened": 1, "failed": 0},
                {"version": "3", "workers": 0, "rooms": 0, "opened": 4, "failed": 3},
            ],
        });
        let expected = "\
version                  workers   rooms   opened   failed   new rooms
1                              2      12       40        0   90%
2                              1       1        1        0   10%
3                              0       0        4        3
left 3: 3 of 4 failed
";
        assert_eq!(shown(&kind), expected);
    }

    #[test]
    fn a_percentage_may_have_its_sign() {
        assert_eq!((percent("10"), percent("10%"), percent("0")), (Ok(10), Ok(10), Ok(0)));
        for wrong in ["101", "-1", "ten", "%", "10 %"] {
            percent(wrong).unwrap_err();
        }
    }
}
