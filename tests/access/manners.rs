//! Clients that send too much, too slowly, or never read.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::*;
use crate::util::{PATIENCE, get, wait_for};

fn connect(daemon: &Daemon) -> TcpStream {
    let stream = TcpStream::connect(daemon.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What comes until the server closes.
fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn a_header_that_never_ends_is_dropped_and_keeps_nobody_out() {
    let daemon = Place::new().watch("web:\n  connections_max: 4\n");
    let slow: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = connect(&daemon);
            stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").unwrap();
            stream
        })
        .collect();
    // Every place is taken; the slow ones must make room.
    wait_for("an answer to somebody else", || get(&format!("{}/healthz", daemon.url)));
    for stream in slow {
        let answer = rest(stream);
        assert!(answer.is_empty() || answer.contains("408"), "{answer}");
    }
}

#[test]
fn who_never_reads_is_dropped_and_keeps_nobody_out() {
    let daemon = Place::new().watch("web:\n  connections_max: 1\n");
    let mut deaf = connect(&daemon);
    // Far more answers than the buffers between the two hold.
    let asked = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(64);
    let begun = Instant::now();
    deaf.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    while deaf.write_all(asked.as_bytes()).is_ok() {
        assert!(begun.elapsed() < PATIENCE, "the daemon takes requests without end");
    }
    wait_for("an answer to somebody else", || get(&format!("{}/healthz", daemon.url)));
}

#[test]
fn what_is_too_long_is_refused() {
    let place = Place::new();
    place.write("change.token", "changes");
    let daemon = place.watch("web:\n  change_token_file: change.token\n");
    let mut stream = connect(&daemon);
    let _ = write!(stream, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "x".repeat(100_000));
    let answer = rest(stream);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    let body = place.write("body", &"x".repeat(100_000));
    let arguments =
        ["--header", "Authorization: Bearer changes", "--data-binary", &format!("@{}", body.display())];
    let code = status(&arguments, &format!("{}/api/v1/findings", daemon.url));
    assert!([413, 405].contains(&code), "{code}");
    let mut stream = connect(&daemon);
    stream.write_all(b"\x16\x03\x01 this is not HTTP\r\n\r\n").unwrap();
    let answer = rest(stream);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(get(&format!("{}/healthz", daemon.url)).is_some());
}

#[test]
fn an_address_that_others_reach_is_warned_of() {
    let place = Place::new();
    let mut child = Command::new(crate::util::daemon::binary())
        .args([
            "watch",
            text(&place.path("runs")),
            "--store",
            text(&place.path("store")),
            "--listen",
            "0.0.0.0:0",
        ])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let output = std::sync::Arc::default();
    crate::util::daemon::collect(child.stderr.take().unwrap(), &output);
    let warned = std::panic::catch_unwind(|| {
        wait_for("a warning", || output.lock().unwrap().contains("open to the network").then_some(()))
    });
    child.kill().unwrap();
    child.wait().unwrap();
    warned.unwrap();
}
