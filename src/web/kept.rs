//! Answers that cost a walk through the store, kept until they are pushed out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The last `MOST` values by key. What two requests want at once is made once: the second one waits.
#[derive(Debug)]
pub struct Kept<K, V, const MOST: usize> {
    slots: Mutex<VecDeque<(K, Slot<V>)>>,
}

type Slot<V> = Arc<Mutex<Option<V>>>;

impl<K, V, const MOST: usize> Default for Kept<K, V, MOST> {
    fn default() -> Self {
        Self { slots: Mutex::default() }
    }
}

/// A value whose making panicked was never put in, so the lock may be taken again.
fn hold<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: PartialEq, V: Clone, const MOST: usize> Kept<K, V, MOST> {
    /// The value of the key, made where it is not there. What could not be made is tried anew next time.
    pub fn get<E>(&self, key: K, make: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        let slot = self.slot(key);
        let mut held = hold(&slot);
        if let Some(value) = &*held {
            return Ok(value.clone());
        }
        let value = make()?;
        *held = Some(value.clone());
        Ok(value)
    }

    /// Takes out what is not worth its room.
    pub fn forget(&self, unwanted: impl Fn(&K) -> bool) {
        hold(&self.slots).retain(|(key, _)| !unwanted(key));
    }

    /// The key's slot, from now on the last to be pushed out.
    fn slot(&self, key: K) -> Slot<V> {
        let mut slots = hold(&self.slots);
        let known = slots.iter().position(|(other, _)| *other == key).and_then(|at| slots.remove(at));
        let entry = known.unwrap_or_else(|| (key, Slot::default()));
        while slots.len() >= MOST {
            slots.pop_front();
        }
        let slot = entry.1.clone();
        slots.push_back(entry);
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_made_once_and_the_oldest_goes_first() {
        let kept = Kept::<u32, u32, 2>::default();
        let mut made = Vec::new();
        for key in [1, 2, 1, 3, 1, 2] {
            let value = kept.get(key, || {
                made.push(key);
                Ok::<_, ()>(key * 10)
            });
            assert_eq!(value, Ok(key * 10));
        }
        assert_eq!(made, [1, 2, 3, 2]);
    }

    #[test]
    fn what_failed_is_tried_again() {
        let kept = Kept::<u32, u32, 2>::default();
        assert_eq!(kept.get(1, || Err("not now")), Err("not now"));
        assert_eq!(kept.get(1, || Ok::<_, &str>(5)), Ok(5));
    }
}
