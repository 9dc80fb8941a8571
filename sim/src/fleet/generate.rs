//! Fleets made up: a rack, a data centre, two sites, with guests as mixed as one finds them.

use std::fmt::Write as _;

use migsim_models::words;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What is made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One rack is emptied onto another.
    Rack,
    /// Racks behind a core; a quarter of them is emptied onto the others.
    DataCentre,
    /// One site is emptied onto another over a line between them.
    TwoSites,
}
words!(Shape, "shape", "rack" => Rack, "data-centre" => DataCentre, "two-sites" => TwoSites);

/// The most hosts that are emptied; in a data centre there are three times as many beside them.
const MOST_HOSTS: usize = 20_000;
/// The most guests.
const MOST_GUESTS: usize = 1_000_000;
/// Hosts of a rack in a data centre.
const HOSTS_PER_RACK: usize = 20;
/// GiB of memory of every host.
const HOST_GIB: u64 = 512;
/// Guests may have so much of the memory of the hosts that they leave: what takes them in has room
/// for all.
const FULL: f64 = 0.8;
/// Sizes of guests: GiB of memory, vCPUs, and how common they are.
const SIZES: [(u64, u32, u32); 6] =
    [(2, 1, 30), (4, 2, 30), (8, 2, 20), (16, 4, 12), (32, 8, 6), (64, 16, 2)];

/// A fleet's file, which names the inventory `inventory`, and the inventory. `hosts` are those that
/// are emptied; as many or more take their guests in.
///
/// # Errors
/// There are no hosts or no guests, or more guests than fit.
pub fn generate(
    shape: Shape,
    hosts: usize,
    guests: usize,
    seed: u64,
    inventory: &str,
) -> Result<[String; 2], String> {
    if !(1..=MOST_HOSTS).contains(&hosts) || !(1..=MOST_GUESTS).contains(&guests) {
        return Err(format!("it takes 1 to {MOST_HOSTS} hosts and 1 to {MOST_GUESTS} guests"));
    }
    let rows = rows(hosts, guests, seed).ok_or_else(|| {
        format!(
            "{guests} guests of {:.0} GiB on average are more than {hosts} hosts hold: each has {HOST_GIB} GiB, of which {:.0} % are filled, so that what takes them in has a margin; that is some {:.0} guests at most",
            mean_gib(),
            FULL * 100.0,
            hosts as f64 * HOST_GIB as f64 * FULL / mean_gib()
        )
    })?;
    Ok([file(shape, hosts, guests, seed, inventory), rows])
}

fn file(shape: Shape, hosts: usize, guests: usize, seed: u64, inventory: &str) -> String {
    let mut text = format!(
        "# {hosts} hosts with {guests} guests are emptied: `migsim inventory generate {shape} --hosts {hosts} --guests {guests} --seed {seed}`.\n\
         name = \"{shape}\"\ninventory = \"{inventory}\"\n"
    );
    let host = |text: &mut String, name: &str, count: usize, racks: &str| {
        let _ = write!(
            text,
            "\n[[host]]\nname = \"{name}{{n}}\"\ncount = {count}\nrack = [\"{racks}\"]\nmemory = \"{HOST_GIB}GiB\"\ncores = 64\nnic = \"25Gbit/s\"\n\
             power_idle = 180\npower_full = 520\n"
        );
    };
    let rack = |text: &mut String, name: &str, count: usize, rest: &str| {
        let _ = write!(text, "\n[[rack]]\nname = \"{name}\"\ncount = {count}\n{rest}");
    };
    let mut per_host = 2;
    match shape {
        Shape::Rack => {
            for name in ["old", "new"] {
                rack(&mut text, name, 1, "over_subscription = 3.0\n");
                host(&mut text, name, hosts, name);
            }
        }
        Shape::DataCentre => {
            let racks = hosts.div_ceil(HOSTS_PER_RACK);
            let _ = write!(
                text,
                "\n[[site]]\nname = \"hall\"\ncore = \"{}Gbit/s\"\n",
                100 * racks.max(2)
            );
            for (name, times) in [("old", 1), ("new", 3)] {
                rack(
                    &mut text,
                    &format!("{name}-rack{{n}}"),
                    times * racks,
                    "over_subscription = 4.0\n",
                );
                host(&mut text, name, times * hosts, &format!("{name}-rack*"));
            }
        }
        Shape::TwoSites => {
            per_host = 1;
            text.push_str("\n[[site]]\nname = \"here\"\n\n[[site]]\nname = \"there\"\n");
            for (name, site) in [("old", "here"), ("new", "there")] {
                rack(&mut text, name, 1, &format!("site = \"{site}\"\nover_subscription = 3.0\n"));
                host(&mut text, name, hosts, name);
            }
            text.push_str("\n[[wan]]\nbetween = [\"here\", \"there\"]\ncapacity = \"10Gbit/s\"\nrtt = \"8ms\"\n");
        }
    }
    let _ = write!(
        text,
        "\n[moves]\noff = [\"old*\"]\nto = [\"new*\"]\norder = \"largest\"\nper_host = {per_host}\n"
    );
    text
}

/// How much memory a guest has on average.
fn mean_gib() -> f64 {
    let (sum, weight) = SIZES.iter().fold((0.0, 0.0), |(sum, weight), (gib, _, common)| {
        (sum + *gib as f64 * f64::from(*common), weight + f64::from(*common))
    });
    sum / weight
}

/// The inventory; `None`: the guests do not fit.
fn rows(hosts: usize, guests: usize, seed: u64) -> Option<String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut free = vec![(HOST_GIB as f64 * FULL) as u64; hosts];
    let mut text = "name,host,memory,touched,vcpus,cpu,workload\n".to_owned();
    for guest in 0..guests {
        let mut draw = rng.random_range(0..SIZES.iter().map(|size| size.2).sum());
        let (gib, vcpus, _) = *SIZES.iter().find(|size| {
            let here = draw < size.2;
            draw = draw.saturating_sub(size.2);
            here
        })?;
        let host = (0..hosts).map(|step| (guest + step) % hosts).find(|host| free[*host] >= gib)?;
        free[host] -= gib;
        let pages = gib << 18;
        let between =
            |rng: &mut ChaCha8Rng, low: f64, high: f64| low * libm::pow(high / low, rng.random());
        let touched = (pages as f64 * between(&mut rng, 0.5, 0.95)) as u64;
        let wss = (pages as f64 * between(&mut rng, 0.01, 0.15)) as u64;
        let rate = between(&mut rng, 100.0, 4000.0) * libm::sqrt(f64::from(vcpus));
        let workload = match rng.random_range(0..10) {
            0..=1 => "idle".to_owned(),
            2..=5 => format!("uniform(wss={wss}p, rate={rate:.0}p/s)"),
            6..=8 => format!("zipf(wss={wss}p, rate={rate:.0}p/s, s=0.9)"),
            _ => format!("phase(on=20s, off=40s, uniform(wss={wss}p, rate={rate:.0}p/s))"),
        };
        let cpu = f64::from(vcpus) * between(&mut rng, 0.05, 0.6);
        let _ = writeln!(
            text,
            "vm{:05},old{},{gib}GiB,{touched}p,{vcpus},{cpu:.2},\"{workload}\"",
            guest + 1,
            host + 1
        );
    }
    Some(text)
}
