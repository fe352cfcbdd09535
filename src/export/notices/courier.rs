//! Decides what each target must still get, and gets it there.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::{Carrier, Change, Failure, Notice, Notifier, Target};
use crate::export::senders::{SLEEP_MAX, pause};
use crate::store::Store;
use crate::telemetry::{Counters, Delivered, DeliveryFailed, Event};
use crate::terms::{Finding, Quiet, Said, Severity};

/// Where findings come from, and where it is written down what targets have taken.
pub trait Ledger: Send {
    /// All findings, in the order in which they were opened.
    fn findings(&self) -> Result<Vec<Finding>, String>;
    /// What people said about them.
    fn said(&self) -> Result<Arc<Said>, String>;
    /// What the target has taken: key and mark.
    fn taken(&self, target: &str) -> Result<BTreeMap<String, String>, String>;
    /// Writes down what it has taken; on disk when it returns.
    fn record(&self, target: &str, marks: &[(&str, &str)]) -> Result<(), String>;
}

impl Ledger for Store {
    fn findings(&self) -> Result<Vec<Finding>, String> {
        Store::findings(self, None).map_err(|error| error.to_string())
    }
    fn said(&self) -> Result<Arc<Said>, String> {
        Store::said(self).map_err(|error| error.to_string())
    }
    fn taken(&self, target: &str) -> Result<BTreeMap<String, String>, String> {
        Store::taken(self, target).map_err(|error| error.to_string())
    }
    fn record(&self, target: &str, marks: &[(&str, &str)]) -> Result<(), String> {
        self.record_taken(target, marks).map_err(|error| error.to_string())
    }
}

/// Mark of a target that has been met before.
const MET: &str = "met";
/// Mark of a finding that the target knows to be over.
const RESOLVED: &str = "resolved";

/// Begins the mark of a finding that the target was told of and that calls nobody for now; the name of the
/// quiet time follows.
const QUIET: &str = "quiet ";

/// A target that forgets is told again what stands this often: well within the hour that its alerts stand,
/// and soon after it was restarted.
const AGAIN: f64 = 60.0;

/// The window of the rate limit, seconds.
const HOUR: f64 = 3600.0;

/// Keeps the targets informed.
pub struct Courier<L, C> {
    ledger: L,
    carrier: C,
    counters: Arc<Counters>,
    page: Option<String>,
    labels: BTreeMap<String, String>,
    desks: Vec<Desk>,
}

/// What the courier knows of one target.
struct Desk {
    target: Target,
    notifier: &'static dyn Notifier,
    failures: u32,
    not_before: f64,
    told_again_at: f64,
    lately: HashMap<String, VecDeque<f64>>,
}

impl<L: Ledger, C: Carrier> Courier<L, C> {
    /// A courier for those targets. `page` is the page's address for links, `labels` the operator's own.
    pub fn new(
        targets: Vec<Target>,
        page: Option<String>,
        labels: BTreeMap<String, String>,
        ledger: L,
        carrier: C,
        counters: Arc<Counters>,
    ) -> Self {
        let desk = |target: Target| {
            let notifier = target.notifier()?;
            let told_again_at = f64::NEG_INFINITY;
            Some(Desk {
                target,
                notifier,
                failures: 0,
                not_before: 0.0,
                told_again_at,
                lately: HashMap::new(),
            })
        };
        Self {
            ledger,
            carrier,
            counters,
            page,
            labels,
            desks: targets.into_iter().filter_map(desk).collect(),
        }
    }

    /// True where nobody wants notices.
    pub fn is_idle(&self) -> bool {
        self.desks.is_empty()
    }

    /// Brings every target up to date as far as it lets us. Returns when to come again at the latest.
    pub fn round(&mut self, now_seconds: f64) -> Duration {
        let mut wait = SLEEP_MAX;
        let known = self.ledger.findings().and_then(|findings| Ok((findings, self.ledger.said()?)));
        let (findings, said) = match known {
            Ok(known) => known,
            Err(error) => {
                DeliveryFailed { target: "store", error: &error, attempts: 1 }.emit(&self.counters);
                return wait;
            }
        };
        if let Some(end) = said.next_end(now_seconds) {
            // What a silence kept back is told when it ends, not up to a minute later.
            wait = wait.min(Duration::from_secs_f64((end - now_seconds).clamp(0.0, SLEEP_MAX.as_secs_f64())));
        }
        let findings: Vec<Heard<'_>> =
            findings.iter().map(|finding| Heard { finding, quiet: said.of(finding, now_seconds) }).collect();
        let mut desks = std::mem::take(&mut self.desks);
        for desk in &mut desks {
            if now_seconds >= desk.not_before {
                self.serve(desk, &findings, now_seconds);
            }
            if desk.not_before > now_seconds {
                wait = wait.min(Duration::from_secs_f64(desk.not_before - now_seconds));
            }
        }
        self.desks = desks;
        wait
    }

