// Several runs on one axis.

async function overlayView({ parameters }) {
  const state = await api("/state", { limit: 1000 });
  const names = state.runs.items.map((run) => run.run).sort();
  if (!names.length) return fleetView();
  let chosen = (parameters.runs || "").split(",").filter(Boolean).map((n) => n.replaceAll("%2C", ","));
  if (!chosen.length) chosen = names.slice(0, 4);
  const info = await api(ofRun(chosen.find((n) => names.includes(n)) || names[0]));
  const logged = ["loss", "learning_rate", "grad_norm"].map((name) => ({ name, family: "trainer's log", help: "As the trainer logged it" }));
  let metric = parameters.metric || "loss", role = parameters.role || "";
  const asked = () => ({ runs: chosen.map((n) => n.replaceAll(",", "%2C")).join(","), metric, role });
  const card = figureCard(await api("/overlay", asked()), { level: 2 });
  card.classList.add("full");
  const changed = latestOnly(async () => { note(to.overlay(asked())); card.draw(await api("/overlay", asked())); });
  const roles = [...new Set(info.tensors.map((t) => t.role))];
  const boxes = names.map((name) => {
    const box = el("input", { type: "checkbox", checked: chosen.includes(name), onchange: () => { chosen = box.checked ? [...chosen, name].slice(-8) : chosen.filter((n) => n !== name); changed(); } });
    return el("label", null, box, name);
  });
  return {
    title: "Compare runs", crumbs: [["compare", to.overlay(asked())]], refresh: changed,
    nodes: [el("div", { class: "head" }, el("div", null, el("h1", null, "Compare runs"), el("p", { class: "lead" }, "Up to eight runs, one line each: what the trainer logged, or the median of a metric over the tensors of the chosen role.")),
      el("div", { class: "controls" }, metricSelect([...logged, ...info.metrics], metric, (v) => { metric = v; changed(); }), choose("role", [{ value: "", label: "all roles" }, ...roles.map((r) => ({ value: r, label: words(r) }))], role, (v) => { role = v; changed(); }))),
      card, el("fieldset", { class: "card block controls" }, el("legend", { class: "hidden" }, "Runs"), boxes)],
  };
}
