//! Retention, compaction, forgetting, backup, restore, and migrations that are stopped half way.

use std::fs;

use weighbridge::store::{Error, Keep, Retention, Settings, Span, Store, migration_plan};
use weighbridge::terms::{Attempt, Catalog, Reading, RunId, Step, Subject};

use super::make::{finding, key, model_reading, open, settings};

const METRICS: [&str; 3] = ["mean", "std", "ks_statistic"];

fn reading(run: &str, step: u64) -> Reading {
    model_reading(run, step, 4, &METRICS, 32)
}

fn thinning(sketches: Keep) -> Settings {
    let retention = Retention { sketches, quantiles: sketches, ..Retention::default() };
    Settings { retention, ..settings() }
}

fn with_sketches(store: &Store) -> Vec<u64> {
    let keys = store.keys(&RunId::new("r"));
    keys.iter().filter(|key| store.memory().sketches(key).is_some()).map(|key| key.step.0).collect()
}

#[test]
fn retention_thins_by_step_and_spares_what_a_finding_rests_on() {
    let dir = tempfile::tempdir().unwrap();
    let settings = thinning(Keep { newest: 2, older: 3, days: None });
    let store = Store::open(dir.path(), &Catalog::new([]), &settings).unwrap();
    for step in 1..=12 {
        let findings = if step == 6 { vec![finding("r", 6, "f")] } else { Vec::new() };
        store.commit(&reading("r", step), &findings, b"").unwrap();
    }
    let before = store.stats().unwrap().journal_bytes;
    let told = store.compact().unwrap();
    assert!(store.stats().unwrap().journal_bytes < before * 3 / 4);
    // The newest two; steps 1, 5 and 9 of the ten before; 6 and 5 for the finding.
    assert_eq!(with_sketches(&store), [1, 5, 6, 9, 11, 12]);
    assert_eq!(told.sketches_thinned, 6);
    drop(store);
    let store = Store::open(dir.path(), &Catalog::new([]), &settings).unwrap();
    assert_eq!(with_sketches(&store), [1, 5, 6, 9, 11, 12]);
    assert_eq!(store.reading(&key("r", 0, 6)).unwrap(), Some(reading("r", 6)));
    // All samples are there, of the thinned ones too.
    let mut thinned = reading("r", 4);
    for tensor in &mut thinned.tensors {
        (tensor.sketch, tensor.quantiles) = (None, Vec::new());
    }
    assert_eq!(store.reading(&key("r", 0, 4)).unwrap(), Some(thinned));
    assert!(store.verify().unwrap().damage.is_empty());
    // What was thinned stays thinned when the database is made from the journal again.
    drop(store);
    fs::remove_dir_all(dir.path().join("db")).unwrap();
    let store = Store::open(dir.path(), &Catalog::new([]), &settings).unwrap();
    assert_eq!(with_sketches(&store), [1, 5, 6, 9, 11, 12]);
    assert_eq!(store.compact().unwrap().sketches_thinned, 0);
}

#[test]
fn bulk_is_kept_within_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let retention = Retention { bulk_bytes_max: Some(8_000), ..Retention::default() };
    let store = Store::open(dir.path(), &Catalog::new([]), &Settings { retention, ..settings() }).unwrap();
    (1..=20).for_each(|step| store.commit(&reading("r", step), &[], b"").unwrap());
    store.compact().unwrap();
    let stats = store.stats().unwrap();
    let bulk = stats.runs[0].sketches_bytes + stats.runs[0].quantiles_bytes;
    assert!(bulk <= 8_000 && stats.runs[0].with_sketches >= 2, "{stats:?}");
    assert_eq!(with_sketches(&store).last(), Some(&20));
}

#[test]
fn a_forgotten_run_is_gone_and_the_others_are_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for step in 1..=6 {
        store.commit(&reading("r", step), &[finding("r", step, &format!("r{step}"))], b"r").unwrap();
        store.commit(&reading("other", step), &[finding("other", step, &format!("o{step}"))], b"o").unwrap();
    }
    assert!(matches!(store.forget(&RunId::new("none")), Err(Error::UnknownRun(_))));
    let told = store.forget(&RunId::new("r")).unwrap();
    assert!(told.bytes_after < told.bytes_before, "{told:?}");
    let check = |store: &Store| {
        assert_eq!(store.runs().len(), 1);
        assert!(store.keys(&RunId::new("r")).is_empty());
        assert_eq!(store.findings(None).unwrap().len(), 6);
        assert_eq!(store.reading(&key("other", 0, 4)).unwrap(), Some(reading("other", 4)));
        assert!(store.verify().unwrap().damage.is_empty(), "{:?}", store.verify());
    };
    check(&store);
    drop(store);
    fs::remove_dir_all(dir.path().join("db")).unwrap();
    let store = open(dir.path());
    check(&store);
    // The name may come again, as another run.
    store.commit(&reading("r", 1), &[], b"new").unwrap();
    assert_eq!(store.keys(&RunId::new("r")).len(), 1);
    assert_eq!(store.reading(&key("r", 0, 1)).unwrap(), Some(reading("r", 1)));
    store.compact().unwrap();
    drop(store);
    assert_eq!(open(dir.path()).reading(&key("r", 0, 1)).unwrap(), Some(reading("r", 1)));
}

