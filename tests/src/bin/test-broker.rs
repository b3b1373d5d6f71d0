//! A broker with the rooms that the client libraries' tests need, on a free port, until it is told to stop.

use clap::Parser;
use parlor::broker::cli;
use parlor_tests::Echo;

#[derive(Parser)]
struct Args {
    /// Port to listen on; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    port: u16,
}

#[tokio::main]
async fn main() -> parlor::Result<()> {
    cli::log();
    let mut config = parlor_tests::config();
    config.listen.set_port(Args::parse().port);
    let broker = parlor::App::new().room::<Echo>().relay("relay", parlor::Policy::default()).start(&config).await?;
    println!("listening on {}", broker.addr());
    cli::interrupted().await;
    broker.shutdown().await;
    Ok(())
}
