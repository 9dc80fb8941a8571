//! What came of a fleet, for people and programs.

use std::cmp::Reverse;
use std::fmt::Write;

use migsim::answer::outcome_word;
use migsim::answer::shape::SCHEMA;
use migsim::fleet::shape::{AtOnce, AtOnceAnswer, Findings, InventoryAnswer, MoveShape};
use migsim::fleet::{Cluster, Host, Likely, LikelyMove, Missing, MoveOutcome, Totals, totals};
use migsim_models::text::{clipped, first_of};
use migsim_models::units::{SimTime, human_bytes, human_rate, human_time};
use serde_json::Value;

use crate::cell::Cell;
use crate::chart::{BLUE, GREY, ORANGE, Panel, Picture, draw_at, draw_rows};
use crate::document::{Document, Grid};
use crate::format::{Answered, places, value};
use crate::window::Window;

/// Rows of moves, links and hosts that a table shows.
const SHOWN: usize = 12;
/// Guests that a picture has a bar for, and links or hosts that it has a curve for.
const BARS: usize = 150;
/// As many bars have the names of their guests.
const NAMED_BARS: usize = 60;
/// What the name of a bar takes of the height.
const LABEL_HEIGHT: f64 = 12.0;
/// Of a name so many characters are shown beside a bar.
const LONGEST_NAME: usize = 18;
/// Room to the left for names, and to the right for legends: the same for all panels.
const MARGINS: [f64; 2] = [170.0, 190.0];
/// A stop is drawn as long as that share of the axis at least.
const LEAST_SHARE: f64 = 0.002;
const COLOURS: [&str; 6] = [BLUE, ORANGE, "#009e73", "#cc79a7", "#56b4e9", "#e69f00"];

/// What came of a fleet.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// What was found.
    pub findings: Findings<'a>,
    /// The window that was asked for.
    pub window: Option<&'a Window>,
    /// The seed of its replications.
    pub seed: u64,
}

fn seconds(s: f64) -> String {
    human_time(SimTime::from_secs_f64(s))
}

fn span(likely: Likely) -> String {
    let [low, high] = ends(likely);
    format!("{} to {}", seconds(low), seconds(high))
}

fn ends([low, _, high]: Likely) -> [f64; 2] {
    [low, high]
}

/// What is said of a move, as the columns of CSV and JSON.
struct Row<'a> {
    one: &'a MoveOutcome,
    name: &'a str,
    hosts: [&'a str; 2],
    outcome: &'static str,
    likely: Option<LikelyMove>,
}

impl Row<'_> {
    const HEADER: [&'static str; 8] =
        ["guest", "from", "to", "outcome", "began", "total", "downtime", "service lost"];

    /// As a person reads it.
    fn cells(&self) -> [Cell; 8] {
        [
            self.name.into(),
            self.hosts[0].into(),
            self.hosts[1].into(),
            self.outcome.into(),
            self.one.began.into(),
            self.one.outcome.ended_at.into(),
            self.one.outcome.downtime().into(),
            Cell::Time(self.one.lost_s),
        ]
    }
}

/// A thing that is busy: its name, what it could do, how much it did, and the share.
struct Busy {
    index: usize,
    name: String,
    most: String,
    did: f64,
    share: f64,
}

impl Busy {
    fn cells(&self, amount: fn(f64) -> Cell) -> [Cell; 4] {
        [
            self.name.as_str().into(),
            self.most.as_str().into(),
            amount(self.did),
            format!("{:.1} %", self.share * 100.0).into(),
        ]
    }
}

impl Answered for Report<'_> {
    fn document(&self) -> Document {
        Report::document(self)
    }

    fn value(&self) -> Value {
        value(self.findings.answer())
    }

    fn each_row(&self, take: &mut dyn FnMut(Value) -> anyhow::Result<()>) -> anyhow::Result<()> {
        self.findings.moves().try_for_each(|one| take(value(one)))
    }

    fn columns(&self) -> Vec<String> {
        places(&value(MoveShape::full(self.findings.likely.is_some())))
    }
}

