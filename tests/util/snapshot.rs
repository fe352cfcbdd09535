//! Published states made by hand, for tests of what is made from them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use weighbridge::terms::{
    Acknowledgement, Attempt, Catalog, Category, CheckpointFacts, Dtype, Finding, FindingId, LogPoint,
    Meaning, Reading, ReadingKey, Role, RunId, RunPhase, RunStatus, Said, Samples, Severity, Silence,
    Snapshot, Step, StepSource, Subject, SubjectKind, SubjectReading, TensorFacts, TensorReading,
    TrainerState,
};

/// A tensor with those values.
pub fn tensor(name: &str, role: Role, layer: Option<u32>, samples: Samples) -> TensorReading {
    TensorReading {
        facts: TensorFacts {
            name: Arc::from(name),
            dtype: Dtype::F32,
            shape: vec![4, 2],
            meaning: Meaning { role, category: Category::Other, layer, guessed: false, inputs_first: false },
            content_hash: 1,
        },
        samples,
        absent: BTreeMap::new(),
        sketch: None,
        quantiles: Vec::new(),
        spectrum: Vec::new(),
    }
}

/// Values of a head, a layer or the model.
pub fn subject(subject: Subject, samples: Samples) -> SubjectReading {
    SubjectReading { subject, samples, lists: BTreeMap::new(), absent: BTreeMap::new() }
}

/// A reading of step 40 of the second attempt.
pub fn reading(run: &str, tensors: Vec<TensorReading>, subjects: Vec<SubjectReading>) -> Reading {
    let log =
        vec![LogPoint { step: 40, loss: Some(f64::NAN), learning_rate: Some(5e-4), grad_norm: Some(1.0) }];
    Reading {
        key: ReadingKey { run: RunId::new(run), attempt: Attempt(1), step: Step(40) },
        checkpoint: CheckpointFacts {
            path: PathBuf::from("checkpoint-40"),
            layout: "hf_trainer".into(),
            step_source: StepSource::Name,
            timestamp_seconds: 1_700_000_000.5,
            files: Vec::new(),
        },
        family: "gpt2".into(),
        trainer: TrainerState { global_step: Some(40), max_steps: Some(100), epoch: None, log },
        tensors,
        subjects,
        skipped: Vec::new(),
        tied: Vec::new(),
        remarks: Vec::new(),
        problems: Vec::new(),
        previous: None,
    }
}

/// An open finding of run `a`.
pub fn finding(detector: &str, severity: Severity, tensors: &[&str]) -> Arc<Finding> {
    Arc::new(Finding {
        id: FindingId(format!("{detector}-1")),
        run: RunId::new("a"),
        attempt: Attempt(1),
        step: Step(40),
        severity,
        detector: detector.into(),
        tensors: tensors.iter().map(|&tensor| tensor.to_owned()).collect(),
        summary: String::new(),
        cause: String::new(),
        remedy: String::new(),
        evidence: Vec::new(),
        dissent: Vec::new(),
        confidence: 1.0,
        opened_at: 1_700_000_000.5,
        resolved_step: None,
        last_good_step: None,
    })
}

/// A silence of a detector and an acknowledgement of another one's finding, for good.
pub fn said(silenced: &str, acknowledged: &Finding) -> Arc<Said> {
    let silence = Silence {
        id: "s".into(),
        run: "*".into(),
        detector: Some(silenced.into()),
        tensor: None,
        at_seconds: 0.0,
        until_seconds: f64::MAX,
        why: String::new(),
    };
    let known = Acknowledgement {
        run: acknowledged.run.clone(),
        finding: acknowledged.id.clone(),
        severity: acknowledged.severity,
        at_seconds: 0.0,
        why: String::new(),
        withdrawn: false,
    };
    Arc::new(Said::new(vec![silence], vec![known]))
}

/// A run as published.
pub fn status(run: &str, reading: Option<Reading>, open: Vec<Arc<Finding>>) -> Arc<RunStatus> {
    let latest = reading.map(Arc::new);
    Arc::new(RunStatus {
        run: RunId::new(run),
        directory: PathBuf::from(run),
        attempt: Attempt(1),
        phase: RunPhase::Watching,
        newest_values: latest.clone(),
        latest,
        findings_total: open.len() as u64,
        open,
        last_good: Some((Step(30), PathBuf::from("checkpoint-30"))),
        checkpoints_total: 4,
        checkpoint_failures_total: 1,
        publish_delay_seconds: Some(0.25),
        duration_seconds: 0.125,
        losses: Vec::new(),
        pending: Vec::new(),
        missed: Vec::new(),
        carried: Arc::default(),
    })
}

/// One run in which every metric of the catalog has a value, `tensors` times.
pub fn with_every_metric(catalog: &Catalog, tensors: usize) -> Snapshot {
    let of = |kind: SubjectKind| {
        catalog.iter().filter(|def| def.subject == kind).map(|def| (def.name, 1.0)).collect()
    };
    let tensors: Vec<_> = (0..tensors)
        .map(|number| {
            let role = Role::ALL[number % Role::ALL.len()];
            tensor(&format!("h.{number}.weight"), role, Some(number as u32), of(SubjectKind::Tensor))
        })
        .collect();
    let subjects = vec![
        subject(Subject::Model, of(SubjectKind::Model)),
        subject(Subject::Layer(0), of(SubjectKind::Layer)),
        subject(Subject::Head { layer: 0, head: 0 }, of(SubjectKind::Head)),
    ];
    let open = vec![finding("not_a_number", Severity::Critical, &["h.0.weight"])];
    Snapshot { runs: vec![status("a", Some(reading("a", tensors, subjects)), open)], ..Snapshot::default() }
}
