//! A small file system of its own, where this process may mount one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A mounted tmpfs; unmounted when dropped.
pub struct Tmpfs(PathBuf);

impl Tmpfs {
    /// Mounts one of so many megabytes on `dir`. None, and a line that says so, where that is not permitted.
    #[allow(clippy::print_stdout)]
    pub fn mount(dir: &Path, megabytes: u32) -> Option<Self> {
        std::fs::create_dir_all(dir).unwrap();
        let size = format!("size={megabytes}m");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(dir).output();
        let mounted = status.is_ok_and(|output| output.status.success());
        if !mounted {
            println!("no tmpfs could be mounted here: nothing was tested");
        }
        mounted.then(|| Self(dir.to_owned()))
    }

    /// Mounts it anew with other options. Tries until it holds: the database's own threads may hold a file of a
    /// closed store a moment longer, and a file system with a file open for writing is busy.
    pub fn remount(&self, options: &str) {
        let remounted = || {
            let output =
                Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.0).output();
            output.unwrap().status.success()
        };
        let started = Instant::now();
        while !remounted() {
            assert!(started.elapsed() < Duration::from_secs(30), "{} stays busy", self.0.display());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
