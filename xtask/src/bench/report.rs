//! From a record to the report: Markdown, and pictures beside it.

use super::plots;
use super::point::{APART, BUN, FIGURES, Figure, KEPT, PARLOR, PLAIN, POINTS, Point, RATE, Rate, SPARE, find};
use super::record::{Record, Subject};
use super::run::{generator_was_full, was_disturbed};
use super::stats::{ENOUGH, Estimate};
use super::target::{TARGETS, Verdict};
use crate::proc::Failure;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// The report's file; its pictures are in a folder of the same name.
pub(super) const FILE: &str = "benchmark.md";
const PICTURES: &str = "benchmark";

/// The name in the tables of what the report cannot say.
const NOTHING: &str = "-";
/// Behind a figure that is the load generator's limit and not the server's.
const FULL: &str = "†";

/// Points that are read together, under one heading, with the picture of them.
struct Section {
    heading: &'static str,
    points: &'static [&'static str],
    picture: Option<&'static str>,
}

const SECTIONS: [Section; 7] = [
    Section { heading: "Round trip", points: &["pingpong", "pingpong-unpinned"], picture: Some(plots::ROUND_TRIP) },
    Section { heading: "Rooms", points: &["rooms", "rooms-half", "rooms-saturated"], picture: Some(plots::LATENCY) },
    Section {
        heading: "Fan-out",
        points: &["fanout-1", "fanout-10", "fanout-100", "fanout-1000"],
        picture: Some(plots::FANOUT),
    },
    Section { heading: "One large room", points: &["mmo", "mmo-saturated"], picture: None },
    Section { heading: "Churn", points: &["churn"], picture: None },
    Section { heading: "Memory", points: &["idle", "empty"], picture: None },
    Section { heading: "When something goes wrong", points: &["stalled", "storm", "crash"], picture: None },
];

/// Writes the report and its pictures into a folder.
pub(super) fn write(record: &Record, place: &Path) -> Result<(), Failure> {
    let pictures = plots::draw(record)?;
    fs::create_dir_all(place.join(PICTURES))?;
    for (name, picture) in &pictures {
        fs::write(place.join(PICTURES).join(name), picture)?;
    }
    let drawn: Vec<_> = pictures.iter().map(|(name, _)| *name).collect();
    Ok(fs::write(place.join(FILE), markdown(record, &drawn))?)
}

fn markdown(record: &Record, pictures: &[&str]) -> String {
    let picture = |name: &str, what: &str| match pictures.contains(&name) {
        true => format!("![{what}]({PICTURES}/{name})\n\n"),
        false => String::new(),
    };
    let mut out = introduction(record);
    let _ = write!(out, "## Targets\n\n{}\n", targets(record));
    out.push_str(&picture(plots::CPU_FILE, "server CPU per delivery, by point and server"));
    for section in &SECTIONS {
        let table = section_table(record, section);
        if !table.is_empty() {
            let name = section.picture.unwrap_or_default();
            let _ = write!(out, "## {}\n\n{}{table}\n", section.heading, picture(name, section.heading));
        }
    }
    let calls = calls(record);
    if !calls.is_empty() {
        let _ = write!(out, "## System calls\n\n{calls}\n");
    }
    out + &caveats(record)
}

