// One order: what is true now, a timeline drawn to scale, its attempts, and its audit trail.

import { orderActions } from "/api/dashboard/actions.js";
import { Failed, age, blob, clock, duration, fact, get, h, money, replace, since, statusPill, until, words } from "/api/dashboard/page.js";

const FAST_MS = 1000;
const SLOW_MS = 10000;
const SECOND = 1000;
// The reasons of a step that failed without a refusal.
const FAULTS = ["service_unavailable", "outcome_unknown"];
// Names of the audit trail that say too little.
const EVENTS = { farewell_claimed: "mail about the end claimed" };
const TICKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 172800];
const RESULTS = { done: "done", refused: "refused", unknown: "outcome unknown", failed: "failed", waiting: "waits", cancelled: "cancelled", undoing: "goes back", final: "had ended" };

export async function orderView(main, at, keep, isShown, refresh) {
  const path = `orders/${encodeURIComponent(at.id)}/timeline`;
  const { body, fresh } = await read(path, main, at);
  if (!isShown() || !body) return SLOW_MS;
  const over = ["completed", "rejected", "compensated", "cancelled"].includes(body.status);
  if (!keep.drawn) zoomed = false;
  if (fresh || !keep.drawn) draw(main, body, refresh);
  else if (!over) redrawTimeline(body);
  keep.drawn = true;
  return over ? SLOW_MS : FAST_MS;
}

async function read(path, main, at) {
  try {
    return await get(path);
  } catch (fault) {
    if (!(fault instanceof Failed) || fault.status !== 404) throw fault;
    replace(
      main,
      h("h1", {}, "No such order"),
      h("p", { class: "empty" }, "There is no order with the id ", h("bdi", { class: "id" }, at.id), ". ", h("a", { href: "#/orders" }, "The list"), " has the orders of the last days."),
    );
    return { body: null, fresh: false };
  }
}

function draw(main, order, refresh) {
  replace(
    main,
    h("div", { class: "title" }, h("h1", { class: "id" }, h("bdi", {}, order.order_id)), statusPill(order.status)),
    h("p", { class: "what" }, sentence(order)),
    h(
      "dl",
      { class: "facts wide" },
      fact("Accepted", [clock(order.accepted_at), ", ", since(order.accepted_at, "", " ago")]),
      fact("Total", order.total ? money(order.total.amount_minor, order.total.currency) : order.status === "rejected" ? "never fixed" : "not fixed yet"),
      fact("Money", moneyOf(order)),
      fact("Goods", words(order.goods) || "none taken"),
      fact("Label", labelOf(order)),
      fact("Lines", order.lines.map((line) => `${line.quantity} × ${line.sku}`).join(", ")),
    ),
    orderActions(order, refresh),
    h("section", { "aria-labelledby": "timeline-title" }, h("h2", { id: "timeline-title" }, "Timeline"), h("div", { id: "timeline" }, timeline(order))),
    attemptsTable(order),
    eventsList(order),
  );
}

function redrawTimeline(order) {
  const place = document.getElementById("timeline");
  if (place) replace(place, timeline(order));
}

function sentence(order) {
  if (order.can.stopped) return "Its orchestration was stopped. The sweep starts it again by itself.";
  const why = whyOf(order.failure);
  const open = order.can.retry.map(words).join(", ");
  const retried = order.due?.what === "retry" ? order.attempts[order.attempts.length - 1]?.activity : null;
  const sentences = {
    accepted: ["It is stored, and its saga is about to start."],
    running: [retried ? `Its steps are running: ${words(retried)} is tried again.` : "Its steps are running."],
    awaiting_approval: ["It waits for an approval. Without a decision it is refused ", until(order.approval?.deadline, "in "), "."],
    compensating: [why ? `It is being undone, because ${why}.` : "It is being undone."],
    needs_attention: [open ? `It waits for an operator: ${open} could not be confirmed.` : "It waits for an operator.", why ? ` It is being undone, because ${why}.` : ""],
    completed: ["It is on its way to its customer."],
    rejected: [`It was refused: ${reasonOf(order.failure) || "no reason is known"}. Nothing was reserved or charged.`],
    compensated: [why ? `It was undone, because ${why}.` : "It was undone."],
    cancelled: ["It was cancelled, and what it had done is undone."],
  };
  return sentences[order.status] ?? [words(order.status)];
}

