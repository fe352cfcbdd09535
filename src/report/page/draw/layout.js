// Room for pictures and words that are still to come, so that nothing moves when they do.

// Panels across, rows of panels and a row's height in pixels.
const LAYOUTS = {
  S1: { across: 1, rows: 1, height: 250 }, S8: { across: 2, rows: 1, height: 290 }, S10: { across: 2, rows: 1, height: 270 },
  S11: { across: 2, rows: 2, height: 170 }, S13: { across: 2, rows: 3, height: 190, first: true }, S14: { across: 4, rows: 3, height: 150 }, S15: { across: 3, rows: 1, height: 230 },
  S9: { across: 1, rows: 1, height: 420 }, S3: { across: 1, rows: 1, height: 340 }, profiles: { across: 2, rows: 1, height: 230 }, matrix: { across: 1, rows: 1, height: 420 },
  changes: { across: 3, rows: 1, height: 210 }, circuits: { across: 2, rows: 2, height: 200 }, maps: { across: 2, rows: 2, height: 230 },
  trajectory: { across: 2, rows: 1, height: 330 }, trainer: { across: 3, rows: 1, height: 220 }, similarity: { across: 1, rows: 1, height: 320 },
  evidence: { across: 2, rows: 1, height: 240 }, overlay: { across: 1, rows: 1, height: 460 },
};

function layoutOf(figure, width) {
  const known = LAYOUTS[figure.id] || { across: figure.panels.length > 1 ? 2 : 1, rows: Math.ceil((figure.panels.length || 1) / 2), height: 280 };
  const labels = figure.panels[0]?.y.scale.labels?.length ?? figure.labels;
  const height = labels ? Math.min(760, Math.max(220, labels * 13 + 50)) : known.height;
  let across = Math.min(known.across, figure.panels.length || known.across);
  while (across > 1 && width / across < 230) across--;
  return { ...known, across, height };
}

// How many panels a picture will have, as long as it has none.
function panelsOf(id) {
  const known = LAYOUTS[id];
  return known ? known.across * known.rows - (known.first ? 1 : 0) : 1;
}

// Names of the facts of what is drawn later than its card: tests/page holds them against what comes.
const FACTS = {
  S3: ["positions", "dimensions", "std", "abs_max"], S4: Array(8).fill("mean of 00"), S5: ["lowest (dimension 00)", "median (dimension 00)", "highest (dimension 00)", "highest : median"],
  S6: ["mean share", "mean share of noise", "noise, one in a hundred", "beyond it"], S7: ["mean", "least"],
  S9: ["rows", "columns", "loudest row / median", "loudest column / median", "rows of zeros"],
  S10: ["first component", "components for 90 %", "stable rank", "effective rank", "participation ratio"],
  S12: ["largest : median, worst layer", "its layer", "median of medians"], S13: ["heads", "mean query norm", "spread (std : mean)"],
  profiles: ["loudest row : median", "rows of zeros", "loudest column : median", "columns of zeros"],
  "singular-values": ["largest", "random-matrix edge σ(√m + √n)", "beyond the edge", "stable rank", "effective rank", "participation ratio", "alpha hill"],
  similarity: ["largest cosine"], "over-time": ["σ at first", "σ at last"], changes: ["update ratio", "cosine to previous", "identical ratio"],
  trainer: ["loss", "learning rate", "gradient norm"], heat: ["smallest", "median", "largest"],
  trajectory: ["distance, first to last", "way travelled", "shown in this plane"],
};

// Letters of the sentence under a title, 7 pixels each, where it is not as long as most.
const SENTENCE = 130, SHORT = { trainer: 50, bands: 65, similarity: 50, "over-time": 65, changes: 60, S3: 80, S5: 70, S13: 72 };

const isWaiting = (figure) => Boolean(figure.absent && figure.basis === "weights");

// Room for a card before it is drawn.
function reserve(card) {
  const figure = card.figure, zoom = zoomNow(), width = (card.width || 600) / zoom, layout = layoutOf(figure, width), gap = 14;
  const panels = figure.panels.length || card.options.panels || panelsOf(figure.id), alone = layout.first && panels % layout.across === 1 ? 1 : 0;
  const rows = alone + Math.ceil((panels - alone) / layout.across);
  const never = Boolean(figure.absent && figure.basis === "stored");
  card.classList.toggle("never", never);
  card.picture.style.minHeight = never ? "" : `${rows * layout.height * zoom + (rows - 1) * gap}px`;
  if (isWaiting(figure)) card.says.style.minHeight = `${Math.ceil(((SHORT[figure.id] || SENTENCE) * 7) / width) * 1.5}em`;
  return { layout, gap };
}
