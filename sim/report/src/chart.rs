//! Small charts: points and lines in panels, as SVG.

use kuva::backend::png::PngBackend;
use kuva::backend::svg::SvgBackend;
use kuva::plot::legend::LegendPosition;
use kuva::plot::{BarPlot, LinePlot, ScatterPlot};
use kuva::render::figure::Figure;
use kuva::render::layout::Layout;
use kuva::render::plots::Plot;
use kuva::render::render::Scene;

pub use super::plot::{BLUE, ORANGE};
/// Of lines that only guide the eye.
pub const GREY: &str = "#999999";

/// A picture, to be written as SVG or PNG.
pub struct Picture(pub(super) Scene);

impl Picture {
    /// As SVG.
    pub fn svg(&self) -> String {
        SvgBackend::default().render_scene(&self.0)
    }

    /// As PNG, two pixels for each unit of the SVG.
    ///
    /// # Errors
    /// It is too large for pixels.
    pub fn png(&self) -> Result<Vec<u8>, String> {
        PngBackend::new().render_scene(&self.0)
    }
}

/// One panel of a picture.
#[derive(Debug, Clone, Default)]
pub struct Panel {
    title: String,
    axes: [String; 2],
    from_zero: bool,
    until: Option<f64>,
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
        (plots, layout)
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
    Picture(figure.render())
}

/// Panels side by side, so many in a row.
pub fn draw(columns: usize, panels: &[Panel]) -> Picture {
    draw_at(columns, [520.0, 300.0], panels)
}

/// The same with panels of that width and height.
pub fn draw_at(columns: usize, [width, height]: [f64; 2], panels: &[Panel]) -> Picture {
    let (plots, layouts): (Vec<_>, Vec<_>) =
        panels.iter().map(Panel::drawn).filter(|(plots, _)| !plots.is_empty()).unzip();
    let rows = plots.len().div_ceil(columns);
    let figure = Figure::new(rows, columns)
        .with_plots(plots)
        .with_layouts(layouts)
        .with_cell_size(width, height);
    Picture(figure.render())
}
