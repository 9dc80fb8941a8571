//! Pictures, as SVG: the iterations of a migration over time, and what a sweep found.

use std::sync::Arc;

use kuva::plot::annotations::{ReferenceLine, ShadedRegion, TextAnnotation};
use kuva::plot::heatmap::Heatmap;
use kuva::plot::legend::LegendPosition;
use kuva::plot::{ColorMap, GanttPlot};
use kuva::plot::{LinePlot, ScatterPlot};
use kuva::render::figure::Figure;
use kuva::render::layout::{Layout, TickFormat};
use kuva::render::plots::Plot;
use kuva::render::render::render_multiple;
use migsim_models::spec::Mode;
use migsim_models::units::{PAGE_BYTES, SimTime, human_time};

use super::chart::Picture;
use migsim::answer::Answer;
use migsim::answer::sweep::{Point, Range, Value};
use migsim::engine::Iteration;

/// Colours that stay apart for colour-blind readers (Okabe and Ito).
pub const BLUE: &str = "#0072b2";
/// See [`BLUE`].
pub const ORANGE: &str = "#d55e00";
const GREEN: &str = "#009e73";
const GREY: &str = "#777777";

/// Of what does not converge, and of the strokes across it.
const PALE: &str = "#e8e8e8";
const HATCH: &str = "#9a9a9a";
/// So many labels an axis of a map has at most.
const MOST_LABELS: usize = 9;

const MIB: f64 = (1_u64 << 20) as f64;

fn line(points: Vec<(f64, f64)>, colour: &str, legend: &str) -> Plot {
    Plot::Line(
        LinePlot::new()
            .with_data(points)
            .with_color(colour)
            .with_stroke_width(2.0)
            .with_legend(legend),
    )
}

fn dots(points: Vec<(f64, f64)>, colour: &str, legend: &str) -> Plot {
    Plot::Scatter(
        ScatterPlot::new().with_data(points).with_color(colour).with_size(4.0).with_legend(legend),
    )
}

fn picture(plots: Vec<Plot>, layout: Layout, [title, description]: [&str; 2]) -> Picture {
    Picture::new(render_multiple(plots, layout), title, description)
}

/// So many guests of one file are drawn below each other.
pub const MOST_GUESTS: usize = 24;

/// The iterations over time: what is left to send, what had become dirty at each look, and the
/// stop. Of one guest also its last second in close-up; of several, up to [`MOST_GUESTS`], each has
/// a panel on one time axis.
pub fn iterations(answers: &[Answer]) -> Picture {
    if let [answer] = answers {
        return alone(answer);
    }
    let courses: Vec<Course> = answers.iter().take(MOST_GUESTS).map(Course::of).collect();
    let last = courses.iter().map(|course| course.last).fold(0.0, f64::max);
    let mut figure = Figure::new(courses.len(), 1).with_cell_size(880.0, 280.0);
    let (mut plots, mut layouts) = (Vec::new(), Vec::new());
    for (row, course) in courses.iter().enumerate() {
        let (panel, layout) = if course.answer.outcome.mode == Mode::Offline {
            figure = figure.with_row_height(row, 180.0);
            phases(course)
        } else {
            course.panel(course.title(), [0.0, last], "")
        };
        plots.push(panel);
        layouts.push(layout.with_x_axis_max(last).with_force_margins(130.0, 190.0));
    }
    let title = format!("{} guests, each as if it went alone", answers.len());
    let scene = figure.with_plots(plots).with_layouts(layouts).render();
    Picture::new(scene, title, format!("For each guest: {}", Course::SHOWN))
}

