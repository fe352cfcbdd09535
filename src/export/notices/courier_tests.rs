//! The courier against a ledger in memory and a carrier that fails when told to.

use std::sync::Mutex;

use super::*;
use crate::export::notices::testing::finding;
use crate::export::notices::{Delivery, Secret};
use crate::terms::{Acknowledgement, Silence, Step};

#[derive(Clone, Default)]
struct Desktop(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    findings: Vec<Finding>,
    marks: BTreeMap<String, BTreeMap<String, String>>,
    carried: Vec<serde_json::Value>,
    failure: Option<Failure>,
    said: Arc<Said>,
}

impl Ledger for Desktop {
    fn findings(&self) -> Result<Vec<Finding>, String> {
        Ok(self.0.lock().unwrap().findings.clone())
    }
    fn said(&self) -> Result<Arc<Said>, String> {
        Ok(Arc::clone(&self.0.lock().unwrap().said))
    }
    fn taken(&self, target: &str) -> Result<BTreeMap<String, String>, String> {
        Ok(self.0.lock().unwrap().marks.get(target).cloned().unwrap_or_default())
    }
    fn record(&self, target: &str, marks: &[(&str, &str)]) -> Result<(), String> {
        let marks = marks.iter().map(|(key, mark)| ((*key).to_owned(), (*mark).to_owned()));
        self.0.lock().unwrap().marks.entry(target.to_owned()).or_default().extend(marks);
        Ok(())
    }
}

impl Carrier for Desktop {
    fn carry(&self, delivery: &Delivery, _target: &Target) -> Result<(), Failure> {
        let mut inner = self.0.lock().unwrap();
        if let Some(failure) = &inner.failure {
            return Err(failure.clone());
        }
        let Delivery::Post { body, .. } = delivery else { panic!("not a post") };
        inner.carried.push(serde_json::from_slice(body).unwrap());
        Ok(())
    }
}

impl Desktop {
    fn courier(&self, target: Target) -> Courier<Self, Self> {
        let target = Target { name: "t".into(), url: Some(Secret("http://x".into())), ..target };
        Courier::new(vec![target], None, BTreeMap::new(), self.clone(), self.clone(), Arc::default())
    }
    fn put(&self, finding: Finding) {
        let mut inner = self.0.lock().unwrap();
        match inner.findings.iter_mut().find(|known| known.id == finding.id) {
            Some(known) => *known = finding,
            None => inner.findings.push(finding),
        }
    }
    fn say(&self, silences: Vec<Silence>, known: Vec<Acknowledgement>) {
        self.0.lock().unwrap().said = Arc::new(Said::new(silences, known));
    }
    fn fail(&self, failure: Option<Failure>) {
        self.0.lock().unwrap().failure = failure;
    }
    /// Ids carried so far, in order.
    fn ids(&self) -> Vec<String> {
        let inner = self.0.lock().unwrap();
        inner.carried.iter().map(|message| message["id"].as_str().unwrap().to_owned()).collect()
    }
}

fn silence(until_seconds: f64) -> Silence {
    Silence {
        id: format!("until-{until_seconds}"),
        run: "team/*".into(),
        detector: None,
        tensor: None,
        at_seconds: 0.0,
        until_seconds,
        why: "planned".into(),
    }
}

fn known(finding: &Finding) -> Acknowledgement {
    Acknowledgement {
        run: finding.run.clone(),
        finding: finding.id.clone(),
        severity: finding.severity,
        at_seconds: 1.0,
        why: String::new(),
        withdrawn: false,
    }
}

fn resolved(finding: Finding) -> Finding {
    Finding { resolved_step: Some(Step(5000)), ..finding }
}

#[test]
fn tells_every_step_of_a_life_once() {
    let desktop = Desktop::default();
    let mut courier = desktop.courier(Target::default());
    courier.round(0.0);
    desktop.put(finding("f", Severity::Warning));
    courier.round(1.0);
    courier.round(2.0);
    assert_eq!(desktop.ids(), ["f/opened"]);
    // Raised and resolved between two rounds: both are told, in order.
    desktop.put(resolved(finding("f", Severity::Critical)));
    courier.round(3.0);
    assert_eq!(desktop.ids(), ["f/opened", "f/raised/critical", "f/resolved"]);
    // A courier after a crash knows what was taken.
    desktop.courier(Target::default()).round(4.0);
    assert_eq!(desktop.ids().len(), 3);
}

#[test]
fn a_new_target_hears_of_what_stands_and_not_of_what_is_over() {
    let desktop = Desktop::default();
    desktop.put(resolved(finding("old", Severity::Critical)));
    desktop.put(finding("open", Severity::Critical));
    desktop.put(finding("small", Severity::Info));
    desktop.courier(Target::default()).round(0.0);
    assert_eq!(desktop.ids(), ["open/opened"]);
    // Opened and over while the daemon was down: told in full.
    desktop.put(resolved(finding("short", Severity::Warning)));
    desktop.courier(Target::default()).round(1.0);
    assert_eq!(desktop.ids(), ["open/opened", "short/opened", "short/resolved"]);
}

