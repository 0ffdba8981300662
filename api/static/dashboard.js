// The dashboard: which view is shown, and how it is kept up to date. Each view is a function of what the API answered.

import { actionsOf } from "/api/dashboard/actions.js";
import { orderView } from "/api/dashboard/order.js";
import {
  FINAL,
  STATUSES,
  announce,
  closeDialog,
  fact,
  get,
  h,
  held,
  money,
  orderLink,
  replace,
  since,
  statusPill,
  tick,
  totalOf,
  until,
  words,
} from "/api/dashboard/page.js";
import { stockView } from "/api/dashboard/stock.js";

const LIVE_MS = 2000;
const BACKGROUND_MS = 30000;
const COUNTS_MS = 30000;
const PAGE = 50;

const main = document.getElementById("main");
let shown = 0; // counts the views, so that an answer for one that was left is dropped
let timer = null;
let counts = {};
let countsAt = 0;

function route() {
  const [, view = "", ...rest] = location.hash.split(/[/?]/);
  const query = new URLSearchParams(location.hash.split("?")[1] ?? "");
  if (view === "orders") return { name: "orders", title: "Orders", query };
  if (view === "stock") return { name: "stock", title: "Stock", query };
  if (view === "order" && rest[0]) return { name: "order", title: "Order", id: decodeURIComponent(rest[0]), query };
  return { name: "needs", title: "Needs you", query };
}

