//! Rooms that nobody is in: `empty`. Made by the lobby's REST calls, so that they cost no connection.

use super::Failure;
use super::report::thousandths;
use super::sample::Sample;
use crate::frames::{EMPTY_KIND, SERVER_KEY};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Connections that make rooms.
const CALLERS: u32 = 8;
/// How long a server gets to settle before its memory is looked at.
const SETTLE: Duration = Duration::from_secs(2);

/// What rooms cost that nobody is in.
#[derive(Debug, Clone, Serialize)]
pub struct EmptyReport {
    /// How many the server says there are.
    pub rooms: u64,
    /// Resident memory of the server without them.
    pub rss_before_kib: u64,
    /// Resident memory with them.
    pub rss_kib: u64,
    /// The difference, divided.
    pub bytes_per_room: f64,
    /// How long it took to make them.
    pub enter_s: f64,
    /// What was wrong.
    pub violations: Vec<String>,
}

impl EmptyReport {
    /// Whether all rooms are there.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }
}

/// Makes so many rooms and looks at the server's memory.
pub fn empty(address: SocketAddr, server_pid: u32, rooms: u32) -> Result<EmptyReport, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let process = server_pid.to_string();
        let before = Sample::take(&process)?.rss_kib;
        let begun = Instant::now();
        make(address, rooms).await?;
        let enter_s = thousandths(begun.elapsed().as_secs_f64());
        tokio::time::sleep(SETTLE).await;
        let rss_kib = Sample::take(&process)?.rss_kib;
        let found = count(address).await?;
        let mut violations = Vec::new();
        if found != u64::from(rooms) {
            violations.push(format!("{rooms} rooms were made, and {found} are there"));
        }
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let bytes = rss_kib.saturating_sub(before) as f64 * 1024.0;
        let bytes_per_room = thousandths(bytes / f64::from(rooms));
        Ok(EmptyReport { rooms: found, rss_before_kib: before, rss_kib, bytes_per_room, enter_s, violations })
    })
}

async fn make(address: SocketAddr, rooms: u32) -> Result<(), Failure> {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        callers.spawn(async move {
            let share = rooms / CALLERS + u32::from(caller < rooms % CALLERS);
            let body = Bytes::from(serde_json::json!({ "kind": EMPTY_KIND }).to_string());
            let made = async {
                let mut lobby = connect(address).await?;
                for _ in 0..share {
                    call(&mut lobby, address, Method::POST, "/v1/rooms", body.clone(), StatusCode::CREATED).await?;
                }
                Ok::<_, Failure>(())
            };
            made.await.map_err(|error| error.to_string())
        });
    }
    while let Some(made) = callers.join_next().await {
        made??;
    }
    Ok(())
}

/// How many the lobby knows.
async fn count(address: SocketAddr) -> Result<u64, Failure> {
    let mut lobby = connect(address).await?;
    let path = format!("/v1/rooms?kind={EMPTY_KIND}&limit=1");
    let answer = call(&mut lobby, address, Method::GET, &path, Bytes::new(), StatusCode::OK).await?;
    let list: serde_json::Value = serde_json::from_slice(&answer)?;
    Ok(list["total"].as_u64().ok_or("the lobby's list has no total")?)
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (lobby, connection) = handshake(TokioIo::new(stream)).await?;
    // What ends it is seen by whoever calls.
    tokio::spawn(connection);
    Ok(lobby)
}

async fn call(
    lobby: &mut SendRequest<Full<Bytes>>,
    address: SocketAddr,
    method: Method,
    path: &str,
    body: Bytes,
    wanted: StatusCode,
) -> Result<Bytes, Failure> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, address.to_string())
        .header(AUTHORIZATION, format!("Bearer {SERVER_KEY}"))
        .body(Full::new(body))?;
    lobby.ready().await?;
    let answer = lobby.send_request(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    if status != wanted {
        return Err(format!("the lobby answered {status}: {}", String::from_utf8_lossy(&body)).into());
    }
    Ok(body)
}
