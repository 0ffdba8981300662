"""The documents are run: their commands are sent to the product, and the answers are compared with the printed ones.

In a printed answer `…` stands for any text, the value "…" for any value, "…": "…" for further fields, and "…" in a list
for further entries. A GET is sent again until it answers as printed, because a reader, too, looks a moment later.
tests/support/documents.py says how the documents are read.

curl itself is not run: not every machine has one. The options that the documents use are read here; any other is an
error.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import pytest
from azure.data.tables import TableServiceClient

from devtools.processes.http import fetch
from devtools.processes.ports import PORTS_IN_A_ROW, Ports, address
from devtools.processes.signals import wait_until
from tests.e2e.api.test_webhooks import event, signature
from tests.support.documents import Example, Settings, examples, requests, rows
from tests.support.product import Product
from tests.support.servers import FreePorts

ANY = "…"
PATIENCE_S = 30
EXAMPLES = list(examples())
TOUR = next(example.settings for example in EXAMPLES if example.settings)


# ------------------------------------------------------------------------------------------------- running the commands


@pytest.fixture(scope="module")
def products(
    product: Product, ports: FreePorts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Settings, Product]]:
    """The product of the session, and one for each chapter that starts its own, by the settings that they have."""
    own = {
        settings: Product(tmp_path_factory.mktemp("chapter"), ports(PORTS_IN_A_ROW), **dict(settings))
        for settings in {example.settings for example in EXAMPLES if example.settings}
    }
    try:
        yield {(): product, **{settings: each.start() for settings, each in own.items()}}
    finally:
        for each in own.values():
            each.end()
        product.faults("payments")
        product.faults("mail")


@pytest.fixture(scope="module")
def ran(products: Mapping[Settings, Product]) -> dict[Example, Any]:
    """Every example, run in the order in which a reader would; what each answered."""
    return {example: answered(moved(example, products[example.settings].urls)) for example in EXAMPLES}


def moved(example: Example, urls: Mapping[str, str]) -> Example:
    """The example with the addresses that the product has, in place of the well-known ones."""
    command, answer = example.command, example.answer
    known = Ports()
    for name, port in {"host": known.host, "payments": known.payments, "mail": known.mail}.items():
        command, answer = (text.replace(address(port), urls[name]) for text in (command, answer))
    return example._replace(command=command, answer=answer)


def answered(example: Example) -> Any:
    """What the command answers. A GET may take until it answers as printed; its last answer is returned in any case."""
    curl, expected = read_curl(example.command), json.loads(example.answer)
    answer = send(curl)
    if curl.method == "GET":
        wait_until(lambda: is_as_printed(send(curl), expected), PATIENCE_S)
        answer = send(curl)
    return {"answer": answer, "expected": expected}


class Curl(NamedTuple):
    method: str
    url: str
    body: bytes | None
    headers: dict[str, str]


def read_curl(command: str) -> Curl:
    parser = argparse.ArgumentParser("curl", exit_on_error=False)
    parser.add_argument("url")
    parser.add_argument("-X", dest="method")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="body")
    program, *words = shlex.split(command)
    assert program == "curl", command
    options = parser.parse_args(words)
    headers = dict(header.split(": ", 1) for header in options.headers)
    body = None if options.body is None else options.body.encode()
    return Curl(options.method or ("GET" if body is None else "POST"), options.url, body, headers)


def send(curl: Curl) -> Any:
    return fetch(curl.url, curl.method, curl.body, curl.headers).json()


# --------------------------------------------------------------------------------------------- comparing with the print


def is_as_printed(actual: Any, printed: Any) -> bool:
    if printed == ANY:
        return True
    if isinstance(printed, dict):
        return isinstance(actual, dict) and fields_are_as_printed(actual, printed)
    if isinstance(printed, list):
        return isinstance(actual, list) and entries_are_as_printed(actual, printed)
    if isinstance(printed, str):
        return (
            isinstance(actual, str) and re.fullmatch(".*".join(map(re.escape, printed.split(ANY))), actual) is not None
        )
    return type(actual) is type(printed) and bool(actual == printed)


def fields_are_as_printed(actual: Mapping[str, Any], printed: Mapping[str, Any]) -> bool:
    named = printed.keys() - {ANY}
    if not (named <= actual.keys() if ANY in printed else named == actual.keys()):
        return False
    return all(is_as_printed(actual[name], printed[name]) for name in named)


def entries_are_as_printed(actual: Sequence[Any], printed: Sequence[Any]) -> bool:
    """Where a list is printed with "…", its entries stand in this order, others perhaps between them."""
    if ANY not in printed:
        return len(actual) == len(printed) and all(map(is_as_printed, actual, printed))
    rest = iter(actual)
    return all(any(is_as_printed(entry, wanted) for entry in rest) for wanted in printed if wanted != ANY)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_a_command_of_the_documents_answers_as_printed(example: Example, ran: Mapping[Example, Any]) -> None:
    was = ran[example]
    assert is_as_printed(was["answer"], was["expected"]), json.dumps(was["answer"], indent=2)


def test_the_examples_show_every_kind_of_order_stock_health_a_list_and_a_fault() -> None:
    commands = " ".join(example.command for example in EXAMPLES)
    parts = (
        "/api/orders",
        "/api/inventory/",
        "/api/health",
        "?status=",
        "/cancel",
        "/approval",
        "/retry",
        "/sandbox/faults",
    )
    assert [part for part in parts if part not in commands] == []
    shown = {json.loads(example.answer).get("status") for example in EXAMPLES if example.answer.startswith("{")}
    assert {"completed", "compensated", "awaiting_approval", "needs_attention"} <= shown


@pytest.mark.usefixtures("ran")
def test_the_lost_answer_of_the_sandbox_s_page_is_one_charge(product: Product) -> None:
    events = [entry["event"] for entry in product.ledger("table-1")]
    assert events == ["payment_intent.created", "payment_intent.succeeded"]


@pytest.mark.usefixtures("ran")
def test_the_refund_of_the_tour_is_one_refund(products: Mapping[Settings, Product]) -> None:
    events = [entry["event"] for entry in products[TOUR].ledger("armchair-4")]
    assert events == ["payment_intent.created", "payment_intent.succeeded", "refund.succeeded"]


@pytest.mark.usefixtures("ran")
def test_the_audit_trail_of_the_tour_is_the_printed_one(products: Mapping[Settings, Product]) -> None:
    wanted = "PartitionKey eq 'armchair-4' and RowKey ge 'audit:' and RowKey lt 'audit;'"
    with stored_in(products[TOUR]) as account:
        stored = list(account.get_table_client("orders").query_entities(wanted))
    trail = [row for row in stored if not row["Event"].startswith("alert_")]  # if a sweep ran while it was parked
    printed = rows("docs/operations.md", "Event")
    assert [f"`{row['Event']}`" for row in trail] == [cells[0] for cells in printed]
    for row, (_, says) in zip(trail, printed, strict=True):
        facts = dict(re.findall(r"`(\w+)`(?: ([^`]+?))?(?:, (?=`)|$)", says))
        assert facts.keys() == row.keys() - {"PartitionKey", "RowKey", "At", "Event"}
        assert {name: str(row[name]) for name, value in facts.items() if value} == {n: v for n, v in facts.items() if v}


@pytest.mark.parametrize(
    ("actual", "printed"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1, "b": 2}, {"a": 1}),
        ({"a": 1}, {"a": 1, "b": 2, ANY: ANY}),
        ([1, 2], [1]),
        ([2, 1], [ANY, 1, 2, ANY]),
        ("pi_1", "re_…"),
        (True, 1),
    ],
)
def test_an_answer_that_differs_from_the_printed_one_is_seen(actual: object, printed: object) -> None:
    assert not is_as_printed(actual, printed)


@pytest.mark.usefixtures("ran")
@pytest.mark.parametrize("cells", rows("docs/operations.md", "Table"), ids=lambda cells: cells[0].strip("`"))
def test_the_columns_to_look_at_are_there(cells: list[str], product: Product) -> None:
    columns = set(re.findall(r"`([^`]+)`", cells[2]))
    body = json.dumps(event("of-another-shop")).encode()
    post = fetch(f"{product.urls['host']}/api/webhooks/stripe", "POST", body, {"Stripe-Signature": signature(body)})
    assert post.status == 200
    ours = ("armchairs-1", "armchairs-2", "of-another-shop")
    orders = [f"{key} eq '{order}'" for order in ours for key in ("PartitionKey", "OrderId")]
    wanted = " or ".join([*orders, "PartitionKey eq 'table-1'", "PartitionKey eq 'stock'"])
    with stored_in(product) as account:
        table = account.get_table_client(cells[0].strip("`"))
        stored = {name for row in table.query_entities(wanted) for name in row}
    assert columns and columns <= stored


@pytest.mark.usefixtures("ran")
def test_every_request_of_requests_http_reaches_what_it_is_for(products: Mapping[Settings, Product]) -> None:
    """The last test of this file: one of the requests erases."""
    for request in requests():
        settings = TOUR if "/armchairs-3/" in request.path or "/armchair-4/" in request.path else ()
        headers = dict(line.split(": ", 1) for line in request.headers.splitlines())
        body = request.body.encode() or None
        answer = products[settings].call(request.method, request.path, body, headers)
        # A tracking token is not known beforehand.
        expected = {404} if "/track/" in request.path else {200, 201, 202, 204, 400, 409}
        assert answer.status in expected, (request, answer)


def stored_in(product: Product) -> closing[TableServiceClient]:
    return closing(TableServiceClient.from_connection_string(product.urls["storage_connection_string"]))
