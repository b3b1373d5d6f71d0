//! Sockets in numbers: enough descriptors, enough local ports, and readers whose kernel holds little for them.

use super::Failure;
use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Connections from one loopback address, well below the number of its ephemeral ports.
const PER_ADDRESS: u32 = 20_000;
/// Files that a process needs besides its sockets.
const OTHER_FILES: u64 = 64;

/// What the kernel may hold for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Buffers {
    /// As much as it likes.
    Default,
    /// As little as possible at both ends: what a reader leaves unread soon stays with the server. The small segments that
    /// it asks for make the server's own buffer small; on loopback it would be megabytes.
    Small,
}

/// Raises this process's limit of open files as far as it may go.
///
/// # Errors
/// When that is not far enough for so many sockets.
pub fn allow_sockets(sockets: u32) -> Result<(), Failure> {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = u64::from(sockets) + OTHER_FILES;
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    match limit.maximum {
        Some(most) if most < wanted => Err(format!("{wanted} open files are needed, and {most} are allowed").into()),
        _ => Ok(()),
    }
}

/// Begins to connect client number `client`; the socket never blocks.
pub(super) fn dial(address: SocketAddr, client: u32, buffers: Buffers) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    // Who is dropped is gone at once, and its port free.
    socket.set_linger(Some(Duration::ZERO))?;
    if buffers == Buffers::Small {
        socket.set_recv_buffer_size(4096)?;
        socket.set_tcp_mss(536)?;
    }
    let further = u8::try_from(client / PER_ADDRESS).unwrap_or(u8::MAX - 1);
    if further > 0 {
        let local = Ipv4Addr::new(127, 0, 0, 1 + further);
        socket.bind(&SocketAddr::from((local, 0)).into())?;
    }
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => Err(error),
        _ => Ok(socket.into()),
    }
}
