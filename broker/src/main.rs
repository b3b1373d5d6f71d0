//! `parlor`: a broker with relay rooms, for games whose clients hold all the logic.

use std::process::ExitCode;

use clap::Parser;
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

#[tokio::main]
async fn main() -> ExitCode {
    cli::log();
    let args = Args::parse();
    match run(&args.serve).await {
        Ok(()) => ExitCode::SUCCESS,
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
