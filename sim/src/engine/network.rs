//! Links and the flows that share them: max-min fair, with a cap for each flow.
//!
//! Rates are bytes per second on the wire. A flow gets as much as the fullest link on its path
//! leaves it; what one flow cannot use, because its cap or another link holds it back, the others
//! share. Changes of one moment take effect together.
//!
//! Where very many flows are held back by one link, each of them that comes or goes changes the
//! share of all others by next to nothing, and telling all of them each time would take time with
//! the square of their number. With a tolerance such flows are a *crowd*: they share one level,
//! which moves by what one flow more or less makes of it, and are told only when it has gone
//! above what they were told. What the level was meanwhile is summed up, so that each flow knows
//! what it really got ([`Network::average`]). All shares are found anew when the level has moved by
//! more than ten times the tolerance.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::mem::replace;

use migsim_models::units::SimTime;

/// Names a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub usize);

/// Names a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId(pub usize);

#[derive(Debug, Clone)]
struct Link {
    capacity: f64,
    /// The flows that ask for something, and at which hop of their path the link stands.
    flows: Vec<(FlowId, u32)>,
    seen: u32,
    /// While shares are found: what is left of it, and for how many flows.
    left: f64,
    open: u32,
    /// What its flows take together; between two settlings of all of it nearly so.
    load: f64,
    /// Flows that it holds back ...
    held: u32,
    /// ... as a crowd, if they are many.
    crowd: Option<Crowd>,
}

/// The flows that one link holds back, where they are many.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Crowd {
    /// What each of them gets, and what it was when all shares were last found.
    level: f64,
    found: f64,
    /// What each of them has got by a time.
    served: f64,
    at: SimTime,
}

impl Crowd {
    fn served_by(&self, now: SimTime) -> f64 {
        self.served + self.level * now.since(self.at).as_secs_f64()
    }

    fn move_to(&mut self, level: f64, now: SimTime) {
        self.served = self.served_by(now);
        (self.level, self.at) = (level.max(0.0), now);
    }
}

/// A level may move by so many times the tolerance before all shares are found anew.
const DRIFT: f64 = 10.0;

impl Link {
    /// What it can give each of its open flows.
    fn level(&self) -> f64 {
        (self.left / f64::from(self.open)).max(0.0)
    }
}

#[derive(Debug, Clone)]
struct Flow {
    /// Links, and where each of them keeps the flow.
    path: Box<[(LinkId, u32)]>,
    /// `None`: the flow asks for nothing now.
    cap: Option<f64>,
    rate: f64,
    seen: u32,
    /// While shares are found: the one found, if it is.
    share: Option<f64>,
    /// The link that holds it back, `None`: its cap does; and the one whose crowd it was in when
    /// all shares were last found anew.
    held_by: Option<LinkId>,
    was_held_by: Option<LinkId>,
    /// With a tolerance: what it was last told that it gets, and whether its demand has changed
    /// since the last settling.
    told: Told,
    asked: bool,
}

/// What a flow was told that it gets, and what it has really got since.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    rate: f64,
    at: SimTime,
    /// What it got until `since`; from then on its crowd has served what is above `mark`.
    got: f64,
    since: SimTime,
    mark: f64,
    /// Whether it has been in a crowd since it was told: only then it may have got something else.
    mixed: bool,
}

/// What a link could give each of its open flows when it was last looked at; by then it can only
/// have become more.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Level(f64, LinkId);

impl Eq for Level {}

