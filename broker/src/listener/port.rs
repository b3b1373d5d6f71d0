//! The port: a listening socket for each shard, among which Linux shares out those who connect (`SO_REUSEPORT`, socket(7)), so that a
//! connection is accepted on the thread on which its session begins.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel keeps for each socket until they are accepted.
const BACKLOG: i32 = 1_024;

/// Listens at an address, with one socket for each shard where the system shares out connections, and one for the first shard elsewhere.
/// The address that is returned has the port that was found when it was to be any.
///
/// # Errors
/// When the address is not this machine's, or in use. It then is by another program: no second one is let in beside a first.
pub(crate) fn bind(addr: SocketAddr, shards: usize) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    let first = socket(addr)?;
    // Sharing is allowed from here on, not before: the address is this process's alone, or this fails.
    first.bind(&addr.into())?;
    let addr = first.local_addr()?.as_socket().unwrap_or(addr);
    let mut sockets = vec![first];
    #[cfg(target_os = "linux")]
    if shards > 1 {
        sockets[0].set_reuse_port(true)?;
        for _ in 1..shards {
            let another = socket(addr)?;
            another.set_reuse_port(true)?;
            another.bind(&addr.into())?;
            sockets.push(another);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = shards;
    for socket in &mut sockets {
        socket.listen(BACKLOG)?;
    }
    Ok((addr, sockets.into_iter().map(TcpListener::from).collect()))
}

fn socket(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of a process that has just ended must not keep its port. Elsewhere the option means something else.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    const ANY: &str = "127.0.0.1:0";

    #[test]
    fn each_shard_has_a_share_and_no_second_program_any() {
        for shards in [1, 4] {
            let (addr, sockets) = bind(ANY.parse().unwrap(), shards).unwrap();
            let refused = bind(addr, shards).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AddrInUse, "with {shards}");
            // By chance alone one of four would get none of 200 once in 10^24 runs.
            let clients: Vec<_> = (0..200).map(|_| TcpStream::connect(addr).unwrap()).collect();
            let shares: Vec<_> =
                sockets.iter().map(|socket| std::iter::from_fn(|| socket.accept().ok()).count()).collect();
            assert_eq!(shares.iter().sum::<usize>(), clients.len());
            assert!(!shares.contains(&0), "{shares:?}");
        }
    }

    #[test]
    fn a_port_can_be_had_again_at_once() {
        let (addr, sockets) = bind(ANY.parse().unwrap(), 2).unwrap();
        let client = TcpStream::connect(addr).unwrap();
        // Whoever closes first keeps the port busy for a minute.
        drop((sockets, client));
        bind(addr, 2).unwrap();
    }
}
