//! The guest's memory page by page, as a page of the browser plays it.

use migsim::engine::{Fidelity, Moment};
use migsim_models::units::SimTime;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{hosts, predict};

/// What is watched, how closely.
#[derive(Debug, Deserialize)]
pub(crate) struct Ask {
    question: Value,
    #[serde(flatten)]
    hosts: hosts::Asked,
    seed: u64,
    /// About so many moments, evenly spread.
    moments: u32,
}

/// What was seen: of each moment when, how many syncs there were and how many pages of each state,
/// and behind that the pages themselves, four to a byte, the first in its lowest bits.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) head: Value,
    pub(crate) body: Vec<u8>,
}

/// So many bytes of pages are kept, no more: of larger guests there are fewer moments.
const MOST_BYTES: usize = 48 << 20;
/// And so many moments.
const MOST_MOMENTS: usize = 400;

impl Ask {
    pub(crate) fn answer(&self) -> Result<Watched, String> {
        let case = predict::case(&self.question)?;
        let fidelity = Fidelity::Page { seed: self.seed };
        fidelity.check(&case.guest)?;
        let between = self.hosts.between()?;
        let hosts = between.over(case.path.capacity);
        let question = case.question(&hosts.profile);
        let offset = case.guest.phase_offset.unwrap_or_default();
        // How long it will take is known well enough from the counts.
        let expected = question.answer(Fidelity::Flow, offset).ended_at;
        let bytes = case.guest.memory.0.div_ceil(4).max(1) as usize;
        let most = (MOST_BYTES / bytes).clamp(8, MOST_MOMENTS);
        let wanted = (self.moments as usize).clamp(2, most) as u64;
        let every = SimTime((expected.0 / wanted).max(1));
        let (mut moments, mut body, mut pages) = (Vec::new(), Vec::new(), 0);
        let look = |moment: Moment| {
            // Syncs come on top; of a migration that has very many, the first are kept.
            if moments.len() >= most + most / 4 {
                return;
            }
            let counts = moment.counts();
            moments.push(json!({
                "at_s": moment.at.as_secs_f64(),
                "syncs": moment.syncs,
                "counts": counts,
            }));
            pages = moment.pages.len();
            let byte = |four: &[migsim::engine::PageState]| {
                four.iter().rev().fold(0_u8, |byte, page| byte << 2 | *page as u8)
            };
            body.extend(moment.pages.chunks(4).map(byte));
        };
        let outcome = question.watch(offset, self.seed, every, look);
        let head = json!({
            "pages": pages,
            "states": ["sent", "zero", "waiting", "dirtied"],
            "completed": outcome.completed(),
            "ended_s": outcome.ended_at.as_secs_f64(),
            "moments": moments,
        });
        Ok(Watched { head, body })
    }
}
