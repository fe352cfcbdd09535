//! What cannot work is said in one clear line, with the promised exit code.

use super::*;
use crate::util::training::TrainingRun;

fn refused(arguments: &[&str], code: i32, words: &[&str]) {
    let (got, out, said) = command(arguments);
    assert_eq!(got, code, "{arguments:?} said {out}{said}");
    assert!(words.iter().all(|word| said.contains(word)), "{arguments:?} said {said:?}, not {words:?}");
    assert_eq!(said.trim_end().lines().count(), 1, "more than a line: {said}");
}

#[test]
fn directories_ports_and_configurations_that_cannot_work() {
    let place = Place::new();
    let (runs, store) = (text(&place.runs), text(&place.store));
    let missing = place.runs.join("missing");
    refused(&["watch", text(&missing), "--store", store], 2, &["missing", "cannot watch"]);
    let file = place.runs.join("file");
    std::fs::write(&file, "x").unwrap();
    refused(&["watch", text(&file), "--store", store], 2, &["not a directory"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refused(&["watch", runs, "--store", store, "--listen", &address], 2, &["cannot listen", &address]);
    let config = place.store.with_extension("yaml");
    std::fs::write(&config, "weigh:\n  treads: 2\n").unwrap();
    let broken = ["watch", runs, "--store", store, "--config", text(&config)];
    refused(&broken, 64, &["treads", ":2:"]);
    refused(&["check-config", text(&config)], 64, &["treads", ":2:"]);
    refused(&["findings", "--store", text(&missing)], 2, &["no store here"]);
    refused(&["explain", "kurtoses"], 2, &["nothing is called"]);
    let (code, ..) = command(&["watch"]);
    assert_eq!(code, 64);
}

#[test]
fn a_held_store_is_told_at_once_and_its_daemon_answers_for_it() {
    let place = Place::new();
    let mut run = TrainingRun::new(&place.runs, "a", 1);
    run.save(10);
    run.poison("transformer.h.0.attn.c_attn.weight", 5, f32::NAN);
    run.save_as_is(20);
    let daemon = place.watch();
    wait_for_total(&daemon, "a", 2);
    let store = text(&place.store);
    refused(&["replay", text(&place.runs), "--store", store], 2, &["held by process", daemon.address()]);
    let asked: Vec<String> = [
        &["findings", "--store", store, "--format", "jsonl"][..],
        &["history", "--store", store, "--metric", "rms", "--format", "csv"],
        &["last-good", "--store", store, "--run", "a"],
    ]
    .iter()
    .map(|arguments| {
        let (code, out, said) = command(arguments);
        assert_eq!(code, 0, "{arguments:?}: {said}");
        out
    })
    .collect();
    assert!(asked[0].contains("not_a_number") && asked[0].lines().count() == 1, "{}", asked[0]);
    assert!(asked[2].trim_end().ends_with("checkpoint-10"), "{}", asked[2]);
    daemon.terminate();
    let at_rest: Vec<String> = [
        command(&["findings", "--store", store, "--format", "jsonl"]).1,
        command(&["history", "--store", store, "--metric", "rms", "--format", "csv"]).1,
        command(&["last-good", "--store", store, "--run", "a"]).1,
    ]
    .into();
    assert_eq!(asked, at_rest, "the daemon and the store at rest say the same");
    let resume = |run: &str| {
        let hook = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/hooks/resume-from-last-good");
        let mut hook = std::process::Command::new(hook);
        let done =
            hook.args([store, run]).env("WEIGHBRIDGE", crate::util::daemon::binary()).output().unwrap();
        assert!(done.status.success(), "a job script must go on without a good checkpoint too");
        String::from_utf8(done.stdout).unwrap()
    };
    assert_eq!(resume("a"), format!("--resume_from_checkpoint {}", at_rest[2]));
    assert_eq!(resume("nobody"), "");
}

#[test]
fn check_is_a_gate_for_scripts() {
    let place = Place::new();
    let mut run = TrainingRun::new(&place.runs, "a", 1);
    let good = run.save(10);
    run.poison("transformer.h.0.attn.c_attn.weight", 5, f32::NAN);
    let bad = run.save_as_is(20);
    assert_eq!(command(&["check", text(&good)]).0, 0);
    let (code, out, _) = command(&["check", text(&bad)]);
    assert_eq!(code, 1);
    assert!(out.contains("transformer.h.0.attn.c_attn.weight"), "{out}");
    assert_eq!(command(&["check", text(&place.runs.join("none"))]).0, 2);
}
