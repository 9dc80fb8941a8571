//! A rack is emptied by an own rule of placement: each guest goes to the host that has the most
//! memory left.
#![expect(clippy::print_stdout, reason = "an example shows what it found")]
use std::sync::atomic::AtomicBool;

use migsim::fleet::{Chance, Move, parse, run, totals};
use migsim_models::profile::Profile;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let text = r#"
        host = [{ name = "old", memory = "256GiB", cores = 32, nic = "10Gbit/s" },
                { name = "new", count = 4, memory = "96GiB", cores = 32, nic = "10Gbit/s" }]
        vm = [{ on = ["old"], count = 24, guest = { memory = "8GiB", workload = "uniform(wss=1GiB, rate=9000p/s)" } }]
    "#;
    let mut fleet = parse("rack.toml".as_ref(), text)?;
    let mut free = fleet.cluster.free();
    for vm in 0..fleet.cluster.vms.len() {
        let to = (1..free.len()).max_by_key(|host| free[*host]).ok_or("there is no other host")?;
        free[to] -= i128::from(fleet.cluster.vms[vm].guest.memory.bytes().0);
        fleet.moves.push(Move { vm, to });
    }
    fleet.limits.at_once = Some(4);
    let never = AtomicBool::new(false);
    let found =
        run(&fleet, &Profile::default(), Chance::none(), &never, |_| {}).ok_or("interrupted")?;
    println!("{} guests arrive within {:.1} s", totals(&found).arrived, totals(&found).makespan_s);
    Ok(())
}