impl PartialOrd for Level {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Level {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

/// Links, flows and their rates.
#[derive(Debug, Clone)]
pub struct Network {
    links: Vec<Link>,
    flows: Vec<Flow>,
    /// Links on which something has changed since the last settling.
    touched: Vec<LinkId>,
    /// Flows that have stopped to ask since then.
    stopped: Vec<FlowId>,
    /// Counts settlings: which one a link or a flow was last seen in.
    settling: u32,
    // What the touched links are joined with; kept, so that no settling allocates.
    joined_links: Vec<LinkId>,
    joined_flows: Vec<FlowId>,
    levels: BinaryHeap<Reverse<Level>>,
    /// Shares may be off by so much, as a share of them. 0: all are exact.
    tolerance: f64,
    now: SimTime,
    /// With a tolerance: flows whose demand has changed since the last settling, and what they
    /// had.
    asked: Vec<(FlowId, Option<f64>)>,
    /// Whether the capacity of a link has.
    resized: bool,
}

impl Default for Network {
    /// With room for one link and one flow.
    fn default() -> Self {
        Network {
            links: Vec::with_capacity(1),
            flows: Vec::with_capacity(1),
            touched: Vec::with_capacity(1),
            stopped: Vec::with_capacity(1),
            settling: 0,
            joined_links: Vec::new(),
            joined_flows: Vec::new(),
            levels: BinaryHeap::new(),
            tolerance: 0.0,
            now: SimTime::ZERO,
            asked: Vec::new(),
            resized: false,
        }
    }
}

impl Network {
    /// From now on shares may be off by so much, as a share of them.
    pub fn set_tolerance(&mut self, tolerance: f64) {
        self.tolerance = tolerance;
    }

    /// A link of that capacity.
    pub fn add_link(&mut self, capacity: f64) -> LinkId {
        let flows = Vec::with_capacity(1);
        self.links.push(Link {
            capacity,
            flows,
            seen: 0,
            left: 0.0,
            open: 0,
            load: 0.0,
            held: 0,
            crowd: None,
        });
        LinkId(self.links.len() - 1)
    }

    /// A flow over a path of different links, at least one. It asks for nothing until
    /// [`Network::set_demand`].
    pub fn add_flow(&mut self, path: &[LinkId]) -> FlowId {
        let path = path.iter().map(|link| (*link, 0)).collect();
        self.flows.push(Flow {
            path,
            cap: None,
            rate: 0.0,
            seen: 0,
            share: None,
            held_by: None,
            was_held_by: None,
            told: Told::default(),
            asked: false,
        });
        FlowId(self.flows.len() - 1)
    }

    /// What a flow gets now.
    pub fn rate(&self, flow: FlowId) -> f64 {
        let state = &self.flows[flow.0];
        match self.crowd_of(flow) {
            Some(crowd) => state.cap.unwrap_or(0.0).min(crowd.level),
            None => state.rate,
        }
    }

    /// The crowd that a flow is one of.
    fn crowd_of(&self, flow: FlowId) -> Option<&Crowd> {
        self.links[self.flows[flow.0].held_by?.0].crowd.as_ref()
    }

    /// Whether a flow's rate may move without its being told.
    pub fn is_in_crowd(&self, flow: FlowId) -> bool {
        self.crowd_of(flow).is_some()
    }

    /// Tells a flow at `now` what to plan with: what it gets, and in a crowd a little more, so that
    /// it wakes a little early, sees what it really got, and is nearer each time. One that
    /// wakes late has let its links idle.
    pub fn tell(&mut self, flow: FlowId, now: SimTime) -> f64 {
        let early = if self.is_in_crowd(flow) { 1.0 + DRIFT * self.tolerance } else { 1.0 };
        let planned = self.rate(flow) * early;
        self.told(flow, now, planned);
        planned
    }

    fn told(&mut self, flow: FlowId, now: SimTime, rate: f64) {
        let mark = self.crowd_of(flow).map(|crowd| crowd.served_by(now));
        let (mixed, mark) = (mark.is_some(), mark.unwrap_or(0.0));
        self.flows[flow.0].told = Told { rate, at: now, got: 0.0, since: now, mark, mixed };
    }

    /// What a flow has really got a second since it was told.
    pub fn average(&self, flow: FlowId, now: SimTime) -> f64 {
        let told = &self.flows[flow.0].told;
        if !told.mixed || now <= told.at {
            return told.rate;
        }
        self.got(flow, now) / now.since(told.at).as_secs_f64()
    }

    /// What a flow has got since it was told.
    fn got(&self, flow: FlowId, now: SimTime) -> f64 {
        let Flow { told, cap, .. } = &self.flows[flow.0];
        let seconds = now.since(told.since).as_secs_f64();
        told.got
            + match self.crowd_of(flow) {
                Some(crowd) => (crowd.served_by(now) - told.mark)
                    .max(0.0)
                    .min(cap.map_or(f64::INFINITY, |cap| cap * seconds)),
                None => told.rate * seconds,
            }
    }

