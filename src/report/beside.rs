//! What is told beside findings: what people said of them, and what kind of run each is of.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::detect::{RunKind, run_kind};
use crate::store::{Error, Store};
use crate::terms::{Finding, Quiet, Reading, RunId, Said};

/// As of one moment.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    said: Arc<Said>,
    now_seconds: f64,
    kinds: BTreeMap<RunId, Option<RunKind>>,
}

impl Beside {
    /// What was said as of `now_seconds` since 1970.
    pub fn new(said: Arc<Said>, now_seconds: f64) -> Self {
        Self { said, now_seconds, kinds: BTreeMap::new() }
    }

    /// The same with the kinds of the findings' runs. `newest` looks a run's newest reading up, once a run.
    pub fn with_kinds<R: Borrow<Reading>, E>(
        mut self,
        findings: &[Finding],
        newest: impl Fn(&RunId) -> Result<Option<R>, E>,
    ) -> Result<Self, E> {
        for finding in findings {
            if !self.kinds.contains_key(&finding.run) {
                let reading = newest(&finding.run)?;
                let kind = reading.and_then(|reading| run_kind(reading.borrow()));
                self.kinds.insert(finding.run.clone(), kind);
            }
        }
        Ok(self)
    }

    /// What a store at rest has about these findings.
    pub fn of(store: &Store, findings: &[Finding], now_seconds: f64) -> Result<Self, Error> {
        let newest = |run: &RunId| match store.keys(run).last() {
            Some(key) => store.reading_without_bulk(key),
            None => Ok(None),
        };
        Self::new(store.said()?, now_seconds).with_kinds(findings, newest)
    }

    /// Why a finding calls nobody, if so.
    pub fn quiet(&self, finding: &Finding) -> Quiet<'_> {
        self.said.of(finding, self.now_seconds)
    }

    /// The kind of the finding's run, where it is known.
    pub fn kind(&self, finding: &Finding) -> Option<RunKind> {
        self.kinds.get(&finding.run).copied().flatten()
    }
}
