//! `parlor`: a broker with relay rooms, for games whose clients hold all the logic.

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};
use parlor_broker::cli::{self, ServeArgs};
use parlor_broker::{Broker, Config};

/// A realtime game message broker. Rooms with handlers run in the game's own binary; this one offers the relay kinds of its
/// configuration, or one called `relay`.
#[derive(Parser)]
#[command(name = "parlor", version)]
struct Args {
    #[command(flatten)]
    serve: ServeArgs,
}

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The command of a load test, which has flags of its own and none of a server's.
#[cfg(feature = "bench")]
const BENCH: &str = "bench";

#[tokio::main]
async fn main() -> ExitCode {
    cli::log();
    #[cfg(feature = "bench")]
    if std::env::args_os().nth(1).is_some_and(|command| command == BENCH) {
        return parlor_load::BenchArgs::parse_from(std::env::args_os().skip(1)).run().await;
    }
    let args = match Args::from_arg_matches(&command().get_matches()) {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    match run(&args.serve).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("parlor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> clap::Command {
    let command = Args::command();
    // Only for the help: it is looked for before.
    #[cfg(feature = "bench")]
    let command = command.subcommand(clap::Command::new(BENCH).about("Load test a game: `parlor bench --help`"));
    command
}

async fn run(args: &ServeArgs) -> Result<(), parlor_broker::StartError> {
    let config = args.config()?;
    match &args.command {
        Some(command) => Ok(command.run(&config)?),
        None => serve(config).await,
    }
}

async fn serve(mut config: Config) -> Result<(), parlor_broker::StartError> {
    if config.relay.is_empty() {
        config.relay.push(parlor_broker::config::RelayConfig { kind: "relay".into(), policy: Default::default() });
    }
    let broker = Broker::start(&config, Vec::new(), axum::Router::new()).await?;
    println!("listening on {}", broker.addr());
    cli::interrupted().await;
    broker.shutdown().await;
    Ok(())
}