impl Report<'_> {
    fn row<'b>(&'b self, one: &'b MoveOutcome) -> Row<'b> {
        Row {
            one,
            name: &self.findings.cluster.vms[one.vm].guest.name,
            hosts: one.hosts.map(|host| self.findings.cluster.hosts[host].name.as_str()),
            outcome: outcome_word(&one.outcome),
            likely: self.findings.likely.and_then(|likely| likely.moves[one.index]),
        }
    }

    /// The links that carried something, the busiest first.
    fn links(&self, makespan_s: f64) -> Vec<Busy> {
        let link = |index: usize| {
            let link = self.findings.found.links[index];
            let (did, capacity) =
                (self.findings.found.carried.total(index), self.findings.cluster.capacity(link));
            let share = did / (capacity.bytes_per_s() * makespan_s);
            Busy {
                index,
                name: self.findings.cluster.link_name(link),
                most: human_rate(capacity),
                did,
                share,
            }
        };
        busiest((0..self.findings.found.links.len()).map(link))
    }

    /// The hosts whose processors did something.
    fn hosts(&self, makespan_s: f64) -> Vec<Busy> {
        let host = |(index, host): (usize, &Host)| {
            let did = self.findings.found.worked.total(index);
            let share = did / (host.cores * makespan_s);
            Busy {
                index,
                name: host.name.clone(),
                most: format!("{} cores", host.cores),
                did,
                share,
            }
        };
        busiest(self.findings.cluster.hosts.iter().enumerate().map(host))
    }

    /// What it takes in all, the guests that take longest, the busiest links and hosts.
    fn document(&self) -> Document {
        let t = totals(self.findings.found);
        let mut out = Document::default();
        out.text(self.words(&t));
        let mut longest: Vec<&MoveOutcome> = self.findings.found.moves.iter().collect();
        longest.sort_by_key(|one| (one.outcome.completed(), Reverse(one.outcome.ended_at), one.vm));
        let mut header = Row::HEADER.to_vec();
        if self.findings.likely.is_some() {
            header.extend(["total, 90 % interval", "downtime, 90 % interval", "arrives with"]);
        }
        let spare = ["service lost", "began", "downtime, 90 % interval", "from", "to", "downtime"];
        let mut moves = Grid::new(&header, 4..).spare(&spare);
        for one in longest.iter().take(SHOWN) {
            let row = self.row(one);
            let mut cells = row.cells().to_vec();
            if self.findings.likely.is_some() {
                let [tmt, down] = [row.likely.map(|l| l.tmt_s), row.likely.map(|l| l.downtime_s)];
                cells.extend([tmt, down].map(|figure| Cell::span(figure.map(ends))));
                cells.push(Cell::percent(row.likely.map(|likely| likely.arrived)));
            }
            moves.row(cells);
        }
        let of = |count: usize| {
            if count > SHOWN { format!(" ({SHOWN} of {count})") } else { String::new() }
        };
        out.text(format!("\nThe longest{}:\n", of(longest.len()))).table(moves);
        let mut busy = |what: &str, unit: &str, busy: Vec<Busy>, amount: fn(f64) -> Cell| {
            let mut table = Grid::new(&[what, "capacity", unit, "utilisation"], 1..);
            for one in busy.iter().take(SHOWN) {
                table.row(one.cells(amount));
            }
            out.text(format!("\nThe busiest {what}s{}:\n", of(busy.len()))).table(table);
        };
        busy("link", "carried, with frames", self.links(t.all_over_s), Cell::Size);
        busy("host", "processors' time", self.hosts(t.all_over_s), Cell::Time);
        for note in self.findings.notes() {
            out.text(format!("Note: {note}.\n"));
        }
        out
    }

    /// Who does not arrive, a line each.
    fn missing_words(&self) -> Vec<String> {
        let line = |one: &Missing| {
            let name = &self.findings.cluster.vms[one.vm].guest.name;
            let [from, to] = one.hosts.map(|host| self.findings.cluster.hosts[host].name.as_str());
            let remedy = match (&one.remedy, one.ending) {
                (Some(remedy), _) => format!("; it would arrive {remedy}"),
                (None, "never-left") => String::new(),
                (None, _) => "; no lever alone is likely to let it arrive".to_owned(),
            };
            format!("{name} ({from} to {to}) does not arrive: {}{remedy}", one.reason)
        };
        self.findings.missing.iter().map(line).collect()
    }

    /// The totals in sentences.
    fn words(&self, t: &Totals) -> String {
        let arrive = match t.arrived {
            0 => "no guest arrives".to_owned(),
            1 => format!("1 guest arrives within {}", seconds(t.makespan_s)),
            all => format!("{all} guests arrive within {}", seconds(t.makespan_s)),
        };
        let mut out = format!(
            "{}: {arrive}; {} over the links.\n",
            self.findings.cluster.name,
            human_bytes(t.wire_bytes)
        );
        let hosts = self.findings.hosts;
        let [which, mark] =
            if hosts.given { ["", ""] } else { ["by their network cards, ", " (default)"] };
        let _ = writeln!(out, "  Hosts: profile {which}{}{mark}.", hosts.profile.name);
        let _ = writeln!(
            out,
            "  Downtime {} in all, {} at worst. Migration times add up to {}; {} of service lost.",
            seconds(t.downtime_s),
            seconds(t.worst_downtime_s),
            seconds(t.migration_s),
            seconds(t.lost_s)
        );
        if let Some(likely) = self.findings.likely.filter(|likely| !likely.totals.is_empty()) {
            let made = likely.totals.len();
            let several = if made == 1 { "replication" } else { "replications" };
            let of = if made < likely.wanted {
                format!("{made} (of {}: interrupted)", likely.wanted)
            } else {
                made.to_string()
            };
            let spans =
                |figures: [fn(&Totals) -> f64; 3]| figures.map(|of| likely.likely(of).map(span));
            match spans([|t| t.makespan_s, |t| t.downtime_s, |t| t.worst_downtime_s]) {
                [Some(makespan), Some(downtime), Some(worst)] => {
                    let _ = writeln!(
                        out,
                        "  90 % interval of {of} {several}: {makespan}; downtime {downtime} in all, {worst} at worst."
                    );
                    let beyond = |&[low, _, high]: &Likely| !(low..=high).contains(&t.downtime_s);
                    if let Some([_, middle, _]) = likely.likely(|t| t.downtime_s).filter(beyond) {
                        let _ = writeln!(
                            out,
                            "  Half of them have a downtime of {} or less in all: they draw where each guest's zero pages lie, which the move as expected above takes to be evenly mixed.",
                            seconds(middle)
                        );
                    }
                }
                _ => {
                    _ = writeln!(
                        out,
                        "  {of} {several}: an interval takes two or more with arrivals."
                    );
                }
            }
            let _ = writeln!(
                out,
                "  All guests arrive with a probability of {:.0} %.",
                likely.p_all_arrive() * 100.0
            );
        }
        out.push_str(&self.window_words());
        if t.not_arrived > 0 {
            let _ = writeln!(
                out,
                "  {} did NOT arrive: {} were given up, the last after {}, and {} never left.",
                t.not_arrived,
                t.gave_up,
                seconds(t.all_over_s),
                t.never_left
            );
            let words = self.missing_words();
            for line in words.iter().take(SHOWN) {
                let _ = writeln!(out, "  - {line}.");
            }
            if words.len() > SHOWN {
                let _ = writeln!(
                    out,
                    "  - and {} more; JSON, CSV and the page name all.",
                    words.len() - SHOWN
                );
            }
        }
        out
    }

    /// Whether the window is long enough, and who endangers that.
    fn window_words(&self) -> String {
        let (Some(window), Some(deadline), Some(likely)) =
            (self.window, self.findings.deadline(), self.findings.likely)
        else {
            return String::new();
        };
        let mut out = format!(
            "  All guests have arrived {} with a probability of {:.0} %.\n",
            window.end(),
            deadline.p_all_arrived * 100.0
        );
        if let Some([low, middle, high]) = likely.likely(|t| t.makespan_s)
            && let (Some(low), Some(middle), Some(high)) =
                (window.at(low), window.at(middle), window.at(high))
        {
            let _ = writeln!(
                out,
                "  The last of those that arrive is there at {middle} (90 % interval: {low} to {high})."
            );
        }
        let late = &deadline.endangered_by;
        if !late.is_empty() {
            let named = late.iter().map(|one| {
                format!("{} (there by then with {:.0} %)", one.name, one.p_arrived * 100.0)
            });
            let _ = writeln!(out, "  It is endangered by {}.", first_of(named, SHOWN));
        }
        out
    }

    /// When each guest moved, with its stop, and how busy the busiest links and hosts were.
    pub fn picture(&self) -> Picture {
        let t = totals(self.findings.found);
        let panels = [self.gantt(&t), self.use_of_links(&t), self.use_of_hosts(&t)];
        draw_rows(1, 960.0, &[self.gantt_height(), 240.0, 240.0], &panels)
    }

    /// So many bars, of every so many-th guest.
    fn bars(&self) -> (usize, usize) {
        let count = self.findings.found.moves.len();
        let step = count.div_ceil(BARS).max(1);
        (count.div_ceil(step), step)
    }

    fn gantt_height(&self) -> f64 {
        let (shown, _) = self.bars();
        90.0 + (shown as f64 * if shown <= NAMED_BARS { 15.0 } else { 7.0 }).max(120.0)
    }

    fn gantt(&self, t: &Totals) -> Panel {
        let found = self.findings.found;
        let count = found.moves.len();
        let host = |one: &MoveOutcome| self.findings.cluster.vms[one.vm].host;
        let mut order: Vec<&MoveOutcome> = found.moves.iter().collect();
        order.sort_by_key(|one| (host(one), one.began, one.ended(), one.vm));
        let arrived = if t.not_arrived > 0 {
            format!("{} of {count} guests arrive", t.arrived)
        } else {
            format!("{count} guests")
        };
        let (shown, step) = self.bars();
        let which = if step > 1 { format!(", one of {step} is shown") } else { String::new() };
        // Few bars have their guests' names, many the hosts' at the first of each.
        let bars: Vec<&MoveOutcome> = order.into_iter().step_by(step).collect();
        // Of the hosts' names only those for which there is room.
        let tall = (self.gantt_height() - 110.0) / shown.max(1) as f64;
        let room = (LABEL_HEIGHT / tall).ceil() as usize;
        let mut named = None;
        let mut name = |(row, one): (usize, &&MoveOutcome)| {
            if shown <= NAMED_BARS {
                return clipped(&self.findings.cluster.vms[one.vm].guest.name, LONGEST_NAME);
            }
            let first = row == 0 || host(bars[row - 1]) != host(one);
            // Without its domain, which all have.
            let name = &self.findings.cluster.hosts[host(one)].name;
            let short = name.split('.').next().unwrap_or(name);
            if !first || named.is_some_and(|last| row < last + room) {
                return String::new();
            }
            named = Some(row);
            clipped(short, LONGEST_NAME)
        };
        let mut names: Vec<String> = bars.iter().enumerate().map(&mut name).collect();
        names.reverse();
        let mut panel = Panel::new(
            &format!("{}: {arrived} within {}", self.findings.cluster.name, seconds(t.makespan_s)),
            &time_axis(t.all_over_s),
            &format!("guests{which}"),
        )
        .until(t.all_over_s)
        .clock()
        .margins(MARGINS)
        .rows(names);
        let width = tall.clamp(0.8, 9.0);
        let mut told: Vec<&str> = Vec::new();
        for (row, one) in bars.iter().enumerate() {
            let y = (shown - row) as f64;
            let began = one.began.as_secs_f64();
            let mut legend = |text: &'static str| {
                let new = !told.contains(&text);
                told.extend(new.then_some(text));
                if new { text } else { "" }
            };
            let (what, colour) = match one.outcome.completed() {
                true => ("migration", BLUE),
                false => ("did not arrive", GREY),
            };
            panel = panel.bar(
                legend(what),
                colour,
                [(began, y), (one.ended().as_secs_f64(), y)],
                width,
            );
            if let Some((down, resumed)) = one.outcome.downtime().zip(one.outcome.resumed_at) {
                let resumed = began + resumed.as_secs_f64();
                // A stop of milliseconds is seen all the same.
                let down = down.as_secs_f64().max(t.all_over_s * LEAST_SHARE);
                let ends = [(resumed - down, y), (resumed, y)];
                panel = panel.bar(legend("stop"), ORANGE, ends, width);
            }
        }
        panel
    }

    fn busy_panel(&self, title: &str, t: &Totals) -> Panel {
        Panel::new(title, &time_axis(t.all_over_s), "utilisation, %")
            .until(t.all_over_s)
            .clock()
            .margins(MARGINS)
    }

    fn use_of_links(&self, t: &Totals) -> Panel {
        let mut panel = self.busy_panel("The busiest links", t);
        for (busy, colour) in self.links(t.all_over_s).into_iter().zip(COLOURS) {
            let most =
                self.findings.cluster.capacity(self.findings.found.links[busy.index]).bytes_per_s();
            panel = panel.line(
                &busy.name,
                colour,
                percent(self.findings.found.carried.rates(busy.index), most),
            );
        }
        panel
    }

    fn use_of_hosts(&self, t: &Totals) -> Panel {
        let mut panel = self.busy_panel("Processors of the busiest hosts", t);
        for (busy, colour) in self.hosts(t.all_over_s).into_iter().zip(COLOURS) {
            let most = self.findings.cluster.hosts[busy.index].cores;
            panel = panel.line(
                &busy.name,
                colour,
                percent(self.findings.found.worked.rates(busy.index), most),
            );
        }
        panel
    }
}