fn alone(answer: &Answer) -> Picture {
    let outcome = &answer.outcome;
    let course = Course::of(answer);
    let title = course.title();
    if outcome.mode == Mode::Offline {
        let (plots, layout) = phases(&course);
        let layout = layout.with_width(860.0).with_height(240.0);
        return picture(plots, layout, [&title, "Suspend, copy and resume, one after the other."]);
    }
    let (plots, layout) = course.panel(title.clone(), [0.0, course.last], "");
    let end = outcome.ended_at.as_secs_f64();
    // The end in close-up: the stop with about as much before it, and a little of what may follow.
    let close = match course.down {
        None => [end * 0.9, course.last],
        Some((stop, resume)) => {
            let [before, after] = [2.0, 0.5].map(|share| share * (resume - stop));
            [(stop - before).max(0.0), course.last.min(end.max(resume) + after)]
        }
    };
    if close[0] <= 0.0 || outcome.mode == Mode::Paused || outcome.switched_at.is_some() {
        let layout = layout.with_width(860.0).with_height(380.0);
        return picture(plots, layout, [&title, Course::SHOWN]);
    }
    let (close_plots, close_layout) =
        course.panel("the end of it, in close-up".to_owned(), close, "the guest stops");
    let (mut all, mut layouts) = (vec![plots, close_plots], vec![layout, close_layout]);
    if let Some((plots, layout)) = throttle(answer, course.last) {
        all.insert(1, plots);
        layouts.insert(1, layout);
    }
    // All axes of time begin and end at the same place.
    let layouts: Vec<Layout> =
        layouts.into_iter().map(|layout| layout.with_force_margins(70.0, 190.0)).collect();
    let mut figure = Figure::new(all.len(), 1).with_cell_size(880.0, 320.0);
    if all.len() > 2 {
        figure = figure.with_row_height(1, 200.0);
    }
    let figure = figure.with_plots(all).with_layouts(layouts);
    Picture::new(figure.render(), title, Course::SHOWN)
}

/// What is drawn of a live migration over time, in seconds and MiB.
struct Course<'a> {
    answer: &'a Answer,
    left: Vec<(f64, f64)>,
    dirtied: Vec<(f64, f64)>,
    /// The 90 % interval of its end.
    interval: Option<(f64, f64)>,
    /// From the stop until the guest runs again.
    down: Option<(f64, f64)>,
    /// Where the axis of time ends.
    last: f64,
}

