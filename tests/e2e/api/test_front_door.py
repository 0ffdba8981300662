"""The front door: `/` and `/api` show where to go, every link leads somewhere, an unknown path stays the host's 404."""

from __future__ import annotations

import re

import pytest

from tests.support.product import Product


@pytest.mark.parametrize("path", ["/", "/api", "/api/", "/API"])
def test_the_front_page_is_at_the_root_and_at_api(product: Product, path: str) -> None:
    answer = product.get(path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    links = re.findall(r'href="(/[^"]+)"', answer.body.decode())
    assert {"/api/docs", "/api/health", "/api/requests.http"} <= set(links)
    assert [link for link in links if product.get(link).status != 200] == []


@pytest.mark.parametrize("path", ["/", "/api"])
def test_a_program_gets_json(product: Product, path: str) -> None:
    answer = product.get(path, {"Accept": "application/json"})
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json()["links"]["docs"] == "/api/docs"


@pytest.mark.parametrize("path", ["/api/nothing", "/api/docs/nothing/more", "/api//", "/nothing", "/api/orders/a/b"])
def test_an_unknown_path_stays_the_hosts_404(product: Product, path: str) -> None:
    answer = product.get(path)
    assert (answer.status, answer.body) == (404, b"")


def test_the_front_page_takes_no_other_verb(product: Product) -> None:
    assert product.call("POST", "/api").status == 404


def test_each_get_of_the_requests_file_that_needs_no_earlier_order_is_answered(product: Product) -> None:
    text = product.get("/api/requests.http").body.decode()
    paths = re.findall(r"^GET \{\{host\}\}(\S+)$", text, re.MULTILINE)
    asked = [path for path in paths if not path.startswith(("/api/orders/", "/api/track/"))]
    assert len(asked) > 10
    statuses = {path: product.get(path).status for path in asked}
    assert {path: status for path, status in statuses.items() if status >= 400} == {}


@pytest.mark.parametrize("verb", ["DELETE", "PATCH"])
def test_a_method_that_a_route_does_not_have_is_the_hosts_404(product: Product, verb: str) -> None:
    answer = product.call(verb, "/api/orders")
    assert (answer.status, answer.body) == (404, b"")
