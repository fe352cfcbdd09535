//! Sharing the processors with a training job.
//!
//! Where the job leaves processors idle, as many threads of a weighing work as there are idle ones, and the job loses
//! nothing. Where it fills them all there is no such place: its threads wait for each other several thousand times a
//! second. Whenever one of them has to wait for a processor, all do; so what a weighing costs the job is not the
//! processor time that it takes, but how long it runs on *any* of the processors. Left alone, the scheduler gives each
//! thread of a weighing slices of its own, and the job loses about all of their sum; a lower priority makes the slices
//! rarer, not fewer. There all threads of a weighing take turns with the job: they run in the same slices, told by one
//! clock, and sleep in between. What two take at the same time costs the job once (`benches/neighbour` measures it,
//! docs/operating.md has the figures). A thread that comes from sleep has a claim to the processor, so its slice begins
//! at once; for that it must have the job's own priority.
//!
//! Where nobody else wants the processors nobody sleeps. Tiers 2 and 3 have pieces of work that are longer than any
//! slice, and time: they step back by priority instead.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::processors;
use crate::measure::Progress;

/// Turns begin [`LEAD`] before the multiples of this.
const PERIOD: Duration = Duration::from_millis(8);
/// Who comes from sleep right after the scheduler has looked at its queues may find that somebody was given the next
/// slice already, and wait for all of it; who comes right before has the processor by then.
const LEAD: Duration = Duration::from_micros(250);
/// How long a turn is: half a period, as somebody else's turn is. Longer than the scheduler's own slices (about 3 ms).
const TURN: Duration = Duration::from_millis(4);
/// Who had to wait for a processor for so long, out of a period, is not alone.
const CROWDED: Duration = Duration::from_millis(1);
/// Idle time is added up for so long; it is told by the 10 ms.
const LOOK: Duration = Duration::from_millis(100);
/// An addition that was begun so long ago is of another weighing.
const STALE: Duration = Duration::from_secs(1);
/// A processor that is idle for so much of the time is one that nobody else wants.
const IDLE_RATIO: f64 = 0.6;
/// Where all processors together are idle for no more than that of the time, somebody wants each of them.
const BUSY_IDLE_RATIO: f64 = 0.1;
/// A thread that began its last piece so long ago does not work: it waits for a disk or has nothing left to do.
const WORKING: Duration = Duration::from_millis(12);
/// Added to the niceness of a thread that weighs at leisure.
const LEISURE_NICENESS: i32 = 10;

/// Decides which threads of the daemon's weighings work.
pub struct Turns(Mutex<Crowd>);

/// What is known of others who want the processors.
#[derive(Debug, Default)]
struct Crowd {
    /// Processors that nobody else wants; none while nobody is in the way.
    spare: Option<usize>,
    /// Since when that is so.
    since: Duration,
    /// When idle time was last looked at, and how much it was.
    looked: Option<(Duration, Duration)>,
    /// True where a thread had to wait for a processor since then.
    crowded: bool,
    /// When each thread of the weighing began its last piece.
    begun: Vec<Duration>,
}

/// What a thread is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// Work.
    Go,
    /// Work: it is your turn.
    Turn,
    /// Your turn comes after that time.
    Wait(Duration),
    /// Leave the work to others for a while.
    Rest,
}

impl Crowd {
    /// What the weighing's thread of that number, from 0 on, is to do at `now`. `crowded`: since that time it had to
    /// wait for a processor.
    fn tell(
        &mut self,
        thread: usize,
        now: Duration,
        crowded: Option<Duration>,
        idle: impl FnOnce() -> Option<Duration>,
    ) -> Told {
        self.begun.resize(self.begun.len().max(thread + 1), Duration::ZERO);
        if crowded.is_some_and(|since| since >= self.since) {
            self.crowded = true;
            if self.spare.is_none() {
                self.find(Some(self.begun.len() - 1), now);
            }
        }
        if let Some(spare) = self.spare
            && self.looked.is_none_or(|(at, _)| now.saturating_sub(at) >= LOOK)
        {
            self.look(spare, now, idle());
        }
        let told = match self.spare {
            None => Told::Go,
            Some(0) if within(now) < TURN => Told::Turn,
            Some(0) => Told::Wait(PERIOD - within(now)),
            Some(spare) if self.working_before(thread, now) >= spare => Told::Rest,
            Some(_) => Told::Go,
        };
        if matches!(told, Told::Go | Told::Turn) {
            self.begun[thread] = now;
        }
        told
    }

