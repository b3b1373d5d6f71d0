//! Small crowds against Parlor, which brings everybody back, and against a server that cannot, which is caught.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot connect has failed")]

mod server;

use parlor_bench::check::Layout;
use parlor_bench::load::Stay;
use parlor_bench::load::crowd::{CrowdReport, Scene, crash, idle, stalled, storm};
use server::{PARLOR, PLAIN, Server};
use std::process::Command;
use std::time::Duration;

/// A server of its own, and a scene on it.
fn scene(program: &str, layout: Layout) -> (Server, Scene) {
    scene_on(Server::start(&mut Command::new(program)), layout)
}

fn scene_on(server: Server, layout: Layout) -> (Server, Scene) {
    let (address, server_pid, window) = (server.address, server.pid(), Duration::from_millis(500));
    (server, Scene { address, server_pid, layout, stay: Stay::Kept, hz: 50.0, window, stalling: 1, kills: 2 })
}

const SMALL: Layout = Layout { rooms: 2, members: 4 };

#[test]
fn idle_sessions_are_counted_and_weighed() {
    let (_server, scene) = scene(PARLOR, SMALL);
    let report = idle(&scene).unwrap();
    assert!(report.is_clean(), "{report:?}");
    let CrowdReport::Idle(report) = report else { panic!("{report:?}") };
    assert!(report.kept && report.sessions == 8 && report.rss_kib >= report.rss_before_kib, "{report:?}");
}

#[test]
fn all_come_back_from_a_storm() {
    let (_server, scene) = scene(PARLOR, SMALL);
    let report = storm(&scene).unwrap();
    assert!(report.is_clean(), "{report:?}");
    let CrowdReport::Storm(report) = report else { panic!("{report:?}") };
    assert_eq!((report.dropped, report.back, report.recovered + report.views), (6, 6, 6), "{report:?}");
}

#[test]
fn stalled_readers_are_up_to_date_again() {
    let (_server, scene) = scene(PARLOR, SMALL);
    // More than an outbox, in four seconds. How much of it the kernel takes differs, and so whether views are owed.
    let report = stalled(&Scene { hz: 1500.0, window: Duration::from_secs(4), ..scene }).unwrap();
    assert!(report.is_clean(), "{report:?}");
    let CrowdReport::Stalled(report) = report else { panic!("{report:?}") };
    assert_eq!((report.stalled, report.back), (2, 8), "{report:?}");
}

#[test]
fn rooms_go_on_when_their_process_is_killed() {
    let server = Server::start(Command::new(PARLOR).args(["--workers", "2"]));
    let (_server, scene) = scene_on(server, Layout { rooms: 4, members: 3 });
    let report = crash(&scene).unwrap();
    assert!(report.is_clean(), "{report:?}");
    let CrowdReport::Crash(report) = report else { panic!("{report:?}") };
    assert_eq!((report.rooms, report.kills, report.processes, report.disconnected), (4, 2, 2, 0), "{report:?}");
}

#[test]
fn a_server_without_workers_to_kill_is_told() {
    let (_server, scene) = scene(PARLOR, SMALL);
    let error = crash(&scene).unwrap_err();
    assert!(error.to_string().contains("0 worker processes"), "{error}");
}

#[test]
fn a_server_to_which_nobody_can_come_back_is_caught() {
    let (_server, scene) = scene(PLAIN, SMALL);
    let report = storm(&scene).unwrap();
    assert!(!report.is_clean(), "{report:?}");
}
