"""Orders as text: a tree of steps and undos, a table, an audit trail."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from devtools.terminal import inert, word
from models.money import formatted
from models.states import UNDOES

UNDO_OF = {step: undo for undo, step in UNDOES.items()}
COLUMNS = ("order", "status", "accepted", "total", "articles")
# Below this width a table of five columns is unreadable.
NARROW = 90


def money(total: Any) -> str:
    """`258.00 GBP`; empty where there is no amount yet."""
    if not isinstance(total, Mapping):
        return ""
    amount, currency = total.get("amount_minor"), total.get("currency")
    try:
        return inert(formatted(amount, currency))  # type: ignore[arg-type]
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
    ):  # a deployment with a currency that this tool does not know
        return inert(f"{amount} {currency}")


def tree(view: Mapping[str, Any]) -> Tree:
    """The order as a tree: its steps in their order, and below each step its undo."""
    failure = view.get("failure") or {}
    undos = {undo["name"]: undo["status"] for undo in view["compensations"]}
    picture = Tree(_line(view["order_id"], view["status"], money(view.get("total"))), guide_style="dim")
    for step in view["steps"]:
        why = _reason(failure) if failure.get("step") == step["name"] else ""
        branch = picture.add(_line(step["name"], step["status"], why))
        undo = UNDO_OF.get(step["name"])
        if undo in undos:
            branch.add(_line(undo, undos.pop(undo), ""))
    for name, status in undos.items():
        picture.add(_line(name, status, ""))
    return picture


def _line(name: object, status: object, more: str) -> Text:
    """One line. The server's text is last, so that letters from right to left do not reorder other text."""
    return Text.assemble((inert(name), "bold"), "  ", word(status), *(["  ", inert(more)] if more else []))


def _reason(failure: Mapping[str, Any]) -> str:
    code = failure.get("decline_code")
    return f"{failure.get('reason')} ({code})" if code else str(failure.get("reason"))


def facts(view: Mapping[str, Any]) -> Iterator[Text]:
    """The fields of a view beside its steps, a line each, where it has them."""
    payment, currency = view.get("payment"), (view.get("total") or {}).get("currency")
    lines = [f"{line['quantity']} x {line['sku']}" for line in view.get("lines") or []]
    by_name = {
        "articles": ", ".join(lines),
        "charged": _amount(payment, "charged_minor", currency),
        "refunded": _amount(payment, "refunded_minor", currency),
        "tracking": view.get("tracking_number") or "",
        "accepted": view.get("accepted_at") or "",
        "ended": view.get("ended_at") or "",
    }
    for name, text in by_name.items():
        if text:
            yield Text.assemble((f"{name:9}", "dim"), inert(text))


def _amount(payment: Any, name: str, currency: Any) -> str:
    amount = payment.get(name) if isinstance(payment, Mapping) else None
    return money({"amount_minor": amount, "currency": currency}) if amount else ""


def advice(view: Mapping[str, Any]) -> str:
    """The commands for an order that waits for a person; empty otherwise."""
    if view["status"] == "awaiting_approval":
        return f"It waits for a decision: `dev.py order approve {view['order_id']}` or `refuse`."
    if view["status"] == "needs_attention":
        return f"It waits for an operator: `dev.py order retry {view['order_id']}` or `resolve`."
    return ""


def listed(orders: Sequence[Mapping[str, Any]], width: int) -> Iterator[RenderableType]:
    """Orders for a terminal: a table, or two lines an order in a narrow window."""
    rows = list(map(fields, orders))
    if width < NARROW:
        for order, status, accepted, total, _ in rows:
            yield Text.assemble((order, "bold"), "\n  ", word(status), f"  {total}  {accepted}")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in COLUMNS:
        table.add_column(
            name, overflow="fold" if name in {"order", "articles"} else "ellipsis", no_wrap=name == "total"
        )
    for row in rows:
        table.add_row(row[0], word(row[1]), *row[2:])
    yield table


def fields(order: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    """One order of a list, a text a column."""
    skus = ", ".join(map(str, order["skus"]))
    status, accepted = inert(order["status"]), inert(order["accepted_at"])
    return inert(order["order_id"]), status, accepted, money(order["total"]), inert(skus)


def _short(value: object) -> object:
    """A view or another object as its JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def event_line(event: Mapping[str, Any]) -> Text:
    """One line of the audit trail: the time, the event, and its facts."""
    facts = [f"{inert(name)}={inert(_short(value))}" for name, value in event["facts"].items()]
    return Text.assemble((inert(event["at"]), "dim"), "  ", (inert(event["event"]), "bold"), "  ", "  ".join(facts))
