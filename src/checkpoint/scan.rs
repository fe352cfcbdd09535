//! Walks the watched directories, at a cost that follows what changed and not what is there.
//!
//! Every look asks each directory for its modification time and lists again those that differ. A
//! checkpoint's files are asked one by one; one that has not changed for long is asked less often (after
//! a twentieth of its age, at most [`Settings::rest_seconds`]), unless its run's directory changed or an
//! event named it. Nothing is parsed again as long as no stamp changed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::candidate::{Candidate, Error};
use super::disk::{self, Collected, Disk, Kind, Listing};
use super::json::problem;
use super::layouts::{Claim, Draft, Found, LAYOUTS, Layout, any_weights, is_unfinished};
use super::settings::Settings;
use crate::terms::{FileStamp, Problem, ProblemKind, RunId, Step, StepSource};

/// Directories below the watched ones that are looked at; beyond it, a problem says so.
const DIRECTORIES_MAX: usize = 50_000;
/// A checkpoint that has not changed for this many times as long as it was left alone is asked again.
const REST_SHARE: f64 = 20.0;
/// No checkpoint is left alone before it was the same for this long, seconds.
const REST_AFTER_SECONDS: f64 = 10.0;

/// Everything that one look at the disk showed.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// Checkpoints by run, then step. The same allocation as in the last scan where nothing changed.
    pub candidates: Vec<Arc<Candidate>>,
    /// Every run and its directory, by name.
    pub runs: Vec<(RunId, PathBuf)>,
    /// Directories that could not be read, entries that break a limit, two files that claim one step.
    pub problems: Vec<Problem>,
}

/// Looks at the same directories again and again, and reads only what changed since the last look.
#[derive(Debug)]
pub struct Scanner {
    roots: Vec<PathBuf>,
    settings: Settings,
    disk: Disk,
    looked: HashMap<PathBuf, Looked>,
    touched: HashSet<PathBuf>,
}

/// What the last look at a checkpoint showed.
#[derive(Debug)]
struct Looked {
    candidate: Arc<Candidate>,
    claim: Claim,
    witnesses: Vec<Option<(u64, i64)>>,
    has_step: bool,
    looked_at: Instant,
    changed_at: Instant,
}

/// A directory with checkpoints, and what names it.
struct Run<'a> {
    id: RunId,
    listing: &'a Listing,
    boundary: Option<&'a Path>,
}

impl Scanner {
    /// For these watched directories. Nothing is read yet.
    pub fn new(roots: &[PathBuf], settings: &Settings) -> Self {
        Self {
            roots: roots.iter().map(|root| absolute(root)).collect(),
            settings: settings.clone(),
            disk: Disk::default(),
            looked: HashMap::new(),
            touched: HashSet::new(),
        }
    }

    /// Something happened at this path (an event's path): look at it afresh in the next scan.
    pub fn touch(&mut self, path: &Path) {
        let path = absolute(path);
        for above in path.ancestors().take(4) {
            self.disk.forget(above);
            self.touched.insert(above.to_path_buf());
        }
    }

    /// Looks at the disk.
    pub fn scan(&mut self) -> Scan {
        self.disk.begin();
        let mut scan = Scan::default();
        let (mut seen, mut links) = (HashSet::new(), HashSet::new());
        for root in self.roots.clone() {
            self.walk(&root, &mut scan, &mut seen, &mut links);
        }
        self.touched.clear();
        self.looked.retain(|path, _| seen.contains(path));
        drop_second_names(&mut scan.candidates, &links);
        number_sequences(&mut scan.candidates, &mut self.looked);
        scan.candidates.sort_by(|a, b| (&a.run, a.step, &a.path).cmp(&(&b.run, b.step, &b.path)));
        drop_step_clashes(&mut scan);
        scan.runs.sort();
        scan
    }

