//! What came of a fleet as programs read it; names and units are those of [`crate::answer::shape`].

use std::collections::BTreeSet;

use migsim_models::text::counted;
use migsim_models::units::SimTime;
use serde::Serialize;

use super::cluster::Cluster;
use super::meter::Meter;
use super::missing::Missing;
use super::moves::Move;
use super::replicate::{Likely, LikelyMove, Replicated};
use super::run::{FleetOutcome, MoveOutcome};
use super::totals::{Totals, totals};
use crate::answer::shape::SCHEMA;
use crate::answer::{Hosts, ending_word, outcome_word, outside_of_all};

/// The answer to a fleet's question.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FleetAnswer {
    /// Version of this shape.
    pub schema: u32,
    /// The cluster.
    pub name: String,
    /// The host profile that was used.
    pub profile: String,
    /// Whether it was asked for.
    pub profile_given: bool,
    /// The sums over all moves.
    #[serde(flatten)]
    pub totals: Totals,
    /// The same over replications, where some were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replications: Option<Replications>,
    /// Who has arrived by the deadline, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<DeadlineShape>,
    /// Where a default decides.
    pub warnings: Vec<String>,
    /// Guests that do not arrive.
    pub not_arrived_guests: Vec<NotArrived>,
    /// Every move, in the order of the list.
    pub moves: Vec<MoveShape>,
    /// Every link.
    pub links: Vec<LinkUse>,
    /// Every host.
    pub hosts: Vec<HostUse>,
}

/// A move.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MoveShape {
    /// The guest.
    pub name: String,
    /// Its host before.
    pub from: String,
    /// Its host after.
    pub to: String,
    /// completed, not-converged or failed.
    pub outcome: &'static str,
    /// How it ended, in finer words than `outcome`.
    pub ending: &'static str,
    /// Why it did not arrive.
    pub reason: Option<String>,
    /// When it began.
    pub began_s: Option<f64>,
    /// When it was over.
    pub ended_s: Option<f64>,
    /// Total migration time.
    pub tmt_s: Option<f64>,
    /// Downtime.
    pub downtime_s: Option<f64>,
    /// Bytes on the wire.
    pub wire_bytes: Option<u64>,
    /// QEMU's dirty-sync-count.
    pub dirty_syncs: Option<u64>,
    /// Seconds of service that the guest lost.
    pub lost_s: Option<f64>,
    /// What would let it arrive.
    pub remedy: Option<String>,
    /// The same over replications.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantiles: Option<MoveQuantiles>,
}

/// A guest that does not arrive.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NotArrived {
    /// The guest.
    pub name: String,
    /// Its host.
    pub from: String,
    /// Where it was to go.
    pub to: String,
    /// How its migration ended; `never-left`: it never began.
    pub ending: &'static str,
    /// Why.
    pub reason: String,
    /// What would let it arrive.
    pub remedy: Option<String>,
}

/// A link and what it carried.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LinkUse {
    /// Its name.
    pub name: String,
    /// Its capacity, bit/s.
    pub capacity_bit_s: u64,
    /// Bytes that it carried.
    pub wire_bytes: f64,
}

/// A host and what its processors did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HostUse {
    /// Its name.
    pub name: String,
    /// Its processors.
    pub cores: f64,
    /// Seconds of processor time that migrations took.
    pub busy_s: f64,
}

/// Percentiles over replications.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Spread {
    /// The 5th percentile.
    pub p5: f64,
    /// The median.
    pub p50: f64,
    /// The 95th percentile.
    pub p95: f64,
}

/// A move over the replications in which its guest arrived.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MoveQuantiles {
    /// When it began.
    pub began_s: Spread,
    /// Total migration time.
    pub tmt_s: Spread,
    /// Downtime.
    pub downtime_s: Spread,
    /// The share of replications in which it arrived.
    pub p_arrives: f64,
}

/// Who has arrived by a deadline, over the replications.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadlineShape {
    /// From the start to it.
    pub within_s: f64,
    /// The probability that all guests have arrived.
    pub p_all_arrived: f64,
    /// Guests that may not have, the likeliest to be late first.
    pub endangered_by: Vec<Endangering>,
}

/// A guest that may not have arrived by the deadline.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Endangering {
    /// The guest.
    pub name: String,
    /// The probability that it has arrived.
    pub p_arrived: f64,
}