/// How guests are moved, in words: so many of each mode.
pub fn modes(findings: &Findings) -> String {
    let mut count: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    for one in &findings.found.moves {
        let policy = &findings.cluster.vms[one.vm].policy;
        let throttled = if policy.auto_converge.is_some() { " with auto-converge" } else { "" };
        *count.entry(format!("{}{throttled}", policy.mode)).or_default() += 1;
    }
    let said = count.into_iter().map(|(what, count)| format!("{count} {what}"));
    said.collect::<Vec<_>>().join(", ")
}

/// The label of an axis of time that goes so far.
fn time_axis(until_s: f64) -> String {
    let unit = match until_s {
        s if s <= 120.0 => "s",
        s if s <= 3600.0 => "min:s",
        _ => "h min",
    };
    format!("time since the first begins, {unit}")
}

fn busiest(all: impl Iterator<Item = Busy>) -> Vec<Busy> {
    let mut all: Vec<Busy> = all.filter(|one| one.share > 0.0).collect();
    all.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.index.cmp(&b.index)));
    all
}

fn percent(rates: Vec<(f64, f64)>, most: f64) -> Vec<(f64, f64)> {
    rates.into_iter().map(|(s, rate)| (s, 100.0 * rate / most)).collect()
}

/// What it makes of a fleet how many are moved at once.
#[derive(Debug, Clone, Copy)]
pub struct Compared<'a>(pub &'a [AtOnce]);

