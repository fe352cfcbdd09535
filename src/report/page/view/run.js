// One run over its steps.

const FIRST_METRICS = ["rms", "std", "ks_statistic", "l_kurtosis", "update_ratio", "stable_rank", "abs_max"];

function metricChoices(metrics, subject) {
  const of = metrics.filter((m) => !subject || m.subject === subject);
  const groups = new Map();
  for (const m of of) groups.set(m.family, [...(groups.get(m.family) || []), m]);
  return groups;
}

function metricSelect(metrics, value, onchange) {
  const select = el("select", { onchange: () => onchange(select.value) },
    [...metricChoices(metrics)].map(([family, list]) => el("optgroup", { label: words(family) }, list.map((m) => el("option", { value: m.name, title: m.help }, words(m.name))))));
  select.value = value;
  return el("label", null, "metric", select);
}

// What was announced by command and is therefore no finding.
function planned(events) {
  if (!events?.length) return null;
  const globs = (list) => list.map((glob, i) => [i ? ", " : "", el("code", null, glob)]);
  const item = (e) => el("li", null, el("p", null,
    e.frozen.length ? ["frozen ", globs(e.frozen)] : [e.detector ? words(e.detector) : "any finding", e.tensors.length ? [" of ", globs(e.tensors)] : null],
    e.from_step === null ? null : `, from step ${grouped(e.from_step)}`, e.until_step === null ? null : `, until step ${grouped(e.until_step)}`, `: ${e.why}`));
  return el("section", { class: "block" }, el("h2", null, "Planned, and no finding"), el("ul", { class: "finding-list" }, events.map(item)));
}