/// The totals over replications in which some guest arrived; `null`: there are not two.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Replications {
    /// How many were made.
    pub made: usize,
    /// How many were wanted.
    pub wanted: usize,
    /// The share in which all guests arrived.
    pub p_all_arrive: f64,
    /// When the last guest has arrived in each; `null`: not all arrived.
    pub makespans_s: Vec<Option<f64>>,
    /// When the last guest has arrived.
    pub makespan_s: Option<Spread>,
    /// Bytes on the wire.
    pub wire_bytes: Option<Spread>,
    /// Downtimes together.
    pub downtime_s: Option<Spread>,
    /// The longest downtime.
    pub worst_downtime_s: Option<Spread>,
    /// Migration times together.
    pub migration_s: Option<Spread>,
    /// Service lost.
    pub lost_s: Option<Spread>,
}

/// A fleet with something changed, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WhatIf {
    /// What was changed.
    pub what_if: String,
    /// The sums over all moves.
    #[serde(flatten)]
    pub totals: Totals,
    /// The makespan over replications, where some were asked for.
    pub makespan_quantiles_s: Option<Spread>,
    /// The probability that all guests arrive.
    pub p_all_arrive: Option<f64>,
    /// The probability that all have arrived by the deadline.
    pub p_all_arrived: Option<f64>,
}

/// A fleet as it is, and with changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WhatIfAnswer {
    /// Version of this shape.
    pub schema: u32,
    /// As it is, with each change alone, and with all.
    pub results: Vec<WhatIf>,
}

impl WhatIf {
    /// Of one way.
    pub fn new(what_if: &str, found: &FleetOutcome, likely: Option<&Replicated>) -> WhatIf {
        let likely = likely.filter(|likely| !likely.totals.is_empty());
        let deadline = likely.and_then(|likely| {
            let deadline = likely.deadline.as_ref()?;
            Some(deadline.all as f64 / likely.totals.len() as f64)
        });
        WhatIf {
            what_if: what_if.to_owned(),
            totals: totals(found),
            makespan_quantiles_s: likely
                .and_then(|likely| likely.likely(|t| t.makespan_s))
                .map(Spread::from),
            p_all_arrive: likely.map(Replicated::p_all_arrive),
            p_all_arrived: deadline,
        }
    }
}

/// A fleet with so many migrations at a time, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AtOnce {
    /// So many wanted at a time.
    pub at_once: usize,
    /// Whether it is the best of those compared.
    pub best: bool,
    /// What came of it.
    #[serde(flatten)]
    pub totals: Totals,
}

/// What it makes of a fleet how many migrations there are at a time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AtOnceAnswer {
    /// Version of this shape.
    pub schema: u32,
    /// One for each number of migrations.
    pub results: Vec<AtOnce>,
}

/// What is known when a fleet has been moved.
#[derive(Debug, Clone, Copy)]
pub struct Findings<'a> {
    /// Hosts, links, guests.
    pub cluster: &'a Cluster,
    /// What is moved where.
    pub moves_of: &'a [Move],
    /// By which hosts' profile.
    pub hosts: &'a Hosts,
    /// How it is expected to go.
    pub found: &'a FleetOutcome,
    /// Who does not arrive.
    pub missing: &'a [Missing],
    /// How it went with other random draws, where that was asked.
    pub likely: Option<&'a Replicated>,
}

/// How busy links and hosts are over time, and what memory hosts have.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Used {
    /// By link: what share of its capacity it carried.
    pub links: Vec<UsedOne>,
    /// By host: what share of its processors worked.
    pub hosts: Vec<UsedOne>,
    /// By host.
    pub memory: Vec<UsedMemory>,
}

/// How busy a thing is over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UsedOne {
    /// Its name.
    pub name: String,
    /// Seconds since the start, and the share.
    pub share: Vec<[f64; 2]>,
}

/// What memory a host has, in bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UsedMemory {
    /// The host.
    pub name: String,
    /// What it has.
    pub memory_bytes: u64,
    /// What guests have of it before.
    pub given_before_bytes: i128,
    /// And after.
    pub given_after_bytes: i128,
}

/// A fleet's file and its inventory, found to be without mistakes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InventoryAnswer {
    /// Version of this shape.
    pub schema: u32,
    /// The file, as given.
    pub file: String,
    /// How many hosts there are.
    pub hosts: usize,
    /// How many guests there are.
    pub guests: usize,
    /// How many moves are asked for.
    pub moves: usize,
    /// Where a default decides.
    pub warnings: Vec<String>,
}

impl InventoryAnswer {
    /// Of what was read from a file.
    pub fn new(file: &str, cluster: &Cluster, moves: usize) -> InventoryAnswer {
        InventoryAnswer {
            schema: SCHEMA,
            file: file.to_owned(),
            hosts: cluster.hosts.len(),
            guests: cluster.vms.len(),
            moves,
            warnings: cluster.notes(),
        }
    }
}

