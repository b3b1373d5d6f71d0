//! The configuration: what a file may say, what it may not, what wins, and how it is printed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod check;

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Parser;
use parlor_broker::cli::ServeArgs;
use parlor_broker::config::{Auth, ConfigError, KEYS, RelayConfig, Tls, Workers};
use parlor_broker::{Config, Limits};
use parlor_protocol::Policy;
use parlor_protocol::policy::Handled;
use proptest::prelude::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

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

/// A file that sets every key to something that is not its default.
const FULL: &str = r#"
listen = "0.0.0.0:80"
server_key = "k"
shards = 3
secret = "0123456789abcdef0123456789abcdef"
origins = ["https://game.example", "capacitor://localhost", "http://[::1]:8080", "*"]
trusted_proxies = ["10.0.0.0/8", "192.0.2.1", "fd00::/8"]

[tls]
certificate = "chain.pem"
key = "key.pem"

[auth]
guests = true
secret = "0123456789abcdef0123456789abcdef"
keys = "https://id.example/jwks.json"
url = "http://10.0.0.5:7374/v1/identity"
issuer = "https://id.example"
audience = "game"
leeway_s = 5

[limits]
max_frame_bytes = 1
max_fragments = 2
max_head_bytes = 10_003
header_timeout_ms = 4
frame_timeout_ms = 5
hello_timeout_ms = 6
ping_after_ms = 7
idle_timeout_ms = 8
write_deadline_ms = 9
outbox_frames = 10
outbox_bytes = 11
bad_frames = 12
messages_per_s = 13
bytes_per_s = 14
control_frames_per_s = 15
connections = 16
connections_per_address = 17
sessions_away = 18
rooms = 19
rooms_per_session = 20
subscriptions = 21
gather_members = 22
drain_ms = 23

[workers]
token = "0123456789abcdef"
socket = "/run/parlor/workers.sock"
command = "./game worker"
count = 2
wait_ms = 3
gone_ms = 4
time_limit_ms = 5
beat_ms = 6
lost_after_ms = 7
max_frame_bytes = 262_144

[[relay]]
kind = "chat"
max_players = 15
empty_ttl_ms = 16
handled = "told"

[[relay]]
kind = "board"
"#;

fn full() -> Config {
    let limits = Limits {
        max_frame_bytes: 1,
        max_fragments: 2,
        max_head_bytes: 10_003,
        header_timeout_ms: 4,
        frame_timeout_ms: 5,
        hello_timeout_ms: 6,
        ping_after_ms: 7,
        idle_timeout_ms: 8,
        write_deadline_ms: 9,
        outbox_frames: 10,
        outbox_bytes: 11,
        bad_frames: 12,
        messages_per_s: 13,
        bytes_per_s: 14,
        control_frames_per_s: 15,
        connections: 16,
        connections_per_address: 17,
        sessions_away: 18,
        rooms: 19,
        rooms_per_session: 20,
        subscriptions: 21,
        gather_members: 22,
        drain_ms: 23,
    };
    let auth = Auth {
        guests: true,
        secret: Some(SECRET.into()),
        keys: Some("https://id.example/jwks.json".into()),
        url: Some("http://10.0.0.5:7374/v1/identity".into()),
        issuer: Some("https://id.example".into()),
        audience: Some("game".into()),
        leeway_s: 5,
    };
    let workers = Workers {
        token: Some("0123456789abcdef".into()),
        socket: Some("/run/parlor/workers.sock".into()),
        command: Some("./game worker".into()),
        count: 2,
        wait_ms: 3,
        gone_ms: 4,
        time_limit_ms: 5,
        beat_ms: 6,
        lost_after_ms: 7,
        max_frame_bytes: 262_144,
    };
    let chat = Policy { max_players: 15, empty_ttl_ms: 16, handled: Handled::Told, ..Policy::default() };
    Config {
        listen: "0.0.0.0:80".parse().unwrap(),
        server_key: Some("k".into()),
        shards: 3,
        secret: Some(SECRET.into()),
        origins: ["https://game.example", "capacitor://localhost", "http://[::1]:8080", "*"].map(str::to_owned).into(),
        trusted_proxies: ["10.0.0.0/8", "192.0.2.1/32", "fd00::/8"].map(|network| network.parse().unwrap()).into(),
        tls: Tls { certificate: Some("chain.pem".into()), key: Some("key.pem".into()) },
        auth,
        limits,
        workers,
        relay: vec![
            RelayConfig { kind: "chat".into(), policy: chat },
            RelayConfig { kind: "board".into(), policy: Policy::default() },
        ],
    }
}

