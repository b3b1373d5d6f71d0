//! What the tests need from outside Cargo: Node.js with its packages, and a browser. What is missing is installed where
//! that can be done without a question, always said aloud first.

use super::steps::Step;
use crate::proc::{self, Failure, find_program};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest Node.js that the TypeScript client supports.
const NODE_MAJOR: u32 = 20;
/// Names under which distributions install the browser.
const CHROMIUM: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Makes the chosen steps possible; the browser, if one of them needs it.
pub(super) fn prepare(steps: &[Step]) -> Result<Option<PathBuf>, Failure> {
    if steps.iter().any(|step| step.needs_node()) {
        require_node()?;
        npm_ci(&proc::root().join("clients/typescript"))?;
    }
    if !steps.contains(&Step::Browser) {
        return Ok(None);
    }
    npm_ci(&proc::root().join("tests/browser"))?;
    chromium().map(Some)
}

fn require_node() -> Result<(), Failure> {
    let wanted = format!("the TypeScript tests need Node.js {NODE_MAJOR} or newer, with npm");
    if find_program("node").is_none() || find_program("npm").is_none() {
        return Err(format!("{wanted}: not found").into());
    }
    let version = proc::output_of(Command::new("node").arg("--version"))?;
    match major(&version) {
        Some(major) if major >= NODE_MAJOR => Ok(()),
        _ => Err(format!("{wanted}: found {}", version.trim()).into()),
    }
}

/// The 20 of `v20.1.2`.
fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// Installs the locked packages, unless they are there already.
fn npm_ci(package: &Path) -> Result<(), Failure> {
    if !package.join("package-lock.json").exists() {
        println!("{}: nothing to install", package.display());
        return Ok(());
    }
    if is_installed(package) {
        println!("{}: packages are up to date", package.display());
        return Ok(());
    }
    proc::run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(package))
}

/// npm writes its own lock file last; it is newer than ours when ours has been installed.
fn is_installed(package: &Path) -> bool {
    let changed = |file: &str| fs::metadata(package.join(file)).and_then(|file| file.modified()).ok();
    match (changed("node_modules/.package-lock.json"), changed("package-lock.json")) {
        (Some(installed), Some(wanted)) => installed >= wanted,
        _ => false,
    }
}

fn chromium() -> Result<PathBuf, Failure> {
    if let Some(file) = CHROMIUM.into_iter().find_map(find_program) {
        return Ok(file);
    }
    if find_program("apt-get").is_none() {
        return Err("the browser test needs Chromium, which is not found; please install it".into());
    }
    println!("the browser test needs Chromium, which is not found: installing it");
    proc::run(&mut as_root(&["apt-get", "update"]))?;
    proc::run(&mut as_root(&["apt-get", "install", "-y", "--no-install-recommends", "chromium"]))?;
    CHROMIUM.into_iter().find_map(find_program).ok_or_else(|| "Chromium was installed but is not found".into())
}

/// The command itself, or by way of sudo for everybody but root.
fn as_root(words: &[&str]) -> Command {
    let user = proc::output_of(Command::new("id").arg("-u")).unwrap_or_default();
    let words = if user.trim() == "0" { words.to_vec() } else { [&["sudo"], words].concat() };
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_node_versions() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major("v8.1.0"), Some(8));
        assert_eq!(major("nonsense"), None);
    }
}
