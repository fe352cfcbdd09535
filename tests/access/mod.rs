//! Who gets in and who does not, over real sockets: curl, a real Prometheus, and clients that misbehave.

mod keys;
mod manners;
mod reload;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::util::{Daemon, TrainingRun};

/// A watched run, and a directory for keys.
struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { root: tempfile::tempdir().unwrap() };
        TrainingRun::new(&place.path("runs"), "a", 1).save(10);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// Certificate and key for localhost, signed by itself.
    fn certificate(&self) -> PathBuf {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        self.write("tls.key", &made.signing_key.serialize_pem());
        self.write("tls.crt", &made.cert.pem())
    }

    /// A web configuration with one user, `ada`, password `lovelace`.
    fn users(&self, more: &str) -> PathBuf {
        let hash = bcrypt::hash("lovelace", 4).unwrap();
        self.write("web.yml", &format!("basic_auth_users:\n  ada: {hash}\n{more}"))
    }

    fn watch(&self, config: &str) -> Daemon {
        let config = self.write("weighbridge.yml", config);
        Daemon::start(&[&self.path("runs")], &self.path("store"), &["--config", config.to_str().unwrap()])
    }
}

const TLS: &str = "tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n";

/// Status and body of what curl gets; status 0 where there is no answer.
fn curl(arguments: &[&str], url: &str) -> (u16, String) {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20", "--write-out", "\n%{http_code}"])
        .args(arguments)
        .arg(url)
        .output()
        .expect("curl; ./test installs it");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

fn status(arguments: &[&str], url: &str) -> u16 {
    curl(arguments, url).0
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
