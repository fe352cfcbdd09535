//! What people said about findings survives whatever the store goes through.

use std::fs;
use std::sync::Arc;

use weighbridge::store::{Settings, Store};
use weighbridge::terms::{
    Acknowledgement, Announcement, Catalog, FindingId, Planned, RunId, Severity, Silence,
};

use super::make::{finding, model_reading, open, settings};

fn silence(id: &str, until_seconds: f64) -> Silence {
    Silence {
        id: id.into(),
        run: "r*".into(),
        detector: Some("not_a_number".into()),
        tensor: None,
        at_seconds: 1.0,
        until_seconds,
        why: "planned".into(),
    }
}

fn known(run: &str, withdrawn: bool) -> Acknowledgement {
    Acknowledgement {
        run: RunId::new(run),
        finding: FindingId(format!("f-{run}")),
        severity: Severity::Warning,
        at_seconds: 2.0,
        why: "Ada".into(),
        withdrawn,
    }
}

fn announcement(id: &str, withdrawn: bool) -> Announcement {
    let planned = Planned {
        run: Some("r*".into()),
        frozen: vec!["h.0.*".into(), "wte".into()],
        from_step: Some(1 << 40),
        why: "planned".into(),
        ..Planned::default()
    };
    Announcement { id: id.into(), planned, at_seconds: 3.0, withdrawn }
}

#[test]
fn it_outlives_the_database_compaction_and_a_backup_and_goes_with_its_run() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for run in ["r", "gone"] {
        store
            .commit(&model_reading(run, 1, 2, &["mean"], 8), &[finding(run, 1, &format!("f-{run}"))], b"")
            .unwrap();
        store.acknowledge(&known(run, false)).unwrap();
    }
    store.silence(&silence("s1", 50.0)).unwrap();
    store.silence(&silence("s2", 90.0)).unwrap();
    store.silence(&silence("s1", 20.0)).unwrap();
    store.keep_announcement(&announcement("e2", false)).unwrap();
    store.keep_announcement(&announcement("e1", false)).unwrap();
    store.keep_announcement(&announcement("e1", true)).unwrap();
    let said = store.said().unwrap();
    assert!(Arc::ptr_eq(&said, &store.said().unwrap()), "read once");
    assert_eq!(said.silences, [silence("s1", 20.0), silence("s2", 90.0)]);
    assert_eq!(said.acknowledgements.len(), 2);
    store.forget(&RunId::new("gone")).unwrap();
    assert_eq!(store.said().unwrap().acknowledgements.len(), 1, "it goes with its run");
    store.compact().unwrap();
    let backup = dir.path().join("backup");
    store.backup(&backup).unwrap();
    drop(store);

    let check = |store: &Store| {
        let said = store.said().unwrap();
        assert_eq!(said.silences, [silence("s1", 20.0), silence("s2", 90.0)]);
        assert_eq!(said.acknowledgements.values().cloned().collect::<Vec<_>>(), [known("r", false)]);
        assert_eq!(said.announcements, [announcement("e1", true), announcement("e2", false)]);
        assert_eq!(said.announced().collect::<Vec<_>>(), [&announcement("e2", false)]);
        assert!(store.verify().unwrap().damage.is_empty());
    };
    fs::remove_dir_all(dir.path().join("db")).unwrap();
    check(&open(dir.path()));
    let other = tempfile::tempdir().unwrap();
    let settings: Settings = settings();
    check(&Store::restore(&backup, &other.path().join("s"), &Catalog::new([]), &settings).unwrap());

    let store = open(dir.path());
    store.acknowledge(&known("r", true)).unwrap();
    assert!(store.said().unwrap().acknowledgements.values().all(|known| known.withdrawn));
    assert!(store.acknowledge(&known("nobody", false)).is_err(), "no such run");
}
