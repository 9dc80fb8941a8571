//! Which runs a campaign is made of: a grid, random draws, or a Latin hypercube over whatever
//! varies.

use std::collections::{BTreeMap, BTreeSet};

use migsim::input::InputError;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use crate::lab::Link;
use crate::plan::{RunKeys, RunPlan};

/// A campaign, as its file says it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What its records are filed under.
    pub name: String,
    /// Seed of draws and of the order of runs.
    #[serde(default = "one")]
    pub seed: u64,
    /// Keys of every run, unless a design says otherwise.
    #[serde(default)]
    pub all: toml::Table,
    /// What is varied.
    pub design: Vec<Design>,
}

fn one() -> u64 {
    1
}

/// Runs that vary alike.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Design {
    /// Begins the ids of its runs.
    pub name: String,
    /// How the values of `vary` are combined.
    #[serde(default)]
    pub kind: DesignKind,
    /// How many configurations, where a grid does not say it.
    pub runs: Option<usize>,
    /// How often each is run.
    #[serde(default = "once")]
    pub repeats: u32,
    /// Guests that are moved at once in each run. Each is drawn by itself; the link is that of the
    /// first.
    #[serde(default = "once")]
    pub guests: u32,
    /// Keys of its runs. `{name}` stands for the value of what varies under that name; sums of
    /// pages are added up.
    #[serde(default)]
    pub run: toml::Table,
    /// What varies: a list of values, or a range.
    #[serde(default)]
    pub vary: BTreeMap<String, Axis>,
}

fn once() -> u32 {
    1
}

/// How values are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DesignKind {
    /// Each with each.
    #[default]
    Grid,
    /// Drawn independently.
    Random,
    /// Each value's range is cut into as many strata as there are runs, and each stratum is met
    /// once.
    LatinHypercube,
}

/// The values of one thing that varies.
#[derive(Debug, Clone)]
pub enum Axis {
    /// These.
    List(Vec<toml::Value>),
    /// All between.
    Range(Range),
}

/// Numbers with a unit, `from` to `to`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    from: String,
    to: String,
    #[serde(default)]
    scale: Scale,
    /// Points, in a grid.
    points: Option<usize>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Scale {
    #[default]
    Linear,
    Log,
}

impl<'de> Deserialize<'de> for Axis {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Axis, D::Error> {
        use serde::de::Error as _;
        match toml::Value::deserialize(deserializer)? {
            toml::Value::Array(values) if !values.is_empty() => Ok(Axis::List(values)),
            toml::Value::Table(table) => {
                table.try_into().map(Axis::Range).map_err(D::Error::custom)
            }
            _ => Err(D::Error::custom(
                "it takes a list of values, or a range like { from = \"1000p/s\", to = \"9000p/s\", scale = \"log\" }",
            )),
        }
    }
}

/// A run of a campaign.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// Unique in the campaign.
    pub id: String,
    /// The design that it belongs to.
    pub design: String,
    /// Which repeat of its configuration, from 1.
    pub repeat: u32,
    /// The run.
    pub plan: RunPlan,
    /// What it shares with the guests that are moved at the same time; empty: it is moved alone.
    pub group: String,
}

impl Planned {
    /// Whether it is moved at the same time as another.
    pub fn goes_with(&self, other: &Planned) -> bool {
        !self.group.is_empty() && self.group == other.group
    }
}

impl Plan {
    /// Reads a plan.
    ///
    /// # Errors
    /// With line and column where the file is at fault.
    pub fn parse(file: &str, text: &str) -> Result<Plan, InputError> {
        let plan: Plan =
            toml::from_str(text).map_err(|e| InputError::new(file, e.to_string().trim_end()))?;
        if plan.design.is_empty() {
            return Err(InputError::new(file, "has no [[design]]; a campaign has one or more"));
        }
        Ok(plan)
    }