function navigate() {
  const at = route();
  const mine = ++shown;
  clearTimeout(timer);
  closeDialog();
  document.title = `${at.title} · Order saga`;
  for (const link of document.querySelectorAll("nav a[data-view]")) {
    if (link.dataset.view === at.name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  replace(main, h("p", { class: "empty" }, "Loading …"));
  const keep = { older: null, drawn: false };
  poll(at, mine, keep);
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
}

async function poll(at, mine, keep) {
  let wait = LIVE_MS;
  try {
    wait = (await VIEWS[at.name](at, keep, () => mine === shown)) ?? LIVE_MS;
    if (mine !== shown) return;
    setLive(true, "Live");
  } catch (fault) {
    if (mine !== shown) return;
    const message = fault.status ? fault.message : "The server does not answer.";
    setLive(false, `Not up to date: ${message}`);
    if (!keep.drawn) replace(main, h("p", { class: "empty" }, message, fault.status === 401 ? null : advice()));
    wait = 5000;
  }
  timer = setTimeout(() => poll(at, mine, keep), document.hidden ? Math.max(wait, BACKGROUND_MS) : wait);
  keep.again = () => {
    clearTimeout(timer);
    poll(at, mine, keep);
  };
  current = keep;
}

function advice() {
  return [" This page tries again by itself. ", h("a", { href: "/api/health" }, "Health"), " says what is wrong."];
}

let current = null;
function refresh() {
  current?.again?.();
}

function setLive(isLive, text) {
  document.getElementById("live").className = `live ${isLive ? "on" : "away"}`;
  const place = document.getElementById("live-text");
  if (place.textContent !== text) place.textContent = text;
}

function setNeeds(number) {
  const badge = document.getElementById("needs-count");
  const before = Number(badge.textContent || 0);
  badge.textContent = number ? String(number) : "";
  badge.hidden = !number;
  if (number > before) announce(number === 1 ? "1 order needs you." : `${number} orders need you.`);
}

async function overview() {
  if (Date.now() - countsAt > COUNTS_MS) {
    countsAt = Date.now();
    counts = (await get("operations/counts")).body.ended ?? {};
  }
  return get("operations/overview");
}

// Needs you.

async function needsView(at, keep, isShown) {
  const { body, fresh } = await overview();
  if (!isShown() || (!fresh && keep.drawn)) return LIVE_MS;
  const waiting = body.unfinished.more ? await allThatWait(body.needs_you) : body.needs_you;
  if (!isShown()) return LIVE_MS;
  setNeeds(waiting.length);
  keep.drawn = true;
  replace(
    main,
    h("h1", {}, "Needs you"),
    tiles(body, null),
    waiting.length
      ? h("ol", { class: "cards" }, waiting.map((order) => needsCard(order, body.actor)))
      : h("p", { class: "empty" }, h("strong", {}, "Nothing waits for you."), " Parked orders and approvals appear here by themselves."),
  );
  return LIVE_MS;
}

// Beyond a thousand unfinished orders the overview holds the newest only: those that wait are asked for by status.
async function allThatWait(some) {
  const oldest = daysAgo(365);
  const found = new Map(some.map((order) => [order.order_id, order]));
  for (const status of ["needs_attention", "awaiting_approval"]) {
    const { body } = await get(`orders?status=${status}&from=${oldest}&top=100`);
    for (const order of body.orders) found.set(order.order_id, order);
  }
  return [...found.values()].sort((one, other) => one.accepted_at.localeCompare(other.accepted_at));
}

function needsCard(order, actor) {
  const parked = order.status === "needs_attention";
  return h(
    "li",
    { class: `card ${order.status}` },
    h("div", { class: "card-head" }, orderLink(order, "h2"), statusPill(order.status), since(order.since ?? order.accepted_at, "for ")),
    h("p", { class: "what" }, parked ? whatFailed(order) : approvalAsked(order)),
    h("dl", { class: "facts" }, fact("Held", held(order)), fact("Total", totalOf(order)), fact("SKUs", order.skus.join(", ")), fact("Accepted", since(order.accepted_at, "", " ago"))),
    actionsOf(order, actor, refresh),
  );
}

function whatFailed(order) {
  const undos = (order.waits_for ?? "").split(", ").filter(Boolean).map(words);
  const state = undos.length ? `Could not be confirmed: ${undos.join(", ")}.` : "The order stopped, and its progress is unknown.";
  return order.failure ? `${state} The order is being undone: ${words(order.failure)}.` : state;
}

function approvalAsked(order) {
  const deadline = (order.waits_for ?? "").replace("approval until ", "");
  return ["It waits for an approval. Without a decision it is refused ", Number.isNaN(Date.parse(deadline)) ? "at its deadline" : until(deadline, "in "), "."];
}

// The list.

async function ordersView(at, keep, isShown) {
  const filtered = ["status", "from", "to", "after"].some((name) => at.query.get(name));
  const { body, fresh } = filtered ? await get(listPath(at.query)) : await overview();
  if (!isShown() || (!fresh && keep.drawn)) return filtered ? 5000 : LIVE_MS;
  if (!filtered) {
    setNeeds(body.needs_you.length);
    keep.older ??= body.orders.length < PAGE ? await earlierDays() : { orders: [], continuation: null };
  }
  if (!isShown()) return LIVE_MS;
  const rows = filtered ? body.orders : withOlder(body.orders, keep.older.orders);
  const next = filtered ? body.continuation : (body.continuation ?? keep.older.continuation);
  if (!keep.drawn) {
    replace(main, h("h1", {}, "Orders"), h("div", { id: "tiles" }), filters(at.query), h("div", { id: "list" }));
    keep.drawn = true;
  }
  if (!filtered) replace(document.getElementById("tiles"), tiles(body, counts));
  replace(document.getElementById("list"), rows.length ? listTable(rows) : h("p", { class: "empty" }, !filtered ? "There is no order yet. New orders appear here by themselves." : next ? "No order fits among those that were read. Older ones may." : "No order fits."), pager(at.query, next));
  return filtered ? 5000 : LIVE_MS;
}

function listPath(query) {
  const asked = new URLSearchParams({ top: String(PAGE) });
  for (const name of ["status", "from", "to"]) if (query.get(name)) asked.set(name, query.get(name));
  if (query.get("after")) asked.set("continuation", query.get("after"));
  // All of the unfinished are in one place; the ended lie by day, so older ones are asked for page by page.
  const unfinished = query.get("status") && !FINAL.includes(query.get("status"));
  if (!query.get("from") && (unfinished || query.get("after"))) asked.set("from", daysAgo(unfinished ? 365 : 90, query.get("to")));
  return `orders?${asked}`;
}

function daysAgo(days, day) {
  const from = day ? Date.parse(day) : Date.now();
  return new Date(from - days * 86400000).toISOString().slice(0, 10);
}

// A quiet day: what came before today is read once, and not polled.
async function earlierDays() {
  return (await get(`orders?top=${PAGE}&to=${daysAgo(1)}`)).body;
}

function withOlder(newest, older) {
  const ids = new Set(newest.map((order) => order.order_id));
  return [...newest, ...older.filter((order) => !ids.has(order.order_id))];
}

function filters(query) {
  const select = h(
    "select",
    { id: "status", name: "status" },
    h("option", { value: "" }, "any status"),
    STATUSES.map((status) => h("option", { value: status, selected: query.get("status") === status }, words(status))),
  );
  const day = (name, label) => h("label", {}, label, h("input", { type: "date", name, value: query.get(name) ?? "" }));
  const go = (event) => {
    event.preventDefault();
    const data = new FormData(event.target);
    if (data.get("id")?.trim()) {
      location.hash = `#/order/${encodeURIComponent(data.get("id").trim())}`;
      return;
    }
    const asked = new URLSearchParams([...data].filter(([name, value]) => value && name !== "id"));
    location.hash = `#/orders?${asked}`;
  };
  return h(
    "form",
    { class: "filters", onsubmit: go, "aria-label": "Filter" },
    h("label", {}, "Order id", h("input", { name: "id", type: "search", autocomplete: "off", spellcheck: "false" })),
    h("label", {}, "Status", select),
    day("from", "From (UTC)"),
    day("to", "To (UTC)"),
    h("button", { class: "primary" }, "Show"),
    [...query].length ? h("a", { class: "button", href: "#/orders" }, "Clear") : null,
  );
}

function listTable(orders) {
  const heads = ["Status", "Order", "Age", "Total", "SKUs", "Waits for, or ended because", "Held"];
  return h(
    "table",
    { class: "list orders" },
    h("caption", { class: "hidden" }, "Orders, newest first"),
    h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col", class: ["Age", "Total", "Held"].includes(head) ? "right" : null }, head)))),
    h("tbody", {}, orders.map(listRow)),
  );
}

function listRow(order) {
  const cell = (label, content, kind) => h("td", { "data-label": label, class: kind }, content);
  const busy = ["awaiting_approval", "compensating", "needs_attention"].includes(order.status);
  return h(
    "tr",
    { class: busy ? order.status : null },
    cell("Status", statusPill(order.status)),
    cell("Order", orderLink(order)),
    cell("Age", since(order.accepted_at), "right"),
    cell("Total", totalOf(order) || "–", "right num"),
    cell("SKUs", skus(order.skus), "skus"),
    cell("Why", busy ? waitsFor(order) : FINAL.includes(order.status) && order.failure ? words(order.failure) : "", "waits"),
    cell("Held", busy && order.held_minor > 0 ? money(order.held_minor, order.total?.currency) : "", "right num"),
  );
}

function skus(all) {
  const shown = all.slice(0, all.length > 3 ? 2 : 3).map((sku) => h("span", { title: sku }, sku));
  return shown.length < all.length ? [...shown, h("span", { title: all.slice(2).join(", ") }, `and ${all.length - 2} more`)] : shown;
}

function waitsFor(order) {
  const what = order.status === "awaiting_approval" ? "approval" : words(order.waits_for) || "its undos";
  return [what, since(order.since, ", for "), order.failure ? h("span", { class: "error" }, ` (${words(order.failure)})`) : null].filter(Boolean);
}

function pager(query, next) {
  if (!next && !query.get("after")) return null;
  const more = new URLSearchParams([...query].filter(([name]) => name !== "after"));
  if (next) more.set("after", next);
  return h(
    "nav",
    { class: "pager", "aria-label": "Pages" },
    query.get("after") ? h("a", { class: "button", href: "#/orders" }, "Newest") : null,
    next ? h("a", { class: "button", href: `#/orders?${more}` }, "Older") : null,
  );
}

// Parts.

function tiles(body, counts) {
  const { count, more, by_status: states } = body.unfinished;
  const tile = (label, number, status) =>
    h("li", {}, h("a", { href: status ? `#/orders?status=${status}` : "#/orders", class: `tile ${status ?? ""}` }, h("strong", { class: "num" }, number), h("span", {}, label)));
  const many = (status) => `${states[status] ?? 0}${more ? "+" : ""}`;
  const ended = counts?.states;
  const plus = counts?.more ? "+" : "";
  return h(
    "section",
    { "aria-label": "Counts" },
    h(
      "ul",
      { class: "tiles" },
      tile("unfinished", more ? "1000+" : String(count)),
      tile("need attention", many("needs_attention"), "needs_attention"),
      tile("await approval", many("awaiting_approval"), "awaiting_approval"),
      tile("compensating", many("compensating"), "compensating"),
      ended ? FINAL.map((status) => tile(words(status), `${(ended[status] ?? 0).toLocaleString("en-GB")}${plus}`, status)) : null,
    ),
    counts !== null && h("p", { class: "hint" }, ended ? ["The ended are those that were accepted on ", counts.day, " (UTC), as of the last sweep, ", since(counts.at, "", " ago"), "."] : "The ended are counted by the sweep, which has not run yet."),
  );
}

const VIEWS = {
  needs: needsView,
  orders: ordersView,
  order: (at, keep, isShown) => orderView(main, at, keep, isShown, refresh),
  stock: (at, keep, isShown) => stockView(main, at, keep, isShown, refresh),
};

addEventListener("hashchange", navigate);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
setInterval(tick, 1000);
navigate();