fn introduction(record: &Record) -> String {
    let (machine, settings) = (&record.machine, &record.settings);
    let pinned = match settings.pinned {
        true => "Server and load generator run on a core each, unless a point says that they are not pinned.",
        false => "Nothing was pinned.",
    };
    let mut out = format!(
        "# Benchmark\n\n\
         What `cargo xtask bench --write` measured and wrote. The same load is played on a fresh server each time: on\n\
         **plain**, a tokio-tungstenite server that forwards what it receives; on **parlor**, embedded, with a handler that\n\
         broadcasts; and on **bun**, whose WebSocket server is uWebSockets, by its topics. They speak one protocol; one load generator,\n\
         a process of its own, checks that every message arrives once and in order. In each of {} rounds every server runs for {} s\n\
         after {} s of warm-up, in an order that rotates. Latency is taken from the time at which a message was to be sent.\n\
         {pinned}\n\n\
         Figures are medians over the rounds; in brackets is the 95 % interval of the median, by order statistics: the ranks that\n\
         hold it with that probability whatever the distribution. With fewer than {ENOUGH} rounds it is lowest to highest.\n\
         Ratios are taken within a round.\n\n\
         | machine | |\n|---|---|\n| measured | {} |\n| CPU | {}, {} cores |\n| memory | {:.1} GiB |\n\
         | kernel | Linux {} |\n| one loopback send of 80 bytes | {:.1} us |\n",
        settings.rounds,
        settings.seconds,
        settings.warmup,
        machine.day,
        machine.cpu,
        machine.cores,
        machine.memory_gib,
        machine.kernel,
        machine.send_us,
    );
    for (what, version) in &machine.versions {
        let _ = writeln!(out, "| {what} | {version} |");
    }
    out.push_str("\n| point | what is played |\n|---|---|\n");
    for point in POINTS.iter().filter(|point| !record.servers(point).is_empty()) {
        let _ = writeln!(out, "| `{}` | {} |", point.name, meaning(record, point));
    }
    out + "\n"
}

fn meaning(record: &Record, point: &Point) -> String {
    match (point.rate, record.half_hz) {
        (Rate::HalfOf(_), Some(hz)) => format!("{}: {hz:.1} Hz a client", point.meaning),
        _ => point.meaning.to_owned(),
    }
}

/// The table of all targets.
pub(super) fn targets(record: &Record) -> String {
    let mut out = "| point | Parlor's | against | target | measured | |\n|---|---|---|--:|--:|---|\n".to_owned();
    for target in TARGETS {
        let against = target.against();
        let unit = if against == NOTHING { "" } else { "x" };
        let full = target.subjects().any(|subject| is_generators_limit(record, subject, &target.figure));
        let unit_and_mark = format!("{unit}{}", if full { FULL } else { "" });
        let measured = target.estimate(record);
        let measured = measured.map_or(NOTHING.to_owned(), |estimate| interval(estimate, &unit_and_mark));
        let bound = target.bound.in_words(unit);
        let verdict = verdict(target.verdict(record));
        let _ =
            writeln!(out, "| `{}` | {} | {against} | {bound} | {measured} | {verdict} |", target.point(), target.what);
    }
    let explanation = explanation(&out);
    out + explanation
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Met => "met",
        Verdict::Missed => "**missed**",
        Verdict::Unclear => "unclear",
        Verdict::NotMeasured => "not measured",
    }
}

/// Parlor otherwise than it is in the column of its name.
const VARIANTS: [(&str, &str); 3] = [
    (KEPT, "sessions that outlive their connections, which acknowledge and can be resumed"),
    (APART, "its handlers in a process of their own; CPU and memory are those of both"),
    (SPARE, "two such processes, one of which takes over when the other dies"),
];

/// A table of a section's points: figures by server, and Parlor's as multiples of the others'.
fn section_table(record: &Record, section: &Section) -> String {
    let points: Vec<_> = section.points.iter().filter_map(|name| find(name)).collect();
    let has = |server: &&str| points.iter().any(|point| record.servers(point).contains(server));
    let servers: Vec<_> = [PLAIN, PARLOR, BUN, KEPT, APART, SPARE].into_iter().filter(has).collect();
    let others: Vec<_> = [PLAIN, BUN].into_iter().filter(|other| has(other) && has(&PARLOR)).collect();
    if servers.is_empty() {
        return String::new();
    }
    let headings = servers.iter().copied().map(str::to_owned);
    let headings: Vec<_> = headings.chain(others.iter().map(|other| format!("parlor / {other}"))).collect();
    let mut out = format!("| point | | {} |\n|---|---|{}\n", headings.join(" | "), "--:|".repeat(headings.len()));
    for point in points {
        for figure in FIGURES {
            let cells: Vec<_> = servers.iter().map(|server| cell(record, point, server, figure)).collect();
            if cells.iter().all(|cell| cell == NOTHING) {
                continue;
            }
            let of = |server| Subject { point: point.name, server };
            let ratio = |other: &&'static str| record.ratio(of(PARLOR), of(other), figure);
            let ratios = others.iter().map(|other| ratio(other).map_or(NOTHING.to_owned(), |it| interval(it, "x")));
            let row: Vec<_> = cells.into_iter().chain(ratios).collect();
            let _ = writeln!(out, "| `{}` | {} | {} |", point.name, figure.label, row.join(" | "));
        }
    }
    let explanation = explanation(&out);
    out.push_str(explanation);
    for (server, what) in VARIANTS.iter().filter(|(server, _)| servers.contains(server)) {
        let _ = writeln!(out, "\n{server}: Parlor with {what}.");
    }
    out
}