    /// All its runs, in the order in which they are made: shuffled, so that what drifts is not
    /// taken for what varies. `lab`: the link of its lab as it is now.
    ///
    /// # Errors
    /// A run that cannot be, by the design's name and the run's number.
    pub fn runs(&self, file: &str, lab: Option<Link>) -> Result<Vec<Planned>, InputError> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut runs: Vec<Vec<Planned>> = Vec::new();
        let (mut count, mut names) = (0, BTreeSet::new());
        for design in &self.design {
            let place = || format!("{file}: design `{}`", design.name);
            let points =
                design.points(&mut rng).map_err(|reason| InputError::new(place(), reason))?;
            let guests = design.guests.max(1) as usize;
            count = within(points.len() as u64 * u64::from(design.repeats) + count)
                .map_err(|reason| InputError::new(place(), reason))?;
            for (index, points) in points.chunks(guests).enumerate() {
                let refuse = |reason: String| {
                    InputError::new(format!("{}, run {}", place(), index + 1), reason)
                };
                let mut plans: Vec<RunPlan> = Vec::new();
                for point in points {
                    let (keys, general) = self.keys(design, point).map_err(&refuse)?;
                    let plan =
                        keys.plan_of_many(lab, &general).map_err(|e| refuse(e.to_string()))?;
                    let link = plans.first().map_or(plan.link, |first| first.link);
                    plans.push(RunPlan { link, ..plan });
                }
                for repeat in 1..=design.repeats {
                    let name = match design.repeats {
                        1 => format!("{}-{:03}", design.name, index + 1),
                        _ => format!("{}-{:03}-{repeat}", design.name, index + 1),
                    };
                    if !names.insert(name.clone()) {
                        return Err(InputError::new(place(), "has the name of another design"));
                    }
                    let together = plans.iter().enumerate().map(|(guest, plan)| {
                        let (id, group) = match guests {
                            1 => (name.clone(), String::new()),
                            _ => (format!("{name}-g{}", guest + 1), name.clone()),
                        };
                        Planned {
                            id,
                            design: design.name.clone(),
                            repeat,
                            plan: plan.clone(),
                            group,
                        }
                    });
                    runs.push(together.collect());
                }
            }
        }
        runs.shuffle(&mut rng);
        Ok(runs.into_iter().flatten().collect())
    }

    /// The keys of a run, and those that it has from [all] alone: they go for the runs in which
    /// they have an effect. What a design says of its own must have one.
    fn keys(&self, design: &Design, point: &Point) -> Result<(RunKeys, Vec<&str>), String> {
        let mut table = self.all.clone();
        table.extend(design.run.clone());
        let keys = fill(table, point, &design.run)?
            .try_into()
            .map_err(|e: toml::de::Error| e.message().to_owned())?;
        let own = |key: &&str| design.run.contains_key(*key) || point.contains_key(*key);
        Ok((keys, self.all.keys().map(String::as_str).filter(|key| !own(key)).collect()))
    }
}

/// A campaign of as many runs takes weeks.
const MOST_RUNS: u64 = 10_000;

fn within(runs: u64) -> Result<u64, String> {
    if runs > MOST_RUNS {
        return Err(format!("makes {runs} runs; a campaign has at most {MOST_RUNS}"));
    }
    Ok(runs)
}

type Point = BTreeMap<String, toml::Value>;

impl Design {
    fn points(&self, rng: &mut ChaCha8Rng) -> Result<Vec<Point>, String> {
        if self.kind == DesignKind::Grid {
            let mut points = vec![Point::new()];
            for (name, axis) in &self.vary {
                let values = axis.grid(name)?;
                within(points.len() as u64 * values.len() as u64)?;
                points = points
                    .iter()
                    .flat_map(|point| {
                        values.iter().map(|value| {
                            let mut point = point.clone();
                            point.insert(name.clone(), value.clone());
                            point
                        })
                    })
                    .collect();
            }
            if !points.len().is_multiple_of(self.guests.max(1) as usize) {
                return Err(format!(
                    "a grid of {} cannot be dealt to {} guests a run",
                    points.len(),
                    self.guests
                ));
            }
            return Ok(points);
        }
        let runs = self.runs.ok_or("lacks `runs`, the number of configurations to draw")?;
        let runs = within((runs as u64).saturating_mul(u64::from(self.guests.max(1))))? as usize;
        let mut points = vec![Point::new(); runs];
        for (name, axis) in &self.vary {
            let mut strata: Vec<usize> = (0..runs).collect();
            strata.shuffle(rng);
            for (point, stratum) in points.iter_mut().zip(strata) {
                let drawn: f64 = rng.random();
                let share = match self.kind {
                    DesignKind::LatinHypercube => (stratum as f64 + drawn) / runs as f64,
                    _ => drawn,
                };
                point.insert(name.clone(), axis.at(name, share)?);
            }
        }
        Ok(points)
    }
}

