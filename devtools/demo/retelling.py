"""A story as text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from devtools.demo.story import Story
from devtools.example_order import SKU
from devtools.product.surroundings import TASK_HUB


def retell(story: Story) -> str:
    before, after = story.stock_before, story.stock_after
    stock = [(count, before[count], after[count]) for count in ("on_hand", "reserved", "available")]
    ledger = [(e["event"], e["amount_minor"], e["currency"], e["payment_intent"]) for e in story.ledger]
    messages = [(m["kind"], m["to"], m["subject"]) for m in story.messages]
    parts = (
        ("What the customer sees", pretty(story.view)),
        (f"Stock of {SKU}", table(("", "before", "after"), stock)),
        ("Ledger of the payment provider", table(("event", "amount", "currency", "payment intent"), ledger)),
        ("Mail and push", table(("kind", "to", "subject"), messages)),
        ("Labels", "\n".join(story.labels) or "none"),
        (f"History, as stored in {TASK_HUB}History", table(HISTORY_COLUMNS, map(_history_line, story.history))),
    )
    return "\n\n".join(f"{title}:\n{text}" for title, text in parts) + "\n\nPromises:"


HISTORY_COLUMNS = ("RowKey", "EventType", "Name", "EventId", "TaskScheduledId", "_Timestamp")


def _history_line(row: Mapping[str, Any]) -> list[object]:
    number, clock = row["RowKey"].lstrip("0") or "0", str(row["_Timestamp"])[11:23]
    return [number, *(row.get(column, "") for column in HISTORY_COLUMNS[1:-1]), clock]


def pretty(view: Mapping[str, Any]) -> str:
    """JSON with a step a line."""
    lines = (f"  {json.dumps(key)}: {_pretty_value(value)}" for key, value in view.items())
    return "{\n" + ",\n".join(lines) + "\n}"


def _pretty_value(value: object) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(f"    {json.dumps(item)}" for item in value) + "\n  ]"
    return json.dumps(value)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [list(heads), *([("" if cell is None else str(cell)) for cell in row] for row in rows)]
    if len(lines) == 1:
        return "none"
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    spaced = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in spaced)