impl MoveShape {
    /// With nothing left out: it shows which places there are.
    #[doc(hidden)]
    pub fn full(replicated: bool) -> MoveShape {
        let spread = Spread::from([0.0; 3]);
        let quantiles =
            MoveQuantiles { began_s: spread, tmt_s: spread, downtime_s: spread, p_arrives: 0.0 };
        MoveShape {
            name: String::new(),
            from: String::new(),
            to: String::new(),
            outcome: "completed",
            ending: "completed",
            reason: None,
            began_s: None,
            ended_s: None,
            tmt_s: None,
            downtime_s: None,
            wire_bytes: None,
            dirty_syncs: None,
            lost_s: None,
            remedy: None,
            quantiles: replicated.then_some(quantiles),
        }
    }
}

impl From<Likely> for Spread {
    fn from([p5, p50, p95]: Likely) -> Spread {
        Spread { p5, p50, p95 }
    }
}

impl From<LikelyMove> for MoveQuantiles {
    fn from(likely: LikelyMove) -> MoveQuantiles {
        MoveQuantiles {
            began_s: likely.began_s.into(),
            tmt_s: likely.tmt_s.into(),
            downtime_s: likely.downtime_s.into(),
            p_arrives: likely.arrived,
        }
    }
}

impl From<&Replicated> for Replications {
    fn from(likely: &Replicated) -> Replications {
        let of = |figure: fn(&Totals) -> f64| likely.likely(figure).map(Spread::from);
        Replications {
            made: likely.totals.len(),
            wanted: likely.wanted,
            p_all_arrive: likely.p_all_arrive(),
            makespans_s: likely.makespans_s().collect(),
            makespan_s: of(|t| t.makespan_s),
            wire_bytes: of(|t| t.wire_bytes),
            downtime_s: of(|t| t.downtime_s),
            worst_downtime_s: of(|t| t.worst_downtime_s),
            migration_s: of(|t| t.migration_s),
            lost_s: of(|t| t.lost_s),
        }
    }
}

