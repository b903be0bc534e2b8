//! Draws the charts of docs/ from measurements.
//!
//!     cargo bench --bench store -- --csv FILE growth
//!     cargo run --release --manifest-path benches/compare/Cargo.toml -- --csv FILE
//!     cargo run --release --manifest-path benches/compare/Cargo.toml --bin charts -- [--out docs] FILE...
//!
//! A line of a file is `row,series,x,y,unit`. A row that is known here becomes `chart-<row>.svg` with one panel for each of
//! the units that are shown of it; other rows are passed over. Where a point is there several times, the last one counts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use plotters::coord::Shift;
use plotters::prelude::*;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const PANEL: (u32, u32) = (520, 380);
const FONT: &str = "sans-serif";
const BAR: u32 = 32;
/// Values of y that lie further apart than this factor stand on a logarithmic scale.
const LINEAR_MAX: f64 = 40.0;
const GREY: RGBColor = RGBColor(165, 165, 165);
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 94, 162),
    RGBColor(213, 94, 0),
    RGBColor(0, 138, 98),
    RGBColor(168, 70, 140),
    RGBColor(120, 94, 50),
    RGBColor(86, 164, 220),
    RGBColor(90, 90, 90),
];

/// How a row is shown.
struct Chart {
    row: &'static str,
    title: &'static str,
    /// What x is. None: each series is one bar.
    x: Option<&'static str>,
    units: &'static [&'static str],
}

const CHARTS: &[Chart] = &[
    bars("beside-put-1x100", "Put, 1 producer, 100 events a transaction, synced"),
    bars("beside-put-8x10", "Put, 8 producers, 10 events a transaction, synced"),
    bars("beside-put-1x1", "Put, 1 producer, 1 event a transaction, synced"),
    bars("beside-put-take-1x100", "Put, take and acknowledge, 100 events a transaction, synced"),
    bars("beside-memory-shared", "Memory, 100 events a transaction"),
    lines("producers", "Producers, 10 events a commit, synced", "producers", &["events/s", "us"]),
    lines("bodies", "Size of the bodies, 1 producer, synced", "bytes of a body", &["MB/s", "us"]),
    lines("channels", "Channels of one store, 100 events a commit, synced", "channels", &["events/s"]),
    lines("lanes", "Lanes on one disk, 10 events a commit, synced", "data directories", &["events/s"]),
    bars("consumer", "A consumer that keeps up, and one far behind"),
    lines("maintenance", "Puts of 20 events while the log is looked after", "settings", &["us"]),
    lines("backlog", "Events of 100 bytes waiting after a kill", "events waiting", &["s", "KiB", "events/s"]),
];

const fn bars(row: &'static str, title: &'static str) -> Chart {
    Chart { row, title, x: None, units: &["events/s"] }
}

const fn lines(row: &'static str, title: &'static str, x: &'static str, units: &'static [&'static str]) -> Chart {
    Chart { row, title, x: Some(x), units }
}

/// The series of one unit in the order in which they came, each with its points by x.
#[derive(Default)]
struct Panel(Vec<(String, BTreeMap<String, f64>)>);

/// By row and unit.
type Rows = BTreeMap<(String, String), Panel>;

fn main() -> Result {
    let mut out = PathBuf::from("docs");
    let mut rows = Rows::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--out" {
            out = arguments.next().ok_or("--out needs a directory")?.into();
        } else {
            read(&argument, &mut rows)?;
        }
    }
    for chart in CHARTS {
        let panel = |unit: &&'static str| Some((*unit, rows.get(&(chart.row.to_owned(), (*unit).to_owned()))?));
        let panels: Vec<(&str, &Panel)> = chart.units.iter().filter_map(panel).collect();
        if panels.is_empty() {
            continue;
        }
        let path = out.join(format!("chart-{}.svg", chart.row));
        match chart.x {
            None => draw_bars(
                &SVGBackend::new(&path, (PANEL.0 + 240, bars_height(panels[0].1))).into_drawing_area(),
                chart.title,
                panels[0],
            )?,
            Some(x) => {
                let area = SVGBackend::new(&path, (PANEL.0 * panels.len() as u32, PANEL.1 + 34)).into_drawing_area();
                area.fill(&WHITE)?;
                let panel_areas = area.titled(chart.title, (FONT, 18))?.split_evenly((1, panels.len()));
                for (area, (unit, panel)) in panel_areas.iter().zip(panels) {
                    draw_lines(area, x, unit, panel)?;
                }
                area.present()?;
            }
        }
        println!("{}", path.display());
    }
    Ok(())
}

fn read(path: &str, rows: &mut Rows) -> Result {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    for (number, line) in text.lines().enumerate() {
        let wrong = || format!("{path}, line {}: not row,series,x,y,unit: {line}", number + 1);
        let fields: Vec<&str> = line.split(',').collect();
        let [row, series, x, y, unit] = fields[..] else { return Err(wrong().into()) };
        let y: f64 = y.parse().map_err(|_| wrong())?;
        if !(y >= 0.0 && y.is_finite()) {
            return Err(wrong().into());
        }
        let Panel(all) = rows.entry((row.to_owned(), unit.to_owned())).or_default();
        let place = all.iter().position(|known| known.0 == series).unwrap_or_else(|| {
            all.push((series.to_owned(), BTreeMap::new()));
            all.len() - 1
        });
        all[place].1.insert(x.to_owned(), y);
    }
    Ok(())
}

