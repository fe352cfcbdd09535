//! What is planned is announced: by command and over HTTP, while a daemon runs and at rest.

use serde_json::Value;

use super::{Place, command, text, wait_for_step};
use crate::util::{get, training::TrainingRun};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// Part of the names of the tensors that stand still.
const LAYER: &str = ".h.0.";

/// Checkpoints of a run, the lower layer frozen from step 40 on.
fn save(run: &mut TrainingRun, steps: std::ops::RangeInclusive<u64>) {
    for step in steps {
        let before = run.weights.clone();
        run.train();
        if step >= 4 {
            let frozen = before.into_iter().filter(|(name, _)| name.contains(LAYER));
            run.weights.extend(frozen);
        }
        run.save_as_is(step * 10);
    }
}

fn token(place: &Place) -> std::path::PathBuf {
    place.store.with_extension("token")
}

/// A command on the store, whoever holds it.
fn say(place: &Place, arguments: &[&str]) -> (i32, String, String) {
    let token = token(place);
    std::fs::write(&token, TOKEN).unwrap();
    command(&[arguments, &["--store", text(&place.store), "--token-file", text(&token)]].concat())
}

/// Detectors of what was found, with their steps.
fn found(place: &Place) -> Vec<(String, u64)> {
    let (code, out, said) = command(&["findings", "--store", text(&place.store), "--format", "jsonl"]);
    assert_eq!(code, 0, "{said}");
    let found = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    found.map(|f| (f["detector"].as_str().unwrap().to_owned(), f["step"].as_u64().unwrap())).collect()
}

#[test]
fn a_freeze_that_was_announced_to_the_daemon_is_no_finding_until_it_is_taken_back() {
    let place = Place::new();
    let mut run = TrainingRun::new(&place.runs, "a", 1);
    save(&mut run, 1..=3);
    std::fs::write(token(&place), TOKEN).unwrap();
    let daemon = place
        .watch_with(&format!("weigh: {{tier: 1}}\nweb: {{change_token_file: {}}}", text(&token(&place))));
    wait_for_step(&daemon, "a", 30);

    let freeze = ["expect", "a", "--frozen", "transformer.h.0.*", "--from-step", "40"];
    let (code, out, said) = say(&place, &[&freeze[..], &["--why", "stage two", "--format", "json"]].concat());
    assert_eq!(code, 0, "{said}");
    let made: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&made["frozen"][0], &made["from_step"]), (&"transformer.h.0.*".into(), &40.into()));
    save(&mut run, 4..=5);
    wait_for_step(&daemon, "a", 50);
    assert_eq!(found(&place), []);
    let shown: Value = serde_json::from_str(&get(&format!("{}/api/v1/runs/a", daemon.url)).unwrap()).unwrap();
    assert_eq!(
        (&shown["expected"][0]["id"], &shown["expected"][0]["why"]),
        (&made["id"], &"stage two".into())
    );
    let (_, out, _) = say(&place, &["expect", "--list"]);
    assert!(
        out.contains("run a, frozen transformer.h.0.*, from step 40, said at ")
            && out.ends_with(": stage two\n"),
        "{out}"
    );

    let (code, out, said) = say(&place, &["expect", "--undo", &made["id"].as_str().unwrap()[..6]]);
    assert!(code == 0 && out.starts_with("taken back "), "{out}{said}");
    save(&mut run, 6..=6);
    wait_for_step(&daemon, "a", 60);
    assert_eq!(found(&place), [("frozen_tensor".to_owned(), 60)]);
    assert_eq!(say(&place, &["expect", "--list"]).1, "nothing is announced\n");
}

#[test]
fn at_rest_it_is_announced_before_the_run_is_replayed_and_every_replay_says_the_same() {
    let replayed = |announced: bool| {
        let place = Place::new();
        let mut run = TrainingRun::new(&place.runs, "a", 1);
        let nothing = place.runs.with_file_name("nothing");
        std::fs::create_dir_all(&nothing).unwrap();
        assert_eq!(
            command(&["replay", text(&nothing), "--store", text(&place.store)]).0,
            2,
            "it makes a store"
        );
        if announced {
            let freeze = ["expect", "*", "--frozen", "*.h.0.*", "--until-step", "50", "--why", "x"];
            let (code, _, said) = say(&place, &freeze);
            assert_eq!(code, 0, "{said}");
        }
        save(&mut run, 1..=6);
        let (code, out, said) =
            command(&["replay", text(&place.runs), "--store", text(&place.store), "--format", "jsonl"]);
        assert_eq!(code, 0, "{said}");
        let found: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        found.iter().map(|f| format!("{} {} {}", f["id"], f["detector"], f["step"])).collect::<Vec<_>>()
    };
    let (open, planned) = (replayed(false), replayed(true));
    assert!(open.len() == 1 && open[0].ends_with("\"frozen_tensor\" 40"), "{open:?}");
    assert!(planned.len() == 1 && planned[0].ends_with("\"frozen_tensor\" 60"), "{planned:?}");
    assert_eq!(replayed(true), planned);
}

#[test]
fn what_would_hide_everything_or_nothing_is_refused_in_one_line() {
    let place = Place::new();
    let (code, ..) = command(&["replay", text(&place.runs), "--store", text(&place.store)]);
    assert_eq!(code, 2, "there is nothing to weigh; the store is made all the same");
    let cases: [(&[&str], i32, &str); 6] = [
        (&["expect", "a", "--why", "x"], 64, "--frozen"),
        (&["expect", "a", "--frozen", "h.*"], 64, "--why"),
        (&["expect", "a", "--frozen", "h.*", "--why", " "], 2, "say why"),
        (&["expect", "a", "--frozen", "h.[", "--why", "x"], 2, "error parsing glob"),
        (&["expect", "a", "--detector", "no", "--why", "x"], 2, "weighbridge explain"),
        (&["expect", "--undo", "0123"], 2, "no announcement that holds has the id 0123"),
    ];
    for (arguments, want, says) in cases {
        let (code, _, said) = say(&place, arguments);
        assert!(code == want && said.contains(says), "{arguments:?}: {code}: {said}");
    }
    let backwards = ["expect", "a", "--frozen", "h.*", "--from-step", "9", "--until-step", "8", "--why", "x"];
    let (code, _, said) = say(&place, &backwards);
    assert!(code == 2 && said.contains("from_step 9 is after until_step 8"), "{said}");
}
