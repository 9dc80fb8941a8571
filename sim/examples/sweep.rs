//! Ten thousand points on all cores: up to which write rate does a guest converge, on which link?
#![expect(clippy::print_stdout, reason = "an example shows what it found")]
use migsim::answer::Between;
use migsim::answer::sweep::{Manner, Range, sweep};
use migsim::engine::Fidelity;
use migsim::input::{Keys, Scenario};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let text = r#"
        link.capacity = "1Gbit/s"
        [[guest]]
        memory = "4GiB"
        workload = "uniform(wss=1GiB, rate=1000p/s)"
    "#;
    let scenario = Scenario::parse("a text".as_ref(), text.to_owned(), &Keys::default())?;
    let ranges: [Range; 2] =
        ["link=1Gbit/s..25Gbit/s:100:log".parse()?, "rate=1000p/s..200000p/s:100".parse()?];
    let fidelity = Fidelity::Flow;
    let manner = Manner {
        between: &Between::Servers(None),
        fidelity,
        intervals: false,
        touched_in_proportion: false,
    };
    let points = sweep(&scenario, &ranges, manner, || true)?;
    let converge = points.iter().filter(|point| point.completed()).count();
    println!("{converge} of {} points converge", points.len());
    Ok(())
}
