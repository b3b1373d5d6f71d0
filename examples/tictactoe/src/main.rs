//! Tic-tac-toe with traps: `cargo run -p tictactoe`, then open the printed address in two tabs.

mod game;

use parlor::axum::Router;
use parlor::axum::http::header::CONTENT_TYPE;
use parlor::axum::response::IntoResponse;
use parlor::axum::routing::{MethodRouter, get};

#[tokio::main]
async fn main() -> parlor::Result<()> {
    parlor::App::new().room::<game::TicTacToe>().guests().http(pages()).run().await
}

/// The page and what it loads, all inside the program.
fn pages() -> Router {
    Router::new()
        .route("/", file("text/html; charset=utf-8", include_bytes!("../web/index.html")))
        .route("/game.css", file("text/css", include_bytes!("../web/game.css")))
        .route("/game.js", file("text/javascript", include_bytes!("../web/game.js")))
        .route("/base.css", file("text/css", include_bytes!("../../web/base.css")))
        .route("/link.js", file("text/javascript", include_bytes!("../../web/link.js")))
        .route("/page.js", file("text/javascript", include_bytes!("../../web/page.js")))
        .route("/parlor.js", file("text/javascript", include_bytes!("../../../clients/typescript/dist/parlor.js")))
}

fn file(kind: &'static str, bytes: &'static [u8]) -> MethodRouter {
    get(move || async move { ([(CONTENT_TYPE, kind)], bytes).into_response() })
}
