//! The real binary, watching real directories on a free port.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use super::{get, wait_for};

/// A running `weighbridge watch`. It is killed when dropped.
pub struct Daemon {
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// Everything that it printed so far, both streams.
    pub output: Arc<Mutex<String>>,
}

/// The binary under test.
pub fn binary() -> PathBuf {
    assert_cmd::cargo::cargo_bin("weighbridge")
}

impl Daemon {
    /// Watches `root` with its store in `store` and waits until it listens.
    pub fn watch(root: &Path, store: &Path) -> Self {
        Self::start(&[root], store, &[])
    }

    /// The same with more arguments, for example `["--config", file]`.
    #[track_caller]
    pub fn start(roots: &[&Path], store: &Path, arguments: &[&str]) -> Self {
        Self::start_in(roots, store, arguments, &[])
    }

    /// The same with more variables in its environment.
    #[track_caller]
    pub fn start_in(roots: &[&Path], store: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(binary());
        command.envs(environment.iter().copied());
        command.arg("watch").args(roots).arg("--store").arg(store);
        if !arguments.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = Arc::new(Mutex::new(String::new()));
        collect(child.stdout.take().unwrap(), &output);
        collect(child.stderr.take().unwrap(), &output);
        let url = wait_for("the daemon to say where it listens", || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the daemon ended with {status}:\n{}", output.lock().unwrap());
            }
            listening(&output.lock().unwrap())
        });
        Self { child, url, output }
    }

    /// The text of `/metrics`.
    #[track_caller]
    pub fn scrape(&self) -> String {
        get(&format!("{}/metrics", self.url))
            .unwrap_or_else(|| panic!("no scrape; it said:\n{}", self.said()))
    }

    /// Waits until a scrape answers `ask`.
    #[track_caller]
    pub fn wait_for<T>(&self, what: &str, mut ask: impl FnMut(&str) -> Option<T>) -> T {
        wait_for(what, || ask(&get(&format!("{}/metrics", self.url))?))
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Everything that it printed so far.
    pub fn said(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and waits for the drained end.
    pub fn terminate(mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.child.wait().unwrap()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_raw(self.child.id() as i32).unwrap();
        rustix::process::kill_process(id, signal).unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first loopback address with a port that it printed.
fn listening(output: &str) -> Option<String> {
    let rest = &output[output.find("127.0.0.1:")?..];
    let digits: String = rest["127.0.0.1:".len()..].chars().take_while(char::is_ascii_digit).collect();
    // Only a whole line: the port may not be complete otherwise.
    rest.contains('\n').then(|| format!("http://127.0.0.1:{digits}"))
}

/// Reads a stream to its end in a thread of its own, so that the child never blocks on a full pipe.
pub fn collect(stream: impl std::io::Read + Send + 'static, output: &Arc<Mutex<String>>) {
    let output = Arc::clone(output);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut output = output.lock().unwrap();
            output.push_str(&line);
            output.push('\n');
        }
    });
}
