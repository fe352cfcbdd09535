//! From files on disk to gauges in a real Prometheus.

use crate::util::servers::{Prometheus, check_metrics};
use crate::util::{agent, metric, wait_for};

use super::{MATRIX, Place, scraping};

#[test]
fn a_growing_run_is_seen_in_prometheus() {
    let place = Place::new();
    let mut run = place.run();
    run.save(10);
    run.save(20);
    let daemon = place.daemon(&[]);
    let prometheus = Prometheus::start(place.path(), &scraping(daemon.address()), &[]);
    let step = "weighbridge_run_step{run=\"toy\",job=\"weighbridge\"}";
    let reaches = |wanted: f64| {
        wait_for(&format!("step {wanted} in Prometheus"), || {
            prometheus.value(step).filter(|&found| found == wanted)
        })
    };
    reaches(20.0);

    // Half a checkpoint is no checkpoint, however long it lies there.
    let half = run.begin(30);
    wait_for("the half-written checkpoint to be told as pending", || {
        prometheus.value("weighbridge_checkpoints_pending{run=\"toy\"}").filter(|&count| count == 1.0)
    });
    assert_eq!(prometheus.value(step), Some(20.0));
    assert_eq!(prometheus.value("weighbridge_checkpoint_failures_total{run=\"toy\"}"), Some(0.0));
    half.finish();
    reaches(30.0);

    run.poison(MATRIX, 5, f32::NAN);
    run.save(40);
    reaches(40.0);
    let nan = format!(
        "weighbridge_tensor_nan_elements{{run=\"toy\",tensor=\"{MATRIX}\",role=\"mlp_up\",layer=\"1\"}}"
    );
    assert_eq!(prometheus.value(&nan), Some(1.0));
    assert_eq!(prometheus.value("sum(weighbridge_tensor_nan_elements)"), Some(1.0));
    let finding = "weighbridge_findings_active{run=\"toy\",detector=\"not_a_number\",severity=\"critical\"}";
    assert_eq!(prometheus.value(finding), Some(1.0));
    assert_eq!(prometheus.value("weighbridge_run_learning_rate{run=\"toy\"}"), Some(1e-3));
    assert_eq!(prometheus.value("weighbridge_coverage_ratio{run=\"toy\"}"), Some(1.0));
    assert_eq!(prometheus.value("weighbridge_checkpoints_total{run=\"toy\"}"), Some(4.0));
    assert!(
        prometheus.value("weighbridge_publish_delay_seconds{run=\"toy\"}").is_some_and(|delay| delay > 0.0)
    );

    let samples = prometheus.value("scrape_samples_scraped{job=\"weighbridge\"}").unwrap();
    let scrape = daemon.scrape();
    let lines = scrape.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(samples, lines as f64, "Prometheus took every sample");
    check_metrics(&scrape);
    assert!(metric("tensor_rms").label("tensor", MATRIX).is_in(&scrape));
}

#[test]
fn prometheus_and_others_get_the_format_they_ask_for() {
    let place = Place::new();
    place.run().save(10);
    let daemon = place.daemon(&[]);
    daemon.wait_for("the first reading", |scrape| metric("run_step").of(scrape));
    let ask = |accept: &str| {
        let mut answer =
            agent().get(format!("{}/metrics", daemon.url)).header("accept", accept).call().unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (kind, answer.body_mut().read_to_string().unwrap())
    };
    let (kind, text) = ask("application/openmetrics-text;version=1.0.0");
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    assert!(text.ends_with("# EOF\n"));
    let (kind, text) = ask("text/plain");
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    assert!(!text.contains("# EOF"));
}
