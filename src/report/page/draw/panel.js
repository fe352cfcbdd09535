// A panel: axes, marks, legend, and what can be pointed at.

const FONT = "Inter, system-ui, sans-serif";
const textWidth = (text, size = 11) => String(text).length * size * 0.57;
const clip = (text, most) => (text.length > most ? "…" + text.slice(text.length - most + 1) : text);

function extents(panel, side) {
  const values = [];
  for (const mark of panel.marks) {
    if (mark.kind === "heat") {
      if (side === "x" && mark.at && mark.at.length > 1) {
        const n = mark.at.length;
        values.push(mark.at[0] - (mark.at[1] - mark.at[0]) / 2, mark.at[n - 1] + (mark.at[n - 1] - mark.at[n - 2]) / 2);
      } else values.push(...mark[side]);
    } else if (mark.kind === "histogram") for (const v of side === "x" ? mark.edges : mark.heights) values.push(v);
    else if (mark.kind === "band") { for (const v of side === "x" ? mark.x : mark.low.concat(mark.high)) values.push(v); }
    else if (mark.kind === "boxes") { for (const v of side === "x" ? mark.x : mark.five.flat()) values.push(v); }
    else if (mark.kind === "rule") { if (mark.axis === side && side === "y") values.push(mark.at); }
    else if (mark[side]) { for (const v of mark[side]) values.push(v); }
    if (mark.kind === "bars" && side === "y") values.push(0);
    if (mark.kind === "bars" && side === "x" && mark.x.length) values.push(Math.min(...mark.x) - 0.6, Math.max(...mark.x) + 0.6);
    if (mark.kind === "boxes" && side === "x" && mark.x.length) values.push(Math.min(...mark.x) - 0.6, Math.max(...mark.x) + 0.6);
  }
  return values;
}

function drawPanel(panel, width, height, colours) {
  const root = svg("svg", {
    xmlns: SVG, width, height, viewBox: `0 0 ${width} ${height}`, "font-family": FONT, "font-size": 11, role: "img",
    "aria-label": panel.title || `${panel.y.label || "values"} over ${panel.x.label || "position"}`,
  });
  const shares = panel.marks.find((mark) => mark.kind === "shares");
  const tree = panel.marks.find((mark) => mark.kind === "tree");
  if (shares) return drawShares(shares, root, width, height, colours);
  const heat = panel.marks.find((mark) => mark.kind === "heat");
  const labels = panel.y.scale.labels;
  const plot = { left: 46, right: width - (heat ? 64 : 10), top: 8, bottom: height - 20, rules: 0, lying: 0 };
  if (panel.title) plot.top += 16;
  if (panel.x.label && !tree) plot.bottom -= 14;
  if (panel.y.label && !labels) plot.top += 15;
  const legend = panel.marks.filter((mark) => mark.name);
  const legendAt = plot.top;
  if (legend.length > 1 || (legend.length === 1 && panel.marks.length > 1)) plot.top += legendRows(legend, width).length * 15 + 2;
  if (panel.title) root.append(svg("text", { x: 2, y: 13, fill: colours.ink, "font-weight": 600, "font-size": 12 }, clip(panel.title, Math.floor(width / 6.4))));
  const most = Math.floor(Math.min(width * 0.36, 230) / 6.2);
  const flipped = heat && heat.y[0] < heat.y[1];
  const yScale = (from, to) => makeScale(panel.y, extents(panel, "y"), from, to, Math.max(3, Math.floor((plot.bottom - plot.top) / 38)), !heat);
  let sy = flipped ? yScale(plot.top, plot.bottom) : yScale(plot.bottom, plot.top);
  const yNames = labels ? labels.map((label) => clip(label.replace(/\.weight$/, ""), most)) : sy.ticks.map((tick) => tickText(tick, sy.ticks));
  if (tree) return drawTree(tree, panel, root, plot, colours, sy);
  plot.left = Math.max(26, Math.ceil(Math.max(0, ...yNames.map((name) => textWidth(name, labels ? 10 : 11)))) + 9);
  // Small whole numbers, such as layers, can stand closer than others.
  const span = extents(panel, "x"), across = panel.x.scale.kind === "whole" && span.every((v) => Math.abs(v) < 100) ? 26 : 62;
  const sx = makeScale(panel.x, extents(panel, "x"), plot.left, plot.right, Math.max(2, Math.floor((plot.right - plot.left) / across)), false);
  const inset = panel.marks.some((mark) => ["points", "line"].includes(mark.kind)) && !heat && panel.marks.every((m) => m.kind !== "histogram");
  const sxi = inset ? makeScale(panel.x, extents(panel, "x"), plot.left + 6, plot.right - 6, Math.max(2, Math.floor((plot.right - plot.left) / across)), false) : sx;

  drawAxes(panel, root, plot, sxi, sy, colours, { labels, yNames, heat });
  if (panel.y.label && !labels) root.append(svg("text", { x: 2, y: (panel.title ? 16 : 0) + 14, fill: colours.soft }, clip(panel.y.label, Math.floor(width / 6))));
  if (plot.top > legendAt) root.append(drawLegend(legend, width, legendAt, colours));
  const group = svg("g");
  root.append(group);
  const found = panel.marks.flatMap((mark) => (DRAWERS[mark.kind] ? DRAWERS[mark.kind](mark, sxi, sy, group, colours, plot) : []));
  if (heat) root.append(colourBar(heat, colours, plot.right + 8, plot.top, plot.bottom));
  root.plot = { ...plot, found, labels, sx: sxi, sy, panel };
  return root;
}

