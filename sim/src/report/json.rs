//! Answers as JSON: one object for one guest, `{"results": [...]}` for several.

use migsim_models::units::SimTime;
use serde_json::{Map, Value, json};

use super::{Answer, outcome_word, why_not};
use crate::migration::Outcome;
use crate::sweep::{Point, Range};

fn seconds(time: SimTime) -> Value {
    json!(time.as_secs_f64())
}

fn optional(time: Option<SimTime>) -> Value {
    time.map_or(Value::Null, seconds)
}

/// The figures of an outcome. Terms are numbers; totals are null unless it completed.
fn outcome(outcome: &Outcome) -> Map<String, Value> {
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
                "start_s": seconds(round.start),
                "end_s": seconds(round.end),
                "normal_pages": round.pages.normal,
                "zero_pages": round.pages.zero,
                "encoded_pages": round.pages.encoded,
                "unchanged_pages": round.pages.unchanged,
                "wire_bytes": round.wire_bytes,
                "dirty_pages_at_end": round.dirty_pages_at_end,
                "throttle_percent": round.throttle_percent,
            })
        })
        .collect();
    let fields = json!({
        "mode": outcome.mode.to_string(),
        "outcome": outcome_word(outcome),
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
    if let Some(sure) = answer.quantiles {
        map.insert(
            "quantiles".to_owned(),
            json!({
                "elapsed_ms": {"p5": sure.elapsed_ms[0], "p50": sure.elapsed_ms[1], "p95": sure.elapsed_ms[2]},
                "downtime_ms": {"p5": sure.downtime_ms[0], "p50": sure.downtime_ms[1], "p95": sure.downtime_ms[2]},
                "p_converge": sure.p_converge,
            }),
        );
    }
    if !answer.outcome.completed() {
        map.insert("reason".to_owned(), json!(why_not(&answer.case, &answer.outcome)));
    }
    if let Some(advice) = &answer.advice {
        let with = |o: &Option<Outcome>| {
            o.as_ref().map_or(Value::Null, |o| {
                json!({"tmt_s": optional(o.tmt()), "downtime_s": optional(o.downtime()), "throttle_percent": o.throttle_percent})
            })
        };
        let advice = json!({
            "link_mbit": advice.link.map(|link| link.0 as f64 / 1e6),
            "downtime_limit_s": optional(advice.downtime_limit),
            "auto_converge": with(&advice.auto_converge),
            "postcopy": with(&advice.postcopy),
        });
        map.insert("would_converge_with".to_owned(), advice);
    }
    if !answer.models.is_empty() {
        let models: Map<String, Value> = answer
            .models
            .iter()
            .map(|(model, p)| {
                let figures = json!({
                    "source": model.source, "converges": p.converges, "tmt_s": p.tmt_s, "downtime_s": p.downtime_s,
                });
                (model.name.to_owned(), figures)
            })
            .collect();
        map.insert("models".to_owned(), Value::Object(models));
    }
    Value::Object(map)
}

fn pretty(value: &Value) -> String {
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

/// A sweep: for each point the values varied and the answer without its rounds.
pub fn sweep(points: &[Point], ranges: &[Range]) -> String {
    let points: Vec<Value> = points
        .iter()
        .map(|point| {
            let mut map = outcome(&point.outcome);
            let rounds = map.remove("rounds").and_then(|r| r.as_array().map(Vec::len));
            map.insert("passes".to_owned(), json!(rounds));
            let varied: Map<String, Value> = ranges
                .iter()
                .zip(&point.values)
                .map(|(range, value)| (range.quantity.name().to_owned(), json!(range.quantity.write(*value))))
                .collect();
            map.insert("varied".to_owned(), Value::Object(varied));
            Value::Object(map)
        })
        .collect();
    pretty(&json!({"results": points}))
}
