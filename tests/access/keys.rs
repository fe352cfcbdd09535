//! Passwords, tokens and certificates.

use super::*;
use crate::util::servers::Prometheus;
use crate::util::{Tmpfs, wait_for};

#[test]
fn as_it_comes_everybody_reads_and_nobody_changes() {
    let daemon = Place::new().watch("");
    let page = format!("{}/", daemon.url);
    let (code, headers) = curl(&["--head"], &page);
    assert_eq!(code, 200);
    let headers = headers.to_lowercase();
    for header in [
        "content-security-policy: default-src 'none'",
        "x-content-type-options: nosniff",
        "x-frame-options: deny",
    ] {
        assert!(headers.contains(header), "{headers}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        assert_eq!(
            status(&["--request", method], &format!("{}/api/v1/findings", daemon.url)),
            403,
            "{method}"
        );
    }
    assert_eq!(status(&["--header", "Host: evil.example"], &page), 421);
    assert_eq!(status(&["--header", "Host: localhost"], &page), 200);
}

#[test]
fn tokens_open_what_they_are_for_and_show_up_nowhere() {
    let place = Place::new();
    place.write("read.token", "reads-3f1c\n");
    place.write("change.token", "changes-77aa\nchanges-next\n");
    let daemon = place.watch(
        "web:\n  read_token_file: read.token\n  change_token_file: change.token\nlog:\n  level: trace\n",
    );
    for path in ["/", "/metrics", "/api/v1/state", "/api/v1/events", "/nothing", "/assets/app.js"] {
        assert_eq!(status(&[], &format!("{}{path}", daemon.url)), 401, "{path}");
    }
    let bearer = |token: &str| format!("Authorization: Bearer {token}");
    let metrics = format!("{}/metrics", daemon.url);
    let (code, scrape) = curl(&["--header", &bearer("reads-3f1c")], &metrics);
    assert_eq!(code, 200);
    assert_eq!(status(&["--header", &bearer("reads-3f1d")], &metrics), 401);
    assert_eq!(status(&["--user", "token:reads-3f1c"], &metrics), 200, "a browser's way to send it");
    let findings = format!("{}/api/v1/findings", daemon.url);
    let post = |header: &str| status(&["--request", "POST", "--header", header], &findings);
    assert_eq!(post(&bearer("reads-3f1c")), 401);
    // The token is right; this route takes no changes.
    assert_eq!(post(&bearer("changes-77aa")), 405);
    assert_eq!(post(&bearer("changes-next")), 405);
    assert_eq!(status(&["--request", "POST", "--user", "token:changes-77aa"], &findings), 401);

    let arguments = std::fs::read_to_string(format!("/proc/{}/cmdline", daemon.id())).unwrap();
    let said = daemon.said();
    for secret in ["reads-3f1c", "changes-77aa", "changes-next"] {
        assert!(!said.contains(secret) && !arguments.contains(secret) && !scrape.contains(secret), "{said}");
    }
    assert!(said.contains("request refused"), "{said}");
}

/// A kubelet has no token: refused, it would start the daemon again and again.
#[test]
fn probes_need_no_token_and_learn_nothing_but_the_status() {
    let place = Place::new();
    place.write("read.token", "reads-3f1c\n");
    // Less room than must stay free: nothing can be stored, and the reason names the store's path.
    let Some(_tmpfs) = Tmpfs::mount(&place.path("store"), 64) else { return };
    let daemon = place.watch("web:\n  read_token_file: read.token\n");
    let (ready, healthy) = (format!("{}/readyz", daemon.url), format!("{}/healthz", daemon.url));
    let bearer = ["--header", "Authorization: Bearer reads-3f1c"];
    wait_for("trouble", || curl(&bearer, &ready).1.contains("nothing can be stored").then_some(()));
    assert_eq!(curl(&[], &ready), (503, "not ready\n".to_owned()));
    assert_eq!(curl(&[], &healthy), (200, "ok\n".to_owned()));
    assert_eq!(status(&["--head"], &ready), 503);
    assert_eq!(status(&["--header", "Host: evil.example"], &ready), 421);
    assert_eq!(status(&["--request", "POST"], &ready), 401, "only looking is free");
}

