//! Real Prometheus and Alertmanager servers (Debian's packages; `./test` installs them), each on a free
//! port with its data in a directory that goes with the test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::{agent, daemon::collect, free_port, get, wait_for};

/// A server process that is killed when dropped.
pub struct Server {
    child: Child,
    program: String,
    arguments: Vec<String>,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// What it printed so far.
    pub output: Arc<Mutex<String>>,
    ready: String,
}

impl Server {
    #[track_caller]
    fn start(program: &str, url: String, ready: &str, arguments: Vec<String>) -> Self {
        let output = Arc::default();
        let child = spawn(program, &arguments, &output);
        let server =
            Self { child, program: program.to_owned(), arguments, url, output, ready: ready.to_owned() };
        server.wait_ready();
        server
    }

    #[track_caller]
    fn wait_ready(&self) {
        wait_for(&format!("{} to be ready; it said:\n{}", self.program, self.output.lock().unwrap()), || {
            get(&format!("{}{}", self.url, self.ready))
        });
    }

    /// SIGKILL, then starts the same server on the same port and data.
    #[track_caller]
    pub fn kill_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(&self.program, &self.arguments, &self.output);
        self.wait_ready();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &str, arguments: &[String], output: &Arc<Mutex<String>>) -> Child {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}; ./test installs it"));
    collect(child.stdout.take().unwrap(), output);
    collect(child.stderr.take().unwrap(), output);
    child
}

/// A Prometheus server.
pub struct Prometheus {
    /// The process.
    pub server: Server,
    /// Its data.
    pub data: PathBuf,
}

impl Prometheus {
    /// Starts one with that configuration file; its data goes into `directory`.
    #[track_caller]
    pub fn start(directory: &Path, configuration: &str, flags: &[&str]) -> Self {
        let file = directory.join("prometheus.yml");
        std::fs::write(&file, configuration).unwrap();
        let data = directory.join("prometheus-data");
        let port = free_port();
        let mut arguments = vec![
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", data.display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--log.level=warn".to_owned(),
        ];
        arguments.extend(flags.iter().map(|&flag| flag.to_owned()));
        let server = Server::start("prometheus", format!("http://127.0.0.1:{port}"), "/-/ready", arguments);
        Self { server, data }
    }

    /// Result of an instant query: (labels, value) each.
    #[track_caller]
    pub fn query(&self, query: &str) -> Vec<(Value, f64)> {
        self.query_at(query, None)
    }

    /// The same at a time in seconds since 1970.
    #[track_caller]
    pub fn query_at(&self, query: &str, time: Option<f64>) -> Vec<(Value, f64)> {
        let mut request = agent().get(format!("{}/api/v1/query", self.server.url)).query("query", query);
        if let Some(time) = time {
            request = request.query("time", time.to_string());
        }
        let text = request
            .call()
            .unwrap_or_else(|error| panic!("{query}: {error}"))
            .body_mut()
            .read_to_string()
            .unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let samples = answer["data"]["result"].as_array().unwrap();
        samples
            .iter()
            .map(|s| (s["metric"].clone(), s["value"][1].as_str().unwrap().parse().unwrap()))
            .collect()
    }

    /// The value of a query that has exactly one sample.
    pub fn value(&self, query: &str) -> Option<f64> {
        match self.query(query).as_slice() {
            [(_, value)] => Some(*value),
            _ => None,
        }
    }

    /// Names of the alerts that fire.
    pub fn firing(&self) -> Vec<String> {
        // Not the series `ALERTS`: a server that was killed leaves it behind, and the next one would seem to fire.
        let text = get(&format!("{}/api/v1/alerts", self.server.url)).unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        let alerts = answer["data"]["alerts"].as_array().unwrap();
        alerts
            .iter()
            .filter(|alert| alert["state"] == "firing")
            .map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// An Alertmanager.
pub struct Alertmanager {
    /// The process.
    pub server: Server,
}

impl Alertmanager {
    /// Starts one with that configuration file.
    #[track_caller]
    pub fn start(directory: &Path, configuration: &str) -> Self {
        let file = directory.join("alertmanager.yml");
        std::fs::write(&file, configuration).unwrap();
        let port = free_port();
        let arguments = vec![
            format!("--config.file={}", file.display()),
            format!("--storage.path={}", directory.join("alertmanager-data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--cluster.listen-address=".to_owned(),
            "--log.level=warn".to_owned(),
        ];
        let url = format!("http://127.0.0.1:{port}");
        Self { server: Server::start("prometheus-alertmanager", url, "/-/ready", arguments) }
    }

    /// All alerts it knows.
    pub fn alerts(&self) -> Vec<Value> {
        let text = get(&format!("{}/api/v2/alerts", self.server.url)).unwrap_or_else(|| "[]".to_owned());
        serde_json::from_str(&text).unwrap()
    }
}

/// Runs promtool with input, and gives what it printed.
#[track_caller]
pub fn promtool(arguments: &[&str], input: &str) -> Output {
    use std::io::Write;
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("promtool: {error}; ./test installs it"));
    let mut stdin = child.stdin.take().unwrap();
    let text = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join().unwrap();
    output
}

/// Fails unless promtool finds nothing to say about a scrape.
#[track_caller]
pub fn check_metrics(scrape: &str) {
    let output = promtool(&["check", "metrics"], scrape);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "promtool check metrics: {said}");
}
