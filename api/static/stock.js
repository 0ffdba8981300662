// The stock: what is on hand, reserved and available, and which orders hold it.

import { get, h, money, openDialog, orderLink, replace, send, statusPill } from "/api/dashboard/page.js";

const SLOW_MS = 5000;

export async function stockView(main, at, keep, isShown, refresh) {
  keep.refresh = refresh;
  const { body, fresh } = await get(`inventory?top=100${at.query.get("after") ? `&continuation=${encodeURIComponent(at.query.get("after"))}` : ""}`);
  if (!isShown() || (!fresh && keep.drawn)) return SLOW_MS;
  keep.drawn = true;
  keep.open ??= new Map();
  replace(main, h("h1", {}, "Stock"), body.items.length ? stockTable(body.items, keep) : h("p", { class: "empty" }, "There is no article yet."), pager(body.continuation));
  return SLOW_MS;
}

function stockTable(items, keep) {
  const heads = ["SKU", "On hand", "Reserved", "Available", "Price", ""];
  return h(
    "table",
    { class: "list stock" },
    h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col", class: head && head !== "SKU" ? "right" : null }, head || h("span", { class: "hidden" }, "Actions"))))),
    h("tbody", {}, items.flatMap((item) => [stockRow(item, keep), holdersRow(item, keep)])),
  );
}

function stockRow(item, keep) {
  const cell = (label, content, kind) => h("td", { "data-label": label, class: kind }, content);
  const toggle = async () => {
    if (keep.open.has(item.sku)) keep.open.delete(item.sku);
    else keep.open.set(item.sku, (await get(`inventory/${item.sku}/holders`)).body);
    const row = document.getElementById(`holders-${item.sku}`);
    row.replaceWith(holdersRow(item, keep));
    button.setAttribute("aria-expanded", String(keep.open.has(item.sku)));
  };
  const button = h(
    "button",
    { class: "small", onclick: toggle, "aria-expanded": String(keep.open.has(item.sku)), "aria-controls": `holders-${item.sku}`, "data-focus": `holders ${item.sku}`, disabled: item.reserved === 0 && !keep.open.has(item.sku) },
    "Held by",
  );
  return h(
    "tr",
    { class: item.available <= 0 ? "short" : null },
    cell("SKU", h("span", { class: "id" }, item.sku)),
    cell("On hand", item.on_hand.toLocaleString("en-GB"), "right num"),
    cell("Reserved", item.reserved.toLocaleString("en-GB"), "right num"),
    cell("Available", item.available.toLocaleString("en-GB"), "right num"),
    cell("Price", money(item.price_minor, item.currency), "right num"),
    cell("", [button, " ", h("button", { class: "small", onclick: () => change(item, keep), "data-focus": `change ${item.sku}` }, "Change the count")], "right"),
  );
}

function holdersRow(item, keep) {
  const body = keep.open.get(item.sku);
  if (!body) return h("tr", { id: `holders-${item.sku}`, hidden: true }, h("td", { colspan: "6" }));
  const rows = body.holders.map((one) => h("li", {}, orderLink(one), " ", h("span", { class: "num" }, `${one.quantity} × `), statusPill(one.status)));
  return h(
    "tr",
    { id: `holders-${item.sku}`, class: "holders" },
    h("td", { colspan: "6" }, rows.length ? h("ul", {}, rows) : h("p", { class: "hint" }, "No unfinished order holds it now."), body.more ? h("p", { class: "hint" }, "There are more.") : null),
  );
}

function pager(next) {
  return next ? h("nav", { class: "pager", "aria-label": "Pages" }, h("a", { class: "button", href: `#/stock?after=${encodeURIComponent(next)}` }, "More")) : null;
}

// Sets a count under the ETag of this state, so that a newer count is not overwritten.
function change(item, keep) {
  const say = h("div", { role: "alert" });
  const input = h("input", { id: "on-hand", type: "number", min: "0", max: "1000000000", step: "1", required: true, value: String(item.on_hand) });
  const go = h("button", { class: "primary" }, "Set the count");
  const submit = async (event) => {
    event.preventDefault();
    go.disabled = true;
    try {
      const body = { on_hand: Number(input.value), price_minor: item.price_minor, currency: item.currency };
      const now = await send("PUT", `inventory/${item.sku}`, body, { "If-Match": item.etag });
      say.replaceChildren(h("p", { class: "answer" }, `${now.on_hand} on hand, ${now.available} available.`));
      go.remove();
    } catch (fault) {
      say.replaceChildren(h("p", { class: "answer refused" }, fault.message));
      go.disabled = fault.status === 412; // it has to be read again
    }
    keep.refresh();
  };
  openDialog(
    h(
      "form",
      { onsubmit: submit },
      h("h2", { id: "dialog-title" }, `Count of ${item.sku}`),
      h("p", {}, `The physical count, with the ${item.reserved} units that are reserved for orders. It may not fall below them.`),
      h("label", { for: "on-hand" }, "On hand"),
      input,
      say,
      h("div", { class: "buttons" }, go, h("button", { type: "button", onclick: () => document.getElementById("dialog").close() }, "Close")),
    ),
  );
  input.select();
}
