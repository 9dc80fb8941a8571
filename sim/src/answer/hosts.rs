//! The pair of hosts that a migration is between: those of a profile that was asked for, or servers
//! of the link's class.

use std::sync::OnceLock;

use migsim_models::profile::{CLASSES, Manager, Profile, class_of, shipped};
use migsim_models::units::BitRate;

use super::Draws;

/// A pair of hosts: their profile, and what is drawn around it.
#[derive(Debug)]
pub struct Hosts {
    /// The profile.
    pub profile: Profile,
    /// Whether it was asked for.
    pub given: bool,
    draws: OnceLock<Option<Draws>>,
}

impl Hosts {
    /// Those of a profile that was asked for.
    pub fn given(profile: Profile) -> Hosts {
        Hosts { profile, given: true, draws: OnceLock::new() }
    }

    /// Draws around the profile, made when they are first asked for. `None`: it was not fitted, so
    /// nothing is known of its errors.
    pub fn draws(&self) -> Option<&Draws> {
        self.draws.get_or_init(|| Draws::of_fitted(&self.profile)).as_ref()
    }
}

/// Which hosts are asked about.
#[derive(Debug)]
pub enum Between {
    /// Nobody said: for each question, servers of the class of its link, run by whoever was named.
    Servers(Option<Manager>),
    /// Those of a profile.
    Given(Box<Hosts>),
}

impl Between {
    /// The hosts of a profile that was asked for.
    pub fn given(profile: Profile) -> Between {
        Between::Given(Box::new(Hosts::given(profile)))
    }

    /// Whether nothing is known of the errors of a profile that was asked for, so that there are no
    /// intervals.
    pub fn is_without_errors(&self) -> bool {
        matches!(self, Between::Given(hosts) if hosts.profile.noise.intervals.is_none())
    }

    /// The hosts of a question over a link of that capacity.
    pub fn over(&self, link: BitRate) -> &Hosts {
        /// By class and manager, the last for none named.
        static SERVERS: [[OnceLock<Hosts>; Manager::ALL.len() + 1]; CLASSES.len()] =
            [const { [const { OnceLock::new() }; Manager::ALL.len() + 1] }; CLASSES.len()];
        match self {
            Between::Given(hosts) => hosts,
            Between::Servers(manager) => {
                let class = class_of(link);
                let column = manager.map_or(Manager::ALL.len(), |manager| manager as usize);
                SERVERS[class][column].get_or_init(|| servers(class, *manager))
            }
        }
    }
}

/// The shipped servers of a class.
fn servers(class: usize, manager: Option<Manager>) -> Hosts {
    let profile = shipped(CLASSES[class].0).and_then(|text| Profile::parse(text).ok());
    Hosts { given: false, ..Hosts::given(profile.unwrap_or_default().run_by(manager)) }
}
