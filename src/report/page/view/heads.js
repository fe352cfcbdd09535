// The heads of one layer, and of all.

async function headsView({ run, step, parameters }) {
  const [info, findings] = await Promise.all([api(ofRun(run)), allFindings(run)]);
  const steps = info.steps;
  let now = steps[stepIndex(steps, step, parameters.attempt)], layer = parameters.layer || "0";
  const attempt = () => now[0] || undefined;
  const address = () => to.heads(run, now[1], { layer, attempt: attempt() });
  const ids = ["circuits", "S14", "similarity", "maps"];
  const one = (id, more) => api(ofStep(run, now[1], `/figures/${id}`), { layer, attempt: attempt(), ...more }, true);
  const figures = await Promise.all(ids.map((id) => one(id, { weights: false })));
  LAYOUTS.headTree = { across: 1, rows: 1, height: 320 };
  const cards = figures.map((figure) => figureCard(unread(figure), { onPick: figure.id === "maps" ? (stop) => { if (stop.row !== undefined) { layer = String(stop.row); changed(); } } : null }));
  const show = (card, figure) => card.draw(figure.id === "S14" ? { ...figure, id: "headTree" } : figure);
  cards.forEach((card, i) => { show(card, unread(figures[i])); if (["circuits", "maps"].includes(ids[i])) card.classList.add("full"); });
  const move = latestOnly(async () => { const list = await Promise.all(ids.map((id) => one(id, { weights: false }))); list.forEach((figure, i) => { if (!(figure.absent && figure.basis === "weights")) show(cards[i], figure); }); });
  const sharpen = latestOnly(async () => { for (const id of ["S14", "similarity"]) show(cards[ids.indexOf(id)], await one(id)); });
  const changed = () => { note(address()); select.querySelector("select").value = layer; move(); sharpen(); };
  const select = choose("layer", Array.from({ length: Math.max(1, info.layers) }, (_, i) => String(i)), layer, (v) => { layer = v; changed(); });
  const slider = stepSlider(steps, steps.indexOf(now), { status: info.status, run, findings, onMove: (entry) => { now = entry; move(); }, onRest: () => { note(address()); sharpen(); } });
  return {
    title: `${run} · heads`, run, crumbs: [[run, to.run(run)], [`step ${now[1]}`, to.step(run, now[1])], ["heads", address()]], ready: () => { sharpen(); },
    refresh: async () => { const [fresh, found] = await Promise.all([api(ofRun(run)), allFindings(run)]); slider.extend(fresh.steps, found); },
    nodes: [el("div", { class: "head" }, el("div", null, el("h1", null, "Attention heads"), el("p", { class: "lead" }, "What each head matches on (query and key) and moves (value and output).")), el("div", { class: "controls" }, select)),
      slider, el("h2", { class: "hidden" }, "Pictures"), el("div", { class: "grid" }, cards)],
  };
}
