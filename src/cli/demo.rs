//! `weighbridge demo`: a recorded real run plays into a watched directory and falls sick.

use std::collections::HashSet;
use std::io::{Cursor, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::reload::Source;
use super::{Exit, Run, output, watch};
use crate::config::Config;
use crate::report;

/// Plays a recorded training run and watches it.
#[derive(Debug, Args)]
pub struct Demo {
    /// Address of page, metrics and API [default: 127.0.0.1:10190, or a free port where that is taken]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Pause between two checkpoints
    #[arg(long, value_name = "SECONDS", default_value_t = 1.5)]
    pause: f64,
}

/// A small GPT-2 trained for real; `tests/fixtures/demo/make_demo.py` made it and says what falls sick when.
const RECORDING: &[u8] = include_bytes!("../../tests/fixtures/demo/recording.zip");

impl Run for Demo {
    const NAME: &'static str = "demo";
    const ABOUT: &'static str = "Watch a recorded run fall sick: page and metrics live within seconds";

    fn run(self) -> anyhow::Result<Exit> {
        let directory = Scratch::new()?;
        let runs = directory.0.join("runs");
        std::fs::create_dir_all(runs.join(RUN))?;
        let mut config = Config::default();
        config.listen = self.listen.unwrap_or_else(|| free(config.listen));
        config.daemon.roots = vec![runs.clone()];
        let pause = Duration::try_from_secs_f64(self.pause).context("--pause is no number of seconds")?;
        let started = |address, snapshots| {
            say_where(address);
            std::thread::spawn(move || follow(snapshots));
            std::thread::spawn(move || {
                if let Err(error) = play(&runs, pause) {
                    output::error_line(&error);
                }
            });
        };
        watch::serve(config, Source::default(), &directory.0.join("store"), started)
    }
}

const RUN: &str = "demo-gpt2";

/// A directory of our own that goes away with the demo.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("weighbridge-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("{}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The usual address, or a port that the system picks where somebody has it.
fn free(usual: SocketAddr) -> SocketAddr {
    match std::net::TcpListener::bind(usual) {
        Ok(_) => usual,
        Err(_) => SocketAddr::new(usual.ip(), 0),
    }
}

fn say_where(address: SocketAddr) {
    output::remark(&format!(
        "\n  A recorded training run plays: a small GPT-2, one checkpoint every moment.\n\n    page     http://{address}/\n    metrics  http://{address}/metrics\n\n  What is found is told below. Everything stays up until Ctrl-C.\n"
    ));
}

/// Tells each checkpoint in a line, and each finding when it is opened or resolved.
fn follow(mut snapshots: watch::Snapshots) {
    let mut told: HashSet<String> = HashSet::new();
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        for run in &snapshot.runs {
            let Some(latest) = &run.latest else { continue };
            let loss = latest.trainer.loss().map(|loss| format!(", loss {loss:.3}")).unwrap_or_default();
            let tensors = latest.tensors.len();
            let mut lines = vec![format!("step {:4}  {tensors} tensors weighed{loss}", latest.key.step)];
            lines.extend(run.open.iter().map(|finding| report::finding_line(finding)));
            for line in lines {
                if told.insert(line.clone()) {
                    output::remark(&format!("  {line}"));
                }
            }
        }
        while !snapshots.has_changed().unwrap_or(true) {
            std::thread::sleep(Duration::from_millis(100));
        }
        if snapshots.has_changed().is_err() {
            return;
        }
    }
}

/// Writes the recorded checkpoints one by one, each under another name first, as a careful trainer does.
fn play(runs: &Path, pause: Duration) -> anyhow::Result<()> {
    let mut archive = zip::ZipArchive::new(Cursor::new(RECORDING))?;
    let mut checkpoints: Vec<(u64, String)> = archive
        .file_names()
        .filter_map(|name| {
            let name = name.ok()?;
            let directory = name.split('/').next()?;
            Some((directory.strip_prefix("checkpoint-")?.parse().ok()?, directory.to_owned()))
        })
        .collect();
    checkpoints.sort();
    checkpoints.dedup();
    let run = runs.join(RUN);
    for (_, name) in checkpoints {
        let (written, place) = (run.join(format!("tmp-{name}")), run.join(&name));
        std::fs::create_dir_all(&written)?;
        for file in ["config.json", "model.safetensors", "trainer_state.json"] {
            let mut bytes = Vec::new();
            archive.by_name(&format!("{name}/{file}"))?.read_to_end(&mut bytes)?;
            std::fs::write(written.join(file), bytes)?;
        }
        std::fs::rename(&written, &place)?;
        std::thread::sleep(pause);
    }
    output::remark("  The recording is over; page and metrics stay up until Ctrl-C.");
    Ok(())
}