fn cell(record: &Record, point: &Point, server: &'static str, figure: &Figure) -> String {
    let subject = Subject { point: point.name, server };
    let mark = if is_generators_limit(record, subject, figure) { FULL } else { "" };
    record.estimate(subject, figure).map_or(NOTHING.to_owned(), |estimate| interval(estimate, mark))
}

/// Whether a figure says how fast the load generator is: it was the bottleneck in most rounds.
fn is_generators_limit(record: &Record, subject: Subject, figure: &Figure) -> bool {
    let runs = record.runs.iter().filter(|run| run.point == subject.point && run.server == subject.server);
    let (full, not): (Vec<_>, Vec<_>) = runs.partition(|run| generator_was_full(run));
    figure.label == RATE.label && full.len() > not.len()
}

/// What the mark in a table says, if it is there.
fn explanation(table: &str) -> &'static str {
    match table.contains(FULL) {
        true => "\n† The load generator had no core left: the server could have delivered more.\n",
        false => "",
    }
}

/// The system calls of each server at each point where they were counted, the most frequent first.
fn calls(record: &Record) -> String {
    let mut out = String::new();
    for point in POINTS {
        for server in record.servers(point) {
            let counted = record.runs.iter().filter(|run| run.point == point.name && run.server == server);
            let names =
                counted.filter_map(|run| run.figures.pointer("/calls/by_name_per_delivery")?.as_object()).next();
            let Some(names) = names else { continue };
            let mut names: Vec<_> = names.iter().filter_map(|(name, calls)| Some((name, calls.as_f64()?))).collect();
            names.sort_by(|a, b| b.1.total_cmp(&a.1));
            let words: Vec<_> =
                names.iter().take(4).map(|(name, calls)| format!("{name} {}", number(*calls))).collect();
            let _ = writeln!(out, "| `{}` | {server} | {} |", point.name, words.join(", "));
        }
    }
    if out.is_empty() {
        out
    } else {
        format!("| point | server | the most frequent, per delivery |\n|---|---|---|\n{out}")
    }
}

fn caveats(record: &Record) -> String {
    let mut out = "## What to keep in mind\n\n\
         - Client and server talk over loopback: a delivery costs what the kernel takes for a send and a wake-up, and no\n  \
           network card is in the way. Absolute figures belong to this machine; compare within a column's row.\n\
         - A pinned server has one core, so a server of several threads is measured as one of a single thread.\n\
         - plain and bun do less: they have no handler, no log, no resume and no bounds for each topic.\n\
         - At saturation latency says how much is under way, not how fast a server is.\n"
        .to_owned();
    let disturbed = record.runs.iter().filter(|run| was_disturbed(run)).count();
    if disturbed > 0 {
        let all = record.runs.len();
        let _ = writeln!(out, "- In {disturbed} of {all} runs other programs used more than a fifth of a core.");
    }
    for note in &record.notes {
        let _ = writeln!(out, "- {note}");
    }
    for failure in &record.failures {
        let first = failure.lines().next().unwrap_or_default();
        let _ = writeln!(out, "- A run gave no figures: {first}");
    }
    out
}

/// A median with its interval; `unit` is put behind the median.
fn interval(estimate: Estimate, unit: &str) -> String {
    let Estimate { median, low, high, rounds } = estimate;
    match rounds {
        1 => format!("{}{unit}", number(median)),
        _ => format!("{}{unit} ({} to {})", number(median), number(low), number(high)),
    }
}