impl Course<'_> {
    const SHOWN: &'static str = "Guest memory that is left to send over time, and what the guest dirtied in each iteration; the downtime is shaded grey, the 90 % interval of the end blue.";

    fn of(answer: &Answer) -> Course<'_> {
        let outcome = &answer.outcome;
        let mib = |pages: f64| pages * PAGE_BYTES as f64 / MIB;
        let newly = |iteration: &Iteration| iteration.dirty_pages_at_end - iteration.unsent_pages;
        let end = outcome.ended_at.as_secs_f64();
        let interval = answer
            .quantiles
            .and_then(|sure| sure.times)
            .map(|t| (t.elapsed_ms.p5 / 1e3, t.elapsed_ms.p95 / 1e3));
        // What is written beside a line at the end needs room.
        let room = if outcome.completed() { 1.0 } else { 1.12 };
        Course {
            answer,
            left: outcome.left_over_time().into_iter().map(|(s, pages)| (s, mib(pages))).collect(),
            dirtied: outcome
                .iterations
                .iter()
                .filter(|iteration| newly(iteration) > 0.0)
                .map(|iteration| (iteration.end.as_secs_f64(), mib(newly(iteration))))
                .collect(),
            interval,
            down: outcome.downtime().map(|down| {
                let resumed = outcome.resumed_at.unwrap_or(outcome.ended_at).as_secs_f64();
                (resumed - down.as_secs_f64(), resumed)
            }),
            last: interval.map_or(end, |(_, late)| late.max(end)) * room,
        }
    }

    fn title(&self) -> String {
        let (name, outcome) = (&self.answer.case.guest.name, &self.answer.outcome);
        match (outcome.tmt(), outcome.downtime()) {
            (Some(total), Some(_)) if outcome.mode == Mode::Offline => {
                format!("{name}: offline, down for all of {}", human_time(total))
            }
            (Some(total), Some(down)) => {
                format!(
                    "{name}: {} in total, {} down (shaded)",
                    human_time(total),
                    human_time(down)
                )
            }
            _ => format!("{name}: {}", migsim::answer::ending_word(outcome).replace('-', " ")),
        }
    }

    /// A part of it, with what is written beside the stop.
    fn panel(&self, title: String, [from, to]: [f64; 2], label: &str) -> (Vec<Plot>, Layout) {
        let left = from_on(&self.left, from);
        let dirtied: Vec<_> = self.dirtied.iter().copied().filter(|p| p.0 >= from).collect();
        let top = left.iter().chain(&dirtied).map(|p| p.1).fold(1.0, f64::max);
        let plots = vec![
            line(left, BLUE, "left to send"),
            dots(dirtied, ORANGE, "dirtied in an iteration"),
        ];
        let mut layout = Layout::auto_from_plots(&plots)
            .with_title(title)
            .with_x_label(if self.interval.is_some() {
                "time since the start, s (blue: 90 % interval of the end)"
            } else {
                "time since the start, s"
            })
            .with_y_label("MiB of guest memory")
            .with_x_axis_min(from)
            .with_x_axis_max(to)
            .with_y_axis_min(0.0)
            .with_y_axis_max(top * 1.08)
            .with_legend_position(LegendPosition::OutsideRightTop);
        if let Some((early, late)) = self.interval.filter(|(early, _)| *early < to) {
            let span = ShadedRegion::vertical(early.max(from), late.min(to))
                .with_color(BLUE)
                .with_opacity(0.15);
            layout = layout.with_shaded_region(span);
        }
        let outcome = &self.answer.outcome;
        let timed_out = outcome.timed_out_at.filter(|at| Some(*at) != outcome.switched_at);
        let marks = [
            (outcome.switched_at, "post-copy"),
            (timed_out.filter(|at| *at != outcome.ended_at), "timeout"),
            ((!outcome.completed()).then_some(outcome.ended_at), "given up"),
        ];
        for (at, what) in marks {
            if let Some(at) = at.map(SimTime::as_secs_f64).filter(|at| (from..=to).contains(at)) {
                layout = layout.with_reference_line(
                    ReferenceLine::vertical(at).with_color(GREY).with_label(what),
                );
            }
        }
        if let Some((stop, resume)) = self.down {
            let stop = stop.max(from);
            let shade = ShadedRegion::vertical(stop, resume).with_color(GREY).with_opacity(0.25);
            let edge = ReferenceLine::vertical(stop).with_color(GREY).with_label(label);
            layout = layout.with_shaded_region(shade).with_reference_line(edge);
        }
        (plots, layout)
    }
}

/// How much the guest's vCPUs are held back over time; `None`: never.
fn throttle(answer: &Answer, last: f64) -> Option<(Vec<Plot>, Layout)> {
    let iterations = &answer.outcome.iterations;
    if iterations.iter().all(|iteration| iteration.throttle_percent == 0) {
        return None;
    }
    let steps = iterations.iter().flat_map(|iteration| {
        let percent = f64::from(iteration.throttle_percent);
        [(iteration.start.as_secs_f64(), percent), (iteration.end.as_secs_f64(), percent)]
    });
    let plots = vec![line(steps.collect(), ORANGE, "vCPUs held back")];
    let layout = Layout::auto_from_plots(&plots)
        .with_title("auto-converge")
        .with_x_label("time since the start, s")
        .with_y_label("throttle, %")
        .with_x_axis_min(0.0)
        .with_x_axis_max(last)
        .with_y_axis_min(0.0)
        .with_y_axis_max(100.0)
        .with_legend_position(LegendPosition::OutsideRightTop);
    Some((plots, layout))
}

