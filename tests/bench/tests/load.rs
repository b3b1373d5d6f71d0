//! The whole load generator over real sockets: it finds nothing wrong with a right server, and what is wrong with others.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot connect has failed")]
#![expect(clippy::result_large_err, reason = "the closure has the type that tungstenite wants")]

use parlor_bench::check::{Game, Layout};
use parlor_bench::frames::{ClientFrame, SUBPROTOCOL, joined_answer, publish, welcome};
use parlor_bench::load::{Load, Options, Pacing, Plan, Report, Stay};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Message, accept_hdr};

fn play(address: SocketAddr, layout: Layout, pacing: Pacing) -> Report {
    play_game(address, layout, Game::Everyone, pacing)
}

fn play_game(address: SocketAddr, layout: Layout, game: Game, pacing: Pacing) -> Report {
    let plan = Plan { pacing, warmup_ns: 50_000_000, window_ns: 200_000_000 };
    let server_pid = Some(std::process::id());
    Load::connect(&Options { address, server_pid, layout, game, stay: Stay::Connection, plan }).unwrap().play().unwrap()
}

fn plain_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            parlor_bench::plain::serve(listener).await
        })
    });
    address
}

/// A server for one client, that answers its message number n with `answer(n)`: the sequence numbers to publish it under.
fn odd_server(answer: fn(u64) -> Vec<u64>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let choose = |_: &Request, mut response: Response| {
            response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(SUBPROTOCOL));
            Ok(response)
        };
        let mut socket = accept_hdr(listener.accept().unwrap().0, choose).unwrap();
        let mut number = 0;
        while let Ok(Message::Binary(frame)) = socket.read() {
            let answers = match ClientFrame::parse(&frame).unwrap() {
                ClientFrame::Hello => vec![welcome()],
                ClientFrame::Join { id, room } => vec![joined_answer(id, 1, room, 0, 0)],
                ClientFrame::Send { room, payload } => {
                    number += 1;
                    answer(number).into_iter().map(|seq| publish(room, seq, payload)).collect()
                }
                ClientFrame::Other => Vec::new(),
            };
            for answer in answers {
                socket.send(Message::binary(answer)).unwrap();
            }
        }
    });
    address
}

#[test]
fn a_right_server_passes_both_workloads() {
    let address = plain_server();
    let rooms = play(address, Layout { rooms: 3, members: 4 }, Pacing::Open { hz: 40.0 });
    assert!(rooms.is_clean(), "{rooms:?}");
    assert_eq!((rooms.sent, rooms.expected), (120, 480));
    assert!(rooms.server.is_some() && rooms.window_deliveries > 0);

    let layout = Layout { rooms: 2, members: 5 };
    let fanout = play_game(address, layout, Game::Fanout, Pacing::Open { hz: 40.0 });
    assert!(fanout.is_clean(), "{fanout:?}");
    assert_eq!((fanout.sent, fanout.expected, fanout.hz), (20, 100, Some(40.0)));

    let pingpong = play(address, Layout { rooms: 1, members: 1 }, Pacing::Closed { flight: 1 });
    assert!(pingpong.is_clean() && pingpong.sent > 10, "{pingpong:?}");
}

#[test]
fn a_right_server_passes_at_saturation() {
    let address = plain_server();
    for game in [Game::Everyone, Game::Fanout] {
        let report = play_game(address, Layout { rooms: 2, members: 5 }, game, Pacing::Closed { flight: 8 });
        assert!(report.is_clean() && report.sent > 100, "{report:?}");
        assert_eq!((report.flight, report.hz, report.expected), (Some(8), None, 5 * report.sent));
        assert!(report.deliveries_per_s > 0.0, "{report:?}");
    }
}

#[test]
fn a_server_without_rings_is_told_so() {
    let plan = Plan { pacing: Pacing::Open { hz: 1.0 }, warmup_ns: 0, window_ns: 1 };
    let (layout, game, stay) = (Layout { rooms: 1, members: 9 }, Game::Ring(4), Stay::Connection);
    let options = Options { address: plain_server(), server_pid: None, layout, game, stay, plan };
    let Err(error) = Load::connect(&options) else { panic!("it was let in") };
    assert!(error.to_string().contains("no rooms of the kind \"ring\""), "{error}");
}

#[test]
fn a_doubling_server_is_caught() {
    let address = odd_server(|n| if n == 5 { vec![5, 5] } else { vec![n] });
    let report = play(address, Layout { rooms: 1, members: 1 }, Pacing::Open { hz: 100.0 });
    assert!(!report.is_clean() && report.errors > 0, "{report:?}");
}

#[test]
fn a_server_that_leaves_a_hole_in_its_numbers_is_caught() {
    let address = odd_server(|n| vec![if n < 5 { n } else { n + 1 }]);
    let report = play(address, Layout { rooms: 1, members: 1 }, Pacing::Open { hz: 100.0 });
    assert_eq!((report.errors, report.delivered), (1, report.expected), "{report:?}");
}

#[test]
fn a_losing_server_is_caught() {
    let address = odd_server(|n| if n == 5 { vec![] } else { vec![n] });
    let report = play(address, Layout { rooms: 1, members: 1 }, Pacing::Open { hz: 100.0 });
    assert!(!report.is_clean() && report.delivered + 1 == report.expected, "{report:?}");

    let address = odd_server(|n| if n == 5 { vec![] } else { vec![n] });
    let report = play(address, Layout { rooms: 1, members: 1 }, Pacing::Closed { flight: 4 });
    assert!(!report.is_clean() && report.errors > 0, "{report:?}");
}
