//! The steps of `cargo xtask test`: what each runs, and with what around it.
//!
//! Where they can, they name the workspace and a test, not a package or a program: those alone have other features, for which all would be
//! built once more.

use super::{autobahn, fuzz};
use crate::proc::{self, Failure, Server};
use clap::ValueEnum;
use std::path::PathBuf;
use std::process::Command;

/// Tests whose rooms may be anywhere.
const OF_ROOMS: [&str; 10] = [
    "recovery::",
    "work::",
    "topics::",
    "interest::",
    "senders::",
    "order::",
    "accounts::",
    "resume::",
    "errors::",
    "rooms::",
];

/// What all steps have in common.
pub(super) struct Setting {
    /// Whether the long tests run too.
    pub(super) long: bool,
    /// The browser, when one is needed.
    pub(super) chromium: Option<PathBuf>,
}

/// One named step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Step {
    Fmt,
    Clippy,
    Docs,
    Rust,
    Workers,
    Conformance,
    Fuzz,
    TsTypes,
    TsTest,
    Browser,
    Soak,
}

impl Step {
    /// In the order in which they run: the fast ones that fail most often come first.
    pub(super) const ALL: [Step; 11] = [
        Step::Fmt,
        Step::Clippy,
        Step::Docs,
        Step::Rust,
        Step::Workers,
        Step::Conformance,
        Step::Fuzz,
        Step::TsTypes,
        Step::TsTest,
        Step::Browser,
        Step::Soak,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Step::Fmt => "fmt",
            Step::Clippy => "clippy",
            Step::Docs => "docs",
            Step::Rust => "rust",
            Step::Workers => "workers",
            Step::Conformance => "conformance",
            Step::Fuzz => "fuzz",
            Step::TsTypes => "ts-types",
            Step::TsTest => "ts-test",
            Step::Browser => "browser",
            Step::Soak => "soak",
        }
    }

    pub(super) fn meaning(self) -> &'static str {
        match self {
            Step::Fmt => "Rust code is formatted",
            Step::Clippy => "no lint warns",
            Step::Docs => "the documentation builds without a warning",
            Step::Rust => "all Rust tests, documentation examples among them",
            Step::Workers => {
                "the same tests of rooms once more, with their handlers in workers over TCP and a Unix socket"
            }
            Step::Conformance => "the Autobahn suite, where there is a Python 2.7 for it",
            Step::Fuzz => "what the fuzzers have found; in a long run they look for more",
            Step::TsTypes => "the TypeScript client type-checks",
            Step::TsTest => "the TypeScript client's tests, against a real broker",
            Step::Browser => "a game in a real browser",
            Step::Soak => "ten minutes of clients that come, go and are cut off: no leak, no loss (with --long)",
        }
    }

    /// Whether it runs with `--long` only, unless it is asked for.
    pub(super) fn is_long(self) -> bool {
        self == Step::Soak
    }

    /// Whether npm packages of the TypeScript client are used.
    pub(super) fn needs_node(self) -> bool {
        matches!(self, Step::TsTypes | Step::TsTest | Step::Browser)
    }

    /// Runs it; an error tells what failed.
    pub(super) fn run(self, setting: &Setting) -> Result<(), Failure> {
        match self {
            Step::Fmt => setting.run(proc::cargo(&["fmt", "--all", "--check"])),
            Step::Clippy => {
                setting.run(proc::cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
            }
            Step::Docs => {
                let mut doc = proc::cargo(&["doc", "--workspace", "--no-deps"]);
                doc.env("RUSTDOCFLAGS", "-D warnings");
                setting.run(doc)
            }
            Step::Rust => {
                setting.run(proc::cargo(&["test", "--workspace"]))?;
                setting.run(proc::cargo(&["test", "--package", "parlor", "--no-default-features", "--test", "ui"]))
            }
            Step::Workers => ["tcp", "unix"].into_iter().try_for_each(|way| {
                let mut test = proc::cargo(&["test", "--workspace", "--test", "it", "--"]);
                // Where workers bring kinds, one that is not known may still come.
                test.args(OF_ROOMS).args(["--skip", "errors::unknown_kind"]).env("PARLOR_TEST_WORKERS", way);
                setting.run(test)
            }),
            Step::Conformance => autobahn::run(),
            Step::Fuzz if setting.long => fuzz::search(),
            Step::Fuzz => fuzz::replay(),
            Step::TsTypes => setting.run(npm(&["run", "typecheck"])),
            Step::TsTest => setting.run_with_broker(npm(&["test"])),
            Step::Browser => setting.run_with_broker(browser_test()?),
            Step::Soak => {
                let mut soak = proc::cargo(&["test", "--release", "--package", "parlor-tests", "--test", "soak"]);
                soak.args(["--", "--nocapture"]).env("PARLOR_SOAK", "1");
                setting.run(soak)
            }
        }
    }
}

impl Setting {
    fn run(&self, mut command: Command) -> Result<(), Failure> {
        if self.long {
            command.env("PARLOR_LONG", "1");
        }
        if let Some(chromium) = &self.chromium {
            command.env("PARLOR_CHROMIUM", chromium);
        }
        proc::run(&mut command)
    }

    /// Runs beside a broker of its own, whose address the tests find in `PARLOR_TEST_URL`.
    fn run_with_broker(&self, mut command: Command) -> Result<(), Failure> {
        let name = "test-broker";
        let binaries = proc::build_binaries(&["--workspace", "--test", "it", "--bin", name])?;
        let file = binaries.get(name).ok_or("Cargo did not say where the test broker is")?;
        let broker = Server::start(&mut Command::new(file))?;
        command.env("PARLOR_TEST_URL", format!("ws://{}", broker.address()));
        self.run(command)
    }
}

fn npm(arguments: &[&str]) -> Command {
    let mut command = Command::new("npm");
    command.args(arguments).current_dir(proc::root().join("clients/typescript"));
    command
}

fn browser_test() -> Result<Command, Failure> {
    let script = "tests/browser/run.mjs";
    if !proc::root().join(script).exists() {
        return Err(format!("there is no {script}").into());
    }
    let mut command = Command::new("node");
    command.arg(script).current_dir(proc::root());
    Ok(command)
}
