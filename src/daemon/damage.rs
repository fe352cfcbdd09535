//! What the store lost becomes a finding of the run, so that no one takes a gap in a chart for a pause.

use std::collections::BTreeMap;

use crate::detect::{Entry, Proof};
use crate::store::{self, Damage, Store};
use crate::terms::{Finding, FindingId, ReadingKey, Severity, Subject};

/// What `explain` says of it. It is no detector, for it says nothing about the run's weights: it reads no
/// measurement, and has nothing to set.
pub static STORE_DAMAGED: Entry = Entry {
    id: "store_damaged",
    severity: Severity::Info,
    proof: Proof::Invariant,
    summary: "the store lost something that it once held",
    what: "found at the start: a check, a hash or a running number in the store's files does not fit, and neither \
           the journal nor the database has a whole copy",
    cause: "files of the store changed on disk, or were removed",
    remedy: "check the disk; `weighbridge store repair` makes whole what can be had and writes off the rest",
    evidence: "the checks of the store's files, as `weighbridge store verify` reads them",
    parameters: &[],
    enabled: true,
    since: "0.1.0",
};

/// Records one finding for each attempt that lost something; gives one line each for what was damaged.
pub fn tell_damage(store: &Store) -> Result<Vec<String>, store::Error> {
    let damage = store.damage();
    let mut by_attempt: BTreeMap<_, Vec<(&Damage, ReadingKey)>> = BTreeMap::new();
    for one in damage.iter().filter(|one| !one.mended) {
        // What belongs to no reading may have been any run's: each is told.
        let keys = match &one.key {
            Some(key) => vec![key.clone()],
            None => store.runs().into_iter().filter_map(|run| run.newest).collect(),
        };
        for key in keys {
            by_attempt.entry((key.run.clone(), key.attempt)).or_default().push((one, key));
        }
    }
    for ((run, attempt), lost) in by_attempt {
        let Some(finding) = finding(store, &lost)? else { continue };
        if store.finding(&run, &finding.id)?.is_none() {
            let state = store.judge_state(&run, attempt)?.unwrap_or_default();
            store.record_findings(&run, attempt, &[finding], &state)?;
        }
    }
    Ok(damage.iter().map(|one| format!("store: {one}")).collect())
}

fn finding(store: &Store, lost: &[(&Damage, ReadingKey)]) -> Result<Option<Finding>, store::Error> {
    let Some((first, key)) = lost.first() else { return Ok(None) };
    let details: Vec<String> = lost.iter().map(|(damage, _)| damage.to_string()).collect();
    let opened_at =
        store.reading_without_bulk(key)?.map_or(0.0, |reading| reading.checkpoint.timestamp_seconds);
    let mark = crc32fast::hash(details.join("\n").as_bytes());
    let summary = match lost.len() {
        1 => first.to_string(),
        count => format!("{first}; and {} more", count - 1),
    };
    Ok(Some(Finding {
        id: FindingId(format!("{}-{}-{}-{mark:08x}", STORE_DAMAGED.id, key.run, key.attempt)),
        run: key.run.clone(),
        attempt: key.attempt,
        step: key.step,
        severity: STORE_DAMAGED.severity,
        detector: STORE_DAMAGED.id.to_owned(),
        tensors: Vec::new(),
        summary,
        cause: STORE_DAMAGED.cause.to_owned(),
        remedy: STORE_DAMAGED.remedy.to_owned(),
        evidence: vec![crate::terms::Evidence {
            subject: Subject::Model,
            metric: "lost".to_owned(),
            value: Some(lost.len() as f64),
            expected: "0".to_owned(),
        }],
        dissent: details,
        confidence: 1.0,
        opened_at,
        resolved_step: None,
        last_good_step: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::{Attempt, Catalog, CheckpointFacts, Reading, RunId, Step, StepSource, TrainerState};

    #[test]
    fn what_is_lost_is_a_finding_once() {
        let dir = tempfile::tempdir().unwrap();
        let settings = store::Settings { free_bytes_min: 0, ..store::Settings::default() };
        let open = || Store::open(dir.path(), &Catalog::new([]), &settings).unwrap();
        let key = ReadingKey { run: RunId::new("r"), attempt: Attempt(0), step: Step(7) };
        let checkpoint = CheckpointFacts {
            path: "r/checkpoint-7".into(),
            layout: "files".into(),
            step_source: StepSource::Name,
            timestamp_seconds: 5.0,
            files: Vec::new(),
        };
        let reading = Reading {
            key: key.clone(),
            checkpoint,
            family: "unknown".into(),
            trainer: TrainerState::default(),
            tensors: Vec::new(),
            subjects: Vec::new(),
            skipped: Vec::new(),
            tied: Vec::new(),
            remarks: Vec::new(),
            problems: Vec::new(),
            previous: None,
        };
        let store = open();
        store.commit(&reading, &[], b"state").unwrap();
        assert!(tell_damage(&store).unwrap().is_empty());
        drop(store);
        for entry in std::fs::read_dir(dir.path().join("journal")).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        for _ in 0..2 {
            let store = open();
            assert!(!tell_damage(&store).unwrap().is_empty());
            let findings = store.findings(None).unwrap();
            assert_eq!(findings.len(), 1);
            assert_eq!((findings[0].detector.as_str(), findings[0].opened_at), (STORE_DAMAGED.id, 5.0));
            assert_eq!(store.judge_state(&key.run, key.attempt).unwrap().as_deref(), Some(&b"state"[..]));
        }
    }
}
