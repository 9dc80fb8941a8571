//! The event queue: what happens next, at whole nanoseconds, equal times in the order in which they
//! were scheduled.
//!
//! A binary heap whose entries know their place, so that an event can be cancelled or moved at the
//! cost of one sift. That is what a shared link needs: each change of a share moves the next event
//! of every migration that it touches.

use migsim_models::units::SimTime;

/// Names a scheduled event until it fires or is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventId {
    slot: u32,
    generation: u32,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    time: SimTime,
    sequence: u64,
    slot: u32,
}

#[derive(Debug)]
struct Slot<E> {
    event: Option<E>,
    generation: u32,
    position: u32,
}

/// Events by time; of equal times, the one scheduled first comes first. This order is guaranteed.
#[derive(Debug)]
pub struct EventQueue<E> {
    heap: Vec<Entry>,
    slots: Vec<Slot<E>>,
    free: Vec<u32>,
    sequence: u64,
}

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        EventQueue {
            heap: Vec::with_capacity(1),
            slots: Vec::with_capacity(1),
            free: Vec::with_capacity(1),
            sequence: 0,
        }
    }
}

impl<E> EventQueue<E> {
    /// How many events wait.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Schedules an event.
    pub fn schedule(&mut self, time: SimTime, event: E) -> EventId {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize].event = Some(event);
                slot
            }
            None => {
                self.slots.push(Slot { event: Some(event), generation: 0, position: 0 });
                (self.slots.len() - 1) as u32
            }
        };
        let position = self.heap.len();
        let sequence = self.next_sequence();
        self.heap.push(Entry { time, sequence, slot });
        self.slots[slot as usize].position = position as u32;
        self.sift_up(position);
        EventId { slot, generation: self.slots[slot as usize].generation }
    }

    /// Takes the next event out.
    pub fn pop(&mut self) -> Option<(SimTime, E)> {
        let first = *self.heap.first()?;
        let event = self.remove_at(0);
        Some((first.time, event))
    }

    /// When the next event happens.
    pub fn next_time(&self) -> Option<SimTime> {
        self.heap.first().map(|entry| entry.time)
    }

    /// Takes an event back. `None` if it has fired or was cancelled before.
    pub fn cancel(&mut self, id: EventId) -> Option<E> {
        let position = self.position(id)?;
        Some(self.remove_at(position))
    }

    /// Moves an event to another time, as if it had been cancelled and scheduled anew. `false` if
    /// it is gone.
    pub fn reschedule(&mut self, id: EventId, time: SimTime) -> bool {
        let Some(position) = self.position(id) else {
            return false;
        };
        let sequence = self.next_sequence();
        let entry = &mut self.heap[position];
        entry.time = time;
        entry.sequence = sequence;
        let position = self.sift_up(position);
        self.sift_down(position);
        true
    }

    fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    fn position(&self, id: EventId) -> Option<usize> {
        let slot = self.slots.get(id.slot as usize)?;
        (slot.generation == id.generation && slot.event.is_some()).then_some(slot.position as usize)
    }

    fn remove_at(&mut self, position: usize) -> E {
        let entry = self.heap.swap_remove(position);
        if position < self.heap.len() {
            self.slots[self.heap[position].slot as usize].position = position as u32;
            let position = self.sift_up(position);
            self.sift_down(position);
        }
        let slot = &mut self.slots[entry.slot as usize];
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(entry.slot);
        match slot.event.take() {
            Some(event) => event,
            None => unreachable!("an entry of the heap has its event in its slot"),
        }
    }

    fn before(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.heap[a], &self.heap[b]);
        (a.time, a.sequence) < (b.time, b.sequence)
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.slots[self.heap[a].slot as usize].position = a as u32;
        self.slots[self.heap[b].slot as usize].position = b as u32;
    }

    fn sift_up(&mut self, mut at: usize) -> usize {
        while at > 0 {
            let parent = (at - 1) / 2;
            if !self.before(at, parent) {
                break;
            }
            self.swap(at, parent);
            at = parent;
        }
        at
    }

    fn sift_down(&mut self, mut at: usize) {
        loop {
            let mut child = 2 * at + 1;
            if child >= self.heap.len() {
                return;
            }
            if child + 1 < self.heap.len() && self.before(child + 1, child) {
                child += 1;
            }
            if !self.before(child, at) {
                return;
            }
            self.swap(at, child);
            at = child;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_times_come_in_the_order_of_scheduling() {
        let mut queue = EventQueue::default();
        let late = queue.schedule(SimTime(9), 'x');
        for event in ['a', 'b', 'c'] {
            queue.schedule(SimTime(5), event);
        }
        assert!(queue.reschedule(late, SimTime(5)));
        let order: String = std::iter::from_fn(|| queue.pop().map(|e| e.1)).collect();
        assert_eq!(order, "abcx");
        assert!(!queue.reschedule(late, SimTime(1)), "it has fired");
    }

    #[derive(Debug, Clone)]
    enum Operation {
        Schedule(u64),
        Pop,
        Cancel(usize),
        Reschedule(usize, u64),
    }

    fn operation() -> impl Strategy<Value = Operation> {
        prop_oneof![
            (0..50_u64).prop_map(Operation::Schedule),
            Just(Operation::Pop),
            (0..100_usize).prop_map(Operation::Cancel),
            (0..100_usize, 0..50_u64).prop_map(|(i, t)| Operation::Reschedule(i, t)),
        ]
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_sorted_list(operations in prop::collection::vec(operation(), 0..200)) {
            let mut queue = EventQueue::default();
            let mut naive: Vec<(u64, u64, usize)> = Vec::new();
            let mut ids = Vec::new();
            for (step, operation) in operations.into_iter().enumerate() {
                let step = step as u64;
                match operation {
                    Operation::Schedule(time) => {
                        naive.push((time, step, ids.len()));
                        ids.push(queue.schedule(SimTime(time), ids.len()));
                    }
                    Operation::Pop => {
                        naive.sort_unstable();
                        let expected = (!naive.is_empty()).then(|| naive.remove(0));
                        prop_assert_eq!(queue.pop(), expected.map(|(t, _, e)| (SimTime(t), e)));
                    }
                    Operation::Cancel(i) if i < ids.len() => {
                        let at = naive.iter().position(|n| n.2 == i);
                        prop_assert_eq!(queue.cancel(ids[i]), at.map(|at| naive.remove(at).2));
                    }
                    Operation::Reschedule(i, time) if i < ids.len() => {
                        let at = naive.iter().position(|n| n.2 == i);
                        prop_assert_eq!(queue.reschedule(ids[i], SimTime(time)), at.is_some());
                        if let Some(at) = at {
                            naive[at] = (time, step, i);
                        }
                    }
                    _ => {}
                }
                prop_assert_eq!(queue.len(), naive.len());
                prop_assert_eq!(queue.next_time(), naive.iter().min().map(|n| SimTime(n.0)));
            }
        }
    }
}
