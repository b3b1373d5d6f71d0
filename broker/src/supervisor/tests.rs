//! With real processes, most of them shells. What happens is awaited by what they write, by the log, and by pipes that close.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use tokio::sync::mpsc;
use tracing::subscriber::DefaultGuard;

use super::*;

/// A shell that says its token and waits, as long as the broker is there.
const WAITS: &str = "/bin/sh -c 'echo token:$PARLOR_WORKER_TOKEN; exec cat'";
/// Says that it is ready and waits, for a shell with a trap: a signal that comes while that shell is about to start something is lost
/// for what it starts.
const READY: &str = r#"/bin/sh -c "echo ready; exec cat""#;
const ADDRESS: &str = "ws://127.0.0.1:7373/worker";

/// The lines that the log gets from this thread.
struct Log {
    lines: mpsc::UnboundedReceiver<String>,
    _guard: DefaultGuard,
}

struct Lines(mpsc::UnboundedSender<String>);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let _ = self.0.send(String::from_utf8_lossy(line).trim().to_owned());
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn new() -> Self {
        let (sender, lines) = mpsc::unbounded_channel();
        let writer = move || Lines(sender.clone());
        let log = tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(writer).finish();
        Self { lines, _guard: tracing::subscriber::set_default(log) }
    }

    /// The next line that has this.
    async fn line(&mut self, part: &str) -> String {
        loop {
            let line = self.lines.recv().await.unwrap();
            if line.contains(part) {
                return line;
            }
        }
    }

    /// The next token, and the process that says it.
    async fn token(&mut self) -> (String, Pid) {
        let line = self.line("token:").await;
        let token = line.split("token:").nth(1).unwrap().split(' ').next().unwrap();
        (token.to_owned(), Pid(number(&line, "pid=") as u32))
    }
}

