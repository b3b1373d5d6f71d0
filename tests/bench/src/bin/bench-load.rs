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
    use parlor_bench::check::{Game, Layout};
    use parlor_bench::load::churn::{ChurnOptions, churn};
    use parlor_bench::load::crowd::{self, CrowdReport, Scene};
    use parlor_bench::load::empty::empty;
    use parlor_bench::load::{Failure, Load, Options, Pacing, Plan, Stay};
    use std::io;
    use std::net::SocketAddr;
    use std::process::ExitCode;
    use std::time::Duration;

    /// Of each client in `mmo`.
    const NEIGHBOURS: u32 = 20;
    /// At once in `churn`.
    const CYCLES: u32 = 16;
    const NO_PID: &str = "this workload needs --server-pid";

    #[derive(Parser)]
    #[command(about = "Load generator: measures a server and checks the order of what it delivers")]
    struct Arguments {
        /// The server, such as 127.0.0.1:7373.
        #[arg(long)]
        address: SocketAddr,
        /// Measure this process through /proc; `idle`, `stalled`, `storm`, `crash` and `empty` need it.
        #[arg(long)]
        server_pid: Option<u32>,
        /// What to play.
        #[arg(long, value_enum, default_value_t = Workload::Rooms)]
        workload: Workload,
        /// Rooms [default: 50 for `rooms`, 1000 `idle`, 10 `stalled`, 200 `storm`, 100 `crash`, 100000 `empty`, 1 otherwise].
        #[arg(long)]
        rooms: Option<u32>,
        /// Clients in each room, besides the sender in `fanout` [default: 10, 1 for `pingpong`, 1000 `fanout`, 2000 `mmo`, 11 `storm`, 5
        /// `crash`].
        #[arg(long)]
        clients: Option<u32>,
        /// Messages per second: of each client in `rooms` and `mmo`, of each room's sender elsewhere [default: 20, 10 for `mmo`, 800
        /// `stalled`, 5 `storm`, 50 `crash`].
        #[arg(long)]
        hz: Option<f64>,
        /// Saturation: each client that sends has so many messages on their way at once, and sends when one has come back
        /// [default: 1 for `pingpong`]; in `churn`, so many cycles at once [default: 16].
        #[arg(long, conflicts_with = "hz", value_parser = clap::value_parser!(u32).range(1..))]
        flight: Option<u32>,
        /// Length of the measured window.
        #[arg(long, default_value_t = 8.0)]
        seconds: f64,
        /// Load before the window.
        #[arg(long, default_value_t = 1.0)]
        warmup: f64,
        /// How often a worker process is killed in `crash`, besides a first time that does not count.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
        kills: u32,
        /// Sessions that outlive their connections, in `pingpong`, `rooms`, `fanout` and `mmo`.
        #[arg(long)]
        keep: bool,
        /// Sessions that end with their connections, in `idle`.
        #[arg(long, conflicts_with = "keep")]
        no_keep: bool,
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
        /// One client sends, and all of its room read.
        Fanout,
        /// All clients of one large room send, and each hears its 20 neighbours. Parlor only.
        Mmo,
        /// Rooms are opened, played in by two for ten messages, and left.
        Churn,
        /// Rooms without anybody in them. Parlor only.
        Empty,
        /// Sessions that do nothing.
        Idle,
        /// A tenth of the readers stops reading.
        Stalled,
        /// Everybody is cut off at once and comes back.
        Storm,
        /// The process of all rooms' handlers is killed again and again. Parlor with two workers only.
        Crash,
    }

    impl Workload {
        /// Rooms, clients in each, and messages a second.
        fn size(self) -> (u32, u32, f64) {
            match self {
                Workload::Pingpong => (1, 1, 20.0),
                Workload::Rooms => (50, 10, 20.0),
                Workload::Fanout => (1, 1000, 20.0),
                Workload::Mmo => (1, 2000, 10.0),
                Workload::Churn => (1, 2, 20.0),
                Workload::Empty => (100_000, 1, 20.0),
                Workload::Idle => (1000, 10, 20.0),
                Workload::Stalled => (10, 10, 800.0),
                Workload::Storm => (200, 11, 5.0),
                Workload::Crash => (100, 5, 50.0),
            }
        }
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
        let (rooms, clients, hz) = arguments.workload.size();
        let layout = Layout { rooms: arguments.rooms.unwrap_or(rooms), members: arguments.clients.unwrap_or(clients) };
        let hz = arguments.hz.unwrap_or(hz);
        if layout.rooms == 0 || layout.members == 0 || !(0.001..=1e6).contains(&hz) {
            return Err("there must be at least one room, one client and one message".into());
        }
        match arguments.workload {
            Workload::Pingpong => {
                play(arguments, layout, Game::Everyone, Pacing::Closed { flight: arguments.flight.unwrap_or(1) })
            }
            Workload::Rooms => play(arguments, layout, Game::Everyone, pacing(arguments, hz)),
            Workload::Fanout => {
                let layout = Layout { members: layout.members + 1, ..layout };
                play(arguments, layout, Game::Fanout, pacing(arguments, hz))
            }
            Workload::Mmo if layout.members <= NEIGHBOURS => Err("a client in `mmo` has 20 neighbours".into()),
            Workload::Mmo => play(arguments, layout, Game::Ring(NEIGHBOURS), pacing(arguments, hz)),
            Workload::Churn => play_churn(arguments),
            Workload::Empty => make_empty(arguments, layout.rooms),
            Workload::Idle => perform(arguments, layout, hz, crowd::idle),
            Workload::Stalled => perform(arguments, layout, hz, crowd::stalled),
            Workload::Storm => perform(arguments, layout, hz, crowd::storm),
            Workload::Crash => perform(arguments, layout, hz, crowd::crash),
        }
    }

    fn pacing(arguments: &Arguments, hz: f64) -> Pacing {
        arguments.flight.map_or(Pacing::Open { hz }, |flight| Pacing::Closed { flight })
    }

    fn play(arguments: &Arguments, layout: Layout, game: Game, pacing: Pacing) -> Result<bool, Failure> {
        let options = Options {
            address: arguments.address,
            server_pid: arguments.server_pid,
            layout,
            game,
            stay: if arguments.keep { Stay::Kept } else { Stay::Connection },
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

    fn play_churn(arguments: &Arguments) -> Result<bool, Failure> {
        let report = churn(&ChurnOptions {
            address: arguments.address,
            server_pid: arguments.server_pid,
            flight: arguments.flight.unwrap_or(CYCLES),
            warmup_ns: nanos(arguments.warmup)?,
            window_ns: nanos(arguments.seconds)?,
        })?;
        println!("{}", serde_json::to_string(&report)?);
        Ok(report.is_clean())
    }

    fn make_empty(arguments: &Arguments, rooms: u32) -> Result<bool, Failure> {
        let report = empty(arguments.address, arguments.server_pid.ok_or(NO_PID)?, rooms)?;
        println!("{}", serde_json::to_string(&report)?);
        Ok(report.is_clean())
    }

    fn perform(
        arguments: &Arguments,
        layout: Layout,
        hz: f64,
        scenario: fn(&Scene) -> Result<CrowdReport, Failure>,
    ) -> Result<bool, Failure> {
        let report = scenario(&Scene {
            address: arguments.address,
            server_pid: arguments.server_pid.ok_or(NO_PID)?,
            layout,
            stay: if arguments.no_keep { Stay::Connection } else { Stay::Kept },
            hz,
            window: Duration::try_from_secs_f64(arguments.seconds)?,
            stalling: layout.members.div_ceil(10),
            kills: arguments.kills,
        })?;
        println!("{}", serde_json::to_string(&report)?);
        Ok(report.is_clean())
    }

    fn nanos(seconds: f64) -> Result<u64, Failure> {
        Ok(u64::try_from(Duration::try_from_secs_f64(seconds)?.as_nanos())?)
    }
}
