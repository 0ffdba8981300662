"""Tracking links: what opens which order, until when; and the customer's page over fakes."""

from __future__ import annotations

import asyncio
import base64
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qs, urlencode, urlsplit

import azure.functions as func
import pytest

from activities.notification import cancellation_mail, confirmation_mail
from api import tracking as page
from api.problems import Problem
from models.order_record import OrderRecord
from models.states import OrderStatus
from models.tracking import Tracking
from services.settings import public_origin
from tests.unit.orders import running_order

NOW = datetime.now(UTC)
LINKS = Tracking(("the secret of today",), 30, "https://shop.example")


def fresh(**changes: Any) -> OrderRecord:
    """An order that was accepted just now."""
    return running_order(accepted_at=NOW, **changes)


def token_of(order: OrderRecord, links: Tracking = LINKS) -> str:
    return links.token(order)


def test_a_link_names_the_order_and_its_token_and_nothing_else() -> None:
    order = fresh()
    url = urlsplit(LINKS.url(order) or "")
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"https://shop.example/api/track/{order.order_id}"
    assert parse_qs(url.query) == {"token": [token_of(order)]}


@pytest.mark.parametrize("links", [LINKS._replace(secrets=()), LINKS._replace(origin="")])
def test_without_a_secret_or_an_address_there_are_no_links(links: Tracking) -> None:
    assert links.url(fresh()) is None


def test_a_token_of_one_order_opens_no_other() -> None:
    order = fresh()
    assert LINKS.judge(order.order_id, token_of(order), NOW) == "valid"
    assert LINKS.judge("order-2", token_of(order), NOW) == "wrong"


def test_each_attempt_makes_the_same_token_and_it_ends_days_after_acceptance() -> None:
    order = fresh()
    end = order.accepted_at + timedelta(days=30)
    assert token_of(order) == token_of(order)
    assert LINKS.judge(order.order_id, token_of(order), end - timedelta(seconds=2)) == "valid"
    assert LINKS.judge(order.order_id, token_of(order), end + timedelta(seconds=1)) == "expired"


def test_the_first_secret_signs_and_each_verifies() -> None:
    order = fresh()
    both = LINKS._replace(secrets=("the secret of tomorrow", *LINKS.secrets))
    assert both.judge(order.order_id, token_of(order), NOW) == "valid"
    assert LINKS.judge(order.order_id, token_of(order, both), NOW) == "wrong"


def test_a_token_whose_end_was_moved_is_wrong_and_not_expired() -> None:
    order = fresh()
    end, _, mac = token_of(order).partition(".")
    assert LINKS.judge(order.order_id, f"{int(end) + 1}.{mac}", NOW) == "wrong"
    assert LINKS.judge(order.order_id, f"1.{mac}", NOW) == "wrong"


@pytest.mark.parametrize("token", ["", ".", "1.", "x" * 5000, "1." + "A" * 43, "\uff11." + "A" * 43, "-1." + "A" * 43])
def test_what_is_no_token_is_wrong(token: str) -> None:
    assert LINKS.judge("order-1", token, NOW) == "wrong"


def test_the_mails_have_the_link_and_the_same_text_each_time() -> None:
    order = fresh(tracking_number="P0")
    url = LINKS.url(order)
    for mail in (confirmation_mail(order, url), cancellation_mail(order, "cancelled", url)):
        assert f"Follow your order: {url}\n" in mail.text and f'href="{url}"' in mail.html
    assert confirmation_mail(order, url) == confirmation_mail(order, LINKS.url(order))
    assert "Follow" not in confirmation_mail(order, None).text


@pytest.mark.parametrize(
    ("env", "origin"),
    [
        ({}, ""),
        ({"WEBSITE_HOSTNAME": "shop.azurewebsites.net"}, "https://shop.azurewebsites.net"),
        ({"WEBSITE_HOSTNAME": "localhost:7071"}, "http://localhost:7071"),
        ({"WEBSITE_HOSTNAME": "shop.azurewebsites.net", "PUBLIC_URL": "https://a.example/"}, "https://a.example"),
    ],
)
def test_the_address_of_a_link_comes_from_the_settings(env: dict[str, str], origin: str) -> None:
    assert public_origin(env) == origin


# The page.


class Orders:
    """One order, and what was written to it."""

    def __init__(self, order: OrderRecord) -> None:
        self.order, self.remarks, self.reads = order, [], 0  # type: ignore[var-annotated]

    def accept(self, order_id: str, request: Any) -> Any:
        raise AssertionError("nobody orders here")

    def find(self, order_id: str) -> OrderRecord | None:
        self.reads += 1
        return self.order if order_id == self.order.order_id else None

    def change(self, order: Any, rule: Any, *args: Any, **kwargs: Any) -> OrderRecord:
        change = rule(self.order, *args, **kwargs)
        if change is not None:
            self.remarks.append(dict(change.remarks))
            self.order = self.order.model_copy(update=dict(change.facts))
        return self.order


class Client:
    async def get_status(self, order_id: str) -> None:
        return None

    async def raise_event(self, *event: Any) -> None:
        return None


def request_of(order_id: str, token: str, body: bytes = b"", kind: str = "") -> func.HttpRequest:
    return func.HttpRequest(
        "POST" if body else "GET",
        "/api/track/x",
        headers={"Content-Type": kind, "Host": "evil.example"},
        params={"token": token} if token else {},
        route_params={"order_id": order_id},
        body=body,
    )


