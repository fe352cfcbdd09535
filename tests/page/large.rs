//! How fast the views are on a run of 1,000 checkpoints × 150 tensors. It prints what it measured and
//! holds nobody to it: a busy machine is not a fault.
//!
//!     cargo test --release --test main page::large -- --ignored --nocapture

use std::path::Path;

use weighbridge::store::{Settings, Store};
use weighbridge::terms::{
    Evidence, Finding, FindingId, LogPoint, ReadingKey, Role, RunId, Samples, Severity, Sketch, Step,
    Subject, SubjectKind,
};

use super::browser::{Browser, Window};
use crate::util::{Daemon, get, snapshot};

const CHECKPOINTS: u64 = 1000;
const LAYERS: u32 = 25;
const ROLES: [Role; 6] = [Role::AttnQ, Role::AttnK, Role::AttnV, Role::AttnOut, Role::MlpUp, Role::MlpDown];
const TENSOR: &str = "layers.3.attn_q.weight";
/// Where the finding opens, and its name.
const SICK_STEP: u64 = 700;
const FINDING: &str = "rank_collapse-1";

fn samples(kind: SubjectKind, wave: impl Fn(usize) -> f64) -> Samples {
    let catalog = weighbridge::measure::catalog();
    catalog.iter().filter(|def| def.subject == kind).enumerate().map(|(i, def)| (def.name, wave(i))).collect()
}

fn fill(store: &Store, run: &str, checkpoints: u64) {
    for step in 1..=checkpoints {
        let wave =
            |layer: u32, i: usize| (step as f64 / 90.0 + f64::from(layer) + i as f64).sin().abs() + 0.1;
        let mut tensors = Vec::new();
        for layer in 0..LAYERS {
            let values = samples(SubjectKind::Tensor, |i| wave(layer, i));
            for role in ROLES {
                let name = format!("layers.{layer}.{role}.weight");
                let mut tensor = snapshot::tensor(&name, role, Some(layer), values.clone());
                tensor.quantiles =
                    (0..128).map(|i| (i as f32 - 64.0) / 64.0 * wave(layer, 3) as f32).collect();
                let values = vec![wave(layer, 5) as f32; 1024];
                tensor.sketch = Some(Sketch { version: 1, values, exact: false });
                tensors.push(tensor);
            }
        }
        let heads = (0..LAYERS).flat_map(|layer| (0..12).map(move |head| Subject::Head { layer, head }));
        let of_head = |layer| samples(SubjectKind::Head, |i| wave(layer, i));
        let subjects = heads
            .map(|head| match head {
                Subject::Head { layer, .. } => snapshot::subject(head, of_head(layer)),
                other => snapshot::subject(other, Samples::new()),
            })
            .collect();
        let mut reading = snapshot::reading(run, tensors, subjects);
        reading.key.step = Step(step);
        reading.trainer.log = vec![LogPoint {
            step,
            loss: Some(4.0 / (1.0 + step as f64 / 200.0)),
            learning_rate: Some(1e-3),
            grad_norm: Some(wave(0, 0)),
        }];
        let found: &[Finding] = if step == SICK_STEP { &[finding(&reading.key)] } else { &[] };
        store.commit(&reading, found, &[]).unwrap();
    }
}

fn finding(key: &ReadingKey) -> Finding {
    let evidence = ["stable_rank", "effective_rank", "rms", "std"].map(|metric| Evidence {
        subject: Subject::Tensor(TENSOR.into()),
        metric: metric.to_owned(),
        value: Some(0.5),
        expected: "0.9 to 1.1".to_owned(),
    });
    Finding {
        id: FindingId(FINDING.to_owned()),
        run: key.run.clone(),
        attempt: key.attempt,
        step: key.step,
        summary: format!("{TENSOR} loses its rank"),
        evidence: evidence.into(),
        ..Finding::clone(&snapshot::finding("rank_collapse", Severity::Critical, &[TENSOR]))
    }
}

/// What a person does, as a script, and what it is called.
fn deeds() -> Vec<(&'static str, String)> {
    let go = |hash: &str| format!("location.hash = '{hash}'");
    let pick = |label: &str, value: &str| {
        format!(
            "const select = [...document.querySelectorAll('label')].find(l => l.textContent.startsWith('{label}'))\
             .querySelector('select'); select.value = '{value}'; select.dispatchEvent(new Event('change'))"
        )
    };
    vec![
        ("run", go("#/run/large")),
        ("run: another metric", pick("metric", "stable_rank")),
        ("run: values of all rows", pick("colours", "all")),
        ("fleet", go("#/")),
        ("run again", go("#/run/large")),
        ("run: a metric of heads", pick("metric", "qk_norm")),
        ("checkpoint", go("#/run/large/step/1000")),
        ("two checkpoints", go("#/run/large/step/1000?with=1")),
        ("old checkpoint", go("#/run/large/step/123")),
        ("tensor", go(&format!("#/run/large/step/1000/tensor/{TENSOR}"))),
        ("tensor of an old checkpoint", go(&format!("#/run/large/step/321/tensor/{TENSOR}"))),
        ("heads", go("#/run/large/step/1000/heads")),
        ("heads of an old checkpoint", go("#/run/large/step/222/heads")),
        ("finding", go(&format!("#/run/large/finding/{FINDING}"))),
        ("compare: loss", go("#/overlay")),
        ("compare: another metric", pick("metric", "effective_rank")),
    ]
}

