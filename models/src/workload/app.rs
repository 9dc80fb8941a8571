//! Applications by name: what is known of their dirty rate where nobody has measured it.

use super::Pattern;
use crate::units::{PageRate, SimTime};

/// What is known of an application.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct App {
    /// As `app:NAME` calls it.
    pub name: &'static str,
    /// Distinct pages in a window over its length, at full load.
    pub pages_per_s: f64,
    /// The length of that window.
    pub window: SimTime,
    /// The share of touched pages that it dirties sooner or later; `None`: unknown.
    pub share: Option<f64>,
    /// How far others may lie from that rate: a factor for two of three.
    pub factor: f64,
    /// Where that is from.
    pub source: &'static str,
}

const SOCC: &str = "migrations of 2016, 1 Gbit/s (Jo et al., SoCC 2017): median rate of those that dirty more than 1,000 pages/s, and of a grid \
    of shares (0.1, 0.2, 0.3, 0.5, 0.7, 1) the one with which predicted total times are nearest";
const TRACES: &str = "a public research trace, 32 GiB and 8 vCPUs, YCSB A as fast as it runs: median over dry-run iterations. The share is a guess";

/// The applications that are known.
pub const APPS: [App; 7] = [
    App {
        name: "linux-idle",
        pages_per_s: 260.0,
        window: SimTime::from_secs(10),
        share: Some(0.02),
        factor: 2.7,
        source: "idle Linux guests of 1 to 8 GiB on somebody's hosts: 1,000 to 7,000 distinct pages in ten seconds. The share is a guess",
    },
    App {
        name: "desktop",
        pages_per_s: 5200.0,
        window: SimTime::from_secs(1),
        share: Some(0.1),
        factor: 2.0,
        source: SOCC,
    },
    App {
        name: "postgres",
        pages_per_s: 32_500.0,
        window: SimTime::from_millis(600),
        share: Some(0.25),
        factor: 1.5,
        source: "PostgreSQL under YCSB, 16 threads, 8 GiB and 4 vCPUs (a bachelor's thesis's public data): QEMU's dirty-pages-rate at some 0.6 s \
            between syncs; 4 threads are `load=0.15`. The share is a guess",
    },
    App {
        name: "mariadb",
        pages_per_s: 12_300.0,
        window: SimTime::from_secs(1),
        share: Some(0.5),
        factor: 1.6,
        source: SOCC,
    },
    App {
        name: "redis",
        pages_per_s: 830_000.0,
        window: SimTime::from_millis(30),
        share: Some(0.5),
        factor: 2.0,
        source: TRACES,
    },
    App {
        name: "memcached",
        pages_per_s: 23_700.0,
        window: SimTime::from_secs(1),
        share: Some(0.7),
        factor: 1.5,
        source: SOCC,
    },
    App {
        name: "java",
        pages_per_s: 11_000.0,
        window: SimTime::from_secs(1),
        share: Some(0.3),
        factor: 1.7,
        source: SOCC,
    },
];

/// The pattern of an application at a share of its full load, above 0.
///
/// # Errors
/// It is not known; those that are.
pub(super) fn pattern(name: &str, load: f64) -> Result<Pattern, String> {
    let Some(app) = APPS.iter().find(|app| app.name == name) else {
        let known: Vec<&str> = APPS.iter().map(|app| app.name).collect();
        return Err(format!(
            "no application `{}` is known; it is one of {}",
            crate::text::quoted(name),
            known.join(", ")
        ));
    };
    let rate = PageRate::new(app.pages_per_s * load)
        .filter(|_| load > 0.0 && load <= 100.0)
        .ok_or_else(|| "`load` of an application takes a number above 0 to 100".to_owned())?;
    Ok(Pattern::Dirty {
        rate,
        window: app.window,
        share: app.share,
        factor: Some(app.factor),
        application: None,
    })
}
