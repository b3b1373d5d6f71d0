//! System calls per delivery, in a run of its own: strace makes every call many times dearer, so nothing else can be
//! measured meanwhile, and `rooms` runs at a tenth of its rate to stay clear of saturation.

use super::Workload;
use super::run::{Bench, interrupt};
use crate::proc::{self, Failure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;

/// Calls per delivery, by name.
pub(super) type Calls = BTreeMap<String, f64>;

pub(super) fn is_possible() -> bool {
    proc::find_program("strace").is_some()
}

/// Counts the server's system calls while it is under load, handshakes left out.
pub(super) fn count(bench: &Bench, server: &str, workload: Workload) -> Result<Calls, Failure> {
    let running = bench.start(server)?;
    let mut load = bench.load(&running, workload);
    let hz = (bench.shape().hz / 10.0).to_string();
    load.args(["--seconds", "2", "--warmup", "0", "--hold", "--hz", &hz]);
    let load = load.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut load = Ended(load);
    await_line(load.0.stderr.take(), "ready")?;

    let file = proc::target_dir().join("bench.strace");
    fs::create_dir_all(proc::target_dir())?;
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-p", &running.pid().to_string(), "-o"]).arg(&file);
    let mut strace = Ended(strace.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?);
    await_line(strace.0.stderr.take(), "attached")?;

    let mut go = load.0.stdin.take().ok_or("the load generator has no input")?;
    writeln!(go)?;
    let mut figures = String::new();
    let output = load.0.stdout.take().ok_or("the load generator has no output")?;
    BufReader::new(output).read_line(&mut figures)?;
    interrupt(strace.0.id())?;
    strace.0.wait()?;
    // Only now may the sockets close.
    drop(go);
    load.0.wait()?;

    let figures: Value = serde_json::from_str(&figures)?;
    let deliveries = figures["delivered"].as_f64().filter(|&count| count > 0.0).ok_or("nothing was delivered")?;
    let calls: Calls = parse(&fs::read_to_string(&file)?).map(|(name, calls)| (name, calls / deliveries)).collect();
    println!("{server:>6}: {:.3} system calls per delivery: {}", total(&calls), most_frequent(&calls));
    Ok(calls)
}

/// All calls together.
pub(super) fn total(calls: &Calls) -> f64 {
    calls.values().sum()
}

/// The four most frequent ones, in words.
pub(super) fn most_frequent(calls: &Calls) -> String {
    let mut sorted: Vec<_> = calls.iter().collect();
    sorted.sort_by(|a, b| b.1.total_cmp(a.1));
    let words: Vec<_> = sorted.iter().take(4).map(|(name, calls)| format!("{name} {calls:.3}")).collect();
    words.join(", ")
}

/// The rows of `strace -c`: `% time, seconds, usecs/call, calls, [errors,] name`.
fn parse(table: &str) -> impl Iterator<Item = (String, f64)> {
    table.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let name = *words.last()?;
        let calls = words.get(3)?.parse().ok()?;
        (name != "total").then(|| (name.to_owned(), calls))
    })
}

/// Waits until a line holds `word`, then lets the rest of the output flow away.
fn await_line(output: Option<impl Read + Send + 'static>, word: &str) -> Result<(), Failure> {
    let mut lines = BufReader::new(output.ok_or("no output")?).lines().map_while(Result::ok);
    let mut said = Vec::new();
    for line in lines.by_ref() {
        if line.contains(word) {
            thread::spawn(move || lines.for_each(drop));
            return Ok(());
        }
        said.push(line);
    }
    Err(format!("it ended, saying {:?}", said.join(" ")).into())
}

/// A child that does not outlive us.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_rows_with_and_without_errors() {
        let table = "% time     seconds  usecs/call     calls    errors syscall\n\
                     ------ ----------- ----------- --------- --------- ----------------\n \
                     79.48    0.203739          46      4399           sendto\n \
                     17.53    0.044946          35      1260       630 recvfrom\n\
                     ------ ----------- ----------- --------- --------- ----------------\n\
                     100.00    0.256353          43      5659       630 total\n";
        let calls: Calls = parse(table).collect();
        assert_eq!(calls.len(), 2);
        assert_eq!((calls["sendto"], calls["recvfrom"]), (4399.0, 1260.0));
        assert_eq!(most_frequent(&calls), "sendto 4399.000, recvfrom 1260.000");
    }

    #[test]
    fn a_program_that_ends_early_tells_why() {
        let error = await_line(Some(&b"strace: not permitted\n"[..]), "attached").unwrap_err();
        assert!(error.to_string().contains("not permitted"));
    }
}