    /// The capacity of a link now.
    pub fn capacity(&self, link: LinkId) -> f64 {
        self.links[link.0].capacity
    }

    /// What the flows on a link take together.
    pub fn load(&self, link: LinkId) -> f64 {
        self.links[link.0].flows.iter().map(|(flow, _)| self.rate(*flow)).sum()
    }

    /// Sets what a flow can use, `None` for nothing. It takes effect at [`Network::settle`].
    pub fn set_demand(&mut self, flow: FlowId, cap: Option<f64>) {
        let old = replace(&mut self.flows[flow.0].cap, cap);
        if old == cap {
            return;
        }
        for hop in 0..self.flows[flow.0].path.len() {
            let (link, place) = self.flows[flow.0].path[hop];
            self.touched.push(link);
            let flows = &mut self.links[link.0].flows;
            match (old, cap) {
                (None, Some(_)) => {
                    self.flows[flow.0].path[hop].1 = flows.len() as u32;
                    flows.push((flow, hop as u32));
                }
                (Some(_), None) => {
                    flows.swap_remove(place as usize);
                    if let Some((moved, at)) = flows.get(place as usize) {
                        self.flows[moved.0].path[*at as usize].1 = place;
                    }
                }
                _ => {}
            }
        }
        if cap.is_none() {
            self.stopped.push(flow);
        }
        if self.tolerance > 0.0 && !replace(&mut self.flows[flow.0].asked, true) {
            self.asked.push((flow, old));
        }
    }

    /// Changes the capacity of a link. It takes effect at [`Network::settle`].
    pub fn set_capacity(&mut self, link: LinkId, capacity: f64) {
        self.resized = true;
        self.links[link.0].capacity = capacity;
        self.touched.push(link);
    }

    /// Shares anew, at `now`, every link that flows join to one on which something has changed.
    /// Adds the flows that have to be told to `changed`.
    pub fn settle(&mut self, now: SimTime, changed: &mut Vec<FlowId>) {
        self.now = now;
        let tolerant = self.tolerance > 0.0;
        if tolerant && self.settle_in_crowds(changed) {
            return;
        }
        while let Some(flow) = self.stopped.pop() {
            if self.flows[flow.0].cap.is_none() {
                if tolerant {
                    self.note(flow);
                }
                self.flows[flow.0].held_by = None;
                self.set_rate(flow, 0.0, changed);
            }
        }
        if let [link] = self.touched[..] {
            match self.links[link.0].flows[..] {
                [] => self.touched.clear(),
                // Alone on its only link: the everyday case of a single migration.
                [(flow, _)] if self.flows[flow.0].path.len() == 1 => {
                    self.touched.clear();
                    let rate =
                        self.flows[flow.0].cap.unwrap_or(0.0).min(self.links[link.0].capacity);
                    self.set_rate(flow, rate, changed);
                }
                _ => {}
            }
        }
        if self.touched.is_empty() {
            return;
        }
        self.join();
        if tolerant {
            self.leave_crowds();
        }
        self.fill();
        if tolerant {
            self.gather_crowds();
        }
        for index in 0..self.joined_flows.len() {
            let flow = self.joined_flows[index];
            let (share, before, now) = {
                let state = &self.flows[flow.0];
                (state.share.unwrap_or(0.0), state.was_held_by.filter(|_| tolerant), state.held_by)
            };
            if before.is_none() {
                self.set_rate(flow, share, changed);
                continue;
            }
            // Who is in a crowd need not know, unless that is another one, or gives more than it
            // plans with.
            let stays = before == now && self.is_in_crowd(flow);
            let state = &mut self.flows[flow.0];
            state.rate = share;
            if !stays || share > state.told.rate * (1.0 + self.tolerance) {
                changed.push(flow);
            }
        }
    }

