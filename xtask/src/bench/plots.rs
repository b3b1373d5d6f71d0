//! The pictures of the report.

use super::chart::{Chart, Scale, Series, Style};
use super::point::{BUN, CPU, Figure, P50, P99, PARLOR, PLAIN, RATE};
use super::record::{Record, Subject};
use crate::proc::Failure;
use plotters::style::RGBColor;

/// The servers of all pictures, each in its colour.
const SERVERS: [(&str, RGBColor); 3] =
    [(PLAIN, RGBColor(0xd9, 0x82, 0x2b)), (PARLOR, RGBColor(0x2f, 0x81, 0xf7)), (BUN, RGBColor(0x2d, 0xa4, 0x4e))];

/// What stands over a label on the horizontal axis: a figure at a point.
type Category = (&'static str, &'static str, Figure);

/// A picture: its file, and what is in it.
struct Plot {
    file: &'static str,
    title: &'static str,
    x_label: &'static str,
    y_label: &'static str,
    style: Style,
    scale: Scale,
    categories: &'static [Category],
}

pub(super) const ROUND_TRIP: &str = "round-trip.svg";
pub(super) const CPU_FILE: &str = "cpu.svg";
pub(super) const LATENCY: &str = "latency.svg";
pub(super) const FANOUT: &str = "fanout.svg";

const PLOTS: [Plot; 4] = [
    Plot {
        file: CPU_FILE,
        title: "Server CPU per delivery, less is better",
        x_label: "point of measurement",
        y_label: "microseconds",
        style: Style::Bars,
        scale: Scale::Linear,
        categories: &[
            ("rooms", "rooms", CPU),
            ("rooms-half", "rooms-half", CPU),
            ("rooms-saturated", "rooms-saturated", CPU),
            ("fanout-10", "fanout-10", CPU),
            ("fanout-100", "fanout-100", CPU),
            ("fanout-1000", "fanout-1000", CPU),
            ("mmo-saturated", "mmo-saturated", CPU),
        ],
    },
    Plot {
        file: ROUND_TRIP,
        title: "Round trip of one client, less is better",
        x_label: "quantile; server and client on a core each, then free to move",
        y_label: "microseconds",
        style: Style::Bars,
        scale: Scale::Linear,
        categories: &[
            ("p50", "pingpong", P50),
            ("p99", "pingpong", P99),
            ("p50, not pinned", "pingpong-unpinned", P50),
            ("p99, not pinned", "pingpong-unpinned", P99),
        ],
    },
    Plot {
        file: LATENCY,
        title: "Latency in 50 rooms of 10, less is better",
        x_label: "quantile, from the intended send time; load",
        y_label: "microseconds (log)",
        style: Style::Bars,
        scale: Scale::Log,
        categories: &[
            ("p50, 20 Hz", "rooms", P50),
            ("p99, 20 Hz", "rooms", P99),
            ("p50, half of saturation", "rooms-half", P50),
            ("p99, half of saturation", "rooms-half", P99),
        ],
    },
    Plot {
        file: FANOUT,
        title: "Fan-out from one sender at saturation, more is better",
        x_label: "readers",
        y_label: "deliveries/s (log)",
        style: Style::Lines,
        scale: Scale::Log,
        categories: &[
            ("1", "fanout-1", RATE),
            ("10", "fanout-10", RATE),
            ("100", "fanout-100", RATE),
            ("1,000", "fanout-1000", RATE),
        ],
    },
];

/// The files that a record gives: their names and contents. What nobody has figures of is left out.
pub(super) fn draw(record: &Record) -> Result<Vec<(&'static str, String)>, Failure> {
    let mut files = Vec::new();
    for plot in &PLOTS {
        if let Some(picture) = plot.chart(record).draw()? {
            files.push((plot.file, picture));
        }
    }
    Ok(files)
}

impl Plot {
    fn chart(&self, record: &Record) -> Chart {
        let estimate =
            |server, category: &Category| record.estimate(Subject { point: category.1, server }, &category.2);
        let measured = |category: &&Category| SERVERS.iter().any(|(server, _)| estimate(server, category).is_some());
        let categories: Vec<_> = self.categories.iter().filter(measured).collect();
        let values = |server| categories.iter().map(|category| estimate(server, category)).collect::<Vec<_>>();
        let series = SERVERS.into_iter().map(|(name, colour)| Series { name, colour, values: values(name) });
        Chart {
            title: self.title,
            x_label: self.x_label,
            y_label: self.y_label,
            style: self.style,
            scale: self.scale,
            series: series.filter(|series| series.values.iter().any(Option::is_some)).collect(),
            categories: categories.iter().map(|category| category.0.to_owned()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::point::find;
    use super::super::record::made_up;
    use super::*;
    use serde_json::json;

    #[test]
    fn pictures_show_points_that_there_are() {
        for (_, point, _) in PLOTS.iter().flat_map(|plot| plot.categories) {
            assert!(find(point).is_some(), "{point}");
        }
    }

    #[test]
    fn only_what_was_measured_is_in_a_picture() {
        let record = made_up(&[("fanout-100", BUN, json!({"deliveries_per_s": 2e6}))], 6);
        let pictures = draw(&record).unwrap();
        assert_eq!(pictures.iter().map(|(file, _)| *file).collect::<Vec<_>>(), [FANOUT]);
        assert!(pictures[0].1.contains("bun") && !pictures[0].1.contains("parlor"), "{}", pictures[0].1);
        assert!(draw(&Record::default()).unwrap().is_empty());
    }
}
