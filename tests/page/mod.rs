//! The page, in a real browser, against the real daemon on real checkpoints.

mod access;
mod api;
mod browser;
mod large;
mod report;
mod said;
mod screens;
mod views;

use std::path::PathBuf;

use serde_json::Value;

use crate::util::{Daemon, TrainingRun, get, wait_for};

/// A daemon that has weighed two runs: `steady`, and `sick`, whose last checkpoint holds a NaN and whose
/// name and tensors try to be markup.
pub struct Site {
    pub daemon: Daemon,
    pub steady: PathBuf,
    _directory: tempfile::TempDir,
}

/// Steps of both runs.
pub const STEPS: [u64; 6] = [10, 20, 30, 40, 50, 60];
/// A run's name that would run a script, were it ever read as markup.
pub const SICK: &str = "sick <img src=x onerror=alert(1)>";
/// The same for a tensor.
pub const HOSTILE: &str = "x.</script><img src=x onerror=\"document.title='broken'\">.weight";

impl Site {
    pub fn open() -> Self {
        Self::open_with("", &[])
    }

    /// The same with a configuration, and more variables in the daemon's environment.
    pub fn open_with(configuration: &str, environment: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("runs");
        let mut steady = TrainingRun::new(&root, "steady", 1).ending_at(100);
        let mut sick = TrainingRun::new(&root, SICK, 2).ending_at(100);
        let values = (0..256u32).map(|i| (i as f32 * 0.37).sin()).collect();
        sick.weights.insert(HOSTILE.to_owned(), (vec![16, 16], values));
        for step in STEPS {
            steady.save(step);
            if step == 60 {
                sick.train();
                sick.poison("transformer.h.1.attn.c_attn.weight", 5, f32::NAN);
                sick.save_as_is(step);
            } else {
                sick.save(step);
            }
        }
        let file = directory.path().join("weighbridge.yaml");
        std::fs::write(&file, configuration).unwrap();
        let (store, file) = (directory.path().join("store"), file.to_str().unwrap().to_owned());
        let daemon = Daemon::start_in(&[&root], &store, &["--config", &file], environment);
        let site = Self { daemon, steady: steady.directory.clone(), _directory: directory };
        for run in ["steady", SICK] {
            // One after the other: on a busy machine all of them together may take minutes.
            for wanted in 1..=STEPS.len() as u64 {
                wait_for("a checkpoint to be weighed", || {
                    let checkpoints = site.ask(&format!("/runs/{}/checkpoints", encode(run)))?;
                    (checkpoints["total"].as_u64()? >= wanted).then_some(())
                });
            }
        }
        site
    }

    /// JSON of the API; none where the status is not 2xx.
    pub fn ask(&self, path: &str) -> Option<Value> {
        serde_json::from_str(&get(&format!("{}/api/v1{path}", self.daemon.url))?).ok()
    }

    /// Address of a view.
    pub fn view(&self, hash: &str) -> String {
        format!("{}/#{hash}", self.daemon.url)
    }

    /// Every view by name, with its address.
    pub fn views(&self) -> Vec<(&'static str, String)> {
        let tensor = encode("transformer.h.0.attn.c_attn.weight");
        let findings = self.ask("/findings?severity=critical").unwrap();
        let finding = &findings["items"][0];
        let id = format!("/run/{}/finding/{}", encode(SICK), encode(finding["id"].as_str().unwrap()));
        vec![
            ("fleet", self.view("/")),
            ("run", self.view("/run/steady")),
            ("sick", self.view(&format!("/run/{}", encode(SICK)))),
            ("checkpoint", self.view("/run/steady/step/60")),
            ("pair", self.view("/run/steady/step/60?with=10")),
            ("tensor", self.view(&format!("/run/steady/step/60/tensor/{tensor}"))),
            ("heads", self.view("/run/steady/step/60/heads")),
            ("finding", self.view(&id)),
            ("overlay", self.view("/overlay")),
        ]
    }
}

/// One path segment.
pub fn encode(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