impl Answered for Compared<'_> {
    fn document(&self) -> Document {
        compared(self.0)
    }

    fn value(&self) -> Value {
        value(AtOnceAnswer { schema: SCHEMA, results: self.0.to_vec() })
    }

    fn each_row(&self, take: &mut dyn FnMut(Value) -> anyhow::Result<()>) -> anyhow::Result<()> {
        self.0.iter().try_for_each(|one| take(value(one)))
    }

    fn columns(&self) -> Vec<String> {
        places(&value(AtOnce { at_once: 0, best: false, totals: Totals::default() }))
    }
}

/// Fleets with so many moves at once, the best of them marked.
pub fn at_once(found: impl IntoIterator<Item = (usize, Totals)>) -> Vec<AtOnce> {
    let mut all: Vec<AtOnce> = found
        .into_iter()
        .map(|(at_once, totals)| AtOnce { at_once, best: false, totals })
        .collect();
    // The most arrivals first, then the earliest last one, then the fewest at a time.
    let best = all.iter_mut().min_by(|a, b| {
        let key = |one: &AtOnce| (Reverse(one.totals.arrived), one.totals.makespan_s, one.at_once);
        let (a, b) = (key(a), key(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2))
    });
    if let Some(best) = best {
        best.best = true;
    }
    all
}

