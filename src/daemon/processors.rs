//! What Linux tells of the processors and of who waits for them, and a processor for each thread.
//!
//! Elsewhere nothing is told, and nobody is kept anywhere.

use std::cell::Cell;
use std::fs::read_to_string;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Threads that were given a processor so far.
static SEATED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The processors that this thread may use, while it is kept on one of them.
    static ALLOWED: Cell<Option<CpuSet>> = const { Cell::new(None) };
}

/// The time of the clock by which Linux looks at its queues: at multiples of 4 ms (of 1 or 10, as it was built).
pub fn now() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// How long this thread was ready to run and had no processor, since it began; none where the system does not say.
pub fn waited() -> Option<Duration> {
    // Time on a processor, time in the queue, slices (Documentation/scheduler/sched-stats.rst).
    let text = read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

/// How long the processors that this thread may use have had nothing to do, added up since the system began; none
/// where it does not say.
pub fn idle() -> Option<Duration> {
    let allowed = ALLOWED.get().or_else(|| sched_getaffinity(None).ok())?;
    let ticks = idle_ticks(&read_to_string("/proc/stat").ok()?, &allowed)?;
    Some(Duration::from_millis(ticks * 1000 / clock_ticks_per_second()))
}

fn idle_ticks(stat: &str, allowed: &CpuSet) -> Option<u64> {
    let processors = stat.lines().filter_map(|line| {
        let (number, times) = line.strip_prefix("cpu")?.split_once(' ')?;
        let number = number.parse().ok().filter(|&number| number < CpuSet::MAX_CPU)?;
        allowed.is_set(number).then_some(times)
    });
    // user, nice, system, idle, iowait (proc_stat(5)).
    let ticks = |times: &str| -> Option<u64> {
        times.split(' ').skip(3).take(2).map(|field| field.parse::<u64>().ok()).sum()
    };
    processors.map(ticks).reduce(|sum, more| Some(sum? + more?))?
}

/// Keeps the calling thread on one of its processors, until it is [let go](let_go): two that wake up on the same one
/// are moved apart only after some dozens of milliseconds. Where the system refuses, nothing changes.
pub fn keep() {
    if ALLOWED.get().is_some() {
        return;
    }
    let Ok(allowed) = sched_getaffinity(None) else { return };
    // From another place on in each process, so that two daemons do not meet on the same processors.
    let turn = SEATED.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id() as usize);
    let Some(processor) = nth(&allowed, turn) else { return };
    let mut only = CpuSet::new();
    only.set(processor);
    // Even where it is refused, so that it is not asked for again with every piece.
    ALLOWED.set(Some(allowed));
    let _ = sched_setaffinity(None, &only);
}

/// Lets the calling thread run wherever it could before.
pub fn let_go() {
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
    fn threads_are_kept_and_let_go() {
        let allowed = sched_getaffinity(None).unwrap();
        keep();
        keep();
        assert_eq!(sched_getaffinity(None).unwrap().count(), 1);
        let_go();
        assert_eq!(sched_getaffinity(None).unwrap(), allowed);
    }

    #[test]
    fn processors_are_given_round_and_round() {
        let mut allowed = CpuSet::new();
        assert_eq!(nth(&allowed, 3), None);
        [2, 5, 700].into_iter().for_each(|processor| allowed.set(processor));
        assert_eq!([0, 1, 2, 3, 5].map(|turn| nth(&allowed, turn)), [2, 5, 700, 2, 700].map(Some));
    }

    #[test]
    fn idle_time_is_that_of_the_processors_that_may_be_used() {
        let stat =
            "cpu  9 9 9 99 9 9\ncpu0 1 2 3 40 5 6\ncpu1 1 2 3 400 50 6\ncpu3 1 2 3 4000 500 6\nintr 7\n";
        let mut allowed = CpuSet::new();
        assert_eq!(idle_ticks(stat, &allowed), None);
        [1, 3].into_iter().for_each(|processor| allowed.set(processor));
        assert_eq!(idle_ticks(stat, &allowed), Some(4950));
        assert_eq!(idle_ticks("cpu1 1 2 3 x 5\n", &allowed), None);
    }

    #[test]
    fn linux_tells_what_is_asked() {
        let before = now();
        std::thread::sleep(Duration::from_millis(2));
        assert!(now() >= before + Duration::from_millis(2));
        assert!(!cfg!(target_os = "linux") || (waited().is_some() && idle() > Some(Duration::ZERO)));
    }
}
