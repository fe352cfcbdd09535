//! How fast the views are on a run of 1,000 checkpoints × 150 tensors. It prints what it measured and
//! holds nobody to it: a busy machine is not a fault.
//!
//!     cargo test --release --test main page::large -- --ignored --nocapture

use weighbridge::store::{Settings, Store};
use weighbridge::terms::{Role, Samples, Sketch, Step, Subject};

use super::browser::{Browser, Window};
use crate::util::{Daemon, snapshot};

const CHECKPOINTS: u64 = 1000;
const LAYERS: u32 = 25;
const ROLES: [Role; 6] = [Role::AttnQ, Role::AttnK, Role::AttnV, Role::AttnOut, Role::MlpUp, Role::MlpDown];

fn fill(directory: &std::path::Path) {
    let catalog = weighbridge::measure::catalog();
    let store = Store::open(directory, &catalog, &Settings::default()).unwrap();
    let names: Vec<&'static str> = catalog
        .iter()
        .filter(|def| def.subject == weighbridge::terms::SubjectKind::Tensor)
        .map(|def| def.name)
        .collect();
    for step in 1..=CHECKPOINTS {
        let mut tensors = Vec::new();
        for layer in 0..LAYERS {
            for role in ROLES {
                let wave = |i: usize| (step as f64 / 90.0 + f64::from(layer) + i as f64).sin().abs() + 0.1;
                let samples: Samples = names.iter().enumerate().map(|(i, name)| (*name, wave(i))).collect();
                let mut tensor =
                    snapshot::tensor(&format!("layers.{layer}.{role}.weight"), role, Some(layer), samples);
                tensor.quantiles = (0..128).map(|i| (i as f32 - 64.0) / 64.0 * wave(3) as f32).collect();
                tensor.sketch = Some(Sketch { version: 1, values: vec![wave(5) as f32; 1024], exact: false });
                tensors.push(tensor);
            }
        }
        let heads = (0..LAYERS).flat_map(|layer| (0..12).map(move |head| Subject::Head { layer, head }));
        let subjects = heads
            .map(|head| snapshot::subject(head, Samples::from([("qk_norm", 1.0), ("ov_norm", 2.0)])))
            .collect();
        let mut reading = snapshot::reading("large", tensors, subjects);
        reading.key.step = Step(step);
        store.commit(&reading, &[], &[]).unwrap();
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
        fill(&store);
    }
    let daemon = Daemon::watch(&root, &store);
    let browser = Browser::open(Window { width: 1600, dark: false });
    browser.go(&format!("{}/", daemon.url));
    println!("first paint: {} ms", browser.first_paint());
    for (name, hash) in [
        ("run", "#/run/large"),
        ("checkpoint", "#/run/large/step/1000"),
        ("two checkpoints", "#/run/large/step/1000?with=1"),
        ("tensor", "#/run/large/step/1000/tensor/layers.3.attn_q.weight"),
        ("heads", "#/run/large/step/1000/heads"),
        ("overlay", "#/overlay"),
        ("run again", "#/run/large"),
        ("old checkpoint", "#/run/large/step/123"),
    ] {
        let taken = browser.run_async(&format!(
            "const done = arguments[arguments.length - 1], start = performance.now(), data = document.documentElement.dataset; \
             const before = [data.ready, data.whole], taken = []; \
             location.hash = '{hash}'; \
             const look = () => {{ \
               if (taken.length < 1 && data.ready !== before[0]) taken.push(Math.round(performance.now() - start)); \
               if (data.whole !== before[1]) done([...taken, Math.round(performance.now() - start)]); else requestAnimationFrame(look); }}; look();"
        ));
        println!("{name}: shown after {} ms, with all pictures after {} ms", taken[0], taken[1]);
    }
    browser.go(&format!("{}/#/run/large/step/1", daemon.url));
    let steps = browser.run_async(
        "const done = arguments[arguments.length - 1], range = document.querySelector('input[type=range]'); \
         let drawn = 0, at = 0; \
         const text = document.querySelector('#figure-S8 .facts'), watch = new MutationObserver(() => { drawn++; }); \
         watch.observe(text, { childList: true }); const start = performance.now(); \
         const move = () => { range.value = ++at; range.dispatchEvent(new Event('input')); \
           if (performance.now() - start < 4000) setTimeout(move, 30); else { watch.disconnect(); done([drawn / 4, at / 4]); } }; move();",
    );
    println!("slider: {} steps a second drawn, {} asked for", steps[0], steps[1]);
    println!("layout shift: {}", browser.layout_shift());
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
