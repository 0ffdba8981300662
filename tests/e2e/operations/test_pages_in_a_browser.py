"""The dashboard and the tracking page in a browser: live, steered, by keyboard, light and dark, wide and narrow."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from devtools.example_order import example_order
from devtools.processes.http import fetch
from tests.e2e.operations.browser import COLOURS, Window, launched, window, without_a_key
from tests.support.outside_view import OutsideView, new_id, wait_for
from tests.support.product import Product
from tests.support.steps import ALL_UNDOS, STEPS

BOUNCES = {"customer": {"id": "cust-43", "name": "Bob", "email": "bob@bounce.invalid"}}
REFUNDS_FAIL = {"operation": "refunds.create", "fault": "error_before_commit"}
WILD = "<b onclick=alert(1)>\"quoted' & bold</b>"
RIGHT_TO_LEFT = "שלום עולם"
WIDE = "W" * 200


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        one = launched(playwright)
        yield one
        one.close()


@pytest.fixture
def desk(browser: Browser, shop: OutsideView) -> Iterator[Window]:
    with window(browser, shop.urls["host"]) as one:
        yield one


def card(page: Page, order_id: str) -> Locator:
    """The order among those that need somebody."""
    return page.locator(".card", has_text=order_id)


def act(page: Page, name: str, **fields: str) -> Locator:
    """Fill in the dialog that is open and send it; the answer."""
    dialog = page.get_by_role("dialog")
    for field, text in fields.items():
        dialog.locator(f"[name={field}]").fill(text)
    dialog.get_by_role("button", name=name).click()
    return dialog.locator(".answer")


def approval_order(shop: OutsideView) -> str:
    """An order that waits for an approval."""
    order_id = shop.order(items=[{"sku": shop.new_sku(price_minor=60000), "quantity": 1}])
    shop.becomes(order_id, "awaiting_approval")
    return order_id


def parked_order(shop: OutsideView) -> str:
    order_id = new_id()
    with shop.faults("payments", {**REFUNDS_FAIL, "order_id": order_id}):
        shop.order(order_id, **BOUNCES)
        shop.becomes(order_id, "needs_attention")
    return order_id


def test_an_order_arrives_in_the_list_while_somebody_looks(desk: Window, shop: OutsideView) -> None:
    page = desk.open("/api/dashboard#/orders")
    expect(page.get_by_role("heading", name="Orders")).to_be_visible()
    order_id = shop.order()
    row = page.locator("tr", has_text=order_id)
    expect(row).to_contain_text("completed")
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(order_id)
    expect(page.locator(".attempts tbody tr")).to_have_count(len(STEPS) + 1)
    expect(page.locator("ol.events")).to_contain_text("confirmation sent")


def test_a_compensation_is_drawn_apart_from_the_way_forward(desk: Window, shop: OutsideView) -> None:
    order_id = shop.order(**BOUNCES)
    page = desk.open(f"/api/dashboard#/order/{order_id}")
    expect(page.locator(".title .pill")).to_have_text("compensated")
    expect(page.locator(".row.step .label")).to_have_count(len(STEPS))
    expect(page.locator("main > .what")).to_have_text(
        "It was undone, because send confirmation was refused: recipient rejected."
    )
    expect(page.locator(".facts", has_text="Label")).to_contain_text("(void)")
    expect(page.get_by_role("button", name="Open the label")).to_have_count(0)
    undone = page.locator(".row.undo .label")
    expect(undone).to_have_text([re.compile(undo.replace("_", " ")) for undo in ALL_UNDOS])
    refund = page.locator(".attempts tr.undo", has_text="refund payment")
    expect(refund).to_contain_text(f"{order_id}:refund")
    expect(refund.locator("code").first).to_contain_text("re_")


def test_an_id_that_no_order_has_leads_to_the_list(desk: Window) -> None:
    page = desk.open("/api/dashboard#/order/nobody")
    expect(page.locator("main")).to_contain_text("There is no order with the id nobody.")
    page.get_by_role("link", name="The list").click()
    expect(page.get_by_role("heading", name="Orders")).to_be_visible()
    desk.console[:] = [message for message in desk.console if "404" not in message]


def test_a_page_whose_server_is_away_says_so_and_comes_back_by_itself(desk: Window) -> None:
    desk.page.route(re.compile("/api/operations"), lambda route: route.abort())
    page = desk.open("/api/dashboard")
    expect(page.locator("main")).to_have_text(
        "The server does not answer. This page tries again by itself. Health says what is wrong."
    )
    page.unroute_all()
    expect(page.get_by_role("heading", name="Needs you")).to_be_visible(timeout=15_000)
    desk.console[:] = [message for message in desk.console if "ERR_FAILED" not in message]


def test_a_deadline_that_has_passed_is_now(desk: Window) -> None:
    page = desk.open("/api/dashboard")
    past = "import('/api/dashboard/page.js').then((page) => page.until('2020-01-01T00:00:00Z', 'in ').textContent)"
    assert page.evaluate(past) == "now"


def test_an_approval_is_given_from_the_first_view(desk: Window, shop: OutsideView) -> None:
    page = desk.open("/api/dashboard")
    order_id = approval_order(shop)
    card(page, order_id).get_by_role("button", name="Approve").click()
    assert "600.00 GBP are charged" in (page.get_by_role("dialog").text_content() or "")
    expect(act(page, "Approve", by="Grace", reason=WILD)).to_have_text("Approved for 600.00 GBP.")
    page.get_by_role("button", name="Close").click()
    expect(card(page, order_id)).to_have_count(0)
    shop.becomes(order_id, "completed")
    page = desk.open(f"/api/dashboard#/order/{order_id}")
    expect(page.locator("ol.events li", has_text="approved")).to_contain_text(f"by Grace: {WILD}")


def test_who_comes_second_is_shown_what_is_true_now(desk: Window, shop: OutsideView) -> None:
    page = desk.open("/api/dashboard")
    order_id = approval_order(shop)
    card(page, order_id).get_by_role("button", name="Refuse").click()
    shop.post(f"/api/orders/{order_id}/approval", {"approved": False, "approver": "Ada"})
    shop.becomes(order_id, "rejected")
    answer = act(page, "Refuse", by="Grace")
    expect(answer).to_have_text(f"Order {order_id} is rejected: it waits for no decision.")
    # The browser itself notes each 4xx.
    desk.console[:] = [message for message in desk.console if "409" not in message]


def test_a_parked_order_is_tried_again_and_another_is_resolved(desk: Window, shop: OutsideView) -> None:
    page = desk.open("/api/dashboard")
    again, resolved = parked_order(shop), parked_order(shop)
    expect(card(page, again)).to_contain_text("Could not be confirmed: refund payment")
    expect(card(page, again)).to_contain_text("129.00 GBP")
    card(page, again).get_by_role("button", name="Retry refund payment").click()
    expect(act(page, "Retry refund payment", by="Grace", reason="Refunds work again.")).to_have_text(
        "The undo is tried again."
    )
    page.get_by_role("button", name="Close").click()
    assert shop.becomes(again, "compensated")["payment"]["refunded_minor"] == 12900
    card(page, resolved).get_by_role("button", name="Resolve refund payment").click()
    fields = {"by": "Grace", "reference": "BACS 20417", "reason": RIGHT_TO_LEFT}
    expect(act(page, "Resolve refund payment", **fields)).to_contain_text("Resolved")
    page.get_by_role("button", name="Close").click()
    expect(card(page, resolved)).to_have_count(0)
    page = desk.open(f"/api/dashboard#/order/{resolved}")
    expect(page.locator("ol.events li", has_text="compensation resolved")).to_contain_text("BACS 20417")


def test_one_alert_is_sent_with_a_link_to_the_order(desk: Window, shop: OutsideView) -> None:
    order_id = approval_order(shop)

    def alerts() -> list[dict[str, Any]]:
        rows = fetch(shop.urls["mail"] + "/sandbox/alerts").json()
        return [row["alert"] for row in rows if row["alert"]["order_id"] == order_id]

    wait_for(alerts, 30, "an alert")
    (alert,) = alerts()
    assert (alert["type"], alert["waits_for"]) == ("order.awaiting_approval", ["approval"])
    page = desk.open(alert["url"].partition("/api/")[1] + alert["url"].partition("/api/")[2])
    expect(page.get_by_role("heading", level=1)).to_have_text(order_id)
    shop.cancel(order_id)


def test_an_order_is_cancelled_and_its_data_erased_from_its_page(desk: Window, shop: OutsideView) -> None:
    order_id = approval_order(shop)
    page = desk.open(f"/api/dashboard#/order/{order_id}")
    page.get_by_role("button", name="Cancel the order").click()
    expect(act(page, "Cancel the order", by="Grace", reason=WIDE)).to_have_text("The order is being cancelled.")
    page.get_by_role("button", name="Close").click()
    expect(page.locator(".title .pill")).to_have_text("cancelled")
    page.get_by_role("button", name="Erase personal data").click()
    expect(act(page, "Erase personal data", by="Grace")).to_have_text("Erased.")
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("button", name="Erase personal data")).to_have_count(0)
    expect(page.locator("ol.events li", has_text="personal data erased")).to_contain_text("by Grace")
    assert not desk.is_wider_than_the_screen()


def test_a_count_is_changed_and_the_holders_are_shown(desk: Window, shop: OutsideView) -> None:
    sku = shop.new_sku(price_minor=60000)
    order_id = shop.order(items=[{"sku": sku, "quantity": 1}])
    shop.becomes(order_id, "awaiting_approval")
    page = desk.open("/api/dashboard#/stock")
    row = page.locator("tr", has_text=sku).first
    row.get_by_role("button", name="Change").click()
    page.get_by_label("On hand").fill("25")
    page.get_by_role("button", name="Set the count").click()
    expect(page.locator(".answer")).to_have_text("25 on hand, 25 available.")
    page.get_by_role("button", name="Close").click()
    shop.post(f"/api/orders/{order_id}/cancel", None)
    assert shop.stock(sku) == (25, 0)


def test_everything_can_be_done_from_the_keyboard(desk: Window, shop: OutsideView) -> None:
    page = desk.open("/api/dashboard")
    order_id = approval_order(shop)
    expect(card(page, order_id)).to_be_visible()
    page.keyboard.press("Tab")
    for _ in range(60):
        focused = page.evaluate("document.activeElement.dataset.focus ?? ''")
        if focused == f"Approve {order_id}":
            break
        page.keyboard.press("Tab")
    else:
        pytest.fail("the button was not reached with Tab")
    page.wait_for_timeout(2500)  # a poll goes by, and the focus stays
    assert page.evaluate("document.activeElement.dataset.focus") == f"Approve {order_id}"
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate("document.activeElement.dataset.focus") == f"Approve {order_id}"
    shop.cancel(order_id)


def test_a_key_is_asked_for_after_a_401_and_goes_into_a_header_alone(browser: Browser, shop: OutsideView) -> None:
    with window(browser, shop.urls["host"]) as desk:
        desk.page.route(re.compile("/api/(operations|orders)"), partial(without_a_key, key="hunter2-key"))
        urls: list[str] = []
        desk.page.on("request", lambda request: urls.append(request.url))
        page = desk.open("/api/dashboard")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("main")).to_have_text("This function app asks for a function key.")  # and it asks again
        for key, hint in (("wrong", "asks for a key"), ("hunter2-key", "refused this key")):
            expect(page.get_by_role("dialog")).to_contain_text(hint)
            page.get_by_label("Function key or host key").fill(key)
            page.get_by_role("button", name="Use this key").click()
        expect(page.get_by_role("heading", name="Needs you")).to_be_visible()
        assert not [url for url in urls if "hunter2" in url]
        assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
        assert page.evaluate("sessionStorage.getItem('x-functions-key')") == "hunter2-key"
        desk.console[:] = [
            message for message in desk.console if "401" not in message
        ]  # the browser itself notes each 4xx


@pytest.fixture(scope="module")
def places(shop: OutsideView) -> dict[str, str]:
    """Every page with something on it, also what does not belong there."""
    wild = shop.order(customer={"id": "cust-44", "name": RIGHT_TO_LEFT, "email": "ada@example.com"})
    shop.order("W" * 64, **BOUNCES)
    parked, waiting = parked_order(shop), approval_order(shop)
    return {
        "needs": "/api/dashboard",
        "orders": "/api/dashboard#/orders",
        "completed": f"/api/dashboard#/order/{wild}",
        "parked": f"/api/dashboard#/order/{parked}",
        "asked": f"/api/dashboard#/order/{waiting}",
        "stock": "/api/dashboard#/stock",
        "nothing": "/api/dashboard#/order/nobody",
        "tracking": tracked(shop, wild),
        "wrong link": "/api/track/nobody?token=1.x",
    }


def tracked(shop: OutsideView, order_id: str) -> str:
    """The path of the customer's page, from the mail."""
    shop.becomes(order_id, "completed")
    (mail,) = [each for each in shop.messages(order_id) if ".confirmation@" in (each["message_id"] or "")]
    link = re.search(r"https?://[^/]+(/api/track/\S+)", mail["text"])
    assert link, mail["text"]
    return link[1]


