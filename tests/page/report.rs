//! One-file reports open from disk, alone.

use std::process::Command;

use super::browser::{Browser, Window};
use super::{HOSTILE, SICK, Site};
use crate::util::daemon::binary;

#[test]
fn a_checkpoint_becomes_one_file() {
    let site = Site::open();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("checkpoint.html");
    let checkpoint = site.steady.join("checkpoint-60");
    let status = Command::new(binary())
        .args(["inspect", "--format", "html", "-o"])
        .arg(&file)
        .arg(&checkpoint)
        .arg("--previous")
        .arg(site.steady.join("checkpoint-50"))
        .status()
        .unwrap();
    assert!(status.success());
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.len() < 8 << 20, "{} bytes", text.len());
    assert!(!text.contains("src=\"http") && !text.contains("href=\"http"), "it asks somebody else");
    let browser = Browser::open(Window { width: 1200, dark: false });
    browser.go_file(&file);
    let ids = browser.until("pictures", "const cards = document.querySelectorAll('.figure'); return cards.length >= 15 && [...cards].map(c => c.dataset.figure)");
    assert!(ids.as_array().unwrap().iter().any(|id| id == "S15"));
    // Those out of sight are drawn once nothing else moves.
    browser.until("the drawings", "return document.querySelectorAll('.picture svg').length >= 15");
    // On paper every picture is there, dark on white.
    let printed = browser.print();
    assert!(printed.starts_with(b"%PDF"));
    if let Some(directory) = std::env::var_os("PAGE_PICTURES") {
        std::fs::write(std::path::Path::new(&directory).join("checkpoint.pdf"), &printed).unwrap();
    }
    assert_eq!(browser.run("return document.documentElement.dataset.theme"), "light");
    let drawn = browser.run(
        "return [...document.querySelectorAll('.figure')].every(card => card.figure.absent || card.querySelector('.picture svg'))",
    );
    assert_eq!(drawn, true);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_run_becomes_one_file() {
    let site = Site::open();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("run.html");
    // The daemon holds the store: a store of its own is filled by a replay.
    let store = directory.path().join("store");
    let root = site.steady.parent().unwrap();
    assert!(
        Command::new(binary())
            .arg("replay")
            .arg(root)
            .arg("--store")
            .arg(&store)
            .output()
            .unwrap()
            .status
            .success()
    );
    let output = Command::new(binary())
        .args(["report", SICK, "-o"])
        .arg(&file)
        .arg("--store")
        .arg(&store)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let browser = Browser::open(Window { width: 1200, dark: true });
    browser.go_file(&file);
    browser.until("findings", "return document.querySelectorAll('.finding-list li').length");
    let title = browser.run("return document.querySelector('h1').textContent");
    assert_eq!(title, SICK);
    assert_eq!(browser.run("return document.querySelectorAll('main img').length"), 0);
    let names = browser
        .run("return [...document.querySelectorAll('td')].some(td => td.textContent.includes('onerror'))");
    assert_eq!(names, true, "{HOSTILE} is there, as text");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
