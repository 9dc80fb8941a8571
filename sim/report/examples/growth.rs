//! How the time of a fleet grows with its guests: docs/speed.md's table and picture, with SimGrid's
//! figures beside it.
//!
//!     cargo run --release -p migsim-report --example growth -- docs/pictures/fleet-growth.svg

#![expect(clippy::print_stdout, reason = "a program for a document")]

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use migsim::fleet::{Chance, Shape, generate, read, run, totals};
use migsim_models::profile::Profile;
use migsim_report::chart::{BLUE, ORANGE, Panel, draw_at};

/// SimGrid 3.32 with like guests and its simpler migrations: guests, and seconds.
const SIMGRID: [(f64, f64); 5] = [(1e3, 0.57), (2e3, 2.7), (4e3, 5.4), (1e4, 25.0), (2e4, 102.0)];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let picture = std::env::args().nth(1).ok_or("it takes the picture's place")?;
    let folder = tempfile::tempdir()?;
    let mut points = Vec::new();
    for guests in [1000, 2000, 4000, 10_000, 20_000] {
        let [file, inventory] = generate(Shape::Rack, guests / 10, guests, 1, "rack.csv")?;
        std::fs::write(folder.path().join("rack.csv"), inventory)?;
        std::fs::write(folder.path().join("rack.toml"), file)?;
        let fleet = read(&folder.path().join("rack.toml"))?;
        let (began, never) = (Instant::now(), AtomicBool::new(false));
        let found = run(&fleet, &Profile::default(), Chance::none(), &never, |_| {})
            .ok_or("interrupted")?;
        let took = began.elapsed().as_secs_f64();
        println!(
            "{guests} guests: {took:.2} s; all have arrived after {:.0} s",
            totals(&found).makespan_s
        );
        points.push((guests as f64, took));
    }
    let each = |points: &[(f64, f64)]| {
        points.iter().map(|(guests, s)| (*guests, s / guests * 1e3)).collect::<Vec<_>>()
    };
    let panel = Panel::new(
        "Time to simulate a fleet, for each of its guests",
        "guests that leave their rack at once",
        "ms",
    )
    .line("migsim", BLUE, each(&points))
    .line("SimGrid 3.32", ORANGE, each(&SIMGRID));
    std::fs::write(Path::new(&picture), draw_at(1, [760.0, 320.0], &[panel]).svg())?;
    Ok(())
}
