//! The programs: the servers that are compared, and the load generator.

use super::point::{APART, BUN, KEPT, PARLOR, PLAIN, SPARE};
use crate::proc::{self, Failure, find_program};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version of bun that is installed where there is none.
const BUN_VERSION: &str = "1.4.5";

/// What is run.
pub(super) struct Programs {
    pub(super) load: PathBuf,
    servers: BTreeMap<&'static str, Program>,
}

struct Program {
    file: PathBuf,
    script: Option<PathBuf>,
    /// Besides the port.
    options: &'static [&'static str],
}

impl Programs {
    /// Builds what is ours and finds or installs bun. What is missing is told and left out.
    pub(super) fn prepare() -> Result<(Self, Vec<String>), Failure> {
        let mut binaries = proc::build_binaries(&["--profile", "dist", "--package", "parlor-bench", "--bins"])?;
        let mut take = |name: &str| binaries.remove(name).ok_or_else(|| format!("{name} was not built"));
        let (load, plain, parlor) = (take("bench-load")?, take("bench-plain")?, take("bench-parlor")?);
        let ours = |file| Program { file, script: None, options: &[] };
        let with = |options| Program { options, ..ours(parlor.clone()) };
        let (kept, apart, spare) = (with(&[]), with(&["--workers", "1"]), with(&["--workers", "2"]));
        let own = [(PLAIN, ours(plain)), (PARLOR, with(&[])), (KEPT, kept), (APART, apart), (SPARE, spare)];
        let mut servers = BTreeMap::from(own);
        let mut missing = Vec::new();
        match bun() {
            Ok(program) => drop(servers.insert(BUN, program)),
            Err(error) => missing.push(format!("bun is left out: {error}")),
        }
        Ok((Self { load, servers }, missing))
    }

    pub(super) fn has(&self, server: &str) -> bool {
        self.servers.contains_key(server)
    }

    /// A server's command line, and those cores it may use.
    pub(super) fn server(&self, server: &str, core: Option<u8>) -> Result<Command, Failure> {
        let program = self.servers.get(server).ok_or_else(|| format!("there is no {server}"))?;
        let mut command = on_core(core, &program.file);
        command.args(&program.script).args(["--port", "0"]).args(program.options);
        Ok(command)
    }

    /// What bun says of itself.
    pub(super) fn bun_version(&self) -> Option<String> {
        let program = self.servers.get(BUN)?;
        proc::output_of(Command::new(&program.file).arg("--version")).ok()
    }
}

/// A program on one core, or where the scheduler puts it.
pub(super) fn on_core(core: Option<u8>, program: &Path) -> Command {
    let Some(core) = core else { return Command::new(program) };
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

/// bun and our server for it: the one in the search path, or a pinned one that npm brings.
fn bun() -> Result<Program, Failure> {
    let script = proc::root().join("tests/bench/bun/server.ts");
    if !script.is_file() {
        return Err(format!("there is no {}", script.display()).into());
    }
    let file = find_program("bun").map_or_else(installed_bun, Ok)?;
    // A binary for another libc starts to fail here, not in the middle of a round.
    proc::output_of(Command::new(&file).arg("--version"))?;
    Ok(Program { file, script: Some(script), options: &[] })
}

fn installed_bun() -> Result<PathBuf, Failure> {
    let package = match std::env::consts::ARCH {
        "x86_64" => "bun-linux-x64",
        "aarch64" => "bun-linux-aarch64",
        other => return Err(format!("it is not in the search path, and npm has none for {other}").into()),
    };
    let place = proc::target_dir().join("bench-tools");
    let package_dir = place.join("node_modules/@oven").join(package);
    let file = package_dir.join("bin/bun");
    if version_in(&package_dir.join("package.json")).as_deref() == Some(BUN_VERSION) && file.is_file() {
        return Ok(file);
    }
    if find_program("npm").is_none() {
        return Err("it is not in the search path, and there is no npm to install it with".into());
    }
    println!("bun is not in the search path: installing it into {}", place.display());
    let mut npm = Command::new("npm");
    npm.arg("install").arg("--prefix").arg(&place).args(["--no-save", "--no-audit", "--no-fund"]);
    proc::run(npm.arg(format!("@oven/{package}@{BUN_VERSION}")))?;
    Ok(file)
}

/// The version in a package's own description.
fn version_in(package: &Path) -> Option<String> {
    let description: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(package).ok()?).ok()?;
    description["version"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_pinned_or_not() {
        let words = |command: &Command| {
            let words = std::iter::once(command.get_program()).chain(command.get_args());
            words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words(&on_core(Some(1), Path::new("load"))), "taskset -c 1 load");
        assert_eq!(words(&on_core(None, Path::new("load"))), "load");
    }

    #[test]
    fn a_package_that_is_not_there_has_no_version() {
        assert_eq!(version_in(Path::new("no/such/package.json")), None);
        let browser = proc::root().join("clients/typescript/package.json");
        assert!(version_in(&browser).is_some());
    }
}
