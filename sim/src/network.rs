//! Links and the flows that share them: max-min fair, with a cap for each flow.
//!
//! Rates are bytes per second on the wire. A flow gets as much as the fullest link on its path leaves it; what one flow cannot
//! use, because its cap or another link holds it back, the others share.

/// Names a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub usize);

/// Names a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId(pub usize);

#[derive(Debug, Clone)]
struct Link {
    capacity: f64,
    flows: Vec<FlowId>,
}

#[derive(Debug, Clone)]
struct Flow {
    path: Vec<LinkId>,
    /// `None`: the flow asks for nothing now.
    cap: Option<f64>,
    rate: f64,
}

/// Links, flows and their rates.
#[derive(Debug, Clone, Default)]
pub struct Network {
    links: Vec<Link>,
    flows: Vec<Flow>,
}

impl Network {
    /// A link of that capacity.
    pub fn add_link(&mut self, capacity: f64) -> LinkId {
        self.links.push(Link { capacity, flows: Vec::new() });
        LinkId(self.links.len() - 1)
    }

    /// A flow over a path of links, at least one. It asks for nothing until [`Network::set_demand`].
    pub fn add_flow(&mut self, path: Vec<LinkId>) -> FlowId {
        self.flows.push(Flow { path, cap: None, rate: 0.0 });
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
        self.links[link.0].flows.iter().map(|f| self.rate(*f)).sum()
    }

    /// Sets what a flow can use, `None` for nothing. Adds the flows whose rate changed to `changed`.
    pub fn set_demand(&mut self, flow: FlowId, cap: Option<f64>, changed: &mut Vec<FlowId>) {
        let old = self.flows[flow.0].cap;
        if old == cap {
            return;
        }
        self.flows[flow.0].cap = cap;
        for i in 0..self.flows[flow.0].path.len() {
            let link = self.flows[flow.0].path[i];
            let flows = &mut self.links[link.0].flows;
            match (old.is_some(), cap.is_some()) {
                (false, true) => flows.push(flow),
                (true, false) => flows.retain(|f| *f != flow),
                _ => {}
            }
        }
        if cap.is_none() && self.flows[flow.0].rate != 0.0 {
            self.flows[flow.0].rate = 0.0;
            changed.push(flow);
        }
        if let [link] = self.flows[flow.0].path[..] {
            self.share_from(&[link], changed);
        } else {
            let path = self.flows[flow.0].path.clone();
            self.share_from(&path, changed);
        }
    }

    /// Changes the capacity of a link. Adds the flows whose rate changed to `changed`.
    pub fn set_capacity(&mut self, link: LinkId, capacity: f64, changed: &mut Vec<FlowId>) {
        self.links[link.0].capacity = capacity;
        self.share_from(&[link], changed);
    }

    /// Shares anew every link that is joined to `from` by flows.
    fn share_from(&mut self, from: &[LinkId], changed: &mut Vec<FlowId>) {
        if let [link] = from {
            match self.links[link.0].flows[..] {
                [] => return,
                // Alone on its only link: the everyday case of a single migration.
                [flow] if self.flows[flow.0].path.len() == 1 => {
                    let rate = self.flows[flow.0].cap.unwrap_or(0.0).min(self.links[link.0].capacity);
                    return self.set_rate(flow, rate, changed);
                }
                _ => {}
            }
        }
        let (links, flows) = self.component(from);
        self.fill(&links, &flows, changed);
    }

    fn set_rate(&mut self, flow: FlowId, rate: f64, changed: &mut Vec<FlowId>) {
        let current = &mut self.flows[flow.0].rate;
        if *current != rate {
            *current = rate;
            changed.push(flow);
        }
    }

    /// The links and flows that `from` can influence, each in the order of their ids.
    fn component(&self, from: &[LinkId]) -> (Vec<LinkId>, Vec<FlowId>) {
        let mut links: Vec<LinkId> = from.to_vec();
        let mut flows: Vec<FlowId> = Vec::new();
        let mut seen_links = vec![false; self.links.len()];
        let mut seen_flows = vec![false; self.flows.len()];
        for link in &links {
            seen_links[link.0] = true;
        }
        let mut at = 0;
        while at < links.len() {
            for flow in &self.links[links[at].0].flows {
                if std::mem::replace(&mut seen_flows[flow.0], true) {
                    continue;
                }
                flows.push(*flow);
                for link in &self.flows[flow.0].path {
                    if !std::mem::replace(&mut seen_links[link.0], true) {
                        links.push(*link);
                    }
                }
            }
            at += 1;
        }
        links.sort_unstable();
        flows.sort_unstable();
        (links, flows)
    }