    /// Lets flows come and go in crowds, where that changes the level by little. `false`: all
    /// shares have to be found anew.
    fn settle_in_crowds(&mut self, changed: &mut Vec<FlowId>) -> bool {
        let asked = std::mem::take(&mut self.asked);
        let resized = std::mem::take(&mut self.resized);
        asked.iter().for_each(|(flow, _)| self.flows[flow.0].asked = false);
        let easy = !resized
            && asked.iter().all(|(flow, before)| self.change_in_crowds(*flow, *before, changed));
        if easy {
            self.touched.clear();
            self.stopped.clear();
        }
        self.asked = asked;
        self.asked.clear();
        easy
    }

    /// A flow that could use `before` can use something else now.
    fn change_in_crowds(
        &mut self,
        flow: FlowId,
        before: Option<f64>,
        changed: &mut Vec<FlowId>,
    ) -> bool {
        let drift = DRIFT * self.tolerance;
        let Flow { cap, rate, held_by, .. } = self.flows[flow.0];
        let held_in_crowd = held_by.and_then(|link| self.links[link.0].crowd);
        let links: Vec<LinkId> = self.flows[flow.0].path.iter().map(|(link, _)| *link).collect();
        // A link that holds back few flows gives each of them much more, or less.
        if links
            .iter()
            .any(|link| self.links[link.0].held > 0 && self.links[link.0].crowd.is_none())
        {
            return false;
        }
        let more = match (before, cap) {
            (Some(before), Some(cap)) => {
                // It gets the level all the same.
                return held_in_crowd
                    .is_some_and(|crowd| crowd.level * (1.0 + drift) < before.min(cap));
            }
            (Some(before), None) => {
                if held_by.is_some() && held_in_crowd.is_none() {
                    return false;
                }
                -held_in_crowd.map_or(rate, |crowd| crowd.level.min(before))
            }
            (None, Some(cap)) => {
                let levels =
                    links.iter().filter_map(|link| Some((self.links[link.0].crowd?.level, *link)));
                let lowest = levels.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                let share = lowest.map_or(cap, |(level, _)| level.min(cap));
                // What a crowd gives to one it takes from the others: a link that they cross as
                // well is no fuller for it.
                let spare = if lowest.is_some() { 1.0 + drift } else { 1.0 };
                let fits = |link: &&LinkId| {
                    let link = &self.links[link.0];
                    link.crowd.is_some() || link.load + share <= link.capacity * spare
                };
                if !links.iter().all(|link| fits(&link)) {
                    return false;
                }
                self.flows[flow.0].held_by =
                    lowest.filter(|(level, _)| *level < cap).map(|(_, link)| link);
                // It has got nothing so far.
                self.told(flow, self.now, 0.0);
                share
            }
            (None, None) => return true,
        };
        let held_by = self.flows[flow.0].held_by;
        let now = self.now;
        for id in links {
            let link = &mut self.links[id.0];
            link.load = (link.load + more).max(0.0);
            let Some(crowd) = &mut link.crowd else { continue };
            if held_by == Some(id) {
                link.held = if more > 0.0 { link.held + 1 } else { link.held - 1 };
            }
            if link.held == 0 {
                return false;
            }
            crowd.move_to(crowd.level - more / f64::from(link.held), now);
            if (crowd.level - crowd.found).abs() > drift * crowd.found {
                return false;
            }
        }
        if cap.is_none() {
            self.note(flow);
            self.flows[flow.0].held_by = None;
        }
        let state = &mut self.flows[flow.0];
        state.rate = more.max(0.0);
        changed.push(flow);
        true
    }

    /// Notes what a flow got until now, before it leaves its crowd.
    fn note(&mut self, flow: FlowId) {
        let got = self.got(flow, self.now);
        let in_crowd = self.is_in_crowd(flow);
        let told = &mut self.flows[flow.0].told;
        *told = Told { got, since: self.now, mixed: told.mixed || in_crowd, ..*told };
    }

    /// Notes what all joined flows got until now.
    fn leave_crowds(&mut self) {
        for index in 0..self.joined_flows.len() {
            let flow = self.joined_flows[index];
            let in_crowd = self.is_in_crowd(flow);
            self.note(flow);
            let state = &mut self.flows[flow.0];
            state.was_held_by = state.held_by.take().filter(|_| in_crowd);
        }
        for link in &self.joined_links {
            let link = &mut self.links[link.0];
            (link.load, link.held, link.crowd) = (0.0, 0, None);
        }
    }

