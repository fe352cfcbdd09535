//! Nobody is kept out: axe finds nothing serious, and the keyboard reaches everything.

use std::path::PathBuf;
use std::process::Command;

use super::Site;
use super::browser::{Browser, Window};

/// A known good version of the checker.
const AXE: &str = "axe-core@4.14.1";

/// The checker's script, fetched once by npm; none where there is no npm, which is said.
fn axe() -> Option<String> {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("axe");
    let script = directory.join("package/axe.min.js");
    if !script.exists() {
        std::fs::create_dir_all(&directory).unwrap();
        let packed =
            Command::new("npm").args(["pack", "--silent", AXE]).current_dir(&directory).output().ok()?;
        let name = String::from_utf8(packed.stdout).unwrap();
        let status =
            Command::new("tar").arg("xzf").arg(name.trim()).current_dir(&directory).status().unwrap();
        assert!(packed.status.success() && status.success(), "npm pack {AXE} failed");
    }
    Some(std::fs::read_to_string(script).unwrap())
}

#[test]
fn axe_finds_nothing_serious() {
    let Some(axe) = axe() else {
        eprintln!("npm is not there: accessibility is not checked");
        return;
    };
    let site = Site::open();
    for dark in [false, true] {
        let browser = Browser::open(Window { width: 1280, dark });
        for (name, address) in site.views() {
            browser.go(&address);
            browser.whole();
            browser.run(&axe);
            let found = browser.run_async(
                "const done = arguments[arguments.length - 1]; \
                 axe.run(document, { resultTypes: ['violations'] }).then(found => done(found.violations \
                 .filter(v => v.impact === 'serious' || v.impact === 'critical') \
                 .map(v => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + ' ' + n.failureSummary).join(' | ')}`)))",
            );
            assert_eq!(found, serde_json::json!([]), "{name}, dark: {dark}");
        }
    }
}

#[test]
fn the_keyboard_reads_pictures() {
    let site = Site::open();
    let browser = Browser::open(Window { width: 1280, dark: false });
    browser.go(&site.view("/run/steady/step/60"));
    browser.whole();
    let read = browser.run(
        "const node = document.querySelector('#figure-S11 svg'); node.focus(); \
         node.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' })); \
         return document.querySelector('.tip').textContent",
    );
    assert!(read.as_str().unwrap().starts_with("0 → "), "{read}");

    // Enter on a point of the time line opens that checkpoint.
    browser.go(&site.view("/run/steady"));
    browser.run(
        "const node = document.querySelector('svg[aria-label^=\"time line\"]'); node.focus(); \
         for (const key of ['ArrowRight', 'ArrowRight', 'Enter']) node.dispatchEvent(new KeyboardEvent('keydown', { key }));",
    );
    browser.until("the second checkpoint", "return location.hash.includes('/step/20')");
}
