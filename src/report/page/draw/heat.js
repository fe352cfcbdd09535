// Matrices as pictures: one small image, stretched over the plot.

// Column of the mark under each of `width` pixels of the plot.
function heatColumns(mark, sx, left, width) {
  const columns = new Int32Array(width), [a, b] = mark.x;
  if (!mark.at) {
    for (let i = 0; i < width; i++) columns[i] = Math.min(mark.columns - 1, Math.max(0, Math.floor(((sx.invert(left + i + 0.5) - a) / (b - a)) * mark.columns)));
    return columns;
  }
  let k = 0;
  for (let i = 0; i < width; i++) {
    const v = sx.invert(left + i + 0.5);
    while (k + 1 < mark.at.length && v > (mark.at[k] + mark.at[k + 1]) / 2) k++;
    columns[i] = k;
  }
  return columns;
}

// Places on the ramp as a small picture of its own: a browser packs and unpacks a canvas ten times as long.
const NO_VALUE = 255;

function heatImage(mark, columns) {
  const width = columns.length, height = Math.max(mark.rows, 1), pixels = new Uint8Array(width * height).fill(NO_VALUE);
  const table = ramp(mark.ramp), places = NO_VALUE - 1, by = places / (mark.high - mark.low || 1);
  for (let row = 0, at = 0; row < mark.rows; row++) {
    for (let i = 0; i < width; i++, at++) {
      const value = mark.values[row * mark.columns + columns[i]];
      if (value !== null && value !== undefined) pixels[at] = Math.round(Math.min(places, Math.max(0, (value - mark.low) * by)));
    }
  }
  const colours = new Uint8Array(256 * 3), alpha = new Uint8Array(256).fill(255);
  for (let place = 0; place <= places; place++) {
    const from = 3 * Math.round((255 * place) / places);
    colours.set(table.subarray(from, from + 3), 3 * place);
  }
  if (mark.label === "weight") colours.set([0xd4, 0x14, 0x78], 3 * NO_VALUE); else alpha[NO_VALUE] = 0;
  return pngAddress(width, height, pixels, colours, alpha);
}

// Where single elements are large enough, their values stand in them.
function cellValues(mark, group, plot) {
  const wide = (plot.right - plot.left) / mark.columns, high = (plot.bottom - plot.top) / mark.rows;
  if (mark.at || wide < 40 || high < 15) return;
  const table = ramp(mark.ramp), span = mark.high - mark.low || 1;
  for (let i = 0; i < mark.rows * mark.columns; i++) {
    const value = mark.values[i];
    if (!isNumber(value ?? null)) continue;
    const c = 3 * Math.round(255 * Math.min(1, Math.max(0, (value - mark.low) / span)));
    const light = 0.299 * table[c] + 0.587 * table[c + 1] + 0.114 * table[c + 2] > 140;
    group.append(svg("text", {
      x: plot.left + ((i % mark.columns) + 0.5) * wide, y: plot.top + (Math.floor(i / mark.columns) + 0.5) * high + 3.5,
      "text-anchor": "middle", "font-size": 10, fill: light ? "#171b21" : "#ffffff", "pointer-events": "none",
    }, short(value, 3)));
  }
}

let gradients = 0;

// The bar that says which colour is which value.
function colourBar(mark, colours, x, top, bottom) {
  const id = `ramp${++gradients}`, table = ramp(mark.ramp), group = svg("g");
  const stopsList = Array.from({ length: 13 }, (_, i) => svg("stop", { offset: i / 12, "stop-color": rampCss(table, 1 - i / 12) }));
  const height = Math.min(bottom - top, 140);
  group.append(
    svg("defs", null, svg("linearGradient", { id, x1: 0, y1: 0, x2: 0, y2: 1 }, stopsList)),
    svg("rect", { x, y: top, width: 8, height, rx: 2, fill: `url(#${id})` }),
  );
  const label = (value, y) => svg("text", { x: x + 12, y, fill: colours.soft, "font-size": 10 }, short(value, 3));
  group.append(label(mark.high, top + 8), label(mark.low, top + height));
  if (mark.ramp === "diverging" && mark.low < 0 && mark.high > 0) group.append(label(0, top + height / 2 + 4));
  return group;
}

// Columns at steps that are evenly apart need no more pixels than there are columns.
const isEven = (at) => at.length < 3 || at.every((v, i) => i < 2 || Math.abs(v - 2 * at[i - 1] + at[i - 2]) < 1e-9 * Math.abs(v));

DRAWERS.heat = function (mark, sx, sy, group, colours, plot) {
  const width = Math.max(1, Math.round(plot.right - plot.left));
  const exact = mark.columns <= width && (!mark.at || isEven(mark.at));
  const columns = exact ? Int32Array.from({ length: mark.columns }, (_, i) => i) : heatColumns(mark, sx, plot.left, width);
  group.append(svg("image", {
    x: plot.left, y: plot.top, width: plot.right - plot.left, height: plot.bottom - plot.top,
    preserveAspectRatio: "none", href: heatImage(mark, columns), style: null, "image-rendering": "pixelated",
  }));
  cellValues(mark, group, plot);
  plot.heat = {
    mark,
    cell(px, py) {
      const row = Math.min(mark.rows - 1, Math.max(0, Math.floor(((py - plot.top) / (plot.bottom - plot.top)) * mark.rows)));
      const pixel = Math.min(width - 1, Math.max(0, Math.floor(px - plot.left)));
      const column = exact ? Math.min(mark.columns - 1, Math.floor((pixel / width) * mark.columns)) : columns[pixel];
      return { row, column, value: mark.values[row * mark.columns + column] };
    },
  };
  return [];
};
