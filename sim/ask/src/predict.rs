//! One migration.

use migsim::answer::shape::Prediction;
use migsim::answer::{Answer, Understood, explain, verdict};
use migsim::engine::Fidelity;
use migsim::input::{Case, JsonQuestion, Keys};
use migsim_models::published::{MODELS, Model};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::hosts;

/// A question, and what is to be said of it.
#[derive(Debug, Deserialize)]
pub(crate) struct Ask {
    question: Value,
    #[serde(flatten)]
    hosts: hosts::Asked,
    /// Whether every page is followed, and by which seed.
    page_seed: Option<u64>,
    /// Whether published models are asked too.
    #[serde(default)]
    models: bool,
}

/// A question's case.
pub(crate) fn case(question: &Value) -> Result<Case, String> {
    let parsed = JsonQuestion::parse(&question.to_string())?;
    Case::build(&parsed.keys).map_err(|error| error.to_string())
}

/// How a question is answered.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Expected counts, or page by page.
    pub fidelity: Fidelity,
    /// Whether it is said how sure the answer is, in some sixty times the time.
    pub intervals: bool,
    /// Whether published models are asked too.
    pub models: bool,
}

/// The answer to keys of a scenario, between these hosts.
///
/// # Errors
/// They are no question, or there are no such hosts.
pub fn answered(keys: &Keys, hosts: &hosts::Asked, manner: Manner) -> Result<Answer, String> {
    let case = Case::build(keys).map_err(|error| error.to_string())?;
    let between = hosts.between()?;
    manner.fidelity.check(&case.guest)?;
    let hosts = between.over(case.path.capacity);
    let understood = Understood::of(keys, &case, hosts);
    let draws = if manner.intervals { hosts.draws() } else { None };
    let mut answer = Answer::new(case, hosts, draws, manner.fidelity, understood);
    if manner.models {
        answer.ask(&MODELS.iter().collect::<Vec<&'static Model>>(), &hosts.profile);
    }
    Ok(answer)
}

impl Ask {
    pub(crate) fn answer(&self) -> Result<Value, String> {
        let parsed = JsonQuestion::parse(&self.question.to_string())?;
        let fidelity = self.page_seed.map_or(Fidelity::Flow, |seed| Fidelity::Page { seed });
        let manner = Manner { fidelity, intervals: true, models: self.models };
        let answer = answered(&parsed.keys, &self.hosts, manner)?;
        let remedies = answer.advice.iter().flat_map(|advice| &advice.remedies).map(|remedy| {
            let (key, value) = remedy.key();
            json!({ "words": remedy.words(), "key": key, "value": value })
        });
        let remedies: Vec<Value> = remedies.collect();
        Ok(json!({
            "verdict": verdict(&answer),
            "explained": explain(&answer),
            "left": answer.outcome.left_over_time(),
            "remedies": remedies,
            "prediction": Prediction::from(&answer),
        }))
    }
}

/// The answer to a question alone: a [`Prediction`]. The hosts are servers of its link's class.
pub(crate) fn alone(question: &str) -> Result<String, String> {
    let parsed = JsonQuestion::parse(question)?;
    let manner = Manner { fidelity: Fidelity::Flow, intervals: true, models: false };
    let answer = answered(&parsed.keys, &hosts::Asked::default(), manner)?;
    serde_json::to_string(&Prediction::from(&answer)).map_err(|error| error.to_string())
}
