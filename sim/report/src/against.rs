//! Migrations of other tools' files beside what is predicted of them.

use migsim::record::{Against, AgainstAnswer, Compared};
use migsim_models::units::{SimTime, human_bytes, human_time};

use crate::document::{Document, Grid};
use crate::format::Told;

/// As they are printed and written.
pub fn told(answer: &AgainstAnswer, verdicts: &[String]) -> Told {
    Told::new(document(answer, verdicts), answer, &answer.results)
}

fn document(answer: &AgainstAnswer, verdicts: &[String]) -> Document {
    let mut out = Document::default();
    for (index, (one, verdict)) in answer.results.iter().zip(verdicts).enumerate() {
        if index > 0 {
            out.text("\n");
        }
        out.text(format!("{}: {}\n", one.name, under_way(one)));
        out.text(verdict.as_str()).text("\n");
        let measured = one.under_way.is_none();
        let mut table = Grid::new(&["", "measured", "predicted", "90 % interval"], 1..);
        for figure in
            one.figures.iter().filter(|figure| figure.predicted.or(figure.measured).is_some())
        {
            let said =
                |value: Option<f64>| value.map_or("-".to_owned(), |value| said(figure, value));
            table.row([
                name(figure).to_owned(),
                if measured { said(figure.measured) } else { "under way".to_owned() },
                said(figure.predicted),
                figure.interval.map_or("-".to_owned(), |[low, high]| {
                    format!("{} to {}{}", said(Some(low)), said(Some(high)), outside(figure))
                }),
            ]);
        }
        out.table(table);
        let lines = |what: &str, list: &[String]| -> String {
            list.iter().map(|line| format!("{what}{line}.\n")).collect()
        };
        out.text(lines("Not in the file, assumed: ", &one.assumed));
        out.text(lines("Note: ", &one.notes));
    }
    out
}

/// How far it is, and when it ends.
fn under_way(one: &Against) -> String {
    let time = |seconds: f64| human_time(SimTime::from_secs_f64(seconds));
    let Some(now) = one.under_way else {
        return "measured beside predicted.".to_owned();
    };
    let mut said = vec![format!("under way for {}", time(now.elapsed_s))];
    said.extend(
        now.remaining_bytes.map(|bytes| format!("{} still to send", human_bytes(bytes as f64))),
    );
    said.extend(now.bytes_per_s.map(|rate| format!("{}/s sent", human_bytes(rate))));
    said.extend(
        now.dirty_pages_per_s
            .map(|rate| format!("{rate:.0} pages/s dirtied ({}/s)", human_bytes(rate * 4096.0))),
    );
    let ends = match one.ends_in {
        None => "It is predicted not to end by itself.".to_owned(),
        Some(ends) if ends.is_late => {
            "It has taken longer than such migrations are predicted to: what is assumed below does not hold, or something else uses the link.".to_owned()
        }
        Some(ends) if ends.expected_s <= 0.0 => {
            let within = ends.interval_s.map_or(String::new(), |[_, high]| format!(", or within {}", time(high)));
            format!("It is predicted to end at any moment{within}.")
        }
        Some(ends) => {
            let within = ends.interval_s.map_or(String::new(), |[low, high]| {
                format!(" (90 % interval: {} to {})", time(low), time(high))
            });
            format!("It ends in {}{within}.", time(ends.expected_s))
        }
    };
    format!("{}. {ends}", said.join(", "))
}

fn name(figure: &Compared) -> &'static str {
    match figure.figure {
        "elapsed_ms" => "total migration time",
        "downtime_ms" => "downtime",
        "wire_bytes" => "on the wire",
        "normal_pages" => "pages sent whole",
        "zero_pages" => "zero pages",
        "rounds" => "dirty syncs",
        other => other,
    }
}

fn said(figure: &Compared, value: f64) -> String {
    match figure.figure {
        ending if ending.ends_with("_ms") => human_time(SimTime::from_secs_f64(value / 1e3)),
        ending if ending.ends_with("_bytes") => human_bytes(value),
        _ => format!("{value:.0}"),
    }
}

/// Whether what was measured lies outside of the interval.
fn outside(figure: &Compared) -> &'static str {
    match (figure.measured, figure.interval) {
        (Some(measured), Some([low, high])) if !(low..=high).contains(&measured) => ", outside",
        _ => "",
    }
}
