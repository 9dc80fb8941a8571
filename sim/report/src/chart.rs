//! Small charts: points and lines in panels, as SVG.

use kuva::backend::png::PngBackend;
use kuva::backend::svg::SvgBackend;
use std::sync::Arc;

use kuva::plot::annotations::ReferenceLine;
use kuva::plot::legend::LegendPosition;
use kuva::plot::{BarPlot, LinePlot, ScatterPlot};
use kuva::render::figure::Figure;
use kuva::render::layout::{Layout, TickFormat};
use kuva::render::plots::Plot;
use kuva::render::render::Scene;

pub use super::plot::{BLUE, ORANGE};
/// Of lines that only guide the eye.
pub const GREY: &str = "#999999";

/// A picture, to be written as SVG or PNG.
pub struct Picture {
    scene: Scene,
    /// What it is called, and what is to be seen, for who cannot see it.
    title: String,
    description: String,
}

impl Picture {
    pub(super) fn new(
        scene: Scene,
        title: impl Into<String>,
        description: impl Into<String>,
    ) -> Picture {
        Picture { scene, title: title.into(), description: description.into() }
    }

    /// As SVG, with its title and description.
    pub fn svg(&self) -> String {
        let svg = SvgBackend::default().render_scene(&self.scene);
        let Some(end) = svg.find("<svg").and_then(|at| Some(at + svg[at..].find('>')?)) else {
            return svg;
        };
        let (head, rest) = svg.split_at(end);
        // So that a page can show it smaller.
        let size = |name: &str| head.split(&format!("{name}=\"")).nth(1)?.split('"').next();
        let view = match (size(" width"), size(" height")) {
            (Some(width), Some(height)) => format!(" viewBox=\"0 0 {width} {height}\""),
            _ => String::new(),
        };
        let [title, description] = [&self.title, &self.description].map(|text| escaped(text));
        format!(
            "{head}{view} role=\"img\" aria-label=\"{title}\"><title>{title}</title><desc>{description}</desc>{}",
            &rest[1..]
        )
    }

    /// As PNG, two pixels for each unit of the SVG.
    ///
    /// # Errors
    /// It is too large for pixels.
    pub fn png(&self) -> Result<Vec<u8>, String> {
        PngBackend::new().render_scene(&self.scene)
    }
}

/// How the horizontal axis is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Horizontal {
    /// As numbers.
    #[default]
    Numbers,
    /// As whole numbers.
    Whole,
    /// Seconds as minutes and hours, where there are many.
    Clock,
}

/// One panel of a picture.
#[derive(Debug, Clone, Default)]
pub struct Panel {
    title: String,
    axes: [String; 2],
    from_zero: bool,
    until: Option<f64>,
    horizontal: Horizontal,
    /// The names of rows, the lowest first; empty: the vertical axis has numbers.
    rows: Vec<String>,
    /// Lines across, with what they are.
    levels: Vec<(f64, String)>,
    /// Room to the left and to the right, for axes that lie below each other.
    margins: Option<[f64; 2]>,
    series: Vec<Series>,
}

#[derive(Debug, Clone)]
struct Series {
    name: String,
    colour: &'static str,
    points: Vec<(f64, f64)>,
    line: bool,
    width: f64,
}

impl Panel {
    /// An empty one; its axes begin at zero.
    pub fn new(title: &str, x: &str, y: &str) -> Panel {
        Panel {
            title: title.to_owned(),
            axes: [x.to_owned(), y.to_owned()],
            from_zero: true,
            ..Panel::default()
        }
    }

    /// Lets the axes begin where the data do.
    pub fn free(mut self) -> Panel {
        self.from_zero = false;
        self
    }

    /// Adds points. A name puts them into the legend.
    pub fn dots(mut self, name: &str, colour: &'static str, points: Vec<(f64, f64)>) -> Panel {
        self.series.push(Series { name: name.to_owned(), colour, points, line: false, width: 2.0 });
        self
    }

    /// Names rows, the lowest, at 1, first.
    pub fn rows(mut self, names: Vec<String>) -> Panel {
        self.rows = names;
        self
    }

    /// Draws a line across, and says what it is.
    pub fn level(mut self, at: f64, what: &str) -> Panel {
        self.levels.push((at, what.to_owned()));
        self
    }

