"""No input of the Durable API is a 500: each parameter of each route with values drawn from a seed.

A few values a parameter here; `--api-values 1000` (as in `dev.py proof`) tries so many. What a *state* forbids is a 500
of the extension's own (a second suspend, a start of a running id), so each request meets a state that allows it.
"""

# ruff: noqa: RUF001 - digits of other scripts are meant

from __future__ import annotations

import http.client
import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote, quote_from_bytes

import pytest

from tests.devhost.support.hosts import APPS, Devhost, until
from tests.support.servers import Azurite, FreePorts

APP = APPS / "hostile"
API = "/runtime/webhooks/durabletask"
SEED = 8
FINISHED, RUNNING = "is-finished", "is-running"

Value = bytes


class Case(NamedTuple):
    """One parameter: how a request looks that holds a value of it."""

    name: str
    method: str
    path: Callable[[Value], str]
    body: Callable[[Value], bytes | None] = lambda value: None
    headers: Callable[[Value], Mapping[str, bytes]] = lambda value: {}
    finishes: bool = False


def escaped(value: Value) -> str:
    return quote_from_bytes(value, safe="")


def in_path(name: str, method: str, template: str, finishes: bool = False) -> Case:
    return Case(name, method, lambda value: template.replace("{}", escaped(value)), finishes=finishes)


def in_query(method: str, path: str, *names: str, also: str = "", finishes: bool = False) -> list[Case]:
    def case(name: str) -> Case:
        def path_of(value: Value) -> str:
            return f"{path}?{also}{name}={escaped(value)}"

        return Case(f"{method} {path}?{name}", method, path_of, finishes=finishes)

    return [case(name) for name in names]


def in_body(path: str) -> list[Case]:
    """As a text of its JSON, as all of it, and as its type."""

    def case(part: str, body: Callable[[Value], bytes], headers: Callable[[Value], Mapping[str, bytes]]) -> Case:
        return Case(f"POST {path} {part}", "POST", lambda value: path, body, headers)

    return [
        case("JSON", as_text, lambda value: JSON_TYPE),
        case("bytes", lambda value: value, lambda value: JSON_TYPE),
        case("type", lambda value: b"1", lambda value: {"Content-Type": in_a_header(value)}),
    ]


JSON_TYPE = {"Content-Type": b"application/json"}


def as_text(value: Value) -> bytes:
    return json.dumps({"value": value.decode(errors="surrogateescape"), "deep": [[[value.decode("latin-1")]]]}).encode()


def in_a_header(value: Value) -> bytes:
    return bytes(byte for byte in value if byte not in b"\0\r\n")[:4000]


def token(path: str) -> Case:
    def headers(value: Value) -> Mapping[str, bytes]:
        return {"x-ms-continuation-token": in_a_header(value)}

    return Case(f"{path} token", "GET", lambda value: path, headers=headers)


