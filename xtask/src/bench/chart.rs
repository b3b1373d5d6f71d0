//! A picture of medians: bars or lines over categories, with whiskers for the intervals, as SVG.
//!
//! The background is left out and all colours are of middle lightness, so that it reads on a light page and on a dark one.

use super::report::number;
use super::stats::{Estimate, count};
use crate::proc::Failure;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, Ranged};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;

const SIZE: (u32, u32) = (860, 380);
const FONT: &str = "sans-serif";
/// Of text and whiskers.
const INK: RGBColor = RGBColor(0x7d, 0x85, 0x90);
/// The share of a category's width that its bars take.
const FILLED: f64 = 0.8;
/// Between the ends of a whisker, in pixels, on either side.
const CAP: i32 = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Bars,
    Lines,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    Linear,
    Log,
}

pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) x_label: &'static str,
    pub(super) y_label: &'static str,
    pub(super) style: Style,
    pub(super) scale: Scale,
    pub(super) categories: Vec<String>,
    pub(super) series: Vec<Series>,
}

/// What one server gave, by category.
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) colour: RGBColor,
    pub(super) values: Vec<Option<Estimate>>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

impl Chart {
    /// The picture; none when there is nothing to show.
    pub(super) fn draw(&self) -> Result<Option<String>, Failure> {
        let Some(axis) = self.axis() else { return Ok(None) };
        let mut picture = String::new();
        {
            let area = SVGBackend::with_string(&mut picture, SIZE).into_drawing_area();
            self.draw_on(&area, axis).map_err(|error| format!("{}: {error}", self.title))?;
            area.present()?;
        }
        // Readers that cannot see it are told that it is a picture, not a list of shapes.
        Ok(Some(picture.replacen("<svg ", "<svg role=\"img\" ", 1)))
    }

    fn draw_on<'a>(&self, area: &Area<'a>, axis: Axis) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let text = |size: u32| (FONT, size).into_font().color(&INK);
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .margin_top(40)
            .set_label_area_size(LabelAreaPosition::Left, 84)
            .set_label_area_size(LabelAreaPosition::Bottom, 48)
            .build_cartesian_2d(0.0..count(self.categories.len()), axis)?;
        let scale = self.scale;
        let label = move |at: &f64| number(scale.value(*at));
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(0)
            .axis_style(INK)
            .bold_line_style(INK.mix(0.3))
            .light_line_style(TRANSPARENT)
            .y_desc(self.y_label)
            .axis_desc_style(text(14))
            .y_label_formatter(&label)
            .y_label_style(text(13))
            .draw()?;
        area.draw(&Text::new(self.title, (12, 8), text(17)))?;
        let at = |x: f64, value: f64| chart.backend_coord(&(x, scale.position(value)));
        let bottom = chart.plotting_area().get_pixel_range().1.end;
        for (index, series) in self.series.iter().enumerate() {
            self.draw_series(area, series, index, (&at, bottom))?;
            self.draw_legend(area, series, index, text(13))?;
        }
        let centred = text(13).pos(Pos::new(HPos::Center, VPos::Top));
        for (index, category) in self.categories.iter().enumerate() {
            let (x, _) = chart.backend_coord(&(count(index) + 0.5, 0.0));
            area.draw(&Text::new(category.clone(), (x, bottom + 8), centred.clone()))?;
        }
        let (x, _) = chart.backend_coord(&(count(self.categories.len()) / 2.0, 0.0));
        area.draw(&Text::new(self.x_label, (x, bottom + 30), centred))
    }

    fn draw_series(
        &self,
        area: &Area<'_>,
        series: &Series,
        index: usize,
        (at, bottom): (&dyn Fn(f64, f64) -> (i32, i32), i32),
    ) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let width = FILLED / count(self.series.len());
        let left = match self.style {
            Style::Bars => (1.0 - FILLED) / 2.0 + width * count(index),
            // Side by side only as far as whiskers need.
            Style::Lines => 0.5 - width / 2.0,
        };
        let shown = series.values.iter().enumerate().filter_map(|(category, value)| Some((category, (*value)?)));
        let mut tops = Vec::new();
        for (category, Estimate { median, low, high, .. }) in shown {
            let from = count(category) + left;
            let (x0, top) = at(from, median);
            let (x1, _) = at(from + width, median);
            let middle = i32::midpoint(x0, x1);
            if self.style == Style::Bars {
                area.draw(&Rectangle::new([(x0 + 1, top), (x1 - 1, bottom)], series.colour.filled()))?;
            }
            let (lowest, highest) = (at(from, low).1, at(from, high).1);
            for line in [
                [(middle, lowest), (middle, highest)],
                [(middle - CAP, lowest), (middle + CAP, lowest)],
                [(middle - CAP, highest), (middle + CAP, highest)],
            ] {
                area.draw(&PathElement::new(line.to_vec(), INK.stroke_width(2)))?;
            }
            if self.style == Style::Bars {
                let centred = (FONT, 11).into_font().color(&INK).pos(Pos::new(HPos::Center, VPos::Bottom));
                area.draw(&Text::new(number(median), (middle, highest - 4), centred))?;
            }
            tops.push((middle, top));
        }
        if self.style == Style::Lines {
            for top in &tops {
                area.draw(&Circle::new(*top, 4, series.colour.filled()))?;
            }
            area.draw(&PathElement::new(tops, series.colour.stroke_width(2)))?;
        }
        Ok(())
    }

    /// At the right, in the line of the title.
    fn draw_legend(
        &self,
        area: &Area<'_>,
        series: &Series,
        index: usize,
        text: TextStyle<'_>,
    ) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        const STEP: i32 = 76;
        let behind = i32::try_from(self.series.len() - index).unwrap_or_default();
        let (x, y) = (i32::try_from(SIZE.0).unwrap_or_default() - 12 - behind * STEP, 10);
        area.draw(&Rectangle::new([(x, y), (x + 12, y + 12)], series.colour.filled()))?;
        area.draw(&Text::new(series.name, (x + 18, y), text))
    }

    fn axis(&self) -> Option<Axis> {
        let shown = self.series.iter().flat_map(|series| series.values.iter().flatten());
        let bounds = shown.flat_map(|value| [value.low, value.high]).filter(|value| *value > 0.0);
        let (low, high) = bounds.fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        (high > 0.0).then(|| self.scale.axis(low, high))
    }
}

