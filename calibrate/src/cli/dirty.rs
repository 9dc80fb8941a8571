//! `migcal dirty`.

use std::process::ExitCode;

use clap::Args;
use migcal::dirty::{Curve, Method, measure};
use migcal::lab::{Lab, Side};
use migcal::reach::Reach;
use migsim::scenario::InputError;
use migsim::terminal;
use virt::connect::Connect;

#[derive(Debug, Args)]
pub(super) struct DirtyArgs {
    /// Name of the running domain
    domain: String,
    /// libvirt URI of its host
    #[arg(long, default_value = "qemu:///system", conflicts_with = "lab")]
    connect: String,
    /// It runs in this lab, at the source
    #[arg(long, value_name = "NAME")]
    lab: Option<String>,
    /// ... or at its destination
    #[arg(long, requires = "lab")]
    at_destination: bool,
    /// Windows in whole seconds, 1 to 60
    #[arg(long, value_delimiter = ',', default_value = "1,2,5,10,20")]
    windows: Vec<u32>,
    /// How [default: the best that the host has]
    #[arg(long, value_enum)]
    method: Option<Method>,
}

pub(super) fn run(args: &DirtyArgs) -> anyhow::Result<ExitCode> {
    // QEMU: MIN_FETCH_DIRTYRATE_TIME_SEC, MAX_FETCH_DIRTYRATE_TIME_SEC.
    if let Some(window) = args.windows.iter().find(|w| !(1..=60).contains(*w)) {
        return Err(InputError::new("--windows", format!("`{window}`: a window is 1 to 60 whole seconds")).into());
    }
    let (uri, reach) = match &args.lab {
        Some(name) => {
            let lab = Lab::find(name)?.ok_or_else(|| anyhow::anyhow!("no lab `{name}` is up"))?;
            let side = if args.at_destination { Side::Destination } else { Side::Source };
            (lab.uri(side), lab.reach(side))
        }
        None => (args.connect.clone(), Reach::from_uri(&args.connect).unwrap_or(Reach::Here)),
    };
    let total: u32 = args.windows.iter().sum();
    let bar = terminal::progress(total.into(), "{bar:30} {pos}/{len} s  {msg}");
    let connect = Connect::open(Some(&uri)).map_err(|e| anyhow::anyhow!("{uri} is out of reach: {}", e.message()))?;
    let mut done = 0;
    let curve = measure(&connect, &reach, &args.domain, &args.windows, args.method, |window| {
        bar.set_position(done);
        bar.set_message(format!("a window of {window} s"));
        done += u64::from(window);
    })?;
    bar.finish_and_clear();
    terminal::print(&describe(&args.domain, &curve))?;
    Ok(ExitCode::SUCCESS)
}

fn describe(name: &str, curve: &Curve) -> String {
    use clap::ValueEnum as _;
    let method = curve.method.to_possible_value().map_or(String::new(), |v| v.get_name().to_owned());
    let mut text =
        format!("{name}: {} of memory, measured by {method}\n\nwindow  distinct pages\n", curve.memory.bytes());
    for (window, pages) in &curve.points {
        text.push_str(&format!("{:>6}  {:>14}\n", window.to_string(), pages.0));
    }
    if curve.coarse {
        text.push_str("\nQEMU reports whole MiB/s: each is known to 128 pages for each second of its window.\n");
    }
    let (measured, fitted) = (curve.workload(), curve.fitted());
    text.push_str(&format!("\nas measured:  --workload '{measured}'\nas classes:   --workload '{fitted}'\n"));
    text.push_str(&format!(
        "\nmigsim predict --memory {} --link 1Gbit/s --workload '{measured}'\n",
        curve.memory.bytes()
    ));
    text
}
