// One checkpoint, or two side by side: S1 to S15, moved by a slider over the steps.

async function checkpointView({ run, step, parameters }) {
  const [info, findings] = await Promise.all([api(ofRun(run)), allFindings(run)]);
  const steps = info.steps;
  if (!steps.length) return runView({ run, parameters: {} });
  let now = steps[stepIndex(steps, step, parameters.attempt)];
  let other = parameters.with ? steps[stepIndex(steps, parameters.with)] : null;
  const choice = { tensor: parameters.tensor, role: parameters.role, layer: parameters.layer, dimensions: parameters.dimensions };
  const asked = (entry, more) => ({ attempt: entry[0] || undefined, ...choice, ...more });
  const address = () => to.step(run, now[1], { attempt: now[0] || undefined, with: other?.[1], ...choice });
  const all = (entry) => api(ofStep(run, entry[1], "/figures"), asked(entry, { dimensions: undefined }), true);
  const one = (entry, id, more) => api(ofStep(run, entry[1], `/figures/${id}`), asked(entry, more), true);
  const [figures, summary, second] = await Promise.all([all(now), api(ofStep(run, now[1], "/summary"), { attempt: now[0] || undefined }, true), other ? all(other) : null]);

  const grid = el("div", { class: "grid" });
  const sides = [{ entry: () => now, cards: new Map() }];
  if (other) sides.push({ entry: () => other, cards: new Map() });
  const controlsOf = (figure, side) => {
    if (side.cards.size === undefined) return null;
    const parts = [];
    if (["S8", "S9", "S10"].includes(figure.id)) {
      const names = info.tensors.filter((t) => t.shape.length === 2 && t.shape[0] > 1 && t.shape[1] > 1).map((t) => t.name);
      if (names.length) parts.push(choose(el("span", { class: "hidden" }, "tensor"), names, choice.tensor || figure.tensor || names[0], (v) => { choice.tensor = v; changed(); }));
    }
    if (["S11", "S12", "S15"].includes(figure.id)) {
      const roles = [...new Set(info.tensors.filter((t) => t.layer !== null && t.shape.length === 2).map((t) => t.role))];
      if (roles.length > 1) parts.push(choose(el("span", { class: "hidden" }, "role"), roles.map((r) => ({ value: r, label: words(r) })), choice.role || roles[0], (v) => { choice.role = v; changed(); }));
    }
    if (figure.id === "S4" && info.tensors.some((t) => t.role === "position_embedding")) {
      const input = el("input", { type: "text", size: 10, placeholder: "0, 3, 17", value: choice.dimensions || "", "aria-label": "dimensions to show", onchange: () => { choice.dimensions = input.value.replace(/[^\d,]/g, "") || undefined; changed(); } });
      parts.push(input);
    }
    if (figure.id === "S13" && info.layers > 1) parts.push(choose("layer", Array.from({ length: info.layers }, (_, i) => String(i)), choice.layer || "0", (v) => { choice.layer = v; changed(); }));
    return parts;
  };
  const build = (figure, side, index) => {
    const card = figureCard(unread(figure), { panels: figure.id === "S14" ? Math.ceil(info.layers / Math.max(1, Math.ceil(info.layers / 12))) : undefined, controls: index === 0 ? controlsOf(figure, side) : null, link: address() + (address().includes("?") ? "&" : "?") + `figure=${figure.id}` });
    if (index === 1) card.id += "-b";
    side.cards.set(figure.id, card);
    card.plain = figure;
    if (figure.id === "S9") attachZoom(card, (rows, columns) => one(side.entry(), "S9", { rows, columns, layer: undefined }));
    return card;
  };
  figures.forEach((figure, i) => {
    const half = ["S10", "S12"].includes(figure.id), wide = ["S9", "S13", "S14", "S11", "S15"].includes(figure.id);
    const a = build(figure, sides[0], 0);
    if (second) grid.append(el("div", { class: "pair" }, a, build(second[i], sides[1], 1)));
    else { if (wide) a.classList.add("full"); if (half) a.classList.add("half"); grid.append(a); }
  });

  // Each of two checkpoints says which it is. Both are drawn on the same scales, so that what looks larger is larger.
  const named = (side) => { if (other) for (const card of side.cards.values()) card.querySelector(".title").dataset.step = `step ${side.entry()[1]}`; };
  sides.forEach(named);
  const put = (side, figure) => {
    const card = side.cards.get(figure.id), twin = sides.find((s) => s !== side)?.cards.get(figure.id);
    card.plain = figure;
    if (!twin || figure.absent || twin.figure.absent) { card.draw(figure); return; }
    const [a, b] = sameScales(figure, twin.plain || twin.figure);
    card.draw(a);
    twin.draw(b);
  };
  const draw = (side, list) => list.forEach((figure) => {
    const card = side.cards.get(figure.id);
    // What only the weights can draw stays until it is drawn anew, paler.
    if (figure.absent && figure.basis === "weights" && !card.figure.absent) { card.classList.add("stale"); return; }
    card.classList.remove("stale");
    put(side, unread(figure));
  });
  const FROM_WEIGHTS = ["S3", "S4", "S5", "S6", "S7", "S8", "S9", "S10", "S12", "S13", "S14"];
  const sharpen = latestOnly(async () => {
    for (const side of sides) {
      const entry = side.entry();
      for (const id of FROM_WEIGHTS) {
        if (side.entry() !== entry || !grid.isConnected) return;
        const card = side.cards.get(id);
        if (card.figure.absent && card.figure.basis !== "weights") continue;
        const figure = await one(entry, id);
        if (side.entry() === entry) { card.classList.remove("stale"); put(side, figure); }
      }
    }
  });
  const move = latestOnly(async (side) => {
    const entry = side.entry(), at = steps.indexOf(entry), ahead = Math.sign(at - (side.at ?? at)) || 1;
    side.at = at;
    const list = all(entry);
    // The steps that come next, if the slider goes on as it goes now.
    for (const next of [1, 2]) if (steps[at + next * ahead]) all(steps[at + next * ahead]).catch(() => {});
    draw(side, await list);
    named(side);
  });
  const answers = el("dl", { class: "answers" });
  const lead = el("p", { class: "lead" });
  const say = (s) => {
    lead.textContent = [s.checkpoint.path, byteSize(s.checkpoint.bytes), when(s.checkpoint.timestamp_seconds), s.checkpoint.loss === null ? null : `loss ${short(s.checkpoint.loss)}`, s.checkpoint.exists ? null : "files are gone, numbers remain"].filter(Boolean).join(" · ");
    answers.replaceChildren(...s.answers.map((a) => el("div", null, el("dt", null, a.question, " ", el("button", { type: "button", class: "small", "aria-label": `Show picture ${a.figure}`, onclick: () => document.getElementById(`figure-${a.figure}`)?.scrollIntoView({ block: "center" }) }, a.figure)), el("dd", null, properMinus(answerWords(a))))));
    answers.parentElement && (answers.parentElement.hidden = !s.answers.length);
  };
  const sayLater = latestOnly(async () => say(await api(ofStep(run, now[1], "/summary"), { attempt: now[0] || undefined }, true)));
  const changed = () => { note(address()); sides.forEach((side) => move(side)); sharpen(); };
  const slider = stepSlider(steps, steps.indexOf(now), {
    status: info.status, run, findings,
    onMove: (entry) => { now = entry; move(sides[0]); },
    onRest: () => { note(address()); sharpen(); sayLater(); },
  });
  const sliderB = other && stepSlider(steps, steps.indexOf(other), { status: info.status, run, findings, label: "Second checkpoint", onMove: (entry) => { other = entry; move(sides[1]); }, onRest: () => { note(address()); sharpen(); } });
  const questions = el("section", { class: "card block", hidden: !summary.answers.length }, el("h2", null, other ? "Five questions, answered for the first" : "Five questions, answered"), answers);
  say(summary);
  const compare = el("button", { type: "button", class: "small", onclick: () => {
    other = other ? null : steps[Math.max(0, steps.indexOf(now) - 1)];
    location.hash = address();
    if (location.hash === address()) route();
  } }, other ? "One checkpoint" : "Two side by side");
  return {
    title: `${run} · step ${now[1]}`, run, crumbs: [[run, to.run(run)], [`step ${now[1]}`, address()]], focus: parameters.figure && `figure-${parameters.figure}`,
    ready: () => { sharpen(); },
    refresh: async () => { const [fresh, found] = await Promise.all([api(ofRun(run)), allFindings(run)]); for (const one of [slider, sliderB]) one?.extend(fresh.steps, found); },
    nodes: [
      el("div", { class: "head" }, el("div", null, el("h1", null, `Weights of ${run}`), lead),
        el("div", { class: "controls" }, compare, el("a", { class: "small", href: to.heads(run, now[1]) }, "Heads"), el("a", { class: "small", href: to.run(run) }, "Run"))),
      slider, sliderB, questions, el("h2", { class: "hidden" }, "Pictures"), el("div", { class: "block" }, grid),
    ],
  };
}