    fn find(&mut self, spare: Option<usize>, now: Duration) {
        (self.spare, self.since, self.looked, self.crowded) = (spare, now, None, false);
    }

    /// Threads of lower numbers that work.
    fn working_before(&self, thread: usize, now: Duration) -> usize {
        self.begun[..thread].iter().filter(|&&begun| now.saturating_sub(begun) < WORKING).count()
    }

    /// Finds out how many processors nobody else wants, of which there were so many, from how long they stood idle.
    fn look(&mut self, spare: usize, now: Duration, idle: Option<Duration>) {
        // Where nothing is told of it, the crowd is forgotten, and found again.
        let Some(idle) = idle else { return self.find(None, now) };
        let crowded = std::mem::take(&mut self.crowded);
        let Some((at, before)) = self.looked.replace((now, idle)) else { return };
        if now - at > STALE {
            return;
        }
        let idle = idle.saturating_sub(before).as_secs_f64() / (now - at).as_secs_f64();
        let more = |idle: f64| (idle + 1.0 - IDLE_RATIO) as usize;
        let found = match spare {
            // Left idle in that part of each period which is not ours.
            0 => more(idle * PERIOD.as_secs_f64() / (PERIOD - TURN).as_secs_f64()),
            spare if !crowded => spare + more(idle),
            // Two were on one processor for a while, and another one stood idle.
            spare if idle > BUSY_IDLE_RATIO => spare,
            spare => spare - 1,
        };
        let found = (found < self.begun.len()).then_some(found);
        if found != self.spare {
            self.find(found, now);
        }
    }
}

/// How long the period has lasted.
fn within(now: Duration) -> Duration {
    Duration::from_nanos(((now + LEAD).as_nanos() % PERIOD.as_nanos()) as u64)
}

thread_local! {
    /// When this thread looked last how long it had waited for processors, and how long that was.
    static LAST: Cell<Option<[Duration; 2]>> = const { Cell::new(None) };
}

/// Once a period: since when this thread had to wait for a processor, if it had.
fn crowded(now: Duration) -> Option<Duration> {
    let last = LAST.get();
    if last.is_some_and(|[at, _]| now - at < within(now)) {
        return None;
    }
    let waited = processors::waited()?;
    let [at, before] = LAST.replace(Some([now, waited]))?;
    (waited.saturating_sub(before) > CROWDED).then_some(at)
}

impl Turns {
    /// Nobody is in the way yet.
    pub fn new() -> Self {
        Self(Mutex::default())
    }

    fn ask(&self) -> Told {
        let now = processors::now();
        let crowded = crowded(now);
        let mut crowd = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        crowd.tell(rayon::current_thread_index().unwrap_or_default(), now, crowded, processors::idle)
    }
}

impl Progress for Turns {
    fn bytes(&self, _read: u64) {}

    fn piece(&self) {
        loop {
            match self.ask() {
                Told::Go => return processors::let_go(),
                Told::Turn => return processors::keep(),
                Told::Wait(time) => std::thread::sleep(time),
                Told::Rest => {
                    processors::let_go();
                    std::thread::sleep(WORKING);
                    // That it waited for a processor just to ask says nothing.
                    LAST.set(None);
                }
            }
        }
    }