/// A line from `from` on, cut where it crosses.
fn from_on(points: &[(f64, f64)], from: f64) -> Vec<(f64, f64)> {
    let mut out = Vec::new();
    for pair in points.windows(2) {
        let [(x0, y0), (x1, y1)] = [pair[0], pair[1]];
        if x1 < from {
            continue;
        }
        if out.is_empty() {
            let share = if x1 > x0 { ((from - x0) / (x1 - x0)).clamp(0.0, 1.0) } else { 0.0 };
            out.push((x0.max(from), y0 + (y1 - y0) * share));
        }
        out.push((x1, y1));
    }
    out
}

/// The three phases of an offline migration, one after the other.
fn phases(course: &Course) -> (Vec<Plot>, Layout) {
    let parts = &course.answer.outcome.downtime_parts;
    let mut at = 0.0;
    let mut bars = GanttPlot::new();
    for (name, time, colour) in [
        ("suspend", parts.suspend, BLUE),
        ("copy", parts.copy, ORANGE),
        ("resume", parts.resume, GREEN),
    ] {
        let end = at + time.as_secs_f64();
        bars = bars.with_colored_task(format!("{name}, {}", human_time(time)), at, end, colour);
        at = end;
    }
    let plots = vec![Plot::Gantt(bars.with_show_labels(false))];
    let layout = Layout::auto_from_plots(&plots)
        .with_title(course.title())
        .with_x_label("time since the start, s")
        .with_x_axis_min(0.0);
    (plots, layout)
}

/// What a sweep found: lines over one quantity, maps over two.
pub fn sweep(points: &[Point], ranges: &[Range]) -> Picture {
    match ranges {
        [one] => over_one(points, one),
        [x, y, ..] => over_two(points, x, y),
        [] => picture(Vec::new(), Layout::auto_from_plots(&[]), ["a sweep", "Nothing was varied."]),
    }
}

