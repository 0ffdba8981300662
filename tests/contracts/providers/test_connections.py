"""How many connections the adapters keep, by a server that counts them."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.exceptions import HttpResponseError

from models.errors import Refused, Unavailable
from services import storage
from services.connections import AT_ONCE as CONNECTIONS
from services.connections import CompleteRequests
from services.notification_hub import NotificationHub
from services.settings import SETTINGS
from services.stripe_payments import StripePayments
from tests.support.servers import Azurite, FreePorts, serving

# More than the 10 that `requests` keeps to a host.
AT_ONCE = 24


@dataclass
class Counting:
    """A payment provider that knows no card, keeps connections open and counts them; requests wait at `together`."""

    port: int
    connections: int = 0
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    answers: int = 404
    together: threading.Barrier = field(default_factory=lambda: threading.Barrier(1))


@pytest.fixture
def provider(ports: FreePorts) -> Iterator[Counting]:
    counting = Counting(ports())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            counting.connections += 1
            super().setup()

        def do_GET(self) -> None:
            counting.paths.append(self.path)
            counting.headers.append(dict(self.headers))
            counting.together.wait(20)
            body = json.dumps({"error": {"type": "invalid_request_error", "code": "resource_missing"}}).encode()
            self.send_response(counting.answers)
            if counting.answers != 404:
                self.send_header("Location", f"http://127.0.0.1:{counting.port}/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            counting.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            """Nothing to say."""

    with serving(ThreadingHTTPServer(("127.0.0.1", counting.port), Handler)):
        yield counting


def ask(payments: StripePayments) -> None:
    with contextlib.suppress(Refused):
        payments.check_method("pm_none")


def in_threads_of_their_own(payments: StripePayments, count: int) -> None:
    """One after the other, and each thread lives as long as the last one."""
    with ThreadPoolExecutor(count) as pool:
        waiting = threading.Barrier(count)
        turn = threading.Lock()

        def once() -> None:
            with turn:
                ask(payments)
            waiting.wait(20)

        for each in [pool.submit(once) for _ in range(count)]:
            each.result()


def test_threads_that_take_turns_share_one_connection_to_the_payment_provider(provider: Counting) -> None:
    """Otherwise a host has in the end as many as it has threads, whatever the work."""
    in_threads_of_their_own(StripePayments("sk_test_x", f"http://127.0.0.1:{provider.port}"), AT_ONCE)
    assert provider.connections == 1


def test_connections_that_were_needed_at_once_are_kept_and_no_more_are_made(
    provider: Counting, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    payments = StripePayments("sk_test_x", f"http://127.0.0.1:{provider.port}")
    provider.together = threading.Barrier(AT_ONCE)
    for _ in range(5):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(ask, [payments] * AT_ONCE))
    assert provider.connections == AT_ONCE
    assert [record.getMessage() for record in caplog.records] == []


COMPLETE: list[tuple[str, str, Any, dict[str, str]]] = [
    ("get", "/v1/payment_methods/pm_1?expand=a%2Cb", None, {"Authorization": "Bearer sk_test_x"}),
    ("POST", "/orders(PartitionKey='%C5%81%27')", '{"a": "\u0141"}', {"x-ms-version": "2019-02-02"}),
    ("POST", "/$batch", b"--batch", {"Content-Type": "multipart/mixed; boundary=batch", "Content-Length": "7"}),
    ("POST", "/empty", None, {}),
]


@pytest.mark.parametrize(("method", "path", "body", "headers"), COMPLETE)
def test_a_request_arrives_as_requests_itself_would_have_sent_it(
    provider: Counting, method: str, path: str, body: Any, headers: dict[str, str]
) -> None:
    """Also a test of the library: an update that sends more of its own accord is seen here."""
    for session in (requests.Session(), CompleteRequests()):
        response = session.request(
            method, f"http://127.0.0.1:{provider.port}{path}", headers=headers, data=body, timeout=9
        )
        assert response.json()["error"]["code"] == "resource_missing"
    for seen in (provider.paths, provider.headers, provider.bodies):
        assert seen[: len(seen) // 2] == seen[len(seen) // 2 :]


def test_a_password_in_netrc_does_not_take_the_place_of_a_key(
    provider: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password hunter2\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    ask(StripePayments("sk_test_x", f"http://127.0.0.1:{provider.port}"))
    account = (
        "AccountName=a;AccountKey=c2VjcmV0;"
        f"TableEndpoint=http://127.0.0.1:{provider.port}/a;BlobEndpoint=http://127.0.0.1:{provider.port}/a"
    )
    with pytest.raises(HttpResponseError):
        storage.connect({storage.SETTING: account}).tables.get_table_client("orders").get_entity("a", "b")
    sent = [headers["Authorization"].partition(" ")[0] for headers in provider.headers]
    assert sent == ["Bearer", "SharedKey"]


def test_a_proxy_of_the_environment_is_used(provider: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{provider.port}")
    CompleteRequests().request("GET", "http://stripe.example/v1", headers={}, timeout=9)
    assert provider.paths == ["http://stripe.example/v1"]


def test_the_connections_fit_the_threads_of_the_example() -> None:
    """Its threads for activities, and as many of Python's for HTTP functions."""
    (threads,) = [each.example for each in SETTINGS if each.name == "PYTHON_THREADPOOL_THREAD_COUNT"]
    assert int(threads) == 32
    assert 2 * int(threads) <= CONNECTIONS


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_provider_that_sends_us_elsewhere_is_not_followed(provider: Counting, status: int) -> None:
    """Else a key or a token would go to an address that no setting names, perhaps over http."""
    provider.answers = status
    at = f"http://127.0.0.1:{provider.port}"
    with pytest.raises(Unavailable):
        StripePayments("sk_test_x", at).check_method("pm_card_visa")
    push = f"Endpoint={at};SharedAccessKeyName=k;SharedAccessKey=s;EntityPath=hub"
    with pytest.raises(Unavailable, match=f"answered {status}"):
        NotificationHub(push).send("customer:a", "order-1", "On its way.")
    assert [path.partition("?")[0] for path in provider.paths] == ["/v1/payment_methods/pm_card_visa", "/hub/messages"]


def test_storage_asked_by_every_thread_at_once_drops_no_connection(
    azurite: Azurite, caplog: pytest.LogCaptureFixture
) -> None:
    """`requests` would warn: "Connection pool is full, discarding connection"."""
    caplog.set_level(logging.WARNING)
    account = storage.connect({storage.SETTING: azurite.connection_string})
    table = storage.open_table(account, "connections")
    blobs = account.blobs.get_container_client("connections")
    together = threading.Barrier(AT_ONCE)

    def look(_: int) -> None:
        together.wait(20)
        assert list(table.list_entities()) == []
        assert not blobs.exists()

    for _ in range(5):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(look, range(AT_ONCE)))
    assert [record.getMessage() for record in caplog.records] == []