impl Findings<'_> {
    /// What was assumed, and what lies outside of the runs behind the profile.
    pub fn notes(&self) -> Vec<String> {
        let outside = self.found.moves.iter().filter_map(|one| {
            let vm = &self.cluster.vms[one.vm];
            let (links, rtt) = self.cluster.route(one.hosts[0], one.hosts[1])?;
            let path = self.cluster.path(vm, &links, rtt);
            Some(self.hosts.profile.outside(&vm.guest, &path, &vm.policy))
        });
        let mut notes = self.cluster.notes();
        let left: BTreeSet<usize> =
            self.moves_of.iter().map(|one| self.cluster.vms[one.vm].host).collect();
        let staying = self.cluster.vms.iter().filter(|vm| vm.stays && left.contains(&vm.host));
        let staying: Vec<&str> = staying.map(|vm| vm.guest.name.as_str()).collect();
        if !staying.is_empty() {
            let some = staying.iter().take(6).copied().collect::<Vec<_>>().join(", ");
            let more = if staying.len() > 6 { ", ..." } else { "" };
            let (guests, verb) = (
                counted(staying.len(), "guest"),
                if staying.len() == 1 { "stays" } else { "stay" },
            );
            notes.push(format!("{guests} {verb} on hosts that others leave: {some}{more}"));
        }
        notes.extend(outside_of_all("guests", outside));
        notes
    }

    /// Who has arrived by the deadline.
    pub fn deadline(&self) -> Option<DeadlineShape> {
        let likely = self.likely.filter(|likely| !likely.totals.is_empty())?;
        let deadline = likely.deadline.as_ref()?;
        let share = |count: usize| count as f64 / likely.totals.len() as f64;
        let mut late: Vec<(usize, usize)> = deadline
            .by_move
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, arrived)| *arrived < likely.totals.len())
            .collect();
        late.sort_by_key(|(index, arrived)| (*arrived, *index));
        let endangering = |(index, arrived): (usize, usize)| Endangering {
            name: self.guest(self.moves_of[index].vm),
            p_arrived: share(arrived),
        };
        Some(DeadlineShape {
            within_s: deadline.within.as_secs_f64(),
            p_all_arrived: share(deadline.all),
            endangered_by: late.into_iter().map(endangering).collect(),
        })
    }

    fn host(&self, host: usize) -> String {
        self.cluster.hosts[host].name.clone()
    }

    fn guest(&self, vm: usize) -> String {
        self.cluster.vms[vm].guest.name.clone()
    }

    /// The guest that does not arrive by the move of that number.
    fn missing_of(&self, index: usize) -> Option<&Missing> {
        let at = self.missing.binary_search_by_key(&index, |one| one.index).ok()?;
        self.missing.get(at)
    }

    fn moved(&self, one: &MoveOutcome) -> MoveShape {
        let seconds = |time: SimTime| time.as_secs_f64();
        MoveShape {
            name: self.guest(one.vm),
            from: self.host(one.hosts[0]),
            to: self.host(one.hosts[1]),
            outcome: outcome_word(&one.outcome),
            ending: ending_word(&one.outcome),
            reason: one.why_not.clone(),
            began_s: Some(seconds(one.began)),
            ended_s: Some(seconds(one.ended())),
            tmt_s: one.outcome.tmt().map(seconds),
            downtime_s: one.outcome.downtime().map(seconds),
            wire_bytes: Some(one.outcome.wire_bytes),
            dirty_syncs: Some(one.outcome.dirty_syncs),
            lost_s: Some(one.lost_s),
            remedy: self.missing_of(one.index).and_then(|missing| missing.remedy.clone()),
            quantiles: self
                .likely
                .and_then(|likely| likely.moves[one.index])
                .map(MoveQuantiles::from),
        }
    }

    fn never_left(&self, one: &Missing) -> MoveShape {
        MoveShape {
            name: self.guest(one.vm),
            from: self.host(one.hosts[0]),
            to: self.host(one.hosts[1]),
            outcome: "failed",
            ending: one.ending,
            reason: Some(one.reason.clone()),
            ..MoveShape::full(false)
        }
    }

    /// Every move, in the order of the list; those that never began follow.
    pub fn moves(&self) -> impl Iterator<Item = MoveShape> + '_ {
        let never = self.missing.iter().filter(|one| one.ending == "never-left");
        self.found
            .moves
            .iter()
            .map(|one| self.moved(one))
            .chain(never.map(|one| self.never_left(one)))
    }

    /// How busy links and hosts are over time, and what memory hosts have.
    pub fn used(&self) -> Used {
        let one = |name: String, meter: &Meter, index: usize, most: f64| UsedOne {
            name,
            // What is carried is told as differences, which may be off by a rounding.
            share: meter
                .rates(index)
                .into_iter()
                .map(|(s, rate)| [s, (rate / most).max(0.0)])
                .collect(),
        };
        let links = self.found.links.iter().enumerate().map(|(index, link)| {
            let capacity = self.cluster.capacity(*link).bytes_per_s();
            one(self.cluster.link_name(*link), &self.found.carried, index, capacity)
        });
        let hosts = self
            .cluster
            .hosts
            .iter()
            .enumerate()
            .map(|(index, host)| one(host.name.clone(), &self.found.worked, index, host.cores));
        let mut after = self.cluster.clone();
        for one in self.found.moves.iter().filter(|one| one.outcome.completed()) {
            after.vms[one.vm].host = one.hosts[1];
        }
        let free = self.cluster.free().into_iter().zip(after.free());
        let memory = self.cluster.hosts.iter().zip(free).map(|(host, (before, then))| {
            let room = i128::from(host.room());
            UsedMemory {
                name: host.name.clone(),
                memory_bytes: host.memory.0,
                given_before_bytes: room - before,
                given_after_bytes: room - then,
            }
        });
        Used { links: links.collect(), hosts: hosts.collect(), memory: memory.collect() }
    }

    /// All of it.
    pub fn answer(&self) -> FleetAnswer {
        let missing = |one: &Missing| NotArrived {
            name: self.guest(one.vm),
            from: self.host(one.hosts[0]),
            to: self.host(one.hosts[1]),
            ending: one.ending,
            reason: one.reason.clone(),
            remedy: one.remedy.clone(),
        };
        let link = |(index, link): (usize, &super::cluster::Link)| LinkUse {
            name: self.cluster.link_name(*link),
            capacity_bit_s: self.cluster.capacity(*link).0,
            wire_bytes: self.found.carried.total(index),
        };
        let host = |(index, host): (usize, &super::cluster::Host)| HostUse {
            name: host.name.clone(),
            cores: host.cores,
            busy_s: self.found.worked.total(index),
        };
        FleetAnswer {
            schema: SCHEMA,
            name: self.cluster.name.clone(),
            profile: self.hosts.profile.name.clone(),
            profile_given: self.hosts.given,
            totals: totals(self.found),
            replications: self
                .likely
                .filter(|likely| !likely.totals.is_empty())
                .map(Replications::from),
            deadline: self.deadline(),
            warnings: self.notes(),
            not_arrived_guests: self.missing.iter().map(missing).collect(),
            moves: self.found.moves.iter().map(|one| self.moved(one)).collect(),
            links: self.found.links.iter().enumerate().map(link).collect(),
            hosts: self.cluster.hosts.iter().enumerate().map(host).collect(),
        }
    }
}