TIMES = ("createdTimeFrom", "createdTimeTo")
ANYWHERE = ("taskHub", "connection", "code", "nothing")
VERBS = ("terminate", "suspend", "resume", "rewind", "restart")
AND_THEN: Any = {"also": "pollingInterval=0.2&", "finishes": True}
WAITING = "/orchestrators/plain"
CASES = [
    in_path("function", "POST", "/orchestrators/{}"),
    in_path("new id", "POST", "/orchestrators/plain/{}"),
    *in_query("POST", WAITING, "timeout", also="pollingInterval=0.2&"),
    *in_query("POST", WAITING, "pollingInterval", also="timeout=0.3&"),
    *in_query("POST", WAITING, "version", "returnInternalServerErrorOnFailure", *ANYWHERE),
    *in_body("/orchestrators/plain"),
    *in_query("GET", "/instances", *TIMES, "runtimeStatus", "instanceIdPrefix", "showInput", "top", *ANYWHERE),
    token("/instances"),
    token("/entities"),
    in_path("instance", "GET", "/instances/{}?showHistory=true"),
    *in_query(
        *("GET", f"/instances/{FINISHED}", "showHistory", "showHistoryOutput", "showInput"),
        *("returnInternalServerErrorOnFailure", *ANYWHERE),
    ),
    in_path("instance", "DELETE", "/instances/{}"),
    *in_query("DELETE", "/instances", *TIMES, "runtimeStatus", "instanceIdPrefix", also="createdTimeTo=1999-01-01&"),
    in_path("event", "POST", f"/instances/{RUNNING}/raiseEvent/{{}}"),
    in_path("instance", "POST", "/instances/{}/raiseEvent/x"),
    *in_body(f"/instances/{RUNNING}/raiseEvent/x"),
    *(in_path("instance", "POST", f"/instances/{{}}/{verb}") for verb in VERBS),
    *(case for verb in ("terminate", "rewind") for case in in_query("POST", f"/instances/{FINISHED}/{verb}", "reason")),
    *in_query("POST", f"/instances/{FINISHED}/restart", "restartWithNewInstanceId", "timeout", **AND_THEN),
    in_path("entity", "GET", "/entities/{}/x"),
    in_path("key", "GET", "/entities/keeper/{}"),
    in_path("name", "GET", "/entities/{}"),
    in_path("entity", "POST", "/entities/{}/x"),
    in_path("key", "POST", "/entities/keeper/{}?op=keep"),
    in_path("key", "DELETE", "/entities/keeper/{}"),
    *in_query("POST", "/entities/keeper/x", "op", *ANYWHERE),
    *in_body("/entities/keeper/y?op=keep"),
    *in_query("GET", "/entities", "lastOperationTimeFrom", "lastOperationTimeTo", "fetchState", "top", *ANYWHERE),
    in_path("route", "GET", "/{}"),
    in_path("route", "POST", "/instances/x/{}"),
    in_path("route", "PUT", "/makeprimary/{}"),
]

