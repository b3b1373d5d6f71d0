//! An arena for many players and some bots, in the browser. `game.rs` is the game; the rest is a page and the bots.

mod bots;
mod game;
mod messages;
mod vector;

use clap::Parser;
use parlor::axum::Router;
use parlor::axum::http::header::CONTENT_TYPE;
use parlor::axum::routing::{MethodRouter, get};
use parlor::{App, ServeArgs};

use crate::game::Arena;

/// Faster than the system's in what a broker does all day: small messages, soon gone.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A realtime arena: collect, dash, bump. Open the printed address in a browser
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    serve: ServeArgs,
    /// Bots that play along
    #[arg(long, default_value_t = 6, value_name = "N")]
    bots: usize,
}

#[tokio::main]
async fn main() -> parlor::Result<()> {
    let Args { serve, bots } = Args::parse();
    App::new()
        .room::<Arena>()
        .guests()
        .http(pages())
        .on_start(move |connector| bots::start(&connector, bots))
        .serve(&serve)
        .await
}

/// All that a browser needs is in the binary.
fn pages() -> Router {
    Router::new()
        .route("/", file("text/html; charset=utf-8", include_bytes!("../web/index.html")))
        .route("/arena.css", file("text/css", include_bytes!("../web/arena.css")))
        .route("/arena.js", file("text/javascript", include_bytes!("../web/arena.js")))
        .route("/draw.js", file("text/javascript", include_bytes!("../web/draw.js")))
        .route("/paint.js", file("text/javascript", include_bytes!("../web/paint.js")))
        .route("/input.js", file("text/javascript", include_bytes!("../web/input.js")))
        .route("/link.js", file("text/javascript", include_bytes!("../../web/link.js")))
        .route("/base.css", file("text/css", include_bytes!("../../web/base.css")))
        .route("/parlor.js", file("text/javascript", include_bytes!("../../../clients/typescript/dist/parlor.js")))
}

fn file(kind: &'static str, content: &'static [u8]) -> MethodRouter {
    get(move || async move { ([(CONTENT_TYPE, kind)], content) })
}
