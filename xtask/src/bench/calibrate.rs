//! What the machine's most frequent operation costs right now, so that absolute figures can be read at all.

use crate::proc::Failure;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

/// Sends between two drains of the other end.
const BURST: usize = 50;
const BURSTS: usize = 400;

/// The mean cost of a small write to a loopback socket whose reader is not waiting, in microseconds.
pub(super) fn loopback_send_us() -> Result<f64, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut sender = TcpStream::connect(listener.local_addr()?)?;
    let (mut receiver, _) = listener.accept()?;
    sender.set_nodelay(true)?;
    let mut drained = [0; 80 * BURST];
    let mut sending = 0.0;
    for _ in 0..BURSTS {
        let start = Instant::now();
        for _ in 0..BURST {
            sender.write_all(&[7; 80])?;
        }
        sending += start.elapsed().as_secs_f64();
        receiver.read_exact(&mut drained)?;
    }
    #[expect(clippy::cast_precision_loss, reason = "small constants")]
    Ok(sending * 1e6 / (BURST * BURSTS) as f64)
}
