"""The dashboard's answers, over fakes: what needs somebody, 304s, who acts, and files without a word of inline code."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from api import inventory, overview, pages
from api.operators import actor
from api.problems import Problem
from models.operations.order_list import Front, IndexEntry
from models.stock import StockEntry, StockItem

NOW = datetime(2026, 11, 26, 9, 30, tzinfo=UTC)
STATIC = Path(pages.__file__).with_name("static")


def request(headers: Mapping[str, str] | None = None, **route: str) -> func.HttpRequest:
    return func.HttpRequest("GET", "/api/x", headers=headers or {}, route_params=route, body=b"")


def entry(name: str, status: str, minutes: int = 0, **fields: Any) -> IndexEntry:
    """`minutes`: how old it is; the older, the higher its key."""
    accepted = NOW - timedelta(minutes=minutes)
    return IndexEntry("open", f"{minutes:013d}:{name}", name, status, ("LAST-LAMP",), accepted, **fields)


class Index:
    def __init__(self, *unfinished: IndexEntry, more: bool = False, ended: tuple[IndexEntry, ...] = ()) -> None:
        self.unfinished, self.more, self.ended = unfinished, more, ended

    def front(self, today: date, top: int) -> Front:
        return Front(self.unfinished, self.more, self.ended[:top], len(self.ended) > top)

    def newest_unfinished(self) -> tuple[tuple[IndexEntry, ...], bool]:
        return self.unfinished, self.more


def shown(index: Index, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    return asyncio.run(overview.show(request(headers), index))


def body_of(answer: func.HttpResponse) -> Any:
    return json.loads(answer.get_body())


def test_what_needs_somebody_comes_oldest_first_and_the_list_newest_first() -> None:
    index = Index(
        entry("new", "running", 1),
        entry("parked", "needs_attention", 5),
        entry("asked", "awaiting_approval", 9),
        ended=(entry("done", "completed", 3),),
    )
    body = body_of(shown(index))
    assert [order["order_id"] for order in body["needs_you"]] == ["asked", "parked"]
    assert [order["order_id"] for order in body["orders"]] == ["new", "done", "parked", "asked"]
    assert body["unfinished"]["by_status"] == {"awaiting_approval": 1, "needs_attention": 1, "running": 1}


def test_an_order_that_is_just_ending_is_shown_once_and_as_ended() -> None:
    index = Index(entry("order", "running"), ended=(entry("order", "completed"),))
    assert [order["status"] for order in body_of(shown(index))["orders"]] == ["completed"]


def test_more_than_a_thousand_unfinished_are_said_to_be_more() -> None:
    assert body_of(shown(Index(entry("order", "running"), more=True)))["unfinished"] == {
        "count": 1,
        "more": True,
        "by_status": {"running": 1},
    }


@pytest.mark.parametrize("weak", ["", "W/"])
def test_a_poll_of_what_has_not_changed_is_answered_304(weak: str) -> None:
    index = Index(entry("order", "running"))
    etag = shown(index).headers["ETag"]
    again = shown(index, {"If-None-Match": f'"x", {weak}{etag}'})
    assert (again.status_code, again.get_body(), again.headers["ETag"]) == (304, b"", etag)
    assert shown(Index(entry("order", "compensating")), {"If-None-Match": etag}).status_code == 200


def test_a_name_counts_only_while_the_platform_vouches_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    signed_in = request({"X-MS-CLIENT-PRINCIPAL-NAME": "grace@shop.example"})
    assert actor(signed_in) is None
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
    assert actor(signed_in) == "grace@shop.example"
    assert actor(request()) is None


class Stock:
    def __init__(self, held: Mapping[str, int]) -> None:
        self.held, self.reads = held, 0

    def find(self, sku: str) -> StockEntry | None:
        item = StockItem(sku=sku, on_hand=9, reserved=2, price_minor=1900, currency="gbp")
        return StockEntry(item, "etag") if sku == "LAST-LAMP" else None

    def reserved_for(self, order_id: str, sku: str) -> int:
        self.reads += 1
        return self.held.get(order_id, 0)


def test_holders_of_a_sku_are_bounded_and_only_those_that_hold_it() -> None:
    entries = tuple(entry(f"order-{n}", "running", n) for n in range(30))
    stock = Stock({"order-29": 2, "order-28": 0})
    answer = asyncio.run(inventory.holders(request(sku="LAST-LAMP"), stock, Index(*entries)))  # type: ignore[arg-type]
    assert body_of(answer) == {
        "sku": "LAST-LAMP",
        "holders": [{"order_id": "order-29", "status": "running", "quantity": 2}],
        "more": True,
    }
    assert stock.reads == inventory.MOST_HOLDERS


def test_a_sku_that_does_not_exist_has_no_holders_but_a_404() -> None:
    with pytest.raises(Problem) as problem:
        asyncio.run(inventory.holders(request(sku="ZZ"), Stock({}), Index()))  # type: ignore[arg-type]
    assert problem.value.status == 404


# The files.


def test_the_page_takes_everything_from_here_and_has_no_code_or_style_of_its_own() -> None:
    page = pages.dashboard()
    html = page.get_body().decode()
    wanted = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert all(each == "data:," or each.startswith(("/api/", "#")) for each in wanted)
    assert not re.search(r"<script>|style=|<style|\son[a-z]+=", html)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]


def test_every_file_that_a_file_of_the_page_asks_for_is_served() -> None:
    for name in pages.DASHBOARD_ASSETS:
        text = pages.dashboard_asset(request(asset=name)).get_body().decode()
        for wanted in re.findall(r'from "/api/dashboard/([^"]+)"', text):
            assert wanted in pages.DASHBOARD_ASSETS


@pytest.mark.parametrize("asset", ["dashboard.html", "../pages.py", "docs.js", ""])
def test_nothing_else_of_the_folder_is_served(asset: str) -> None:
    assert pages.dashboard_asset(request(asset=asset)).status_code == 404


@pytest.mark.parametrize("name", sorted({file.name for file in STATIC.glob("*.js")} - {"docs.js"}))
def test_a_script_never_parses_markup_and_asks_nobody_else(name: str) -> None:
    text = (STATIC / name).read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|\beval\b|Function\(", text)
    assert not re.search(r"https?://|localStorage|setAttribute\(\"style", text)
    assert len(text.splitlines()) < 400