/// Milliseconds after which the view stands, and after which all its pictures have come. Where the view stays,
/// the second is when each picture of a metric has become another one.
fn measure(browser: &Browser, deed: &str) -> (u64, u64) {
    let taken = browser.run_async(&format!(
        "const done = arguments[arguments.length - 1], start = performance.now(), data = document.documentElement.dataset; \
         const now = () => Math.round(performance.now() - start), before = [data.ready, data.whole], taken = []; \
         const cards = ['heat', 'bands', 'overlay'].map(id => document.getElementById(`figure-${{id}}`)).filter(Boolean); \
         const figures = cards.map(card => card.figure); \
         {deed}; \
         const look = () => {{ \
           if (!taken.length && data.ready !== before[0]) taken.push(now()); \
           if (cards.length && cards.every((card, i) => card.isConnected && card.figure !== figures[i])) done([now(), now()]); \
           else if (data.whole !== before[1]) done([...taken, now()]); else requestAnimationFrame(look); }}; look();"
    ));
    (taken[0].as_u64().unwrap(), taken[1].as_u64().unwrap())
}

/// Drags the slider for four seconds. Counted are the frames in which the picture is another one: facts that stay the
/// same, or stay away, are drawn as well.
fn slide(browser: &Browser, picture: &str) -> (f64, f64) {
    let steps = browser.run_async(&format!(
        "const done = arguments[arguments.length - 1], range = document.querySelector('input[type=range]'); \
         const card = document.querySelector('{picture}'), start = performance.now(); \
         let drawn = 0, at = 0, last = card.figure, over = false; \
         const look = () => {{ drawn += card.figure !== last; last = card.figure; if (!over) requestAnimationFrame(look); }}; look(); \
         const move = () => {{ range.value = ++at; range.dispatchEvent(new Event('input')); \
           if (performance.now() - start < 4000) setTimeout(move, 30); else {{ over = true; done([drawn / 4, at / 4]); }} }}; move();"
    ));
    (steps[0].as_f64().unwrap(), steps[1].as_f64().unwrap())
}

fn find(browser: &Browser) -> u64 {
    let taken = browser.run_async(
        "const done = arguments[arguments.length - 1], input = document.querySelector('.search input'), start = performance.now(); \
         input.value = 'large 17 attn_k'; input.dispatchEvent(new Event('input')); \
         const look = () => document.querySelector('.search li a') ? done(Math.round(performance.now() - start)) : requestAnimationFrame(look); look();",
    );
    taken.as_u64().unwrap()
}

/// The daemon has looked ahead: nothing is measured while it still works on what it found at its start.
fn rest(url: &str) {
    crate::util::wait_for("the first scan", || {
        get(&format!("{url}/api/v1/state")).filter(|state| state.contains("\"ready\":true"))
    });
    let used = || {
        let scrape = get(&format!("{url}/metrics")).unwrap_or_default();
        let line = scrape.lines().find(|line| line.starts_with("weighbridge_process_cpu_seconds_total"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or(0.0)
    };
    let (mut before, mut now) = (-1.0, used());
    while now - before > 0.1 {
        std::thread::sleep(std::time::Duration::from_secs(2));
        (before, now) = (now, used());
    }
}

#[test]
#[ignore = "measures; see above"]
fn views_of_a_long_run() {
    let directory = tempfile::tempdir().unwrap();
    // A store that is named is kept, and used again the next time.
    let kept = std::env::var_os("PAGE_LARGE").map(std::path::PathBuf::from);
    let place = kept.unwrap_or_else(|| directory.path().to_owned());
    let (root, store) = (place.join("runs"), place.join("store"));
    std::fs::create_dir_all(&root).unwrap();
    if !store.exists() {
        make(&store);
    }
    let daemon = Daemon::watch(&root, &store);
    rest(&daemon.url);
    let browser = Browser::open(Window { width: 1600, dark: false });
    browser.go(&format!("{}/", daemon.url));
    println!("first paint: {} ms", browser.first_paint());
    let mut slowest = ("", 0);
    for (name, deed) in deeds() {
        let (shown, whole) = measure(&browser, &deed);
        println!("{name}: shown after {shown} ms, with all pictures after {whole} ms");
        slowest = if whole > slowest.1 { (name, whole) } else { slowest };
    }
    println!("search: hits after {} ms", find(&browser));
    println!("slowest: {} with {} ms", slowest.0, slowest.1);
    println!("layout shift: {}", browser.layout_shift());
    for (view, hash, picture) in [
        ("checkpoint", "#/run/large/step/1", "#figure-S8"),
        ("two checkpoints", "#/run/large/step/1?with=900", "#figure-S8"),
        ("tensor", "#/run/large/step/1/tensor/layers.3.attn_q.weight", "#figure-histogram"),
        ("heads", "#/run/large/step/1/heads", "#figure-circuits"),
    ] {
        browser.go(&format!("{}/{hash}", daemon.url));
        let (drawn, asked) = slide(&browser, picture);
        println!("slider, {view}: {drawn} steps a second drawn, {asked} asked for");
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
    let report = format!("{}/api/v1/report?run=large", daemon.url);
    let report = ureq::get(report).call().unwrap().body_mut().read_to_string().unwrap();
    println!("report: {} bytes", report.len());
    assert!(report.len() < 8 << 20);
}

fn make(directory: &Path) {
    let catalog = weighbridge::measure::catalog();
    let store = Store::open(directory, &catalog, &Settings::default()).unwrap();
    fill(&store, "large", CHECKPOINTS);
    fill(&store, "another", CHECKPOINTS / 5);
    assert_eq!(store.keys(&RunId::new("large")).len() as u64, CHECKPOINTS);
}
