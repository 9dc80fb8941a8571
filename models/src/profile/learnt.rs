//! What runs have taught of guests that are known by one number.
//!
//! Of a [`Pattern::Dirty`](crate::workload::Pattern::Dirty) the rate is known, and neither how far
//! the guest's dirtying reaches nor how well the rate still holds when it is moved. A fit finds
//! both for guests of the same application that are alike in size and rate, and a profile keeps
//! them as [`Shape`]s.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Profile;
use crate::spec::Guest;
use crate::units::{Bytes, PageRate, Pages, SimTime};
use crate::workload::{CatchUp, Class, Pattern, Term, Unknown, Workload};

/// Guests that are alike: of one application, and near in touched memory and dirty rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Of which application; `None`: of any, and of those that are not named.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub application: Option<String>,
    /// The memory that they touch.
    pub touched: Bytes,
    /// Their dirty rate.
    pub rate: PageRate,
    /// The share of touched pages that they dirty sooner or later, above 0 to 1.
    pub share: f64,
    /// How many times the rate that was measured they dirtied while they were moved.
    pub times: f64,
    /// How differently they did: equally likely pairs of share and times.
    #[serde(default)]
    pub like: Vec<[f64; 2]>,
    /// How many runs lay near.
    pub runs: u64,
}

/// A list that costs nothing to copy: profiles are copied for each draw.
pub type Shapes = Arc<[Shape]>;

/// In this window pages of an idle guest are counted ...
const IDLE_WINDOW: SimTime = SimTime::from_secs(10);
/// ... and by this factor two of three guests lie apart at most, as those do whose figures are in
/// [`APPS`](crate::workload::APPS).
const IDLE_FACTOR: f64 = 2.7;
/// A factor of this in touched memory, and its square in the rate, are as far apart as may be: what
/// lies farther tells nothing.
const FARTHEST: f64 = 3.0;

impl Shape {
    /// How far a guest at a [`place`] lies from these.
    fn distance(&self, [u, v]: [f64; 2]) -> f64 {
        let [x, y] = place(self.touched.pages(), self.rate);
        libm::hypot(x - u, y - v)
    }
}

/// Where a guest lies among others, so that distances are alike in both directions: the logarithm
/// of the rate counts once, that of the memory twice, for guests of one kind have the same size
/// more often than the same rate.
pub fn place(touched: Pages, rate: PageRate) -> [f64; 2] {
    [2.0 * libm::log(touched.0.max(1) as f64), libm::log(rate.pages_per_s().max(5.0))]
}

impl Profile {
    /// What is known of a guest by the runs behind the profile: its workload, where that is known
    /// by one number and guests like it were seen. `unknown`: one way in which it could be.
    pub fn workload_of(&self, guest: &Guest, unknown: Option<&Unknown>) -> Option<Workload> {
        if guest.workload.terms.is_empty() {
            return self.idle();
        }
        if self.shapes.is_empty() || !guest.workload.is_known_by_one_number() {
            return None;
        }
        let mut workload = guest.workload.clone();
        let mut found = false;
        for term in &mut workload.terms {
            let Pattern::Dirty {
                rate,
                share: share @ None,
                factor: factor @ None,
                application,
                ..
            } = &mut term.pattern
            else {
                continue;
            };
            let Some(shape) = self.nearest(application.as_deref(), guest.touched, *rate) else {
                continue;
            };
            let drawn = unknown.and_then(|unknown| unknown.of(&shape.like));
            let [of, times] = drawn.unwrap_or([shape.share, shape.times]);
            if let Some(faster) = PageRate::new(rate.pages_per_s() * times) {
                (*rate, *share, *factor) = (faster, Some(of), Some(1.0));
                found = true;
            }
        }
        found.then_some(workload)
    }

    /// What an idle guest's operating system writes; `None`: nothing.
    fn idle(&self) -> Option<Workload> {
        let pages = self.guest.idle_pages.value;
        let rate = PageRate::new(pages as f64 / IDLE_WINDOW.as_secs_f64()).filter(|_| pages > 0)?;
        let pattern = Pattern::Dirty {
            rate,
            window: IDLE_WINDOW,
            share: Some(self.guest.idle_share.value),
            factor: Some(IDLE_FACTOR),
            application: None,
        };
        Some(Workload { terms: vec![Term { pattern, catch_up: CatchUp::Open, phase: None }] })
    }