// Pictures grow with the page's type: on a very wide screen both are larger.
const zoomNow = () => parseFloat(getComputedStyle(document.documentElement).fontSize) / 15;

function drawZoomed(panel, width, height, colours) {
  const zoom = zoomNow(), node = drawPanel(panel, Math.floor(width / zoom), height, colours);
  node.zoom = zoom;
  node.setAttribute("width", width);
  node.setAttribute("height", height * zoom);
  return node;
}

function drawAxes(panel, root, plot, sx, sy, colours, { labels, yNames, heat }) {
  const grid = svg("g", { stroke: colours.grid, "stroke-width": 1 }), names = svg("g", { fill: colours.soft });
  const cells = heat && !heat.at && heat.columns === heat.x[1] - heat.x[0] && heat.columns <= 64;
  const rowCells = heat && heat.y[0] < heat.y[1] && heat.rows === heat.y[1] - heat.y[0] && heat.rows <= 64;
  if (labels) {
    const row = (plot.bottom - plot.top) / labels.length, every = Math.max(1, Math.ceil(11.5 / row));
    labels.forEach((label, i) => {
      if (i % every === 0) names.append(svg("text", { x: plot.left - 6, y: plot.top + (i + 0.5) * row + 3.5, "text-anchor": "end", "font-size": 10 }, yNames[i]));
    });
  } else {
    sy.ticks.forEach((tick, i) => {
      const y = sy(tick) + (rowCells ? (sy(1) - sy(0)) / 2 : 0);
      if (y < plot.top - 1 || y > plot.bottom + 1) return;
      if (!heat) grid.append(svg("path", { d: `M${plot.left} ${y.toFixed(1)}H${plot.right}` }));
      names.append(svg("text", { x: plot.left - 6, y: y + 4, "text-anchor": "end" }, yNames[i]));
    });
  }
  const xLabels = panel.x.scale.labels;
  sx.ticks.forEach((tick) => {
    const x = sx(tick) + (cells ? (sx(1) - sx(0)) / 2 : 0);
    if (x < plot.left - 1 || x > plot.right + 1) return;
    const text = xLabels ? xLabels[tick] || "" : tickText(tick, sx.ticks);
    const anchor = x > plot.right - 12 ? "end" : "middle";
    names.append(svg("text", { x: anchor === "end" ? plot.right + 2 : x, y: plot.bottom + 15, "text-anchor": anchor }, text));
    if (!heat) grid.append(svg("path", { d: `M${x.toFixed(1)} ${plot.bottom}v4`, stroke: colours.axis }));
  });
  if (!heat) grid.append(svg("path", { d: `M${plot.left} ${plot.bottom + 0.5}H${plot.right}`, stroke: colours.axis }));
  if (panel.x.label) names.append(svg("text", { x: plot.right, y: plot.bottom + 30, "text-anchor": "end" }, clip(panel.x.label, 60)));
  root.append(grid, names);
}

function legendRows(legend, width) {
  const rows = [[]];
  let used = 0;
  for (const mark of legend) {
    const need = 22 + textWidth(clip(mark.name, 34));
    if (used + need > width - 4 && rows[rows.length - 1].length) { rows.push([]); used = 0; }
    rows[rows.length - 1].push([used, mark]);
    used += need;
  }
  return rows;
}

function drawLegend(legend, width, top, colours) {
  const group = svg("g", { fill: colours.soft });
  legendRows(legend, width).forEach((row, r) => row.forEach(([x, mark]) => {
    const y = top + 11 + r * 15, colour = toneColour(mark.tone, colours);
    group.append(mark.kind === "line"
      ? svg("path", { d: `M${x + 2} ${y - 4}h11`, stroke: colour, "stroke-width": 2, "stroke-dasharray": mark.dashed ? "3 2" : null })
      : svg("rect", { x: x + 3, y: y - 8, width: 8, height: 8, rx: mark.kind === "points" ? 4 : 2, fill: colour, "fill-opacity": mark.kind === "band" ? 0.35 : 0.9 }));
    group.append(svg("text", { x: x + 17, y }, clip(mark.name, 34)));
  }));
  return group;
}