#[test]
fn probes_are_answered_however_often_others_ask() {
    let place = Place::new();
    place.write("web.yml", "rate_limit: {interval: 1h, burst: 1}\n");
    let daemon = place.watch("web:\n  config_file: web.yml\n");
    let (metrics, healthy) = (format!("{}/metrics", daemon.url), format!("{}/healthz", daemon.url));
    wait_for("the rate to be used up", || (status(&[], &metrics) == 429).then_some(()));
    assert_eq!(status(&[], &healthy), 200);
}

#[test]
fn a_real_prometheus_scrapes_by_tls_and_password() {
    let place = Place::new();
    let certificate = place.certificate();
    place.users(TLS);
    let daemon = place.watch("web:\n  config_file: web.yml\n");
    let url = daemon.url.replace("http://", "https://");
    let metrics = format!("{url}/metrics");
    let trusted = ["--cacert", text(&certificate)];
    assert_eq!(status(&trusted, &metrics), 401);
    assert_eq!(status(&[&trusted[..], &["--user", "ada:babbage"]].concat(), &metrics), 401);
    let right = [&trusted[..], &["--user", "ada:lovelace"]].concat();
    assert_eq!(status(&right, &metrics), 200);
    assert_eq!(status(&[&right[..], &["--tlsv1.2", "--tls-max", "1.2"]].concat(), &metrics), 200);
    assert_eq!(status(&["--user", "ada:lovelace"], &metrics), 0, "a certificate that nobody vouches for");
    assert_eq!(
        status(&["--user", "ada:lovelace"], &format!("{}/metrics", daemon.url)),
        0,
        "no TLS, no answer"
    );

    let configuration = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: weighbridge\n  scheme: https\n  \
         tls_config: {{ca_file: {}}}\n  basic_auth: {{username: ada, password: lovelace}}\n  \
         static_configs: [{{targets: ['{}']}}]\n",
        certificate.display(),
        daemon.address()
    );
    let prometheus = Prometheus::start(place.root.path(), &configuration, &[]);
    wait_for("a scrape through TLS", || (prometheus.value("up")? == 1.0).then_some(()));
    wait_for("the run's step", || (prometheus.value("weighbridge_run_step")? == 10.0).then_some(()));
    assert!(!daemon.said().contains("lovelace"));
}

#[test]
fn clients_show_certificates_where_they_must() {
    let place = Place::new();
    let certificate = place.certificate();
    place.write(
        "web.yml",
        &format!("{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: tls.crt\n  min_version: TLS13\n"),
    );
    let daemon = place.watch("web:\n  config_file: web.yml\n");
    let metrics = format!("{}/metrics", daemon.url.replace("http://", "https://"));
    let trusted = ["--cacert", text(&certificate)];
    assert_eq!(status(&trusted, &metrics), 0);
    let key = place.path("tls.key");
    let shown = [&trusted[..], &["--cert", text(&certificate), "--key", text(&key)]].concat();
    assert_eq!(status(&shown, &metrics), 200);
    assert_eq!(status(&[&shown[..], &["--tls-max", "1.2"]].concat(), &metrics), 0, "TLS 1.3 is the least");
}

#[test]
fn commands_ask_a_guarded_daemon_with_keys_from_the_environment() {
    let place = Place::new();
    let certificate = place.certificate();
    place.write("web.yml", TLS);
    let token = place.write("read.token", "reads");
    let daemon = place.watch("web:\n  config_file: web.yml\n  read_token_file: read.token\n");
    let url = daemon.url.replace("http://", "https://");
    let ask = |keys: &[(&str, &str)]| {
        Command::new(crate::util::daemon::binary())
            .args(["history", "--metric", "rms", "--store", text(&place.path("store"))])
            .envs(keys.iter().copied())
            .output()
            .unwrap()
    };
    let all = [
        ("WEIGHBRIDGE_URL", url.as_str()),
        ("WEIGHBRIDGE_CA_FILE", text(&certificate)),
        ("WEIGHBRIDGE_TOKEN_FILE", text(&token)),
    ];
    wait_for("the history", || {
        let output = ask(&all);
        String::from_utf8_lossy(&output.stdout).contains("transformer.h.0").then_some(())
    });
    let refused = ask(&all[..2]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("WEIGHBRIDGE_TOKEN_FILE"), "{said}");
}
