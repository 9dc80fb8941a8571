//! One guest over one link: does it converge, how long does it take, how long is it down?
#![expect(clippy::print_stdout, reason = "an example shows what it found")]
use migsim::answer::predict;
use migsim::engine::Fidelity;
use migsim::input::Case;
use migsim_models::profile::Profile;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let case = Case::from_toml(
        r#"
        link.capacity = "10Gbit/s"
        [[guest]]
        memory = "32GiB"
        vcpus = 8
        workload = "zipf(wss=4GiB, rate=40000p/s, s=0.99)"
        "#,
    )?;
    let outcome = predict(&case, &Profile::default(), Fidelity::Flow);
    match (outcome.tmt(), outcome.downtime()) {
        (Some(total), Some(down)) => {
            println!("total {total}, down for {down}, {} iterations", outcome.iteration_count);
        }
        _ => println!("does not converge: {:?}", outcome.ending),
    }
    Ok(())
}