fn over_one(points: &[Point], range: &Range) -> Picture {
    let (_, scale) = range.quantity.axis();
    let at = |point: &Point| place(&point.values[0], &range.values, scale);
    // Lines go from left to right, whatever the order in which the points were asked.
    let mut points: Vec<&Point> = points.iter().collect();
    points.sort_by(|a, b| at(a).total_cmp(&at(b)));
    // The border of convergence: half way between neighbours that differ.
    let borders: Vec<f64> = points
        .windows(2)
        .filter(|pair| pair[0].completed() != pair[1].completed())
        .map(|pair| {
            let (a, b) = (at(pair[0]), at(pair[1]));
            if range.log { libm::sqrt(a * b) } else { (a + b) / 2.0 }
        })
        .collect();
    let diverging: Vec<(f64, f64)> = {
        let mut spans: Vec<(f64, f64)> = Vec::new();
        let edges = borders.iter().copied();
        let mut start = (!points.first().is_none_or(|p| p.completed()))
            .then(|| points.first().map_or(0.0, |p| at(p)));
        for edge in edges {
            match start.take() {
                Some(from) => spans.push((from, edge)),
                None => start = Some(edge),
            }
        }
        if let (Some(from), Some(last)) = (start, points.last()) {
            spans.push((from, at(last)));
        }
        spans
    };
    let none = points.iter().all(|point| !point.completed());
    let panel = |title: &str, label: &str, colour: &str, of: &dyn Fn(&Point) -> Option<f64>| {
        // Lines break where there is no answer.
        let mut plots = Vec::new();
        for run in points.chunk_by(|a, b| a.completed() == b.completed()) {
            let line: Vec<(f64, f64)> = run.iter().filter_map(|p| Some((at(p), of(p)?))).collect();
            if !line.is_empty() {
                plots.push(Plot::Line(
                    LinePlot::new()
                        .with_data(line.clone())
                        .with_color(colour)
                        .with_stroke_width(2.0),
                ));
                plots.push(Plot::Scatter(
                    ScatterPlot::new().with_data(line).with_color(colour).with_size(2.5),
                ));
            }
        }
        if plots.is_empty() {
            // Nothing completed: an empty panel of the right width.
            let ends = [points.first(), points.last()]
                .into_iter()
                .flatten()
                .map(|p| (at(p), 0.0))
                .collect::<Vec<_>>();
            plots.push(Plot::Scatter(
                ScatterPlot::new().with_data(ends).with_color("none").with_size(0.0),
            ));
        }
        let mut layout = Layout::auto_from_plots(&plots)
            .with_title(title)
            .with_x_label(axis_label(range))
            .with_y_label(label);
        if let (Some(first), Some(last)) = (points.first(), points.last()) {
            layout = layout.with_x_axis_min(at(first)).with_x_axis_max(at(last));
        }
        if range.log {
            layout = layout.with_log_x();
        } else {
            layout = layout.with_y_axis_min(0.0);
        }
        if let (true, Some(first), Some(last)) = (none, points.first(), points.last()) {
            let middle = match range.log {
                true => libm::sqrt(at(first) * at(last)),
                false => (at(first) + at(last)) / 2.0,
            };
            layout = layout
                .with_y_axis_min(0.0)
                .with_y_axis_max(1.0)
                .with_y_tick_format(TickFormat::Custom(Arc::new(|_| String::new())))
                .with_annotation(TextAnnotation::new("none of these converges", middle, 0.5));
        }
        for (from, to) in &diverging {
            layout = layout.with_shaded_region(
                ShadedRegion::vertical(*from, *to).with_color(ORANGE).with_opacity(0.15),
            );
        }
        for border in &borders {
            layout = layout.with_reference_line(
                ReferenceLine::vertical(*border)
                    .with_color(ORANGE)
                    .with_label("border of convergence"),
            );
        }
        (plots, layout)
    };
    let shaded = if diverging.is_empty() { "" } else { " (shaded: does not converge)" };
    let total = panel(&format!("total migration time{shaded}"), "s", BLUE, &|p| {
        p.outcome()?.tmt().map(SimTime::as_secs_f64)
    });
    let down =
        panel("downtime", "ms", GREEN, &|p| p.outcome()?.downtime().map(SimTime::as_millis_f64));
    let figure = Figure::new(2, 1)
        .with_plots(vec![total.0, down.0])
        .with_layouts(vec![total.1, down.1])
        .with_cell_size(760.0, 320.0);
    let title = format!("total migration time and downtime over {}", axis_label(range));
    Picture::new(
        figure.render(),
        title,
        "Two lines; where migrations do not converge there is none, and the field is shaded.",
    )
}

/// Where a value stands on an axis: a word by its place in the list.
fn place(value: &Value, values: &[Value], scale: f64) -> f64 {
    match value {
        Value::Number(number) => number / scale,
        Value::Word(_) => {
            values.iter().position(|other| other == value).map_or(0.0, |at| at as f64 + 1.0)
        }
    }
}

/// The label of a quantity's axis; of words, which number stands for which.
fn axis_label(range: &Range) -> String {
    let name = range.quantity.name().replace('_', " ");
    let words: Vec<String> = range
        .values
        .iter()
        .enumerate()
        .filter_map(|(at, value)| match value {
            Value::Word(word) => Some(format!("{}: {word}", at + 1)),
            Value::Number(_) => None,
        })
        .collect();
    match (words.as_slice(), range.quantity.axis().0) {
        ([], "") => name,
        ([], unit) => format!("{name}, {unit}"),
        (words, _) => format!("{name} ({})", words.join(", ")),
    }
}