function drawShares(mark, root, width, height, colours) {
  const total = mark.values.reduce((sum, v) => sum + v, 0) || 1;
  // Names and shares beside the ring take 214 pixels in a narrow window.
  const size = width < 400 ? 11 : 12, radius = Math.max(30, Math.min(height / 2 - 10, width * 0.2, 110, (width - 214) / 2)), cx = radius + 12, cy = height / 2, inner = radius * 0.62;
  let angle = -Math.PI / 2;
  const found = [];
  mark.values.forEach((value, i) => {
    const share = value / total, end = angle + share * 2 * Math.PI * 0.99999, large = share > 0.5 ? 1 : 0;
    const at = (r, a) => `${(cx + r * Math.cos(a)).toFixed(2)} ${(cy + r * Math.sin(a)).toFixed(2)}`;
    // An arc that ends where it began is none.
    if (share > 0.999) root.append(svg("circle", { cx, cy, r: (radius + inner) / 2, fill: "none", stroke: toneColour(mark.tones[i], colours), "stroke-width": radius - inner }));
    else root.append(svg("path", {
      d: `M${at(radius, angle)}A${radius} ${radius} 0 ${large} 1 ${at(radius, end)}L${at(inner, end)}A${inner} ${inner} 0 ${large} 0 ${at(inner, angle)}Z`,
      fill: toneColour(mark.tones[i], colours), stroke: colours.paper, "stroke-width": 1.5,
    }));
    const middle = (angle + end) / 2;
    found.push({ x: cx + ((radius + inner) / 2) * Math.cos(middle), y: cy + ((radius + inner) / 2) * Math.sin(middle), text: `${mark.labels[i]}: ${grouped(value)} (${(100 * share).toFixed(1)} %)`, index: i, mark });
    angle = end;
  });
  root.append(svg("text", { x: cx, y: cy + 2, "text-anchor": "middle", fill: colours.ink, "font-size": 17, "font-weight": 600 }, bigCount(total)));
  root.append(svg("text", { x: cx, y: cy + 18, "text-anchor": "middle", fill: colours.soft, "font-size": 10.5 }, "parameters"));
  const x = cx + radius + (width < 400 ? 18 : 26), step = Math.min(26, (height - 20) / mark.labels.length), top = cy - (step * mark.labels.length) / 2 + step / 2;
  mark.labels.forEach((label, i) => {
    const y = top + i * step, share = mark.values[i] / total;
    root.append(
      svg("rect", { x, y: y - 8, width: 9, height: 9, rx: 2, fill: toneColour(mark.tones[i], colours) }),
      svg("text", { x: x + 16, y, fill: colours.ink, "font-size": size }, label),
      svg("text", { x: Math.min(width - 4, x + 240), y, fill: colours.soft, "text-anchor": "end", "font-size": size }, `${(100 * share).toFixed(1)} %`),
    );
  });
  root.plot = { left: 0, right: width, top: 0, bottom: height, found };
  return root;
}

function drawTree(mark, panel, root, plot, colours, sy0) {
  const n = mark.labels.length, order = [], children = mark.joins;
  const walk = (thing) => { if (thing < n) order.push(thing); else { walk(children[thing - n][0]); walk(children[thing - n][1]); } };
  walk(n + children.length - 1);
  const top = Math.max(...children.map((join) => join[2]), 1e-12);
  plot.left = 40; plot.bottom += 4;
  const sy = makeScale({ scale: { kind: "linear" }, low: 0, high: top * 1.04 }, [0, top], plot.bottom, plot.top, Math.max(2, Math.floor((plot.bottom - plot.top) / 34)));
  const step = (plot.right - plot.left) / n, x = new Map(order.map((thing, i) => [thing, plot.left + (i + 0.5) * step])), y = new Map();
  const names = svg("g", { fill: colours.soft, "font-size": 10 });
  for (const tick of sy.ticks) {
    root.append(svg("path", { d: `M${plot.left} ${sy(tick).toFixed(1)}H${plot.right}`, stroke: colours.grid }));
    names.append(svg("text", { x: plot.left - 6, y: sy(tick) + 3.5, "text-anchor": "end" }, tickText(tick, sy.ticks)));
  }
  let low = "", high = "";
  const found = [], cut = 0.7 * top;
  children.forEach(([a, b, h], i) => {
    const [xa, xb, ya, yb, at] = [x.get(a), x.get(b), y.get(a) ?? plot.bottom, y.get(b) ?? plot.bottom, sy(h)];
    const path = `M${xa.toFixed(1)} ${ya.toFixed(1)}V${at.toFixed(1)}H${xb.toFixed(1)}V${yb.toFixed(1)}`;
    if (h > cut) high += path; else low += path;
    x.set(n + i, (xa + xb) / 2); y.set(n + i, at);
    found.push({ x: (xa + xb) / 2, y: at, text: `joined at ${short(h)}`, index: i, mark });
  });
  root.append(
    svg("path", { d: low, stroke: colours.main, "stroke-width": 1.6, fill: "none", "stroke-linejoin": "round" }),
    svg("path", { d: high, stroke: colours.quiet, "stroke-width": 1.4, fill: "none", "stroke-linejoin": "round" }),
  );
  const every = Math.max(1, Math.ceil(14 / step));
  order.forEach((thing, i) => { if (i % every === 0) names.append(svg("text", { x: x.get(thing), y: plot.bottom + 13, "text-anchor": "middle" }, mark.labels[thing])); });
  root.append(names);
  if (panel.y.label) root.append(svg("text", { x: 2, y: (panel.title ? 16 : 0) + 14, fill: colours.soft }, panel.y.label));
  root.plot = { ...plot, found };
  return root;
}
