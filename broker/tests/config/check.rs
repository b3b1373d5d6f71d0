//! What contradicts itself, although each value by itself is right.

use parlor_broker::config::{Auth, ConfigError, KEYS, OwnCheck};
use parlor_broker::{Broker, Config, StartError};

use crate::{SECRET, read};

#[test]
fn what_contradicts_itself_is_refused_in_one_line_that_names_the_keys() {
    let tokens = format!("[auth]\nsecret = \"{SECRET}\"\n");
    let cases = [
        ("[tls]\ncertificate = \"c\"", "tls.certificate is set, but not tls.key"),
        ("[tls]\nkey = \"k\"", "tls.key is set, but not tls.certificate"),
        ("secret = \"short\"", "secret has 5 bytes; it needs at least 32"),
        ("[auth]\nsecret = \"short\"", "auth.secret has 5 bytes; it needs at least 32"),
        ("server_key = \"\"", "server_key is empty"),
        ("[auth]\nkeys = \"\"", "auth.keys is empty"),
        ("server_key = \"k\"\n[auth]\nurl = \"\"", "auth.url is empty"),
        ("[auth]\nurl = \"http://a/\"", "auth.url is set, but not server_key"),
        (&format!("server_key = \"k\"\n{tokens}url = \"http://a/\""), "auth.url and auth.secret are both set"),
        ("server_key = \"k\"\n[auth]\nurl = \"http://a/\"\nkeys = \"k\"", "auth.url and auth.keys are both set"),
        (&format!("{tokens}issuer = \"\""), "auth.issuer is empty"),
        (&format!("{tokens}audience = \"\""), "auth.audience is empty"),
        ("[auth]\nissuer = \"i\"", "auth.issuer is set, but neither auth.secret nor auth.keys is"),
        ("[auth]\naudience = \"a\"", "auth.audience is set, but neither auth.secret nor auth.keys is"),
        ("[auth]\nguests = true\nleeway_s = 1", "auth.leeway_s is set, but neither auth.secret nor auth.keys is"),
        (&format!("{tokens}leeway_s = 9007199254740992"), "auth.leeway_s must be at most 9007199254740991"),
        ("limits.ping_after_ms = 20_000", "limits.idle_timeout_ms (14000) must be above limits.ping_after_ms (20000)"),
        ("limits.idle_timeout_ms = 9_000", "limits.idle_timeout_ms (9000) must be above limits.ping_after_ms (9000)"),
        ("limits.max_head_bytes = 8191", "limits.max_head_bytes is 8191; it must be at least 8192"),
        (
            "limits.bytes_per_s = 3276",
            "limits.bytes_per_s (3276) must be at least a fifth of limits.max_frame_bytes (16384)",
        ),
        ("limits.connections = 9007199254740992", "limits.connections must be at most 9007199254740991"),
        ("workers.token = \"short\"", "workers.token has 5 bytes; it needs at least 16"),
        ("workers.socket = \"\"", "workers.socket is empty"),
        ("workers.command = \"\"", "workers.command names no program"),
        ("workers.command = \"'./game\"", "workers.command has a quote or a backslash with nothing behind it"),
        ("workers.count = 2", "workers.count is set, but not workers.command"),
        ("[workers]\ncommand = \"./game\"\ncount = 1025", "workers.count is 1025; it must be at most 1024"),
        ("workers.beat_ms = 3_000", "workers.lost_after_ms (3000) must be above workers.beat_ms (3000)"),
        ("workers.lost_after_ms = 500", "workers.lost_after_ms (500) must be above workers.beat_ms (1000)"),
        ("workers.gone_ms = 9007199254740992", "workers.gone_ms must be at most 9007199254740991"),
        ("workers.max_frame_bytes = 262143", "workers.max_frame_bytes is 262143; it must be at least 262144"),
        (
            "limits.max_frame_bytes = 131072\nworkers.max_frame_bytes = 524287",
            "workers.max_frame_bytes (524287) must be at least 4 times limits.max_frame_bytes (131072)",
        ),
        ("shards = 1025", "shards is 1025; it must be at most 1024"),
        ("[[relay]]\nkind = \"a\"\n[[relay]]\nkind = \"a\"", "two relays have the kind `a`"),
        ("[[relay]]\nkind = \"\"", "relay ``: the name of a kind has 1 to 64 bytes"),
        ("[[relay]]\nkind = \"a\"\nmax_players = 0", "relay `a`: max_players must be at least 1"),
        ("[[relay]]\nkind = \"a\"\nempty_ttl_ms = 9007199254740992", "relay `a`: empty_ttl_ms must be at most"),
    ];
    for (text, expected) in cases {
        let said = read("contradiction", text).expect(text).check().expect_err(text).to_string();
        assert!(said.starts_with(&format!("config: {expected}")) && !said.contains('\n'), "{text}: {said}");
    }
}

