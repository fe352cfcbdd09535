// All runs, those that need a person first.

function runRow(run) {
  const share = run.max_steps ? Math.min(1, run.step / run.max_steps) : null;
  const bar = el("div", { class: "progress" }, el("i"));
  bar.firstChild.style.width = `${100 * (share ?? 0)}%`;
  const age = run.timestamp_seconds === null ? "–" : ago(Date.now() / 1000 - run.timestamp_seconds);
  return el("article", { class: `card runrow ${run.worst || ""}` },
    el("div", null, el("h2", null, el("a", { href: to.run(run.run) }, run.run)),
      el("span", { class: "cap" }, [run.family && run.family !== "unknown" ? run.family : null, run.kind && words(run.kind), run.elements ? `${bigCount(run.elements)} parameters` : null, run.phase, run.attempt ? `attempt ${run.attempt}` : null].filter(Boolean).join(" · "))),
    el("div", null, run.step === null ? el("span", { class: "quiet" }, "no checkpoint yet") : el("a", { href: to.step(run.run, run.step) }, `step ${grouped(run.step)}`),
      el("span", { class: "cap" }, `${share === null ? "" : `${Math.round(share * 100)} % · `}${age} ago · ${run.checkpoints_total} weighed`), bar),
    el("div", null, severityTags(run.open), el("span", { class: "cap" }, run.last_good ? ["last good ", el("a", { href: to.step(run.run, run.last_good.step) }, `step ${run.last_good.step}`)] : "no good checkpoint yet")),
    el("div", null, el("span", { class: "cap" }, `loss ${short(run.loss)}`), spark(run.losses, `loss of ${run.run}`)),
    el("div", null, el("span", { class: "cap" }, "worst score over checkpoints"), strip(run.strip, SPARK.height, 6)),
    run.first_open ? el("p", { class: "what" }, tag(run.first_open.severity, words(run.first_open.detector)), " ", el("a", { href: to.finding(run.run, run.first_open.id) }, run.first_open.summary), el("span", { class: "quiet" }, `, found at step ${grouped(run.first_open.step)}`)) : null,
    run.pending.length ? el("p", { class: "what quiet" }, `waiting for ${run.pending[0][0]}: ${run.pending[0][1]}`) : null);
}

const ORDER = { critical: 3, warning: 2, info: 1 };

async function fleetView() {
  const list = el("div", { class: "runs" }), lead = el("p", { class: "lead" }), notes = el("div");
  const load = async () => {
    const state = await api("/state", { limit: 1000 });
    const runs = state.runs.items;
    const sick = runs.filter((run) => ORDER[run.worst] >= 2).length;
    lead.textContent = runs.length
      ? `${runs.length} ${runs.length === 1 ? "run" : "runs"}, ${sick ? `${sick} need${sick === 1 ? "s" : ""} a person` : "nothing needs a person"}${state.queue_checkpoints ? ` · ${state.queue_checkpoints} checkpoints wait to be weighed` : ""}`
      : "";
    notes.replaceChildren(...(state.store_trouble ? [el("p", { class: "tag critical" }, `nothing can be stored: ${state.store_trouble}`)] : []));
    if (!runs.length) {
      list.replaceChildren(emptyState("No run yet",
        el("p", { class: "lead" }, "weighbridge looks for checkpoints in ", state.roots.map((root, i) => [i ? ", " : "", el("code", null, root)]), ". A run appears here when its first checkpoint is complete."),
        el("p", null, "To see how it looks, play a recorded run:"), el("pre", null, "weighbridge demo")));
    } else list.replaceChildren(...runs.map(runRow));
  };
  await load();
  const compare = el("a", { class: "small", href: to.overlay() }, "Compare runs");
  return { title: "Runs", crumbs: [["all runs", to.fleet()]], refresh: load, nodes: [el("div", { class: "head" }, el("div", null, el("h1", null, "Runs"), lead), compare), notes, list] };
}
