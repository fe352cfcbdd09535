//! What changes while the daemon runs: configuration on SIGHUP, keys when their files are replaced.

use rustix::process::Signal;

use super::*;
use crate::util::{metric, wait_for};

#[test]
fn a_good_configuration_is_taken_over_and_a_bad_one_refused() {
    let place = Place::new();
    let daemon = place.watch("export:\n  labels: {cluster: old}\n");
    let step = || metric("run_step").label("run", "a");
    daemon.wait_for("the first label", |scrape| step().label("cluster", "old").is_in(scrape).then_some(()));

    place.write(
        "weighbridge.yml",
        "listen: 127.0.0.1:1\nexport:\n  labels: {cluster: new}\nweigh:\n  tier: 1\nlog:\n  level: debug\n",
    );
    daemon.signal(Signal::HUP);
    daemon.wait_for("the new label", |scrape| step().label("cluster", "new").is_in(scrape).then_some(()));
    assert!(daemon.said().contains("at_restart=\"listen\""), "{}", daemon.said());
    assert!(metric("config_last_reload_successful").value(1.0).is_in(&daemon.scrape()));

    place.write("weighbridge.yml", "export:\n  labels: {cluster: worse}\nweigh:\n  treads: 9\n");
    daemon.signal(Signal::HUP);
    daemon.wait_for("the refusal", |scrape| {
        metric("config_last_reload_successful").value(0.0).is_in(scrape).then_some(())
    });
    assert!(step().label("cluster", "new").is_in(&daemon.scrape()), "the old one stays");
    assert!(daemon.said().contains("unknown field `treads`"), "{}", daemon.said());

    // The daemon goes on weighing, by the settings of the last good configuration.
    let mut run = TrainingRun::new(&place.path("runs"), "b", 2);
    run.save(20);
    daemon.wait_for("another run", |scrape| metric("run_step").label("run", "b").is_in(scrape).then_some(()));

    place.write("weighbridge.yml", "");
    daemon.signal(Signal::HUP);
    daemon.wait_for("all well again", |scrape| {
        let good = metric("config_last_reload_successful").value(1.0).is_in(scrape);
        (good && !step().label("cluster", "new").is_in(scrape)).then_some(())
    });
}

#[test]
fn replaced_tokens_and_certificates_are_taken_over_by_themselves() {
    let place = Place::new();
    let first = place.certificate();
    place.write("web.yml", TLS);
    place.write("read.token", "one");
    let daemon = place.watch("web:\n  config_file: web.yml\n  read_token_file: read.token\n");
    let metrics = format!("{}/metrics", daemon.url.replace("http://", "https://"));
    let ask = |token: &str, trusted: &Path| {
        status(&["--cacert", text(trusted), "--header", &format!("Authorization: Bearer {token}")], &metrics)
    };
    let old = place.path("old.crt");
    std::fs::copy(&first, &old).unwrap();
    assert_eq!(ask("one", &old), 200);
    place.write("read.token", "two-two");
    wait_for("the new token", || (ask("two-two", &old) == 200).then_some(()));
    assert_eq!(ask("one", &old), 401);
    let new = place.certificate();
    wait_for("the new certificate", || (ask("two-two", &new) == 200).then_some(()));
    // A key that does not belong to the certificate is refused, and the old pair stays.
    place.write("tls.key", "nonsense");
    wait_for("the refusal", || daemon.said().contains("configuration refused").then_some(()));
    assert_eq!(ask("two-two", &new), 200);
}
