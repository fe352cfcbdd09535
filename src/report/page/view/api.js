// The page asks for nothing but the JSON API.

const kept = new Map();
const KEPT_MAX = 240;

function query(parameters) {
  const pairs = Object.entries(parameters || {}).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return pairs.length ? "?" + new URLSearchParams(pairs) : "";
}

// `keep`: the answer never changes (readings are written once), so it may be taken from memory.
function api(path, parameters, keep = false) {
  const url = "/api/v1" + path + query(parameters);
  if (!keep) return ask(url);
  if (!kept.has(url)) {
    // The promise is kept, not its value: who asks while the answer is on its way waits for the same one.
    const answer = ask(url);
    answer.catch(() => kept.delete(url));
    kept.set(url, answer);
    if (kept.size > KEPT_MAX) kept.delete(kept.keys().next().value);
  }
  return kept.get(url);
}

async function ask(url) {
  const response = await fetch(url);
  const body = await response.json().catch(() => ({ error: `the answer to ${url} is not JSON` }));
  if (!response.ok) throw Object.assign(new Error(body.error || response.statusText), { status: response.status });
  return body;
}

// A change needs a token. It is asked for once and held by this tab alone, until the tab is closed.
async function change(method, path, body) {
  const token = sessionStorage.getItem("token");
  const headers = { ...(body ? { "content-type": "application/json" } : {}), ...(token ? { authorization: `Bearer ${token}` } : {}) };
  const response = await fetch("/api/v1" + path, { method, headers, body: body && JSON.stringify(body) });
  if (response.ok) return;
  const text = await response.text();
  let message = text.trim();
  try { message = JSON.parse(text).error; } catch { /* the guard answers in plain words */ }
  throw Object.assign(new Error(message), { status: response.status });
}

const ofRun = (run, rest = "") => `/runs/${encodeURIComponent(run)}${rest}`;
const ofStep = (run, step, rest = "") => ofRun(run, `/checkpoints/${step}${rest}`);

// Links within the page.
const part = encodeURIComponent;
const to = {
  fleet: () => "#/",
  run: (run, parameters) => `#/run/${part(run)}${query(parameters)}`,
  step: (run, step, parameters) => `#/run/${part(run)}/step/${step}${query(parameters)}`,
  tensor: (run, step, name, parameters) => `#/run/${part(run)}/step/${step}/tensor/${part(name)}${query(parameters)}`,
  heads: (run, step, parameters) => `#/run/${part(run)}/step/${step}/heads${query(parameters)}`,
  finding: (run, id) => `#/run/${part(run)}/finding/${part(id)}`,
  overlay: (parameters) => `#/overlay${query(parameters)}`,
};

// Runs jobs one after the other and always the newest: what was overtaken is dropped.
function latestOnly(job) {
  let running = false, next = null;
  return async function run(...wanted) {
    next = wanted;
    if (running) return;
    running = true;
    while (next) { const now = next; next = null; try { await job(...now); } catch (error) { complain(error); } }
    running = false;
  };
}

function complain(error) {
  if (error.name !== "AbortError") announce(error.message);
}

function announce(text) {
  const line = document.getElementById("announce");
  if (line) line.textContent = text;
}