    /// Makes crowds of the flows that a link holds back, where they are many.
    fn gather_crowds(&mut self) {
        for flow in &self.joined_flows {
            let state = &self.flows[flow.0];
            let share = state.share.unwrap_or(0.0);
            for (link, _) in &state.path {
                self.links[link.0].load += share;
            }
            if let Some(link) = state.held_by {
                self.links[link.0].held += 1;
            }
        }
        let many = 1.0 / (DRIFT * self.tolerance);
        for flow in &self.joined_flows {
            let state = &mut self.flows[flow.0];
            let Some(link) = state.held_by.map(|link| &mut self.links[link.0]) else { continue };
            if f64::from(link.held) < many {
                continue;
            }
            let level = state.share.unwrap_or(0.0);
            link.crowd.get_or_insert(Crowd { level, found: level, served: 0.0, at: self.now });
            // What it is told next it is told of this crowd.
            state.told = Told { mark: 0.0, mixed: true, ..state.told };
        }
    }

    fn set_rate(&mut self, flow: FlowId, rate: f64, changed: &mut Vec<FlowId>) {
        if replace(&mut self.flows[flow.0].rate, rate) != rate {
            changed.push(flow);
        }
    }

    /// Finds the links and flows that the touched links can influence, each in the order of their
    /// numbers.
    fn join(&mut self) {
        self.settling += 1;
        let now = self.settling;
        self.joined_links.clear();
        self.joined_flows.clear();
        for link in self.touched.drain(..) {
            if replace(&mut self.links[link.0].seen, now) != now {
                self.joined_links.push(link);
            }
        }
        let (mut links_done, mut flows_done) = (0, 0);
        loop {
            if let Some(link) = self.joined_links.get(links_done) {
                links_done += 1;
                for (flow, _) in &self.links[link.0].flows {
                    let state = &mut self.flows[flow.0];
                    if replace(&mut state.seen, now) != now {
                        state.share = None;
                        self.joined_flows.push(*flow);
                    }
                }
            } else if let Some(flow) = self.joined_flows.get(flows_done) {
                flows_done += 1;
                for (link, _) in &self.flows[flow.0].path {
                    if replace(&mut self.links[link.0].seen, now) != now {
                        self.joined_links.push(*link);
                    }
                }
            } else {
                break;
            }
        }
        self.joined_links.sort_unstable();
        self.joined_flows.sort_unstable();
    }

    /// Progressive filling (Bertsekas and Gallager, Data Networks, 6.5.2): all rates rise together;
    /// a flow is fixed when it meets its cap or a link on its path is full. The next link to be
    /// full is found in a heap, the next cap in a sorted list: n log n in flows and links.
    fn fill(&mut self) {
        self.levels.clear();
        for link in &self.joined_links {
            let state = &mut self.links[link.0];
            (state.left, state.open) = (state.capacity, state.flows.len() as u32);
            if state.open > 0 {
                self.levels.push(Reverse(Level(state.level(), *link)));
            }
        }
        let flows = &self.flows;
        let cap = |flow: &FlowId| flows[flow.0].cap.unwrap_or(0.0);
        self.joined_flows.sort_by(|a, b| cap(a).total_cmp(&cap(b)));
        for index in 0..self.joined_flows.len() {
            let flow = self.joined_flows[index];
            while self.flows[flow.0].share.is_none() {
                let cap = self.flows[flow.0].cap.unwrap_or(0.0);
                match self.next_full() {
                    Some(Level(level, link)) if level < cap => {
                        for place in 0..self.links[link.0].flows.len() {
                            let (other, _) = self.links[link.0].flows[place];
                            if self.flows[other.0].share.is_none() {
                                self.fix(other, level);
                                self.flows[other.0].held_by = Some(link);
                            }
                        }
                    }
                    _ => self.fix(flow, cap),
                }
            }
        }
    }

