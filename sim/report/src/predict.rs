//! Predictions: a verdict first, then the terms, then the iterations.

use std::fmt::Write;

use migsim_models::published::{MODELS, Prediction, SYMBOLS};
use migsim_models::spec::Mode;
use migsim_models::text::counted;
use migsim_models::units::{SimTime, human_bytes, human_time};

use migsim::answer::{Answer, Asked, explain, outside_words, shape, verdict};
use migsim::engine::{Decision, Outcome};
use serde_json::Value;

use crate::cell::Cell;
use crate::document::{Document, Grid};
use crate::format::{Answered, Told, places, value};

/// Rounds shown at the start and at the end of a long list.
const ROUNDS_SHOWN: (usize, usize) = (12, 5);

fn ms(time: SimTime) -> String {
    format!("{:.1} ms", time.as_millis_f64())
}

/// Answers to questions of one guest or several.
#[derive(Debug, Clone, Copy)]
pub struct Predicted<'a> {
    /// One for each guest.
    pub answers: &'a [Answer],
    /// Whether it is told which rule QEMU applied after each iteration.
    pub explain: bool,
}

impl Answered for Predicted<'_> {
    fn document(&self) -> Document {
        let mut out = Document::default();
        match self.answers {
            [one] => answer(one, &mut out),
            several => {
                let verdicts: String =
                    several.iter().map(|one| question(one) + &verdict(one)).collect();
                out.text(verdicts + "\n").table(overview(several)).text("\n");
            }
        }
        for answer in self.answers.iter().filter(|answer| answer.offsets > 1) {
            let (name, offsets) = (&answer.case.guest.name, answer.offsets);
            out.text(format!(
                "{name}: when in a phase the migration starts is not known; shown is the median of {offsets} offsets.\n"
            ));
        }
        for answer in self.answers.iter().filter(|_| self.explain) {
            out.text(format!("\n{}:\n{}", answer.case.guest.name, explain(answer)));
        }
        for answer in self.answers {
            if let Some(words) = outside_words(&answer.understood.outside) {
                let name = &answer.case.guest.name;
                out.text(format!("{name}: outside of the runs behind the profile: {words}.\n"));
            }
        }
        for warning in self.answers.iter().flat_map(|answer| &answer.understood.warnings) {
            out.text(format!("Note: {warning}.\n"));
        }
        out
    }

    fn value(&self) -> Value {
        match self.answers {
            [one] => value(shape::Prediction::from(one)),
            several => value(shape::Predictions {
                schema: shape::SCHEMA,
                results: several.iter().map(shape::Prediction::from).collect(),
            }),
        }
    }

    fn each_row(&self, take: &mut dyn FnMut(Value) -> anyhow::Result<()>) -> anyhow::Result<()> {
        self.answers.iter().try_for_each(|one| take(value(shape::Prediction::from(one))))
    }

    fn columns(&self) -> Vec<String> {
        let mut columns: Vec<String> =
            std::iter::once("name".to_owned()).chain(figures()).collect();
        for (model, asked) in self.answers.iter().flat_map(|answer| &answer.models) {
            let figures = ["tmt_s", "downtime_s", "fair.tmt_s", "fair.downtime_s"];
            let of = figures.map(|figure| format!("models.{}.{figure}", model.name));
            if asked.is_some() && !columns.contains(&of[0]) {
                columns.extend(of);
            }
        }
        columns.extend(["question_line", "defaults", "warnings"].map(str::to_owned));
        columns
    }
}

/// The columns of a migration's figures.
pub(crate) fn figures() -> Vec<String> {
    places(&value(shape::Figures::full()))
}

/// One answer in full.
fn answer(answer: &Answer, document: &mut Document) {
    let mut out = question(answer);
    out.push_str(&verdict(answer));
    let outcome = &answer.outcome;
    if outcome.completed() {
        let t = &outcome.terms;
        let _ = write!(
            out,
            "\nTMT = TI + OV: iterations {} + overhead {} = {} in total\n\
             TDT = DM + VS: dirty memory {} + VM state {} = {} down\n",
            human_time(t.ti),
            human_time(t.ov),
            human_time(t.tmt()),
            ms(t.dm),
            ms(t.vs),
            ms(t.tdt())
        );
        let parts: Vec<String> = outcome
            .downtime_parts
            .named()
            .iter()
            .filter(|(_, time)| *time > SimTime::ZERO)
            .map(|(name, time)| format!("{name} {}", ms(*time)))
            .collect();
        let _ = writeln!(out, "The downtime: {}.", parts.join(", "));
    }
    let _ = writeln!(
        out,
        "On the wire: {} in {} normal and {} zero pages{}; {}.",
        human_bytes(outcome.wire_bytes as f64),
        outcome.normal_pages,
        outcome.zero_pages,
        if outcome.encoded_pages > 0 {
            format!(
                ", {} XBZRLE differences and {} pages that it found unchanged",
                outcome.encoded_pages, outcome.unchanged_pages
            )
        } else {
            String::new()
        },
        counted(outcome.dirty_syncs as usize, "dirty sync")
    );
    if !outcome.iterations.is_empty() {
        out.push('\n');
        document.text(std::mem::take(&mut out)).table(iterations(outcome));
    }
    document.text(out);
    if !answer.models.is_empty() {
        document.text("\n");
        models(answer, document);
    }
}

