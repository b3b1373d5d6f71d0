//! A shared whiteboard: `cargo run -p whiteboard`, then open the printed address in several tabs.
//!
//! There is no game code. A relay room orders what the pages send, passes it on to all of them, and keeps what was `set` for
//! those who come later: see `web/board.js` for what they say to each other.

use parlor::Policy;
use parlor::axum::Router;
use parlor::axum::http::header::CONTENT_TYPE;
use parlor::axum::response::IntoResponse;
use parlor::axum::routing::{MethodRouter, get};

#[tokio::main]
async fn main() -> parlor::Result<()> {
    parlor::App::new().relay("whiteboard", policy()).guests().http(pages()).run().await
}

/// Boards outlive a lunch break: nobody saves them.
fn policy() -> Policy {
    const LUNCH_MS: u64 = 60 * 60 * 1000;
    Policy { max_players: 32, empty_ttl_ms: LUNCH_MS, ..Policy::default() }
}

/// The page and what it loads, all inside the program.
fn pages() -> Router {
    Router::new()
        .route("/", file("text/html; charset=utf-8", include_bytes!("../web/index.html")))
        .route("/board.css", file("text/css", include_bytes!("../web/board.css")))
        .route("/board.js", file("text/javascript", include_bytes!("../web/board.js")))
        .route("/strokes.js", file("text/javascript", include_bytes!("../web/strokes.js")))
        .route("/pen.js", file("text/javascript", include_bytes!("../web/pen.js")))
        .route("/base.css", file("text/css", include_bytes!("../../web/base.css")))
        .route("/link.js", file("text/javascript", include_bytes!("../../web/link.js")))
        .route("/page.js", file("text/javascript", include_bytes!("../../web/page.js")))
        .route("/screen.js", file("text/javascript", include_bytes!("../web/screen.js")))
        .route("/parlor.js", file("text/javascript", include_bytes!("../../../clients/typescript/dist/parlor.js")))
}

fn file(kind: &'static str, bytes: &'static [u8]) -> MethodRouter {
    get(move || async move { ([(CONTENT_TYPE, kind)], bytes).into_response() })
}