#[test]
fn a_backup_made_while_commits_go_on_restores_to_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("store"));
    (1..=8).for_each(|step| {
        store.commit(&reading("r", step), &[finding("r", step, &step.to_string())], b"s").unwrap()
    });
    let file = dir.path().join("store.backup");
    std::thread::scope(|scope| {
        scope.spawn(|| (9..=20).for_each(|step| store.commit(&reading("r", step), &[], b"later").unwrap()));
        let backup = store.backup(&file).unwrap();
        assert!(backup.commits >= 8 && backup.damage.is_empty());
    });
    assert!(store.backup(&file).is_err(), "a backup never overwrites another");
    let restored = Store::restore(&file, &dir.path().join("new"), &Catalog::new([]), &settings()).unwrap();
    let keys = restored.keys(&RunId::new("r"));
    assert!(keys.len() >= 8);
    keys.iter().for_each(|key| assert_eq!(restored.reading(key).unwrap(), Some(reading("r", key.step.0))));
    assert_eq!(restored.findings(None).unwrap().len(), 8);
    assert!(restored.verify().unwrap().damage.is_empty());
    // A backup that changed on disk is refused, and so is a directory that holds something.
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 9000].fill(7);
    fs::write(&file, bytes).unwrap();
    assert!(Store::restore(&file, &dir.path().join("third"), &Catalog::new([]), &settings()).is_err());
    assert!(Store::restore(&file, &dir.path().join("new"), &Catalog::new([]), &settings()).is_err());
}

#[test]
fn series_are_had_by_step_and_by_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    (1..=10).for_each(|step| store.commit(&reading("r", step), &[], b"").unwrap());
    let steps = |span: &Span| {
        let all = |_: &Subject| true;
        let series = store.series_within(&RunId::new("r"), "mean", &all, span).unwrap();
        series[0].points.iter().map(|(key, _, _)| key.step.0).collect::<Vec<_>>()
    };
    assert_eq!(steps(&Span { steps: Step(3)..=Step(5), ..Span::default() }), [3, 4, 5]);
    assert_eq!(steps(&Span { seconds: 1.7e9 + 8.5..=1.7e9 + 20.0, ..Span::default() }), [9, 10]);
    let quantiles = store.quantiles(&RunId::new("r"), "transformer.h.0.part.2.weight").unwrap();
    assert_eq!(quantiles.len(), 10);
    assert_eq!(quantiles[4].2, reading("r", 5).tensors[2].quantiles);
}

#[test]
fn a_newer_store_is_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let line = "weighbridge store, schema 99";
    let check = crc32fast::hash(line.as_bytes());
    fs::write(dir.path().join("schema"), format!("{line}, check {check:08x}\n")).unwrap();
    let refused = Store::open(dir.path(), &Catalog::new([]), &settings()).unwrap_err();
    assert!(matches!(refused, Error::Newer { found: 99, .. }), "{refused}");
    assert!(!refused.to_string().contains('\n'));
    assert!(migration_plan(dir.path()).is_err());
}

#[test]
fn nothing_is_stored_where_room_is_short_and_reading_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.commit(&reading("r", 1), &[], b"").unwrap();
    drop(store);
    let full = Settings { free_bytes_min: u64::MAX / 2, ..settings() };
    let store = Store::open(dir.path(), &Catalog::new([]), &full).unwrap();
    assert!(matches!(store.commit(&reading("r", 2), &[], b""), Err(Error::NearlyFull { .. })));
    assert!(store.trouble().is_some_and(|trouble| trouble.contains("bytes are free")));
    assert_eq!(store.reading(&key("r", 0, 1)).unwrap(), Some(reading("r", 1)));
    assert_eq!(store.judge_state(&RunId::new("r"), Attempt(0)).unwrap().as_deref(), Some(&b""[..]));
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.trouble(), None);
    store.commit(&reading("r", 2), &[], b"").unwrap();
}