    fn serve(&self, desk: &mut Desk, findings: &[Heard<'_>], now: f64) {
        let name = desk.target.name.clone();
        let result = self.ledger.taken(&name).and_then(|taken| self.introduce(&name, findings, taken));
        let mut taken = match result {
            Ok(taken) => taken,
            Err(error) => return self.failed(desk, Failure::Later { why: error, after: None }, now),
        };
        if let Err(failure) = self.quieten(desk, findings, &mut taken, now) {
            return self.failed(desk, failure, now);
        }
        // A finding may be several steps ahead of what the target knows; each step is told.
        loop {
            let notices = self.due(desk, findings, &taken, now);
            if notices.is_empty() {
                break;
            }
            let mut progress = false;
            for batch in notices.chunks(desk.notifier.batch_max()) {
                match self.tell(desk, batch, &mut taken, now) {
                    Ok(()) => progress = true,
                    Err(failure @ Failure::Later { .. }) => return self.failed(desk, failure, now),
                    Err(failure) => self.failed(desk, failure, now),
                }
            }
            if !progress {
                return;
            }
        }
        if desk.notifier.forgets() && now - desk.told_again_at >= AGAIN {
            self.tell_again(desk, findings, &taken, now);
        }
    }

    /// A target that is met for the first time hears nothing of what was over before.
    fn introduce(
        &self,
        name: &str,
        findings: &[Heard<'_>],
        mut taken: BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, String> {
        if !taken.contains_key(MET) {
            let over = findings.iter().filter(|heard| !heard.finding.is_open());
            let mut marks: Vec<(&str, &str)> =
                over.map(|heard| (heard.finding.id.0.as_str(), RESOLVED)).collect();
            marks.push((MET, "1"));
            self.ledger.record(name, &marks)?;
            taken.extend(marks.into_iter().map(|(key, mark)| (key.to_owned(), mark.to_owned())));
        }
        Ok(taken)
    }

    /// Takes note of findings that call nobody from now on. What the target heard of is marked, so that it can be
    /// told again; one that would go on calling by itself is told to stop. What it never heard of and what is
    /// over meanwhile it never hears of.
    fn quieten(
        &self,
        desk: &Desk,
        findings: &[Heard<'_>],
        taken: &mut BTreeMap<String, String>,
        now: f64,
    ) -> Result<(), Failure> {
        let (mut notices, mut marks) = (Vec::new(), Vec::new());
        for heard in findings.iter().filter(|heard| heard.quiet.is_quiet()) {
            let id = heard.finding.id.0.as_str();
            match taken.get(id).map(String::as_str) {
                None if !heard.finding.is_open() => marks.push((id, RESOLVED.to_owned())),
                Some(mark) if Severity::from_name(mark).is_some() && !heard.tells_end() => {
                    notices.push(self.notice(heard.finding, Change::Quieted));
                    marks.push((id, format!("{QUIET}{:016x}", heard.name())));
                }
                _ => {}
            }
        }
        if desk.notifier.forgets() {
            for batch in notices.chunks(desk.notifier.batch_max()) {
                self.carrier.carry(&desk.notifier.write(batch, now), &desk.target)?;
            }
        }
        if marks.is_empty() {
            return Ok(());
        }
        let texts: Vec<(&str, &str)> = marks.iter().map(|(id, mark)| (*id, mark.as_str())).collect();
        let recorded = self.ledger.record(&desk.target.name, &texts);
        taken.extend(marks.into_iter().map(|(id, mark)| (id.to_owned(), mark)));
        recorded.map_err(|why| Failure::Later { why, after: None })
    }

    /// The next step of each finding that the target does not know yet, gravest first, within its rate.
    fn due<'a>(
        &'a self,
        desk: &mut Desk,
        findings: &'a [Heard<'_>],
        taken: &BTreeMap<String, String>,
        now: f64,
    ) -> Vec<Notice<'a>> {
        let mut due: Vec<Notice<'a>> = findings
            .iter()
            .filter_map(|heard| {
                let change = next(heard, &desk.target, taken.get(&heard.finding.id.0))?;
                Some(self.notice(heard.finding, change))
            })
            .collect();
        due.sort_by_key(|notice| std::cmp::Reverse(notice.finding.severity));
        let mut left: HashMap<&str, usize> = HashMap::new();
        due.retain(|notice| {
            let run = notice.finding.run.as_str();
            let left = left.entry(run).or_insert_with(|| desk.room(run, now));
            let fits = *left > 0;
            *left = left.saturating_sub(1);
            fits
        });
        due
    }

    fn notice<'a>(&'a self, finding: &'a Finding, change: Change) -> Notice<'a> {
        Notice { finding, change, page: self.page.as_deref(), labels: &self.labels }
    }

    fn tell(
        &self,
        desk: &mut Desk,
        notices: &[Notice<'_>],
        taken: &mut BTreeMap<String, String>,
        now: f64,
    ) -> Result<(), Failure> {
        self.carrier.carry(&desk.notifier.write(notices, now), &desk.target)?;
        desk.failures = 0;
        let marks: Vec<(&str, &str)> =
            notices.iter().map(|notice| (notice.finding.id.0.as_str(), mark(notice))).collect();
        let recorded = self.ledger.record(&desk.target.name, &marks);
        taken.extend(marks.iter().map(|(key, mark)| ((*key).to_owned(), (*mark).to_owned())));
        for notice in notices {
            desk.lately.entry(notice.finding.run.to_string()).or_default().push_back(now);
            Delivered { target: &desk.target.name, finding: &notice.finding.id.0 }.emit(&self.counters);
        }
        recorded.map_err(|why| Failure::Later { why, after: None })
    }

    fn tell_again(
        &self,
        desk: &mut Desk,
        findings: &[Heard<'_>],
        taken: &BTreeMap<String, String>,
        now: f64,
    ) {
        let stands = |heard: &&Heard<'_>| {
            let is_told = taken.contains_key(&heard.finding.id.0);
            heard.finding.is_open() && !heard.quiet.is_quiet() && is_told
        };
        let notices: Vec<Notice<'_>> = findings
            .iter()
            .filter(stands)
            .map(|heard| self.notice(heard.finding, Change::Standing))
            .collect();
        for batch in notices.chunks(desk.notifier.batch_max()) {
            if let Err(failure) = self.carrier.carry(&desk.notifier.write(batch, now), &desk.target) {
                return self.failed(desk, failure, now);
            }
        }
        desk.told_again_at = now;
    }

    fn failed(&self, desk: &mut Desk, failure: Failure, now: f64) {
        desk.failures += 1;
        desk.not_before = now + pause(desk.failures, &failure).as_secs_f64();
        let error = failure.to_string();
        DeliveryFailed { target: &desk.target.name, error: &error, attempts: desk.failures }
            .emit(&self.counters);
    }
}

impl Desk {
    /// How many more notices about the run keep within the hour's limit.
    fn room(&mut self, run: &str, now: f64) -> usize {
        let lately = self.lately.entry(run.to_owned()).or_default();
        while lately.front().is_some_and(|at| now - at >= HOUR) {
            lately.pop_front();
        }
        (self.target.per_run_hour_max as usize).saturating_sub(lately.len())
    }
}

/// A finding, and what people said about it.
struct Heard<'a> {
    finding: &'a Finding,
    quiet: Quiet<'a>,
}

impl Heard<'_> {
    /// True where it is quiet and its end is to be told all the same: somebody who knows of it wants to know
    /// that it is over, somebody who silenced it does not.
    fn tells_end(&self) -> bool {
        self.quiet.silence.is_none() && !self.finding.is_open()
    }

