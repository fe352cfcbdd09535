// Small parts that several views share.

const tag = (kind, text) => el("span", { class: `tag ${kind}` }, text);

function severityTags(open) {
  const tags = ["critical", "warning", "info"].filter((s) => open[s]).map((s) => tag(s, `${open[s]} ${s}`));
  return tags.length ? tags : [tag("good", "healthy")];
}

function stat(label, value, title) {
  return el("div", { class: "stat", title }, el("b", null, value), el("span", null, label));
}

function choose(label, options, value, onchange) {
  const select = el("select", { onchange: () => onchange(select.value) },
    options.map((o) => el("option", { value: o.value ?? o, selected: (o.value ?? o) === value }, o.label ?? o)));
  select.value = value;
  return el("label", null, label, select);
}

const SPARK = { width: 220, height: 40 };

function spark(points, label) {
  const { width, height } = SPARK, colours = palette();
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": label, preserveAspectRatio: "none" });
  points = [...points].sort((a, b) => a[0] - b[0]);
  const known = points.filter(([, v]) => isNumber(v));
  if (known.length < 2) return root;
  const xs = known.map(([x]) => x), ys = known.map(([, y]) => y);
  const sx = makeScale({ scale: { kind: "linear" } }, xs, 2, width - 2, 2), sy = makeScale({ scale: { kind: "linear" } }, ys, height - 3, 3, 2);
  root.append(svg("path", { d: linePath(points.map((p) => p[0]), points.map((p) => p[1]), sx, sy), fill: "none", stroke: colours.main, "stroke-width": 1.6, "vector-effect": "non-scaling-stroke", "stroke-linejoin": "round" }));
  return root;
}

// Health over the checkpoints: one bar each, as high as the worst score of the findings that were open, in the
// colour of its severity; a flat bar where none was.
function strip(cells, height, flat = height) {
  const colours = palette(), fills = [theme() === "dark" ? "#28604b" : "#b9dfce", colours.nth[0], colours.nth[1], colours.alarm];
  const names = ["nothing open", "info", "warning", "critical"];
  const worst = Math.max(0, ...cells.map(([, severity]) => severity));
  const root = svg("svg", { viewBox: `0 0 ${SPARK.width} ${height}`, height, preserveAspectRatio: "none", role: "img", "aria-label": `worst score over the checkpoints: at most ${names[worst]}` });
  const width = SPARK.width / Math.max(cells.length, 1), gap = cells.length > 40 || height < 10 ? 0.4 : 1.2;
  cells.forEach(([step, severity, score], i) => {
    const high = flat + (height - flat) * score;
    root.append(svg("rect", { x: i * width, y: height - high, width: Math.max(width - gap, 0.6), height: high, fill: fills[severity] },
      svg("title", null, `step ${step}: ${names[severity]}${severity ? `, score ${short(score)}` : ""}`)));
  });
  return root;
}

function findingItem(finding) {
  return el("li", null, tag(finding.severity, finding.severity),
    el("p", null, el("a", { href: to.finding(finding.run, finding.id) }, finding.summary), " ",
      el("span", { class: "quiet" }, words(finding.detector)), finding.acknowledged ? [" ", tag("", "known")] : null, finding.silenced ? [" ", tag("", "silenced")] : null),
    el("span", { class: "quiet" }, `step ${finding.step}${finding.resolved_step === null ? "" : `, resolved at ${finding.resolved_step}`}`));
}

function emptyState(title, ...body) {
  return el("div", { class: "card empty" }, el("h2", null, title), body);
}

function failure(error) {
  const gone = error.status === 404;
  return emptyState(gone ? "Nothing is there" : "That did not work", el("p", { class: "lead" }, error.message),
    el("p", null, el("a", { href: to.fleet() }, "Back to all runs")));
}

// A row of points over steps, coloured by the gravest open finding; a click goes to the checkpoint.
function timeline(run, checkpoints, shown) {
  const attempts = Math.max(0, ...checkpoints.map((c) => c.attempt)) + 1;
  const groups = { main: [], reference: [], alarm: [] };
  for (const c of checkpoints) (c.severity === "critical" ? groups.alarm : c.severity === "warning" ? groups.reference : groups.main).push(c);
  const names = { main: "healthy", reference: "warning open", alarm: "critical open" };
  const label = (c) => `step ${c.step}${c.attempt ? `, attempt ${c.attempt}` : ""}${c.loss === null ? "" : `, loss ${short(c.loss)}`}${c.opened.length ? `: ${c.opened.map((o) => words(o.detector)).join(", ")} opened` : ""}`;
  const marks = Object.entries(groups).filter(([, list]) => list.length).map(([tone, list]) => ({
    kind: "points", name: names[tone], tone, x: list.map((c) => c.step), y: list.map((c) => c.attempt), labels: list.map(label), list,
  }));
  for (const c of checkpoints) if (c.opened.length) marks.push({ kind: "rule", axis: "x", at: c.step, label: "", tone: c.opened.some((o) => o.severity === "critical") ? "alarm" : "reference" });
  if (shown !== undefined) marks.push({ kind: "rule", axis: "x", at: shown, label: "shown", tone: "quiet" });
  const panel = { title: "", x: { label: "step", scale: { kind: "whole" } }, y: { label: attempts > 1 ? "attempt" : "", scale: attempts > 1 ? { kind: "whole" } : { kind: "named", labels: [""] }, low: -0.6, high: attempts - 0.4 }, marks };
  const height = 78 + 22 * (attempts - 1) + (marks.length > 1 ? 18 : 0);
  const box = el("div", { class: "picture" });
  box.style.minHeight = `${height * zoomNow()}px`;
  box.redraw = () => {
    if (!box.clientWidth) return;
    const node = drawZoomed(panel, box.clientWidth, height, palette());
    node.setAttribute("aria-label", `time line of ${checkpoints.length} checkpoints; arrow keys move, Enter opens`);
    watchPanel(node, { onPick: (stop) => { if (stop.mark.list) { const c = stop.mark.list[stop.index]; location.hash = to.step(run, c.step, { attempt: c.attempt || undefined }); } } });
    box.replaceChildren(node);
  };
  new ResizeObserver(() => box.redraw()).observe(box);
  return box;
}

