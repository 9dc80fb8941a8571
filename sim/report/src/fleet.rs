//! What came of a fleet, for people and programs.

use std::cmp::Reverse;
use std::fmt::Write;

use migsim_models::units::{SimTime, human_bytes, human_rate, human_time};
use serde_json::{Value, json};

use super::chart::{BLUE, GREY, ORANGE, Panel, Picture, draw_at};
use super::html;
use super::table::grid;
use migsim::answer::{Hosts, ending_word, outcome_word};
use migsim::fleet::{Cluster, Fleeted, Likely, LikelyMove, Missing, Moved, Replicated, Totals, totals};
use migsim_models::text::harmless;

/// Rows of moves, lines and hosts that a table shows.
const SHOWN: usize = 12;
/// Guests that a picture has a bar for, and lines or hosts that it has a curve for.
const BARS: usize = 400;
const COLOURS: [&str; 6] = [BLUE, ORANGE, "#009e73", "#cc79a7", "#56b4e9", "#e69f00"];

/// What is to be reported.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// Hosts, lines, guests.
    pub cluster: &'a Cluster,
    /// By which hosts' profile.
    pub hosts: Hosts<'a>,
    /// How it is expected to go.
    pub found: &'a Fleeted,
    /// Who does not arrive.
    pub missing: &'a [Missing],
    /// How it went with other luck, where that was asked.
    pub likely: Option<&'a Replicated>,
}

fn seconds(s: f64) -> String {
    human_time(SimTime::from_secs_f64(s))
}

fn span([low, _, high]: Likely) -> String {
    format!("{} to {}", seconds(low), seconds(high))
}

/// What is said of a move, as the columns of CSV and JSON.
struct Row<'a> {
    one: &'a Moved,
    name: &'a str,
    hosts: [&'a str; 2],
    outcome: &'static str,
    likely: Option<LikelyMove>,
}

