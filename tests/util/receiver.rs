//! An HTTP receiver: takes every POST, remembers it, and can be told to refuse.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

/// One request that arrived.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

/// Listens on a free port until the test ends.
pub struct Receiver {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    status: Arc<AtomicU16>,
    taken: Arc<Mutex<Vec<Request>>>,
    refused: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    /// Starts to listen; answers 200.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            status: Arc::new(AtomicU16::new(200)),
            taken: Arc::default(),
            refused: Arc::default(),
        };
        let (status, taken, refused) =
            (Arc::clone(&receiver.status), Arc::clone(&receiver.taken), Arc::clone(&receiver.refused));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (status, taken, refused) =
                    (Arc::clone(&status), Arc::clone(&taken), Arc::clone(&refused));
                std::thread::spawn(move || {
                    let Some(request) = read(&stream) else { return };
                    let status = status.load(Ordering::SeqCst);
                    let list = if status < 300 { &taken } else { &refused };
                    list.lock().unwrap().push(request);
                    let answer =
                        format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                    let _ = (&stream).write_all(answer.as_bytes());
                });
            }
        });
        receiver
    }

    /// Answers with this status from now on.
    pub fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// Requests answered with 2xx so far.
    pub fn taken(&self) -> Vec<Request> {
        self.taken.lock().unwrap().clone()
    }

    /// Requests answered otherwise so far.
    pub fn refused(&self) -> Vec<Request> {
        self.refused.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, v)| v.parse().unwrap_or(0));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { path, headers, body })
}
