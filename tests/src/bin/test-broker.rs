//! A broker with the rooms that the client libraries' tests need, on a free port, until it is told to stop.

use clap::Parser;
use parlor::Policy;
use parlor::broker::cli;
use parlor::policy::Admission;
use parlor_tests::Echo;

#[derive(Parser)]
struct Args {
    /// Port to listen on; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Secret of tokens; guests are let in all the same
    #[arg(long)]
    auth_secret: Option<String>,
}

#[tokio::main]
async fn main() -> parlor::Result<()> {
    cli::log();
    let mut config = parlor_tests::config();
    let args = Args::parse();
    config.listen.set_port(args.port);
    config.auth.secret = args.auth_secret;
    let ticketed = Policy { join: Admission::Ticket, ..Policy::default() };
    let app = parlor::App::new().room::<Echo>().relay("relay", Policy::default()).relay("ticketed", ticketed);
    let broker = app.start(&config).await?;
    println!("listening on {}", broker.addr());
    cli::interrupted().await;
    broker.shutdown().await;
    Ok(())
}
