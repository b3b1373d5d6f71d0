//! The configuration: what a file may say, what it may not, and what wins.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::PathBuf;

use clap::Parser;
use parlor_broker::cli::ServeArgs;
use parlor_broker::config::ConfigError;
use parlor_broker::{Config, Limits};
use proptest::prelude::*;

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    serve: ServeArgs,
}

/// Reads a text as a file, which is gone afterwards.
fn read(name: &str, text: &str) -> Result<Config, ConfigError> {
    let path = file(name, text);
    let config = Config::read(&path);
    std::fs::remove_file(path).unwrap();
    config
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("parlor-config-{}-{name}.toml", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn nothing_said_is_the_default() {
    assert_eq!(read("empty", "").unwrap(), Config::default());
    assert_eq!(read("sections", "[limits]\n").unwrap(), Config::default());
}

#[test]
fn every_key_can_be_set() {
    let text = "listen = \"0.0.0.0:80\"\nserver_key = \"k\"\nshards = 3\n[limits]\nmax_frame_bytes = 1\nheader_timeout_ms = 2\n\
        hello_timeout_ms = 3\nping_after_ms = 4\nidle_timeout_ms = 5\nwrite_deadline_ms = 6\noutbox_frames = 7\noutbox_bytes = 8\n\
        bad_frames = 9\nconnections = 10\nrooms = 11\nrooms_per_session = 12\nrooms_made_per_session = 15\ngather_members = 13\ndrain_ms = 14\n\
        [[relay]]\nkind = \"chat\"\nmax_players = 15\nempty_ttl_ms = 16\nhandled = \"told\"\n";
    let config = read("all", text).unwrap();
    assert_eq!(
        (config.listen.to_string().as_str(), config.server_key.as_deref(), config.shards),
        ("0.0.0.0:80", Some("k"), 3)
    );
    let limits = Limits {
        max_frame_bytes: 1,
        header_timeout_ms: 2,
        hello_timeout_ms: 3,
        ping_after_ms: 4,
        idle_timeout_ms: 5,
        write_deadline_ms: 6,
        outbox_frames: 7,
        outbox_bytes: 8,
        bad_frames: 9,
        connections: 10,
        rooms: 11,
        rooms_per_session: 12,
        rooms_made_per_session: 15,
        gather_members: 13,
        drain_ms: 14,
    };
    assert_eq!(config.limits, limits);
    assert_eq!(config.relay.len(), 1);
    let (kind, policy) = (&config.relay[0].kind, &config.relay[0].policy);
    assert_eq!((kind.as_str(), policy.max_players, policy.empty_ttl_ms), ("chat", 15, 16));
    assert_eq!(policy.handled, parlor_protocol::policy::Handled::Told);
    assert_eq!(policy.queue_len, 4096, "what is not said is the default");
}

#[test]
fn a_mistake_is_told_in_one_line_with_its_place() {
    let cases = [
        ("top", "\n\nport = 1", "line 3: unknown field `port`"),
        ("deep", "[limits]\nroms = 1", "line 2: unknown field `roms`"),
        ("type", "shards = \"two\"", "line 1: invalid type"),
        ("relay", "[[relay]]\nmax_players = 1", "missing field `kind`"),
        ("policy", "[[relay]]\nkind = \"chat\"\nmax_plyers = 1", "max_plyers"),
    ];
    for (name, text, expected) in cases {
        let said = read(name, text).expect_err(name).to_string();
        assert!(said.contains(expected) && !said.contains('\n'), "{name}: {said}");
    }
}

#[test]
fn flags_win_over_the_file() {
    let path = file("flags", "listen = \"0.0.0.0:80\"\nserver_key = \"file\"\nshards = 3\n");
    let args = |flags: &[&str]| {
        let all = ["program", "--config", path.to_str().unwrap()].into_iter().chain(flags.iter().copied());
        Args::parse_from(all).serve.config().unwrap()
    };
    let config = args(&[]);
    assert_eq!(
        (config.listen.to_string(), config.server_key, config.shards),
        ("0.0.0.0:80".into(), Some("file".into()), 3)
    );
    let config = args(&["--port", "0", "--host", "::1", "--server-key", "flag", "--shards", "1"]);
    assert_eq!(
        (config.listen.to_string(), config.server_key, config.shards),
        ("[::1]:0".into(), Some("flag".into()), 1)
    );
    std::fs::remove_file(path).unwrap();
}

proptest! {
    /// Whatever stands in the file, the answer is a configuration or one line.
    #[test]
    fn any_text_is_read_or_refused_in_one_line(text in "([a-z_]{1,12} ?= ?[-0-9\"\\[a-z]{0,6}\n|\\[\\[?[a-z]{1,8}\\]?\\]\n|\\PC{0,20}\n){0,6}") {
        if let Err(error) = read("any", &text) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}
