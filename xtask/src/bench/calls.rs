//! System calls by name, and user instructions, per delivery: counted in runs of their own that measure nothing else.
//!
//! `perf` counts at the full rate for next to nothing. `strace` is more often permitted, but makes each call many times
//! dearer: what has a rate is played at a fraction of it then, to stay clear of saturation.

use super::point::{Point, Rate};
use super::record::Record;
use super::run::Bench;
use crate::proc::{self, Failure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;

/// How much slower a point with a rate is played under strace.
const STRACE_SLOWDOWN: f64 = 20.0;
/// Those that may write to a socket.
const WRITES: [&str; 5] = ["write", "writev", "sendto", "sendmsg", "sendmmsg"];
/// What perf calls the instructions of user mode.
const INSTRUCTIONS: &str = "instructions:u";
/// What perf puts before the name of a system call.
const TRACEPOINT: &str = "syscalls:sys_enter_";

/// How often each thing happened.
type Counts = BTreeMap<String, f64>;

/// A program that counts what another does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Counter {
    Perf,
    Strace,
}

/// Counts with the best program that is there and permitted; notes why a better one gave nothing.
pub(super) fn count(bench: &Bench, point: &Point, server: &str, record: &mut Record) -> Option<Value> {
    for counter in [Counter::Perf, Counter::Strace] {
        match count_with(counter, bench, point, server) {
            Ok(calls) => {
                if calls.get("user_instructions_per_delivery").is_none() {
                    record.note("user instructions are not counted: perf finds no counter for them here".to_owned());
                }
                return Some(calls);
            }
            Err(error) => record.note(format!("system calls are not counted with {}: {error}", counter.name())),
        }
    }
    None
}

/// Attaches to a server whose clients have all joined, plays, and detaches before they leave.
fn count_with(counter: Counter, bench: &Bench, point: &Point, server: &str) -> Result<Value, Failure> {
    proc::find_program(counter.name()).ok_or("it is not installed")?;
    let running = bench.start(point, server)?;
    let mut load = bench.load(&running, &counter.slowed(point), server, None);
    load.arg("--hold").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut load = Ended(load.spawn()?);
    await_line(load.0.stderr.take(), "ready")?;

    let tracer = Tracer::attach(counter, running.pid())?;
    let mut go = load.0.stdin.take().ok_or("the load generator has no input")?;
    writeln!(go)?;
    let mut figures = String::new();
    let output = load.0.stdout.take().ok_or("the load generator has no output")?;
    BufReader::new(output).read_line(&mut figures)?;
    let table = tracer.detach()?;
    // Only now may the sockets close.
    drop(go);
    load.0.wait()?;

    let figures: Value = serde_json::from_str(&figures)?;
    let deliveries = figures["delivered"].as_f64().filter(|&count| count > 0.0).ok_or("nothing was delivered")?;
    let counts = counter.parse(&table);
    if counts.is_empty() {
        return Err(format!("it counted nothing: {:?}", table.lines().take(3).collect::<Vec<_>>()).into());
    }
    Ok(per_delivery(counter, counts, deliveries))
}

/// The figures of a count: system calls by name, all of them, those that write, and instructions if there are any.
fn per_delivery(counter: Counter, mut counts: Counts, deliveries: f64) -> Value {
    counts.values_mut().for_each(|count| *count /= deliveries);
    let instructions = counts.remove(INSTRUCTIONS);
    let writes: f64 = WRITES.iter().filter_map(|name| counts.get(*name)).sum();
    let mut figures = json!({
        "counter": counter.name(),
        "all_per_delivery": counts.values().sum::<f64>(),
        "write_per_delivery": writes,
        "by_name_per_delivery": counts,
    });
    if let Some(instructions) = instructions {
        figures["user_instructions_per_delivery"] = instructions.into();
    }
    figures
}

impl Counter {
    fn name(self) -> &'static str {
        match self {
            Counter::Perf => "perf",
            Counter::Strace => "strace",
        }
    }

    fn slowed(self, point: &Point) -> Point {
        match (self, point.rate) {
            (Counter::Strace, Rate::Hz(hz)) => Point { rate: Rate::Hz(hz / STRACE_SLOWDOWN), ..*point },
            _ => *point,
        }
    }

    fn parse(self, table: &str) -> Counts {
        match self {
            Counter::Perf => parse_perf(table).collect(),
            Counter::Strace => parse_strace(table).collect(),
        }
    }
}