#[test]
fn pauses_grow_while_a_target_is_away_and_nothing_is_lost() {
    let desktop = Desktop::default();
    let mut courier = desktop.courier(Target::default());
    desktop.put(finding("f", Severity::Critical));
    desktop.fail(Some(Failure::Later { why: "away".into(), after: None }));
    assert_eq!(courier.round(0.0), Duration::from_secs(1));
    assert_eq!(courier.round(0.5), Duration::from_millis(500), "not tried again before its time");
    assert_eq!(courier.round(1.0), Duration::from_secs(2));
    assert_eq!(courier.round(3.0), Duration::from_secs(4));
    let asked = Some(Duration::from_secs(50));
    desktop.fail(Some(Failure::Later { why: "too many".into(), after: asked }));
    assert_eq!(courier.round(7.0), Duration::from_secs(50), "the receiver's own wish is kept");
    desktop.fail(None);
    courier.round(57.0);
    assert_eq!(desktop.ids(), ["f/opened"]);
    for (counter, value) in
        [(courier.counters.delivery_failures.value(), 4), (courier.counters.deliveries.value(), 1)]
    {
        assert_eq!(counter, value);
    }
}

#[test]
fn the_rate_of_a_run_is_kept_gravest_first() {
    let desktop = Desktop::default();
    let mut courier = desktop.courier(Target { per_run_hour_max: 2, ..Target::default() });
    for (id, severity) in [("a", Severity::Warning), ("b", Severity::Critical), ("c", Severity::Warning)] {
        desktop.put(finding(id, severity));
    }
    courier.round(0.0);
    courier.round(60.0);
    assert_eq!(desktop.ids(), ["b/opened", "a/opened"]);
    courier.round(3600.0);
    assert_eq!(desktop.ids(), ["b/opened", "a/opened", "c/opened"]);
}

#[test]
fn failures_do_not_use_the_rate_up() {
    let desktop = Desktop::default();
    let mut courier = desktop.courier(Target { per_run_hour_max: 1, ..Target::default() });
    desktop.put(finding("f", Severity::Critical));
    desktop.fail(Some(Failure::Refused("the receiver answered 400".into())));
    courier.round(0.0);
    desktop.fail(None);
    courier.round(1.0);
    assert_eq!(desktop.ids(), ["f/opened"]);
}

#[test]
fn a_receiver_that_forgets_is_told_again() {
    let desktop = Desktop::default();
    let mut courier = desktop.courier(Target { kind: "alertmanager".into(), ..Target::default() });
    desktop.put(finding("f", Severity::Critical));
    courier.round(1_700_000_000.0);
    courier.round(1_700_000_030.0);
    courier.round(1_700_000_061.0);
    let sent = desktop.0.lock().unwrap().carried.len();
    assert_eq!(sent, 3, "opened, at once again, and after a minute");
}

#[test]
fn what_is_silenced_is_told_when_the_silence_ends_and_it_still_stands() {
    let desktop = Desktop::default();
    let mut courier = desktop.courier(Target::default());
    courier.round(0.0);
    desktop.put(finding("told", Severity::Warning));
    courier.round(1.0);
    desktop.say(vec![silence(100.0)], vec![]);
    desktop.put(finding("told", Severity::Critical));
    desktop.put(finding("new", Severity::Critical));
    desktop.put(finding("short", Severity::Critical));
    assert_eq!(courier.round(50.0), Duration::from_secs(50), "it comes again when the silence ends");
    desktop.put(resolved(finding("short", Severity::Critical)));
    courier.round(60.0);
    assert_eq!(desktop.ids(), ["told/opened"], "nothing is told while it lasts");
    courier.round(100.0);
    courier.round(101.0);
    let name = xxhash_rust::xxh3::xxh3_64(b"until-100");
    assert_eq!(desktop.ids(), ["told/opened", &format!("told/again/{name:016x}"), "new/opened"]);
    desktop.put(resolved(finding("told", Severity::Critical)));
    courier.round(102.0);
    assert_eq!(desktop.ids().last().unwrap(), "told/resolved");
}

#[test]
fn what_somebody_knows_of_is_not_told_again_unless_it_grows_graver() {
    let desktop = Desktop::default();
    let mut courier = desktop.courier(Target::default());
    courier.round(0.0);
    for id in ["graver", "over", "taken-back"] {
        desktop.put(finding(id, Severity::Warning));
    }
    courier.round(1.0);
    let all = ["graver", "over", "taken-back"].map(|id| known(&finding(id, Severity::Warning)));
    desktop.say(vec![], all.to_vec());
    courier.round(2.0);
    assert_eq!(desktop.ids().len(), 3);
    let withdrawn = Acknowledgement { withdrawn: true, ..all[2].clone() };
    desktop.say(vec![], vec![all[0].clone(), all[1].clone(), withdrawn]);
    desktop.put(finding("graver", Severity::Critical));
    desktop.put(resolved(finding("over", Severity::Warning)));
    courier.round(3.0);
    courier.round(4.0);
    let mark = format!("again/{:016x}", 1.0_f64.to_bits());
    let mut told = desktop.ids().split_off(3);
    told.sort();
    assert_eq!(told, [format!("graver/{mark}"), "over/resolved".into(), format!("taken-back/{mark}")]);
}

#[test]
fn a_receiver_that_forgets_is_told_to_stop() {
    let desktop = Desktop::default();
    let mut courier = desktop.courier(Target { kind: "alertmanager".into(), ..Target::default() });
    desktop.put(finding("f", Severity::Critical));
    courier.round(1_700_000_000.0);
    desktop.say(vec![silence(1_700_000_300.0)], vec![]);
    let last = || desktop.0.lock().unwrap().carried.last().cloned().unwrap();
    courier.round(1_700_000_030.0);
    assert_eq!(last()[0]["endsAt"], "2023-11-14T22:13:50Z");
    let sent = desktop.0.lock().unwrap().carried.len();
    courier.round(1_700_000_120.0);
    assert_eq!(desktop.0.lock().unwrap().carried.len(), sent, "and left alone");
    courier.round(1_700_000_300.0);
    assert_eq!(last()[0]["endsAt"], "2023-11-14T23:18:20Z");
}
