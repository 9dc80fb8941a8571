//! One migration.

use migsim::answer::shape::Prediction;
use migsim::answer::{Answer, Between, Understood, explain, verdict};
use migsim::engine::Fidelity;
use migsim::input::{Case, JsonQuestion};
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
pub(crate) fn case(question: &Value) -> Result<(JsonQuestion, Case), String> {
    let parsed = JsonQuestion::parse(&question.to_string())?;
    let case = Case::build(&parsed.keys).map_err(|error| error.to_string())?;
    Ok((parsed, case))
}

fn answered(
    parsed: &JsonQuestion,
    case: Case,
    between: &Between,
    fidelity: Fidelity,
) -> Result<Answer, String> {
    fidelity.check(&case.guest)?;
    let hosts = between.over(case.path.capacity);
    let understood = Understood::of(&parsed.keys, &case, hosts);
    Ok(Answer::new(case, hosts, hosts.draws(), fidelity, understood))
}

impl Ask {
    pub(crate) fn answer(&self) -> Result<Value, String> {
        let (parsed, case) = case(&self.question)?;
        let between = self.hosts.between()?;
        let fidelity = self.page_seed.map_or(Fidelity::Flow, |seed| Fidelity::Page { seed });
        let mut answer = answered(&parsed, case, &between, fidelity)?;
        if self.models {
            let models: Vec<&'static Model> = MODELS.iter().collect();
            let profile = &between.over(answer.case.path.capacity).profile;
            answer.ask(&models, profile);
        }
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
    let case = Case::build(&parsed.keys).map_err(|error| error.to_string())?;
    let answer = answered(&parsed, case, &Between::Servers(None), Fidelity::Flow)?;
    serde_json::to_string(&Prediction::from(&answer)).map_err(|error| error.to_string())
}
