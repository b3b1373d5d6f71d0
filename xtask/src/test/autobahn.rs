//! The Autobahn test suite against the broker's own reader and writer. It is written for Python 2.7, which is looked for and not
//! installed; where there is none, only our own cases run.

use crate::proc::{self, Failure, Server, find_program};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The suite, and the last tool that makes environments for a Python of its age.
const SUITE: &str = "autobahntestsuite==0.8.2";
const VIRTUALENV: &str = "virtualenv==20.21.1";
/// All but compression, which the broker does not offer (12, 13), and the limits of the suite itself (8, 11).
const CASES: [&str; 9] = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*"];
/// How many those are.
const COUNT: usize = 301;
/// What a case may come to.
const PASSES: [&str; 3] = ["OK", "INFORMATIONAL", "NON-STRICT"];

/// Runs it, or says why it does not.
pub(super) fn run() -> Result<(), Failure> {
    let Some(python) = python() else {
        println!("the Autobahn suite needs Python 2.7, which is not found: SKIPPED, only our own cases run");
        return proc::run(&mut proc::cargo(&["test", "--workspace", "--test", "conformance"]));
    };
    let suite = install(&python)?;
    let name = "echo-broker";
    let binaries = proc::build_binaries(&["--workspace", "--test", "it", "--bin", name])?;
    let broker = Server::start(&mut Command::new(binaries.get(name).ok_or("Cargo did not say where it is")?))?;
    let folder = home();
    let settings = json!({
        "outdir": "reports",
        "servers": [{ "agent": "parlor", "url": format!("ws://{}", broker.address()) }],
        "cases": CASES,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    });
    fs::write(folder.join("fuzz.json"), settings.to_string())?;
    // What an earlier run has found is not this one's.
    let report = folder.join("reports/index.json");
    let _ = fs::remove_file(&report);
    let mut command = Command::new(suite);
    command.args(["-m", "fuzzingclient", "-s", "fuzz.json"]).current_dir(&folder);
    proc::run(command.stdout(Stdio::null()))?;
    tell(&serde_json::from_str(&fs::read_to_string(report)?)?)
}

/// An interpreter that works: those of pyenv first, since its stand-ins in the search path only work where they were chosen.
fn python() -> Option<PathBuf> {
    let root = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let root = root.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".pyenv")));
    let versions = root.and_then(|root| fs::read_dir(root.join("versions")).ok());
    let pyenv = versions.into_iter().flatten().flatten().map(|version| version.path().join("bin/python2.7"));
    pyenv.chain(find_program("python2.7")).find(|file| works(file))
}

fn works(python: &Path) -> bool {
    let tried = Command::new(python).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}

fn home() -> PathBuf {
    proc::target_dir().join("autobahn")
}

/// The suite's program, installed unless it is there already.
fn install(python: &Path) -> Result<PathBuf, Failure> {
    let (folder, suite) = (home(), home().join("env/bin/wstest"));
    if suite.exists() {
        return Ok(suite);
    }
    println!("the Autobahn suite is not there: installing it in {}", folder.display());
    fs::create_dir_all(&folder)?;
    let run =
        |program: &Path, arguments: &[&str]| proc::run(Command::new(program).args(arguments).current_dir(&folder));
    run(Path::new("python3"), &["-m", "venv", "tool"])?;
    run(&folder.join("tool/bin/pip"), &["install", "--quiet", VIRTUALENV])?;
    let python = python.to_str().ok_or("the path of Python 2.7 is no text")?;
    run(&folder.join("tool/bin/virtualenv"), &["--quiet", "--python", python, "env"])?;
    run(&folder.join("env/bin/pip"), &["install", "--quiet", SUITE])?;
    Ok(suite)
}

/// The cases that failed, and how many did not.
fn tell(report: &Value) -> Result<(), Failure> {
    let cases = report["parlor"].as_object().ok_or("the report has no cases")?;
    let outcome = |case: &Value| case["behavior"].as_str().unwrap_or("no outcome").to_owned();
    let failed: Vec<_> = cases.iter().filter(|(_, case)| !PASSES.contains(&outcome(case).as_str())).collect();
    for (name, case) in &failed {
        println!("case {name}: {}", outcome(case));
    }
    println!("Autobahn: {} passed, {} failed", cases.len() - failed.len(), failed.len());
    if cases.len() != COUNT {
        return Err(format!("{} cases ran instead of {COUNT}", cases.len()).into());
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("{} cases failed", failed.len()).into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_passes_when_all_cases_do() {
        let cases = |last: &str| {
            let names = (1..=COUNT).map(|number| (number.to_string(), json!({ "behavior": "OK" })));
            let mut cases: serde_json::Map<_, _> = names.collect();
            cases["7"] = json!({ "behavior": last });
            json!({ "parlor": cases })
        };
        assert!(tell(&cases("NON-STRICT")).is_ok());
        assert!(tell(&cases("FAILED")).is_err());
        assert!(tell(&json!({ "parlor": {} })).is_err());
        assert!(tell(&json!({})).is_err());
    }
}