#[test]
fn nothing_said_is_the_default() {
    assert_eq!(read("empty", "").unwrap(), Config::default());
    assert_eq!(read("sections", "[tls]\n[auth]\n[limits]\n[workers]\n").unwrap(), Config::default());
    Config::default().check().unwrap();
}

#[test]
fn every_key_can_be_set() {
    let config = read("all", FULL).unwrap();
    assert_eq!(config, full());
    // Of two ways to check tokens, either will do.
    for auth in [Auth { url: None, ..full().auth }, Auth { url: full().auth.url, ..Auth::default() }] {
        Config { auth, ..full() }.check().unwrap();
    }
}

#[test]
fn the_table_of_keys_has_every_field() {
    let table = toml::Table::try_from(full()).unwrap();
    let mut fields = BTreeSet::new();
    for (name, value) in &table {
        match value.as_table() {
            Some(section) => fields.extend(section.keys().map(|inner| format!("{name}.{inner}"))),
            None => drop(fields.insert(name.clone())),
        }
    }
    assert_eq!(KEYS.iter().map(|key| key.name.to_owned()).collect::<BTreeSet<_>>(), fields);
    for key in &KEYS {
        let (section, name) = key.parts();
        let value = if section.is_empty() { &table[name] } else { &table[section][name] };
        assert_eq!(value.is_integer(), !key.unit.is_empty(), "{} is a number, or has no unit", key.name);
        for (end, unit) in [("_ms", "milliseconds"), ("_bytes", "bytes"), ("_per_s", " a second")] {
            assert!(!name.ends_with(end) || key.unit.ends_with(unit), "{} counts {}", key.name, key.unit);
        }
    }
}