impl Axis {
    fn grid(&self, name: &str) -> Result<Vec<toml::Value>, String> {
        match self {
            Axis::List(values) => Ok(values.clone()),
            Axis::Range(range) => {
                let points = range
                    .points
                    .filter(|n| *n >= 2)
                    .ok_or(format!("`{name}`: a range in a grid takes points = 2 or more"))?;
                within(points as u64)?;
                (0..points).map(|i| self.at(name, i as f64 / (points - 1) as f64)).collect()
            }
        }
    }

    /// The value at a share of the way, 0 to 1.
    fn at(&self, name: &str, share: f64) -> Result<toml::Value, String> {
        match self {
            Axis::List(values) => {
                let index = ((share * values.len() as f64) as usize).min(values.len() - 1);
                Ok(values[index].clone())
            }
            Axis::Range(Range { from, to, scale, .. }) => {
                let refuse = || {
                    format!(
                        "`{name}`: from = \"{from}\", to = \"{to}\" are not two numbers above zero with the same unit"
                    )
                };
                let ((a, unit), (b, other)) =
                    (number(from).ok_or_else(refuse)?, number(to).ok_or_else(refuse)?);
                if unit != other || a <= 0.0 || b < a {
                    return Err(refuse());
                }
                let value = match scale {
                    Scale::Linear => a + (b - a) * share,
                    Scale::Log => a * (b / a).powf(share),
                };
                // Numbers that a person would write: whole ones.
                Ok(toml::Value::String(format!("{}{unit}", value.round())))
            }
        }
    }
}

