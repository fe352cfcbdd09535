// Colours by meaning, for light and dark. Ramps run through OKLab, so equal steps look equal.

const PALETTES = {
  light: {
    paper: "#ffffff", ink: "#171b21", soft: "#5a636e", grid: "#e7e9ec", axis: "#b9c0c8",
    main: "#2767b0", reference: "#b65a12", quiet: "#8b95a1", alarm: "#c62f2b",
    nth: ["#2767b0", "#c8701f", "#2f8a68", "#8a4fb0", "#a98200", "#c3447d", "#3f8296", "#6f7783"],
    sequential: [[0.985, 0.006, 230], [0.86, 0.062, 215], [0.7, 0.1, 235], [0.52, 0.135, 258], [0.33, 0.13, 278]],
    diverging: [[0.4, 0.135, 258], [0.62, 0.115, 245], [0.83, 0.055, 235], [0.975, 0.003, 250], [0.85, 0.07, 65], [0.66, 0.135, 48], [0.45, 0.15, 30]],
  },
  dark: {
    paper: "#171c23", ink: "#e9edf1", soft: "#a0aab5", grid: "#272e37", axis: "#4a545f",
    main: "#74b6f5", reference: "#f0a560", quiet: "#74808d", alarm: "#ff7d74",
    nth: ["#74b6f5", "#f0a560", "#5fc7a0", "#c08ae6", "#d9b849", "#ee86b3", "#6fbdd2", "#a0aab5"],
    sequential: [[0.225, 0.02, 260], [0.38, 0.09, 268], [0.55, 0.12, 245], [0.74, 0.105, 215], [0.93, 0.07, 190]],
    diverging: [[0.85, 0.09, 225], [0.68, 0.125, 245], [0.45, 0.1, 255], [0.235, 0.01, 260], [0.45, 0.095, 45], [0.68, 0.14, 52], [0.87, 0.095, 75]],
  },
};

function theme() {
  const set = document.documentElement.dataset.theme;
  if (set === "light" || set === "dark") return set;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

const palette = () => PALETTES[theme()];

function toneColour(tone, colours) {
  if (typeof tone === "string") return colours[tone] || colours.main;
  return colours.nth[tone.nth % colours.nth.length];
}

// OKLCH stops to 256 sRGB colours.
function rampTable(stops) {
  const lab = stops.map(([l, c, h]) => [l, c * Math.cos((h * Math.PI) / 180), c * Math.sin((h * Math.PI) / 180)]);
  const table = new Uint8Array(256 * 3);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (lab.length - 1);
    const k = Math.min(Math.floor(place), lab.length - 2), t = place - k;
    const [L, a, b] = [0, 1, 2].map((j) => lab[k][j] + (lab[k + 1][j] - lab[k][j]) * t);
    const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
    const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
    const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
    const linear = [
      4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
      -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
      -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
    ];
    linear.forEach((v, j) => {
      const c = Math.min(Math.max(v, 0), 1);
      table[i * 3 + j] = Math.round(255 * (c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055));
    });
  }
  return table;
}

const rampTables = {};
function ramp(kind) {
  const key = theme() + kind;
  return (rampTables[key] ||= rampTable(palette()[kind]));
}

const rampCss = (table, share) => {
  const i = 3 * Math.round(255 * Math.min(Math.max(share, 0), 1));
  return `rgb(${table[i]},${table[i + 1]},${table[i + 2]})`;
};
