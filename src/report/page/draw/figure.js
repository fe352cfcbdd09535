// A figure as a card: question, picture, sentence, numbers, and ways to take them along.

let tip;
function showTip(text, x, y) {
  if (!tip) document.body.append((tip = el("div", { class: "tip", role: "status" })));
  if (text === null) { tip.hidden = true; return; }
  tip.hidden = false;
  tip.textContent = text;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - box.width - 8))}px`;
  tip.style.top = `${y - box.height - 12 < 4 ? y + 16 : y - box.height - 12}px`;
}

// Where a pointer or the arrow keys are, and what is there.
function pointAt(node, px, py) {
  const plot = node.plot;
  if (plot.heat) {
    const { row, column, value } = plot.heat.cell(px, py), mark = plot.heat.mark;
    const y = plot.labels ? plot.labels[row] : `${plot.panel.y.label || "row"} ${short(mark.y[0] + ((row + (mark.rows === Math.abs(mark.y[1] - mark.y[0]) ? 0 : 0.5)) * (mark.y[1] - mark.y[0])) / mark.rows)}`;
    const x = mark.at ? `step ${mark.at[column]}` : `${plot.panel.x.label || "column"} ${short(mark.x[0] + Math.floor((column * (mark.x[1] - mark.x[0])) / mark.columns))}`;
    return { text: `${y}, ${x}: ${value === null || value === undefined ? "not a number" : short(value, 5)}`, row, column, mark, x: px, y: py };
  }
  let best = null, least = Infinity;
  for (const stop of plot.found) {
    const d = (stop.x - px) ** 2 + 0.25 * (stop.y - py) ** 2;
    if (d < least) { least = d; best = stop; }
  }
  return least < 60 ** 2 ? best : null;
}

function watchPanel(node, options) {
  let cross = null;
  const mark = (stop) => {
    cross?.remove();
    cross = null;
    if (stop && !node.plot.heat) node.append((cross = svg("circle", { class: "cross", cx: stop.x, cy: stop.y, r: 4.5, fill: "none", stroke: palette().ink, "stroke-width": 1.5 })));
  };
  const at = (event) => { const box = node.getBoundingClientRect(); return [(event.clientX - box.left) / node.zoom, (event.clientY - box.top) / node.zoom]; };
  node.addEventListener("pointermove", (event) => {
    const [px, py] = at(event), stop = pointAt(node, px, py), { left, right, top, bottom } = node.plot;
    const inside = px >= left - 4 && px <= right + 4 && py >= top - 4 && py <= bottom + 4;
    mark(inside ? stop : null);
    showTip(inside && stop ? stop.text : null, event.clientX, event.clientY);
  });
  node.addEventListener("pointerleave", () => { mark(null); showTip(null); });
  if (options.onPick) {
    node.classList.add("pick");
    node.addEventListener("click", (event) => { const stop = pointAt(node, ...at(event)); if (stop) options.onPick(stop, node); });
  }
  node.setAttribute("tabindex", "0");
  let index = -1;
  node.addEventListener("keydown", (event) => {
    const move = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 0, ArrowUp: 0 }[event.key];
    const plot = node.plot, box = node.getBoundingClientRect();
    if (event.key === "Enter" && options.onPick && node.current) { options.onPick(node.current, node); return; }
    if (move === undefined) return;
    event.preventDefault();
    let stop;
    if (plot.heat) {
      const m = plot.heat.mark, c = node.current || { row: 0, column: -1 };
      const row = Math.min(m.rows - 1, Math.max(0, c.row + (event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0)));
      const column = Math.min(m.columns - 1, Math.max(0, c.column + move));
      const px = m.at && m.at.length > 1 ? plot.sx(m.at[column]) : plot.left + ((column + 0.5) / m.columns) * (plot.right - plot.left);
      stop = pointAt(node, px, plot.top + ((row + 0.5) / m.rows) * (plot.bottom - plot.top));
    } else {
      if (!plot.found.length) return;
      index = Math.min(plot.found.length - 1, Math.max(0, index + (move || (event.key === "ArrowUp" ? -1 : 1))));
      stop = plot.found[index];
    }
    node.current = stop;
    mark(stop);
    showTip(stop.text, box.left + stop.x * node.zoom, box.top + stop.y * node.zoom);
  });
  node.addEventListener("blur", () => { mark(null); showTip(null); });
}

// options: controls (elements beside the title), onPick, link, level (of the heading), panels (how many there will be).
function figureCard(figure, options = {}) {
  const picture = el("div", { class: "picture" });
  const says = el("p", { class: "says" }), facts = el("dl", { class: "facts" }), extra = el("div", { class: "extra" });
  const title = el(`h${options.level || 3}`, { class: "title" });
  const basis = el("span", { class: "basis" });
  const button = (label, text, act) => el("button", { type: "button", class: "small", title: label, "aria-label": `${label}: ${figure.title}`, onclick: act }, text);
  const file = () => `weighbridge-${figure.id}`.replace(/[^\w.-]+/g, "_");
  const nodes = () => [...picture.querySelectorAll("svg")];
  const card = el("section", { class: "card figure", id: `figure-${figure.id}`, "data-figure": figure.id },
    el("header", null, el("div", { class: "heading" }, title, el("p", { class: "question" }, figure.question)),
      el("div", { class: "tools" }, options.controls, basis,
        button("Save as SVG", "SVG", () => nodes().length && offer(file() + ".svg", new Blob([wholeSvg(nodes(), card.figure.title).text], { type: "image/svg+xml" }))),
        button("Save as PNG", "PNG", () => nodes().length && savePng(file() + ".png", wholeSvg(nodes(), card.figure.title))),
        button("Save the numbers as CSV", "CSV", () => offer(file() + ".csv", new Blob([toCsv(figureRows(card.figure))], { type: "text/csv" }))),
        options.link ? el("a", { class: "small", href: options.link, title: "Link to this picture", "aria-label": `Link to ${figure.title}` }, "#") : null)),
    says, picture, facts, extra);
  card.picture = picture;
  card.says = says;
  card.options = options;
  card.draw = (next) => {
    const f = (card.figure = next || card.figure);
    title.replaceChildren(/^S\d+$/.test(f.id) ? el("span", { class: "id" }, f.id) : "", f.title);
    says.textContent = f.absent ? "" : properMinus(f.says);
    basis.textContent = f.absent ? "" : f.basis === "weights" ? "from the weights" : "from stored numbers";
    const coming = isWaiting(f) && !f.facts.length;
    facts.classList.toggle("room", coming);
    facts.replaceChildren(...(coming ? (FACTS[f.id] || []).map((name) => ({ name, text: "–" })) : f.facts).map((fact) => el("div", null, el("dt", null, fact.name), el("dd", null, properMinus(fact.text)))));
    drawSoon(card);
    if (f.table && !extra.childElementCount) extra.append(tableOf(f.table));
  };
  card.figure = figure;
  card.redraw = () => drawPictures(card);
  picture.card = card;
  widths.observe(picture);
  sight.observe(card);
  card.draw(figure);
  return card;
}

// Pictures in sight are drawn at once, the others when nothing has moved for a moment: a slider moves
// fifteen of them and shows four.
const waiting = new Set(), NEAR = 240, PAUSE_MS = 140;
const widths = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    const card = target.card, width = Math.round(contentRect.width);
    if (!width || width === card.width) continue;
    card.width = width;
    const box = card.getBoundingClientRect();
    card.near = box.bottom > -NEAR && box.top < innerHeight + NEAR;
    drawSoon(card);
  }
});
const sight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    target.near = isIntersecting;
    if (isIntersecting && waiting.has(target)) drawPictures(target);
  }
}, { rootMargin: `${NEAR}px` });

let pause;
function drawSoon(card) {
  if (card.near && card.width) { drawPictures(card); return; }
  reserve(card);
  waiting.add(card);
  clearTimeout(pause);
  pause = setTimeout(drawWaiting, PAUSE_MS);
}

// One picture a turn, so that a key or a pointer never waits for more than one.
function drawWaiting() {
  for (const card of waiting) {
    if (!card.isConnected) { waiting.delete(card); continue; }
    if (!card.width) continue;
    drawPictures(card);
    pause = setTimeout(drawWaiting, 0);
    return;
  }
}

function drawAllWaiting() {
  for (const card of [...waiting]) if (card.isConnected) drawPictures(card);
}

// Cards that have just come onto the page get their room, and those in sight their pictures, before anything
// is painted: an observer would tell of their width one painting later, and what is below would move.
function settle(root) {
  const cards = [...root.querySelectorAll(".figure")];
  const found = cards.map((card) => Math.round(card.picture.clientWidth));
  cards.forEach((card, i) => { card.width = found[i]; reserve(card); });
  const boxes = cards.map((card) => card.getBoundingClientRect());
  cards.forEach((card, i) => {
    card.near = boxes[i].bottom > -NEAR && boxes[i].top < innerHeight + NEAR;
    if (card.near) drawPictures(card);
  });
}

function drawPictures(card) {
  const { figure, picture, options } = card, width = card.width || Math.round(picture.clientWidth);
  waiting.delete(card);
  const { layout, gap } = reserve(card);
  if (!width) return;
  if (figure.absent) { picture.replaceChildren(el("p", { class: "absent" }, figure.absent)); return; }
  const colours = palette(), across = figure.panels.length === 1 ? 1 : layout.across;
  const cell = Math.floor((width - (across - 1) * gap) / across);
  const nodes = figure.panels.map((panel, i) => {
    const wide = layout.first && i === 0 && figure.panels.length % layout.across === 1;
    const node = drawZoomed(panel, wide ? width : cell, layout.height, colours);
    if (wide) node.classList.add("wide");
    watchPanel(node, options);
    return node;
  });
  picture.style.setProperty("--across", across);
  picture.replaceChildren(...nodes);
}

function tableOf(table, caption) {
  const cell = (text, i, tag) => el(tag, { class: table.numeric[i] ? "num" : null, scope: tag === "th" ? "col" : null }, text);
  return el("details", null, el("summary", null, caption || `All ${table.rows.length} tensors as a table`),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption || "Table of tensors" }, el("table", null,
      el("thead", null, el("tr", null, table.columns.map((name, i) => cell(name, i, "th")))),
      el("tbody", null, table.rows.map((row) => el("tr", null, row.map((text, i) => cell(text, i, "td"))))))));
}