/// Three significant digits.
fn three_digits(value: f64) -> String {
    let unit = libm::pow(10.0, libm::floor(libm::log10(value.max(1e-9))) - 2.0);
    let value = if unit > 1.0 { libm::round(value / unit) * unit } else { value };
    let digits = (2 - libm::floor(libm::log10(value.max(1e-9))) as i32).clamp(0, 6) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn over_two(points: &[Point], x: &Range, y: &Range) -> Picture {
    let (columns, rows) = (&x.values, &y.values);
    let label = |range: &Range| -> Vec<String> {
        let (_, scale) = range.quantity.axis();
        let of = |value: &Value| match value {
            Value::Number(number) => three_digits(number / scale),
            Value::Word(word) => word.clone(),
        };
        // Of many only as many as can be read, the first and the last among them.
        let step = (range.values.len().max(2) - 1).div_ceil(MOST_LABELS - 1).max(1);
        let told = |index: usize| index.is_multiple_of(step);
        let values = range.values.iter().enumerate();
        values.map(|(index, value)| if told(index) { of(value) } else { String::new() }).collect()
    };
    let mut at_place: std::collections::BTreeMap<(usize, usize), &Point> =
        std::collections::BTreeMap::new();
    for (index, point) in points.iter().enumerate() {
        at_place.insert((index / y.values.len(), index % y.values.len()), point);
    }
    let panel = |title: &str, of: &dyn Fn(&Point) -> Option<f64>| {
        let value = |c: usize, r: usize| at_place.get(&(c, r)).and_then(|point| of(point));
        let all: Vec<f64> = (0..columns.len())
            .flat_map(|c| (0..rows.len()).filter_map(move |r| value(c, r)))
            .collect();
        let least = all.iter().copied().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
        let most = all.iter().copied().fold(0.0, f64::max);
        // Over more than a decade one large value would make all others look alike.
        let log = most > 10.0 * least;
        let scaled = |value: f64| if log { libm::log10(value.max(least)) } else { value };
        // Points run through y for each x; the first row of a map is its lowest.
        let data: Vec<Vec<f64>> = (0..rows.len())
            .map(|r| (0..columns.len()).map(|c| value(c, r).map_or(f64::NAN, scaled)).collect())
            .collect();
        let colour = |share: f64| match share.is_nan() {
            true => PALE.to_owned(),
            false => ColorMap::Viridis.map(share),
        };
        let map = Heatmap::new().with_data(data).with_color_map(ColorMap::Custom(Arc::new(colour)));
        let mut plots = vec![Plot::Heatmap(map)];
        for (c, r) in (0..columns.len()).flat_map(|c| (0..rows.len()).map(move |r| (c, r))) {
            if value(c, r).is_none() {
                let [left, low] = [c, r].map(|at| at as f64 + 0.5);
                let stroke = vec![(left, low), (left + 1.0, low + 1.0)];
                let line =
                    LinePlot::new().with_data(stroke).with_color(HATCH).with_stroke_width(0.8);
                plots.push(Plot::Line(line));
            }
        }
        let told = move |tick: f64| three_digits(if log { libm::pow(10.0, tick) } else { tick });
        let layout = Layout::auto_from_plots(&plots)
            .with_title(title)
            .with_x_label(axis_label(x))
            .with_y_label(axis_label(y))
            .with_x_categories(label(x))
            .with_y_categories(label(y))
            .with_colorbar_tick_format(TickFormat::Custom(Arc::new(told)))
            .with_x_tick_rotate(-60.0);
        (plots, layout)
    };
    let total = panel("total migration time, s (hatched: does not converge)", &|p| {
        p.outcome()?.tmt().map(SimTime::as_secs_f64)
    });
    let down = panel("downtime, ms", &|p| p.outcome()?.downtime().map(SimTime::as_millis_f64));
    let figure = Figure::new(1, 2)
        .with_plots(vec![total.0, down.0])
        .with_layouts(vec![total.1, down.1])
        .with_cell_size(560.0, 460.0);
    let title =
        format!("total migration time and downtime over {} and {}", axis_label(x), axis_label(y));
    Picture::new(
        figure.render(),
        title,
        "Two maps, the darker the shorter; hatched fields do not converge.",
    )
}
