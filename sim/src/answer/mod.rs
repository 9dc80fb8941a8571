//! Answers: what comes of a question, how sure that is, what would change it, and the words for it.
//!
//! [`predict()`] answers with an outcome alone; [`Answer::new`] with all that is to be said of a
//! case.

mod advice;
mod explain;
mod hosts;
mod interval;
mod outside;
mod predict;
mod sensitivity;
pub mod shape;
pub mod sweep;
mod understood;
mod verdict;
mod words;

pub use advice::{Advice, Lever, Remedy, Setting, advise, first_remedy};
pub use explain::explain;
pub use hosts::{Between, Hosts};
pub(crate) use interval::WRITERS;
pub use interval::{DRAWS, Draws, Percentiles, Quantiles, Scatter, Times};
pub use outside::{outside_of_all, outside_words};
pub use predict::{OFFSETS, commoner, median, median_run, predict, runs, together};
pub use sensitivity::{Influence, sensitivity};
pub use understood::{Quantity, Understood};
pub use verdict::{
    bound_word, bound_words, contributors, ending_word, largest, outcome_word, why_not,
};
pub use words::verdict;

use migsim_models::profile::Profile;
use migsim_models::published::{Inputs, Model, Prediction};
use migsim_models::spec::Mode;

use crate::engine::{Fidelity, Outcome};
use crate::input::Case;

/// A case and all that is to be said of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The question.
    pub case: Case,
    /// What comes of it.
    pub outcome: Outcome,
    /// Over so many offsets into its phases this is the median; one, where the offset is known or
    /// there are no phases.
    pub offsets: usize,
    /// How sure it is, where the profile was fitted.
    pub quantiles: Option<Quantiles>,
    /// What would change a verdict of not converging.
    pub advice: Option<Advice>,
    /// What published models say, where they were asked; `None`: it speaks of another mode.
    pub models: Vec<(&'static Model, Option<Asked>)>,
    /// What was taken to be asked.
    pub understood: Understood,
}

/// What a published model says of one question.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// On its own inputs: the guest's whole memory.
    pub as_printed: Prediction,
    /// On inputs as good as ours: what is not zero, with headers, and the start of QEMU added.
    pub fair: Prediction,
}

impl Answer {
    /// Answers a case, with all but the models.
    pub fn new(
        case: Case,
        hosts: &Hosts,
        draws: Option<&Draws>,
        fidelity: Fidelity,
        understood: Understood,
    ) -> Answer {
        let profile = &hosts.profile;
        let (outcome, offsets) = median_run(&case, profile, fidelity);
        let advisable = !outcome.completed() && case.policy.mode != Mode::Offline;
        let advice = advisable.then(|| advise(&case, profile, &outcome));
        let quantiles = draws.and_then(|draws| draws.quantiles(&case, profile, &outcome));
        Answer { case, outcome, offsets, quantiles, advice, models: Vec::new(), understood }
    }

    /// Asks published models the same question.
    pub fn ask(&mut self, models: &[&'static Model], profile: &Profile) {
        let share = profile.share(self.case.path.transport);
        let inputs = Inputs::new(&self.case.guest, &self.case.path, &self.case.policy, share);
        let fair = inputs.fair(profile);
        let ask = |model: &Model| Asked {
            as_printed: (model.predict)(&inputs),
            fair: model.on_fair_inputs(&fair),
        };
        let mode = self.case.policy.mode;
        self.models =
            models.iter().map(|model| (*model, (model.mode == mode).then(|| ask(model)))).collect();
    }
}