    /// What a guest that is known by one number could write in one way of being; `None`: nothing is
    /// unknown.
    pub fn workload_drawn(&self, guest: &Guest, unknown: &Unknown) -> Option<Workload> {
        let learnt = self.workload_of(guest, Some(unknown));
        learnt.as_ref().unwrap_or(&guest.workload).as_it_could_be(unknown)
    }

    /// A guest with the workload that it has by what is known of it.
    pub fn as_known<'a>(&self, guest: &'a Guest) -> Cow<'a, Guest> {
        match self.workload_of(guest, None) {
            Some(workload) => Cow::Owned(Guest { workload, ..guest.clone() }),
            None => Cow::Borrowed(guest),
        }
    }

    /// The classes of what a guest writes, by what is known of it.
    pub fn classes_of(&self, guest: &Guest) -> Vec<Class> {
        let known = self.as_known(guest);
        known.workload.classes(known.memory, known.touched)
    }

    /// Those of the same application first; where it was not seen, those of any.
    fn nearest(&self, application: Option<&str>, touched: Pages, rate: PageRate) -> Option<&Shape> {
        let at = place(touched, rate);
        let among = |application: Option<&str>| {
            self.shapes
                .iter()
                .filter(|shape| shape.application.as_deref() == application)
                .map(|shape| (shape, shape.distance(at)))
                .filter(|(_, distance)| *distance < FARTHEST)
                .min_by(|a, b| a.1.total_cmp(&b.1))
                .map(|(shape, _)| shape)
        };
        application.and_then(|name| among(Some(name))).or_else(|| among(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(application: Option<&str>, touched: &str, rate: f64, share: f64) -> Shape {
        Shape {
            application: application.map(str::to_owned),
            touched: touched.parse().unwrap(),
            rate: PageRate::new(rate).unwrap(),
            share,
            times: 2.0,
            like: vec![[0.1, 1.0], [0.2, 4.0]],
            runs: 10,
        }
    }

    fn guest(workload: &str) -> Guest {
        Guest::new("1GiB").unwrap().workload(workload).unwrap()
    }

    #[test]
    fn a_guest_is_as_the_nearest_of_its_application_and_else_as_the_nearest_of_any() {
        let mut profile = Profile::assumed();
        profile.shapes = vec![
            shape(Some("redis"), "1GiB", 5000.0, 0.3),
            shape(Some("redis"), "1GiB", 500.0, 0.4),
            shape(None, "1GiB", 5000.0, 0.5),
        ]
        .into();
        for (workload, expected) in [
            (
                "dirty(4000p/s, app=redis)",
                Some("dirty(8000p/s, window=1s, share=0.3, factor=1, app=redis)"),
            ),
            (
                "dirty(400p/s, app=redis)",
                Some("dirty(800p/s, window=1s, share=0.4, factor=1, app=redis)"),
            ),
            (
                "dirty(4000p/s, app=other)",
                Some("dirty(8000p/s, window=1s, share=0.5, factor=1, app=other)"),
            ),
            ("dirty(4000p/s)", Some("dirty(8000p/s, window=1s, share=0.5, factor=1)")),
            // Too far from all, or more is known already.
            ("dirty(5p/s)", None),
            ("dirty(4000p/s, share=0.2)", None),
            ("uniform(wss=64MiB, rate=2000p/s)", None),
        ] {
            let known = profile.workload_of(&guest(workload), None);
            assert_eq!(known.map(|w| w.to_string()).as_deref(), expected, "{workload}");
        }
    }

    #[test]
    fn a_draw_is_one_of_those_that_were_alike() {
        let mut profile = Profile::assumed();
        profile.shapes = vec![shape(None, "1GiB", 5000.0, 0.5)].into();
        let drawn = |at: f64| {
            let unknown = Unknown::drawn(at, 0.0, 0.0);
            profile.workload_of(&guest("dirty(4000p/s)"), Some(&unknown)).unwrap().to_string()
        };
        assert_eq!(drawn(0.2), "dirty(4000p/s, window=1s, share=0.1, factor=1)");
        assert_eq!(drawn(0.8), "dirty(16000p/s, window=1s, share=0.2, factor=1)");
    }
}
