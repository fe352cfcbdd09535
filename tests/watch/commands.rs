//! Commands that need no store.

use super::*;
use crate::util::training::TrainingRun;

#[test]
fn diff_tells_what_changed_and_what_did_not() {
    let place = Place::new();
    let mut run = TrainingRun::new(&place.runs, "a", 1);
    let before = run.save(10);
    let still = "transformer.h.0.attn.c_attn.weight";
    let kept = run.weights[still].clone();
    run.train();
    run.weights.insert(still.to_owned(), kept);
    let lost = "transformer.h.1.mlp.c_fc.weight";
    run.weights.remove(lost);
    let after = run.save_as_is(20);
    let (code, out, said) = command(&["diff", text(&before), text(&after), "--format", "json"]);
    assert_eq!(code, 0, "{said}");
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    let all = told["tensors"].as_array().unwrap();
    assert_eq!((&all[0]["tensor"], &all[0]["change"]), (&lost.into(), &"gone".into()));
    let last = all.last().unwrap();
    assert_eq!((&last["tensor"], &last["change"]), (&still.into(), &"same".into()));
    let ratios: Vec<f64> = all.iter().filter_map(|tensor| tensor["update_ratio"].as_f64()).collect();
    assert_eq!(ratios.len(), all.len() - 2);
    assert!(ratios.is_sorted_by(|a, b| a >= b) && ratios.iter().all(|&ratio| ratio > 0.0), "{ratios:?}");
    let (code, out, said) = command(&["diff", text(&before), text(&after)]);
    assert_eq!(code, 0, "{said}");
    assert!(out.trim_end().ends_with(&format!("1 gone, {} moved, 1 same", ratios.len())), "{out}");
}

#[test]
fn runs_lie_over_each_other_at_rest_and_under_a_daemon() {
    let place = Place::new();
    let mut last = std::path::PathBuf::new();
    for (name, seed) in [("a", 1), ("b", 2)] {
        let mut run = TrainingRun::new(&place.runs, name, seed);
        for step in [10, 20, 30] {
            last = run.save(step);
        }
    }
    let (code, _, said) = command(&["replay", text(&place.runs), "--store", text(&place.store)]);
    assert_eq!(code, 0, "{said}");
    let overlay = |metric: &str| {
        let (code, out, said) = command(&["overlay", "--store", text(&place.store), "--metric", metric]);
        assert_eq!(code, 0, "{said}");
        out
    };
    let at_rest = (overlay("loss"), overlay("rms"));
    let rows: Vec<Vec<&str>> =
        at_rest.0.lines().skip(2).map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), ["a", "b"], "{}", at_rest.0);
    let (_, inspected, _) = command(&["inspect", text(&last), "--format", "json"]);
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    let loss = inspected["checkpoint"]["loss"].as_f64().unwrap();
    let shown: f64 = rows[1].last().unwrap().parse().unwrap();
    assert!((shown / loss - 1.0).abs() < 1e-3, "{shown} is not {loss}");

    let file = place.runs.join("overlay.html");
    let arguments = ["overlay", "b", "a", "--store", text(&place.store), "-o", text(&file)];
    assert_eq!(command(&arguments).0, 0);
    assert!(std::fs::read_to_string(&file).unwrap().contains("loss of several runs"));
    std::fs::remove_file(&file).unwrap();
    let (code, _, said) = command(&["overlay", "nobody", "--store", text(&place.store)]);
    assert!(code == 2 && said.contains("run nobody is not in this store"), "{said}");

    let daemon = crate::util::Daemon::watch(&place.runs, &place.store);
    wait_for_total(&daemon, "b", 3);
    assert_eq!((overlay("loss"), overlay("rms")), at_rest);
}

/// Runs a command on a terminal of its own, which `script` of util-linux makes.
fn on_a_terminal(arguments: &[&str], no_color: &str) -> String {
    let quoted = |word: &str| format!("'{word}'");
    let program = crate::util::daemon::binary();
    let words = std::iter::once(text(&program)).chain(arguments.iter().copied()).map(quoted);
    let line = format!("stty columns 100 rows 50; {} 2>/dev/null", words.collect::<Vec<_>>().join(" "));
    let output = std::process::Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("TERM", "xterm-256color")
        .env("NO_COLOR", no_color)
        .stdin(std::process::Stdio::null())
        .output()
        .expect("script is part of every Debian");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_terminal_gets_colours_and_a_pipe_or_who_says_no_gets_none() {
    let place = Place::new();
    let checkpoint = TrainingRun::new(&place.runs, "a", 1).save(10);
    let inspect = ["inspect", text(&checkpoint)];
    let coloured = on_a_terminal(&inspect, "");
    assert!(coloured.contains("\u{1b}[") && coloured.contains('█'), "{coloured}");
    let plain = on_a_terminal(&inspect, "1");
    assert!(!plain.contains('\u{1b}') && plain.contains('█'), "{plain}");
    let (code, piped, _) = command(&inspect);
    assert!(code == 0 && !piped.contains('\u{1b}') && piped.contains('█'), "{piped}");
}