fn number(line: &str, name: &str) -> u64 {
    let (_, rest) = line.split_once(name).unwrap_or_else(|| panic!("no {name} in {line}"));
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// What processes find in their environment.
fn told() -> Vec<Told> {
    vec![(ADDRESS_VAR, ADDRESS.to_owned())]
}

fn start(command: &str, count: usize) -> Supervisor {
    Supervisor::start(command, count, told(), &Metrics::default()).unwrap()
}

/// A place in the file system that is gone with the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let place = Self(std::env::temp_dir().join(format!("parlor-supervisor-{}-{name}", std::process::id())));
        let _ = std::fs::remove_file(&place.0);
        place
    }

    /// A named pipe. Who opens an end of it waits for the other.
    fn pipe(name: &str) -> Self {
        let place = Self::new(name);
        assert!(Command::new("mkfifo").arg(&place.0).status().unwrap().success());
        place
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// All that is written, until nobody has it open any more.
    async fn read(&self) -> String {
        let path = self.0.clone();
        tokio::task::spawn_blocking(|| std::fs::read_to_string(path)).await.unwrap().unwrap()
    }

    async fn write(&self, text: &'static str) {
        let path = self.0.clone();
        tokio::task::spawn_blocking(move || std::fs::write(path, text)).await.unwrap().unwrap();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn what_it_writes_is_in_the_log_and_then_how_it_ended() {
    let mut log = Log::new();
    let command = r#"/bin/sh -c 'echo "out $PARLOR_BROKER $0 $1"; echo err >&2; printf "the last"; exit 3' a 'b c'"#;
    let supervisor = start(command, 1);
    let mut lines = Vec::new();
    let ended = loop {
        let line = log.line("").await;
        if line.contains("has ended") {
            break line;
        }
        lines.push(line);
    };
    let pid = number(&ended, "pid=");
    let expected = [
        format!("INFO parlor_broker::supervisor::process: a worker was started pid={pid}"),
        format!("INFO worker: out {ADDRESS} a b c pid={pid} stream=\"stdout\""),
        format!("INFO worker: the last pid={pid} stream=\"stdout\""),
        format!("WARN worker: err pid={pid} stream=\"stderr\""),
    ];
    // Between the two streams there is no order.
    lines.sort();
    assert_eq!(lines, expected);
    assert!(ended.starts_with("WARN parlor_broker::supervisor: a worker has ended: exit status: 3 "), "{ended}");
    assert!(number(&ended, "ran_ms=") < 10_000 && number(&ended, "restart_in_ms=") == 100, "{ended}");
    supervisor.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_program_without_arguments_is_told_to_be_a_worker() {
    let mut log = Log::new();
    let supervisor = start("/bin/echo", 1);
    assert!(log.line("worker: ").await.contains("INFO worker: worker pid="));
    let ended = log.line("has ended").await;
    assert!(ended.starts_with("INFO ") && ended.contains("exit status: 0"), "{ended}");
    supervisor.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn each_has_a_token_of_its_own_by_which_it_is_known_and_killed() {
    let mut log = Log::new();
    let metrics = Metrics::default();
    let supervisor = Supervisor::start(WAITS, 2, told(), &metrics).unwrap();
    let (one, two) = (log.token().await, log.token().await);
    assert!(one.0 != two.0 && one.1 != two.1);
    for (token, pid) in [&one, &two] {
        assert_eq!(supervisor.knows(token), Some(*pid));
    }
    for other in ["", "token", &one.0[1..], &format!("{}x", one.0)] {
        assert_eq!((supervisor.knows(other), supervisor.kill(other)), (None, false), "{other}");
    }
    assert!(supervisor.kill(&one.0));
    let ended = log.line("has ended").await;
    assert!(ended.contains("signal: 9") && number(&ended, "pid=") == u64::from(one.1.0), "{ended}");
    let next = log.token().await;
    assert!(next.0 != one.0 && next.0 != two.0);
    assert_eq!([&one, &two, &next].map(|(token, _)| supervisor.knows(token)), [None, Some(two.1), Some(next.1)]);
    assert!(!supervisor.kill(&one.0));
    assert_eq!((metrics.workers_started.get(), metrics.worker_restarts.get()), (3, 1));
    supervisor.stop(Duration::from_secs(60)).await;
    assert_eq!((supervisor.knows(&two.0), supervisor.table.len()), (None, 0));
}

/// Time stands still but when everybody waits for it, so that pauses last no time.
#[tokio::test(start_paused = true)]
async fn one_that_crashes_again_and_again_is_started_less_and_less_often() {
    let mut log = Log::new();
    let metrics = Metrics::default();
    let supervisor = Supervisor::start("/bin/sh -c 'exit 1'", 1, told(), &metrics).unwrap();
    let mut pauses = Vec::new();
    while pauses.len() < 8 {
        pauses.push(number(&log.line("has ended").await, "restart_in_ms="));
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    supervisor.stop(Duration::ZERO).await;
    let started = metrics.workers_started.get();
    assert_eq!(metrics.worker_restarts.get(), started - 1);
    assert!((8..=9).contains(&started), "{started}");
}

#[tokio::test(start_paused = true)]
async fn one_that_ran_well_for_a_while_is_started_at_once() {
    let mut log = Log::new();
    let supervisor = start(WAITS, 1);
    for (ran_s, pause) in [(0, 100), (9, 200), (10, 0), (0, 100), (3_600, 0)] {
        let (token, _) = log.token().await;
        tokio::time::advance(Duration::from_secs(ran_s)).await;
        assert!(supervisor.kill(&token));
        let ended = log.line("has ended").await;
        assert_eq!(number(&ended, "restart_in_ms="), pause, "after {ran_s} s: {ended}");
    }
    supervisor.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn what_cannot_be_started_is_told_at_once() {
    let refused = |command| Supervisor::start(command, 2, told(), &Metrics::default()).unwrap_err().to_string();
    let missing = "cannot start the worker `/nowhere/game`: No such file or directory";
    assert!(refused("/nowhere/game --fast").starts_with(missing));
    assert_eq!(refused("'./game"), "the worker command has a quote or a backslash with nothing behind it");
    assert_eq!(refused(" "), "the worker command names no program");
}

#[tokio::test(start_paused = true)]
async fn a_program_that_is_missing_for_a_while_is_tried_until_it_is_there() {
    let mut log = Log::new();
    let program = Place::new("program");
    let link = || std::os::unix::fs::symlink("/bin/sh", &program.0).unwrap();
    link();
    let supervisor = start(&WAITS.replace("/bin/sh", program.path()), 1);
    let (token, _) = log.token().await;
    std::fs::remove_file(&program.0).unwrap();
    assert!(supervisor.kill(&token));
    for pause in [200, 400] {
        let line = log.line("cannot be started").await;
        assert!(line.starts_with("WARN ") && line.contains("No such file or directory"), "{line}");
        assert_eq!(number(&line, "restart_in_ms="), pause);
    }
    link();
    log.token().await;
    supervisor.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn all_are_asked_to_end_and_awaited() {
    let mut log = Log::new();
    let open = Place::pipe("asked");
    let script = format!(r#"exec 3> {}; trap "echo bye; exit 0" TERM; {READY}"#, open.path());
    let supervisor = start(&format!("/bin/sh -c '{script}'"), 3);
    let gone = async {
        for _ in 0..3 {
            log.line("ready").await;
        }
        supervisor.stop(Duration::from_secs(60)).await;
        let mut said = Vec::new();
        while let Ok(line) = log.lines.try_recv() {
            said.push(line);
        }
        said
    };
    let (said, _) = tokio::join!(gone, open.read());
    let with = |part: &str| said.iter().filter(|line| line.contains(part)).count();
    assert_eq!((with("bye"), with("has ended: exit status: 0"), with("restart_in_ms")), (3, 3, 0), "{said:?}");
    assert_eq!(supervisor.table.len(), 0);
    // Once more, although nobody is there.
    supervisor.stop(Duration::from_secs(60)).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_listen_is_ended_when_the_time_is_up() {
    let mut log = Log::new();
    let supervisor = start(r#"/bin/sh -c 'trap "" TERM; echo ready; cat'"#, 1);
    log.line("ready").await;
    let asked = Instant::now();
    supervisor.stop(Duration::from_secs(8)).await;
    assert!(asked.elapsed() >= Duration::from_secs(8));
    log.line("a worker has not ended in time").await;
    let ended = log.line("has ended: signal: 9").await;
    assert!(ended.starts_with("INFO ") && !ended.contains("restart_in_ms"), "{ended}");
}

/// The shell ends at once when it is asked to; what it has started takes its time, as a game that drains.
#[tokio::test]
async fn what_a_script_has_started_gets_its_time_too() {
    let mut log = Log::new();
    let goes_on = Place::pipe("drains");
    let drain = format!("trap \"read x < {}; echo drained; exit 0\" TERM", goes_on.path());
    let script = format!("exec 3<&0; ({drain}; {READY} <&3) & cat");
    let supervisor = start(&format!("/bin/sh -c '{script}'"), 1);
    log.line("ready").await;
    tokio::join!(supervisor.stop(Duration::from_secs(20)), goes_on.write("on\n"));
    log.line("INFO worker: drained").await;
    log.line("has ended: signal: 15").await;
}

#[tokio::test]
async fn what_one_that_crashes_has_started_goes_with_it() {
    let mut log = Log::new();
    let (open, endless) = (Place::pipe("left"), Place::pipe("left-endless"));
    // Both ends of a pipe in one hand: there is nothing to read, and no end.
    let script = format!("exec 3<> {} 4> {}; cat <&3 & exit 1", endless.path(), open.path());
    let supervisor = start(&format!("/bin/sh -c '{script}'"), 1);
    let (ended, _) = tokio::join!(log.line("has ended"), open.read());
    assert_eq!(number(&ended, "restart_in_ms="), 100);
    supervisor.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn without_its_supervisor_nothing_is_left() {
    let mut log = Log::new();
    let open = Place::pipe("dropped");
    let script = format!(r#"exec 3<&0 4> {}; trap "" TERM; cat <&3 & echo ready; cat"#, open.path());
    let supervisor = start(&format!("/bin/sh -c '{script}'"), 2);
    let dropped = async {
        log.line("ready").await;
        log.line("ready").await;
        drop(supervisor);
    };
    tokio::join!(dropped, open.read());
}

/// As when the program ends although nobody has stopped anything.
#[test]
fn without_its_runtime_nothing_is_left_either() {
    let mut log = Log::new();
    let (open, endless) = (Place::pipe("runtime"), Place::pipe("runtime-endless"));
    let script = format!("exec 3<> {} 4> {}; cat <&3 & echo ready; cat", endless.path(), open.path());
    let path = open.0.clone();
    let reader = std::thread::spawn(|| std::fs::read_to_string(path).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _supervisor = runtime.block_on(async {
        let supervisor = start(&format!("/bin/sh -c '{script}'"), 1);
        log.line("ready").await;
        supervisor
    });
    drop(runtime);
    assert_eq!(reader.join().unwrap(), "");
}

/// Where the pipe is of the test below.
const PIPE_VAR: &str = "SUPERVISOR_TEST_PIPE";

/// A process that ends with the test.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn workers_of_a_broker_that_is_killed_hard_can_tell() {
    let pipe = Place::pipe("hard");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored", "supervisor::tests::the_broker_that_is_killed_hard"]);
    command.env(PIPE_VAR, &pipe.0).env(COMMAND_VAR, "./game").stdout(std::process::Stdio::null());
    let broker = Running(command.spawn().unwrap());
    assert_eq!(pipe.read().await, format!("{ADDRESS} not set\n"));
    drop(broker);
    assert_eq!(pipe.read().await, "no more input\n");
}

#[tokio::test]
#[ignore = "is no test, but a process of the one above"]
async fn the_broker_that_is_killed_hard() {
    let Ok(pipe) = std::env::var(PIPE_VAR) else { return };
    let script = format!("echo $PARLOR_BROKER ${{{COMMAND_VAR}:-not set}} > {pipe}; cat; echo no more input > {pipe}");
    let _supervisor = start(&format!("/bin/sh -c '{script}'"), 1);
    std::future::pending::<()>().await;
}