#[test]
fn a_number_is_zero_only_where_that_makes_sense() {
    let may_be = ["sessions_away", "rooms", "subscriptions", "gather_members", "drain_ms"];
    let sections = ["limits", "workers"];
    for key in KEYS.iter().filter(|key| sections.contains(&key.parts().0) && !key.unit.is_empty()) {
        let checked = read("zero", &format!("{} = 0", key.name)).unwrap().check();
        assert_eq!(checked.is_ok(), may_be.contains(&key.parts().1), "{}: {checked:?}", key.name);
        if let Err(error) = checked {
            assert!(error.to_string().contains(key.name), "{error}");
        }
    }
}

#[test]
fn origins_are_written_as_browsers_send_them() {
    let origins = |origin: &str| Config { origins: vec![origin.to_owned()], ..Config::default() }.check();
    for good in ["*", "https://game.example", "http://localhost:5173", "http://[::1]:8080", "app://x"] {
        origins(good).unwrap();
    }
    let form = "is not scheme://host[:port] or *";
    let bad = [
        ("game.example", form),
        ("", form),
        ("null", form),
        ("://game.example", form),
        ("https://", form),
        ("https://:80", form),
        ("https://game.example/", form),
        ("https://game.example/play", form),
        ("https://ann@game.example", form),
        ("https://game.example:", form),
        ("https://game.example:x", form),
        ("https://game.example:99999", form),
        ("https://*.game.example ", form),
        ("4s://game.example", form),
        ("https://Game.example", "has capitals"),
        ("https://game.example:443", "names the usual port"),
        ("http://game.example:80", "names the usual port"),
    ];
    for (origin, why) in bad {
        let said = origins(origin).expect_err(origin).to_string();
        assert!(said.starts_with(&format!("config: origins: `{origin}` {why}")), "{said}");
    }
}

#[test]
fn somebody_must_be_able_to_get_in() {
    let with = |auth: Auth| Config { auth, ..Config::default() };
    let closed = with(Auth::default());
    let said = closed.check_entry(OwnCheck::None).unwrap_err().to_string();
    assert_eq!(said, "config: nobody can get in: set auth.guests, auth.secret, auth.keys or auth.url");
    closed.check_entry(OwnCheck::Installed).unwrap();
    let ways = [
        Auth { guests: true, ..Auth::default() },
        Auth { secret: Some(SECRET.into()), ..Auth::default() },
        Auth { keys: Some("keys.pem".into()), ..Auth::default() },
        Auth { url: Some("http://127.0.0.1:7374/v1/identity".into()), ..Auth::default() },
    ];
    for auth in ways {
        with(auth).check_entry(OwnCheck::None).unwrap();
    }
}

#[tokio::test]
async fn a_broker_started_in_code_is_checked_too() {
    let mut config = Config::default();
    config.listen.set_port(0);
    config.limits.outbox_bytes = 0;
    let refused = Broker::start(&config, Vec::new(), axum::Router::new()).await.unwrap_err();
    assert!(matches!(refused, StartError::Config(ConfigError::Contradictory(_))));
    assert_eq!(refused.to_string(), "config: limits.outbox_bytes must be at least 1");
}
