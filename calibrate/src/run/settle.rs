//! Where the guest is when a migration has ended, however it ended, and what makes it run at
//! exactly one host.

use std::time::Duration;

use crate::hosts::{Hosts, Pause, Presence, Progress};
use crate::lab::Side;

/// What is to be done, or how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It runs at exactly this host.
    RunsAt(Side),
    /// End what is left of it at this host.
    Destroy(Side),
    /// Let it go on at this host.
    Resume(Side),
    /// Let it go on from its image at this host.
    Restore(Side),
    /// Its memory lies at both hosts: go on with the post-copy migration.
    RecoverPostcopy,
    /// Nothing safe can be done from here: who holds the guest, and how to get it back.
    Stuck {
        /// The host that holds it, if any does.
        holder: Option<Side>,
        /// In words.
        advice: String,
    },
}

/// The rule, in one place. `images`: whether source and destination have a whole image of an
/// offline migration.
///
/// The destination's guest is the later one: once it runs there, the source's is history. A guest
/// that only stands at the destination has not left yet, unless the source has lost it. Nothing is
/// ended unless the guest runs at the other host; of two names of one host (`same_host`) nothing
/// can be said.
pub fn decide(
    source: &Presence,
    destination: &Presence,
    images: [bool; 2],
    same_host: bool,
) -> Decision {
    use Presence::{Absent, Paused, Running, Unknown};
    let stuck = |holder, advice: String| Decision::Stuck { holder, advice };
    if same_host {
        return stuck(
            None,
            "source and destination are the same host: nothing was touched".to_owned(),
        );
    }
    match (source, destination) {
        (Unknown(why), Unknown(other)) => {
            stuck(None, format!("neither host answers ({why}; {other}); look again with `migcal settle` when one does"))
        }
        (Unknown(why), Running) => stuck(
            Some(Side::Destination),
            format!(
                "it runs at the destination; the source does not answer ({why}) and may keep a paused copy, which `migcal settle` ends once it does"
            ),
        ),
        (Unknown(why), _) => stuck(
            Some(Side::Source),
            format!(
                "the source does not answer ({why}) and has it; nothing runs at the destination; `migcal settle` looks again"
            ),
        ),
        (Running, Unknown(why)) => stuck(
            Some(Side::Source),
            format!(
                "it runs at the source; the destination does not answer ({why}) and may keep a half-arrived copy, which `migcal settle` ends once it does"
            ),
        ),
        (_, Unknown(why)) => stuck(
            Some(Side::Source),
            format!(
                "the source has it standing still, and the destination does not answer ({why}): it may run there. Once it answers, `migcal settle` decides; \
                 if it is known to be off, `virsh resume` at the source lets the guest go on"
            ),
        ),
        (Paused(Pause::PostcopyFailed), Paused(Pause::PostcopyFailed | Pause::Migration) | Running) => {
            Decision::RecoverPostcopy
        }
        (Paused(_), Paused(Pause::PostcopyFailed)) => Decision::RecoverPostcopy,
        (Absent, Running) => Decision::RunsAt(Side::Destination),
        (Running, Absent) => Decision::RunsAt(Side::Source),
        (Paused(_), Running) => Decision::Destroy(Side::Source),
        // libvirt lets the source go on when the destination's last answer was lost; what it reported as failed is ended.
        (Running, Running | Paused(_)) => Decision::Destroy(Side::Destination),
        (Paused(Pause::PostcopyFailed), Absent) => stuck(
            None,
            "the destination's part was lost in post-copy: the guest cannot go on, start it anew".to_owned(),
        ),
        // It had arrived, and was stopped there by someone: which of the two is to live, no rule knows.
        (Paused(Pause::Migration), Paused(Pause::Other)) => stuck(
            None,
            "it stands at both hosts, and at the destination for another reason than a migration: it may have run there. `virsh resume` at \
             the one that is to go on; `migcal settle` then ends the other"
                .to_owned(),
        ),
        // What arrived in part is ended once the source's runs.
        (Paused(_), Absent | Paused(_)) => Decision::Resume(Side::Source),
        (Absent, Paused(Pause::PostcopyFailed)) => {
            stuck(None, "the source's part was lost in post-copy: the guest cannot go on, start it anew".to_owned())
        }
        (Absent, Paused(_)) => Decision::Resume(Side::Destination),
        (Absent, Absent) => match images {
            // It never ran at the destination, or its images would be gone: the source is where it was last.
            [true, _] => Decision::Restore(Side::Source),
            [false, true] => Decision::Restore(Side::Destination),
            [false, false] => stuck(None, "it is at neither host, and no image of it is left".to_owned()),
        },
    }
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// The guest runs at exactly this host.
    RunsAt(Side),
    /// It does not run at exactly one host: who holds it, and how to get it back.
    Stuck {
        /// The host that holds it, if any does.
        holder: Option<Side>,
        /// In words.
        advice: String,
    },
}

