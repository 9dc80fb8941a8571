//! Small charts: points and lines in panels, as SVG.

use kuva::backend::svg::SvgBackend;
use kuva::plot::legend::LegendPosition;
use kuva::plot::{LinePlot, ScatterPlot};
use kuva::render::figure::Figure;
use kuva::render::layout::Layout;
use kuva::render::plots::Plot;

pub use migsim::report::plot::{BLUE, ORANGE};
/// Of lines that only guide the eye.
pub const GREY: &str = "#999999";

/// One panel of a picture.
#[derive(Debug, Clone, Default)]
pub struct Panel {
    title: String,
    axes: [String; 2],
    from_zero: bool,
    series: Vec<Series>,
}

#[derive(Debug, Clone)]
struct Series {
    name: String,
    colour: &'static str,
    points: Vec<(f64, f64)>,
    line: bool,
}

impl Panel {
    /// An empty one; its axes begin at zero.
    pub fn new(title: &str, x: &str, y: &str) -> Panel {
        Panel { title: title.to_owned(), axes: [x.to_owned(), y.to_owned()], from_zero: true, series: Vec::new() }
    }

    /// Lets the axes begin where the data do.
    pub fn free(mut self) -> Panel {
        self.from_zero = false;
        self
    }

    /// Adds points. A name puts them into the legend.
    pub fn dots(mut self, name: &str, colour: &'static str, points: Vec<(f64, f64)>) -> Panel {
        self.series.push(Series { name: name.to_owned(), colour, points, line: false });
        self
    }

    /// Adds a line.
    pub fn line(mut self, name: &str, colour: &'static str, points: Vec<(f64, f64)>) -> Panel {
        self.series.push(Series { name: name.to_owned(), colour, points, line: true });
        self
    }

    fn drawn(&self) -> (Vec<Plot>, Layout) {
        let plots: Vec<Plot> = self
            .series
            .iter()
            .filter(|series| !series.points.is_empty())
            .map(|series| {
                let Series { name, colour, points, line } = series.clone();
                if line {
                    let plot = LinePlot::new().with_data(points).with_color(colour).with_stroke_width(2.0);
                    Plot::Line(if name.is_empty() { plot } else { plot.with_legend(name) })
                } else {
                    let plot = ScatterPlot::new().with_data(points).with_color(colour).with_size(3.5);
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
        (plots, layout)
    }
}

/// Panels side by side, so many in a row.
pub fn draw(columns: usize, panels: &[Panel]) -> String {
    let (plots, layouts): (Vec<_>, Vec<_>) =
        panels.iter().map(Panel::drawn).filter(|(plots, _)| !plots.is_empty()).unzip();
    let rows = plots.len().div_ceil(columns);
    let figure = Figure::new(rows, columns).with_plots(plots).with_layouts(layouts).with_cell_size(520.0, 300.0);
    SvgBackend::default().render_scene(&figure.render())
}
