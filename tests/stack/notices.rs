//! Findings told without Prometheus: to a real Alertmanager, a receiver that is away, a command; with the
//! daemon killed between commit and delivery.

use std::collections::BTreeSet;

use crate::util::receiver::Receiver;
use crate::util::servers::Alertmanager;
use crate::util::{metric, wait_for};

use super::{MATRIX, Place, shipped};

#[test]
fn findings_reach_every_kind_of_target_through_crashes() {
    let place = Place::new();
    let mut run = place.run();
    run.save(10);
    let receiver = Receiver::start();
    receiver.answer_with(503);
    let routes = shipped("alertmanager/alertmanager.yml").replace("http://127.0.0.1:9099", &receiver.url);
    let alertmanager = Alertmanager::start(place.path(), &routes);
    let log = place.path().join("told.txt");
    let script =
        format!("echo \"$WEIGHBRIDGE_CHANGE $WEIGHBRIDGE_RUN $WEIGHBRIDGE_DETECTOR\" >> {}", log.display());
    let token = place.file("token", "s3cret-t0ken\n");
    let config = place.file(
        "weighbridge.yml",
        &format!(
            "export:\n  page_url: http://page.example/\n  labels: {{cluster: c1}}\n  targets:\n\
             \x20 - {{name: hook, kind: webhook, url: '{0}/hook', token_file: '{token}'}}\n\
             \x20 - {{name: chat, kind: slack, url: '{0}/chat', severity_min: critical}}\n\
             \x20 - {{name: am, kind: alertmanager, url: '{1}'}}\n\
             \x20 - {{name: script, kind: command, command: [sh, -c, '{script}']}}\n",
            receiver.url, alertmanager.server.url,
        ),
    );
    let daemon = place.daemon(&["--config", &config]);
    daemon.wait_for("the first reading", |scrape| metric("run_step").of(scrape));
    run.poison(MATRIX, 5, f32::NAN);
    run.save(20);
    wait_for("both hooks to be tried", || {
        let paths: BTreeSet<String> = receiver.refused().into_iter().map(|request| request.path).collect();
        (paths.contains("/hook") && paths.contains("/chat")).then_some(())
    });
    assert!(!daemon.said().contains("s3cret"), "no secrets in logs");

    let alerts =
        wait_for("the alert in Alertmanager", || Some(alertmanager.alerts()).filter(|all| !all.is_empty()));
    let labels = &alerts[0]["labels"];
    assert_eq!((&labels["run"], &labels["cluster"]), (&"toy".into(), &"c1".into()));
    assert_eq!(alerts[0]["generatorURL"], "http://page.example/");
    let line = wait_for("the command to run", || {
        std::fs::read_to_string(&log).ok().filter(|text| text.ends_with('\n'))
    });
    assert!(line.lines().any(|line| line == "opened toy not_a_number"), "{line}");
    let ran = line.lines().count();
    // A kill between delivery and mark would repeat a notice under its id: that is allowed, and not meant here.
    let marked = |scrape: &str| metric("deliveries_total").of(scrape).filter(|&count| count >= 2.0);
    daemon.wait_for("Alertmanager and command to be marked", marked);

    // Killed before the receiver took anything: the store knows what is still due, and what is not.
    daemon.kill();
    receiver.answer_with(200);
    let daemon = place.daemon(&["--config", &config]);
    let hooked = |path: &str| -> Vec<_> { receiver.taken().into_iter().filter(|r| r.path == path).collect() };
    wait_for("hook and chat to be told", || {
        (!hooked("/hook").is_empty() && !hooked("/chat").is_empty()).then_some(())
    });
    let message = hooked("/hook")
        .into_iter()
        .map(|request| request.json())
        .find(|message| message["finding"]["detector"] == "not_a_number");
    let message = message.expect("the finding");
    assert_eq!(message["change"], "opened");
    assert_eq!(message["finding"]["tensors"][0], MATRIX);
    assert_eq!(hooked("/hook")[0].header("authorization"), Some("Bearer s3cret-t0ken"));
    let chat = hooked("/chat")[0].json();
    assert!(chat["text"].as_str().unwrap().starts_with("critical: run toy, step 20: "), "{chat}");

    daemon.wait_for("hook and chat to be marked", marked);

    // Every notice has an id, and a restart repeats none that was taken.
    daemon.kill();
    let daemon = place.daemon(&["--config", &config]);
    run.poison(MATRIX, 5, 0.01);
    run.save(30);
    run.save(40);
    run.save(50);
    wait_for("the end to be told", || {
        hooked("/hook").iter().any(|request| request.json()["change"] == "resolved").then_some(())
    });
    let ids: Vec<String> =
        hooked("/hook").iter().map(|r| r.header("idempotency-key").unwrap().to_owned()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    let opened = std::fs::read_to_string(&log).unwrap();
    let opened = opened.lines().filter(|line| *line == "opened toy not_a_number").count();
    assert_eq!(opened, 1, "of {ran} runs of the command before");
    drop(daemon);
}
