"""`dev.py order` at a terminal, in a pipe, in a narrow window: what a server says acts on none of them."""

from __future__ import annotations

import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from fcntl import ioctl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from devtools.orders.__main__ import main
from devtools.terminal import inert
from tests.support.servers import FreePorts, serving

ROOT = Path(__file__).resolve().parents[3]
STEPS = ("validate_order", "reserve_inventory", "process_payment", "create_shipment", "send_confirmation")
# A cleared screen, a title, a turned direction, a line of its own, markup, and 200 letters of double width.
HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202egnp.exe\r\nowned \x9b31m [bold]" + "\u754c" * 200


def view(order_id: str, **changes: Any) -> dict[str, Any]:
    steps = [{"name": name, "status": "done"} for name in STEPS]
    answer = {"order_id": order_id, "status": "completed", "total": {"amount_minor": 12900, "currency": "gbp"}}
    return {**answer, "steps": steps, "failure": None, "compensations": [], **changes}


LISTED = {"order_id": "calm", "status": "completed", "accepted_at": "2026-11-26T09:30:00Z", "skus": ["LAMP", "TABLE"]}
ANSWERS: dict[str, tuple[int, Any]] = {
    "/api/orders/calm": (200, view("calm")),
    "/api/orders/hostile": (
        200,
        view(HOSTILE, status=HOSTILE, failure={"step": "process_payment", "reason": HOSTILE, "decline_code": HOSTILE}),
    ),
    "/api/orders/refused": (409, {"title": "Conflict", "detail": HOSTILE}),
    "/api/orders/locked": (401, None),
    "/api/orders/away": (503, {"detail": "Storage is away. Try again later."}),
    "/api/orders/wrong": (400, {"detail": "top: must be 7", "errors": [{"pointer": "#/top", "detail": "must be 7"}]}),
    "/api/orders/wrongs": (
        400,
        {
            "detail": "2 fields are wrong: #/top, #/to.",
            "errors": [{"pointer": "#/top", "detail": "must be 7"}, {"pointer": "#/to", "detail": "must be a day"}],
        },
    ),
    "/api/orders/strange": (200, ["no", "order"]),
    "/api/orders/calm/events": (
        200,
        {
            "events": [{"number": 1, "at": HOSTILE, "event": HOSTILE, "facts": {"by": HOSTILE, HOSTILE: [HOSTILE]}}],
            "continuation": None,
        },
    ),
    "/api/orders": (
        200,
        {
            "orders": [
                {**LISTED, "total": {"amount_minor": 12900, "currency": "gbp"}},
                {**LISTED, "order_id": HOSTILE, "skus": [HOSTILE], "total": {"amount_minor": 5, "currency": HOSTILE}},
            ],
            "continuation": "0000000000001:calm",
        },
    ),
}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers)))  # type: ignore[attr-defined]
        status, body = ANSWERS[self.path.partition("?")[0]]
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def server(ports: FreePorts) -> Iterator[ThreadingHTTPServer]:
    with serving(ThreadingHTTPServer(("127.0.0.1", ports()), _Handler)) as answering:
        answering.requests = []  # type: ignore[attr-defined]
        yield answering


@pytest.fixture(scope="module")
def url(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def acting(text: str) -> list[str]:
    """Control characters and those that turn the direction, line ends apart."""
    return re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


def test_text_that_acts_on_a_terminal_is_shown_as_code_points() -> None:
    assert inert("\x1b[2J\u202ea\nb\x9b") == "\\u{1b}[2J\\u{202e}a\\u{a}b\\u{9b}"
    assert inert("Łódź Ελλάδα 界 [bold]") == "Łódź Ελλάδα 界 [bold]"


@pytest.mark.parametrize("words", ["show hostile", "show refused", "list", "history calm", "show hostile --json"])
def test_what_a_server_says_acts_on_no_pipe(words: str, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([*words.split(), "--url", url])
    shown = capsys.readouterr()
    assert acting(shown.out.replace("\t", "")) == acting(shown.err) == []
    assert "owned" in shown.out + shown.err


def test_markup_of_a_server_is_text(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["show", "hostile", "--url", url])
    assert "[bold]" in capsys.readouterr().out


def test_the_view_is_printed_as_json(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "calm", "--json", "--url", url]) == 0
    assert json.loads(capsys.readouterr().out) == view("calm")


def test_a_list_in_a_pipe_is_a_line_an_order_with_tabs(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["list", "--url", url])
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].split("\t") == ["calm", "completed", "2026-11-26T09:30:00Z", "129.00 GBP", "LAMP, TABLE"]
    assert [line.count("\t") for line in lines] == [4, 4]
    assert "--continuation 0000000000001:calm" in shown.err


# At a terminal.


def at_a_terminal(words: list[str], columns: int, **environment: str) -> str:
    """What a terminal of so many columns is sent."""
    terminal, inside = pty.openpty()
    ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "LINES"}}
    process = subprocess.Popen(
        [sys.executable, "-m", "devtools.orders", *words],
        cwd=ROOT,
        env={**kept, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **environment},
        stdin=inside,
        stdout=inside,
        stderr=inside,
    )
    os.close(inside)
    sent = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux says so when the other side is gone
            break
        if not part:
            break
        sent += part
    os.close(terminal)
    assert process.wait(30) == 0, sent
    return sent.decode()


COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def width(line: str) -> int:
    """Columns: these wide letters take two."""
    return len(line) + line.count("\u754c")


@pytest.mark.slow
@pytest.mark.parametrize("words", [["show", "hostile"], ["list"], ["history", "calm"]])
def test_no_line_is_longer_than_the_terminal_is_wide(words: list[str], url: str) -> None:
    sent = COLOUR.sub("", at_a_terminal([*words, "--url", url], 40))
    assert max(width(line) for line in sent.replace("\r\n", "\n").splitlines()) <= 40
    assert acting(sent.replace("\r\n", "\n")) == []


@pytest.mark.slow
def test_a_status_has_its_colour_at_a_terminal_and_none_with_no_color(url: str) -> None:
    assert "\x1b[32mcompleted" in at_a_terminal(["show", "calm", "--url", url], 80)
    assert "\x1b" not in at_a_terminal(["show", "calm", "--url", url], 80, NO_COLOR="1")


@pytest.mark.slow
def test_a_watch_of_an_order_that_has_ended_shows_it_and_ends(url: str) -> None:
    sent = at_a_terminal(["watch", "calm", "--url", url], 80)
    assert "send_confirmation" in sent
    assert "\x1b[?25h" in sent, "the cursor stays hidden"


@pytest.mark.slow
def test_an_output_without_these_letters_is_still_written(url: str) -> None:
    sent = at_a_terminal(["show", "hostile", "--url", url], 80, PYTHONIOENCODING="ascii")
    assert sent.isascii() and "owned" in sent


# Refusals, keys and addresses.


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["show", "locked"], "This deployment asks for a function key: --key, or ORDER_API_KEY."),
        (["show", "locked", "--key", "wrong"], "This deployment refuses this function key: --key, or ORDER_API_KEY."),
        (["show", "away"], "Storage is away. Try again later."),
        (["show", "strange"], "The answer is not the order API's: is --url right?"),
        (["retry", "calm", "--reason", "why"], "Order calm is completed: no undo of it waits for an operator."),
        (["place", "--item", "LAMP:many"], "--item LAMP:many: the number of units must follow the colon."),
        (["place", "--body", "/no/such/file"], "/no/such/file cannot be read: No such file or directory."),
    ],
)
def test_what_went_wrong_is_one_sentence(
    words: list[str], sentence: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--url", url]) == 1
    shown = capsys.readouterr()
    assert shown.err == f"order {words[0]}: {sentence}\n"
    assert shown.out == ""


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://127.0.0.1:7071/api", "without /api"),
        ("http://127.0.0.1:7071/?code=abc", "the origin alone"),
        ("ftp://shop.example", "an http or https address"),
        ("http://user:secret@shop.example", "an http or https address"),
        ("http://[::1", "an http or https address"),
        ("shop", "an http or https address"),
        ("http://shop.example", "travel in clear"),
    ],
)
def test_an_address_that_cannot_be_meant_is_refused_before_anything_is_sent(
    url: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "calm", "--url", url, "--key", "secret"]) == 1
    shown = capsys.readouterr().err
    assert sentence in shown and "secret" not in shown


@pytest.mark.parametrize(
    ("order_id", "sentence"),
    [
        ("wrong", "order show: top: must be 7\n"),
        ("wrongs", "order show: 2 fields are wrong: #/top, #/to. #/top: must be 7 #/to: must be a day\n"),
    ],
)
def test_each_fault_of_a_request_is_said_once(
    order_id: str, sentence: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", order_id, "--url", url]) == 1
    assert capsys.readouterr().err == sentence


def test_the_key_travels_in_a_header_and_in_no_url(server: ThreadingHTTPServer, url: str) -> None:
    main(["show", "calm", "--url", f"{url}/", "--key", "my-key"])
    path, headers = server.requests[-1]  # type: ignore[attr-defined]
    assert (path, headers["x-functions-key"]) == ("/api/orders/calm", "my-key")


def test_an_order_id_is_one_segment_of_the_path(server: ThreadingHTTPServer, url: str) -> None:
    ANSWERS["/api/orders/..%2Fhealth%3Fa"] = (404, {"detail": "There is no order with this id."})
    assert main(["show", "../health?a", "--url", url]) == 1
    assert server.requests[-1][0] == "/api/orders/..%2Fhealth%3Fa"  # type: ignore[attr-defined]


def test_without_a_product_the_way_to_one_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--data", str(tmp_path)]) == 1
    assert "start one with `python3 dev.py start`" in capsys.readouterr().err


def test_without_a_url_it_is_the_product_that_runs(url: str, tmp_path: Path) -> None:
    (tmp_path / "urls.json").write_text(json.dumps({"host": url}), encoding="utf-8")
    assert main(["show", "calm", "--data", str(tmp_path)]) == 0


def test_the_help_needs_no_package() -> None:
    result = subprocess.run(
        [sys.executable, "-S", "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
         "from devtools.orders.__main__ import main; main(['--help'])"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0 and "resolve" in result.stdout, result.stderr


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_is_no_failure(url: str) -> None:
    ended = subprocess.run(
        [
            "/bin/sh",
            "-c",
            '"$0" -m devtools.orders list --all --json --url "$1" | head -c 1; exit $?',
            sys.executable,
            url,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.stdout, ended.stderr) == ("{", "")
