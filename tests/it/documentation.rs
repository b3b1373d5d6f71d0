//! The tables and examples of README.md and docs/ say what the code says.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args as _;
use parlor::broker::Config;
use parlor::broker::config::KEYS;
use parlor::broker::telemetry::{HandshakeFault, Metrics};
use parlor::{Policy, ServeArgs};
use parlor_protocol::{CloseCode, ErrorCode};
use parlor_tests::config;
use serde_json::Value;

use crate::tutorial::{block, blocks, http};

const README: &str = include_str!("../../README.md");
const POLICY: &str = include_str!("../../docs/policy.md");
const LOBBY: &str = include_str!("../../docs/lobby.md");
const OPERATIONS: &str = include_str!("../../docs/operations.md");

/// The rows below a table's header line, as cells.
fn table<'a>(text: &'a str, header: &str) -> Vec<Vec<&'a str>> {
    let (_, rest) = text.split_once(&format!("{header}\n")).unwrap_or_else(|| panic!("no table `{header}`"));
    let rows = rest.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

fn code(cell: &str) -> &str {
    cell.split('`').nth(1).unwrap_or_else(|| panic!("nothing in backticks: {cell}"))
}

#[test]
fn the_policy_table_has_every_key_with_its_default() {
    let rows = table(POLICY, "| key | is given as | field | default | change it when |");
    let Value::Object(defaults) = serde_json::to_value(Policy::default()).unwrap() else { panic!("a map") };
    let shown = rows.iter().map(|row| (code(row[2]).to_owned(), serde_json::from_str(code(row[3])).unwrap()));
    assert_eq!(shown.collect::<BTreeMap<_, Value>>(), defaults.into_iter().collect());

    let macros = include_str!("../../handler-sdk/macros/src/policy.rs");
    let (_, keys) = macros.split_once("const KEYS").unwrap();
    let keys = keys.split_once("];").unwrap().0.lines().filter_map(|line| line.trim().strip_prefix("(\""));
    let keys: Vec<_> = keys.map(|line| line.split('"').step_by(2).take(2).collect::<Vec<_>>()).collect();
    assert_eq!(rows.iter().map(|row| vec![code(row[0]), code(row[2])]).collect::<Vec<_>>(), keys);
}

/// The default of a key as a page shows it.
fn default_of(name: &str) -> String {
    let defaults = serde_json::to_value(Config::default()).unwrap();
    match defaults.pointer(&format!("/{}", name.replace('.', "/"))) {
        Some(Value::String(text)) => text.clone(),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
        _ => "none".to_owned(),
    }
}

#[test]
fn the_limits_table_has_every_key_with_its_default() {
    let rows = table(README, "| key | default | beyond it |");
    let shown: Vec<_> = rows.iter().map(|row| (code(row[0]), row[1].to_owned())).collect();
    let limits = KEYS.iter().filter_map(|key| Some((key.name.strip_prefix("limits.")?, default_of(key.name))));
    assert_eq!(shown, limits.collect::<Vec<_>>());
}

#[test]
fn the_table_of_other_keys_says_what_the_printed_file_says() {
    let rows = table(OPERATIONS, "| key | default | |");
    let shown: Vec<_> = rows.iter().map(|row| (code(row[0]), row[1].to_owned(), row[2])).collect();
    let others = KEYS.iter().filter(|key| !key.name.starts_with("limits."));
    assert_eq!(shown, others.map(|key| (key.name, default_of(key.name), key.meaning)).collect::<Vec<_>>());
}

#[test]
fn the_configuration_example_is_taken() {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("example.toml");
    std::fs::write(&file, block(OPERATIONS, "toml")).unwrap();
    let config = Config::read(&file).unwrap();
    config.check().unwrap();
    assert_eq!((config.listen.port(), config.shards, config.limits.rooms), (7373, 4, 20_000));
    assert_eq!((config.relay[0].kind.as_str(), config.relay[0].policy.max_players), ("lounge", 100));
    std::fs::write(&file, "listen = \"127.0.0.1:0\"\nlimit = 1\n").unwrap();
    assert!(Config::read(&file).is_err(), "an unknown key is an error");
}