    /// One watched directory and everything below it.
    fn walk(
        &mut self,
        root: &Path,
        scan: &mut Scan,
        seen: &mut HashSet<PathBuf>,
        links: &mut HashSet<PathBuf>,
    ) {
        let boundary = fs::canonicalize(root).unwrap_or_else(|_| root.to_path_buf());
        let mut visited = HashSet::new();
        let mut todo = vec![(root.to_path_buf(), 0)];
        while let Some((path, depth)) = todo.pop() {
            let listing = match self.disk.list(&path, Some(&boundary)) {
                Ok(listing) => listing,
                Err(error) if depth > 0 && error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => {
                    scan.problems.push(unreadable(&path, &error));
                    continue;
                }
            };
            if visited.len() == DIRECTORIES_MAX {
                let detail = format!("more than {DIRECTORIES_MAX} directories; the rest is not looked at");
                let remedy = "watch the directories of the runs instead of one so far above them";
                scan.problems.push(problem(ProblemKind::Hostile, root, detail, remedy));
                break;
            }
            visited.insert(path.clone());
            scan.problems.extend(listing.refused());
            let claims = self.claims(&listing, &boundary);
            let claimed: HashSet<&str> = claims.iter().map(|(_, claim)| claim.entry.as_str()).collect();
            if depth < self.settings.depth_max {
                let below = listing.entries.iter().filter(|entry| entry.kind == Kind::Directory);
                let below =
                    below.filter(|entry| !is_unfinished(&entry.name) && !claimed.contains(&*entry.name));
                for entry in below {
                    // A linked directory inside the watched one is found at its own place.
                    if entry.link.is_none() {
                        todo.push((path.join(&entry.name), depth + 1));
                    }
                }
            }
            if !claims.is_empty() {
                let run =
                    Run { id: run_id(root, &path, &scan.runs), listing: &listing, boundary: Some(&boundary) };
                scan.runs.push((run.id.clone(), path.clone()));
                for (layout, claim) in claims {
                    if listing.entry(&claim.entry).is_some_and(|entry| entry.link.is_some()) {
                        links.insert(path.join(&claim.entry));
                    }
                    self.look(layout, claim, &run, scan, seen);
                }
            }
        }
    }