#[test]
fn a_mistake_is_told_in_one_line_with_its_place() {
    let cases = [
        ("top", "\n\nlisten_on = 1", "line 3: unknown key `listen_on`; did you mean `listen`?"),
        ("deep", "[limits]\nroms = 1", "line 2: unknown key `limits.roms`; did you mean `rooms`?"),
        (
            "short",
            "[limits]\nidle_timeout = 1",
            "line 2: unknown key `limits.idle_timeout`; did you mean `idle_timeout_ms`?",
        ),
        ("old", "[limits]\nrooms_made_per_session = 1", "did you mean `rooms_per_session`?"),
        ("place", "rooms = 1", "line 1: unknown key `rooms`; did you mean `limits.rooms`?"),
        ("near", "[auth]\nkey = \"a\"", "line 2: unknown key `auth.key`; did you mean `keys`?"),
        ("dots", "limits.rooms = 1\nlimits.romms = 1", "line 2: unknown key `limits.romms`; did you mean `rooms`?"),
        ("inline", "auth = { guest = true }", "line 1: unknown key `auth.guest`; did you mean `guests`?"),
        ("section", "\n[limit]\nrooms = 1", "line 2: unknown key `limit`; did you mean `limits`?"),
        ("array", "[[relays]]\nkind = \"chat\"", "line 1: unknown key `relays`; did you mean `relay`?"),
        ("alien", "xyzzy = 1", "line 1: unknown key `xyzzy`; `config --print` shows those that there are"),
        ("first", "[limits]\nzooms = 1\n[auth]\nguest = 1", "line 2: unknown key `limits.zooms`"),
        (
            "policy",
            "[[relay]]\nkind = \"chat\"\nmax_plyers = 1",
            "line 3: unknown key `relay.max_plyers`; did you mean `max_players`?",
        ),
        (
            "value",
            "[[relay]]\nkind = \"chat\"\n\nmax_players = \"x\"",
            "line 4: `relay.max_players`: invalid type: string \"x\"",
        ),
        ("choice", "[[relay]]\nkind = \"chat\"\nhandled = \"loud\"", "line 3: `relay.handled`: unknown variant `loud`"),
        ("kindless", "\n[[relay]]\nmax_players = 1", "line 2: `relay`: missing field `kind`"),
        ("kind", "[[relay]]\nkind = 1", "line 2: `relay.kind`: invalid type: integer `1`, expected a string"),
        ("type", "shards = \"two\"", "line 1: `shards`: invalid type: string \"two\", expected a number from 0"),
        (
            "sign",
            "[limits]\n\nrooms = -5",
            "line 3: `limits.rooms`: invalid value: integer `-5`, expected a number from 0",
        ),
        ("large", "[limits]\nbad_frames = 5000000000", "line 2: `limits.bad_frames`: invalid value"),
        ("table", "limits = 5", "line 1: `limits`: invalid type: integer `5`, expected a table"),
        ("flat", "[shards]\n", "line 1: `shards`: invalid type: map"),
        ("address", "listen = \"here\"", "line 1: `listen`: invalid socket address"),
        (
            "network",
            "trusted_proxies = [\n\"10.0.0.1\",\n\"proxy\"]",
            "line 3: `trusted_proxies`: invalid value: string \"proxy\"",
        ),
        ("prefix", "trusted_proxies = [\"10.0.0.0/33\"]", "expected an address or a network such as 10.0.0.0/8"),
        ("twice", "shards = 1\nshards = 2", "line 2: "),
        ("syntax", "shards = 1\nshards 2", "line 2: "),
    ];
    for (name, text, expected) in cases {
        let said = read(name, text).expect_err(name).to_string();
        assert!(said.contains(expected) && !said.contains('\n'), "{name}: {said}");
    }
}

