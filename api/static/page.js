// What every view of the dashboard is made of: elements, words, times, money, and the calls to the API.
// Text goes into the page as text only: nothing here or elsewhere parses markup.

export const STATUSES = [
  "accepted",
  "running",
  "awaiting_approval",
  "compensating",
  "needs_attention",
  "completed",
  "rejected",
  "compensated",
  "cancelled",
];
export const FINAL = ["completed", "rejected", "compensated", "cancelled"];
const KEY = "x-functions-key";
// Their hundredths are gone, and amounts still count in them.
const DECIMALS = { isk: 2, ugx: 2 };

// `h("a", {href: "#/"}, "text", element)`: attributes that are null or false are left out, `on…` are listeners.
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(5).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function statusPill(status) {
  return h("span", { class: `pill ${STATUSES.includes(status) ? status : "unknown"}` }, words(status));
}

// `refund_payment` -> `refund payment`.
export function words(name) {
  return String(name ?? "").replaceAll("_", " ");
}

export function money(amount, currency) {
  if (amount === null || amount === undefined || !currency) return "";
  const decimals = DECIMALS[currency] ?? decimalsOf(currency);
  const digits = DECIMALS[currency] && amount % 100 === 0 ? 0 : decimals;
  const number = (amount / 10 ** decimals).toLocaleString("en-GB", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return `${number} ${currency.toUpperCase()}`;
}

function decimalsOf(currency) {
  try {
    return new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
  } catch {
    return 2;
  }
}

// `4 s`, `12 min`, `3 h 5 min`, `2 d 4 h`.
export function duration(ms) {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 10) return `${(ms / 1000).toFixed(1)} s`;
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return minutes < 10 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

// For ages: no tenths that flicker.
export function age(ms) {
  return ms < 60000 ? `${Math.max(0, Math.floor(ms / 1000))} s` : duration(ms);
}

export function clock(text) {
  const at = new Date(text);
  const day = at.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  const time = at.toLocaleTimeString("en-GB");
  return at.toDateString() === new Date().toDateString() ? time : `${day}, ${time}`;
}

// An element whose text is the age of a moment, or the time until it; `tick` keeps it true.
export function since(text, before = "", after = "") {
  return ticking("since", text, before, after);
}

export function until(text, before = "", after = "") {
  return ticking("until", text, before, after);
}

function ticking(kind, text, before, after) {
  if (!text) return null;
  const element = h("time", { datetime: text, title: new Date(text).toLocaleString("en-GB"), class: "num" });
  element.dataset.kind = kind;
  element.dataset.before = before;
  element.dataset.after = after;
  say(element);
  return element;
}

function say(element) {
  const { kind, before, after } = element.dataset;
  const at = Date.parse(element.getAttribute("datetime"));
  const ms = kind === "since" ? Date.now() - at : at - Date.now();
  const text = ms < 0 && kind === "until" ? "now" : `${before}${age(ms)}${after}`;
  if (element.textContent !== text) element.textContent = text;
}

export function tick() {
  document.querySelectorAll("time[data-kind]").forEach(say);
}

export function announce(text) {
  document.getElementById("announce").textContent = text;
}

// What an order holds as long as its undo is open. Of the money the amount is shown: the refund has no row here.
const HELD = {
  release_inventory: "goods",
  cancel_shipment: "label",
};

export function held(order) {
  if (order.status === "awaiting_approval") return "nothing yet";
  const amount = order.held_minor > 0 && money(order.held_minor, order.total?.currency);
  const waits = (order.waits_for ?? "").split(", ");
  const parts = Object.entries(HELD).filter(([undo]) => waits.includes(undo)).map(([, what]) => what);
  return [amount, ...parts].filter(Boolean).join(" · ") || "nothing";
}

export function orderLink(order, tag = "span") {
  return h(tag, { class: "id" }, h("a", { href: `#/order/${encodeURIComponent(order.order_id)}`, "data-focus": `order ${order.order_id}` }, h("bdi", {}, order.order_id)));
}

export function totalOf(order) {
  return order.total ? money(order.total.amount_minor, order.total.currency) : "";
}

export function fact(name, value) {
  return value ? h("div", {}, h("dt", {}, name), h("dd", {}, value)) : null;
}

// The API. The key is asked for after a 401 only, and kept for this tab's session: never in a URL.

export class Failed extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

const known = new Map(); // path -> {etag, body}: the answer that a 304 repeats
let asking = null;

// The parsed body of a GET. `fresh` is false when nothing has changed since the last call.
export async function get(path) {
  const before = known.get(path);
  const answer = await call(path, { headers: before ? { "If-None-Match": before.etag } : {} });
  if (answer.status === 304) return { body: before.body, fresh: false };
  const body = await answer.json();
  if (known.size > 20) known.clear();
  if (answer.headers.get("ETag")) known.set(path, { etag: answer.headers.get("ETag"), body });
  return { body, fresh: true };
}

export async function send(method, path, body, headers = {}) {
  const answer = await call(path, {
    method,
    headers: { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}

export async function blob(path) {
  return (await call(path, {})).blob();
}

async function call(path, options) {
  for (;;) {
    const key = sessionStorage.getItem(KEY);
    const headers = { ...options.headers, ...(key ? { [KEY]: key } : {}) };
    const answer = await fetch(`/api/${path}`, { ...options, headers, cache: "no-store", credentials: "same-origin" });
    if (answer.status === 401) {
      sessionStorage.removeItem(KEY);
      await askForKey(Boolean(key));
    } else if (answer.ok || answer.status === 304) {
      return answer;
    } else {
      throw new Failed(answer.status, await sentence(answer));
    }
  }
}

async function sentence(answer) {
  try {
    const { detail, errors = [] } = await answer.json();
    const wrong = errors.length > 1 ? errors.map((each) => `${each.pointer}: ${each.detail}.`) : []; // one stands in the detail
    return [detail ?? `The server answered ${answer.status}.`, ...wrong].join(" ");
  } catch {
    return `The server answered ${answer.status}.`;
  }
}

function askForKey(wasWrong) {
  asking ??= new Promise((resolve, reject) => {
    const input = h("input", { id: "key", type: "password", autocomplete: "off", required: true, spellcheck: "false" });
    const form = h(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          sessionStorage.setItem(KEY, input.value.trim());
          asking = null;
          document.getElementById("dialog").close();
          resolve();
        },
      },
      h("h2", { id: "dialog-title" }, "Function key"),
      h("p", {}, wasWrong ? "The function app refused this key." : "This function app asks for a key."),
      h("label", { for: "key" }, "Function key or host key"),
      input,
      h("p", { class: "hint" }, "The person who deployed the app has the keys: in the Azure portal they are under App keys. The page keeps the key until this tab is closed, and sends it in a header only."),
      h("div", { class: "buttons" }, h("button", { class: "primary" }, "Use this key")),
    );
    const left = () => {
      if (sessionStorage.getItem(KEY)) return;
      asking = null;
      reject(new Failed(401, "This function app asks for a function key."));
    };
    openDialog(form).addEventListener("close", left, { once: true });
  });
  return asking;
}

export function openDialog(content) {
  const dialog = document.getElementById("dialog");
  dialog.replaceChildren(content);
  if (!dialog.open) dialog.showModal();
  return dialog;
}

// Of a view that is left; the question for the key stays until it is answered.
export function closeDialog() {
  if (!asking) document.getElementById("dialog").close();
}

// Put new content in, and leave the keyboard where it was: elements with the same `data-focus` are the same to a reader.
export function replace(parent, ...children) {
  const focused = document.activeElement?.dataset?.focus;
  parent.replaceChildren(...children.flat(5).filter(Boolean));
  if (focused) parent.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}
