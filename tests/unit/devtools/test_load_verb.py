"""`dev.py load`: the mix, the figures, and what is refused before an order is placed."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from devtools.load import deployment
from devtools.load.__main__ import main
from devtools.load.arguments import DEFAULT_MIX, KINDS, mix
from devtools.load.book import Book, quantile
from devtools.load.orders import UNITS_TO_APPROVE, drawn, sku_of
from models.order_request import SKU_PATTERN, OrderRequest
from tests.support.servers import FreePorts, serving

ROOT = Path(__file__).resolve().parents[3]


def test_the_shares_of_a_mix_add_up_to_the_orders() -> None:
    for count in (1, 7, 10, 999):
        orders = drawn("load-1", count, mix(DEFAULT_MIX))
        assert len({order.order_id for order in orders}) == len(orders) == count
    counts = Counter(order.kind for order in drawn("load-1", 1000, mix(DEFAULT_MIX)))
    assert counts == {"good": 700, "declined": 100, "cancelled": 100, "approved": 100}
    assert Counter(order.kind for order in drawn("load-1", 3, {"good": 1, "declined": 1})).total() == 3


def test_every_order_of_a_load_is_one_that_the_api_takes() -> None:
    orders = drawn("load-1a2b3c4d", 40, dict.fromkeys(KINDS, 1))
    for order in orders:
        request = OrderRequest.model_validate_json(json.dumps(order.body))
        assert [(item.sku, item.quantity) for item in request.items] == [("LOAD-1A2B3C4D", order.units)]
    assert {order.units for order in orders if order.kind == "approved"} == {UNITS_TO_APPROVE}
    assert len({order.kind for order in orders[:20]}) == len(KINDS), "the kinds come one after the other"
    assert sku_of("load-1a2b3c4d") and SKU_PATTERN


@pytest.mark.parametrize(
    "text", ["", "good", "good=x", "good=-1", "bad=1", "good=1,good=2", "good=0", "good=1;declined=1"]
)
def test_a_mix_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        mix(text)


@pytest.mark.parametrize("words", [["--orders", "0"], ["--orders", "many"], ["--at-once", "257"], ["--at-once", "0"]])
def test_numbers_out_of_range_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--orders", "1", "--at-once", "1", *words])
    assert ended.value.code == 2
    assert "no whole number from 1 to" in capsys.readouterr().err


def test_the_line_of_progress_has_every_figure() -> None:
    book = Book()
    book.accepted = {f"o{number}" for number in range(6)}
    for number, status in enumerate(("completed", "completed", "compensated", "cancelled")):
        book.note_end(f"o{number}", status, float(number + 1))
    book.parked, book.wrong = {"o4"}, {"o5": "order o5: no"}
    for figure in ("started 6", "completed 2", "undone 2", "parked 1", "failed 1", "p50 3.00 s", "p95 4.00 s"):
        assert figure in book.line()
    assert "p50 -" in Book().line()


def test_quantiles_are_values_that_were_seen() -> None:
    assert (quantile([], 0.5), quantile([3.0], 0.95), quantile([1.0, 2.0, 3.0, 4.0], 0.5)) == (None, 3.0, 3.0)


# Before an order is placed.


class _Handler(BaseHTTPRequestHandler):
    health: dict[str, Any] | None = None
    requests: list[str] = []  # noqa: RUF012 - a class a server

    def do_GET(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.requests.append(f"{self.command} {self.path}")
        body = json.dumps(self.health if self.path == "/api/health" else {"detail": "no"}).encode()
        self.send_response(200 if self.path == "/api/health" else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what was asked is noted."""


@contextmanager
def deployed(port: int, health: dict[str, Any]) -> Iterator[list[str]]:
    """A deployment that says this of its health and refuses all else; what it was asked."""
    handler = type("Handler", (_Handler,), {"health": health, "requests": []})
    with serving(ThreadingHTTPServer(("127.0.0.1", port), handler)):
        yield handler.requests  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("health", "sentence"),
    [({"stripe_key": "live"}, "has a live Stripe key"), ({"status": "ok"}, "does not say whether"), ({}, "--yes")],
)
def test_a_deployment_that_would_charge_real_cards_is_left_alone(
    health: dict[str, Any], sentence: str, ports: FreePorts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = ports()
    words = ["--orders", "1", "--at-once", "1", "--url", f"http://127.0.0.1:{port}", "--data", str(tmp_path)]
    with deployed(port, health) as requests:
        assert main(words) == 1
        assert sentence in capsys.readouterr().err
        assert requests == ["GET /api/health"]
        assert main([*words, "--yes"]) == 1, "this server takes no article"
        assert requests[-1].startswith("PUT /api/inventory/LOAD-")


@pytest.mark.slow
def test_a_host_that_stays_away_is_given_up(
    ports: FreePorts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deployment.AWAY_AT_MOST_S == 60.0
    monkeypatch.setattr(deployment, "AWAY_AT_MOST_S", 0.5)
    url = f"http://127.0.0.1:{ports()}"
    assert main(["--orders", "1", "--at-once", "1", "--url", url, "--data", str(tmp_path)]) == 1
    assert f"load: {url} does not answer" in capsys.readouterr().err


def test_the_help_needs_no_package() -> None:
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom devtools.load.__main__ import main; main(['--help'])"
    result = subprocess.run([sys.executable, "-S", "-I", "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0 and "--at-once" in result.stdout, result.stderr
