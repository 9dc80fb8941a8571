//! Answers as JSON: one object for one guest, `{"results": [...]}` for several.

use migsim_models::units::SimTime;
use serde_json::{Map, Value, json};

use migsim::answer::{
    Advice, Answer, Asked, Lever, Percentiles, Quantiles, Remedy, Setting, bound_word, bound_words, ending_word,
    outcome_word, why_not,
};
use migsim::engine::{Bound, Decision, Outcome};

fn seconds(time: SimTime) -> Value {
    json!(time.as_secs_f64())
}

fn bound(bound: Bound) -> Value {
    json!({"by": bound_word(bound), "bytes_per_s": bound.bytes_per_s})
}

fn decision_word(decision: Decision) -> &'static str {
    match decision {
        Decision::Iterate => "iterate",
        Decision::Stop => "stop",
        Decision::StopUnsynced => "stop-unsynced",
        Decision::ForcedSync => "forced-sync",
        Decision::SwitchOver => "switch-to-postcopy",
        Decision::End => "end",
        Decision::GiveUp => "give-up",
    }
}

/// How sure an answer is; where it does not converge there are no times.
pub(super) fn quantiles(sure: &Quantiles) -> Value {
    let ms = |p: Percentiles| json!({"p5": p.p5, "p25": p.p25, "p50": p.p50, "p75": p.p75, "p95": p.p95});
    let mut value = json!({"p_converge": sure.p_converge, "draws": sure.draws});
    if let Some(times) = sure.times {
        value["elapsed_ms"] = ms(times.elapsed_ms);
        value["downtime_ms"] = ms(times.downtime_ms);
        value["reported_downtime_ms"] = ms(times.reported_ms);
    }
    value
}

/// What would let it converge. The first four keys have stood there since before the others.
fn advice(advice: &Advice) -> Value {
    let time = |lever: Lever| match advice.by(lever).map(|remedy| remedy.setting) {
        Some(Setting::Time(time)) => seconds(time),
        _ => Value::Null,
    };
    let mbit = |lever: Lever| match advice.by(lever).map(|remedy| remedy.setting) {
        Some(Setting::Rate(rate)) => json!(rate.0 as f64 / 1e6),
        _ => Value::Null,
    };
    let with = |lever: Lever| {
        advice.by(lever).map_or(Value::Null, |Remedy { outcome: o, .. }| {
            json!({"tmt_s": optional(o.tmt()), "downtime_s": optional(o.downtime()), "throttle_percent": o.throttle_percent})
        })
    };
    let remedies: Vec<Value> = advice
        .remedies
        .iter()
        .map(|remedy| {
            let (unit, value) = match remedy.setting {
                Setting::Switched => ("switched", json!(true)),
                Setting::Rate(rate) => ("bit_s", json!(rate.0)),
                Setting::Time(time) => ("s", seconds(time)),
                Setting::Size(size) => ("bytes", json!(size.0)),
                Setting::Count(count) => ("count", json!(count)),
            };
            json!({
                "lever": remedy.lever.key(), "unit": unit, "value": value,
                "tmt_s": optional(remedy.outcome.tmt()), "downtime_s": optional(remedy.outcome.downtime()),
                "throttle_percent": remedy.outcome.throttle_percent,
            })
        })
        .collect();
    let keys = |levers: &[Lever]| levers.iter().map(|lever| lever.key()).collect::<Vec<_>>();
    let refused: Map<String, Value> =
        advice.refused.iter().map(|(lever, why)| (lever.key().to_owned(), json!(why))).collect();
    json!({
        "link_mbit": mbit(Lever::Link),
        "downtime_limit_s": time(Lever::DowntimeLimit),
        "auto_converge": with(Lever::AutoConverge),
        "postcopy": with(Lever::Postcopy),
        "remedies": remedies,
        "in_vain": keys(&advice.in_vain),
        "refused": refused,
        "untried": keys(&advice.untried),
    })
}

fn optional(time: Option<SimTime>) -> Value {
    time.map_or(Value::Null, seconds)
}

