//! Every view loads, shows what the API says, and moves.

use super::browser::{Browser, Window};
use super::{HOSTILE, SICK, STEPS, Site, encode};
use crate::util::wait_for;

/// A twentieth of where what is called good ends: one line of text that comes late moves more.
const SHIFT_MAX: f64 = 0.005;

const WIDE: Window = Window { width: 1600, dark: false };

#[test]
fn every_view_loads_in_every_window() {
    let site = Site::open();
    for window in [
        WIDE,
        Window { width: 1600, dark: true },
        Window { width: 400, dark: false },
        Window { width: 3840, dark: false },
    ] {
        let browser = Browser::open(window);
        for (name, address) in site.views() {
            browser.go(&address);
            browser.whole();
            println!("{name} at {}: first paint after {:.0} ms", window.width, browser.first_paint());
            let shift = browser.layout_shift();
            assert!(shift < SHIFT_MAX, "{name} at {}: things moved by {shift}", window.width);
            assert_eq!(browser.complaints(), Vec::<String>::new(), "{name} at {}", window.width);
            let wide = browser.run("return document.documentElement.scrollWidth - innerWidth");
            assert!(wide.as_i64().unwrap() <= 0, "{name} is {wide} px too wide at {}", window.width);
            let ground = browser.run("return getComputedStyle(document.documentElement).backgroundColor");
            let red = ground.as_str().unwrap().trim_start_matches("rgb(").split(',').next().unwrap();
            let dark = red.parse::<u8>().unwrap() < 100;
            assert_eq!(dark, window.dark, "{name}: {ground}");
        }
    }
}

/// A window in which nearly everything is in sight, and every answer is painted alone. The first view comes over
/// a slow network too: its files are then kept.
#[test]
fn nothing_moves_when_numbers_come_late() {
    let site = Site::open();
    for window in [WIDE, Window { width: 400, dark: false }] {
        let browser = Browser::open(window);
        browser.size(window.width, 3000);
        browser.one_by_one();
        for (number, (name, address)) in site.views().into_iter().enumerate() {
            browser.delay(if number == 0 { 150 } else { 0 });
            let begun = std::time::Instant::now();
            browser.go(&address);
            browser.whole();
            println!("{name} at {}: {:?}", window.width, begun.elapsed());
            let shift = browser.layout_shift();
            assert!(shift < SHIFT_MAX, "{name} at {}: things moved by {shift}", window.width);
            // Room is kept for the facts that come: those of S4 name dimensions.
            let others = browser.run(
                "return [...document.querySelectorAll('.figure')].map(card => card.figure) \
                 .filter(f => f.id !== 'S4' && f.facts.length && FACTS[f.id]) \
                 .filter(f => f.facts.map(fact => fact.name.replace(/\\d+\\)/, '00)')).join() !== FACTS[f.id].join()) \
                 .map(f => [f.id, f.facts.map(fact => fact.name)])",
            );
            assert_eq!(others, serde_json::json!([]), "{name}: draw/layout.js has other FACTS");
        }
    }
}

#[test]
fn pictures_show_the_numbers_of_the_api() {
    let site = Site::open();
    let browser = Browser::open(WIDE);
    browser.go(&site.view("/run/steady/step/60"));
    let ids =
        browser.run("return [...document.querySelectorAll('.figure')].map(card => card.dataset.figure)");
    let wanted: Vec<String> = (1..=15).map(|i| format!("S{i}")).collect();
    assert_eq!(ids, serde_json::json!(wanted));

    // The histogram that is drawn has as many bars as the API has heights, and the facts are the metrics.
    browser
        .until("the weights to be read", "return document.querySelector('#figure-S8').figure.panels.length");
    let drawn = browser.run("return document.querySelector('#figure-S8').figure");
    let tensor = drawn["tensor"].as_str().unwrap();
    let figure =
        site.ask(&format!("/runs/steady/checkpoints/60/figures/S8?tensor={}", encode(tensor))).unwrap();
    let heights =
        |figure: &serde_json::Value| figure["panels"][0]["marks"][0]["heights"].as_array().unwrap().len();
    assert_eq!(heights(&drawn), 50);
    assert_eq!(heights(&figure), 50);
    let tensors = site.ask("/runs/steady/checkpoints/60/tensors").unwrap();
    let of = |tensor: &&serde_json::Value| tensor["name"] == drawn["tensor"];
    let metrics = &tensors["items"].as_array().unwrap().iter().find(of).unwrap()["metrics"];
    let fact =
        drawn["facts"].as_array().unwrap().iter().find(|fact| fact["name"] == "KS distance D").unwrap();
    let (shown, measured) = (fact["value"].as_f64().unwrap(), metrics["ks_statistic"].as_f64().unwrap());
    assert!((shown - measured).abs() <= 1e-5 * measured, "{shown} is not {measured}");

    // The path that is drawn has one bar a height.
    let bars = "return document.querySelector('#figure-S8 .picture svg path[fill-opacity=\"0.55\"]')?.getAttribute('d')";
    assert_eq!(browser.until("the drawing", bars).as_str().unwrap().matches('Z').count(), 50);

    // S1 counts what the file holds.
    let total = browser.run("return document.querySelector('#figure-S1').figure.facts[0].value");
    let summary = site.ask("/runs/steady/checkpoints/60/summary").unwrap();
    assert_eq!(total.as_f64(), summary["model"]["elements"].as_f64());
}

