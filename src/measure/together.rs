//! The first look of all threads at one tensor: for those so large that a thread alone would be the last to end.
//!
//! Chunks are read and counted by whoever is free. They are hashed in order, which is short beside the counting,
//! and their sums are merged in order: sums that come early wait, their thread does not.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use xxhash_rust::xxh3::Xxh3;

use super::chunk::Totals;
use super::job::{Job, Outcome};
use super::stream::{First, Pass, Worker, room};
use super::weigh::locked;
use crate::terms::SourceError;

/// Sums that may wait for an earlier chunk, for each thread. More means that a thread stands still.
const EARLY_MAX: usize = 8;

/// A tensor after the first look; one thread can finish it.
pub(super) struct Begun<'a> {
    pass: Pass<'a>,
    first: First,
}

impl Begun<'_> {
    /// The looks that are left, and the values.
    pub(super) fn finish(self, worker: &mut Worker) -> Result<Outcome, SourceError> {
        self.first.finish(&self.pass, worker, false)
    }
}

#[derive(Default)]
struct State {
    hash: Xxh3,
    /// Chunks hashed.
    hashed: usize,
    totals: Totals,
    /// Chunks merged.
    merged: usize,
    early: BTreeMap<usize, Totals>,
    lost: Option<Lost>,
}

enum Lost {
    Read(SourceError),
    Panic(Box<dyn std::any::Any + Send>),
}

impl State {
    fn merge(&mut self, chunk: usize, sums: Totals) {
        self.early.insert(chunk, sums);
        while let Some(sums) = self.early.remove(&self.merged) {
            self.totals.merge(sums);
            self.merged += 1;
        }
    }
}

/// What the threads share.
struct Together<'p, 'a> {
    pass: &'p Pass<'a>,
    next: AtomicUsize,
    state: Mutex<State>,
    moved: Condvar,
    early_max: usize,
}

impl Together<'_, '_> {
    /// Waits for a state that `ready` approves; none where all is lost.
    fn when(&self, ready: impl Fn(&State) -> bool) -> Option<MutexGuard<'_, State>> {
        let waiting = |state: &mut State| !ready(state) && state.lost.is_none();
        let state = self.moved.wait_while(locked(&self.state), waiting);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        state.lost.is_none().then_some(state)
    }

    /// One thread's share.
    fn work(&self, worker: &mut Worker) {
        let Worker { tables, bytes, before, .. } = worker;
        tables.clear();
        loop {
            self.pass.job.progress.piece();
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.pass.cut.chunks {
                return;
            }
            let part = room(bytes, self.pass.place(index).1);
            if let Err(error) = self.pass.read(index, part) {
                return self.lose(Lost::Read(error));
            }
            let Some(mut state) = self.when(|state| state.hashed == index) else { return };
            state.hash.update(part);
            state.hashed += 1;
            self.pass.decide(part);
            drop(state);
            self.moved.notify_all();
            // A panic must not leave the others waiting for this chunk.
            let first = AssertUnwindSafe(|| tables.first(&self.pass.chunk(index, part, before)));
            let sums = match catch_unwind(first) {
                Ok(sums) => sums,
                Err(panic) => return self.lose(Lost::Panic(panic)),
            };
            let turn = |state: &State| state.merged == index || state.early.len() < self.early_max;
            let Some(mut state) = self.when(turn) else { return };
            state.merge(index, sums);
            drop(state);
            self.moved.notify_all();
        }
    }

    fn lose(&self, lost: Lost) {
        locked(&self.state).lost = Some(lost);
        self.moved.notify_all();
    }
}

/// Looks at a tensor with all threads of the pool that this is called in. `workers` has one entry a thread.
pub(super) fn begin<'a>(job: &'a Job<'a>, workers: &[Mutex<Worker>]) -> Result<Begun<'a>, SourceError> {
    let pass = Pass::new(job);
    let together = Together {
        pass: &pass,
        next: AtomicUsize::new(0),
        state: Mutex::default(),
        moved: Condvar::new(),
        early_max: EARLY_MAX * workers.len(),
    };
    rayon::broadcast(|context| together.work(&mut locked(&workers[context.index() % workers.len()])));
    let state = together.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match state.lost {
        Some(Lost::Read(error)) => return Err(error),
        Some(Lost::Panic(panic)) => resume_unwind(panic),
        None => {}
    }
    let mut worker = locked(&workers[0]);
    for other in &workers[1..] {
        worker.tables.absorb(&mut locked(other).tables);
    }
    let first = First::new(&pass, state.totals, state.hash.digest(), &mut worker.tables);
    Ok(Begun { pass, first })
}