fn compared(found: &[AtOnce]) -> Document {
    let header = [
        "at once",
        "the last arrives after",
        "migration times together",
        "downtime in all",
        "at worst",
        "service lost",
        "over the links",
        "not arrived",
    ];
    let mut table = Grid::new(&header, 0..);
    for one in found {
        let t = &one.totals;
        table.row([
            one.at_once.to_string().into(),
            Cell::Time(t.makespan_s),
            Cell::Time(t.migration_s),
            Cell::Time(t.downtime_s),
            Cell::Time(t.worst_downtime_s),
            Cell::Time(t.lost_s),
            Cell::Size(t.wire_bytes),
            t.not_arrived.to_string().into(),
        ]);
    }
    let mut out = Document::default();
    out.table(table).text(recommendation(found));
    out
}

/// Which is best, and what else binds.
fn recommendation(found: &[AtOnce]) -> String {
    let Some(best) = found.iter().find(|one| one.best) else { return String::new() };
    let mut out = format!(
        "Best: {} at once; {} arrive, the last after {}.\n",
        best.at_once,
        best.totals.arrived,
        seconds(best.totals.makespan_s)
    );
    let bound: Vec<String> = found
        .iter()
        .filter(|one| one.totals.most_at_once < one.at_once)
        .map(|one| one.at_once.to_string())
        .collect();
    if let Some(most) =
        found.iter().map(|one| one.totals.most_at_once).max().filter(|_| !bound.is_empty())
    {
        let _ = writeln!(
            out,
            "With {} at once another limit binds (per_host, per_link, memory, or the number of guests): never more than {most} migrate at a time.",
            bound.join(", ")
        );
    }
    out
}

