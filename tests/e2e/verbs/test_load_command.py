"""`dev.py load` against the product: a judgement that is right, also over a death of the product, and a stop that says
what it leaves."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from devtools.audit.witnesses import ENDED
from devtools.load.__main__ import main
from devtools.places import ROOT
from devtools.processes.programs import end, launch
from tests.support.outside_view import OutsideView, wait_for
from tests.support.product import Product

RIGHT = "Money, stock, labels and mails agree."


def loading(data: Path, log: Path, *words: str) -> subprocess.Popen[bytes]:
    """`dev.py load` as a process; what it says goes to `log`."""
    return launch([sys.executable, ROOT / "dev.py", "load", "--data", data, *words], log)


def text_of(log: Path) -> str:
    return log.read_text(encoding="utf-8")


def started(log: Path) -> int:
    """How many orders the last line of progress speaks of."""
    return int((re.findall(r"started (\d+)", text_of(log)) or ["0"])[-1])


def test_every_kind_of_order_ends_and_the_auditor_is_content(
    shop_product: Product, shop: OutsideView, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--orders", "20", "--at-once", "10", "--mix", "good=2,declined=1,cancelled=1,approved=1"]
    assert main([*words, "--data", str(shop_product.data)]) == 0
    output = capsys.readouterr().out
    assert "Right: all 20 orders are final." in output and RIGHT in output
    assert "parked 0  failed 0" in output
    name = output.partition(":")[0]
    approved = [
        order for order in shop.get("/api/orders?top=100").json()["orders"] if order["order_id"].startswith(name)
    ]
    over_the_threshold = [order for order in approved if (order["total"] or {}).get("amount_minor", 0) == 500_000]
    assert len(over_the_threshold) == 4, "the orders to approve waited for it, and were approved"
    decisions = [audit["Event"] for order in over_the_threshold for audit in shop.tables.audits(order["order_id"])]
    assert decisions.count("approved") == 4


def test_what_the_auditor_finds_makes_the_load_wrong(
    shop_product: Product, shop: OutsideView, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A label that vanishes behind the app's back."""
    from devtools.load import judgement  # noqa: PLC0415
    from devtools.load.run import Load  # noqa: PLC0415

    honest = judgement._audited

    def after_a_theft(load: Load, urls: dict[str, object]) -> list[str]:
        shop._labels.delete_blob(f"{min(load.book.accepted)}.pdf")
        return honest(load, urls)

    monkeypatch.setattr(judgement, "_audited", after_a_theft)
    words = ["--orders", "2", "--at-once", "2", "--mix", "good=1", "--data", str(shop_product.data)]
    assert main(words) == 1
    assert "says completed, but its label is none" in capsys.readouterr().out


def test_a_load_outlives_a_death_of_the_product(new_product: Callable[..., Product], tmp_path: Path) -> None:
    product = new_product().start()
    load = loading(product.data, tmp_path / "load.log", "--orders", "40", "--at-once", "12")
    try:
        wait_for(lambda: started(tmp_path / "load.log") > 10, 60, "orders under way")
        product.kill_start()
        product.start_again()
        assert load.wait(180) == 0, text_of(tmp_path / "load.log")
    finally:
        end(load, patience=10)
    assert RIGHT in text_of(tmp_path / "load.log") and "all 40 orders are final" in text_of(tmp_path / "load.log")


def test_a_stopped_load_says_what_it_leaves(shop_product: Product, shop: OutsideView, tmp_path: Path) -> None:
    log = tmp_path / "load.log"
    load = loading(shop_product.data, log, "--orders", "500", "--at-once", "6")
    try:
        wait_for(lambda: started(log) > 0, 60, "orders under way")
        load.send_signal(signal.SIGINT)
        assert load.wait(60) == 130, text_of(log)
    finally:
        end(load, patience=10)
    sentence = re.search(
        r"Stopped: (\d+) of 500 orders were placed, (\d+) .* ids begin with (load-\w+)\.", text_of(log)
    )
    assert sentence is not None, text_of(log)
    assert "Right" not in text_of(log) and "Traceback" not in text_of(log)
    placed = [order_id for order_id in _listed(shop) if order_id.startswith(sentence[3])]
    assert len(placed) == int(sentence[1])
    wait_for(lambda: all(shop.view(each)["status"] in ENDED for each in placed), 60, "the end of what was placed")


def _listed(outside: OutsideView) -> list[str]:
    order_ids, token = [], ""
    while token is not None:
        page = outside.get(f"/api/orders?top=100&continuation={token}").json()
        order_ids += [order["order_id"] for order in page["orders"]]
        token = page["continuation"]
    return order_ids
