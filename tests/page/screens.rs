//! Pictures of every view, for people to look at: `docs/images/take` runs this.

use std::path::PathBuf;

use super::browser::{Browser, Window};
use super::encode;

/// Tallest picture: what lies below is more of the same.
const HEIGHT_MAX: u64 = 4200;

#[test]
#[ignore = "makes pictures; docs/images/take runs it"]
fn every_view_as_a_picture() {
    let (url, out) =
        (std::env::var("PAGE_URL").unwrap(), PathBuf::from(std::env::var("PAGE_PICTURES").unwrap()));
    let ask = |path: &str| -> serde_json::Value {
        serde_json::from_str(&crate::util::get(&format!("{url}/api/v1{path}")).unwrap()).unwrap()
    };
    let state = ask("/state");
    let run = std::env::var("PAGE_RUN")
        .unwrap_or_else(|_| state["runs"]["items"][0]["run"].as_str().unwrap().to_owned());
    let info = ask(&format!("/runs/{}", encode(&run)));
    let steps = info["steps"].as_array().unwrap();
    let (first, last) = (&steps[0][1], &steps[steps.len() - 1][1]);
    let matrix = |tensor: &&serde_json::Value| {
        tensor["shape"].as_array().unwrap().len() == 2 && !tensor["layer"].is_null()
    };
    let tensor = info["tensors"].as_array().unwrap().iter().find(matrix).unwrap()["name"].as_str().unwrap();
    let run = encode(&run);
    let mut views = vec![
        ("fleet", "/".to_owned()),
        ("run", format!("/run/{run}")),
        ("checkpoint", format!("/run/{run}/step/{last}")),
        ("pair", format!("/run/{run}/step/{last}?with={first}")),
        ("tensor", format!("/run/{run}/step/{last}/tensor/{}", encode(tensor))),
        ("heads", format!("/run/{run}/step/{last}/heads")),
        ("overlay", "/overlay".to_owned()),
    ];
    if let Some(finding) = ask("/findings")["items"].get(0) {
        let (run, id) = (finding["run"].as_str().unwrap(), finding["id"].as_str().unwrap());
        views.push(("finding", format!("/run/{}/finding/{}", encode(run), encode(id))));
    }
    for (suffix, window) in [
        ("", Window { width: 1600, dark: false }),
        ("-dark", Window { width: 1600, dark: true }),
        ("-narrow", Window { width: 400, dark: false }),
        ("-4k", Window { width: 3840, dark: false }),
    ] {
        let browser = Browser::open(window);
        for (name, hash) in &views {
            browser.go(&format!("{url}/#{hash}"));
            // Pictures from the weights come one after the other.
            browser.until("the pictures", "return !document.querySelector('.stale') && document.querySelector('.picture svg, .runrow') && 1");
            std::thread::sleep(std::time::Duration::from_secs(3));
            browser.picture(&out.join(format!("{name}{suffix}.png")), HEIGHT_MAX);
        }
    }
}