impl Row<'_> {
    const HEADER: [&'static str; 8] = ["guest", "from", "to", "outcome", "began", "total", "downtime", "service lost"];

    /// As a person reads it.
    fn cells(&self) -> [String; 8] {
        [
            self.name.to_owned(),
            self.hosts[0].to_owned(),
            self.hosts[1].to_owned(),
            self.outcome.to_owned(),
            human_time(self.one.began),
            human_time(self.one.outcome.ended_at),
            self.one.outcome.downtime().map_or("-".to_owned(), human_time),
            seconds(self.one.lost_s),
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
    fn cells(&self, amount: fn(f64) -> String) -> [String; 4] {
        [self.name.clone(), self.most.clone(), amount(self.did), format!("{:.1} %", self.share * 100.0)]
    }
}

impl Report<'_> {
    fn row<'b>(&'b self, one: &'b Moved) -> Row<'b> {
        Row {
            one,
            name: &self.cluster.vms[one.vm].guest.name,
            hosts: one.hosts.map(|host| self.cluster.hosts[host].name.as_str()),
            outcome: outcome_word(&one.outcome),
            likely: self.likely.and_then(|likely| likely.moves[one.index]),
        }
    }

    /// The lines that carried something, the busiest first.
    fn lines(&self, makespan_s: f64) -> Vec<Busy> {
        let line = |index: usize| {
            let line = self.found.lines[index];
            let (did, capacity) = (self.found.carried.total(index), self.cluster.capacity(line));
            let share = did / (capacity.bytes_per_s() * makespan_s);
            Busy { index, name: self.cluster.line_name(line), most: human_rate(capacity), did, share }
        };
        busiest((0..self.found.lines.len()).map(line))
    }

    /// The hosts whose processors did something.
    fn hosts(&self, makespan_s: f64) -> Vec<Busy> {
        let host = |(index, host): (usize, &migsim::fleet::Host)| {
            let did = self.found.worked.total(index);
            let share = did / (host.cores * makespan_s);
            Busy { index, name: host.name.clone(), most: format!("{} cores", host.cores), did, share }
        };
        busiest(self.cluster.hosts.iter().enumerate().map(host))
    }

    /// As text: what it takes in all, the guests that take longest, the busiest lines and hosts.
    pub fn table(&self) -> String {
        let t = totals(self.found);
        let mut out = self.words(&t);
        let mut longest: Vec<&Moved> = self.found.moves.iter().collect();
        longest.sort_by_key(|one| (one.outcome.completed(), Reverse(one.outcome.ended_at), one.vm));
        let mut header = Row::HEADER.to_vec();
        if self.likely.is_some() {
            header.extend(["total, 90 % interval", "downtime, 90 % interval", "arrives with"]);
        }
        let mut moves = grid(&header, 4..);
        for one in longest.iter().take(SHOWN) {
            let row = self.row(one);
            let mut cells = row.cells().to_vec();
            if self.likely.is_some() {
                let [tmt, down] = [row.likely.map(|l| l.tmt_s), row.likely.map(|l| l.downtime_s)];
                cells.extend([tmt, down].map(|figure| figure.map_or("-".to_owned(), span)));
                cells.push(row.likely.map_or("-".to_owned(), |likely| format!("{:.0} %", likely.arrived * 100.0)));
            }
            moves.add_row(cells);
        }
        let of = |count: usize| if count > SHOWN { format!(" ({SHOWN} of {count})") } else { String::new() };
        let _ = write!(out, "\nThe longest{}:\n{moves}\n", of(longest.len()));
        let mut busy = |what: &str, unit: &str, busy: Vec<Busy>, amount: fn(f64) -> String| {
            let mut table = grid(&[what, "capacity", unit, "in use on average"], 1..);
            for one in busy.iter().take(SHOWN) {
                table.add_row(one.cells(amount));
            }
            let _ = write!(out, "\nThe busiest {what}s{}:\n{table}\n", of(busy.len()));
        };
        busy("line", "carried", self.lines(t.all_over_s), human_bytes);
        busy("host", "processors' time", self.hosts(t.all_over_s), seconds);
        for note in self.notes() {
            let _ = writeln!(out, "Note: {note}.");
        }
        out
    }

    /// What was assumed of guests that decides what comes of it.
    fn notes(&self) -> Vec<String> {
        notes(self.cluster)
    }

    /// Who does not arrive, a line each.
    fn missing_words(&self) -> Vec<String> {
        let line = |one: &Missing| {
            let name = &self.cluster.vms[one.vm].guest.name;
            let [from, to] = one.hosts.map(|host| self.cluster.hosts[host].name.as_str());
            let remedy = match (&one.remedy, one.ending) {
                (Some(remedy), _) => format!("; it would arrive {remedy}"),
                (None, "never-left") => String::new(),
                (None, _) => "; no lever alone is likely to let it arrive".to_owned(),
            };
            format!("{name} ({from} to {to}) does not arrive: {}{remedy}", one.reason)
        };
        self.missing.iter().map(line).collect()
    }

    /// The totals in sentences.
    fn words(&self, t: &Totals) -> String {
        let mut out = format!(
            "{}: {} guest{} arrive{} within {}; {} over the lines.\n",
            self.cluster.name,
            t.arrived,
            if t.arrived == 1 { "" } else { "s" },
            if t.arrived == 1 { "s" } else { "" },
            seconds(t.makespan_s),
            human_bytes(t.wire_bytes)
        );
        let default = if self.hosts.given { "" } else { " (default)" };
        let _ = writeln!(out, "  Hosts: profile {}{default}.", self.hosts.profile.name);
        let _ = writeln!(
            out,
            "  Downtime {} in all, {} at worst. Migration times add up to {}; {} of service lost.",
            seconds(t.downtime_s),
            seconds(t.worst_downtime_s),
            seconds(t.migration_s),
            seconds(t.lost_s)
        );
        if let Some(likely) = self.likely.filter(|likely| !likely.totals.is_empty()) {
            let made = likely.totals.len();
            let several = if made == 1 { "replication" } else { "replications" };
            let of = if made < likely.wanted {
                format!("{made} (of {}: interrupted)", likely.wanted)
            } else {
                made.to_string()
            };
            let spans = |figures: [fn(&Totals) -> f64; 3]| figures.map(|of| likely.likely(of).map(span));
            match spans([|t| t.makespan_s, |t| t.downtime_s, |t| t.worst_downtime_s]) {
                [Some(makespan), Some(downtime), Some(worst)] => {
                    let _ = writeln!(
                        out,
                        "  90 % interval of {of} {several}: {makespan}; downtime {downtime} in all, {worst} at worst."
                    );
                }
                _ => _ = writeln!(out, "  {of} {several}: an interval takes two or more with arrivals."),
            }
            let _ = writeln!(out, "  All guests arrive with a probability of {:.0} %.", likely.p_all_arrive() * 100.0);
        }
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
                let _ = writeln!(out, "  - and {} more; JSON, CSV and the page name all.", words.len() - SHOWN);
            }
        }
        out
    }

    /// One row a move.
    ///
    /// # Errors
    /// The writer's, of which there are none in memory.
    pub fn csv(&self) -> anyhow::Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let likely = ["tmt_p5_s", "tmt_p95_s", "downtime_p5_s", "downtime_p95_s", "p_arrives"];
        let mut header = vec![
            "name",
            "from",
            "to",
            "outcome",
            "began_s",
            "ended_s",
            "tmt_s",
            "downtime_s",
            "wire_bytes",
            "dirty_syncs",
            "lost_s",
            "ending",
            "reason",
            "remedy",
        ];
        if self.likely.is_some() {
            header.extend(likely);
        }
        writer.write_record(header)?;
        for one in &self.found.moves {
            let row = self.row(one);
            let optional = |time: Option<SimTime>| time.map_or(String::new(), |t| t.as_secs_f64().to_string());
            let mut cells = vec![
                row.name.to_owned(),
                row.hosts[0].to_owned(),
                row.hosts[1].to_owned(),
                row.outcome.to_owned(),
                one.began.as_secs_f64().to_string(),
                one.ended().as_secs_f64().to_string(),
                optional(one.outcome.tmt()),
                optional(one.outcome.downtime()),
                one.outcome.wire_bytes.to_string(),
                one.outcome.dirty_syncs.to_string(),
                one.lost_s.to_string(),
                ending_word(&one.outcome).to_owned(),
                one.why_not.clone().unwrap_or_default(),
                self.missing_of(one.index).and_then(|missing| missing.remedy.clone()).unwrap_or_default(),
            ];
            if self.likely.is_some() {
                let figures = row.likely.map(|l| [l.tmt_s[0], l.tmt_s[2], l.downtime_s[0], l.downtime_s[2], l.arrived]);
                cells
                    .extend((0..likely.len()).map(|i| figures.map_or(String::new(), |figures| figures[i].to_string())));
            }
            writer.write_record(cells.iter().map(|cell| harmless(cell)))?;
        }
        for one in self.missing.iter().filter(|one| one.ending == "never-left") {
            let [from, to] = one.hosts.map(|host| self.cluster.hosts[host].name.clone());
            let mut cells = vec![self.cluster.vms[one.vm].guest.name.clone(), from, to, "failed".to_owned()];
            cells.resize(11, String::new());
            cells.extend([one.ending.to_owned(), one.reason.clone(), String::new()]);
            if self.likely.is_some() {
                cells.resize(cells.len() + likely.len(), String::new());
            }
            writer.write_record(cells.iter().map(|cell| harmless(cell)))?;
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }

    fn missing_of(&self, index: usize) -> Option<&Missing> {
        let at = self.missing.binary_search_by_key(&index, |one| one.index).ok()?;
        self.missing.get(at)
    }

    /// Totals, moves, lines and hosts.
    pub fn json(&self) -> Value {
        let t = totals(self.found);
        let moves: Vec<Value> = self
            .found
            .moves
            .iter()
            .map(|one| {
                let row = self.row(one);
                let mut value = json!({
                    "name": row.name, "from": row.hosts[0], "to": row.hosts[1], "outcome": row.outcome,
                    "began_s": one.began.as_secs_f64(), "ended_s": one.ended().as_secs_f64(),
                    "tmt_s": one.outcome.tmt().map(SimTime::as_secs_f64),
                    "downtime_s": one.outcome.downtime().map(SimTime::as_secs_f64),
                    "wire_bytes": one.outcome.wire_bytes, "dirty_syncs": one.outcome.dirty_syncs, "lost_s": one.lost_s,
                    "ending": ending_word(&one.outcome),
                });
                if let Some(l) = row.likely {
                    value["quantiles"] = json!({
                        "began_s": quantiles(l.began_s), "tmt_s": quantiles(l.tmt_s),
                        "downtime_s": quantiles(l.downtime_s), "p_arrives": l.arrived,
                    });
                }
                value
            })
            .collect();
        let lines: Vec<Value> = (0..self.found.lines.len())
            .map(|index| {
                let line = self.found.lines[index];
                json!({
                    "name": self.cluster.line_name(line),
                    "capacity_bit_s": self.cluster.capacity(line).0,
                    "wire_bytes": self.found.carried.total(index),
                })
            })
            .collect();
        let hosts: Vec<Value> = self
            .cluster
            .hosts
            .iter()
            .enumerate()
            .map(|(index, host)| json!({"name": host.name, "cores": host.cores, "busy_s": self.found.worked.total(index)}))
            .collect();
        let mut value = json!(t);
        value["name"] = json!(self.cluster.name);
        let missing: Vec<Value> = self
            .missing
            .iter()
            .map(|one| {
                let [from, to] = one.hosts.map(|host| self.cluster.hosts[host].name.as_str());
                json!({
                    "name": self.cluster.vms[one.vm].guest.name, "from": from, "to": to,
                    "ending": one.ending, "reason": one.reason, "remedy": one.remedy,
                })
            })
            .collect();
        value["not_arrived_guests"] = json!(missing);
        value["profile"] = json!(self.hosts.profile.name);
        value["profile_given"] = json!(self.hosts.given);
        value["warnings"] = json!(self.notes());
        value["moves"] = json!(moves);
        value["lines"] = json!(lines);
        value["hosts"] = json!(hosts);
        if let Some(likely) = self.likely.filter(|likely| !likely.totals.is_empty()) {
            let of = |figure: fn(&Totals) -> f64| likely.likely(figure).map(quantiles);
            value["replications"] = json!({
                "made": likely.totals.len(), "wanted": likely.wanted, "p_all_arrive": likely.p_all_arrive(),
                "makespan_s": of(|t| t.makespan_s), "wire_bytes": of(|t| t.wire_bytes), "downtime_s": of(|t| t.downtime_s),
                "worst_downtime_s": of(|t| t.worst_downtime_s), "migration_s": of(|t| t.migration_s), "lost_s": of(|t| t.lost_s),
            });
        }
        value
    }

    /// When each guest moved, with its stop, and how busy the busiest lines and hosts were.
    pub fn picture(&self) -> Picture {
        let t = totals(self.found);
        draw_at(1, [900.0, 340.0], &[self.gantt(&t), self.use_of_lines(&t), self.use_of_hosts(&t)])
    }

    fn gantt(&self, t: &Totals) -> Panel {
        let count = self.found.moves.len();
        let mut order: Vec<&Moved> = self.found.moves.iter().collect();
        order.sort_by_key(|one| (one.began, one.ended(), one.vm));
        // Of very many guests every so many-th.
        let arrived = if t.not_arrived > 0 {
            format!("{} of {count} guests arrive", t.arrived)
        } else {
            format!("{count} guests")
        };
        let step = count.div_ceil(BARS).max(1);
        let shown = count.div_ceil(step);
        let which = if step > 1 { format!(" (one of {step} is shown)") } else { String::new() };
        let mut panel = Panel::new(
            &format!("{}: {arrived} within {}", self.cluster.name, seconds(t.makespan_s)),
            "time, s",
            &format!("guests by their start{which}"),
        )
        .until(t.all_over_s);
        let width = (260.0 / shown.max(1) as f64).clamp(0.6, 9.0);
        for (row, one) in order.iter().step_by(step).enumerate() {
            let y = (shown - row) as f64;
            let began = one.began.as_secs_f64();
            let legend = |text: &'static str| if row == 0 { text } else { "" };
            let colour = if one.outcome.completed() { BLUE } else { GREY };
            panel = panel.bar(legend("migration"), colour, [(began, y), (one.ended().as_secs_f64(), y)], width);
            if let Some((down, resumed)) = one.outcome.downtime().zip(one.outcome.resumed_at) {
                let resumed = began + resumed.as_secs_f64();
                panel = panel.bar(legend("stop"), ORANGE, [(resumed - down.as_secs_f64(), y), (resumed, y)], width);
            }
        }
        panel
    }

    fn use_of_lines(&self, t: &Totals) -> Panel {
        let mut panel = Panel::new("The busiest lines", "time, s", "% in use").until(t.all_over_s);
        for (busy, colour) in self.lines(t.all_over_s).into_iter().zip(COLOURS) {
            let most = self.cluster.capacity(self.found.lines[busy.index]).bytes_per_s();
            panel = panel.line(&busy.name, colour, percent(self.found.carried.rates(busy.index), most));
        }
        panel
    }

    fn use_of_hosts(&self, t: &Totals) -> Panel {
        let mut panel = Panel::new("Processors of the busiest hosts", "time, s", "% in use").until(t.all_over_s);
        for (busy, colour) in self.hosts(t.all_over_s).into_iter().zip(COLOURS) {
            let most = self.cluster.hosts[busy.index].cores;
            panel = panel.line(&busy.name, colour, percent(self.found.worked.rates(busy.index), most));
        }
        panel
    }

    /// What a table has no room for: the others that do not arrive, and what was assumed.
    fn more_words(&self) -> String {
        let more = self.missing_words().into_iter().skip(SHOWN).map(|line| format!("  - {line}.\n"));
        let notes = self.notes().into_iter().map(|note| format!("Note: {note}.\n"));
        more.chain(notes).collect()
    }

    /// All of it as one page that needs no network.
    pub fn page(&self) -> String {
        let t = totals(self.found);
        let pictures = |panel: Panel| draw_at(1, [1000.0, 400.0], &[panel]).svg();
        let header = Row::HEADER.iter().chain(&["total, 90 % interval"]).map(|&name| name.to_owned()).collect();
        let rows = self.found.moves.iter().map(|one| {
            let row = self.row(one);
            row.cells().into_iter().chain([row.likely.map_or("-".to_owned(), |l| span(l.tmt_s))]).collect()
        });
        let moves = html::table(std::iter::once(header).chain(rows));
        let busy = |what: &str, all: Vec<Busy>, amount: fn(f64) -> String| {
            let header = [what, "capacity", "in all", "in use on average"].map(str::to_owned).to_vec();
            html::table(std::iter::once(header).chain(all.iter().map(|one| one.cells(amount).to_vec())))
        };
        let body = format!(
            "<h1>{name}</h1>\n<p>{words}</p>\n<h2>When</h2>\n{when}\n<h2>Lines</h2>\n{use_of_lines}\n{lines}\n<h2>Hosts</h2>\n{use_of_hosts}\n{hosts}\n<h2>Guests</h2>\n{moves}",
            name = html::escaped(&self.cluster.name),
            words = html::escaped(&(self.words(&t) + &self.more_words())).replace('\n', "<br>\n"),
            when = pictures(self.gantt(&t)),
            use_of_lines = pictures(self.use_of_lines(&t)),
            lines = busy("line", self.lines(t.all_over_s), human_bytes),
            use_of_hosts = pictures(self.use_of_hosts(&t)),
            hosts = busy("host", self.hosts(t.all_over_s), seconds),
        );
        html::page(&self.cluster.name, &body)
    }
}