#[test]
fn flags_win_over_the_file() {
    let path = file("flags", FULL);
    let args = |flags: &[&str]| {
        let all = ["program", "--config", path.to_str().unwrap()].into_iter().chain(flags.iter().copied());
        Args::parse_from(all).serve.config().unwrap()
    };
    assert_eq!(args(&[]), full());
    let other = "another secret of at least 32 bytes";
    let flags = [
        ["--port", "0"],
        ["--host", "::1"],
        ["--server-key", "flag"],
        ["--shards", "1"],
        ["--secret", other],
        ["--tls-certificate", "c"],
        ["--tls-key", "k"],
        ["--auth-keys", "keys"],
        ["--auth-secret", other],
        ["--auth-url", "https://id.example/v1/identity"],
        ["--worker-token", other],
        ["--worker-socket", "s"],
        ["--worker-cmd", "./other"],
    ];
    let mut expected = full();
    expected.listen = "[::1]:0".parse().unwrap();
    expected.server_key = Some("flag".into());
    expected.shards = 1;
    expected.secret = Some(other.into());
    expected.tls = Tls { certificate: Some("c".into()), key: Some("k".into()) };
    expected.auth = Auth { guests: false, keys: Some("keys".into()), secret: Some(other.into()), ..expected.auth };
    expected.auth.url = Some("https://id.example/v1/identity".into());
    let workers = Workers { token: Some(other.into()), socket: Some("s".into()), ..expected.workers };
    expected.workers = Workers { command: Some("./other".into()), ..workers };
    let flags: Vec<_> = flags.concat().into_iter().chain(["--guests=false"]).collect();
    assert_eq!(args(&flags), expected);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn guests_are_let_in_by_the_flag_alone_and_flags_may_stand_before_a_command() {
    let args = |flags: &[&str]| Args::parse_from(["program"].iter().chain(flags)).serve;
    assert!(args(&["--guests"]).config().unwrap().auth.guests);
    assert!(args(&["--guests=yes"]).config().unwrap().auth.guests);
    assert!(!args(&[]).config().unwrap().auth.guests);
    for flags in [["--guests", "config", "--shards", "2"], ["--shards", "2", "config", "--guests"]] {
        let args = args(&flags);
        assert!(args.command.is_some());
        let config = args.config().unwrap();
        assert_eq!((config.auth.guests, config.shards), (true, 2), "{flags:?}");
    }
}

/// Without what is not printed.
fn without_secrets(mut config: Config) -> Config {
    (config.server_key, config.secret) = (None, None);
    (config.auth.secret, config.workers.token) = (None, None);
    config
}

#[test]
fn what_is_printed_can_be_read_again() {
    for config in [Config::default(), full()] {
        let printed = config.print().unwrap();
        assert_eq!(read("printed", &printed).unwrap(), without_secrets(config), "{printed}");
    }
}

#[test]
fn what_is_printed_explains_itself_and_tells_no_secret() {
    let printed = full().print().unwrap();
    assert!(!printed.contains(&SECRET[..16]) && !printed.contains("\"k\""), "{printed}");
    let parts = [
        "\n# threads that run rooms and their connections; 0: one per core (threads)\nshards = 3 # default: 0\n",
        "# secret: set, not shown\n",
        "# token: set, not shown\n",
        "\n[tls]\n\n# PEM file with the certificate and its chain\ncertificate = \"chain.pem\" # default: not set\n",
        "(bytes)\noutbox_bytes = 11 # default: 262144\n",
        "\n[[relay]]\nkind = \"chat\"\n",
        "\nmax_players = 15 # default: 64\n",
    ];
    for part in parts {
        assert!(printed.contains(part), "{part} in {printed}");
    }
    let untouched = Config::default().print().unwrap();
    assert!(!untouched.contains("default: "), "{untouched}");
    for part in ["\n# secret: not set\n", "\n# certificate: not set\n", "\nrooms = 100000\n", "\n# relay: none\n"] {
        assert!(untouched.contains(part), "{part} in {untouched}");
    }
}

#[test]
fn there_are_fewer_than_fifty_keys() {
    let printed = Config::default().print().unwrap();
    let names = printed.lines().filter_map(|line| match line.strip_prefix("# ") {
        Some(comment) => comment.strip_suffix(": not set").or_else(|| comment.strip_suffix(": none")),
        None => line.split_once(" = ").map(|(name, _)| name),
    });
    let names: Vec<_> = names.collect();
    assert_eq!(names, KEYS.iter().map(|key| key.parts().1).collect::<Vec<_>>());
    assert!(names.len() < 50, "{} keys", names.len());
}

proptest! {
    /// Whatever stands in the file, the answer is a configuration or one line; and so when it is checked and printed.
    #[test]
    fn any_text_is_read_or_refused_in_one_line(text in "([a-z_]{1,12} ?= ?[-0-9\"\\[a-z]{0,6}\n|\\[\\[?[a-z]{1,8}\\]?\\]\n|\\PC{0,20}\n){0,6}") {
        if let Err(error) = read("any", &text).and_then(|config| config.check()) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }

    /// Keys that there are, with numbers that they may not have: what is accepted can be printed and read again.
    #[test]
    fn any_number_is_refused_or_survives_printing(picked in 0..KEYS.len(), number in any::<u64>(), shift in 0..64) {
        let text = format!("{} = {}\n", KEYS[picked].name, number >> shift);
        match read("number", &text).and_then(|config| config.check().map(|()| config)) {
            Ok(config) => prop_assert_eq!(read("again", &config.print().unwrap()).unwrap(), config),
            Err(error) => prop_assert!(error.to_string().contains(KEYS[picked].name), "{}", error),
        }
    }

    #[test]
    fn any_text_survives_printing(issuer in any::<String>(), kind in any::<String>()) {
        let mut config = full();
        config.auth.issuer = Some(issuer);
        config.relay[0].kind = kind;
        prop_assert_eq!(read("text", &config.print().unwrap()).unwrap(), without_secrets(config));
    }
}
