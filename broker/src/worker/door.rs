//! A Unix socket at which workers come in that run on the same machine as the same user.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use axum::http::header::SEC_WEBSOCKET_PROTOCOL;
use parlor_protocol::worker::{PATH, SUBPROTOCOL};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tracing::{debug, warn};

use super::entry::{Gate, Way};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;
/// Time for the WebSocket handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// The socket. Dropping it lets nobody in any more, and removes the file.
#[derive(Debug)]
pub(super) struct UnixDoor {
    path: PathBuf,
    accept: JoinHandle<()>,
}

/// The socket while those who have come have to wait.
#[derive(Debug)]
pub(super) struct ClosedDoor {
    path: PathBuf,
    socket: Socket,
}

impl ClosedDoor {
    /// Listens at a path. A file that a broker has left there is replaced.
    ///
    /// # Errors
    /// When another process listens there, or something else is there, or the file cannot be made.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        clear(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        // Before anybody can connect.
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(Self { path: path.to_owned(), socket })
    }

    /// Lets them in.
    ///
    /// # Errors
    /// When the runtime has no place for the socket.
    pub(super) fn open(self, gate: Arc<Gate>) -> io::Result<UnixDoor> {
        let listener = UnixListener::from_std(std::os::fd::OwnedFd::from(self.socket).into())?;
        Ok(UnixDoor { path: self.path, accept: tokio::spawn(accept(listener, gate)) })
    }
}

impl Drop for UnixDoor {
    fn drop(&mut self) {
        self.accept.abort();
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes a socket at which nobody listens.
fn clear(path: &Path) -> io::Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
    }
    match StdStream::connect(path) {
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(_) => fs::remove_file(path),
    }
}

async fn accept(listener: UnixListener, gate: Arc<Gate>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => enter(stream, &gate),
            Err(error) => {
                warn!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

fn enter(stream: UnixStream, gate: &Arc<Gate>) {
    let Ok(stream) = stream.into_std() else { return };
    let (gate, shard) = (gate.clone(), gate.next_shard());
    shard.spawn(async move {
        let Ok(stream) = UnixStream::from_std(stream) else { return };
        match timeout(HANDSHAKE, accept_hdr_async(stream, answer)).await {
            Ok(Ok(socket)) => gate.admit(socket.into_inner(), Vec::new(), Way::Private).await,
            Ok(Err(error)) => debug!(%error, "no WebSocket at the workers' socket"),
            Err(_) => debug!("a handshake at the workers' socket took too long"),
        }
    });
}

/// Agrees to the workers' sub-protocol at their path, and to nothing else.
#[allow(clippy::result_large_err, reason = "the type is the library's")]
fn answer(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let offers = offered.flat_map(|value| value.split(',')).any(|name| name.trim() == SUBPROTOCOL);
    if request.uri().path() != PATH || !offers {
        let mut refusal = ErrorResponse::new(Some(format!("{PATH} speaks {SUBPROTOCOL} here")));
        *refusal.status_mut() = axum::http::StatusCode::BAD_REQUEST;
        return Err(refusal);
    }
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    Ok(response)
}
