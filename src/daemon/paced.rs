//! Reading at a set pace, and stopping in the middle of a tensor when the daemon drains.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::terms::{BlockSource, SourceError, TensorInfo};

/// A source that keeps to a byte rate and ends early when `stop` is set.
pub struct Paced {
    source: Arc<dyn BlockSource>,
    stop: Arc<AtomicBool>,
    pace: Option<Mutex<Pace>>,
}

/// Virtual time of the next read: readers share one, so that the rate holds for all threads together.
struct Pace {
    seconds_per_byte: f64,
    next: Instant,
}

impl Paced {
    /// `bytes_per_second` 0 is no limit.
    pub fn new(source: Arc<dyn BlockSource>, stop: Arc<AtomicBool>, bytes_per_second: u64) -> Self {
        let pace = (bytes_per_second > 0).then(|| {
            Mutex::new(Pace { seconds_per_byte: 1.0 / bytes_per_second as f64, next: Instant::now() })
        });
        Self { source, stop, pace }
    }

    /// How long this read of `bytes` has to wait before it may begin.
    fn wait(&self, bytes: usize) -> Duration {
        let Some(pace) = &self.pace else { return Duration::ZERO };
        let mut pace = pace.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let begin = pace.next.max(now);
        pace.next = begin + Duration::from_secs_f64(bytes as f64 * pace.seconds_per_byte);
        begin - now
    }
}

impl BlockSource for Paced {
    fn tensors(&self) -> &[TensorInfo] {
        self.source.tensors()
    }

    fn read(&self, tensor: usize, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(SourceError::Stopped);
        }
        let wait = self.wait(buffer.len());
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
        self.source.read(tensor, offset, buffer)
    }
}