impl Panel {
    /// All values of x: by size where they are numbers, else by name.
    fn xs(&self) -> Vec<&str> {
        let mut xs: Vec<&str> = self.0.iter().flat_map(|(_, points)| points.keys().map(String::as_str)).collect();
        xs.sort_by(|left, right| match (left.parse::<f64>(), right.parse::<f64>()) {
            (Ok(left), Ok(right)) => left.total_cmp(&right),
            _ => left.cmp(right),
        });
        xs.dedup();
        xs
    }

    fn most(&self) -> f64 {
        self.values().fold(f64::MIN_POSITIVE, f64::max)
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        self.0.iter().flat_map(|(_, points)| points.values().copied())
    }
}

/// A number for people: 1.5 M, 64 k, 0.02.
fn short(value: f64) -> String {
    let (scaled, suffix) = match value {
        value if value >= 1e9 => (value / 1e9, " G"),
        value if value >= 1e6 => (value / 1e6, " M"),
        value if value >= 1e4 => (value / 1e3, " k"),
        value => (value, ""),
    };
    let digits = match scaled {
        scaled if scaled >= 10.0 => 0,
        scaled if scaled >= 1.0 => 1,
        _ => 4,
    };
    let text = format!("{scaled:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{suffix}")
}

/// A value of x: a power of 1024 in bytes, or a number, or text.
fn label(x: &str, what: &str) -> String {
    match x.parse::<u64>() {
        Ok(bytes) if what.contains("bytes") && bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
        Ok(bytes) if what.contains("bytes") && bytes >= 1 << 10 => format!("{} KiB", bytes >> 10),
        Ok(number) => short(number as f64),
        Err(_) => x.to_owned(),
    }
}

fn draw_lines(area: &Area<'_>, x_words: &str, unit: &str, panel: &Panel) -> Result {
    let xs = panel.xs();
    let place = |x: &str| xs.iter().position(|known| *known == x).map_or(0.0, |index| index as f64);
    let x_label = |at: f64| match xs.get(at.round() as usize) {
        Some(x) if (at - at.round()).abs() < 1e-6 => label(x, x_words),
        _ => String::new(),
    };
    let most = panel.most();
    let least = panel.values().filter(|y| *y > 0.0).fold(most, f64::min);
    let logarithmic = most / least > LINEAR_MAX;
    let scale = |y: f64| if logarithmic { y.max(least).log10() } else { y };
    let y_label = |y: f64| short(if logarithmic { 10_f64.powf(y) } else { y });
    let range = if logarithmic { scale(least).floor()..scale(most).ceil() + 0.3 } else { 0.0..most * 1.3 };
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(66)
        .build_cartesian_2d(-0.4..xs.len() as f64 - 0.6, range.clone())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(xs.len() + 1)
        .y_labels(if logarithmic { (range.end - range.start) as usize + 1 } else { 6 })
        .x_label_formatter(&|x| x_label(*x))
        .y_label_formatter(&|y| y_label(*y))
        .x_desc(x_words)
        .y_desc(unit)
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(228, 228, 228))
        .label_style((FONT, 13))
        .draw()?;
    for ((name, points), colour) in panel.0.iter().zip(COLOURS.iter().cycle()) {
        let mut points: Vec<(f64, f64)> = points.iter().map(|(x, y)| (place(x), scale(*y))).collect();
        points.sort_by(|left, right| left.0.total_cmp(&right.0));
        let line = chart.draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?;
        line.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3)));
        chart.draw_series(points.into_iter().map(|point| Circle::new(point, 3, colour.filled())))?;
    }
    if panel.0.len() > 1 {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.85))
            .border_style(RGBColor(205, 205, 205))
            .label_font((FONT, 13))
            .draw()?;
    }
    Ok(())
}

fn bars_height(panel: &Panel) -> u32 {
    BAR * panel.0.len() as u32 + 58
}

/// One bar for each series, the first in colour.
fn draw_bars(area: &Area<'_>, title: &str, (unit, panel): (&str, &Panel)) -> Result {
    const LEFT: i32 = 300;
    const ROOM_FOR_NUMBERS: u32 = 130;
    let width = f64::from(area.dim_in_pixel().0 - LEFT as u32 - ROOM_FOR_NUMBERS);
    area.fill(&WHITE)?;
    area.draw_text(title, &(FONT, 18).into_text_style(area), (16, 12))?;
    let style = (FONT, 14).into_text_style(area);
    for (index, (name, points)) in panel.0.iter().enumerate() {
        let value = points.values().next_back().copied().unwrap_or(0.0);
        let top = 46 + index as i32 * BAR as i32;
        let end = (LEFT + (width * value / panel.most()) as i32).max(LEFT + 1);
        let colour = if index == 0 { COLOURS[0] } else { GREY };
        area.draw_text(name, &style, (16, top + 4))?;
        area.draw(&Rectangle::new([(LEFT, top), (end, top + BAR as i32 - 10)], colour.filled()))?;
        area.draw_text(&format!("{} {unit}", short(value)), &style, (end + 6, top + 4))?;
    }
    area.present()?;
    Ok(())
}
