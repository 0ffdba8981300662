"""Keys: which requests need one, and the worker's secret."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.devhost.support.hosts import Devhost
from tests.devhost.support.provider_oracle import judged
from tests.support.servers import Azurite, FreePorts

KEY = "a key&of=odd/characters"
BASES = ("/runtime/webhooks/durabletask", "/durabletask", "/DurableTask", "/durabletask/a-guess", "/durabletask/")
REQUESTS = [
    ("GET", "/instances"),
    ("GET", "/instances/x"),
    ("DELETE", "/instances/x"),
    ("DELETE", "/instances?createdTimeFrom=2020-01-01"),
    ("POST", "/orchestrators/echo/uninvited"),
    ("POST", "/instances/x/terminate"),
    ("POST", "/instances/x/raiseEvent/y"),
    ("GET", "/entities"),
    ("GET", "/entities/counter/x"),
    ("POST", "/entities/counter/x?op=add"),
    ("GET", "/makeprimary"),
    ("GET", "/nothing"),
    ("GET", "/"),
]


def test_keys_are_required_only_with_enable_auth(new_host: Callable[..., Devhost]) -> None:
    host = new_host(arguments=("--enable-auth",), settings={"DEVHOST_FUNCTION_KEY": "a-key"}).start()
    assert host.get("/api/bare").status == 401
    assert host.get("/api/bare", **{"x-functions-key": "another"}).status == 401
    assert host.get("/api/bare", **{"x-functions-key": "a-key"}).text == "bare"
    assert host.get("/api/bare?code=a-key").text == "bare"
    assert host.get("/api/files/x").text == "x"
    started = host.post("/api/start/echo?code=a-key")
    assert host.get(started.json()["statusQueryGetUri"]).status in (200, 202)


@pytest.fixture(scope="module")
def keyed_host(
    azurite: Azurite, ports: FreePorts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Devhost, str]]:
    """A devhost that asks for keys, and where its worker's client calls. The key is of characters that URLs escape."""
    folder = tmp_path_factory.mktemp("keyed")
    settings = {"DEVHOST_FUNCTION_KEY": KEY}
    with judged(
        Devhost(azurite.connection_string, ports(), folder, arguments=("--enable-auth",), settings=settings)
    ) as it:
        yield it, it.get("/api/address", **{"x-functions-key": KEY}).text.removesuffix("/")


@pytest.mark.parametrize("base", BASES)
def test_the_durable_api_asks_for_the_key_at_each_of_its_addresses(keyed_host: tuple[Devhost, str], base: str) -> None:
    host, _ = keyed_host
    for method, path in REQUESTS:
        for headers in ({}, {"x-functions-key": "wrong"}, {"x-functions-key": "\xff\xfe"}):
            response = host.request(method, base + path, None, **headers)
            assert (response.status, response.body) == (401, b""), (method, path, headers)
    assert host.get(host.api("/instances/uninvited"), **{"x-functions-key": KEY}).status == 404


def test_the_key_opens_the_durable_api_at_both_addresses(keyed_host: tuple[Devhost, str]) -> None:
    host, _ = keyed_host
    for base in ("/runtime/webhooks/durabletask", "/durabletask"):
        assert host.get(f"{base}/instances", **{"x-functions-key": KEY}).status == 200
    started = host.request("POST", host.api("/orchestrators/echo"), None, **{"x-functions-key": KEY})
    assert host.get(started.json()["statusQueryGetUri"]).status in (200, 202)


def test_the_worker_has_a_secret_of_its_own_which_nobody_else_sees(keyed_host: tuple[Devhost, str]) -> None:
    host, base = keyed_host
    assert host.get(f"{base}/instances").status == 200
    assert host.get(f"{base[:-1]}/instances").status == 401
    secret = base.rsplit("/", 1)[1]
    assert len(secret) >= 32
    headers = {"x-functions-key": KEY}
    answers = [host.request("POST", "/api/start/echo", b"1", **headers), host.get(f"{base}/instances"), host.get("/")]
    assert not any(secret in answer.text + str(answer.headers) for answer in answers)
    assert secret not in host.log
    assert host.process is not None
    command, environment = (Path(f"/proc/{host.process.pid}/{each}") for each in ("cmdline", "environ"))
    assert not command.exists() or secret not in command.read_text() + environment.read_text()
