//! The workloads that a server of its own must pass: Parlor, the plain one, and the one on bun where there is a bun.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot connect has failed")]

mod server;

use parlor_bench::check::{Game, Layout};
use parlor_bench::load::churn::{ChurnOptions, ChurnReport, churn};
use parlor_bench::load::crowd::{CrowdReport, Scene, idle};
use parlor_bench::load::empty::empty;
use parlor_bench::load::{Load, Options, Pacing, Plan, Report, Stay};
use server::{PARLOR, PLAIN, Server};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

fn play(server: &Server, layout: Layout, game: Game, pacing: Pacing) -> Report {
    let plan = Plan { pacing, warmup_ns: 50_000_000, window_ns: 300_000_000 };
    let (address, server_pid, stay) = (server.address, Some(server.pid()), Stay::Connection);
    Load::connect(&Options { address, server_pid, layout, game, stay, plan }).unwrap().play().unwrap()
}

fn play_churn(server: &Server) -> ChurnReport {
    let (address, server_pid) = (server.address, Some(server.pid()));
    let options = ChurnOptions { address, server_pid, flight: 4, warmup_ns: 50_000_000, window_ns: 500_000_000 };
    churn(&options).unwrap()
}

/// What every server must do. `settle` waits until the last game's players are gone: its rooms have the names of the next one's, and who
/// comes into a room that is about to end is told so.
fn plays_what_all_play(server: &Server, settle: fn(&Server)) {
    let layout = Layout { rooms: 3, members: 4 };
    for game in [Game::Everyone, Game::Fanout] {
        for pacing in [Pacing::Open { hz: 40.0 }, Pacing::Closed { flight: 5 }] {
            let report = play(server, layout, game, pacing);
            assert!(report.is_clean() && report.sent > 10, "{report:?}");
            settle(server);
        }
    }
    let report = play_churn(server);
    assert!(report.is_clean() && report.cycles > 0 && report.cycles_per_s > 0.0, "{report:?}");
    settle(server);

    let (address, server_pid, window) = (server.address, server.pid(), Duration::ZERO);
    let scene = Scene { address, server_pid, layout, stay: Stay::Connection, hz: 1.0, window, stalling: 0, kills: 0 };
    let report = idle(&scene).unwrap();
    assert!(report.is_clean(), "{report:?}");
    let CrowdReport::Idle(report) = report else { panic!("{report:?}") };
    assert_eq!((report.kept, report.sessions), (false, 12));
}

#[test]
fn the_plain_server_plays() {
    plays_what_all_play(&Server::start(&mut Command::new(PLAIN)), |_| {});
}

#[test]
fn parlor_plays() {
    plays_what_all_play(&Server::start(&mut Command::new(PARLOR)), no_rooms_are_left);
}

/// With `PARLOR_BUN` for the program, or a `bun` in the path.
#[test]
fn bun_plays() {
    let bun = std::env::var_os("PARLOR_BUN").unwrap_or_else(|| "bun".into());
    if Command::new(&bun).arg("--version").output().is_err() {
        // Not by a macro, whose words the test's harness would keep to itself.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: there is no bun, so its server is not tested (set PARLOR_BUN to one)"
        );
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/bun/server.ts");
    plays_what_all_play(&Server::start(Command::new(bun).arg(script)), |_| {});
}

#[test]
fn each_in_a_ring_hears_its_neighbours() {
    let server = Server::start(&mut Command::new(PARLOR));
    let layout = Layout { rooms: 1, members: 30 };
    for pacing in [Pacing::Open { hz: 20.0 }, Pacing::Closed { flight: 3 }] {
        let report = play(&server, layout, Game::Ring(20), pacing);
        assert!(report.is_clean() && report.expected == 21 * report.sent && report.sent > 100, "{report:?}");
    }
}

#[test]
fn churn_leaves_no_rooms_behind() {
    let server = Server::start(&mut Command::new(PARLOR));
    assert!(play_churn(&server).is_clean());
    no_rooms_are_left(&server);
}

/// The last players have gone; their rooms end when the server has seen it.
fn no_rooms_are_left(server: &Server) {
    for _ in 0..100 {
        if rooms(server) == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{} rooms are still there", rooms(server));
}

fn rooms(server: &Server) -> u64 {
    let mut lobby = TcpStream::connect(server.address).unwrap();
    lobby.write_all(b"GET /v1/rooms HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    lobby.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str::<serde_json::Value>(body).unwrap()["total"].as_u64().unwrap()
}

#[test]
fn empty_rooms_are_made_and_weighed() {
    let server = Server::start(&mut Command::new(PARLOR));
    let report = empty(server.address, server.pid(), 1003).unwrap();
    assert!(report.is_clean() && report.rooms == 1003 && report.bytes_per_room > 0.0, "{report:?}");
}
