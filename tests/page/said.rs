//! A person says on the page that a finding is known, or that it may be silent.

use serde_json::Value;

use super::browser::{Browser, Window};
use super::{SICK, Site, encode};

const WIDE: Window = Window { width: 1600, dark: false };
const TOKEN: &str = "a-long-random-word";

/// The view of a critical finding, opened, and the finding's address in the API.
fn finding(site: &Site, browser: &Browser) -> String {
    let found = site.ask("/findings?severity=critical").unwrap();
    let path = format!("/run/{}/finding/{}", encode(SICK), encode(found["items"][0]["id"].as_str().unwrap()));
    browser.go(&site.view(&path));
    path.replace("/run/", "/runs/").replace("/finding/", "/findings/")
}

fn told(site: &Site, path: &str) -> (Value, Value) {
    let finding = &site.ask(path).unwrap()["finding"];
    (finding["acknowledged"].clone(), finding["silenced"].clone())
}

fn press(browser: &Browser, button: &str) {
    browser.until(
        "the button",
        &format!(
            "const button = [...document.querySelectorAll('.said button')].find(b => b.textContent.startsWith('{button}')); \
             button?.click(); return Boolean(button)"
        ),
    );
}

/// Writes into a field as a person does.
fn fill(browser: &Browser, label: &str, text: &str) {
    browser.run(&format!(
        "const input = document.querySelector('.said input[aria-label^=\"{label}\"]'); \
         input.value = '{text}'; input.dispatchEvent(new Event('input'));"
    ));
}

fn wait_for_text(browser: &Browser, text: &str) {
    let script = format!("return document.querySelector('main').textContent.includes({text:?})");
    browser.until(text, &script);
}

#[test]
fn a_finding_is_acknowledged_and_silenced_with_a_token() {
    let site = Site::open_with("web:\n  change_token_variable: PAGE_TOKEN\n", &[("PAGE_TOKEN", TOKEN)]);
    let browser = Browser::open(WIDE);
    let path = finding(&site, &browser);
    let nothing = (Value::Null, Value::Null);
    let asks = "return !document.querySelector('.said input[type=password]').hidden";
    assert_eq!(browser.run(asks), false, "it asks for a token before one is needed");

    press(&browser, "I know of it");
    wait_for_text(&browser, "Changes need a token. Give the one that the configuration names");
    assert_eq!(browser.run(asks), true);
    fill(&browser, "Token", "guessed");
    press(&browser, "I know of it");
    wait_for_text(&browser, "That token may not change anything.");
    assert_eq!(told(&site, &path), nothing);

    fill(&browser, "Token", TOKEN);
    fill(&browser, "Why", "ada looks at it");
    press(&browser, "I know of it");
    wait_for_text(&browser, ": ada looks at it.");
    assert_eq!(told(&site, &path).0["why"], "ada looks at it");

    // From now on the tab holds the token; a silence needs its reason.
    press(&browser, "Silence ");
    wait_for_text(&browser, "say why: others will read it");
    assert_eq!(told(&site, &path).1, Value::Null);
    fill(&browser, "Why", "known bad shard");
    press(&browser, "Silence ");
    wait_for_text(&browser, ": known bad shard.");
    let silence = told(&site, &path).1;
    assert_eq!(silence["why"], "known bad shard");
    assert_eq!(site.ask("/silences").unwrap().as_array().unwrap().len(), 1);

    press(&browser, "End the silence");
    wait_for_text(&browser, "Silence ");
    press(&browser, "Take back");
    wait_for_text(&browser, "Nobody has said yet");
    assert_eq!(told(&site, &path), nothing);
    let expected = |line: &String| line.contains("401");
    let complaints = browser.complaints();
    assert!(complaints.len() == 2 && complaints.iter().all(expected), "{complaints:?}");
}

#[test]
fn where_changes_are_off_the_page_says_how_to_turn_them_on() {
    let site = Site::open();
    let browser = Browser::open(WIDE);
    let path = finding(&site, &browser);
    press(&browser, "I know of it");
    wait_for_text(&browser, "name the file under web.change_token_file");
    assert_eq!(told(&site, &path), (Value::Null, Value::Null));
}
