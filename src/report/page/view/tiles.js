// Zoom into a matrix, from the whole down to single elements: wheel, drag, keys, buttons.

function attachZoom(card, fetchRange) {
  let view = null;
  const whole = () => { const f = card.figure.facts, get = (n) => f.find((x) => x.name === n)?.value; return { rows: get("rows"), columns: get("columns") }; };
  const load = latestOnly(async () => {
    const v = view;
    const figure = await fetchRange(v && `${v.r0}-${v.r1}`, v && `${v.c0}-${v.c1}`);
    if (!figure.absent) card.draw(figure);
  });
  const zoom = (factor, fr = 0.5, fc = 0.5) => {
    const all = whole();
    if (!all.rows) return;
    const v = view || { r0: 0, r1: all.rows, c0: 0, c1: all.columns };
    const axis = (a, b, f, most) => {
      const length = Math.min(most, Math.max(Math.min(8, most), Math.round((b - a) * factor)));
      const start = Math.min(most - length, Math.max(0, Math.round(a + (b - a) * f - length * f)));
      return [start, start + length];
    };
    const [r0, r1] = axis(v.r0, v.r1, fr, all.rows), [c0, c1] = axis(v.c0, v.c1, fc, all.columns);
    view = r1 - r0 === all.rows && c1 - c0 === all.columns ? null : { r0, r1, c0, c1 };
    load();
  };
  const pan = (dr, dc) => {
    if (!view) return;
    const all = whole(), h = view.r1 - view.r0, w = view.c1 - view.c0;
    const r0 = Math.min(all.rows - h, Math.max(0, Math.round(view.r0 + dr * h))), c0 = Math.min(all.columns - w, Math.max(0, Math.round(view.c0 + dc * w)));
    view = { r0, r1: r0 + h, c0, c1: c0 + w };
    load();
  };
  const picture = card.querySelector(".picture");
  const share = (event) => {
    const node = picture.querySelector("svg"), box = node.getBoundingClientRect(), p = node.plot;
    return [((event.clientY - box.top) / node.zoom - p.top) / (p.bottom - p.top), ((event.clientX - box.left) / node.zoom - p.left) / (p.right - p.left)].map((v) => Math.min(1, Math.max(0, v)));
  };
  picture.addEventListener("wheel", (event) => {
    // Only with a key: a page that cannot be scrolled past is worse than a picture that zooms less.
    if (!(event.ctrlKey || event.metaKey || event.shiftKey) || !picture.querySelector("svg")) return;
    event.preventDefault();
    zoom((event.deltaY || event.deltaX) > 0 ? 1.5 : 1 / 1.5, ...share(event));
  }, { passive: false });
  picture.addEventListener("dblclick", (event) => { if (picture.querySelector("svg")) zoom(0.4, ...share(event)); });
  let drag = null;
  picture.addEventListener("pointerdown", (event) => { if (view) drag = [event.clientX, event.clientY]; });
  addEventListener("pointerup", (event) => {
    if (!drag || !picture.isConnected) { drag = null; return; }
    const node = picture.querySelector("svg"), p = node?.plot;
    if (p && Math.hypot(event.clientX - drag[0], event.clientY - drag[1]) > 6) pan(-(event.clientY - drag[1]) / node.zoom / (p.bottom - p.top), -(event.clientX - drag[0]) / node.zoom / (p.right - p.left));
    drag = null;
  });
  picture.addEventListener("keydown", (event) => {
    const act = { "+": () => zoom(0.5), "-": () => zoom(2), 0: () => { view = null; load(); } }[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  const button = (text, label, act) => el("button", { type: "button", class: "small", "aria-label": label, title: label, onclick: act }, text);
  card.querySelector(".tools").prepend(button("+", "Zoom in", () => zoom(0.5)), button("−", "Zoom out", () => zoom(2)), button("←", "Left", () => pan(0, -0.5)), button("→", "Right", () => pan(0, 0.5)), button("↑", "Up", () => pan(-0.5, 0)), button("↓", "Down", () => pan(0.5, 0)), button("whole", "Whole matrix", () => { view = null; load(); }));
}
