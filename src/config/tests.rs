//! Defaults, reference and refusals.

use super::*;

fn refusal(text: &str) -> String {
    match parse(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn defaults_are_valid_and_the_reference_shows_them() {
    let raw: Raw = serde_yaml::from_str(&reference_yaml()).unwrap();
    let mut default = Raw { listen: Some(check::LISTEN.to_owned()), ..Raw::default() };
    default.detect.detectors = raw.detect.detectors.clone();
    // The reference names every number that is kept; without a file none is named.
    default.keep.retention = raw.keep.retention.clone();
    assert_eq!(raw, default);
    assert_eq!(check::check(raw, "").unwrap().store, crate::store::Settings::default());
    parse("").unwrap();
    parse("# nothing\n").unwrap();
}

#[test]
fn reference_file_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/reference.yaml");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, reference_yaml()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), reference_yaml(), "run with UPDATE_GOLDEN=1");
}

#[test]
fn refusals_name_line_key_and_what_is_allowed() {
    let cases = [
        ("weigh:\n  treads: 2\n", "line 2: weigh: unknown field `treads`"),
        ("weigh:\n  threads: 0\n", "line 2: weigh.threads: 0 is out of range, allowed is 1 to 256"),
        ("watch:\n  settle_seconds: .nan\n", "line 2: watch.settle_seconds: NaN is out of range"),
        ("listen: here\n", "line 1: listen: \"here\" is no address"),
        ("log:\n  level: info\n  format: xml\n", "line 3: log.format: log format \"xml\" is neither"),
        (
            "export:\n  targets: [{name: a, kind: pager}]\n",
            "line 2: export.targets: target a: kind \"pager\" is not",
        ),
        (
            "export:\n  targets: [{name: a, kind: slack, severity_min: loud}]\n",
            "line 2: export.targets: target a: severity",
        ),
        (
            "export:\n  targets: [{name: a, kind: slack, link: x}]\n",
            "line 2: export.targets[0]: unknown field `link`",
        ),
        ("export:\n  labels: {run: x}\n", "line 2: export.labels: "),
        ("export:\n  tensor_metrics: [nonsense]\n", "line 2: export.tensor_metrics: no metric"),
        ("detect:\n  detectors:\n    nonsense: {}\n", "line 3: detect.detectors.nonsense: no detector"),
        (
            "detect:\n  expected:\n    - {frozen: [a], detector: rollback}\n",
            "line 2: detect.expected: `frozen` names detectors",
        ),
        ("detect:\n  expected: [{why: tired}]\n", "line 2: detect.expected: an entry needs"),
        (
            "detect:\n  expected: [{detector: frozen}]\n",
            "line 2: detect.expected: no detector is called \"frozen\"",
        ),
        (
            "detect:\n  expected: [{tensors: [a], from_step: 9, until_step: 8}]\n",
            "line 2: detect.expected: from_step 9 is after",
        ),
        ("keep:\n  retain: 3\n", "line 2: keep: unknown field `retain`"),
        ("keep:\n  retention:\n    sketch: {}\n", "line 3: keep.retention: unknown field `sketch`"),
        (
            "keep:\n  retention:\n    sketches:\n      newest: 3\n      oldest: 2\n",
            "line 5: keep.retention.sketches: unknown field `oldest`",
        ),
        (
            "keep:\n  retention:\n    tier_two:\n      days: -1\n",
            "line 4: keep.retention.tier_two.days: -1 is out of range",
        ),
        (
            "keep:\n  retention:\n    bulk_mebibytes_max: 0\n",
            "line 3: keep.retention.bulk_mebibytes_max: 0 keeps",
        ),
        ("weigh: [1, 2]\n", "line 1: weigh: invalid type: sequence"),
    ];
    for (text, want) in cases {
        let got = refusal(text);
        assert!(got.starts_with(want), "{text:?}\n  got  {got}\n  want {want}");
    }
}

#[test]
fn retention_keeps_the_defaults_of_what_is_not_named() {
    let text = "keep:\n  retention:\n    bulk_mebibytes_max: 7\n    sketches: {newest: 4, days: 2.5}\n    quantiles: {older: null}\n";
    let got = parse(text).unwrap().store.retention;
    let usual = crate::store::Retention::default();
    let sketches = crate::store::Keep { newest: 4, days: Some(2.5), ..usual.sketches };
    let quantiles = crate::store::Keep { older: u64::MAX, ..usual.quantiles };
    let want = crate::store::Retention { bulk_bytes_max: Some(7 << 20), sketches, quantiles, ..usual };
    assert_eq!(got, want);
}

#[test]
fn what_is_frozen_is_announced_to_every_detector_of_standing_still() {
    let text = "detect:\n  expected:\n    - {run: 'a*', frozen: ['h.0.*'], from_step: 5, until_step: 9, why: planned}\n";
    let expected = parse(text).unwrap().weighing.detect.expected;
    let named: Vec<_> = expected.iter().map(|event| event.detector.as_deref().unwrap()).collect();
    assert_eq!(named, ["frozen_tensor", "unchanged_tensor", "weight_update_ratio"]);
    for event in expected {
        assert_eq!((event.run.as_deref(), event.tensors), (Some("a*"), vec!["h.0.*".to_owned()]));
        assert_eq!((event.from_step, event.until_step, event.why.as_str()), (Some(5), Some(9), "planned"));
    }
}
