//! What the tests share: training runs that write real checkpoints, the real daemon, real servers, and
//! ways to ask them.
#![allow(dead_code, unused_imports)]

pub mod daemon;
pub mod golden;
pub mod receiver;
pub mod scrape;
pub mod servers;
pub mod snapshot;
pub mod tmpfs;
pub mod training;

use std::time::{Duration, Instant};

pub use daemon::Daemon;
pub use scrape::metric;
pub use tmpfs::Tmpfs;
pub use training::TrainingRun;

/// How long a test waits for what must come. Generous: a slow machine is not a fault, and a test that
/// passes never waits that long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until there is an answer; fails with `what` when none comes.
#[track_caller]
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Body of a GET; none where nobody answers or the status is not 2xx.
pub fn get(url: &str) -> Option<String> {
    agent().get(url).call().ok()?.body_mut().read_to_string().ok()
}

/// An HTTP client with a time limit, so that a hung server fails a test instead of hanging it.
pub fn agent() -> ureq::Agent {
    ureq::Agent::new_with_config(
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(10))).build(),
    )
}

/// A port that is free now, for servers that cannot be asked for port 0.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