// Copies of two figures whose panels run over the same values.
function sameScales(a, b) {
  const own = (f) => ({ ...f, panels: f.panels.map((p) => ({ ...p, x: { ...p.x }, y: { ...p.y }, marks: p.marks.map((m) => (m.kind === "heat" ? { ...m } : m)) })) });
  const [one, two] = [own(a), own(b)];
  one.panels.forEach((p, i) => {
    const q = two.panels[i];
    if (!q || p.marks.some((m) => ["shares", "tree"].includes(m.kind))) return;
    p.marks.forEach((m, j) => {
      const n = q.marks[j];
      if (m.kind !== "heat" || n?.kind !== "heat") return;
      m.low = n.low = Math.min(m.low, n.low);
      m.high = n.high = Math.max(m.high, n.high);
    });
    if (p.marks.some((m) => m.kind === "heat")) return;
    for (const side of ["x", "y"]) {
      const log = p[side].scale.kind === "log";
      const values = [...extents(p, side), ...extents(q, side)].filter((v) => isNumber(v) && (!log || v > 0));
      if (!values.length) continue;
      const low = values.reduce((x, y) => Math.min(x, y)), high = values.reduce((x, y) => Math.max(x, y)), by = side === "y" && !log ? (high - low) * 0.04 : 0;
      for (const axis of [p[side], q[side]]) { axis.low ??= low === 0 ? 0 : low - by; axis.high ??= high + by; }
    }
  });
  return [one, two];
}

// An answer in words, whatever else it holds.
const answerWords = (answer) => answer.answer ?? answer.text ?? answer.says ?? "";
