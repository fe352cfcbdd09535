// One drawer a mark. Each gets the mark, both scales, the group to draw into and the palette, and
// returns what can be pointed at: {x, y, text} in pixels.

const isNumber = (v) => v !== null && Number.isFinite(v);

function linePath(xs, ys, sx, sy) {
  let path = "", pen = false;
  for (let i = 0; i < xs.length; i++) {
    const x = sx(xs[i]), y = sy(ys[i]);
    if (!isNumber(ys[i]) || !Number.isFinite(x) || !Number.isFinite(y)) { pen = false; continue; }
    path += `${pen ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = true;
  }
  return path;
}

// What can be pointed at. A line of a thousand points says one of them at most: words are made when asked for.
class Stop {
  constructor(x, y, index, mark, say) { Object.assign(this, { x, y, index, mark, say }); }
  get text() { return this.say(this.mark.x[this.index], this.mark.y[this.index], this.index); }
}

function stops(mark, sx, sy, say) {
  const found = [];
  for (let i = 0; i < mark.x.length; i++) {
    const x = sx(mark.x[i]), y = sy(mark.y[i]);
    if (Number.isFinite(x) && Number.isFinite(y) && isNumber(mark.y[i])) found.push(new Stop(x, y, i, mark, say));
  }
  return found;
}

const named = (mark, text) => (mark.name ? `${mark.name}: ${text}` : text);

const DRAWERS = {
  line(mark, sx, sy, group, colours) {
    const colour = toneColour(mark.tone, colours);
    group.append(svg("path", {
      d: linePath(mark.x, mark.y, sx, sy), fill: "none", stroke: colour, "stroke-width": mark.tone === "quiet" ? 1.2 : 1.75,
      "stroke-linejoin": "round", "stroke-linecap": "round", "stroke-dasharray": mark.dashed ? "4 3" : null,
    }));
    const found = stops(mark, sx, sy, (x, y) => named(mark, `${short(x)} → ${short(y, 5)}`));
    if (found.length && found.length <= 40 && !mark.dashed && mark.tone !== "quiet") {
      const dots = found.map((p) => `M${(p.x - 2.1).toFixed(1)} ${p.y.toFixed(1)}a2.1 2.1 0 1 0 4.2 0a2.1 2.1 0 1 0 -4.2 0`).join("");
      group.append(svg("path", { d: dots, fill: colour }));
    }
    return found;
  },
  points(mark, sx, sy, group, colours) {
    const r = mark.x.length > 400 ? 1.6 : mark.x.length > 80 ? 2.3 : 3.2;
    const found = stops(mark, sx, sy, (x, y, i) => (mark.labels.length ? mark.labels[i] : named(mark, `${short(x)} → ${short(y, 5)}`)));
    const dots = found.map((p) => `M${(p.x - r).toFixed(1)} ${p.y.toFixed(1)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`).join("");
    group.append(svg("path", { d: dots, fill: toneColour(mark.tone, colours), "fill-opacity": mark.x.length > 80 ? 0.6 : 0.85 }));
    return found;
  },
  bars(mark, sx, sy, group, colours) {
    const gap = mark.x.length > 1 ? Math.abs(sx(mark.x[1]) - sx(mark.x[0])) : 40;
    const width = Math.max(1, Math.min(gap * 0.72, 34)), zero = sy(Math.max(0, sy.low));
    let path = "";
    mark.x.forEach((x, i) => {
      if (!isNumber(mark.y[i])) return;
      const px = sx(x), py = sy(mark.y[i]);
      path += `M${(px - width / 2).toFixed(1)} ${zero.toFixed(1)}V${py.toFixed(1)}h${width.toFixed(1)}V${zero.toFixed(1)}Z`;
    });
    group.append(svg("path", { d: path, fill: toneColour(mark.tone, colours), "fill-opacity": 0.88 }));
    return stops(mark, sx, sy, (x, y) => named(mark, `${short(x)} → ${short(y, 5)}`));
  },
  histogram(mark, sx, sy, group, colours) {
    const base = sy(Math.max(0, sy.low));
    let path = "", found = [];
    mark.heights.forEach((height, i) => {
      if (!isNumber(height)) return;
      const a = sx(mark.edges[i]), b = sx(mark.edges[i + 1]), y = sy(height);
      path += `M${a.toFixed(2)} ${base.toFixed(1)}V${y.toFixed(2)}H${(b - (b - a > 4 ? 0.8 : 0)).toFixed(2)}V${base.toFixed(1)}Z`;
      found.push({ x: (a + b) / 2, y, text: `${short(mark.edges[i])} to ${short(mark.edges[i + 1])}: ${short(height)}`, index: i, mark });
    });
    group.append(svg("path", { d: path, fill: toneColour(mark.tone, colours), "fill-opacity": 0.55 }));
    return found;
  },
  band(mark, sx, sy, group, colours) {
    const there = mark.x.map((_, i) => i).filter((i) => isNumber(mark.low[i]) && isNumber(mark.high[i]));
    const at = (i, values) => `${sx(mark.x[i]).toFixed(1)} ${sy(values[i]).toFixed(1)}`;
    if (there.length) {
      const path = `M${there.map((i) => at(i, mark.high)).join("L")}L${there.reverse().map((i) => at(i, mark.low)).join("L")}Z`;
      group.append(svg("path", { d: path, fill: toneColour(mark.tone, colours), "fill-opacity": 0.22 }));
    }
    return [];
  },
  boxes(mark, sx, sy, group, colours) {
    const gap = mark.x.length > 1 ? Math.abs(sx(mark.x[1]) - sx(mark.x[0])) : 60;
    const half = Math.max(3, Math.min(gap * 0.4, 22)), colour = toneColour(mark.tone, colours);
    let boxes = "", lines = "", medians = "", violins = "", found = [];
    mark.x.forEach((x, i) => {
      const px = sx(x), [low, q1, mid, q3, high] = mark.five[i].map(sy), w = half * (mark.outlines.length ? 0.34 : 0.7);
      const outline = mark.outlines[i] || [];
      if (outline.length) {
        const right = outline.map(([v, d]) => `${(px + d * half).toFixed(1)} ${sy(v).toFixed(1)}`);
        const left = outline.map(([v, d]) => `${(px - d * half).toFixed(1)} ${sy(v).toFixed(1)}`).reverse();
        violins += `M${right.join("L")}L${left.join("L")}Z`;
      }
      lines += `M${px.toFixed(1)} ${low.toFixed(1)}V${q1.toFixed(1)}M${px.toFixed(1)} ${q3.toFixed(1)}V${high.toFixed(1)}`;
      boxes += `M${(px - w).toFixed(1)} ${q1.toFixed(1)}V${q3.toFixed(1)}h${(2 * w).toFixed(1)}V${q1.toFixed(1)}Z`;
      medians += `M${(px - w).toFixed(1)} ${mid.toFixed(1)}h${(2 * w).toFixed(1)}`;
      found.push({ x: px, y: mid, text: `${short(x)}: median ${short(mark.five[i][2])}, ${short(mark.five[i][0])} to ${short(mark.five[i][4])}`, index: i, mark });
    });
    group.append(
      svg("path", { d: violins, fill: colour, "fill-opacity": 0.22, stroke: "none" }),
      svg("path", { d: lines, stroke: colour, "stroke-width": 1.2, fill: "none" }),
      svg("path", { d: boxes, fill: colours.paper, stroke: colour, "stroke-width": 1.3 }),
      svg("path", { d: medians, stroke: colours.reference, "stroke-width": 2, fill: "none" }),
    );
    return found;
  },
  rule(mark, sx, sy, group, colours, plot) {
    const colour = toneColour(mark.tone, colours), upright = mark.axis === "x";
    const at = upright ? sx(mark.at) : sy(mark.at);
    if (!Number.isFinite(at) || (upright ? at < plot.left - 1 || at > plot.right + 1 : at < plot.top - 1 || at > plot.bottom + 1)) return [];
    group.append(svg("path", {
      d: upright ? `M${at.toFixed(1)} ${plot.top}V${plot.bottom}` : `M${plot.left} ${at.toFixed(1)}H${plot.right}`,
      stroke: colour, "stroke-width": 1.2, "stroke-dasharray": mark.tone === "alarm" ? "5 3" : "2 3", fill: "none",
    }));
    const flip = upright && at > (plot.left + plot.right) / 2;
    const below = !upright && at < plot.top + 14;
  const left = !upright && plot.lying++ % 2 === 1;
    group.append(svg("text", {
      x: upright ? at + (flip ? -4 : 4) : left ? plot.left + 4 : plot.right - 3, y: upright ? plot.top + 10 + 12 * (plot.rules++ % 4) : at + (below ? 11 : -4),
      "text-anchor": upright ? (flip ? "end" : "start") : left ? "start" : "end", fill: colour, "font-size": 10.5, "paint-order": "stroke",
      stroke: colours.paper, "stroke-width": 3, "stroke-linejoin": "round",
    }, mark.label));
    return [];
  },
};