async function runView({ run, parameters }) {
  let metric = parameters.metric || FIRST_METRICS[0], role = parameters.role || "", compare = parameters.compare || "own";
  const ask = (id) => api(ofRun(run, `/figures/${id}`), { metric, role: role || undefined, compare });
  const chosen = () => [metric, role, compare].join();
  const [info, checkpoints, findings] = await Promise.all([api(ofRun(run)), allCheckpoints(run), api("/findings", { run, limit: 200 })]);
  const names = info.metrics.map((m) => m.name);
  if (!names.includes(metric)) metric = FIRST_METRICS.find((m) => names.includes(m)) || names[0];
  const status = info.status;
  if (!checkpoints.length) {
    const why = status?.pending?.[0];
    return { title: run, crumbs: [[run, to.run(run)]], nodes: [emptyState("No checkpoint was weighed yet", el("p", { class: "lead" }, why ? `${why[0]}: ${why[1]}` : "The run appears here in full when its first checkpoint is complete."))] };
  }
  const newest = checkpoints[checkpoints.length - 1];
  const roles = [...new Set(info.tensors.map((t) => t.role))];
  const pick = (stop, node) => {
    const plot = node.plot;
    if (!plot.heat) return;
    const step = stop.mark.at[stop.column], name = plot.labels[stop.row];
    const head = /^layer (\d+) head \d+$/.exec(name);
    location.hash = info.tensors.some((t) => t.name === name) ? to.tensor(run, step, name) : head ? to.heads(run, step, { layer: head[1] }) : to.step(run, step);
  };
  // The frame stands at once; pictures over the whole run come as they are ready.
  const empty = (id, title, question, more) => ({ id, title, question, says: "", facts: [], panels: [], absent: "Looking the run up …", basis: "weights", ...more });
  const known = info.metrics.find((m) => m.name === metric), rows = role && known?.subject === "tensor" ? info.tensors.filter((t) => t.role === role).length : known?.subjects;
  const trainer = empty("trainer", "Training", "How does the training itself go?");
  const heat = metric && empty("heat", `${words(metric)} over the run`, "When and where did it change?", { labels: rows });
  const bands = metric && empty("bands", `${words(metric)} by group`, "Does a tensor leave its siblings?");
  const trajectory = empty("trajectory", "Way through weight space", "Does the run move steadily, turn, or jump?");
  const cards = {
    trainer: figureCard(trainer, { level: 2 }),
    heat: heat && figureCard(heat, { level: 2, onPick: pick, controls: null }),
    bands: bands && figureCard(bands, { level: 2 }),
    trajectory: figureCard(trajectory, { level: 2, onPick: (stop) => { const step = /^step (\d+)$/.exec(stop.text); if (step) location.hash = to.step(run, step[1]); } }),
  };
  const help = el("p", { class: "lead" });
  const explain = () => { help.textContent = info.metrics.find((m) => m.name === metric)?.help || ""; };
  const changed = latestOnly(async () => {
    note(to.run(run, { metric, role, compare: compare === "own" ? undefined : compare }));
    explain();
    const [h, b] = await Promise.all([ask("heat"), ask("bands")]);
    cards.heat.draw(h);
    cards.bands.draw(b);
  });
  explain();
  const line = el("div", null, timeline(run, checkpoints));
  const list = el("ul", { class: "finding-list" });
  const showFindings = (items) => list.replaceChildren(...(items.length ? items.map(findingItem) : [el("li", null, tag("good", "healthy"), el("p", null, "Nothing was found in this run."))]));
  showFindings(findings.items);
  const picker = metric ? el("div", { class: "head block" }, el("div", null, el("h2", null, "Any metric over the run"), help),
    el("div", { class: "controls" }, metricSelect(info.metrics, metric, (v) => { metric = v; changed(); }),
      choose("role", [{ value: "", label: "all roles" }, ...roles.map((r) => ({ value: r, label: words(r) }))], role, (v) => { role = v; changed(); }),
      choose("colours", [{ value: "own", label: "against its own median" }, { value: "all", label: "values of all rows" }], compare, (v) => { compare = v; changed(); }))) : null;
  const refresh = async () => {
    const [points, found, log] = await Promise.all([allCheckpoints(run), api("/findings", { run, limit: 200 }), ask("trainer")]);
    line.replaceChildren(timeline(run, points));
    showFindings(found.items);
    cards.trainer.draw(log);
    if (metric) { cards.heat.draw(await ask("heat")); cards.bands.draw(await ask("bands")); }
    cards.trajectory.draw(await ask("trajectory"));
  };
  return {
    title: run, crumbs: [[run, to.run(run)]], run, refresh,
    ready: () => Promise.all(Object.keys(cards).filter((id) => cards[id]).map(async (id) => {
      const ofMetric = ["heat", "bands"].includes(id), before = chosen(), figure = await ask(id);
      // Who has chosen something else meanwhile sees that.
      if (!ofMetric || chosen() === before) cards[id].draw(figure);
    })),
    nodes: [
      el("div", { class: "head" },
        el("div", null, el("h1", null, run), el("p", { class: "lead" }, [info.kind && words(info.kind), info.family, status?.directory].filter(Boolean).join(" · "))),
        el("div", { class: "controls" }, el("a", { class: "small", href: to.step(run, newest.step) }, "Look at the weights"), el("a", { class: "small", href: to.heads(run, newest.step) }, "Heads"), el("a", { class: "small", href: to.overlay({ runs: run.replaceAll(",", "%2C"), metric }) }, "Compare"))),
      el("div", { class: "card" }, el("div", { class: "stats" },
        stat("newest step", grouped(newest.step)), stat("checkpoints", grouped(checkpoints.length)),
        stat("loss", short(newest.loss)), stat("parameters", bigCount(status?.elements)), stat("layers", info.layers || "–"),
        stat("last good", status?.last_good ? `step ${status.last_good.step}` : "–", status?.last_good?.path), stat("findings", findings.total))),
      el("section", { class: "card block" }, el("h2", null, "Checkpoints"), line),
      el("section", { class: "block" }, el("h2", null, "Findings"), list),
      planned(info.expected),
      el("div", { class: "block" }, cards.trainer),
      // The bands come last: how many panels they have is known when they come.
      picker, cards.heat, el("div", { class: "block" }, cards.trajectory), cards.bands && el("div", { class: "block" }, cards.bands),
    ],
  };
}
