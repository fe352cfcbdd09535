//! What a pickle remembers of its objects, to name them again.

use std::collections::HashMap;

use super::Id;

/// Objects by the number under which the stream remembers them. Picklers count from zero, so that a list does;
/// other numbers are as good, but slower.
#[derive(Default)]
pub struct Memo {
    counted: Vec<Id>,
    others: HashMap<u32, Id>,
}

impl Memo {
    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.counted.len() + self.others.len()
    }

    /// The object of that number.
    pub fn get(&self, key: u32) -> Option<Id> {
        self.counted.get(key as usize).or_else(|| self.others.get(&key)).copied()
    }

    /// Remembers an object, in place of an older one of that number.
    pub fn insert(&mut self, key: u32, id: Id) {
        let count = self.counted.len();
        match self.counted.get_mut(key as usize) {
            Some(known) => *known = id,
            None if key as usize == count => {
                self.counted.push(id);
                if !self.others.is_empty() {
                    self.others.remove(&key);
                }
            }
            None => {
                self.others.insert(key, id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any order of numbers gives what a map gives.
    #[test]
    fn whatever_the_order_the_last_one_of_a_number_counts() {
        let (mut memo, mut map) = (Memo::default(), HashMap::new());
        for (id, key) in [0, 1, 5, 2, 3, 3, 5, 4, 5, u32::MAX, 6, 0, 8, 7, 8, 9].into_iter().enumerate() {
            memo.insert(key, id as Id);
            map.insert(key, id as Id);
            assert_eq!(memo.len(), map.len());
            for key in (0..12).chain([u32::MAX]) {
                assert_eq!(memo.get(key), map.get(&key).copied(), "{key}");
            }
        }
    }
}
