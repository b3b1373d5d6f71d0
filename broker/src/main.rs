//! `parlor`: a broker with relay rooms, for games whose clients hold all the logic.

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};
use parlor_broker::cli::{self, RolloutArgs, ServeArgs};
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

/// The command that serves, as does the program without any.
const BROKER: &str = "broker";

/// The command for versions, which has flags of its own too.
const ROLLOUT: &str = "rollout";

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
    if std::env::args_os().nth(1).is_some_and(|command| command == ROLLOUT) {
        return roll_out(&RolloutArgs::parse_from(std::env::args_os().skip(1))).await;
    }
    let mut matches = command().get_matches();
    if matches.subcommand_name() == Some(BROKER) {
        matches.remove_subcommand();
    }
    let args = match Args::from_arg_matches(&matches) {
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
    let command = Args::command().subcommand(clap::Command::new(BROKER).about("Serve, as without a command"));
    // Those below are only for the help: they are looked for before.
    let about = "See and change which version new rooms are of: `parlor rollout --help`";
    let command = command.subcommand(clap::Command::new(ROLLOUT).about(about));
    #[cfg(feature = "bench")]
    let command = command.subcommand(clap::Command::new(BENCH).about("Load test a game: `parlor bench --help`"));
    command
}

async fn roll_out(args: &RolloutArgs) -> ExitCode {
    match args.run().await {
        Ok(shown) => {
            print!("{shown}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("parlor: {error}");
            ExitCode::FAILURE
        }
    }
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
