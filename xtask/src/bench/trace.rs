//! System calls per delivery, counted in runs of their own that measure nothing else.
//!
//! `perf` counts at the full rate for next to nothing. `strace` knows the calls by name and is more often permitted, but
//! makes each of them many times dearer: `rooms` runs at a fraction of its rate then, to stay clear of saturation.

use super::Workload;
use super::run::{Bench, interrupt};
use crate::proc::{self, Failure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// How much slower `rooms` plays under strace.
const STRACE_SLOWDOWN: f64 = 20.0;
/// How long perf may take to attach; it does not say when it has, and the server is silent meanwhile.
const PERF_ATTACHES: Duration = Duration::from_millis(500);

/// Calls, by name where the counter knows names.
type Calls = BTreeMap<String, f64>;

/// A program that counts system calls of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Counter {
    Perf,
    Strace,
}

/// Counts with every program that is there and permitted; the figure of the best, and aloud why the others gave none.
pub(super) fn count(bench: &Bench, server: &str, workload: Workload) -> Option<f64> {
    let mut best = None;
    for counter in [Counter::Perf, Counter::Strace] {
        match count_with(counter, bench, server, workload) {
            Ok(calls) => {
                let total = calls.values().sum();
                println!(
                    "{server:>6}: {total:.3} system calls per delivery ({}): {}",
                    counter.name(),
                    most_frequent(&calls)
                );
                best = best.or(Some(total));
            }
            Err(error) => println!("{server:>6}: system calls are not counted with {}: {error}", counter.name()),
        }
    }
    best
}

/// Attaches to a server whose clients have all joined, plays, and detaches before they leave.
fn count_with(counter: Counter, bench: &Bench, server: &str, workload: Workload) -> Result<Calls, Failure> {
    proc::find_program(counter.name()).ok_or("it is not installed")?;
    let running = bench.start(server)?;
    let mut load = bench.load(&running, workload);
    let hz = (bench.shape().hz / counter.slowdown()).to_string();
    load.args(["--seconds", "2", "--warmup", "0", "--hold", "--hz", &hz]);
    let load = load.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut load = Ended(load);
    await_line(load.0.stderr.take(), "ready")?;

    let file = proc::target_dir().join("bench.calls");
    fs::create_dir_all(proc::target_dir())?;
    let tracer = counter.attach(running.pid(), &file)?;
    let mut go = load.0.stdin.take().ok_or("the load generator has no input")?;
    writeln!(go)?;
    let mut figures = String::new();
    let output = load.0.stdout.take().ok_or("the load generator has no output")?;
    BufReader::new(output).read_line(&mut figures)?;
    let table = tracer.detach(&file)?;
    // Only now may the sockets close.
    drop(go);
    load.0.wait()?;

    let figures: Value = serde_json::from_str(&figures)?;
    let deliveries = figures["delivered"].as_f64().filter(|&count| count > 0.0).ok_or("nothing was delivered")?;
    let calls: Calls = counter.parse(&table).into_iter().map(|(name, calls)| (name, calls / deliveries)).collect();
    if calls.is_empty() { Err(format!("it printed {table:?}").into()) } else { Ok(calls) }
}

impl Counter {
    fn name(self) -> &'static str {
        match self {
            Counter::Perf => "perf",
            Counter::Strace => "strace",
        }
    }

    fn slowdown(self) -> f64 {
        match self {
            Counter::Perf => 1.0,
            Counter::Strace => STRACE_SLOWDOWN,
        }
    }

    /// Starts counting; what is counted goes to `file` at the end.
    fn attach(self, pid: u32, file: &Path) -> Result<Ended, Failure> {
        let pid = pid.to_string();
        let mut command = Command::new(self.name());
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        match self {
            Counter::Perf => command.args(["stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", &pid, "-o"]),
            Counter::Strace => command.args(["-f", "-c", "-p", &pid, "-o"]),
        };
        let mut tracer = Ended(command.arg(file).spawn()?);
        match self {
            Counter::Perf => tracer.settle(PERF_ATTACHES)?,
            Counter::Strace => await_line(tracer.0.stderr.take(), "attached")?,
        }
        Ok(tracer)
    }

    fn parse(self, table: &str) -> Calls {
        match self {
            Counter::Perf => parse_perf(table).map(|calls| ("all".to_owned(), calls)).into_iter().collect(),
            Counter::Strace => parse_strace(table).collect(),
        }
    }
}

/// The row of `perf stat -x,`: `count,unit,event,…`.
fn parse_perf(table: &str) -> Option<f64> {
    table.lines().find(|line| line.contains("sys_enter"))?.split(',').next()?.parse().ok()
}

/// The rows of `strace -c`: `% time, seconds, usecs/call, calls, [errors,] name`.
fn parse_strace(table: &str) -> impl Iterator<Item = (String, f64)> {
    table.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let name = *words.last()?;
        let calls = words.get(3)?.parse().ok()?;
        (name != "total").then(|| (name.to_owned(), calls))
    })
}

/// The four most frequent calls, in words.
fn most_frequent(calls: &Calls) -> String {
    let mut sorted: Vec<_> = calls.iter().collect();
    sorted.sort_by(|a, b| b.1.total_cmp(a.1));
    let words: Vec<_> = sorted.iter().take(4).map(|(name, calls)| format!("{name} {calls:.3}")).collect();
    words.join(", ")
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

impl Ended {
    /// Gives it time to begin, or to fail.
    fn settle(&mut self, time: Duration) -> Result<(), Failure> {
        thread::sleep(time);
        if self.0.try_wait()?.is_none() {
            return Ok(());
        }
        let mut said = String::new();
        if let Some(mut stderr) = self.0.stderr.take() {
            stderr.read_to_string(&mut said)?;
        }
        Err(said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it ended at once").to_owned().into())
    }

    /// Interrupts it as a terminal would; what it wrote.
    fn detach(mut self, file: &Path) -> Result<String, Failure> {
        interrupt(self.0.id())?;
        self.0.wait()?;
        Ok(fs::read_to_string(file)?)
    }
}

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
    fn reads_strace_rows_with_and_without_errors() {
        let table = "% time     seconds  usecs/call     calls    errors syscall\n\
                     ------ ----------- ----------- --------- --------- ----------------\n \
                     79.48    0.203739          46      4399           sendto\n \
                     17.53    0.044946          35      1260       630 recvfrom\n\
                     ------ ----------- ----------- --------- --------- ----------------\n\
                     100.00    0.256353          43      5659       630 total\n";
        let calls = Counter::Strace.parse(table);
        assert_eq!(calls.len(), 2);
        assert_eq!((calls["sendto"], calls["recvfrom"]), (4399.0, 1260.0));
        assert_eq!(most_frequent(&calls), "sendto 4399.000, recvfrom 1260.000");
    }

    #[test]
    fn reads_the_perf_row_or_finds_none() {
        let table = "# started on Sun\n\n217787,,raw_syscalls:sys_enter,4010,100.00,,\n";
        assert_eq!(Counter::Perf.parse(table)["all"], 217_787.0);
        assert!(Counter::Perf.parse("<not counted>,,raw_syscalls:sys_enter,0,0.00,,\n").is_empty());
    }

    #[test]
    fn a_program_that_ends_early_tells_why() {
        let error = await_line(Some(&b"strace: not permitted\n"[..]), "attached").unwrap_err();
        assert!(error.to_string().contains("not permitted"));
    }
}
