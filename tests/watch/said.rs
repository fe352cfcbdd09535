//! Silences and acknowledgements: by command and over HTTP, while a daemon runs and at rest.

use super::{Place, active, command, text, wait_for_step};
use crate::util::{Daemon, TrainingRun, agent, get, metric};

/// As long as the daemon asks for.
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

const DETECTOR: &str = "not_a_number";

/// A run that fell sick at step 40, watched.
fn sick(place: &Place, name: &str, changes: bool) -> Daemon {
    let mut run = TrainingRun::new(&place.runs, name, 1);
    (1..=3).for_each(|step| drop(run.save(step * 10)));
    run.train();
    run.poison("transformer.h.1.mlp.c_fc.weight", 7, f32::NAN);
    run.save_as_is(40);
    std::fs::write(place.store.with_extension("token"), TOKEN).unwrap();
    let config = format!("web: {{change_token_file: {}}}", text(&place.store.with_extension("token")));
    let daemon = place.watch_with(if changes { &config } else { "" });
    wait_for_step(&daemon, name, 40);
    daemon
}

/// A command on the store, whoever holds it.
fn say(place: &Place, arguments: &[&str]) -> (i32, String, String) {
    let token = place.store.with_extension("token");
    command(&[arguments, &["--store", text(&place.store), "--token-file", text(&token)]].concat())
}

fn findings(store: &str) -> Vec<serde_json::Value> {
    let (code, out, err) = command(&["findings", "--store", store, "--format", "jsonl"]);
    assert_eq!(code, 0, "{err}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn counted(scrape: &str, family: &str) -> f64 {
    metric(family).label("run", "a").label("detector", DETECTOR).all(scrape).iter().sum()
}

fn wait_for_active(daemon: &Daemon, want: f64) -> String {
    daemon.wait_for(&format!("{want} active; it said:\n{}", daemon.said()), |scrape| {
        (active(scrape, "a", DETECTOR) == want).then(|| scrape.to_owned())
    })
}

#[test]
fn what_is_silenced_or_known_is_not_active_and_says_why() {
    let place = Place::new();
    let daemon = sick(&place, "a", true);
    let store = text(&place.store);
    wait_for_active(&daemon, 1.0);
    let id = findings(store)[0]["id"].as_str().unwrap().to_owned();

    let silence = ["silence", "--run", "a*", "--detector", DETECTOR];
    let (code, out, err) =
        say(&place, &[&silence[..], &["--until", "2h", "--why", "planned", "--format", "json"]].concat());
    assert_eq!(code, 0, "{err}");
    let made: serde_json::Value = serde_json::from_str(&out).unwrap();
    let scrape = wait_for_active(&daemon, 0.0);
    assert_eq!(counted(&scrape, "findings_silenced"), 1.0);
    assert_eq!(findings(store)[0]["silenced"]["why"], "planned");
    let (_, out, _) = command(&["findings", "--store", store]);
    assert!(out.contains("silenced until 2") && out.contains(": planned (silence "), "{out}");
    let shown = get(&format!("{}/api/v1/runs/a/findings/{id}", daemon.url)).unwrap();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["finding"]["silenced"]["id"], made["id"]);

    let (code, _, err) = say(&place, &["silence", "--undo", &made["id"].as_str().unwrap()[..6]]);
    assert_eq!(code, 0, "{err}");
    wait_for_active(&daemon, 1.0);
    assert_eq!(command(&["silence", "--store", store, "--list"]).1, "nothing is silenced\n");

    let (code, _, err) = say(&place, &["acknowledge", &id[..8], "--why", "Ada is on it"]);
    assert_eq!(code, 0, "{err}");
    let scrape = wait_for_active(&daemon, 0.0);
    assert_eq!(counted(&scrape, "findings_acknowledged"), 1.0);

    // SIGKILL, and then the store at rest.
    daemon.kill();
    assert_eq!(findings(store)[0]["acknowledged"]["why"], "Ada is on it");
    let (_, out, _) = command(&["acknowledge", "--list", "--store", store]);
    assert!(out.contains(&id) && out.contains("critical of a") && out.contains(": Ada is on it"), "{out}");
    assert_eq!(command(&["acknowledge", &id, "--undo", "--store", store]).0, 0);
    assert_eq!(findings(store)[0]["acknowledged"], serde_json::Value::Null);
    assert_eq!(command(&["acknowledge", &id, "--undo", "--store", store]).0, 2, "it was taken back before");
}

#[test]
fn a_silence_ends_by_itself() {
    let place = Place::new();
    let daemon = sick(&place, "a", true);
    wait_for_active(&daemon, 1.0);
    let (code, _, err) = say(&place, &["silence", "--run", "a", "--until", "4s", "--why", "short"]);
    assert_eq!(code, 0, "{err}");
    wait_for_active(&daemon, 0.0);
    wait_for_active(&daemon, 1.0);
}

#[test]
fn changes_without_a_token_are_refused() {
    let place = Place::new();
    let daemon = sick(&place, "a", true);
    let url = format!("{}/api/v1/silences", daemon.url);
    let body = r#"{"run": "a", "until_seconds": 9e9, "why": "x"}"#;
    let post = |token: &str| {
        let mut request = ureq::http::Request::post(&url).header("content-type", "application/json");
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        match agent().run(request.body(body).unwrap()) {
            Ok(answer) => answer.status().as_u16(),
            Err(ureq::Error::StatusCode(status)) => status,
            Err(error) => panic!("{error}"),
        }
    };
    for token in ["", "guess"] {
        assert!([401, 403].contains(&post(token)), "{token:?} changes something");
    }
    assert_eq!(get(&url).unwrap(), "[]");
    assert_eq!(post(TOKEN), 200);
    assert!(get(&url).unwrap().contains("\"why\":\"x\""));
}

#[test]
fn as_it_comes_nothing_can_be_changed_and_it_says_how() {
    let place = Place::new();
    let _daemon = sick(&place, "a", false);
    let (code, _, err) = say(&place, &["silence", "--run", "a", "--until", "1h", "--why", "x"]);
    assert!(code == 2 && err.contains("refuses") && err.contains("web.change_token_file"), "{code}: {err}");
    let (code, out, _) = say(&place, &["silence", "--list"]);
    assert_eq!((code, out.as_str()), (0, "nothing is silenced\n"));
}

#[test]
fn what_makes_no_sense_is_refused_in_one_line() {
    let place = Place::new();
    let (code, ..) = command(&["replay", text(&place.runs), "--store", text(&place.store)]);
    assert_eq!(code, 2, "there is nothing to weigh; the store is made all the same");
    let store = ["--store", text(&place.store)];
    let cases: [(&[&str], i32, &str); 6] = [
        (&["silence", "--run", "a", "--until", "2001-01-01", "--why", "x"], 64, "is over"),
        (&["silence", "--run", "a", "--until", "2h"], 64, "--why"),
        (&["silence", "--run", "a", "--until", "2h", "--why", " "], 2, "say why"),
        (&["silence", "--run", "a[", "--until", "2h", "--why", "x"], 2, "error parsing glob"),
        (
            &["silence", "--run", "a", "--detector", "no", "--until", "2h", "--why", "x"],
            2,
            "weighbridge explain",
        ),
        (&["acknowledge", "0123"], 2, "no finding has the id 0123"),
    ];
    for (arguments, want, says) in cases {
        let (code, _, err) = command(&[arguments, &store].concat());
        assert!(code == want && err.contains(says), "{arguments:?}: {code}: {err}");
    }
}
