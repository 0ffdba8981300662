"""The commands of `dev.py order`. A command returns its exit status and raises Trouble."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from devtools.api_client import Api, Away, order_path
from devtools.example_order import example_order
from devtools.orders import picture
from devtools.terminal import can_redraw, console, inert
from devtools.trouble import Trouble
from models.states import FINAL_STATES

POLL_S = 0.5


def place(api: Api, arguments: argparse.Namespace) -> int:
    answer = api.post("/api/orders", _body(arguments))
    if arguments.json:
        return _as_json(answer)
    order_id = str(answer["id"])
    console().print(Text(inert(f"Order {order_id} is accepted.")))
    if arguments.watch:
        arguments.order_id = order_id
        return watch(api, arguments)
    return 0


def _body(arguments: argparse.Namespace) -> Any:
    if arguments.body is not None:
        return _read_json(arguments.body)
    changes: dict[str, Any] = {"payment_method": arguments.card}
    if arguments.order_id is not None:
        changes["order_id"] = arguments.order_id
    if arguments.item:
        changes["items"] = [_item(text) for text in arguments.item]
    if arguments.email is not None:
        changes["customer"] = {**example_order()["customer"], "email": arguments.email}
    return example_order(**changes)


def _read_json(name: str) -> Any:
    try:
        return json.loads(sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8"))
    except OSError as fault:
        raise Trouble(f"{name} cannot be read: {fault.strerror}.") from None
    except ValueError:
        raise Trouble(f"{name} is no JSON.") from None


def _item(text: str) -> dict[str, Any]:
    sku, _, count = text.partition(":")
    if count and not (count.isascii() and count.isdigit()):
        raise Trouble(f"--item {text}: the number of units must follow the colon.")
    return {"sku": sku, "quantity": int(count or 1)}


def show(api: Api, arguments: argparse.Namespace) -> int:
    view = api.get(order_path(arguments.order_id))
    if arguments.json:
        return _as_json(view)
    console().print(_whole(view))
    return 0


def _whole(view: Mapping[str, Any]) -> Group:
    advice = picture.advice(view)
    lines = [*picture.facts(view), *([Text(inert(advice), style="bold")] if advice else [])]
    return Group(picture.tree(view), *lines)


def watch(api: Api, arguments: argparse.Namespace) -> int:
    """Follow an order until it has ended. Waits for a host that is away meanwhile."""
    out = console()
    views = _views(api, arguments.order_id)
    if can_redraw(out):
        _live(out, views)
    else:
        _line_by_line(views)
    return 0


def _views(api: Api, order_id: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Each view of the order, the last one final; beside it, the fault of the last request, if any."""
    view = api.get(order_path(order_id))
    yield view, ""
    while view["status"] not in FINAL_STATES:
        time.sleep(POLL_S)
        try:
            view = api.get(order_path(order_id))
            yield view, ""
        except Away as away:
            yield view, str(away)


def _live(out: Console, views: Iterator[tuple[Mapping[str, Any], str]]) -> None:
    with Live(console=out, auto_refresh=False, vertical_overflow="visible") as live:
        for view, wrong in views:
            shown: list[RenderableType] = [_whole(view)]
            live.update(Group(*shown, *([Text(inert(wrong), style="bold red")] if wrong else [])), refresh=True)


def _line_by_line(views: Iterator[tuple[Mapping[str, Any], str]]) -> None:
    """Print a line for each change, for a pipe."""
    before: dict[str, str] = {}
    for view, wrong in views:
        now = {each["name"]: str(each["status"]) for each in [*view["steps"], *view["compensations"]]}
        now["order"] = str(view["status"])
        if wrong:
            now["host"] = wrong
        for name in (name for name in now if before.get(name) != now[name]):
            if name != "host" and now[name] == "pending":
                continue
            print(time.strftime("%H:%M:%S"), inert(name), inert(now[name]), sep="\t", flush=True)
        before = now


