// One finding: what, when, where, why, what to do.

async function findingView({ run, id }) {
  const data = await api(ofRun(run, `/findings/${encodeURIComponent(id)}`));
  const f = data.finding;
  const subject = (s) => s === "model" ? "model" : s.tensor ?? (s.head ? `layer ${s.head.layer} head ${s.head.head}` : s.layer !== undefined ? `layer ${s.layer}` : "model");
  const line = (label, ...body) => el("div", null, el("dt", null, label), el("dd", null, ...body));
  const rows = f.evidence.map((e) => el("tr", null, el("td", null, words(e.metric.replace("detector:", "detector "))), el("td", { class: "wrap" }, el("span", { class: "mono" }, subject(e.subject))), el("td", { class: "num" }, short(e.value, 5)), el("td", { class: "wrap" }, e.expected)));
  const tensors = f.tensors.slice(0, 40).map((name) => el("li", null, el("a", { class: "mono", href: to.tensor(run, f.step, name, { attempt: f.attempt || undefined }) }, name)));
  const said = saidCard(run, f);
  return {
    title: f.summary, run, crumbs: [[run, to.run(run)], [words(f.detector), to.finding(run, id)]],
    nodes: [
      el("div", { class: "head" }, el("div", null, el("p", null, tag(f.severity, f.severity), " ", tag(f.resolved_step === null ? "" : "good", f.resolved_step === null ? "open" : `resolved at step ${f.resolved_step}`)),
        el("h1", null, f.summary), el("p", { class: "lead" }, `${words(f.detector)} · since step ${f.step} · ${when(f.opened_at)} · confidence ${Math.round(f.confidence * 100)} %`)),
        el("div", { class: "controls" }, el("a", { class: "small", href: to.step(run, f.step, { attempt: f.attempt || undefined, with: f.last_good_step ?? undefined }) }, f.last_good_step === null ? "Look at the weights" : `Beside last good (step ${f.last_good_step})`))),
      el("div", { class: "two" },
        el("section", { class: "card" }, el("h2", null, "What to do"), el("p", null, coded(f.remedy)),
          f.last_good_step === null ? null : el("p", { class: "lead" }, "Last good checkpoint: ", el("a", { href: to.step(run, f.last_good_step) }, `step ${f.last_good_step}`))),
        el("section", { class: "card" }, el("h2", null, "What usually causes this"), el("p", null, coded(f.cause)))),
      said,
      el("div", { class: "block" }, data.figures.map((figure) => figureCard(figure, { level: 2 }))),
      el("div", { class: "two block" },
        el("section", { class: "card" }, el("h2", null, "Measurements that agree"), rows.length ? el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Measurements that agree" }, el("table", { class: "evidence" }, el("thead", null, el("tr", null, ["what", "of", "value", "expected"].map((h, i) => el("th", { scope: "col", class: i === 2 ? "num" : null }, h)))), el("tbody", null, rows))) : el("p", { class: "quiet" }, "It rests on the files themselves."),
          f.dissent.length ? [el("h3", { class: "block" }, "What does not agree"), el("ul", null, f.dissent.map((d) => el("li", null, d)))] : null),
        el("section", { class: "card" }, el("h2", null, f.tensors.length ? `Tensors, most suspect first (${f.tensors.length})` : "Where"), tensors.length ? el("ul", { class: "plain" }, tensors) : el("p", { class: "quiet" }, "The whole model, or a file."))),
    ],
  };
}

const SILENCES = [["1 hour", 3600], ["8 hours", 8 * 3600], ["1 day", 86400], ["1 week", 7 * 86400]];

// A name as a pattern that only it fits.
const exactly = (name) => name.replace(/[*?[\]{}\\]/g, (c) => (c === "\\" ? "?" : `[${c}]`));

// What a person can do about a change that was refused.
function refusalWords(error, given) {
  if (error.status === 401) return `${given ? "That token may not change anything." : "Changes need a token."} Give the one that the configuration names under web.change_token_file, then press the button again.`;
  if (error.status === 403) return "Changes are off on this daemon. To turn them on, write a long random word into a file, name the file under web.change_token_file in the configuration, and start the daemon with it; this page then asks for the word.";
  return error.message;
}

// Who knows of the finding, and whether it calls anybody; none where the daemon keeps neither.
function saidCard(run, f) {
  if (f.acknowledged === undefined) return null;
  const note = el("p", { class: "lead", role: "status" });
  const why = el("input", { type: "text", maxlength: 200, placeholder: "why, or who", "aria-label": "Why, or who" });
  const token = el("input", { type: "password", autocomplete: "off", placeholder: "token", "aria-label": "Token that may change things", hidden: true });
  const button = (text, act) => el("button", { type: "button", onclick: async () => {
    if (token.value) sessionStorage.setItem("token", token.value);
    const given = sessionStorage.getItem("token");
    try { await act(); await route(); } catch (error) {
      if (error.status === 401) { sessionStorage.removeItem("token"); token.value = ""; token.hidden = false; token.focus(); }
      note.textContent = refusalWords(error, given);
    }
  } }, text);
  const length = el("select", { "aria-label": "For how long" }, SILENCES.map(([label, seconds]) => el("option", { value: seconds }, label)));
  const known = f.acknowledged, quiet = f.silenced;
  const needed = () => { if (!why.value.trim()) { why.focus(); throw new Error("say why: others will read it"); } return why.value.trim(); };
  const state = [
    known ? `Somebody knows since ${when(known.at_seconds)}${known.why ? `: ${known.why}` : ""}.` : null,
    quiet ? `Silenced until ${when(quiet.until_seconds)}: ${quiet.why}.` : null,
  ].filter(Boolean);
  return el("section", { class: "card block" }, el("h2", null, "Who knows"),
    state.length ? state.map((text) => el("p", null, text)) : el("p", { class: "quiet" }, "Nobody has said yet that they know of it."),
    el("form", { class: "controls said", onsubmit: (event) => event.preventDefault() }, known && quiet ? null : why, token,
      known ? button("Take back", () => change("DELETE", `/acknowledgements/${encodeURIComponent(f.id)}`))
        : button("I know of it", () => change("POST", "/acknowledgements", { finding: f.id, why: why.value.trim() })),
      quiet ? button("End the silence", () => change("DELETE", `/silences/${encodeURIComponent(quiet.id)}`))
        : [length, button(`Silence ${words(f.detector)} in this run`, () => change("POST", "/silences", { run: exactly(run), detector: f.detector, tensor: null, until_seconds: Date.now() / 1000 + Number(length.value), why: needed() }))]),
    note);
}