    /// What the layouts see in a directory. A later layout gets what no earlier one claimed; bare files
    /// count only where nothing else is.
    fn claims(&mut self, listing: &Listing, boundary: &Path) -> Vec<(&'static dyn Layout, Claim)> {
        let mut claims: Vec<(&'static dyn Layout, Claim)> = Vec::new();
        for &layout in LAYOUTS {
            if layout.yields() && (!claims.is_empty() || !self.settings.bare_files) {
                continue;
            }
            let disk = &mut self.disk;
            let claimed: HashSet<String> = claims.iter().map(|(_, claim)| claim.entry.clone()).collect();
            let mut peek = |name: &str| match claimed.contains(name) || is_unfinished(name) {
                true => None,
                false => disk.list(&listing.path.join(name), Some(boundary)).ok(),
            };
            for claim in layout.claim(listing, &mut peek) {
                let taken = claims.iter().any(|(_, other)| other.entry == claim.entry);
                if !taken && !is_unfinished(&claim.entry) {
                    claims.push((layout, claim));
                }
            }
        }
        claims
    }

    /// One claimed checkpoint, from the last look where nothing changed since.
    fn look(
        &mut self,
        layout: &'static dyn Layout,
        claim: Claim,
        run: &Run<'_>,
        scan: &mut Scan,
        seen: &mut HashSet<PathBuf>,
    ) {
        let path = run.listing.path.join(&claim.entry);
        let witnesses = claim.witnesses.iter().map(|name| disk::witness(&run.listing.path.join(name)));
        let witnesses: Vec<_> = witnesses.collect();
        let before = self.looked.get_mut(&path);
        let before = before.filter(|before| before.claim == claim && before.candidate.run == run.id);
        let before =
            before.filter(|before| before.witnesses == witnesses && before.candidate.layout == layout.name());
        let now = Instant::now();
        if let Some(before) = &before
            && !self.touched.contains(&path)
            && before.rests(now, self.settings.rest_seconds)
        {
            scan.candidates.push(before.candidate.clone());
            seen.insert(path);
            return;
        }
        let collected = match collect(&claim, run) {
            Ok(collected) if claim.is_directory() || !collected.files.is_empty() => collected,
            Ok(_) => return,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => return scan.problems.push(unreadable(&path, &error)),
        };
        if let Some(before) = before
            && before.candidate.identity == collected.identity
        {
            before.looked_at = now;
            scan.candidates.push(before.candidate.clone());
            seen.insert(path);
            return;
        }
        let (candidate, has_step) = examine(layout, &claim, run, collected);
        let candidate = Arc::new(candidate);
        let looked = Looked {
            candidate: candidate.clone(),
            claim,
            witnesses,
            has_step,
            looked_at: now,
            changed_at: now,
        };
        scan.candidates.push(candidate);
        self.looked.insert(path.clone(), looked);
        seen.insert(path);
    }
}

impl Looked {
    /// True while an unchanged checkpoint need not be asked again.
    fn rests(&self, now: Instant, rest_seconds: f64) -> bool {
        let unchanged = self.looked_at.duration_since(self.changed_at).as_secs_f64();
        let rest =
            if unchanged < REST_AFTER_SECONDS { 0.0 } else { (unchanged / REST_SHARE).min(rest_seconds) };
        now.duration_since(self.looked_at).as_secs_f64() < rest
    }
}

fn collect(claim: &Claim, run: &Run<'_>) -> std::io::Result<Collected> {
    if claim.is_directory() {
        disk::collect_directory(&run.listing.path.join(&claim.entry), run.boundary)
    } else {
        Ok(disk::collect_files(&run.listing.path, &claim.members))
    }
}

/// Lets the layout look into a checkpoint; also says whether its step is known.
fn examine(layout: &dyn Layout, claim: &Claim, run: &Run<'_>, collected: Collected) -> (Candidate, bool) {
    let path = run.listing.path.join(&claim.entry);
    let root = if claim.is_directory() { path.clone() } else { run.listing.path.clone() };
    let found = Found { claim, directory: run.listing, root: &root, files: &collected.files };
    let Draft { step, weights, written, mut problems } = layout.examine(&found);
    problems.splice(0..0, collected.problems.iter().cloned());
    let (number, step_source) = step.unwrap_or((0, StepSource::Sequence));
    let timestamp_seconds = collected.timestamp_seconds();
    let below = root.strip_prefix(&run.listing.path).unwrap_or(Path::new(""));
    let files = collected.files.into_iter().map(|file| FileStamp { path: below.join(file.path), ..file });
    let candidate = Candidate {
        run: run.id.clone(),
        run_directory: run.listing.path.clone(),
        files: files.collect(),
        identity: collected.identity,
        layout: layout.name(),
        step: Step(number),
        step_source,
        timestamp_seconds,
        path,
        root,
        weights,
        written,
        problems,
    };
    (candidate, step.is_some())
}

/// The run's name: the path below the watched directory, or its own name where it is the run.
fn run_id(root: &Path, path: &Path, runs: &[(RunId, PathBuf)]) -> RunId {
    let own = root.file_name().map_or("run".into(), |name| name.to_string_lossy());
    let name = match path.strip_prefix(root) {
        Ok(below) if !below.as_os_str().is_empty() => below.to_string_lossy().into_owned(),
        _ => own.clone().into_owned(),
    };
    let id = RunId::new(&name);
    // Two watched directories may each hold a run of one name: the later one is told by its root too.
    let taken = runs.iter().any(|(other, directory)| *other == id && directory != path);
    if taken { RunId::new(format!("{own}/{name}")) } else { id }
}

/// Drops checkpoints that are links to others (`checkpoint-last`): each is weighed once, under its own name.
fn drop_second_names(candidates: &mut Vec<Arc<Candidate>>, links: &HashSet<PathBuf>) {
    if links.is_empty() {
        return;
    }
    let real = |candidate: &Candidate| fs::canonicalize(&candidate.path).unwrap_or(candidate.path.clone());
    let own = candidates.iter().filter(|candidate| !links.contains(&candidate.path));
    let mut taken: HashSet<PathBuf> = own.map(|candidate| real(candidate)).collect();
    candidates.retain(|candidate| !links.contains(&candidate.path) || taken.insert(real(candidate)));
}

/// Numbers the checkpoints of a run that nothing names a step for by time, from 1.
fn number_sequences(candidates: &mut [Arc<Candidate>], looked: &mut HashMap<PathBuf, Looked>) {
    let mut nameless: BTreeMap<RunId, Vec<usize>> = BTreeMap::new();
    for (at, candidate) in candidates.iter().enumerate() {
        if looked.get(&candidate.path).is_some_and(|looked| !looked.has_step) {
            nameless.entry(candidate.run.clone()).or_default().push(at);
        }
    }
    for places in nameless.values_mut() {
        places.sort_by(|&a, &b| {
            let key = |at: usize| (candidates[at].timestamp_seconds, &candidates[at].path);
            key(a).partial_cmp(&key(b)).unwrap_or(std::cmp::Ordering::Equal)
        });
        for (number, &at) in places.iter().enumerate() {
            let step = Step(number as u64 + 1);
            if candidates[at].step != step {
                candidates[at] = Arc::new(Candidate { step, ..Candidate::clone(&candidates[at]) });
                if let Some(looked) = looked.get_mut(&candidates[at].path) {
                    looked.candidate = candidates[at].clone();
                }
            }
        }
    }
}

/// Where two checkpoints of a run claim one step, the newer one counts, and a problem names the other.
fn drop_step_clashes(scan: &mut Scan) {
    let mut kept: Vec<Arc<Candidate>> = Vec::with_capacity(scan.candidates.len());
    for candidate in scan.candidates.drain(..) {
        match kept.last_mut() {
            Some(last) if last.run == candidate.run && last.step == candidate.step => {
                let newer = candidate.timestamp_seconds > last.timestamp_seconds;
                let older = if newer { std::mem::replace(last, candidate) } else { candidate };
                let detail = format!(
                    "claims step {} of run {}, as {} does",
                    older.step,
                    older.run,
                    last.path.display()
                );
                let remedy = "give each series of checkpoints a directory of its own";
                scan.problems.push(problem(ProblemKind::Malformed, &older.path, detail, remedy));
            }
            _ => kept.push(candidate),
        }
    }
    scan.candidates = kept;
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let detail = format!("directory cannot be read: {error}");
    problem(ProblemKind::Unreadable, path, detail, "check that it is there and that this user may read it")
}

/// The path as it would be from the root directory, links not followed.
fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    // `std::path::absolute` keeps `..`; names of runs must not.
    if path.components().any(|part| part == std::path::Component::ParentDir) {
        return fs::canonicalize(&path).unwrap_or(path);
    }
    path.components().collect()
}

