//! All rounds of all points.

use super::point::{BUN, PARLOR, Point, RATE, Rate, find};
use super::record::{Record, Run, Subject};
use super::run::{self, Bench};
use super::{calls, stats};
use crate::proc::{self, Failure};
use std::path::PathBuf;

/// Rounds in which system calls are counted too: they hardly differ.
const COUNTED_ROUNDS: usize = 3;

/// Where the record is kept, from the first point on.
fn file() -> PathBuf {
    proc::target_dir().join("bench.json")
}

/// Plays every round of `points`. What is measured so far is always in the file.
pub(super) fn play(bench: &Bench, points: &[&'static Point], record: &mut Record) -> Result<(), Failure> {
    let (halves, mut wholes): (Vec<&Point>, Vec<&Point>) =
        points.iter().copied().partition(|point| matches!(point.rate, Rate::HalfOf(_)));
    // Half of a rate that nobody has measured is not known.
    for whole in halves.iter().filter_map(|half| whole_of(half)) {
        if !wholes.iter().any(|point| point.name == whole.name) {
            wholes.push(whole);
        }
    }
    let all: Vec<_> = wholes.iter().chain(&halves).copied().collect();
    println!("this takes about {:.0} min", estimated_s(bench, &all) / 60.0);
    play_rounds(bench, &wholes, record)?;
    for half in halves {
        if let Some(rate) = whole_of(half).and_then(|whole| half_rate(record, whole)) {
            record.half_hz = half.deliveries_per_turn().map(|deliveries| rate / deliveries);
            play_rounds(bench, &[half], record)?;
        }
    }
    println!("all figures are kept in {}", file().display());
    Ok(())
}

fn play_rounds(bench: &Bench, points: &[&'static Point], record: &mut Record) -> Result<(), Failure> {
    let rounds = bench.settings.rounds;
    for round in 0..rounds {
        for point in points.iter().filter(|point| round < point.rounds) {
            println!("\n{}: round {} of {}", point.name, round + 1, rounds.min(point.rounds));
            for server in order(point, round, |server| bench.programs.has(server) && keeps_up(record, point, server)) {
                play_once(bench, point, server, round, record);
            }
            record.write(&file())?;
        }
    }
    Ok(())
}

fn play_once(bench: &Bench, point: &Point, server: &'static str, round: usize, record: &mut Record) {
    let mut figures = match bench.measure(point, server, record.half_hz) {
        Ok(figures) => figures,
        Err(error) => {
            let failure = format!("{server} in {}, round {}: {error}", point.name, round + 1);
            println!("FAILED: {failure}");
            return record.failures.push(failure);
        }
    };
    if point.counted
        && round < COUNTED_ROUNDS
        && let Some(calls) = calls::count(bench, point, server, record)
    {
        figures["calls"] = calls;
    }
    let run = Run { point: point.name.to_owned(), server: server.to_owned(), round, figures };
    println!("{server:>6}: {}", run::summary(&run));
    record.runs.push(run);
}

/// The servers of a round. Whoever always came second would meet a machine that is always warmer.
fn order(point: &Point, round: usize, plays: impl Fn(&'static str) -> bool) -> Vec<&'static str> {
    let mut servers: Vec<_> = point.servers.iter().copied().filter(|server| plays(server)).collect();
    if !servers.is_empty() {
        let first = round % servers.len();
        servers.rotate_left(first);
    }
    servers
}

fn whole_of(half: &Point) -> Option<&'static Point> {
    match half.rate {
        Rate::HalfOf(whole) => find(whole),
        _ => None,
    }
}

/// Half of what bun delivers at saturation; without bun, of what the slowest server does.
fn half_rate(record: &Record, whole: &'static Point) -> Option<f64> {
    let of = |server| saturation(record, whole, server);
    let slowest = || whole.servers.iter().filter_map(|server| of(server)).min_by(f64::total_cmp);
    of(BUN).or_else(slowest).map(|rate| rate / 2.0)
}

fn saturation(record: &Record, whole: &Point, server: &'static str) -> Option<f64> {
    record.estimate(Subject { point: whole.name, server }, &RATE).map(|rate| rate.median)
}

/// Whether a server is to play a point: a rate beyond its own saturation would only measure how long its queue grows.
/// Parlor plays all the same: it is what the point is about.
fn keeps_up(record: &Record, half: &Point, server: &'static str) -> bool {
    let (Some(whole), Some(hz), Some(deliveries)) = (whole_of(half), record.half_hz, half.deliveries_per_turn()) else {
        return true;
    };
    server == PARLOR || saturation(record, whole, server).is_none_or(|most| hz * deliveries < most)
}

fn estimated_s(bench: &Bench, points: &[&'static Point]) -> f64 {
    let seconds = points.iter().map(|point| {
        let servers = point.servers.iter().filter(|server| bench.programs.has(server)).count();
        let rounds = bench.settings.rounds.min(point.rounds);
        let counts = if point.counted { rounds.min(COUNTED_ROUNDS) } else { 0 };
        let one = bench.seconds(point) + bench.settings.warmup + point.extra_s;
        stats::count(servers) * stats::count(rounds + counts) * one
    });
    seconds.sum()
}

#[cfg(test)]
mod tests {
    use super::super::point::PLAIN;
    use super::super::record::made_up;
    use super::*;
    use serde_json::json;

    #[test]
    fn the_order_rotates_among_those_that_play() {
        let point = find("rooms-half").unwrap();
        let orders: Vec<_> = (0..3).map(|round| order(point, round, |_| true)).collect();
        assert_eq!(orders, [[PLAIN, PARLOR, BUN], [PARLOR, BUN, PLAIN], [BUN, PLAIN, PARLOR]]);
        assert_eq!(order(point, 1, |server| server != PLAIN), [BUN, PARLOR]);
        assert!(order(point, 1, |_| false).is_empty());
    }

    #[test]
    fn half_of_saturation_is_buns_and_plain_stays_out_of_what_it_cannot_do() {
        let rate = |rate: f64| json!({"deliveries_per_s": rate});
        let whole = find("rooms-saturated").unwrap();
        let half = find("rooms-half").unwrap();
        let series = [
            (whole.name, BUN, rate(1_000_000.0)),
            (whole.name, PARLOR, rate(300_000.0)),
            (whole.name, PLAIN, rate(4e5)),
        ];
        let mut record = made_up(&series, 1);
        assert_eq!(half_rate(&record, whole), Some(500_000.0));
        assert_eq!(half_rate(&made_up(&series[1..], 1), whole), Some(150_000.0));
        record.half_hz = Some(100.0);
        let plays = [PLAIN, PARLOR, BUN].map(|server| keeps_up(&record, half, server));
        assert_eq!(plays, [false, true, true]);
        assert!(keeps_up(&record, whole, PLAIN));
    }
}
