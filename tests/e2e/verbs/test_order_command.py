"""`dev.py order` against the product: an order is placed, followed, cancelled, decided and repaired at a terminal."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from devtools.orders.__main__ import main
from devtools.places import ROOT
from tests.e2e.operations.test_operators import PROOF, failing_at_the_mail, parked, refunds_down
from tests.support.outside_view import OutsideView, compensations, new_id, wait_for
from tests.support.product import Product

FOUR_ARMCHAIRS = ["--item", "CRUNCHY-ARMCHAIR:4"]  # above this shop's threshold


class Terminal:
    """Runs commands against a product's folder; keeps what the last one said."""

    def __init__(self, product: Product, capsys: pytest.CaptureFixture[str]) -> None:
        self._data, self._capsys = str(product.data), capsys
        self.out = self.err = ""

    def __call__(self, *words: str) -> int:
        self._capsys.readouterr()
        status = main([*words, "--data", self._data])
        self.out, self.err = self._capsys.readouterr()
        return status


@pytest.fixture
def order(shop_product: Product, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(shop_product, capsys)


def test_an_order_is_placed_and_followed_to_its_end(shop_product: Product) -> None:
    order_id = new_id()
    words = ("order", "place", "--id", order_id, "--card", "pm_card_visa_chargeDeclined", "--watch")
    result = subprocess.run(
        [sys.executable, str(ROOT / "dev.py"), *words, "--data", str(shop_product.data)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    changes = [line.split("\t")[1:] for line in result.stdout.splitlines()[1:]]
    assert [order_id in result.stdout.splitlines()[0], changes[-1]] == [True, ["order", "compensated"]]
    assert ["process_payment", "refused"] in changes and ["release_inventory", "done"] in changes


def test_what_is_shown_is_the_view(order: Terminal, shop: OutsideView) -> None:
    order_id = new_id()
    assert order("place", "--id", order_id, "--item", "SMALL-TABLE:2", "--json") == 0
    assert json.loads(order.out)["id"] == order_id
    ended = shop.ended(order_id)
    assert order("show", order_id, "--json") == 0
    assert json.loads(order.out) == ended
    assert order("show", order_id) == 0
    assert f"{order_id}  completed  90.00 GBP" in order.out
    assert order("list", "--status", "completed", "--top", "100") == 0
    assert order_id in [line.split("\t")[0] for line in order.out.splitlines()]
    assert order("cancel", order_id) == 1
    assert order.err.startswith(f"order cancel: Order {order_id} is completed")


def test_a_waiting_order_is_approved_or_refused_by_name(order: Terminal, shop: OutsideView) -> None:
    approved, refused = new_id(), new_id()
    for order_id in (approved, refused):
        order("place", "--id", order_id, *FOUR_ARMCHAIRS)
        shop.becomes(order_id, "awaiting_approval")
    assert order("show", approved) == 0
    assert f"`dev.py order approve {approved}`" in order.out
    assert order("approve", approved, "--by", "grace", "--comment", "a known customer") == 0
    assert "516.00 GBP is approved" in order.out
    assert order("refuse", refused, "--by", "grace") == 0
    assert (shop.ended(approved)["status"], shop.ended(refused)["status"]) == ("completed", "rejected")
    assert json.loads(shop.tables.record(approved)["Approval"])["approver"] == "grace"
    assert order("approve", refused, "--by", "ada") == 1


def test_a_waiting_order_is_cancelled(order: Terminal, shop: OutsideView) -> None:
    order_id = new_id()
    order("place", "--id", order_id, *FOUR_ARMCHAIRS)
    shop.becomes(order_id, "awaiting_approval")
    assert order("cancel", order_id, "--by", "grace", "--reason", "the customer rang") == 0
    assert shop.ended(order_id)["status"] == "cancelled"
    requests = [audit for audit in shop.tables.audits(order_id) if audit["Event"] == "cancel_requested"]
    assert [(audit["By"], audit["Reason"]) for audit in requests] == [("grace", "the customer rang")]


def test_an_undo_that_failed_is_tried_again_and_needs_no_name(order: Terminal, shop: OutsideView) -> None:
    order_id = parked(shop, shop.new_sku())
    assert order("show", order_id) == 0
    assert f"`dev.py order retry {order_id}`" in order.out
    assert order("retry", order_id, "--by", "ada", "--reason", "the bank is up again") == 0
    assert ("refund_payment", "done") in compensations(shop.ended(order_id))


def test_an_undo_is_resolved_on_evidence(order: Terminal, shop: OutsideView) -> None:
    order_id, sku = new_id(), shop.new_sku()
    with refunds_down(shop, order_id):
        shop.order(order_id, **failing_at_the_mail(sku))
        shop.becomes(order_id, "needs_attention")
        proof = [word for name, text in PROOF.items() for word in (f"--{name}", text)]
        assert order("resolve", order_id, "refund_payment", *proof) == 0
        wait_for(lambda: shop.view(order_id)["status"] == "compensated", 60, "the end of a resolved order")
    assert ("refund_payment", "resolved") in compensations(shop.view(order_id))


def test_every_page_of_a_list_is_followed(order: Terminal, shop: OutsideView) -> None:
    placed = {shop.order() for _ in range(3)}
    assert order("list", "--top", "2", "--all", "--json") == 0
    listed: list[dict[str, Any]] = [json.loads(line) for line in order.out.splitlines()]
    assert placed <= {each["order_id"] for each in listed}
    assert order("list", "--top", "2") == 0
    assert "There are more: --all" in order.err