/// What was assumed of a cluster's guests that decides what comes of moving them.
pub fn notes(cluster: &Cluster) -> Vec<String> {
    let count = cluster.vms.len();
    let mut notes = Vec::new();
    let idle = cluster.vms.iter().filter(|vm| !vm.given[0]).count();
    if idle > 0 {
        notes.push(format!(
            "{idle} of {count} guests have no workload and are taken to write nothing: they move as fast as a guest can; one that writes takes \
             longer, is down for longer, or does not arrive"
        ));
    }
    let single = cluster.vms.iter().filter(|vm| !vm.given[1] && vm.given[0]).count();
    if single > 0 {
        notes.push(format!(
            "{single} of {count} guests have a workload and no vcpus and are taken to have one, which holds fast writers back"
        ));
    }
    notes
}

fn busiest(all: impl Iterator<Item = Busy>) -> Vec<Busy> {
    let mut all: Vec<Busy> = all.filter(|one| one.share > 0.0).collect();
    all.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.index.cmp(&b.index)));
    all
}

fn percent(rates: Vec<(f64, f64)>, most: f64) -> Vec<(f64, f64)> {
    rates.into_iter().map(|(s, rate)| (s, 100.0 * rate / most)).collect()
}

fn quantiles([p5, p50, p95]: Likely) -> Value {
    json!({"p5": p5, "p50": p50, "p95": p95})
}

