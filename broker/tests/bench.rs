//! `parlor bench` as its users meet it: flags, a script, a report and an exit code.

#![cfg(feature = "bench")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::PathBuf;
use std::process::{Command, Output};

use parlor_broker::config::RelayConfig;
use parlor_broker::{Broker, Config};

/// In a relay room, what a player says comes back with who said it.
const SCRIPT: &str = "[room]\nkind = \"relay\"\n\n[[action]]\nsend = \"chat\"\npayload = { text = \"{n}\" }\nhz = 20\n\
    answered_by = { type = \"chat\", where = { from = \"{player}\" } }\n";

async fn relay() -> Broker {
    let mut config = Config::default();
    config.listen.set_port(0);
    config.auth.guests = true;
    config.relay.push(RelayConfig { kind: "relay".into(), policy: Default::default() });
    Broker::start(&config, Vec::new(), Default::default()).await.unwrap()
}

/// A script that is gone with the test.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("parlor-bench-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Runs it, and gives its exit code with what it said.
async fn bench(url: &str, script: &File, more: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parlor"));
    command.args(["bench", url, "--script", script.path(), "--players", "4", "--warmup", "0", "--seconds", "0.5"]);
    command.args(more);
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[tokio::test]
async fn a_run_that_goes_well_ends_with_zero() {
    let (broker, script) = (relay().await, File::new("well", SCRIPT));
    let url = format!("ws://{}", broker.addr());
    let (code, report, complaint) = bench(&url, &script, &["--fail-p99", "5s", "--rooms", "2"]).await;
    assert_eq!((code, complaint.as_str()), (0, ""), "{report}");
    for line in ["4 players in 2 rooms of relay, 0.5 s, at ws://", "sent          40, 80.0/s\n", "\nfine\n"] {
        assert!(report.contains(line), "{line} in {report}");
    }
    let (code, report, _) = bench(&url, &script, &["--json"]).await;
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(code, 0);
    assert_eq!((&report["sent"], &report["actions"][0]["delivery"]["count"]), (&40.into(), &40.into()));
    assert_eq!((&report["rooms"], &report["failures"]), (&1.into(), &serde_json::json!([])));
}

#[tokio::test]
async fn failures_end_with_one() {
    let (broker, script) = (relay().await, File::new("ill", SCRIPT));
    let url = format!("ws://{}", broker.addr());
    let (code, report, _) = bench(&url, &script, &["--fail-p99", "1us"]).await;
    assert_eq!(code, 1);
    assert!(report.contains("\nFAILED        delivery: p99 is "), "{report}");
    // What only the room itself may say.
    let refused = File::new("refused", &SCRIPT.replace("\"chat\"\npayload", "\"joined\"\npayload"));
    let (code, report, _) = bench(&url, &refused, &[]).await;
    assert_eq!(code, 1);
    assert!(report.contains("\nrefused       40  40 unknown_type\n"), "{report}");
    assert!(report.contains("\nFAILED        refused: 40 unknown_type\n"), "{report}");
    broker.shutdown().await;
    let (code, report, _) = bench(&url, &script, &["--json"]).await;
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((code, &report["joined"]), (1, &0.into()));
}

#[tokio::test]
async fn what_cannot_be_done_ends_with_two_and_a_line() {
    let script = File::new("fine", SCRIPT);
    let broken = File::new("broken", &SCRIPT.replace("hz", "herz"));
    let idle = File::new("idle", "[room]\nkind = \"relay\"\nmode = \"find_or_create\"\n");
    let tokens = File::new("tokens", "one\n\ntwo\n");
    let nowhere = File(PathBuf::from("/nowhere/bench.toml"));
    let cases = [
        (&broken, &[][..], format!("{}: line 7: unknown field `herz`, expected one of `send`, ", broken.path())),
        (&nowhere, &[], "/nowhere/bench.toml: cannot read the script: ".to_owned()),
        (&idle, &["--fail-p99", "1s"], "--fail-p99 needs an action with `reply` or `answered_by`".to_owned()),
        (&idle, &["--rooms", "2"], "the broker chooses the rooms, ".to_owned()),
        (&script, &["--token-file", tokens.path()], format!("{} has 2 tokens for 4 players", tokens.path())),
    ];
    for (script, more, expected) in cases {
        let (code, report, complaint) = bench("ws://127.0.0.1:1", script, more).await;
        assert_eq!((code, report.as_str(), complaint.lines().count()), (2, "", 1), "{complaint}");
        assert!(complaint.starts_with(&format!("parlor: bench: {expected}")), "{complaint}\nis not {expected}");
    }
    let (code, _, complaint) = bench("ws://127.0.0.1:1", &script, &["--plyers", "3"]).await;
    assert_eq!(code, 2);
    assert!(complaint.contains("--plyers") && complaint.contains("Usage: parlor bench "), "{complaint}");
}
