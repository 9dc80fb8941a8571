//! An own rule of when to stop the guest, here much like Xen's: few pages left, thirty iterations,
//! or three times its memory sent.
#![expect(clippy::print_stdout, reason = "an example shows what it found")]
use migsim::engine::Question;
use migsim_models::profile::Profile;
use migsim_models::spec::{Guest, Path, Policy};
use migsim_models::units::SimTime;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let guest = Guest::new("2GiB")?.workload("uniform(wss=256MiB, rate=30000p/s)")?;
    let (path, policy, profile) = (Path::new("1Gbit/s")?, Policy::default(), Profile::default());
    let question = Question::new(&guest, &path, &policy, &profile);
    let most_bytes = 3.0 * guest.memory.bytes().as_f64();
    let own = question.flow(SimTime::ZERO).stopping_when(move |at| {
        at.pending_pages < 50.0 || at.iterations >= 30 || at.wire_bytes > most_bytes
    });
    for (rule, outcome) in
        [("QEMU's", question.run(question.flow(SimTime::ZERO))), ("own", question.run(own))]
    {
        let down = outcome.downtime().unwrap_or_default();
        println!(
            "{rule}: total {}, down for {down}, {} iterations",
            outcome.ended_at, outcome.iteration_count
        );
    }
    Ok(())
}
