//! The server that Parlor is compared with. Says where it listens, then serves until it is killed.

use clap::Parser;
use tokio::net::TcpListener;

#[derive(Parser)]
#[command(about = "A plain tokio-tungstenite room server, to compare Parlor with")]
struct Options {
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let listener = TcpListener::bind(("127.0.0.1", options.port)).await?;
    println!("listening on {}", listener.local_addr()?);
    parlor_bench::plain::serve(listener).await
}