def shown(order: OrderRecord, token: str | None = None) -> func.HttpResponse:
    request = request_of(order.order_id, token_of(order) if token is None else token)
    return asyncio.run(page.show(request, Client(), Orders(order), LINKS))


def cancelled(orders: Orders, token: str, kind: str = "application/x-www-form-urlencoded") -> func.HttpResponse:
    body = urlencode({"token": token}) if "form" in kind else f'{{"token": "{token}"}}'
    request = request_of(orders.order.order_id, "", body.encode(), kind)
    return asyncio.run(page.cancel(request, Client(), orders, LINKS))


def test_the_page_shows_how_far_the_order_is_and_nothing_personal() -> None:
    html = shown(fresh()).get_body().decode()
    assert "Cancel the order" in html and "CRUNCHY-ARMCHAIR" in html
    assert not re.search(r"Ada|example\.com|St James|pm_card|runtime/webhooks|code=", html)
    assert "<script" not in html and "style=" not in html


def test_every_answer_is_kept_by_nobody_and_names_itself_to_nobody() -> None:
    order = fresh()
    orders = Orders(order)
    answers = [shown(order), shown(order, "wrong"), cancelled(orders, "wrong"), cancelled(orders, token_of(order))]
    for answer in answers:
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert [answer.status_code for answer in answers] == [200, 404, 404, 303]


def test_a_wrong_token_is_refused_before_anything_is_read() -> None:
    orders = Orders(fresh())
    request = request_of(orders.order.order_id, "1." + "A" * 43)
    assert asyncio.run(page.show(request, Client(), orders, LINKS)).status_code == 404
    assert orders.reads == 0


def test_an_expired_link_says_so() -> None:
    order = running_order(accepted_at=NOW - timedelta(days=31))
    answer = shown(order)
    assert answer.status_code == 410 and b"expired" in answer.get_body()
    assert b"ARMCHAIR" not in answer.get_body()


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "application/json"])
def test_a_cancel_is_promised_and_leads_back_to_the_page(kind: str) -> None:
    orders = Orders(fresh())
    token = token_of(orders.order)
    answer = cancelled(orders, token, kind)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"../{orders.order.order_id}?token={token}")
    assert orders.order.cancel_requested and orders.remarks == [page.CUSTOMER]
    assert b"Cancel the order" not in shown(orders.order).get_body()


def test_a_cancel_that_comes_too_late_is_reported_on_the_page() -> None:
    orders = Orders(fresh(confirmation="sent"))
    answer = cancelled(orders, token_of(orders.order))
    assert answer.status_code == 409 and b"too late" in answer.get_body()
    assert not orders.order.cancel_requested


@pytest.mark.parametrize("body", [b"", b"token", b"&" * 2000, b"\xff\xfe", b"[]", b'{"token": 7}', b"token=a&token=b"])
@pytest.mark.parametrize("kind", ["", "application/json", "text/plain"])
def test_a_body_without_a_token_is_a_link_that_is_not_valid(body: bytes, kind: str) -> None:
    orders = Orders(fresh())
    request = request_of(orders.order.order_id, token_of(orders.order), body, kind)  # a token in the address counts not
    assert asyncio.run(page.cancel(request, Client(), orders, LINKS)).status_code == 404
    assert not orders.order.cancel_requested


WILD = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "مرحبا", "W" * 200]


@pytest.mark.parametrize("text", WILD)
def test_stored_text_of_any_kind_is_shown_inert(text: str) -> None:
    order = fresh(tracking_number=text, state="completed", confirmation="sent")
    html = shown(order).get_body().decode()
    assert "<script" not in html and "<img" not in html


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"refunded_minor": 25800, "charged_minor": 25800}, "We have refunded 258.00 GBP to your card."),
        ({}, "Your card was not charged."),
        ({"charged_minor": 25800, "resolved": {"refund_payment": {}}}, None),
        ({"resolved": {"refund_payment": {}}}, None),
    ],
)
def test_the_page_of_an_undone_order_says_of_the_money_what_is_certain(
    facts: dict[str, Any], sentence: str | None
) -> None:
    outcome = {"order_id": "order-1", "status": "compensated"}
    html = shown(fresh(state="compensated", outcome=outcome, **facts)).get_body().decode()
    assert (sentence or "could not be completed") in html
    assert ("your card" in html.lower()) == (sentence is not None)


def test_the_token_does_not_say_what_it_was_made_with() -> None:
    mac = token_of(fresh()).partition(".")[2]
    assert len(base64.urlsafe_b64decode(mac + "=")) == 32


def test_a_problem_below_a_link_is_as_discreet_as_the_page() -> None:
    problem = page.discreet(Problem(503, "Try again later.").response())
    assert (problem.status_code, problem.headers["Retry-After"]) == (503, "5")
    assert (problem.headers["Referrer-Policy"], problem.headers["Cache-Control"]) == ("no-referrer", "no-store")


# The states.


def test_the_page_has_a_sentence_for_each_state_and_for_nothing_else() -> None:
    assert set(page.SENTENCES) == set(get_args(OrderStatus))


@pytest.mark.parametrize(("sheet", "kind"), [("dashboard.css", "pill|card"), ("track.css", "state")])
def test_the_style_sheets_know_no_state_that_an_order_cannot_have(sheet: str, kind: str) -> None:
    text = (Path(page.__file__).with_name("static") / sheet).read_text(encoding="utf-8")
    styled = set(re.findall(rf"\.(?:{kind})\.([a-z_]+)", text))
    assert styled and styled - {*get_args(OrderStatus), "unknown"} == set()
