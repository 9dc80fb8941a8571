//! Where things lie in the guest's memory, and who writes there.

use migsim_models::profile::Profile;
use migsim_models::spec::{Blocks, Guest, Layout, Policy};
use migsim_models::units::{PAGE_BYTES, SimTime};
use migsim_models::workload::{Class, Pattern, WriterClock};

/// Into so many strips scattered classes are cut, each strip with its share of all of them.
const STRIPS: u64 = 16;

/// Pages next to each other that are alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    /// How many.
    pub pages: u64,
    /// How many of them are not zero: the first of a class, evenly spread otherwise.
    pub nonzero: u64,
    /// The class that writes them, as an index into [`Workplace::classes`].
    pub class: Option<usize>,
    /// Whether this is firmware, a block of its own in the dirty log.
    pub firmware: bool,
}

/// A guest's memory laid out, with its writers: what both memories are built from.
#[derive(Debug, Clone)]
pub struct Workplace {
    /// In the order of addresses.
    pub regions: Vec<Region>,
    /// What is written alike.
    pub classes: Vec<Class>,
    /// One clock for each term of the workload.
    pub clocks: Vec<WriterClock>,
    /// Pages of a chunk whose log bits are cleared together; `None`: all are cleared at the sync.
    pub chunk_pages: Option<u64>,
    /// Pages that XBZRLE's cache holds, where it is used.
    pub cache_pages: Option<u64>,
}

/// How many times its rate a guest can write while its memory is logged; below 1 its processors
/// hold it back. One that writes nothing is not held back: infinite.
pub fn headroom(guest: &Guest, profile: &Profile, classes: &[Class]) -> f64 {
    // From zero on: the sum of nothing is -0.
    let rate = classes.iter().fold(0.0, |sum, class| sum + class.rate);
    let cpu = &profile.cpu;
    let writes = cpu.writer_rate.value.pages_per_s() * f64::from(guest.vcpus) / rate;
    // One that writes nothing is not held back.
    if writes.is_finite() { writes.min(cpu.catch_up.value) } else { writes }
}

impl Workplace {
    /// Lays out a guest as it is known. `offset` is how far into its first phase the workload is.
    ///
    /// Working sets come first within what is touched, in the order of their terms; what they do
    /// not touch yet is zero. The pages of a measured curve are applications' and lie all over
    /// a guest that has been up for a while, the often written among the others.
    pub fn new(
        guest: &Guest,
        policy: &Policy,
        profile: &Profile,
        chunk_pages: Option<u64>,
        offset: SimTime,
    ) -> Workplace {
        let scattered = |class: &Class| {
            matches!(guest.layout, Layout::Mixed | Layout::Linux | Layout::Unknown)
                && matches!(
                    guest.workload.terms[class.term].pattern,
                    Pattern::Curve { .. } | Pattern::Dirty { .. }
                )
        };
        let (curve, mut classes): (Vec<Class>, Vec<Class>) =
            guest.workload.classes(guest.memory, guest.touched).into_iter().partition(scattered);
        let strips = if curve.is_empty() { 1 } else { STRIPS };
        let part = |whole: u64, strip: u64| whole * (strip + 1) / strips - whole * strip / strips;
        let mut ends = Vec::with_capacity(strips as usize);
        for strip in 0..strips {
            classes.extend(curve.iter().filter_map(|class| {
                let pages = part(class.pages, strip);
                let rate = class.rate * pages as f64 / class.pages as f64;
                (pages > 0).then_some(Class { pages, rate, ..*class })
            }));
            ends.push(classes.len());
        }
        let mut regions = Vec::with_capacity(classes.len() + 4);
        let mut touched = guest.touched.0;
        let mut written = 0;
        for (index, class) in classes.iter().enumerate() {
            let nonzero = class.pages.min(touched);
            touched -= nonzero;
            written += class.pages;
            regions.push(Region {
                pages: class.pages,
                nonzero,
                class: Some(index),
                firmware: false,
            });
        }
        let quiet =
            |pages: u64, nonzero: u64| Region { pages, nonzero, class: None, firmware: false };
        let rest = guest.memory.0 - written;
        // A curve may be fitted with more pages than were called touched: then nothing of that is
        // left for the rest.
        let touched = touched.min(rest);
        let head = guest.zero_head.0.min(rest - touched);
        let rest = rest - head;
        // What is not written, strip by strip behind the classes of each: touched pages as evenly
        // as the pages are.
        let mut in_strips = |pages: u64, touched: u64| {
            let mut before = 0;
            for (strip, end) in (0..strips).zip(&ends) {
                // None where there is no page.
                let mine = part(pages, strip);
                let touched_by = |to: u64| {
                    (u128::from(to) * u128::from(touched) / u128::from(pages.max(1))) as u64
                };
                let nonzero = touched_by(before + mine) - touched_by(before);
                before += mine;
                // What was put behind earlier strips has moved this one's end.
                regions.insert(end + strip as usize, quiet(mine, nonzero));
            }
        };
        match guest.layout {
            Layout::Mixed => in_strips(rest, touched),
            Layout::Linux | Layout::Unknown => {
                let Blocks { bottom, gap, top } = Blocks::of(guest.memory, guest.touched);
                // What is written is counted already, and lies between the gaps.
                let top = top.min(touched);
                let bottom = bottom.min(touched - top);
                let zero = rest - touched;
                let gap = gap.min(zero);
                let others = touched - top - bottom;
                in_strips(others, others);
                regions.splice(0..0, [quiet(bottom, bottom), quiet(gap, 0)]);
                regions.extend([quiet(zero - gap, 0), quiet(top, top)]);
            }
            Layout::Front => regions.extend([quiet(touched, touched), quiet(rest - touched, 0)]),
            Layout::Back => {
                regions.insert(0, quiet(rest - touched, 0));
                regions.push(quiet(touched, touched));
            }
        }
        regions.insert(0, quiet(head, 0));
        let (normal, zero) = profile.guest.firmware();
        regions.extend([
            Region { firmware: true, ..quiet(normal, normal) },
            Region { firmware: true, ..quiet(zero, 0) },
        ]);
        regions.retain(|region| region.pages > 0);
        let headroom = headroom(guest, profile, &classes);
        Workplace {
            regions,
            clocks: guest
                .workload
                .terms
                .iter()
                .map(|term| WriterClock::new(term, offset, headroom))
                .collect(),
            classes,
            chunk_pages,
            // More slots than pages are as many.
            cache_pages: policy
                .xbzrle
                .map(|cache| (cache.0 / PAGE_BYTES).clamp(1, guest.memory.0 + normal + zero)),
        }
    }
}
