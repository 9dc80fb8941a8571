//! Links and the flows that share them: max-min fair, with a cap for each flow.
//!
//! Rates are bytes per second on the wire. A flow gets as much as the fullest link on its path leaves it; what one flow cannot
//! use, because its cap or another link holds it back, the others share. Changes of one moment take effect together.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::mem::replace;

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
}

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
}

/// What a link could give each of its open flows when it was last looked at; by then it can only have become more.
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
        }
    }
}

impl Network {
    /// A link of that capacity.
    pub fn add_link(&mut self, capacity: f64) -> LinkId {
        self.links.push(Link { capacity, flows: Vec::with_capacity(1), seen: 0, left: 0.0, open: 0 });
        LinkId(self.links.len() - 1)
    }

    /// A flow over a path of different links, at least one. It asks for nothing until [`Network::set_demand`].
    pub fn add_flow(&mut self, path: &[LinkId]) -> FlowId {
        let path = path.iter().map(|link| (*link, 0)).collect();
        self.flows.push(Flow { path, cap: None, rate: 0.0, seen: 0, share: None });
        FlowId(self.flows.len() - 1)
    }

    /// What a flow gets now.
    pub fn rate(&self, flow: FlowId) -> f64 {
        self.flows[flow.0].rate
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
    }

    /// Changes the capacity of a link. It takes effect at [`Network::settle`].
    pub fn set_capacity(&mut self, link: LinkId, capacity: f64) {
        self.links[link.0].capacity = capacity;
        self.touched.push(link);
    }

    /// Shares anew every link that flows join to one on which something has changed. Adds the flows whose rate is another now
    /// to `changed`.
    pub fn settle(&mut self, changed: &mut Vec<FlowId>) {
        while let Some(flow) = self.stopped.pop() {
            if self.flows[flow.0].cap.is_none() {
                self.set_rate(flow, 0.0, changed);
            }
        }
        if let [link] = self.touched[..] {
            match self.links[link.0].flows[..] {
                [] => self.touched.clear(),
                // Alone on its only link: the everyday case of a single migration.
                [(flow, _)] if self.flows[flow.0].path.len() == 1 => {
                    self.touched.clear();
                    let rate = self.flows[flow.0].cap.unwrap_or(0.0).min(self.links[link.0].capacity);
                    self.set_rate(flow, rate, changed);
                }
                _ => {}
            }
        }
        if self.touched.is_empty() {
            return;
        }
        self.join();
        self.fill();
        for index in 0..self.joined_flows.len() {
            let flow = self.joined_flows[index];
            let rate = self.flows[flow.0].share.unwrap_or(0.0);
            self.set_rate(flow, rate, changed);
        }
    }

    fn set_rate(&mut self, flow: FlowId, rate: f64, changed: &mut Vec<FlowId>) {
        if replace(&mut self.flows[flow.0].rate, rate) != rate {
            changed.push(flow);
        }
    }

    /// Finds the links and flows that the touched links can influence, each in the order of their numbers.
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

    /// Progressive filling (Bertsekas and Gallager, Data Networks, 6.5.2): all rates rise together; a flow is fixed when it meets its cap
    /// or a link on its path is full. The next link to be full is found in a heap, the next cap in a sorted list: n log n in flows and links.
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
        state.share = Some(share);
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

    #[test]
    fn two_flows_share_a_link_and_a_capped_one_leaves_the_rest() {
        let mut network = Network::default();
        let link = network.add_link(100.0);
        let (a, b) = (network.add_flow(&[link]), network.add_flow(&[link]));
        let mut changed = Vec::new();
        network.set_demand(a, Some(f64::INFINITY));
        network.settle(&mut changed);
        assert_eq!((network.rate(a), &changed[..]), (100.0, &[a][..]));
        for (flow, demand, rates) in [(b, Some(f64::INFINITY), (50.0, 50.0)), (b, Some(20.0), (80.0, 20.0))] {
            changed.clear();
            network.set_demand(flow, demand);
            network.settle(&mut changed);
            assert_eq!((network.rate(a), network.rate(b)), rates);
            changed.sort_unstable();
            assert_eq!(changed, [a, b]);
        }
        network.set_capacity(link, 30.0);
        network.settle(&mut changed);
        assert_eq!((network.rate(a), network.rate(b)), (15.0, 15.0));
        network.set_demand(a, None);
        network.settle(&mut changed);
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
        network.settle(&mut changed);
        changed.clear();
        network.set_capacity(links[0], 5.0);
        network.settle(&mut changed);
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
                    network.settle(&mut Vec::new());
                }
            }
            network.settle(&mut Vec::new());
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
}