#[test]
fn the_flags_are_those_of_the_program() {
    let command = ServeArgs::augment_args(clap::Command::new("game"));
    let flags = command.get_arguments().map(|flag| {
        let env = flag.get_env().unwrap().to_str().unwrap().to_owned();
        (format!("--{}", flag.get_long().unwrap()), env)
    });
    let rows = table(OPERATIONS, "| flag | environment | default | |");
    let shown = rows.iter().map(|row| (code(row[0]).to_owned(), code(row[1]).to_owned()));
    assert_eq!(shown.collect::<Vec<_>>(), flags.collect::<Vec<_>>());
}

#[test]
fn the_metrics_table_has_every_metric() {
    let metrics = Metrics::default();
    metrics.handshake_failed(HandshakeFault::Tls);
    metrics.error(ErrorCode::Internal);
    metrics.close(CloseCode::Internal.as_str());
    metrics.resumed("view");
    metrics.worker_lost("closed");
    let text = metrics.render();
    let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split([' ', '{']).next());
    let rows = table(OPERATIONS, "| metric | counts |");
    assert_eq!(rows.iter().map(|row| code(row[0])).collect::<Vec<_>>(), samples.collect::<Vec<_>>());
}

#[test]
fn versions_are_those_of_the_workspace() {
    assert!(README.contains(&format!("With Rust {} or newer", env!("CARGO_PKG_RUST_VERSION"))));
    assert!(include_str!("../../CHANGELOG.md").contains(&format!("\n## {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn the_readme_names_all_that_a_handler_has() {
    let attributes = include_str!("../../handler-sdk/src/msg.rs");
    for name in attributes.lines().filter_map(|line| line.strip_prefix("pub use parlor_macros::msg_")) {
        let (name, _) = name.split_once(' ').unwrap();
        assert!(README.contains(&format!("`#[msg::{name}")), "#[msg::{name}]");
    }
    let ctx = include_str!("../../handler-sdk/src/ctx.rs");
    let methods: Vec<_> = ctx.lines().filter_map(|line| line.strip_prefix("    pub fn ")).collect();
    assert!(methods.len() > 20);
    for method in methods {
        let name = method.split(['(', '<']).next().unwrap();
        assert!(README.contains(&format!("`{name}`")), "Ctx::{name}");
    }
}

#[test]
fn the_lobby_page_has_every_path_and_no_code_that_there_is_not() {
    let router = include_str!("../../broker/src/lobby/mod.rs");
    for path in router.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(LOBBY.contains(&format!(" {path}` |")), "{path}");
    }
    for row in table(LOBBY, "| status | codes |") {
        for code in row[1].split('`').skip(1).step_by(2) {
            assert!(ErrorCode::ALL.iter().any(|known| known.as_str() == code), "{code}");
        }
    }
}

/// Sends the requests of the lobby's curl examples, in order, and compares status and body with what is written below each.
#[tokio::test]
async fn the_lobby_answers_as_written() {
    let config = Config { server_key: Some("KEY".into()), ..config() };
    let broker = crate::tutorial::app().start(&config).await.unwrap();
    let (mut examples, sections) = (0, LOBBY.split("```sh\n").skip(1));
    for section in sections {
        let (curl, rest) = section.split_once("```").unwrap();
        let (method, path, key, body) = parse_curl(curl);
        let answer = http(&broker, &method, &path, &key, &body).await;
        let status = rest.split_once("Answers `").unwrap().1.split('`').next().unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{curl}: {answer}");
        if let Some((_, json)) = rest.split_once("```json\n") {
            let expected: Value = serde_json::from_str(json.split_once("```").unwrap().0).unwrap();
            let got: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
            assert_eq!(got, expected, "{curl}");
        }
        examples += 1;
    }
    assert_eq!(examples, blocks(LOBBY, "sh").count());
    assert!(examples > 4);
    broker.shutdown().await;
}

/// Method, path, headers and body of a curl command as the lobby's page writes them.
fn parse_curl(command: &str) -> (String, String, String, String) {
    let quoted = |flag: &str| {
        let (_, rest) = command.split_once(&format!("{flag} '"))?;
        Some(rest.split('\'').next()?.to_owned())
    };
    let (_, url) = command.split_once("http://127.0.0.1:7373").unwrap();
    let path = url.split([' ', '\'', '\n']).next().unwrap();
    let method = command.split_once("-X ").map_or("GET", |(_, rest)| rest.split(' ').next().unwrap());
    (method.into(), path.into(), quoted("-H").unwrap_or_default(), quoted("-d").unwrap_or_default())
}