// `send confirmation was refused: recipient rejected`.
function whyOf(failure) {
  if (!failure) return "";
  const isRefusal = !FAULTS.includes(failure.reason);
  return `${words(failure.step)} ${isRefusal ? "was refused" : "failed"}: ${reasonOf(failure)}`;
}

function reasonOf(failure) {
  if (!failure) return "";
  const detail = failure.decline_code ?? (failure.skus ?? []).join(", ");
  return `${words(failure.reason)}${detail ? ` (${failure.decline_code ? words(detail) : detail})` : ""}`;
}

function moneyOf(order) {
  const { charged_minor: charged, refunded_minor: refunded } = order.payment;
  const currency = order.total?.currency;
  if (!charged) return "nothing charged";
  if (!refunded) return `${money(charged, currency)} charged`;
  return `${money(charged, currency)} charged, ${money(refunded, currency)} given back`;
}

function labelOf(order) {
  if (!order.tracking_number) return "none";
  const open = async (event) => {
    const button = event.currentTarget;
    try {
      const address = URL.createObjectURL(await blob(`orders/${encodeURIComponent(order.order_id)}/label`));
      window.open(address, "_blank", "noopener");
      setTimeout(() => URL.revokeObjectURL(address), 60000);
    } catch (fault) {
      button.after(h("span", { class: "error" }, ` ${fault.message}`));
    }
  };
  const number = h("span", { class: "num" }, order.tracking_number);
  const gone = whatBecameOfTheLabel(order);
  if (gone) return [number, h("span", { class: "hint" }, ` (${gone})`)];
  return [number, " ", h("button", { class: "small", onclick: open, "data-focus": "label" }, "Open the label")];
}

// `void` or `erased` of a label that can no longer be opened, else null.
function whatBecameOfTheLabel(order) {
  if (order.events.some((event) => event.event === "personal_data_erased")) return "erased";
  const isVoid = order.attempts.some((one) => one.activity === "cancel_shipment" && one.result === "done");
  return isVoid || ["compensated", "cancelled"].includes(order.status) ? "void" : null;
}

// The timeline: one row for each step and each undo, one scale for all.

function timeline(order) {
  const spans = [...order.attempts.map((one) => [one.started_at, one.ended_at]), ...order.waits.map((one) => [one.since, one.until])];
  const moving = spans.some(([, end]) => !end);
  const begin = Date.parse(order.events[0]?.at ?? order.accepted_at);
  const last = Math.max(begin + 50, ...spans.map(([start, end]) => Date.parse(end ?? start)), ...order.events.map((event) => Date.parse(event.at)), moving ? Date.now() : 0);
  const dueAt = order.due ? Date.parse(order.due.at) : null;
  const near = dueAt && dueAt > last && dueAt - begin < (last - begin) * 3 + 5 * SECOND;
  const worked = Math.max(begin + 50, ...order.attempts.map((one) => Date.parse(one.ended_at ?? one.started_at)));
  const scale = { begin, end: zoomed ? worked : near ? dueAt : last };
  const squeezed = order.attempts.length && last - worked > (worked - begin) / 2;
  const part = (kind) => [...new Set(order.attempts.filter((one) => one.path === kind).map((one) => one.activity))];
  return [
    order.history === "gone" ? h("p", { class: "note" }, "The orchestration's history is gone. What is shown comes from the order's audit trail alone, which has no attempts.") : null,
    order.due ? h("p", { class: "due" }, dueWords(order.due)) : null,
    squeezed || zoomed ? zoomButton(order) : null,
    h(
      "div",
      { class: "timeline", role: "group", "aria-label": `Timeline of ${duration(scale.end - scale.begin)}. The table of attempts below says the same.` },
      axis(scale),
      group("Forward", part("step"), order, scale, "step"),
      group("Undo, in reverse", part("undo"), order, scale, "undo"),
      group("Close", part("close"), order, scale, "close"),
      eventsRow(order, scale, moving),
    ),
    h("ul", { class: "legend", "aria-hidden": "true" }, ["step", "undo", "wait", "refused"].map((kind) => h("li", {}, h("span", { class: `swatch ${kind}` }), { step: "step", undo: "undo", wait: "waiting", refused: "refused or failed" }[kind]))),
  ];
}