#[test]
fn the_slider_moves_all_pictures_and_the_address() {
    let site = Site::open();
    let browser = Browser::open(WIDE);
    browser.go(&site.view("/run/steady/step/60"));
    let panels = |id: &str| {
        browser.run(&format!("return JSON.stringify(document.querySelector('#figure-{id}').figure.panels)"))
    };
    let before = (panels("S8"), panels("S11"));
    browser.run(
        "const range = document.querySelector('input[type=range]'); range.value = 0; \
         range.dispatchEvent(new Event('input'));",
    );
    browser.until("the address to follow", "return location.hash.includes('/step/10')");
    wait_for("the pictures to follow", || {
        (panels("S8") != before.0 && panels("S11") != before.1).then_some(())
    });
    let drawn = browser.run("return document.querySelector('#figure-S11').figure");
    let stored = site.ask("/runs/steady/checkpoints/10/figures").unwrap();
    let stored = stored.as_array().unwrap().iter().find(|figure| figure["id"] == "S11").unwrap();
    assert_eq!(drawn["panels"], stored["panels"]);
    assert_eq!(browser.run("return document.querySelector('output').textContent"), "step 10");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_slider_says_what_was_open() {
    let site = Site::open();
    let browser = Browser::open(WIDE);
    for view in ["", "/heads", &format!("/tensor/{}", encode(HOSTILE))] {
        browser.go(&site.view(&format!("/run/{}/step/60{view}", encode(SICK))));
        let line = "return document.querySelector('.stands').textContent";
        let said = browser.run(line);
        assert!(said.as_str().unwrap().contains("NaN"), "{said}");
        browser.run(
            "const range = document.querySelector('input[type=range]'); range.value = 0; \
             range.dispatchEvent(new Event('input'));",
        );
        assert_eq!(browser.run(line), "healthy no finding was open here");
    }
    let link = browser.run("return document.querySelector('.stands a')");
    assert!(link.is_null());
}

#[test]
fn a_cell_of_the_heat_map_opens_tensor_and_step() {
    let site = Site::open();
    let browser = Browser::open(WIDE);
    browser.go(&site.view("/run/steady?metric=std"));
    browser.until("the heat map", "return document.querySelector('#figure-heat').figure.panels.length");
    let heat = browser.run("return document.querySelector('#figure-heat').figure.panels[0].marks[0]");
    assert_eq!(heat["columns"], STEPS.len());
    assert_eq!(
        heat["values"].as_array().unwrap().len(),
        STEPS.len() * heat["rows"].as_u64().unwrap() as usize
    );
    browser.run(
        "const node = document.querySelector('#figure-heat svg'), box = node.getBoundingClientRect(), p = node.plot; \
         node.dispatchEvent(new MouseEvent('click', { bubbles: true, clientX: box.left + p.right - 3, clientY: box.top + p.top + 3 }));",
    );
    let hash = browser.until(
        "the tensor's view",
        "return location.hash.includes('/tensor/') && decodeURIComponent(location.hash)",
    );
    let first = browser.until("its heading", "return document.querySelector('h1')?.textContent");
    let hash = hash.as_str().unwrap();
    assert!(hash.starts_with("#/run/steady/step/60/tensor/"), "{hash}");
    browser
        .until("its heading", &format!("return {hash:?}.endsWith(document.querySelector('h1').textContent)"));
    drop(first);
}

#[test]
fn a_matrix_zooms_to_single_elements() {
    let site = Site::open();
    let browser = Browser::open(WIDE);
    let tensor = encode("transformer.h.0.attn.c_attn.weight");
    browser.go(&site.view(&format!("/run/steady/step/60/tensor/{tensor}")));
    browser.whole();
    let mark = "document.querySelector('#figure-S9').figure.panels[0].marks[0]";
    let whole = browser.run(&format!("return {mark}"));
    browser.until(
        "eight rows and columns",
        &format!(
            "const m = {mark}; if (m.rows <= 8 && m.columns <= 8) return true; \
             document.querySelector('#figure-S9 [title=\"Zoom in\"]').click()"
        ),
    );
    let part = browser.run(&format!("return {mark}"));
    let at = |mark: &serde_json::Value, side: &str| mark[side][0].as_u64().unwrap() as usize;
    let (row, column) = (at(&part, "y"), at(&part, "x"));
    let columns = whole["columns"].as_u64().unwrap() as usize;
    let value = |mark: &serde_json::Value, index: usize| mark["values"][index].as_f64().unwrap();
    for i in 0..8 {
        for j in 0..8 {
            assert_eq!(value(&part, i * 8 + j), value(&whole, (row + i) * columns + column + j));
        }
    }
    browser.until(
        "each element's value to stand in it",
        "return document.querySelectorAll('#figure-S9 svg g text[font-size=\"10\"]').length >= 64",
    );
}

#[test]
fn the_page_asks_only_for_what_the_api_describes() {
    let site = Site::open();
    let document = site.ask("/openapi.json").unwrap();
    let paths: Vec<Vec<&str>> =
        document["paths"].as_object().unwrap().keys().map(|path| path.split('/').collect()).collect();
    let browser = Browser::open(WIDE);
    let mut asked = std::collections::BTreeSet::new();
    for (_, address) in site.views() {
        browser.go(&address);
        browser.whole();
        let names = browser.run("return performance.getEntriesByType('resource').map(e => e.name)");
        asked.extend(names.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()));
    }
    assert!(asked.len() > 30, "{asked:?}");
    for url in &asked {
        let path = url.strip_prefix(&site.daemon.url).unwrap_or_else(|| panic!("{url} is somebody else's"));
        let parts: Vec<&str> = path.split('?').next().unwrap().split('/').collect();
        let fits = |known: &Vec<&str>| {
            known.len() == parts.len() && known.iter().zip(&parts).all(|(a, b)| a.starts_with('{') || a == b)
        };
        assert!(paths.iter().any(fits), "{url} is not in the description");
    }
}