/// What it makes of a fleet how many are moved at once, as a picture.
pub fn at_once_picture(name: &str, found: &[AtOnce]) -> Picture {
    let points = |of: fn(&Totals) -> f64| -> Vec<(f64, f64)> {
        found.iter().map(|one| (one.at_once as f64, of(&one.totals))).collect()
    };
    let most = found.iter().map(|one| one.at_once).max().unwrap_or(1) as f64;
    let drawn = |title: &str, unit: &str, colour, points: Vec<(f64, f64)>| {
        let panel = Panel::new(title, "migrations at once", unit).whole().until(most + 0.5);
        panel.line("", colour, points.clone()).dots("", colour, points)
    };
    draw_at(
        2,
        [520.0, 300.0],
        &[
            drawn(&format!("{name}: until the last arrives"), "s", BLUE, points(|t| t.makespan_s)),
            drawn("Migration times together", "s", BLUE, points(|t| t.migration_s)),
            drawn("Downtime in all", "s", ORANGE, points(|t| t.downtime_s)),
            drawn("Over the links", "GiB", ORANGE, points(|t| t.wire_bytes / f64::from(1 << 30))),
        ],
    )
}

/// A fleet's file and its inventory, found to be without mistakes.
#[derive(Debug, Clone)]
pub struct Checked<'a> {
    /// The file, as given.
    pub file: String,
    /// Hosts, links, guests.
    pub cluster: &'a Cluster,
    /// How many moves it asks for.
    pub moves: usize,
}

impl Answered for Checked<'_> {
    fn document(&self) -> Document {
        let notes = self.cluster.notes();
        let verdict = if notes.is_empty() { "nothing wrong" } else { "no mistakes, but:" };
        let (hosts, guests) = (self.cluster.hosts.len(), self.cluster.vms.len());
        let mut out = Document::default();
        out.text(format!(
            "{}: {hosts} hosts, {guests} guests, {} moves: {verdict}\n",
            self.file, self.moves
        ));
        for note in notes {
            out.text(format!("- {note}.\n"));
        }
        out
    }

    fn value(&self) -> Value {
        value(InventoryAnswer::new(&self.file, self.cluster, self.moves))
    }

    fn each_row(&self, take: &mut dyn FnMut(Value) -> anyhow::Result<()>) -> anyhow::Result<()> {
        take(self.value())
    }

    fn columns(&self) -> Vec<String> {
        places(&self.value())
    }
}