/// A vertical axis and where its lines are.
struct Axis {
    range: Range<f64>,
    lines: Vec<f64>,
}

impl Ranged for Axis {
    type FormatOption = plotters::coord::ranged1d::NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (low, high): (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        #[expect(clippy::cast_possible_truncation, reason = "a pixel")]
        let pixels = (share * f64::from(high - low)).round() as i32;
        low + pixels
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.lines.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl plotters::coord::ranged1d::ValueFormatter<f64> for Axis {}

impl Scale {
    /// Where a value is on the axis.
    fn position(self, value: f64) -> f64 {
        match self {
            Scale::Linear => value,
            Scale::Log => value.max(f64::MIN_POSITIVE).log10(),
        }
    }

    fn value(self, position: f64) -> f64 {
        match self {
            Scale::Linear => position,
            Scale::Log => 10.0_f64.powf(position),
        }
    }

    /// An axis that has room for both and for a label above the higher, with round values at its lines.
    fn axis(self, low: f64, high: f64) -> Axis {
        match self {
            Scale::Linear => {
                let rough = high / 5.0;
                let decade = 10.0_f64.powf(rough.log10().floor());
                let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * decade).find(|step| *step >= rough);
                let step = step.unwrap_or(rough);
                let top = high * 1.1;
                let lines = (0..20).map(|line| f64::from(line) * step).take_while(|line| *line <= top);
                Axis { range: 0.0..top, lines: lines.collect() }
            }
            Scale::Log => {
                let range = (low * 0.7).log10()..(high * 1.4).log10();
                let lines =
                    (-6..12).flat_map(|decade| [1.0, 2.0, 5.0].map(|digit: f64| digit.log10() + f64::from(decade)));
                let lines = lines.filter(|line| range.contains(line)).collect();
                Axis { range, lines }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(scale: Scale, style: Style, values: Vec<Option<Estimate>>) -> Chart {
        let series = vec![Series { name: "one", colour: RED, values }];
        let categories = vec!["first".to_owned(), "second".to_owned()];
        Chart { title: "Title", x_label: "x", y_label: "y", style, scale, categories, series }
    }

    fn value(median: f64) -> Option<Estimate> {
        Some(Estimate { median, low: median * 0.9, high: median * 1.1, rounds: 10 })
    }

    #[test]
    fn lines_of_an_axis_are_round_values_within_it() {
        let linear = Scale::Linear.axis(1.0, 4.4);
        assert_eq!(linear.lines, [0.0, 1.0, 2.0, 3.0, 4.0]);
        let log: Vec<_> = Scale::Log.axis(30.0, 700.0).lines.iter().map(|line| 10.0_f64.powf(*line).round()).collect();
        assert_eq!(log, [50.0, 100.0, 200.0, 500.0]);
    }

    #[test]
    fn a_bar_stands_from_the_axis_to_its_value() {
        let picture = chart(Scale::Linear, Style::Bars, vec![value(2.0), value(4.0)]).draw().unwrap().unwrap();
        let heights: Vec<i32> = picture
            .lines()
            .filter(|line| line.starts_with("<rect") && line.contains("fill=\"#FF0000\""))
            .map(|line| line.split("height=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            .collect();
        // Two bars and the legend's square; the second is twice the first.
        assert_eq!(heights.len(), 3, "{picture}");
        assert!((heights[1] - 2 * heights[0]).abs() <= 1, "{heights:?}");
        for word in ["Title", "first", "second", "one", ">\ny\n", ">\nx\n"] {
            assert!(picture.contains(word), "{word}: {picture}");
        }
    }

    #[test]
    fn a_line_has_no_bars_and_nothing_has_no_picture() {
        let picture = chart(Scale::Log, Style::Lines, vec![value(10.0), value(1000.0)]).draw().unwrap().unwrap();
        assert!(picture.contains("<polyline") && picture.matches("<circle").count() == 2, "{picture}");
        assert!(chart(Scale::Linear, Style::Bars, vec![None, None]).draw().unwrap().is_none());
    }
}
