//! A bar on a terminal, nothing elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::measure::Progress;

/// Shows what is being read.
pub struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// A bar over so many bytes; it draws only where standard error is a terminal.
    pub fn new(bytes: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{msg:24} {wide_bar} {bytes}/{total_bytes} {eta:>4}")
        {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar }
    }

    /// What is being done now.
    pub fn say(&self, message: String) {
        self.bar.set_message(message);
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Prints above the bar.
    pub fn above(&self, line: &str) {
        self.bar.suspend(|| super::output::remark(line));
    }
}

impl Progress for Bar {
    fn bytes(&self, read: u64) {
        self.bar.inc(read);
    }
}
