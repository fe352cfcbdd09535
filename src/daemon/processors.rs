//! A processor for each thread of a weighing, while it takes turns.
//!
//! Two threads that wake up on the same processor share a turn that was meant for both; the scheduler moves one away
//! only after some dozens of milliseconds. So each stays on one of the processors that it may use, the next thread on
//! the next one.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Threads that were seated. Begins anywhere, so that two daemons do not meet on the same processors.
static SEATED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The processors that this thread may use, while it is kept on one of them.
    static ALLOWED: Cell<Option<CpuSet>> = const { Cell::new(None) };
}

/// Keeps the calling thread on one of its processors, until it [leaves](leave). Where the system refuses, nothing
/// changes.
pub fn take() {
    if ALLOWED.get().is_some() {
        return;
    }
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let turn = SEATED.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id() as usize);
    let Some(processor) = nth(&allowed, turn) else { return };
    let mut only = CpuSet::new();
    only.set(processor);
    // Set even where it is refused, so that it is not asked for again with every piece.
    ALLOWED.set(Some(allowed));
    let _ = sched_setaffinity(None, &only);
}

/// Lets the calling thread run wherever it could before.
pub fn leave() {
    if let Some(allowed) = ALLOWED.take() {
        let _ = sched_setaffinity(None, &allowed);
    }
}

/// The `turn`-th processor of a set, which is counted round and round; none of an empty one.
fn nth(allowed: &CpuSet, turn: usize) -> Option<usize> {
    let processors = (0..CpuSet::MAX_CPU).filter(|&processor| allowed.is_set(processor));
    processors.clone().nth(turn % processors.count().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_sit_apart_and_get_up_again() {
        let allowed = sched_getaffinity(None).unwrap();
        let seated = || {
            take();
            take();
            let now = sched_getaffinity(None).unwrap();
            leave();
            assert_eq!(sched_getaffinity(None).unwrap(), allowed);
            now
        };
        let [one, other] = std::thread::scope(|scope| {
            let threads = [(); 2].map(|()| scope.spawn(seated));
            threads.map(|thread| thread.join().unwrap())
        });
        assert_eq!((one.count(), other.count()), (1, 1));
    }

    #[test]
    fn processors_are_given_round_and_round() {
        let mut allowed = CpuSet::new();
        assert_eq!(nth(&allowed, 3), None);
        [2, 5, 700].into_iter().for_each(|processor| allowed.set(processor));
        assert_eq!([0, 1, 2, 3, 5].map(|turn| nth(&allowed, turn)), [2, 5, 700, 2, 700].map(Some));
    }
}
