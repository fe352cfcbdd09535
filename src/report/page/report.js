// Draws a one-file report from the data that it carries.

{
  const data = JSON.parse(document.getElementById("data").textContent);
  const main = document.getElementById("main");
  document.title = `${data.title} · weighbridge`;
  const cardsOf = (section) => el("section", { class: "block" }, el("h2", null, section.title), el("div", { class: "grid" }, section.figures.map((figure, i) => {
    const card = figureCard(figure);
    card.id += `-${i}`;
    if (["S9", "S11", "S13", "S14", "heat", "bands", "trainer", "trajectory", "evidence", "circuits", "maps", "overlay"].includes(figure.id)) card.classList.add("full");
    return card;
  })));
  const finding = (f) => el("li", null, el("span", { class: `tag ${f.severity}` }, f.severity),
    el("div", null, el("p", null, f.summary), el("p", { class: "lead" }, coded(f.remedy))),
    el("span", { class: "quiet" }, `step ${f.step}${f.resolved_step === null ? "" : `, resolved at ${f.resolved_step}`}`));
  const numbers = data.numbers, shown = { columns: ["tensor", ...numbers.metrics.map(words)], numeric: [false, ...numbers.metrics.map(() => true)], rows: numbers.rows.map(([name, values]) => [name, ...values.map((v) => short(v, 6))]) };
  main.append(
    el("div", { class: "head" }, el("div", null, el("h1", null, data.title), el("p", { class: "lead" }, data.lead)),
      numbers.rows.length ? el("div", { class: "controls" }, el("button", { type: "button", class: "small", onclick: () => offer("weighbridge-numbers.csv", new Blob([toCsv([["tensor", ...numbers.metrics], ...numbers.rows.map(([name, values]) => [name, ...values])])], { type: "text/csv" })) }, "All numbers as CSV")) : null),
    ...data.problems.map((p) => el("p", { class: "tag critical" }, `${p.path}: ${p.detail}; ${p.remedy}`)),
    ...(data.answers.length ? [el("section", { class: "card block" }, el("h2", null, "Five questions, answered"), el("dl", { class: "answers" }, data.answers.map((a) => el("div", null, el("dt", null, a.question), el("dd", null, a.answer ?? a.text ?? "")))))] : []),
    ...(data.findings.length ? [el("section", { class: "block" }, el("h2", null, "Findings"), el("ul", { class: "finding-list" }, data.findings.map(finding)))] : []),
    ...data.sections.filter((s) => s.figures.length).map(cardsOf),
    ...(numbers.rows.length ? [el("section", { class: "card block" }, tableOf(shown, `All numbers of ${numbers.rows.length} tensors`))] : []));
  const redraw = () => document.querySelectorAll(".figure").forEach((card) => card.redraw());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => { document.documentElement.dataset.theme = "light"; drawAllWaiting(); redraw(); });
}