// A long wait leaves little room for the steps before it.
let zoomed = false;

function zoomButton(order) {
  const toggle = () => {
    zoomed = !zoomed;
    redrawTimeline(order);
  };
  return h("button", { class: "small zoom", onclick: toggle, "data-focus": "zoom", "aria-pressed": String(zoomed) }, "Leave out the wait at the end");
}

function dueWords(due) {
  const what = { retry: "Next attempt", deadline: "This attempt counts as unknown", approval: "Without a decision the order is refused" }[due.what];
  return [`${what} `, until(due.at, "in "), ` (${clock(due.at)})`];
}

function axis(scale) {
  const length = scale.end - scale.begin;
  const most = matchMedia("(max-width: 46rem)").matches ? 4 : 6;
  const step = (TICKS.find((seconds) => length / (seconds * SECOND) <= most) ?? 86400 * Math.ceil(length / 86400000 / 6)) * SECOND;
  const ticks = [];
  for (let at = 0; at <= length * 0.93; at += step) ticks.push(place(h("span", { class: "tick" }, at ? `+${tickWords(at)}` : "0"), scale, scale.begin + at));
  return h("div", { class: "row axis", "aria-hidden": "true" }, h("span", { class: "label" }, clock(scale.begin)), h("div", { class: "track" }, ticks));
}

function tickWords(ms) {
  return ms < SECOND ? `${ms} ms` : ms < 60000 ? `${ms / SECOND} s` : age(ms).replace(/ 0 (s|min|h)$/, "");
}

function group(title, activities, order, scale, kind) {
  if (!activities.length) return null;
  return [h("p", { class: `group ${kind}` }, title), ...activities.map((activity) => row(activity, order, scale, kind))];
}

function row(activity, order, scale, kind) {
  const attempts = order.attempts.filter((one) => one.activity === activity);
  const last = attempts[attempts.length - 1];
  const bars = attempts.map((one) => span(scale, one.started_at, one.ended_at, `bar ${kind} ${one.result ?? "running"}`, attemptTitle(one)));
  const waits = order.waits.filter((one) => one.activity === activity).map((one) => span(scale, one.since, one.until, `bar wait ${one.reason}`, `waiting: ${one.reason}`));
  const parked = kind === "close" && last.reason === "needs_attention";
  const outcome = parked ? "parked: waits for an operator" : last.result ? `${RESULTS[last.result] ?? words(last.result)}${last.reason ? `: ${words(last.reason)}` : ""}` : "running";
  const many = attempts.length > 1 ? `, ${attempts.length} attempts` : "";
  return h(
    "div",
    { class: `row ${kind}` },
    h("span", { class: "label" }, words(activity), h("small", { class: last.result ?? "running" }, `${outcome}${many}`)),
    h("div", { class: "track" }, waits, bars, dueMark(order, scale, activity, last)),
  );
}

function dueMark(order, scale, activity, last) {
  const newest = order.attempts[order.attempts.length - 1];
  if (!order.due || newest?.activity !== activity || last !== newest) return null;
  const at = Math.min(Date.parse(order.due.at), scale.end);
  const mark = h("span", { class: "due-mark", title: `${order.due.what} at ${clock(order.due.at)}` });
  return place(mark, scale, at);
}

function attemptTitle(one) {
  const took = one.ended_at ? duration(Date.parse(one.ended_at) - Date.parse(one.started_at)) : "running";
  return `${words(one.activity)}, attempt ${one.number}: ${took}${one.result ? `, ${RESULTS[one.result] ?? one.result}` : ""}`;
}

