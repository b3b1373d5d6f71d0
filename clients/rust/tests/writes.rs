//! What is queued together is written together.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod fake;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use fake::{Fake, idle, quiet};
use parlor_client::Parlor;
use parlor_protocol::ClientFrame;
use tokio::io::{self, AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};

/// A stream that counts the writes, which are system calls on a real one.
struct Counted(DuplexStream, Arc<AtomicUsize>);

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_one_write() {
    let (near, far) = duplex(1 << 20);
    let writes = Arc::new(AtomicUsize::new(0));
    let stream = Counted(near, Arc::clone(&writes));
    let (parlor, mut fake) = tokio::join!(Parlor::over(stream, quiet()), async {
        let mut fake = Fake::accept(far).await;
        fake.welcome().await;
        fake
    });
    let parlor = parlor.unwrap();
    let (room, _) = tokio::join!(parlor.join_or_create("arena", &()), fake.admit());
    let room = room.unwrap();

    let before = writes.load(Ordering::Relaxed);
    for n in 0..500 {
        room.send("move", &n).unwrap();
    }
    idle().await;
    assert_eq!(writes.load(Ordering::Relaxed) - before, 1);
    for _ in 0..500 {
        fake.heard().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn numbers_are_the_order_of_writing_whoever_sends() {
    const EACH: u32 = 2000;
    let (_parlor, room, mut fake) = fake::in_room(quiet()).await;
    let tasks: Vec<_> = (0..4_u32)
        .map(|task| {
            let sender = room.sender().clone();
            tokio::spawn(async move {
                let numbered = |i| (sender.send("move", &(task, i)).unwrap(), (task, i));
                (0..EACH).map(numbered).collect::<Vec<_>>()
            })
        })
        .collect();
    let mut heard = Vec::new();
    for no in 1..=u64::from(4 * EACH) {
        let ClientFrame::Send { payload, .. } = fake.heard().await else { panic!() };
        heard.push((no, rmp_serde::from_slice::<(u32, u32)>(&payload).unwrap()));
    }
    let mut sent = Vec::new();
    for task in tasks {
        sent.extend(task.await.unwrap());
    }
    sent.sort_unstable();
    assert_eq!(sent, heard);
}
