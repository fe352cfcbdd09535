//! From a sick checkpoint to a person: the shipped rules in a real Prometheus, the shipped routes in a
//! real Alertmanager, a real receiver. Each part is killed in the middle.

use serde_json::Value;

use crate::util::receiver::{Receiver, Request};
use crate::util::servers::{Alertmanager, Prometheus};
use crate::util::{metric, wait_for};

use super::{MATRIX, Place, scraping, shipped};

/// Alerts named `alertname` in the messages that arrived at `/oncall`, with their state.
fn told(requests: &[Request], alertname: &str) -> Vec<(String, Value)> {
    let oncall = requests.iter().filter(|request| request.path == "/oncall");
    let alerts = oncall.flat_map(|request| request.json()["alerts"].as_array().unwrap().clone());
    alerts
        .filter(|alert| alert["labels"]["alertname"] == alertname)
        .map(|alert| (alert["status"].as_str().unwrap().to_owned(), alert["labels"].clone()))
        .collect()
}

#[test]
fn a_sick_run_calls_somebody_once_and_is_taken_back() {
    let place = Place::new();
    let mut run = place.run();
    run.save(10);
    run.save(20);
    let receiver = Receiver::start();
    // The shipped routes, with our receiver and with waits that suit a test.
    let routes = shipped("alertmanager/alertmanager.yml")
        .replace("http://127.0.0.1:9099", &receiver.url)
        .replace("group_interval: 1m", "group_interval: 1s");
    let mut alertmanager = Alertmanager::start(place.path(), &routes);
    let rules = shipped("prometheus/alerts.yml").replace("keep_firing_for: 5m", "keep_firing_for: 20s");
    place.file("alerts.yml", &rules);
    place.file("recording.yml", &shipped("prometheus/recording.yml"));
    let daemon = place.daemon(&[]);
    let address = daemon.address().to_owned();
    let configuration = format!(
        "{}rule_files: [alerts.yml, recording.yml]\nalerting:\n  alertmanagers:\n  - static_configs: [{{targets: ['{}']}}]\n",
        scraping(&address),
        alertmanager.server.url.trim_start_matches("http://"),
    );
    let mut prometheus = Prometheus::start(place.path(), &configuration, &[]);
    wait_for("step 20", || prometheus.value("weighbridge_run_step").filter(|&step| step == 20.0));
    alertmanager.server.kill_and_restart();
    assert!(prometheus.firing().is_empty(), "a healthy run is silent: {:?}", prometheus.firing());

    run.poison(MATRIX, 5, f32::NAN);
    run.save(30);
    let critical = |receiver: &Receiver| told(&receiver.taken(), "WeighbridgeCriticalFinding");
    let fired =
        wait_for("the alert at the receiver", || Some(critical(&receiver)).filter(|told| !told.is_empty()));
    assert_eq!(fired[0].0, "firing");
    assert_eq!(fired[0].1["run"], "toy");
    assert_eq!(fired[0].1["detector"], "not_a_number");

    // The daemon dies and comes back at the same address: the alert goes on and nobody is called again.
    daemon.kill();
    let daemon = place.daemon(&["--listen", &address]);
    daemon.wait_for("the stored finding to be back", |scrape| metric("findings_active").of(scrape));
    prometheus.server.kill_and_restart();
    wait_for("the alert to fire after the restart", || {
        prometheus.firing().iter().any(|name| name == "WeighbridgeCriticalFinding").then_some(())
    });
    assert_eq!(critical(&receiver).len(), 1, "called once: {:?}", critical(&receiver));

    // The run goes on from healthy weights.
    run.poison(MATRIX, 5, 0.01);
    for step in [40, 50, 60, 70] {
        run.save(step);
        daemon.wait_for("the next step", |scrape| {
            metric("run_step").of(scrape).filter(|&at| at == step as f64)
        });
    }
    wait_for("the end of the alert at the receiver", || {
        critical(&receiver).iter().any(|(state, _)| state == "resolved").then_some(())
    });
    let firing: Vec<_> = critical(&receiver).into_iter().filter(|(state, _)| state == "firing").collect();
    let not_a_number = firing.iter().filter(|(_, labels)| labels["detector"] == "not_a_number").count();
    assert_eq!(not_a_number, 1, "{firing:?}");
}