#[test]
fn hostile_names_are_text() {
    let site = Site::open();
    let browser = Browser::open(WIDE);
    for hash in [
        "/".to_owned(),
        format!("/run/{}", encode(SICK)),
        format!("/run/{}/step/60", encode(SICK)),
        format!("/run/{}/step/60/tensor/{}", encode(SICK), encode(HOSTILE)),
    ] {
        browser.go(&site.view(&hash));
        assert_eq!(browser.run("return document.querySelectorAll('main img').length"), 0, "{hash}");
        assert_eq!(browser.complaints(), Vec::<String>::new(), "{hash}");
        assert!(browser.run("return document.title").as_str().unwrap().ends_with("· weighbridge"));
    }
    assert_eq!(browser.run("return document.querySelector('h1').textContent"), HOSTILE);
}

#[test]
fn search_finds_tensors_and_the_page_follows_the_run() {
    let site = Site::open();
    let browser = Browser::open(WIDE);
    browser.go(&site.view("/run/steady"));
    browser.run(
        "const input = document.querySelector('.search input'); input.value = 'steady h.1 c_proj'; \
         input.dispatchEvent(new Event('input'));",
    );
    let hits = browser.until("hits", "return document.querySelectorAll('.search li a').length");
    assert_eq!(hits, 4, "two matrices and two biases of one layer");
    browser.run("document.querySelector('.search li a').click()");
    browser.until("the tensor's view", "return document.querySelector('h1').textContent.includes('h.1')");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_new_checkpoint_appears_without_a_reload() {
    let site = Site::open();
    let browser = Browser::open(WIDE);
    browser.go(&site.view("/"));
    browser.until("the live line", "return document.querySelector('.live.on') && 1");
    browser.run("window.same = true");
    // The same weights under the next step: a run whose trainer wrote once more.
    let (from, to) = (site.steady.join("checkpoint-60"), site.steady.join("checkpoint-70"));
    std::fs::create_dir(&to).unwrap();
    for name in ["config.json", "model.safetensors", "trainer_state.json"] {
        let bytes = std::fs::read(from.join(name)).unwrap();
        let bytes = if name == "trainer_state.json" {
            String::from_utf8(bytes).unwrap().replace("\"global_step\":60", "\"global_step\":70").into_bytes()
        } else {
            bytes
        };
        std::fs::write(to.join(name), bytes).unwrap();
    }
    browser.until(
        "step 70",
        "return [...document.querySelectorAll('.runrow a')].some(a => a.textContent === 'step 70')",
    );
    assert_eq!(browser.run("return window.same"), true);
}

/// A browser has six connections to one host. With one kept by each tab for good, the seventh tab stood still, and so
/// did the sixth page that was gone to and left.
#[test]
fn a_page_that_nobody_looks_at_holds_no_connection() {
    let site = Site::open();
    let browser = Browser::open(WIDE);
    browser.go(&site.view("/run/steady"));
    let is_live = "return document.querySelector('.live').classList.contains('on')";
    let hide = |hidden: bool| {
        browser.run(&format!(
            "Object.defineProperty(document, 'hidden', {{ configurable: true, value: {hidden} }}); \
             document.dispatchEvent(new Event('visibilitychange'))"
        ))
    };
    browser.until("the live line", is_live);
    hide(true);
    assert_eq!(browser.run(is_live), false);
    hide(false);
    browser.until("the live line again", is_live);
    browser.run("dispatchEvent(new Event('pagehide'))");
    assert_eq!(browser.run(is_live), false);
    browser.run("dispatchEvent(new Event('pageshow'))");
    browser.until("the live line once more", is_live);
}

#[test]
fn pictures_leave_as_files() {
    let site = Site::open();
    let browser = Browser::open(WIDE);
    browser.go(&site.view("/run/steady/step/60"));
    let svg = browser.run(
        "const card = document.querySelector('#figure-S2'); \
         return wholeSvg([...card.querySelectorAll('svg')], card.figure.title).text",
    );
    assert!(svg.as_str().unwrap().starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
    let rows = browser.run("return figureRows(document.querySelector('#figure-S2').figure)");
    let tensors = site.ask("/runs/steady/checkpoints/60/tensors").unwrap()["total"].as_u64().unwrap();
    let points = rows.as_array().unwrap().iter().filter(|row| row[1] == "points").count();
    assert_eq!(points as u64, tensors);
    assert_eq!(browser.run("return toCsv([['=a', 'b,c', 1.5]])"), "'=a,\"b,c\",1.5\r\n");

    // The buttons do it.
    let directory = tempfile::tempdir().unwrap();
    browser.download_to(directory.path());
    let saved = |button: &str, ending: &str| {
        browser.run(&format!("document.querySelector('#figure-S2 [title^=\"{button}\"]').click()"));
        let file = directory.path().join(format!("weighbridge-S2.{ending}"));
        wait_for(button, || std::fs::read(&file).ok().filter(|bytes| !bytes.is_empty()))
    };
    assert!(saved("Save as SVG", "svg").starts_with(b"<svg"));
    let csv = String::from_utf8(saved("Save the numbers", "csv")).unwrap();
    assert_eq!(csv.lines().count(), rows.as_array().unwrap().len());
    let png = saved("Save as PNG", "png");
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
    let width = u32::from_be_bytes(png[16..20].try_into().unwrap());
    assert!(width > 400, "{width} pixels");
}

#[test]
fn nothing_yet_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("runs");
    std::fs::create_dir(&root).unwrap();
    let daemon = crate::util::Daemon::watch(&root, &directory.path().join("store"));
    let browser = Browser::open(WIDE);
    browser.go(&format!("{}/", daemon.url));
    let text = browser.run("return document.querySelector('main').textContent");
    assert!(text.as_str().unwrap().contains("weighbridge demo"), "{text}");
    assert_eq!(browser.complaints(), Vec::<String>::new());
    browser.go(&format!("{}/#/run/nobody", daemon.url));
    let text = browser.run("return document.querySelector('main').textContent");
    assert!(text.as_str().unwrap().contains("no run is called nobody"), "{text}");
}