/// The question as it was understood.
fn question(answer: &Answer) -> String {
    format!("{}: {}.\n", answer.case.guest.name, answer.understood.line())
}

fn iterations(outcome: &Outcome) -> Grid {
    let mut table = Grid::new(
        &[
            "iteration",
            "from",
            "for",
            "normal",
            "zero",
            "on the wire",
            "dirty after it",
            "throttle",
        ],
        0..,
    );
    let rows = outcome.iterations.len();
    let (head, tail) = ROUNDS_SHOWN;
    let count = |pages: f64| Cell::from(format!("{pages:.0}"));
    for (index, iteration) in outcome.iterations.iter().enumerate() {
        if rows > head + tail && index >= head && index < rows - tail {
            if index == head {
                table.row([format!("... {} more", rows - head - tail)]);
            }
            continue;
        }
        table.row([
            match iteration.stands_for {
                1 if iteration.decision == Decision::End && outcome.mode == Mode::Precopy => {
                    format!("{}, stopped", iteration.n).into()
                }
                1 => iteration.n.to_string().into(),
                passes => format!("{} to {}", iteration.n + 1 - passes, iteration.n).into(),
            },
            iteration.start.into(),
            (iteration.end - iteration.start).into(),
            count(iteration.pages.normal + iteration.pages.encoded + iteration.pages.unchanged),
            count(iteration.pages.zero),
            Cell::Size(iteration.wire_bytes),
            count(iteration.dirty_pages_at_end),
            format!("{} %", iteration.throttle_percent).into(),
        ]);
    }
    table
}

/// The published models, what they compute and where they come from.
pub fn published() -> Told {
    let mut out = Document::default();
    for model in MODELS {
        let doi = model.doi.map_or(String::new(), |doi| format!(", doi:{doi}"));
        let (mode, known) = (model.mode, model.known.words());
        out.text(format!(
            "{} ({mode}, {known})\n  {}\n  {}{doi}\n\n",
            model.name, model.formula, model.reference
        ));
    }
    out.text(SYMBOLS.to_owned() + "\n");
    let all = shape::Published::default();
    Told::new(out, &all, &all.models)
}

fn models(answer: &Answer, document: &mut Document) {
    let mut table =
        Grid::new(&["model", "total", "downtime", "fair total", "fair downtime", "formula"], 1..)
            .words_from(5);
    let figures = |p: &Prediction| match p.converges {
        true => [p.tmt_s, p.downtime_s].map(Cell::time),
        false => ["does not converge".into(), Cell::time(None)],
    };
    let ours = Prediction {
        converges: answer.outcome.completed(),
        tmt_s: answer.outcome.tmt().map(SimTime::as_secs_f64),
        downtime_s: answer.outcome.downtime().map(SimTime::as_secs_f64),
    };
    let ours = Asked { as_printed: ours, fair: ours };
    let mut row = |name: &str, asked: &Asked, known: &str| {
        let ([total, down], [fair_total, fair_down]) =
            (figures(&asked.as_printed), figures(&asked.fair));
        table.row([name.into(), total, down, fair_total, fair_down, known.into()]);
    };
    row("migsim", &ours, "this simulation");
    for (model, asked) in
        answer.models.iter().filter_map(|(model, asked)| Some((model, asked.as_ref()?)))
    {
        row(model.name, asked, model.known.words());
    }
    let other: Vec<&str> =
        answer.models.iter().filter(|(_, asked)| asked.is_none()).map(|(m, _)| m.name).collect();
    let other = match other.as_slice() {
        [] => String::new(),
        names => format!("Of other modes, and not asked: {}.\n", names.join(", ")),
    };
    document.table(table).text(format!(
        "{other}`migsim models` says what each computes, and where it was published.\nfair: on what is not zero instead of all memory, with the headers of pages and the start of QEMU, of which most models do not speak.\n"
    ));
}

/// Several answers, a line each.
fn overview(answers: &[Answer]) -> Grid {
    let mut table = Grid::new(
        &["guest", "mode", "outcome", "total", "downtime", "TI", "OV", "DM", "VS", "on the wire"],
        3..,
    );
    for answer in answers {
        let outcome = &answer.outcome;
        let t = &outcome.terms;
        table.row([
            answer.case.guest.name.as_str().into(),
            answer.case.policy.mode.to_string().into(),
            migsim::answer::outcome_word(outcome).into(),
            outcome.tmt().into(),
            outcome.downtime().into(),
            t.ti.into(),
            t.ov.into(),
            t.dm.into(),
            t.vs.into(),
            Cell::Size(outcome.wire_bytes as f64),
        ]);
    }
    table
}