    /// The open link that can give each of its flows the least.
    fn next_full(&mut self) -> Option<Level> {
        while let Some(Reverse(Level(known, link))) = self.levels.peek().copied() {
            let state = &self.links[link.0];
            let level = state.level();
            if state.open > 0 && level <= known {
                return Some(Level(known, link));
            }
            self.levels.pop();
            if state.open > 0 {
                self.levels.push(Reverse(Level(level, link)));
            }
        }
        None
    }

    fn fix(&mut self, flow: FlowId, share: f64) {
        let state = &mut self.flows[flow.0];
        (state.share, state.held_by) = (Some(share), None);
        for (link, _) in &state.path {
            let link = &mut self.links[link.0];
            link.left -= share;
            link.open -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn two_flows_share_a_link_and_a_capped_one_leaves_the_rest() {
        let mut network = Network::default();
        let link = network.add_link(100.0);
        let (a, b) = (network.add_flow(&[link]), network.add_flow(&[link]));
        let mut changed = Vec::new();
        network.set_demand(a, Some(f64::INFINITY));
        network.settle(SimTime::ZERO, &mut changed);
        assert_eq!((network.rate(a), &changed[..]), (100.0, &[a][..]));
        for (flow, demand, rates) in
            [(b, Some(f64::INFINITY), (50.0, 50.0)), (b, Some(20.0), (80.0, 20.0))]
        {
            changed.clear();
            network.set_demand(flow, demand);
            network.settle(SimTime::ZERO, &mut changed);
            assert_eq!((network.rate(a), network.rate(b)), rates);
            changed.sort_unstable();
            assert_eq!(changed, [a, b]);
        }
        network.set_capacity(link, 30.0);
        network.settle(SimTime::ZERO, &mut changed);
        assert_eq!((network.rate(a), network.rate(b)), (15.0, 15.0));
        network.set_demand(a, None);
        network.settle(SimTime::ZERO, &mut changed);
        assert_eq!((network.rate(a), network.rate(b)), (0.0, 20.0));
    }

    #[test]
    fn links_that_no_flow_joins_are_left_alone() {
        let mut network = Network::default();
        let links = [network.add_link(10.0), network.add_link(10.0)];
        let flows = links.map(|link| network.add_flow(&[link]));
        let mut changed = Vec::new();
        for flow in flows {
            network.set_demand(flow, Some(f64::INFINITY));
        }
        network.settle(SimTime::ZERO, &mut changed);
        changed.clear();
        network.set_capacity(links[0], 5.0);
        network.settle(SimTime::ZERO, &mut changed);
        assert_eq!(changed, [flows[0]]);
    }

    proptest! {
        #[test]
        fn shares_are_max_min_fair(
            capacities in prop::collection::vec(0.0..1000.0f64, 1..5),
            one_by_one in any::<bool>(),
            flows in prop::collection::vec((prop::collection::btree_set(0..5_usize, 1..4), prop::option::of(0.0..500.0f64)), 1..12),
        ) {
            let mut network = Network::default();
            let links: Vec<LinkId> = capacities.iter().map(|c| network.add_link(*c)).collect();
            let mut ids = Vec::new();
            for (path, cap) in &flows {
                let mut path: Vec<LinkId> = path.iter().map(|l| links[l % links.len()]).collect();
                path.dedup();
                path.sort_unstable();
                path.dedup();
                let id = network.add_flow(&path);
                network.set_demand(id, Some(cap.unwrap_or(f64::INFINITY)));
                ids.push(id);
                if one_by_one {
                    network.settle(SimTime::ZERO, &mut Vec::new());
                }
            }
            network.settle(SimTime::ZERO, &mut Vec::new());
            for link in &links {
                prop_assert!(network.load(*link) <= network.capacity(*link) * (1.0 + 1e-9) + 1e-9);
            }
            // Each flow is at its cap, or crosses a full link on which no flow has more.
            for (id, (_, cap)) in ids.iter().zip(&flows) {
                let rate = network.rate(*id);
                let capped = cap.is_some_and(|cap| rate >= cap * (1.0 - 1e-9));
                let bottleneck = network.flows[id.0].path.iter().any(|(link, _)| {
                    let full = network.load(*link) >= network.capacity(*link) * (1.0 - 1e-9) - 1e-9;
                    full && network.links[link.0].flows.iter().all(|(f, _)| network.rate(*f) <= rate * (1.0 + 1e-9) + 1e-9)
                });
                prop_assert!(capped || bottleneck, "flow {id:?} at {rate}");
            }
        }
    }

    /// Flows come to a link and go again, as many as at a time are a crowd; `look` sees the network
    /// after each settling.
    fn come_and_go(
        seed: u64,
        tolerance: f64,
        mut look: impl FnMut(&mut Network, &[FlowId], SimTime, &[FlowId]),
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut network = Network::default();
        network.set_tolerance(tolerance);
        let (up, down) = (network.add_link(1e6), network.add_link(1e6));
        let mut flows = Vec::new();
        for _ in 0..400 {
            let cards = [network.add_link(1e5), network.add_link(1e5)];
            flows.push(network.add_flow(&[cards[0], up, down, cards[1]]));
        }
        let mut changed = Vec::new();
        for step in 0..4000_u64 {
            let now = SimTime::from_millis(step * 7);
            for _ in 0..rng.random_range(1..3) {
                let flow = flows[rng.random_range(0..flows.len())];
                let busy = network.flows[flow.0].cap.is_some();
                network.set_demand(flow, (!busy || step < 200).then_some(f64::INFINITY));
            }
            changed.clear();
            network.settle(now, &mut changed);
            look(&mut network, &flows, now, &changed);
        }
    }

    #[test]
    fn a_crowd_gets_what_its_link_carries_and_each_of_it_nearly_its_share() {
        let mut exact: Vec<Vec<f64>> = Vec::new();
        come_and_go(7, 0.0, |network, flows, _, _| {
            exact.push(flows.iter().map(|flow| network.rate(*flow)).collect());
        });
        let (mut step, mut in_crowds) = (0, 0);
        come_and_go(7, 0.001, |network, flows, _, _| {
            let load: f64 = flows.iter().map(|flow| network.rate(*flow)).sum();
            let expected: f64 = exact[step].iter().sum();
            assert!(
                (load - expected).abs() <= 1e-3 * expected,
                "step {step}: {load}, not {expected}"
            );
            for (flow, exact) in flows.iter().zip(&exact[step]) {
                let rate = network.rate(*flow);
                assert!((rate - exact).abs() <= 0.0101 * exact, "step {step}: {rate}, not {exact}");
            }
            in_crowds += usize::from(flows.iter().any(|flow| network.is_in_crowd(*flow)));
            step += 1;
        });
        assert!(in_crowds > 3000, "{in_crowds}");
    }

    /// What flows believe that they got is what their link has carried, however seldom they are
    /// told.
    #[test]
    fn what_a_crowd_was_served_is_what_its_link_carried() {
        let got = |tolerance: f64| {
            let mut bytes = vec![0.0; 400];
            let mut all = Vec::new();
            come_and_go(7, tolerance, |network, flows, now, changed| {
                let since = |flow: &FlowId| {
                    network.average(*flow, now)
                        * now.since(network.flows[flow.0].told.at).as_secs_f64()
                };
                all = flows.iter().zip(&bytes).map(|(flow, bytes)| bytes + since(flow)).collect();
                for flow in changed {
                    let index = flows.iter().position(|other| other == flow).unwrap();
                    let since = network.flows[flow.0].told.at;
                    bytes[index] += network.average(*flow, now) * now.since(since).as_secs_f64();
                    network.tell(*flow, now);
                }
            });
            all
        };
        let (exact, nearly) = (got(0.0), got(0.001));
        let sum = |all: &[f64]| all.iter().sum::<f64>();
        assert!(
            (sum(&nearly) / sum(&exact) - 1.0).abs() < 1e-3,
            "{} and {}",
            sum(&nearly),
            sum(&exact)
        );
        for (index, (nearly, exact)) in nearly.iter().zip(&exact).enumerate() {
            assert!((nearly / exact - 1.0).abs() < 0.0101, "{index}: {nearly} and {exact}");
        }
    }
}