/// A fleet with so many moves at once, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AtOnce {
    /// So many wanted.
    pub most: usize,
    /// What came of it.
    pub totals: Totals,
}

/// What it makes of a fleet how many are moved at once, as text.
pub fn at_once_table(found: &[AtOnce]) -> String {
    let header = [
        "at once",
        "the last arrives after",
        "migration times together",
        "downtime in all",
        "at worst",
        "service lost",
        "over the lines",
        "not arrived",
    ];
    let mut table = grid(&header, 0..);
    for one in found {
        let t = &one.totals;
        table.add_row([
            one.most.to_string(),
            seconds(t.makespan_s),
            seconds(t.migration_s),
            seconds(t.downtime_s),
            seconds(t.worst_downtime_s),
            seconds(t.lost_s),
            human_bytes(t.wire_bytes),
            t.not_arrived.to_string(),
        ]);
    }
    format!("{table}\n{}", recommendation(found))
}

/// Which is best, and what else binds: the most arrivals first, then the earliest last one, then the fewest at a time.
fn recommendation(found: &[AtOnce]) -> String {
    let Some(best) = best(found) else { return String::new() };
    let mut out = format!(
        "Best: {} at once; {} arrive, the last after {}.\n",
        best.most,
        best.totals.arrived,
        seconds(best.totals.makespan_s)
    );
    let bound: Vec<String> =
        found.iter().filter(|one| one.totals.most_at_once < one.most).map(|one| one.most.to_string()).collect();
    if let Some(most) = found.iter().map(|one| one.totals.most_at_once).max().filter(|_| !bound.is_empty()) {
        let _ = writeln!(
            out,
            "With {} at once another limit binds (per_host, per_line, memory, or the number of guests): never more than {most} migrate at a time.",
            bound.join(", ")
        );
    }
    out
}

