//! One run: a fresh server, a load generator, one line of figures.

use super::{Workload, hold};
use crate::proc::{self, Failure, Server};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The servers that are compared; the first is the measure of the others.
pub(super) const SERVERS: [&str; 2] = ["plain", "parlor"];

/// Parlor again, with sessions that outlive their connections.
pub(super) const KEPT: &str = "kept";

/// Beyond this share of a pinned server's core, in percent, latency says nothing about the server's speed.
const SATURATED: f64 = 85.0;

/// Beyond this share of a core for everybody else, in percent, the run was disturbed.
const DISTURBED: f64 = 20.0;

/// What all runs have in common.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) seconds: f64,
    pub(super) hz: f64,
    pub(super) pin: bool,
}

/// The programs, built.
pub(super) struct Bench {
    load: PathBuf,
    servers: BTreeMap<&'static str, PathBuf>,
    shape: Shape,
}

impl Bench {
    pub(super) fn new(binaries: &BTreeMap<String, PathBuf>, shape: Shape) -> Result<Self, Failure> {
        let load = binaries.get("bench-load").ok_or("bench-load was not built")?.clone();
        let mut servers = BTreeMap::new();
        for server in SERVERS {
            match binaries.get(&format!("bench-{server}")) {
                Some(file) => drop(servers.insert(server, file.clone())),
                None => println!("there is no bench-{server}: it is left out"),
            }
        }
        Ok(Self { load, servers, shape })
    }

    pub(super) fn has(&self, server: &str) -> bool {
        self.servers.contains_key(server)
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Starts a fresh server on its core.
    pub(super) fn start(&self, server: &str) -> Result<Server, Failure> {
        let file = self.servers.get(server).ok_or_else(|| format!("there is no bench-{server}"))?;
        Server::start(self.on_core(0, file).args(["--port", "0"]))
    }

    /// The load generator on its core, aimed at `server`.
    pub(super) fn load(&self, server: &Server, workload: Workload) -> Command {
        let mut load = self.on_core(1, &self.load);
        load.args(["--address", server.address(), "--workload", workload.name()]);
        load.args(["--server-pid", &server.pid().to_string()]);
        load
    }

    /// Runs once; the figures. A violation of order or completeness ends the benchmark: wrong answers have no speed.
    pub(super) fn measure(&self, server: &str, workload: Workload) -> Result<Value, Failure> {
        let running = self.start(if server == KEPT { "parlor" } else { server })?;
        let mut load = self.load(&running, workload);
        load.args(["--seconds", &self.shape.seconds.to_string(), "--hz", &self.shape.hz.to_string()]);
        if server == KEPT {
            load.arg("--keep");
        }
        let figures = figures(server, workload, &mut load)?;
        println!("{server:>6}: {}", summary(&figures));
        self.warn(server, workload, &figures);
        Ok(figures)
    }

    /// Runs a workload about Parlor alone once. There too, a client that lost something ends the benchmark.
    pub(super) fn hold(&self, workload: Workload) -> Result<Value, Failure> {
        let running = self.start("parlor")?;
        let mut load = self.load(&running, workload);
        load.args(["--seconds", &self.shape.seconds.to_string()]);
        let figures = figures("parlor", workload, &mut load)?;
        println!("{}", hold::summary(workload, &figures));
        Ok(figures)
    }

    /// Says when latencies are not what they seem.
    fn warn(&self, server: &str, workload: Workload, figures: &Value) {
        let full = self.shape.pin && share_of_core(figures, "/server/cpu_s") > SATURATED;
        if full && workload == Workload::Rooms {
            println!("{server:>6}: its core was full, so its latencies are those of a queue; try a lower --hz");
        }
        if share_of_core(figures, "/others_cpu_s") > DISTURBED {
            println!("{server:>6}: other programs were at work, so its latencies are partly theirs");
        }
    }

    fn on_core(&self, core: u8, program: &Path) -> Command {
        if !self.shape.pin {
            return Command::new(program);
        }
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string()]).arg(program);
        command
    }
}

/// What the load generator prints.
fn figures(server: &str, workload: Workload, load: &mut Command) -> Result<Value, Failure> {
    let output = load.stderr(Stdio::inherit()).output()?;
    let line = String::from_utf8(output.stdout)?;
    if !output.status.success() {
        return Err(format!("{server} failed in {}: {}\n{line}", workload.name(), output.status).into());
    }
    Ok(serde_json::from_str(&line)?)
}

fn summary(figures: &Value) -> String {
    format!(
        "{} deliveries, p50 {} us, p99 {} us, {} CPU us and {} switches per delivery, \
         {:.0} % of a core (load generator {:.0} %, others {:.0} %)",
        number(figures, "/window_deliveries"),
        number(figures, "/latency_us/p50"),
        number(figures, "/latency_us/p99"),
        number(figures, "/server/cpu_us_per_delivery"),
        number(figures, "/server/context_switches_per_delivery"),
        share_of_core(figures, "/server/cpu_s"),
        share_of_core(figures, "/client_cpu_s"),
        share_of_core(figures, "/others_cpu_s"),
    )
}

fn share_of_core(figures: &Value, pointer: &str) -> f64 {
    100.0 * number(figures, pointer) / number(figures, "/seconds")
}

pub(super) fn number(figures: &Value, pointer: &str) -> f64 {
    figures.pointer(pointer).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

/// Sends the interrupt that a terminal would send; the standard library can only kill.
pub(super) fn interrupt(pid: u32) -> Result<(), Failure> {
    proc::output_of(Command::new("sh").args(["-c", &format!("kill -INT {pid}")])).map(drop)
}
