//! A real Chromium, driven over WebDriver: plain HTTP, so no client library is needed.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::util::{free_port, wait_for};

/// A browser window of its own. Ends when dropped.
pub struct Browser {
    driver: Child,
    session: String,
}

/// Light or dark, and how wide.
#[derive(Clone, Copy)]
pub struct Window {
    pub width: u32,
    pub dark: bool,
}

impl Browser {
    pub fn open(window: Window) -> Self {
        let port = free_port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver: ./test install brings it");
        let base = format!("http://127.0.0.1:{port}");
        wait_for("chromedriver to listen", || call("GET", &format!("{base}/status"), None).ok());
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--hide-scrollbars".to_owned(),
            format!("--window-size={},1000", window.width),
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": arguments },
        } } });
        let opened = call("POST", &format!("{base}/session"), Some(wanted))
            .expect("chromium: ./test install brings it");
        let id = opened["sessionId"].as_str().unwrap();
        let browser = Self { driver, session: format!("{base}/session/{id}") };
        let scheme = if window.dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.cdp("Emulation.setEmulatedMedia", media);
        browser.size(window.width, 1000);
        browser
    }

    /// Another size of the window.
    pub fn size(&self, width: u32, height: u32) {
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false }),
        );
    }

    /// From now on every answer comes later by so many milliseconds.
    pub fn delay(&self, milliseconds: u32) {
        self.cdp("Network.enable", json!({}));
        self.cdp(
            "Network.emulateNetworkConditions",
            json!({ "offline": false, "latency": milliseconds, "downloadThroughput": -1, "uploadThroughput": -1 }),
        );
    }

    /// From now on the page gets its answers one after the other, and what each changes is painted before the
    /// next one comes.
    pub fn one_by_one(&self) {
        let source = "(() => { const ask = window.fetch; let last = Promise.resolve(); \
             const painted = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))); \
             const whole = async answer => new Response(await answer.arrayBuffer(), answer); \
             window.fetch = (...asked) => { const answer = ask(...asked).then(whole), mine = last.then(() => answer); \
               last = mine.then(painted, painted); return mine; }; })();";
        self.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": source }));
    }

    /// Opens an address and waits until its view is drawn.
    #[track_caller]
    pub fn go(&self, url: &str) {
        // Another hash alone would not load the page anew.
        self.command("POST", "/url", json!({ "url": "about:blank" }));
        self.command("POST", "/url", json!({ "url": url }));
        self.until(
            "the view to be drawn",
            "return document.documentElement.dataset.ready && document.querySelector('h1')",
        );
    }

    /// Waits until every picture stands, those from the weights too.
    #[track_caller]
    pub fn whole(&self) {
        self.until(
            "every picture",
            "return document.documentElement.dataset.whole && !waiting.size && \
             ![...document.querySelectorAll('.absent')].some(note => note.textContent.endsWith('…'))",
        );
    }

    /// Opens a file from disk.
    #[track_caller]
    pub fn go_file(&self, file: &Path) {
        self.command("POST", "/url", json!({ "url": format!("file://{}", file.display()) }));
    }

    /// Runs a script and gives what it returns.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.command("POST", "/execute/sync", json!({ "script": script, "args": [] }))
    }

    /// The same for a script that ends by calling its last argument.
    #[track_caller]
    pub fn run_async(&self, script: &str) -> Value {
        self.command("POST", "/execute/async", json!({ "script": script, "args": [] }))
    }

    /// Waits until a script returns something that is not null, false, 0 or empty.
    #[track_caller]
    pub fn until(&self, what: &str, script: &str) -> Value {
        wait_for(what, || {
            let value = self.run(script);
            let nothing = value.is_null() || value == false || value == 0 || value == "";
            (!nothing).then_some(value)
        })
    }

    /// What the browser complained about since the last call.
    pub fn complaints(&self) -> Vec<String> {
        let lines = self.command("POST", "/se/log", json!({ "type": "browser" }));
        let grave = |line: &&Value| line["level"] != "INFO" && line["level"] != "DEBUG";
        lines.as_array().unwrap().iter().filter(grave).map(|line| line["message"].to_string()).collect()
    }

    /// Milliseconds from the address to the first text or picture on the screen.
    pub fn first_paint(&self) -> f64 {
        let script = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime";
        self.until("the first paint", script).as_f64().unwrap()
    }

    /// How much moved on the page since it was loaded without anybody asking for it: the sum of the
    /// browser's layout shifts, which it tells only to observers.
    pub fn layout_shift(&self) -> f64 {
        let script = "const done = arguments[arguments.length - 1]; let sum = 0; \
             new PerformanceObserver(list => { for (const e of list.getEntries()) if (!e.hadRecentInput) sum += e.value; }) \
               .observe({ type: 'layout-shift', buffered: true }); setTimeout(() => done(sum), 60);";
        self.run_async(script).as_f64().unwrap()
    }

    /// The whole page as a picture.
    pub fn picture(&self, file: &Path, height_max: u64) {
        let size = self.run("return [innerWidth, document.documentElement.scrollHeight]");
        let height = size[1].as_u64().unwrap().min(height_max);
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": height, "scale": 1 });
        let taken = self.cdp(
            "Page.captureScreenshot",
            json!({ "format": "png", "captureBeyondViewport": true, "clip": clip }),
        );
        std::fs::write(file, decode(taken["data"].as_str().unwrap())).unwrap();
    }

    /// What is downloaded from now on goes there.
    pub fn download_to(&self, directory: &Path) {
        let place = directory.to_str().unwrap();
        self.cdp("Page.setDownloadBehavior", json!({ "behavior": "allow", "downloadPath": place }));
    }

    /// The page on paper, as a PDF.
    pub fn print(&self) -> Vec<u8> {
        let printed = self.cdp("Page.printToPDF", json!({ "printBackground": true }));
        decode(printed["data"].as_str().unwrap())
    }

    #[track_caller]
    fn cdp(&self, command: &str, parameters: Value) -> Value {
        self.command("POST", "/goog/cdp/execute", json!({ "cmd": command, "params": parameters }))
    }

    #[track_caller]
    fn command(&self, method: &str, path: &str, body: Value) -> Value {
        call(method, &format!("{}{path}", self.session), Some(body))
            .unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = call("DELETE", &self.session, None);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn call(method: &str, url: &str, body: Option<Value>) -> Result<Value, String> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(90)))
        .http_status_as_error(false)
        .build();
    let agent = ureq::Agent::new_with_config(config);
    let answer = match (method, body) {
        ("POST", Some(body)) => agent.post(url).content_type("application/json").send(body.to_string()),
        ("DELETE", _) => agent.delete(url).call(),
        _ => agent.get(url).call(),
    };
    let mut answer = answer.map_err(|error| error.to_string())?;
    let text =
        answer.body_mut().with_config().limit(256 << 20).read_to_string().map_err(|e| e.to_string())?;
    let value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    if answer.status().is_success() {
        Ok(value["value"].clone())
    } else {
        Err(value["value"]["message"].to_string())
    }
}

fn decode(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for chunk in text.trim_end_matches('=').as_bytes().chunks(4) {
        let word = chunk
            .iter()
            .enumerate()
            .fold(0u32, |word, (i, byte)| word | u32::from(digit(*byte)) << (18 - 6 * i));
        out.extend_from_slice(&word.to_be_bytes()[1..chunk.len()]);
    }
    out
}
