//! Taking turns with a training job that fills the processors.
//!
//! The threads of such a job wait for each other several thousand times a second. Whenever one of them has to wait for
//! a processor, all do; so what a weighing costs the job is not the processor time that it takes, but how long it runs
//! on *any* of the processors. Left alone, the scheduler gives each thread of a weighing slices of its own, and the job
//! loses about all of their sum; a lower priority makes the slices rarer, not fewer. Here all threads of a weighing run
//! in the same slices, told by one clock, and sleep in between: what two take at the same time costs the job once
//! (`benches/neighbour` measures it, docs/operating.md has the figures). A thread that comes from sleep has a claim to
//! the processor, so its slice begins at once; for that it must have the job's own priority.
//!
//! Where nobody else wants the processors there is nothing to take turns with, and nobody sleeps. Tiers 2 and 3 have
//! pieces of work that are longer than any slice, and time: they step back by priority instead.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::affinity;
use crate::measure::Progress;

/// Turns begin [`LEAD`] before the multiples of this.
const PERIOD: Duration = Duration::from_millis(8);
/// Linux looks at its queues at multiples of 4 ms (of 1 or 10, as it was built) of the clock that is read here. Who
/// comes from sleep right after such a tick may find that somebody was given the next slice already, and wait for all
/// of it; who comes right before has the processor by the tick.
const LEAD: Duration = Duration::from_micros(250);
/// How long a turn is: half a period, as somebody else's turn is. Longer than the scheduler's own slices (about 3 ms).
const TURN: Duration = Duration::from_millis(4);
/// Who had to wait for a processor for so long, out of a period, is not alone. A wake-up alone takes some 50 us.
const CROWDED: Duration = Duration::from_micros(400);
/// How long that holds: a job that was there will be there.
const REMEMBERED: Duration = Duration::from_secs(2);
/// Added to the niceness of a thread that weighs at leisure.
const LEISURE_NICENESS: i32 = 10;

/// The clock that the threads of all weighings share.
pub struct Turns {
    /// Until when turns are taken, in microseconds of the clock.
    crowded_until: AtomicU64,
}

thread_local! {
    /// The period in which this thread looked last, and how long it had waited for processors by then.
    static LAST: Cell<Option<(u64, u64)>> = const { Cell::new(None) };
}

impl Turns {
    /// Nobody is in the way yet.
    pub fn new() -> Self {
        Self { crowded_until: AtomicU64::new(0) }
    }

    /// How long this thread has to wait for its turn at `now`, `waited` nanoseconds having gone by in the queues of
    /// processors so far; none where no turns are taken.
    fn wait(&self, now: Duration, waited: impl FnOnce() -> Option<u64>) -> Option<Duration> {
        let micros = |duration: Duration| duration.as_micros() as u64;
        let (period, within) = (micros(now + LEAD) / micros(PERIOD), micros(now + LEAD) % micros(PERIOD));
        let last = LAST.get();
        if last.is_none_or(|(looked, _)| looked != period)
            && let Some(waited) = waited()
        {
            LAST.set(Some((period, waited)));
            if last.is_some_and(|(_, before)| waited.saturating_sub(before) > CROWDED.as_nanos() as u64) {
                self.crowded_until.fetch_max(micros(now + REMEMBERED), Ordering::Relaxed);
            }
        }
        if micros(now) >= self.crowded_until.load(Ordering::Relaxed) {
            return None;
        }
        let rest = if within < micros(TURN) { 0 } else { micros(PERIOD) - within };
        Some(Duration::from_micros(rest))
    }
}

impl Progress for Turns {
    fn bytes(&self, _read: u64) {}

    fn piece(&self) {
        let Some(wait) = self.wait(now(), waited_nanoseconds) else { return affinity::leave() };
        affinity::take();
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
    }

    fn leisure(&self) {
        affinity::leave();
        // Where it is refused the work is done at the daemon's own priority.
        let _ = rustix::process::nice(LEISURE_NICENESS);
    }
}

/// The time of the clock by which Linux ticks.
fn now() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// How long this thread was ready to run and had no processor, since it began; none where the system does not say.
fn waited_nanoseconds() -> Option<u64> {
    // Time on a processor, time in the queue, slices (Documentation/scheduler/sched-stats.rst).
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn who_is_alone_never_waits() {
        let turns = Turns::new();
        for now in 0..100 {
            assert_eq!(turns.wait(at(now), || Some(1000 * now)), None);
        }
    }

    #[test]
    fn in_a_crowd_all_work_in_the_same_turns() {
        let turns = Turns::new();
        assert_eq!(turns.wait(at(5), || Some(0)), None);
        // A millisecond in the queue: from now on turns are taken, by other threads too.
        assert_eq!(turns.wait(at(14), || Some(1_000_000)), Some(at(2) - LEAD));
        std::thread::scope(|scope| {
            let other = scope.spawn(|| [17, 19, 20, 23, 24].map(|now| turns.wait(at(now), || Some(0))));
            let waits = [at(0), at(0), at(4) - LEAD, at(1) - LEAD, at(0)];
            assert_eq!(other.join().unwrap(), waits.map(Some));
        });
        // Nobody was in the way for two seconds.
        assert_eq!(turns.wait(at(2014), || Some(1_000_000)), None);
    }

    #[test]
    fn a_system_that_says_nothing_lets_everybody_work() {
        let turns = Turns::new();
        assert_eq!([5, 14, 23].map(|now| turns.wait(at(now), || None)), [None; 3]);
    }

    #[test]
    fn linux_tells_how_long_a_thread_waited() {
        assert!(!cfg!(target_os = "linux") || waited_nanoseconds().is_some());
    }

    #[test]
    fn the_clock_goes_on() {
        let before = now();
        std::thread::sleep(at(2));
        assert!(now() >= before + at(2));
    }
}