    /// Progressive filling (Bertsekas and Gallager, Data Networks, 6.5.2): all rates rise together; a flow is fixed when it meets its cap
    /// or a link on its path is full.
    fn fill(&mut self, links: &[LinkId], flows: &[FlowId], changed: &mut Vec<FlowId>) {
        let mut left: Vec<(LinkId, f64, usize)> =
            links.iter().map(|link| (*link, self.links[link.0].capacity, self.links[link.0].flows.len())).collect();
        let mut open: Vec<FlowId> = flows.to_vec();
        while !open.is_empty() {
            let by_link = left
                .iter()
                .filter(|(_, _, count)| *count > 0)
                .map(|(_, capacity, count)| (capacity / *count as f64).max(0.0))
                .fold(f64::INFINITY, f64::min);
            let by_cap = open.iter().filter_map(|flow| self.flows[flow.0].cap).fold(f64::INFINITY, f64::min);
            let level = by_link.min(by_cap);
            let full: Vec<LinkId> = left
                .iter()
                .filter(|(_, capacity, count)| *count > 0 && (capacity / *count as f64).max(0.0) <= level)
                .map(|(link, ..)| *link)
                .collect();
            let mut still_open = Vec::with_capacity(open.len());
            for flow in open {
                let fixed = self.flows[flow.0].cap.is_none_or(|cap| cap <= level)
                    || self.flows[flow.0].path.iter().any(|link| full.contains(link));
                if !fixed {
                    still_open.push(flow);
                    continue;
                }
                for link in &self.flows[flow.0].path {
                    if let Ok(at) = left.binary_search_by_key(link, |l| l.0) {
                        left[at].1 -= level;
                        left[at].2 -= 1;
                    }
                }
                self.set_rate(flow, level, changed);
            }
            open = still_open;
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
        let (a, b) = (network.add_flow(vec![link]), network.add_flow(vec![link]));
        let mut changed = Vec::new();
        network.set_demand(a, Some(f64::INFINITY), &mut changed);
        assert_eq!((network.rate(a), &changed[..]), (100.0, &[a][..]));
        for (flow, demand, rates) in [(b, Some(f64::INFINITY), (50.0, 50.0)), (b, Some(20.0), (80.0, 20.0))] {
            changed.clear();
            network.set_demand(flow, demand, &mut changed);
            assert_eq!((network.rate(a), network.rate(b)), rates);
            changed.sort_unstable();
            assert_eq!(changed, [a, b]);
        }
        network.set_capacity(link, 30.0, &mut changed);
        assert_eq!((network.rate(a), network.rate(b)), (15.0, 15.0));
        network.set_demand(a, None, &mut changed);
        assert_eq!((network.rate(a), network.rate(b)), (0.0, 20.0));
    }

    #[test]
    fn links_that_no_flow_joins_are_left_alone() {
        let mut network = Network::default();
        let links = [network.add_link(10.0), network.add_link(10.0)];
        let flows = links.map(|link| network.add_flow(vec![link]));
        let mut changed = Vec::new();
        for flow in flows {
            network.set_demand(flow, Some(f64::INFINITY), &mut changed);
        }
        changed.clear();
        network.set_capacity(links[0], 5.0, &mut changed);
        assert_eq!(changed, [flows[0]]);
    }

    proptest! {
        #[test]
        fn shares_are_max_min_fair(
            capacities in prop::collection::vec(0.0..1000.0f64, 1..5),
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
                let id = network.add_flow(path);
                network.set_demand(id, Some(cap.unwrap_or(f64::INFINITY)), &mut Vec::new());
                ids.push(id);
            }
            for link in &links {
                prop_assert!(network.load(*link) <= network.capacity(*link) * (1.0 + 1e-9) + 1e-9);
            }
            // Each flow is at its cap, or crosses a full link on which no flow has more.
            for (id, (_, cap)) in ids.iter().zip(&flows) {
                let rate = network.rate(*id);
                let capped = cap.is_some_and(|cap| rate >= cap * (1.0 - 1e-9));
                let bottleneck = network.flows[id.0].path.iter().any(|link| {
                    let full = network.load(*link) >= network.capacity(*link) * (1.0 - 1e-9) - 1e-9;
                    full && network.links[link.0].flows.iter().all(|f| network.rate(*f) <= rate * (1.0 + 1e-9) + 1e-9)
                });
                prop_assert!(capped || bottleneck, "flow {id:?} at {rate}");
            }
        }
    }
}