/// One look, with nothing remembered: for `replay` and tests.
pub fn scan(roots: &[PathBuf], settings: &Settings) -> Scan {
    Scanner::new(roots, settings).scan()
}

/// The checkpoint at one path, a directory or a file, whatever lies around it. The path is the user's
/// own word: links are followed, and a directory that no layout knows is searched for weights.
pub fn candidate_at(path: &Path, settings: &Settings) -> Result<Candidate, Error> {
    let path = absolute(path);
    let unreadable = |source| Error::Unreadable { path: path.clone(), source };
    let metadata = fs::metadata(&path).map_err(unreadable)?;
    let mut scanner = Scanner::new(&[], &Settings { bare_files: true, ..settings.clone() });
    let parent = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
    let listing = scanner.disk.list(parent, None).unwrap_or_default();
    let id = parent.file_name().map_or("run".into(), |name| name.to_string_lossy());
    let run = Run { id: RunId::new(id), listing: &listing, boundary: None };
    let claims = if listing.path == parent { scanner.claims(&listing, Path::new("/")) } else { Vec::new() };
    let known = claims.into_iter().find(|(_, claim)| claim.entry == name || claim.members.contains(&name));
    let listing_of_own = Listing { path: parent.to_path_buf(), ..Listing::default() };
    let (layout, claim, run) = match known {
        Some((layout, claim)) => (layout, claim, run),
        None if metadata.is_dir() => (
            &any_weights::AnyWeights as &dyn Layout,
            Claim::directory(&name),
            Run { listing: &listing_of_own, ..run },
        ),
        None => (
            &any_weights::AnyWeights as &dyn Layout,
            Claim::files(vec![name]),
            Run { listing: &listing_of_own, ..run },
        ),
    };
    let collected = collect(&claim, &run).map_err(unreadable)?;
    let (candidate, _) = examine(layout, &claim, &run, collected);
    if candidate.weights.is_empty() && candidate.problems.is_empty() {
        let detail = "no file in it is known to hold weights".to_string();
        return Err(Error::NotACheckpoint { path: candidate.path, detail });
    }
    Ok(candidate)
}