@pytest.mark.parametrize("width", [1400, 390])
def test_every_page_is_accessible_and_fits_in_light_and_dark(
    browser: Browser, shop: OutsideView, places: dict[str, str], width: int
) -> None:
    """The scheme changes colours alone: the pages have no script that asks for it."""
    for name, path in places.items():
        with window(browser, shop.urls["host"], width) as one:
            page = one.open(path)
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            assert one.violations() == [], name
            assert not one.is_wider_than_the_screen(), name
            page.emulate_media(color_scheme="dark")
            assert one.violations(COLOURS) == [], name
            one.console[:] = [
                message for message in one.console if "404" not in message
            ]  # the browser itself notes each 4xx


def test_a_dialog_is_accessible(desk: Window, shop: OutsideView) -> None:
    page = desk.open(f"/api/dashboard#/order/{parked_order(shop)}")
    page.get_by_role("button", name="Resolve refund payment").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert desk.violations() == []


def test_a_customer_follows_and_cancels_an_order_behind_its_link(
    desk: Window, shop: OutsideView, shop_product: Product
) -> None:
    sku = shop.new_sku(price_minor=60000)
    body = example_order(order_id=new_id(), items=[{"sku": sku, "quantity": 1}])
    answer = shop.post("/api/orders", body).json()
    shop.becomes(body["order_id"], "awaiting_approval")
    path = answer["trackingUrl"].partition("/api/")[2]
    page = desk.open(f"/api/{path}")
    expect(page.locator(".state")).to_have_text("We are checking your order. You need not do anything.")
    page.get_by_role("button", name="Cancel the order").click()
    shop.becomes(body["order_id"], "cancelled")
    page.get_by_role("link", name="Look again").click()
    expect(page.locator(".state")).to_have_text("Your order is cancelled.")
    expect(page.locator("main")).to_contain_text("Your card was not charged.")
    assert page.url.startswith(f"{desk.host}/api/track/{body['order_id']}?token=")
    token = page.url.partition("token=")[2]
    assert token not in json.dumps(
        [shop.tables.history(body["order_id"]), shop.tables.audits(body["order_id"])], default=str
    )
    for log in (shop_product.data / "logs").iterdir():
        assert token not in log.read_text(encoding="utf-8", errors="replace"), log
