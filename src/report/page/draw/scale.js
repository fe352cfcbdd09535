// From values to pixels, and which values to name.

function niceTicks(low, high, wanted, whole) {
  const span = high - low;
  if (!(span > 0)) return [low];
  const rough = span / Math.max(wanted, 1), power = 10 ** Math.floor(Math.log10(rough));
  let step = (whole ? [1, 2, 5, 10] : [1, 2, 2.5, 5, 10]).find((m) => m * power >= rough * 0.999) * power;
  if (whole) step = Math.max(1, step);
  const ticks = [];
  for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-9; v += step) ticks.push(Math.abs(v) < step * 1e-9 ? 0 : v);
  return ticks;
}

function logTicks(low, high, wanted) {
  const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
  const all = [];
  const multiples = last - first <= 1 ? [1, 1.5, 2, 3, 5, 7] : last - first <= 3 ? [1, 2, 5] : [1];
  for (let e = first; e <= last; e++) for (const m of multiples) all.push(m * 10 ** e);
  const inside = all.filter((v) => v >= low * 0.999 && v <= high * 1.001);
  const every = Math.max(1, Math.ceil(inside.length / Math.max(wanted, 2)));
  return inside.filter((_, i) => i % every === 0);
}

// axis, values that must fit, pixels; `pad` widens an even axis by its share.
function makeScale(axis, values, from, to, wanted, pad) {
  const kind = axis.scale.kind, log = kind === "log";
  let low = Infinity, high = -Infinity;
  for (const v of values) {
    if (v === null || !Number.isFinite(v) || (log && v <= 0)) continue;
    if (v < low) low = v;
    if (v > high) high = v;
  }
  if (low > high) [low, high] = log ? [1, 10] : [0, 1];
  if (low === high) {
    const by = log ? 0 : Math.abs(low) * 0.1 || 1;
    [low, high] = log ? [low / 2, high * 2] : low === 0 ? [0, 1] : [low - by, high + by];
  }
  if (pad && log) { const by = (high / low) ** 0.05; low /= by; high *= by; }
  else if (pad) { const by = (high - low) * 0.05; if (low !== 0) low -= by; if (high !== 0) high += by; }
  if (axis.low !== undefined) low = axis.low;
  if (axis.high !== undefined) high = axis.high;
  if (!(high > low)) high = low + (Math.abs(low) || 1);
  const t = log ? Math.log10 : (v) => v;
  const a = t(low), b = t(high);
  const scale = (v) => (v === null || (log && v <= 0) ? NaN : from + ((t(v) - a) / (b - a)) * (to - from));
  scale.invert = (pixel) => { const v = a + ((pixel - from) / (to - from)) * (b - a); return log ? 10 ** v : v; };
  scale.low = low;
  scale.high = high;
  scale.ticks = log ? logTicks(low, high, wanted) : niceTicks(low, high, wanted, kind === "whole");
  return scale;
}

function tickText(value, ticks) {
  const size = Math.max(...ticks.map(Math.abs));
  if (size >= 1e5 || (size > 0 && size < 1e-3)) return short(value, 4);
  const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : Math.abs(value) || 1;
  const decimals = Math.min(6, Math.max(0, Math.ceil(-Math.log10(step) + (String(step / 10 ** Math.floor(Math.log10(step))).startsWith("2.5") ? 1 : 0) - 1e-9)));
  return value.toFixed(decimals).replace("-", "−");
}