// All checkpoints of a run, page by page.
async function allCheckpoints(run) {
  const items = [];
  for (let offset = 0; offset !== null;) {
    const page = await api(ofRun(run, "/checkpoints"), { limit: 1000, offset });
    items.push(...page.items);
    offset = page.next_offset;
  }
  return items;
}

// A name that may break after a dot or a line, not within a word.
const breakable = (name) => name.split(/(?<=[._/])/).flatMap((part) => [part, el("wbr")]);

// Findings of a run, for what stood open at a step; of very many the newest.
const allFindings = async (run) => (await api("/findings", { run, limit: 1000 })).items;

// What was open at a checkpoint, in one line: the gravest finding, and how many more.
function standing(run, findings, attempt, step) {
  const grave = (f) => ["info", "warning", "critical"].indexOf(f.severity);
  const open = findings.filter((f) => f.attempt === attempt && f.step <= step && (f.resolved_step === null || f.resolved_step > step)).sort((a, b) => grave(b) - grave(a) || a.step - b.step);
  if (!open.length) return [tag("good", "healthy"), " ", el("span", { class: "quiet" }, "no finding was open here")];
  const [first] = open;
  return [tag(first.severity, words(first.detector)), " ", el("a", { href: to.finding(run, first.id), title: first.summary }, first.summary),
    open.length > 1 ? [" ", el("a", { class: "quiet", href: to.run(run) }, `and ${open.length - 1} more`)] : null].flat().filter(Boolean);
}

// Slider over the steps of a run. `onMove(entry)` for every step on the way, `onRest(entry)` after.
function stepSlider(steps, index, { onMove, onRest, status, run, findings, label = "Checkpoint" }) {
  let rest, player;
  const stands = el("p", { class: "stands" });
  const output = el("output", { "aria-live": "off" }), range = el("input", { type: "range", min: 0, max: steps.length - 1, value: index, "aria-label": label });
  // As wide as its widest text, so that the slider beside it does not move while it is moved.
  const [attempts, widest] = [0, 1].map((i) => Math.max(...steps.map((entry) => entry[i])));
  output.style.minWidth = `${5 + String(widest).length + (attempts ? 11 + String(attempts).length : 0)}ch`;
  const show = () => {
    const [attempt, step] = steps[range.value];
    output.textContent = `step ${step}${attempt ? ` · attempt ${attempt}` : ""}`;
    range.setAttribute("aria-valuetext", output.textContent);
    stands.replaceChildren(...standing(run, findings, attempt, step));
  };
  const moved = () => {
    show();
    onMove(steps[range.value]);
    clearTimeout(rest);
    rest = setTimeout(() => onRest(steps[range.value]), 220);
  };
  range.addEventListener("input", moved);
  const by = (n) => { range.value = Number(range.value) + n; moved(); };
  const play = el("button", { type: "button", class: "small", "aria-label": "Play the run", onclick: () => {
    if (player) { clearInterval(player); player = null; play.textContent = "▶"; return; }
    if (Number(range.value) >= steps.length - 1) range.value = 0;
    play.textContent = "❚❚";
    player = setInterval(() => { if (Number(range.value) >= steps.length - 1 || !range.isConnected) play.click(); else by(1); }, 100);
  } }, "▶");
  // Health under the slider, where the slider's steps are those of one attempt, as the cells are.
  const cells = status?.strip?.length > 1 && steps.every(([attempt]) => attempt === status.attempt) ? el("div", { class: "ticks" }, strip(status.strip, 5)) : null;
  const node = el("div", { class: "card slider" }, output, el("div", { class: "way" }, range, cells),
    el("div", { class: "controls" },
      el("button", { type: "button", class: "small", "aria-label": "Step before", onclick: () => by(-1) }, "‹"), play,
      el("button", { type: "button", class: "small", "aria-label": "Next step", onclick: () => by(1) }, "›")), stands);
  node.extend = (more, found) => { steps = more; findings = found; range.max = steps.length - 1; show(); };
  node.go = (i) => { range.value = i; moved(); };
  node.range = range;
  show();
  return node;
}

const stepIndex = (steps, step, attempt) => {
  for (let i = steps.length - 1; i >= 0; i--) if (steps[i][1] === Number(step) && (attempt === undefined || steps[i][0] === Number(attempt))) return i;
  return steps.length - 1;
};

// What stored numbers cannot draw will be read from the weights, which then say so if they are gone.
const unread = (figure) => (figure.absent && figure.basis === "weights" ? { ...figure, absent: "Reading the weights …" } : figure);

// Changes the address without a new view.
function note(hash) {
  history.replaceState(null, "", hash);
  window.dispatchEvent(new Event("noted"));
}
