// A picture as SVG or PNG, its numbers as CSV.

function offer(name, blob) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// All panels of a picture as one SVG that stands alone.
function wholeSvg(nodes, title) {
  const frame = nodes[0].closest(".picture").getBoundingClientRect(), colours = palette();
  const places = nodes.map((node) => { const box = node.getBoundingClientRect(); return [box.left - frame.left, box.top - frame.top, node]; });
  const width = Math.ceil(frame.width) + 24, height = Math.ceil(frame.height) + 52;
  const root = svg("svg", { xmlns: SVG, width, height, viewBox: `0 0 ${width} ${height}`, "font-family": FONT });
  root.append(svg("rect", { width, height, fill: colours.paper }));
  root.append(svg("text", { x: 12, y: 24, fill: colours.ink, "font-size": 15, "font-weight": 600 }, title));
  for (const [x, y, node] of places) {
    const copy = node.cloneNode(true);
    for (const gone of copy.querySelectorAll(".cross")) gone.remove();
    copy.setAttribute("x", 12 + x);
    copy.setAttribute("y", 40 + y);
    root.append(copy);
  }
  return { text: new XMLSerializer().serializeToString(root), width, height };
}

function savePng(name, picture) {
  const image = new Image();
  image.onload = () => {
    const canvas = document.createElement("canvas");
    canvas.width = picture.width * 2;
    canvas.height = picture.height * 2;
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => offer(name, blob), "image/png");
  };
  image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(picture.text);
}

// Rows of a figure: panel, mark, name, x, y and what else a mark has.
function figureRows(figure) {
  const rows = [["panel", "mark", "name", "x", "y", "more"]];
  figure.panels.forEach((panel, p) => panel.marks.forEach((mark) => {
    const put = (x, y, more = "") => rows.push([panel.title || String(p), mark.kind, mark.name || mark.label || "", x, y, more]);
    if (mark.kind === "heat") for (let r = 0; r < mark.rows; r++) for (let c = 0; c < mark.columns; c++) put(mark.at ? mark.at[c] : c, panel.y.scale.labels ? panel.y.scale.labels[r] : r, mark.values[r * mark.columns + c]);
    else if (mark.kind === "histogram") mark.heights.forEach((h, i) => put(mark.edges[i], h, mark.edges[i + 1]));
    else if (mark.kind === "band") mark.x.forEach((x, i) => put(x, mark.low[i], mark.high[i]));
    else if (mark.kind === "boxes") mark.x.forEach((x, i) => put(x, mark.five[i][2], mark.five[i].join(" ")));
    else if (mark.kind === "tree") mark.joins.forEach(([a, b, h]) => put(`${a}+${b}`, h));
    else if (mark.kind === "shares") mark.labels.forEach((label, i) => put(label, mark.values[i]));
    else if (mark.kind === "rule") put(mark.axis === "x" ? mark.at : "", mark.axis === "y" ? mark.at : "");
    else mark.x.forEach((x, i) => put(x, mark.y[i], mark.labels && mark.labels.length ? mark.labels[i] : ""));
  }));
  for (const fact of figure.facts) rows.push(["figures", "fact", fact.name, "", fact.value, fact.text]);
  return rows;
}

const csvField = (value) => {
  let text = value === null || value === undefined ? "" : String(value);
  if (typeof value === "string" && /^[=+\-@]/.test(text)) text = "'" + text;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
const toCsv = (rows) => rows.map((row) => row.map(csvField).join(",")).join("\r\n") + "\r\n";