def list_orders(api: Api, arguments: argparse.Namespace) -> int:
    filters = {"status": arguments.status, "from": arguments.oldest, "to": arguments.newest, "top": str(arguments.top)}
    params = {name: text for name, text in filters.items() if text}
    continuation, out = arguments.continuation, console()
    while True:
        page = api.get("/api/orders", {**params, **({"continuation": continuation} if continuation else {})})
        if arguments.json:
            for order in page["orders"]:
                _as_json(order, indent=None)
        else:
            _print_page(page["orders"], out)
        continuation = page["continuation"]
        if not (continuation and arguments.all):
            break
    if continuation:
        console(error=True).print(Text(inert(f"There are more: --all, or --continuation {continuation}")))
    return 0


def _print_page(orders: Sequence[Mapping[str, Any]], out: Console) -> None:
    """Print a table at a terminal; in a pipe a line for each order, with tabs between its fields."""
    if out.is_terminal:
        out.print(*picture.listed(orders, out.width), sep="\n")
    else:
        for order in orders:
            print(*picture.fields(order), sep="\t")


def cancel(api: Api, arguments: argparse.Namespace) -> int:
    body = {"by": arguments.by, **({"reason": arguments.reason} if arguments.reason else {})}
    api.post(order_path(arguments.order_id, "cancel"), body)
    return _done(f"Order {arguments.order_id} will end cancelled.")


def approve(api: Api, arguments: argparse.Namespace) -> int:
    return _decide(api, arguments, approved=True)


def refuse(api: Api, arguments: argparse.Namespace) -> int:
    return _decide(api, arguments, approved=False)


def _decide(api: Api, arguments: argparse.Namespace, *, approved: bool) -> int:
    body = {
        "approved": approved,
        "approver": arguments.by,
        **({"comment": arguments.comment} if arguments.comment else {}),
    }
    answer = api.post(order_path(arguments.order_id, "approval"), body)
    return _done(f"Order {arguments.order_id} over {picture.money(answer['total'])} is {answer['decision']}.")


def retry(api: Api, arguments: argparse.Namespace) -> int:
    undo = arguments.undo or _failed_undo(api, arguments.order_id)
    api.post(
        order_path(arguments.order_id, "compensations", undo, "retry"), {"by": arguments.by, "reason": arguments.reason}
    )
    return _done(f"{undo} of order {arguments.order_id} is tried again.")


def resolve(api: Api, arguments: argparse.Namespace) -> int:
    undo = arguments.undo or _failed_undo(api, arguments.order_id)
    body = {"by": arguments.by, "reason": arguments.reason, "reference": arguments.reference}
    api.post(order_path(arguments.order_id, "compensations", undo, "resolve"), body)
    return _done(f"{undo} of order {arguments.order_id} is taken as done.")


def _failed_undo(api: Api, order_id: str) -> str:
    """The undo that waits for an operator. Raises Trouble when there is none, or more than one."""
    view = api.get(order_path(order_id))
    failed = [str(undo["name"]) for undo in view["compensations"] if undo["status"] == "failed"]
    if len(failed) == 1:
        return failed[0]
    if failed:
        raise Trouble(f"Several undos of order {order_id} failed: name one of {', '.join(failed)}.")
    raise Trouble(f"Order {order_id} is {view['status']}: no undo of it waits for an operator.")


def history(api: Api, arguments: argparse.Namespace) -> int:
    """Print every page of the audit trail."""
    path, continuation, out = order_path(arguments.order_id, "events"), None, console()
    while True:
        page = api.get(path, {"continuation": continuation} if continuation else {})
        for event in page["events"]:
            if arguments.json:
                _as_json(event, indent=None)
            else:
                out.print(picture.event_line(event))
        continuation = page["continuation"]
        if not continuation:
            return 0


def _done(sentence: str) -> int:
    console().print(Text(inert(sentence)))
    return 0


def _as_json(value: object, indent: int | None = 2) -> int:
    """ASCII JSON, in which no character can act on a terminal."""
    print(json.dumps(value, indent=indent))
    return 0


COMMANDS: Mapping[str, Callable[[Api, argparse.Namespace], int]] = {
    "place": place,
    "show": show,
    "watch": watch,
    "list": list_orders,
    "cancel": cancel,
    "approve": approve,
    "refuse": refuse,
    "retry": retry,
    "resolve": resolve,
    "history": history,
}