fn best(found: &[AtOnce]) -> Option<&AtOnce> {
    found.iter().min_by(|a, b| {
        let key = |one: &AtOnce| (Reverse(one.totals.arrived), one.totals.makespan_s, one.most);
        let (a, b) = (key(a), key(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2))
    })
}

/// The same for programs.
pub fn at_once_json(found: &[AtOnce]) -> Value {
    let rows = found.iter().map(|AtOnce { most, totals }| {
        let mut row = json!(totals);
        row["at_once"] = json!(most);
        row["best"] = json!(best(found).is_some_and(|best| best.most == *most));
        row
    });
    rows.collect()
}

/// The same as CSV.
///
/// # Errors
/// The writer's, of which there are none in memory.
pub fn at_once_csv(found: &[AtOnce]) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "at_once",
        "makespan_s",
        "migration_s",
        "downtime_s",
        "worst_downtime_s",
        "lost_s",
        "wire_bytes",
        "moved",
        "failed",
        "never",
        "not_arrived",
        "most_at_once",
        "best",
    ])?;
    for AtOnce { most, totals: t } in found {
        let seconds = [t.makespan_s, t.migration_s, t.downtime_s, t.worst_downtime_s, t.lost_s, t.wire_bytes];
        let best = best(found).is_some_and(|best| best.most == *most);
        let counts = [t.moved, t.failed, t.never, t.not_arrived, t.most_at_once, usize::from(best)];
        let cells = seconds.iter().map(f64::to_string).chain(counts.iter().map(usize::to_string));
        writer.write_record(std::iter::once(most.to_string()).chain(cells))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// The same as a picture.
pub fn at_once_picture(name: &str, found: &[AtOnce]) -> Picture {
    let points = |of: fn(&Totals) -> f64| -> Vec<(f64, f64)> {
        found.iter().map(|one| (one.most as f64, of(&one.totals))).collect()
    };
    let panel = |title: &str, unit: &str| Panel::new(title, "migrations at once", unit);
    draw_at(
        2,
        [520.0, 300.0],
        &[
            panel(&format!("{name}: until the last arrives"), "s").line("", BLUE, points(|t| t.makespan_s)),
            panel("Migration times together", "s").line("", BLUE, points(|t| t.migration_s)),
            panel("Downtime in all", "s").line("", ORANGE, points(|t| t.downtime_s)),
            panel("Over the lines", "GiB").line("", ORANGE, points(|t| t.wire_bytes / f64::from(1 << 30))),
        ],
    )
}
