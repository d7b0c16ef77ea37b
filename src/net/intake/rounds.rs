//! Turns in rounds: of each group one, then of each the next, however many one group has waiting.
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

pub struct Rounds<K, T> {
    waiting: HashMap<K, VecDeque<T>>,
    /// Each group that has somebody waiting, once.
    order: VecDeque<K>,
}

impl<K, T> Default for Rounds<K, T> {
    fn default() -> Rounds<K, T> {
        Rounds {
            waiting: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<K: Copy + Eq + Hash, T> Rounds<K, T> {
    pub fn push(&mut self, group: K, one: T) {
        let waiting = self.waiting.entry(group).or_insert_with(|| {
            self.order.push_back(group);
            VecDeque::new()
        });
        waiting.push_back(one);
    }

    pub fn pop(&mut self) -> Option<T> {
        let group = self.order.pop_front()?;
        let waiting = self.waiting.get_mut(&group)?;
        let one = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(&group);
        } else {
            self.order.push_back(group);
        }
        if self.order.is_empty() {
            // A crowd is over.
            *self = Rounds::default();
        }
        one
    }

    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_of_one_group_does_not_hold_up_another() {
        let mut rounds = Rounds::default();
        (0..1000).for_each(|n| rounds.push("crowd", n));
        assert_eq!(rounds.pop(), Some(0));
        rounds.push("late", -1);
        rounds.push("late", -2);
        let next: Vec<_> = (0..5).filter_map(|_| rounds.pop()).collect();
        assert_eq!(next, [1, -1, 2, -2, 3]);
        assert_eq!(std::iter::from_fn(|| rounds.pop()).count(), 996);
        assert!(rounds.is_empty());
    }
}
