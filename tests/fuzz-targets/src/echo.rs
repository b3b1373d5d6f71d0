//! A connection's reader and writer, fed with raw bytes: what it makes of them does not depend on how they come, and is written as a
//! server may write.

use bytes::Bytes;
use parlor_broker::Limits;
use parlor_broker::session::{self, Socket};
use parlor_protocol::CloseCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::session::in_no_time;
use crate::websocket::Spoken;

/// Far more than an input has bytes.
const PIPE: usize = 1 << 20;

/// Feeds the bytes behind the first one to a connection, whole and in pieces of so many.
pub fn echo(data: &[u8]) {
    let Some((piece, bytes)) = data.split_first() else { return };
    let limits = Limits { max_fragments: u32::MAX, control_frames_per_s: 1 << 20, ..Limits::default() };
    let (whole, why) = in_no_time(serve(bytes, bytes.len().max(1), &limits));
    let (pieces, why_in_pieces) = in_no_time(serve(bytes, usize::from(*piece).max(1), &limits));
    assert_eq!(why, why_in_pieces);
    assert_eq!(Spoken::read(&whole), Spoken::read(&pieces), "in pieces of {piece}");
}

async fn serve(bytes: &[u8], piece: usize, limits: &Limits) -> (Vec<u8>, Option<CloseCode>) {
    let (mut ours, theirs) = tokio::io::duplex(PIPE);
    let client = async {
        for bytes in bytes.chunks(piece) {
            if ours.write_all(bytes).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        // It neither says goodbye nor hangs up: the connection ends by what was sent, or because nothing more is.
        let mut said = Vec::new();
        ours.read_to_end(&mut said).await.expect("a pipe");
        said
    };
    let (said, why) = tokio::join!(client, session::echo(Socket::Memory(theirs), Bytes::new(), limits));
    (said, why.expect("a pipe"))
}
