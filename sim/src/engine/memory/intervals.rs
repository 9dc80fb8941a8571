//! Sets of addresses as disjoint intervals: what a sweeping writer dirties is a few of them,
//! exactly.

/// Half-open intervals, disjoint and in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Intervals(Vec<(f64, f64)>);

impl Intervals {
    pub(super) fn all(end: f64) -> Intervals {
        Intervals(vec![(0.0, end)])
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The length of what lies within `from..to`.
    pub(super) fn measure_within(&self, from: f64, to: f64) -> f64 {
        self.within(from, to).map(|(a, b)| b - a).sum()
    }

    fn within(&self, from: f64, to: f64) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.0.iter().map(move |(a, b)| (a.max(from), b.min(to))).filter(|(a, b)| a < b)
    }

    /// The first address within `from..to`.
    pub(super) fn first_within(&self, from: f64, to: f64) -> Option<f64> {
        self.within(from, to).next().map(|(a, _)| a)
    }

    pub(super) fn insert(&mut self, from: f64, to: f64) {
        if from >= to {
            return;
        }
        let first = self.0.partition_point(|(_, b)| *b < from);
        let last = self.0.partition_point(|(a, _)| *a <= to);
        let merged =
            self.0[first..last].iter().fold((from, to), |(a, b), (c, d)| (a.min(*c), b.max(*d)));
        self.0.splice(first..last, [merged]);
    }

    pub(super) fn remove(&mut self, from: f64, to: f64) {
        if from >= to {
            return;
        }
        let first = self.0.partition_point(|(_, b)| *b <= from);
        let last = self.0.partition_point(|(a, _)| *a < to);
        if first >= last {
            return;
        }
        let (a, b) = (self.0[first].0, self.0[last - 1].1);
        let rest = [(a, from), (to, b)].into_iter().filter(|(a, b)| a < b);
        self.0.splice(first..last, rest);
    }

    pub(super) fn insert_all(&mut self, other: &Intervals) {
        for (a, b) in &other.0 {
            self.insert(*a, *b);
        }
    }

    /// Removes what `other` holds within `from..to`.
    pub(super) fn remove_all_within(&mut self, other: &Intervals, from: f64, to: f64) {
        for (a, b) in other.within(from, to) {
            self.remove(a, b);
        }
    }

    /// Removes the first `length` of what lies within `from..to`; returns the address behind it.
    pub(super) fn take_first(&mut self, from: f64, to: f64, length: f64) -> f64 {
        let mut left = length;
        let mut end = from;
        for (a, b) in self.within(from, to) {
            if b - a >= left {
                end = a + left;
                break;
            }
            left -= b - a;
            end = b;
        }
        self.remove(from, end);
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_part_is_taken_across_gaps() {
        let mut set = Intervals(vec![(0.0, 2.0), (5.0, 9.0)]);
        assert_eq!(set.take_first(1.0, 10.0, 3.0), 7.0);
        assert_eq!(set, Intervals(vec![(0.0, 1.0), (7.0, 9.0)]));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_set_of_cells(operations in prop::collection::vec((any::<bool>(), 0..40_usize, 0..40_usize), 0..40)) {
            let mut set = Intervals::default();
            let mut cells = [false; 40];
            for (insert, a, b) in operations {
                let (a, b) = (a.min(b), a.max(b));
                if insert { set.insert(a as f64, b as f64) } else { set.remove(a as f64, b as f64) }
                cells[a..b].fill(insert);
                prop_assert_eq!(set.measure_within(0.0, 40.0), cells.iter().filter(|c| **c).count() as f64);
                prop_assert_eq!(set.measure_within(7.0, 23.0), cells[7..23].iter().filter(|c| **c).count() as f64);
                prop_assert!(set.0.windows(2).all(|w| w[0].1 < w[1].0));
            }
        }
    }
}
