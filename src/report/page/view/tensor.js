// One tensor: now, over the run, and every number that is known of it.

async function tensorView({ run, step, name, parameters }) {
  const [info, findings] = await Promise.all([api(ofRun(run)), allFindings(run)]);
  const steps = info.steps;
  let now = steps[stepIndex(steps, step, parameters.attempt)];
  const attempt = () => now[0] || undefined;
  const address = () => to.tensor(run, now[1], name, { attempt: attempt() });
  const ids = ["histogram", "qq", "profiles", "singular-values", "matrix"];
  const one = (id, more) => api(ofStep(run, now[1], `/figures/${id === "matrix" ? "S9" : id}`), { attempt: attempt(), tensor: name, ...more }, true);
  const load = () => api(ofStep(run, now[1], "/tensor"), { attempt: attempt(), tensor: name }, true);
  const frame = (id, title, question, why = "Reading the weights …") => ({ id, title, question, says: "", facts: [], panels: [], absent: why, basis: "weights" });
  const [now0, catalog, histogram, qq] = await Promise.all([api(ofStep(run, now[1], "/tensors"), { attempt: attempt(), tensor: name }, true), api("/metrics", {}, true), one("histogram", { weights: false }), one("qq", { weights: false })]);
  const data = { tensor: now0.items[0], figures: [frame("over-time", "Values over the run", "Does the distribution widen, shift or grow tails as training goes on?", "Looking the run up …"), frame("changes", "Changes since the checkpoint before", "Does the tensor still learn, and does it move steadily?", "Looking the run up …")] };
  if (!data.tensor) throw Object.assign(new Error(`step ${now[1]} of run ${run} has no tensor ${name}`), { status: 404 });
  data.siblings = info.tensors.filter((t) => t.role === data.tensor.role && t.name !== name).map((t) => t.name);
  const cards = {
    histogram: figureCard(histogram), "over-time": figureCard(data.figures[0], { onPick: (stop) => { if (stop.mark?.at) slider.go(stepIndex(steps, stop.mark.at[stop.column])); } }),
    qq: figureCard(qq), "singular-values": figureCard(frame("singular-values", "Singular values", "Which directions are learnt, and which could be noise?")),
    profiles: figureCard(frame("profiles", "Rows and columns", "Are some rows or columns dead, or far louder than the others?")),
    matrix: figureCard(frame("S9", "Inside the matrix", "Is there structure in the matrix: dead rows, loud columns, blocks, stripes?")),
    changes: figureCard(data.figures[1]),
  };
  for (const id of ["matrix", "changes", "profiles"]) cards[id].classList.add("full");
  attachZoom(cards.matrix, (rows, columns) => one("matrix", { rows, columns }));
  const t = data.tensor, numbers = el("tbody");
  const byName = new Map(catalog.map((m) => [m.name, m]));
  const list = (tensor) => numbers.replaceChildren(
    ...Object.entries(tensor.metrics).map(([metric, value]) => el("tr", { title: byName.get(metric)?.help }, el("td", null, words(metric)), el("td", { class: "num" }, short(value, 6)), el("td", { class: "quiet wrap" }, byName.get(metric)?.healthy || ""))),
    ...Object.entries(tensor.absent).map(([metric, why]) => el("tr", null, el("td", { class: "quiet" }, words(metric)), el("td", { class: "num quiet" }, "–"), el("td", { class: "quiet wrap" }, why))));
  list(t);
  const sharpen = latestOnly(async () => {
    const entry = now;
    for (const id of ids) {
      if (entry !== now) return;
      const figure = await one(id);
      if (entry === now) cards[id].draw(figure);
    }
  });
  const move = latestOnly(async () => { for (const id of ["histogram", "qq"]) cards[id].draw(await one(id, { weights: false })); });
  const slider = stepSlider(steps, steps.indexOf(now), { status: info.status, run, findings,
    onMove: (entry) => { now = entry; move(); },
    onRest: async () => { note(address()); list((await load()).tensor); sharpen(); },
  });
  const siblings = [name, ...data.siblings];
  return {
    title: name, run, crumbs: [[run, to.run(run)], [`step ${now[1]}`, to.step(run, now[1], { attempt: attempt(), tensor: name })], [name, address()]],
    ready: async () => { const past = await load(); cards["over-time"].draw(past.figures[0]); cards.changes.draw(past.figures[1]); sharpen(); }, refresh: async () => { const [fresh, found] = await Promise.all([api(ofRun(run)), allFindings(run)]); slider.extend(fresh.steps, found); },
    nodes: [
      el("div", { class: "head" },
        el("div", null, el("h1", null, breakable(name)), el("p", { class: "lead" }, `${words(t.role)}${t.layer === null ? "" : ` · layer ${t.layer}`} · ${t.shape.join(" × ") || "scalar"} · ${t.dtype} · content ${t.content_hash}`)),
        el("div", { class: "controls" }, siblings.length > 1 ? choose("same role", [...siblings].sort(new Intl.Collator(undefined, { numeric: true }).compare), name, (v) => { location.hash = to.tensor(run, now[1], v, { attempt: attempt() }); }) : null)),
      slider, el("h2", { class: "hidden" }, "Pictures"),
      el("div", { class: "grid" }, cards.histogram, cards["over-time"], cards.qq, cards["singular-values"], cards.profiles, cards.matrix, cards.changes),
      el("section", { class: "card block" }, el("h2", null, "Every number"), el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Every number" },
        el("table", null, el("thead", null, el("tr", null, el("th", { scope: "col" }, "metric"), el("th", { scope: "col", class: "num" }, "value"), el("th", { scope: "col" }, "healthy, or why there is none"))), numbers))),
    ],
  };
}
