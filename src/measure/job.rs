//! One tensor to be weighed, and what came out.

use std::sync::Arc;

use super::cells::Ranked;
use super::change::{self, Interval};
use super::inventory::Special;
use super::memory;
use super::plan::Progress;
use super::rows;
use super::sheet::Sheet;
use super::sketch::{Recipe, Sketcher, VERSION};
use crate::terms::{
    BlockSource, Meaning, Problem, ProblemKind, Reason, Sketch, SourceError, TensorFacts, TensorInfo,
    TensorReading,
};

/// One tensor to be weighed.
pub(super) struct Job<'a> {
    pub(super) source: &'a dyn BlockSource,
    /// Its index in the source.
    pub(super) index: usize,
    pub(super) info: &'a TensorInfo,
    pub(super) meaning: Meaning,
    /// The same tensor in the previous checkpoint, in the same shape.
    pub(super) previous: Option<Before<'a>>,
    /// Numbers in a sketch; 0 for none.
    pub(super) sketch_len: usize,
    pub(super) recipe: &'a Recipe,
    /// True where rows and columns are wanted.
    pub(super) rows: bool,
    /// Quantiles to remember.
    pub(super) quantiles: usize,
    pub(super) progress: &'a dyn Progress,
    /// The learning rate that the trainer logged last.
    pub(super) learning_rate: Option<f64>,
}

/// The tensor as it was in the previous checkpoint.
pub(super) struct Before<'a> {
    pub(super) source: &'a dyn BlockSource,
    pub(super) index: usize,
    pub(super) info: &'a TensorInfo,
    pub(super) interval: Interval,
}

impl Before<'_> {
    /// All its bytes; none where they cannot be read: the previous checkpoint is rotated away at will,
    /// and that is no fault of this one.
    pub(super) fn read_whole(&self) -> Option<Vec<u8>> {
        let mut bytes = vec![0; self.info.bytes() as usize];
        self.source.read(self.index, 0, &mut bytes).ok()?;
        Some(bytes)
    }
}

impl Job<'_> {
    /// Why the metrics of rows cannot be had, if so.
    pub(super) fn no_rows(&self, special: &Special) -> Option<Reason> {
        let asked = (!self.rows).then_some(Reason::NotApplicable("weighed without rows"));
        let finite = special.nan + special.inf == 0;
        asked.or_else(|| rows::no_rows(&self.info.shape, finite, special.zero == self.info.elements()))
    }

    /// All bytes of the tensor.
    pub(super) fn read_whole(&self) -> Result<Vec<u8>, SourceError> {
        self.progress.piece();
        let mut bytes = vec![0; self.info.bytes() as usize];
        self.source.read(self.index, 0, &mut bytes)?;
        self.progress.bytes(bytes.len() as u64);
        Ok(bytes)
    }

    /// Elements of a row: the last dimension; 1 for a scalar.
    pub(super) fn row_len(&self) -> usize {
        self.info.shape.last().map_or(1, |&columns| columns as usize)
    }

    /// A fault of this tensor, told with its place.
    pub(super) fn problem(&self, kind: ProblemKind, detail: String, remedy: &str) -> Problem {
        problem(self.info, kind, detail, remedy)
    }

    /// A failed read, told with its place.
    pub(super) fn read_problem(&self, error: &SourceError) -> Problem {
        read_problem(self.info, error)
    }
}

/// A fault of a tensor, told with its place.
pub(super) fn problem(info: &TensorInfo, kind: ProblemKind, detail: String, remedy: &str) -> Problem {
    Problem {
        kind,
        path: info.file.clone(),
        tensor: Some(info.name.to_string()),
        offset: None,
        detail,
        remedy: remedy.to_owned(),
    }
}

/// A failed read of a tensor, told with its place.
pub(super) fn read_problem(info: &TensorInfo, error: &SourceError) -> Problem {
    match error {
        SourceError::Gone { offset, .. } => Problem {
            offset: Some(*offset),
            ..problem(
                info,
                ProblemKind::Rotated,
                "the file ended early or went away while it was read".to_owned(),
                "keep checkpoints longer than a weighing takes, or weigh the next one",
            )
        },
        // Whoever stopped it throws this reading away.
        SourceError::Stopped => problem(
            info,
            ProblemKind::Unreadable,
            "reading was stopped".to_owned(),
            "the checkpoint is weighed at the next start",
        ),
        SourceError::Io { offset, message, .. } => Problem {
            offset: Some(*offset),
            ..problem(
                info,
                ProblemKind::Unreadable,
                format!("cannot read: {message}"),
                "check the disk and the file's permissions",
            )
        },
    }
}

/// What came out for one tensor.
pub(super) struct Outcome {
    pub(super) sheet: Sheet,
    pub(super) content_hash: u64,
    pub(super) sketch: Option<Sketch>,
    pub(super) quantiles: Vec<f32>,
    /// Sums of squares of the change and of the values before.
    pub(super) change: Option<(f64, f64)>,
}

impl Outcome {
    /// Nothing measured yet; where there is no previous tensor, that is noted.
    pub(super) fn new(job: &Job<'_>) -> Self {
        let mut sheet = Sheet::default();
        // Until somebody who remembers fills it in.
        memory::DEFS.iter().for_each(|def| sheet.lack(def.name, Reason::NoPrevious));
        if job.previous.is_none() {
            change::lack(&Reason::NoPrevious, &mut sheet);
        }
        Self { sheet, content_hash: 0, sketch: None, quantiles: Vec::new(), change: None }
    }

    /// Keeps the quantiles at (i + 1/2) / n.
    pub(super) fn remember_quantiles(&mut self, job: &Job<'_>, ranked: &Ranked<'_>) {
        if ranked.total() == 0 {
            return;
        }
        let n = job.quantiles as f64;
        self.quantiles = (0..job.quantiles).map(|i| ranked.quantile((i as f64 + 0.5) / n) as f32).collect();
    }

    /// Sketches a tensor that is held whole.
    pub(super) fn sketch_whole(&mut self, job: &Job<'_>, values: &[f32]) {
        if values.len() <= job.sketch_len {
            let values = values.iter().map(|x| if x.is_finite() { *x } else { 0.0 }).collect();
            self.sketch = Some(Sketch { version: VERSION, values, exact: true });
            return;
        }
        let mut sketcher = Sketcher::new(job.recipe);
        sketcher.push(job.recipe, 0, values);
        self.sketch = Some(sketcher.finish());
    }

    /// The finished record.
    pub(super) fn into_reading(self, job: &Job<'_>) -> TensorReading {
        let info = job.info;
        let facts = TensorFacts {
            name: Arc::clone(&info.name),
            dtype: info.dtype,
            shape: info.shape.clone(),
            meaning: job.meaning,
            content_hash: self.content_hash,
        };
        let Sheet { samples, absent, spectrum } = self.sheet;
        TensorReading { facts, samples, absent, sketch: self.sketch, quantiles: self.quantiles, spectrum }
    }
}
