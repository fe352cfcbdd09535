// Search over runs, tensors and findings.

function searchBox() {
  const list = el("ul", { id: "hits", hidden: true });
  const input = el("input", { type: "search", placeholder: "Search  /", "aria-label": "Search runs, tensors and findings", autocomplete: "off" });
  const close = () => { list.hidden = true; };
  const look = latestOnly(async () => {
    const q = input.value.trim();
    if (!q) { close(); return; }
    const { items, total } = await api("/search", { q, limit: 30 });
    const href = (hit) => hit.kind === "run" ? to.run(hit.run) : hit.kind === "finding" ? to.finding(hit.run, hit.id) : to.tensor(hit.run, hit.step, hit.name, { attempt: hit.attempt || undefined });
    list.replaceChildren(...items.map((hit) => el("li", null, el("a", { href: href(hit), onclick: close }, el("span", { class: "kind" }, hit.kind), hit.name, hit.kind === "run" ? null : el("span", { class: "quiet" }, `  ${hit.run}`)))),
      ...(total > items.length ? [el("li", { class: "quiet" }, `and ${total - items.length} more: type on`)] : []), ...(total ? [] : [el("li", { class: "quiet" }, "nothing has that name")]));
    list.hidden = false;
    announce(`${total} hits`);
  });
  input.addEventListener("input", look);
  const box = el("div", { class: "search", role: "search" }, input, list);
  box.addEventListener("keydown", (event) => {
    const links = [...list.querySelectorAll("a")], at = links.indexOf(document.activeElement);
    if (event.key === "Escape") { close(); input.blur(); }
    if (event.key === "ArrowDown" && links.length) { event.preventDefault(); links[Math.min(at + 1, links.length - 1)].focus(); }
    if (event.key === "ArrowUp" && at >= 0) { event.preventDefault(); (links[at - 1] || input).focus(); }
    if (event.key === "Enter" && document.activeElement === input && links.length) links[0].click();
  });
  addEventListener("keydown", (event) => { if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) { event.preventDefault(); input.focus(); } });
  addEventListener("pointerdown", (event) => { if (!box.contains(event.target)) close(); });
  return box;
}
