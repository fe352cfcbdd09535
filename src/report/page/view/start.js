// From the address to a view, and what changes while one looks.

const ROUTES = [
  [/^\/?$/, fleetView],
  [/^\/overlay$/, overlayView],
  [/^\/run\/([^/]+)$/, (p, m) => runView({ ...p, run: m[0] })],
  [/^\/run\/([^/]+)\/step\/(\d+)$/, (p, m) => checkpointView({ ...p, run: m[0], step: m[1] })],
  [/^\/run\/([^/]+)\/step\/(\d+)\/tensor\/([^/]+)$/, (p, m) => tensorView({ ...p, run: m[0], step: m[1], name: m[2] })],
  [/^\/run\/([^/]+)\/step\/(\d+)\/heads$/, (p, m) => headsView({ ...p, run: m[0], step: m[1] })],
  [/^\/run\/([^/]+)\/finding\/([^/]+)$/, (p, m) => findingView({ ...p, run: m[0], id: m[1] })],
];

let view = null, turn = 0;

async function route() {
  const mine = ++turn, main = document.getElementById("main");
  const [path, search] = location.hash.replace(/^#/, "").split("?");
  const parameters = Object.fromEntries(new URLSearchParams(search || ""));
  main.setAttribute("aria-busy", "true");
  let next;
  try {
    const found = ROUTES.map(([pattern, open]) => [pattern.exec(path), open]).find(([match]) => match);
    if (!found) throw Object.assign(new Error("This address leads nowhere."), { status: 404 });
    next = await found[1]({ parameters }, found[0].slice(1).map(decodeURIComponent));
  } catch (error) {
    next = { title: "weighbridge", crumbs: [], nodes: [el("h1", { class: "hidden" }, "Error"), failure(error)] };
  }
  if (mine !== turn) return;
  view = next;
  document.title = `${next.title} · weighbridge`;
  showTip(null);
  main.replaceChildren(...next.nodes.flat(Infinity).filter(Boolean));
  settle(main);
  main.removeAttribute("aria-busy");
  crumbs.replaceChildren(...next.crumbs.flatMap(([text, href]) => [el("span", { "aria-hidden": "true" }, "/"), el("a", { href, title: text }, text)]));
  if (next.focus) document.getElementById(next.focus)?.scrollIntoView({ block: "start" });
  else scrollTo(0, 0);
  if (mine > 1) main.focus({ preventScroll: true });
  document.documentElement.dataset.ready = String(mine);
  // For whoever waits for the pictures, such as a test: the view is whole but for what the weights draw.
  try { await next.ready?.(); } catch (error) { complain(error); }
  if (mine === turn) document.documentElement.dataset.whole = String(mine);
}

const crumbs = el("nav", { class: "crumbs", "aria-label": "Where you are" });
const live = el("span", { class: "live", role: "img", "aria-label": "not connected" }, el("span", null, "live"));

function themeButton() {
  const set = (name) => { document.documentElement.dataset.theme = name; try { localStorage.setItem("theme", name); } catch { /* private mode: it lasts for this page */ } redrawAll(); };
  try { const stored = localStorage.getItem("theme"); if (stored) document.documentElement.dataset.theme = stored; } catch { /* the same */ }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
  return el("button", { type: "button", class: "small", "aria-label": "Light or dark", title: "Light or dark", onclick: () => set(theme() === "dark" ? "light" : "dark") }, "◐");
}

function redrawAll() {
  for (const card of document.querySelectorAll(".figure, .picture")) card.redraw?.();
  if (location.hash.length <= 2) route();
}

// A line on every change: ask again only when something of this view changed, at most twice a second.
function listen() {
  let known = null, timer = null, source = null;
  const told = (event) => {
    live.classList.add("on");
    live.setAttribute("aria-label", "live");
    const state = JSON.parse(event.data);
    const now = JSON.stringify(view?.run ? state.runs.filter((run) => run.run === view.run) : state);
    if (known !== null && now !== known) {
      clearTimeout(timer);
      const shown = view;
      timer = setTimeout(() => { if (shown === view) view?.refresh?.().catch?.(complain); }, 400);
    }
    known = now;
  };
  const off = () => { live.classList.remove("on"); live.setAttribute("aria-label", "not connected"); };
  const close = () => { source?.close(); source = null; off(); };
  const open = () => {
    if (source) return;
    source = new EventSource("/api/v1/events");
    source.addEventListener("state", told);
    source.addEventListener("error", off);
  };
  // All tabs of a browser together have six connections to the daemon, and one that waits for news takes one for
  // good: who is not looked at gives it back, and asks what is new when looked at again.
  const follow = () => (document.hidden ? close() : open());
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", close);
  addEventListener("pageshow", follow);
  follow();
}

document.getElementById("top").append(
  el("a", { class: "brand", href: to.fleet() }, el("img", { src: "/assets/icon.svg", alt: "", width: 24, height: 24 }), el("span", null, "weighbridge")),
  crumbs, searchBox(), live, themeButton());
addEventListener("hashchange", route);
route().then(listen);