    fn leisure(&self) {
        processors::let_go();
        // Where it is refused the work is done at the daemon's own priority.
        let _ = rustix::process::nice(LEISURE_NICENESS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// What two threads are told for a time, one millisecond after the other; `idle`: processors that stand idle out
    /// of turn and in turn; `crowded`: somebody else is in the way.
    fn told(crowd: &mut Crowd, time: std::ops::Range<u64>, idle: [f64; 2], crowded: bool) -> Vec<[Told; 2]> {
        let mut total = Duration::ZERO;
        let each = |now| {
            let is_turn = within(at(now)) < TURN;
            total += at(1).mul_f64(idle[usize::from(is_turn)]);
            [0, 1].map(|thread| crowd.tell(thread, at(now), crowded.then(|| at(now - 1)), || Some(total)))
        };
        time.map(each).collect()
    }

    fn taking_turns() -> Crowd {
        Crowd { spare: Some(0), begun: vec![Duration::ZERO; 2], ..Crowd::default() }
    }

    #[test]
    fn who_is_alone_never_waits() {
        let told = told(&mut Crowd::default(), 0..100, [0.0; 2], false);
        assert!(told.iter().all(|told| *told == [Told::Go; 2]));
    }

    #[test]
    fn in_a_crowd_all_work_in_the_same_turns() {
        let crowd = &mut Crowd::default();
        told(crowd, 1..2, [0.0; 2], false);
        let told_crowded = told(crowd, 1000..1400, [0.0; 2], true);
        // One of them may be enough.
        assert_eq!(told_crowded[50], [Told::Go, Told::Rest]);
        assert!(told_crowded[200..].iter().all(|[one, other]| one == other && *one != Told::Go));
        assert_eq!(told_crowded[200..].iter().filter(|[one, _]| *one == Told::Turn).count(), 100);
        // Still so for who comes a minute later, as long as nothing stands idle.
        let later = told(crowd, 60_000..60_500, [0.0; 2], false);
        assert!(later.iter().all(|[one, other]| one == other && *one != Told::Go));
    }

    #[test]
    fn turns_begin_before_the_tick() {
        let mut crowd = taking_turns();
        let told = [14, 17, 19, 20, 23, 24].map(|now| crowd.tell(1, at(now), None, || Some(at(7))));
        assert_eq!(told[..3], [Told::Wait(at(2) - LEAD), Told::Turn, Told::Turn]);
        assert_eq!(told[3..], [Told::Wait(at(4) - LEAD), Told::Wait(at(1) - LEAD), Told::Turn]);
    }

    #[test]
    fn a_processor_that_nobody_wants_is_enough() {
        let one = [Told::Go, Told::Rest];
        let crowd = &mut taking_turns();
        // One of two stands idle while we sleep: from then on one thread works, and waits for nobody.
        let before = told(crowd, 5000..5200, [1.0, 0.0], false);
        assert!(before[..100].iter().all(|[one, _]| *one != Told::Go));
        assert!(told(crowd, 5200..5500, [0.0; 2], false).iter().all(|told| *told == one));
        // It has nothing left to do, or waits for a disk: then the other one may.
        assert_eq!(crowd.tell(1, at(5499) + WORKING, None, || Some(Duration::ZERO)), Told::Go);
        // Two on one processor, while another one stands idle, is a matter of the scheduler.
        assert!(told(crowd, 8000..8400, [0.3; 2], true).iter().all(|told| *told == one));
        // Somebody came who wants it.
        assert_ne!(told(crowd, 10_000..10_400, [0.0; 2], true)[399][0], Told::Go);
        // Both processors stand idle: nobody is in the way any more.
        assert_eq!(told(crowd, 12_000..12_400, [1.0; 2], false)[399], [Told::Go; 2]);
    }

    #[test]
    fn who_waited_before_that_was_found_out_says_nothing_new() {
        let mut crowd = Crowd { since: at(100), ..Crowd::default() };
        assert_eq!(crowd.tell(0, at(110), Some(at(50)), || Some(at(7))), Told::Go);
        assert_ne!(crowd.tell(0, at(110), Some(at(100)), || Some(at(7))), Told::Go);
    }

    #[test]
    fn a_system_that_says_nothing_of_idle_time_is_asked_for_the_crowd_again() {
        let mut crowd = Crowd::default();
        assert_eq!(crowd.tell(0, at(14), Some(at(6)), || None), Told::Go);
    }

    #[test]
    fn waiting_is_looked_at_once_a_period() {
        LAST.set(None);
        assert_eq!([5, 6, 7].map(|now| crowded(at(now))), [None; 3]);
        let looked = LAST.get().map(|[at, _]| at);
        assert_eq!(looked, Some(at(5)));
        crowded(at(8));
        assert_eq!(LAST.get().map(|[at, _]| at), Some(at(8)));
    }
}