fn number(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// Puts the values of a point into the keys of a run. What varies under the name of a key is that
/// key's value.
fn fill(mut keys: toml::Table, point: &Point, own: &toml::Table) -> Result<toml::Table, String> {
    let mut used: Vec<&str> = Vec::new();
    for (_, value) in &mut keys {
        let toml::Value::String(text) = value else { continue };
        for (name, replacement) in point {
            let hole = format!("{{{name}}}");
            if text.contains(&hole) {
                let plain = match replacement {
                    toml::Value::String(plain) => plain.clone(),
                    other => other.to_string(),
                };
                *text = text.replace(&hole, &plain);
                used.push(name);
            }
        }
    }
    for (name, value) in point {
        if !used.contains(&name.as_str()) {
            if own.contains_key(name) {
                return Err(format!("`{name}` is given and varies as well"));
            }
            keys.insert(name.clone(), value.clone());
        }
    }
    for key in ["touched", "memory"] {
        if let Some(toml::Value::String(text)) = keys.get_mut(key)
            && text.contains('+')
        {
            let mut pages = 0;
            for part in text.split('+') {
                let part: migsim_models::units::Pages =
                    part.trim().parse().map_err(|e| format!("`{key}`: {e}"))?;
                pages += part.0;
            }
            // Memory comes in whole MiB.
            *text = if key == "memory" {
                format!("{}MiB", pages.div_ceil(256))
            } else {
                format!("{pages}p")
            };
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(text: &str) -> Vec<Planned> {
        Plan::parse("plan.toml", text).unwrap().runs("plan.toml", Some(Link::default())).unwrap()
    }

    #[test]
    fn guests_of_one_run_stay_together_and_share_its_link() {
        let text = format!(
            "{HEAD}kind = \"random\"\nruns = 4\nguests = 3\n[design.vary]\nlink = {{ from = \"100Mbit/s\", to = \"400Mbit/s\" }}\nworkload = [\"idle\", \"uniform(wss=9p, rate=9p/s)\"]"
        );
        let runs = runs(&text);
        assert_eq!(runs.len(), 12);
        for group in runs.chunks(3) {
            assert!(
                group
                    .iter()
                    .all(|run| run.group == group[0].group && run.plan.link == group[0].plan.link)
            );
            let ids: Vec<String> =
                (1..=3).map(|guest| format!("{}-g{guest}", group[0].group)).collect();
            assert_eq!(
                group.iter().map(|run| &run.id).collect::<Vec<_>>(),
                ids.iter().collect::<Vec<_>>()
            );
        }
    }

    const HEAD: &str = "name = \"c\"\n[all]\nmemory = \"512MiB\"\n[[design]]\nname = \"d\"\n";

    #[test]
    fn a_grid_has_each_with_each() {
        let text = format!(
            "{HEAD}repeats = 2\nrun = {{ workload = \"uniform(wss=4096p, rate={{rate}})\", touched = \"5000p + 1MiB\" }}\n[design.vary]\nlink = [\"100Mbit/s\", \"200Mbit/s\"]\nrate = {{ from = \"100p/s\", to = \"300p/s\", points = 3 }}"
        );
        let runs = runs(&text);
        assert_eq!(runs.len(), 12);
        let mut words: Vec<String> = runs
            .iter()
            .filter(|r| r.repeat == 1)
            .map(|r| {
                format!("{} {} {}", r.plan.workload, r.plan.touched, r.plan.link.unwrap().capacity)
            })
            .collect();
        words.sort();
        assert_eq!(words[0], "uniform(wss=4096p, rate=100p/s) 5256p 100Mbit/s");
        assert_eq!(words.len(), 6);
    }

    #[test]
    fn a_latin_hypercube_meets_each_stratum_once_and_the_same_seed_the_same_runs() {
        let text = format!(
            "{HEAD}kind = \"latin-hypercube\"\nruns = 10\n[design.vary]\nlink = {{ from = \"100Mbit/s\", to = \"10100Mbit/s\" }}\nmode = [\"precopy\", \"offline\"]"
        );
        let first = runs(&text);
        let mut tens: Vec<u64> = first
            .iter()
            .map(|r| (r.plan.link.unwrap().capacity.0 - 100_000_000) / 1_000_000_001)
            .collect();
        tens.sort_unstable();
        assert_eq!(tens, (0..10).collect::<Vec<u64>>());
        assert_eq!(
            first
                .iter()
                .filter(|r| r.plan.policy.mode == migsim_models::spec::Mode::Offline)
                .count(),
            5
        );
        assert_eq!(first, runs(&text));
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (rest, said) in [
            ("colour = 1", "unknown field `colour`"),
            ("run = { memory = \"8p\" }", "design `d`, run 1: memory"),
            ("run = { mod = \"precopy\" }", "unknown field `mod`"),
            ("kind = \"random\"", "lacks `runs`"),
            ("[design.vary]\nlink = []", "it takes a list of values"),
            ("[design.vary]\nlink = { from = \"1p\", to = \"2s\", points = 2 }", "the same unit"),
            (
                "kind = \"random\"\nruns = 55555555555",
                "makes 55555555555 runs; a campaign has at most 10000",
            ),
            ("repeats = 4294967295", "at most 10000"),
            (
                "[design.vary]\nlink = { from = \"1Mbit/s\", to = \"2Mbit/s\", points = 55555555555 }",
                "at most 10000",
            ),
            ("guests = 2", "a grid of 1 cannot be dealt to 2 guests a run"),
            (
                "run = { link = \"1Gbit/s\" }\n[design.vary]\nlink = [\"2Gbit/s\"]",
                "is given and varies",
            ),
        ] {
            let text = format!("{HEAD}{rest}");
            let error = Plan::parse("plan.toml", &text)
                .and_then(|p| p.runs("plan.toml", Some(Link::default())))
                .unwrap_err()
                .to_string();
            assert!(error.contains(said), "{rest}: {error}");
        }
    }
}
