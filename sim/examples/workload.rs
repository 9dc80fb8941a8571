//! An own workload: nine writes of ten fall on a tenth of the pages. In expected counts, and page
//! by page.
#![expect(clippy::print_stdout, reason = "an example shows what it found")]
use migsim::engine::{Fidelity, Question};
use migsim_models::profile::Profile;
use migsim_models::spec::{Guest, Path, Policy};
use migsim_models::units::SimTime;
use migsim_models::workload::{Order, Part, Workload, Writes};
#[derive(Debug)]
struct HotTenth(u64, f64);
impl Writes for HotTenth {
    fn parts(&self) -> Vec<Part> {
        let part = |pages, share| Part { pages, rate: self.1 * share, order: Order::Random };
        vec![part(self.0 / 10, 0.9), part(self.0 - self.0 / 10, 0.1)]
    }
    fn page(&self, _: u64, chance: f64) -> u64 {
        let at = if chance < 0.9 { chance / 9.0 } else { 0.1 + (chance - 0.9) * 9.0 };
        (at * self.0 as f64) as u64
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let guest = Guest { workload: Workload::own(HotTenth(100_000, 20e3)), ..Guest::new("1GiB")? };
    let (path, policy, profile) = (Path::new("1Gbit/s")?, Policy::default(), Profile::default());
    let question = Question::new(&guest, &path, &policy, &profile);
    for fidelity in [Fidelity::Flow, Fidelity::Page { seed: 1 }] {
        println!("total {}", question.answer(fidelity, SimTime::ZERO).ended_at);
    }
    Ok(())
}
