//! A broker's connections with an echo behind them, for the Autobahn test suite.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Parser;
use parlor_tests::echo;
use tokio::net::TcpListener;

/// Serves an echo over the broker's own reader and writer, and says where it listens.
#[derive(Parser)]
struct Options {
    /// Where to listen; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind(Options::parse().listen).await?;
    println!("listening on {}", listener.local_addr()?);
    let limits = Arc::new(echo::limits());
    loop {
        let (stream, _) = listener.accept().await?;
        let limits = limits.clone();
        tokio::spawn(async move {
            if let Err(error) = echo::serve(stream, &limits).await {
                eprintln!("{error}");
            }
        });
    }
}