WORDS = [
    *(
        "",
        " ",
        "0",
        "-1",
        "1",
        "1.5",
        "1e3",
        "1e999",
        "NaN",
        "Infinity",
        "-0",
        "0x10",
        "1_000",
        "٣",
        "²",
        "Ⅷ",
        "１２",
        "9" * 400,
    ),
    *("true", "TRUE", "false", "null", "None", "Running", "running,Failed", "Completed,", ",,", "Running'", "2", "Ran"),
    *("2026-01-01", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-W01-1"),
    *("1600-12-31", "24:00", "2026-02-30", "٢٠٢٦-٠١-٠١", "2026-01-01T00:00:00 02:00", "yesterday"),
    *(
        "'",
        "''",
        "a'b",
        "') or (1 eq 1",
        "a\\b",
        "a/b",
        "a#b",
        "a?b",
        "a^b",
        "@x@y",
        "@",
        "@@",
        "$",
        "..",
        ".",
        "%",
        "%25",
        "+",
        "&",
        "=",
        ";",
    ),
    *(
        "{}",
        "[]",
        '{"NextPartitionKey": "x"}',
        '{"NextPartitionKey": 1}',
        '{"NextRowKey": "\\ud800"}',
        '{"$top": "1"}',
        "[" * 70,
        '"x"',
    ),
    *(
        "\0",
        "\x1f",
        "\x7f",
        "\x85",
        "\u2028",
        "\u202e",
        "\ufeff",
        "\ufffe",
        "\uffff",
        "\ud7ff",
        "\ue000",
        "\U0010ffff",
        "\U0001f600",
        "é",
        "e\u0301",
    ),
    *(
        "x" * 255,
        "x" * 256,
        "x" * 257,
        "x" * 1100,
        "é" * 600,
        "\U0001f600" * 300,
        "plain",
        "Plain",
        RUNNING[:3],
        "keeper",
        "KEEPER",
    ),
]
RAW = [b"\xff", b"\xfe\xff", b"\xed\xa0\x80", b"\xc3", b"\xf0\x9f", b"\x80" * 10, b"\xc0\xaf"]
PARTS = [*(word.encode() for word in WORDS), *RAW]
CHARACTERS = [*range(0xD800), *range(0xE000, 0x110000)]


def values(draw: random.Random, count: int) -> Iterator[Value]:
    """Words that have meant trouble somewhere, alone and joined, and bytes of any kind; each value once, because a new
    id is new once.
    """
    drawn: set[Value] = set()
    while len(drawn) < count:
        value = _value(draw)
        if value not in drawn:
            drawn.add(value)
            yield value


def _value(draw: random.Random) -> Value:
    kind = draw.random()
    if kind < 0.5:
        return draw.choice(WORDS).encode()
    if kind < 0.7:
        return b"".join(draw.choice(PARTS) for _ in range(draw.randint(2, 4)))[:1500]
    if kind < 0.85:
        return "".join(chr(draw.choice(CHARACTERS)) for _ in range(9)).encode()
    return draw.choice(RAW) + draw.randbytes(draw.randrange(12))


@dataclass
class Caller:
    """One connection to the API, opened again when the other side has closed it."""

    port: int
    _connection: http.client.HTTPConnection | None = field(default=None, init=False)

    def status(self, method: str, path: str, body: bytes | None, headers: Mapping[str, bytes]) -> int:
        for _ in range(2):
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            try:
                self._connection.request(method, API + path, body, dict(headers))
                answer = self._connection.getresponse()
                answer.read()
            except (http.client.HTTPException, ConnectionError):
                self.close()
            else:
                return answer.status
        raise AssertionError(f"no answer to {method} {path}")

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None


@pytest.fixture(scope="module")
def host(azurite: Azurite, ports: FreePorts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devhost]:
    it = Devhost(azurite.connection_string, ports(), tmp_path_factory.mktemp("hostile"), app=APP).start()
    try:
        it.post(it.api(f"/orchestrators/plain/{FINISHED}"), {"a": 1})
        it.post(it.api(f"/orchestrators/waits/{RUNNING}"), {"a": 1})
        it.finished(FINISHED)
        yield it
    finally:
        it.kill()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_value_of_a_parameter_is_a_500(host: Devhost, case: Case, request: pytest.FixtureRequest) -> None:
    draw = random.Random(f"{SEED} {case.name}")
    caller = Caller(host.port)
    for value in values(draw, request.config.getoption("--api-values")):
        status = caller.status(case.method, case.path(value), case.body(value), case.headers(value))
        assert 200 <= status < 500, (status, value, host.log[-3000:])
        if case.finishes:
            host.finished(FINISHED)
    caller.close()
    assert "Traceback" not in host.log


def test_the_ends_of_lines_of_unicode_are_stored_like_any_character(host: Devhost) -> None:
    """Azurite answered 500 to them in a batch, and the instance waited for ever for its write."""
    text = "a\u2028b\u2029c"
    assert host.event(RUNNING, "lines", {"text": text}).status == 202
    assert host.post(host.api("/entities/keeper/lines?op=keep"), text).status == 202
    assert host.post(host.api("/orchestrators/plain/with-lines"), {"text": text}).status == 202
    assert host.finished("with-lines", within_s=20)["input"] == {"text": text}
    until(lambda: any(row.get("Input") == json.dumps({"text": text}).replace(": ", ":") for row in history(host)), 20)


def history(host: Devhost) -> list[dict[str, Any]]:
    return host.rows("History", RUNNING)


KEYS = [("x" * 400, 202), ("y" * 401, 400), ("\U0001f600" * 300, 400), ("^" * 300, 400), ("a\u2028", 400)]


@pytest.mark.parametrize(("key", "status"), KEYS)
def test_a_key_that_storage_cannot_hold_is_refused(host: Devhost, key: str, status: int) -> None:
    """A key of a table holds 512 characters as UTF-16 counts them, after its escapes."""
    assert host.post(host.api(f"/entities/keeper/{quote(key)}?op=keep"), 1).status == status
    instance = host.post(host.api(f"/orchestrators/plain/{quote(key[:250])}"), 1)
    fits = len(key[:250].encode("utf-16-le")) <= 512 and "\u2028" not in key
    assert instance.status == (202 if fits else 400)
