//! The command `parlor bench`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::load::{Load, Rooms};
use crate::script::{Mode, Script};

/// The test was done, and something in it was not as it should be.
const FAILED: u8 = 1;
/// The test could not be done. clap ends a program with the same code when the flags are wrong.
const UNUSABLE: u8 = 2;

/// Lets many players loose on a game, each doing what a script says, and reports how long the game takes to answer.
///
/// Exit code 0: all went well. 1: there were failures, or the p99 was too long. 2: the test could not be done.
#[derive(Clone, Debug, Parser)]
#[command(name = "parlor bench", bin_name = "parlor bench", version)]
pub struct BenchArgs {
    /// Where the game is, such as ws://127.0.0.1:7373
    url: String,
    /// TOML file with what a player does
    #[arg(long, value_name = "FILE")]
    script: PathBuf,
    /// How many players. A broker takes 64 connections of one address unless its `limits.connections_per_address` is more
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    players: u32,
    /// Into how many rooms they are divided
    #[arg(long, value_name = "N", conflicts_with = "players_per_room", value_parser = clap::value_parser!(u32).range(1..))]
    rooms: Option<u32>,
    /// How many players a room gets, which says how many rooms there are [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    players_per_room: Option<u32>,
    /// How long is measured, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = some_seconds)]
    seconds: Duration,
    /// How long is played before that, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    warmup: Duration,
    /// How many players come in a second
    #[arg(long, value_name = "N/s", default_value = "100/s", value_parser = ramp)]
    ramp: Duration,
    /// File with a token for each player, one a line; without it they are guests
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Report as JSON
    #[arg(long)]
    json: bool,
    /// Fail when the p99 of round trips or deliveries is more than this, such as 50ms
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    fail_p99: Option<Duration>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn some_seconds(text: &str) -> Result<Duration, String> {
    seconds(text).and_then(|time| if time.is_zero() { Err("expected more than nothing".to_owned()) } else { Ok(time) })
}

/// The time between two players.
fn ramp(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix("/s").unwrap_or(text).parse::<f64>().ok().filter(|number| *number > 0.0);
    let between = number.and_then(|number| Duration::try_from_secs_f64(1.0 / number).ok());
    between.ok_or_else(|| "expected players a second, such as 100/s".to_owned())
}

impl BenchArgs {
    /// Does it: the report goes to the standard output, what is wrong with the script or the flags to the standard error.
    pub async fn run(&self) -> ExitCode {
        let load = match self.load() {
            Ok(load) => load,
            Err(wrong) => {
                eprintln!("parlor: bench: {wrong}");
                return ExitCode::from(UNUSABLE);
            }
        };
        let report = load.run().await;
        let text = if self.json { serde_json::to_string(&report).unwrap_or_default() } else { report.to_string() };
        // Whoever stopped reading still wants the exit code.
        let _ = writeln!(std::io::stdout(), "{text}");
        if report.is_fine() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
    }

    /// The load test that these flags amount to, or what is wrong in one line.
    fn load(&self) -> Result<Load, String> {
        let script = Script::read(&self.script).map_err(|error| format!("{}: {error}", self.script.display()))?;
        if self.fail_p99.is_some() && !script.measures() {
            return Err("--fail-p99 needs an action with `reply` or `answered_by`".to_owned());
        }
        let players = self.players as usize;
        let rooms = match (script.room.mode, self.rooms, self.players_per_room) {
            (Mode::FindOrCreate, None, None) => Rooms::Found,
            (Mode::FindOrCreate, ..) => {
                return Err("the broker chooses the rooms, for the script's mode is find_or_create".to_owned());
            }
            (Mode::Create, Some(rooms), _) => Rooms::Made(rooms as usize),
            (Mode::Create, None, each) => Rooms::Made(players.div_ceil(each.unwrap_or(10) as usize)),
        };
        let tokens = self.token_file.as_deref().map_or_else(|| Ok(Vec::new()), |file| tokens(file, players))?;
        Ok(Load {
            url: self.url.clone(),
            script,
            players,
            rooms,
            ramp: self.ramp,
            warmup: self.warmup,
            window: self.seconds,
            tokens,
            fail_p99: self.fail_p99,
        })
    }
}

/// A token for each player. Two with the same one would take each other's place.
fn tokens(file: &Path, players: usize) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let tokens: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if tokens.len() < players {
        return Err(format!("{} has {} tokens for {players} players", file.display(), tokens.len()));
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(more: &str) -> Result<BenchArgs, String> {
        let line = format!("bench ws://here --script bench.toml {more}");
        BenchArgs::try_parse_from(line.split_whitespace()).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_are_read() {
        let args = args("--players 7 --rooms 2 --seconds 0.5 --warmup 0 --ramp 50/s --fail-p99 50ms --json").unwrap();
        assert_eq!((args.players, args.rooms, args.json), (7, Some(2), true));
        assert_eq!((args.seconds, args.warmup), (Duration::from_millis(500), Duration::ZERO));
        assert_eq!((args.ramp, args.fail_p99), (Duration::from_millis(20), Some(Duration::from_millis(50))));
    }

    #[test]
    fn flags_that_make_no_sense_are_refused() {
        let wrong = [
            "--players 0",
            "--rooms 0",
            "--rooms 2 --players-per-room 5",
            "--seconds 0",
            "--seconds -1",
            "--seconds nan",
            "--ramp 0/s",
            "--ramp fast",
            "--fail-p99 50",
        ];
        for more in wrong {
            assert!(args(more).is_err(), "{more}");
        }
    }
}
