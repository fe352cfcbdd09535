//! Carries deliveries out of the house: HTTP with a time limit, commands with a time limit.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Delivery, Target};

/// Why a delivery was not taken. Texts hold neither addresses nor secrets.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// Nobody answered, or asked for time: the target is to be left alone for a while.
    Later {
        /// What happened.
        why: String,
        /// How long the receiver asked us to wait.
        after: Option<Duration>,
    },
    /// It was read and turned down; another notice may still be taken.
    Refused(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Later { why, .. } | Failure::Refused(why) => f.write_str(why),
        }
    }
}

/// Whoever takes deliveries to their targets.
pub trait Carrier: Send {
    /// Returns once the receiver has taken it.
    fn carry(&self, delivery: &Delivery, target: &Target) -> Result<(), Failure>;
}

/// The real one.
pub struct Line {
    agent: ureq::Agent,
}

/// A receiver that takes longer is treated as not there.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A command that takes longer is killed.
const COMMAND_MAX: Duration = Duration::from_secs(30);

/// Longest pause that a receiver can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

impl Default for Line {
    fn default() -> Self {
        // A redirect could send finding and token to somebody else, so none is followed.
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER_MAX))
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("weighbridge/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.new_agent() }
    }
}

impl Carrier for Line {
    fn carry(&self, delivery: &Delivery, target: &Target) -> Result<(), Failure> {
        match delivery {
            Delivery::Post { path, headers, body } => self.post(target, path, headers, body),
            Delivery::Append { file, head, bytes } => append(target, file, head, bytes),
            Delivery::Run { environment, input } => run(&target.command, environment, input),
        }
    }
}

fn later(why: impl Into<String>) -> Failure {
    Failure::Later { why: why.into(), after: None }
}

impl Line {
    fn post(
        &self,
        target: &Target,
        path: &str,
        headers: &[(&str, String)],
        body: &[u8],
    ) -> Result<(), Failure> {
        let address = target.address().map_err(later)?;
        let mut request = self.agent.post(format!("{}{path}", address.0));
        if let Some(token) = target.token().map_err(later)? {
            request = request.header("authorization", format!("Bearer {}", token.0));
        }
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = request.send(body).map_err(|error| later(without_address(&error)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let why = format!("the receiver answered {}", status.as_u16());
        if matches!(status.as_u16(), 400 | 413 | 415 | 422) {
            return Err(Failure::Refused(why));
        }
        let after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        Err(Failure::Later { why, after: after.map(|s| Duration::from_secs(s).min(RETRY_AFTER_MAX)) })
    }
}

/// The error without the address, which may hold a secret.
fn without_address(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => format!("no answer within {} s", ANSWER_MAX.as_secs()),
        ureq::Error::Io(error) => format!("cannot connect: {}", error.kind()),
        ureq::Error::HostNotFound => "the receiver's name cannot be resolved".into(),
        ureq::Error::ConnectionFailed => "the connection failed".into(),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => "TLS failed: is the certificate trusted?".into(),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => "the address is not a valid URL".into(),
        ureq::Error::TooManyRedirects => "the receiver redirects, and redirects are not followed".into(),
        _ => "the request failed".into(),
    }
}

/// Appends to a file below the target's directory. The directories on the way are made.
fn append(target: &Target, file: &Path, head: &[u8], bytes: &[u8]) -> Result<(), Failure> {
    let Some(directory) = &target.directory else { return Err(later("no directory is set")) };
    let path = directory.join(file);
    let write = || -> std::io::Result<()> {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        let mut out = OpenOptions::new().create(true).append(true).open(&path)?;
        let bytes = if out.metadata()?.len() == 0 { [head, bytes].concat() } else { bytes.to_vec() };
        out.write_all(&bytes)?;
        out.sync_data()
    };
    write().map_err(|error| later(format!("{}: {error}", path.display())))
}

fn run(command: &[String], environment: &[(&str, String)], input: &str) -> Result<(), Failure> {
    let [program, arguments @ ..] = command else { return Err(later("no command is set")) };
    let mut child = Command::new(program)
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| later(format!("{program}: {error}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read its input closes the pipe; that is its right.
        let _ = stdin.write_all(input.as_bytes());
    }
    let begun = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if begun.elapsed() < COMMAND_MAX => std::thread::sleep(Duration::from_millis(20)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(later(format!("{program}: killed after {} s", COMMAND_MAX.as_secs())));
            }
            Err(error) => return Err(later(format!("{program}: {error}"))),
        }
    };
    if status.success() {
        return Ok(());
    }
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        let _ = stderr.take(500).read_to_end(&mut said);
    }
    Err(later(format!("{program}: {status}: {}", String::from_utf8_lossy(&said).trim())))
}
