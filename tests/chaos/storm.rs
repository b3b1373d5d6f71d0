//! Two thousand clients that lose their connections in the same moment, beside a room that nothing happens to.

use std::time::Duration;

use parlor::broker::broker::{Setup, Threads};
use parlor_client::{Codec, LifecycleEvent};
use parlor_tests::seed::fork;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;

use crate::check::check;
use crate::net::Weather;
use crate::player::Player;
use crate::run::{Cast, Hall, Seat, connect, open, play, start};
use crate::wire::{Tap, Wire};

const CLIENTS: usize = 2_000;
const ROOMS: usize = 250;
/// In the room that nothing happens to.
const SPARED: usize = 5;
const STORM: Duration = Duration::from_secs(8);
const OVER: Duration = Duration::from_secs(20);

/// What is wrong after a storm.
pub(crate) fn run(seed: u64) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let report = runtime.block_on(async {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let setup = Setup { threads: Threads::Here, ..Setup::default() };
        let broker = start(&parlor_tests::config(), setup).await;
        let halls: Vec<_> = (0..=ROOMS).map(|_| open(&broker, false)).collect();
        let began = Instant::now();
        let seats = (0..CLIENTS + SPARED).map(|number| seat(number, &halls, &mut rng, began)).collect();
        let connector = broker.connector();
        let cast = Cast { halls, seats };
        play(broker, cast, move |weather, options| connect(connector.clone(), weather, options)).await
    });
    let mut wrong = check(&report);
    for (number, client) in report.clients.iter().enumerate() {
        let back = client.lifecycle.iter().filter(|event| matches!(event, LifecycleEvent::Resumed { .. })).count();
        let cuts = client.minutes.iter().filter(|minute| matches!(minute.wire, Wire::Cut)).count();
        let expected = usize::from(number < CLIENTS);
        if (back, cuts.min(1)) != (expected, expected) {
            wrong.push(format!("client {number} was cut {cuts} times and came back {back} times"));
        }
    }
    wrong
}

fn seat(number: usize, halls: &[Hall], rng: &mut ChaCha8Rng, began: Instant) -> Seat {
    let spared = number >= CLIENTS;
    let room = if spared { ROOMS } else { number % ROOMS };
    let codec = if number.is_multiple_of(3) { Codec::Json } else { Codec::MsgPack };
    let tap = Tap::new(codec, Vec::new());
    let weather = Weather::new(fork(rng), began + OVER, tap.clone());
    let weather = if spared { weather.fair() } else { weather.storm(began + STORM) };
    let pause = if spared { Duration::from_millis(200) } else { Duration::from_secs(12) };
    let player = Player {
        number,
        rng: fork(rng),
        rooms: vec![(room, halls[room].id.clone())],
        heal: began + OVER,
        pad: 20,
        pause,
        looks_away: Duration::ZERO,
        cruel: false,
        quiet: Duration::from_secs(5),
    };
    Seat { player, weather, options: Player::options(rng, codec), tap }
}
