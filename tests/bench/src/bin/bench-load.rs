//! Plays a workload against a server and prints what it saw as one line of JSON.
//!
//! Exit code 0: measured and everything in order; 1: a message was lost, doubled or reordered; 2: no figures.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("bench-load needs Linux: it waits with epoll and reads /proc");
    std::process::exit(2);
}

#[cfg(target_os = "linux")]
mod linux {
    use clap::{Parser, ValueEnum};
    use parlor_bench::check::Layout;
    use parlor_bench::load::{Failure, Load, Options, Pacing, Plan};
    use std::io;
    use std::net::SocketAddr;
    use std::process::ExitCode;
    use std::time::Duration;

    #[derive(Parser)]
    #[command(about = "Load generator: measures a server and checks the order of what it delivers")]
    struct Arguments {
        /// The server, such as 127.0.0.1:7373.
        #[arg(long)]
        address: SocketAddr,
        /// Measure this process through /proc.
        #[arg(long)]
        server_pid: Option<u32>,
        /// What to play.
        #[arg(long, value_enum, default_value_t = Workload::Rooms)]
        workload: Workload,
        /// Rooms; 50 for `rooms`, 1 for `pingpong` unless given.
        #[arg(long)]
        rooms: Option<u32>,
        /// Clients in each room; 10 for `rooms`, 1 for `pingpong` unless given.
        #[arg(long)]
        clients: Option<u32>,
        /// Messages per client and second (`rooms`).
        #[arg(long, default_value_t = 20.0)]
        hz: f64,
        /// Length of the measured window.
        #[arg(long, default_value_t = 8.0)]
        seconds: f64,
        /// Load before the window.
        #[arg(long, default_value_t = 1.0)]
        warmup: f64,
        /// Say `ready` when all have joined and wait for a line; at the end hold the sockets until standard input ends.
        /// A tracer attached in between sees the load and nothing else.
        #[arg(long)]
        hold: bool,
    }

    #[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
    enum Workload {
        /// A client sends again when its message has come back.
        Pingpong,
        /// All clients of all rooms send at a fixed rate.
        Rooms,
    }

    pub(super) fn main() -> ExitCode {
        let arguments = Arguments::parse();
        match run(&arguments) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(1),
            Err(error) => {
                eprintln!("bench-load: {error}");
                ExitCode::from(2)
            }
        }
    }

    fn run(arguments: &Arguments) -> Result<bool, Failure> {
        let (pacing, rooms, clients) = match arguments.workload {
            Workload::Pingpong => (Pacing::Closed, 1, 1),
            Workload::Rooms => (Pacing::Open { hz: arguments.hz }, 50, 10),
        };
        let layout = Layout { rooms: arguments.rooms.unwrap_or(rooms), members: arguments.clients.unwrap_or(clients) };
        if layout.rooms == 0 || layout.members == 0 || !(0.001..=1e6).contains(&arguments.hz) {
            return Err("there must be at least one room, one client and one message".into());
        }
        let options = Options {
            address: arguments.address,
            server_pid: arguments.server_pid,
            layout,
            plan: Plan { pacing, warmup_ns: nanos(arguments.warmup)?, window_ns: nanos(arguments.seconds)? },
        };
        let mut load = Load::connect(&options)?;
        if arguments.hold {
            eprintln!("ready");
            io::stdin().read_line(&mut String::new())?;
        }
        let report = load.play()?;
        println!("{}", serde_json::to_string(&report)?);
        if arguments.hold {
            io::copy(&mut io::stdin(), &mut io::sink())?;
        }
        Ok(report.is_clean())
    }

    fn nanos(seconds: f64) -> Result<u64, Failure> {
        Ok(u64::try_from(Duration::try_from_secs_f64(seconds)?.as_nanos())?)
    }
}
