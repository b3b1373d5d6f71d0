//! Where it is measured, and with which versions.

use super::calibrate;
use super::record::Machine;
use crate::proc::{self, Failure};
use std::fs;
use std::process::Command;

/// This machine and what is checked out; `bun` is what that says of its version.
pub(super) fn describe(bun: Option<String>) -> Result<Machine, Failure> {
    let lock = read(proc::root().join("Cargo.lock"));
    let mut versions = vec![
        ("parlor".to_owned(), format!("{} ({})", env!("CARGO_PKG_VERSION"), commit())),
        ("rustc".to_owned(), said(Command::new("rustc").arg("--version"))),
        ("tokio-tungstenite".to_owned(), locked(&lock, "tokio-tungstenite")),
        ("tungstenite".to_owned(), locked(&lock, "tungstenite")),
    ];
    versions.extend(bun.map(|bun| ("bun".to_owned(), bun.trim().to_owned())));
    Ok(Machine {
        day: said(Command::new("date").args(["-u", "+%Y-%m-%d"])),
        cpu: field(&read("/proc/cpuinfo"), "model name"),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        memory_gib: kib(&field(&read("/proc/meminfo"), "MemTotal")) / (1024.0 * 1024.0),
        send_us: calibrate::loopback_send_us()?,
        versions,
    })
}

fn read(file: impl AsRef<std::path::Path>) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

fn said(command: &mut Command) -> String {
    proc::output_of(command).map_or_else(|_| UNKNOWN.to_owned(), |output| output.trim().to_owned())
}

const UNKNOWN: &str = "unknown";

fn commit() -> String {
    let git = |words: &[&str]| said(Command::new("git").args(words).current_dir(proc::root()));
    let changed = if git(&["status", "--porcelain", "--untracked-files=no"]).is_empty() { "" } else { ", changed" };
    format!("commit {}{changed}", git(&["rev-parse", "--short", "HEAD"]))
}

/// What follows `name :` in a list of the kernel's.
fn field(text: &str, name: &str) -> String {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'));
    value.map_or(UNKNOWN, str::trim).to_owned()
}

fn kib(field: &str) -> f64 {
    field.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0.0)
}

/// The version of a package in `Cargo.lock`.
fn locked(lock: &str, package: &str) -> String {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name).skip(1);
    let version = lines.next().and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    version.unwrap_or(UNKNOWN).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_lists() {
        let cpuinfo = "processor\t: 0\nmodel\t\t: 207\nmodel name\t: Some(R) CPU\nmodel name\t: Other\n";
        assert_eq!(field(cpuinfo, "model name"), "Some(R) CPU");
        assert_eq!(field(cpuinfo, "MemTotal"), UNKNOWN);
        assert_eq!((kib("2048 kB"), kib(UNKNOWN)), (2048.0, 0.0));
    }

    #[test]
    fn finds_the_locked_version() {
        let lock =
            "[[package]]\nname = \"a-b\"\nversion = \"2.0.0\"\n\n[[package]]\nname = \"a\"\nversion = \"1.2.3\"\n";
        assert_eq!(locked(lock, "a"), "1.2.3");
        assert_eq!(locked(lock, "b"), UNKNOWN);
    }
}
