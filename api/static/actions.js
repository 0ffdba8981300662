// What an operator can do with an order: each action shows its effect, asks for a name and a reason, and shows the answer.

import { announce, h, money, openDialog, send, totalOf, words } from "/api/dashboard/page.js";

const WHO = "who";
const UNDO_SENTENCES = {
  refund_payment: "gives the money back",
  release_inventory: "puts the goods back on the shelf",
  cancel_shipment: "voids the shipping label",
};
const DONE_BY_HAND = {
  refund_payment: "the money went back",
  release_inventory: "the goods went back on the shelf",
  cancel_shipment: "the label was voided",
};

// For a row of "needs you".
export function actionsOf(order, actor, done) {
  const waits = (order.waits_for ?? "").split(", ").filter(Boolean);
  const can = {
    decide: order.status === "awaiting_approval",
    retry: order.status === "needs_attention" ? waits : [],
    resolve: order.status === "needs_attention" ? waits : [],
  };
  return buttons(order, can, actor, done);
}

// For the page of one order.
export function orderActions(order, done) {
  return buttons(order, order.can, order.actor, done);
}

function buttons(order, can, actor, done) {
  const offered = [
    can.decide && [approve, refuse].map((make) => make(order)),
    can.retry?.map((undo) => retry(order, undo)),
    can.resolve?.map((undo) => resolve(order, undo)),
    can.cancel && cancel(order),
    can.erase && erase(order),
  ];
  const all = offered.flat().filter(Boolean);
  if (!all.length) return null;
  return h(
    "div",
    { class: "buttons" },
    all.map((action) => h("button", { class: action.kind, onclick: () => ask(action, order, actor, done), "data-focus": `${action.name} ${order.order_id}` }, action.name)),
  );
}

function path(order, rest) {
  return `orders/${encodeURIComponent(order.order_id)}/${rest}`;
}

function approve(order) {
  return {
    name: "Approve",
    kind: "primary",
    effect: `The order continues: its goods are reserved, and ${totalOf(order)} are charged.`,
    why: "Comment",
    send: (said) => send("POST", path(order, "approval"), decision(true, said)),
    answer: (body) => `Approved for ${money(body.total.amount_minor, body.total.currency)}.`,
  };
}

function refuse(order) {
  return {
    name: "Refuse",
    kind: "",
    effect: "The order ends as rejected. Nothing was charged or reserved.",
    why: "Comment",
    send: (said) => send("POST", path(order, "approval"), decision(false, said)),
    answer: () => "Refused.",
  };
}

function decision(approved, said) {
  return { approved, approver: said.by, ...(said.reason ? { comment: said.reason } : {}) };
}

function retry(order, undo) {
  return {
    name: `Retry ${words(undo)}`,
    kind: "primary",
    effect: `Every waiting undo is tried again. This one ${UNDO_SENTENCES[undo] ?? "runs again"}, once in all, even if an earlier try took effect.`,
    why: "Reason",
    needsWhy: true,
    send: (said) => send("POST", path(order, `compensations/${undo}/retry`), said),
    answer: () => "The undo is tried again.",
  };
}

function resolve(order, undo) {
  return {
    name: `Resolve ${words(undo)}`,
    kind: "",
    effect: `The undo counts as done on your evidence, and the service does nothing more for it. Use this when ${DONE_BY_HAND[undo] ?? "it was done"} in another way.`,
    why: "Reason",
    needsWhy: true,
    reference: true,
    send: (said) => send("POST", path(order, `compensations/${undo}/resolve`), said),
    answer: (body) => (body.status === "compensating" ? "Resolved: the order continues." : "Resolved. Another undo still waits."),
  };
}

function cancel(order) {
  return {
    name: "Cancel the order",
    kind: "danger",
    effect: "The completed steps are undone: the label is voided, the money is given back, the goods are released. The customer gets a mail.",
    why: "Reason",
    send: (said) => send("POST", path(order, "cancel"), said),
    answer: () => "The order is being cancelled.",
  };
}

function erase(order) {
  return {
    name: "Erase personal data",
    kind: "danger",
    effect: "Name, address, e-mail and payment method are erased for good, also from the label. Ids and amounts stay.",
    why: "Reason",
    send: (said) => send("DELETE", path(order, "personal-data"), said),
    answer: () => "Erased.",
  };
}

// The dialog.

function ask(action, order, actor, done) {
  const before = document.activeElement;
  const field = (name, label, attributes) => [h("label", { for: `say-${name}` }, label), h(attributes.rows ? "textarea" : "input", { id: `say-${name}`, name, autocomplete: "off", maxlength: "200", ...attributes })];
  const say = h("div", { role: "alert" });
  const go = h("button", { class: action.kind || "primary" }, action.name);
  const close = () => document.getElementById("dialog").close();
  const form = h(
    "form",
    { onsubmit: (event) => perform(event, action, say, go, done) },
    h("h2", { id: "dialog-title" }, action.name),
    h("p", {}, h("bdi", { class: "id" }, order.order_id)),
    h("p", {}, action.effect),
    field("by", actor ? "Your name (you are signed in)" : "Your name", { required: true, value: actor ?? sessionStorage.getItem(WHO) ?? "", readonly: Boolean(actor) }),
    action.reference ? field("reference", "Evidence, such as the number of a bank transfer", { required: true }) : null,
    field("reason", action.needsWhy ? action.why : `${action.why} (may be left out)`, { rows: 2, required: action.needsWhy }),
    say,
    h("div", { class: "buttons" }, go, h("button", { type: "button", onclick: close }, "Close")),
  );
  openDialog(form).addEventListener("close", () => before?.isConnected && before.focus(), { once: true });
  form.querySelector("input:not([readonly]), textarea").focus();
}

async function perform(event, action, say, go, done) {
  event.preventDefault();
  const said = Object.fromEntries([...new FormData(event.target)].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value));
  if (said.by) sessionStorage.setItem(WHO, said.by);
  go.disabled = true;
  try {
    const text = action.answer(await action.send(said));
    say.replaceChildren(h("p", { class: "answer" }, text));
    announce(text);
    go.remove();
  } catch (fault) {
    go.disabled = false;
    say.replaceChildren(h("p", { class: "answer refused" }, fault.message));
  }
  done();
}
