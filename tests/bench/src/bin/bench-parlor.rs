//! The Parlor server to measure: one kind of room whose handler broadcasts every move.

use clap::Parser;
use parlor::prelude::*;

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

#[room(kind = "bench", max_players = 10000, match_by = ["room"])]
impl Bench {
    #[msg::route("move")]
    fn game_move(&mut self, ctx: &mut Ctx, _from: PlayerId, m: Move) {
        self.moves += 1;
        ctx.broadcast(&m);
    }

    /// How many moves there were: whoever is shown this knows which one comes next.
    #[msg::view]
    fn view(&self, _to: &Player) -> u64 {
        self.moves
    }
}

#[derive(Parser)]
struct Args {
    /// Port to listen on; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    port: u16,
}

#[tokio::main]
async fn main() -> parlor::Result<()> {
    let mut config = parlor::broker::Config::default();
    config.listen.set_port(Args::parse().port);
    config.auth.guests = true;
    // All load comes from one address, as fast as it is asked for.
    (config.limits.messages_per_s, config.limits.bytes_per_s) = (1_000_000, 1 << 30);
    (config.limits.connections, config.limits.sessions_away) = (50_000, 50_000);
    config.limits.connections_per_address = config.limits.connections;
    allow_sockets();
    let broker = parlor::App::new().room::<Bench>().start(&config).await?;
    println!("listening on {}", broker.addr());
    parlor::broker::cli::interrupted().await;
    broker.shutdown().await;
    Ok(())
}

/// As many as the system lets this process have.
fn allow_sockets() {
    #[cfg(target_os = "linux")]
    // Who needs more than are allowed hears it from the load generator.
    let _ = parlor_bench::load::crowd::allow_sockets(0);
}