/// The rows of `perf stat -x,`, `count,unit,event,…`, of what happened at all.
fn parse_perf(table: &str) -> impl Iterator<Item = (String, f64)> {
    table.lines().filter_map(|line| {
        let mut columns = line.split(',');
        let count = columns.next()?.parse().ok().filter(|&count| count > 0.0)?;
        let event = columns.nth(1)?;
        Some((event.strip_prefix(TRACEPOINT).unwrap_or(event).to_owned(), count))
    })
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

/// A counter at work.
struct Tracer {
    counter: Counter,
    program: Ended,
    /// By which perf is told to begin and to end.
    control: Option<(ChildStdin, BufReader<std::process::ChildStdout>)>,
    file: PathBuf,
}

impl Tracer {
    /// Starts counting, and comes back when it has begun.
    fn attach(counter: Counter, pid: u32) -> Result<Self, Failure> {
        let file = proc::target_dir().join("bench.calls");
        fs::create_dir_all(proc::target_dir())?;
        match counter {
            Counter::Perf => Self::attach_perf(pid, file),
            Counter::Strace => Self::attach_strace(pid, file),
        }
    }

    fn attach_perf(pid: u32, file: PathBuf) -> Result<Self, Failure> {
        let mut perf = Command::new("perf");
        // It begins when it is told to on its standard input, and says so on its standard output.
        perf.args(["stat", "-x,", "--delay=-1", "--control=fd:0,1", "-p", &pid.to_string()]);
        perf.args(["-e", &format!("{TRACEPOINT}*"), "-e", INSTRUCTIONS, "-o"]).arg(&file);
        let mut program = Ended(perf.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?);
        let stdin = program.0.stdin.take().ok_or("perf has no input")?;
        let stdout = program.0.stdout.take().ok_or("perf has no output")?;
        let mut tracer = Self { counter: Counter::Perf, program, control: Some((stdin, BufReader::new(stdout))), file };
        match tracer.tell("enable") {
            Ok(()) => Ok(tracer),
            Err(_) => Err(tracer.program.last_words().into()),
        }
    }

    fn attach_strace(pid: u32, file: PathBuf) -> Result<Self, Failure> {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-c", "-p", &pid.to_string(), "-o"]).arg(&file);
        let mut program = Ended(strace.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?);
        await_line(program.0.stderr.take(), "attached")?;
        Ok(Self { counter: Counter::Strace, program, control: None, file })
    }

    /// Has perf begin or end, and waits until it has.
    fn tell(&mut self, word: &str) -> Result<(), Failure> {
        let (input, output) = self.control.as_mut().ok_or("it takes no orders")?;
        writeln!(input, "{word}")?;
        let mut answer = String::new();
        output.read_line(&mut answer)?;
        if answer.contains("ack") { Ok(()) } else { Err(format!("it answered {answer:?}").into()) }
    }

    /// What was counted.
    fn detach(mut self) -> Result<String, Failure> {
        if self.counter == Counter::Perf {
            self.tell("disable")?;
        }
        interrupt(self.program.0.id())?;
        self.program.0.wait()?;
        Ok(fs::read_to_string(&self.file)?)
    }
}

/// Sends the interrupt that a terminal would send; the standard library can only kill.
fn interrupt(pid: u32) -> Result<(), Failure> {
    proc::output_of(Command::new("sh").args(["-c", &format!("kill -INT {pid}")])).map(drop)
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
    /// What a program said that ended by itself.
    fn last_words(&mut self) -> String {
        let mut said = String::new();
        if let Some(mut stderr) = self.0.stderr.take() {
            let _ = stderr.read_to_string(&mut said);
        }
        said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it ended at once").trim().to_owned()
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
    }

    #[test]
    fn reads_the_perf_rows_of_what_happened() {
        let table = "# started on Sun\n\n217787,,syscalls:sys_enter_writev,4010,100.00,,\n\
                     0,,syscalls:sys_enter_iopl,4010,100.00,,\n<not counted>,,syscalls:sys_enter_fork,0,100.00,,\n\
                     12,,syscalls:sys_enter_epoll_wait,4010,100.00,,\n<not supported>,,instructions:u,0,100.00,,\n";
        let calls = Counter::Perf.parse(table);
        assert_eq!(calls, Counts::from([("writev".to_owned(), 217_787.0), ("epoll_wait".to_owned(), 12.0)]));
        assert!(Counter::Perf.parse("<not counted>,,syscalls:sys_enter_write,0,0.00,,\n").is_empty());
    }

    #[test]
    fn writes_are_those_of_all_names() {
        let counts = [("writev", 25.0), ("sendto", 25.0), ("epoll_wait", 50.0), (INSTRUCTIONS, 5000.0)];
        let counts = counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        let figures = per_delivery(Counter::Perf, counts, 100.0);
        assert_eq!(figures["write_per_delivery"], 0.5);
        assert_eq!(figures["all_per_delivery"], 1.0);
        assert_eq!(figures["user_instructions_per_delivery"], 50.0);
        assert!(per_delivery(Counter::Strace, Counts::new(), 1.0).get("user_instructions_per_delivery").is_none());
    }

    #[test]
    fn only_rates_are_slowed_and_only_for_strace() {
        let rate = |counter: Counter, name| counter.slowed(super::super::point::find(name).unwrap()).rate;
        assert_eq!(rate(Counter::Perf, "rooms"), Rate::Hz(20.0));
        assert_eq!(rate(Counter::Strace, "rooms"), Rate::Hz(1.0));
        assert_eq!(rate(Counter::Strace, "rooms-saturated"), Rate::Saturated(4));
    }

    #[test]
    fn a_program_that_ends_early_tells_why() {
        let error = await_line(Some(&b"strace: not permitted\n"[..]), "attached").unwrap_err();
        assert!(error.to_string().contains("not permitted"));
        let mut program = Command::new("sh");
        program.args(["-c", "echo 'not permitted' >&2"]).stderr(Stdio::piped());
        assert_eq!(Ended(program.spawn().unwrap()).last_words(), "not permitted");
    }
}