const STEPS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(90);
/// A job that is not over so long after it was given up may hang.
const HANGS: Duration = Duration::from_secs(4);
const LOOK: Duration = Duration::from_millis(200);

/// Waits until libvirt's call has come back and no job is left, giving the job up at `abort_first`.
fn quiet(hosts: &mut dyn Hosts, abort_first: bool) {
    let started = hosts.now();
    let mut looked = started;
    if abort_first {
        // It may have ended by itself meanwhile.
        let _ = hosts.abort();
    }
    while hosts.now() - started < PATIENCE {
        let returned = !matches!(hosts.progress(), Progress::Running);
        if returned && !hosts.job_active() {
            return;
        }
        if abort_first && hosts.now() > looked + HANGS {
            hosts.unstick();
            looked = hosts.now();
        }
        hosts.wait(LOOK);
    }
}

/// Makes the guest run at exactly one host, whatever happened, or says why that cannot be done.
/// `note` hears each step.
pub fn settle(hosts: &mut dyn Hosts, mut note: impl FnMut(&str)) -> Settled {
    if hosts.same_host() {
        let advice = "source and destination are the same host: nothing was touched".to_owned();
        return Settled::Stuck { holder: None, advice };
    }
    hosts.mend();
    // In post-copy there is no way back: it is waited for, not given up.
    let leaving = hosts.presence(Side::Destination) != Presence::Running;
    quiet(hosts, leaving);
    let mut last_error = String::new();
    let mut decided = None;
    for _ in 0..STEPS {
        let (source, destination) =
            (hosts.presence(Side::Source), hosts.presence(Side::Destination));
        let images = [hosts.has_image(Side::Source), hosts.has_image(Side::Destination)];
        let decision = decide(&source, &destination, images, hosts.same_host());
        let done = match &decision {
            Decision::RunsAt(side) => {
                hosts.forget_images();
                return Settled::RunsAt(*side);
            }
            Decision::Stuck { holder, advice } => {
                // A host may still be coming back.
                if decided.as_ref() == Some(&decision) {
                    return Settled::Stuck { holder: *holder, advice: advice.clone() };
                }
                hosts.mend();
                Ok(())
            }
            Decision::Destroy(side) => hosts.destroy(*side),
            Decision::Resume(side) => match hosts.resume(*side) {
                // One that hangs in a migration that was given up goes on when that is let go.
                Err(_) if hosts.unstick() => Ok(()),
                result => result,
            },
            Decision::Restore(side) => hosts.restore(*side),
            Decision::RecoverPostcopy => {
                let result = hosts.recover_postcopy();
                quiet(hosts, false);
                result
            }
        };
        match (&decision, done) {
            (Decision::Stuck { .. }, _) => {}
            (decision, Ok(())) => {
                note(&format!(
                    "settling: {source:?} at the source, {destination:?} at the destination: {decision:?}"
                ));
            }
            (decision, Err(error)) => {
                last_error = format!("{error:#}");
                note(&format!("settling: {decision:?} failed: {last_error}"));
            }
        }
        decided = Some(decision);
        hosts.wait(LOOK);
    }
    Settled::Stuck {
        holder: None,
        advice: format!(
            "the guest did not come to rest ({last_error}); `migcal settle` tries again"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Presence::{Absent, Paused, Running, Unknown};

    const MOVING: Presence = Paused(Pause::Migration);
    const TORN: Presence = Paused(Pause::PostcopyFailed);

    #[test]
    fn each_pair_of_states_has_its_step() {
        let cases = [
            (Running, Absent, Decision::RunsAt(Side::Source)),
            (Absent, Running, Decision::RunsAt(Side::Destination)),
            (Running, MOVING, Decision::Destroy(Side::Destination)),
            (MOVING, Running, Decision::Destroy(Side::Source)),
            (MOVING, MOVING, Decision::Resume(Side::Source)),
            (Paused(Pause::Other), MOVING, Decision::Resume(Side::Source)),
            (MOVING, Absent, Decision::Resume(Side::Source)),
            (Paused(Pause::Other), Absent, Decision::Resume(Side::Source)),
            (Absent, MOVING, Decision::Resume(Side::Destination)),
            (Running, Running, Decision::Destroy(Side::Destination)),
            (TORN, TORN, Decision::RecoverPostcopy),
            (MOVING, TORN, Decision::RecoverPostcopy),
        ];
        for (source, destination, expected) in cases {
            assert_eq!(
                decide(&source, &destination, [false; 2], false),
                expected,
                "{source:?}, {destination:?}"
            );
        }
        assert_eq!(decide(&Absent, &Absent, [true, true], false), Decision::Restore(Side::Source));
        assert_eq!(
            decide(&Absent, &Absent, [false, true], false),
            Decision::Restore(Side::Destination)
        );
    }

    /// All that a host can show.
    fn states() -> [Presence; 6] {
        [Absent, Running, MOVING, TORN, Paused(Pause::Other), Unknown("no route".to_owned())]
    }

    #[test]
    fn nothing_is_ended_unless_the_guest_runs_at_the_other_host() {
        for (source, destination) in states().iter().flat_map(|a| states().map(|b| (a.clone(), b)))
        {
            for images in [[false, false], [true, false], [false, true], [true, true]] {
                let at = [&source, &destination];
                if let Decision::Destroy(side) = decide(&source, &destination, images, false) {
                    assert_eq!(at[1 - side.index()], &Running, "{source:?}, {destination:?}");
                }
            }
        }
    }

    #[test]
    fn of_two_names_of_one_host_nothing_is_touched() {
        // Both names show the same guest; and pairs that cannot be, if it changed while it was
        // looked at.
        for (source, destination) in states().iter().flat_map(|a| states().map(|b| (a.clone(), b)))
        {
            for images in [[false, false], [true, true]] {
                let decision = decide(&source, &destination, images, true);
                let Decision::Stuck { advice, .. } = &decision else {
                    panic!("{source:?}: {decision:?}")
                };
                assert!(advice.contains("same host"), "{advice}");
            }
        }
    }

    #[test]
    fn from_every_state_that_hosts_can_show_the_steps_end_with_one_guest_or_none_left() {
        let states = [Absent, Running, MOVING, TORN, Paused(Pause::Other)];
        for (source, destination) in states.iter().flat_map(|a| states.iter().map(move |b| (a, b)))
        {
            for images in [[false, false], [true, false], [false, true], [true, true]] {
                let mut at = [source.clone(), destination.clone()];
                let mut steps = 0;
                let end = loop {
                    match decide(&at[0], &at[1], images, false) {
                        Decision::Destroy(side) => at[side.index()] = Absent,
                        Decision::Resume(side) | Decision::Restore(side) => {
                            at[side.index()] = Running;
                        }
                        Decision::RecoverPostcopy => at = [Absent, Running],
                        end => break end,
                    }
                    steps += 1;
                    assert!(steps <= 4, "{source:?}, {destination:?}: no end");
                };
                let running = at.iter().filter(|p| **p == Running).count();
                match end {
                    Decision::RunsAt(_) => assert_eq!(running, 1, "{source:?}, {destination:?}"),
                    // Only what post-copy has torn apart, or what is nowhere, is lost; what stands
                    // at both hosts is asked about.
                    _ => {
                        let torn = [source, destination].contains(&&TORN)
                            || [source, destination] == [&MOVING, &Paused(Pause::Other)];
                        let nowhere =
                            [source, destination] == [&Absent, &Absent] && images == [false, false];
                        assert!(
                            running == 0 && (torn || nowhere),
                            "{source:?}, {destination:?}: {end:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_is_touched_where_a_host_does_not_answer() {
        let unknown = || Unknown("no route".to_owned());
        for other in [Absent, Running, MOVING, TORN, unknown()] {
            for (source, destination) in [(unknown(), other.clone()), (other.clone(), unknown())] {
                let decision = decide(&source, &destination, [true, true], false);
                assert!(
                    matches!(decision, Decision::Stuck { .. }),
                    "{source:?}, {destination:?}: {decision:?}"
                );
            }
        }
        // Whether a guest that stands at the source may go on cannot be known while the destination
        // is silent.
        let Decision::Stuck { holder, advice } = decide(&MOVING, &unknown(), [false; 2], false)
        else {
            panic!()
        };
        assert_eq!(holder, Some(Side::Source));
        assert!(advice.contains("it may run there"), "{advice}");
    }
}