function eventsRow(order, scale, moving) {
  const marks = order.events.map((event) => place(h("span", { class: `mark ${event.by ? "person" : ""}`, title: `${clock(event.at)}: ${words(event.event)}` }), scale, Date.parse(event.at)));
  const now = moving && scale.end > Date.now() ? place(h("span", { class: "now", title: "now" }), scale, Date.now()) : null;
  return h("div", { class: "row events" }, h("span", { class: "label" }, "audit trail", h("small", {}, `${order.events.length} events`)), h("div", { class: "track" }, marks, now));
}

function place(element, scale, at) {
  element.style.left = `${percent(scale, at)}%`;
  return element;
}

function span(scale, start, end, kind, title) {
  const from = percent(scale, Date.parse(start));
  const to = percent(scale, end ? Date.parse(end) : Math.max(Date.now(), Date.parse(start)));
  const element = h("span", { class: kind, title });
  element.style.left = `${from}%`;
  element.style.width = `${Math.max(0, to - from)}%`;
  return element;
}

function percent(scale, at) {
  return Math.min(100, Math.max(0, ((at - scale.begin) / (scale.end - scale.begin)) * 100));
}

// The same in words.

function attemptsTable(order) {
  if (!order.attempts.length) return null;
  const heads = ["What", "Attempt", "Start", "Took", "Result", "Reference", "Idempotency key"];
  return h(
    "section",
    { "aria-labelledby": "attempts-title" },
    h("h2", { id: "attempts-title" }, "Attempts"),
    h(
      "table",
      { class: "list attempts" },
      h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
      h("tbody", {}, order.attempts.map((one) => attemptRow(one, order))),
    ),
  );
}

function attemptRow(one, order) {
  const known = order.references[one.activity] ?? {};
  const cell = (label, content, kind) => h("td", { "data-label": label, class: kind }, content);
  const took = one.ended_at ? duration(Date.parse(one.ended_at) - Date.parse(one.started_at)) : since(one.started_at, "running for ");
  const result = one.result ? `${RESULTS[one.result] ?? words(one.result)}${one.reason ? `: ${words(one.reason)}` : ""}` : "running";
  const arrow = { step: "→", undo: "↩", close: "■" }[one.path];
  return h(
    "tr",
    { class: one.path },
    cell("What", [h("span", { class: `arrow ${one.path}`, "aria-hidden": "true" }, arrow), words(one.activity)]),
    cell("Attempt", String(one.number), "num"),
    cell("Start", clock(one.started_at), "num"),
    cell("Took", took, "num"),
    cell("Result", h("span", { class: `result ${one.result ?? "running"}` }, result)),
    cell("Reference", known.reference ? h("code", {}, known.reference) : ""),
    cell("Idempotency key", known.key ? h("code", {}, known.key) : ""),
  );
}

function eventsList(order) {
  return h(
    "section",
    { "aria-labelledby": "events-title" },
    h("h2", { id: "events-title" }, "Audit trail"),
    h("ol", { class: "events" }, order.events.map((event) => h("li", {}, h("time", { datetime: event.at, class: "num" }, clock(event.at)), h("div", {}, h("strong", {}, EVENTS[event.event] ?? words(event.event)), eventWords(event))))),
  );
}

function eventWords(event) {
  const facts = Object.entries(event).filter(([name]) => !["at", "event"].includes(name));
  if (!facts.length) return null;
  const { by, reason } = event;
  const others = facts.filter(([name]) => !["by", "reason"].includes(name));
  return h(
    "span",
    { class: "said" },
    by ? [" by ", h("bdi", {}, by)] : null,
    reason ? [": ", h("bdi", {}, reason)] : null,
    others.length ? h("span", { class: "hint" }, " ", others.map(([name, value], index) => [index ? ", " : "", `${words(name)} `, h("code", {}, value)])) : null,
  );
}