/// The figures of an outcome. Terms are numbers; totals are null unless it completed.
pub(super) fn outcome(outcome: &Outcome) -> Map<String, Value> {
    let t = &outcome.terms;
    let parts: Map<String, Value> = outcome
        .downtime_parts
        .named()
        .iter()
        .map(|(name, time)| (format!("{}_s", name.to_lowercase().replace(' ', "_")), seconds(*time)))
        .collect();
    let rounds: Vec<Value> = outcome
        .rounds
        .iter()
        .map(|round| {
            json!({
                "n": round.n,
                "iterations": round.passes,
                "start_s": seconds(round.start),
                "end_s": seconds(round.end),
                "normal_pages": round.pages.normal,
                "zero_pages": round.pages.zero,
                "encoded_pages": round.pages.encoded,
                "unchanged_pages": round.pages.unchanged,
                "wire_bytes": round.wire_bytes,
                "dirty_pages_at_end": round.dirty_pages_at_end,
                "throttle_percent": round.throttle_percent,
                "threshold_bytes": round.threshold_bytes,
                "decision": decision_word(round.decision),
            })
        })
        .collect();
    let fields = json!({
        "mode": outcome.mode.to_string(),
        "outcome": outcome_word(outcome),
        "ending": ending_word(outcome),
        "bound_by": outcome.bound.map(bound),
        "iterations_bound_by": outcome.bound_of_rounds.map(bound),
        "tmt_s": optional(outcome.tmt()),
        "downtime_s": optional(outcome.downtime()),
        "resumed_s": optional(outcome.resumed_at),
        "source_free_s": optional(outcome.source_free_at.filter(|_| outcome.completed())),
        "switched_s": optional(outcome.switched_at),
        "timed_out_s": optional(outcome.timed_out_at),
        "given_up_s": optional((!outcome.completed()).then_some(outcome.ended_at)),
        "terms": {"ti_s": seconds(t.ti), "ov_s": seconds(t.ov), "dm_s": seconds(t.dm), "vs_s": seconds(t.vs)},
        "downtime_parts": parts,
        "wire_bytes": outcome.wire_bytes,
        "normal_pages": outcome.normal_pages,
        "zero_pages": outcome.zero_pages,
        "encoded_pages": outcome.encoded_pages,
        "unchanged_pages": outcome.unchanged_pages,
        "dirty_syncs": outcome.dirty_syncs,
        "throttle_percent": outcome.throttle_percent,
        "faults": outcome.faults.count,
        "stalled_s": outcome.faults.stalled_s,
        "throttled_s": outcome.throttled_s(),
        "iterations": outcome.passes,
        "rounds": rounds,
    });
    match fields {
        Value::Object(map) => map,
        _ => unreachable!("an object was written"),
    }
}

fn answer(answer: &Answer) -> Value {
    let mut map = Map::new();
    map.insert("name".to_owned(), json!(answer.case.guest.name));
    map.extend(outcome(&answer.outcome));
    let understood: Map<String, Value> =
        answer.understood.quantities.iter().map(|q| (q.key.to_owned(), json!(q.said))).collect();
    map.insert("question".to_owned(), Value::Object(understood));
    map.insert("question_line".to_owned(), json!(answer.understood.line()));
    map.insert("defaults".to_owned(), json!(answer.understood.defaults()));
    map.insert("warnings".to_owned(), json!(answer.understood.warnings));
    map.insert("median_of_phase_offsets".to_owned(), json!(answer.offsets));
    if let Some(bound) = answer.outcome.bound {
        map.insert("bound_by_words".to_owned(), json!(bound_words(bound, &answer.case)));
    }
    if let Some(sure) = &answer.quantiles {
        map.insert("quantiles".to_owned(), quantiles(sure));
        map.insert("p_converge".to_owned(), json!(sure.p_converge));
    }
    if !answer.outcome.completed() {
        map.insert("reason".to_owned(), json!(why_not(&answer.case, &answer.outcome)));
    }
    if let Some(found) = &answer.advice {
        map.insert("would_converge_with".to_owned(), advice(found));
    }
    if !answer.models.is_empty() {
        let models: Map<String, Value> = answer
            .models
            .iter()
            .filter_map(|(model, asked)| {
                let Asked { as_printed: p, fair } = (*asked)?;
                let figures = json!({
                    "formula": model.formula, "reference": model.reference, "doi": model.doi,
                    "known": model.known.words(), "mode": model.mode.to_string(),
                    "converges": p.converges, "tmt_s": p.tmt_s, "downtime_s": p.downtime_s,
                    "fair": {"converges": fair.converges, "tmt_s": fair.tmt_s, "downtime_s": fair.downtime_s},
                });
                Some((model.name.to_owned(), figures))
            })
            .collect();
        map.insert("models".to_owned(), Value::Object(models));
    }
    Value::Object(map)
}

pub(super) fn pretty(value: &Value) -> String {
    // A `Value` has string keys and finite numbers only: writing it cannot fail.
    format!("{value:#}\n")
}

/// One or several answers.
pub fn answers(answers: &[Answer]) -> String {
    match answers {
        [one] => pretty(&answer(one)),
        several => pretty(&json!({"results": several.iter().map(answer).collect::<Vec<_>>()})),
    }
}