    /// Tells the horizontal axis, which is seconds, as minutes and hours.
    pub fn clock(mut self) -> Panel {
        self.horizontal = Horizontal::Clock;
        self
    }

    /// Has whole numbers alone on the horizontal axis.
    pub fn whole(mut self) -> Panel {
        self.horizontal = Horizontal::Whole;
        self
    }

    /// Leaves so much room to the left and to the right.
    pub fn margins(mut self, margins: [f64; 2]) -> Panel {
        self.margins = Some(margins);
        self
    }

    /// Lets the horizontal axis end here.
    pub fn until(mut self, x: f64) -> Panel {
        self.until = Some(x);
        self
    }

    /// Adds a line.
    pub fn line(mut self, name: &str, colour: &'static str, points: Vec<(f64, f64)>) -> Panel {
        self.series.push(Series { name: name.to_owned(), colour, points, line: true, width: 2.0 });
        self
    }

    /// Adds a bar from one point to another, so wide.
    pub fn bar(
        mut self,
        name: &str,
        colour: &'static str,
        ends: [(f64, f64); 2],
        width: f64,
    ) -> Panel {
        self.series.push(Series {
            name: name.to_owned(),
            colour,
            points: ends.to_vec(),
            line: true,
            width,
        });
        self
    }

    fn drawn(&self) -> (Vec<Plot>, Layout) {
        let plots: Vec<Plot> = self
            .series
            .iter()
            .filter(|series| !series.points.is_empty())
            .map(|series| {
                let Series { name, colour, points, line, width } = series.clone();
                if line {
                    let plot = LinePlot::new()
                        .with_data(points)
                        .with_color(colour)
                        .with_stroke_width(width);
                    Plot::Line(if name.is_empty() { plot } else { plot.with_legend(name) })
                } else {
                    let plot =
                        ScatterPlot::new().with_data(points).with_color(colour).with_size(3.5);
                    Plot::Scatter(if name.is_empty() { plot } else { plot.with_legend(name) })
                }
            })
            .collect();
        let mut layout = Layout::auto_from_plots(&plots)
            .with_title(&self.title)
            .with_x_label(&self.axes[0])
            .with_y_label(&self.axes[1])
            .with_legend_position(LegendPosition::OutsideRightTop);
        if self.from_zero {
            layout = layout.with_x_axis_min(0.0).with_y_axis_min(0.0);
        }
        if let Some(x) = self.until {
            layout = layout.with_x_axis_max(x);
        }
        if let Some([left, right]) = self.margins {
            layout = layout.with_force_margins(left, right);
        }
        for (at, what) in &self.levels {
            let line = ReferenceLine::horizontal(*at).with_color(GREY);
            let line = if what.is_empty() { line } else { line.with_label(what) };
            layout = layout.with_reference_line(line);
        }
        if !self.rows.is_empty() {
            let names = self.rows.clone();
            let name = move |y: f64| {
                let row = y.round();
                let at = (row >= 1.0 && (y - row).abs() < 0.01).then(|| row as usize - 1);
                at.and_then(|at| names.get(at)).cloned().unwrap_or_default()
            };
            layout = layout
                .with_y_axis_min(0.0)
                .with_y_axis_max(self.rows.len() as f64 + 1.0)
                .with_y_tick_step(1.0)
                .with_y_tick_format(TickFormat::Custom(Arc::new(name)));
        }
        let last = self.until.or_else(|| {
            self.series
                .iter()
                .flat_map(|series| &series.points)
                .map(|point| point.0)
                .reduce(f64::max)
        });
        match (self.horizontal, last) {
            (Horizontal::Whole, Some(last)) => {
                let step = libm::ceil(libm::floor(last) / 12.0).max(1.0);
                layout = layout.with_x_tick_step(step).with_x_tick_format(TickFormat::Integer);
            }
            (Horizontal::Clock, Some(last)) if last > LONG => {
                let step =
                    STEPS.into_iter().find(|step| last / step <= 10.0).unwrap_or(last / 10.0);
                let told = move |seconds: f64| clock(seconds, step);
                layout = layout
                    .with_x_tick_step(step)
                    .with_x_tick_format(TickFormat::Custom(Arc::new(told)));
            }
            _ => {}
        }
        (plots, layout)
    }
}