/// Three digits, or all of those before the point with commas between thousands.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => thousands(&format!("{value:.0}")),
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.9995 => format!("{value:.2}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.3}"),
    }
}

fn thousands(digits: &str) -> String {
    let mut out = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::record::{Machine, made_up};
    use super::*;
    use serde_json::{Value, json};

    fn rooms(cpu: f64, rate: f64) -> Value {
        let calls = json!({"write_per_delivery": cpu / 10.0, "by_name_per_delivery": {"read": 0.1, "writev": 0.25}});
        json!({"deliveries_per_s": rate, "server": {"cpu_us_per_delivery": cpu}, "calls": calls})
    }

    #[test]
    fn the_report_has_targets_tables_pictures_and_caveats() {
        let series = [
            ("rooms", PLAIN, rooms(5.0, 1e5)),
            ("rooms", PARLOR, rooms(4.0, 1e5)),
            ("rooms-saturated", PARLOR, rooms(2.0, 4e5)),
        ];
        let mut record = made_up(&series, 10);
        record.machine = Machine { cpu: "Some CPU".to_owned(), ..Machine::default() };
        record.notes.push("bun is left out: no npm".to_owned());
        record.failures.push("bun in churn, round 1: it ended\n{}".to_owned());
        let report = markdown(&record, &[plots::CPU_FILE]);
        for expected in [
            "| CPU | Some CPU, 0 cores |",
            "| `rooms` | CPU per delivery | plain | ≤ 0.9x | 0.800x (0.800 to 0.800) | met |",
            "| `rooms` | CPU per delivery | bun | ≤ 1x | - | not measured |",
            "| `rooms-saturated` | write calls per delivery | - | ≤ 0.3 | 0.209 (0.202 to 0.216) | met |",
            "![server CPU per delivery, by point and server](benchmark/cpu.svg)",
            "| point | | plain | parlor | parlor / plain |\n|---|---|--:|--:|--:|\n",
            "| `rooms` | CPU us per delivery | 5.22 (5.05 to 5.40) | 4.18 (4.04 to 4.32) | 0.800x (0.800 to 0.800) |",
            "| `rooms-saturated` | deliveries/s | - | 418,000 (404,000 to 432,000) | - |",
            "| `rooms` | parlor | writev 0.250, read 0.100 |",
            "\n- bun is left out: no npm\n- A run gave no figures: bun in churn, round 1: it ended\n",
        ] {
            assert!(report.contains(expected), "{expected}\n{report}");
        }
        assert!(!report.contains("latency.svg") && !report.contains("## Churn") && !report.contains(FULL), "{report}");
    }

    #[test]
    fn the_load_generators_limit_is_marked() {
        let figures = |full| json!({"deliveries_per_s": 1e6, "generator_full": full});
        let record = made_up(&[("rooms-saturated", BUN, figures(true)), ("rooms-half", BUN, figures(false))], 2);
        let table = section_table(&record, &SECTIONS[1]);
        assert!(
            table.contains("| `rooms-saturated` | deliveries/s | 1,005,000† (1,000,000 to 1,010,000) |"),
            "{table}"
        );
        assert!(table.contains("| `rooms-half` | deliveries/s | 1,005,000 (1,000,000 to 1,010,000) |"), "{table}");
        assert!(table.contains("no core left"), "{table}");
    }

    #[test]
    fn every_point_has_a_section_and_half_of_saturation_its_rate() {
        for point in POINTS {
            let sections = SECTIONS.iter().filter(|section| section.points.contains(&point.name)).count();
            assert_eq!(sections, 1, "{}", point.name);
        }
        let record = Record { half_hz: Some(53.25), ..Record::default() };
        assert!(meaning(&record, find("rooms-half").unwrap()).ends_with(": 53.2 Hz a client"));
    }

    #[test]
    fn numbers_have_three_digits() {
        let numbers = [0.0, 0.0123, 0.9999, 4.5678, 45.678, 456.78, 4567.8, 1_234_567.0];
        assert_eq!(numbers.map(number), ["0", "0.012", "1.00", "4.57", "45.7", "457", "4,568", "1,234,567"]);
    }
}