    /// Names the quiet time: the silence, or when somebody said that they know.
    fn name(&self) -> u64 {
        match (self.quiet.silence, self.quiet.acknowledgement) {
            (Some(silence), _) => xxhash_rust::xxh3::xxh3_64(silence.id.as_bytes()),
            (None, known) => known.map_or(0, |known| known.at_seconds.to_bits()),
        }
    }
}

/// The next step to tell, given the mark of what the target knows.
fn next(heard: &Heard<'_>, target: &Target, mark: Option<&String>) -> Option<Change> {
    let finding = heard.finding;
    if heard.quiet.is_quiet() && !(mark.is_some() && heard.tells_end()) {
        return None;
    }
    let Some(mark) = mark else {
        return (finding.severity >= target.severity_min).then_some(Change::Opened);
    };
    if let Some(name) = mark.strip_prefix(QUIET) {
        let after = u64::from_str_radix(name, 16).unwrap_or_default();
        return match finding.is_open() {
            true => Some(Change::Again { after }),
            false => target.resolved.then_some(Change::Resolved),
        };
    }
    let known = Severity::from_name(mark)?;
    if finding.severity > known {
        return Some(Change::Raised { from: known });
    }
    (!finding.is_open() && target.resolved).then_some(Change::Resolved)
}

/// What the target knows once it has taken the notice.
fn mark(notice: &Notice<'_>) -> &'static str {
    if notice.change == Change::Resolved { RESOLVED } else { notice.finding.severity.name() }
}

#[cfg(test)]
#[path = "courier_tests.rs"]
mod tests;