/// From so many seconds on an axis has minutes.
const LONG: f64 = 120.0;
/// Between the ticks of such an axis lie so many seconds.
const STEPS: [f64; 12] =
    [15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14_400.0, 43_200.0];

/// Seconds as `2:30`, or in steps of minutes of very many as `1 h 40`.
fn clock(seconds: f64, step: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    match (hours, step < 60.0) {
        (0, _) => format!("{minutes}:{rest:02}"),
        (_, true) => format!("{hours}:{minutes:02}:{rest:02}"),
        (_, false) => format!("{hours} h {minutes:02}"),
    }
}

/// Named bars, one below the other.
#[derive(Debug, Clone)]
pub struct Bars {
    /// What stands over them.
    pub title: String,
    /// What their lengths are, with the unit.
    pub unit: String,
    /// Their colour.
    pub colour: &'static str,
    /// Each with its length, from the top downwards.
    pub bars: Vec<(String, f64)>,
}

/// Such bars side by side, two in a row, each panel so high.
pub fn draw_bars(height: f64, panels: Vec<Bars>) -> Picture {
    let rows = panels.len().div_ceil(2);
    let title = panels.first().map_or(String::new(), |panel| panel.title.clone());
    let longest = |panel: &Bars| {
        let most = panel.bars.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        most.map_or(String::new(), |(name, _)| format!(" (most: {name})"))
    };
    let what = panels.iter().map(|panel| format!("{}{}", panel.title, longest(panel)));
    let description = format!("Bars: {}.", what.collect::<Vec<_>>().join("; "));
    let drawn = panels.into_iter().map(|panel| {
        // The first of a plot's bars is the lowest.
        let bars: Vec<(String, f64)> = panel.bars.into_iter().rev().collect();
        let plots = vec![Plot::Bar(
            BarPlot::new().with_bars(bars).with_color(panel.colour).with_horizontal(true),
        )];
        let layout =
            Layout::auto_from_plots(&plots).with_title(&panel.title).with_x_label(&panel.unit);
        (plots, layout)
    });
    let (plots, layouts): (Vec<_>, Vec<_>) = drawn.unzip();
    let figure =
        Figure::new(rows, 2).with_plots(plots).with_layouts(layouts).with_cell_size(640.0, height);
    Picture::new(figure.render(), title, description)
}

/// Panels side by side, so many in a row.
pub fn draw(columns: usize, panels: &[Panel]) -> Picture {
    draw_at(columns, [520.0, 300.0], panels)
}

/// The same with panels of that width and height.
pub fn draw_at(columns: usize, [width, height]: [f64; 2], panels: &[Panel]) -> Picture {
    draw_rows(columns, width, &vec![height; panels.len().div_ceil(columns)], panels)
}

/// The same with rows of those heights.
pub fn draw_rows(columns: usize, width: f64, heights: &[f64], panels: &[Panel]) -> Picture {
    let drawn: Vec<(&Panel, (Vec<Plot>, Layout))> = panels
        .iter()
        .map(|panel| (panel, panel.drawn()))
        .filter(|(_, (plots, _))| !plots.is_empty())
        .collect();
    let title = drawn.first().map_or(String::new(), |(panel, _)| panel.title.clone());
    let what = drawn.iter().map(|(panel, _)| {
        let [x, y] = &panel.axes;
        let names: Vec<&str> = panel
            .series
            .iter()
            .map(|series| series.name.as_str())
            .filter(|name| !name.is_empty())
            .collect();
        let of = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
        format!("{} ({y} over {x}{of})", panel.title)
    });
    let description = what.collect::<Vec<_>>().join("; ");
    let (plots, layouts): (Vec<_>, Vec<_>) = drawn.into_iter().map(|(_, drawn)| drawn).unzip();
    let rows = plots.len().div_ceil(columns);
    let mut figure = Figure::new(rows, columns)
        .with_plots(plots)
        .with_layouts(layouts)
        .with_cell_size(width, heights.first().copied().unwrap_or(300.0));
    for (row, height) in heights.iter().take(rows).enumerate() {
        figure = figure.with_row_height(row, *height);
    }
    Picture::new(figure.render(), title, description)
}

/// Text as it stands in a picture.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
