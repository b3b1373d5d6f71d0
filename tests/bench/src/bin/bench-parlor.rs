//! The Parlor server to measure: a kind of room whose handler broadcasts every move, one whose members hear their neighbours only, and
//! one that nobody comes into.

use clap::{Parser, Subcommand};
use parlor::WorkerOptions;
use parlor::broker::{Broker, Config};
use parlor::prelude::*;
use parlor_bench::frames::SERVER_KEY;
use std::collections::BTreeMap;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Deserialize, Serialize, Message)]
#[message("move")]
struct Move {
    c: u32,
    n: u32,
    t: u64,
    pad: String,
}

#[derive(Default, Serialize, Deserialize)]
struct Bench {
    moves: u64,
}

// What all members together may have on their way, when each sends as fast as it can, is meant to wait rather than be refused.
#[room(kind = "bench", max_players = 10000, match_by = ["room"], queue_len = 262144, queue_bytes = "64MiB", member_queue_len = 4096)]
impl Bench {
    #[msg::route("move")]
    fn game_move(&mut self, ctx: &mut Ctx, _from: PlayerId, m: Move) {
        self.moves += 1;
        ctx.broadcast(&m);
    }

    /// The game is over when the last player has gone.
    #[msg::leave]
    fn left(&mut self, ctx: &mut Ctx, _player: &Player) {
        if ctx.players().len() == 0 {
            ctx.close(&());
        }
    }

    /// How many moves there were: whoever is shown this knows which one comes next.
    #[msg::view]
    fn view(&self, _to: &Player) -> u64 {
        self.moves
    }
}

/// Where a member stands in a ring of so many, and how far it hears in either direction.
#[derive(Deserialize)]
struct Place {
    seat: i32,
    seats: i32,
    reach: i32,
}

#[derive(Default, Serialize, Deserialize)]
struct Ring {
    seats: BTreeMap<PlayerId, i32>,
}

#[room(kind = "ring", max_players = 10000, match_by = ["room"], queue_len = 262144, queue_bytes = "64MiB", member_queue_len = 4096)]
impl Ring {
    #[msg::join]
    fn joined(&mut self, ctx: &mut Ctx, player: &Player, place: Place) {
        self.seats.insert(player.id, place.seat);
        let seats = place.seats.max(1);
        let heard = (-place.reach..=place.reach).map(|step| ((place.seat + step).rem_euclid(seats), 0));
        ctx.set_topics(player.id, heard);
    }

    #[msg::route("move")]
    fn game_move(&mut self, ctx: &mut Ctx, from: PlayerId, m: Move) {
        if let Some(&seat) = self.seats.get(&from) {
            ctx.publish((seat, 0), &m);
        }
    }

    #[msg::leave]
    fn left(&mut self, _ctx: &mut Ctx, player: &Player) {
        self.seats.remove(&player.id);
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Empty {}

#[room(kind = "empty", empty_ttl = "1h")]
impl Empty {}

#[derive(Parser)]
struct Args {
    /// Port to listen on; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Processes for the handlers; without any they are in this one
    #[arg(long, default_value_t = 0)]
    workers: usize,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// What `--workers` starts
    Worker,
}

fn game() -> parlor::App {
    parlor::App::new().room::<Bench>().room::<Ring>().room::<Empty>()
}

#[tokio::main]
async fn main() -> parlor::Result<()> {
    let args = Args::parse();
    match args.role {
        Some(Role::Worker) => work().await,
        None => serve(&args).await,
    }
}

async fn serve(args: &Args) -> parlor::Result<()> {
    let mut config = Config::default();
    config.listen.set_port(args.port);
    config.auth.guests = true;
    config.server_key = Some(SERVER_KEY.to_owned());
    // All load comes from one address, as fast as it is asked for.
    (config.limits.messages_per_s, config.limits.bytes_per_s) = (1_000_000, 1 << 30);
    (config.limits.connections, config.limits.sessions_away) = (50_000, 50_000);
    config.limits.rooms = 1_000_000;
    config.limits.connections_per_address = config.limits.connections;
    allow_sockets();
    let cannot = |error: &dyn std::error::Error| parlor::Failure::app("cannot_start", error.to_string());
    let broker = if args.workers > 0 {
        let program = std::env::current_exe().map_err(|error| cannot(&error))?;
        config.workers.count = args.workers;
        config.workers.command = Some(format!("'{}' worker", program.display()));
        let broker = Broker::start(&config, Vec::new(), Default::default()).await.map_err(|error| cannot(&error))?;
        // Who hears the address may ask for rooms at once. Each process has a connection for each of its threads.
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let all = i64::try_from(args.workers * threads).unwrap_or(i64::MAX);
        while broker.metrics().workers.get() < all {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        broker
    } else {
        game().start(&config).await?
    };
    println!("listening on {}", broker.addr());
    parlor::broker::cli::interrupted().await;
    broker.shutdown().await;
    Ok(())
}

async fn work() -> parlor::Result<()> {
    let told = |name| std::env::var(name).unwrap_or_default();
    let options = WorkerOptions {
        token: told("PARLOR_WORKER_TOKEN"),
        capacity: 1_000_000,
        ..WorkerOptions::new(told("PARLOR_BROKER"))
    };
    let worker = game().start_worker(&options)?;
    tokio::select! {
        () = parlor::broker::cli::interrupted() => worker.drain().await,
        // Servers are killed when they have been measured.
        () = parlor::worker::abandoned() => Ok(()),
    }
}

/// As many as the system lets this process have.
fn allow_sockets() {
    #[cfg(target_os = "linux")]
    // Who needs more than are allowed hears it from the load generator.
    let _ = parlor_bench::load::allow_sockets(0);
}
